// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can go wrong on a simulated disk, and the record of what did.
#ifndef RSM_SIM_WORLD_DISK_FAULT_HPP
#define RSM_SIM_WORLD_DISK_FAULT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
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
    copied_in_part,     ///< a file is shorter than it was, or not there
};
inline constexpr std::array<std::string_view, 7> disk_fault_names{
    "stopped",           "failed write", "failed sync",   "lost write",
    "misdirected write", "bit rot",      "copied in part"};
static_assert(disk_fault_names.size() == static_cast<std::size_t>(DiskFault::copied_in_part) + 1);

/// A fault that took place, and where.
struct DiskHit {
    DiskFault fault = DiskFault::stop;
    std::string path;  ///< where it should have been, or what was hit
    std::uint64_t offset = 0;
    std::uint64_t size = 0;     ///< bytes from `offset` on
    std::string landed_path{};  ///< a misdirected write: where it went, in whole sectors
    std::uint64_t landed_offset = 0;
    std::uint64_t landed_size = 0;
    friend bool operator==(const DiskHit&, const DiskHit&) = default;
};

}  // namespace rsm::sim

#endif
