// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// State machine safety: what is committed at an index is the same for everybody, for ever (Raft
// paper, section 5.4.3).
#ifndef RSM_SIM_RULES_STATE_MACHINE_SAFETY_HPP
#define RSM_SIM_RULES_STATE_MACHINE_SAFETY_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// A node commits an index that was committed before. @pre it was
inline Broken commits_the_same(const raft::Core& core, raft::Index index,
                               const Chronicle& chronicle) {
    const raft::Term term = *core.log().term_at(index);
    const raft::Term committed = chronicle.committed[index.value - 1];
    if (committed == term) return {};
    return Violation{"state machine safety",
                     detail::node_text(core.self()) + " commits index " + detail::text(index) +
                         " of term " + detail::text(term) + "; committed was that of term " +
                         detail::text(committed),
                     {core.self()}};
}

/// A node's snapshot, and where its log begins, are of what was committed.
inline Broken snapshot_of_the_committed(const raft::Core& core, const Look& before,
                                        const Chronicle& chronicle) {
    const raft::LogPosition snapshot = core.snapshot().last;
    const raft::LogPosition base = core.log().base();
    if (snapshot.index == before.snapshot && base == before.base) return {};
    const auto is_committed = [&](raft::LogPosition position) {
        if (position.index.value == 0) return true;
        return position.index.value <= chronicle.committed.size() &&
               chronicle.committed[position.index.value - 1] == position.term;
    };
    if (is_committed(snapshot) && is_committed(base)) return {};
    return Violation{"state machine safety",
                     detail::node_text(core.self()) + " has a snapshot of what was not committed",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
