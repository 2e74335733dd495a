// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a leader passes leadership on: because it is asked to, or because it is a voter no more
// (thesis, section 3.10 and 4.2.2).
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

#include <optional>

namespace raft::inline v0 {

/// Of those who could lead, are heard of and stream entries, the one that has most of the log.
inline NodeId best_successor(const Step& step, const Reign& reign) {
    const Progress* best = nullptr;
    for (const Progress& follower : reign.followers) {
        const Member* const member = step.membership().find(follower.node);
        const bool votes = member != nullptr && member->votes_in_new();
        if (!votes || !is_heard(step, reign, follower.node)) continue;
        if (best == nullptr || follower.match > best->match) best = &follower;
    }
    return best == nullptr ? NodeId{} : best->node;
}

/// Leadership transfer, step 1: "the prior leader stops accepting new client requests" (see
/// propose()).
inline void ask_handover(const Step& step, Office& office, const HandOver& asked) {
    Reign* const reign = office.reign();
    const auto answer = [&](HandoverResult result) {
        step.out.handovers.push_back({asked.token, result});
    };
    if (reign == nullptr) return answer(HandoverResult::not_leader);
    if (reign->handover) return answer(HandoverResult::busy);
    if (asked.target == step.self) return answer(HandoverResult::done);
    const NodeId target = asked.target ? asked.target : best_successor(step, *reign);
    if (!target) return answer(HandoverResult::no_successor);
    const Member* const member = step.membership().find(target);
    if (member == nullptr || !member->votes_in_new()) return answer(HandoverResult::no_voter);
    if (!is_heard(step, *reign, target)) return answer(HandoverResult::no_successor);
    reign->handover =
        Handover{asked.token, target, saturated_sum(step.now, asked.patience), std::nullopt};
}

/// "The prior leader sends a TimeoutNow request to the target server" (step 3) once that "fully
/// updates the target server's log to match its own" (step 2). Asked again at heartbeats, for
/// messages may be lost, and given up at the deadline, or when the target has lost its vote.
inline void advance_handover(const Step& step, Reign& reign, const Log& log) {
    if (!reign.handover) return;
    Handover& handover = *reign.handover;
    const auto end = [&](HandoverResult result) {
        step.out.handovers.push_back({handover.token, result});
        reign.handover.reset();
    };
    const Progress* const target = reign.find(handover.target);
    const Member* const member = step.membership().find(handover.target);
    if (target == nullptr || member == nullptr || !member->votes_in_new()) {
        return end(HandoverResult::no_voter);
    }
    if (step.now >= handover.deadline) return end(HandoverResult::timed_out);
    const bool asked_lately =
        handover.asked_at && step.now - *handover.asked_at < step.options.heartbeat_interval;
    if (target->match != log.last_index() || asked_lately) return;
    handover.asked_at = step.now;
    step.send(target->node, TimeoutNow{step.term()});
}

/// The reign ends: as was asked for, if it is another term that has begun.
inline void end_handover(const Step& step, Reign& reign, bool succeeded) {
    if (!reign.handover) return;
    const HandoverResult result = succeeded ? HandoverResult::done : HandoverResult::interrupted;
    step.out.handovers.push_back({reign.handover->token, result});
    reign.handover.reset();
}

}  // namespace raft

#endif
