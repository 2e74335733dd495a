// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How the system is to treat a client's socket. Where it has no such thing, the server does
// without.
#ifndef RSM_EXAMPLES_KV_SOCKET_TUNING_HPP
#define RSM_EXAMPLES_KV_SOCKET_TUNING_HPP

#include <rsm/transport/tcp/socket.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace kv {

/// Replies leave at once, and again soon where they are lost; no more of them than 256 KiB wait in
/// the system for a client that does not take them; and a client whose host has vanished is found
/// out, also where nothing is sent.
/// @param keep_alive  the silence after which it is asked whether it is there, and three more times
///                    within as long again; 0: never
inline void tune_client_socket(boost::asio::ip::tcp::socket& socket,
                               std::chrono::seconds keep_alive) {
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    rsm::detail::repeat_soon(socket);
    using rsm::detail::set_tcp_option;
#ifdef TCP_NOTSENT_LOWAT
    set_tcp_option(socket, TCP_NOTSENT_LOWAT, 256 << 10);
#endif
    if (keep_alive.count() == 0) return;
    socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
#if defined TCP_KEEPIDLE && defined TCP_KEEPINTVL && defined TCP_KEEPCNT
    constexpr int probes = 3;
    const int idle =
        static_cast<int>(std::clamp<std::chrono::seconds::rep>(keep_alive.count(), 1, 32'767));
    set_tcp_option(socket, TCP_KEEPIDLE, idle);
    set_tcp_option(socket, TCP_KEEPINTVL, std::max(1, idle / probes));
    set_tcp_option(socket, TCP_KEEPCNT, probes);
#endif
}

}  // namespace kv

#endif
