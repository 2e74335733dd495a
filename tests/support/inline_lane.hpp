// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A lane of a storage without a thread, and the time that its jobs wait for.
#ifndef RSM_TESTS_SUPPORT_INLINE_LANE_HPP
#define RSM_TESTS_SUPPORT_INLINE_LANE_HPP

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace rsm_test {

/// Jobs that wait for a time, which passes when a test says so.
class Delayed {
public:
    void add(std::chrono::nanoseconds delay, std::function<void()> job) {
        jobs_.emplace(now_ + delay, std::move(job));
    }
    /// Runs what is due until then.
    void pass(std::chrono::nanoseconds time) {
        const auto until = now_ + time;
        while (!jobs_.empty() && jobs_.begin()->first <= until) {
            now_ = jobs_.begin()->first;
            const auto job = std::move(jobs_.extract(jobs_.begin()).mapped());
            job();
        }
        now_ = until;
    }
    /// Drops all of them.
    void clear() { const auto dropped = std::exchange(jobs_, {}); }
    std::size_t size() const { return jobs_.size(); }
    /// Until the first one.
    std::chrono::nanoseconds left() const { return jobs_.begin()->first - now_; }

private:
    std::chrono::nanoseconds now_{};
    std::multimap<std::chrono::nanoseconds, std::function<void()>> jobs_;
};

/// Runs its jobs on the calling thread, in order, never one inside another.
class InlineLane {
public:
    InlineLane() = default;
    explicit InlineLane(std::shared_ptr<Delayed> delayed) : delayed_(std::move(delayed)) {}
    void post_after(std::chrono::nanoseconds delay, std::function<void()> job) {
        delayed_->add(delay, std::move(job));
    }
    void post(std::function<void()> job) {
        jobs_.push_back(std::move(job));
        if (std::exchange(running_, true)) return;
        while (!jobs_.empty()) {
            const auto next = std::move(jobs_.front());
            jobs_.pop_front();
            next();
        }
        running_ = false;
    }
    void stop() {
        jobs_.clear();
        delayed_->clear();
    }

private:
    std::shared_ptr<Delayed> delayed_ = std::make_shared<Delayed>();
    std::deque<std::function<void()>> jobs_;
    bool running_ = false;
};

}  // namespace rsm_test

#endif
