// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv-server: one replica of a linearizable key/value service that Redis clients can talk to.
//
// The first start founds the cluster, with the same list on every node, or joins one:
//
//   kv-server --id 1 --cluster 1=10.0.0.1:7001,2=10.0.0.2:7001,3=10.0.0.3:7001
//             --listen 10.0.0.1:6379 --data /var/lib/kv
//   kv-server --id 4 --join 10.0.0.1:6379 --peer 10.0.0.4:7001
//             --listen 10.0.0.4:6379 --data /var/lib/kv
//
// Later ones need neither list nor address of another: --id, --peer, --listen and --data.
//
// A cluster that is to begin with a backup is founded with --restore FILE beside --cluster. Where a
// majority of directories is gone, that file can be made of those that are left:
//
//   kv-server rescue DIRECTORY... --to FILE
//
// Exit status: 0 after SIGTERM or SIGINT, 1 if it could not start, 2 if it had to stop.
#include "admin_arguments.hpp"
#include "client_arguments.hpp"
#include "join.hpp"
#include "listen.hpp"
#include "log.hpp"
#include "process.hpp"
#include "rescue.hpp"
#include "server.hpp"
#include "service_manager.hpp"
#include "store.hpp"
#include "tls_options.hpp"

#include <rsm/admin/http.hpp>
#include <rsm/replicated.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/version_text.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Replica = rsm::Replicated<kv::Store, kv::Transport, rsm::WalStorage>;
using boost::asio::ip::tcp;

struct Arguments {
    std::uint64_t id = 0;
    std::vector<std::string> cluster;  // "id=host:port"
    std::string join;                  // where a server serves clients
    std::string restore;               // a backup
    std::string peer;
    std::optional<std::string> cluster_name;
    std::string listen;
    std::string announce;
    std::string data;
    std::uint64_t snapshot_threshold = std::uint64_t{64} << 20;
    double snapshot_factor = 0.5;
    std::optional<std::uint64_t> max_log_bytes;
    std::uint64_t snapshot_rate = 0;
    raft::SnapshotSource snapshot_source = raft::SnapshotSource::leader;
    std::vector<std::uint64_t> skip_operations;
    std::uint64_t operation_timeout_ms = 5000;
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    std::uint64_t election_timeout_ms = 500;
    std::uint64_t disk_stall_timeout_ms = 5000;
    std::string log_level{kv::to_string(kv::LogLevel::notice)};
    kv::ClientArguments clients;
    kv::AdminArguments admin;
    kv::ServerTlsArguments tls;
};

constexpr const char* default_cluster_name = "kv";

void declare(CLI::App& app, Arguments& arguments) {
    constexpr auto size_max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    app.description("One replica of a linearizable key/value service for Redis clients.");
    app.set_version_flag("--version", "kv-server of rsm " + rsm::version_text());
    app.add_option("--id", arguments.id, "This node; never that of another, be it gone")
        ->required()
        ->check(CLI::PositiveNumber);
    app.add_option("--cluster", arguments.cluster,
                   "The nodes that found the cluster, and where they talk to each other: "
                   "ID=HOST:PORT,...")
        ->delimiter(',');
    app.add_option("--restore", arguments.restore,
                   "A file of 'kv backup' that the new cluster begins with, the same for all of "
                   "its founders")
        ->needs("--cluster");
    app.add_option("--join", arguments.join,
                   "Where a server of the cluster serves clients, for a node that is to be taken "
                   "in with 'kv member add': HOST:PORT")
        ->excludes("--cluster");
    app.add_option("--peer", arguments.peer,
                   "Where this node talks to others, if --cluster does not say it or it has moved "
                   "since: HOST:PORT");
    app.add_option("--cluster-name", arguments.cluster_name,
                   "Nodes of clusters with different names refuse each other; needed once")
        ->check([](const std::string& name) {
            return name.empty() ? std::string("a cluster needs a name") : std::string();
        })
        ->default_str(default_cluster_name);
    app.add_option("--listen", arguments.listen, "Where to serve clients: HOST:PORT")->required();
    app.add_option("--announce", arguments.announce,
                   "Where clients reach this node, if that is not what --listen says: HOST:PORT");
    app.add_option("--data", arguments.data, "Directory for the log and the snapshots; created")
        ->required();
    app.add_option("--snapshot-threshold", arguments.snapshot_threshold,
                   "Bytes of log at which it is compacted, e.g. 64MiB")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{0}, size_max))
        ->default_str("64MiB");
    app.add_option("--segment-size", arguments.segment_bytes,
                   "Bytes of a file of the log, one of which is always kept in reserve, e.g. 16MiB")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 30))
        ->default_str("16MiB");
    app.add_option("--snapshot-factor", arguments.snapshot_factor,
                   "The log is compacted when it is so many times as long as the last snapshot, if "
                   "that is more than --snapshot-threshold; 0: the threshold alone counts")
        ->check(CLI::Range(0.0, 1000.0))
        ->capture_default_str();
    app.add_option("--max-log", arguments.max_log_bytes,
                   "Bytes of log at which writes are refused until it is compacted, at least twice "
                   "--snapshot-threshold, e.g. 4GiB; 0: no limit")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{0}, size_max))
        ->default_str("2GiB, or 4 times --snapshot-threshold if that is more");
    app.add_option("--snapshot-rate", arguments.snapshot_rate,
                   "Bytes in a second at which a leader sends snapshots, to all nodes together, "
                   "e.g. 50MiB; 0: as fast as it can")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{0}, size_max))
        ->default_str("0");
    const std::map<std::string, raft::SnapshotSource> sources{
        {"leader", raft::SnapshotSource::leader}, {"follower", raft::SnapshotSource::follower}};
    app.add_option("--snapshot-source", arguments.snapshot_source,
                   "Who sends snapshots: the leader, or a follower that has one, where it can")
        ->transform(CLI::CheckedTransformer(sources))
        ->option_text("leader|follower")
        ->default_str("leader");
    app.add_option("--skip-operation", arguments.skip_operations,
                   "Log index of an operation at which every server stops, as their last line "
                   "says; the same on all servers, once for each")
        ->expected(1)
        ->take_all()
        ->check(CLI::PositiveNumber);
    app.add_option("--operation-timeout", arguments.operation_timeout_ms,
                   "Milliseconds until a client is told that an outcome is unknown; 0: never")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{86'400'000}))
        ->capture_default_str();
    app.add_option("--election-timeout", arguments.election_timeout_ms,
                   "Milliseconds without a leader until a node stands for election")
        ->check(CLI::Range(std::uint64_t{50}, std::uint64_t{60'000}))
        ->capture_default_str();
    app.add_option("--disk-stall-timeout", arguments.disk_stall_timeout_ms,
                   "Milliseconds that a write of the log may take until this node neither leads "
                   "nor votes; until it has come to its end")
        ->check(CLI::Range(std::uint64_t{50}, std::uint64_t{600'000}))
        ->capture_default_str();
    app.add_option("--log-level", arguments.log_level,
                   "Which lines are printed; CONFIG SET loglevel, or 'kv log-level', changes it")
        ->transform(CLI::IsMember(kv::names_of_log_levels(), CLI::ignore_case))
        ->option_text("debug|verbose|notice|warning")
        ->default_str("notice");
    kv::declare_client_arguments(app, arguments.clients);
    kv::declare_admin(app, arguments.admin);
    kv::declare_tls(app, arguments.tls);
}

std::string announced(const Arguments& arguments, const std::vector<tcp::acceptor>& acceptors) {
    if (!arguments.announce.empty()) {
        return kv::parse_destination("--announce", arguments.announce).text();
    }
    for (const tcp::acceptor& acceptor : acceptors) {
        if (!acceptor.local_endpoint().address().is_unspecified()) continue;
        throw std::invalid_argument(
            "--announce: needed, because clients of other nodes cannot be "
            "sent to " +
            arguments.listen);
    }
    const std::uint16_t port = acceptors.front().local_endpoint().port();
    return rsm::TcpAddress{kv::parse_address("--listen", arguments.listen).host, port}.text();
}

/// Bytes of log at which writes are refused; 0: none.
std::uint64_t log_limit(const Arguments& arguments) {
    constexpr std::uint64_t usual = std::uint64_t{2} << 30;
    const std::uint64_t threshold = arguments.snapshot_threshold;
    if (!arguments.max_log_bytes) return std::max(usual, std::min(threshold, UINT64_MAX / 4) * 4);
    const std::uint64_t limit = *arguments.max_log_bytes;
    if (limit != 0 && limit / 2 < threshold) {
        throw std::invalid_argument("--max-log: must be at least twice --snapshot-threshold, or 0");
    }
    return limit;
}

/// How many clients there are descriptors for, besides those that the node needs itself.
std::size_t clients_at_once(const Arguments& arguments, std::size_t members) {
    const std::size_t limit = kv::raise_descriptor_limit();
    const std::size_t own = kv::own_descriptors(members, arguments.snapshot_threshold,
                                                log_limit(arguments), arguments.segment_bytes);
    if (limit <= own) {
        throw std::runtime_error("a node needs " + std::to_string(own) +
                                 " descriptors and one for each client, and " +
                                 std::to_string(limit) + " are allowed (ulimit -n)");
    }
    if (arguments.clients.max_clients <= limit - own) return arguments.clients.max_clients;
    kv::log_line("at most " + std::to_string(limit - own) + " clients at once: of " +
                 std::to_string(limit) + " descriptors (ulimit -n) " + std::to_string(own) +
                 " are kept for log, snapshots and peers");
    return limit - own;
}

/// Where this node is, and the cluster that it founds, joins or belongs to.
struct Origin {
    std::map<raft::NodeId, std::string> peers;
    std::string cluster_name;
    std::optional<rsm::Birth> birth;
};

using Stored = std::optional<raft::Identity>;

Stored stored_identity(const Arguments& arguments) {
    auto stored = rsm::WalStorage(arguments.data).identity();
    if (!stored) throw std::runtime_error(stored.error().message());
    return *std::move(stored);
}

/// A new directory begins with it. Another one has begun with what it has: the file need not be
/// there any more, but must not be another one.
std::optional<rsm::Backup> backup_of(const Arguments& arguments, const Stored& stored) {
    if (arguments.restore.empty()) return std::nullopt;
    auto backup = rsm::Backup::open(arguments.restore);
    if (backup) return *std::move(backup);
    if (!stored) throw std::runtime_error("--restore: " + backup.error().message());
    kv::log_line("--restore: not read, since " + arguments.data +
                 " has begun already: " + backup.error().message());
    return std::nullopt;
}

/// The list founds once; later it only must not contradict the directory.
Origin with_list(const Arguments& arguments, const Stored& stored) {
    const std::optional<rsm::Backup> backup = backup_of(arguments, stored);
    const std::string founded =
        backup && !backup->cluster().empty() ? backup->cluster() : default_cluster_name;
    const std::string name = arguments.cluster_name.value_or(stored ? stored->cluster : founded);
    const raft::NodeId self{arguments.id};
    auto listed = kv::parse_cluster(arguments.cluster, arguments.id);
    if (stored) {
        for (const raft::Member& founder : stored->founding.members) {
            const auto now = listed.find(founder.id);
            if (now == listed.end() || now->second == founder.contact) continue;
            kv::log_line("--cluster: node " + std::to_string(founder.id.value) +
                         " was founded at " + founder.contact + " and is listed at " + now->second +
                         ", which is not read: where members are, the members say");
        }
    }
    if (!arguments.peer.empty()) {
        const std::string own = kv::parse_destination("--peer", arguments.peer).text();
        if (!stored && own != listed[self]) {
            throw std::invalid_argument("--peer: " + own + ", and --cluster says that node " +
                                        std::to_string(arguments.id) + " is at " + listed[self]);
        }
        listed[self] = own;
    }
    Origin origin{std::move(listed), name, {}};
    if (!backup) return origin;
    rsm::Members members;
    for (const auto& [node, address] : origin.peers) {
        members.push_back(rsm::voter(node.value, address));
    }
    origin.birth = rsm::restore(std::move(members), *backup);
    return origin;
}

Origin origin_of(const Arguments& arguments) {
    const raft::NodeId self{arguments.id};
    const Stored stored = stored_identity(arguments);
    if (!arguments.cluster.empty()) return with_list(arguments, stored);
    const std::string name =
        arguments.cluster_name.value_or(stored ? stored->cluster : default_cluster_name);
    if (arguments.peer.empty()) {
        throw std::invalid_argument(
            "--peer: needed where --cluster does not say at which address this node talks to "
            "others");
    }
    const std::string own = kv::parse_destination("--peer", arguments.peer).text();
    if (stored) return {{{self, own}}, name, rsm::reopen()};
    if (arguments.join.empty()) {
        throw std::invalid_argument("--data: " + arguments.data +
                                    " is new: --cluster says which cluster it is to found, or "
                                    "--join which one to join");
    }
    kv::FoundedCluster found =
        kv::ask_founded(kv::parse_destination("--join", arguments.join).text(),
                        kv::find_credentials("--auth-file", arguments.clients.auth_file));
    if (arguments.cluster_name && found.name != name) {
        throw std::invalid_argument("--cluster-name: \"" + name + "\", and the server at " +
                                    arguments.join + " is of \"" + found.name + "\"");
    }
    return {{{self, own}}, found.name, rsm::join(std::move(found.founding), found.origin)};
}

/// A replica, its server, and what ends them.
class Program {
public:
    explicit Program(const Arguments& arguments) {
        const auto tls_notice = [this](const std::string& what) { tls_log_.line(what); };
        if (arguments.tls.for_clients()) {
            tls_ = kv::open_tls(arguments.tls, tls_notice);
            kv::own_tls() = tls_;
        }
        const Origin origin = origin_of(arguments);
        const std::size_t clients = clients_at_once(arguments, raft::max_members);
        const rsm::TcpAddress own = kv::parse_address("--listen", arguments.listen);
        std::vector<tcp::acceptor> acceptors =
            kv::bind_all(io_, kv::own_endpoints(io_, own), kv::log_line);
        const std::string address = announced(arguments, acceptors);
        auto admin_acceptors = kv::bind_admin(io_, arguments.admin, kv::log_line);

        rsm::TcpOptions transport;
        transport.self = raft::NodeId{arguments.id};
        transport.peers = origin.peers;
        transport.cluster = origin.cluster_name;
        transport.advertise = address;
        transport.secret = kv::read_peer_secret(arguments.tls.peer_secret);
        // Two election timeouts; below a second, TCP could not even repeat a packet a few times.
        transport.user_timeout =
            std::max(std::chrono::milliseconds(1000),
                     std::chrono::milliseconds(2 * arguments.election_timeout_ms));
        transport.on_peer_change = [](const rsm::PeerStatus& peer) {
            kv::log_at(kv::level_of(peer), kv::describe(peer));
        };
        transport.on_refusal = [](const rsm::TcpRefused& refused) {
            kv::log_line(kv::describe(refused));
        };
        rsm::WalOptions storage;
        storage.directory = arguments.data;
        storage.segment_bytes = arguments.segment_bytes;
        storage.pieces.first_segment_bytes =
            std::min(storage.pieces.first_segment_bytes, storage.segment_bytes);
        replica_.emplace(io_.get_executor(), kv::Store{},
                         kv::make_transport(std::move(transport), arguments.tls, tls_notice),
                         rsm::WalStorage{std::move(storage)}, options(arguments, origin));

        kv::listen(acceptors);
        kv::ServerOptions server = kv::server_options(arguments.clients, clients);
        server.backup_directory = arguments.data;
        server.tls = tls_;
        server.tls_asks = arguments.tls.asks;
        server.log = [this](std::string_view text) { client_log_.line(text); };
        server_.emplace(
            *replica_, std::move(acceptors), [this, address] { return members(address); },
            std::move(server));
        if (!admin_acceptors.empty()) {
            kv::listen(admin_acceptors);
            admin_.emplace(*replica_, std::move(admin_acceptors),
                           kv::admin_options(arguments.admin));
        }
        await_signal();
        tls_log_.started();
        const rsm::Status status = replica_->status();
        kv::log_line("node " + std::to_string(arguments.id) + " serves clients on " + address +
                     ", log up to index " + std::to_string(status.last.value) +
                     ", snapshot up to index " + std::to_string(status.snapshot.value));
        kv::tell_service_manager("READY=1");
    }

    /// Returns when the node has stopped or failed.
    int run() {
        io_.run();
        return exit_status_;
    }

private:
    rsm::Options options(const Arguments& arguments, const Origin& origin) {
        using std::chrono::milliseconds;
        const milliseconds election(arguments.election_timeout_ms);
        rsm::Options options;
        options.birth = origin.birth;
        options.snapshot_threshold = static_cast<std::int64_t>(arguments.snapshot_threshold);
        options.snapshot_factor = arguments.snapshot_factor;
        options.raft.max_log_bytes = log_limit(arguments);
        options.raft.snapshot_bytes_per_second = arguments.snapshot_rate;
        options.raft.snapshot_source = arguments.snapshot_source;
        for (const std::uint64_t index : arguments.skip_operations) {
            options.skip_operations.push_back({index});
        }
        options.operation_timeout = milliseconds(arguments.operation_timeout_ms);
        kv::fit_commands(options.raft);
        options.raft.election_timeout = election;
        options.raft.disk_stall_timeout = milliseconds(arguments.disk_stall_timeout_ms);
        options.raft.heartbeat_interval =
            std::min(options.raft.heartbeat_interval, raft::Duration(election) / 5);
        options.raft.commit_notice_delay =
            std::min(options.raft.commit_notice_delay, options.raft.heartbeat_interval);
        options.on_event = [this](const raft::Event& event) {
            events_.line(event);
            if (event.kind == raft::EventKind::snapshot_installed && server_) {
                ++server_->counters().snapshots_installed;
            }
        };
        options.on_notice = [](const std::string& what) {
            kv::log_at(kv::LogLevel::warning, "storage: " + what);
        };
        options.on_failure = [this](const raft::Failure& failure) {
            kv::log_at(kv::LogLevel::warning,
                       "stopped for good: " + kv::with_own_options(failure.message()));
            exit_status_ = 2;
            io_.stop();
        };
        return options;
    }

    /// The first signal ends the node when its writes under way are done; a second one does not
    /// wait for a disk that hangs.
    void await_signal() {
        signals_.async_wait([this](boost::system::error_code error, int) {
            if (error) return;
            if (stopping_) {
                kv::log_line("stopped at once, with what was under way");
                exit_status_ = 1;
                return io_.stop();
            }
            stopping_ = true;
            stop();
            await_signal();
        });
    }

    /// This server among them, also where it is no member yet, or none any more.
    std::vector<kv::Member> members(const std::string& own_address) const {
        const auto& transport = replica_->transport();
        std::vector<kv::Member> members{{transport.self().value, own_address, true}};
        for (const rsm::Member& member : replica_->status().members) {
            if (member.id == transport.self()) continue;
            members.push_back({member.id.value, transport.peer_advertisement(member.id),
                               transport.connected(member.id)});
        }
        std::ranges::sort(members, {}, &kv::Member::id);
        return members;
    }

    /// A leader hands over first, so that clients wait for a few messages and not for an election.
    void stop() {
        kv::log_line("stopping");
        kv::tell_service_manager("STOPPING=1");
        replica_->async_transfer_leadership({}, std::chrono::milliseconds(500),
                                            [this](boost::system::error_code) { stop_replica(); });
    }
    void stop_replica() {
        replica_->async_stop([this](boost::system::error_code) {
            server_->stop();
            admin_.reset();
            io_.stop();
        });
    }

    kv::EventLog events_;
    kv::CalmLog client_log_;
    kv::TlsLog tls_log_;
    kv::Tls tls_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_{io_, SIGINT, SIGTERM};
    std::optional<Replica> replica_;
    std::optional<kv::Server<Replica>> server_;
    std::optional<rsm::AdminServer<Replica>> admin_;
    bool stopping_ = false;
    int exit_status_ = EXIT_SUCCESS;
};

}  // namespace

int main(int count, char** words) {
    if (count > 1 && std::string_view(words[1]) == "rescue") {
        return kv::run_rescue(count - 1, words + 1);
    }
    Arguments arguments;
    CLI::App app;
    declare(app, arguments);
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    kv::log_level() = *kv::parse_log_level(arguments.log_level);
    kv::survive_failed_writes();
    kv::keep_freed_memory();
    try {
        Program program(arguments);
        const int status = program.run();
        // What is still under way has nothing to do with the node any more, and may take long: a
        // disk that hangs, a name server that does not answer.
        std::_Exit(status);
    } catch (const std::exception& error) {
        // Boost appends in brackets which number the code has and where in Boost it came up.
        const std::string text = kv::with_own_options(error.what());
        kv::log_at(kv::LogLevel::warning, "cannot start: " + text.substr(0, text.find(" [")));
        return EXIT_FAILURE;
    }
}
