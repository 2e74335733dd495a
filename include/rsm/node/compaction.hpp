// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// When the log is compacted.
#ifndef RSM_NODE_COMPACTION_HPP
#define RSM_NODE_COMPACTION_HPP

#include <raft/base/types.hpp>
#include <rsm/detail/backoff.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace rsm::inline v0::detail {

/// Compaction looks at one number: the bytes of persisted Raft state.
class SnapshotPolicy {
public:
    /// @param threshold  in bytes; negative: never
    explicit SnapshotPolicy(std::int64_t threshold) : threshold_(threshold) {}

    /// Whether to take a snapshot now, given the persisted bytes, how many of them are kept
    /// although a snapshot covers them, and whether anything has been applied since the last
    /// snapshot.
    bool due(raft::Time now, std::uint64_t persisted_bytes, std::uint64_t held_bytes,
             bool applied_since) const {
        if (under_way_ || now < not_before_) return false;
        if (damaged_ && now >= not_again_before_) return true;
        const bool grown = threshold_ >= 0 &&
                           persisted_bytes >= static_cast<std::uint64_t>(threshold_) + held_bytes;
        return applied_since && grown;
    }
    /// The newest snapshot is not good: a new one is due, whatever the log's size, and even of the
    /// same state.
    void damaged() { damaged_ = true; }
    bool is_damaged() const { return damaged_; }
    /// Where one damaged snapshot follows another, the pauses between them grow; one that is due
    /// because the log has grown does not wait for that.
    void begun(raft::Time now) {
        under_way_ = true;
        if (damaged_) not_again_before_ = now + pauses_of_damaged_.next();
    }
    void ended() {
        under_way_ = false;
        pauses_.reset();
        if (!std::exchange(damaged_, false)) pauses_of_damaged_.reset();
    }
    /// It could not be saved. Another is taken later, after a pause that grows each time.
    void failed(raft::Time now) {
        under_way_ = false;
        not_before_ = now + pauses_.next();
    }
    /// When to ask again, if a pause is what keeps it from being due.
    raft::Time not_before() const {
        return damaged_ ? std::max(not_before_, not_again_before_) : not_before_;
    }

private:
    static constexpr std::chrono::seconds shortest{1};
    static constexpr std::chrono::minutes longest{5};

    std::int64_t threshold_;
    raft::Time not_before_;        ///< any
    raft::Time not_again_before_;  ///< another because the newest is damaged
    Backoff pauses_{shortest, longest};
    Backoff pauses_of_damaged_{shortest, longest};
    bool damaged_ = false;
    bool under_way_ = false;
};

}  // namespace rsm::detail

#endif
