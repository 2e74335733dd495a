// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the log amounts to: its extent, which segment has which part, and where each entry lies.
#ifndef RSM_STORAGE_WAL_STATE_HPP
#define RSM_STORAGE_WAL_STATE_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// The entries [first, last] of the log are in this segment.
struct LiveRange {
    std::uint64_t segment = 0;
    raft::Index first;
    raft::Index last;
    friend bool operator==(const LiveRange&, const LiveRange&) = default;
};

/// Which segment holds which part of the log. Ascending in segments and in indexes; together the
/// ranges are exactly (base, last]. A segment without a range is not needed.
class LiveRanges {
public:
    const std::deque<LiveRange>& ranges() const { return ranges_; }

    void add(LiveRange range) { ranges_.push_back(range); }
    void clear() { ranges_.clear(); }

    /// The entry `index` now is in `segment`; it and all behind it were elsewhere, if anywhere.
    void append(std::uint64_t segment, raft::Index index) {
        truncate_after(index - 1);
        if (!ranges_.empty() && ranges_.back().segment == segment) {
            ranges_.back().last = index;
        } else {
            ranges_.push_back({segment, index, index});
        }
    }
    /// What is behind `last` is not in the log any more.
    void truncate_after(raft::Index last) {
        while (!ranges_.empty() && ranges_.back().first > last) ranges_.pop_back();
        if (!ranges_.empty()) ranges_.back().last = std::min(ranges_.back().last, last);
    }
    void release(raft::Index through) {
        while (!ranges_.empty() && ranges_.front().last <= through) ranges_.pop_front();
        if (!ranges_.empty() && ranges_.front().first <= through) {
            ranges_.front().first = through + 1;
        }
    }
    bool needs(std::uint64_t segment) const {
        return std::ranges::binary_search(ranges_, segment, {}, &LiveRange::segment);
    }

    friend bool operator==(const LiveRanges&, const LiveRanges&) = default;

private:
    std::deque<LiveRange> ranges_;
};

/// All that the log amounts to at one point, save the entries themselves. A segment's checkpoint
/// is this, as of the end of the segment before it.
struct LogState {
    raft::LogPosition base;
    raft::LogPosition last;
    raft::LogPosition promised;  ///< Recovered::promised
    bool has_hard_state = false;
    raft::HardState hard_state;
    /// The segment in which the log went on behind damage, for the last time; 0: never.
    std::uint64_t mended_in = 0;
    LiveRanges live;

    void reset(raft::LogPosition position) {
        base = position;
        live.clear();
        end_at(position);
    }
    void append(std::uint64_t segment, raft::LogPosition entry) {
        live.append(segment, entry.index);
        end_at(entry);
    }
    /// The log, which was promised to reach further, reaches to `end`. @pre base.index <= end.index
    void lose_after(raft::LogPosition end) {
        const raft::LogPosition before = std::exchange(last, end);
        live.truncate_after(end.index);
        // Later entries may have been applied, but not here.
        hard_state.commit = std::min(hard_state.commit, end.index);
        promise(before);
    }
    /// The node may have acknowledged a log up to `end`.
    void promise(raft::LogPosition end) {
        if (!raft::is_up_to_date(promised, end)) promised = end;
        end_at(last);
    }
    void set(raft::HardState state) {
        has_hard_state = true;
        hard_state = state;
    }
    void release(raft::LogPosition through) {
        if (through.index <= base.index) return;
        base = through;
        live.release(through.index);
    }
    void apply(std::uint64_t segment, const raft::Write& write) {
        if (write.reset) reset(*write.reset);
        for (const raft::Entry& entry : write.entries) append(segment, entry.position());
        if (write.hard_state) set(*write.hard_state);
        if (write.release) release(*write.release);
    }

    friend bool operator==(const LogState&, const LogState&) = default;

private:
    void end_at(raft::LogPosition position) {
        last = position;
        if (raft::is_up_to_date(last, promised)) promised = raft::LogPosition{};
    }
};

/// Where each entry's record lies: four bytes for each entry. Entries that are released stay in
/// the index until all of their segment are.
template <class Segment>
class EntryIndex {
public:
    using SegmentPointer = std::shared_ptr<const Segment>;
    struct Location {
        SegmentPointer segment;
        std::uint32_t offset = 0;
    };

    void clear() { runs_.clear(); }
    /// @pre index is the next after the indexed ones, or within them, or nothing is indexed
    void append(const SegmentPointer& segment, raft::Index index, std::uint32_t offset) {
        truncate_from(index);
        if (runs_.empty() || runs_.back().segment != segment) {
            runs_.push_back({segment, index, {}});
        }
        runs_.back().offsets.push_back(offset);
    }
    void release(raft::Index through) {
        while (!runs_.empty() && runs_.front().end() <= through + 1) runs_.pop_front();
    }
    /// @pre index is indexed
    Location locate(raft::Index index) const {
        const auto after = std::ranges::upper_bound(runs_, index, {}, &Run::first);
        const Run& run = *std::prev(after);
        return {run.segment, run.offsets[static_cast<std::size_t>(index - run.first)]};
    }

private:
    struct Run {
        SegmentPointer segment;
        raft::Index first;
        std::vector<std::uint32_t> offsets;
        raft::Index end() const { return first + offsets.size(); }
    };

    void truncate_from(raft::Index index) {
        while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
        if (!runs_.empty() && runs_.back().end() > index) {
            runs_.back().offsets.resize(static_cast<std::size_t>(index - runs_.back().first));
        }
    }

    std::deque<Run> runs_;
};

}  // namespace rsm::detail::wal

#endif
