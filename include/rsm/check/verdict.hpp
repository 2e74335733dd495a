// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// What a check may spend, and what it can say.

#ifndef RSM_CHECK_VERDICT_HPP
#define RSM_CHECK_VERDICT_HPP

#include <cstddef>
#include <cstdint>
#include <limits>

namespace rsm::inline v0::check {

/// Bounds of one check. Besides these, memory grows linearly with the history.
struct Limits {
    /// Bytes for the memo: entries, their table, and states. It can be passed by no more than the
    /// one state that reaches it. A memo entry takes some 60 bytes.
    std::size_t memo_bytes = std::size_t{512} << 20;
    /// Calls of Model::step in the search for a verdict.
    std::uint64_t steps = std::numeric_limits<std::uint64_t>::max();
    /// Calls of Model::step, on top of `steps`, in the search for an explanation; 0 asks for none.
    std::uint64_t explanation_steps = 50'000'000;
};

enum class Verdict : std::uint8_t { linearizable, not_linearizable, undecided };

/// Why a history is undecided; `malformed` is a return before its call, or 2^30 operations or more.
enum class UndecidedReason : std::uint8_t { none, memory, steps, malformed };

}  // namespace rsm::check

#endif  // RSM_CHECK_VERDICT_HPP
