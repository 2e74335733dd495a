// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Removed fall silent: a node that has said that it is a member no more asks nobody for a vote
// until a later membership has it again. One that is started again may ask, and be told again.
#ifndef RSM_SIM_RULES_REMOVED_FALL_SILENT_HPP
#define RSM_SIM_RULES_REMOVED_FALL_SILENT_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <optional>
#include <vector>

namespace rsm::inline v0::sim {

class RemovedFallSilent {
public:
    explicit RemovedFallSilent(const Chronicle& chronicle)
        : chronicle_(chronicle), removed_(chronicle.size() + 1) {}

    void restarted(raft::NodeId node) { removed_[node.value].reset(); }
    /// A node says that the membership at that index is without it.
    void removed(raft::NodeId node, raft::Index without) {
        removed_[node.value] = Removal{without, std::nullopt};
    }
    /// After a piece of work of a node.
    void step(const raft::Core& core) {
        std::optional<Removal>& removal = removed_[core.self().value];
        if (!removal || removal->outdated) return;
        // It knows by its own log, or else another's word has made void the latest that it has.
        const bool by_itself = core.log().commit() >= removal->without;
        removal->outdated = by_itself ? raft::LogPosition{} : newest(core);
    }
    /// A node asks for votes.
    Broken asks(const raft::Core& core) const {
        const std::optional<Removal>& removal = removed_[core.self().value];
        if (!removal || !removal->outdated) return {};
        const raft::LogPosition latest = newest(core);
        if (latest.index > removal->without && latest != *removal->outdated) return {};
        return Violation{"removed fall silent",
                         detail::node_text(core.self()) +
                             " asks for votes and knows that it is a member no more",
                         {core.self()}};
    }

private:
    struct Removal {
        raft::Index without;
        std::optional<raft::LogPosition> outdated;  ///< a membership that counts for nothing
    };

    raft::LogPosition newest(const raft::Core& core) const {
        return membership_up_to(core.log(), core.log().last_index(), chronicle_).position;
    }

    const Chronicle& chronicle_;
    std::vector<std::optional<Removal>> removed_;  ///< by node
};

}  // namespace rsm::sim

#endif
