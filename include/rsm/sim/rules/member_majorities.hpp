// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Member majorities: nothing is decided, neither an election nor what is committed, without a
// majority of the voters of the membership that is in force where it is decided; of a joint one, of
// the old and of the new voters (Raft paper, section 6). Counted from what each node has said, by
// instance, against the memberships that the logs hold: the library's own counting has no part in
// it.
#ifndef RSM_SIM_RULES_MEMBER_MAJORITIES_HPP
#define RSM_SIM_RULES_MEMBER_MAJORITIES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class MemberMajorities {
public:
    explicit MemberMajorities(const Chronicle& chronicle)
        : chronicle_(chronicle),
          granted_(chronicle.size() + 1),
          acknowledged_(chronicle.size() + 1),
          in_force_(chronicle.size() + 1) {}

    // ---- what leaves a node ----

    void granted(raft::NodeId voter, raft::Instance instance, raft::Term term,
                 raft::NodeId candidate) {
        granted_[voter.value][{term, candidate}].push_back(instance);
    }
    void acknowledged(raft::NodeId node, raft::Instance instance, raft::Term term,
                      raft::Index index) {
        raft::Index& highest = acknowledged_[node.value][{term, instance}];
        highest = std::max(highest, index);
    }
    /// What it had acknowledged counts no more.
    void forgot(raft::NodeId node) { acknowledged_[node.value].clear(); }

    // ---- what is decided ----

    /// A node leads, at the end of its piece of work, and in the next one decides by this.
    void leads(const raft::Core& core) {
        in_force_[core.self().value] = chronicle_.membership_in_force(core.log()).first;
    }
    /// A node has become the leader of its term.
    Broken elected(const raft::Core& core) const {
        const auto votes = [&](const raft::Member& member) {
            if (member.id == core.self()) return is_of(member, core.instance());
            const auto& ballots = granted_[member.id.value];
            const auto found = ballots.find({core.term(), core.self()});
            return found != ballots.end() &&
                   std::ranges::any_of(found->second, [&](raft::Instance instance) {
                       return is_of(member, instance);
                   });
        };
        const auto& [position, membership] = chronicle_.membership_in_force(core.log());
        return decided(membership, votes, core,
                       "leads term " + detail::text(core.term()) + " without");
    }
    /// A leader has committed up to `end`. @param before  how it began that piece of work
    Broken committed(const raft::Core& core, const Look& before, raft::Index end,
                     raft::Term reign) const {
        const bool led = before.role == raft::Role::leader && before.term == reign;
        const raft::LogPosition begun = led ? in_force_[core.self().value] : raft::LogPosition{};
        Broken broken;
        for (const auto* const one : in_force_since(begun, core, led)) {
            const raft::Membership& membership = one->second;
            broken = commits(core, membership, end, reign);
            // The next one has come in the same piece of work, when this one was committed.
            if (!broken || commits(core, membership, one->first.index, reign)) break;
        }
        return broken;
    }

private:
    /// Those that have been in force from `begun` on, in their order. @param all  not only the
    /// last one
    std::vector<const Chronicle::PlacedMembership*> in_force_since(raft::LogPosition begun,
                                                                   const raft::Core& core,
                                                                   bool all) const {
        std::vector<const Chronicle::PlacedMembership*> result;
        const auto* one = &chronicle_.membership_in_force(core.log());
        for (; all && one->first > begun;
             one = &chronicle_.membership_at(core.log(), one->first.index - 1)) {
            result.push_back(one);
        }
        result.push_back(one);
        std::ranges::reverse(result);
        return result;
    }
    Broken commits(const raft::Core& core, const raft::Membership& membership, raft::Index end,
                   raft::Term reign) const {
        const auto holds = [&](const raft::Member& member) {
            if (member.id == core.self()) {
                return is_of(member, core.instance()) && core.log().durable() >= end;
            }
            return has_acknowledged(member, reign, end);
        };
        return decided(membership, holds, core, "commits index " + detail::text(end) + " without");
    }
    /// Where the membership does not tell an instance, any will do.
    static bool is_of(const raft::Member& member, raft::Instance instance) {
        return !member.instance || member.instance == instance;
    }
    bool has_acknowledged(const raft::Member& member, raft::Term term, raft::Index end) const {
        const auto& said = acknowledged_[member.id.value];
        for (auto one = said.lower_bound({term, raft::Instance{}});
             one != said.end() && one->first.first == term; ++one) {
            if (is_of(member, one->first.second) && one->second >= end) return true;
        }
        return false;
    }
    static bool is_old_voter(const raft::Member& member) {
        using raft::Standing;
        return member.standing == Standing::voter || member.standing == Standing::outgoing ||
               member.standing == Standing::demoted || member.standing == Standing::suspended;
    }
    static bool is_new_voter(const raft::Member& member) {
        using raft::Standing;
        return member.standing == Standing::voter || member.standing == Standing::incoming;
    }
    template <class Votes, class Agrees>
    static bool has_majority(const raft::Membership& membership, Votes votes, Agrees agrees) {
        std::size_t voters = 0;
        std::size_t agreeing = 0;
        for (const raft::Member& member : membership.members) {
            if (!votes(member)) continue;
            ++voters;
            if (agrees(member)) ++agreeing;
        }
        return 2 * agreeing > voters;
    }
    template <class Agrees>
    static Broken decided(const raft::Membership& membership, Agrees agrees, const raft::Core& core,
                          const std::string& what) {
        const bool by_old = has_majority(membership, is_old_voter, agrees);
        if (by_old && has_majority(membership, is_new_voter, agrees)) return {};
        return Violation{"member majorities",
                         detail::node_text(core.self()) + " " + what + " a majority of the " +
                             (by_old ? "new" : "old") + " voters",
                         {core.self()}};
    }

    const Chronicle& chronicle_;
    /// By node: the instances that have voted for a candidate in a term.
    std::vector<std::map<std::pair<raft::Term, raft::NodeId>, std::vector<raft::Instance>>>
        granted_;
    /// By node: the highest index that an instance has acknowledged in a term.
    std::vector<std::map<std::pair<raft::Term, raft::Instance>, raft::Index>> acknowledged_;
    std::vector<raft::LogPosition> in_force_;  ///< by node: see leads()
};

}  // namespace rsm::sim

#endif
