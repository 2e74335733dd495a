// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// States on disk: what a state machine has on its own disk is neither given to it again nor put
// back, and nothing is given to it that the node's own log could still lose.
#ifndef RSM_SIM_RULES_STATES_ON_DISK_HPP
#define RSM_SIM_RULES_STATES_ON_DISK_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <optional>
#include <string>

namespace rsm::inline v0::sim {

namespace detail {

inline Violation state_violation(raft::NodeId node, const std::string& what) {
    return {"states on disk", node_text(node) + " " + what, {node}};
}

}  // namespace detail

/// @param state    how far the machine has come  @param given  the operation that it gets
/// @param durable  how far the node's log is; nothing: it is being recovered
inline Broken takes_in_once(raft::NodeId node, raft::LogPosition state, raft::LogPosition given,
                            std::optional<raft::Index> durable) {
    if (given.index <= state.index) {
        return detail::state_violation(node, "gives the operation of index " +
                                                 detail::text(given.index) +
                                                 " to a state that has it");
    }
    if (!durable || given.index <= *durable) return {};
    return detail::state_violation(node, "gives the operation of index " +
                                             detail::text(given.index) +
                                             " to a state on disk, and may lose it itself");
}

/// @param given  the last entry of the snapshot
inline Broken restores_what_is_newer(raft::NodeId node, raft::LogPosition state,
                                     raft::LogPosition given) {
    if (given.index > state.index) return {};
    return detail::state_violation(node, "puts a state of index " + detail::text(state.index) +
                                             " back to index " + detail::text(given.index));
}

}  // namespace rsm::sim

#endif
