// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which calls to a disk fail, and when the power fails after them.
#ifndef RSM_SIM_RUN_FAILED_CALLS_HPP
#define RSM_SIM_RUN_FAILED_CALLS_HPP

#include <raft/base/random.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <cerrno>
#include <cstdint>
#include <span>
#include <utility>

namespace rsm::inline v0::sim {

namespace detail {

/// The power mostly fails before much else is made durable, so that whoever goes on as if nothing
/// had happened loses what the call was for.
inline CallFailure draw_failure(CallCondition concerns, raft::Random& random) {
    CallFailure failure{.concerns = std::move(concerns), .count = 1 + random.below(3)};
    if (random.below(3) != 0) failure.stop_after = 1 + random.below(random.below(2) == 0 ? 3 : 12);
    return failure;
}
inline wal_files::Aim draw_aim(std::span<const wal_files::Aim> aims, raft::Random& random) {
    return aims[random.below(aims.size())];
}

}  // namespace detail

/// One of a node that is running. Memory that is lacking for a read passes.
inline void fail_call_at_work(Disk& disk, raft::Random& random) {
    const wal_files::Aim aim = random.below(2) == 0
                                   ? detail::draw_aim(wal_files::segment_aims, random)
                                   : detail::draw_aim(wal_files::snapshot_aims, random);
    CallFailure failure = detail::draw_failure(aim, random);
    if (aim.call == DiskCall::read && random.below(2) == 0) failure.error = ENOMEM;
    disk.fail_call(std::move(failure));
}

/// One of the start that comes next.
inline void fail_call_at_start(Disk& disk, raft::Random& random) {
    if (random.below(3) != 0) {
        disk.fail_call(
            detail::draw_failure(detail::draw_aim(wal_files::start_aims, random), random));
        return;
    }
    // Whatever is new in the directory.
    disk.fail_call(detail::draw_failure(
        [](DiskCall call, std::string_view) { return call == DiskCall::sync_directory; }, random));
}

/// The first start of a node, which makes its directory, is interrupted, or a call of it fails.
inline void trouble(Disk& disk, raft::Random& random) {
    if (random.below(2) == 0) return disk.fail_after(1 + random.below(16), DiskFault::stop);
    if (random.below(3) == 0) return fail_call_at_start(disk, random);
    disk.fail_call(detail::draw_failure(random.below(2) == 0
                                            ? detail::draw_aim(wal_files::founding_aims, random)
                                            : detail::draw_aim(wal_files::segment_aims, random),
                                        random));
}

}  // namespace rsm::sim

#endif
