// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the system is asked about a TCP socket, and told of how to treat it, beyond what Asio names.
// Where a system has no such thing, the transport does without.
#ifndef RSM_TRANSPORT_TCP_SOCKET_HPP
#define RSM_TRANSPORT_TCP_SOCKET_HPP

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

namespace rsm::inline v0::detail {

/// Failures to set it do no harm.
inline void set_tcp_option(boost::asio::ip::tcp::socket& socket, int name, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, name, &value, sizeof value);
}

/// What is lost is repeated soon. For connections with little under way.
inline void repeat_soon(boost::asio::ip::tcp::socket& socket) {
#ifdef __linux__
    // TCP_RTO_MIN_US, which newer systems have and older headers do not name: 50 ms where it would
    // be 200, and still more than another host takes to acknowledge what it answers at once.
    constexpr int rto_min_us = 45;
    set_tcp_option(socket, rto_min_us, 50'000);
#endif
#ifdef TCP_THIN_LINEAR_TIMEOUTS
    // Lost packets are repeated at an even pace at first, not after twice the time each time.
    set_tcp_option(socket, TCP_THIN_LINEAR_TIMEOUTS, 1);
#endif
}

/// Small messages leave at once; the system does not take up so much that what is written next
/// would wait behind it for long; and a host that has vanished is noticed within about
/// `user_timeout` where something is sent, and within about two of them where nothing is.
inline void tune(boost::asio::ip::tcp::socket& socket, std::chrono::milliseconds user_timeout) {
    boost::system::error_code ignored;
    socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    socket.set_option(boost::asio::socket_base::keep_alive(true), ignored);
#ifdef TCP_NOTSENT_LOWAT
    set_tcp_option(socket, TCP_NOTSENT_LOWAT, 256 << 10);
#endif
#ifdef TCP_USER_TIMEOUT
    set_tcp_option(socket, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
#endif
#if defined TCP_KEEPIDLE && defined TCP_KEEPINTVL
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(user_timeout).count();
    const int pace = static_cast<int>(std::clamp<decltype(seconds)>(seconds, 1, 30'000));
    set_tcp_option(socket, TCP_KEEPIDLE, pace);
    set_tcp_option(socket, TCP_KEEPINTVL, pace);
#endif
    repeat_soon(socket);
}

/// How many bytes have been given to the system that the other host has not acknowledged.
inline std::optional<std::size_t> unacknowledged(boost::asio::ip::tcp::socket& socket) {
#if defined __linux__ && defined TIOCOUTQ
    int bytes = 0;
    if (::ioctl(socket.native_handle(), TIOCOUTQ, &bytes) == 0 && bytes >= 0) {
        return static_cast<std::size_t>(bytes);
    }
#else
    static_cast<void>(socket);
#endif
    return std::nullopt;
}

/// Whether the system has had to repeat something, or to ask whether the other host is there, and
/// has had no answer since.
inline bool awaits_repetition(boost::asio::ip::tcp::socket& socket) {
#if defined __linux__ && defined TCP_INFO
    tcp_info info{};
    socklen_t size = sizeof info;
    const int fd = socket.native_handle();
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
    return info.tcpi_retransmits != 0 || info.tcpi_probes != 0;
#else
    static_cast<void>(socket);
    return false;
#endif
}

}  // namespace rsm::detail

#endif
