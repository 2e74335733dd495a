// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Leader completeness: what was committed in a term is in the logs of the leaders of all later
// terms (Raft paper, section 5.4).
#ifndef RSM_SIM_RULES_LEADER_COMPLETENESS_HPP
#define RSM_SIM_RULES_LEADER_COMPLETENESS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// A node leads its term. It may have been elected in a term that is over by now: a node that was
/// paused counts old votes when it wakes up.
inline Broken leader_completeness(const raft::Core& leader, const Chronicle& chronicle) {
    raft::Index last{chronicle.committed.size()};
    while (last.value != 0 && chronicle.committed_in[last.value - 1] >= leader.term()) {
        last = last - 1;
    }
    const raft::Log& log = leader.log();
    if (last.value == 0 || last < log.base().index) return {};
    if (log.term_at(last) == chronicle.committed[last.value - 1]) return {};
    return Violation{"leader completeness",
                     detail::node_text(leader.self()) + " leads term " +
                         detail::text(leader.term()) + " without index " + detail::text(last) +
                         ", which is committed",
                     {leader.self()}};
}

/// A node has committed an entry in that term: leaders of later terms that are there already hold
/// it.
inline Broken leader_completeness(raft::NodeId committer, raft::Index committed, raft::Term reign,
                                  const Chronicle& chronicle) {
    for (const Chronicle::Node& other : chronicle.nodes) {
        const Look& seen = other.seen;
        if (!other.up || seen.role != raft::Role::leader || seen.term <= reign) continue;
        if (seen.last.index >= committed) continue;
        return Violation{"leader completeness",
                         "the leader of term " + detail::text(seen.term) + " does not hold index " +
                             detail::text(committed) + ", which is committed",
                         {committer}};
    }
    return {};
}

}  // namespace rsm::sim

#endif
