// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who belongs to a cluster that is explored, who may come to, and what is known of that without the
// help of the rules that are explored.
#ifndef RSM_TESTS_MODEL_MEMBERS_HPP
#define RSM_TESTS_MODEL_MEMBERS_HPP

#include "node_state.hpp"

#include <raft/proof/state_digest.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace model {

/// What a node takes to be decided by the members that are in force for it: its election, or that
/// all up to a position is committed.
struct Claim {
    bool elected = false;
    LogPosition position;  // elected: its term
    Membership members;
};

class Members {
public:
    explicit Members(const Setup& setup) : founding_(test::voters(setup.founders_count())) {
        Membership target = founding_;
        if (!setup.target.empty()) {
            std::vector<NodeId> ids;
            for (const std::uint32_t id : setup.target) ids.push_back({id});
            target = Membership::of_voters(ids);
        }
        targets_ = {target, founding_};
        add_way(founding_, target);
        add_way(target, founding_);
    }

    const Membership& founding() const { return founding_; }
    /// 0: that of the setup; 1: the founders.
    const Membership& target(std::uint32_t number) const { return targets_[number]; }
    static constexpr std::uint32_t target_count = 2;

    /// What an entry is for, in four bits: an operation, one of the memberships that there are on
    /// the ways between the founders and the target, or a barrier. 0: none of these.
    std::uint8_t purpose(const Entry& entry) const {
        if (entry.kind == EntryKind::barrier) return barrier;
        if (entry.kind == EntryKind::operation) {
            return static_cast<std::uint8_t>(1 + (entry.payload.text()[0] - 'a'));
        }
        const auto membership = codec::decode_membership(entry.payload);
        const auto found = std::ranges::find(known_, membership.value_or(Membership{}));
        if (found == known_.end()) return 0;
        return static_cast<std::uint8_t>(first_membership + (found - known_.begin()));
    }
    std::uint8_t code(const Entry& entry) const {
        return static_cast<std::uint8_t>((entry.term.value << 4U) | purpose(entry));
    }

    /// The last membership in what the node has begun to write, whether committed or not; or the
    /// last up to an index.
    Configuration::Change in_force(const NodeState& node, Index until = max_index) const {
        const Disk disk = node.begun();
        for (auto entry = disk.log.rbegin(); entry != disk.log.rend(); ++entry) {
            if (entry->kind != EntryKind::membership || entry->index > until) continue;
            return {entry->index, *codec::decode_membership(entry->payload)};
        }
        const SnapshotMeta newest = node.newest();
        if (!newest.empty()) return {newest.last.index, newest.membership};
        return {Index{}, founding_};
    }

private:
    static constexpr std::uint8_t first_membership = 9;
    static constexpr std::uint8_t barrier = 15;

    void add_way(const Membership& from, const Membership& to) {
        const Membership introduced = with_learners_of(from, to);
        for (const Membership& each : {from, introduced, enter_joint(introduced, to)}) {
            if (std::ranges::find(known_, each) == known_.end()) known_.push_back(each);
        }
    }

    Membership founding_;
    std::array<Membership, target_count> targets_;
    std::vector<Membership> known_;
};

/// Whether the nodes for which `agrees(NodeId)` holds are a majority of the new voters, and one of
/// the old. Counted here once more, for Membership's own counting is what is explored.
template <class Predicate>
bool have_majorities(const Membership& members, Predicate agrees) {
    int votes_new = 0;  // those for, less those against
    int votes_old = 0;
    for (const Member& member : members.members) {
        const int vote = agrees(member.id) ? 1 : -1;
        const Standing standing = member.standing;
        const bool in_both = standing == Standing::voter;
        if (in_both || standing == Standing::incoming) votes_new += vote;
        if (in_both || standing == Standing::outgoing || standing == Standing::demoted) {
            votes_old += vote;
        }
    }
    return votes_new > 0 && votes_old > 0;
}

// ---- faults to be found ----------------------------------------------------------------------

/// What a node's configuration would be by rules that are not Raft's.
inline void break_rules(NodeState& node, Sabotage sabotage) {
    Configuration& configuration = Anatomy::configuration(node.core);
    const Configuration::Change latest = configuration.latest_change();
    const Index commit = node.core.log().commit();
    const auto replace_latest = [&](Index index, Membership membership) {
        configuration.truncate_from(latest.index);
        configuration.append(index, std::move(membership));
    };
    if (sabotage == Sabotage::skip_joint && latest.membership.joint()) {
        replace_latest(latest.index, leave_joint(latest.membership));
    }
    if (sabotage == Sabotage::leave_early && latest.membership.joint() && latest.index > commit) {
        replace_latest(commit, latest.membership);
    }
    if (sabotage != Sabotage::members_late) return;
    if (node.core.role() != Role::leader) configuration.truncate_from(commit + 1);
    for (const Entry& entry : node.begun().log) {
        const bool is_news = entry.index > configuration.latest_at() && entry.index <= commit;
        if (entry.kind != EntryKind::membership || !is_news) continue;
        configuration.append(entry.index, *codec::decode_membership(entry.payload));
    }
}

}  // namespace model

#endif
