// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What members tell each other of their state machines, so that whoever drives them finds out
// whether they are equal. What the marks mean the algorithm does not know: it sees to it that a
// leader hears its followers, and a follower the leader of its term.
#ifndef RSM_RAFT_RULES_COMPARISON_HPP
#define RSM_RAFT_RULES_COMPARISON_HPP

#include <raft/parts/reign.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <utility>

namespace raft::inline v0 {

/// What is late is left: of marks newer ones come.
inline void take_marks(const Step& step, const Office& office, NodeId from, StateMarks& told) {
    if (told.term != step.term()) return;
    const bool heard = is_leaders(told.kind) ? !office.leads() && office.leader(step.self) == from
                                             : office.leads();
    if (heard) step.out.marks.push_back({from, told.kind, std::move(told.marks)});
}

/// Marks are of what is committed and applied, so they wait for no write but the term's.
inline void tell_marks(const Step& step, const Office& office, TellMarks& told) {
    const bool may = is_leaders(told.kind)
                         ? office.leads() && told.to != step.self
                         : !office.leads() && told.to && office.leader(step.self) == told.to;
    if (may) step.send(told.to, StateMarks{step.term(), told.kind, std::move(told.marks)});
}

}  // namespace raft

#endif
