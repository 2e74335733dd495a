// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Election safety: a term has one leader in the whole run (Raft paper, section 5.2).
#ifndef RSM_SIM_RULES_ELECTION_SAFETY_HPP
#define RSM_SIM_RULES_ELECTION_SAFETY_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

class ElectionSafety {
public:
    explicit ElectionSafety(Chronicle& chronicle) : chronicle_(chronicle) {}

    /// A node has become the leader of its term.
    Broken elected(const raft::Core& core) {
        const raft::NodeId id = core.self();
        const Chronicle::Leader leader{id, chronicle_.of(id).incarnation};
        const auto [known, first] = chronicle_.leaders.try_emplace(core.term(), leader);
        const Chronicle::Leader& other = known->second;
        if (first || (other.node == id && other.incarnation == leader.incarnation)) return {};
        return both_lead(other.node, id, core.term());
    }
    /// A node says what only a leader says.
    Broken spoke(raft::NodeId node, raft::Term term) const {
        const auto leader = chronicle_.leaders.find(term);
        // The first messages leave inside the very step that makes the leader.
        if (leader == chronicle_.leaders.end() || leader->second.node == node) return {};
        return both_lead(leader->second.node, node, term);
    }

private:
    static Violation both_lead(raft::NodeId one, raft::NodeId other, raft::Term term) {
        return {"election safety",
                "nodes " + detail::text(one) + " and " + detail::text(other) + " lead term " +
                    detail::text(term),
                {one, other}};
    }

    Chronicle& chronicle_;
};

}  // namespace rsm::sim

#endif
