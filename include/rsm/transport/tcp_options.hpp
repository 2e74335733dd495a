// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a TcpTransport is told and what it counts.
#ifndef RSM_TRANSPORT_TCP_OPTIONS_HPP
#define RSM_TRANSPORT_TCP_OPTIONS_HPP

#include <raft/types.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace rsm {

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

struct TcpOptions {
    /// This node. Not 0.
    raft::NodeId self;
    /// "host:port" of every node this one may talk to; its own entry says where it listens. Nodes
    /// that are not listed are refused. TcpTransport::set_peer() adds to it later.
    std::map<raft::NodeId, std::string> peers;
    /// "host:port" to listen on instead of the own entry of `peers`. Port 0 lets the system choose.
    std::string listen;
    /// Nodes of different clusters refuse each other. At most max_cluster_bytes.
    std::string cluster = "default";
    /// Told to every peer, e.g. the address where this node serves clients. At most
    /// max_advertise_bytes.
    std::string advertise;

    /// Per peer, for the messages that wait or are being written, encoded. A message that does not
    /// fit is dropped, except that an empty queue takes any one message. Snapshot chunks use at
    /// most half of it. 1 byte or more.
    std::size_t queue_bytes = std::size_t{64} << 20;
    /// The largest message, encoded. A larger one is dropped when sent; a peer that sends one is
    /// disconnected. 1 KiB .. 1 GiB, equal on all nodes.
    std::size_t max_frame_bytes = std::size_t{64} << 20;

    /// The wait before the first repeated connection attempt. It doubles with every failure, up to
    /// reconnect_max, and each wait is shortened by up to a half at random, so that nodes do not
    /// move in step. A peer that connects to this node ends the wait.
    std::chrono::milliseconds reconnect_min{20};
    std::chrono::milliseconds reconnect_max{2000};
    /// For the name lookup and the connection together.
    std::chrono::milliseconds connect_timeout{2000};
    /// For the exchange of greetings, on either side.
    std::chrono::milliseconds handshake_timeout{2000};
    /// A connection whose peer takes no byte for this long, although some wait, is closed (after
    /// at most twice this time): it leads to a host that has vanished.
    std::chrono::milliseconds stall_timeout{10000};
    /// Accepted connections that have not introduced themselves yet. One more closes the oldest,
    /// so that strangers who connect and say nothing cannot keep peers out. 1 or more.
    std::size_t max_strangers = 32;

    static constexpr std::size_t max_cluster_bytes = 255;
    static constexpr std::size_t max_advertise_bytes = 1024;

    /// A sentence about the first option that is out of its range, or nothing. Addresses are
    /// judged by TcpTransport::attach().
    std::string problem() const {
        using std::chrono::milliseconds;
        if (!self) return "self must not be 0";
        if (peers.contains(raft::NodeId{0})) return "a peer must not have the id 0";
        if (cluster.size() > max_cluster_bytes) return "cluster is longer than 255 bytes";
        if (advertise.size() > max_advertise_bytes) return "advertise is longer than 1 KiB";
        if (queue_bytes == 0) return "queue_bytes must be at least 1";
        if (max_frame_bytes < 1024) return "max_frame_bytes must be at least 1 KiB";
        if (max_frame_bytes > (std::size_t{1} << 30)) return "max_frame_bytes exceeds 1 GiB";
        const milliseconds least = std::min({reconnect_min, reconnect_max, connect_timeout,
                                             handshake_timeout, stall_timeout});
        if (least < milliseconds(1)) return "every time must be at least 1 ms";
        if (reconnect_min > reconnect_max) return "reconnect_min exceeds reconnect_max";
        if (max_strangers == 0) return "max_strangers must be at least 1";
        return {};
    }
};

/// What a TcpTransport has done since it was made. Bytes include the framing.
struct TcpCounters {
    std::uint64_t messages_sent = 0;  ///< given to the system; it may still lose them
    std::uint64_t messages_received = 0;
    std::uint64_t messages_dropped = 0;  ///< no connection, a full queue, too large, or cut off
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t writes = 0;              ///< batches; messages_sent / writes is the gathering
    std::uint64_t connects = 0;            ///< handshakes completed by this side
    std::uint64_t accepts = 0;             ///< handshakes completed by the other side
    std::uint64_t connect_failures = 0;    ///< attempts that ended before the handshake did
    std::uint64_t handshakes_refused = 0;  ///< peers and strangers that this node turned away
    std::uint64_t bad_frames = 0;          ///< each closed its connection
};

}  // namespace rsm

#endif
