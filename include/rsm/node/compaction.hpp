// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// When the log is compacted.
#ifndef RSM_NODE_COMPACTION_HPP
#define RSM_NODE_COMPACTION_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/detail/backoff.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace rsm::inline v0::detail {

/// Which of the members a node is, in the order of their ids; from 0 on.
struct Rank {
    std::uint64_t place = 0;
    std::uint64_t members = 1;
};
/// A node that is no member, or does not know it yet, has the first place.
inline Rank rank_of(raft::NodeId node, const raft::Membership& membership) {
    if (!membership.contains(node)) return {};
    Rank rank{0, membership.members.size()};
    for (const raft::Member& member : membership.members) {
        if (member.id < node) ++rank.place;
    }
    return rank;
}

/// How long the log becomes before a snapshot is taken. One number of it is looked at: the bytes
/// of persisted Raft state.
struct SnapshotTrigger {
    std::int64_t threshold = 0;   ///< Options::snapshot_threshold
    double factor = 0;            ///< Options::snapshot_factor
    std::uint64_t log_limit = 0;  ///< raft::Options::max_log_bytes

    /// Of the longest that nodes wait longer than the first of them.
    static constexpr std::uint64_t spread = 4;

    /// The bytes at which a snapshot is due, where the last one has this size. Members wait for up
    /// to a quarter more, each for another part of it, so that they do not all write at one moment.
    /// Beyond half of the log's limit nobody waits. @pre threshold >= 0
    std::uint64_t due_at(std::uint64_t snapshot_bytes, Rank rank) const {
        constexpr double most = 1LL << 60;
        const double by_size = std::min(factor * static_cast<double>(snapshot_bytes), most);
        const std::uint64_t bytes =
            std::max(static_cast<std::uint64_t>(std::min(threshold, std::int64_t{1} << 60)),
                     static_cast<std::uint64_t>(by_size));
        const std::uint64_t delayed = bytes + bytes / spread / rank.members * rank.place;
        return log_limit == 0 ? delayed : std::min(delayed, log_limit / 2);
    }
    bool is_pressing(std::uint64_t persisted_bytes) const {
        return log_limit != 0 && persisted_bytes >= log_limit / 2;
    }
    /// @param kept_bytes  how many of the persisted ones would stay whatever snapshot is taken
    bool grown(std::uint64_t persisted_bytes, std::uint64_t kept_bytes,
               std::uint64_t snapshot_bytes, Rank rank) const {
        return threshold >= 0 && persisted_bytes >= due_at(snapshot_bytes, rank) + kept_bytes;
    }
};

/// When a snapshot may be taken, and when one is due.
class SnapshotPolicy {
public:
    /// Whether to take a snapshot now, given whether the log has grown long enough, whether that
    /// presses, and whether anything has been applied since the last snapshot.
    bool due(raft::Time now, bool grown, bool pressing, bool applied_since) const {
        const bool pauses = now < not_before_ && !(stale_ && pressing);
        if (under_way_ || pauses) return false;
        if (damaged_ && now >= not_again_before_) return true;
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
        begun_at_ = now;
        if (damaged_) not_again_before_ = now + pauses_of_damaged_.next();
    }
    void ended() {
        under_way_ = false;
        pauses_.reset();
        if (!std::exchange(damaged_, false)) pauses_of_damaged_.reset();
    }
    /// It could not be saved. Another is taken later, after a pause that grows each time; but no
    /// longer than so many times what the attempt has taken, for one that costs little may soon be
    /// made again: nobody tells when there is room for it.
    void failed(raft::Time now) {
        under_way_ = false;
        stale_ = false;
        const raft::Duration costly = attempts_per_pause * (now - begun_at_);
        not_before_ = now + std::min(pauses_.next(), std::max<raft::Duration>(costly, modest));
    }
    /// The image that the machine gave brings nothing new: the pause grows to the longest, but
    /// there is none where it presses.
    void stale(raft::Time now) {
        under_way_ = false;
        stale_ = true;
        not_before_ = now + pauses_.next();
    }
    bool is_under_way() const { return under_way_; }
    /// When to ask again, if a pause is what keeps it from being due.
    raft::Time not_before() const {
        return damaged_ ? std::max(not_before_, not_again_before_) : not_before_;
    }

private:
    static constexpr std::chrono::seconds shortest{1};
    static constexpr std::chrono::seconds modest{10};
    static constexpr std::chrono::minutes longest{5};
    static constexpr int attempts_per_pause = 10;

    raft::Time begun_at_;          ///< the last one
    raft::Time not_before_;        ///< any
    raft::Time not_again_before_;  ///< another because the newest is damaged
    Backoff pauses_{shortest, longest};
    Backoff pauses_of_damaged_{shortest, longest};
    bool damaged_ = false;
    bool under_way_ = false;
    bool stale_ = false;  ///< why there is a pause
};

/// Which snapshot is the newest, and whether the next one is due.
class SnapshotSchedule {
public:
    explicit SnapshotSchedule(const SnapshotTrigger& trigger) : trigger_(trigger) {}

    /// @param applied    up to where the state has come
    /// @param persisted  the bytes of persisted Raft state
    bool due(raft::Time now, raft::Index applied, std::uint64_t persisted, const raft::Core& core) {
        const bool grown =
            trigger_.grown(persisted, kept_bytes(persisted, core), core.snapshot().size,
                           rank_of(core.self(), core.membership()));
        return policy_.due(now, grown, is_pressing(persisted), applied > newest_);
    }
    /// Whether one that somebody asks for can begin, however long the log is.
    bool is_free() const { return !policy_.is_under_way(); }
    raft::Index newest() const { return newest_; }
    /// What makes operations durable in groups may hand out the same state as before.
    bool is_of_use(raft::Index position) const {
        if (position == newest_) return policy_.is_damaged() && position.value != 0;
        return position > newest_;
    }
    /// Whether the log comes to its limit, where operations end, and what would make an image that
    /// is of use with them.
    bool is_pressing(std::uint64_t persisted) const { return trigger_.is_pressing(persisted); }
    void begun(raft::Time now) { policy_.begun(now); }
    void failed(raft::Time now) { policy_.failed(now); }
    /// What could be had is not of use.
    void stale(raft::Time now) { policy_.stale(now); }
    /// It is not wanted any more.
    void needless() { policy_.ended(); }
    void saved(raft::Index index) {
        newest_ = std::max(newest_, index);
        kept_unknown_ = true;
        policy_.ended();
    }
    /// The state is, or has in it, that of this snapshot.
    void is_there(raft::Index index) { newest_ = index; }
    void damaged() { policy_.damaged(); }
    /// When to ask again, if a pause is what keeps one from being due.
    raft::Time not_before() const { return policy_.not_before(); }

private:
    /// What a follower still needs of the log below the newest snapshot would not go by another
    /// one, so it does not count toward the threshold. Nor does what was there behind that snapshot
    /// until all of it that is still there has been applied: a node whose operations come faster
    /// than it can write snapshots would else write one for each of them. Where the log comes to
    /// its limit, it may do that.
    std::uint64_t kept_bytes(std::uint64_t persisted, const raft::Core& core) {
        if (std::exchange(kept_unknown_, false)) {
            kept_bytes_ = persisted;
            behind_newest_ = core.log().last_index();
        }
        const raft::Log& log = core.log();
        const bool is_behind = log.applied() < std::min(behind_newest_, log.last_index());
        return core.holds_log() || (is_behind && !is_pressing(persisted)) ? kept_bytes_ : 0;
    }

    const SnapshotTrigger trigger_;
    SnapshotPolicy policy_;
    raft::Index newest_;
    // As of the newest snapshot of its own.
    std::uint64_t kept_bytes_ = 0;
    raft::Index behind_newest_;  // the last one of the log
    bool kept_unknown_ = false;
};

}  // namespace rsm::detail

#endif
