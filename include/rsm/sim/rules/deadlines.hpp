// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Deadlines: where clocks and processes run as they should, every operation is answered within its
// timeout.
#ifndef RSM_SIM_RULES_DEADLINES_HPP
#define RSM_SIM_RULES_DEADLINES_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <chrono>
#include <string>

namespace rsm::inline v0::sim {

/// @param timeout  0: none
inline Broken deadline(const std::string& name, raft::Duration took, raft::Duration timeout) {
    constexpr auto slack = std::chrono::milliseconds(100);
    if (timeout <= raft::Duration{} || took <= timeout + slack) return {};
    return Violation{"deadlines", name + " was answered after its timeout", {}};
}

}  // namespace rsm::sim

#endif
