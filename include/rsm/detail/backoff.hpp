// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backoff: how long to wait before something that was refused is tried again.
#ifndef RSM_DETAIL_BACKOFF_HPP
#define RSM_DETAIL_BACKOFF_HPP

#include <raft/base/types.hpp>

#include <algorithm>
#include <utility>

namespace rsm::inline v0::detail {

/// Each pause is twice the one before, up to the longest.
class Backoff {
public:
    /// @pre 0 < shortest <= longest
    Backoff(raft::Duration shortest, raft::Duration longest)
        : shortest_(shortest), longest_(longest), pause_(shortest) {}

    /// The pause to be made now.
    raft::Duration next() { return std::exchange(pause_, std::min(2 * pause_, longest_)); }
    /// The next pause is the shortest.
    void reset() { pause_ = shortest_; }

private:
    raft::Duration shortest_;
    raft::Duration longest_;
    raft::Duration pause_;
};

}  // namespace rsm::detail

#endif
