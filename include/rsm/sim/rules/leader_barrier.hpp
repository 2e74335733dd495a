// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Leader barrier: where `barrier_on_election` is on, a leader begins with an entry of its term.
#ifndef RSM_SIM_RULES_LEADER_BARRIER_HPP
#define RSM_SIM_RULES_LEADER_BARRIER_HPP

#include <raft/core.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// A node has become the leader of its term.
inline Broken leader_barrier(const raft::Core& core, const raft::Options& options) {
    if (!options.barrier_on_election || core.log().last().term == core.term()) return {};
    return Violation{"leader barrier",
                     detail::node_text(core.self()) + " leads without a barrier",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
