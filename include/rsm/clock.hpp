// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Time as production sees it. The only place in the library that reads a clock for the algorithm.
#ifndef RSM_CLOCK_HPP
#define RSM_CLOCK_HPP

#include <raft/types.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace rsm {

/// Models raft::Clock on std::chrono::steady_clock and an Asio timer.
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

    void start(std::function<void()> expired) { state_->expired = std::move(expired); }

    void arm(raft::Time time) {
        const auto since_epoch =
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                time.time_since_epoch());
        state_->timer.expires_at(std::chrono::steady_clock::time_point(since_epoch));
        // The wait must not outlive the clock, but its handler does: it only looks.
        state_->timer.async_wait([weak = std::weak_ptr<State>(state_)](const auto& error) {
            const std::shared_ptr<State> state = weak.lock();
            if (!error && state != nullptr && state->expired) state->expired();
        });
    }

    void stop() {
        state_->expired = nullptr;
        state_->timer.cancel();
    }

private:
    struct State {
        explicit State(const boost::asio::any_io_executor& executor) : timer(executor) {}
        boost::asio::steady_timer timer;
        std::function<void()> expired;
    };
    std::shared_ptr<State> state_;
};

}  // namespace rsm

#endif
