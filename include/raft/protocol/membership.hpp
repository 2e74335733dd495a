// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who belongs to the cluster and what a quorum of it is: plain set arithmetic.
#ifndef RSM_RAFT_PROTOCOL_MEMBERSHIP_HPP
#define RSM_RAFT_PROTOCOL_MEMBERSHIP_HPP

#include <raft/base/types.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// The voters and learners of a cluster. While `outgoing` is not empty the configuration is joint
/// (Raft paper, section 6): every decision needs a majority of `voters` and one of `outgoing`.
///
/// Invariants (`valid()`): each list is sorted and free of repetitions; there is a voter; nobody
/// is 0; a learner votes in neither list.
struct Membership {
    std::vector<NodeId> voters;
    std::vector<NodeId> outgoing;
    std::vector<NodeId> learners;

    static Membership of_voters(std::vector<NodeId> ids) {
        std::sort(ids.begin(), ids.end());
        Membership membership;
        membership.voters = std::move(ids);
        return membership;
    }

    bool joint() const { return !outgoing.empty(); }
    bool is_voter(NodeId node) const { return holds(voters, node) || holds(outgoing, node); }
    bool is_learner(NodeId node) const { return holds(learners, node); }
    bool contains(NodeId node) const { return is_voter(node) || is_learner(node); }

    /// Everybody, sorted, each once.
    std::vector<NodeId> all() const {
        std::vector<NodeId> nodes = voters;
        nodes.insert(nodes.end(), outgoing.begin(), outgoing.end());
        nodes.insert(nodes.end(), learners.begin(), learners.end());
        std::sort(nodes.begin(), nodes.end());
        nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
        return nodes;
    }

    bool valid() const {
        for (const NodeId learner : learners) {
            if (is_voter(learner)) return false;
        }
        return !voters.empty() && well_formed(voters) && well_formed(outgoing) &&
               well_formed(learners);
    }

    /// Whether the voters for whom `agrees(NodeId)` holds decide for the cluster.
    template <class Predicate>
    bool has_quorum(Predicate agrees) const {
        return majority(voters, agrees) && (outgoing.empty() || majority(outgoing, agrees));
    }

    /// The greatest value that a quorum has reached, given each voter's value: the rule by which
    /// match indexes become a commit index (section 5.3) and echoes confirm a read round.
    template <class Value, class ValueOf>
    Value reached_by_quorum(ValueOf value_of) const {
        const Value incoming = reached_by_majority<Value>(voters, value_of);
        if (outgoing.empty()) return incoming;
        return std::min(incoming, reached_by_majority<Value>(outgoing, value_of));
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.voters, self.outgoing, self.learners);
    }
    friend bool operator==(const Membership&, const Membership&) = default;

private:
    // Sorted, without repetitions, without 0.
    static bool well_formed(const std::vector<NodeId>& nodes) {
        NodeId before{};
        for (const NodeId node : nodes) {
            if (node <= before) return false;
            before = node;
        }
        return true;
    }

    static bool holds(const std::vector<NodeId>& nodes, NodeId node) {
        return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
    }

    template <class Predicate>
    static bool majority(const std::vector<NodeId>& nodes, Predicate& agrees) {
        std::size_t count = 0;
        for (const NodeId node : nodes) {
            if (agrees(node)) ++count;
        }
        return count > nodes.size() / 2;
    }

    template <class Value, class ValueOf>
    static Value reached_by_majority(const std::vector<NodeId>& nodes, ValueOf& value_of) {
        // Voters are few, so counting for each candidate beats sorting a copy: no allocation.
        Value best{};
        for (const NodeId candidate : nodes) {
            const Value value = value_of(candidate);
            if (value <= best) continue;
            std::size_t count = 0;
            for (const NodeId node : nodes) {
                if (value_of(node) >= value) ++count;
            }
            const std::size_t others = nodes.size() / 2;
            if (count > others) best = value;
        }
        return best;
    }
};

}  // namespace raft

#endif
