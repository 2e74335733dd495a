// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Members come and go, and leaders hand over, while everything else goes wrong.
#ifndef RSM_SIM_RUN_MEMBER_FAULTS_HPP
#define RSM_SIM_RUN_MEMBER_FAULTS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/members.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/network_faults.hpp>

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
        if (!needs_lost(target)) cluster_.change_members(asked, std::move(target), how);
    }
    /// To somebody, or to whom the leader thinks best.
    void hand_over() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader) return;
        const raft::NodeId target = random_.below(2) == 0 ? raft::NodeId{} : any_node();
        cluster_.hand_over(leader, target, draw(std::chrono::milliseconds(1000)));
    }
    void wipe(raft::NodeId node) {
        if (!may_wipe(node)) return;
        lost_ = node;
        cluster_.wipe(node);
    }

private:
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
    /// which they are; and the next one when that has been taken in again.
    bool may_wipe(raft::NodeId node) const {
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
        return voters > 2 && !any_damage();
    }
    /// Disks that are damaged are instances that may be lost.
    bool any_damage() const {
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) {
            if (cluster_.disk_history({id}).damaged) return true;
        }
        return false;
    }

    raft::NodeId lost_;  // the latest whose disk was wiped
};

}  // namespace rsm::sim

#endif
