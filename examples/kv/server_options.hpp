// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a kv server allows its clients.
#ifndef RSM_EXAMPLES_KV_SERVER_OPTIONS_HPP
#define RSM_EXAMPLES_KV_SERVER_OPTIONS_HPP

#include "client_socket.hpp"
#include "credentials.hpp"
#include "limits.hpp"
#include "resp.hpp"

#include <raft/protocol/options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace kv {

/// A client that reaches one of the bounds of its connection is not served further, and not read
/// from, until it has taken replies; nothing is lost.
struct ServerOptions {
    /// Connections at once. One more is told so and closed.
    std::size_t max_clients = 10000;

    /// Bytes that all connections together may hold, a quarter of them those that have not shown
    /// who they are. A request that finds no room is refused as BUSY, or the oldest of these is
    /// closed, or the connection that holds the most.
    std::size_t client_memory = std::size_t{256} << 20;

    /// Requests of one connection that are waiting, under way, or answered out of turn.
    std::size_t max_requests = 1024;
    /// Bytes of those requests. A single larger one is still served, alone.
    std::size_t max_request_bytes = std::size_t{1} << 20;
    /// Bytes of replies that one connection has not taken yet; passed by at most one reply.
    std::size_t max_unsent_bytes = std::size_t{256} << 10;
    /// Bytes of one reply to a read.
    std::size_t max_reply_bytes = reply_bytes_max_default;
    /// Of one request, checked as its bytes arrive.
    RequestLimits request;

    /// How long a client may take to complete a request that it has begun to send, and to say who
    /// it is where that is asked for. 0: any time.
    std::chrono::milliseconds request_timeout{30'000};
    /// How long a client may take no byte although replies wait for it. 0: any time.
    std::chrono::milliseconds reply_timeout{60'000};
    /// How long a client may want nothing. 0: any time.
    std::chrono::seconds idle_timeout{0};
    /// After how much silence the system asks a client whether it is still there. 0: never.
    std::chrono::seconds keep_alive{300};
    /// How long a connection that is being closed waits for the client to take the last reply.
    std::chrono::milliseconds linger{1000};
    /// How long clients' requests are worked on until the replica gets a turn, and another client.
    std::chrono::microseconds slice{250};
    /// Bytes of all clients' writes that are under way in the replica, counted with their copies.
    /// One that is larger is under way alone. Far below raft::Options::max_uncommitted_bytes, so
    /// that nobody is refused for what others write, and about what a disk writes in some 10 ms,
    /// which is what a write has to wait.
    std::size_t max_write_bytes = std::size_t{8} << 20;

    /// Who may use the server. Without any, everybody may.
    Accounts accounts;
    /// After how long an address may be wrong about them once more, when it has been so
    /// GuessLimit::at_once times. 0: as often as it likes.
    std::chrono::milliseconds wrong_login_interval{1000};

    /// Where backups are written on their way to clients, each as large as the state, without a
    /// name. Empty: none are made.
    std::string backup_directory;
    /// How long a backup waits for the state that it is to have.
    std::chrono::milliseconds backup_timeout{60'000};
    /// How long a client may leave a backup unread until its place is given to others. 0: any time.
    std::chrono::milliseconds backup_idle_timeout{60'000};

    /// How long a snapshot that somebody asks for may take until they are told so.
    std::chrono::milliseconds snapshot_timeout{600'000};

    /// What clients' connections are under; null: nothing, they are plain.
    Tls tls;
    TlsAsks tls_asks = TlsAsks::for_a_valid_one;

    /// Called with a sentence for the operator; must not throw.
    std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// What a server has done since it was started.
struct ServerCounters {
    std::size_t clients = 0;  ///< connected now
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t closed_for_memory = 0;
    std::uint64_t closed_for_time = 0;
    std::uint64_t refused_by_tls = 0;  ///< that came without TLS, or failed in it
    std::uint64_t failed_logins = 0;
    std::uint64_t commands = 0;
    std::uint64_t snapshots_installed = 0;  ///< received from a leader
    std::size_t unsent_bytes_peak = 0;      ///< replies of any one connection
};

/// Makes room in the log for every command, and lets few of them be applied in one go.
inline void fit_commands(raft::Options& options) {
    constexpr std::size_t applied_at_once = std::size_t{256} << 10;
    options.max_entry_bytes = entry_bytes_max;
    options.max_message_bytes = std::max(options.max_message_bytes, entry_bytes_max);
    options.apply_batch_bytes = std::min(options.apply_batch_bytes, applied_at_once);
}

}  // namespace kv

#endif
