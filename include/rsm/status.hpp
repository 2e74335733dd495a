// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node knows of itself and, if it leads, of the others.
#ifndef RSM_STATUS_HPP
#define RSM_STATUS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <rsm/members.hpp>
#include <rsm/state_difference.hpp>
#include <rsm/to_string.hpp>
#include <rsm/transport/peer_status.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rsm::inline v0 {

/// A snapshot that is durable.
struct SavedSnapshot {
    raft::Index index;        ///< the last index that it covers; 0: there is none
    std::uint64_t bytes = 0;  ///< of its content
    friend bool operator==(const SavedSnapshot&, const SavedSnapshot&) = default;
};

/// How far a snapshot has come on its way to another node.
struct SnapshotProgress {
    std::uint64_t bytes = 0;  ///< of the sender: sent; of the receiver: kept
    std::uint64_t total_bytes = 0;
    friend bool operator==(const SnapshotProgress&, const SnapshotProgress&) = default;
};

/// A copy of a node's state at one moment.
struct Status {
    struct Follower {
        raft::NodeId node;
        raft::ProgressState state{};
        raft::Index match;              ///< known to be durable there
        raft::Duration last_contact{};  ///< time since it was last heard of
        bool disk_stalled = false;      ///< as it said last: it neither votes nor can lead
        bool disk_full = false;         ///< as it said last: it takes nothing new from clients
        /// It has, or may have, less than it had acknowledged: its vote is still to be taken away
        /// until it has caught up, so no other node should fail now.
        bool doubtful = false;
        /// The snapshot that it is being sent, by this node or by another one in its place.
        std::optional<SnapshotProgress> transfer;
    };

    /// A digest of the cluster's name, founders and origin, which its nodes have in common, in
    /// hexadecimal digits; empty: the storage keeps no identity.
    std::string cluster;

    raft::NodeId self;
    raft::Role role{};
    raft::Term term;
    raft::NodeId leader;         ///< 0: not known
    std::string leader_address;  ///< what it advertises (TcpOptions::advertise); empty: not known
    raft::Index commit;
    raft::Index applied;
    /// As far as leaders have said that entries are committed, since this node was started; at
    /// least `commit`. A node that lags has not got all of these yet.
    raft::Index known_commit;
    raft::Index last;  ///< of the log
    /// Up to where the log has to be brought again by the others, because some of it was found
    /// damaged; until then the node does not lead. 0: nothing is lacking.
    raft::Index lost_up_to;
    raft::Index snapshot;  ///< the last index that the newest snapshot covers
    std::uint64_t snapshot_bytes = 0;
    std::uint64_t persisted_bytes = 0;
    /// Why the storage takes nothing new from clients at present, or the log has reached
    /// raft::Options::max_log_bytes; empty: they do.
    std::string refuses;
    /// A write of this node has been under way for longer than Options::disk_stall_timeout: until
    /// it ends, this node neither leads nor votes.
    bool disk_stalled = false;
    raft::Instance instance;        ///< 0: the storage keeps none
    std::vector<Member> members;    ///< of the membership in force here
    bool members_settled = true;    ///< that one is committed
    bool changing_members = false;  ///< a change of them is under way, as far as this node knows
    std::size_t pending_operations = 0;
    std::size_t pending_bytes = 0;  ///< of these operations, encoded (Options::max_pending_bytes)
    std::size_t pending_reads = 0;
    std::optional<SnapshotProgress> receiving;  ///< the snapshot that is being sent to this node
    bool stopped = false;                       ///< for good: by async_stop or by a failure
    std::vector<Follower> followers;            ///< empty unless this node leads
    std::vector<PeerStatus> peers;              ///< empty if the transport does not tell
    /// When the certificate that this node shows its peers expires, in seconds since 1970; 0: it
    /// shows none.
    std::int64_t certificate_end = 0;
    std::vector<raft::Index> skipped_operations;  ///< that the state lacks
    /// In which version operations and snapshots are written here (Versioned), and which one the
    /// node's program says to read.
    std::uint32_t format_version = 0;
    std::uint32_t readable_version = 0;
    /// Of the operations and results up to `applied`, the same on replicas that are equal; nothing
    /// where the state came from a snapshot that does not say it.
    std::optional<std::uint64_t> state_digest;
    /// Of a leader: members whose state machines are known to have made something else of the log
    /// than this node's, in its present term.
    std::vector<StateDifference> states_that_differ;
};

}  // namespace rsm

#endif
