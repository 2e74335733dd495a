// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether a node is alive, and whether it is of use: what a supervisor and a load balancer ask.
#ifndef RSM_ADMIN_HEALTH_HPP
#define RSM_ADMIN_HEALTH_HPP

#include <raft/base/types.hpp>
#include <rsm/status.hpp>

#include <algorithm>
#include <string>

namespace rsm::inline v0 {

struct Health {
    bool good = false;
    /// Time may be all that is lacking: what is committed has only to be applied.
    bool comes = false;
    std::string sentence;  ///< what it is, or why not, without line breaks
};

/// Whether the node works at all. One that does not is to be started anew.
inline Health liveness(const Status& status) {
    if (status.stopped) return {false, false, "the node has stopped"};
    return {true, false, "the node works"};
}

/// Whether the node may be sent clients: it knows a leader, is a member, has all of its log, its
/// disk writes, and it has applied what was committed.
/// @param goal  what has to be applied: Status::known_commit of the moment when it was asked, so
///              that a node that is written to all the time is ready all the same
inline Health readiness(const Status& status, raft::Index goal) {
    const auto no = [](std::string why) { return Health{false, false, std::move(why)}; };
    if (status.stopped) return no("the node has stopped");
    if (status.lost_up_to.value != 0) {
        return no("the log is damaged and not healed yet, up to index " +
                  std::to_string(status.lost_up_to.value));
    }
    if (status.disk_stalled) return no("a write of this node's disk hangs");
    if (!status.leader) return no("no leader is known");
    const bool is_member = std::ranges::any_of(
        status.members, [&](const Member& member) { return member.id == status.self; });
    if (!is_member) return no("this node is no member of the cluster");
    if (status.receiving) {
        return no("this node is being sent a snapshot: " + std::to_string(status.receiving->bytes) +
                  " of " + std::to_string(status.receiving->total_bytes) + " bytes");
    }
    if (status.applied < goal) {
        return {false, true,
                "this node lags: it has applied up to index " +
                    std::to_string(status.applied.value) + " of " + std::to_string(goal.value)};
    }
    return {true, false, "the node is ready"};
}

}  // namespace rsm

#endif
