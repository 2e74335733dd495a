// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a segment still holds of the log behind damage: whole batches, whose entries continue a log
// that comes to what was in front of them (docs/format.md).
#ifndef RSM_STORAGE_WAL_DETACHED_HPP
#define RSM_STORAGE_WAL_DETACHED_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal/batches.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/pieces.hpp>
#include <rsm/storage/wal/read.hpp>
#include <rsm/storage/wal/scanned.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// Collects the runs of entries of one segment's whole batches.
template <class Files>
class RunCollector {
public:
    RunCollector(std::shared_ptr<Segment<Files>> segment, std::vector<ScannedSegment<Files>>& runs)
        : segment_(std::move(segment)), runs_(runs), first_run_(runs.size()) {}

    /// One that is not whole has no entries for it, but its summary says where it led to.
    /// @param bytes  which begin with it
    void add(const FoundBatch& batch, std::span<const std::byte> bytes) {
        if (batch.whole) add_records(batch, bytes);
        next_number_ = batch.head.number + 1;
        knows_last_ = batch.summary.has_value();
        if (batch.summary) last_ = batch.summary->last;
    }

private:
    void add_records(const FoundBatch& batch, std::span<const std::byte> bytes) {
        if (batch.head.number != next_number_) knows_last_ = false;
        const auto end = static_cast<std::size_t>(batch.head.records_end());
        for (std::size_t at = opening_bytes; at < end;) {
            const std::uint64_t place = batch.offset + at;
            const auto record = read_record(bytes.subspan(at, end - at), segment_->id, place);
            if (!record) break;
            add(*record, place);
            at += record->size();
        }
    }
    void add(const RecordView& record, std::uint64_t offset) {
        if (record.type == RecordType::reset) {
            raft::codec::Reader in(raft::Bytes::copy_of(record.body));
            last_ = in.get_position();
            knows_last_ = in.done();
        }
        if (record.type != RecordType::entry) return;
        const auto entry = entry_position(record);
        if (!entry) return;
        const bool follows = knows_last_ && last_.index + 1 == entry->index;
        const bool continues = follows && runs_.size() > first_run_ &&
                               runs_.back().end() == entry->index &&
                               runs_.back().runs.back().term == last_.term;
        if (!continues) runs_.emplace_back().segment = segment_;
        runs_.back().append(follows ? last_ : *entry, *entry, offset, record.size());
        last_ = *entry;
        knows_last_ = true;
    }

    std::shared_ptr<Segment<Files>> segment_;
    std::vector<ScannedSegment<Files>>& runs_;
    const std::size_t first_run_;
    std::uint64_t next_number_ = 0;
    raft::LogPosition last_;  ///< of the log, where it is known
    bool knows_last_ = false;
};

/// The runs of entries in what was found behind damage.
template <class Files>
void collect_runs(const Batches& batches, const std::shared_ptr<Segment<Files>>& segment,
                  const std::vector<FoundBatch>& found, std::vector<ScannedSegment<Files>>& runs) {
    RunCollector<Files> collector(segment, runs);
    for (const FoundBatch& batch : found) collector.add(batch, batches.from(batch.offset));
}

/// Adds to some runs what another one has beside them, so that no index is in two.
template <class Files>
void add_beside(std::vector<ScannedSegment<Files>>& runs, const ScannedSegment<Files>& other) {
    const auto has = [&, count = runs.size()](raft::Index index) {
        return std::any_of(runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(count),
                           [index](const ScannedSegment<Files>& run) {
                               return run.first <= index && index < run.end();
                           });
    };
    for (raft::Index from = other.first; from < other.end();) {
        raft::Index to = from;
        while (to < other.end() && !has(to)) ++to;
        if (from < to) runs.push_back(other.part(from, to));
        from = to + 1;
    }
}

/// What the log had behind `last`, as far as it is there, in its order; also what it had when it
/// was mended before. No index is in two of the runs.
/// @param live  as it was before the log was cut
template <class Files>
std::vector<ScannedSegment<Files>> choose_detached(const ScannedLog<Files>& log,
                                                   const LiveRanges& live, raft::Index last) {
    std::vector<ScannedSegment<Files>> chosen;
    const auto add = [&](ScannedSegment<Files> run, raft::Index end) {
        run.truncate_from(end);
        // It has replaced what was there.
        for (ScannedSegment<Files>& earlier : chosen) earlier.truncate_from(run.first);
        if (!run.offsets.empty() && run.end() - 1 > last) chosen.push_back(std::move(run));
    };
    const auto add_behind = [&](std::uint64_t segment, raft::Index end) {
        for (const ScannedSegment<Files>& run : log.behind) {
            if (run.segment->id.number == segment) add(run, end);
        }
    };
    for (const LiveRange& range : live.ranges()) {
        for (const ScannedSegment<Files>& scanned : log.used) {
            if (scanned.segment->id.number != range.segment) continue;
            add(scanned, std::min(range.last, last_of(log, scanned)) + 1);
        }
        if (range.segment != log.promises_in) add_behind(range.segment, range.last + 1);
    }
    // What this one led to is not in `live`.
    add_behind(log.promises_in, raft::max_index);
    for (const ScannedSegment<Files>& run : log.left) add_beside(chosen, run);
    std::erase_if(chosen, [last](const ScannedSegment<Files>& run) {
        return run.offsets.empty() || run.end() - 1 <= last;
    });
    std::ranges::sort(chosen, {}, &ScannedSegment<Files>::first);
    return chosen;
}

/// Reads the entries of Recovered::detached.
template <class Files>
class DetachedEntries {
public:
    DetachedEntries() = default;
    /// @param chosen    by choose_detached()
    /// @param promised  by the log that lacks them
    DetachedEntries(std::vector<ScannedSegment<Files>> chosen, raft::LogPosition promised)
        : promised_(promised), runs_(std::move(chosen)) {
        std::erase_if(runs_, [](const ScannedSegment<Files>& run) {
            return run.end() - 1 <= run.before.index;  // nothing is known in front of it
        });
    }
    bool empty() const { return runs_.empty(); }
    std::vector<raft::DetachedRun> describe() const {
        std::vector<raft::DetachedRun> detached;
        for (const ScannedSegment<Files>& run : runs_) detached.push_back(run.as_detached());
        return detached;
    }
    /// Nothing of it is needed once the log comes to what was promised.
    void appended(raft::LogPosition last) {
        if (raft::is_up_to_date(last, promised_)) runs_.clear();
    }
    /// The entry and those behind it, up to max_bytes; nothing: there is none.
    std::optional<ReadPlan<Files>> plan(raft::Index first, std::size_t max_bytes,
                                        std::uint32_t gap_bytes) const {
        const auto found = std::ranges::find_if(runs_, [first](const ScannedSegment<Files>& run) {
            return run.first <= first && first < run.end();
        });
        if (found == runs_.end()) return std::nullopt;
        ReadPlan<Files> plan(first, gap_bytes);
        std::size_t bytes = 0;
        for (raft::Index index = first; index < found->end(); ++index) {
            const auto at = static_cast<std::size_t>(index - found->first);
            bytes += found->sizes[at];
            if (index != first && bytes > max_bytes) break;
            plan.add({found->segment, found->offsets[at]}, found->sizes[at]);
        }
        return plan;
    }

private:
    raft::LogPosition promised_;
    std::vector<ScannedSegment<Files>> runs_;
};

}  // namespace rsm::detail::wal

#endif
