// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Outvoted replicas: a node whose state has come to differ from that of a majority of the voters
// stops and says so, in a bounded time; nobody else does, and where no state was changed nobody
// says that two differ.
#ifndef RSM_SIM_RULES_OUTVOTED_REPLICAS_HPP
#define RSM_SIM_RULES_OUTVOTED_REPLICAS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::sim {

class OutvotedReplicas {
public:
    /// What a node's state has in it that it should not have; 0: nothing.
    void state(raft::NodeId node, std::uint64_t flaw) {
        if (flaw == 0) {
            flawed_.erase(node);
        } else {
            flawed_[node] = flaw;
            ever_.insert(node);
        }
    }
    bool any_flaw() const { return !flawed_.empty(); }
    /// How often it has stopped for that.
    int times(raft::NodeId node) const {
        const auto found = stops_.find(node);
        return found == stops_.end() ? 0 : found->second;
    }

    static bool is_about(std::string_view failure) {
        return failure.find("something else of the log than a majority of the voters") !=
               failure.npos;
    }
    /// The node stops with such a failure.
    Broken stops(raft::NodeId node, std::size_t nodes) {
        ++stops_[node];
        // A snapshot may have carried what was wrong to a majority, some of which has been started
        // anew without it.
        const bool others = 2 * ever_.size() >= nodes;
        if (flawed_.contains(node) || others) return {};
        return broken(node, "stops as outvoted, although nothing was done to its state");
    }
    Broken event(raft::NodeId node, const raft::Event& event) const {
        const bool about =
            event.kind == raft::EventKind::states_differ || event.kind == raft::EventKind::outvoted;
        if (!about || !ever_.empty()) return {};
        return broken(node, "says that its state differs from that of " +
                                detail::node_text(event.node) + ", and no state was changed");
    }

    /// A node that runs, and what is wrong with its state; 0: nothing.
    struct Running {
        raft::NodeId node;
        std::uint64_t flaw = 0;
    };
    /// Who goes on although a majority of the voters has another state; 0: nobody.
    static raft::NodeId outvoted(const raft::Membership& members,
                                 const std::vector<Running>& running) {
        const auto has = [&](raft::NodeId node, std::uint64_t flaw) {
            return std::any_of(running.begin(), running.end(), [&](const Running& each) {
                return each.node == node && each.flaw == flaw;
            });
        };
        for (const Running& one : running) {
            const bool decides =
                members.has_quorum([&](raft::NodeId node) { return has(node, one.flaw); });
            if (!decides) continue;
            for (const Running& other : running) {
                if (other.flaw != one.flaw) return other.node;
            }
        }
        return {};
    }
    static Violation goes_on(raft::NodeId node) {
        return broken(node, "goes on with a state that is not that of a majority of the voters");
    }

private:
    static Violation broken(raft::NodeId node, const std::string& what) {
        return {"outvoted replicas", detail::node_text(node) + " " + what, {node}};
    }

    std::map<raft::NodeId, std::uint64_t> flawed_;
    std::map<raft::NodeId, int> stops_;
    std::set<raft::NodeId> ever_;  ///< had a flaw
};

}  // namespace rsm::sim

#endif
