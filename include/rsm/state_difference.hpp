// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where two replicas differ.
#ifndef RSM_STATE_DIFFERENCE_HPP
#define RSM_STATE_DIFFERENCE_HPP

#include <raft/base/types.hpp>

#include <cstdint>

namespace rsm::inline v0 {

/// Two replicas that have made different things of one log.
struct StateDifference {
    raft::NodeId node;   ///< the other one
    raft::Index equal;   ///< the last index at which they are known to have been equal; 0: none
    raft::Index differ;  ///< the first at which they are known to differ
    std::uint64_t own_digest = 0;    ///< this node's after that index
    std::uint64_t other_digest = 0;  ///< the other one's
    friend bool operator==(const StateDifference&, const StateDifference&) = default;
};

}  // namespace rsm

#endif
