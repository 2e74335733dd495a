// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Tells systemd, where that has started the process, how far it is (sd_notify(3)).
#ifndef RSM_EXAMPLES_KV_SERVICE_MANAGER_HPP
#define RSM_EXAMPLES_KV_SERVICE_MANAGER_HPP

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace kv {

/// Sends "READY=1", "STOPPING=1" or the like. Without a service manager, or where it does not
/// listen, nothing happens: it is a courtesy. Does not block for long: the manager reads at once.
inline void tell_service_manager(std::string_view what) {
    const char* const named = std::getenv("NOTIFY_SOCKET");
    if (named == nullptr) return;
    const std::string_view path = named;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // A path, or an abstract name, which is written with an @ for the zero that it begins with.
    if (path.size() < 2 || path.size() >= sizeof(address.sun_path)) return;
    if (path.front() != '/' && path.front() != '@') return;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path.front() == '@') address.sun_path[0] = '\0';
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    // The address of one family is passed as that of any.
    const auto* const any = static_cast<const sockaddr*>(static_cast<const void*>(&address));
    (void)::sendto(socket, what.data(), what.size(), MSG_NOSIGNAL, any, size);
    ::close(socket);
}

}  // namespace kv

#endif
