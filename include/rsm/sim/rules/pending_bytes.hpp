// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bounds, as the clients count: what a node has taken and not answered is never more than
// `max_pending_bytes`, and nothing is refused as overload while there is room.
#ifndef RSM_SIM_RULES_PENDING_BYTES_HPP
#define RSM_SIM_RULES_PENDING_BYTES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What the nodes are asked to keep, told by what they were given and have not answered.
class PendingBytes {
public:
    PendingBytes(std::size_t nodes, const rsm::Options& options)
        : max_pending_bytes_(options.max_pending_bytes),
          max_uncommitted_bytes_(options.raft.max_uncommitted_bytes),
          tallies_(nodes + 1) {}

    /// A node is given an operation; `place` names it. @param life  the node's, here and below
    void given(std::size_t place, raft::NodeId node, std::uint64_t life, std::size_t bytes,
               const raft::Core& core) {
        std::size_t& kept = kept_by(node, life);
        asked_.resize(place + 1);
        asked_[place] = {node, life, bytes, std::exchange(kept, kept + bytes),
                         core.unsettled_bytes()};
    }
    /// Which node was given it.
    raft::NodeId node(std::size_t place) const { return asked_[place].node; }
    /// False: that was in an earlier life, which ended before.
    bool answered(std::size_t place, std::uint64_t life) {
        const Asked& asked = asked_[place];
        if (asked.life != life) return false;
        kept_by(asked.node, life) -= asked.bytes;
        return true;
    }

    Broken bounded(raft::NodeId node, std::uint64_t life) {
        if (kept_by(node, life) <= max_pending_bytes_) return {};
        return Violation{"bounds",
                         detail::node_text(node) + " keeps more operations than max_pending_bytes",
                         {node}};
    }
    /// It was refused as overload, in the moment in which it was given.
    Broken refusal_has_cause(std::size_t place, const std::string& name,
                             const raft::Core& core) const {
        const Asked& asked = asked_[place];
        if (asked.before + asked.bytes > max_pending_bytes_) return {};
        if (core.role() != raft::Role::leader) return {};
        // Some may have been settled since, at this very moment, and some have come.
        const std::size_t unsettled = asked.unsettled + core.unsettled_bytes();
        if (unsettled + asked.bytes > max_uncommitted_bytes_) return {};
        return Violation{"bounds", name + " was refused although there is room", {}};
    }

private:
    /// What a node keeps in one of its lives.
    struct Tally {
        std::uint64_t life = 0;
        std::size_t bytes = 0;
    };
    struct Asked {
        raft::NodeId node;
        std::uint64_t life = 0;
        std::size_t bytes = 0;
        std::size_t before = 0;     ///< what the node kept when it was asked
        std::size_t unsettled = 0;  ///< of its log, then
    };

    std::size_t& kept_by(raft::NodeId node, std::uint64_t life) {
        Tally& tally = tallies_[node.value];
        if (tally.life != life) tally = {life, 0};
        return tally.bytes;
    }

    std::size_t max_pending_bytes_;
    std::size_t max_uncommitted_bytes_;
    std::vector<Asked> asked_;    ///< by place
    std::vector<Tally> tallies_;  ///< by node
};

}  // namespace rsm::sim

#endif
