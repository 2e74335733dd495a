// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the parts of a node say of it.
#ifndef RSM_NODE_STATUS_OF_HPP
#define RSM_NODE_STATUS_OF_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/hexadecimal.hpp>
#include <rsm/node/policies.hpp>
#include <rsm/node/room_notice.hpp>
#include <rsm/options.hpp>
#include <rsm/status.hpp>
#include <rsm/transport/wire/cluster_id.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace rsm::inline v0::detail {

inline std::optional<SnapshotProgress> progress_of(const raft::Progress& follower) {
    if (follower.state != raft::ProgressState::snapshot) return std::nullopt;
    const raft::SnapshotTransfer& transfer = follower.transfer;
    // Of what another follower sends only the answers tell.
    return SnapshotProgress{std::max(transfer.offset, transfer.kept), transfer.meta.size};
}

/// The digest of a cluster's identity in 32 hexadecimal digits.
inline std::string cluster_text(const raft::Identity& identity) {
    const ClusterId id = cluster_id(identity);
    return hexadecimal(id.high) + hexadecimal(id.low);
}

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
                                    follower.disk_full, follower.is_doubtful(),
                                    progress_of(follower)});
    }
    if (const raft::IncomingSnapshot* const incoming = core.incoming()) {
        status.receiving = SnapshotProgress{incoming->kept, incoming->meta.size};
    }
    return status;
}

/// What its engine, its storage and its transport say besides.
template <class Engine>
Status status_of(Engine& engine, const Options& options) {
    Status status = status_of(engine.core(), engine.now());
    status.stopped = engine.halted();
    if (status.stopped) {
        status.role = raft::Role::follower;
        status.leader = raft::NodeId{};
    }
    status.persisted_bytes = engine.storage().persisted_bytes();
    status.refuses = log_refusal(engine.storage(), options);
    if constexpr (requires { cluster_text(engine.storage().identity()); }) {
        status.cluster = cluster_text(engine.storage().identity());
    }
    status.leader_address = advertisement_of(engine.transport(), status.leader);
    if constexpr (requires { engine.transport().peers(); }) {
        status.peers = engine.transport().peers();
    }
    if constexpr (requires { engine.transport().certificate_end(); }) {
        status.certificate_end = engine.transport().certificate_end();
    }
    return status;
}

}  // namespace rsm::detail

#endif
