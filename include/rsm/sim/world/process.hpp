// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Process: the operating system's side of one simulated node. Everything that a node runs goes
// through it, so it can be paused, held up, slowed down, and watched after each piece of work; and
// the node's clock, which drifts and jumps, because no two machines agree on the time.
#ifndef RSM_SIM_WORLD_PROCESS_HPP
#define RSM_SIM_WORLD_PROCESS_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// Lives as long as the simulation, through all crashes and restarts of its node. It must be
/// destroyed after the World, which may hold work that refers to it.
class Process {
public:
    /// Models an Asio executor. Nothing runs inside execute().
    class executor_type {
    public:
        explicit executor_type(Process& process) : process_(&process) {}
        World& query(boost::asio::execution::context_t) const noexcept { return process_->world_; }
        static constexpr boost::asio::execution::blocking_t::never_t query(
            boost::asio::execution::blocking_t) noexcept {
            return {};
        }
        template <class Function>
        void execute(Function function) const {
            process_->post(std::move(function));
        }
        friend bool operator==(const executor_type&, const executor_type&) = default;

    private:
        Process* process_;
    };

    /// @param after_work  called after each piece of work of this process
    Process(World& world, std::function<void()> after_work)
        : world_(world), after_work_(std::move(after_work)) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    executor_type get_executor() { return executor_type(*this); }
    World& world() { return world_; }

    template <class Function>
    void post(Function function) {
        auto work = watched(std::move(function));
        if (slowness_ > raft::Duration{}) {
            // One piece of work after the other, each taking its time.
            free_at_ = std::max(free_at_, world_.now()) + slowness_;
            world_.call_at(free_at_, [this, work = std::move(work)]() mutable {
                run_or_hold(std::move(work));
            });
        } else {
            world_.post([this, work = std::move(work)]() mutable { run_or_hold(std::move(work)); });
        }
    }
    /// Work of another thread than the node's own: being held up or slow does not concern it.
    template <class Function>
    void post_beside(Function function) {
        world_.post([this, work = watched(std::move(function))]() mutable {
            if (!paused_) return work();
            hold(std::move(work));
        });
    }

    // ---- faults ----

    /// SIGSTOP: nothing runs until resume(); what comes in waits.
    void pause() { paused_ = true; }
    void resume() {
        paused_ = false;
        release();
    }
    bool paused() const { return paused_; }
    /// The node's own thread is kept from its work, by a page fault or a long computation, while
    /// its disks' threads go on. What has come by then is there all at once.
    void hold_up(raft::Duration lasts) {
        held_up_ = true;
        held_up_until_ = std::max(held_up_until_, world_.now() + lasts);
        world_.call_at(held_up_until_, [this] {
            held_up_ = world_.now() < held_up_until_;
            if (!held_up_) release();
        });
    }
    /// How long each piece of work takes; 0: no time.
    void slow_down(raft::Duration each) { slowness_ = each; }

    /// How long work that is posted now waits at most, if nothing is paused.
    raft::Duration lag() const {
        const raft::Time free_at = std::max(free_at_, held_up_until_);
        return std::max(raft::Duration{}, free_at - world_.now()) + slowness_;
    }

    // ---- the clock ----

    /// The node's own time.
    raft::Time now() const {
        const raft::Duration passed = world_.now() - clock_set_at_;
        const std::int64_t drift = passed.count() / 1'000'000 * drift_ppm_;
        return clock_reads_ + passed + raft::Duration(drift);
    }
    /// When the node's clock will show `local`, or a little later, as far as is known now.
    raft::Time world_time(raft::Time local) const {
        if (local == raft::Time::max()) return local;
        const raft::Duration left = std::max(raft::Duration{}, local - now());
        if (left > std::chrono::hours(24 * 365)) return raft::Time::max();
        const std::int64_t rate = 1'000'000 + drift_ppm_;
        return world_.now() + raft::Duration(left.count() / rate * 1'000'000 +
                                             left.count() % rate * 1'000'000 / rate + 1'000'000);
    }
    /// How much faster than the world's the clock runs, in millionths; above -1,000,000.
    void set_drift(std::int64_t millionths) {
        set_clock(now());
        drift_ppm_ = millionths;
    }
    /// Forward only: the library asks for a steady clock.
    void jump(raft::Duration ahead) { set_clock(now() + ahead); }

private:
    template <class Function>
    auto watched(Function function) {
        return [this, function = std::move(function)]() mutable {
            std::move(function)();
            after_work_();
        };
    }
    template <class Function>
    void run_or_hold(Function work) {
        if (!paused_ && !held_up_) return work();
        hold(std::move(work));
    }
    template <class Function>
    void hold(Function work) {
        held_.push_back([work = std::make_shared<Function>(std::move(work))] { (*work)(); });
    }
    /// In the order in which it came, unless something holds it again.
    void release() {
        for (auto& work : std::exchange(held_, {})) {
            world_.post([this, work = std::move(work)]() mutable { run_or_hold(std::move(work)); });
        }
    }
    void set_clock(raft::Time reads) {
        clock_reads_ = reads;
        clock_set_at_ = world_.now();
    }

    World& world_;
    std::function<void()> after_work_;
    bool paused_ = false;
    bool held_up_ = false;
    raft::Time held_up_until_{};
    raft::Duration slowness_{};
    raft::Time free_at_{};
    std::vector<std::function<void()>> held_;
    raft::Time clock_reads_{};
    raft::Time clock_set_at_{};
    std::int64_t drift_ppm_ = 0;
};

}  // namespace rsm::sim

#endif
