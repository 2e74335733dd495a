// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Plain blocking sockets over the loopback device: what the programs use that must not lean on
// anything that they measure.
#ifndef RSM_BENCH_SOCKET_HPP
#define RSM_BENCH_SOCKET_HPP

#include "process.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>

namespace bench {

/// A descriptor with an owner.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    int get() const { return number_; }

private:
    int number_ = -1;
};

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline const sockaddr* generic(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

inline void send_at_once(int socket) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Listens on a free port of the loopback device from its construction on.
class Listener {
public:
    Listener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (socket_.get() < 0 || bind(socket_.get(), generic(address), size) != 0 ||
            listen(socket_.get(), 1024) != 0 ||
            getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw system_failure("listen");
        }
        port_ = ntohs(address.sin_port);
    }
    std::uint16_t port() const { return port_; }
    int get() const { return socket_.get(); }
    Descriptor accept() const {
        Descriptor accepted(::accept(socket_.get(), nullptr, nullptr));
        if (accepted.get() < 0) throw system_failure("accept");
        send_at_once(accepted.get());
        return accepted;
    }

private:
    Descriptor socket_;
    std::uint16_t port_ = 0;
};

inline Descriptor connect_to(std::uint16_t port) {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(port);
    if (connect(socket.get(), generic(address), sizeof address) != 0) {
        throw system_failure("connect to port " + std::to_string(port));
    }
    send_at_once(socket.get());
    return socket;
}

inline void write_all(int socket, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) throw system_failure("send");
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

/// What has come, at least one byte; 0 at the end.
inline std::size_t read_some(int socket, std::span<std::byte> space) {
    for (;;) {
        const ssize_t count = recv(socket, space.data(), space.size(), 0);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno != EINTR) throw system_failure("recv");
    }
}

}  // namespace bench

#endif
