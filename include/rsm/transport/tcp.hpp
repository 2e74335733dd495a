// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TcpTransport: the nodes of a cluster over TCP, on Boost.Asio. The wire format is in docs/wire.md.
#ifndef RSM_TRANSPORT_TCP_HPP
#define RSM_TRANSPORT_TCP_HPP

#include <raft/base/types.hpp>
#include <rsm/plan.hpp>
#include <rsm/transport/tcp/places.hpp>
#include <rsm/transport/tcp/running.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// Carries messages over TCP: a plan (rsm/plan.hpp).
///
/// Each node dials each peer and sends over that connection only; what it receives comes over
/// connections that the peers have dialled. All messages that one turn of the executor sends to a
/// peer leave in one write; while a write is under way, the following ones gather. Large payloads
/// are written from where they are and received into one buffer that entries then share. Snapshot
/// chunks yield: any other message waits for at most one of them.
///
/// Messages are dropped, never waited for: while there is no connection to the peer, and when its
/// queue is full. Bytes that break the protocol close their connection and nothing else. A
/// connection on which nothing is acknowledged is made anew after TcpOptions::user_timeout, and at
/// once when the peer connects to this node.
///
/// Why a peer is not connected, and what was turned away at the port, is told by peers() and
/// counters() of the transport at work, TcpOptions::on_peer_change and TcpOptions::on_refusal, on
/// both sides: whoever ends a connection says why before.
///
/// Connections are not encrypted, and without TcpOptions::secret not authenticated either: whoever
/// reaches the port and knows the cluster's name and id can pose as a peer. With a secret, whoever
/// can change what is on its way still can. Use it inside a trusted network, or TlsTransport
/// (tls.hpp) in another one.
class TcpTransport {
public:
    explicit TcpTransport(TcpOptions options) : options_(std::move(options)) {}
    /// The short form: default options. `peers` gives "host:port" of every node, this one too.
    TcpTransport(raft::NodeId self, const std::map<std::uint64_t, std::string>& peers) {
        options_.self = self;
        for (const auto& [peer, address] : peers) options_.peers[{peer}] = address;
    }

    /// Opens the listening socket; see RunningTcpTransport.
    RunningTcpTransport open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), options_};
    }

    const TcpOptions& options() const { return options_; }
    std::size_t max_message_bytes() const { return options_.max_frame_bytes; }
    raft::NodeId self() const { return options_.self; }
    /// The cluster's name.
    const std::string& cluster() const { return options_.cluster; }
    /// This node and every peer that the options name: the cluster at its first start.
    std::vector<raft::NodeId> members() const { return detail::members_of(options_); }
    /// "host:port" of a member, as the others dial it; empty where the options do not say.
    std::string contact(raft::NodeId node) const { return detail::contact_of(options_, node); }

private:
    TcpOptions options_;
};

static_assert(TransportPlan<TcpTransport>);

}  // namespace rsm

#endif
