// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The plans of a cluster and of its clients: what a run draws of them.
#ifndef RSM_SIM_RUN_PLANS_HPP
#define RSM_SIM_RUN_PLANS_HPP

#include <raft/base/types.hpp>
#include <rsm/members.hpp>
#include <rsm/options.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/storage/wal_options.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace rsm::inline v0::sim {

/// What a cluster is made of.
struct ClusterPlan {
    std::size_t nodes = 3;      ///< 1 to 15
    std::size_t founders = 15;  ///< so many of them, at most, found the cluster; the others join
    bool members_change = false;
    std::uint64_t seed = 1;
    rsm::Options options;
    std::uint64_t segment_bytes = 16384;
    std::uint64_t batch_bytes = 4096;
    std::size_t spare_segments = 4;
    WalPieces pieces;
    NetworkConditions network;
    /// Messages travel by the production TCP transport, over sockets on the links of the network.
    bool streams = false;
    /// The nodes, by bits, that speak only the oldest version of the protocol over them.
    std::uint64_t older_speakers = 0;
    /// Of each side of a connection.
    std::size_t stream_window_bytes = std::size_t{64} << 10;
    std::size_t stream_queue_bytes = std::size_t{4} << 20;  ///< TcpOptions::queue_bytes
    TcpBuffers stream_buffers;
    ServiceTime disk;
    std::uint64_t troubled_foundings = 0;  ///< of a hundred first starts, see trouble()
    /// Of so many changes of what a disk durably holds one is read back and compared with what
    /// the node promises; 0: none.
    std::uint64_t durable_view_every = 8;
    std::uint64_t digest_every = 16;  ///< operations between two comparisons of whole states
    /// Equal states are written in other bytes on each node.
    bool signed_snapshots = false;
    /// The nodes run programs of several versions, and newer ones as they are started again.
    bool upgrades = false;
    /// State machines keep their states on disks of their own: so many operations are one
    /// transaction, and so many transactions are synced together.
    bool states_on_disk = false;
    std::uint64_t transaction = 1;
    std::uint64_t sync_every = 1;
    /// Nothing is done that may end a reign: a leader gives way only where others stand for
    /// election.
    bool reigns_last = false;
};

inline Member member_of(std::uint64_t node) {
    return voter(node, "node" + std::to_string(node) + ":7000");
}

/// What a node's storage begins as. One that has lost it may found the cluster anew, since that
/// takes a majority of founders; it joins where it is the only one.
inline Birth birth_of(const ClusterPlan& plan, raft::NodeId node, bool wiped) {
    const std::size_t founders = std::min(plan.founders, plan.nodes);
    Birth birth;
    for (std::uint64_t id = 1; id <= founders; ++id) birth.founding.push_back(member_of(id));
    birth.founder = node.value <= founders && !(wiped && founders == 1);
    return birth;
}

inline WalOptions wal_options(const ClusterPlan& plan) {
    return {.directory = "data/d",
            .segment_bytes = plan.segment_bytes,
            .batch_bytes = plan.batch_bytes,
            .spare_segments = plan.spare_segments,
            .pieces = plan.pieces};
}

/// How clients behave.
struct ClientPlan {
    std::size_t clients = 3;
    raft::Duration pause_max = std::chrono::milliseconds(50);  ///< between two operations
    std::uint64_t reads = 300;                                 ///< of a thousand
    std::uint64_t at_leader = 800;      ///< of a thousand; the others go to any node
    std::uint64_t pipeline = 1;         ///< operations of one client under way at a time
    std::size_t operations_max = 5000;  ///< over all clients
    raft::Duration backups_max{};       ///< between two backups; 0: there are none
    std::uint64_t burst = 1;            ///< up to so many at the same moment
    /// Of a thousand that go to the leader, so many go to one of an earlier term, if there is any.
    std::uint64_t at_old_leader = 0;
    /// Whether all clocks and processes run as they should, so that deadlines are kept.
    bool punctual = false;
};

}  // namespace rsm::sim

#endif
