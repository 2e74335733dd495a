// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// When a follower says again which version of operations and snapshots it reads.
#ifndef RSM_RAFT_PARTS_VERSION_REPORT_HPP
#define RSM_RAFT_PARTS_VERSION_REPORT_HPP

#include <raft/base/types.hpp>

namespace raft::inline v0 {

struct VersionReport {
    Time next;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.next);
    }
    friend bool operator==(const VersionReport&, const VersionReport&) = default;
};

}  // namespace raft

#endif
