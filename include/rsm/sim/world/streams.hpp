// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Simulated TCP: connections that carry bytes in order, in pieces of any size, over the links of a
// Network. What a link loses is repeated, later and later; a host without power says nothing.
#ifndef RSM_SIM_WORLD_STREAMS_HPP
#define RSM_SIM_WORLD_STREAMS_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// Ends an operation on a stream: an error, and how many bytes were moved.
using StreamDone = std::function<void(boost::system::error_code, std::size_t)>;

/// One end of a connection, as the system of its host has it: it may outlive its socket, until
/// what was written has arrived.
struct StreamEnd {
    struct Segment {
        std::string bytes;
        bool last = false;       ///< nothing follows it
        bool delivered = false;  ///< and not acknowledged
        unsigned repeats = 0;
        raft::Time sent{};
        raft::Time due{};  ///< when it arrives, if nothing comes between
    };

    raft::NodeId host;
    raft::NodeId other_host;
    Process* process = nullptr;
    std::weak_ptr<StreamEnd> other;

    std::deque<Segment> flight;  ///< not acknowledged, the oldest first
    std::size_t flight_bytes = 0;
    bool moving = false;     ///< the first of them has an event in the world
    bool shut = false;       ///< nothing more is written
    std::string received;    ///< and not read
    bool finished = false;   ///< nothing more is received
    bool closed = false;     ///< has no socket any more
    bool powerless = false;  ///< its host has forgotten it
    boost::system::error_code broken;
    raft::Duration user_timeout{};  ///< 0: none

    std::span<std::byte> read_into;
    StreamDone read_done;  ///< null: nobody reads
    std::string to_write;
    StreamDone write_done;  ///< null: nobody waits for room
};
using StreamEndPtr = std::shared_ptr<StreamEnd>;

/// All hosts and their connections. Node n has the address 10.0.0.n. As a real system does: a host
/// without a listener at a port refuses, one without power is silent, a segment that is lost is
/// repeated after 200 ms and then after twice as long each time, a connection is broken off when
/// nothing is acknowledged for its user timeout, and what arrives for a connection that the host
/// does not know (any more) resets it.
class StreamNetwork {
public:
    using Endpoint = boost::asio::ip::tcp::endpoint;

    /// A listening port; connections wait in it until they are accepted.
    struct Port {
        std::deque<StreamEndPtr> waiting;
        std::function<void(boost::system::error_code, StreamEndPtr)> accept_done;
        Process* process = nullptr;
    };
    using PortPtr = std::shared_ptr<Port>;
    using Connected = std::function<void(boost::system::error_code, StreamEndPtr)>;

    StreamNetwork(World& world, Network& links, std::uint64_t seed)
        : world_(world), links_(links), random_(seed), silent_(links.size() + 1) {}
    StreamNetwork(const StreamNetwork&) = delete;
    StreamNetwork& operator=(const StreamNetwork&) = delete;

    /// How many bytes wait on either side of a connection at most. More than 0.
    std::size_t window_bytes = std::size_t{64} << 10;
    /// Of a thousand reads and writes so many move less than they could.
    std::uint64_t short_moves = 100;

    std::uint64_t connections() const { return connections_; }
    std::uint64_t repeats() const { return repeats_; }
    std::uint64_t broken() const { return broken_; }

    static boost::asio::ip::address address_of(raft::NodeId node) {
        return boost::asio::ip::address_v4(0x0a000000U + static_cast<std::uint32_t>(node.value));
    }

    // ---- hosts ----

    /// Its host vanishes with all its connections, and nobody is told.
    void power_off(raft::NodeId host) {
        silent_[host.value] = true;
        for (const std::weak_ptr<StreamEnd>& known : std::exchange(ends_, {})) {
            const StreamEndPtr end = known.lock();
            if (end == nullptr) continue;
            if (end->host == host) end->powerless = true;
            ends_.push_back(known);
        }
        std::erase_if(
            ports_, [host](const auto& port) { return port.first.address() == address_of(host); });
    }
    void power_on(raft::NodeId host) { silent_[host.value] = false; }

    // ---- connecting ----

    /// Null where somebody listens there.
    PortPtr listen(const Endpoint& endpoint, Process& process) {
        const auto [at, fresh] = ports_.emplace(endpoint, nullptr);
        if (!fresh) return nullptr;
        at->second = std::make_shared<Port>();
        at->second->process = &process;
        return at->second;
    }
    void unlisten(const Endpoint& endpoint, const PortPtr& port) {
        const auto found = ports_.find(endpoint);
        if (found != ports_.end() && found->second == port) ports_.erase(found);
        for (const StreamEndPtr& end : std::exchange(port->waiting, {})) close(end);
    }

    /// Ends when the other host accepts or refuses; else, as a system does, after minutes.
    /// `wanted` says whether anybody still waits for it.
    void connect(raft::NodeId from, Process& process, const Endpoint& to,
                 std::function<bool()> wanted, Connected done) {
        const raft::NodeId host{to.address().to_v4().to_uint() & 0xffffffU};
        const bool known =
            host.value > 0 && host.value < silent_.size() && address_of(host) == to.address();
        ask(Request{from, known ? host : raft::NodeId{}, &process, to, 0, std::move(wanted),
                    std::move(done)});
    }

    // ---- a connection ----

    /// Takes as much as there is room for, possibly less. 0: no room, which as on a real system is
    /// what less than a third of the window counts as: else each small segment that is acknowledged
    /// made room for one as small, and the window fell into pieces for good (RFC 9293, 3.8.6.2).
    std::size_t write(const StreamEndPtr& end, std::string_view bytes) {
        const std::size_t room = window_bytes - std::min(window_bytes, end->flight_bytes);
        if (room < std::min(bytes.size(), window_bytes / 3 + 1)) return 0;
        const std::size_t count = moved(std::min(room, bytes.size()));
        if (count == 0) return 0;
        put(end, {std::string(bytes.substr(0, count)), false, false, 0, world_.now(), due(end)});
        return count;
    }
    void async_write(const StreamEndPtr& end, std::string bytes, StreamDone done) {
        end->to_write = std::move(bytes);
        end->write_done = std::move(done);
        go_on_writing(end);
    }
    void async_read(const StreamEndPtr& end, std::span<std::byte> target, StreamDone done) {
        end->read_into = target;
        end->read_done = std::move(done);
        go_on_reading(end);
    }
    /// Nothing more will be written.
    void shut(const StreamEndPtr& end) {
        if (std::exchange(end->shut, true) || end->broken || end->powerless) return;
        put(end, {{}, true, false, 0, world_.now(), due(end)});
    }
    void cancel(const StreamEndPtr& end) { abort(end, boost::asio::error::operation_aborted); }
    /// As when the last descriptor goes: what is unread is lost, which the other side is told.
    void close(const StreamEndPtr& end) {
        if (std::exchange(end->closed, true)) return;
        cancel(end);
        if (end->powerless || end->broken) return;
        if (end->received.empty()) return shut(end);
        end->broken = boost::asio::error::connection_aborted;
        end->flight.clear();
        reset_other(end);
    }

private:
    struct Request {
        raft::NodeId from;
        raft::NodeId to;  // 0: there is no such host
        Process* process;
        Endpoint endpoint;
        unsigned repeats;
        std::function<bool()> wanted;
        Connected done;
    };

    bool passes(raft::NodeId from, raft::NodeId to) {
        return to && !silent_[from.value] && !silent_[to.value] && !links_.is_cut(from, to) &&
               random_.below(1000) >= links_.conditions.loss;
    }
    raft::Duration delay() {
        const NetworkConditions& conditions = links_.conditions;
        return conditions.delay_min + random_.below(conditions.delay_max - conditions.delay_min);
    }
    raft::Time arrival(raft::NodeId from, raft::NodeId to) {
        return std::max(world_.now() + delay(), links_.clogged_until(from, to));
    }
    raft::Time due(const StreamEndPtr& end) {
        const raft::Time at = arrival(end->host, end->other_host);
        return end->flight.empty() ? at : std::max(at, end->flight.back().due);
    }
    std::size_t moved(std::size_t possible) {
        if (possible < 2 || random_.below(1000) >= short_moves) return possible;
        return 1 + random_.below(possible - 1);
    }
    static raft::Duration pause(raft::Duration first, unsigned repeats) {
        return first * (1U << std::min(repeats, 6U));
    }

    // ---- connecting ----

    void ask(Request request) {
        const raft::Time at =
            request.to ? arrival(request.from, request.to) : world_.now() + delay();
        world_.call_at(at, [this, request = std::move(request)]() mutable {
            if (!request.wanted()) return;
            if (!passes(request.from, request.to) || links_.is_cut(request.to, request.from)) {
                return ask_again(std::move(request));
            }
            const auto port = ports_.find(request.endpoint);
            if (port == ports_.end()) {
                return answer(std::move(request), boost::asio::error::connection_refused, nullptr);
            }
            auto [near, far] = make_pair(request, *port->second->process);
            port->second->waiting.push_back(std::move(far));
            go_on_accepting(port->second);
            answer(std::move(request), {}, std::move(near));
        });
    }
    void ask_again(Request request) {
        if (request.repeats == 6) {
            return answer(std::move(request), boost::asio::error::timed_out, nullptr);
        }
        const raft::Duration wait = pause(std::chrono::seconds(1), request.repeats++);
        world_.call_after(wait, [this, request = std::move(request)]() mutable {
            if (request.wanted()) ask(std::move(request));
        });
    }
    void answer(Request request, boost::system::error_code error, StreamEndPtr end) {
        world_.call_after(
            delay(), [this, request = std::move(request), error, end = std::move(end)]() mutable {
                if (!request.wanted()) {
                    if (end != nullptr) close(end);
                    return;
                }
                request.process->post([done = std::move(request.done), error,
                                       end = std::move(end)] { done(error, end); });
            });
    }
    std::pair<StreamEndPtr, StreamEndPtr> make_pair(const Request& request, Process& far_process) {
        auto near = std::make_shared<StreamEnd>();
        auto far = std::make_shared<StreamEnd>();
        near->host = far->other_host = request.from;
        far->host = near->other_host = request.to;
        near->process = request.process;
        far->process = &far_process;
        near->other = far;
        far->other = near;
        ++connections_;
        std::erase_if(ends_, [](const auto& end) { return end.expired(); });
        ends_.push_back(near);
        ends_.push_back(far);
        return {std::move(near), std::move(far)};
    }

public:
    static void go_on_accepting(const PortPtr& port) {
        if (port->waiting.empty() || !port->accept_done) return;
        StreamEndPtr end = std::move(port->waiting.front());
        port->waiting.pop_front();
        port->process->post([done = std::exchange(port->accept_done, nullptr),
                             end = std::move(end)] { done({}, end); });
    }

private:
    // ---- a connection ----

    void put(const StreamEndPtr& end, StreamEnd::Segment segment) {
        end->flight_bytes += segment.bytes.size();
        end->flight.push_back(std::move(segment));
        move_on(end);
    }
    void move_on(const StreamEndPtr& end) {
        if (end->flight.empty() || std::exchange(end->moving, true)) return;
        links_.expect(end->flight.front().due);
        world_.call_at(end->flight.front().due, [this, end] {
            end->moving = false;
            arrive(end);
        });
    }
    /// The oldest segment is due at the other host.
    void arrive(const StreamEndPtr& end) {
        if (end->flight.empty() || end->broken || end->powerless) return;
        StreamEnd::Segment& segment = end->flight.front();
        if (!passes(end->host, end->other_host)) return repeat(end, segment);
        const StreamEndPtr other = end->other.lock();
        if (other == nullptr || other->closed || other->powerless || other->broken) {
            // Nobody there knows the connection; only the end of it is taken without complaint.
            if (segment.last && (other == nullptr || !other->powerless)) return acknowledged(end);
            if (links_.is_cut(end->other_host, end->host)) return repeat(end, segment);
            return fail(end, boost::asio::error::connection_reset);
        }
        if (!segment.delivered && other->received.size() >= window_bytes) {
            segment.due = world_.now() + std::chrono::milliseconds(20);
            return move_on(end);
        }
        if (!std::exchange(segment.delivered, true)) {
            other->received += segment.bytes;
            other->finished = other->finished || segment.last;
            go_on_reading(other);
        }
        if (links_.is_cut(end->other_host, end->host)) return repeat(end, segment);
        acknowledged(end);
    }
    void acknowledged(const StreamEndPtr& end) {
        end->flight_bytes -= end->flight.front().bytes.size();
        end->flight.pop_front();
        go_on_writing(end);
        move_on(end);
    }
    void repeat(const StreamEndPtr& end, StreamEnd::Segment& segment) {
        ++repeats_;
        const bool limited = end->user_timeout > raft::Duration{};
        if (limited && world_.now() - segment.sent >= end->user_timeout) {
            return fail(end, boost::asio::error::timed_out);
        }
        segment.due = world_.now() + pause(std::chrono::milliseconds(200), segment.repeats++);
        move_on(end);
    }
    void fail(const StreamEndPtr& end, boost::system::error_code why) {
        ++broken_;
        end->broken = why;
        end->flight.clear();
        end->flight_bytes = 0;
        abort(end, why);
    }
    void reset_other(const StreamEndPtr& end) {
        world_.call_at(arrival(end->host, end->other_host), [this, end] {
            const StreamEndPtr other = end->other.lock();
            if (other == nullptr || other->closed || other->powerless || other->broken) return;
            if (passes(end->host, end->other_host)) {
                fail(other, boost::asio::error::connection_reset);
            }
        });
    }

    // ---- operations ----

    static void complete(const StreamEndPtr& end, StreamDone& done, boost::system::error_code error,
                         std::size_t count) {
        end->process->post(
            [done = std::exchange(done, nullptr), error, count] { done(error, count); });
    }
    static void abort(const StreamEndPtr& end, boost::system::error_code why) {
        end->to_write.clear();
        if (end->read_done) complete(end, end->read_done, why, 0);
        if (end->write_done) complete(end, end->write_done, why, 0);
    }
    void go_on_reading(const StreamEndPtr& end) {
        if (!end->read_done) return;
        if (end->broken) return complete(end, end->read_done, end->broken, 0);
        if (end->received.empty()) {
            if (end->finished) complete(end, end->read_done, boost::asio::error::eof, 0);
            return;
        }
        const std::size_t count = moved(std::min(end->read_into.size(), end->received.size()));
        std::copy_n(end->received.data(), count, reinterpret_cast<char*>(end->read_into.data()));
        end->received.erase(0, count);
        complete(end, end->read_done, {}, count);
    }
    void go_on_writing(const StreamEndPtr& end) {
        if (!end->write_done) return;
        if (end->broken) return complete(end, end->write_done, end->broken, 0);
        const std::size_t count = write(end, end->to_write);
        if (count == 0 && !end->to_write.empty()) return;
        end->to_write.clear();
        complete(end, end->write_done, {}, count);
    }

    World& world_;
    Network& links_;
    raft::Random random_;
    std::vector<bool> silent_;  // by node
    std::map<Endpoint, PortPtr> ports_;
    std::vector<std::weak_ptr<StreamEnd>> ends_;
    std::uint64_t connections_ = 0;
    std::uint64_t repeats_ = 0;
    std::uint64_t broken_ = 0;
};

}  // namespace rsm::sim

#endif
