// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Prompt answers: with nothing wrong, answers come after one round of messages and syncs, and wait
// for no timer.
#ifndef RSM_SIM_RULES_PROMPT_ANSWERS_HPP
#define RSM_SIM_RULES_PROMPT_ANSWERS_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/network.hpp>

#include <chrono>

namespace rsm::inline v0::sim {

/// Within which an operation, or a read, is answered.
inline raft::Duration prompt_answer_time(const NetworkConditions& network,
                                         const ServiceTime& disk) {
    return 8 * (network.delay_max + network.reading_max) + 10 * disk.max +
           std::chrono::milliseconds(5);
}
inline Violation not_prompt(raft::NodeId leader) {
    return {"prompt answers", "an answer waits for a timer", {leader}};
}

}  // namespace rsm::sim

#endif
