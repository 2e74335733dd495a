// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bit rot on a simulated disk, aimed at where it hurts: the end of the log, snapshots, and places
// at which something was written.
#ifndef RSM_SIM_RUN_ROT_HPP
#define RSM_SIM_RUN_ROT_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

namespace detail {

struct BitPlace {
    std::string path;
    std::uint64_t offset = 0;
    unsigned bit = 0;
};

/// The last bit in [begin, end) that is the only one of its sector. Without it nothing is left in
/// the sector that was written.
inline std::optional<BitPlace> lone_bit(const Disk::DurableFile& file, std::uint64_t begin,
                                        std::uint64_t end) {
    std::optional<BitPlace> found;
    for (std::uint64_t at = begin; at < end; at += sector_bytes) {
        const auto sector = file.sector_at(at);
        const auto is_set = [](std::byte byte) { return byte != std::byte{}; };
        if (std::ranges::count_if(sector, is_set) != 1) continue;
        const auto set = std::ranges::find_if(sector, is_set);
        const auto value = static_cast<unsigned>(*set);
        if (!std::has_single_bit(value)) continue;
        found = {file.path(), at + static_cast<std::uint64_t>(set - sector.begin()),
                 static_cast<unsigned>(std::countr_zero(value))};
    }
    return found;
}

/// A bit of the newest segment that was written late.
inline std::optional<BitPlace> end_of_log(const Disk& disk, raft::Random& random) {
    constexpr std::uint64_t lately = 400;
    const auto bit = static_cast<unsigned>(random.below(8));
    const bool lone = random.below(2) == 0;
    const std::vector<Disk::DurableFile> files = disk.durable_files();
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
        if (!wal_files::is_segment(file->path())) continue;
        const std::vector<std::uint64_t> pages = file->pages();
        if (pages.empty()) continue;
        const std::uint64_t first = pages.back();
        std::uint64_t end = first + Disk::DurableFile::page_bytes;
        const auto is_zero = [&](std::uint64_t at) {
            return file->sector_at(at)[at % sector_bytes] == std::byte{};
        };
        while (end > first && is_zero(end - 1)) --end;
        end = std::min(end, file->size());
        if (end <= wal_files::header_bytes) continue;
        if (auto place = lone ? lone_bit(*file, first, end) : std::nullopt) return place;
        return BitPlace{file->path(), end - 1 - random.below(std::min(end, lately)), bit};
    }
    return std::nullopt;
}

/// A bit of any file, mostly where something was written.
inline std::optional<BitPlace> any_bit(const Disk& disk, raft::Random& random) {
    const bool prefers_snapshots = random.below(4) == 0;
    std::vector<Disk::DurableFile> files = disk.durable_files();
    std::erase_if(files, [](const auto& file) { return file.size() == 0; });
    if (prefers_snapshots) {
        std::vector<Disk::DurableFile> snapshots = files;
        std::erase_if(snapshots,
                      [](const auto& file) { return !wal_files::is_snapshot(file.path()); });
        if (!snapshots.empty()) files = std::move(snapshots);
    }
    if (files.empty()) return std::nullopt;
    const Disk::DurableFile& file = files[random.below(files.size())];
    std::uint64_t begin = 0;
    std::uint64_t end = file.size();
    const std::vector<std::uint64_t> pages = file.pages();
    if (!pages.empty() && random.below(8) != 0) {
        begin = pages[random.below(pages.size())];
        end = std::min(end, begin + Disk::DurableFile::page_bytes);
    }
    if (begin >= end) begin = 0;
    const std::uint64_t offset = begin + random.below(end - begin);
    return BitPlace{file.path(), offset, static_cast<unsigned>(random.below(8))};
}

}  // namespace detail

/// Flips a bit of a durable file, or lets the sector that holds it not be read any more. Nothing:
/// no file has any bytes. A sector that is dirty is not healed of a flipped bit before its next
/// sync.
inline std::optional<DiskHit> rot(Disk& disk, raft::Random& random) {
    std::optional<detail::BitPlace> place;
    if (random.below(3) == 0) place = detail::end_of_log(disk, random);
    if (!place) place = detail::any_bit(disk, random);
    if (!place) return std::nullopt;
    if (random.below(4) == 0) return disk.spoil(place->path, place->offset);
    return disk.flip(place->path, place->offset, place->bit);
}

}  // namespace rsm::sim

#endif
