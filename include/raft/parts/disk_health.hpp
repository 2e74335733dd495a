// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node knows of its own disk: whether its writes come to an end, and whether it has room.
#ifndef RSM_RAFT_PARTS_DISK_HEALTH_HPP
#define RSM_RAFT_PARTS_DISK_HEALTH_HPP

#include <raft/base/types.hpp>

#include <optional>

namespace raft::inline v0 {

/// Invariant: it hangs only while a write is late.
struct DiskHealth {
    std::optional<Time> late_since;  ///< when the oldest write was first seen to be late
    bool stalled = false;            ///< it is late for so long that the disk hangs
    bool full = false;               ///< the storage has said that it has no room

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.late_since, self.stalled, self.full);
    }
    friend bool operator==(const DiskHealth&, const DiskHealth&) = default;
};

}  // namespace raft

#endif
