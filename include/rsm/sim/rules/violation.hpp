// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A rule that was broken, and who is told of it.
#ifndef RSM_SIM_RULES_VIOLATION_HPP
#define RSM_SIM_RULES_VIOLATION_HPP

#include <raft/proof/violation.hpp>

#include <functional>

namespace rsm::inline v0::sim {

using raft::Broken;
using raft::Violation;

/// Takes the violations of a run; the first one counts.
using Complain = std::function<void(Violation)>;

}  // namespace rsm::sim

#endif
