// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules that a run is judged by, by name. What each says is in docs/simulation.md.
#ifndef RSM_SIM_RULES_RULE_HPP
#define RSM_SIM_RULES_RULE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rsm::inline v0::sim {

// The names stand in the same order below.
enum class Rule : std::uint8_t {
    votes,
    election_safety,
    leader_append_only,
    log_matching,
    leader_completeness,
    commit_rule,
    removed_fall_silent,
    state_machine_safety,
    only_forward,
    durable_before_visible,
    quorums,
    members_in_force,
    versions_in_force,
    member_changes,
    handovers,
    marks_in_order,
    bounds,
    repetition,
    sending_pace,
    snapshot_sources,
    resumed_transfers,
    clutter,
    kept_files,
    leader_barrier,
    prompt_step_down,
    troubled_disks,
    stable_leadership,
    minority_fault,
    deadlines,
    persisted_bytes,
    events,
    prompt_answers,
    linearizability,
    equal_state_machines,
    causes,
    machines_that_throw,
    outvoted_replicas,
    sound_connections,
    honest_start,
    foreign_disks,
    waits_for_a_person,
    states_on_disk,
    backups,
    severe_events,
    liveness,
    count_
};
inline constexpr std::size_t rules = static_cast<std::size_t>(Rule::count_);
inline constexpr std::array<std::string_view, rules> rule_names{"votes",
                                                                "election safety",
                                                                "leader append-only",
                                                                "log matching",
                                                                "leader completeness",
                                                                "commit rule",
                                                                "removed fall silent",
                                                                "state machine safety",
                                                                "only forward",
                                                                "durable before visible",
                                                                "quorums",
                                                                "members in force",
                                                                "versions in force",
                                                                "member changes",
                                                                "handovers",
                                                                "marks in order",
                                                                "bounds",
                                                                "repetition",
                                                                "sending pace",
                                                                "snapshot sources",
                                                                "resumed transfers",
                                                                "clutter",
                                                                "kept files",
                                                                "leader barrier",
                                                                "prompt step-down",
                                                                "troubled disks",
                                                                "stable leadership",
                                                                "progress under a minority fault",
                                                                "deadlines",
                                                                "persisted bytes",
                                                                "events",
                                                                "prompt answers",
                                                                "linearizability",
                                                                "equal state machines",
                                                                "no failure without a cause",
                                                                "machines that throw",
                                                                "outvoted replicas",
                                                                "sound connections",
                                                                "honest start",
                                                                "foreign disks",
                                                                "waits for a person",
                                                                "states on disk",
                                                                "backups",
                                                                "severe events",
                                                                "liveness"};

}  // namespace rsm::sim

#endif
