// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What time a leader writes into the log.
#ifndef RSM_EXAMPLES_KV_LOG_CLOCK_HPP
#define RSM_EXAMPLES_KV_LOG_CLOCK_HPP

#include "operation.hpp"

#include <algorithm>
#include <chrono>

namespace kv {

/// The wall clock where it is ahead of the log, and else the log's time, which then goes on as fast
/// as a clock that nobody sets. So a key that was given ten seconds has ten seconds, also after a
/// clock was set back, or by a leader whose clock is behind that of the one before. A wall clock
/// that is set forward is believed: all deadlines come that much earlier.
class LogClock {
    using Steady = std::chrono::steady_clock::time_point;

public:
    /// @param wall  milliseconds since the epoch
    /// @param log   the latest time that is known from the log
    /// @return no earlier one than before, nor than `wall` and `log`
    Time now(Time wall, Steady steady, Time log) {
        const auto passed =
            std::chrono::duration_cast<std::chrono::milliseconds>(steady - read_).count();
        if (passed > 0) {
            // Whole milliseconds only, so that no fractions are lost.
            last_ = last_ == 0 ? 0 : last_ + static_cast<Time>(passed);
            read_ += std::chrono::milliseconds(passed);
        }
        return last_ = std::max({last_, wall, log});
    }
    Time now(Time log) {
        using std::chrono::duration_cast;
        using std::chrono::milliseconds;
        const auto wall = std::chrono::system_clock::now().time_since_epoch();
        const auto since = duration_cast<milliseconds>(wall).count();
        return now(since > 0 ? static_cast<Time>(since) : 0, std::chrono::steady_clock::now(), log);
    }

private:
    Time last_ = 0;  // 0: it was not read yet
    Steady read_{};
};

}  // namespace kv

#endif
