// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The memberships that a node's log holds, which is data like everything else in it.
#ifndef RSM_RAFT_PARTS_CONFIGURATION_HPP
#define RSM_RAFT_PARTS_CONFIGURATION_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// "Once a given server adds the new configuration entry to its log, it uses that configuration for
/// all future decisions (a server always uses the latest configuration in its log, regardless of
/// whether the entry is committed)" (Raft paper, section 6). Where the log loses that entry again,
/// the one before it is in force.
///
/// Invariants: ascending by index; the first is that of the newest snapshot or, without one, that
/// of the cluster's foundation, at index 0. All others are in the log.
class Configuration {
public:
    struct Change {
        Index index;
        Membership membership;
        template <class Self, class Visit>
        static constexpr auto fields(Self& self, Visit visit) {
            return visit(self.index, self.membership);
        }
        friend bool operator==(const Change&, const Change&) = default;
    };

    Configuration() = default;
    Configuration(Membership founding, const Recovered& recovered) {
        const bool founded = recovered.snapshot.empty();
        restart(recovered.snapshot.last.index,
                founded ? std::move(founding) : recovered.snapshot.membership);
        for (const Entry& entry : recovered.memberships) {
            auto membership = codec::decode_membership(entry.payload);
            const bool covered = entry.index <= latest_at();
            if (membership && !covered) append(entry.index, *std::move(membership));
        }
        settled_ = history_.front();
    }

    /// The one in force.
    const Membership& latest() const { return history_.back().membership; }
    /// Where it stands in the log.
    Index latest_at() const { return history_.back().index; }
    const Change& latest_change() const { return history_.back(); }
    /// That of a state which contains exactly what stands up to `index`. @pre it is not before the
    /// newest snapshot
    const Change& change_at(Index index) const {
        auto after = history_.begin() + 1;
        while (after != history_.end() && after->index <= index) ++after;
        return *std::prev(after);
    }
    /// Whether it holds for one of those that may be in force, now or after a truncation, where all
    /// up to `commit` is committed. @pre as of change_at()
    template <class Predicate>
    bool any_from(Index commit, Predicate holds) const {
        const auto first = history_.begin() + (&change_at(commit) - history_.data());
        return std::any_of(first, history_.end(), holds);
    }
    const Membership& at(Index index) const { return change_at(index).membership; }

    /// The last one that was told to be committed.
    const Change& settled() const { return settled_; }
    /// Others have said that this node is no member by a committed membership which is no earlier
    /// than its own, or that the one which bears its id is another.
    bool is_excluded() const {
        const bool by_it = excluded_.value != 0 && excluded_ >= latest_at();
        return unrecognized_ || by_it || (outdated_.value != 0 && outdated_ == latest_at());
    }
    bool is_unrecognized() const { return unrecognized_; }

    /// Everything up to `commit` is committed. Returns the membership that was settled before, if
    /// that brings another one.
    std::optional<Membership> settle(Index commit) {
        if (settled_.index >= std::min(commit, latest_at())) return std::nullopt;
        const Membership& committed = at(commit);
        settled_.index = std::min(commit, latest_at());
        if (settled_.membership == committed) return std::nullopt;
        return std::exchange(settled_.membership, committed);
    }
    /// A committed membership at `index`, which is no earlier than the one in force, is without
    /// this node. That one may stand behind it, where only this node has it.
    void exclude(Index index) {
        excluded_ = std::max(excluded_, index);
        if (latest_at() > index) outdated_ = latest_at();
    }
    /// One that is not recognized was no founder: what the foundation says of its id is about
    /// another instance.
    void recognized(bool recognized) {
        unrecognized_ = !recognized;
        founder_ = founder_ && recognized;
    }
    void joins() { founder_ = false; }
    /// Whether it may be one of those that the cluster began with.
    bool is_founder() const { return founder_; }
    /// Whether the node may take this membership's word for what it is itself.
    bool speaks_of_self(const Change& change) const { return founder_ || change.index.value != 0; }

    /// @pre index > latest_at()
    void append(Index index, Membership membership) {
        history_.push_back({index, std::move(membership)});
        outdated_ = Index{};
    }
    /// The log ends before `first` now. @pre what goes was not committed
    void truncate_from(Index first) {
        while (history_.size() > 1 && history_.back().index >= first) history_.pop_back();
    }
    /// A snapshot of `index` stands for everything up to there, and there is nothing behind it.
    void restart(Index index, Membership membership) {
        history_.clear();
        append(index, std::move(membership));
    }
    /// A snapshot of `index`, which has this membership (empty: none is told), stands for
    /// everything up to there.
    void covered_by_snapshot(Index index, const Membership& membership) {
        while (history_.size() > 1 && history_[1].index <= index) history_.erase(history_.begin());
        if (!membership.empty()) history_.front().membership = membership;
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.history_, self.settled_, self.excluded_, self.outdated_,
                     self.unrecognized_, self.founder_);
    }
    friend bool operator==(const Configuration&, const Configuration&) = default;

private:
    std::vector<Change> history_{Change{}};
    Change settled_;  // see settle()
    Index excluded_;  // see exclude()
    Index outdated_;  // the membership in force that counts for nothing
    bool unrecognized_ = false;
    bool founder_ = true;
};

}  // namespace raft

#endif
