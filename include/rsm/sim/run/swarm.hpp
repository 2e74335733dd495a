// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Swarm: everything about a run is drawn from its seed. Each run leaves some faults and features
// out altogether, because what always happens hides what happens only without it.
#ifndef RSM_SIM_RUN_SWARM_HPP
#define RSM_SIM_RUN_SWARM_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/report.hpp>
#include <rsm/sim/run/themes.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

namespace rsm::inline v0::sim {

/// All that one run is made of.
struct RunPlan {
    ClusterPlan cluster;
    ClientPlan clients;
    FaultPlan faults;
    Theme theme = Theme::none;
    raft::Duration safety_phase = std::chrono::seconds(20);
    /// Within this time after the faults have ended the cluster must have committed an operation,
    /// every node that can run must have applied it, and every client must have its answer.
    raft::Duration recovery_limit = std::chrono::seconds(20);
    /// Which of the courses that a run of this plan may take; see Reduction.
    std::uint64_t course = 0;
};

namespace detail {

class Draw {
public:
    explicit Draw(std::uint64_t seed) : random_(seed) {}

    RunPlan plan() {
        RunPlan plan;
        cluster(plan.cluster);
        options(plan.cluster.options);
        // Narrow, but wide enough for a message beside one that is late.
        const std::size_t message = plan.cluster.options.raft.max_message_bytes;
        if (chance(10)) plan.cluster.network.link_bytes = 3 * message + 8192;
        clients(plan.clients);
        faults(plan.faults);
        plan.safety_phase = std::chrono::seconds(static_cast<std::int64_t>(10 + below(30)));
        const std::uint64_t burst = chance(60) ? 1 : 2 + below(6);
        if (plan.clients.pipeline == 1) plan.clients.burst = burst;
        plan.clients.at_old_leader = chance(50) ? 0 : below(800);
        if (chance(8)) {
            plan.theme = Theme::coincidences;
        } else if (chance(10)) {
            plan.theme = static_cast<Theme>(static_cast<std::uint64_t>(Theme::member_changes) +
                                            below(member_themes));
        } else if (chance(40)) {
            plan.theme = static_cast<Theme>(
                1 + below(static_cast<std::uint64_t>(Theme::member_changes) - 1));
        } else if (chance(25)) {
            plan.theme = static_cast<Theme>(static_cast<std::uint64_t>(Theme::slow_followers) +
                                            below(calm_themes));
        }
        ThemeWriter(plan.cluster, plan.clients, plan.faults, random_).write(plan.theme);
        if (plan.theme == Theme::chased_snapshots) {
            plan.safety_phase = std::chrono::seconds(3);
            // Without it nobody need catch up.
            plan.cluster.options.raft.max_hold_bytes = raft::Options{}.max_hold_bytes;
            plan.cluster.options.raft.max_hold_time = raft::Options{}.max_hold_time;
        }
        if (plan.theme == Theme::minority_faults) plan.safety_phase = std::chrono::seconds(2);
        if (plan.theme == Theme::long_times) {
            plan.safety_phase = 100 * plan.cluster.options.raft.election_timeout;
        }
        pieces(plan.cluster);
        if (plan.theme < Theme::slow_followers && chance(25)) plan.cluster.troubled_foundings = 40;
        if (chance(15) && plan.theme != Theme::long_times) streams(plan.cluster);
        rarities(plan);
        if (!is_calm(plan.theme)) limits(plan.cluster);
        // A node that is wiped twice waits to be taken in again.
        const auto has = [&](Fault fault) {
            return plan.faults.enabled[static_cast<std::size_t>(fault)];
        };
        const int timeouts = has(Fault::wiped_disk) ? 56 : 20;
        plan.recovery_limit =
            std::chrono::seconds(10) + timeouts * plan.cluster.options.raft.election_timeout +
            transfer_time(plan.cluster) + write_time(plan.cluster) + stream_time(plan.cluster);
        plan.clients.punctual =
            !has(Fault::pause) && !has(Fault::slow_node) && !has(Fault::clock_jump) &&
            !has(Fault::drift) && !has(Fault::hold_up) && !has(Fault::short_pause) &&
            !has(Fault::followers_stall) && plan.theme != Theme::minority_faults;
        if (chance(50)) plan.cluster.options.max_captured_bytes = 0;
        if (!is_calm(plan.theme) && plan.cluster.nodes > 1) scattered_damage(plan);
        if (chance(50)) sources(plan);
        plan.cluster.upgrades = chance(50);
        // After a restart nobody knows what has led to a state on disk, so none is compared. A node
        // that waits for one to be made durable asks every few minutes, which in years is too
        // often.
        const bool in_memory =
            plan.theme == Theme::diverging_states || plan.theme == Theme::long_times;
        if (!in_memory && chance(15)) states_on_disk(plan.cluster);
        // A machine that throws as it is captured costs a backup, and not the node.
        const bool throws = has(Fault::throwing_machine) || has(Fault::no_memory);
        if (plan.theme != Theme::long_times && !throws && chance(30)) {
            plan.clients.backups_max = milliseconds(200 + below(3000));
        }
        return plan;
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
    bool chance(std::uint64_t percent) { return below(100) < percent; }
    static raft::Duration milliseconds(std::uint64_t count) {
        return std::chrono::milliseconds(static_cast<std::int64_t>(count));
    }
    static raft::Duration microseconds(std::uint64_t count) {
        return std::chrono::microseconds(static_cast<std::int64_t>(count));
    }

    /// Of what waits to be written: where a segment holds one batch, one is made for each.
    static raft::Duration write_time(const ClusterPlan& plan) {
        const std::uint64_t fills = plan.segment_bytes / plan.pieces.fill_bytes;
        const raft::Duration segment = plan.disk.max * static_cast<std::int64_t>(2 * fills + 8);
        return segment * static_cast<std::int64_t>(64 * 4096 / plan.segment_bytes + 1);
    }
    /// Of a snapshot and as much of the log, with heartbeats in between, over a connection that
    /// holds a window at a time, and waits for what was lost.
    static raft::Duration stream_time(const ClusterPlan& plan) {
        if (!plan.streams) return {};
        constexpr std::size_t all_bytes = std::size_t{192} << 10;
        const NetworkConditions& network = plan.network;
        const raft::Duration late =
            network.reordering_max * static_cast<std::int64_t>(network.reordering) / 1000;
        const raft::Duration lost =
            std::chrono::milliseconds(400) * static_cast<std::int64_t>(network.loss) / 1000;
        const raft::Duration each = 2 * network.delay_max + late + lost + network.reading_max;
        return each * static_cast<std::int64_t>(all_bytes / plan.stream_window_bytes + 1);
    }
    /// Of a snapshot, piece by piece; what is lost or late is sent again at a heartbeat.
    static raft::Duration transfer_time(const ClusterPlan& plan) {
        constexpr std::size_t state_bytes = std::size_t{48} << 10;  // more than rsm-sim's have
        const raft::Options& raft = plan.options.raft;
        const NetworkConditions& network = plan.network;
        const raft::Duration delay = std::min(network.delay_max, raft.election_timeout / 10);
        const auto troubled = static_cast<std::int64_t>(network.loss + network.reordering);
        const raft::Duration each = 2 * (delay + network.reading_max + plan.disk.max) +
                                    2 * raft.heartbeat_interval * troubled / 1000;
        raft::Duration paced{};
        if (raft.snapshot_bytes_per_second != 0) {
            const std::uint64_t seconds = plan.nodes * state_bytes / raft.snapshot_bytes_per_second;
            paced = std::chrono::seconds(static_cast<std::int64_t>(seconds + 1));
        }
        // Where messages are late often, leaders change, and each begins anew with its own.
        const std::int64_t leaders = 1 + troubled / 50;
        return leaders * each *
                   static_cast<std::int64_t>(state_bytes / raft.snapshot_chunk_bytes + 1) +
               paced;
    }

    /// What comes to a plan that is drawn already.
    void rarities(RunPlan& plan) {
        constexpr Theme themes[] = {Theme::stalling_leaders, Theme::damaged_transfers,
                                    Theme::throwing_machines, Theme::full_leaders,
                                    Theme::diverging_states};
        if (plan.theme == Theme::none && chance(10)) {
            plan.theme = themes[below(std::size(themes))];
            ThemeWriter(plan.cluster, plan.clients, plan.faults, random_).write(plan.theme);
        }
        if (is_calm(plan.theme)) return;
        const auto also = [&](Fault kind, std::uint64_t percent) {
            if (chance(percent)) plan.faults.enabled[static_cast<std::size_t>(kind)] = true;
        };
        if (!plan.cluster.streams) also(Fault::damaged_transfer, 20);
        also(Fault::poison, 2);
        also(Fault::throwing_machine, 2);
        also(Fault::no_memory, 2);
        // Whom a majority outvotes is known where that majority is known.
        const bool are_fixed = plan.theme == Theme::diverging_states;
        if (!are_fixed) members(plan, plan.theme == Theme::none && plan.cluster.nodes > 1);
        plan.cluster.options.verify_decoding = chance(15);
    }
    /// @param mostly  members are to change in most runs, and then what hurts a change goes wrong
    void members(RunPlan& plan, bool mostly) {
        std::array<bool, fault_kinds>& enabled = plan.faults.enabled;
        const auto also = [&](Fault kind, std::uint64_t percent) {
            if (chance(percent)) enabled[static_cast<std::size_t>(kind)] = true;
        };
        also(Fault::hand_over, mostly ? 40 : 25);
        also(Fault::wiped_disk, mostly ? 30 : 20);
        also(Fault::old_disk, mostly ? 25 : 15);
        also(Fault::exchanged_disk, mostly ? 20 : 10);
        also(Fault::change_members, mostly ? 80 : 40);
        if (!enabled[static_cast<std::size_t>(Fault::change_members)]) return;
        plan.cluster.members_change = true;
        plan.cluster.founders = 1 + below(plan.cluster.nodes);
        if (!mostly || !chance(80)) return;
        constexpr Fault crashes[] = {Fault::power_failure, Fault::process_kill,
                                     Fault::crash_between_disk_calls,
                                     Fault::power_failure_after_install};
        constexpr Fault disks[] = {Fault::failed_sync, Fault::failed_write, Fault::disk_stall,
                                   Fault::failed_call, Fault::full_disk};
        enabled[static_cast<std::size_t>(crashes[below(std::size(crashes))])] = true;
        enabled[static_cast<std::size_t>(disks[below(std::size(disks))])] = true;
        std::int64_t& threshold = plan.cluster.options.snapshot_threshold;
        if (threshold > 3000) threshold = static_cast<std::int64_t>(300 + below(2000));
    }

    void states_on_disk(ClusterPlan& plan) {
        plan.states_on_disk = true;
        plan.transaction = 1 + below(4);
        plan.sync_every = chance(50) ? 1 : 1 + below(5);
    }
    /// What is lost comes back in small messages, one in an election timeout.
    void scattered_damage(RunPlan& plan) {
        if (plan.theme == Theme::none && chance(8)) {
            plan.theme = Theme::scattered_damage;
            ThemeWriter(plan.cluster, plan.clients, plan.faults, random_).write(plan.theme);
        } else if (chance(6)) {
            plan.faults.enabled[static_cast<std::size_t>(Fault::scattered_damage)] = true;
        }
        if (!plan.faults.enabled[static_cast<std::size_t>(Fault::scattered_damage)]) return;
        plan.recovery_limit += 60 * plan.cluster.options.raft.election_timeout;
    }
    /// Followers send snapshots in the leader's place. Before the leader sends one by itself it may
    /// have waited for another node, and it may have to begin anew.
    void sources(RunPlan& plan) {
        raft::Options& options = plan.cluster.options.raft;
        options.snapshot_source = raft::SnapshotSource::follower;
        plan.recovery_limit += 4 * options.election_timeout + transfer_time(plan.cluster);
    }

    /// Of the log and of what is sent of snapshots. After all else, which may change what they
    /// have to agree with.
    void limits(ClusterPlan& plan) {
        rsm::Options& options = plan.options;
        if (chance(30)) options.snapshot_factor = static_cast<double>(1 + below(12)) / 4;
        if (chance(25)) options.raft.snapshot_bytes_per_second = 10'000 + below(100'000);
        if (options.snapshot_threshold < 0 || !chance(30)) return;
        const auto threshold = static_cast<std::uint64_t>(options.snapshot_threshold);
        options.raft.max_log_bytes = 2 * threshold + 200 + below(chance(50) ? 500 : 10'000);
    }

    void cluster(ClusterPlan& plan) {
        // Three and five more often than others.
        constexpr std::size_t sizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7};
        plan.nodes = sizes[below(std::size(sizes))];
        plan.seed = random_.next();
        plan.segment_bytes = std::uint64_t{4096} << below(4);
        plan.batch_bytes = chance(30) ? 512 : 4096;
        plan.durable_view_every = chance(15) ? 1 : 16;
        plan.digest_every = 1 + below(30);
        plan.signed_snapshots = chance(50);
        plan.network.delay_max = microseconds(200 + below(chance(20) ? 60'000 : 5'000));
        if (chance(10)) plan.network.delay_max = milliseconds(100 + below(1'500));
        plan.network.loss = chance(50) ? 0 : below(60);
        plan.network.duplication = chance(50) ? 0 : below(60);
        plan.network.reordering = chance(50) ? 0 : below(100);
        plan.network.reordering_max = milliseconds(1 + below(chance(20) ? 20'000 : 500));
        if (chance(50)) plan.network.reading_max = microseconds(1 + below(3'000));
        plan.disk.min = microseconds(20);
        plan.disk.max = microseconds(100 + below(chance(20) ? 30'000 : 3'000));
        plan.disk.stall_one_in = chance(70) ? 0 : static_cast<std::uint32_t>(100 + below(1000));
        plan.disk.stall_max = milliseconds(100 + below(3000));
    }

    /// TCP repeats what is lost no sooner than after 200 ms, and needs two trips to connect.
    void streams(ClusterPlan& plan) {
        plan.streams = true;
        plan.stream_window_bytes = std::size_t{1} << (8 + below(9));
        const raft::Options& raft = plan.options.raft;
        const std::size_t windows = raft.window_bytes + raft.snapshot_window_bytes;
        if (chance(70)) plan.stream_queue_bytes = 2 * windows + 4096;
        buffers(plan.stream_buffers);
        if (chance(40)) plan.older_speakers = 2 * below(std::uint64_t{1} << plan.nodes);
        NetworkConditions& network = plan.network;
        network.loss = std::min<std::uint64_t>(network.loss, 20);
        const raft::Duration longest = raft.election_timeout / 10;
        network.delay_max = std::min(network.delay_max, longest);
        network.delay_min = std::min(network.delay_min, network.delay_max / 2);
    }

    /// Mostly so small that messages lie in several and are larger than one.
    void buffers(TcpBuffers& buffers) {
        if (chance(70)) {
            buffers.first_receive_bytes = 1 + below(2000);
            buffers.largest_receive_bytes = buffers.first_receive_bytes + below(4000);
            buffers.smallest_read_bytes = 1 + below(buffers.first_receive_bytes);
        }
        if (chance(70)) buffers.kept_batch_bytes = 1 + below(2000);
        if (chance(70)) buffers.drained_bytes = 1 + below(2000);
    }

    void options(rsm::Options& options) {
        options.snapshot_threshold =
            chance(15) ? -1 : static_cast<std::int64_t>(300 + below(chance(50) ? 2'000 : 20'000));
        options.operation_timeout = chance(10) ? raft::Duration{} : milliseconds(200 + below(5000));
        if (chance(10)) options.max_pending_bytes = 300 + below(1000);
        raft::Options& raft = options.raft;
        raft.heartbeat_interval = milliseconds(30 + below(100));
        raft.election_timeout = raft.heartbeat_interval * static_cast<std::int64_t>(3 + below(6));
        raft.commit_notice_delay = chance(30) ? raft::Duration{} : milliseconds(below(30));
        raft.disk_stall_timeout = chance(40) ? milliseconds(300) : milliseconds(5000);
        raft.pre_vote = chance(75);
        raft.check_quorum = chance(75);
        raft.barrier_on_election = chance(70);
        raft.recover_commit_index = chance(80);
        raft.max_entry_bytes = chance(30) ? 250 : 4096;
        raft.max_message_bytes = chance(50) ? raft.max_entry_bytes : 65'536;
        raft.window_bytes = raft.max_message_bytes * (1 + below(4));
        raft.max_uncommitted_bytes =
            chance(30) ? raft.max_entry_bytes + 64 + below(1000) : 1U << 20;
        raft.apply_batch_bytes = chance(40) ? 1 + below(300) : 1U << 20;
        raft.log_cache_bytes = chance(50) ? below(600) : 1U << 20;
        raft.retained_bytes = chance(50) ? below(2000) : 0;
        if (chance(40)) raft.max_hold_bytes = below(chance(50) ? 1'000 : 20'000);
        if (chance(20)) raft.max_hold_time = milliseconds(below(1'500));
        raft.snapshot_chunk_bytes = chance(60) ? 16 + below(200) : raft.max_entry_bytes;
        raft.max_waiting_reads = chance(15) ? 1 + below(3) : 10'000;
    }

    /// Mostly so small that everything is done in several pieces.
    void pieces(ClusterPlan& plan) {
        WalPieces& pieces = plan.pieces;
        const auto small = [&](auto& size, std::uint64_t least, std::uint64_t most) {
            if (chance(70)) size = static_cast<std::uint32_t>(least + below(most - least + 1));
        };
        if (chance(60)) pieces.first_segment_bytes = std::uint64_t{4096} << below(2);
        small(pieces.fill_bytes, 512, 5000);
        small(pieces.referenced_payload_bytes, 1, 60);
        small(pieces.read_gap_bytes, 0, 200);
        small(pieces.snapshot_write_bytes, 1, 300);
        small(pieces.snapshot_sync_bytes, 1, 600);
        small(pieces.snapshot_read_bytes, 1, 300);
        plan.spare_segments = below(5);
        small(plan.options.snapshot_buffer_bytes, 16, 200);
        small(plan.network.referenced_payload_bytes, 1, 60);
        raft::Options& raft = plan.options.raft;
        if (chance(50)) raft.snapshot_window_bytes = raft.snapshot_chunk_bytes * (1 + below(5));
    }

    void clients(ClientPlan& plan) {
        plan.clients = 1 + below(8);
        plan.pause_max = milliseconds(5 + below(chance(70) ? 100 : 600));
        plan.reads = below(700);
        plan.at_leader = chance(80) ? 900 : 300;
        plan.pipeline = chance(70) ? 1 : 1 + below(12);
        plan.operations_max = 1000;
    }

    void faults(FaultPlan& plan) {
        const std::uint64_t share = 10 + below(60);
        for (std::size_t i = 0; i < common_fault_kinds; ++i) plan.enabled[i] = chance(share);
        plan.every_max = milliseconds(200 + below(4000));
        plan.lasts_max = milliseconds(200 + below(4000));
    }

    raft::Random random_;
};

}  // namespace detail

inline RunPlan draw_plan(std::uint64_t seed) { return detail::Draw(seed).plan(); }

/// Leaves out of a plan what the reduction says.
inline void reduce(RunPlan& plan, const Reduction& reduction) {
    const auto at_most = [](auto& value, std::uint64_t limit) {
        if (limit != 0) value = std::min<std::size_t>(value, limit);
    };
    at_most(plan.cluster.nodes, reduction.nodes);
    at_most(plan.clients.clients, reduction.clients);
    if (reduction.milliseconds != 0) {
        const std::chrono::milliseconds limit(reduction.milliseconds);
        plan.safety_phase = std::min<raft::Duration>(plan.safety_phase, limit);
    }
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        if (reduction.without[i]) plan.faults.enabled[i] = false;
    }
    if (reduction.calm_network) {
        NetworkConditions& network = plan.cluster.network;
        network.loss = network.duplication = network.reordering = 0;
    }
    if (reduction.calm_disks) plan.cluster.disk.stall_one_in = 0;
    if (reduction.single) plan.clients.pipeline = plan.clients.burst = 1;
    plan.course = reduction.course;
    plan.cluster.seed += reduction.course;
}

inline PlanFacts facts_of(const RunPlan& plan) {
    const auto ms = [](raft::Duration time) { return std::to_string(time.count() / 1'000'000); };
    const auto on_off = [](bool on) { return std::string(on ? "on" : "off"); };
    const auto quarters = [](double factor) {
        return std::to_string(static_cast<int>(4 * factor)) + "/4";
    };
    const raft::Options& raft = plan.cluster.options.raft;
    std::string faults;
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        if (!plan.faults.enabled[i]) continue;
        faults += (faults.empty() ? "" : ", ") + std::string(fault_names[i]);
    }
    return {{"nodes", std::to_string(plan.cluster.nodes)},
            {"clients", std::to_string(plan.clients.clients)},
            {"election timeout", ms(raft.election_timeout) + " ms"},
            {"heartbeat", ms(raft.heartbeat_interval) + " ms"},
            {"pre-vote", on_off(raft.pre_vote)},
            {"check-quorum", on_off(raft.check_quorum)},
            {"barrier", on_off(raft.barrier_on_election)},
            {"snapshot threshold", std::to_string(plan.cluster.options.snapshot_threshold) + " B"},
            {"snapshot factor", quarters(plan.cluster.options.snapshot_factor)},
            {"log limit", std::to_string(raft.max_log_bytes) + " B"},
            {"snapshot pace", std::to_string(raft.snapshot_bytes_per_second) + " B/s"},
            {"snapshots from",
             raft.snapshot_source == raft::SnapshotSource::leader ? "leader" : "followers"},
            {"theme", std::string(theme_names[static_cast<std::size_t>(plan.theme)])},
            {"faults for", ms(plan.safety_phase) + " ms"},
            {"faults", faults.empty() ? "none" : faults}};
}
inline std::string in_words(const PlanFacts& facts) {
    std::string text;
    for (const auto& [name, value] : facts) {
        text += (text.empty() ? "" : "; ") + name + " " + value;
    }
    return text;
}

}  // namespace rsm::sim

#endif
