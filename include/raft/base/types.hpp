// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The vocabulary of the algorithm: terms, indexes, node ids and time.
// Each is a type of its own, so that a term can never be passed where an index is meant.
#ifndef RSM_RAFT_BASE_TYPES_HPP
#define RSM_RAFT_BASE_TYPES_HPP

#include <chrono>
#include <compare>
#include <cstdint>

namespace raft::inline v0 {

/// A term of leadership (Raft paper, section 5.1). 0 is before the first election.
struct Term {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const Term&, const Term&) = default;
};

/// A position in the log, counted from 1. 0 is "before the first entry".
struct Index {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const Index&, const Index&) = default;

    constexpr Index& operator++() {
        ++value;
        return *this;
    }
    friend constexpr Index operator+(Index index, std::uint64_t count) {
        return {index.value + count};
    }
    /// @pre count <= index.value
    friend constexpr Index operator-(Index index, std::uint64_t count) {
        return {index.value - count};
    }
    /// How many positions lie in [first, last). @pre first <= last
    friend constexpr std::uint64_t operator-(Index last, Index first) {
        return last.value - first.value;
    }
};

/// A member of the cluster. 0 names nobody.
struct NodeId {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const NodeId&, const NodeId&) = default;
    constexpr explicit operator bool() const { return value != 0; }
};

/// Which of those that have borne a node's id: drawn when its storage is founded or joins, so that
/// one that comes back with an empty or exchanged storage is told from the one that has promised
/// things. 0: not told.
struct Instance {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const Instance&, const Instance&) = default;
    constexpr explicit operator bool() const { return value != 0; }
};

/// The place of an entry in history: two logs that agree on a position agree on all before it
/// (log matching, Raft paper, section 5.3).
struct LogPosition {
    Index index;
    Term term;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.index, self.term);
    }
    friend constexpr auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

/// "If the logs have last entries with different terms, then the log with the later term is more
/// up-to-date. If the logs end with the same term, then whichever log is longer" (section 5.4.1):
/// whether one that ends at `one` is no less so than one that ends at `other`.
constexpr bool is_up_to_date(LogPosition one, LogPosition other) {
    return one.term != other.term ? one.term > other.term : one.index >= other.index;
}

/// No cluster comes to a term or an index beyond these, however long it runs; what does is damaged
/// or forged. They are far enough from the end of the type for sums of two to fit.
inline constexpr Term max_term{std::uint64_t{1} << 62};
inline constexpr Index max_index{std::uint64_t{1} << 62};
/// Nor does a node fall behind by so many terms: an election each millisecond for seven weeks.
inline constexpr std::uint64_t max_term_step = std::uint64_t{1} << 32;
/// Nor by so many entries: a hundred years of a million each second. Only a snapshot passes over
/// any.
inline constexpr std::uint64_t max_index_step = std::uint64_t{1} << 52;

/// Time as the algorithm sees it: a value that the caller passes in. There is no now().
struct LogicalClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<LogicalClock, duration>;
    static constexpr bool is_steady = true;
};
using Duration = LogicalClock::duration;
using Time = LogicalClock::time_point;

/// The time `wait` after `now`; the end of time if that is beyond it.
constexpr Time saturated_sum(Time now, Duration wait) {
    return wait < Time::max() - now ? now + wait : Time::max();
}

}  // namespace raft

#endif
