// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Votes: a node votes once in a term, through all restarts (Raft paper, section 5.2).
#ifndef RSM_SIM_RULES_VOTES_HPP
#define RSM_SIM_RULES_VOTES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <map>
#include <vector>

namespace rsm::inline v0::sim {

class Votes {
public:
    explicit Votes(std::size_t nodes) : votes_(nodes + 1) {}

    /// A node has recovered.
    Broken restarted(const raft::Core& core) const {
        const raft::NodeId id = core.self();
        const auto vote = votes_[id.value].find(core.term());
        if (vote == votes_[id.value].end() || core.voted_for() == vote->second) return {};
        return Violation{
            "votes",
            detail::node_text(id) + " forgot its vote in term " + detail::text(core.term()),
            {id}};
    }
    /// What it had promised is gone, and counts for nobody.
    void wiped(raft::NodeId id) { votes_[id.value].clear(); }
    /// What it had promised after that is gone.
    void fell_back(raft::NodeId id, const raft::HardState& copy) {
        auto& votes = votes_[id.value];
        votes.erase(votes.upper_bound(copy.term), votes.end());
        if (!copy.voted_for) votes.erase(copy.term);
    }
    /// A vote leaves the node.
    Broken cast(raft::NodeId voter, raft::Term term, raft::NodeId candidate) {
        const auto [known, first] = votes_[voter.value].try_emplace(term, candidate);
        if (first || known->second == candidate) return {};
        return Violation{"votes",
                         detail::node_text(voter) + " votes for " +
                             detail::node_text(known->second) + " and for " +
                             detail::node_text(candidate) + " in term " + detail::text(term),
                         {voter}};
    }

private:
    std::vector<std::map<raft::Term, raft::NodeId>> votes_;  ///< by node; that were seen outside
};

}  // namespace rsm::sim

#endif
