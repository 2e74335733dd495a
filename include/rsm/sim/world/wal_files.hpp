// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the files of the write-ahead log are called, for faults that aim at some of them and for
// rules that count them. A disk knows nothing of it.
#ifndef RSM_SIM_WORLD_WAL_FILES_HPP
#define RSM_SIM_WORLD_WAL_FILES_HPP

#include <raft/base/types.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/snapshots.hpp>

#include <cstdint>
#include <string_view>

namespace rsm::inline v0::sim::wal_files {

/// Where the batches of a segment begin.
inline constexpr std::uint64_t header_bytes = rsm::detail::wal::segment_header_bytes;

inline bool is_segment(std::string_view path) {
    return path.ends_with(rsm::detail::wal::segment_suffix);
}
inline bool is_snapshot(std::string_view path) {
    return path.ends_with(rsm::detail::wal::snapshot_suffix);
}
/// Of the last entry in it. @pre is_snapshot(path)
inline raft::Index snapshot_index(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return rsm::detail::wal::snapshot_position(name).value_or(raft::LogPosition{}).index;
}
/// A segment that holds nothing and waits to be used again.
inline bool is_spare(std::string_view path) {
    return path.ends_with(rsm::detail::wal::spare_suffix);
}
/// One that the node is saving or receiving, or has not finished.
inline bool is_unfinished_snapshot(std::string_view path) {
    return path.ends_with(rsm::detail::wal::saving_name) ||
           path.ends_with(rsm::detail::wal::incoming_name);
}
/// Whether a text names a snapshot that is being saved or received.
inline bool mentions_unfinished_snapshot(std::string_view text) {
    return text.find(rsm::detail::wal::saving_name) != std::string_view::npos ||
           text.find(rsm::detail::wal::incoming_name) != std::string_view::npos;
}
/// Whether a write there is the first batch of its segment: the moment in which earlier segments
/// lose their worth.
inline bool puts_segment_to_use(std::string_view path, std::uint64_t offset) {
    return offset == header_bytes && is_segment(path);
}

}  // namespace rsm::sim::wal_files

#endif
