// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Time as production sees it. The only place in the library that reads a clock for the algorithm.
#ifndef RSM_CLOCK_HPP
#define RSM_CLOCK_HPP

#include <raft/types.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace rsm {

/// Models raft::Clock on std::chrono::steady_clock and an Asio timer.
///
/// The function that start() has named may stop, restart or destroy the clock while it runs; once
/// one of these has begun, it is not called any more. Thread safety: the attached executor only.
class SteadyClock {
public:
    /// Called once, before anything else: where the timer's callbacks run.
    void attach(const boost::asio::any_io_executor& executor) {
        state_ = std::make_shared<State>(executor);
    }

    raft::Time now() const {
        return raft::Time(std::chrono::duration_cast<raft::Duration>(
            std::chrono::steady_clock::now().time_since_epoch()));
    }

    /// @pre attach() was called
    void start(std::function<void()> expired) {
        disarm();
        state_->expired = std::make_shared<const std::function<void()>>(std::move(expired));
    }

    /// @pre attach() was called
    void arm(raft::Time time) {
        const auto since_epoch = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            time.time_since_epoch());
        const std::uint64_t round = ++state_->round;
        state_->timer.expires_at(std::chrono::steady_clock::time_point(since_epoch));
        // The wait must not outlive the clock, but its handler does: it only looks. A wait that
        // ended just before it was replaced is stale although it succeeded.
        state_->timer.async_wait([round, weak = std::weak_ptr<State>(state_)](const auto& error) {
            const std::shared_ptr<State> state = weak.lock();
            if (error || state == nullptr || state->round != round) return;
            if (const auto expired = state->expired) (*expired)();
        });
    }

    void stop() {
        if (state_ == nullptr) return;
        disarm();
        state_->expired = nullptr;
    }

private:
    struct State {
        explicit State(const boost::asio::any_io_executor& executor) : timer(executor) {}
        boost::asio::steady_timer timer;
        std::uint64_t round = 0;  ///< of arm(): only the newest wait counts
        /// Shared so that it is not destroyed while it runs, even if it stops the clock.
        std::shared_ptr<const std::function<void()>> expired;
    };

    void disarm() {
        ++state_->round;
        state_->timer.cancel();
    }

    std::shared_ptr<State> state_;
};

}  // namespace rsm

#endif
