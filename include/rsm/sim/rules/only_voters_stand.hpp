// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Only voters stand: who votes in none of the memberships that may be in force, a learner among
// them, neither stands for election nor leads; and a leader gives way as soon as a membership in
// which it does not vote is committed (Raft thesis, sections 4.2.1 and 4.2.2).
#ifndef RSM_SIM_RULES_ONLY_VOTERS_STAND_HPP
#define RSM_SIM_RULES_ONLY_VOTERS_STAND_HPP

#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

namespace detail {

/// Whether a membership makes a voter of that node. Where it does not tell an instance, any will
/// do.
inline bool makes_voter(const raft::Membership& membership, const raft::Core& core) {
    const raft::Member* const member = membership.find(core.self());
    if (member == nullptr) return false;
    if (member->instance && member->instance != core.instance()) return false;
    return member->standing != raft::Standing::learner &&
           member->standing != raft::Standing::returning;
}

}  // namespace detail

/// @param core  stands for election, or leads
inline Broken only_voters_stand(const raft::Core& core, const Chronicle& chronicle) {
    const auto votes = [&core](const raft::Membership& membership) {
        return detail::makes_voter(membership, core);
    };
    if (chronicle.any_membership(core.log(), votes)) return {};
    return Violation{"only voters stand",
                     detail::node_text(core.self()) + " stands for election and is no voter",
                     {core.self()}};
}

/// @param core  leads, at the end of a piece of its work
inline Broken only_voters_lead(const raft::Core& core, const Chronicle& chronicle) {
    const auto& [position, membership] = chronicle.membership_in_force(core.log());
    const bool is_decided = position.index <= core.log().commit();
    if (!is_decided || detail::makes_voter(membership, core)) return {};
    return Violation{"only voters stand",
                     detail::node_text(core.self()) + " goes on leading and is no voter",
                     {core.self()}};
}

}  // namespace rsm::sim

#endif
