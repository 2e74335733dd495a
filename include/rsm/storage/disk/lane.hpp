// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A lane for blocking work: jobs run one after the other, off the node's executor. A policy, so
// that a simulator runs the same jobs in virtual time.
#ifndef RSM_STORAGE_DISK_LANE_HPP
#define RSM_STORAGE_DISK_LANE_HPP

#include <raft/base/result.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace rsm::inline v0 {

/// A lane with a thread of its own, which begins with start() or the first job. Nobody joins the
/// thread: it owns what it works on, so its owner's destruction never waits for a disk.
///
/// Thread safety: post() and stop() may be called by several threads at a time.
class ThreadLane {
public:
    using Job = std::function<void()>;

    ThreadLane() : state_(std::make_shared<State>()) {}
    ThreadLane(const ThreadLane&) = delete;
    ThreadLane& operator=(const ThreadLane&) = delete;
    ~ThreadLane() { stop(); }

    /// Makes the thread. Errors: the operating system's, where it gives none.
    raft::Result<void> start() {
        const std::lock_guard lock(state_->mutex);
        try {
            begin();
        } catch (const std::system_error& error) {
            return raft::Failure{error.code(), "start a thread for the disk"};
        }
        return {};
    }

    /// Runs `job` after all earlier ones. Jobs must not throw. After stop() it is dropped.
    /// Throws std::system_error where start() was not called and there is no thread to run on.
    void post(Job job) {
        {
            const std::lock_guard lock(state_->mutex);
            if (state_->stopped) return;
            begin();
            state_->jobs.push_back(std::move(job));
        }
        // Only now, or the thread would wake up to wait for the mutex.
        state_->changed.notify_one();
    }

    /// The same, but not before that time has passed. Jobs that were posted meanwhile go first.
    void post_after(std::chrono::nanoseconds delay, Job job) {
        const auto due = Clock::now() + delay;
        post([state = std::weak_ptr(state_), due, job = std::move(job)]() mutable {
            const auto alive = state.lock();
            if (alive == nullptr) return;
            const std::lock_guard lock(alive->mutex);
            if (!alive->stopped) alive->later.emplace(due, std::move(job));
        });
    }

    /// Drops the jobs that have not begun and takes no more; does not wait for the one that has.
    void stop() {
        std::deque<Job> dropped;
        std::multimap<Clock::time_point, Job> dropped_later;
        const std::lock_guard lock(state_->mutex);
        state_->stopped = true;
        dropped.swap(state_->jobs);
        dropped_later.swap(state_->later);
        state_->changed.notify_one();
    }

private:
    using Clock = std::chrono::steady_clock;
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<Job> jobs;
        std::multimap<Clock::time_point, Job> later;
        bool started = false;
        bool stopped = false;
    };

    void begin() {
        if (state_->started) return;
        std::thread([state = state_] { run(*state); }).detach();
        state_->started = true;
    }
    static void run(State& state) {
        std::unique_lock lock(state.mutex);
        for (;;) {
            const auto ready = [&] { return state.stopped || !state.jobs.empty(); };
            if (state.later.empty()) {
                state.changed.wait(lock, ready);
            } else if (!state.changed.wait_until(lock, state.later.begin()->first, ready)) {
                state.jobs.push_back(std::move(state.later.begin()->second));
                state.later.erase(state.later.begin());
            }
            if (state.stopped) return;
            Job job = std::move(state.jobs.front());
            state.jobs.pop_front();
            lock.unlock();
            job();
            // What the job owns may be the last of its kind: it goes before the lock is taken.
            job = nullptr;
            lock.lock();
        }
    }

    const std::shared_ptr<State> state_;
};

}  // namespace rsm

#endif
