// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Quorums: whoever leads was given the votes, and what a leader commits was acknowledged, by a
// quorum of the members that are in force, each by the instance that is the member.
#ifndef RSM_SIM_RULES_QUORUMS_HPP
#define RSM_SIM_RULES_QUORUMS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <compare>
#include <map>
#include <set>
#include <utility>

namespace rsm::inline v0::sim {

class Quorums {
public:
    explicit Quorums(const Chronicle& chronicle) : chronicle_(chronicle) {}

    /// Who says something: which of those that have borne the id.
    struct Speaker {
        raft::NodeId node;
        raft::Instance instance;
        friend auto operator<=>(const Speaker&, const Speaker&) = default;
    };

    /// A vote leaves the node.
    void cast(Speaker voter, raft::Term term, raft::NodeId candidate) {
        votes_[{term, candidate}].insert(voter);
    }
    /// An acknowledgement leaves the node.
    void acknowledged(Speaker follower, raft::Term term, raft::Index index) {
        raft::Index& highest = acknowledged_[{follower, term}];
        highest = std::max(highest, index);
    }
    /// What the node had acknowledged counts no more.
    void forgot(raft::NodeId node) {
        std::erase_if(acknowledged_,
                      [node](const auto& one) { return one.first.first.node == node; });
    }

    /// A node has become the leader of its term.
    Broken elected(const raft::Core& core) const {
        const raft::Log& log = core.log();
        Placed placed = membership_up_to(log, log.last_index(), chronicle_);
        // It may have got so far in the same piece of work.
        while (placed.position.term == core.term()) {
            placed = membership_before(log, placed, chronicle_);
        }
        const auto votes = votes_.find({core.term(), core.self()});
        const auto has_voted = [&](const raft::Member& member) {
            if (member.id == core.self()) return true;
            return votes != votes_.end() &&
                   std::ranges::any_of(votes->second, [&member](const Speaker& voter) {
                       return is_member(voter, member);
                   });
        };
        if (placed.membership == nullptr || decides(*placed.membership, has_voted)) return {};
        return Violation{"quorums",
                         detail::node_text(core.self()) + " leads term " +
                             detail::text(core.term()) + " without the votes of a quorum",
                         {core.self()}};
    }

    /// A leader has committed up to `end`, an entry of that term. @param last  of its log, before
    Broken committed(const raft::Core& core, raft::LogPosition end, raft::Index last) const {
        const Placed before = membership_up_to(core.log(), last, chronicle_);
        // The one that it has appended since, where a part of that was committed before.
        const Placed now = membership_up_to(core.log(), core.log().last_index(), chronicle_);
        const auto has_acknowledged = [&](const raft::Member& member) {
            if (member.id == core.self()) return core.log().durable() >= end.index;
            const auto first = acknowledged_.lower_bound({{member.id, {}}, {}});
            for (auto one = first; one != acknowledged_.end(); ++one) {
                const auto& [speaker, term] = one->first;
                if (speaker.node != member.id) break;
                const bool counts = term == end.term && is_member(speaker, member);
                if (counts && one->second >= end.index) return true;
            }
            return false;
        };
        for (const raft::Membership* members : {before.membership, now.membership}) {
            if (members == nullptr || decides(*members, has_acknowledged)) return {};
        }
        return Violation{"quorums",
                         detail::node_text(core.self()) + " commits index " +
                             detail::text(end.index) + ", which no quorum has acknowledged",
                         {core.self()}};
    }

private:
    static bool is_member(const Speaker& speaker, const raft::Member& member) {
        return speaker.node == member.id &&
               (!member.instance || speaker.instance == member.instance);
    }

    const Chronicle& chronicle_;
    std::map<std::pair<raft::Term, raft::NodeId>, std::set<Speaker>> votes_;  ///< by candidacy
    std::map<std::pair<Speaker, raft::Term>, raft::Index> acknowledged_;      ///< the highest
};

}  // namespace rsm::sim

#endif
