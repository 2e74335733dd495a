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
/// `burst` does not.
class TlsPace {
public:
    using Clock = std::chrono::steady_clock;
    using Duration = Clock::duration;

    static constexpr Duration burst = std::chrono::milliseconds(20);

    /// How long the next handshake is to wait; it is expected to begin then.
    Duration reserve(Clock::time_point now) {
        free_at_ = std::max(free_at_, now - 3 * burst);
        const Duration wait = free_at_ - now;
        free_at_ += 3 * expected_;
        return std::max(wait, Duration{0});
    }

    /// What one has cost, whether or not it came to anything.
    void took(Duration cost) { expected_ += (cost - expected_) / 8; }

private:
    Clock::time_point free_at_{};
    Duration expected_ = std::chrono::milliseconds(1);
};

}  // namespace rsm::detail

#endif
