// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Leader append-only: a leader never removes or replaces entries of its log (Raft paper,
// section 5.3).
#ifndef RSM_SIM_RULES_LEADER_APPEND_ONLY_HPP
#define RSM_SIM_RULES_LEADER_APPEND_ONLY_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// @param before  when both it and now the node leads the same term
inline Broken leader_append_only(const raft::Core& core, const Look& before) {
    const raft::Log& log = core.log();
    const bool shorter = log.last_index() < before.last.index;
    const bool covered = before.last.index >= log.base().index;
    if (!shorter && (!covered || log.matches(before.last))) return {};
    return Violation{"leader append-only", detail::node_text(core.self()), {core.self()}};
}
/// The same of an event. @param seen  of the node, before
inline Broken leader_append_only(raft::NodeId id, const raft::Event& event, const Look& seen) {
    if (event.kind != raft::EventKind::log_truncated) return {};
    if (seen.role != raft::Role::leader || seen.term != event.term) return {};
    return Violation{"leader append-only", detail::node_text(id) + " truncated its log", {id}};
}

}  // namespace rsm::sim

#endif
