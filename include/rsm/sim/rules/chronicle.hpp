// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Chronicle: what a run has shown since its begin, so that a rule that was broken is noticed even
// where no two nodes show it at the same moment. Rules read it and write down what they have
// checked.
#ifndef RSM_SIM_RULES_CHRONICLE_HPP
#define RSM_SIM_RULES_CHRONICLE_HPP

#include <raft/base/types.hpp>
#include <raft/parts/log.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/rules/look.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

struct Chronicle {
    struct Node {
        bool up = false;
        std::uint64_t incarnation = 0;  ///< how often it was started
        Look seen;                      ///< after its last piece of work
    };
    struct Leader {
        raft::NodeId node;
        std::uint64_t incarnation = 0;
    };
    struct Entry {
        raft::Term previous;
        std::uint64_t digest = 0;  ///< 0: not known
        std::uint64_t bytes = 0;   ///< on the disk; 0: not known
    };

    using PlacedMembership = std::map<raft::LogPosition, raft::Membership>::value_type;

    /// @param founding  who the cluster is at first
    explicit Chronicle(std::size_t size, raft::Membership founding = {}) : nodes(size + 1) {
        memberships.emplace(raft::LogPosition{}, std::move(founding));
    }

    Node& of(raft::NodeId node) { return nodes[node.value]; }
    const Node& of(raft::NodeId node) const { return nodes[node.value]; }
    std::size_t size() const { return nodes.size() - 1; }

    /// The last membership that stands in a log up to an index, as a reader of all entries finds
    /// it.
    const PlacedMembership& membership_at(const raft::Log& log, raft::Index end) const {
        auto place = memberships.upper_bound({end, raft::max_term});
        do {
            --place;
        } while (place != memberships.begin() && !stands_in(log, place->first));
        return *place;
    }
    const PlacedMembership& membership_in_force(const raft::Log& log) const {
        return membership_at(log, log.last_index());
    }
    /// Whether that holds for one of those that may be in force, now or after a truncation.
    template <class Predicate>
    bool any_membership(const raft::Log& log, Predicate holds) const {
        const raft::Index commit = std::max(log.commit(), log.base().index);
        for (raft::Index end = log.last_index();;) {
            const auto& [position, membership] = membership_at(log, end);
            if (holds(membership)) return true;
            if (position.index <= commit) return false;
            end = position.index - 1;
        }
    }

    std::vector<Node> nodes;  ///< by id, from 1 on
    std::map<raft::Term, Leader> leaders;
    std::map<raft::LogPosition, Entry> entries;  ///< that any node ever held
    /// The terms of all entries that were ever committed, from index 1 on.
    std::vector<raft::Term> committed;
    std::vector<raft::Term> committed_in;  ///< the term of the leader that committed it
    /// Those that any node ever held, and at 0 the founding one.
    std::map<raft::LogPosition, raft::Membership> memberships;

private:
    /// What a log has released was committed.
    bool stands_in(const raft::Log& log, raft::LogPosition place) const {
        if (place.index >= log.base().index) return log.term_at(place.index) == place.term;
        const std::size_t known = committed.size();
        return place.index.value <= known && committed[place.index.value - 1] == place.term;
    }
};

}  // namespace rsm::sim

#endif
