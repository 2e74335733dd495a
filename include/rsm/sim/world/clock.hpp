// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Clock policies of simulated time: that of a World, and that of one node, whose clock drifts
// and jumps.
#ifndef RSM_SIM_WORLD_CLOCK_HPP
#define RSM_SIM_WORLD_CLOCK_HPP

#include <raft/types.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace rsm::sim {

/// Models raft::Clock on a World.
class Clock {
public:
    explicit Clock(World& world) : state_(std::make_unique<State>(world)) {}

    void attach(const boost::asio::any_io_executor&) {}
    raft::Time now() const { return state_->world.now(); }
    void start(std::function<void()> expired) { state_->expired = std::move(expired); }
    void arm(raft::Time at) { state_->arm(at); }
    void stop() { state_->disarm(); }

private:
    struct State {
        explicit State(World& there) : world(there) {}
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() { disarm(); }

        void arm(raft::Time at) {
            disarm();
            armed = true;
            timer = world.call_at(at, [this] {
                armed = false;
                expired();
            });
        }
        void disarm() {
            if (std::exchange(armed, false)) world.cancel(timer);
        }

        World& world;
        std::function<void()> expired;
        World::TimerId timer;
        bool armed = false;
    };
    std::unique_ptr<State> state_;
};

/// Models raft::Clock on a Process.
class ProcessClock {
public:
    explicit ProcessClock(Process& process) : state_(std::make_shared<State>(process)) {}
    ProcessClock(ProcessClock&&) = default;
    ProcessClock& operator=(ProcessClock&&) = default;
    ~ProcessClock() {
        if (state_ != nullptr) state_->disarm();
    }

    void attach(const boost::asio::any_io_executor&) {}
    raft::Time now() const { return state_->process.now(); }
    void start(std::function<void()> expired) { state_->expired = std::move(expired); }
    void arm(raft::Time at) {
        state_->disarm();
        state_->deadline = at;
        wait(state_);
    }
    void stop() {
        state_->disarm();
        state_->expired = nullptr;
    }

private:
    struct State {
        explicit State(Process& owner) : process(owner) {}
        void disarm() {
            if (std::exchange(armed, false)) process.world().cancel(timer);
            ++generation;
        }

        Process& process;
        std::function<void()> expired;
        raft::Time deadline{};
        World::TimerId timer;
        std::uint64_t generation = 0;  // of the armed deadline
        bool armed = false;
    };

    // The clock may have jumped or changed its pace since: then the wait goes on. A jump ahead is
    // noticed when the timer of old runs out, as with timers of real systems.
    static void wait(const std::shared_ptr<State>& state) {
        state->armed = true;
        Process& process = state->process;
        state->timer = process.world().call_at(
            process.world_time(state->deadline), [weak = std::weak_ptr<State>(state)] {
                const std::shared_ptr<State> alive = weak.lock();
                if (alive == nullptr) return;
                alive->armed = false;
                alive->process.post([weak, generation = alive->generation] {
                    const std::shared_ptr<State> late = weak.lock();
                    if (late == nullptr || late->generation != generation) return;
                    if (late->process.now() < late->deadline) return wait(late);
                    if (late->expired) std::function<void()>(late->expired)();
                });
            });
    }

    std::shared_ptr<State> state_;
};

}  // namespace rsm::sim

#endif
