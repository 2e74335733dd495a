// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsPace: how soon the next handshake may begin.
#ifndef RSM_TRANSPORT_TLS_PACE_HPP
#define RSM_TRANSPORT_TLS_PACE_HPP

#include <algorithm>
#include <chrono>

namespace rsm::inline v0::detail {

/// A handshake costs the side that accepts it far more than the other end needs to ask for one, and
/// whoever asks has shown nothing yet. So handshakes that others ask for take a third of the time
/// of the thread that they run on, and the others wait; a burst of what takes no longer than
/// `burst` does not. Only what has been done counts: one that waits, and goes, costs those behind
/// it nothing.
class TlsPace {
public:
    using Clock = std::chrono::steady_clock;
    using Duration = Clock::duration;

    static constexpr Duration burst = std::chrono::milliseconds(20);

    /// How long nothing may begin. Whoever has waited for so long asks again, for another may have
    /// been first.
    Duration wait(Clock::time_point now) const { return std::max(free_at_ - now, Duration{0}); }

    /// So long was worked at a handshake.
    void spent(Clock::time_point now, Duration cost) {
        free_at_ = std::max(free_at_, now - 3 * burst) + 3 * cost;
    }

private:
    Clock::time_point free_at_{};
};

}  // namespace rsm::detail

#endif
