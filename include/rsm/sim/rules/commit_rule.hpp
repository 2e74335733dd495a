// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The commit rule: only a leader extends what is committed, and ends with an entry of its own term
// (Raft paper, section 5.4.2).
#ifndef RSM_SIM_RULES_COMMIT_RULE_HPP
#define RSM_SIM_RULES_COMMIT_RULE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// A node commits an index that nobody has committed before.
inline Broken only_leaders_commit(const raft::Core& core, const Look& before, raft::Index index,
                                  const Chronicle& chronicle) {
    const bool leads = core.role() == raft::Role::leader || before.role == raft::Role::leader;
    if (leads && index.value == chronicle.committed.size() + 1) return {};
    return Violation{"commit rule",
                     detail::node_text(core.self()) + " commits index " + detail::text(index) +
                         ", which no leader has committed",
                     {core.self()}};
}

/// A leader commits up to an entry of that term.
inline Broken commits_own_term(const raft::Core& core, raft::Index end, raft::Term reign,
                               const Chronicle& chronicle) {
    const auto leader = chronicle.leaders.find(reign);
    if (leader != chronicle.leaders.end() && leader->second.node == core.self()) return {};
    return Violation{"commit rule",
                     detail::node_text(core.self()) + " commits up to index " + detail::text(end) +
                         ", which is not of its own term",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
