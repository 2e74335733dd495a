// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Reading a log after a restart. The rules, and why they never take damage for a torn tail where
// the two can be told apart, are in docs/format.md; the code follows its numbered steps.
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
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/pieces.hpp>
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

/// What one segment holds: the entries that it itself does not replace, contiguous.
template <class Files>
struct ScannedSegment {
    std::shared_ptr<Segment<Files>> segment;
    raft::Index first{1};
    std::vector<std::uint32_t> offsets;
    std::vector<std::uint32_t> sizes;
    std::vector<raft::TermRun> runs;
    std::vector<raft::Entry> memberships;

    raft::Index end() const { return first + offsets.size(); }
    void clear() {
        offsets.clear();
        sizes.clear();
        runs.clear();
        memberships.clear();
    }
    void append(raft::LogPosition entry, std::uint64_t offset, std::size_t size) {
        if (offsets.empty() || entry.index < first) {
            clear();
            first = entry.index;
        } else if (entry.index < end()) {
            const auto kept = static_cast<std::size_t>(entry.index - first);
            offsets.resize(kept);
            sizes.resize(kept);
            while (!runs.empty() && runs.back().first >= entry.index) runs.pop_back();
            while (!memberships.empty() && memberships.back().index >= entry.index) {
                memberships.pop_back();
            }
        }
        raft::add_to_runs(runs, entry.index, entry.term);
        offsets.push_back(static_cast<std::uint32_t>(offset));
        sizes.push_back(static_cast<std::uint32_t>(size));
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

/// The whole log as found.
template <class Files>
struct ScannedLog {
    std::uint64_t log_id = 0;
    LogState state;
    std::uint64_t next_batch = 1;
    std::vector<ScannedSegment<Files>> used;  ///< in order; the last one is to be continued
    std::vector<std::shared_ptr<Segment<Files>>> unused;  ///< behind it, prepared
    std::uint64_t frontier = segment_header_bytes;        ///< where the last used one is continued
    bool ended = false;  ///< the last used one is not: the log goes on in the first unused one
    std::uint64_t last_batch = 0;  ///< where the last batch begins; 0 is nowhere
    std::optional<TornTail<Files>> torn;
    std::vector<LoneBit> restored;  ///< bits of the last batch that are missing in the file
};

/// Reads all segments of a directory, oldest first, and changes nothing. Memory: one segment.
template <class Files>
class LogScanner {
public:
    LogScanner(Files files, std::string directory)
        : files_(std::move(files)), directory_(std::move(directory)) {}

    /// `numbers` are those of the files that are there, ascending.
    raft::Result<ScannedLog<Files>> run(const std::vector<std::uint64_t>& numbers) {
        for (const std::uint64_t number : numbers) {
            if (auto result = scan(number); !result) return result.error();
        }
        std::uint64_t previous = log_.used.empty() ? 0 : log_.used.back().segment->id.number;
        // It was ended only when the next one was there.
        if (log_.ended && log_.unused.empty()) return missing(previous + 1);
        for (const auto& segment : log_.unused) {
            // A segment is prepared only when its predecessor is, and that one is in use, or
            // unused as well: in neither case may it have been removed.
            if (segment->id.number != previous + 1) return missing(segment->id.number - 1);
            previous = segment->id.number;
        }
        return std::move(log_);
    }

    raft::Failure missing(std::uint64_t number) const {
        return storage_failure(StorageErrc::corrupted,
                               segment_path(directory_, number) + " is missing");
    }

private:
    struct BatchCheck {
        bool valid = false;
        std::uint64_t size = 0;            ///< with padding; where valid
        std::uint64_t invalid_offset = 0;  ///< where not valid
    };

    raft::Result<void> scan(std::uint64_t number) {
        auto segment = load(number);
        if (!segment) return segment.error();
        if (used_size(bytes_.subspan(segment_header_bytes)) == 0) {
            log_.unused.push_back(std::move(*segment));
            return {};
        }
        // Something was written here, which a writer does only after all that precedes is
        // durable: what is wrong there is damage.
        if (!log_.restored.empty()) {
            return damage(log_.used.back().segment->path, log_.restored.front().offset,
                          "zeros in the place of a bit, and later segments are in use");
        }
        if (log_.torn) {
            return damage(log_.torn->segment->path, log_.torn->invalid_offset,
                          "an invalid record, and later segments are in use");
        }
        if (!log_.unused.empty()) {
            return damage(log_.unused.front()->path, segment_header_bytes,
                          "zeros, and later segments are in use");
        }
        return scan_batches(std::move(*segment));
    }

    /// Opens a segment and reads all of it to bytes_.
    raft::Result<std::shared_ptr<Segment<Files>>> load(std::uint64_t number) {
        const std::string path = segment_path(directory_, number);
        auto file = files_.open(path, OpenMode::read_write);
        if (!file) return file.error();
        const auto header = read_header(*file, path);
        if (!header) return header.error();
        const bool first = log_.used.empty() && log_.unused.empty() && !log_.torn;
        if (first) log_.log_id = header->id.log_id;
        if (header->id.number != number || header->id.log_id != log_.log_id) {
            return damage(path, 0, "the segment belongs to another place or another log");
        }
        const auto size = static_cast<std::size_t>(header->capacity);
        if (buffer_.size() < size) buffer_ = raft::Buffer(size);
        const auto count = files_.read_at(*file, 0, buffer_.writable().first(size));
        if (!count) return count.error();
        if (*count != size) return damage(path, *count, "the file is cut short");
        bytes_ = buffer_.writable().first(size);
        return std::make_shared<Segment<Files>>(
            Segment<Files>{std::move(*file), path, header->id, header->capacity});
    }
    /// Fails where it does not fit the file, which has its full size from its making on.
    raft::Result<SegmentHeader> read_header(const typename Files::File& file,
                                            const std::string& path) const {
        const auto size = files_.size(file);
        if (!size) return size.error();
        std::array<std::byte, segment_header_bytes> bytes{};
        const auto count = files_.read_at(file, 0, bytes);
        if (!count) return count.error();
        auto header = decode_segment_header(std::span(bytes).first(*count), path);
        if (!header) return header;
        const std::uint64_t capacity = header->capacity;
        if (capacity < segment_unit || capacity % segment_unit != 0 ||
            capacity > segment_bytes_max) {
            return damage(path, 0, "the header is of no segment");
        }
        const auto sizes =
            " (" + std::to_string(*size) + " bytes, made with " + std::to_string(capacity) + ")";
        if (*size < capacity) return damage(path, *size, "the file is cut short" + sizes);
        if (*size > capacity) return damage(path, capacity, "the file has grown" + sizes);
        return header;
    }

    raft::Result<void> scan_batches(std::shared_ptr<Segment<Files>> segment) {
        const std::uint64_t number = segment->id.number;
        // Whether all batches between this segment's first and the ones already read are known.
        const bool follows =
            log_.used.empty() ? number == 1 : log_.used.back().segment->id.number + 1 == number;
        if (auto result = check_first_number(*segment, follows); !result) return result;

        ScannedSegment<Files> scanned;
        scanned.segment = std::move(segment);
        std::uint64_t offset = segment_header_bytes;
        BatchCheck check = check_or_restore(scanned.segment->id, offset);
        while (check.valid) {
            if (auto result = apply_batch(scanned, offset, follows); !result) return result;
            log_.last_batch = offset;
            ++log_.next_batch;
            offset += check.size;
            check = check_or_restore(scanned.segment->id, offset);
        }
        return end_of_segment(std::move(scanned), offset, check.invalid_offset, follows);
    }

    raft::Result<void> check_first_number(const Segment<Files>& segment, bool follows) {
        const auto head =
            read_batch_head(bytes_.subspan(segment_header_bytes), segment.id, segment_header_bytes);
        if (!head || head->number == log_.next_batch) return {};
        if (head->number < log_.next_batch) {
            return damage(segment.path, segment_header_bytes, "a batch is out of sequence");
        }
        if (!follows) {
            // The segments before this one were not needed any more; so were their batches.
            log_.next_batch = head->number;
            return {};
        }
        if (log_.used.empty()) {
            return damage(segment.path, segment_header_bytes, "the first batches are missing");
        }
        return damage(log_.used.back().segment->path, log_.frontier,
                      "zeros in the place of a batch, and later segments are in use");
    }

    BatchCheck check_batch(SegmentId id, std::uint64_t offset) const {
        const auto rest = from(offset);
        const auto head = read_batch_head(rest, id, offset);
        if (!head || head->number != log_.next_batch || head->size() > rest.size()) {
            return {false, 0, offset};
        }
        const auto end = static_cast<std::size_t>(head->records_end());
        std::size_t at = batch_record_bytes;
        while (at < end) {
            const auto record = read_record(rest.subspan(at, end - at), id, offset + at);
            if (!record) return {false, 0, offset + at};
            at += record->size();
        }
        for (; at < head->lone_bits_begin(); ++at) {
            if (rest[at] != std::byte{0}) return {false, 0, offset + at};
        }
        if (!sealed(rest, *head, id, offset)) return {false, 0, offset + at};
        return {true, head->size(), 0};
    }
    /// @pre the batch lies in `rest`, which begins with it
    static bool sealed(std::span<const std::byte> rest, const BatchHead& head, SegmentId id,
                       std::uint64_t offset) {
        const auto seal = static_cast<std::size_t>(head.seal());
        const auto begin = static_cast<std::size_t>(head.lone_bits_begin());
        return raft::codec::load_little<std::uint64_t>(rest.data() + seal) ==
               batch_seal(rest.subspan(begin, seal - begin), id, offset + seal);
    }

    /// A piece of one bit that is zeros has lost the bit, or was never written. Either way all of
    /// the batch is known, because the bit is told twice.
    BatchCheck check_or_restore(SegmentId id, std::uint64_t offset) {
        const BatchCheck check = check_batch(id, offset);
        if (check.valid) return check;
        const auto rest = from(offset);
        const auto head = read_batch_head(rest, id, offset);
        if (!head || head->number != log_.next_batch || head->lone_bits == 0 ||
            head->size() > rest.size() || !sealed(rest, *head, id, offset) ||
            later_batch(rest, id, offset)) {
            return check;
        }
        const std::span<std::byte> writable = buffer_.writable();
        for (std::uint64_t at = head->lone_bits_begin(); at < head->seal(); at += lone_bit_bytes) {
            const auto bit =
                LoneBit::of_word(raft::codec::load_little<std::uint64_t>(rest.data() + at));
            if (bit.offset >= offset + head->lone_bits_begin() ||
                !all_zeros(piece_of(bit.offset))) {
                continue;
            }
            writable[bit.offset] = std::byte{bit.value};
            log_.restored.push_back(bit);
        }
        const BatchCheck again = check_batch(id, offset);
        if (again.valid) return again;
        for (const LoneBit& bit : log_.restored) writable[bit.offset] = std::byte{0};
        log_.restored.clear();
        return check;
    }
    std::span<const std::byte> from(std::uint64_t offset) const {
        return bytes_.subspan(static_cast<std::size_t>(offset));
    }
    std::span<const std::byte> piece_of(std::uint64_t offset) const {
        return bytes_.subspan(static_cast<std::size_t>(offset / piece_bytes * piece_bytes),
                              piece_bytes);
    }

    /// @pre check_batch() found it valid
    raft::Result<void> apply_batch(ScannedSegment<Files>& scanned, std::uint64_t offset,
                                   bool follows) {
        using raft::codec::load_little;
        const bool first = offset == segment_header_bytes;
        if (first) log_.ended = false;
        const auto rest = from(offset);
        const std::size_t end =
            batch_record_bytes + load_little<std::uint32_t>(rest.data() + record_header_bytes + 8);
        for (std::size_t at = batch_record_bytes; at < end;) {
            const std::byte* const record = rest.data() + at;
            const std::uint32_t length = load_little<std::uint32_t>(record + 8);
            const RecordView view{static_cast<RecordType>(record[12]),
                                  {record + record_header_bytes, length}};
            const bool must_carry = first && at == batch_record_bytes;
            const bool carries = view.type == RecordType::checkpoint;
            const bool good =
                must_carry == carries && !log_.ended &&
                (carries ? adopt(view, follows) : apply_record(scanned, view, offset + at));
            if (!good) {
                return damage(scanned.segment->path, offset + at,
                              "a record that contradicts the ones before it");
            }
            at += view.size();
        }
        if (first && end == batch_record_bytes) {
            return damage(scanned.segment->path, offset, "a segment without a checkpoint");
        }
        return {};
    }

    bool adopt(const RecordView& record, bool follows) {
        raft::codec::Reader in(raft::Bytes::copy_of(record.body));
        auto state = get_checkpoint(in);
        if (!state || (follows && *state != log_.state)) return false;
        log_.state = std::move(*state);
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
        if (record.type != RecordType::release || position.index > state.last) return false;
        state.release(position);
        return true;
    }

    bool apply_entry(ScannedSegment<Files>& scanned, const RecordView& record,
                     std::uint64_t offset) {
        using raft::codec::load_little;
        if (record.body.size() < raft::codec::entry_header_bytes) return false;
        const raft::LogPosition entry{{load_little<std::uint64_t>(record.body.data())},
                                      {load_little<std::uint64_t>(record.body.data() + 8)}};
        const auto kind = static_cast<raft::EntryKind>(record.body[16]);
        LogState& state = log_.state;
        if (!raft::codec::known(kind) || entry.index <= state.base.index ||
            entry.index > state.last + 1) {
            return false;
        }
        state.append(scanned.segment->id.number, entry.index);
        scanned.append(entry, offset, record.size());
        if (kind == raft::EntryKind::membership) {
            const auto payload = record.body.subspan(raft::codec::entry_header_bytes);
            scanned.memberships.push_back(
                {entry.index, entry.term, kind, raft::Bytes::copy_of(payload)});
        }
        return true;
    }

    raft::Result<void> end_of_segment(ScannedSegment<Files> scanned, std::uint64_t offset,
                                      std::uint64_t invalid_offset, bool follows) {
        const Segment<Files>& segment = *scanned.segment;
        const bool empty = offset == segment_header_bytes;
        if (empty && !follows) {
            return damage(segment.path, invalid_offset,
                          "an invalid record in a batch that earlier segments were removed for");
        }
        const auto rest = from(offset);
        const std::size_t tail = used_size(rest);
        if (tail != 0) {
            auto result = check_tail(segment, offset, tail, invalid_offset);
            if (!result) return result;
            log_.torn = TornTail<Files>{scanned.segment, offset, offset + tail, invalid_offset};
        }
        if (empty) {
            log_.unused.push_back(std::move(scanned.segment));
        } else {
            log_.frontier = offset;
            log_.used.push_back(std::move(scanned));
        }
        return {};
    }

    /// Whether a crash while the expected batch was written can have left what lies from `offset`
    /// on, of which `tail` bytes are not zeros: some of its pieces are as they were written, the
    /// others zeros. Fails where it is damage.
    raft::Result<void> check_tail(const Segment<Files>& segment, std::uint64_t offset,
                                  std::size_t tail, std::uint64_t invalid_offset) const {
        const auto rest = from(offset);
        if (later_batch(rest, segment.id, offset)) {
            return damage(segment.path, invalid_offset,
                          "an invalid record, and later batches follow it");
        }
        if (log_.ended && offset != segment_header_bytes) {
            return damage(segment.path, offset, "bytes behind the end of a segment");
        }
        if (rest.size() < batch_record_bytes) {
            return damage(segment.path, offset, "bytes where there is no room for a batch");
        }
        const auto head = read_batch_head(rest, segment.id, offset);
        if (!head) {
            // It lies in one sector or in two, each of which holds several of its bits.
            const std::size_t first =
                std::min<std::size_t>(rest.size(), piece_bytes - offset % piece_bytes);
            const auto second =
                rest.subspan(first, std::min<std::size_t>(rest.size() - first, piece_bytes));
            if (all_zeros(rest.first(first)) || (first < batch_record_bytes && all_zeros(second))) {
                return {};
            }
            return damage(segment.path, offset, "a batch record is damaged");
        }
        if (head->number != log_.next_batch) {
            return damage(segment.path, offset, "a batch is out of sequence");
        }
        if (head->size() > rest.size()) {
            return damage(segment.path, offset, "a batch larger than its file");
        }
        const auto size = static_cast<std::size_t>(head->size());
        if (tail > size) {
            const auto behind = rest.subspan(size);
            const auto found =
                std::ranges::find_if(behind, [](std::byte byte) { return byte != std::byte{0}; });
            return damage(segment.path,
                          offset + size + static_cast<std::uint64_t>(found - behind.begin()),
                          "bytes that are not of the batch before them");
        }
        const std::uint64_t blank = count_blank_pieces(rest.first(size), offset);
        if (blank > head->blank_pieces) return {};
        return damage(segment.path, invalid_offset, "the last batch is damaged");
    }

    /// Whether a batch begins in `rest` that was written after the one that is expected.
    bool later_batch(std::span<const std::byte> rest, SegmentId id, std::uint64_t offset) const {
        for (std::size_t at = 0; at + batch_record_bytes <= rest.size(); at += batch_alignment) {
            const auto head = read_batch_head(rest.subspan(at), id, offset + at);
            if (head && head->number > log_.next_batch) return true;
        }
        return false;
    }

    /// Bounds what a header can make a reader allocate.
    static constexpr std::uint64_t segment_bytes_max =
        segment_bytes_for(batch_bytes_max(2 * LogAccount::max_write_bytes));

    Files files_;
    std::string directory_;
    raft::Buffer buffer_;
    std::span<const std::byte> bytes_;  ///< of the segment at hand, in buffer_
    ScannedLog<Files> log_;
};

}  // namespace rsm::detail::wal

#endif
