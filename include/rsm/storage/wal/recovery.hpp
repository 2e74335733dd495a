// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Reading a log after a restart. The rules, and why they never take damage for a torn tail where
// the two can be told apart, and what is made of damage, are in docs/format.md.
#ifndef RSM_STORAGE_WAL_RECOVERY_HPP
#define RSM_STORAGE_WAL_RECOVERY_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/batches.hpp>
#include <rsm/storage/wal/detached.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/scanned.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/state.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// Reads all segments of a directory, oldest first, and changes nothing. Memory: one segment.
///
/// Damage does not end it. A segment's first batch says what all before it had come to, and every
/// batch at its beginning what it leads to itself; so behind damage it is known again what the node
/// has promised, and which entries are lost. Only where nothing behind the damage tells that, the
/// scan fails.
template <class Files>
class LogScanner {
public:
    /// @param log_id  as it is told elsewhere, for want of a header that does
    LogScanner(Files files, std::string directory, std::optional<std::uint64_t> log_id)
        : files_(std::move(files)), directory_(std::move(directory)), told_log_id_(log_id) {}

    /// `numbers` are those of the files that are there, ascending.
    raft::Result<ScannedLog<Files>> run(const std::vector<std::uint64_t>& numbers) {
        for (const std::uint64_t number : numbers) {
            if (auto result = scan(number); !result) return result.error();
        }
        check_order();
        if (log_.known == Knowledge::nothing) return beyond_help();
        log_.next_segment = numbers.back() + 2;
        log_.to_be_mended = !log_.damages.empty() && !ends_well();
        return std::move(log_);
    }

    raft::Failure missing(std::uint64_t number) const {
        return storage_failure(StorageErrc::corrupted,
                               segment_path(directory_, number) + " is missing");
    }

private:
    using SegmentPointer = std::shared_ptr<Segment<Files>>;

    /// Whether the log can be continued where it ends.
    bool ends_well() const {
        if (log_.known != Knowledge::all || log_.used.empty() || log_.used.back().damaged) {
            return false;
        }
        const std::uint64_t last = log_.used.back().segment->id.number;
        return std::ranges::none_of(
            log_.lost, [last](const SegmentPointer& lost) { return lost->id.number > last; });
    }
    /// Those that are prepared follow the one in use.
    void check_order() {
        std::uint64_t previous = log_.used.empty() ? 0 : log_.used.back().segment->id.number;
        for (const auto& segment : log_.lost) previous = std::max(previous, segment->id.number);
        // It was ended only when the next one was there.
        if (log_.ended && log_.unused.empty()) {
            note(missing(previous + 1));
            log_.known = Knowledge::nothing;
        }
        for (const auto& segment : log_.unused) {
            // A segment is prepared only when its predecessor is, and that one is in use, or
            // unused as well: in neither case may it have been removed. One that leaves a gap, to
            // follow damage, has had its first batch from the beginning.
            const bool follows = segment->id.number == previous + 1;
            if (!follows) {
                note(missing(segment->id.number - 1));
                log_.known = Knowledge::nothing;
            }
            previous = segment->id.number;
        }
    }
    raft::Failure beyond_help() const {
        return storage_failure(StorageErrc::corrupted,
                               log_.damages.front() +
                                   "; with it is lost what this node has promised last, so that it "
                                   "must not vote any more" +
                                   begin_anew);
    }
    void note(const raft::Failure& damage) { log_.damages.push_back(damage.what); }
    static bool is_damage(const raft::Failure& failure) {
        return failure.code == StorageErrc::corrupted;
    }

    raft::Result<void> scan(std::uint64_t number) {
        auto segment = load(number);
        if (!segment && (!is_damage(segment.error()) || is_foreign_)) return segment.error();
        if (!segment) {
            note(segment.error());
            lose_segment();
            const std::string path = segment_path(directory_, number);
            auto file = files_.open(path, OpenMode::read);
            if (!file) return file.error();
            log_.lost.push_back(std::make_shared<Segment<Files>>(
                Segment<Files>{std::move(*file), path, {log_.log_id, number}, 0}));
            return {};
        }
        if (!is_cut_short_ && used_size(batches_.from(segment_header_bytes)) == 0) {
            log_.unused.push_back(std::move(*segment));
            return {};
        }
        // Something was written here, which a writer does only after all that precedes is
        // durable: what is wrong there is damage.
        if (begins_mended(**segment)) pass_over_prepared();
        judge_earlier();
        return scan_batches(std::move(*segment));
    }
    /// Whether the log went on here behind damage.
    bool begins_mended(const Segment<Files>& segment) const {
        constexpr std::uint64_t offset = segment_header_bytes;
        const auto head = batches_.head(offset);
        if (!head || !batches_.check(offset, head->number).valid) return false;
        const auto record =
            read_record(batches_.from(offset + opening_bytes), segment.id, offset + opening_bytes);
        if (!record || record->type != RecordType::checkpoint) return false;
        raft::codec::Reader in(raft::Bytes::copy_of(record->body));
        const auto state = get_checkpoint(in);
        return state && state->mended_in == segment.id.number;
    }
    /// What had been prepared when the log was mended was removed only then, if at all.
    void pass_over_prepared() {
        for (SegmentPointer& segment : log_.unused) log_.lost.push_back(std::move(segment));
        log_.unused.clear();
    }
    void judge_earlier() {
        if (!log_.restored.empty()) {
            ScannedSegment<Files>& scanned = log_.used.back();
            scanned.drop_from(log_.last_batch);
            lose(scanned, damage(scanned.segment->path, log_.restored.front().offset,
                                 "zeros in the place of a bit, and later segments are in use"));
            log_.restored.clear();
        }
        if (log_.torn) {
            const TornTail<Files> torn = *std::exchange(log_.torn, std::nullopt);
            const raft::Failure why = damage(torn.segment->path, torn.invalid_offset,
                                             "an invalid record, and later segments are in use");
            const bool has_batches = !log_.used.empty() && log_.used.back().segment == torn.segment;
            if (has_batches) lose(log_.used.back(), why);
        }
        for (SegmentPointer& segment : log_.unused) {
            note(damage(segment->path, segment_header_bytes,
                        "no whole batch, and later segments are in use"));
            lose_segment();
            log_.lost.push_back(std::move(segment));
        }
        log_.unused.clear();
    }
    /// The rest of a segment that has been read to where it is damaged.
    void lose(ScannedSegment<Files>& scanned, const raft::Failure& why) {
        note(why);
        scanned.damaged = true;
        scanned.committed = log_.state.hard_state.commit;
        log_.known = Knowledge::nothing;
    }
    /// One of which nothing can be read.
    void lose_segment() {
        log_.known = Knowledge::nothing;
        log_.ended = false;
    }

    /// Opens a segment and reads all of it to bytes_.
    raft::Result<SegmentPointer> load(std::uint64_t number) {
        const std::string path = segment_path(directory_, number);
        auto file = files_.open(path, OpenMode::read_write);
        if (!file) return file.error();
        auto header = read_header(*file, path, number);
        if (!header) return header.error();
        if (log_.log_id == 0) log_.log_id = header->id.log_id;
        is_foreign_ = header->id.number != number || header->id.log_id != log_.log_id;
        if (is_foreign_) {
            return damage(path, 0, "the segment belongs to another place or another log");
        }
        const auto size = static_cast<std::size_t>(header->capacity);
        if (buffer_.size() < size) buffer_ = raft::Buffer(size);
        const std::span<std::byte> bytes = buffer_.writable().first(size);
        const auto count = read_what_is_left(*file, path, bytes);
        if (!count) return count.error();
        is_cut_short_ = *count < size;
        if (is_cut_short_) {
            std::ranges::fill(bytes.subspan(*count), std::byte{0});
            note(damage(path, *count,
                        "the file is cut short (made with " + std::to_string(size) + " bytes)"));
        }
        batches_ = Batches(bytes, header->id, path);
        return std::make_shared<Segment<Files>>(
            Segment<Files>{std::move(*file), path, header->id, header->capacity});
    }
    /// Reads a file from its beginning. In the place of what the disk does not give back stand
    /// bytes that nobody has written, as little as possible: zeros would be taken for a write that
    /// was interrupted.
    raft::Result<std::size_t> read_what_is_left(const typename Files::File& file,
                                                const std::string& path,
                                                std::span<std::byte> bytes) {
        const auto whole = files_.read_at(file, 0, bytes);
        if (whole || !is_unreadable(whole.error())) return whole;
        for (std::size_t offset = 0; offset < bytes.size(); offset += readable_unit) {
            const auto piece =
                bytes.subspan(offset, std::min(readable_unit, bytes.size() - offset));
            const auto count = files_.read_at(file, offset, piece);
            if (!count && !is_unreadable(count.error())) return count;
            if (!count) {
                note(damage_of(count.error(), path, offset));
                std::ranges::fill(piece, unwritten);
            } else if (*count < piece.size()) {
                return offset + *count;
            }
        }
        return bytes.size();
    }
    static constexpr std::size_t readable_unit = 512;
    static constexpr std::byte unwritten{0xa5};

    /// Of a file that has its full size from its making on. A damaged header says nothing that is
    /// not known without it.
    raft::Result<SegmentHeader> read_header(const typename Files::File& file,
                                            const std::string& path, std::uint64_t number) {
        const auto size = files_.size(file);
        if (!size) return size.error();
        std::array<std::byte, segment_header_bytes> bytes{};
        auto count = files_.read_at(file, 0, bytes);
        if (!count && is_unreadable(count.error())) count = files_.read_at(file, 0, bytes);
        const bool is_lost = !count && is_unreadable(count.error());
        if (!count && !is_lost) return count.error();
        auto header = is_lost ? raft::Result<SegmentHeader>(damage_of(count.error(), path, 0))
                              : decode_segment_header(std::span(bytes).first(*count), path);
        const std::uint64_t log_id = log_.log_id != 0 ? log_.log_id : told_log_id_.value_or(0);
        if (!header && is_damage(header.error()) && log_id != 0) {
            note(header.error());
            header = SegmentHeader{{log_id, number}, *size / segment_unit * segment_unit};
        }
        if (!header) return header;
        const std::uint64_t capacity = header->capacity;
        if (capacity < segment_unit || capacity % segment_unit != 0 ||
            capacity > segment_bytes_max) {
            return damage(path, 0, "the header is of no segment");
        }
        if (*size > capacity) {
            note(damage(path, capacity,
                        "the file has grown (" + std::to_string(*size) + " bytes, made with " +
                            std::to_string(capacity) + ")"));
        }
        return header;
    }

    raft::Result<void> scan_batches(SegmentPointer segment) {
        const std::uint64_t number = segment->id.number;
        // Whether all batches between this segment's first and the ones already read are known.
        const bool is_next =
            log_.used.empty() ? number == 1 : log_.used.back().segment->id.number + 1 == number;
        bool follows = log_.known == Knowledge::all && is_next;
        if (is_out_of_sequence(*segment, follows)) {
            log_.lost.push_back(std::move(segment));
            return {};
        }
        ScannedSegment<Files> scanned;
        scanned.segment = std::move(segment);
        std::uint64_t offset = segment_header_bytes;
        BatchCheck check = batches_.check_or_restore(offset, log_.next_batch, log_.restored);
        while (check.valid) {
            if (auto result = apply_batch(scanned, offset, follows); !result) return result;
            if (!check.summarized) {
                note(damage(scanned.segment->path, offset + batch_record_bytes,
                            "a batch's summary is damaged"));
            }
            log_.last_batch = offset;
            ++log_.next_batch;
            offset += check.size;
            check = batches_.check_or_restore(offset, log_.next_batch, log_.restored);
        }
        end_of_segment(std::move(scanned), offset, check.invalid_offset, is_next);
        return {};
    }

    /// Whether the segment is of no use, as one that was written before those that precede it.
    bool is_out_of_sequence(const Segment<Files>& segment, bool& follows) {
        const auto head = batches_.head(segment_header_bytes);
        if (!head || head->number == log_.next_batch) return false;
        if (head->number < log_.next_batch) {
            note(damage(segment.path, segment_header_bytes, "a batch is out of sequence"));
            lose_segment();
            return true;
        }
        if (follows && log_.used.empty()) {
            note(damage(segment.path, segment_header_bytes, "the first batches are missing"));
            log_.known = Knowledge::nothing;
        } else if (follows) {
            lose(log_.used.back(),
                 damage(log_.used.back().segment->path, log_.frontier,
                        "zeros in the place of a batch, and later segments are in use"));
        }
        // Else the segments before this one were not needed any more; so were their batches.
        follows = false;
        log_.next_batch = head->number;
        return false;
    }

    /// @pre it was found valid
    raft::Result<void> apply_batch(ScannedSegment<Files>& scanned, std::uint64_t offset,
                                   bool follows) {
        using raft::codec::load_little;
        const bool first = offset == segment_header_bytes;
        if (first) log_.ended = false;
        const auto rest = batches_.from(offset);
        const std::size_t end =
            batch_record_bytes + load_little<std::uint32_t>(rest.data() + record_header_bytes + 8);
        bool carried = false;
        for (std::size_t at = opening_bytes; at < end;) {
            const std::byte* const record = rest.data() + at;
            const std::uint32_t length = load_little<std::uint32_t>(record + 8);
            const RecordView view{static_cast<RecordType>(record[12]),
                                  {record + record_header_bytes, length}};
            const bool must_carry = first && at == opening_bytes;
            const bool carries = view.type == RecordType::checkpoint;
            const bool good = must_carry == carries && !log_.ended &&
                              (carries ? adopt(scanned, view, follows)
                                       : apply_record(scanned, view, offset + at));
            if (!good) {
                return damage(scanned.segment->path, offset + at,
                              "a record that contradicts the ones before it");
            }
            carried = carried || carries;
            at += view.size();
        }
        if (first && !carried) {
            return damage(scanned.segment->path, offset, "a segment without a checkpoint");
        }
        if (log_.state.promised.index.value == 0) log_.left.clear();
        return {};
    }

    bool adopt(const ScannedSegment<Files>& scanned, const RecordView& record, bool follows) {
        raft::codec::Reader in(raft::Bytes::copy_of(record.body));
        auto state = get_checkpoint(in);
        if (!state || (follows && *state != log_.state)) return false;
        if (state->mended_in == scanned.segment->id.number) {
            // The ranges that it tells are those of the log that was cut.
            log_.left = choose_detached(log_, log_.state.live, state->last.index);
        }
        if (!log_.used.empty() && log_.used.back().damaged && !log_.used.back().led_to) {
            log_.used.back().led_to = state->last;
        }
        log_.state = std::move(*state);
        log_.known = Knowledge::all;
        log_.promises_in = 0;
        return true;
    }

    bool apply_record(ScannedSegment<Files>& scanned, const RecordView& record,
                      std::uint64_t offset) {
        if (record.type == RecordType::entry) return apply_entry(scanned, record, offset);
        if (record.type == RecordType::end) {
            log_.ended = true;
            return record.body.empty();
        }
        raft::codec::Reader in(raft::Bytes::copy_of(record.body));
        LogState& state = log_.state;
        if (record.type == RecordType::hard_state) {
            raft::HardState hard;
            raft::codec::get(in, hard);
            state.set(hard);
            return in.done();
        }
        const raft::LogPosition position = in.get_position();
        if (!in.done()) return false;
        if (record.type == RecordType::reset) {
            state.reset(position);
            scanned.clear();
            return true;
        }
        if (record.type != RecordType::release || position.index > state.last.index) return false;
        state.release(position);
        return true;
    }

    bool apply_entry(ScannedSegment<Files>& scanned, const RecordView& record,
                     std::uint64_t offset) {
        const auto entry = entry_position(record);
        if (!entry) return false;
        const auto kind = static_cast<raft::EntryKind>(record.body[16]);
        LogState& state = log_.state;
        const raft::LogPosition last = state.last;
        if (!raft::codec::known(kind) || entry->index <= state.base.index ||
            entry->index > state.last.index + 1) {
            return false;
        }
        state.append(scanned.segment->id.number, *entry);
        scanned.append(last, *entry, offset, record.size());
        if (kind == raft::EntryKind::membership) {
            const auto payload = record.body.subspan(raft::codec::entry_header_bytes);
            scanned.memberships.push_back(
                {entry->index, entry->term, kind, raft::Bytes::copy_of(payload)});
        }
        return true;
    }

    void end_of_segment(ScannedSegment<Files> scanned, std::uint64_t offset,
                        std::uint64_t invalid_offset, bool is_next) {
        const Segment<Files>& segment = *scanned.segment;
        const bool empty = offset == segment_header_bytes;
        const std::size_t tail = used_size(batches_.from(offset));
        raft::Result<void> sound;
        if (tail != 0) {
            sound = batches_.check_tail(offset, tail, invalid_offset, log_.next_batch,
                                        log_.ended && !empty);
        }
        // Where the one before it is gone, or was never there, that was made durable first.
        if (sound && empty && !is_next) {
            sound = damage(segment.path, invalid_offset,
                           "an invalid record in a batch that earlier segments were removed for");
        }
        const bool whole = !is_cut_short_ || (log_.ended && !empty);
        if (sound && !whole) sound = damage(segment.path, offset, "nothing more can be read");
        if (empty) log_.ended = log_.ended && sound;
        if (!sound) {
            lose(scanned, sound.error());
            if (whole) {
                const auto behind = batches_.find_behind(offset, log_.next_batch);
                collect_runs(batches_, scanned.segment, behind, log_.behind);
                learn_promises(segment.id.number, behind);
            }
        } else if (tail != 0) {
            log_.torn = TornTail<Files>{scanned.segment, offset, offset + tail, invalid_offset};
        }
        if (empty && sound) {
            log_.unused.push_back(std::move(scanned.segment));
        } else if (empty) {
            log_.lost.push_back(std::move(scanned.segment));
        } else {
            log_.frontier = offset;
            log_.used.push_back(std::move(scanned));
        }
    }
    /// What was promised by the batches behind damage, whose records are lost. A later segment
    /// says all that they led to.
    void learn_promises(std::uint64_t segment, const std::vector<FoundBatch>& behind) {
        const auto summary = batches_.newest_summary(behind);
        if (!summary) return;
        log_.next_batch = summary->head.number + 1;
        log_.known = Knowledge::promises;
        log_.promises_in = segment;
        LogState& state = log_.state;
        state.set({summary->term, summary->voted_for, state.hard_state.commit});
        state.promise(summary->promised);
        state.promise(summary->last);
    }

    /// Bounds what a header can make a reader allocate.
    static constexpr std::uint64_t segment_bytes_max =
        segment_bytes_for(batch_bytes_max(2 * LogAccount::max_write_bytes));

    Files files_;
    std::string directory_;
    std::optional<std::uint64_t> told_log_id_;
    raft::Buffer buffer_;
    // Of the segment at hand:
    Batches batches_;  ///< in buffer_
    bool is_cut_short_ = false;
    bool is_foreign_ = false;
    ScannedLog<Files> log_;
};

}  // namespace rsm::detail::wal

#endif
