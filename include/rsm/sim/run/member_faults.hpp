// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Members come and go, and leaders hand over, while everything else goes wrong.
#ifndef RSM_SIM_RUN_MEMBER_FAULTS_HPP
#define RSM_SIM_RUN_MEMBER_FAULTS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/members.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/network_faults.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rsm::inline v0::sim {

class MemberFaults : protected NetworkFaults {
protected:
    using NetworkFaults::NetworkFaults;
    ~MemberFaults() = default;

    /// Mostly asks whoever leads for other members, drawn from all nodes; sometimes it takes back
    /// what it has asked for, or asks somebody who cannot do it.
    void change_members() {
        const raft::NodeId leader = cluster_.leader();
        const raft::NodeId asked = random_.below(10) == 0 ? any_node() : leader;
        if (!asked || !cluster_.running(asked)) return;
        if (random_.below(6) == 0) return cluster_.cancel_change(asked);
        ChangeOptions how;
        how.patience = std::chrono::milliseconds(random_.below(4000) + 1);
        how.forced = random_.below(10) == 0;
        Members target;
        const std::uint64_t learners = random_.below(3);
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            const std::uint64_t standing = random_.below(6);
            if (standing < 4 - learners / 2) target.push_back(cluster_.member({id}, true));
            if (standing == 5 && learners != 0) target.push_back(cluster_.member({id}, false));
        }
        if (random_.below(4) == 0) prioritize(target);
        if (!needs_lost(target)) cluster_.change_members(asked, std::move(target), how);
    }
    void prioritize(Members& target) {
        for (raft::Member& member : target) {
            member.priority = static_cast<std::uint32_t>(random_.below(3));
        }
    }
    /// To somebody, or to whom the leader thinks best.
    void hand_over() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        const raft::NodeId target = random_.below(2) == 0 ? raft::NodeId{} : any_node();
        cluster_.hand_over(leader, target, draw(std::chrono::milliseconds(1000)));
    }
    void wipe(raft::NodeId node) {
        if (!may_lose(node)) return;
        lost_ = node;
        cluster_.wipe(node);
    }

    /// A copy is taken of the node's disk; later, as soon as no promise is needed that it has given
    /// since, the disk is replaced by that.
    void fall_back_later(raft::NodeId node) {
        if (!cluster_.running(node)) return;
        if (cluster_.files(node).copy() == nullptr) cluster_.files(node).keep_copy();
        const raft::Duration patience = cluster_.plan().options.raft.election_timeout;
        const raft::Duration age = draw(plan_.lasts_max);
        const raft::Time end = world().now() + age + 40 * patience;
        world().call_after(age, [this, node, end] { fall_back_soon(node, end); });
    }
    /// Each finds its disk exchanged for the other's, or the first one a copy of the other's.
    void exchange_disks(raft::NodeId one, raft::NodeId other) {
        const auto has_identity = [this](raft::NodeId node) {
            return cluster_.running(node) && !cluster_.disk_history(node).damaged;
        };
        if (one == other || !has_identity(one) || !has_identity(other)) return;
        cluster_.happened(Counter::exchanged_disks);
        cluster_.power_off(one);
        cluster_.power_off(other);
        const bool copied = random_.below(2) == 0;
        cluster_.start_on_foreign_disk(one, other, copied);
        if (!copied) cluster_.start_on_foreign_disk(other, one, false);
        for (const raft::NodeId node : {one, other}) {
            undo_later([this, node] {
                if (cluster_.state(node) == NodeState::down) cluster_.start(node);
            });
        }
    }

private:
    void fall_back_soon(raft::NodeId node, raft::Time end) {
        if (!running_ || world().now() >= end) return;
        if (!may_fall_back(node)) {
            const raft::Duration moment = cluster_.plan().options.raft.heartbeat_interval / 4;
            world().call_after(moment, [this, node, end] { fall_back_soon(node, end); });
            return;
        }
        fallen_ = {node, cluster_.core(node).log().last_index()};
        cluster_.fall_back(node);
        undo_later([this, node] {
            if (cluster_.state(node) == NodeState::down) cluster_.start(node);
        });
    }
    /// Whether nothing needs what the node has promised since its copy was taken: what is committed
    /// is on the disks of a majority without it, and nobody can be elected in a term in which it
    /// may have voted. The copy knows who the members are, so that none of those who were members
    /// is elected with its help.
    bool may_fall_back(raft::NodeId node) const {
        const raft::Recovered* const copy = cluster_.files(node).copy();
        const raft::NodeId leader = cluster_.leader();
        if (copy == nullptr || !may_lose(node)) return false;
        const raft::Core& core = cluster_.core(leader);
        const raft::LogPosition committed{core.log().commit(), core.term()};
        const raft::Index last = cluster_.core(node).log().last_index();
        return copy->last < last && last <= committed.index && core.log().matches(committed) &&
               is_held_without(node, core.membership(), committed) && nobody_stands(leader) &&
               knows_members(*copy, core);
    }
    bool is_held_without(raft::NodeId node, const raft::Membership& members,
                         raft::LogPosition committed) const {
        std::size_t voters = 0;
        std::size_t holders = 0;
        for (const raft::Member& member : members.members) {
            if (!member.votes()) continue;
            ++voters;
            const raft::Log& log = cluster_.core(member.id).log();
            const bool holds = log.durable() >= committed.index && log.matches(committed);
            if (member.id != node && holds) ++holders;
        }
        return 2 * holders > voters;
    }
    /// All who are there follow that leader.
    bool nobody_stands(raft::NodeId leader) const {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (raft::NodeId{id} == leader || !cluster_.watched({id})) continue;
            const raft::Core& core = cluster_.core({id});
            const bool follows = core.role() == raft::Role::follower;
            if (!follows || core.term() != cluster_.core(leader).term()) return false;
        }
        return true;
    }
    bool knows_members(const raft::Recovered& copy, const raft::Core& leader) const {
        const raft::Index place = leader.configuration().latest_at();
        return place <= copy.snapshot.last.index ||
               std::ranges::any_of(copy.memberships, [&](const raft::Entry& entry) {
                   return entry.index == place && leader.log().matches(entry.position());
               });
    }

    /// Whether a majority of these would need an instance that is lost, which not even a leader may
    /// know yet: no cluster survives a change to them.
    bool needs_lost(const Members& target) const {
        if (!lost_ || is_taken_in(lost_)) return false;
        std::size_t voters = 0;
        std::size_t there = 0;
        for (const raft::Member& member : target) {
            if (!member.votes()) continue;
            ++voters;
            if (member.id != lost_) ++there;
        }
        return 2 * there <= voters;
    }
    /// Whether the leader knows who bears the id now.
    bool is_taken_in(raft::NodeId node) const {
        const raft::NodeId leader = cluster_.leader();
        if (!leader || !cluster_.running(node)) return false;
        const raft::Member* const member = cluster_.core(leader).membership().find(node);
        return member == nullptr || member->instance == cluster_.core(node).instance();
    }
    /// A minority of instances may be lost, from the moment at which everybody who votes knows
    /// which they are; and the next one when that has been taken in again, or has again what it
    /// had.
    bool may_lose(raft::NodeId node) const {
        const raft::NodeId leader = cluster_.leader();
        if (!leader || !cluster_.running(node)) return false;
        const raft::Core& core = cluster_.core(leader);
        const raft::Membership& members = core.membership();
        const bool settled = raft::is_settled(core.configuration(), core.log());
        if (!settled || core.changing_members()) return false;
        std::size_t voters = 0;
        for (const raft::Member& member : members.members) {
            if (!member.votes()) continue;
            ++voters;
            const bool there = cluster_.running(member.id) &&
                               cluster_.core(member.id).instance() == member.instance;
            const raft::Member* const known =
                there ? cluster_.core(member.id).membership().find(node) : nullptr;
            const bool knows = member.id == node || (known != nullptr && known->instance);
            if (!there || !knows) return false;
        }
        return voters > 2 && !any_damage() && !cluster_.any_heals() && !is_behind(fallen_);
    }
    /// Disks that are damaged are instances that may be lost.
    bool any_damage() const {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (cluster_.disk_history({id}).damaged) return true;
        }
        return false;
    }

    /// A node whose disk was replaced by an old copy, and what it held.
    struct Fallen {
        raft::NodeId node;
        raft::Index last;
    };
    /// @pre there is a leader
    bool is_behind(const Fallen& fallen) const {
        if (!fallen.node) return false;
        if (!cluster_.running(fallen.node)) return true;
        if (cluster_.core(fallen.node).log().durable() < fallen.last) return true;
        // A leader that has noticed takes its vote, for which it needs all others.
        const auto followers = cluster_.core(cluster_.leader()).followers();
        return std::ranges::any_of(followers, [&](const raft::Progress& follower) {
            return follower.node == fallen.node && follower.lost_before;
        });
    }

    raft::NodeId lost_;  // the latest whose disk was wiped
    Fallen fallen_;      // the latest
};

}  // namespace rsm::sim

#endif
