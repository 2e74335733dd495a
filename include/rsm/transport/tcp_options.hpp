// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a TcpTransport is told and what it counts.
#ifndef RSM_TRANSPORT_TCP_OPTIONS_HPP
#define RSM_TRANSPORT_TCP_OPTIONS_HPP

#include <raft/base/types.hpp>
#include <rsm/transport/peer_status.hpp>
#include <rsm/transport/tcp_address.hpp>
#include <rsm/transport/tcp_refusal.hpp>
#include <rsm/transport/wire/versions.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace rsm::inline v0 {

/// The sizes of a TcpTransport's own buffers, in bytes, each from 1 byte to 1 GiB. The defaults
/// suit every network; small ones let a test come to the end of every buffer.
struct TcpBuffers {
    /// The first receive buffer of a connection.
    std::size_t first_receive_bytes = std::size_t{64} << 10;
    /// The largest one that mere traffic brings about; a frame that is larger gets a larger one. At
    /// least first_receive_bytes.
    std::size_t largest_receive_bytes = std::size_t{1} << 20;
    /// Of a receive buffer with less room than this no more is read into, and a new one is begun.
    /// At most first_receive_bytes.
    std::size_t smallest_read_bytes = 4096;
    /// What was copied to be written together keeps its memory for the next time, unless it was
    /// more than this.
    std::size_t kept_batch_bytes = std::size_t{1} << 20;
    /// How much of what a dismissed connection still sends is read, so that it can be told why.
    std::size_t drained_bytes = std::size_t{4} << 20;

    /// A sentence about the first size that is out of its range, or nothing.
    std::string problem() const {
        const auto [least, most] =
            std::minmax({first_receive_bytes, largest_receive_bytes, smallest_read_bytes,
                         kept_batch_bytes, drained_bytes});
        if (least < 1) return "every size of buffers must be at least 1";
        if (most > (std::size_t{1} << 30)) return "every size of buffers must be at most 1 GiB";
        if (first_receive_bytes > largest_receive_bytes)
            return "buffers.first_receive_bytes exceeds buffers.largest_receive_bytes";
        if (smallest_read_bytes > first_receive_bytes)
            return "buffers.smallest_read_bytes exceeds buffers.first_receive_bytes";
        return {};
    }
};

struct TcpOptions {
    /// This node. Not 0.
    raft::NodeId self;
    /// "host:port" of every node this one may talk to; its own entry says where it listens. No two
    /// have the same address, and no peer has port 0. Nodes that are not listed are refused.
    /// RunningTcpTransport::set_peer() adds to them later.
    std::map<raft::NodeId, std::string> peers;
    /// "host:port" to listen on instead of the own entry of `peers`. Port 0 lets the system choose.
    /// Of a name, all addresses are listened on that this host has, at one port.
    std::string listen;
    /// Nodes of different clusters refuse each other. At most max_cluster_bytes.
    std::string cluster = "default";
    /// Nodes show each other that they know it, without telling it, and refuse whoever does not.
    /// The same on all nodes; empty: none. It proves who connects, and protects nothing of what is
    /// sent then: that takes TLS. min_secret_bytes to max_secret_bytes that nobody can guess.
    std::string secret;
    /// Told to every peer that dials this node, e.g. the address where it serves clients. At most
    /// max_advertise_bytes.
    std::string advertise;

    /// Called when a peer becomes connected or ceases to be, and when the reason why it is not
    /// connected has changed: once for each change, not for each attempt. Queued bytes are left 0.
    /// This and on_refusal are called on the transport's executor, never from inside one of its
    /// members, and not after stop(), which they may call, as they may destroy the transport.
    std::function<void(const PeerStatus&)> on_peer_change;
    /// Called for what is turned away at the peer port, at most once a second for each reason, and
    /// less and less often, down to once in about a minute, for what goes on; what is left out in
    /// between is counted in the next call, and in TcpCounters.
    std::function<void(const TcpRefused&)> on_refusal;

    /// Per peer, for the messages that wait or are being written, encoded. A message that does not
    /// fit is dropped, except that an empty queue takes any one message. Snapshot chunks use at
    /// most half of it, so that twice Raft's window of chunks, and its windows of chunks and of
    /// entries together, should fit. 1 byte or more.
    std::size_t queue_bytes = std::size_t{64} << 20;
    /// The largest message, encoded. A larger one is dropped when sent; a peer that sends one is
    /// disconnected. 1 KiB .. 1 GiB, equal on all nodes.
    std::size_t max_frame_bytes = std::size_t{64} << 20;

    /// The wait before the first repeated connection attempt. It doubles with every failure, up to
    /// reconnect_max, and each wait is shortened by up to a half at random, so that nodes do not
    /// move in step. A peer that connects to this node ends the wait, and a connection that has
    /// lasted for user_timeout begins anew with the shortest. The longest is about an election
    /// timeout: a peer that can be reached again is missed for no more than that.
    std::chrono::milliseconds reconnect_min{20};
    std::chrono::milliseconds reconnect_max{500};
    /// For the lookup of a peer's name.
    std::chrono::milliseconds lookup_timeout{10'000};
    /// For the connection to each of a peer's addresses, tried in turn. More than a round trip, and
    /// less than the second after which TCP repeats a lost request: a new attempt asks sooner.
    std::chrono::milliseconds connect_timeout{300};
    /// For the exchange of greetings, on either side.
    std::chrono::milliseconds handshake_timeout{2000};
    /// A connection on which something was sent and nothing was acknowledged by the other host for
    /// this long is closed and made anew (TCP's user timeout, RFC 5482); likewise one whose peer
    /// has taken nothing in for so long although bytes wait. Idle connections are asked at about
    /// this pace, in whole seconds, whether the other host is still there. About two election
    /// timeouts: without it, TCP doubles the time between its repetitions, and after an
    /// interruption goes on being silent for as long as that has lasted; much less, and a few lost
    /// packets in a row (TCP repeats them after 200 ms at the earliest) cost a connection.
    std::chrono::milliseconds user_timeout{1000};
    /// Accepted connections that have not introduced themselves yet. One more closes the oldest,
    /// so that strangers who connect and say nothing cannot keep peers out. 1 or more.
    std::size_t max_strangers = 32;
    TcpBuffers buffers;
    /// Of the protocol, those that this node speaks. Fewer than the library does only for tests.
    WireVersions versions = all_wire_versions;

    static constexpr std::size_t max_cluster_bytes = 255;
    static constexpr std::size_t max_advertise_bytes = 1024;
    static constexpr std::size_t min_secret_bytes = 16;
    static constexpr std::size_t max_secret_bytes = 1024;

    /// A sentence about the first option that is out of its range, or nothing. Addresses are
    /// judged by TcpTransport::open().
    std::string problem() const {
        using std::chrono::milliseconds;
        if (!self) return "self must not be 0";
        if (peers.contains(raft::NodeId{0})) return "a peer must not have the id 0";
        if (cluster.size() > max_cluster_bytes) return "cluster is longer than 255 bytes";
        if (!secret.empty() && secret.size() < min_secret_bytes)
            return "secret is shorter than 16 bytes";
        if (secret.size() > max_secret_bytes) return "secret is longer than 1 KiB";
        if (advertise.size() > max_advertise_bytes) return "advertise is longer than 1 KiB";
        if (queue_bytes == 0) return "queue_bytes must be at least 1";
        if (max_frame_bytes < 1024) return "max_frame_bytes must be at least 1 KiB";
        if (max_frame_bytes > (std::size_t{1} << 30)) return "max_frame_bytes exceeds 1 GiB";
        const auto [least, most] = std::minmax({reconnect_min, reconnect_max, lookup_timeout,
                                                connect_timeout, handshake_timeout, user_timeout});
        if (least < milliseconds(1)) return "every time must be at least 1 ms";
        if (most > std::chrono::hours(24)) return "every time must be at most a day";
        if (reconnect_min > reconnect_max) return "reconnect_min exceeds reconnect_max";
        if (versions.lowest < all_wire_versions.lowest || versions.lowest > versions.highest ||
            versions.highest > all_wire_versions.highest)
            return "versions must be among those that the library speaks";
        if (max_strangers == 0) return "max_strangers must be at least 1";
        return buffers.problem();
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
    TcpRefusalCounts refusals;             ///< both of them, by reason
};

}  // namespace rsm

#endif
