// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// FaultMaker: what all parts of a Nemesis need: whom to strike, what to draw, and that whatever was
// done is undone later.
#ifndef RSM_SIM_RUN_FAULT_MAKER_HPP
#define RSM_SIM_RUN_FAULT_MAKER_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/faults.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class FaultMaker {
protected:
    /// @param targets  whom faults may strike; empty: everybody
    FaultMaker(ClusterBase& cluster, FaultPlan plan, std::uint64_t seed,
               std::vector<raft::NodeId> targets)
        : cluster_(cluster), plan_(plan), random_(seed), targets_(std::move(targets)) {
        if (!targets_.empty()) return;
        for (std::uint64_t id = 1; id <= cluster.size(); ++id) targets_.push_back({id});
    }
    FaultMaker(const FaultMaker&) = delete;
    FaultMaker& operator=(const FaultMaker&) = delete;
    ~FaultMaker() = default;

    World& world() { return cluster_.world(); }
    raft::Duration draw(raft::Duration bound) { return random_.below(bound) + raft::Duration(1); }
    const std::vector<raft::NodeId>& targets() const { return targets_; }
    bool is_target(raft::NodeId node) const {
        return std::ranges::find(targets_, node) != targets_.end();
    }
    raft::NodeId any_target() { return targets_[random_.below(targets_.size())]; }
    raft::NodeId any_node() { return raft::NodeId{1 + random_.below(cluster_.size())}; }

    template <class Undo>
    void undo_later(Undo undo) {
        world().call_after(draw(plan_.lasts_max), [this, undo = std::move(undo)] {
            if (running_) undo();
        });
    }

    ClusterBase& cluster_;
    FaultPlan plan_;
    raft::Random random_;
    bool running_ = false;

private:
    std::vector<raft::NodeId> targets_;
};

}  // namespace rsm::sim

#endif
