// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a kv server allows its clients.
#ifndef RSM_EXAMPLES_KV_SERVER_OPTIONS_HPP
#define RSM_EXAMPLES_KV_SERVER_OPTIONS_HPP

#include "resp.hpp"

#include <chrono>
#include <cstddef>

namespace kv {

/// A client that reaches one of the bounds of its connection is not served further, and not read
/// from, until it has taken replies; nothing is lost.
struct ServerOptions {
    /// Connections at once. One more is told so and closed.
    std::size_t max_clients = 10000;

    /// Requests of one connection that are waiting, under way, or answered out of turn.
    std::size_t max_requests = 1024;
    /// Bytes of those requests. A single larger one is still served, alone.
    std::size_t max_request_bytes = std::size_t{4} << 20;
    /// Bytes of replies that one connection has not taken yet; passed by at most two replies.
    std::size_t max_reply_bytes = std::size_t{4} << 20;
    /// Bytes of one reply to MGET.
    std::size_t max_mget_bytes = std::size_t{64} << 20;
    /// Of one request, checked as its bytes arrive.
    RequestLimits request;

    /// How long a connection that is being closed waits for the client to take the last reply.
    std::chrono::milliseconds linger{1000};
};

/// What a server has done since it was started.
struct ServerCounters {
    std::size_t clients = 0;  ///< connected now
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t commands = 0;
    std::uint64_t snapshots_installed = 0;  ///< received from a leader
    std::size_t reply_bytes_peak = 0;       ///< of any one connection, not yet taken
};

}  // namespace kv

#endif
