// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can go wrong on a simulated disk, and the record of what did.
#ifndef RSM_SIM_WORLD_DISK_FAULT_HPP
#define RSM_SIM_WORLD_DISK_FAULT_HPP

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rsm::inline v0::sim {

enum class DiskFault : std::uint8_t {
    stop,               ///< the machine stops in the midst of the operation
    write_error,        ///< the write fails; any of its sectors may be there
    sync_error,         ///< the sync fails, see Disk
    lost_write,         ///< the write is reported and synced and never gets to the disk
    misdirected_write,  ///< so too, and it harms another place of the disk
    bit_rot,            ///< a durable bit is not what it was
    unreadable,         ///< a durable sector cannot be read any more
    copied_in_part,     ///< a file is shorter than it was, or not there
    call_error,         ///< a call fails, see CallFailure
};
inline constexpr std::array<std::string_view, 9> disk_fault_names{
    "stopped", "failed write", "failed sync",    "lost write", "misdirected write",
    "bit rot", "unreadable",   "copied in part", "failed call"};
static_assert(disk_fault_names.size() == static_cast<std::size_t>(DiskFault::call_error) + 1);

/// The calls that a disk takes.
enum class DiskCall : std::uint8_t {
    create_directory,
    list,
    open,
    create,
    stat,
    read,
    write,
    allocate,
    sync,
    rename,
    remove,
    sync_directory,
};
inline constexpr std::array<std::string_view, 12> disk_call_names{
    "create directory", "list", "open",   "create", "stat",          "read", "write",
    "allocate",         "sync", "rename", "remove", "sync directory"};
static_assert(disk_call_names.size() == static_cast<std::size_t>(DiskCall::sync_directory) + 1);

inline bool changes_something(DiskCall call) {
    return call != DiskCall::list && call != DiskCall::open && call != DiskCall::stat &&
           call != DiskCall::read;
}
inline bool is_sync(DiskCall call) {
    return call == DiskCall::sync || call == DiskCall::sync_directory;
}

/// Whether a write is the one that somebody waits for, by the name of its file and its place.
using WriteCondition = std::function<bool(std::string_view path, std::uint64_t offset)>;
/// Whether a call is one of those that somebody aims at. `path` is what it is about: of a rename
/// the name before, of a directory's sync the name in it that was made or given last and is not
/// durable, or if there is none, the directory.
using CallCondition = std::function<bool(DiskCall call, std::string_view path)>;

/// An error of one call. A write or a sync fails as with write_error and sync_error. What changes
/// names may have happened. Anything else has not.
struct CallFailure {
    CallCondition concerns{};
    std::uint64_t count = 1;  ///< it is so many-th of those, from now on and from 1
    int error = EIO;
    /// The machine stops in the midst of the so many-th operation after it that changes something,
    /// before what was not made durable can be, should nobody have taken notice; 0: it goes on.
    std::uint64_t stop_after = 0;
};

/// A fault that took place, and where.
struct DiskHit {
    DiskFault fault = DiskFault::stop;
    std::string path{};  ///< where it should have been, or what was hit
    std::uint64_t offset = 0;
    std::uint64_t size = 0;     ///< bytes from `offset` on
    std::string landed_path{};  ///< a misdirected write: where it went, in whole sectors
    std::uint64_t landed_offset = 0;
    std::uint64_t landed_size = 0;
    DiskCall call = DiskCall::write;  ///< the one that failed
    int error = 0;                    ///< with which it did
    friend bool operator==(const DiskHit&, const DiskHit&) = default;
};

}  // namespace rsm::sim

#endif
