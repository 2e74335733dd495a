// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which cluster a node is of, as one number.
#ifndef RSM_TRANSPORT_WIRE_CLUSTER_ID_HPP
#define RSM_TRANSPORT_WIRE_CLUSTER_ID_HPP

#include <raft/protocol/codec.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>

#include <cstdint>

namespace rsm::inline v0::detail {

/// A digest of the cluster's name, of the members that it was founded with and of the state that it
/// began with. Equal where those are equal, and else different but for chance. 0: not told.
struct ClusterId {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const ClusterId&, const ClusterId&) = default;
    explicit operator bool() const { return low != 0 || high != 0; }
};

/// Instances are drawn by each member for itself, so they do not count.
inline ClusterId cluster_id(const raft::Identity& identity) {
    raft::Membership founding = identity.founding;
    for (raft::Member& member : founding.members) member.instance = {};
    raft::codec::Gather out;
    raft::codec::put(out, identity.cluster);
    raft::codec::put(out, founding);
    if (identity.origin != 0) out.put(identity.origin);
    return {checksum(out.copied(), 0), checksum(out.copied(), 1)};
}

}  // namespace rsm::detail

#endif
