// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// "host:port", read and written.
#ifndef RSM_TRANSPORT_TCP_ADDRESS_HPP
#define RSM_TRANSPORT_TCP_ADDRESS_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rsm::inline v0 {

/// Where a node listens. `host` is a name or an address; IPv6 addresses stand without brackets.
struct TcpAddress {
    std::string host;
    std::uint16_t port = 0;
    friend bool operator==(const TcpAddress&, const TcpAddress&) = default;

    /// Reads "host:port", "1.2.3.4:port" or "[::1]:port"; nothing if it is none of them.
    static std::optional<TcpAddress> parse(std::string_view text) {
        const std::size_t colon = text.rfind(':');
        if (colon == std::string_view::npos || colon == 0) return std::nullopt;
        std::string_view host = text.substr(0, colon);
        const std::string_view digits = text.substr(colon + 1);
        if (host.front() == '[' && host.back() == ']') {
            host = host.substr(1, host.size() - 2);
        } else if (host.find_first_of(":[]") != std::string_view::npos) {
            return std::nullopt;  // which colon ends the host would be a guess
        }
        if (host.empty() || digits.empty() || digits.size() > 5) return std::nullopt;
        std::uint32_t port = 0;
        for (const char digit : digits) {
            if (digit < '0' || digit > '9') return std::nullopt;
            port = port * 10 + static_cast<std::uint32_t>(digit - '0');
        }
        if (port > 65535) return std::nullopt;
        return TcpAddress{std::string(host), static_cast<std::uint16_t>(port)};
    }

    std::string text() const {
        const bool brackets = host.find(':') != std::string::npos;
        return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
    }
};

}  // namespace rsm

#endif
