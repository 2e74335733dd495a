// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where the entries of a log lie on a simulated disk, batch by batch, for faults that must know
// what a damaged place takes away. It reads what is undamaged, so it does not rest on what recovery
// makes of damage.
#ifndef RSM_SIM_WORLD_LOG_PLACES_HPP
#define RSM_SIM_WORLD_LOG_PLACES_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>
#include <rsm/storage/wal/batches.hpp>
#include <rsm/storage/wal/open.hpp>
#include <rsm/storage/wal/scanned.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// A batch that is whole, and behind which another one is, so that its loss is known for damage and
/// what the node has promised is told without it.
struct LogBatch {
    struct Record {
        raft::LogPosition entry;
        std::uint64_t offset = 0;
    };
    std::string path;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::vector<Record> records;  ///< of entries of the log
    /// Those of the log that may be gone with it: its own; the next one in its segment, if nothing
    /// tells any more what is in front of that; and in a segment behind which there is another one
    /// all in front of it, of which it may have replaced some.
    std::set<raft::LogPosition> lost;
};

/// The log of one disk, as recovery finds it there.
struct LogPlaces {
    raft::Index covered;  ///< up to here a state stands for the log
    std::set<raft::LogPosition> entries;
    std::vector<LogBatch> batches;
};

namespace detail {

using FoundLog = rsm::detail::wal::OpenedWal<Files>;
using FoundSegment = rsm::detail::wal::ScannedSegment<Files>;

inline bool is_live(const FoundLog& found, const FoundSegment& segment, raft::Index index) {
    return std::ranges::any_of(found.log.state.live.ranges(), [&](const auto& range) {
        return range.segment == segment.segment->id.number && range.first <= index &&
               index <= range.last;
    });
}

/// Adds what one segment holds.
inline void add_places(const Disk& disk, const FoundLog& found, const FoundSegment& segment,
                       LogPlaces& places) {
    const bool is_last = &segment == &found.log.used.back();
    std::set<raft::LogPosition> in_front;
    std::vector<LogBatch::Record> live;
    for (std::size_t i = 0; i < segment.offsets.size(); ++i) {
        const raft::Index index = segment.first + i;
        if (!is_live(found, segment, index)) continue;
        live.push_back({{index, segment.term_at(index)}, segment.offsets[i]});
        places.entries.insert(live.back().entry);
    }
    std::vector<std::byte> bytes = disk.content(segment.segment->path).value();
    const rsm::detail::wal::Batches batches(bytes, segment.segment->id, segment.segment->path);
    std::uint64_t at = rsm::detail::wal::segment_header_bytes;
    const std::uint64_t end = is_last ? found.log.last_batch : bytes.size();
    while (at < end) {
        const auto head = batches.head(at);
        if (!head || !batches.check(at, head->number).valid) return;
        LogBatch batch{segment.segment->path, at, at + head->size(), {}, in_front};
        for (const LogBatch::Record& record : live) {
            if (record.offset < batch.begin) continue;
            if (record.offset >= batch.end) {
                batch.lost.insert(record.entry);
                break;
            }
            batch.records.push_back(record);
            batch.lost.insert(record.entry);
            if (!is_last) in_front.insert(record.entry);
        }
        at = batch.end;
        places.batches.push_back(std::move(batch));
    }
}

}  // namespace detail

/// Of a log in which nothing is torn or damaged but what lies behind; nothing: it cannot be read.
inline std::optional<LogPlaces> log_places(const Disk& disk, const WalOptions& options) {
    const auto image = std::make_shared<Disk>(disk.durable_image());
    const std::optional<raft::Identity> nobody_asks;
    const auto found =
        rsm::detail::wal::WalOpener<Files>(Files(image), options, nobody_asks).inspect();
    if (!found || found->recovered.promised.index.value != 0) return std::nullopt;
    LogPlaces places;
    places.covered = std::max(found->recovered.base.index, found->recovered.snapshot.last.index);
    for (const detail::FoundSegment& segment : found->log.used) {
        detail::add_places(*image, *found, segment, places);
    }
    return places;
}

}  // namespace rsm::sim

#endif
