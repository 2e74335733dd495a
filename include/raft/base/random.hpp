// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Random numbers that are the same everywhere.
#ifndef RSM_RAFT_BASE_RANDOM_HPP
#define RSM_RAFT_BASE_RANDOM_HPP

#include <raft/base/types.hpp>

#include <cstdint>

namespace raft::inline v0 {

/// The algorithm's source of randomness: SplitMix64 with its own mapping to a range, so that one
/// seed gives one history on every compiler (the standard distributions promise no such thing).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
        return mixed ^ (mixed >> 31);
    }
    /// A value in [0, bound); 0 for bound 0. The bias of the remainder is below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    /// A duration in [0, bound).
    Duration below(Duration bound) {
        return Duration(static_cast<Duration::rep>(
            below(static_cast<std::uint64_t>(bound.count() < 0 ? 0 : bound.count()))));
    }
    std::uint64_t state() const { return state_; }
    friend bool operator==(const Random&, const Random&) = default;

private:
    std::uint64_t state_;
};

}  // namespace raft

#endif
