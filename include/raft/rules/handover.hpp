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
        const bool eligible = member != nullptr && member->votes_in_new() && !follower.is_another();
        if (!eligible || step.is_silent(follower.last_contact)) continue;
        if (best == nullptr || follower.match > best->match) best = &follower;
    }
    return best == nullptr ? NodeId{} : best->node;
}

/// Leadership transfer, step 1: "the prior leader stops accepting new client requests" (see
/// propose()).
inline void ask_handover(const Step& step, Office& office, const HandOver& asked) {
    Reign* const reign = office.reign();
    const auto refuse = [&](HandoverResult why) {
        step.out.handovers.push_back({asked.token, why});
    };
    if (reign == nullptr) return refuse(HandoverResult::not_leader);
    if (reign->handover) return refuse(HandoverResult::busy);
    const NodeId target = asked.target ? asked.target : best_successor(step, *reign);
    const Member* const member = step.membership().find(target);
    const bool eligible = member != nullptr && member->votes_in_new() && target != step.self;
    if (!eligible) return refuse(HandoverResult::no_successor);
    reign->handover = Handover{asked.token, target, step.now + asked.patience, std::nullopt};
}

/// "The prior leader sends a TimeoutNow request to the target server" (step 3) once that "fully
/// updates the target server's log to match its own" (step 2). Asked again at heartbeats, for
/// messages may be lost, and given up at the deadline.
inline void advance_handover(const Step& step, Reign& reign, const Log& log) {
    if (!reign.handover) return;
    Handover& handover = *reign.handover;
    const Progress* const target = reign.find(handover.target);
    if (target == nullptr || step.now >= handover.deadline) {
        step.out.handovers.push_back({handover.token, HandoverResult::timed_out});
        reign.handover.reset();
        return;
    }
    const bool asked_lately =
        handover.asked_at && step.now - *handover.asked_at < step.options.heartbeat_interval;
    if (target->match != log.last_index() || asked_lately) return;
    handover.asked_at = step.now;
    step.send(target->node, TimeoutNow{step.term()});
}

/// The reign ends, which is what was asked for.
inline void end_handover(const Step& step, Reign& reign) {
    if (!reign.handover) return;
    step.out.handovers.push_back({reign.handover->token, HandoverResult::done});
    reign.handover.reset();
}

}  // namespace raft

#endif
