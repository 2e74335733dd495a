// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// No failure without a cause: a node fails or refuses to start only where something was done to its
// disk; a snapshot is rejected, or cannot be read, only where a disk was damaged, or where the
// receiver got a piece of it that was damaged on its way.
#ifndef RSM_SIM_RULES_NO_FAILURE_WITHOUT_A_CAUSE_HPP
#define RSM_SIM_RULES_NO_FAILURE_WITHOUT_A_CAUSE_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace rsm::inline v0::sim {

/// What has been done to a node's disk, which excuses that the node fails or does not start.
struct DiskHistory {
    bool failing = false;  ///< since the last start: a call failed, or was to fail
    bool full = false;     ///< now
    /// Since the last start there was no space, or nothing could be opened.
    bool refusing = false;
    bool damaged = false;  ///< ever: durable bytes are not what they were
    /// Ever: the same, but what was promised is told all the same, and others have what is lost.
    bool scattered = false;
    bool healing = false;  ///< since then it has not been seen to be whole
    /// Since the last start: a name could not be taken away, so what bears it may stay.
    bool cluttered = false;
};

/// @pre the disk has not stopped
inline Broken failure_has_cause(raft::NodeId id, const raft::Failure& failure,
                                const DiskHistory& history) {
    if (history.failing || history.damaged) return {};
    if (history.refusing && wal_files::mentions_unfinished_snapshot(failure.what)) return {};
    return Violation{"no failure without a cause",
                     detail::node_text(id) + " failed: " + failure.message(),
                     {id}};
}

inline Broken refusal_has_cause(raft::NodeId id, const std::string& why,
                                const DiskHistory& history) {
    if (history.damaged || history.refusing || history.failing) return {};
    return Violation{
        "no refusal without damage", detail::node_text(id) + " does not start: " + why, {id}};
}

/// Which nodes have got pieces of which snapshots that were damaged on their way.
class DamagedPieces {
public:
    void arrived(raft::NodeId at, raft::Index snapshot) {
        held_.insert({at, snapshot});
        ever_.insert({at, snapshot});
    }
    /// @param partial  of which snapshot the node's disk has a part; 0: of none. The part may be
    ///                 another node's, whose disk this was, or have been given up, for what was
    ///                 removed may be there again after a power failure.
    void restarted(raft::NodeId node, raft::Index partial) {
        std::erase_if(held_, [node](const auto& one) { return one.first == node; });
        const bool tainted =
            partial != raft::Index{} && std::ranges::any_of(ever_, [partial](const auto& one) {
                return one.second == partial;
            });
        if (tainted) arrived(node, partial);
    }
    /// Whether that explains that the node rejects the snapshot. What it had received goes with it.
    bool explains_rejection(raft::NodeId at, raft::Index snapshot) {
        return held_.erase({at, snapshot}) != 0;
    }
    /// Whether that explains that a leader is told of a rejection by the node.
    bool explains_report(raft::NodeId of, raft::Index snapshot) const {
        return ever_.contains({of, snapshot});
    }

private:
    std::set<std::pair<raft::NodeId, raft::Index>> held_;
    std::set<std::pair<raft::NodeId, raft::Index>> ever_;
};

/// What a whole snapshot is made of can be read and arrives whole.
/// @param what      a node says of a snapshot
/// @param to_blame  a disk was ever damaged, a call to it has failed, or a piece of it was damaged
inline Broken rejection_has_cause(raft::NodeId id, const char* what, bool to_blame) {
    if (to_blame) return {};
    return Violation{"no rejection without damage", detail::node_text(id) + " " + what, {id}};
}

}  // namespace rsm::sim

#endif
