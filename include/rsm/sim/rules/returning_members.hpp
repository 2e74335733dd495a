// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Returning members: who has lost its vote only until it is there again gets it back from a leader
// that hears it and has nothing else to change.
#ifndef RSM_SIM_RULES_RETURNING_MEMBERS_HPP
#define RSM_SIM_RULES_RETURNING_MEMBERS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/rules/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace rsm::inline v0::sim {

class ReturningMembers {
public:
    ReturningMembers(std::size_t nodes, raft::Duration election_timeout)
        : election_timeout_(election_timeout), idle_(nodes + 1) {}

    /// A leader has spoken. `now` is its clock.
    Broken spoke(const raft::Core& core, raft::Time now) {
        Idle& idle = idle_[core.self().value];
        if (!could_restore(core, now) || idle.term != core.term() || now < idle.since) {
            idle = {core.term(), now};
        }
        if (now - idle.since < 4 * election_timeout_) return {};
        return Violation{"member changes",
                         detail::node_text(core.self()) + " does not give back a vote",
                         {core.self()}};
    }

private:
    /// Since when a leader could do it and does not.
    struct Idle {
        raft::Term term;
        raft::Time since{};
    };

    bool could_restore(const raft::Core& core, raft::Time now) const {
        const raft::Log& log = core.log();
        const bool current = log.term_at(log.commit()) == core.term();
        const bool settled = raft::is_settled(core.configuration(), log);
        if (!current || !settled || core.changing_members()) return false;
        const auto hears = [&](const raft::Member& member) {
            if (member.id == core.self()) return true;
            return std::ranges::any_of(core.followers(), [&](const raft::Progress& follower) {
                return follower.node == member.id && !follower.is_another() &&
                       now - follower.last_contact < election_timeout_;
            });
        };
        const auto returns = [&](const raft::Member& member) {
            return member.standing == raft::Standing::returning && hears(member);
        };
        const raft::Membership& membership = core.membership();
        return decides(membership, hears) && std::ranges::any_of(membership.members, returns);
    }

    raft::Duration election_timeout_;
    std::vector<Idle> idle_;  ///< by node
};

}  // namespace rsm::sim

#endif
