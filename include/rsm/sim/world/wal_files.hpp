// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the files of the write-ahead log are called, for faults that aim at some of them and for
// rules that count them. A disk knows nothing of it.
#ifndef RSM_SIM_WORLD_WAL_FILES_HPP
#define RSM_SIM_WORLD_WAL_FILES_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/identity.hpp>
#include <rsm/storage/wal/partial.hpp>
#include <rsm/storage/wal/snapshot_head.hpp>

#include <cstdint>
#include <string_view>

namespace rsm::inline v0::sim::wal_files {

/// Where the batches of a segment begin.
inline constexpr std::uint64_t header_bytes = rsm::detail::wal::segment_header_bytes;

inline bool is_segment(std::string_view path) {
    return path.ends_with(rsm::detail::wal::segment_suffix);
}
/// @pre is_segment(path)
inline std::uint64_t segment_number(std::string_view path) {
    return rsm::detail::wal::segment_number(path.substr(path.rfind('/') + 1)).value_or(0);
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
           path.ends_with(rsm::detail::wal::incoming_name) ||
           path.ends_with(rsm::detail::wal::marks_name);
}
/// Whether a text names a snapshot that is being saved or received.
inline bool mentions_unfinished_snapshot(std::string_view text) {
    return text.find(rsm::detail::wal::saving_name) != std::string_view::npos ||
           text.find(rsm::detail::wal::incoming_name) != std::string_view::npos ||
           text.find(rsm::detail::wal::marks_name) != std::string_view::npos;
}
/// What the log keeps in a file.
enum class Kind : std::uint8_t {
    segment,
    draft,  ///< a segment without its name
    spare,  ///< a segment that is to be used again
    snapshot,
    saving,    ///< a snapshot that the node saves
    incoming,  ///< one that it receives
    marks,     ///< how much of that one there is
    identity,
    identity_draft,
    other,  ///< a directory, or the lock
};
inline Kind kind_of(std::string_view path) {
    namespace wal = rsm::detail::wal;
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (name.ends_with(wal::segment_suffix)) return Kind::segment;
    if (name.ends_with(wal::snapshot_suffix)) return Kind::snapshot;
    if (name.ends_with(wal::spare_suffix)) return Kind::spare;
    if (name == wal::saving_name) return Kind::saving;
    if (name == wal::incoming_name) return Kind::incoming;
    if (name == wal::marks_name) return Kind::marks;
    if (name == wal::identity_name) return Kind::identity;
    if (!name.ends_with(wal::temporary_suffix)) return Kind::other;
    return name.starts_with(wal::identity_name) ? Kind::identity_draft : Kind::draft;
}

/// A call that the log makes, and what about.
struct Aim {
    DiskCall call = DiskCall::write;
    Kind kind = Kind::segment;
    bool operator()(DiskCall made, std::string_view path) const {
        return made == call && kind_of(path) == kind;
    }
};
/// Those of a start: what is found is read and repaired. A sync of the directory comes last.
inline constexpr Aim start_aims[] = {
    {DiskCall::list, Kind::other},       {DiskCall::open, Kind::segment},
    {DiskCall::stat, Kind::segment},     {DiskCall::read, Kind::segment},
    {DiskCall::write, Kind::segment},    {DiskCall::sync, Kind::segment},
    {DiskCall::allocate, Kind::segment}, {DiskCall::open, Kind::snapshot},
    {DiskCall::stat, Kind::snapshot},    {DiskCall::read, Kind::snapshot},
    {DiskCall::open, Kind::identity},    {DiskCall::stat, Kind::identity},
    {DiskCall::read, Kind::identity},    {DiskCall::remove, Kind::saving},
    {DiskCall::remove, Kind::incoming},  {DiskCall::remove, Kind::draft},
    {DiskCall::remove, Kind::spare},     {DiskCall::remove, Kind::segment},
    {DiskCall::remove, Kind::snapshot},  {DiskCall::open, Kind::other},
    {DiskCall::open, Kind::incoming},    {DiskCall::read, Kind::incoming},
    {DiskCall::open, Kind::marks},       {DiskCall::read, Kind::marks},
    {DiskCall::remove, Kind::marks},
};
/// Those of a new log's first start, beside the ones of segment_aims.
inline constexpr Aim founding_aims[] = {
    {DiskCall::create_directory, Kind::other},  {DiskCall::create, Kind::other},
    {DiskCall::create, Kind::identity_draft},   {DiskCall::write, Kind::identity_draft},
    {DiskCall::sync, Kind::identity_draft},     {DiskCall::rename, Kind::identity_draft},
    {DiskCall::sync_directory, Kind::identity},
};
/// Those of a segment: drawn up, given its name, written to, read back, given up.
inline constexpr Aim segment_aims[] = {
    {DiskCall::create, Kind::draft},         {DiskCall::allocate, Kind::draft},
    {DiskCall::write, Kind::draft},          {DiskCall::sync, Kind::draft},
    {DiskCall::rename, Kind::draft},         {DiskCall::sync_directory, Kind::segment},
    {DiskCall::rename, Kind::segment},       {DiskCall::rename, Kind::spare},
    {DiskCall::sync_directory, Kind::draft}, {DiskCall::open, Kind::draft},
    {DiskCall::write, Kind::segment},        {DiskCall::sync, Kind::segment},
    {DiskCall::read, Kind::segment},         {DiskCall::remove, Kind::segment},
    {DiskCall::remove, Kind::spare},
};
/// Those of a snapshot: saved, received, sent, dropped.
inline constexpr Aim snapshot_aims[] = {
    {DiskCall::create, Kind::saving},   {DiskCall::write, Kind::saving},
    {DiskCall::sync, Kind::saving},     {DiskCall::rename, Kind::saving},
    {DiskCall::create, Kind::incoming}, {DiskCall::write, Kind::incoming},
    {DiskCall::sync, Kind::incoming},   {DiskCall::rename, Kind::incoming},
    {DiskCall::remove, Kind::snapshot}, {DiskCall::sync_directory, Kind::snapshot},
    {DiskCall::read, Kind::snapshot},   {DiskCall::remove, Kind::incoming},
    {DiskCall::create, Kind::marks},    {DiskCall::write, Kind::marks},
    {DiskCall::sync, Kind::marks},      {DiskCall::remove, Kind::marks},
    {DiskCall::open, Kind::incoming},
};

/// Whether a write there is the first batch of its segment: the moment in which earlier segments
/// lose their worth.
inline bool puts_segment_to_use(std::string_view path, std::uint64_t offset) {
    return offset == header_bytes && is_segment(path);
}

}  // namespace rsm::sim::wal_files

#endif
