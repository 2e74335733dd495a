// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Chronicle: what a run has shown since its begin, so that a rule that was broken is noticed even
// where no two nodes show it at the same moment. Rules read it and write down what they have
// checked.
#ifndef RSM_SIM_RULES_CHRONICLE_HPP
#define RSM_SIM_RULES_CHRONICLE_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/rules/look.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace rsm::inline v0::sim {

struct Chronicle {
    struct Node {
        bool up = false;
        std::uint64_t incarnation = 0;  ///< how often it was started
        Look seen;                      ///< after its last piece of work
    };
    struct Leader {
        raft::NodeId node;
        std::uint64_t incarnation = 0;
    };
    struct Entry {
        raft::Term previous;
        std::uint64_t digest = 0;  ///< 0: not known
        std::uint64_t bytes = 0;   ///< on the disk; 0: not known
    };

    explicit Chronicle(std::size_t size) : nodes(size + 1) {}

    Node& of(raft::NodeId node) { return nodes[node.value]; }
    const Node& of(raft::NodeId node) const { return nodes[node.value]; }
    std::size_t size() const { return nodes.size() - 1; }

    std::vector<Node> nodes;  ///< by id, from 1 on
    std::map<raft::Term, Leader> leaders;
    std::map<raft::LogPosition, Entry> entries;                 ///< that any node ever held
    std::map<raft::LogPosition, raft::Membership> memberships;  ///< those of them that are one
    std::optional<raft::Membership> founding;
    /// The terms of all entries that were ever committed, from index 1 on.
    std::vector<raft::Term> committed;
    std::vector<raft::Term> committed_in;  ///< the term of the leader that committed it
};

}  // namespace rsm::sim

#endif
