// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The bytes of the write-ahead log: segment header, records, batches. docs/format.md describes
// them for somebody who wants to read a log without this code, and argues why they suffice.
#ifndef RSM_STORAGE_WAL_FORMAT_HPP
#define RSM_STORAGE_WAL_FORMAT_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/pieces.hpp>
#include <rsm/storage/wal/state.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rsm::inline v0::detail::wal {

inline constexpr std::uint8_t record_version = 3;
inline constexpr std::uint32_t segment_version = 4;
inline constexpr std::string_view segment_magic = "rsm-wal\n";
inline constexpr std::size_t segment_header_bytes = 48;
/// Segments are made of whole ones, so that a write of whole pages never moves a file's end.
inline constexpr std::uint64_t segment_unit = 4096;
inline constexpr std::uint64_t whole_units(std::uint64_t bytes) {
    return (bytes + segment_unit - 1) / segment_unit * segment_unit;
}
inline constexpr std::size_t record_header_bytes = raft::codec::record_header_bytes;
inline constexpr std::size_t batch_body_bytes = 24;
inline constexpr std::size_t batch_record_bytes = record_header_bytes + batch_body_bytes;
inline constexpr std::size_t summary_body_bytes = batch_body_bytes + 6 * 8 + 8;
inline constexpr std::size_t summary_record_bytes = record_header_bytes + summary_body_bytes;
/// What each batch begins with: its batch record and its summary.
inline constexpr std::size_t opening_bytes = batch_record_bytes + summary_record_bytes;
/// Ends a batch record and a summary, so that whichever sector holds its end holds some bits.
inline constexpr std::uint32_t batch_mark = 0xb5b5b5b5;
/// Ends a batch, for the same reason: a checksum.
inline constexpr std::size_t batch_seal_bytes = 8;
/// Batches begin at multiples of this, so that a search need not try every byte.
inline constexpr std::size_t batch_alignment = 8;

static_assert(segment_header_bytes % batch_alignment == 0 && segment_header_bytes <= piece_bytes);
static_assert(record_header_bytes == 16);

enum class RecordType : std::uint8_t {
    batch = 1,       ///< opens a batch: its number and its sizes
    checkpoint = 2,  ///< the first record of a segment's first batch: what carries over
    entry = 3,
    hard_state = 4,
    reset = 5,
    release = 6,
    end = 7,      ///< alone in the last batch of a segment: the log goes on in the next one
    summary = 8,  ///< behind each batch record: that once more, and what the batch leads to
};

// ---- names -----------------------------------------------------------------------------------

/// Twenty digits, so that names sort as numbers do.
inline std::string padded(std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(20 - digits.size(), '0') + digits;
}
inline std::optional<std::uint64_t> parse_padded(std::string_view text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (text.size() != 20 || error != std::errc{} || stopped != end) return std::nullopt;
    return number;
}
inline constexpr std::string_view segment_suffix = ".wal";
inline constexpr std::string_view temporary_suffix = ".tmp";
inline constexpr std::string_view spare_suffix = ".spare.tmp";

inline std::string segment_path(const std::string& directory, std::uint64_t number) {
    return directory + "/" + padded(number) + std::string(segment_suffix);
}
/// The number of the segment that has this name, if it is a segment's.
inline std::optional<std::uint64_t> segment_number(std::string_view name) {
    if (!name.ends_with(segment_suffix)) return std::nullopt;
    name.remove_suffix(segment_suffix.size());
    return parse_padded(name);
}

// ---- segment header --------------------------------------------------------------------------

/// Which log and which of its segments a file is.
struct SegmentId {
    std::uint64_t log_id = 0;
    std::uint64_t number = 0;
};
struct SegmentHeader {
    SegmentId id;
    std::uint64_t capacity = 0;  ///< the file's size, from its making on
};

inline std::array<std::byte, segment_header_bytes> encode_segment_header(SegmentHeader header) {
    std::array<std::byte, segment_header_bytes> bytes{};
    std::memcpy(bytes.data(), segment_magic.data(), segment_magic.size());
    raft::codec::store_little(bytes.data() + 8, segment_version);
    raft::codec::store_little(bytes.data() + 16, header.id.log_id);
    raft::codec::store_little(bytes.data() + 24, header.id.number);
    raft::codec::store_little(bytes.data() + 32, header.capacity);
    raft::codec::store_little(bytes.data() + 40, checksum(std::span(bytes).first(40)));
    return bytes;
}

/// Fails with corrupted or unsupported_version; the caller compares the number with the name.
inline raft::Result<SegmentHeader> decode_segment_header(std::span<const std::byte> bytes,
                                                         const std::string& path) {
    using raft::codec::load_little;
    if (bytes.size() < segment_header_bytes) {
        return damage(path, bytes.size(), "the file is cut short, within its header");
    }
    const auto checked = [&](std::size_t size) {
        return load_little<std::uint64_t>(bytes.data() + size) == checksum(bytes.first(size));
    };
    const auto version = load_little<std::uint32_t>(bytes.data() + 8);
    // The header of earlier versions was shorter.
    if (std::memcmp(bytes.data(), segment_magic.data(), segment_magic.size()) != 0 ||
        !(checked(40) || (version < segment_version && checked(32)))) {
        return damage(path, 0, "the header is damaged");
    }
    if (version != segment_version || load_little<std::uint32_t>(bytes.data() + 12) != 0) {
        return storage_failure(StorageErrc::unsupported_version,
                               path + " has version " + std::to_string(version) +
                                   " of the segment format, where only version " +
                                   std::to_string(segment_version) + " is known");
    }
    return SegmentHeader{{load_little<std::uint64_t>(bytes.data() + 16),
                          load_little<std::uint64_t>(bytes.data() + 24)},
                         load_little<std::uint64_t>(bytes.data() + 32)};
}

// ---- records ---------------------------------------------------------------------------------

/// Ties a record's checksum to its place: a block that belongs elsewhere is never taken for valid.
inline std::uint64_t record_seed(SegmentId segment, std::uint64_t offset) {
    return segment.log_id + (segment.number << 32) + offset;
}

/// What the first eight bytes behind the checksum say.
struct RecordHead {
    std::uint32_t body_bytes = 0;
    RecordType type = RecordType::batch;
};

/// A checked record in memory.
struct RecordView {
    RecordType type = RecordType::batch;
    std::span<const std::byte> body;
    std::size_t size() const { return record_header_bytes + body.size(); }
};

/// The record at the front of `bytes`, which lie at `offset` of the segment, or nothing if there
/// is no valid one that fits.
inline std::optional<RecordView> read_record(std::span<const std::byte> bytes, SegmentId segment,
                                             std::uint64_t offset) {
    using raft::codec::load_little;
    if (bytes.size() < record_header_bytes) return std::nullopt;
    const std::uint32_t length = load_little<std::uint32_t>(bytes.data() + 8);
    const auto type = load_little<std::uint8_t>(bytes.data() + 12);
    if (length > bytes.size() - record_header_bytes || type < 1 || type > 8 ||
        load_little<std::uint8_t>(bytes.data() + 13) != record_version ||
        load_little<std::uint16_t>(bytes.data() + 14) != 0) {
        return std::nullopt;
    }
    const auto covered = bytes.subspan(8, 8 + length);
    if (load_little<std::uint64_t>(bytes.data()) !=
        checksum(covered, record_seed(segment, offset))) {
        return std::nullopt;
    }
    return RecordView{static_cast<RecordType>(type), bytes.subspan(record_header_bytes, length)};
}

/// Which entry the record of one holds; nothing: it is too short for any.
inline std::optional<raft::LogPosition> entry_position(const RecordView& record) {
    using raft::codec::load_little;
    if (record.body.size() < raft::codec::entry_header_bytes) return std::nullopt;
    return raft::LogPosition{{load_little<std::uint64_t>(record.body.data())},
                             {load_little<std::uint64_t>(record.body.data() + 8)}};
}

inline constexpr std::uint64_t aligned(std::uint64_t size) {
    return (size + batch_alignment - 1) / batch_alignment * batch_alignment;
}

/// The body of a batch record.
struct BatchHead {
    std::uint64_t number = 0;
    std::uint32_t record_bytes = 0;  ///< of the records behind this one, without the padding
    std::uint32_t blank_pieces = 0;  ///< pieces of the batch that are zeros as written
    std::uint32_t lone_bits = 0;     ///< words that tell them again

    // Offsets from the beginning of the batch.
    std::uint64_t records_end() const { return batch_record_bytes + std::uint64_t{record_bytes}; }
    std::uint64_t lone_bits_begin() const { return aligned(records_end()); }
    std::uint64_t seal() const {
        return lone_bits_begin() + lone_bit_bytes * std::uint64_t{lone_bits};
    }
    std::uint64_t size() const { return seal() + batch_seal_bytes; }
};

/// The most that a batch takes whose records behind its opening take `record_bytes`: a lone
/// bit can be in each of its whole pieces.
inline constexpr std::uint64_t batch_bytes_max(std::uint64_t record_bytes) {
    const std::uint64_t bytes = aligned(opening_bytes + record_bytes) + batch_seal_bytes;
    return bytes + lone_bit_bytes * (aligned(record_bytes) / piece_bytes);
}
inline constexpr std::size_t end_record_bytes = record_header_bytes;
/// Kept free in each segment for the batch that ends it.
inline constexpr std::uint64_t segment_end_bytes = batch_bytes_max(end_record_bytes);
/// A segment of this size, and of none smaller, has room for its only batch and its end.
inline constexpr std::uint64_t segment_bytes_for(std::uint64_t batch_bytes) {
    return whole_units(segment_header_bytes + batch_bytes + segment_end_bytes);
}

inline BatchHead head_of(std::span<const std::byte> body) {
    using raft::codec::load_little;
    return {load_little<std::uint64_t>(body.data()), load_little<std::uint32_t>(body.data() + 8),
            load_little<std::uint32_t>(body.data() + 12),
            load_little<std::uint32_t>(body.data() + 16)};
}

/// The batch record at the front of `bytes`, or nothing.
inline std::optional<BatchHead> read_batch_head(std::span<const std::byte> bytes, SegmentId segment,
                                                std::uint64_t offset) {
    using raft::codec::load_little;
    // Two cheap looks first: a search tries this at every possible place.
    if (bytes.size() < batch_record_bytes || bytes[12] != std::byte{1} ||
        load_little<std::uint32_t>(bytes.data() + 8) != batch_body_bytes) {
        return std::nullopt;
    }
    const auto record = read_record(bytes.first(batch_record_bytes), segment, offset);
    if (!record) return std::nullopt;
    if (load_little<std::uint32_t>(record->body.data() + 20) != batch_mark) return std::nullopt;
    return head_of(record->body);
}

/// What a node has promised by a batch and all before it, told at the batch's beginning: if the
/// rest of it is damaged, this much is known.
struct BatchSummary {
    BatchHead head;
    raft::LogPosition last;
    raft::LogPosition promised;
    raft::Term term;
    raft::NodeId voted_for;
};

/// The summary of the batch at the front of `bytes`, or nothing.
inline std::optional<BatchSummary> read_summary(std::span<const std::byte> bytes, SegmentId segment,
                                                std::uint64_t offset) {
    using raft::codec::load_little;
    if (bytes.size() < opening_bytes || bytes[batch_record_bytes + 12] != std::byte{8} ||
        load_little<std::uint32_t>(bytes.data() + batch_record_bytes + 8) != summary_body_bytes) {
        return std::nullopt;
    }
    const auto record = read_record(bytes.subspan(batch_record_bytes, summary_record_bytes),
                                    segment, offset + batch_record_bytes);
    if (!record) return std::nullopt;
    const auto word = [body = record->body.data()](std::size_t at) {
        return load_little<std::uint64_t>(body + at);
    };
    return BatchSummary{head_of(record->body),
                        {{word(24)}, {word(32)}},
                        {{word(40)}, {word(48)}},
                        {word(56)},
                        {word(64)}};
}

/// The seal of a batch whose lone bits are told by `words`; the seal lies at `offset`.
inline std::uint64_t batch_seal(std::span<const std::byte> words, SegmentId segment,
                                std::uint64_t offset) {
    return checksum(words, record_seed(segment, offset));
}

/// How much of `bytes` lies before the zeros at its end.
inline std::size_t used_size(std::span<const std::byte> bytes) {
    std::size_t end = bytes.size();
    static constexpr std::array<std::byte, 4096> zeros{};
    while (end >= zeros.size() &&
           std::memcmp(bytes.data() + end - zeros.size(), zeros.data(), zeros.size()) == 0) {
        end -= zeros.size();
    }
    while (end > 0 && bytes[end - 1] == std::byte{0}) --end;
    return end;
}

// ---- checkpoint ------------------------------------------------------------------------------

inline constexpr std::size_t checkpoint_fixed_bytes = 3 * 16 + 1 + 24 + 8 + 4;
inline constexpr std::size_t live_range_bytes = 24;

inline std::size_t checkpoint_record_bytes(const LogState& state) {
    return record_header_bytes + checkpoint_fixed_bytes +
           live_range_bytes * state.live.ranges().size();
}
inline void put(raft::codec::Gather& out, const LogState& state) {
    out.put(state.base);
    out.put(state.last);
    out.put(state.promised);
    out.put(state.has_hard_state);
    raft::codec::put(out, state.hard_state);
    out.put(state.mended_in);
    out.put(static_cast<std::uint32_t>(state.live.ranges().size()));
    for (const LiveRange& range : state.live.ranges()) {
        out.put(range.segment);
        out.put(range.first);
        out.put(range.last);
    }
}
/// Nothing where the bytes do not describe a log.
inline std::optional<LogState> get_checkpoint(raft::codec::Reader& in) {
    LogState state;
    state.base = in.get_position();
    state.last = in.get_position();
    state.promised = in.get_position();
    state.has_hard_state = in.get_flag();
    raft::codec::get(in, state.hard_state);
    state.mended_in = in.get<std::uint64_t>();
    const std::uint32_t count = in.get<std::uint32_t>();
    if (count > in.remaining() / live_range_bytes) return std::nullopt;
    raft::Index end = state.base.index;
    std::uint64_t segment = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const LiveRange range{in.get<std::uint64_t>(), in.get_index(), in.get_index()};
        if (range.segment <= segment || range.first != end + 1 || range.last < range.first) {
            return std::nullopt;
        }
        segment = range.segment;
        end = range.last;
        state.live.add(range);
    }
    if (!in.done() || end != state.last.index) return std::nullopt;
    return state;
}

// ---- encoding a batch ------------------------------------------------------------------------

/// Encodes one batch for its place in a segment. Reused, to keep its memory.
class BatchEncoder {
public:
    /// @param referenced_bytes  from this size on a payload is not copied
    explicit BatchEncoder(std::size_t referenced_bytes = raft::codec::Gather::reference_bytes)
        : out_(referenced_bytes) {}

    void begin(SegmentId segment, std::uint64_t offset) {
        out_.clear();
        entry_offsets_.clear();
        segment_ = segment;
        offset_ = offset;
        out_.reserve(opening_bytes);
    }
    void add(const LogState& state) {
        record(RecordType::checkpoint, [&] { put(out_, state); });
    }
    void add(const raft::Write& write) {
        if (write.reset) record(RecordType::reset, [&] { out_.put(*write.reset); });
        for (const raft::Entry& entry : write.entries) {
            entry_offsets_.push_back(static_cast<std::uint32_t>(offset_ + out_.size()));
            record(RecordType::entry, [&] { raft::codec::put(out_, entry); });
        }
        if (write.hard_state) {
            record(RecordType::hard_state, [&] { raft::codec::put(out_, *write.hard_state); });
        }
        if (write.release) record(RecordType::release, [&] { out_.put(*write.release); });
    }
    void add_end() {
        record(RecordType::end, [] {});
    }
    /// Completes the batch: the padding, what recovery needs to know of its pieces, and its
    /// opening.
    /// @param after  what it leads to
    void finish(std::uint64_t number, const LogState& after) {
        const std::size_t bytes = out_.size() - batch_record_bytes;
        while (out_.size() % batch_alignment != 0) out_.put(std::uint8_t{0});
        // The pieces of the opening and of the seal have bits enough, whatever else is in them.
        pieces_.begin(offset_ + opening_bytes);
        out_.for_each_part([&](std::span<const std::byte> part) { pieces_.scan(part); },
                           opening_bytes);
        const std::size_t words = out_.copied().size();
        for (const LoneBit& bit : pieces_.lone_bits()) out_.put(bit.word());
        out_.put(
            batch_seal(std::span(out_.copied()).subspan(words), segment_, offset_ + out_.size()));

        const BatchHead head{number, static_cast<std::uint32_t>(bytes), pieces_.blank(),
                             static_cast<std::uint32_t>(pieces_.lone_bits().size())};
        put_batch_record(head);
        put_summary(
            {head, after.last, after.promised, after.hard_state.term, after.hard_state.voted_for});
    }

    std::size_t size() const { return out_.size(); }
    /// Where the records of the entries lie in the segment, in the order of add().
    std::vector<std::uint32_t> take_entry_offsets() { return std::move(entry_offsets_); }
    /// The encoded bytes, in order. They are valid until begin(), and need the writes that were
    /// added, whose payloads they refer to, no longer.
    std::vector<std::span<const std::byte>> parts() const {
        std::vector<std::span<const std::byte>> result;
        result.reserve(2 * out_.pieces().size() + 1);
        out_.for_each_part([&](std::span<const std::byte> part) { result.push_back(part); });
        return result;
    }
    /// Lets go of the payloads that the batch refers to.
    void clear() { out_.clear(); }

private:
    static void store(std::byte* body, const BatchHead& head) {
        raft::codec::store_little(body, head.number);
        raft::codec::store_little(body + 8, head.record_bytes);
        raft::codec::store_little(body + 12, head.blank_pieces);
        raft::codec::store_little(body + 16, head.lone_bits);
        raft::codec::store_little(body + 20, batch_mark);
    }
    void put_batch_record(const BatchHead& head) {
        store(out_.copied().data() + record_header_bytes, head);
        close_record(0, RecordType::batch, batch_body_bytes);
    }
    void put_summary(const BatchSummary& summary) {
        std::byte* const body = out_.copied().data() + batch_record_bytes + record_header_bytes;
        store(body, summary.head);
        const std::uint64_t words[] = {
            summary.last.index.value,    summary.last.term.value, summary.promised.index.value,
            summary.promised.term.value, summary.term.value,      summary.voted_for.value,
            0xb5b5b5b5b5b5b5b5};
        for (std::size_t i = 0; i < std::size(words); ++i) {
            raft::codec::store_little(body + batch_body_bytes + 8 * i, words[i]);
        }
        close_record(batch_record_bytes, RecordType::summary, summary_body_bytes);
    }
    /// The record that begins at `at` of the copied bytes, and lies in them, has its body.
    void close_record(std::size_t at, RecordType type, std::size_t body_bytes) {
        put_head(at, type, body_bytes);
        const auto covered = std::span(out_.copied()).subspan(at + 8, 8 + body_bytes);
        raft::codec::store_little(out_.copied().data() + at,
                                  checksum(covered, record_seed(segment_, offset_ + at)));
    }

    void put_head(std::size_t at, RecordType type, std::size_t body_bytes) {
        std::byte* const head = out_.copied().data() + at;
        raft::codec::store_little(head + 8, static_cast<std::uint32_t>(body_bytes));
        raft::codec::store_little(head + 12, static_cast<std::uint8_t>(type));
        raft::codec::store_little(head + 13, record_version);
        raft::codec::store_little(head + 14, std::uint16_t{0});
    }

    template <class PutBody>
    void record(RecordType type, PutBody put_body) {
        const std::uint64_t place = offset_ + out_.size();
        const std::size_t first_piece = out_.pieces().size();
        const std::size_t before = out_.size();
        const std::size_t at = out_.reserve(record_header_bytes);
        put_body();
        put_head(at, type, out_.size() - before - record_header_bytes);
        const std::uint64_t seed = record_seed(segment_, place);
        std::uint64_t sum = 0;
        if (out_.pieces().size() == first_piece) {
            // One run of bytes: the single call is much cheaper than a streaming state.
            sum = checksum(std::span(out_.copied()).subspan(at + 8), seed);
        } else {
            Checksum stream(seed);
            out_.for_each_part([&](std::span<const std::byte> part) { stream.update(part); },
                               at + 8, first_piece);
            sum = stream.value();
        }
        raft::codec::store_little(out_.copied().data() + at, sum);
    }

    raft::codec::Gather out_;
    std::vector<std::uint32_t> entry_offsets_;
    SegmentId segment_;
    std::uint64_t offset_ = 0;
    PieceScanner pieces_;
};

}  // namespace rsm::detail::wal

#endif
