// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bounds, as the clients count: what a node has taken and not answered is never more than
// `max_pending_bytes`, and nothing is refused as overload while there is room.
#ifndef RSM_SIM_RULES_PENDING_BYTES_HPP
#define RSM_SIM_RULES_PENDING_BYTES_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/archive.hpp>
#include <rsm/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

/// Of an operation on a node, or of several, as far as one can tell from outside.
struct OperationSize {
    std::size_t least = 0;
    std::size_t most = 0;
    OperationSize& operator+=(OperationSize other) {
        least += other.least;
        most += other.most;
        return *this;
    }
    OperationSize& operator-=(OperationSize other) {
        least -= other.least;
        most -= other.most;
        return *this;
    }
};

/// What it may take on a node that it is given to.
/// @param agreed   as far as the node has come
/// @param at_once  the node takes it in now, and in the version in which it writes now: one that is
///                 held up takes it in later, when a higher one may be in force
template <class Operation>
OperationSize size_once_taken(BufferWriter& scratch, const Operation& operation,
                              FormatVersions agreed, bool at_once) {
    const auto size = [&](std::uint32_t version) {
        scratch.clear();
        scratch.use_versions({version, agreed.known});
        scratch << operation;
        scratch.use_versions({});
        return scratch.view().size() + raft::entry_overhead_bytes;
    };
    OperationSize sizes{size(agreed.written), 0};
    sizes.most = sizes.least;
    if (at_once) return sizes;
    for (std::uint32_t version = agreed.written; version < agreed.known; ++version) {
        const std::size_t later = size(version + 1);
        sizes = {std::min(sizes.least, later), std::max(sizes.most, later)};
    }
    return sizes;
}

/// What the nodes are asked to keep, told by what they were given and have not answered.
class PendingBytes {
public:
    PendingBytes(std::size_t nodes, const rsm::Options& options)
        : max_pending_bytes_(options.max_pending_bytes),
          max_uncommitted_bytes_(options.raft.max_uncommitted_bytes),
          tallies_(nodes + 1) {}

    /// A node is given an operation; `place` names it. @param life  the node's, here and below
    void given(std::size_t place, raft::NodeId node, std::uint64_t life, OperationSize size,
               const raft::Core& core) {
        OperationSize& kept = kept_by(node, life);
        asked_.resize(place + 1);
        asked_[place] = {node, life, size, kept.most, core.unsettled_bytes()};
        kept += size;
    }
    /// Which node was given it.
    raft::NodeId node(std::size_t place) const { return asked_[place].node; }
    /// False: that was in an earlier life, which ended before.
    bool answered(std::size_t place, std::uint64_t life) {
        const Asked& asked = asked_[place];
        if (asked.life != life) return false;
        kept_by(asked.node, life) -= asked.size;
        return true;
    }

    Broken bounded(raft::NodeId node, std::uint64_t life) {
        if (kept_by(node, life).least <= max_pending_bytes_) return {};
        return Violation{"bounds",
                         detail::node_text(node) + " keeps more operations than max_pending_bytes",
                         {node}};
    }
    /// It was refused as overload, in the moment in which it was given.
    Broken refusal_has_cause(std::size_t place, const std::string& name,
                             const raft::Core& core) const {
        const Asked& asked = asked_[place];
        if (asked.before + asked.size.most > max_pending_bytes_) return {};
        if (core.role() != raft::Role::leader) return {};
        // Some may have been settled since, at this very moment, and some have come.
        const std::size_t unsettled = asked.unsettled + core.unsettled_bytes();
        if (unsettled + asked.size.most > max_uncommitted_bytes_) return {};
        return Violation{"bounds", name + " was refused although there is room", {}};
    }

private:
    /// What a node keeps in one of its lives.
    struct Tally {
        std::uint64_t life = 0;
        OperationSize size;
    };
    struct Asked {
        raft::NodeId node;
        std::uint64_t life = 0;
        OperationSize size;
        std::size_t before = 0;     ///< what the node kept at most when it was asked
        std::size_t unsettled = 0;  ///< of its log, then
    };

    OperationSize& kept_by(raft::NodeId node, std::uint64_t life) {
        Tally& tally = tallies_[node.value];
        if (tally.life != life) tally = {life, {}};
        return tally.size;
    }

    std::size_t max_pending_bytes_;
    std::size_t max_uncommitted_bytes_;
    std::vector<Asked> asked_;    ///< by place
    std::vector<Tally> tallies_;  ///< by node
};

}  // namespace rsm::sim

#endif
