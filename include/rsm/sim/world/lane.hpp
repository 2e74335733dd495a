// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Lane policy of the write-ahead log in virtual time: a job takes as long as a disk might.
#ifndef RSM_SIM_WORLD_LANE_HPP
#define RSM_SIM_WORLD_LANE_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// How long a lane's job takes: between min and max; every `stall_one_in`-th on the average takes
/// up to `stall_max` more (0: none does).
struct ServiceTime {
    raft::Duration min = std::chrono::microseconds(50);
    raft::Duration max = std::chrono::microseconds(500);
    std::uint32_t stall_one_in = 0;
    raft::Duration stall_max{};

    raft::Duration draw(raft::Random& random) const {
        raft::Duration result = min + random.below(max - min + raft::Duration(1));
        if (stall_one_in != 0 && random.below(stall_one_in) == 0) {
            result += random.below(stall_max + raft::Duration(1));
        }
        return result;
    }
};

/// Which of the jobs that some lanes were given are done. Jobs have numbers, from 1 on.
class LaneJobs {
public:
    /// How many so far.
    std::uint64_t given() const { return given_; }
    /// Whether all of the first `count` are.
    bool done(std::uint64_t count) const { return open_.empty() || open_.front() > count; }

    std::uint64_t begin() {
        open_.push_back(++given_);
        return given_;
    }
    void end(std::uint64_t number) { std::erase(open_, number); }

private:
    std::uint64_t given_ = 0;
    std::vector<std::uint64_t> open_;  ///< ascending
};

/// Runs its jobs as events of a World, one after the other, each at the end of its service time.
/// The disk's stall delays them; once the disk has stopped or begun another life none begins any
/// more. Its settings may be changed at any time, for the jobs that begin later.
///
/// To be destroyed, or at least stopped, before the World.
class Lane {
public:
    using Job = std::function<void()>;

    /// @param jobs  told of this lane's, too
    Lane(World& world, std::shared_ptr<const Disk> disk,
         std::shared_ptr<const ServiceTime> service_time, std::uint64_t seed,
         std::shared_ptr<LaneJobs> jobs = std::make_shared<LaneJobs>())
        : state_(std::make_shared<State>(world, std::move(disk), std::move(service_time), seed,
                                         std::move(jobs))) {}
    /// Jobs are work of the process: they wait while it is paused.
    Lane(Process& process, std::shared_ptr<const Disk> disk,
         std::shared_ptr<const ServiceTime> service_time, std::uint64_t seed,
         std::shared_ptr<LaneJobs> jobs = std::make_shared<LaneJobs>())
        : Lane(process.world(), std::move(disk), std::move(service_time), seed, std::move(jobs)) {
        state_->process = &process;
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane() { stop(); }

    void post(Job job) {
        State& state = *state_;
        if (state.stopped) return;
        state.take(std::move(job));
        if (!state.busy) begin(state_);
    }
    /// The same, but not before that time has passed.
    void post_after(raft::Duration delay, Job job) {
        if (state_->stopped) return;
        const std::uint64_t id = state_->next_delayed++;
        state_->delayed.emplace(id, std::move(job));
        state_->world.call_after(delay, [weak = std::weak_ptr(state_), id] {
            const auto state = weak.lock();
            if (state == nullptr || state->stopped) return;
            state->take(std::move(state->delayed.extract(id).mapped()));
            if (!state->busy) begin(state);
        });
    }
    void stop() {
        // What a job owns may own this lane.
        const auto state = state_;
        if (std::exchange(state->stopped, true)) return;
        if (state->busy && !state->running) state->world.cancel(state->timer);
        const auto dropped = std::exchange(state->jobs, {});
        const auto dropped_later = std::exchange(state->delayed, {});
    }

private:
    struct State {
        State(World& there, std::shared_ptr<const Disk> on,
              std::shared_ptr<const ServiceTime> settings, std::uint64_t seed,
              std::shared_ptr<LaneJobs> numbers)
            : world(there),
              disk(std::move(on)),
              service_time(std::move(settings)),
              random(seed),
              life(disk->life()),
              all_jobs(std::move(numbers)) {}

        struct Numbered {
            std::uint64_t number;
            Job job;
        };
        void take(Job job) { jobs.push_back({all_jobs->begin(), std::move(job)}); }

        World& world;
        Process* process = nullptr;
        std::shared_ptr<const Disk> disk;
        std::shared_ptr<const ServiceTime> service_time;
        raft::Random random;
        std::uint64_t life;
        std::shared_ptr<LaneJobs> all_jobs;
        std::deque<Numbered> jobs;
        std::map<std::uint64_t, Job> delayed;
        std::uint64_t next_delayed = 0;
        World::TimerId timer;
        bool busy = false;     ///< the front job has begun
        bool running = false;  ///< and is being run, so there is no timer
        bool stopped = false;
    };
    using StatePointer = std::shared_ptr<State>;

    static void begin(const StatePointer& state) {
        state->busy = true;
        const raft::Time start = std::max(state->world.now(), state->disk->stalled_until());
        wait(state, start + state->service_time->draw(state->random));
    }
    static void wait(const StatePointer& state, raft::Time until) {
        const auto due = [weak = std::weak_ptr(state)] {
            if (const auto locked = weak.lock()) run(locked);
        };
        if (state->process == nullptr) {
            state->timer = state->world.call_at(until, due);
        } else {
            Process& process = *state->process;
            state->timer =
                state->world.call_at(until, [&process, due] { process.post_beside(due); });
        }
    }
    static void run(const StatePointer& state) {
        if (state->stopped) return;
        if (state->disk->stopped() || state->disk->life() != state->life) {
            state->stopped = true;
            const auto dropped = std::exchange(state->jobs, {});
            const auto dropped_later = std::exchange(state->delayed, {});
            return;
        }
        const raft::Time stalled = state->disk->stalled_until();
        if (stalled > state->world.now()) return wait(state, stalled);
        State::Numbered next = std::move(state->jobs.front());
        state->jobs.pop_front();
        state->running = true;
        next.job();
        next.job = nullptr;
        state->all_jobs->end(next.number);
        state->running = false;
        state->busy = false;
        if (!state->stopped && !state->jobs.empty()) begin(state);
    }

    const StatePointer state_;
};

}  // namespace rsm::sim

#endif
