// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a WalStorage is told.
#ifndef RSM_STORAGE_WAL_OPTIONS_HPP
#define RSM_STORAGE_WAL_OPTIONS_HPP

#include <cstdint>
#include <string>

namespace rsm::inline v0 {

/// Where a write-ahead log lies and how its files are cut.
struct WalOptions {
    /// Created where it is missing. It belongs to one storage at a time.
    std::string directory;
    /// The size of a segment, in bytes; 4 KiB to 1 GiB. Released entries give their room back
    /// segment by segment, save for up to four segments, which are used again. Each segment of the
    /// log takes a file descriptor, the last one two. A single write that is larger gets a larger
    /// segment.
    /// Rounded up to whole 4 KiB.
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    /// How much of what waits is written and synced together at most, in bytes; at least one
    /// write is. From 1 byte to 1 GiB.
    std::uint64_t batch_bytes = std::uint64_t{8} << 20;
};

}  // namespace rsm

#endif
