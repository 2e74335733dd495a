// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The time that goes into the log: with every write, and by itself when a key is due to expire.
#ifndef RSM_EXAMPLES_KV_TICKER_HPP
#define RSM_EXAMPLES_KV_TICKER_HPP

#include "log_clock.hpp"
#include "operation.hpp"

#include <raft/protocol/options.hpp>
#include <rsm/status.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace kv {

/// Whether a key has expired is told by the log's time alone, so that all replicas and all reads
/// agree. While nobody writes, a leader submits a Tick as soon as the earliest deadline has passed,
/// at most one at a time and at most one in `shortest`, except where there is more to free.
///
/// Thread safety: the replica's executor. Destruction waits for nothing.
template <class Replica>
class Ticker {
    using Error = boost::system::error_code;
    using Milliseconds = std::chrono::milliseconds;

public:
    static constexpr Milliseconds shortest{10};
    /// Until a node that has begun to lead notices what is due.
    static constexpr Milliseconds longest{100};

    explicit Ticker(Replica& replica) : state_(std::make_shared<State>(replica)) {
        State::wait(state_, longest);
    }
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;
    ~Ticker() { state_->timer.cancel(); }

    /// For an operation that is taken in now.
    Time now() { return state_->now(); }

    /// To be called when something was written: there may be an earlier deadline.
    void look() {
        if (state_->replica.machine().first_deadline() < state_->wakes_at) State::arm(state_);
    }

private:
    struct State {
        explicit State(Replica& of) : replica(of), timer(of.get_executor()) {}

        Time now() { return clock.now(replica.machine().time()); }

        bool is_due(Time time) const {
            return replica.machine().first_deadline() <= time || replica.machine().has_leftovers();
        }

        static void wait(const std::shared_ptr<State>& self, Milliseconds duration) {
            self->wakes_at = self->now() + static_cast<Time>(duration.count());
            self->timer.expires_after(duration);
            self->timer.async_wait([weak = std::weak_ptr<State>(self)](Error error) {
                const auto there = weak.lock();
                if (!error && there != nullptr) look(there);
            });
        }

        static void arm(const std::shared_ptr<State>& self) {
            if (self->is_under_way) return;
            const Time now = self->now();
            const Time first = std::max(self->replica.machine().first_deadline(), now) - now;
            const auto most = static_cast<Time>(longest.count());
            wait(self, std::max(shortest, Milliseconds(std::min(first, most))));
        }

        static void look(const std::shared_ptr<State>& self) {
            if (!self->is_due(self->now())) return arm(self);
            if (self->replica.status().role != raft::Role::leader) return wait(self, longest);
            tick(self);
        }

        static void tick(const std::shared_ptr<State>& self) {
            self->is_under_way = true;
            self->wakes_at = 0;
            Operation operation;
            operation.action = Tick{};
            operation.time = self->now();
            self->replica.async_submit(std::move(operation),
                                       [weak = std::weak_ptr<State>(self)](Error error, auto&&) {
                                           const auto there = weak.lock();
                                           if (there == nullptr) return;
                                           there->is_under_way = false;
                                           if (error) return wait(there, longest);
                                           if (there->replica.machine().has_leftovers())
                                               return look(there);
                                           arm(there);
                                       });
        }

        Replica& replica;
        LogClock clock;
        boost::asio::steady_timer timer;
        Time wakes_at = 0;
        bool is_under_way = false;
    };

    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
