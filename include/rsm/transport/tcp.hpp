// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TcpTransport: the nodes of a cluster over TCP, on Boost.Asio. The wire format is in docs/wire.md.
#ifndef RSM_TRANSPORT_TCP_HPP
#define RSM_TRANSPORT_TCP_HPP

#include <raft/message.hpp>
#include <raft/types.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/transport/peer_status.hpp>
#include <rsm/transport/tcp/listener.hpp>
#include <rsm/transport/tcp/places.hpp>
#include <rsm/transport/tcp/sender.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rsm {

/// Carries messages over TCP. Models raft::Transport.
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
/// Why a peer is not connected, and what was turned away at the port, is told by peers(),
/// counters(), TcpOptions::on_peer_change and TcpOptions::on_refusal, on both sides: whoever ends a
/// connection says why before.
///
/// Connections are neither encrypted nor authenticated: whoever reaches the port and knows the
/// cluster's name can pose as a peer. Use it inside a trusted network.
///
/// Thread safety: everything, destruction included, happens on the attached executor (a strand, or
/// an executor that one thread runs), or while nobody runs it. Destruction closes all connections
/// and waits for nothing. After stop() or destruction nothing is called any more, and both are
/// allowed from within everything that the transport calls. Destruction must come before that of
/// the execution context, as for every object of Asio.
class TcpTransport {
public:
    explicit TcpTransport(TcpOptions options) : node_(std::make_shared<Node>()) {
        node_->shared->options = std::move(options);
    }
    /// The short form: default options. `peers` gives "host:port" of every node, this one too.
    TcpTransport(raft::NodeId self, const std::map<std::uint64_t, std::string>& peers)
        : TcpTransport(options_of(self, peers)) {}

    TcpTransport(TcpTransport&&) = default;
    TcpTransport& operator=(TcpTransport&& other) noexcept {
        if (this != &other) {
            stop();
            node_ = std::move(other.node_);
        }
        return *this;
    }
    ~TcpTransport() { stop(); }

    /// Names the executor and opens the listening socket, so that local_port() is known. Called
    /// once, before start(). It may block on the lookup of the own host's name.
    ///
    /// Throws std::invalid_argument for options out of range, an address that is none, two nodes at
    /// one address, a peer without a port or a node without an address, and
    /// boost::system::system_error if it cannot listen; then nothing has happened.
    void attach(boost::asio::any_io_executor executor) {
        node_->attach(std::move(executor), node_);
    }

    std::size_t max_message_bytes() const { return node_->shared->options.max_frame_bytes; }
    raft::NodeId self() const { return node_->shared->options.self; }
    /// The cluster's name.
    const std::string& cluster() const { return node_->shared->options.cluster; }
    /// This node and every peer that the options name: the cluster at its first start.
    std::vector<raft::NodeId> members() const {
        std::vector<raft::NodeId> nodes{self()};
        for (const auto& [peer, address] : node_->shared->options.peers) {
            if (peer != self()) nodes.push_back(peer);
        }
        return nodes;
    }

    /// Begins to accept, to dial every peer and to deliver. @pre attach() was called
    void start(std::function<void(raft::Message)> receive) {
        node_->start(std::move(receive), nullptr);
    }
    /// The same as a raft::GroupingTransport: `received` is called after the messages of each read,
    /// and the caller calls flush() after it has sent. @pre attach() was called
    void start(std::function<void(raft::Message)> receive, std::function<void()> received) {
        node_->start(std::move(receive), std::move(received));
    }

    /// Sends or drops `message`; never blocks and never calls back from inside.
    /// @pre message.from is this node
    void send(raft::Message message) { Node::send(node_, std::move(message)); }

    /// Writes what has been sent as far as the system takes it; the rest follows by itself.
    void flush() {
        if (node_ != nullptr) node_->flush();
    }

    /// Closes everything. What has not been written is dropped. Final.
    void stop() {
        if (node_ != nullptr) node_->stop();
    }

    /// Adds a peer or changes its address (the connection is then made anew). Throws
    /// std::invalid_argument, and changes nothing, if `port` or `host` cannot be one, if another
    /// peer has this address, or if `peer` is 0 or this node.
    void set_peer(raft::NodeId peer, std::string host, std::uint16_t port) {
        node_->set_peer(peer, TcpAddress{std::move(host), port});
    }
    /// Closes the connections from and to a peer and refuses it from now on.
    void remove_peer(raft::NodeId peer) { node_->remove_peer(peer); }

    /// The port listened on, in host byte order; 0 before attach().
    std::uint16_t local_port() const {
        return node_->listener == nullptr ? std::uint16_t{0} : node_->listener->port();
    }
    /// Whether messages to `peer` have a connection to leave by.
    bool connected(raft::NodeId peer) const {
        const auto found = node_->senders.find(peer);
        return found != node_->senders.end() && found->second->connected();
    }
    /// What the peer advertised when this node last dialled it; empty before. What others say who
    /// connect to this node, be it in the peer's name, does not count.
    /// For this node: what it advertises itself.
    std::string peer_advertisement(raft::NodeId peer) const {
        if (peer == self()) return node_->shared->options.advertise;
        const detail::TcpPeer* known = node_->shared->peer(peer);
        return known == nullptr ? std::string() : known->advertisement;
    }
    /// A sentence about why the connection to `peer` failed last; empty while there is one and
    /// before the first failure.
    std::string last_failure(raft::NodeId peer) const {
        const detail::TcpPeer* known = node_->shared->peer(peer);
        return known == nullptr ? std::string() : known->last_failure;
    }
    /// How things stand with each peer, in the order of their ids.
    std::vector<PeerStatus> peers() const { return node_->status(); }
    const TcpCounters& counters() const { return node_->shared->counters; }

private:
    /// What handlers may still hold when the transport itself is gone.
    struct Node {
        std::shared_ptr<detail::TcpShared> shared = std::make_shared<detail::TcpShared>();
        detail::TcpListener::Self listener;
        std::map<raft::NodeId, detail::TcpSender::Self> senders;
        bool flush_due = false;

        void attach(boost::asio::any_io_executor executor, const std::weak_ptr<Node>& self);
        void start(std::function<void(raft::Message)> receive, std::function<void()> received);
        static void send(const std::shared_ptr<Node>& self, raft::Message message);
        void flush();
        void stop();
        void dial(raft::NodeId peer);
        void greeted(raft::NodeId peer, std::uint64_t instance);
        std::vector<PeerStatus> status() const;
        void set_peer(raft::NodeId peer, TcpAddress address);
        void remove_peer(raft::NodeId peer);
    };

    static TcpOptions options_of(raft::NodeId self,
                                 const std::map<std::uint64_t, std::string>& peers) {
        TcpOptions options;
        options.self = self;
        for (const auto& [peer, address] : peers) options.peers[{peer}] = address;
        return options;
    }

    std::shared_ptr<Node> node_;
};

inline void TcpTransport::Node::attach(boost::asio::any_io_executor executor,
                                       const std::weak_ptr<Node>& self) {
    const TcpOptions& options = shared->options;
    if (const std::string problem = options.problem(); !problem.empty()) {
        throw std::invalid_argument("TcpTransport: " + problem);
    }
    detail::TcpPlaces places = detail::places_of(options);
    // What set_peer() has said before is the newer word.
    std::map<raft::NodeId, detail::TcpPeer> peers = shared->peers;
    for (auto& [peer, address] : places.peers) peers[peer].address = std::move(address);
    for (const auto& [peer, known] : shared->peers) peers[peer] = known;
    shared->executor = std::move(executor);
    shared->instance = detail::random_number();
    auto opened = std::make_shared<detail::TcpListener>(
        shared, [self](raft::NodeId peer, std::uint64_t instance) {
            if (const auto node = self.lock()) node->greeted(peer, instance);
        });
    opened->open(places.own);
    listener = std::move(opened);
    shared->peers = std::move(peers);
}

inline void TcpTransport::Node::start(std::function<void(raft::Message)> receive,
                                      std::function<void()> received) {
    using Receive = const std::function<void(raft::Message)>;
    shared->receive = std::make_shared<Receive>(std::move(receive));
    if (received) {
        shared->received = std::make_shared<const std::function<void()>>(std::move(received));
    }
    detail::TcpListener::start(listener);
    for (const auto& [peer, known] : shared->peers) dial(peer);
}

inline void TcpTransport::Node::dial(raft::NodeId peer) {
    if (shared->receive == nullptr) return;
    detail::TcpSender::Self& sender = senders[peer];
    if (sender == nullptr) {
        sender = std::make_shared<detail::TcpSender>(shared, peer);
        shared->peers[peer].since = std::chrono::steady_clock::now();
    }
    detail::TcpSender::dial(sender);
}

inline void TcpTransport::Node::greeted(raft::NodeId peer, std::uint64_t instance) {
    const auto found = senders.find(peer);
    if (found != senders.end()) detail::TcpSender::greeted(found->second, instance);
}

inline std::vector<PeerStatus> TcpTransport::Node::status() const {
    std::vector<PeerStatus> all;
    for (const auto& [peer, known] : shared->peers) {
        PeerStatus status = shared->status(peer, known);
        status.incoming = listener != nullptr && listener->has(peer);
        const auto sender = senders.find(peer);
        if (sender != senders.end()) status.queued_bytes = sender->second->queued_bytes();
        all.push_back(std::move(status));
    }
    return all;
}

inline void TcpTransport::Node::send(const std::shared_ptr<Node>& self, raft::Message message) {
    const auto found = self->senders.find(message.to);
    if (found == self->senders.end() || !found->second->push(std::move(message))) {
        ++self->shared->counters.messages_dropped;
        return;
    }
    if (std::exchange(self->flush_due, true) || self->shared->received != nullptr) return;
    // Posted, so that everything that this turn still sends joins the same write. On an executor
    // that has nothing else to do the turn ends right after.
    boost::asio::post(self->shared->executor, [self] { self->flush(); });
}

inline void TcpTransport::Node::flush() {
    if (!std::exchange(flush_due, false)) return;
    for (const auto& [peer, sender] : senders) detail::TcpSender::flush(sender);
}

inline void TcpTransport::Node::stop() {
    shared->stopped = true;
    shared->receive = nullptr;
    shared->received = nullptr;
    if (listener != nullptr) listener->stop();
    for (const auto& [peer, sender] : std::exchange(senders, {})) sender->stop();
    for (auto& [peer, known] : shared->peers) known.connected = false;
}

inline void TcpTransport::Node::set_peer(raft::NodeId peer, TcpAddress address) {
    if (!peer || peer == shared->options.self || address.host.empty() || address.port == 0) {
        throw std::invalid_argument("TcpTransport: no peer's id and address: " +
                                    std::to_string(peer.value) + ", " + address.text());
    }
    for (const auto& [other, known] : shared->peers) {
        if (other == peer || !detail::same_place(known.address, address)) continue;
        throw std::invalid_argument("TcpTransport: nodes " + std::to_string(other.value) + " and " +
                                    std::to_string(peer.value) + " have the same address, " +
                                    address.text());
    }
    detail::TcpPeer& known = shared->peers[peer];
    const bool moved = known.address != address;
    known.address = std::move(address);
    const auto sender = senders.find(peer);
    if (sender == senders.end()) return dial(peer);
    if (moved) detail::TcpSender::redial(sender->second);
}

inline void TcpTransport::Node::remove_peer(raft::NodeId peer) {
    const auto sender = senders.find(peer);
    if (sender != senders.end()) {
        sender->second->stop();
        senders.erase(sender);
    }
    if (listener != nullptr) listener->remove(peer);
    shared->peers.erase(peer);
    shared->options.peers.erase(peer);
}

}  // namespace rsm

#endif
