// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the core of a node says of it.
#ifndef RSM_NODE_STATUS_OF_HPP
#define RSM_NODE_STATUS_OF_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <rsm/status.hpp>

namespace rsm::inline v0::detail {

inline Status status_of(const raft::Core& core, raft::Time now) {
    Status status;
    status.self = core.self();
    status.role = core.role();
    status.term = core.term();
    status.leader = core.leader();
    status.commit = core.log().commit();
    status.applied = core.log().applied();
    status.last = core.log().last_index();
    status.lost_up_to = core.log().promised().index;
    status.snapshot = core.snapshot().last.index;
    status.snapshot_bytes = core.snapshot().size;
    status.disk_stalled = core.disk().stalled;
    status.instance = core.instance();
    status.members = core.membership().members;
    status.members_settled = raft::is_settled(core.configuration(), core.log());
    status.changing_members = core.changing_members();
    for (const raft::Progress& follower : core.followers()) {
        status.followers.push_back({follower.node, follower.state, follower.match,
                                    now - follower.last_contact, follower.disk_stalled,
                                    follower.disk_full, follower.is_doubtful()});
    }
    return status;
}

}  // namespace rsm::detail

#endif
