// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A rule that was broken, and who is told of it.
#ifndef RSM_SIM_RULES_VIOLATION_HPP
#define RSM_SIM_RULES_VIOLATION_HPP

#include <raft/base/types.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

/// A rule that was broken.
struct Violation {
    std::string property;
    std::string where;
    std::vector<raft::NodeId> nodes;
};

/// What a rule says of what it was shown. Nothing: it was kept.
using Broken = std::optional<Violation>;

/// Takes the violations of a run; the first one counts.
using Complain = std::function<void(Violation)>;

}  // namespace rsm::sim

#endif
