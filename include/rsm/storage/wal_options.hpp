// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a WalStorage is told.
#ifndef RSM_STORAGE_WAL_OPTIONS_HPP
#define RSM_STORAGE_WAL_OPTIONS_HPP

#include <raft/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace rsm::inline v0 {

/// In which pieces a write-ahead log does its work, in bytes. The defaults suit every disk; small
/// ones let a test come to the second piece of everything.
struct WalPieces {
    /// The first segment of a new log, which is made while its owner waits; each next one is twice
    /// as large as the one before, up to segment_bytes. 4 KiB to 1 GiB, rounded up to whole 4 KiB.
    std::uint64_t first_segment_bytes = std::uint64_t{1} << 20;
    /// So much of a new segment is written and synced at a time, because one large flush would
    /// keep the log's own syncs waiting. 512 bytes to 1 GiB.
    std::uint64_t fill_bytes = std::uint64_t{256} << 10;
    /// From this size on an entry's payload is written from where it lies instead of being copied
    /// beside the others. At least 1.
    std::size_t referenced_payload_bytes = 4096;
    /// Entries that lie no further apart than this are read back in one call.
    std::uint32_t read_gap_bytes = 4096;
    /// A snapshot is gathered to pieces of this size, each written with one call. At least 1.
    std::size_t snapshot_write_bytes = std::size_t{256} << 10;
    /// A snapshot is synced whenever so much of it was written, for the reason of fill_bytes. At
    /// least 1.
    std::uint64_t snapshot_sync_bytes = std::uint64_t{4} << 20;
    /// A snapshot is checked at the start in pieces of this size. At least 1.
    std::size_t snapshot_read_bytes = std::size_t{1} << 20;
};

/// Where a write-ahead log lies and how its files are cut.
struct WalOptions {
    /// Created where it is missing. It belongs to one storage at a time.
    std::string directory;
    /// The size of a segment, in bytes; 4 KiB to 1 GiB. Released entries give their room back
    /// segment by segment, save for up to spare_segments, which are used again. Each segment of the
    /// log takes a file descriptor, the last one two. A single write that is larger gets a larger
    /// segment.
    /// Rounded up to whole 4 KiB.
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    /// How much of what waits is written and synced together at most, in bytes; at least one
    /// write is. From 1 byte to 1 GiB.
    std::uint64_t batch_bytes = std::uint64_t{8} << 20;
    /// How many segments of full size that the log needs no more are kept to be used again, which
    /// spares the file system the work of allocating. From 0 on.
    std::size_t spare_segments = 4;
    WalPieces pieces = {};

    /// Whether the fields are in their ranges; the failure names the first that is not.
    raft::Result<void> validate() const;
};

inline raft::Result<void> WalOptions::validate() const {
    constexpr std::uint64_t largest = std::uint64_t{1} << 30;
    const auto refuse = [this](const char* what) {
        return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                             directory + ": " + what};
    };
    const auto outside = [](std::uint64_t value, std::uint64_t least) {
        return value < least || value > largest;
    };
    if (outside(segment_bytes, 4096)) return refuse("segment_bytes must be in [4 KiB, 1 GiB]");
    if (outside(batch_bytes, 1)) return refuse("batch_bytes must be in [1, 1 GiB]");
    if (outside(pieces.first_segment_bytes, 4096))
        return refuse("pieces.first_segment_bytes must be in [4 KiB, 1 GiB]");
    if (outside(pieces.fill_bytes, 512)) return refuse("pieces.fill_bytes must be in [512, 1 GiB]");
    if (pieces.referenced_payload_bytes == 0)
        return refuse("pieces.referenced_payload_bytes must be > 0");
    if (pieces.snapshot_write_bytes == 0) return refuse("pieces.snapshot_write_bytes must be > 0");
    if (pieces.snapshot_sync_bytes == 0) return refuse("pieces.snapshot_sync_bytes must be > 0");
    if (pieces.snapshot_read_bytes == 0) return refuse("pieces.snapshot_read_bytes must be > 0");
    return {};
}

}  // namespace rsm

#endif
