// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Themes: situations in which several rare things have to come together, and which a draw of
// each by itself would hardly ever bring about. A theme bends a plan that was drawn towards one.
#ifndef RSM_SIM_RUN_THEMES_HPP
#define RSM_SIM_RUN_THEMES_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/member_themes.hpp>
#include <rsm/sim/run/plans.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace rsm::inline v0::sim {

enum class Theme : std::uint8_t {
    none,
    small_log,        ///< segments come and go, and their syncs fail
    late_messages,    ///< several things reach a node in the same step, out of order
    late_disks,       ///< a log hangs while snapshots are installed
    early_snapshots,  ///< the first word of a leader is a snapshot, and then the power fails
    lost_names,       ///< directories that are not synced
    torn_tails,       ///< power failures in the midst of large batches
    waiting_reads,    ///< little room for reads, at leaders that are cut off
    no_time_limit,    ///< what is forgotten waits for ever
    rotten_snapshots,
    reading_back,   ///< nothing is in memory: entries come from the disk
    failing_calls,  ///< of segments that come and go, of snapshots, of starts
    coincidences,   ///< snapshots of every index, and much that comes in one step
    long_times,     ///< days between two heartbeats
    // Of members.
    member_changes,  ///< one after the other, over snapshots, crashes and failing disks
    lost_disks,      ///< that are empty, old or somebody else's when a node comes back
    handovers,       ///< to nodes that hear late, whose disks hang, or who are just starting
    // Calm ones, in which more is asked of the cluster than elsewhere.
    slow_followers,    ///< their disks hang under load, and the reign must last
    short_pauses,      ///< of the leader, of which nobody takes notice
    hanging_disks,     ///< the leader's among them, which the others do not wait for
    chased_snapshots,  ///< slower on their way than the next one comes, and yet it ends
    minority_faults,   ///< that last, while the others go on
    // Drawn for themselves.
    stalling_leaders,   ///< one after the other, as soon as each leads
    full_leaders,       ///< for so long that another one has to take over
    damaged_transfers,  ///< of snapshots, of which there are many
    throwing_machines,  ///< operations that throw, and snapshots and restarts around them
    diverging_states,   ///< of a minority, and snapshots and elections around that
    scattered_damage,   ///< again and again, with crashes while the logs heal
    count_
};
/// From member_changes on.
inline constexpr std::uint64_t member_themes = static_cast<std::uint64_t>(Theme::slow_followers) -
                                               static_cast<std::uint64_t>(Theme::member_changes);
/// From slow_followers on.
inline constexpr std::uint64_t calm_themes = static_cast<std::uint64_t>(Theme::stalling_leaders) -
                                             static_cast<std::uint64_t>(Theme::slow_followers);
inline constexpr bool is_calm(Theme theme) {
    return theme >= Theme::slow_followers && theme <= Theme::full_leaders;
}
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Theme::count_)> theme_names{
    "none",
    "small-log",
    "late-messages",
    "late-disks",
    "early-snapshots",
    "lost-names",
    "torn-tails",
    "waiting-reads",
    "no-time-limit",
    "rotten-snapshots",
    "reading-back",
    "failing-calls",
    "coincidences",
    "long-times",
    "member-changes",
    "lost-disks",
    "handovers",
    "slow-followers",
    "short-pauses",
    "hanging-disks",
    "chased-snapshots",
    "minority-faults",
    "stalling-leaders",
    "full-leaders",
    "damaged-transfers",
    "throwing-machines",
    "diverging-states",
    "scattered-damage"};

namespace detail {

/// Bends the parts of a plan.
class ThemeWriter {
public:
    ThemeWriter(ClusterPlan& cluster, ClientPlan& clients, FaultPlan& faults, raft::Random& random)
        : cluster_(cluster), clients_(clients), faults_(faults), random_(random) {}

    void write(Theme theme) {
        switch (theme) {
            case Theme::small_log: return small_log();
            case Theme::late_messages: return late_messages();
            case Theme::late_disks: return late_disks();
            case Theme::early_snapshots: return early_snapshots();
            case Theme::lost_names: return lost_names();
            case Theme::torn_tails: return torn_tails();
            case Theme::waiting_reads: return waiting_reads();
            case Theme::no_time_limit: return no_time_limit();
            case Theme::rotten_snapshots: return rotten_snapshots();
            case Theme::reading_back: return reading_back();
            case Theme::failing_calls: return failing_calls();
            case Theme::coincidences: return coincidences();
            case Theme::long_times: return long_times();
            case Theme::member_changes: return of_members().member_changes();
            case Theme::lost_disks: return of_members().lost_disks();
            case Theme::handovers: return of_members().handovers();
            case Theme::slow_followers: return slow_followers();
            case Theme::short_pauses: return short_pauses();
            case Theme::hanging_disks: return hanging_disks();
            case Theme::chased_snapshots: return chased_snapshots();
            case Theme::minority_faults: return minority_faults();
            case Theme::stalling_leaders: return stalling_leaders();
            case Theme::full_leaders: return full_leaders();
            case Theme::damaged_transfers: return damaged_transfers();
            case Theme::throwing_machines: return throwing_machines();
            case Theme::diverging_states: return diverging_states();
            case Theme::scattered_damage: return scattered_damage();
            default: return;
        }
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
    static raft::Duration milliseconds(std::uint64_t count) {
        return std::chrono::milliseconds(static_cast<std::int64_t>(count));
    }
    raft::Options& raft() { return cluster_.options.raft; }
    MemberThemeWriter of_members() { return {cluster_, clients_, faults_, random_}; }

    void only(std::initializer_list<Fault> kinds, std::uint64_t every, std::uint64_t lasts) {
        faults_.only(kinds, milliseconds(every), milliseconds(lasts));
    }
    void small_files() {
        cluster_.segment_bytes = 4096;
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(200 + below(800));
        raft().retained_bytes = 0;
    }
    /// A snapshot is one message, and nothing is in its way.
    void large_messages() {
        raft().max_entry_bytes = raft().max_message_bytes = 65'536;
        raft().snapshot_chunk_bytes = raft().window_bytes = 65'536;
        raft().max_uncommitted_bytes = std::size_t{1} << 20;
        cluster_.network = NetworkConditions{};
    }

    void small_log() {
        small_files();
        cluster_.batch_bytes = 512;
        clients_.operations_max = 3000;
        only({Fault::failed_sync, Fault::crash_between_disk_calls, Fault::process_kill}, 200, 200);
    }
    void late_messages() {
        large_messages();
        cluster_.options.snapshot_threshold = 300;
        NetworkConditions& network = cluster_.network;
        network.delay_max = milliseconds(1 + below(30));
        network.loss = below(150);
        network.duplication = below(200);
        network.reordering = 100 + below(300);
        network.reordering_max = milliseconds(20 + below(200));
        clients_.burst = 1 + below(8);
        clients_.operations_max = 4000;
        const std::uint64_t lasts = 600 + below(1500);
        only({Fault::pause, Fault::slow_node, Fault::storm, Fault::clog, Fault::left_behind,
              Fault::partial, Fault::isolate_leader},
             30 + below(300), lasts);
    }
    void late_disks() {
        large_messages();
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(300 + below(2000));
        cluster_.disk.stall_one_in = 40;
        cluster_.disk.stall_max = milliseconds(3000);
        raft().disk_stall_timeout = milliseconds(5000);
        clients_.at_old_leader = 800;
        clients_.burst = 4;
        only({Fault::isolate_leader, Fault::partition, Fault::partial}, 300, 800);
    }
    void early_snapshots() {
        large_messages();
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(300 + below(1000));
        cluster_.disk.max = milliseconds(30);
        clients_.at_old_leader = 800;
        only({Fault::isolate_leader, Fault::partition, Fault::pause, Fault::partial,
              Fault::power_failure_after_install},
             300, 2000);
    }
    void lost_names() {
        small_files();
        // What is made in the background takes long enough for the next failure to find it undone.
        if (below(2) == 0) cluster_.disk.max = milliseconds(10 + below(60));
        only({Fault::failed_sync, Fault::power_failure, Fault::isolate_leader,
              Fault::crash_between_disk_calls, Fault::process_kill},
             150, 200);
    }
    void torn_tails() {
        large_messages();
        cluster_.segment_bytes = 4096;
        cluster_.batch_bytes = 4096;
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(300 + below(3000));
        cluster_.disk.max = milliseconds(2 + below(20));
        clients_.burst = 12;
        clients_.clients = 6;
        clients_.operations_max = 4000;
        only({Fault::power_failure, Fault::crash_between_disk_calls, Fault::power_failure_of_all},
             250, 30);
    }
    void waiting_reads() {
        raft().max_waiting_reads = 1 + below(3);
        raft().barrier_on_election = below(2) == 0;
        clients_.reads = 600;
        clients_.burst = 4;
        clients_.at_old_leader = 800;
        raft().check_quorum = below(2) == 0;
        if (below(2) == 0) cluster_.nodes = 5;
        if (below(2) == 0) late_echoes();
        const std::uint64_t lasts = 600 + below(1500);
        only({Fault::isolate_leader, Fault::partition, Fault::left_behind, Fault::partial,
              Fault::clog},
             200 + below(600), lasts);
    }
    /// The answers to a leader may come when another one has been elected.
    void late_echoes() {
        raft().heartbeat_interval = milliseconds(10 + below(20));
        raft().election_timeout = 3 * raft().heartbeat_interval;
        raft().commit_notice_delay = {};
        NetworkConditions& network = cluster_.network;
        network.delay_max = milliseconds(2);
        network.reordering = 100 + below(300);
        network.reordering_max = 8 * raft().election_timeout;
    }
    void no_time_limit() {
        cluster_.options.operation_timeout = {};
        cluster_.options.max_pending_bytes = 300 + below(500);
        raft().max_waiting_reads = 1 + below(2);
        raft().barrier_on_election = false;
        clients_.reads = below(2) == 0 ? 0 : 400;
        clients_.burst = 3;
        only({Fault::isolate_leader, Fault::partition, Fault::left_behind, Fault::partial}, 400,
             600);
    }
    void rotten_snapshots() {
        large_messages();
        cluster_.nodes = std::max<std::size_t>(cluster_.nodes, 5);
        cluster_.options.snapshot_threshold =
            static_cast<std::int64_t>(below(2) == 0 ? 0 : 300 + below(2000));
        only({Fault::bit_rot, Fault::isolate_leader, Fault::partial, Fault::pause,
              Fault::power_failure_after_install},
             150, 500);
    }
    void reading_back() {
        large_messages();
        raft().log_cache_bytes = 0;
        raft().apply_batch_bytes = 1 + below(200);
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(1000 + below(4000));
        cluster_.network.loss = 50;
        cluster_.batch_bytes = 512;
        cluster_.disk.max = milliseconds(30);
        only({Fault::power_failure, Fault::process_kill, Fault::isolate_leader, Fault::partial,
              Fault::left_behind},
             150, 300);
    }

    void failing_calls() {
        small_files();
        cluster_.segment_bytes = std::uint64_t{4096} << below(3);
        cluster_.disk.max = milliseconds(1 + below(15));
        clients_.operations_max = 3000;
        only({Fault::failed_call, Fault::process_kill, Fault::isolate_leader}, 150, 300);
        if (below(2) == 0) only({Fault::failed_call, Fault::partial}, 150, 300);
    }

    /// Installs, truncations, commits and what is read back meet at every index, and in one step.
    void coincidences() {
        large_messages();
        cluster_.nodes = std::max<std::size_t>(cluster_.nodes, 3);
        // What is not applied yet is read back in bounded time.
        raft().max_entry_bytes = 4096;
        raft().max_uncommitted_bytes = 5000 + below(5000);
        cluster_.options.snapshot_threshold =
            static_cast<std::int64_t>(below(2) == 0 ? 0 : below(300));
        raft().retained_bytes = 0;
        raft().log_cache_bytes = below(2) == 0 ? 0 : below(600);
        raft().apply_batch_bytes = 1 + below(200);
        raft().barrier_on_election = below(2) == 0;
        raft().disk_stall_timeout = milliseconds(5000);
        cluster_.network.delay_max = milliseconds(1 + below(10));
        cluster_.network.loss = below(100);
        cluster_.disk.max = milliseconds(1 + below(20));
        cluster_.disk.stall_one_in = static_cast<std::uint32_t>(60 + below(300));
        cluster_.disk.stall_max = milliseconds(100 + below(1500));
        clients_.burst = 1 + below(8);
        clients_.at_old_leader = 800;
        clients_.operations_max = 3000;
        raft().pre_vote = below(4) != 0;
        const std::uint64_t every = 50 + below(500);
        const std::uint64_t lasts = 300 + below(1500);
        only({Fault::hold_up, Fault::stalled_behind, Fault::isolate_leader, Fault::partial,
              Fault::left_behind, Fault::clog},
             every, lasts);
    }
    /// Beyond what 32 bits of milliseconds hold, which is seven weeks, or half of it.
    void long_times() {
        raft().heartbeat_interval = std::chrono::hours(6 + below(200));
        raft().election_timeout =
            raft().heartbeat_interval * static_cast<std::int64_t>(3 + below(6));
        raft().disk_stall_timeout = raft().max_hold_time = raft().election_timeout;
        cluster_.options.operation_timeout =
            static_cast<std::int64_t>(below(4)) * raft().election_timeout;
        clients_.pause_max = raft().heartbeat_interval;
        // Nothing that is tried again every second.
        only({Fault::partition, Fault::isolate_leader, Fault::one_way, Fault::partial, Fault::clog,
              Fault::pause, Fault::clock_jump, Fault::power_failure, Fault::disk_stall,
              Fault::clean_restart},
             0, 0);
        faults_.every_max = faults_.lasts_max = 4 * raft().election_timeout;
    }

    /// Nothing is wrong but what a theme adds.
    void calm() {
        cluster_.network = NetworkConditions{};
        cluster_.disk.max = std::min(cluster_.disk.max, milliseconds(3));
        cluster_.disk.stall_one_in = 0;
        cluster_.options.max_pending_bytes = rsm::Options{}.max_pending_bytes;
        raft().pre_vote = raft().check_quorum = true;
        raft().disk_stall_timeout = milliseconds(5000);
        only({}, 1000, 1000);
    }
    /// Many clients, so that work goes on coming where nothing is answered for a while.
    void under_load() {
        clients_.clients = 4 + below(4);
        clients_.pipeline = 8 + below(8);
        clients_.burst = 1;
        clients_.pause_max = milliseconds(500 + below(500));
        clients_.reads = below(300);
        clients_.at_leader = 1000;
        clients_.at_old_leader = 0;
        clients_.operations_max = 20'000;
    }
    void slow_followers() {
        calm();
        under_load();
        cluster_.nodes = 3 + 2 * below(2);
        cluster_.reigns_last = true;
        raft().heartbeat_interval = milliseconds(30 + below(30));
        raft().election_timeout = 3 * raft().heartbeat_interval;
        raft().commit_notice_delay = {};
        // No window is full, so that every step has entries to send.
        raft().max_entry_bytes = 4096;
        raft().max_message_bytes = 65'536;
        raft().window_bytes = raft().max_uncommitted_bytes = std::size_t{1} << 20;
        cluster_.options.snapshot_threshold = 20'000;
        cluster_.durable_view_every = 64;
        clients_.reads = 0;
        only({Fault::followers_stall}, 2500, 1000);
    }
    void short_pauses() {
        calm();
        under_load();
        cluster_.nodes = 5;
        cluster_.reigns_last = true;
        raft().disk_stall_timeout = milliseconds(60);
        only({Fault::short_pause}, 3000, 1000);
    }
    void hanging_disks() {
        calm();
        under_load();
        cluster_.nodes = 3 + 2 * below(2);
        raft().max_entry_bytes = raft().max_message_bytes = raft().window_bytes = 1024;
        raft().max_uncommitted_bytes = 1600;
        raft().log_cache_bytes = below(600);
        raft().snapshot_chunk_bytes = 200;
        only({Fault::disk_stall}, 1500, 3000);
    }
    void chased_snapshots() {
        calm();
        under_load();
        cluster_.nodes = 3;
        cluster_.network.delay_min = milliseconds(2);
        cluster_.network.delay_max = milliseconds(3 + below(5));
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(300 + below(1000));
        raft().retained_bytes = 0;
        raft().snapshot_chunk_bytes = 16 + below(24);
    }
    void minority_faults() {
        calm();
        if (below(2) == 0) under_load();
        cluster_.nodes = 3 + below(5);
        raft().heartbeat_interval = milliseconds(30 + below(60));
        raft().election_timeout =
            raft().heartbeat_interval * static_cast<std::int64_t>(3 + below(4));
        raft().commit_notice_delay = {};
        raft().disk_stall_timeout = milliseconds(100 + below(400));
        if (below(2) == 0) return;
        // Who was away needs a snapshot, and gets it in many pieces.
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(300 + below(1500));
        raft().retained_bytes = 0;
        raft().snapshot_chunk_bytes = 16 + below(100);
    }
    void stalling_leaders() {
        calm();
        cluster_.nodes = 3 + 2 * below(3);
        raft().heartbeat_interval = milliseconds(30 + below(20));
        raft().election_timeout = 3 * raft().heartbeat_interval;
        raft().disk_stall_timeout = milliseconds(60 + below(100));
        only({Fault::leaders_stall}, 4000, 1000);
    }
    void full_leaders() {
        calm();
        under_load();
        cluster_.nodes = 3 + 2 * below(2);
        cluster_.segment_bytes = 4096;
        cluster_.durable_view_every = 64;  // much is written in so many small segments
        raft().heartbeat_interval = milliseconds(30 + below(20));
        raft().election_timeout = 3 * raft().heartbeat_interval;
        raft().disk_stall_timeout = milliseconds(100 + below(1000));
        only({Fault::leader_full}, 4000, 1000);
    }
    /// In many pieces, and often.
    void many_snapshots() {
        small_files();
        cluster_.nodes = std::max<std::size_t>(cluster_.nodes, 3);
        raft().max_hold_bytes = 0;
        raft().snapshot_chunk_bytes = 16 + below(200);
        raft().snapshot_window_bytes = raft().snapshot_chunk_bytes * (1 + below(5));
        cluster_.network.delay_max = milliseconds(1 + below(10));
        clients_.operations_max = 3000;
    }
    void damaged_transfers() {
        many_snapshots();
        cluster_.streams = false;
        if (below(2) == 0) clients_.pause_max = milliseconds(500 + below(1000));
        const std::uint64_t lasts = 300 + below(1500);
        only({Fault::damaged_transfer, Fault::isolate_leader, Fault::partial, Fault::left_behind,
              Fault::process_kill},
             300 + below(700), lasts);
    }
    void throwing_machines() {
        many_snapshots();
        const std::uint64_t lasts = 300 + below(1500);
        only({Fault::poison, Fault::throwing_machine, Fault::no_memory, Fault::isolate_leader,
              Fault::partial, Fault::process_kill, Fault::power_failure},
             400 + below(800), lasts);
    }

    void diverging_states() {
        small_files();
        cluster_.nodes = 3 + 2 * below(2);
        if (below(2) == 0) cluster_.options.snapshot_threshold = 100'000;
        clients_.operations_max = 3000;
        const std::uint64_t lasts = 300 + below(1500);
        only({Fault::flipped_bit, Fault::isolate_leader, Fault::partial, Fault::process_kill,
              Fault::pause},
             300 + below(700), lasts);
    }

    /// Logs of several segments, of which many are alive.
    void scattered_damage() {
        cluster_.nodes = std::max<std::size_t>(cluster_.nodes, 3);
        cluster_.segment_bytes = 4096;
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(2000 + below(20'000));
        raft().max_log_bytes = 0;
        raft().max_entry_bytes = 4096;
        raft().max_message_bytes = std::size_t{4096} << below(5);
        raft().window_bytes = 4 * raft().max_message_bytes;
        raft().max_uncommitted_bytes = std::size_t{1} << 20;
        clients_.operations_max = 3000;
        const std::uint64_t lasts = 300 + below(1500);
        only({Fault::scattered_damage, Fault::process_kill, Fault::partial, Fault::isolate_leader,
              Fault::crash_between_disk_calls},
             500 + below(1500), lasts);
    }

    ClusterPlan& cluster_;
    ClientPlan& clients_;
    FaultPlan& faults_;
    raft::Random& random_;
};

}  // namespace detail
}  // namespace rsm::sim

#endif
