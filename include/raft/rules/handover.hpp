// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a leader passes leadership on: because it is asked to, because a voter is there that has room
// on its disk or a higher priority, or because it is a voter no more (thesis, section 3.10 and
// 4.2.2).
#ifndef RSM_RAFT_RULES_HANDOVER_HPP
#define RSM_RAFT_RULES_HANDOVER_HPP

#include <raft/parts/configuration.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/membership.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace raft::inline v0 {

/// One that could lead.
struct Successor {
    NodeId node;
    Index match;
    std::uint32_t priority = 0;
    bool is_close = false;  ///< it has all that is committed
    bool has_room = true;   ///< on its disk

    /// Where it can be brought up to date first, the priority counts, after room on the disk.
    static bool by_priority(const Successor& one, const Successor& other) {
        if (one.is_close != other.is_close) return other.is_close;
        if (one.has_room != other.has_room) return other.has_room;
        if (one.priority != other.priority) return one.priority < other.priority;
        return one.match < other.match;
    }
    /// At once the longest log wins.
    static bool by_match(const Successor& one, const Successor& other) {
        if (one.match != other.match) return one.match < other.match;
        return one.priority < other.priority;
    }
};

/// Whether leadership is better with another voter than with this leader: with one that has room on
/// its disk, and of those, or of those that have none, with the one of the higher priority.
inline bool leads_better(const Step& step, bool has_room, std::uint32_t priority) {
    const Member* const own = step.membership().find(step.self);
    if (own == nullptr) return false;
    if (has_room != !step.disk.full) return has_room;
    return priority > own->priority;
}

/// Of those who could lead and are heard of, the one that does best; 0: nobody could.
inline Successor best_successor(const Step& step, const Reign& reign, const Log& log,
                                bool (*is_less)(const Successor&, const Successor&)) {
    Successor best;
    for (const Progress& follower : reign.followers) {
        const Member* const member = step.membership().find(follower.node);
        const bool votes = member != nullptr && member->votes_in_new();
        if (!votes || !follower.is_able() || !is_heard(step, reign, follower.node)) continue;
        const bool is_close =
            follower.state == ProgressState::replicate && follower.match >= log.commit();
        const Successor found{follower.node, follower.match, member->priority, is_close,
                              !follower.disk_full};
        if (!best.node || is_less(best, found)) best = found;
    }
    return best;
}

inline void end_handover(const Step& step, Reign& reign, HandoverResult result) {
    const Token token = reign.handover->token;
    reign.handover.reset();
    if (token != 0) step.out.handovers.push_back({token, result});
}

/// Leadership transfer, step 1: "the prior leader stops accepting new client requests" (see
/// propose()). What the leader does by itself gives way.
inline void ask_handover(const Step& step, Office& office, const Log& log, const HandOver& asked) {
    Reign* const reign = office.reign();
    const auto answer = [&](HandoverResult result) {
        step.out.handovers.push_back({asked.token, result});
    };
    if (reign == nullptr) return answer(HandoverResult::not_leader);
    if (reign->handover && reign->handover->token != 0) return answer(HandoverResult::busy);
    if (asked.target == step.self) {
        reign->handover.reset();
        return answer(HandoverResult::done);
    }
    const NodeId target = asked.target
                              ? asked.target
                              : best_successor(step, *reign, log, Successor::by_priority).node;
    if (!target) return answer(HandoverResult::no_successor);
    const Member* const member = step.membership().find(target);
    if (member == nullptr || !member->votes_in_new()) return answer(HandoverResult::no_voter);
    const Progress* const successor = reign->find(target);
    const bool can_lead = successor != nullptr && successor->is_able();
    if (!can_lead || !is_heard(step, *reign, target)) return answer(HandoverResult::no_successor);
    reign->handover =
        Handover{asked.token, target, saturated_sum(step.now, asked.patience), std::nullopt};
}

/// Whether another one could win an election now. A vote has to be written, for which a disk that
/// has no room may wait; a leader whose disk hangs for another reason leads no more.
inline bool could_be_elected(const Step& step, const Reign& reign) {
    return step.membership().has_quorum([&](NodeId node) {
        if (node == step.self) return !step.disk.full;
        const Progress* const voter = reign.find(node);
        return voter != nullptr && !voter->disk_stalled && is_heard(step, reign, node);
    });
}

/// "The prior leader sends a TimeoutNow request to the target server" (step 3) once that "fully
/// updates the target server's log to match its own" (step 2). Asked again at heartbeats, for
/// messages may be lost, and given up at the deadline, or when the target has lost its vote or its
/// disk hangs. What the leader does by itself must end in an election, of one that leads better.
inline void advance_handover(const Step& step, Reign& reign, const Log& log) {
    if (!reign.handover) return;
    Handover& handover = *reign.handover;
    const Progress* const target = reign.find(handover.target);
    const Member* const member = step.membership().find(handover.target);
    if (target == nullptr || member == nullptr || !member->votes_in_new()) {
        return end_handover(step, reign, HandoverResult::no_voter);
    }
    const bool in_vain =
        handover.token == 0 && (!leads_better(step, !target->disk_full, member->priority) ||
                                !could_be_elected(step, reign));
    if (target->disk_stalled || in_vain) {
        return end_handover(step, reign, HandoverResult::no_successor);
    }
    if (step.now >= handover.deadline) {
        return end_handover(step, reign, HandoverResult::timed_out);
    }
    const bool asked_lately =
        handover.asked_at && step.now - *handover.asked_at < step.options.heartbeat_interval;
    if (target->is_doubtful() || target->match != log.last_index() || asked_lately) return;
    handover.asked_at = step.now;
    step.send(target->node, TimeoutNow{step.term()});
}

/// The reign ends: as was asked for, if it is another term that has begun.
inline void end_handover_with_reign(const Step& step, Reign& reign, bool succeeded) {
    if (!reign.handover) return;
    end_handover(step, reign, succeeded ? HandoverResult::done : HandoverResult::interrupted);
}

// ---- who is to lead --------------------------------------------------------------------------

/// The first pause is `first`, in election timeouts. @pre the node has just become the leader
inline void begin_patience(const Step& step, Patience& patience, int first) {
    const bool is_long_ago = step.now > saturated_sum(patience.look_at, patience.pause);
    const Duration least = first * step.options.election_timeout;
    patience.pause = is_long_ago ? least : std::max(least, patience.pause);
    patience.look_at = saturated_sum(step.now, patience.pause);
}
/// The next pause is twice as long, up to `longest`, in election timeouts.
inline void spend_patience(const Step& step, Patience& patience, int longest) {
    patience.pause = std::min(2 * patience.pause, longest * step.options.election_timeout);
    patience.look_at = saturated_sum(step.now, patience.pause);
}

/// The first pause is long enough for a node that comes and goes not to take leadership each time.
/// A leader without room refuses what clients ask for, so that has more haste. @pre the node has
/// just become the leader
inline void begin_preference(const Step& step, Preference& preference) {
    begin_patience(step, preference.priority, 8);
    begin_patience(step, preference.room, 1);
}

/// Leadership is for the voter with which it is best, as soon as that one could take it at once. A
/// leader whom no other could follow serves at least reads.
inline void prefer_successor(const Step& step, Reign& reign, Preference& preference,
                             const Log& log) {
    if (reign.handover || reign.change || step.membership().joint()) return;
    const Successor best = best_successor(step, reign, log, Successor::by_priority);
    if (!best.is_close || !leads_better(step, best.has_room, best.priority)) return;
    const bool for_room = best.has_room && step.disk.full;
    Patience& patience = for_room ? preference.room : preference.priority;
    if (step.now < patience.look_at || !could_be_elected(step, reign)) return;
    spend_patience(step, patience, for_room ? 16 : 128);
    const Time deadline = saturated_sum(step.now, step.options.election_timeout);
    reign.handover = Handover{0, best.node, deadline, std::nullopt};
}

}  // namespace raft

#endif
