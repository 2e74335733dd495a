// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulated network: every message travels through the production codec, over a link of its own
// that may lose, delay, double and reorder it, be cut or be clogged.
#ifndef RSM_SIM_WORLD_NETWORK_HPP
#define RSM_SIM_WORLD_NETWORK_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::inline v0::sim {

/// How a network treats messages. Probabilities are in thousandths.
struct NetworkConditions {
    raft::Duration delay_min = std::chrono::microseconds(100);
    raft::Duration delay_max = std::chrono::milliseconds(2);
    std::uint64_t loss = 0;
    std::uint64_t duplication = 0;
    /// A message takes up to `reordering_max` longer than its neighbours.
    std::uint64_t reordering = 0;
    raft::Duration reordering_max{};
    /// How long a node may take to look at what has come; messages that come meanwhile are one
    /// group.
    raft::Duration reading_max{};
    /// What may be under way over one link; more is dropped, as a full queue does.
    std::size_t link_bytes = std::size_t{4} << 20;
    /// From this size on a payload is not copied while its message is encoded.
    std::size_t referenced_payload_bytes = raft::codec::Gather::reference_bytes;
};

/// Why a message will not arrive; `none`: it will, unless something happens to its receiver.
enum class Loss : std::uint8_t { none, by_chance, cut, full };

/// Calls f(piece) where the message is a piece of a snapshot, whoever sends it.
template <class Message, class Function>
void if_piece(Message& message, Function f) {
    const auto look = [&f](auto& body) {
        if constexpr (requires { body.meta, body.data; }) f(body);
    };
    std::visit(look, message.body);
}

/// What becomes of a message on its way.
struct DamagedMessage {
    raft::Message message;
    bool is_other = false;  ///< and not only less of what was sent
};

class Network {
public:
    /// As of raft::GroupingTransport::start().
    struct Receiver {
        std::function<void(raft::Message)> receive;
        std::function<void()> received;
    };
    /// Called for each message that leaves a node, with what becomes of it and when it arrives.
    using Watch = std::function<void(const raft::Message&, Loss, raft::Time arrival)>;

    /// Nodes are 1 to `nodes`.
    Network(World& world, std::size_t nodes, std::uint64_t seed)
        : world_(world), random_(seed), nodes_(nodes + 1), links_((nodes + 1) * (nodes + 1)) {}
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    NetworkConditions conditions;
    Watch watch;
    /// Called for each message that a node takes in, before it does.
    std::function<void(const raft::Message&)> arrived;
    /// Gives what arrives of a message in its place, if that is something else.
    std::function<std::optional<DamagedMessage>(const raft::Message&)> damage;
    /// Called besides for each that is not what was sent.
    std::function<void(const raft::Message&)> arrived_damaged;

    std::size_t size() const { return nodes_.size() - 1; }
    std::uint64_t delivered() const { return delivered_; }
    /// Of all that was sent so far.
    raft::Time latest_arrival() const { return latest_arrival_; }

    /// A node is about to take in a message, by whatever way it has come.
    void note_delivery(const raft::Message& message) {
        ++delivered_;
        if (arrived) arrived(message);
    }
    /// Something will come in at that time.
    void expect(raft::Time arrival) { latest_arrival_ = std::max(latest_arrival_, arrival); }

    // ---- nodes ----

    /// A new incarnation of a node; messages to an earlier one do not reach it.
    std::uint64_t join(raft::NodeId node, Process& process, Receiver receiver) {
        nodes_[node.value] = {
            ++incarnations_, &process, std::make_shared<Receiver>(std::move(receiver)), {}};
        return incarnations_;
    }
    void leave(raft::NodeId node, std::uint64_t incarnation) {
        Node& known = nodes_[node.value];
        if (known.incarnation == incarnation) known = {};
    }
    bool joined(raft::NodeId node, std::uint64_t incarnation) const {
        return incarnation != 0 && nodes_[node.value].incarnation == incarnation;
    }

    // ---- links ----

    void cut(raft::NodeId from, raft::NodeId to, bool is_cut) { link(from, to).cut = is_cut; }
    bool is_cut(raft::NodeId from, raft::NodeId to) { return link(from, to).cut; }
    /// Nothing arrives over a clogged link before that time; then all of it does.
    void clog(raft::NodeId from, raft::NodeId to, raft::Time until) {
        link(from, to).clogged_until = until;
    }
    raft::Time clogged_until(raft::NodeId from, raft::NodeId to) {
        return link(from, to).clogged_until;
    }
    void heal() {
        for (Link& one : links_) {
            one.cut = false;
            one.clogged_until = {};
        }
    }

    // ---- traffic ----

    void send(const raft::Message& message) {
        Link& way = link(message.from, message.to);
        const raft::Bytes frame = raft::codec::encode(message, conditions.referenced_payload_bytes);
        Loss loss = Loss::none;
        if (way.cut) {
            loss = Loss::cut;
        } else if (random_.below(1000) < conditions.loss) {
            loss = Loss::by_chance;
        } else if (way.bytes + frame.size() > conditions.link_bytes && way.bytes != 0) {
            loss = Loss::full;
        }
        const raft::Time arrival = loss == Loss::none ? arrival_time(way) : raft::Time{};
        if (watch) watch(message, loss, arrival);
        if (loss != Loss::none) return;
        const Frame travels = damaged(message, frame);
        transmit(message, travels, arrival);
        if (random_.below(1000) < conditions.duplication) {
            transmit(message, travels, arrival_time(way));
        }
    }

private:
    struct Frame {
        raft::Bytes bytes;
        bool is_other = false;  // than what was sent
    };
    struct Node {
        std::uint64_t incarnation = 0;  // 0: not there
        Process* process = nullptr;
        std::shared_ptr<Receiver> receiver;
        std::vector<Frame> arrived;  // and not looked at
    };
    struct Link {
        bool cut = false;
        raft::Time clogged_until{};
        std::size_t bytes = 0;  // under way
    };

    Link& link(raft::NodeId from, raft::NodeId to) {
        return links_[from.value * nodes_.size() + to.value];
    }

    raft::Time arrival_time(const Link& way) {
        raft::Duration delay =
            conditions.delay_min + random_.below(conditions.delay_max - conditions.delay_min);
        if (random_.below(1000) < conditions.reordering) {
            delay += random_.below(conditions.reordering_max);
        }
        return std::max(world_.now() + delay, way.clogged_until);
    }

    /// What arrives of a message.
    Frame damaged(const raft::Message& message, const raft::Bytes& sent) {
        if (!damage) return {sent};
        const std::optional<DamagedMessage> altered = damage(message);
        if (!altered) return {sent};
        return {raft::codec::encode(altered->message, conditions.referenced_payload_bytes),
                altered->is_other};
    }
    void transmit(const raft::Message& message, const Frame& frame, raft::Time arrival) {
        const std::uint64_t incarnation = nodes_[message.to.value].incarnation;
        link(message.from, message.to).bytes += frame.bytes.size();
        expect(arrival);
        world_.call_at(arrival, [this, from = message.from, to = message.to, incarnation, frame] {
            link(from, to).bytes -= frame.bytes.size();
            if (!joined(to, incarnation)) return;
            nodes_[to.value].arrived.push_back(frame);
            if (nodes_[to.value].arrived.size() == 1) read_later(to, incarnation);
        });
    }
    void read_later(raft::NodeId to, std::uint64_t incarnation) {
        const raft::Time at = world_.now() + random_.below(conditions.reading_max);
        world_.call_at(at, [this, to, incarnation] {
            if (!joined(to, incarnation)) return;
            nodes_[to.value].process->post([this, to, incarnation] { deliver(to, incarnation); });
        });
    }
    void deliver(raft::NodeId to, std::uint64_t incarnation) {
        if (!joined(to, incarnation)) return;
        const std::shared_ptr<Receiver> receiver = nodes_[to.value].receiver;
        for (const Frame& frame : std::exchange(nodes_[to.value].arrived, {})) {
            std::optional<raft::Message> message = raft::codec::decode_message(frame.bytes);
            if (!message) std::abort();  // what was encoded here can be decoded
            note_delivery(*message);
            if (frame.is_other && arrived_damaged) arrived_damaged(*message);
            receiver->receive(std::move(*message));
            if (!joined(to, incarnation)) return;
        }
        receiver->received();
    }

    World& world_;
    raft::Random random_;
    std::vector<Node> nodes_;
    std::vector<Link> links_;  // from * size + to
    std::uint64_t incarnations_ = 0;
    raft::Time latest_arrival_{};
    std::uint64_t delivered_ = 0;
};

/// One node's end of a Network at work, in the terms of raft::GroupingTransport: what is sent stays
/// here until flush(), as with a real one.
class RunningNetworkTransport {
public:
    RunningNetworkTransport(Network& network, raft::NodeId self, Process& process)
        : network_(network), self_(self), process_(process) {}
    RunningNetworkTransport(const RunningNetworkTransport&) = delete;
    RunningNetworkTransport& operator=(const RunningNetworkTransport&) = delete;
    ~RunningNetworkTransport() { stop(); }

    void start(std::function<void(raft::Message)> receive, std::function<void()> received) {
        incarnation_ = network_.join(self_, process_, {std::move(receive), std::move(received)});
    }
    void send(raft::Message message) { unsent_.push_back(std::move(message)); }
    void flush() {
        for (const raft::Message& message : std::exchange(unsent_, {})) {
            if (!network_.joined(self_, incarnation_)) return;
            network_.send(message);
        }
    }
    void stop() { network_.leave(self_, std::exchange(incarnation_, 0)); }

private:
    Network& network_;
    raft::NodeId self_;
    Process& process_;
    std::uint64_t incarnation_ = 0;
    std::vector<raft::Message> unsent_;
};

}  // namespace rsm::sim

#endif
