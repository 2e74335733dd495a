// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Clutter: in the end a node keeps one snapshot, the segments that hold its log and two more, a few
// spare ones, and no snapshot that was not finished.
#ifndef RSM_SIM_RULES_CLUTTER_HPP
#define RSM_SIM_RULES_CLUTTER_HPP

#include <raft/core.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

/// Whether what befell a disk may leave a file that nobody needs there, until the next start.
inline bool leaves_clutter(const DiskHit& hit) {
    return hit.fault == DiskFault::call_error &&
           (hit.call == DiskCall::remove || hit.call == DiskCall::rename);
}

/// What a node that has done all its work keeps on its disk without need; empty: nothing.
inline std::string clutter(const std::vector<std::string>& paths, const raft::Log& log) {
    constexpr std::size_t most_spares = 4;
    std::size_t segments = 0;
    std::size_t spares = 0;
    std::size_t snapshots = 0;
    for (const std::string& path : paths) {
        if (wal_files::is_unfinished_snapshot(path)) return path;
        if (wal_files::is_segment(path)) ++segments;
        if (wal_files::is_spare(path)) ++spares;
        if (wal_files::is_snapshot(path)) ++snapshots;
    }
    // Each segment but the one in use and the one prepared holds an entry at least.
    if (segments > 2 + (log.last_index() - log.base().index)) {
        return std::to_string(segments) + " segments";
    }
    if (spares > most_spares) return std::to_string(spares) + " spare segments";
    return snapshots > 1 ? std::to_string(snapshots) + " snapshots" : std::string();
}

}  // namespace rsm::sim

#endif
