// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server asks of the system for its process: to be told of failed writes instead of being
// ended by them, memory that stays, and descriptors.
#ifndef RSM_EXAMPLES_KV_PROCESS_HPP
#define RSM_EXAMPLES_KV_PROCESS_HPP

#include <raft/protocol/options.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <sys/resource.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kv {

/// A write to a closed connection, or beyond the limit for the size of a file, ends with an error
/// then; by default it ends the process.
inline void survive_failed_writes() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

/// Keeps what is freed for what comes next, up to 128 MiB of it. By default the C library gives a
/// large request's and a large reply's memory back each time, and the system takes longer to hand
/// it out anew, page by page, than all else that is done to them. What is above 16 MiB goes back at
/// once.
inline void keep_freed_memory() {
#ifdef __GLIBC__
    ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 128 << 20);
    ::mallopt(M_TOP_PAD, 1 << 20);
#endif
}

/// Raises the limit for descriptors as far as it can be raised without rights.
/// @return how many the process may have
inline std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    constexpr std::uint64_t max = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::size_t>(std::min<std::uint64_t>(limit.rlim_cur, max));
}

/// How many descriptors a node keeps for itself before any client has one.
/// @param snapshot_bytes  at which a snapshot is taken and the log before it released, or more
/// @param max_log_bytes   beyond which the log does not grow, whatever the state's size; 0: it does
/// @param segment_bytes   of each file of the log, above 0
inline std::size_t own_descriptors(std::size_t members, std::uint64_t snapshot_bytes,
                                   std::uint64_t max_log_bytes,
                                   std::uint64_t segment_bytes = rsm::WalOptions{}.segment_bytes) {
    // The log is one file for each segment. While a snapshot is being written or sent it grows
    // beyond the size at which that began.
    constexpr std::uint64_t more_log_bytes = raft::Options{}.max_hold_bytes;
    constexpr std::uint64_t most_segments = 4096;
    // What a step may bring beyond the limit, and a segment that is used in part at each end.
    const std::uint64_t more_than_limit = 4 * segment_bytes;
    const std::uint64_t usual_bytes =
        snapshot_bytes + std::min(snapshot_bytes, most_segments * segment_bytes) + more_log_bytes;
    const std::uint64_t log_bytes =
        max_log_bytes == 0 ? usual_bytes : max_log_bytes + more_than_limit;
    const auto segments =
        static_cast<std::size_t>(std::min(log_bytes / segment_bytes, most_segments));
    constexpr std::size_t spare_segments = 5;
    constexpr std::size_t snapshots = 8;
    // Both directions, each with a new connection beside the old one, and those that have not
    // introduced themselves.
    const std::size_t peers = 4 * members + 32;
    constexpr std::size_t told_to_go = 64;  // clients without a place
    constexpr std::size_t admin = 40;       // who asks how the node is, and where that is listened
    constexpr std::size_t rest = 32;        // streams, event loop, listening sockets, lock, lookups
    return segments + spare_segments + snapshots + peers + told_to_go + admin + rest;
}

}  // namespace kv

#endif
