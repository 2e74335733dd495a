// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a run came across, as numbers: a simulator that never reaches a corner proves nothing of it.
#ifndef RSM_SIM_RUN_COVERAGE_HPP
#define RSM_SIM_RUN_COVERAGE_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/rules/rule.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/themes.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
    snapshots_from_followers,
    snapshots_lent,
    sources_given_up,
    truncations,
    quorums_lost,
    stalled_leaders,
    stalled_others,
    noticed_full,
    handed_for_room,
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
    damaged_pieces,
    machine_exceptions,
    skipped_operations,
    membership_changes,
    version_raises,
    handovers,
    expired_sessions,
    healed_logs,
    wiped_disks,
    old_copies,
    exchanged_disks,
    lost_acknowledgements,
    inherited_changes,
    states_in_place,
    partial_snapshots,
    resumed_transfers,
    full_logs,
    flipped_bits,
    outvoted_nodes,
    scattered_damage,
    lost_entries,
    states_found,
    backups,
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
                  "snapshots that a follower sent",
                  "snapshots that were lent where nobody led",
                  "sources that were given up",
                  "log truncations",
                  "leaders without a quorum",
                  "leaders with a stalled disk",
                  "others that noticed that their disk stalls",
                  "full disks that were noticed",
                  "handovers for want of room",
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
                  "pieces of snapshots damaged on their way",
                  "machines that threw",
                  "operations skipped",
                  "membership changes",
                  "version raises",
                  "leaderships handed over",
                  "sessions expired",
                  "damaged logs healed",
                  "wiped disks",
                  "old copies of disks",
                  "exchanged disks",
                  "acknowledgements lost",
                  "changes inherited by a leader",
                  "states written in place",
                  "parts of snapshots found at a start",
                  "transfers that went on after a restart",
                  "times that a log came to its limit",
                  "bits of states flipped",
                  "nodes outvoted",
                  "logs damaged at different places",
                  "committed entries lost everywhere",
                  "states found on disk at a start",
                  "backups taken"};

/// Whether it is worth to know beside what else it has happened: common things are beside
/// everything, and what is counted at the end of a run has no time.
constexpr bool is_rare(Counter what) {
    switch (what) {
        case Counter::committed:
        case Counter::unknown:
        case Counter::refused:
        case Counter::reads:
        case Counter::snapshots_saved:
        case Counter::durable_views:
        case Counter::streams_connected:
        case Counter::streams_repeated:
        case Counter::streams_broken:
        case Counter::expired_sessions:
        case Counter::states_in_place:
        case Counter::backups:
        case Counter::count_: return false;
        default: return true;
    }
}

/// What one run came across, or many.
class Coverage {
public:
    /// Two rare events meet when the second comes within so much virtual time of the first.
    static constexpr raft::Duration beside = std::chrono::seconds(1);

    void count(Counter what, std::uint64_t times = 1) { counts_[place(what)] += times; }
    /// Something rare has happened at `now`, which never goes backward within a run.
    void happened(Counter what, raft::Time now) {
        count(what);
        for (std::size_t other = 0; other < counters; ++other) {
            if (last_[other] && now - *last_[other] <= beside) ++pairs_[pair(place(what), other)];
        }
        last_[place(what)] = now;
    }
    void struck(Fault fault) { ++faults_[static_cast<std::size_t>(fault)]; }
    void asked(Rule rule, std::uint64_t times = 1) {
        asked_[static_cast<std::size_t>(rule)] += times;
    }
    /// One run of the workload, on the theme.
    void ran(std::string_view workload, Theme theme) {
        ++workloads_[std::string(workload)];
        ++themes_[static_cast<std::size_t>(theme)];
    }

    std::uint64_t operator[](Counter what) const { return counts_[place(what)]; }
    std::uint64_t operator[](Fault fault) const { return faults_[static_cast<std::size_t>(fault)]; }
    std::uint64_t operator[](Rule rule) const { return asked_[static_cast<std::size_t>(rule)]; }
    std::uint64_t operator[](Theme theme) const { return themes_[static_cast<std::size_t>(theme)]; }
    const std::map<std::string, std::uint64_t>& workloads() const { return workloads_; }
    /// How often one has come soon after the other, whichever was first.
    std::uint64_t met(Counter one, Counter other) const {
        return pairs_[pair(place(one), place(other))];
    }

    Coverage& operator+=(const Coverage& other) {
        add(counts_, other.counts_);
        add(faults_, other.faults_);
        add(asked_, other.asked_);
        add(themes_, other.themes_);
        add(pairs_, other.pairs_);
        for (const auto& [name, runs] : other.workloads_) workloads_[name] += runs;
        return *this;
    }
    friend bool operator==(const Coverage&, const Coverage&) = default;

private:
    static constexpr std::size_t counters = static_cast<std::size_t>(Counter::count_);
    static constexpr std::size_t place(Counter what) { return static_cast<std::size_t>(what); }
    static constexpr std::size_t pair(std::size_t one, std::size_t other) {
        return std::min(one, other) * counters + std::max(one, other);
    }
    template <std::size_t count>
    static void add(std::array<std::uint64_t, count>& to,
                    const std::array<std::uint64_t, count>& from) {
        for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
    }

    std::array<std::uint64_t, counters> counts_{};
    std::array<std::uint64_t, fault_kinds> faults_{};
    std::array<std::uint64_t, rules> asked_{};
    std::array<std::uint64_t, static_cast<std::size_t>(Theme::count_)> themes_{};
    std::array<std::uint64_t, counters * counters> pairs_{};
    std::array<std::optional<raft::Time>, counters> last_{};
    std::map<std::string, std::uint64_t> workloads_;
};

}  // namespace rsm::sim

#endif
