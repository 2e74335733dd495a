// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// SystemNet: the network of the operating system, as the TCP transport sees it. The simulator has
// one of its own (sim/world/stream_net.hpp), over which the same transport runs.
#ifndef RSM_TRANSPORT_TCP_SYSTEM_NET_HPP
#define RSM_TRANSPORT_TCP_SYSTEM_NET_HPP

#include <rsm/detail/entropy.hpp>
#include <rsm/transport/tcp/acceptors.hpp>
#include <rsm/transport/tcp/socket.hpp>
#include <rsm/transport/tcp_address.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace rsm::inline v0::detail {

/// A Net gives the transport sockets, timers, lookups, time and chance. Its types do what Asio's
/// of these names do, as far as the transport uses it: handlers are never called from inside the
/// call that begins an operation, and come with operation_aborted when it is cancelled or closed.
/// A Net is a value that the parts of one transport share.
struct SystemNet {
    using Socket = boost::asio::ip::tcp::socket;
    using Acceptor = boost::asio::ip::tcp::acceptor;
    using Resolver = boost::asio::ip::tcp::resolver;
    using Timer = boost::asio::steady_timer;
    using Executor = boost::asio::any_io_executor;

    static Socket socket(const Executor& executor) { return Socket(executor); }
    static Resolver resolver(const Executor& executor) { return Resolver(executor); }
    static Timer timer(const Executor& executor) { return Timer(executor); }
    static std::vector<Acceptor> listen(const Executor& executor, const TcpAddress& address) {
        return listen_on(executor, address);
    }
    static std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }
    static std::uint64_t random() { return random_number(); }

    /// See socket.hpp.
    static void tune(Socket& socket, std::chrono::milliseconds user_timeout) {
        detail::tune(socket, user_timeout);
    }
    static std::optional<std::size_t> unacknowledged(Socket& socket) {
        return detail::unacknowledged(socket);
    }
    static bool awaits_repetition(Socket& socket) { return detail::awaits_repetition(socket); }
};

}  // namespace rsm::detail

#endif
