// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether a disk has lost writes of the log in a way that nobody could tell.
#ifndef RSM_SIM_RUN_DETAIL_LOST_LOG_WRITES_HPP
#define RSM_SIM_RUN_DETAIL_LOST_LOG_WRITES_HPP

#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace rsm::inline v0::sim::detail {

/// Whoever reads the log on finds that it is missing: something is durable behind it, in its file
/// or in a later segment.
inline bool shows(const Disk::LostWrite& lost) {
    return lost.shows || std::ranges::any_of(lost.later, wal_files::is_segment);
}

/// Another fault has struck behind it.
inline bool is_harmed_behind(const Disk& disk, const Disk::LostWrite& lost) {
    return std::ranges::any_of(disk.hits(), [&](const DiskHit& hit) {
        const bool rots = hit.fault == DiskFault::bit_rot || hit.fault == DiskFault::unreadable;
        const bool rotten = rots && hit.path >= lost.path;
        return rotten || (hit.landed_size != 0 && hit.landed_path >= lost.path);
    });
}

/// Whether a write of the log never came to the disk and nothing shows for certain that it is
/// missing: no batch was made durable behind it, or another fault has struck there since. What else
/// is written has a checksum of its own.
inline bool hides_a_lost_write(const Disk& disk) {
    const std::vector<std::string> paths = disk.paths();
    return std::ranges::any_of(disk.lost_writes(), [&](const Disk::LostWrite& lost) {
        const bool needed =
            wal_files::is_segment(lost.path) && std::ranges::find(paths, lost.path) != paths.end();
        return needed && (!shows(lost) || is_harmed_behind(disk, lost));
    });
}

}  // namespace rsm::sim::detail

#endif
