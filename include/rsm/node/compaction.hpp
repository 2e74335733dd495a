// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// When the log is compacted.
#ifndef RSM_NODE_COMPACTION_HPP
#define RSM_NODE_COMPACTION_HPP

#include <raft/base/types.hpp>
#include <rsm/detail/backoff.hpp>

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
        if (damaged_) return true;
        const bool grown = threshold_ >= 0 &&
                           persisted_bytes >= static_cast<std::uint64_t>(threshold_) + held_bytes;
        return applied_since && grown;
    }
    /// The newest snapshot is not good: a new one is due, whatever the log's size, and even of the
    /// same state.
    void damaged() { damaged_ = true; }
    /// Where one damaged snapshot follows another, the pauses between them grow.
    void begun(raft::Time now) {
        under_way_ = true;
        if (damaged_) wait(now);
    }
    void ended() {
        under_way_ = false;
        if (!std::exchange(damaged_, false)) pauses_.reset();
    }
    /// It could not be saved. Another is taken later, after a pause that grows each time.
    void failed(raft::Time now) {
        under_way_ = false;
        wait(now);
    }
    /// When to ask again, if a pause is what keeps it from being due.
    raft::Time not_before() const { return not_before_; }

private:
    void wait(raft::Time now) { not_before_ = now + pauses_.next(); }

    std::int64_t threshold_;
    raft::Time not_before_;
    Backoff pauses_{std::chrono::seconds(1), std::chrono::minutes(5)};
    bool damaged_ = false;
    bool under_way_ = false;
};

}  // namespace rsm::detail

#endif
