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

    /// @param bytes  which begin with it
    /// @param head, summary  of it; it is whole
    void add_batch(std::span<const std::byte> bytes, std::uint64_t offset, const BatchHead& head,
                   const std::optional<BatchSummary>& summary) {
        if (head.number != next_number_) last_.reset();
        const auto end = static_cast<std::size_t>(head.records_end());
        for (std::size_t at = opening_bytes; at < end;) {
            const auto record = read_record(bytes.subspan(at, end - at), segment_->id, offset + at);
            if (!record) break;
            add(*record, offset + at);
            at += record->size();
        }
        skip_batch(head, summary);
    }
    /// One that is damaged; but its summary may say where it led to.
    void skip_batch(const BatchHead& head, const std::optional<BatchSummary>& summary) {
        next_number_ = head.number + 1;
        if (summary) {
            last_ = summary->last;
        } else {
            last_.reset();
        }
    }

private:
    void add(const RecordView& record, std::uint64_t offset) {
        using raft::codec::load_little;
        if (record.type == RecordType::reset) last_.reset();
        const bool is_entry = record.type == RecordType::entry &&
                              record.body.size() >= raft::codec::entry_header_bytes;
        if (!is_entry) return;
        const raft::LogPosition entry{{load_little<std::uint64_t>(record.body.data())},
                                      {load_little<std::uint64_t>(record.body.data() + 8)}};
        const bool follows = last_ && last_->index + 1 == entry.index;
        const bool continues = follows && runs_.size() > first_run_ &&
                               runs_.back().end() == entry.index &&
                               runs_.back().runs.back().term == last_->term;
        if (!continues) runs_.emplace_back().segment = segment_;
        runs_.back().append(follows ? *last_ : entry, entry, offset, record.size());
        last_ = entry;
    }

    std::shared_ptr<Segment<Files>> segment_;
    std::vector<ScannedSegment<Files>>& runs_;
    const std::size_t first_run_;
    std::uint64_t next_number_ = 0;
    std::optional<raft::LogPosition> last_;  ///< of the log, where it is known
};

/// Looks for whole batches from `offset` on, of which the first one is damaged and should bear
/// `number`.
template <class Files>
void collect_behind(const Batches& batches, const std::shared_ptr<Segment<Files>>& segment,
                    std::uint64_t offset, std::uint64_t number,
                    std::vector<ScannedSegment<Files>>& runs) {
    RunCollector<Files> collector(segment, runs);
    for (std::uint64_t at = offset; at + opening_bytes <= batches.size();) {
        const auto head = batches.head(at);
        const auto summary = batches.summary(at);
        const std::optional<BatchHead> told =
            head ? head : (summary ? std::optional(summary->head) : std::nullopt);
        if (!told || told->number < number || told->size() > batches.from(at).size()) {
            at += batch_alignment;
            continue;
        }
        if (batches.check(at, told->number).valid) {
            collector.add_batch(batches.from(at), at, *told, summary);
        } else if (summary) {
            collector.skip_batch(*told, summary);
        } else {
            at += batch_alignment;
            continue;
        }
        number = told->number + 1;
        at += told->size();
    }
}

/// Of a log that lies in these ranges what is there, in the order of the log, but for what is in a
/// damaged segment in front of the damage: that may have been replaced by what is lost.
/// @param promises_in  what is behind its last range, and all else that is in there, is in there
template <class Files>
std::vector<ScannedSegment<Files>> choose_from(const ScannedLog<Files>& log, const LiveRanges& live,
                                               std::uint64_t promises_in) {
    std::vector<ScannedSegment<Files>> chosen;
    const auto add = [&chosen](ScannedSegment<Files> run, raft::Index end) {
        run.truncate_from(end);
        // It has replaced what was there.
        for (ScannedSegment<Files>& earlier : chosen) earlier.truncate_from(run.first);
        if (!run.offsets.empty()) chosen.push_back(std::move(run));
    };
    const auto add_segment = [&](std::uint64_t segment, raft::Index end, bool with_front) {
        for (const ScannedSegment<Files>& scanned : log.used) {
            const bool here = scanned.segment->id.number == segment;
            if (here && (with_front || !scanned.damaged)) add(scanned, end);
        }
        for (const ScannedSegment<Files>& run : log.behind) {
            if (run.segment->id.number == segment) add(run, end);
        }
    };
    for (const LiveRange& range : live.ranges()) {
        if (range.segment != promises_in) add_segment(range.segment, range.last + 1, false);
    }
    // What this one led to is not in `live`.
    add_segment(promises_in, raft::max_index, true);
    std::erase_if(chosen, [](const ScannedSegment<Files>& run) { return run.offsets.empty(); });
    return chosen;
}

/// What the log had behind its first damage, as far as it is there; of each index one entry, of the
/// newest log that had one. @pre the log was not cut
template <class Files>
std::vector<ScannedSegment<Files>> choose_detached(const ScannedLog<Files>& log) {
    auto chosen = choose_from(log, log.state.live, log.promises_in);
    for (auto earlier = log.given_up.rbegin(); earlier != log.given_up.rend(); ++earlier) {
        const std::size_t newer = chosen.size();
        for (ScannedSegment<Files>& run : choose_from(log, earlier->live, earlier->promises_in)) {
            for (std::size_t i = 0; i < newer && !run.offsets.empty(); ++i) {
                if (chosen[i].end() <= run.first || run.end() <= chosen[i].first) continue;
                if (chosen[i].end() < run.end()) {
                    run.drop_through(chosen[i].end() - 1);
                } else {
                    run.truncate_from(chosen[i].first);
                }
            }
            if (!run.offsets.empty()) chosen.push_back(std::move(run));
        }
    }
    return chosen;
}

/// Reads the entries of Recovered::detached.
template <class Files>
class DetachedEntries {
public:
    DetachedEntries() = default;
    /// @param chosen  by choose_detached(), before the log was cut to `state`
    DetachedEntries(std::vector<ScannedSegment<Files>> chosen, const LogState& state)
        : promised_(state.promised), runs_(std::move(chosen)) {
        const auto is_useless = [&](const ScannedSegment<Files>& run) {
            const raft::Index last = run.end() - 1;
            return promised_.index.value == 0 || last <= state.last.index ||
                   last <= run.before.index;
        };
        std::erase_if(runs_, is_useless);
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
