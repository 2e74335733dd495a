// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Only forward: term, commit and applied never fall, and after a restart a node stands by the term
// in which it had spoken.
#ifndef RSM_SIM_RULES_ONLY_FORWARD_HPP
#define RSM_SIM_RULES_ONLY_FORWARD_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace rsm::inline v0::sim {

class OnlyForward {
public:
    explicit OnlyForward(std::size_t nodes) : spoken_(nodes + 1) {}

    /// A node has recovered.
    Broken restarted(const raft::Core& core) const {
        const raft::NodeId id = core.self();
        const raft::Term spoken = spoken_[id.value];
        if (core.term() >= spoken) return {};
        return Violation{"only forward",
                         detail::node_text(id) + " came back in term " + detail::text(core.term()) +
                             " after it had spoken in term " + detail::text(spoken),
                         {id}};
    }
    void wiped(raft::NodeId id) { spoken_[id.value] = {}; }
    void fell_back(raft::NodeId id, raft::Term term) {
        spoken_[id.value] = std::min(spoken_[id.value], term);
    }
    /// A term is seen outside.
    void spoke(raft::NodeId id, raft::Term term) {
        spoken_[id.value] = std::max(spoken_[id.value], term);
    }

private:
    std::vector<raft::Term> spoken_;  ///< by node: the highest that was seen outside
};

inline Broken only_forward(raft::NodeId id, const Look& before, const Look& now) {
    if (now.term >= before.term && now.commit >= before.commit && now.applied >= before.applied &&
        now.snapshot >= before.snapshot) {
        return {};
    }
    return Violation{"only forward", detail::node_text(id), {id}};
}

/// A node whose log is of a later term than its own would stand for election in the past.
inline Broken log_not_ahead(const raft::Core& core) {
    if (core.log().last().term <= core.term()) return {};
    return Violation{"only forward",
                     "the log of " + detail::node_text(core.self()) + " is of a later term",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
