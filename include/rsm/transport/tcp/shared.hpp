// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the connections of one transport share, and what it tells its owner of them.
#ifndef RSM_TRANSPORT_TCP_SHARED_HPP
#define RSM_TRANSPORT_TCP_SHARED_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/transport/peer_status.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/cluster_id.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace rsm::inline v0::detail {

/// What is known of a peer.
struct TcpPeer {
    TcpAddress address;
    std::string advertisement;  ///< as the node at `address` has told it
    /// No member that is known of, but of the same cluster, and it has introduced itself: the
    /// membership that has it may not have come here yet, or is gone already.
    bool guest = false;
    bool connected = false;
    std::chrono::steady_clock::time_point since{};  ///< `connected` is what it is
    std::string last_failure;                       ///< empty while connected
    std::uint64_t messages_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t bytes_received = 0;
};

/// Owned together by the parts of one transport and used on its executor only.
template <class Net>
struct TcpShared {
    using Ptr = std::shared_ptr<TcpShared>;

    Net net;
    TcpOptions options;
    typename Net::Executor executor;
    /// Drawn for each transport: tells peers a node that was started anew from its former self.
    std::uint64_t process = 0;
    ClusterId cluster_id;
    raft::Instance storage;  ///< the node's instance
    std::string contact;     ///< where this node can be dialled; empty: not known
    std::map<raft::NodeId, TcpPeer> peers;
    TcpCounters counters;
    bool stopped = false;
    /// Shared so that a receiver that stops the transport does not destroy itself while it runs.
    std::shared_ptr<const std::function<void(raft::Message)>> receive;
    /// Called after the messages of one read, if set; then the user calls flush(), too.
    std::shared_ptr<const std::function<void()>> received;
    /// Told of a guest that is gone. Not called once the transport has stopped.
    std::function<void(raft::NodeId)> let_go;

    TcpPeer* peer(raft::NodeId node) {
        const auto found = peers.find(node);
        return found == peers.end() ? nullptr : &found->second;
    }

    /// Whether it is a guest to whom there has been no connection for long.
    bool is_guest_gone(raft::NodeId node) {
        const TcpPeer* const known = peer(node);
        return known != nullptr && known->guest && !known->connected &&
               net.now() - known->since >= guest_patience * options.user_timeout;
    }

    PeerStatus status(raft::NodeId node, const TcpPeer& peer) const {
        PeerStatus status;
        status.node = node;
        status.address = peer.address.text();
        status.connected = peer.connected;
        status.since = std::chrono::duration_cast<raft::Duration>(net.now() - peer.since);
        status.reason = peer.last_failure;
        status.messages_sent = peer.messages_sent;
        status.bytes_sent = peer.bytes_sent;
        status.messages_received = peer.messages_received;
        status.bytes_received = peer.bytes_received;
        return status;
    }

    /// Notes how things stand with a peer, and tells of it if that is news.
    static void report(const Ptr& self, raft::NodeId node, bool connected, std::string why) {
        TcpPeer* const peer = self->peer(node);
        if (peer == nullptr) return;
        if (peer->connected == connected && peer->last_failure == why) return;
        if (peer->connected != connected) peer->since = self->net.now();
        peer->connected = connected;
        peer->last_failure = std::move(why);
        if (!self->options.on_peer_change) return;
        tell(self,
             [self, status = self->status(node, *peer)] { self->options.on_peer_change(status); });
    }

    /// Counts a refusal, and tells of it unless one for the same reason was told just before. What
    /// goes on is told less and less often.
    static void refuse(const Ptr& self, TcpRefusal reason, const std::string& from,
                       std::string detail = {}) {
        ++self->counters.refusals[reason];
        if (!self->options.on_refusal) return;
        Told& told = self->told[static_cast<std::size_t>(reason)];
        const auto now = self->net.now();
        if (told.last && now - *told.last < told.pause) {
            ++told.suppressed;
            return;
        }
        const bool goes_on = told.last && now - *told.last < 2 * told.pause;
        told.pause = goes_on ? std::min(2 * told.pause, Told::longest) : Told::shortest;
        told.last = now;
        tell(self, [self, refused = TcpRefused{reason, from, std::move(detail),
                                               std::exchange(told.suppressed, 0)}] {
            self->options.on_refusal(refused);
        });
    }

private:
    static constexpr int guest_patience = 4;

    struct Told {
        static constexpr std::chrono::seconds shortest{1};
        static constexpr std::chrono::seconds longest{64};
        std::chrono::seconds pause = shortest;
        std::optional<std::chrono::steady_clock::time_point> last;
        std::uint64_t suppressed = 0;
    };

    /// The owner may do with the transport what it likes in the call, so it is a job of its own.
    template <class Call>
    static void tell(const Ptr& self, Call call) {
        boost::asio::post(self->executor, [self, call = std::move(call)] {
            if (!self->stopped) call();
        });
    }

    std::array<Told, tcp_refusals> told;  // by reason
};

}  // namespace rsm::detail

#endif
