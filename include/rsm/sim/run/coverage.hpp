// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a run came across, as counters: a simulator that never reaches a corner proves nothing of
// it.
#ifndef RSM_SIM_RUN_COVERAGE_HPP
#define RSM_SIM_RUN_COVERAGE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rsm::inline v0::sim {

// The names stand in the same order below.
enum class Counter : std::uint8_t {
    elections,
    committed,
    unknown,
    refused,
    reads,
    snapshots_saved,
    snapshots_installed,
    truncations,
    quorums_lost,
    stalled_leaders,
    power_failures,
    process_kills,
    crashes_between_calls,
    clean_restarts,
    pauses,
    clock_jumps,
    partitions,
    clogged_links,
    failed_writes,
    failed_syncs,
    full_disks,
    stalled_disks,
    bit_rot,
    lost_writes,
    failed_nodes,
    refused_starts,
    durable_views,
    refused_openings,
    interrupted_copies,
    streams_connected,
    streams_repeated,
    streams_broken,
    failed_calls,
    hold_ups,
    minority_faults,
    membership_changes,
    expired_sessions,
    healed_logs,
    wiped_disks,
    count_
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Counter::count_)>
    counter_names{"elections",
                  "operations committed",
                  "operations unknown",
                  "operations refused",
                  "reads",
                  "snapshots saved",
                  "snapshots installed",
                  "log truncations",
                  "leaders without a quorum",
                  "leaders with a stalled disk",
                  "power failures",
                  "killed processes",
                  "crashes between two disk calls",
                  "clean restarts",
                  "pauses",
                  "clock jumps",
                  "partitions",
                  "clogged links",
                  "failed writes",
                  "failed syncs",
                  "full disks",
                  "stalled disks",
                  "bits rotten",
                  "lost or misdirected writes",
                  "nodes failed",
                  "starts refused",
                  "durable states read",
                  "times that openings were refused",
                  "interrupted copies",
                  "connections made",
                  "segments repeated",
                  "connections broken",
                  "failed calls",
                  "times that a node was held up",
                  "long faults of a minority",
                  "membership changes",
                  "sessions expired",
                  "damaged logs healed",
                  "wiped disks"};

/// Counters of one run or of many.
class Coverage {
public:
    void count(Counter what, std::uint64_t times = 1) { counts_[place(what)] += times; }
    std::uint64_t operator[](Counter what) const { return counts_[place(what)]; }

    Coverage& operator+=(const Coverage& other) {
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        return *this;
    }
    friend bool operator==(const Coverage&, const Coverage&) = default;

private:
    static constexpr std::size_t place(Counter what) { return static_cast<std::size_t>(what); }
    std::array<std::uint64_t, static_cast<std::size_t>(Counter::count_)> counts_{};
};

}  // namespace rsm::sim

#endif
