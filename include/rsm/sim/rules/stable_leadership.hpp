// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Stable leadership: with nothing wrong nobody stands for election, a node that comes back from
// isolation does not depose the leader, and a reign that nobody disputes goes on (Raft thesis,
// sections 4.2.3 and 9.6).
#ifndef RSM_SIM_RULES_STABLE_LEADERSHIP_HPP
#define RSM_SIM_RULES_STABLE_LEADERSHIP_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace rsm::inline v0::sim {

class StableLeadership {
public:
    /// @param reigns_last  nothing is done that may end a reign: a leader gives way only where
    ///                     others stand for election
    StableLeadership(std::size_t nodes, bool reigns_last)
        : reigns_last_(reigns_last),
          candidacies_(nodes + 1),
          at_election_(nodes + 1),
          leads_(nodes + 1) {}

    Broken event(raft::NodeId id, raft::EventKind kind) {
        switch (kind) {
            case raft::EventKind::became_pre_candidate:
            case raft::EventKind::became_candidate: ++candidacies_[id.value]; return {};
            case raft::EventKind::became_leader:
                at_election_[id.value] = all();
                leads_[id.value] = true;
                return {};
            case raft::EventKind::became_follower: leads_[id.value] = false; return {};
            case raft::EventKind::quorum_lost: return gave_way(id, "hears from no quorum");
            case raft::EventKind::disk_stalled:
                return leads(id) ? gave_way(id, "its disk hangs") : Broken{};
            default: return {};
        }
    }
    /// A node was started.
    void restarted(raft::NodeId id) { leads_[id.value] = false; }
    /// Whether it leads, by what it has said.
    bool leads(raft::NodeId id) const { return leads_[id.value]; }
    /// By node: how often it has stood for election or asked whether it should.
    const std::vector<std::uint64_t>& candidacies() const { return candidacies_; }

private:
    std::uint64_t all() const {
        return std::accumulate(candidacies_.begin(), candidacies_.end(), std::uint64_t{0});
    }
    Broken gave_way(raft::NodeId leader, const char* reason) const {
        if (!reigns_last_ || all() != at_election_[leader.value]) return {};
        return Violation{"stable leadership",
                         detail::node_text(leader) +
                             " gives up leadership, which nobody disputed, and says: " + reason,
                         {leader}};
    }

    bool reigns_last_;
    std::vector<std::uint64_t> candidacies_;
    std::vector<std::uint64_t> at_election_;  ///< by node: of all nodes, when it was elected
    std::vector<bool> leads_;                 ///< by node
};

/// @param before, now  candidacies, with nothing wrong between the two
inline Broken nobody_stood(const std::vector<std::uint64_t>& before,
                           const std::vector<std::uint64_t>& now) {
    if (before == now) return {};
    return Violation{"stable leadership", "a node stood for election without a cause", {}};
}

/// A leader, and its term, before a node was away and after it has come back.
struct Leadership {
    raft::NodeId leader;
    raft::Term term;
    friend bool operator==(const Leadership&, const Leadership&) = default;
};
inline Broken not_deposed(const Leadership& before, const Leadership& now) {
    if (before == now) return {};
    return Violation{"stable leadership", "a node that came back has deposed the leader", {}};
}

}  // namespace rsm::sim

#endif
