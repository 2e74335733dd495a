// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a leader changes the members: newcomers catch up as learners, then the old and the new voters
// decide together (Raft paper, section 6; thesis, sections 4.2 and 4.3).
#ifndef RSM_RAFT_RULES_MEMBER_CHANGE_HPP
#define RSM_RAFT_RULES_MEMBER_CHANGE_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/membership.hpp>
#include <raft/rules/proposals.hpp>
#include <raft/rules/version_agreement.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

// ---- the way from one membership to another --------------------------------------------------

/// What a joint membership becomes once it is committed: "C_new" of the paper.
inline Membership leave_joint(const Membership& joint) {
    Membership decided;
    decided.version = joint.version;
    for (Member member : joint.members) {
        if (member.standing == Standing::outgoing) continue;
        if (member.standing == Standing::suspended) {
            member.standing = Standing::returning;
        } else if (member.is_joint()) {
            member.standing = member.votes_in_new() ? Standing::voter : Standing::learner;
        }
        decided.members.push_back(std::move(member));
    }
    return decided;
}

inline bool is_replaced(const Member& present, const Member& wanted) {
    return present.instance && wanted.instance && present.instance != wanted.instance;
}

/// Ends the votes of those whose place another instance is to take, or who are to earn them anew:
/// who has promised nothing, or has forgotten what it has, begins as a learner, of whom it stays
/// known that it is to vote.
inline Membership without_replaced_voters(const Membership& present, const Membership& target) {
    Membership next = present;
    for (Member& member : next.members) {
        const Member* const wanted = target.find(member.id);
        const bool begins_anew = wanted != nullptr && (is_replaced(member, *wanted) ||
                                                       wanted->standing == Standing::returning);
        if (begins_anew && member.votes()) member.standing = Standing::suspended;
    }
    return next;
}

/// Everything but who votes: newcomers are there as learners, and nobody is a learner whom the
/// target does not know.
inline Membership with_learners_of(const Membership& present, const Membership& target) {
    Membership next = present;
    std::erase_if(next.members, [&target](const Member& member) {
        return !member.votes() && !target.contains(member.id);
    });
    for (Member wanted : target.members) {
        const Member* const member = next.find(wanted.id);
        const bool is_new = member == nullptr;
        if (!is_new && (member->votes() || wanted.votes())) wanted.standing = member->standing;
        if (is_new && wanted.votes()) wanted.standing = Standing::learner;
        if (!wanted.instance && member != nullptr) wanted.instance = member->instance;
        next.put(std::move(wanted));
    }
    return next;
}

/// "C_old,new" of the paper. @pre everybody in the target is in `present`
inline Membership enter_joint(const Membership& present, const Membership& target) {
    Membership joint = present;
    for (Member& member : joint.members) {
        const Member* const wanted = target.find(member.id);
        const bool stays = wanted != nullptr && wanted->votes();
        if (stays && !member.votes()) member.standing = Standing::incoming;
        if (stays || !member.votes()) continue;
        member.standing = wanted == nullptr ? Standing::outgoing : Standing::demoted;
    }
    return joint;
}

/// Whether nothing is left to do: those who are wanted, and nobody else, are there as is wanted.
/// Where the target does not tell an instance, any will do.
inline bool has_reached(const Membership& present, const Membership& target) {
    const auto as_wanted = [](const Member& is, const Member& wanted) {
        return is.standing == wanted.standing;
    };
    return std::equal(present.members.begin(), present.members.end(), target.members.begin(),
                      target.members.end(), as_wanted) &&
           with_learners_of(present, target) == present;
}

// ---- asking for one --------------------------------------------------------------------------

/// Whether those who are heard, and newcomers, of whom nothing is known yet, could decide the
/// change.
inline bool can_decide(const Step& step, const Reign& reign, const Membership& target) {
    const Membership& present = step.membership();
    const auto heard = [&](NodeId node) { return is_heard(step, reign, node); };
    const auto heard_or_new = [&](NodeId node) {
        const Member* const member = present.find(node);
        return member == nullptr || is_replaced(*member, *target.find(node)) || heard(node);
    };
    return present.has_quorum(heard) && target.has_quorum(heard_or_new);
}

/// Whether the target is a membership that is no step on the way to another, and can be come to.
inline bool is_possible(const Membership& present, const Membership& target) {
    if (!target.valid() || target.joint()) return false;
    // Everybody is a member at once for a while.
    const Membership without = without_replaced_voters(present, target);
    return without.valid() && with_learners_of(without, target).valid();
}

inline void end_change(const Step& step, Reign& reign, ChangeResult result, Index index = {}) {
    const MemberChange ended = *std::exchange(reign.change, std::nullopt);
    for (Progress& follower : reign.followers) follower.catch_up.reset();
    if (ended.token != 0) step.out.changes.push_back({ended.token, result, index});
}

/// What the leader does by itself gives way, for it begins that again.
inline void ask_change(const Step& step, Office& office, Log& log, ChangeMembers& asked) {
    Reign* const reign = office.reign();
    asked.target.sort();
    const auto refusal = [&]() -> std::optional<ChangeResult> {
        if (reign == nullptr) return ChangeResult::not_leader;
        const bool is_changing = reign->change && reign->change->token != 0;
        const bool leaves = !step.membership().is_voter(step.self);
        if (is_changing || leaves || step.membership().joint()) return ChangeResult::busy;
        if (!is_possible(step.membership(), asked.target)) return ChangeResult::invalid;
        const bool decidable = asked.forced || can_decide(step, *reign, asked.target);
        if (!decidable) return ChangeResult::unreachable;
        return std::nullopt;
    }();
    if (refusal) return step.out.changes.push_back({asked.token, *refusal, {}});
    if (reign->change) end_change(step, *reign, ChangeResult::cancelled);
    if (reign->handover && reign->handover->token == 0) reign->handover.reset();
    ensure_own_entry(step, reign->budget, log);
    reign->change = MemberChange{asked.token,
                                 std::move(asked.target),
                                 step.membership(),
                                 asked.forced,
                                 saturated_sum(step.now, asked.patience),
                                 std::nullopt};
}

/// Until it is joint: then it is the members' to decide, and cannot fail any more.
inline void give_up_change(const Step& step, Reign& reign, ChangeResult why) {
    MemberChange& change = *reign.change;
    if (change.given_up || step.membership().joint()) return;
    change.given_up = why;
    change.target = step.membership();
    std::erase_if(change.target.members, [&change](const Member& member) {
        const Member* const before = change.before.find(member.id);
        const bool is_new = before == nullptr || is_replaced(*before, member);
        return is_new && member.standing == Standing::learner;
    });
}

inline void cancel_change(const Step& step, Office& office, const CancelChange& cancel) {
    Reign* const reign = office.reign();
    if (reign == nullptr || !reign->change || reign->change->token != cancel.token) return;
    give_up_change(step, *reign, ChangeResult::cancelled);
}

// ---- coming forward --------------------------------------------------------------------------

/// "If the round lasts less than an election timeout, the leader adds the new server to the
/// cluster" (thesis, section 4.2.1). Returns whether the last one did.
inline bool has_caught_up(const Step& step, Progress& newcomer, const Log& log) {
    if (!newcomer.catch_up) newcomer.catch_up = CatchUpRound{log.last_index(), step.now, false};
    CatchUpRound& round = *newcomer.catch_up;
    if (newcomer.match >= round.goal) {
        const bool close = step.now - round.began < step.options.election_timeout;
        round = {log.last_index(), step.now, close};
    }
    const bool is_late = step.now - round.began >= step.options.election_timeout;
    return round.close && !is_late && !step.is_silent(newcomer.last_contact);
}

inline bool have_caught_up(const Step& step, Reign& reign, const Log& log,
                           const Membership& target) {
    bool all = true;
    for (const Member& wanted : target.members) {
        if (!wanted.votes() || step.membership().is_voter(wanted.id)) continue;
        Progress* const newcomer = reign.find(wanted.id);
        const bool there = newcomer != nullptr && has_caught_up(step, *newcomer, log);
        all = all && there;
    }
    return all;
}

/// The next membership on the way to the target; nothing while newcomers have to catch up.
inline std::optional<Membership> next_membership(const Step& step, Reign& reign, const Log& log,
                                                 const MemberChange& change) {
    const Membership& present = step.membership();
    Membership next = without_replaced_voters(present, change.target);
    if (next == present) next = with_learners_of(present, change.target);
    if (next != present) return next;
    if (!have_caught_up(step, reign, log, change.target)) return std::nullopt;
    if (!change.forced && !can_decide(step, reign, change.target)) return std::nullopt;
    return enter_joint(present, change.target);
}

/// For how long a node that is taken in again may catch up before that begins anew.
inline Duration readmission_patience(const Step& step) {
    return 32 * step.options.election_timeout;
}

inline void append_membership(const Step& step, Reign& reign, Log& log,
                              Configuration& configuration, const Membership& membership) {
    append_own(step, reign.budget, log, EntryKind::membership, codec::encode(membership));
    configuration.append(log.last_index(), membership);
    enlist(step, reign, log);
}

/// Which instance bears the id of a member, where it is not known yet and has been heard of.
inline void note_instances(const Step& step, const Reign& reign, Membership& target) {
    for (Member& member : target.members) {
        const Member* const present = step.membership().find(member.id);
        if (member.instance || present == nullptr || present->instance) continue;
        const Progress* const follower = reign.find(member.id);
        member.instance = follower == nullptr ? step.instance : follower->claimed;
    }
}

/// Whether another node than the member answers to the id, and the member does not: one answer may
/// be a late one, of a node that the member has taken the place of.
inline bool is_taken_over(const Step& step, const Progress& follower) {
    return follower.is_another() &&
           step.now - follower.claimed_at >= 2 * step.options.heartbeat_interval;
}

/// None is taken in again and again, for two may claim one id.
inline bool may_be_taken_in(const Step& step, const Reign& reign, const Progress& follower) {
    const auto is_it = [&follower](const Readmission& past) { return past.node == follower.node; };
    return is_taken_over(step, follower) &&
           std::none_of(reign.readmissions.begin(), reign.readmissions.end(), is_it);
}

/// Those who have lost their vote only until they are there again get it back, once they are heard.
/// Returns whether there are any.
inline bool restore_votes(const Step& step, const Reign& reign, Membership& target) {
    bool any = false;
    for (Member& member : target.members) {
        const Progress* const follower = reign.find(member.id);
        if (member.standing != Standing::returning || follower == nullptr) continue;
        const bool is_taken = may_be_taken_in(step, reign, *follower);
        if (!is_taken && !is_heard(step, reign, member.id)) continue;
        if (is_taken) member.instance = follower->claimed;
        member.standing = Standing::voter;
        any = true;
    }
    return any;
}

/// A node that bears the id of a member which was another is taken in anew, as a learner first:
/// what that one had promised, it has forgotten. One at a time. Returns whether there is one.
inline bool readmit(const Step& step, const Reign& reign, Membership& target) {
    for (const Progress& follower : reign.followers) {
        Member* const member = target.find(follower.node);
        if (member == nullptr || !may_be_taken_in(step, reign, follower)) continue;
        member->instance = follower.claimed;
        return true;
    }
    return false;
}

/// Whether those who vote in it are a majority of all that are to vote.
inline bool keeps_majority(const Membership& target) {
    std::size_t votes = 0;
    std::size_t all = 0;
    for (const Member& member : target.members) {
        votes += member.votes() ? 1U : 0U;
        all += member.standing == Standing::learner ? 0U : 1U;
    }
    return votes > all / 2;
}

/// A voter that has lost entries which it had acknowledged may have lost votes, too, which no file
/// tells. It votes no more until it has caught up, if the others can do without it: a quorum of
/// them has acknowledged an entry of after the loss. No more at once than leave a majority.
/// Returns whether there is one.
inline bool suspend(const Step& step, Reign& reign, Log& log, Membership& target) {
    for (Progress& follower : reign.followers) {
        Member* const member = target.find(follower.node);
        if (!follower.lost_before || member == nullptr || !member->votes()) continue;
        if (log.last_index() < *follower.lost_before) {
            append_own(step, reign.budget, log, EntryKind::barrier, {});
        }
        const Standing before = std::exchange(member->standing, Standing::returning);
        const bool is_proven = target.has_quorum([&](NodeId node) {
            return reign.of_node(node, step.self, &Progress::match, log.durable()) >=
                   *follower.lost_before;
        });
        const bool is_possible = keeps_majority(target);
        if (is_possible && is_proven) return true;
        member->standing = before;
        // Of two neither is elected without the other, and it has all again.
        const bool is_over = !is_possible && follower.match >= *follower.lost_before;
        if (is_over && target.members.size() <= 2) follower.lost_before.reset();
    }
    return false;
}

/// What a leader changes without being asked.
inline std::optional<MemberChange> own_change(const Step& step, Reign& reign, Log& log) {
    const Membership& present = step.membership();
    const Time deadline = step.now + readmission_patience(step);
    MemberChange change{0, present, present, false, deadline, std::nullopt};
    note_instances(step, reign, change.target);
    if (change.target != present) return change;
    std::erase_if(reign.readmissions,
                  [&step](const Readmission& past) { return past.again_from <= step.now; });
    const auto can_be = [&] {
        return is_possible(present, change.target) && can_decide(step, reign, change.target);
    };
    if (suspend(step, reign, log, change.target) && can_be()) return change;
    change.target = present;
    const bool restores = restore_votes(step, reign, change.target) && can_be();
    if (!restores) {
        change.target = present;
        if (!readmit(step, reign, change.target) || !can_be()) return std::nullopt;
    }
    for (const Member& member : change.target.members) {
        const Member* const before = present.find(member.id);
        const bool is_another = before != nullptr && before->instance != member.instance;
        if (is_another) reign.readmissions.push_back({member.id, deadline});
    }
    return change;
}

/// Whether there is something that a leader changes without being asked.
inline bool finds_change(const Step& step, const Reign& reign) {
    for (const Member& member : step.membership().members) {
        const Progress* const follower = reign.find(member.id);
        const Instance claimed = follower == nullptr ? step.instance : follower->claimed;
        if (!member.instance && claimed) return true;
        if (member.standing == Standing::returning) return true;
        if (follower != nullptr && (follower->is_another() || follower->lost_before)) return true;
    }
    return false;
}

/// The reign ends: whoever leads next decides what becomes of it.
inline void interrupt_change(const Step& step, Reign& reign) {
    if (reign.change) end_change(step, reign, ChangeResult::interrupted);
}

/// Brings a change of members forward, and finishes one that an earlier leader has left joint. One
/// membership at a time, and none before an entry of the leader's own term is committed: else two
/// leaders' memberships could each have a majority that the other does not know.
inline void advance_change(const Step& step, Reign& reign, Log& log, Configuration& configuration) {
    const auto finds = [&] { return finds_change(step, reign) || finds_version(step, reign); };
    if (log.last().term != step.term() && finds()) {
        ensure_own_entry(step, reign.budget, log);
    }
    const bool current = log.term_at(log.commit()) == step.term();
    if (!current || !is_settled(configuration, log)) return;
    if (step.membership().joint()) {
        return append_membership(step, reign, log, configuration, leave_joint(step.membership()));
    }
    if (finds_version(step, reign)) {
        Membership next = step.membership();
        next.version = version_all_read(step, reign);
        return append_membership(step, reign, log, configuration, next);
    }
    // One that is removed gives way when that is committed, and finds nothing more to change: else
    // it would lead on, and take on operations whose end nobody tells it.
    const bool stays = step.membership().is_voter(step.self);
    if (!reign.change && stays) reign.change = own_change(step, reign, log);
    if (!reign.change) return;
    MemberChange& change = *reign.change;
    if (stays) note_instances(step, reign, change.target);
    if (has_reached(step.membership(), change.target)) {
        const ChangeResult result = change.given_up.value_or(ChangeResult::done);
        return end_change(step, reign, result, configuration.latest_at());
    }
    if (!stays) return interrupt_change(step, reign);
    if (step.now >= change.deadline) give_up_change(step, reign, ChangeResult::too_slow);
    if (const auto next = next_membership(step, reign, log, change)) {
        append_membership(step, reign, log, configuration, *next);
    }
}

}  // namespace raft

#endif
