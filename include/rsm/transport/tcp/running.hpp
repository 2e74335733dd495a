// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The TCP transport at work: a listener, and a sender for each peer.
#ifndef RSM_TRANSPORT_TCP_RUNNING_HPP
#define RSM_TRANSPORT_TCP_RUNNING_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/transport/peer_status.hpp>
#include <rsm/transport/tcp/listener.hpp>
#include <rsm/transport/tcp/places.hpp>
#include <rsm/transport/tcp/sender.hpp>
#include <rsm/transport/tcp/shared.hpp>
#include <rsm/transport/tcp/system_net.hpp>
#include <rsm/transport/tcp_address.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/cluster_id.hpp>

#include <boost/asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// A TcpTransport at work (with detail::SystemNet as Net). Models raft::GroupingTransport.
///
/// Thread safety: everything, destruction included, happens on its executor (a strand, or one that
/// a single thread runs), or while nobody runs it. Destruction closes all connections and waits for
/// nothing. After stop() or destruction nothing is called any more, and both are allowed from
/// within everything that the transport calls. Destruction must come before that of the execution
/// context, as for every object of Asio.
template <class Net>
class BasicRunningTcpTransport {
    using Shared = detail::TcpShared<Net>;
    using Listener = detail::TcpListener<Net>;
    using Sender = detail::TcpSender<Net>;

public:
    /// Opens the listening socket. It may block on the lookup of the own host's name.
    ///
    /// Throws std::invalid_argument for options out of range, an address that is none, two nodes at
    /// one address, a peer without a port or a node without an address, and
    /// boost::system::system_error if it cannot listen; then nothing has happened.
    BasicRunningTcpTransport(typename Net::Executor executor, TcpOptions options, Net net = {});
    BasicRunningTcpTransport(const BasicRunningTcpTransport&) = delete;
    BasicRunningTcpTransport& operator=(const BasicRunningTcpTransport&) = delete;
    ~BasicRunningTcpTransport() { stop(); }

    raft::NodeId self() const { return shared_->options.self; }

    /// Begins to accept, to dial every peer and to deliver.
    void start(std::function<void(raft::Message)> receive) { start(std::move(receive), nullptr); }
    /// The same as a raft::GroupingTransport: `received` is called after the messages of each read,
    /// and the caller calls flush() after it has sent.
    void start(std::function<void(raft::Message)> receive, std::function<void()> received);

    /// Sends or drops `message`; never blocks and never calls back from inside.
    /// @pre message.from is this node
    void send(raft::Message message);

    /// Writes what has been sent as far as the system takes it; the rest follows by itself.
    void flush();

    /// Closes everything. What has not been written is dropped. Final.
    void stop();

    /// Adds a peer or changes its address (the connection is then made anew). Throws
    /// std::invalid_argument, and changes nothing, if `port` or `host` cannot be one, if another
    /// peer has this address, or if `peer` is 0 or this node.
    void set_peer(raft::NodeId peer, std::string host, std::uint16_t port);
    /// Whose node this is: greetings say it, and nodes of other clusters are refused, also those of
    /// a cluster of the same name that was founded with other members. Before start().
    void identify(const raft::Identity& identity);
    /// Dials these members where they are now, and nobody else but nodes of this cluster that have
    /// introduced themselves. One without a contact stays where it was.
    void set_members(const raft::Membership& members);
    /// A sentence about the first of these that could not be reached: an address that is none, port
    /// 0, or one that two members have; empty: there is none.
    std::string problem(const raft::Membership& members) const;

    /// Closes the connections from and to a peer and refuses it from now on.
    void remove_peer(raft::NodeId peer);

    /// The port listened on, in host byte order.
    std::uint16_t local_port() const { return listener_->port(); }
    /// Whether messages to `peer` have a connection to leave by.
    bool connected(raft::NodeId peer) const {
        const auto found = senders_.find(peer);
        return found != senders_.end() && found->second->connected();
    }
    /// What the peer advertised when this node last dialled it; empty before. What others say who
    /// connect to this node, be it in the peer's name, does not count.
    /// For this node: what it advertises itself.
    std::string peer_advertisement(raft::NodeId peer) const {
        if (peer == self()) return shared_->options.advertise;
        const detail::TcpPeer* known = shared_->peer(peer);
        return known == nullptr ? std::string() : known->advertisement;
    }
    /// A sentence about why the connection to `peer` failed last; empty while there is one and
    /// before the first failure.
    std::string last_failure(raft::NodeId peer) const {
        const detail::TcpPeer* known = shared_->peer(peer);
        return known == nullptr ? std::string() : known->last_failure;
    }
    /// How things stand with each peer, in the order of their ids.
    std::vector<PeerStatus> peers() const;
    const TcpCounters& counters() const { return shared_->counters; }
    /// When the certificate of this node expires, in seconds since 1970; 0: it shows none.
    std::int64_t certificate_end() const requires requires(const Net& net) {
        net.certificate_end();
    }
    { return shared_->net.certificate_end(); }

private:
    static constexpr std::size_t max_guests = 16;

    bool meet(raft::NodeId node, const std::string& introduced_at);
    bool has_room_for_guest();
    void dial(raft::NodeId peer);
    void greeted(raft::NodeId peer, std::uint64_t process);
    void move_peer(raft::NodeId peer, TcpAddress address);

    /// What handlers may still hold when this is gone. What they call of this, they call only
    /// while it says that the transport has not stopped.
    const typename Shared::Ptr shared_ = std::make_shared<Shared>();
    typename Listener::Self listener_;
    std::map<raft::NodeId, typename Sender::Self> senders_;
    bool flush_due_ = false;
};

template <class Net>
BasicRunningTcpTransport<Net>::BasicRunningTcpTransport(typename Net::Executor executor,
                                                        TcpOptions options, Net net) {
    if (const std::string problem = options.problem(); !problem.empty()) {
        throw std::invalid_argument("TcpTransport: " + problem);
    }
    const detail::TcpPlaces places = detail::places_of(options);
    shared_->net = std::move(net);
    shared_->options = std::move(options);
    shared_->executor = std::move(executor);
    shared_->process = shared_->net.random();
    for (const auto& [peer, address] : places.peers) shared_->peers[peer].address = address;
    shared_->contact = detail::contact_of(shared_->options, shared_->options.self);
    listener_ = std::make_shared<Listener>(
        shared_,
        [this, shared = shared_.get()](raft::NodeId node, const std::string& introduced_at) {
            return !shared->stopped && meet(node, introduced_at);
        },
        [this, shared = shared_.get()](raft::NodeId peer, std::uint64_t process) {
            if (!shared->stopped) greeted(peer, process);
        });
    shared_->let_go = [this](raft::NodeId guest) {
        if (!listener_->has(guest)) remove_peer(guest);
    };
    listener_->open(places.own);
}

template <class Net>
void BasicRunningTcpTransport<Net>::start(std::function<void(raft::Message)> receive,
                                          std::function<void()> received) {
    using Receive = const std::function<void(raft::Message)>;
    shared_->receive = std::make_shared<Receive>(std::move(receive));
    if (received) {
        shared_->received = std::make_shared<const std::function<void()>>(std::move(received));
    }
    Listener::start(listener_);
    for (const auto& [peer, known] : shared_->peers) dial(peer);
}

template <class Net>
void BasicRunningTcpTransport<Net>::dial(raft::NodeId peer) {
    if (shared_->receive == nullptr) return;
    typename Sender::Self& sender = senders_[peer];
    if (sender == nullptr) {
        sender = std::make_shared<Sender>(shared_, peer);
        shared_->peers[peer].since = shared_->net.now();
    }
    Sender::dial(sender);
}

/// Makes a guest of a node that is no peer yet. Returns whether it is one now, or was a peer
/// before. A guest that could not be reached is looked for where it says that it is now.
template <class Net>
bool BasicRunningTcpTransport<Net>::meet(raft::NodeId node, const std::string& introduced_at) {
    const auto address = TcpAddress::parse(introduced_at);
    const bool sound = shared_->cluster_id && node && node != self() && address &&
                       detail::can_be_dialled(*address);
    if (detail::TcpPeer* const known = shared_->peer(node)) {
        if (known->guest && !known->connected && sound) move_peer(node, *address);
        return true;
    }
    if (!sound || !has_room_for_guest()) return false;
    detail::TcpPeer& met = shared_->peers[node];
    met.address = *address;
    met.guest = true;
    met.since = shared_->net.now();
    return true;
}

/// Takes the place of the guest that has been out of reach for longest, if there are too many.
template <class Net>
bool BasicRunningTcpTransport<Net>::has_room_for_guest() {
    std::size_t guests = 0;
    auto longest = shared_->peers.end();
    for (auto known = shared_->peers.begin(); known != shared_->peers.end(); ++known) {
        if (!known->second.guest) continue;
        ++guests;
        if (known->second.connected || listener_->has(known->first)) continue;
        const bool longer =
            longest == shared_->peers.end() || known->second.since < longest->second.since;
        if (longer) longest = known;
    }
    if (guests < max_guests) return true;
    if (longest == shared_->peers.end()) return false;
    remove_peer(longest->first);
    return true;
}

template <class Net>
void BasicRunningTcpTransport<Net>::greeted(raft::NodeId peer, std::uint64_t process) {
    const auto found = senders_.find(peer);
    if (found == senders_.end()) return dial(peer);
    Sender::greeted(found->second, process);
}

template <class Net>
void BasicRunningTcpTransport<Net>::identify(const raft::Identity& identity) {
    shared_->cluster_id = detail::cluster_id(identity);
    shared_->storage = identity.instance;
}

template <class Net>
void BasicRunningTcpTransport<Net>::set_members(const raft::Membership& members) {
    for (const raft::Member& member : members.members) {
        const auto address = TcpAddress::parse(member.contact);
        if (member.id == self()) {
            if (address) shared_->contact = member.contact;
            continue;
        }
        if (address && address->port != 0) move_peer(member.id, *address);
        if (detail::TcpPeer* const known = shared_->peer(member.id)) known->guest = false;
    }
    std::vector<raft::NodeId> gone;
    for (const auto& [peer, known] : shared_->peers) {
        if (!known.guest && !members.contains(peer)) gone.push_back(peer);
    }
    for (const raft::NodeId peer : gone) remove_peer(peer);
}

template <class Net>
std::string BasicRunningTcpTransport<Net>::problem(const raft::Membership& members) const {
    std::map<raft::NodeId, TcpAddress> nodes;
    for (const raft::Member& member : members.members) {
        const bool is_known = member.id == self() || shared_->peer(member.id) != nullptr;
        if (member.contact.empty() && is_known) continue;
        const auto address = TcpAddress::parse(member.contact);
        const std::string whose = "node " + std::to_string(member.id.value) + ": \"";
        if (!address) return whose + member.contact + "\" is not host:port";
        if (address->port == 0) return whose + member.contact + "\" has port 0";
        if (!detail::can_be_dialled(*address)) {
            return whose + member.contact + "\" is nowhere that others can reach";
        }
        for (const auto& [other, place] : nodes) {
            if (!detail::same_place(place, *address)) continue;
            return whose + member.contact + "\" is the address of node " +
                   std::to_string(other.value) + ", too";
        }
        nodes.emplace(member.id, *address);
    }
    return {};
}

template <class Net>
void BasicRunningTcpTransport<Net>::move_peer(raft::NodeId peer, TcpAddress address) {
    detail::TcpPeer& known = shared_->peers[peer];
    const bool moved = known.address != address;
    known.address = std::move(address);
    const auto sender = senders_.find(peer);
    if (sender == senders_.end()) return dial(peer);
    if (moved) Sender::redial(sender->second);
}

template <class Net>
std::vector<PeerStatus> BasicRunningTcpTransport<Net>::peers() const {
    std::vector<PeerStatus> all;
    for (const auto& [peer, known] : shared_->peers) {
        PeerStatus status = shared_->status(peer, known);
        status.incoming = listener_->has(peer);
        const auto sender = senders_.find(peer);
        if (sender != senders_.end()) status.queued_bytes = sender->second->queued_bytes();
        all.push_back(std::move(status));
    }
    return all;
}

template <class Net>
void BasicRunningTcpTransport<Net>::send(raft::Message message) {
    const auto found = senders_.find(message.to);
    if (found == senders_.end() || !found->second->push(std::move(message))) {
        ++shared_->counters.messages_dropped;
        return;
    }
    if (std::exchange(flush_due_, true) || shared_->received != nullptr) return;
    // Posted, so that everything that this turn still sends joins the same write. On an executor
    // that has nothing else to do the turn ends right after.
    boost::asio::post(shared_->executor, [this, shared = shared_] {
        if (!shared->stopped) flush();
    });
}

template <class Net>
void BasicRunningTcpTransport<Net>::flush() {
    if (!std::exchange(flush_due_, false)) return;
    for (const auto& [peer, sender] : senders_) Sender::flush(sender);
}

template <class Net>
void BasicRunningTcpTransport<Net>::stop() {
    shared_->stopped = true;
    shared_->receive = nullptr;
    shared_->received = nullptr;
    shared_->let_go = nullptr;
    listener_->stop();
    for (const auto& [peer, sender] : std::exchange(senders_, {})) sender->stop();
    for (auto& [peer, known] : shared_->peers) known.connected = false;
}

template <class Net>
void BasicRunningTcpTransport<Net>::set_peer(raft::NodeId peer, std::string host,
                                             std::uint16_t port) {
    TcpAddress address{std::move(host), port};
    if (!peer || peer == shared_->options.self || address.host.empty() || address.port == 0) {
        throw std::invalid_argument("TcpTransport: no peer's id and address: " +
                                    std::to_string(peer.value) + ", " + address.text());
    }
    for (const auto& [other, known] : shared_->peers) {
        if (other == peer || !detail::same_place(known.address, address)) continue;
        throw std::invalid_argument("TcpTransport: nodes " + std::to_string(other.value) + " and " +
                                    std::to_string(peer.value) + " have the same address, " +
                                    address.text());
    }
    move_peer(peer, std::move(address));
}

template <class Net>
void BasicRunningTcpTransport<Net>::remove_peer(raft::NodeId peer) {
    const auto sender = senders_.find(peer);
    if (sender != senders_.end()) {
        sender->second->stop();
        senders_.erase(sender);
    }
    listener_->remove(peer);
    // To erase by key instantiates more than all of this, for what comes back of it.
    const auto erase_from = [peer](auto& peers) {
        const auto found = peers.find(peer);
        if (found != peers.end()) peers.erase(found);
    };
    erase_from(shared_->peers);
    erase_from(shared_->options.peers);
}

/// A TcpTransport at work.
using RunningTcpTransport = BasicRunningTcpTransport<detail::SystemNet>;

}  // namespace rsm

#endif
