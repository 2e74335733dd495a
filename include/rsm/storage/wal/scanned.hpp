// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the files of a log are found to hold.
#ifndef RSM_STORAGE_WAL_SCANNED_HPP
#define RSM_STORAGE_WAL_SCANNED_HPP

#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/pieces.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// What one segment holds, or a part of it: the entries that it itself does not replace,
/// contiguous.
template <class Files>
struct ScannedSegment {
    std::shared_ptr<Segment<Files>> segment;
    /// What the log had in front of the first of them; the first one itself, where that is not
    /// known.
    raft::LogPosition before;
    raft::Index first{1};
    std::vector<std::uint32_t> offsets;
    std::vector<std::uint32_t> sizes;
    std::vector<raft::TermRun> runs;
    std::vector<raft::Entry> memberships;
    bool damaged = false;  ///< it ends in damage, and is not to be continued
    /// Where it is damaged: the end of the log when a later segment began; nothing: not known.
    std::optional<raft::LogPosition> led_to;
    raft::Index committed;  ///< where it is damaged: up to here entries were known to be so

    raft::Index end() const { return first + offsets.size(); }
    /// What follows in a log that ends in `before`.
    raft::DetachedRun as_detached() const {
        raft::DetachedRun detached{before, runs, end() - 1};
        raft::TermRun& front = detached.runs.front();
        front.first = before.index + 1;
        if (detached.runs.size() > 1 && detached.runs[1].first == front.first) {
            detached.runs.erase(detached.runs.begin());
        }
        return detached;
    }
    void clear() {
        offsets.clear();
        sizes.clear();
        runs.clear();
        memberships.clear();
    }
    /// @param last  of the log that the entry is appended to
    void append(raft::LogPosition last, raft::LogPosition entry, std::uint64_t offset,
                std::size_t size) {
        if (offsets.empty() || entry.index <= first) {
            // What is in front of one that is replaced stays.
            const bool replaces =
                !offsets.empty() && entry.index == first && before.index + 1 == first;
            if (!replaces) before = entry.index == last.index + 1 ? last : entry;
            clear();
            first = entry.index;
        } else {
            truncate_from(entry.index);
        }
        raft::add_to_runs(runs, entry.index, entry.term);
        offsets.push_back(static_cast<std::uint32_t>(offset));
        sizes.push_back(static_cast<std::uint32_t>(size));
    }
    void truncate_from(raft::Index index) {
        if (index >= end()) return;
        const std::size_t kept = index > first ? index - first : 0;
        offsets.resize(kept);
        sizes.resize(kept);
        while (!runs.empty() && runs.back().first >= index) runs.pop_back();
        while (!memberships.empty() && memberships.back().index >= index) memberships.pop_back();
    }
    /// @pre index < end()
    void drop_through(raft::Index index) {
        if (index < first) return;
        before = {index, term_at(index)};
        const auto count = static_cast<std::ptrdiff_t>(index + 1 - first);
        offsets.erase(offsets.begin(), offsets.begin() + count);
        sizes.erase(sizes.begin(), sizes.begin() + count);
        const raft::Term term = term_at(index + 1);
        std::erase_if(runs, [&](const raft::TermRun& run) { return run.first <= index + 1; });
        first = index + 1;
        runs.insert(runs.begin(), {first, term});
    }
    /// Without the entries whose records lie at `offset` or behind it.
    void drop_from(std::uint64_t offset) {
        const auto from = std::ranges::lower_bound(offsets, offset);
        truncate_from(first + static_cast<std::uint64_t>(from - offsets.begin()));
    }
    bool holds(raft::LogPosition entry) const {
        return first <= entry.index && entry.index < end() && term_at(entry.index) == entry.term;
    }
    /// @pre first <= index < end()
    raft::Term term_at(raft::Index index) const {
        const auto after = std::ranges::upper_bound(runs, index, {}, &raft::TermRun::first);
        return std::prev(after)->term;
    }
};

/// A stretch of a segment that a crash left half written.
template <class Files>
struct TornTail {
    std::shared_ptr<Segment<Files>> segment;
    std::uint64_t frontier = 0;        ///< the batch that is not whole would begin here
    std::uint64_t end = 0;             ///< behind it is nothing but zeros
    std::uint64_t invalid_offset = 0;  ///< the record that shows it
};

/// How much of what a log has come to is known, where some of it is damaged.
enum class Knowledge : std::uint8_t {
    all,       ///< its state, as of the last batch that was read
    promises,  ///< a state that it had, and what was promised since
    nothing,   ///< a state that it had
};

/// Where the entries of a log were before it was mended.
struct GivenUp {
    LiveRanges live;
    std::uint64_t promises_in = 0;
};

/// The whole log as found.
template <class Files>
struct ScannedLog {
    std::uint64_t log_id = 0;
    LogState state;
    Knowledge known = Knowledge::all;  ///< of what `state` says
    std::uint64_t promises_in = 0;     ///< the segment that tells them, where only they are known
    /// Each time that the log was mended without some of what it had, and is still without: where
    /// that was. Newest last.
    std::vector<GivenUp> given_up;
    std::uint64_t next_batch = 1;
    std::vector<ScannedSegment<Files>> used;  ///< in order; the last one is to be continued
    std::vector<std::shared_ptr<Segment<Files>>> unused;  ///< behind it, prepared
    std::uint64_t frontier = segment_header_bytes;        ///< where the last used one is continued
    bool ended = false;  ///< the last used one is not: the log goes on in the first unused one
    std::uint64_t last_batch = 0;  ///< where the last batch begins; 0 is nowhere
    std::optional<TornTail<Files>> torn;
    std::vector<LoneBit> restored;  ///< bits of the last batch that are missing in the file

    /// Of each damaged segment, what whole batches behind the damage hold.
    std::vector<ScannedSegment<Files>> behind;
    std::vector<std::string> damages;  ///< a sentence each, with file and offset
    /// Of which nothing could be read; to be removed when nobody asks for them any more.
    std::vector<std::shared_ptr<Segment<Files>>> lost;
    bool to_be_mended = false;       ///< it is to go on in a new segment, from `state`
    std::uint64_t next_segment = 0;  ///< a number for that, which leaves a gap
};

}  // namespace rsm::detail::wal

#endif
