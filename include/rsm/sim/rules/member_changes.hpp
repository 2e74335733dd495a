// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Member changes: one at a time, by joint memberships; who is to vote is a learner until it has
// caught up (Raft paper, section 6; thesis, sections 4.1 to 4.3). And nobody leads or stands for
// election who has no vote; who was removed is let go, and only that one takes itself for removed.
#ifndef RSM_SIM_RULES_MEMBER_CHANGES_HPP
#define RSM_SIM_RULES_MEMBER_CHANGES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <string>

namespace rsm::inline v0::sim {

/// Whether the member may be the same one in both.
inline bool is_same(const raft::Member& before, const raft::Member& now) {
    return !before.instance || before.instance == now.instance;
}

/// What is wrong with a membership that takes the place of another one; null: nothing.
inline const char* wrong_step(const raft::Membership& before, const raft::Membership& next) {
    for (const raft::Member& was : before.members) {
        const raft::Member* const is = next.find(was.id);
        const bool votes = is != nullptr && votes_in_old(is->standing);
        if (votes_in_new(was.standing) != votes) return "is not joint with the one before";
        if (votes && !is_same(was, *is)) return "has a voter that is another instance";
    }
    for (const raft::Member& is : next.members) {
        const bool learns = !votes_in_old(is.standing) && !votes_in_new(is.standing);
        if (before.find(is.id) == nullptr && !learns) return "has a voter that was no learner";
    }
    return nullptr;
}

/// Since when the member of a membership has been one. @pre it is in that membership
inline raft::Index member_since(const raft::Log& log, Placed placed, const raft::Member& member,
                                const Chronicle& chronicle) {
    raft::Index since = placed.position.index;
    while (placed.position.index.value != 0) {
        placed = membership_before(log, placed, chronicle);
        const raft::Member* const was =
            placed.membership == nullptr ? nullptr : placed.membership->find(member.id);
        if (was == nullptr || !is_same(*was, member)) break;
        since = placed.position.index;
    }
    return since;
}
/// Who votes from the second of these on, which follows the first, and lacks what the log held when
/// it came; 0: nobody. @pre the node leads
inline raft::NodeId not_caught_up(const raft::Core& core, const Placed& before,
                                  const raft::Membership& next, const Chronicle& chronicle) {
    for (const raft::Member& is : next.members) {
        const raft::Member* const was = before.membership->find(is.id);
        const bool promoted = was != nullptr && votes_in_new(is.standing) &&
                              !votes_in_new(was->standing) && !votes_in_old(was->standing);
        if (!promoted || is.id == core.self()) continue;
        const raft::Index since = member_since(core.log(), before, *was, chronicle);
        const auto has = [&](const raft::Progress& follower) {
            return follower.node == is.id && follower.match >= since;
        };
        if (!std::ranges::any_of(core.followers(), has)) return is.id;
    }
    return {};
}

/// A leader has appended memberships behind the index. @pre the node leads
inline Broken member_changes(const raft::Core& core, raft::Index behind,
                             const Chronicle& chronicle) {
    const raft::Log& log = core.log();
    const Placed next = membership_up_to(log, log.last_index(), chronicle);
    const bool appended = next.position.index > behind && next.position.term == core.term();
    if (!appended) return {};
    const auto wrong = [&](const std::string& what) {
        return Violation{"member changes",
                         "the membership of " + detail::node_text(core.self()) + " at index " +
                             detail::text(next.position.index) + " " + what,
                         {core.self()}};
    };
    const Placed before = membership_before(log, next, chronicle);
    if (before.membership == nullptr) return {};
    const bool current = log.term_at(log.commit()) == core.term();
    if (!current) return wrong("comes before anything of its term is committed");
    if (before.position.index > log.commit()) return wrong("follows one that is not committed");
    const char* const step = wrong_step(*before.membership, *next.membership);
    if (step != nullptr) return wrong(step);
    const raft::NodeId newcomer = not_caught_up(core, before, *next.membership, chronicle);
    if (newcomer) return wrong("gives a vote to " + detail::node_text(newcomer) + " too early");
    return {};
}

/// Until it is committed, a membership without the node may be taken back; and a leader that goes
/// brings what it has begun to its end.
inline Broken has_a_vote(const raft::Core& core, const Chronicle& chronicle) {
    if (core.role() == raft::Role::follower) return {};
    const raft::Log& log = core.log();
    const bool leads = core.role() == raft::Role::leader;
    Placed placed = membership_up_to(log, log.last_index(), chronicle);
    if (leads && placed.position.index > log.commit()) return {};
    while (placed.membership != nullptr) {
        const raft::Member* const own = placed.membership->find(core.self());
        const bool votes =
            own != nullptr && (votes_in_old(own->standing) || votes_in_new(own->standing));
        if (votes) return {};
        if (placed.position.index <= log.commit()) {
            return Violation{"member changes",
                             detail::node_text(core.self()) +
                                 (leads ? " leads" : " stands for election") + " and has no vote",
                             {core.self()}};
        }
        placed = membership_before(log, placed, chronicle);
    }
    return {};
}

/// A leader that speaks has let go of who was removed long ago. `now` is its clock.
inline Broken lets_go_of_leavers(const raft::Core& core, raft::Time now,
                                 raft::Duration election_timeout) {
    for (const raft::Progress& follower : core.followers()) {
        const auto& departure = follower.departure;
        if (!departure || departure->index > core.log().commit()) continue;
        if (now - departure->since < 16 * election_timeout) continue;
        return Violation{"member changes",
                         detail::node_text(core.self()) + " does not let go of " +
                             detail::node_text(follower.node) + ", which was removed long ago",
                         {core.self(), follower.node}};
    }
    return {};
}

/// Who takes itself for removed was removed: some membership that was committed is without it, and
/// is not older than what its log says.
inline Broken removed_rightly(const raft::Core& core, const Chronicle& chronicle) {
    const raft::Configuration& known = core.configuration();
    if (!known.is_excluded() || known.is_unrecognized()) return {};
    const raft::Log& log = core.log();
    const Placed own = membership_up_to(log, log.last_index(), chronicle);
    const auto is_committed = [&chronicle](raft::LogPosition position) {
        const auto place = position.index.value - 1;
        return place < chronicle.committed.size() && chronicle.committed[place] == position.term;
    };
    const bool is_known = own.position.index.value != 0 && is_committed(own.position);
    const bool founded = chronicle.founding && chronicle.founding->contains(core.self());
    if (!is_known && !founded) return {};
    const raft::LogPosition from = is_known ? own.position : raft::LogPosition{};
    auto one = chronicle.memberships.lower_bound(from);
    for (; one != chronicle.memberships.end(); ++one) {
        if (is_committed(one->first) && !one->second.contains(core.self())) return {};
    }
    return Violation{"member changes",
                     detail::node_text(core.self()) + " takes itself for removed, and is a member",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
