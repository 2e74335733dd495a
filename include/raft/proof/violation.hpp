// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What those who watch over the algorithm say when something does not hold.
#ifndef RSM_RAFT_PROOF_VIOLATION_HPP
#define RSM_RAFT_PROOF_VIOLATION_HPP

#include <raft/base/types.hpp>

#include <optional>
#include <string>
#include <vector>

namespace raft::inline v0 {

/// A property that does not hold, where, and the nodes that have a part in it.
struct Violation {
    std::string property;
    std::string where;
    std::vector<NodeId> nodes;
    friend bool operator==(const Violation&, const Violation&) = default;
};

/// What a rule says of what it was shown. Nothing: it was kept.
using Broken = std::optional<Violation>;

inline std::string to_string(const Violation& violation) {
    return violation.property + ": " + violation.where;
}

}  // namespace raft

#endif
