// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How much longer the log may become.
#ifndef RSM_RAFT_PARTS_ROOM_HPP
#define RSM_RAFT_PARTS_ROOM_HPP

#include <algorithm>
#include <cstdint>
#include <limits>

namespace raft::inline v0 {

/// What is left of Options::max_log_bytes. Whoever drives the core knows what the storage has; what
/// a step takes in is taken off here.
struct Room {
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

    std::uint64_t left = unlimited;

    bool none() const { return left == 0; }
    void take(std::uint64_t bytes) {
        if (left != unlimited) left -= std::min(left, bytes);
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.left);
    }
    friend bool operator==(const Room&, const Room&) = default;
};

}  // namespace raft

#endif
