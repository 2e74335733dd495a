// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Time as production sees it. The only place in the library that reads a clock for the algorithm.
#ifndef RSM_CLOCK_HPP
#define RSM_CLOCK_HPP

#include <raft/base/types.hpp>
#include <rsm/plan.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace rsm::inline v0 {

/// A SteadyClock at work. Models raft::Clock on std::chrono::steady_clock and an Asio timer.
///
/// The function that start() has named may stop, restart or destroy the clock while it runs; once
/// one of these has begun, it is not called any more. Thread safety: its executor only.
class RunningSteadyClock {
public:
    explicit RunningSteadyClock(const boost::asio::any_io_executor& executor) : timer_(executor) {}
    RunningSteadyClock(const RunningSteadyClock&) = delete;
    RunningSteadyClock& operator=(const RunningSteadyClock&) = delete;

    static raft::Time now() {
        return raft::Time(std::chrono::duration_cast<raft::Duration>(
            std::chrono::steady_clock::now().time_since_epoch()));
    }

    void start(std::function<void()> expired) {
        disarm();
        expired_ = std::make_shared<const std::function<void()>>(std::move(expired));
    }

    /// @pre started
    void arm(raft::Time time) {
        const auto since_epoch = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            time.time_since_epoch());
        const std::uint64_t round = ++round_;
        timer_.expires_at(std::chrono::steady_clock::time_point(since_epoch));
        // The handler may be called when the clock is gone: then the function is gone, too. A wait
        // that ended just before it was replaced is stale although it succeeded.
        timer_.async_wait([this, round, weak = std::weak_ptr(expired_)](const auto& error) {
            const auto expired = weak.lock();
            if (error || expired == nullptr || round_ != round) return;
            (*expired)();
        });
    }

    void stop() {
        disarm();
        expired_ = nullptr;
    }

private:
    void disarm() {
        ++round_;
        timer_.cancel();
    }

    boost::asio::steady_timer timer_;
    std::uint64_t round_ = 0;  ///< of arm(): only the newest wait counts
    /// Shared so that it is not destroyed while it runs, even if it stops the clock.
    std::shared_ptr<const std::function<void()>> expired_;
};

/// Time that passes as it does for std::chrono::steady_clock: a plan (rsm/plan.hpp).
struct SteadyClock {
    static RunningSteadyClock open(const boost::asio::any_io_executor& executor) {
        return RunningSteadyClock(executor);
    }
};

static_assert(ClockPlan<SteadyClock>);

}  // namespace rsm

#endif
