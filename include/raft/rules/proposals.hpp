// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What clients ask a leader to replicate.
#ifndef RSM_RAFT_RULES_PROPOSALS_HPP
#define RSM_RAFT_RULES_PROPOSALS_HPP

#include <raft/base/bytes.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <cstddef>
#include <utility>

namespace raft::inline v0 {

/// "If command received from client: append entry to local log" (Figure 2).
inline void append_own(const Step& step, Budget& budget, Log& log, EntryKind kind, Bytes payload) {
    Entry entry{log.last_index() + 1, step.term(), kind, std::move(payload)};
    budget.spend(footprint(entry));
    log.append(std::move(entry));
}

/// Sees to an entry of the leader's own term: without one it does not know what is committed, and
/// may not change the members.
inline void ensure_own_entry(const Step& step, Budget& budget, Log& log) {
    if (log.last().term != step.term()) append_own(step, budget, log, EntryKind::barrier, {});
}

/// Takes a proposal on, or refuses it: answered at once, "respond after entry applied" is for the
/// one who asked.
inline void propose(const Step& step, Office& office, Log& log, Room& room, Propose& proposal) {
    ProposalOutcome outcome{proposal.token, Refusal::none, {}};
    const std::size_t size = proposal.payload.size();
    Reign* reign = office.reign();
    if (reign == nullptr) {
        outcome.refusal = Refusal::not_leader;
    } else if (reign->handover) {
        outcome.refusal = Refusal::handing_over;
    } else if (size > step.options.max_entry_bytes) {
        outcome.refusal = Refusal::too_large;
    } else if (reign->budget.spent() + size + entry_overhead_bytes >
               step.options.max_uncommitted_bytes) {
        outcome.refusal = Refusal::overloaded;
    } else if (room.none()) {
        outcome.refusal = Refusal::log_full;
        // What fills it may be of an earlier term, and is committed by an entry of this one.
        ensure_own_entry(step, reign->budget, log);
    } else {
        room.take(size + entry_overhead_bytes);
        append_own(step, reign->budget, log, EntryKind::operation, std::move(proposal.payload));
        outcome.position = log.last();
    }
    step.out.proposals.push_back(outcome);
}

}  // namespace raft

#endif
