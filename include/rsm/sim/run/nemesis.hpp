// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nemesis: who makes things go wrong in a run.
//
// A fault that destroys what a disk had promised may strike fewer than half of the nodes, because
// no cluster survives more.
#ifndef RSM_SIM_RUN_NEMESIS_HPP
#define RSM_SIM_RUN_NEMESIS_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/failed_calls.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/machine_troubles.hpp>
#include <rsm/sim/run/member_faults.hpp>
#include <rsm/sim/run/rot.hpp>
#include <rsm/sim/run/scattered_damage.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// Makes faults until told to stop, then undoes them all.
class Nemesis : MemberFaults {
public:
    /// @param targets  whom it may strike; empty: everybody
    Nemesis(ClusterBase& cluster, FaultPlan plan, std::uint64_t seed,
            std::vector<raft::NodeId> targets = {})
        : MemberFaults(cluster, plan, seed, std::move(targets)), pauses_(cluster.size() + 1) {
        for (std::size_t i = 0; i < fault_kinds; ++i) {
            const auto kind = static_cast<Fault>(i);
            const bool often = kind == Fault::change_members;
            if (plan_.enabled[i])
                kinds_.insert(kinds_.end(), often ? plan_.members_share : 1, kind);
        }
    }
    void start() {
        if (kinds_.empty()) return;
        running_ = true;
        for (const raft::NodeId node : targets()) {
            if (cluster_.state(node) == NodeState::down) restart_later(node);
        }
        schedule();
    }
    /// Ends all faults and brings up every node that can come up.
    void heal() {
        running_ = false;
        calm_network();
        cluster_.troubles().end();
        for (const raft::NodeId node : targets()) make_well(node);
    }

private:
    /// The leader more often than others, for that is where faults hurt.
    raft::NodeId victim() {
        const bool lead = random_.below(3) == 0;
        const raft::NodeId other = any_target();
        const raft::NodeId leader = cluster_.leader();
        return lead && leader && is_target(leader) ? leader : other;
    }

    void schedule() {
        world().call_after(draw(plan_.every_max), [this] {
            if (!running_) return;
            const Fault kind = kinds_[random_.below(kinds_.size())];
            const raft::NodeId node = victim();
            strike(plan_.deposes && node == cluster_.leader() ? Fault::power_failure : kind, node);
            // A planned crash may have come after the restart that was meant for it.
            if (cluster_.state(node) == NodeState::down) restart_later(node);
            schedule();
        });
    }
    void strike(Fault kind, raft::NodeId node) {
        cluster_.coverage().struck(kind);
        cluster_.note(TraceKind::note, node,
                      std::string(fault_names[static_cast<std::size_t>(kind)]));
        switch (kind) {
            case Fault::partition: return partition(0);
            case Fault::isolate_leader: return isolate(node);
            case Fault::one_way: return one_way(node);
            case Fault::partial: return partial();
            case Fault::clog: return clog(node);
            case Fault::left_behind: return leave_behind(cluster_.leader());
            case Fault::storm: return storm();
            case Fault::pause: return pause(node);
            case Fault::slow_node: return slow(node);
            case Fault::clock_jump: return jump(node);
            case Fault::drift: return drift(node);
            case Fault::power_failure: return crash(node, Counter::power_failures);
            case Fault::power_failure_of_all: return crash_all();
            case Fault::power_failure_after_install: return crash_after_install();
            case Fault::process_kill: return crash(node, Counter::process_kills);
            case Fault::crash_between_disk_calls: return crash_in_a_job(node);
            case Fault::clean_restart: return clean_restart(node);
            case Fault::disk_stall: return stall(node);
            case Fault::failed_write:
            case Fault::failed_sync:
            case Fault::full_disk: return fail_disk(kind, node);
            case Fault::bit_rot: return rot(node);
            case Fault::lost_write:
            case Fault::misdirected_write: return lose_write(kind, node);
            case Fault::refused_openings: return refuse_openings(node);
            case Fault::failed_call: return fail_call(node);
            case Fault::interrupted_copy: return copy_in_part(node);
            case Fault::stalled_behind: return stall_behind(node);
            case Fault::hold_up: return hold_up(node, world().now() + draw(plan_.lasts_max));
            case Fault::followers_stall: return stall_followers();
            case Fault::short_pause: return pause_shortly(cluster_.leader());
            case Fault::damaged_transfer: return damage_transfer();
            case Fault::leaders_stall: return stall_leaders();
            case Fault::leader_full: return fill_leader();
            case Fault::poison: return poison();
            case Fault::throwing_machine: return make_throw(node);
            case Fault::no_memory: return run_out_of_memory(node);
            case Fault::change_members: return change_members();
            case Fault::hand_over: return hand_over();
            case Fault::wiped_disk: return wipe(node);
            case Fault::old_disk: return fall_back_later(node);
            case Fault::exchanged_disk: return exchange_disks(node, any_target());
            case Fault::flipped_bit: return flip_bit(node);
            case Fault::scattered_damage: return scatter();
            case Fault::count_: return;
        }
    }

    // ---- processes and clocks ----

    void pause(raft::NodeId node) {
        if (!cluster_.running(node) || cluster_.process(node).paused()) return;
        begin_pause(node);
        undo_later([this, node] { resume(node); });
    }
    void begin_pause(raft::NodeId node) {
        cluster_.happened(Counter::pauses);
        cluster_.process(node).pause();
        TraceRecord record;
        record.at = world().now();
        record.kind = TraceKind::pause;
        record.node = node;
        pauses_[node.value] = cluster_.trace().add(std::move(record));
    }
    void pause_shortly(raft::NodeId leader) {
        if (!leader || cluster_.process(leader).paused()) return;
        const raft::Duration patience = cluster_.plan().options.raft.election_timeout;
        const raft::Duration lasts = patience / 4 + draw(patience);
        begin_pause(leader);
        world().call_after(lasts, [this, leader] { resume(leader); });
    }
    void resume(raft::NodeId node) {
        if (!cluster_.process(node).paused()) return;
        cluster_.process(node).resume();
        cluster_.trace().end(pauses_[node.value], world().now());
    }
    /// Shorter than anybody waits for it.
    void hold_up(raft::NodeId node, raft::Time end) {
        if (!running_ || world().now() >= end) return;
        cluster_.happened(Counter::hold_ups);
        const raft::Duration most = cluster_.plan().options.raft.heartbeat_interval / 2;
        const raft::Duration lasts = draw(most);
        cluster_.process(node).hold_up(lasts);
        world().call_after(lasts + draw(2 * lasts), [this, node, end] { hold_up(node, end); });
    }
    void slow(raft::NodeId node) {
        cluster_.process(node).slow_down(draw(std::chrono::milliseconds(3)));
        undo_later([this, node] { cluster_.process(node).slow_down({}); });
    }
    void jump(raft::NodeId node) {
        cluster_.happened(Counter::clock_jumps);
        cluster_.process(node).jump(draw(std::chrono::seconds(5)));
        cluster_.note(TraceKind::clock, node, "the clock jumps ahead");
    }
    void drift(raft::NodeId node) {
        cluster_.process(node).set_drift(static_cast<std::int64_t>(random_.below(400'000)) -
                                         200'000);
    }

    void restart_later(raft::NodeId node) {
        undo_later([this, node] { restart(node); });
    }
    void restart(raft::NodeId node) {
        const NodeState state = cluster_.state(node);
        if (state == NodeState::failed) cluster_.kill(node);
        if (cluster_.state(node) != NodeState::down) return;
        trip(node);
        cluster_.start(node);
    }
    bool draws(Fault kind) const { return plan_.enabled[static_cast<std::size_t>(kind)]; }
    /// Not even the recovery, or what comes right after it, is always left in peace.
    void trip(raft::NodeId node) {
        if (!running_) return;
        if (draws(Fault::failed_call) && random_.below(2) == 0) {
            fail_call_at_start(cluster_.disk(node), random_);
            undo_later([this, node] { repair(node); });
        }
        if (draws(Fault::crash_between_disk_calls) && random_.below(4) == 0) {
            cluster_.disk(node).fail_after(1 + random_.below(20), DiskFault::stop);
            restart_later(node);
        }
        if (draws(Fault::power_failure) && random_.below(4) == 0) {
            world().call_after(draw(std::chrono::milliseconds(50)), [this, node] {
                if (running_) crash(node, Counter::power_failures);
            });
        }
    }
    void crash(raft::NodeId node, Counter kind) {
        if (!cluster_.running(node) && cluster_.state(node) != NodeState::stopping) return;
        cluster_.happened(kind);
        if (kind == Counter::power_failures) {
            cluster_.power_off(node);
        } else {
            cluster_.kill(node);
        }
        restart_later(node);
    }
    void crash_all() {
        for (const raft::NodeId node : targets()) crash(node, Counter::power_failures);
    }
    void crash_after_install() {
        for (const raft::NodeId node : targets()) cluster_.crash_after_install(node);
    }
    void crash_in_a_job(raft::NodeId node) {
        if (!cluster_.running(node)) return;
        Disk& disk = cluster_.disk(node);
        if (random_.below(3) == 0) {
            disk.fail_from_write(wal_files::puts_segment_to_use, 1 + random_.below(4),
                                 DiskFault::stop);
        } else {
            disk.fail_after(1 + random_.below(12), DiskFault::stop);
        }
        restart_later(node);
    }
    void clean_restart(raft::NodeId node) {
        if (!cluster_.running(node)) return;
        cluster_.happened(Counter::clean_restarts);
        cluster_.stop_cleanly(node);
        restart_later(node);
    }

    // ---- state machines ----

    void poison() { cluster_.troubles().poison(); }
    void make_throw(raft::NodeId node) {
        cluster_.troubles().prepare(node, {any_call(MachineCall::capture), Thrown::exception});
    }
    void run_out_of_memory(raft::NodeId node) {
        cluster_.troubles().prepare(node, {any_call(MachineCall::apply), Thrown::no_memory});
    }
    /// Where a majority of others is left, whatever becomes of this one.
    void flip_bit(raft::NodeId node) {
        if (!cluster_.running(node) || cluster_.usable() - 1 <= cluster_.size() / 2) return;
        cluster_.troubles().flip(node, std::uint64_t{1} << random_.below(64));
    }
    /// One of those from `first` on.
    MachineCall any_call(MachineCall first) {
        const auto least = static_cast<std::uint64_t>(first);
        const std::uint64_t end = static_cast<std::uint64_t>(MachineCall::count_);
        return static_cast<MachineCall>(least + random_.below(end - least));
    }

    // ---- disks ----

    void stall(raft::NodeId node) { stall(node, draw(plan_.lasts_max)); }
    void stall_followers() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        const raft::Duration patience = cluster_.plan().options.raft.election_timeout;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (id != leader.value) stall({id}, 2 * patience + draw(4 * patience));
        }
        // It has much to do, so that what is due is often done late, together with other things.
        cluster_.process(leader).slow_down(std::chrono::microseconds(500));
        undo_later([this, leader] { cluster_.process(leader).slow_down({}); });
    }
    /// Each for longer than it may lead.
    void stall_leaders() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        stall_leader(leader);
        stall_next_leader(leader, world().now() + std::chrono::seconds(1));
    }
    void stall_leader(raft::NodeId leader) {
        const raft::Options& raft = cluster_.plan().options.raft;
        stall(leader, 2 * (raft.disk_stall_timeout + raft.election_timeout));
    }
    void stall_next_leader(raft::NodeId last, raft::Time end) {
        if (!running_ || world().now() >= end) return;
        const raft::NodeId leader = cluster_.leader();
        if (leader && leader != last) return stall_leader(leader);
        world().call_after(std::chrono::milliseconds(5),
                           [this, last, end] { stall_next_leader(last, end); });
    }
    /// What others have done without it comes before its disk has given what it was asked for.
    /// For longer than a leader waits until it looks for another one that has room.
    void fill_leader() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        const raft::Duration lasts = 20 * cluster_.plan().options.raft.election_timeout;
        const bool others = random_.below(3) == 0;
        for (const raft::NodeId node : targets()) {
            if ((!others && node != leader) || !cluster_.running(node)) continue;
            fill(node);
            world().call_after(lasts, [this, node] { repair(node); });
        }
    }
    void fill(raft::NodeId node) {
        DiskHistory& history = cluster_.disk_history(node);
        history.refusing = history.full = true;
        cluster_.happened(Counter::full_disks);
        cluster_.disk(node).set_capacity(cluster_.disk(node).used());
    }
    void stall_behind(raft::NodeId node) {
        const raft::Duration away = draw(plan_.lasts_max);
        stall(node, away + draw(plan_.lasts_max / 4));
        cut_off(node, true);
        world().call_after(away, [this, node] {
            if (running_) cut_off(node, false);
        });
    }
    void cut_off(raft::NodeId node, bool is_cut) {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            cut(node, {id}, is_cut);
            cut({id}, node, is_cut);
        }
        note_cut("node " + std::to_string(node.value) + " is behind");
    }
    void stall(raft::NodeId node, raft::Duration lasts) {
        cluster_.happened(Counter::stalled_disks);
        TraceRecord record;
        record.at = world().now();
        record.until = record.at + lasts;
        record.kind = TraceKind::disk_stall;
        record.node = node;
        cluster_.disk(node).stall_until(record.until);
        cluster_.trace().add(std::move(record));
    }
    void fail_disk(Fault kind, raft::NodeId node) {
        if (!cluster_.running(node)) return;
        DiskHistory& history = cluster_.disk_history(node);
        (kind == Fault::full_disk ? history.refusing : history.failing) = true;
        Disk& disk = cluster_.disk(node);
        if (kind == Fault::failed_write) {
            cluster_.happened(Counter::failed_writes);
            disk.fail_after(1 + random_.below(3), DiskFault::write_error);
        } else if (kind == Fault::failed_sync) {
            cluster_.happened(Counter::failed_syncs);
            if (random_.below(2) == 0) {
                disk.fail_from_write(wal_files::puts_segment_to_use, 1, DiskFault::sync_error);
            } else {
                disk.fail_after(1 + random_.below(3), DiskFault::sync_error);
            }
        } else {
            fill(node);
        }
        undo_later([this, node] { repair(node); });
    }
    void fail_call(raft::NodeId node) {
        if (!cluster_.running(node)) return;
        cluster_.disk_history(node).failing = true;
        fail_call_at_work(cluster_.disk(node), random_);
        undo_later([this, node] { repair(node); });
    }
    /// It passes, and the node goes on by itself.
    void refuse_openings(raft::NodeId node) {
        if (!cluster_.running(node)) return;
        cluster_.happened(Counter::refused_openings);
        cluster_.disk_history(node).refusing = true;
        constexpr std::array<int, 4> errors{ENOSPC, EDQUOT, EMFILE, ENFILE};
        cluster_.disk(node).refuse_openings(errors[random_.below(errors.size())]);
        undo_later([this, node] { repair(node); });
    }
    void repair(raft::NodeId node) {
        end_disk_faults(node);
        restart(node);
    }
    void end_disk_faults(raft::NodeId node) {
        cluster_.disk_history(node).full = false;
        cluster_.clear_plans(node);
        cluster_.disk(node).set_capacity(std::numeric_limits<std::uint64_t>::max());
    }

    /// Whether one more node may lose what its disk had promised.
    bool may_destroy(raft::NodeId node) const {
        if (cluster_.any_heals()) return false;
        std::size_t harmed = 0;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const bool damaged = cluster_.disk_history({id}).damaged;
            if (id == node.value || damaged || !cluster_.keeps_promises({id})) ++harmed;
        }
        return harmed <= (cluster_.size() - 1) / 2;
    }
    void rot(raft::NodeId node) {
        if (!may_destroy(node)) return;
        cluster_.happened(Counter::bit_rot);
        cluster_.disk_history(node).damaged = true;
        static_cast<void>(sim::rot(cluster_.disk(node), random_));
        if (random_.below(2) == 0) crash(node, Counter::power_failures);
    }
    /// The power fails everywhere, and many come back with something else missing than the others,
    /// now and then all with the same.
    void scatter() {
        ScatteredDamage damage(cluster_, random_);
        if (!damage.choose_victims()) return;
        for (const raft::NodeId node : targets()) crash(node, Counter::power_failures);
        if (random_.below(12) == 0) {
            damage.strike_one_entry();
        } else {
            damage.strike();
        }
    }
    /// Whatever is missing of it is missed at the start, if it is needed.
    void copy_in_part(raft::NodeId node) {
        if (!may_destroy(node) || !cluster_.running(node)) return;
        cluster_.happened(Counter::interrupted_copies);
        cluster_.disk_history(node).damaged = true;
        crash(node, Counter::power_failures);
        if (cluster_.state(node) != NodeState::down) return;
        static_cast<void>(cluster_.disk(node).copy_in_part(random_));
    }
    /// A write that was lost shows once something is written after it; until then the node must
    /// not come back, for nobody could tell.
    void lose_write(Fault kind, raft::NodeId node) {
        if (!may_destroy(node) || !cluster_.running(node)) return;
        cluster_.happened(Counter::lost_writes);
        cluster_.disk_history(node).damaged = true;
        const DiskFault fault =
            kind == Fault::lost_write ? DiskFault::lost_write : DiskFault::misdirected_write;
        cluster_.disk(node).fail_after(1 + random_.below(3), fault, 40);  // of 40 bytes or more
    }

    /// Ends what is wrong with one node.
    void make_well(raft::NodeId node) {
        cluster_.process(node).slow_down({});
        cluster_.process(node).set_drift(0);
        resume(node);
        end_disk_faults(node);
        if (cluster_.state(node) == NodeState::stopping) cluster_.kill(node);
        restart(node);
    }

    std::vector<Fault> kinds_;
    std::vector<Trace::Number> pauses_;  ///< by node
};

}  // namespace rsm::sim

#endif
