// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Events: a node's events say what it has become.
#ifndef RSM_SIM_RULES_EVENTS_HPP
#define RSM_SIM_RULES_EVENTS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <vector>

namespace rsm::inline v0::sim {

class Events {
public:
    explicit Events(std::size_t nodes) : told_(nodes + 1, raft::Role::follower) {}

    void restarted(const raft::Core& core) { told_[core.self().value] = core.role(); }
    void event(raft::NodeId id, raft::EventKind kind) {
        raft::Role& told = told_[id.value];
        switch (kind) {
            case raft::EventKind::became_follower: told = raft::Role::follower; break;
            case raft::EventKind::became_pre_candidate: told = raft::Role::pre_candidate; break;
            case raft::EventKind::became_candidate: told = raft::Role::candidate; break;
            case raft::EventKind::became_leader: told = raft::Role::leader; break;
            default: break;
        }
    }
    Broken step(const raft::Core& core) const {
        const raft::NodeId id = core.self();
        if (core.role() == told_[id.value]) return {};
        return Violation{
            "events", detail::node_text(id) + " does not say what it has become", {id}};
    }

private:
    std::vector<raft::Role> told_;  ///< by node
};

}  // namespace rsm::sim

#endif
