// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What comes of a run.
#ifndef RSM_SIM_RUN_REPORT_HPP
#define RSM_SIM_RUN_REPORT_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// The parts of a plan that a reader of a report asks for first: names and values.
using PlanFacts = std::vector<std::pair<std::string, std::string>>;

/// An operation as the replica saw it that applied it first.
struct AppliedOperation {
    std::uint64_t id = 0;  ///< the client's number of it, which names it in all texts
    std::string operation;
    std::string result;
    friend bool operator==(const AppliedOperation&, const AppliedOperation&) = default;
};

/// What came of a run.
struct RunReport {
    std::uint64_t seed = 0;
    PlanFacts plan;                      ///< what was drawn
    std::optional<Violation> violation;  ///< nothing: all rules were kept
    Coverage coverage;
    raft::Duration simulated{};
    std::uint64_t events = 0;
    /// Of the whole run: equal for equal seeds on every compiler.
    std::uint64_t digest = 0;
    Trace trace;                            ///< empty unless asked for
    std::vector<AppliedOperation> applied;  ///< in that order; empty unless a trace was asked for
    std::size_t nodes = 0;
};

enum class Tracing : bool { off, on };

}  // namespace rsm::sim

#endif
