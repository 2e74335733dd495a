// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Clock policies of simulated time: that of a World, and that of one node, whose clock drifts
// and jumps.
#ifndef RSM_SIM_WORLD_CLOCK_HPP
#define RSM_SIM_WORLD_CLOCK_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace rsm::inline v0::sim {

/// A Clock at work. Models raft::Clock.
class RunningClock {
public:
    explicit RunningClock(World& world) : world_(world) {}
    RunningClock(const RunningClock&) = delete;
    RunningClock& operator=(const RunningClock&) = delete;
    ~RunningClock() { stop(); }

    raft::Time now() const { return world_.now(); }
    void start(std::function<void()> expired) { expired_ = std::move(expired); }
    void arm(raft::Time at) {
        stop();
        armed_ = true;
        timer_ = world_.call_at(at, [this] {
            armed_ = false;
            expired_();
        });
    }
    void stop() {
        if (std::exchange(armed_, false)) world_.cancel(timer_);
    }

private:
    World& world_;
    std::function<void()> expired_;
    World::TimerId timer_;
    bool armed_ = false;
};

/// The time of a World: a plan (rsm/plan.hpp).
class Clock {
public:
    explicit Clock(World& world) : world_(&world) {}
    RunningClock open(const boost::asio::any_io_executor&) const { return RunningClock(*world_); }

private:
    World* world_;
};

/// A ProcessClock at work. Models raft::Clock.
class RunningProcessClock {
public:
    explicit RunningProcessClock(Process& process) : state_(std::make_shared<State>(process)) {}
    RunningProcessClock(const RunningProcessClock&) = delete;
    RunningProcessClock& operator=(const RunningProcessClock&) = delete;
    ~RunningProcessClock() { state_->disarm(); }

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

    const std::shared_ptr<State> state_;
};

/// The time that a Process has: a plan (rsm/plan.hpp).
class ProcessClock {
public:
    explicit ProcessClock(Process& process) : process_(&process) {}
    RunningProcessClock open(const boost::asio::any_io_executor&) const {
        return RunningProcessClock(*process_);
    }

private:
    Process* process_;
};

}  // namespace rsm::sim

#endif
