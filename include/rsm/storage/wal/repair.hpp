// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What follows from the scan of a log: the log put together, and made fit to be continued.
#ifndef RSM_STORAGE_WAL_REPAIR_HPP
#define RSM_STORAGE_WAL_REPAIR_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/pieces.hpp>
#include <rsm/storage/wal/recovery.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rsm::inline v0::detail::wal {

template <class Files>
auto find_segment(const ScannedLog<Files>& log, std::uint64_t number) {
    return std::ranges::find(log.used, number, [](const ScannedSegment<Files>& scanned) {
        return scanned.segment->id.number;
    });
}

/// Gives the log up where an entry is that no segment holds any more.
template <class Files>
void cut_lost(ScannedLog<Files>& log, const LogScanner<Files>& scanner) {
    LogState& state = log.state;
    raft::LogPosition end = state.base;
    for (const LiveRange& range : state.live.ranges()) {
        const auto found = find_segment(log, range.segment);
        if (found == log.used.end()) {
            if (log.damages.empty()) log.damages.push_back(scanner.missing(range.segment).what);
            break;
        }
        const raft::Index last = last_of(log, *found);
        if (range.first < found->first || range.first > last) break;
        end.index = std::min(range.last, last);
        end.term = found->term_at(end.index);
        if (end.index != range.last) break;
    }
    if (end == state.last) return;
    state.lose_after(end);
    log.to_be_mended = true;
}

/// Puts together what the scan found: fills in `recovered` (without the snapshot), the index and
/// the account. @pre cut_lost() was called
template <class Files>
void assemble(const ScannedLog<Files>& log, raft::Recovered& recovered,
              EntryIndex<Segment<Files>>& index, LogAccount& account) {
    recovered.hard_state = log.state.hard_state;
    recovered.base = log.state.base;
    recovered.last = log.state.last.index;
    recovered.promised = log.state.promised;
    account.restart(log.state.base);
    if (log.state.has_hard_state) account.set_has_hard_state();
    for (const LiveRange& range : log.state.live.ranges()) {
        const auto found = find_segment(log, range.segment);
        for (raft::Index i = range.first; i <= range.last; ++i) {
            const auto at = static_cast<std::size_t>(i - found->first);
            index.append(found->segment, i, found->offsets[at]);
            account.push(found->sizes[at]);
        }
        for (std::size_t r = 0; r < found->runs.size(); ++r) {
            const raft::Index begin = std::max(found->runs[r].first, range.first);
            const raft::Index end =
                r + 1 < found->runs.size() ? found->runs[r + 1].first : found->end();
            if (begin < end && begin <= range.last) {
                raft::add_to_runs(recovered.runs, begin, found->runs[r].term);
            }
        }
        for (const raft::Entry& entry : found->memberships) {
            if (entry.index >= range.first && entry.index <= range.last) {
                recovered.memberships.push_back(entry);
            }
        }
    }
}

/// What the repair does to what was found, a sentence for each.
template <class Files>
std::vector<std::string> describe_repair(const ScannedLog<Files>& log) {
    std::vector<std::string> notes = log.damages;
    const raft::LogPosition promised = log.state.promised;
    if (promised.index.value != 0) {
        notes.push_back(
            "the log, which had come to entry " + std::to_string(promised.index.value) +
            " of term " + std::to_string(promised.term.value) + ", ends with entry " +
            std::to_string(log.state.last.index.value) +
            " now: until the other members have brought the rest again, this node does not lead, "
            "and votes only for who has as much as it had");
    }
    if (log.torn) {
        const TornTail<Files>& torn = *log.torn;
        notes.push_back("cut " + std::to_string(torn.end - torn.frontier) + " bytes from offset " +
                        std::to_string(torn.frontier) + " of " + torn.segment->path +
                        ", what is left of a write that was never completed; the log ends with "
                        "entry " +
                        std::to_string(log.state.last.index.value));
    }
    for (const LoneBit& bit : log.restored) {
        notes.push_back("made good a bit at offset " + std::to_string(bit.offset) + " of " +
                        log.used.back().segment->path);
    }
    return notes;
}

/// Overwrites a torn tail with zeros, durably, or what is left of it could come back to life
/// behind a later, shorter batch.
template <class Files>
raft::Result<void> cut(const Files& files, const TornTail<Files>& torn) {
    const auto& file = torn.segment->file;
    raft::Buffer before(static_cast<std::size_t>(torn.end - torn.frontier));
    // What the disk does not give back it does not give to the next recovery either.
    const auto count = files.read_at(file, torn.frontier, before.writable());
    if (!count && !is_unreadable(count.error())) return count.error();
    std::vector<std::span<const std::byte>> zeros;
    add_zeros(zeros, torn.end - torn.frontier);
    auto result = files.write_at(file, torn.frontier, zeros);
    if (result) result = files.sync(file);
    if (!result && count) {
        // The system may take the zeros for written now, and they would hide from the next
        // recovery what the disk still holds. With the tail in their place it does this again.
        const std::span<const std::byte> part = before.writable().first(*count);
        static_cast<void>(files.write_at(file, torn.frontier, std::span(&part, 1)).has_value());
    }
    return result;
}

/// Makes the log fit to be continued, after which everything in it is durable. May be interrupted
/// at any point and done again.
template <class Files>
raft::Result<void> repair(const Files& files, const HeldDirectory<Files>& directory,
                          const ScannedLog<Files>& log) {
    if (log.torn) {
        if (auto result = cut(files, *log.torn); !result) return result;
    }
    if (log.last_batch != 0) {
        // The last batch may be in the page cache only: the writer may have been killed before
        // its sync, or the sync may have failed, after which the system takes the pages for
        // clean. So it is written again. All batches before it have been synced.
        const auto& segment = *log.used.back().segment;
        raft::Buffer buffer(static_cast<std::size_t>(log.frontier - log.last_batch));
        auto count = files.read_at(segment.file, log.last_batch, buffer.writable());
        if (!count) return count.error();
        for (const LoneBit& bit : log.restored) {
            buffer.writable()[static_cast<std::size_t>(bit.offset - log.last_batch)] =
                std::byte{bit.value};
        }
        const std::span<const std::byte> part = buffer.writable().first(*count);
        auto result = files.write_at(segment.file, log.last_batch, std::span(&part, 1));
        if (result) result = files.sync(segment.file);
        if (!result) return result;
    }
    return files.sync_directory(directory.handle);
}

}  // namespace rsm::detail::wal

#endif
