// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What may go wrong in a run. Each kind of fault has an expected outcome; the table is in
// docs/simulation.md.
#ifndef RSM_SIM_RUN_FAULTS_HPP
#define RSM_SIM_RUN_FAULTS_HPP

#include <raft/base/types.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace rsm::inline v0::sim {

enum class Fault : std::uint8_t {
    partition,  ///< two sides that do not hear each other
    isolate_leader,
    one_way,      ///< a node that is heard and does not hear, or the other way round
    partial,      ///< links cut at random, each direction by itself
    clog,         ///< a link that delivers nothing for a while, then everything
    left_behind,  ///< a leader that is heard no more and hears what is said later, in one go
    storm,        ///< messages lost, doubled and late far beyond the usual
    pause,
    slow_node,
    clock_jump,
    drift,
    power_failure,
    power_failure_of_all,
    power_failure_after_install,  ///< of a snapshot, before the log is made to agree with it
    process_kill,
    crash_between_disk_calls,
    clean_restart,
    disk_stall,
    failed_write,
    failed_sync,
    full_disk,
    bit_rot,
    lost_write,         ///< reported as synced, and never there
    misdirected_write,  ///< and it has overwritten something else
    refused_openings,   ///< for want of space or of descriptors, for a while
    failed_call,        ///< a certain one: of a start, a segment or a snapshot
    interrupted_copy,   ///< the node comes back with a copy of its disk that is not complete
    stalled_behind,     ///< a node is cut off, and its disk hangs for longer than that
    hold_up,            ///< what its disks and peers bring meets a node in one go, again and again
    // Of themes only, or drawn for themselves.
    followers_stall,   ///< the disks of all but the leader hang for longer than an election takes
    short_pause,       ///< of the leader, over before or about when the others miss it
    damaged_transfer,  ///< pieces of a snapshot arrive altered or cut short
    leaders_stall,     ///< the disk of the leader hangs, and that of the next one, too
    leader_full,       ///< that of the leader has no room for long, and sometimes no other either
    poison,            ///< an operation makes the state machine throw, wherever it is applied
    throwing_machine,  ///< one node's, once, where its state is saved or restored
    no_memory,         ///< for what one node's state machine does, once
    change_members,    ///< other nodes are to vote or to learn
    hand_over,         ///< another node is to lead
    wiped_disk,        ///< the node comes back with an empty one
    old_disk,          ///< the node comes back with a copy of its disk that was taken before
    exchanged_disk,    ///< a node is started with another one's disk, or with a copy of that
    flipped_bit,       ///< the state of one node is another one, of a minority and one at a time
    scattered_damage,  ///< the logs of many or all, at different places
    count_
};
inline constexpr std::size_t fault_kinds = static_cast<std::size_t>(Fault::count_);
/// Those that a run may draw without a theme.
inline constexpr std::size_t common_fault_kinds = static_cast<std::size_t>(Fault::followers_stall);
inline constexpr std::array<std::string_view, fault_kinds> fault_names{
    "partition",
    "isolate-leader",
    "one-way",
    "partial",
    "clog",
    "left-behind",
    "storm",
    "pause",
    "slow-node",
    "clock-jump",
    "drift",
    "power-failure",
    "power-failure-of-all",
    "power-failure-after-install",
    "process-kill",
    "crash-between-disk-calls",
    "clean-restart",
    "disk-stall",
    "failed-write",
    "failed-sync",
    "full-disk",
    "bit-rot",
    "lost-write",
    "misdirected-write",
    "refused-openings",
    "failed-call",
    "interrupted-copy",
    "stalled-behind",
    "hold-up",
    "followers-stall",
    "short-pause",
    "damaged-transfer",
    "leaders-stall",
    "leader-full",
    "poison",
    "throwing-machine",
    "no-memory",
    "change-members",
    "hand-over",
    "wiped-disk",
    "old-disk",
    "exchanged-disk",
    "flipped-bit",
    "scattered-damage"};

struct FaultPlan {
    std::array<bool, fault_kinds> enabled{};
    raft::Duration every_max = std::chrono::seconds(2);  ///< between two faults
    raft::Duration lasts_max = std::chrono::seconds(3);  ///< until it is undone
    bool deposes = false;                                ///< what strikes the leader ends its reign
    std::size_t members_share = 1;  ///< so many times as often as any other kind: change_members

    void only(std::initializer_list<Fault> kinds, raft::Duration every, raft::Duration lasts) {
        enabled.fill(false);
        for (const Fault kind : kinds) enabled[static_cast<std::size_t>(kind)] = true;
        every_max = every;
        lasts_max = lasts;
    }
};

}  // namespace rsm::sim

#endif
