// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The network of the labs: calls between named ends, each on its own, with loss, delay and
// reordering of replies as the labs set them, all in virtual time.
//
// The library's messages are mapped to calls like this. A request of the protocol (VoteRequest,
// AppendRequest, SnapshotChunk) is a call: it is counted when it is made, counted at the receiver
// when it reaches it, and its bytes are those of its encoding by the wire codec. A reply of the
// protocol (VoteReply, AppendReply, SnapshotReply) is the reply of a call: a node sends at most
// one for each request that it got. So the labs' bounds on calls and bytes apply as they stand.
// Where the labs let a caller learn that a call failed, nothing happens here: the library does
// not ask. A late reply reaches the caller's server even if that has restarted since, which is
// more than the labs do.
#ifndef RSM_TESTS_LAB_NETWORK_HPP
#define RSM_TESTS_LAB_NETWORK_HPP

#include <raft/codec.hpp>
#include <raft/message.hpp>
#include <raft/types.hpp>
#include <rsm/sim/world.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace lab {

/// Servers are numbered from 0 as in the labs; the library's node ids are one higher.
using ServerId = std::size_t;
inline raft::NodeId node_id(ServerId server) { return {server + 1}; }
inline ServerId server_id(raft::NodeId node) { return static_cast<ServerId>(node.value - 1); }

class Network {
public:
    Network(rsm::sim::World& world, std::size_t servers, std::uint64_t seed)
        : world_(world), random_(seed), servers_(servers), peer_links_(servers) {
        for (auto& row : peer_links_) row.assign(servers, false);
    }

    // ---- settings, read when a call starts ----

    bool reliable = true;
    bool long_reordering = false;
    /// What the labs do not have: each call and each reply takes a time of less than so many
    /// milliseconds.
    std::uint64_t delay_below = 0;

    // ---- servers ----

    using Receive = std::function<void(raft::Message)>;

    /// A new incarnation of a server, with all its ends disabled. Returns its number.
    std::uint64_t add_server(ServerId server, Receive receive) {
        servers_[server] = {++incarnations_, std::move(receive), 0};
        connect(server, false);
        return incarnations_;
    }
    void remove_server(ServerId server, std::uint64_t incarnation) {
        if (servers_[server].incarnation == incarnation) servers_[server].incarnation = 0;
    }
    bool alive(ServerId server, std::uint64_t incarnation) const {
        return incarnation != 0 && servers_[server].incarnation == incarnation;
    }
    std::uint64_t incarnation(ServerId server) const { return servers_[server].incarnation; }

    // ---- ends between servers ----

    void link(ServerId from, ServerId to, bool enabled) { peer_links_[from][to] = enabled; }
    bool linked(ServerId from, ServerId to) const { return peer_links_[from][to]; }
    void connect(ServerId server, bool enabled) {
        for (ServerId other = 0; other < servers_.size(); ++other) {
            link(server, other, enabled);
            link(other, server, enabled);
        }
    }

    // ---- statistics ----

    /// Calls that reached this incarnation of the server.
    std::uint64_t calls_received(ServerId server) const { return servers_[server].calls; }
    std::uint64_t calls_made() const { return calls_made_; }
    std::uint64_t bytes() const { return bytes_; }

    // ---- traffic ----

    /// A message between servers: a call or the reply of one.
    void send(raft::Message message) {
        const bool reply = std::holds_alternative<raft::VoteReply>(message.body) ||
                           std::holds_alternative<raft::AppendReply>(message.body) ||
                           std::holds_alternative<raft::SnapshotReply>(message.body);
        if (reply) {
            send_reply(std::move(message));
        } else {
            send_call(std::move(message));
        }
    }

    /// A call of a client: runs `handler(reply)` at the server, which calls `reply()` when it has
    /// an answer; `answered(bool)` is called with false when the call fails. Arguments and
    /// results live in the caller's closures.
    /// @param enabled  asked again and again: whether the client's end to this server is
    using Reply = std::function<void()>;
    void call(ServerId server, std::function<bool()> enabled, std::function<void(Reply)> handler,
              std::function<void(bool)> answered);

private:
    struct Server {
        std::uint64_t incarnation = 0;  // 0: dead
        Receive receive;
        std::uint64_t calls = 0;
    };

    raft::Duration milliseconds_below(std::uint64_t bound) {
        return std::chrono::milliseconds(static_cast<std::int64_t>(random_.below(bound)));
    }
    bool dropped() { return !reliable && random_.below(1000) < 100; }
    raft::Duration travel() {
        return delay_below == 0 ? raft::Duration{} : milliseconds_below(delay_below);
    }
    raft::Duration request_delay() { return reliable ? travel() : milliseconds_below(27); }
    raft::Duration reply_delay() {
        if (!long_reordering || random_.below(900) >= 600) return travel();
        const std::uint64_t spread = 1 + random_.below(2000);
        return std::chrono::milliseconds(200) + milliseconds_below(spread);
    }
    static std::size_t encoded_bytes(const raft::Message& message) {
        raft::codec::Gather out;
        raft::codec::put(out, message);
        return out.size();
    }
    // Through the wire format and back, as over any real network.
    static raft::Message travelled(const raft::Message& message) {
        return *raft::codec::decode_message(raft::codec::encode(message));
    }

    void send_call(raft::Message message) {
        ++calls_made_;
        bytes_ += encoded_bytes(message);
        const ServerId from = server_id(message.from);
        const ServerId to = server_id(message.to);
        const std::uint64_t incarnation = servers_[to].incarnation;
        if (!linked(from, to) || incarnation == 0) return;
        const raft::Duration delay = request_delay();
        const bool lost = dropped();
        world_.call_after(delay, [this, to, incarnation, lost, message = travelled(message)] {
            if (lost || !alive(to, incarnation)) return;
            ++servers_[to].calls;
            servers_[to].receive(message);
        });
    }

    // Delivered only if the server that answers is still there and still linked.
    void send_reply(raft::Message message) {
        const ServerId callee = server_id(message.from);
        const ServerId caller = server_id(message.to);
        if (!linked(caller, callee) || dropped()) return;
        const std::uint64_t incarnation = servers_[caller].incarnation;
        const raft::Duration delay = reply_delay();
        bytes_ += encoded_bytes(message);
        world_.call_after(delay, [this, caller, incarnation, message = travelled(message)] {
            if (alive(caller, incarnation)) servers_[caller].receive(message);
        });
    }

    rsm::sim::World& world_;
    raft::Random random_;
    std::vector<Server> servers_;
    std::vector<std::vector<bool>> peer_links_;  // [from][to]
    std::uint64_t incarnations_ = 0;
    std::uint64_t calls_made_ = 0;
    std::uint64_t bytes_ = 0;
};

inline void Network::call(ServerId server, std::function<bool()> enabled,
                          std::function<void(Reply)> handler, std::function<void(bool)> answered) {
    ++calls_made_;
    const std::uint64_t incarnation = servers_[server].incarnation;
    if (!enabled() || incarnation == 0) {
        // The caller learns of it within 0 to 99 ms (the short delays of Lab 4).
        world_.call_after(milliseconds_below(100), [answered] { answered(false); });
        return;
    }
    // Whatever happens first decides: the answer, or the polling finds the server gone.
    const auto done = std::make_shared<bool>(false);
    const auto finish = [done, answered](bool success) {
        if (!std::exchange(*done, true)) answered(success);
    };
    const auto gone = [this, server, incarnation, enabled] {
        return !alive(server, incarnation) || !enabled();
    };
    const auto poll = std::make_shared<std::function<void()>>();
    *poll = [this, done, gone, finish, weak = std::weak_ptr<std::function<void()>>(poll)] {
        if (*done) return;
        if (gone()) return finish(false);
        if (const auto again = weak.lock()) {
            world_.call_after(std::chrono::milliseconds(100), [again] { (*again)(); });
        }
    };
    const raft::Duration delay = request_delay();
    const bool request_lost = dropped();
    world_.call_after(delay,
                      [this, server, incarnation, request_lost, handler, finish, gone, poll] {
                          if (request_lost || !alive(server, incarnation)) return finish(false);
                          ++servers_[server].calls;
                          world_.call_after(std::chrono::milliseconds(100), [poll] { (*poll)(); });
                          handler([this, finish, gone] {
                              if (gone() || dropped()) return finish(false);
                              world_.call_after(reply_delay(), [finish] { finish(true); });
                          });
                      });
}

/// A Transport at work. Models raft::Transport.
class RunningTransport {
public:
    RunningTransport(Network& network, ServerId self) : network_(network), self_(self) {}
    RunningTransport(const RunningTransport&) = delete;
    RunningTransport& operator=(const RunningTransport&) = delete;
    ~RunningTransport() { stop(); }

    void start(Network::Receive receive) {
        incarnation_ = network_.add_server(self_, std::move(receive));
    }
    void send(raft::Message message) {
        if (network_.alive(self_, incarnation_)) network_.send(std::move(message));
    }
    void stop() { network_.remove_server(self_, std::exchange(incarnation_, 0)); }

private:
    Network& network_;
    ServerId self_;
    std::uint64_t incarnation_ = 0;
};

/// One server's end of the Network: a plan.
class Transport {
public:
    Transport(Network& network, ServerId self, std::size_t servers)
        : network_(&network), self_(self), servers_(servers) {}

    RunningTransport open(const boost::asio::any_io_executor&) const { return {*network_, self_}; }
    raft::NodeId self() const { return node_id(self_); }
    std::vector<raft::NodeId> members() const {
        std::vector<raft::NodeId> nodes;
        for (ServerId server = 0; server < servers_; ++server) nodes.push_back(node_id(server));
        return nodes;
    }

private:
    Network* network_;
    ServerId self_;
    std::size_t servers_;
};

}  // namespace lab

#endif
