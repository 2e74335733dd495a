// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What one replica says about itself and the cluster, and the error replies that follow from it.
#ifndef RSM_EXAMPLES_KV_SERVICE_HPP
#define RSM_EXAMPLES_KV_SERVICE_HPP

#include "answers.hpp"
#include "backups.hpp"
#include "client_memory.hpp"
#include "connection_commands.hpp"
#include "guess_limit.hpp"
#include "member_commands.hpp"
#include "reply_writer.hpp"
#include "server_options.hpp"
#include "store.hpp"
#include "ticker.hpp"
#include "topology.hpp"
#include "work_queue.hpp"
#include "write_admission.hpp"

#include <rsm/error.hpp>
#include <rsm/members.hpp>
#include <rsm/status.hpp>
#include <rsm/to_string.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

/// A member of the cluster, as its peers know it.
struct Member {
    std::uint64_t id = 0;
    std::string address;  ///< "host:port" where it serves clients; empty: not known
    bool connected = true;
};

/// The members as they are now, this node among them. Called on the replica's executor.
using Directory = std::function<std::vector<Member>()>;

namespace detail {

inline void add_line(std::string& text, std::string_view name, std::string_view value) {
    text += name;
    text += ':';
    text += value;
    text += "\r\n";
}
inline void add_line(std::string& text, std::string_view name, std::uint64_t value) {
    add_line(text, name, std::to_string(value));
}

inline std::string_view name_of(raft::ProgressState state) {
    switch (state) {
        case raft::ProgressState::probe: return "probe";
        case raft::ProgressState::replicate: return "replicate";
        case raft::ProgressState::snapshot: return "snapshot";
    }
    return "unknown";
}

inline std::string hex(std::uint64_t value) {
    std::string text(16, '0');
    for (std::size_t i = text.size(); value != 0; value >>= 4) {
        text[--i] = "0123456789abcdef"[value & 15];
    }
    return text;
}

}  // namespace detail

/// Thread safety: the replica's executor only.
template <class Replica>
class Service {
public:
    Service(Replica& replica, Directory directory, ServerOptions options)
        : replica_(replica),
          directory_(std::move(directory)),
          options_(std::move(options)),
          memory_(options_.client_memory),
          queue_(replica.get_executor(), options_.slice),
          writes_(queue_, options_.max_write_bytes),
          guesses_(options_.wrong_login_interval),
          background_(replica.get_executor()),
          ticker_(replica) {}

    Replica& replica() { return replica_; }
    const ServerOptions& options() const { return options_; }
    ServerCounters& counters() { return counters_; }
    ClientMemory& memory() { return memory_; }
    WorkQueue& queue() { return queue_; }
    WriteAdmission& writes() { return writes_; }
    GuessLimit& guesses() { return guesses_; }
    BackupPlaces& backup_places() { return backup_places_; }
    Background& background() { return background_; }
    Ticker<Replica>& ticker() { return ticker_; }
    void log(const std::string& text) const { options_.log(text); }

    Topology topology() const {
        const rsm::Status status = replica_.status();
        Topology topology;
        topology.self = status.self.value;
        topology.term = status.term.value;
        for (const Member& member : directory_()) {
            const auto address = rsm::TcpAddress::parse(member.address);
            if (!address) continue;  // it has not introduced itself yet
            topology.nodes.push_back({member.id, address->host, address->port,
                                      member.id == status.leader.value, member.connected});
        }
        return topology;
    }

    /// Makes a write ready for the log: what time it is, and what it depends on. Its reply, if that
    /// cannot be.
    std::optional<Immediate> prepare(Write& write) {
        const bool tells_time = replica_.machine().version() >= 1;
        if (!tells_time && !write.operation.is_of_first_format()) {
            return detail::error(detail::not_agreed_text);
        }
        if (tells_time) write.operation.time = ticker_.now();
        if (write.watch == nullptr) return std::nullopt;
        if (write.watch->seen.size() != write.watch->wanted) {
            return detail::error("EXECABORT Transaction discarded because WATCH was refused");
        }
        std::get<Transaction>(write.operation.action).watched = std::move(write.watch->seen);
        return std::nullopt;
    }

    /// What a write takes while it is under way. @param bytes  of its request
    WriteCost cost_of(const Write& write, std::size_t bytes) const {
        return {bytes + work_beyond_request(write.operation, replica_.machine(), writes_.growing()),
                bytes, grown_place(write.operation)};
    }

    /// What failed: a read has had no effect in any case, a write may have.
    enum class Kind : std::uint8_t { write, read };

    /// Appends the error reply for an operation that failed with `why`.
    /// @return whether the connection is of no further use
    bool write_error(boost::system::error_code why, Kind kind, std::string& out) const {
        ReplyWriter reply(out);
        switch (rsm::error_class(why)) {
            case rsm::ErrorClass::none: break;
            case rsm::ErrorClass::retry_elsewhere:
                if (why == rsm::Errc::handing_over) {
                    reply.error("TRYAGAIN another node is about to lead, nothing happened");
                    break;
                }
                write_redirect(topology(), out);
                break;
            case rsm::ErrorClass::overload:
                if (why == rsm::Errc::no_space || why == rsm::Errc::log_full) {
                    reply.error("BUSY no room for the log (" + replica_.status().refuses +
                                "), nothing happened, try again later");
                    break;
                }
                reply.error("BUSY the server is overloaded, nothing happened, try again later");
                break;
            case rsm::ErrorClass::misuse: reply.error(detail::misuse_text(why)); break;
            case rsm::ErrorClass::outcome_unknown:
                if (kind == Kind::read) {
                    reply.error("TRYAGAIN the read was not confirmed in time");
                } else {
                    reply.error("UNKNOWN the operation may or may not have taken effect");
                }
                break;
            case rsm::ErrorClass::fatal:
                reply.error("CLUSTERDOWN the server is shutting down, nothing happened");
                return true;
        }
        return false;
    }

    /// How a change of the members or a handover has ended.
    struct MembersEnd {
        boost::system::error_code error;
        std::string refusal;  ///< not empty: the replica was not asked, and this is why
    };
    using MembersEnded = std::function<void(MembersEnd)>;

    /// Changes the members, if this node leads. `ended` is not called from inside, and may be when
    /// the service is gone.
    void change_members(const MemberEdit& edit, MembersEnded ended) {
        EditedMembers wanted = edited(replica_.status().members, edit);
        if (!wanted.refusal.empty() && replica_.status().role == raft::Role::leader) {
            return boost::asio::post(replica_.get_executor(),
                                     [ended = std::move(ended), why = std::move(wanted.refusal)] {
                                         ended({{}, why});
                                     });
        }
        replica_.async_change_members(std::move(wanted.members),
                                      [ended = std::move(ended)](boost::system::error_code error) {
                                          ended({error, {}});
                                      });
    }
    /// Hands leadership over, if this node leads. Likewise.
    void transfer(const Transfer& asked, MembersEnded ended) {
        replica_.async_transfer_leadership(
            {asked.target}, std::chrono::seconds(1),
            [ended = std::move(ended)](boost::system::error_code error) {
                ended({error, {}});
            });
    }
    std::string reply_to(const MembersEnd& end) const {
        std::string reply;
        if (!end.refusal.empty()) {
            ReplyWriter(reply).error("ERR " + end.refusal);
        } else if (!end.error) {
            ReplyWriter(reply).simple("OK");
        } else if (rsm::error_class(end.error) == rsm::ErrorClass::retry_elsewhere) {
            write_redirect(topology(), reply);
        } else {
            const bool unknown = rsm::outcome(end.error) == rsm::Outcome::unknown;
            ReplyWriter(reply).error((unknown ? "UNKNOWN " : "ERR ") + end.error.message());
        }
        return reply;
    }

    /// Takes a snapshot. `ended` is called with the reply, "index:<last>" and "bytes:<count>" or an
    /// error; not from inside, and maybe when the service is gone.
    void take_snapshot(std::function<void(std::string)> ended) {
        replica_.async_snapshot(options_.snapshot_timeout, [ended = std::move(ended)](
                                                               boost::system::error_code error,
                                                               const rsm::SavedSnapshot& snapshot) {
            std::string reply;
            std::string text;
            detail::add_line(text, "index", snapshot.index.value);
            detail::add_line(text, "bytes", snapshot.bytes);
            if (error == rsm::Errc::timed_out) {
                ReplyWriter(reply).error("UNKNOWN the snapshot is not done yet, and goes on");
            } else if (error) {
                ReplyWriter(reply).error("BUSY no snapshot was taken: " + error.message());
            } else {
                ReplyWriter(reply).bulk(text);
            }
            ended(std::move(reply));
        });
    }

    /// Lines "<id> <standing> <address> <instance> <priority>".
    std::string members_text() const {
        std::string text;
        for (const rsm::Member& member : replica_.status().members) {
            text += std::to_string(member.id.value) + " " +
                    std::string(rsm::to_string(member.standing)) + " " +
                    (member.contact.empty() ? "-" : member.contact) + " " +
                    detail::hex(member.instance.value) + " " + std::to_string(member.priority) +
                    "\r\n";
        }
        return text;
    }
    /// What a node that joins must know: "cluster:<name>", "origin:<hex>" where the cluster was
    /// founded from a backup, and lines "<id> <standing> <address>".
    std::string founding_text() const {
        std::string text;
        if constexpr (requires { replica_.storage().identity(); }) {
            const raft::Identity& identity = replica_.storage().identity();
            detail::add_line(text, "cluster", identity.cluster);
            if (identity.origin != 0) {
                detail::add_line(text, "origin", detail::hex(identity.origin));
            }
            for (const rsm::Member& member : identity.founding.members) {
                text += std::to_string(member.id.value) + " " +
                        std::string(rsm::to_string(member.standing)) + " " + member.contact +
                        "\r\n";
            }
        }
        return text;
    }

    /// "digest:<index>:<hex>": a fingerprint of this replica's state after the entry at `index`.
    /// Two replicas that have applied the same index must show the same one.
    std::string digest() const {
        return "digest:" + std::to_string(replica_.status().applied.value) + ":" +
               detail::hex(replica_.machine().digest());
    }

    /// Lines "name:value" for programs.
    std::string raft_status() const {
        const rsm::Status status = replica_.status();
        const std::vector<Member> members = directory_();
        std::string text;
        detail::add_line(text, "node", status.self.value);
        detail::add_line(text, "address", address_of(members, status.self));
        detail::add_line(text, "role", rsm::to_string(status.role));
        detail::add_line(text, "term", status.term.value);
        detail::add_line(text, "leader", status.leader.value);
        detail::add_line(text, "leader_address", address_of(members, status.leader));
        detail::add_line(text, "commit", status.commit.value);
        detail::add_line(text, "applied", status.applied.value);
        detail::add_line(text, "last", status.last.value);
        detail::add_line(text, "lost_up_to", status.lost_up_to.value);
        detail::add_line(text, "snapshot", status.snapshot.value);
        detail::add_line(text, "snapshot_bytes", status.snapshot_bytes);
        detail::add_line(text, "persisted_bytes", status.persisted_bytes);
        detail::add_line(text, "storage", status.refuses.empty() ? "ok" : status.refuses);
        detail::add_line(text, "disk_stalled", std::uint64_t{status.disk_stalled});
        detail::add_line(text, "format_version", status.format_version);
        detail::add_line(text, "readable_version", status.readable_version);
        detail::add_line(text, "instance", detail::hex(status.instance.value));
        detail::add_line(text, "members_settled", std::uint64_t{status.members_settled});
        detail::add_line(text, "changing_members", std::uint64_t{status.changing_members});
        for (const rsm::Member& member : status.members) {
            detail::add_line(text, "member_" + std::to_string(member.id.value),
                             "standing=" + std::string(rsm::to_string(member.standing)) +
                                 ",address=" + member.contact +
                                 ",instance=" + detail::hex(member.instance.value) +
                                 ",priority=" + std::to_string(member.priority) +
                                 ",serves=" + address_of(members, member.id));
        }
        detail::add_line(text, "snapshots_installed", counters_.snapshots_installed);
        detail::add_line(text, "pending_operations", status.pending_operations);
        detail::add_line(text, "pending_reads", status.pending_reads);
        for (const auto& follower : status.followers) {
            using std::chrono::milliseconds;
            const auto contact = std::chrono::duration_cast<milliseconds>(follower.last_contact);
            const std::uint64_t last = status.last.value;
            const std::uint64_t match = follower.match.value;
            detail::add_line(text, "follower_" + std::to_string(follower.node.value),
                             "state=" + std::string(detail::name_of(follower.state)) +
                                 ",match=" + std::to_string(match) +
                                 ",lag=" + std::to_string(last > match ? last - match : 0) +
                                 ",last_contact_ms=" + std::to_string(contact.count()) +
                                 ",disk_stalled=" + std::to_string(int{follower.disk_stalled}) +
                                 ",disk_full=" + std::to_string(int{follower.disk_full}) +
                                 ",doubtful=" + std::to_string(int{follower.doubtful}) +
                                 transfer_text(follower));
        }
        for (const rsm::PeerStatus& peer : status.peers) {
            using std::chrono::milliseconds;
            const auto since = std::chrono::duration_cast<milliseconds>(peer.since);
            detail::add_line(text, "peer_" + std::to_string(peer.node.value),
                             "connected=" + std::to_string(int{peer.connected}) +
                                 ",incoming=" + std::to_string(int{peer.incoming}) +
                                 ",since_ms=" + std::to_string(since.count()) + ",queued_bytes=" +
                                 std::to_string(peer.queued_bytes) + ",reason=" + peer.reason);
        }
        return text;
    }

    /// What the transport has counted, if it counts what a TcpTransport does.
    std::string peer_counters() const {
        std::string text;
        if constexpr (requires { replica_.transport().counters(); }) {
            const rsm::TcpCounters& counters = replica_.transport().counters();
            detail::add_line(text, "peer_messages_sent", counters.messages_sent);
            detail::add_line(text, "peer_messages_received", counters.messages_received);
            detail::add_line(text, "peer_messages_dropped", counters.messages_dropped);
            detail::add_line(text, "peer_bytes_sent", counters.bytes_sent);
            detail::add_line(text, "peer_bytes_received", counters.bytes_received);
            detail::add_line(text, "peer_connects", counters.connects);
            detail::add_line(text, "peer_connect_failures", counters.connect_failures);
            for (std::size_t i = 0; i < rsm::tcp_refusals; ++i) {
                const auto reason = static_cast<rsm::TcpRefusal>(i);
                detail::add_line(text, "peer_refused_" + std::string(to_string(reason)),
                                 counters.refusals[reason]);
            }
        }
        return text;
    }

    /// The sections of INFO that are asked for, in lower case; all of them if none is.
    std::string info(const std::vector<std::string>& asked) const {
        std::string text;
        const auto add = [&](std::string_view name, std::string_view lower, auto lines) {
            const bool is_asked =
                asked.empty() || std::find(asked.begin(), asked.end(), lower) != asked.end();
            if (!is_asked) return;
            if (!text.empty()) text += "\r\n";
            text += "# " + std::string(name) + "\r\n" + lines();
        };
        add("Server", "server", [this] { return server_info(); });
        add("Clients", "clients", [this] { return clients_info(); });
        add("Memory", "memory", [this] { return memory_info(); });
        add("Stats", "stats", [this] { return stats_info(); });
        add("Raft", "raft", [this] { return raft_status(); });
        add("Peers", "peers", [this] { return peer_counters(); });
        // Behind Raft's, which has a role, too: who keeps one of two gets that of Redis.
        add("Replication", "replication", [this] { return replication_info(); });
        add("Cluster", "cluster", [] { return std::string("cluster_enabled:1\r\n"); });
        add("Keyspace", "keyspace", [this] { return keyspace_info(); });
        return text;
    }

private:
    std::string server_info() const {
        std::string text;
        detail::add_line(text, "server_name", "kv-server");
        detail::add_line(text, "redis_version", redis_version);
        detail::add_line(text, "redis_mode", "cluster");
        return text;
    }
    std::string clients_info() const {
        std::string text;
        detail::add_line(text, "connected_clients", counters_.clients);
        detail::add_line(text, "maxclients", options_.max_clients);
        return text;
    }
    std::string memory_info() const {
        std::string text;
        // Of what grows with the data and the clients, in the words of Redis and one by one.
        detail::add_line(text, "used_memory", replica_.machine().bytes() + memory_.used());
        detail::add_line(text, "store_bytes", replica_.machine().bytes());
        detail::add_line(text, "client_memory_bytes", memory_.used());
        detail::add_line(text, "client_memory_peak_bytes", memory_.peak());
        detail::add_line(text, "client_memory_limit_bytes", memory_.limit());
        return text;
    }
    std::string stats_info() const {
        std::string text;
        detail::add_line(text, "total_connections_received", counters_.accepted);
        detail::add_line(text, "rejected_connections", counters_.refused);
        detail::add_line(text, "clients_closed_for_memory", counters_.closed_for_memory);
        detail::add_line(text, "clients_closed_for_time", counters_.closed_for_time);
        detail::add_line(text, "clients_refused_by_tls", counters_.refused_by_tls);
        detail::add_line(text, "acl_access_denied_auth", counters_.failed_logins);
        detail::add_line(text, "total_commands_processed", counters_.commands);
        return text;
    }
    /// Roles in the words of Redis, by which tools tell who takes writes.
    std::string replication_info() const {
        std::string text;
        const Topology group = topology();
        const TopologyNode* leader = group.leader();
        const bool leads = leader != nullptr && leader->id == group.self;
        detail::add_line(text, "role", leads ? "master" : "slave");
        if (leads) {
            const auto others = std::count_if(
                group.nodes.begin(), group.nodes.end(),
                [&](const TopologyNode& node) { return node.id != group.self && node.connected; });
            detail::add_line(text, "connected_slaves", static_cast<std::uint64_t>(others));
        } else {
            if (leader != nullptr) {
                detail::add_line(text, "master_host", leader->host);
                detail::add_line(text, "master_port", std::uint64_t{leader->port});
            }
            detail::add_line(text, "master_link_status", leader != nullptr ? "up" : "down");
        }
        return text;
    }
    std::string keyspace_info() const {
        std::string text;
        if (const std::size_t keys = replica_.machine().key_count(); keys != 0) {
            detail::add_line(text, "db0",
                             "keys=" + std::to_string(keys) +
                                 ",expires=" + std::to_string(replica_.machine().deadline_count()) +
                                 ",avg_ttl=0");
        }
        return text;
    }

    /// How far a snapshot is on its way to that node, if one is.
    static std::string transfer_text(const rsm::Status::Follower& follower) {
        if (!follower.transfer) return {};
        return ",snapshot_sent_bytes=" + std::to_string(follower.transfer->bytes) +
               ",snapshot_total_bytes=" + std::to_string(follower.transfer->total_bytes);
    }

    static std::string address_of(const std::vector<Member>& members, raft::NodeId node) {
        for (const Member& member : members) {
            if (member.id == node.value) return member.address;
        }
        return {};
    }

    Replica& replica_;
    Directory directory_;
    ServerOptions options_;
    ServerCounters counters_;
    ClientMemory memory_;
    WorkQueue queue_;
    WriteAdmission writes_;
    GuessLimit guesses_;
    BackupPlaces backup_places_;
    Background background_;
    Ticker<Replica> ticker_;
};

}  // namespace kv

#endif
