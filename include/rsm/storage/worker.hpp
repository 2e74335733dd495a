// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A lane for blocking work: jobs run one after the other, off the node's executor. A policy, so
// that a simulator runs the same jobs in virtual time.
#ifndef RSM_STORAGE_WORKER_HPP
#define RSM_STORAGE_WORKER_HPP

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace rsm {

/// A lane with a thread of its own, which begins with the first job. Nobody joins the thread: it
/// owns what it works on, so its owner's destruction never waits for a disk.
///
/// Thread safety: post() and stop() may be called by several threads at a time.
class ThreadWorker {
public:
    using Job = std::function<void()>;

    ThreadWorker() : state_(std::make_shared<State>()) {}
    ThreadWorker(ThreadWorker&&) noexcept = default;
    ThreadWorker& operator=(ThreadWorker&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~ThreadWorker() {
        if (state_ != nullptr) stop();
    }

    /// Runs `job` after all earlier ones. Jobs must not throw. After stop() it is dropped.
    /// Throws std::system_error where the first job finds no thread to run on.
    void post(Job job) {
        {
            const std::lock_guard lock(state_->mutex);
            if (state_->stopped) return;
            if (!state_->started) {
                std::thread([state = state_] { run(*state); }).detach();
                state_->started = true;
            }
            state_->jobs.push_back(std::move(job));
        }
        // Only now, or the thread would wake up to wait for the mutex.
        state_->changed.notify_one();
    }

    /// Drops the jobs that have not begun and takes no more; does not wait for the one that has.
    void stop() {
        std::deque<Job> dropped;
        const std::lock_guard lock(state_->mutex);
        state_->stopped = true;
        dropped.swap(state_->jobs);
        state_->changed.notify_one();
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<Job> jobs;
        bool started = false;
        bool stopped = false;
    };

    static void run(State& state) {
        std::unique_lock lock(state.mutex);
        for (;;) {
            state.changed.wait(lock, [&] { return state.stopped || !state.jobs.empty(); });
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

    std::shared_ptr<State> state_;
};

}  // namespace rsm

#endif
