// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Minority fault: something is wrong, for long, with fewer than half of the nodes, while the others
// hear each other and have healthy disks.
#ifndef RSM_SIM_RUN_MINORITY_FAULT_HPP
#define RSM_SIM_RUN_MINORITY_FAULT_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/rules/progress_under_minority_fault.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/nemesis.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::sim {

class MinorityFault {
public:
    MinorityFault(ClusterBase& cluster, std::uint64_t seed) : cluster_(cluster), random_(seed) {}
    MinorityFault(const MinorityFault&) = delete;
    MinorityFault& operator=(const MinorityFault&) = delete;

    /// Fewer nodes have no minority.
    static constexpr std::size_t nodes_min = 3;

    /// @pre there are so many nodes at least, nothing is wrong with any, and it has not begun
    void begin() {
        cluster_.happened(Counter::minority_faults);
        const bool many = random_.below(3) == 0;
        kind_ = many ? Kind::in_trouble : static_cast<Kind>(random_.below(names.size() - 1));
        choose();
        ++life_;
        died_ = 0;
        for (const raft::NodeId node : stricken_) {
            cluster_.note(TraceKind::note, node,
                          std::string(names[static_cast<std::size_t>(kind_)]));
            strike(node);
        }
        if (kind_ == Kind::in_trouble) make_trouble();
    }
    void end() {
        ++life_;
        if (kind_ == Kind::in_trouble) troubles_.back()->heal();
        cluster_.network().heal();
        for (const raft::NodeId node : stricken_) cluster_.process(node).resume();
    }

    /// Whether those who are stricken answer nobody.
    bool silences() const { return kind_ <= Kind::paused || died_ == stricken_.size(); }
    /// Whether that leader may be gone soon. @param leader  0: one has just gone
    bool unsteady(raft::NodeId leader) const {
        if (leader && cluster_.disk_history(leader).damaged) return true;
        const bool stricken = std::ranges::find(stricken_, leader) != stricken_.end();
        const bool varies = kind_ == Kind::comes_and_goes || kind_ == Kind::in_trouble;
        return varies && (!leader || stricken);
    }
    /// Whether the others cannot serve by themselves before one of them has got a snapshot.
    bool waits_for_snapshot() const {
        std::vector<HeldLog> others;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (!cluster_.running({id}) ||
                std::ranges::find(stricken_, raft::NodeId{id}) != stricken_.end())
                continue;
            const raft::Log& log = cluster_.core({id}).log();
            others.push_back({log.base().index, log.last_index()});
        }
        return sim::waits_for_snapshot(others, cluster_.size());
    }
    /// What is wrong, to follow "while".
    std::string in_words() const {
        std::string text;
        for (const raft::NodeId node : stricken_) {
            text += (text.empty() ? "node " : " and node ") + std::to_string(node.value);
        }
        return text + " " + std::string(names[static_cast<std::size_t>(kind_)]);
    }

private:
    enum class Kind : std::uint8_t {
        deaf,
        mute,
        away,
        paused,
        partly_cut,
        disk_hangs,
        comes_and_goes,
        receives_for_long,
        dies_receiving,
        in_trouble,
    };
    static constexpr std::array<std::string_view, 10> names{
        "hears nobody",
        "is heard by nobody",
        "is away",
        "is stopped",
        "hears some and is heard by some",
        "has a disk that hangs",
        "comes and goes",
        "comes back with a disk that hangs",
        "comes back and goes in the midst of a snapshot",
        "is in trouble of many kinds"};

    World& world() { return cluster_.world(); }
    raft::Duration draw(raft::Duration bound) { return random_.below(bound) + raft::Duration(1); }

    /// The leader is among them half of the time, and all whose disks have been damaged, or who
    /// have failed by what was done to them before.
    void choose() {
        const std::size_t most = (cluster_.size() - 1) / 2;
        const std::size_t wanted = 1 + random_.below(most);
        const bool lead = random_.below(2) == 0;
        const raft::NodeId leader = cluster_.leader();
        stricken_.clear();
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const bool damaged = cluster_.disk_history({id}).damaged;
            if (damaged || !cluster_.running({id})) stricken_.push_back({id});
        }
        const bool is_new = std::ranges::find(stricken_, leader) == stricken_.end();
        if (leader && lead && is_new && stricken_.size() < most) stricken_.push_back(leader);
        while (stricken_.size() < wanted) {
            const raft::NodeId node{1 + random_.below(cluster_.size())};
            if (std::ranges::find(stricken_, node) == stricken_.end()) stricken_.push_back(node);
        }
    }
    void strike(raft::NodeId node) {
        switch (kind_) {
            case Kind::deaf: return cut(node, 0, 100);
            case Kind::mute: return cut(node, 100, 0);
            case Kind::away: return cut(node, 100, 100);
            case Kind::paused:
                cluster_.happened(Counter::pauses);
                return cluster_.process(node).pause();
            case Kind::partly_cut: {
                const std::uint64_t there = random_.below(100);
                const std::uint64_t back = random_.below(100);
                return cut(node, there, back);
            }
            case Kind::disk_hangs:
                cluster_.happened(Counter::stalled_disks);
                return hang(node, life_);
            case Kind::comes_and_goes: return come_and_go(node, life_);
            case Kind::receives_for_long:
                return go_and_come_back(node, [this, node, life = life_] { hang(node, life); });
            case Kind::dies_receiving:
                return go_and_come_back(node, [this, node, life = life_] { die(node, life); });
            case Kind::in_trouble: return;
        }
    }
    /// Of all of them together.
    void make_trouble() {
        FaultPlan plan;
        const auto enable = [&plan](std::initializer_list<Fault> kinds) {
            for (const Fault kind : kinds) plan.enabled[static_cast<std::size_t>(kind)] = true;
        };
        enable({Fault::partition, Fault::one_way, Fault::partial, Fault::clog, Fault::pause,
                Fault::clock_jump, Fault::power_failure, Fault::process_kill,
                Fault::crash_between_disk_calls, Fault::clean_restart, Fault::failed_write,
                Fault::failed_sync, Fault::full_disk, Fault::refused_openings, Fault::failed_call,
                Fault::hold_up, Fault::damaged_transfer});
        const bool destructive = random_.below(3) == 0;
        if (destructive) enable({Fault::bit_rot, Fault::lost_write, Fault::interrupted_copy});
        plan.every_max = std::chrono::milliseconds(250);
        plan.lasts_max = std::chrono::milliseconds(500);
        plan.deposes = true;
        troubles_.push_back(std::make_unique<Nemesis>(cluster_, plan, random_.next(), stricken_));
        troubles_.back()->start();
    }
    /// @param outgoing, incoming  how many of a hundred links are cut, the others are not
    void cut(raft::NodeId node, std::uint64_t outgoing, std::uint64_t incoming) {
        cluster_.happened(Counter::partitions);
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            cluster_.network().cut(node, {id}, random_.below(100) < outgoing);
            cluster_.network().cut({id}, node, random_.below(100) < incoming);
        }
    }
    template <class Action>
    void later(raft::Duration delay, std::uint64_t life, Action action) {
        world().call_after(delay, [this, life, action] {
            if (life == life_) action();
        });
    }
    /// As long as it lasts, and a little longer.
    void hang(raft::NodeId node, std::uint64_t life) {
        constexpr auto bit = std::chrono::milliseconds(20);
        cluster_.disk(node).stall_until(world().now() + 2 * bit);
        later(bit, life, [this, node, life] { hang(node, life); });
    }
    void come_and_go(raft::NodeId node, std::uint64_t life) {
        const std::uint64_t share = random_.below(2) * 100;
        cut(node, share, share);
        later(draw(3 * cluster_.plan().options.raft.election_timeout), life,
              [this, node, life] { come_and_go(node, life); });
    }
    /// Behind what the leader's log still holds, if that is compacted fast enough.
    template <class Then>
    void go_and_come_back(raft::NodeId node, Then then) {
        cut(node, 100, 100);
        const raft::Duration lasts = 4 * cluster_.plan().options.raft.election_timeout;
        later(lasts, life_, [this, node, then, life = life_] {
            cut(node, 0, 0);
            later(draw(std::chrono::milliseconds(20)), life, then);
        });
    }
    /// As soon as it holds a part of a snapshot.
    void die(raft::NodeId node, std::uint64_t life) {
        if (!receives(node)) {
            constexpr auto moment = std::chrono::microseconds(200);
            return later(moment, life, [this, node, life] { die(node, life); });
        }
        ++died_;
        cut(node, 100, 100);
    }
    bool receives(raft::NodeId node) const {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return false;
        return std::ranges::any_of(cluster_.core(leader).followers(), [&](const auto& follower) {
            const auto& transfer = follower.transfer;
            return follower.node == node && follower.state == raft::ProgressState::snapshot &&
                   transfer.kept > 0 && transfer.kept < transfer.meta.size;
        });
    }

    ClusterBase& cluster_;
    raft::Random random_;
    Kind kind_{};
    std::vector<raft::NodeId> stricken_;
    std::vector<std::unique_ptr<Nemesis>> troubles_;  ///< earlier ones may have work under way
    std::size_t died_ = 0;                            ///< of these, in the midst of a snapshot
    std::uint64_t life_ = 0;  ///< what was to be done in an earlier one is over
};

}  // namespace rsm::sim

#endif
