// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Honest start: a node does not start where a call has failed that its recovery depends on, for
// then it does not know what it has, or whether that is durable.
#ifndef RSM_SIM_RULES_HONEST_START_HPP
#define RSM_SIM_RULES_HONEST_START_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <cerrno>
#include <span>
#include <string>

namespace rsm::inline v0::sim {

/// What is not needed may fail: a file that is removed, room for a next segment, or what had been
/// received of a snapshot, which can be sent again. What the disk did not give back (EIO) is read
/// again, and taken for damage where it does not give it then.
inline bool start_depends_on(const DiskHit& hit) {
    const wal_files::Kind kind = wal_files::kind_of(hit.path);
    if (kind == wal_files::Kind::incoming || kind == wal_files::Kind::marks) return false;
    if (hit.fault == DiskFault::write_error || hit.fault == DiskFault::sync_error) return true;
    if (hit.fault != DiskFault::call_error || hit.call == DiskCall::remove) return false;
    return hit.call != DiskCall::allocate && !(hit.call == DiskCall::read && hit.error == EIO);
}

/// @param hits  what befell the disk during the recovery of a node that has started
inline Broken honest_start(raft::NodeId id, std::span<const DiskHit> hits) {
    const auto hit = std::ranges::find_if(hits, start_depends_on);
    if (hit == hits.end()) return {};
    return Violation{"honest start",
                     detail::node_text(id) + " starts although a call failed, about " + hit->path,
                     {id}};
}

}  // namespace rsm::sim

#endif
