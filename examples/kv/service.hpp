// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What one replica says about itself and the cluster, and the error replies that follow from it.
#ifndef RSM_EXAMPLES_KV_SERVICE_HPP
#define RSM_EXAMPLES_KV_SERVICE_HPP

#include "resp.hpp"
#include "server_options.hpp"
#include "store.hpp"
#include "topology.hpp"

#include <rsm/error.hpp>
#include <rsm/status.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
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
        : replica_(replica), directory_(std::move(directory)), options_(std::move(options)) {}

    Replica& replica() { return replica_; }
    const ServerOptions& options() const { return options_; }
    ServerCounters& counters() { return counters_; }

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

    /// What failed: a read has had no effect in any case, a write may have.
    enum class Kind : std::uint8_t { write, read };

    /// Appends the error reply for an operation that failed with `why`.
    /// @return whether the connection is of no further use
    bool write_error(boost::system::error_code why, Kind kind, std::string& out) const {
        ReplyWriter reply(out);
        switch (rsm::error_class(why)) {
            case rsm::ErrorClass::none: break;
            case rsm::ErrorClass::retry_elsewhere: write_redirect(topology(), out); break;
            case rsm::ErrorClass::overload:
                reply.error("BUSY the server is overloaded, nothing happened, try again later");
                break;
            case rsm::ErrorClass::misuse:
                reply.error("ERR the request is too large, nothing happened");
                break;
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

    /// "digest:<index>:<hex>": a fingerprint of this replica's state after the entry at `index`.
    /// Two replicas that have applied the same index must show the same one. Linear in the state.
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
        detail::add_line(text, "snapshot", status.snapshot.value);
        detail::add_line(text, "snapshot_bytes", status.snapshot_bytes);
        detail::add_line(text, "persisted_bytes", status.persisted_bytes);
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
                                 ",last_contact_ms=" + std::to_string(contact.count()));
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

    std::string info() const {
        std::string text = "# Server\r\n";
        detail::add_line(text, "server_name", "kv-server");
        detail::add_line(text, "redis_mode", "cluster");
        text += "\r\n# Clients\r\n";
        detail::add_line(text, "connected_clients", counters_.clients);
        detail::add_line(text, "maxclients", options_.max_clients);
        text += "\r\n# Memory\r\n";
        detail::add_line(text, "store_bytes", replica_.machine().bytes());
        text += "\r\n# Stats\r\n";
        detail::add_line(text, "total_connections_received", counters_.accepted);
        detail::add_line(text, "rejected_connections", counters_.refused);
        detail::add_line(text, "total_commands_processed", counters_.commands);
        text += "\r\n# Cluster\r\n";
        detail::add_line(text, "cluster_enabled", 1);
        text += "\r\n# Raft\r\n" + raft_status();
        text += "\r\n# Peers\r\n" + peer_counters();
        text += "\r\n# Keyspace\r\n";
        if (const std::size_t keys = replica_.machine().key_count(); keys != 0) {
            detail::add_line(text, "db0", "keys=" + std::to_string(keys) + ",expires=0,avg_ttl=0");
        }
        return text;
    }

private:
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
};

}  // namespace kv

#endif
