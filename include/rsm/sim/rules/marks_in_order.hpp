// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Marks in order: the places that a node notes in its own log, and in those of its followers, stand
// in their order.
#ifndef RSM_SIM_RULES_MARKS_IN_ORDER_HPP
#define RSM_SIM_RULES_MARKS_IN_ORDER_HPP

#include <raft/core.hpp>
#include <raft/proof/invariants.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

inline Broken marks_in_order(const raft::Core& core) {
    return raft::invariants::marks_in_order(core);
}

inline Broken followers_marks_in_order(const raft::Core& core) {
    for (const raft::Progress& follower : core.followers()) {
        if (follower.match < follower.next) continue;
        return Violation{"marks in order",
                         detail::node_text(core.self()) + " would send " +
                             detail::node_text(follower.node) + " again what it has acknowledged",
                         {core.self(), follower.node}};
    }
    return {};
}

}  // namespace rsm::sim

#endif
