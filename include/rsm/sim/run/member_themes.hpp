// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The themes of members: changes, handovers and disks that are lost or taken for others, while much
// else goes wrong. Each bends a plan that was drawn towards one.
#ifndef RSM_SIM_RUN_MEMBER_THEMES_HPP
#define RSM_SIM_RUN_MEMBER_THEMES_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/plans.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace rsm::inline v0::sim::detail {

class MemberThemeWriter {
public:
    MemberThemeWriter(ClusterPlan& cluster, ClientPlan& clients, FaultPlan& faults,
                      raft::Random& random)
        : cluster_(cluster), clients_(clients), faults_(faults), random_(random) {}

    /// Changes come one after the other, over a log that is always being compacted.
    void member_changes() {
        compacting();
        quick();
        const std::uint64_t every = 150 + below(300);
        const std::uint64_t lasts = 200 + below(1000);
        only({Fault::change_members, Fault::partition, Fault::isolate_leader, Fault::power_failure,
              Fault::process_kill, Fault::crash_between_disk_calls, Fault::failed_sync},
             every, lasts);
        faults_.members_share = 6;
        also(Fault::hand_over);
        also(Fault::wiped_disk);
        also(Fault::disk_stall);
        also(Fault::failed_call);
        also(Fault::power_failure_after_install);
    }
    /// Disks are empty, old or somebody else's when a node comes back.
    void lost_disks() {
        if (below(2) == 0) compacting();
        quick();
        cluster_.network.loss = below(30);
        cluster_.disk.stall_one_in = 0;
        const std::uint64_t every = 200 + below(400);
        const std::uint64_t lasts = 200 + below(600);
        only({Fault::wiped_disk, Fault::old_disk, Fault::exchanged_disk, Fault::isolate_leader,
              Fault::process_kill},
             every, lasts);
        also(Fault::change_members);
        also(Fault::hand_over);
        also(Fault::partial);
        also(Fault::power_failure_of_all);
    }
    /// To nodes that hear late or not at all, whose disks hang, or who are just starting.
    void handovers() {
        if (below(2) == 0) compacting();
        quick();
        NetworkConditions& network = cluster_.network;
        network.delay_max = milliseconds(1 + below(20));
        network.loss = below(120);
        network.reordering = below(200);
        network.reordering_max = milliseconds(20 + below(300));
        cluster_.disk.stall_one_in = static_cast<std::uint32_t>(100 + below(400));
        cluster_.disk.stall_max = milliseconds(100 + below(600));
        const std::uint64_t every = 100 + below(300);
        const std::uint64_t lasts = 200 + below(600);
        only({Fault::hand_over, Fault::disk_stall, Fault::clean_restart, Fault::process_kill,
              Fault::storm},
             every, lasts);
        also(Fault::change_members);
        also(Fault::hold_up);
        also(Fault::pause);
        also(Fault::left_behind);
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
    static raft::Duration milliseconds(std::uint64_t count) {
        return std::chrono::milliseconds(static_cast<std::int64_t>(count));
    }
    void only(std::initializer_list<Fault> kinds, std::uint64_t every, std::uint64_t lasts) {
        faults_.only(kinds, milliseconds(every), milliseconds(lasts));
    }
    /// In every second run.
    void also(Fault kind) {
        if (below(2) == 0) faults_.enabled[static_cast<std::size_t>(kind)] = true;
    }
    /// A snapshot after every few entries, which whoever was away needs.
    void compacting() {
        cluster_.segment_bytes = 4096;
        cluster_.options.snapshot_threshold = static_cast<std::int64_t>(200 + below(800));
        raft::Options& raft = cluster_.options.raft;
        raft.retained_bytes = 0;
        if (below(2) == 0) raft.max_hold_bytes = 0;
        clients_.operations_max = 3000;
    }
    /// Several reigns and changes have room between two faults.
    void quick() {
        cluster_.nodes = std::max<std::size_t>(cluster_.nodes, 3);
        raft::Options& raft = cluster_.options.raft;
        raft.heartbeat_interval = milliseconds(20 + below(40));
        raft.election_timeout = raft.heartbeat_interval * static_cast<std::int64_t>(3 + below(4));
        raft.commit_notice_delay = std::min(raft.commit_notice_delay, raft.heartbeat_interval);
        cluster_.disk.max = std::min(cluster_.disk.max, milliseconds(10));
        cluster_.network.delay_max = std::min(cluster_.network.delay_max, milliseconds(10));
    }

    ClusterPlan& cluster_;
    ClientPlan& clients_;
    FaultPlan& faults_;
    raft::Random& random_;
};

}  // namespace rsm::sim::detail

#endif
