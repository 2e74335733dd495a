// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a transport knows of the connections between this node and one peer.
#ifndef RSM_TRANSPORT_PEER_STATUS_HPP
#define RSM_TRANSPORT_PEER_STATUS_HPP

#include <raft/base/types.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace rsm::inline v0 {

/// A copy of the state at one moment.
struct PeerStatus {
    raft::NodeId node;
    std::string address;     ///< where it is dialled, "host:port"
    bool connected = false;  ///< messages to it have a connection to leave by
    bool incoming = false;   ///< it has a connection to this node
    raft::Duration since{};  ///< for how long `connected` has been what it is
    /// Why there is no connection, or why the last one ended, in one sentence without line breaks;
    /// empty while `connected`, and before the first attempt has failed.
    std::string reason;
    std::size_t queued_bytes = 0;  ///< that wait to be written to it
    // Since this node has known the peer: messages of the algorithm, and bytes with their frames.
    std::uint64_t messages_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t bytes_received = 0;
};

}  // namespace rsm

#endif
