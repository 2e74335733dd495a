// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Members in force: a node goes by the last membership of its log, committed or not (Raft paper,
// section 6), after truncations, restarts and snapshots, too; and a snapshot has the one of its
// index.
#ifndef RSM_SIM_RULES_MEMBERS_IN_FORCE_HPP
#define RSM_SIM_RULES_MEMBERS_IN_FORCE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

inline Broken members_in_force(const raft::Core& core, const Chronicle& chronicle) {
    const raft::Log& log = core.log();
    const auto wrong = [&core](const char* what, raft::Index index) {
        return Violation{"members in force",
                         detail::node_text(core.self()) + what + detail::text(index),
                         {core.self()}};
    };
    const Placed last = membership_up_to(log, log.last_index(), chronicle);
    if (last.membership != nullptr && core.membership() != *last.membership) {
        return wrong(" does not go by the membership of index ", last.position.index);
    }
    const raft::SnapshotMeta& snapshot = core.snapshot();
    if (snapshot.membership.empty() || snapshot.last.index > log.commit()) return {};
    const Placed covered = membership_up_to(log, snapshot.last.index, chronicle);
    if (covered.membership == nullptr || snapshot.membership == *covered.membership) return {};
    return wrong(" has a snapshot without the membership of index ", covered.position.index);
}

/// A node has recovered. What its disk holds, it may have written in the moment of its end, seen by
/// nobody.
inline void note_memberships(const raft::Core& core, Chronicle& chronicle) {
    const raft::Configuration& known = core.configuration();
    raft::Index index = known.latest_at();
    while (index > core.snapshot().last.index && index.value != 0) {
        const auto& change = known.change_at(index);
        const raft::LogPosition position{index, core.log().term_at(index).value_or(raft::Term{})};
        if (!chronicle.entries.contains(position)) {
            chronicle.memberships.try_emplace(position, change.membership);
        }
        index = known.change_at(index - 1).index;
    }
    if (!core.snapshot().empty() || chronicle.founding) return;
    chronicle.founding = known.at({});
}

}  // namespace rsm::sim

#endif
