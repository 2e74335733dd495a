// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The batches in the bytes of one segment: which are whole, which a crash has left torn, and what
// the damaged ones had led to.
#ifndef RSM_STORAGE_WAL_BATCHES_HPP
#define RSM_STORAGE_WAL_BATCHES_HPP

#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/pieces.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

struct BatchCheck {
    bool valid = false;
    bool summarized = true;            ///< its summary is valid, too, which nothing else needs
    std::uint64_t size = 0;            ///< with padding; where valid
    std::uint64_t invalid_offset = 0;  ///< where not valid
};

/// A batch behind damage.
struct FoundBatch {
    std::uint64_t offset = 0;
    BatchHead head;
    std::optional<BatchSummary> summary;  ///< is there where the batch is not whole
    bool whole = false;
};

/// Looks at the batches of a segment whose bytes are all in memory, and changes nothing but bits
/// that it restores there.
class Batches {
public:
    Batches() = default;
    Batches(std::span<std::byte> bytes, SegmentId id, std::string path)
        : bytes_(bytes), id_(id), path_(std::move(path)) {}

    std::span<const std::byte> from(std::uint64_t offset) const {
        return bytes_.subspan(static_cast<std::size_t>(offset));
    }
    std::optional<BatchHead> head(std::uint64_t offset) const {
        return read_batch_head(from(offset), id_, offset);
    }

    std::optional<BatchSummary> summary(std::uint64_t offset) const {
        return read_summary(from(offset), id_, offset);
    }
    std::uint64_t size() const { return bytes_.size(); }

    /// The batch at `offset`, which must bear the number.
    BatchCheck check(std::uint64_t offset, std::uint64_t number) const {
        const auto rest = from(offset);
        const auto head = this->head(offset);
        if (!head || head->number != number || head->size() > rest.size()) {
            return {.invalid_offset = offset};
        }
        const bool summarized = read_summary(rest, id_, offset).has_value();
        const auto end = static_cast<std::size_t>(head->records_end());
        std::size_t at = opening_bytes;
        if (end < at) return {.invalid_offset = offset};
        while (at < end) {
            const auto record = read_record(rest.subspan(at, end - at), id_, offset + at);
            if (!record) return {.invalid_offset = offset + at};
            at += record->size();
        }
        for (; at < head->lone_bits_begin(); ++at) {
            if (rest[at] != std::byte{0}) return {.invalid_offset = offset + at};
        }
        if (!sealed(rest, *head, offset)) return {.invalid_offset = offset + at};
        return {true, summarized, head->size()};
    }

    /// A piece of one bit that is zeros has lost the bit, or was never written. Either way all of
    /// the batch is known, because the bit is told twice.
    BatchCheck check_or_restore(std::uint64_t offset, std::uint64_t number,
                                std::vector<LoneBit>& restored) {
        const BatchCheck found = check(offset, number);
        if (found.valid) return found;
        const auto rest = from(offset);
        const auto head = this->head(offset);
        if (!head || head->number != number || head->lone_bits == 0 || head->size() > rest.size() ||
            !sealed(rest, *head, offset) || has_later(offset, number)) {
            return found;
        }
        for (std::uint64_t at = head->lone_bits_begin(); at < head->seal(); at += lone_bit_bytes) {
            const auto bit =
                LoneBit::of_word(raft::codec::load_little<std::uint64_t>(rest.data() + at));
            if (bit.offset >= offset + head->lone_bits_begin() ||
                !all_zeros(piece_of(bit.offset))) {
                continue;
            }
            bytes_[bit.offset] = std::byte{bit.value};
            restored.push_back(bit);
        }
        const BatchCheck again = check(offset, number);
        if (again.valid) return again;
        for (const LoneBit& bit : restored) bytes_[bit.offset] = std::byte{0};
        restored.clear();
        return found;
    }

    /// Whether a crash while the expected batch was written can have left what lies from `offset`
    /// on, of which `tail` bytes are not zeros: some of its pieces are as they were written, the
    /// others zeros. Fails where it is damage.
    raft::Result<void> check_tail(std::uint64_t offset, std::size_t tail,
                                  std::uint64_t invalid_offset, std::uint64_t number,
                                  bool ended) const {
        const auto rest = from(offset);
        if (has_later(offset, number)) {
            return damage(path_, invalid_offset, "an invalid record, and later batches follow it");
        }
        if (ended) {
            return damage(path_, offset, "bytes behind the end of a segment");
        }
        if (rest.size() < batch_record_bytes) {
            return damage(path_, offset, "bytes where there is no room for a batch");
        }
        const auto head = this->head(offset);
        if (!head) {
            // It lies in one sector or in two, each of which holds several of its bits.
            const std::size_t first =
                std::min<std::size_t>(rest.size(), piece_bytes - offset % piece_bytes);
            const auto second =
                rest.subspan(first, std::min<std::size_t>(rest.size() - first, piece_bytes));
            if (all_zeros(rest.first(first)) || (first < batch_record_bytes && all_zeros(second))) {
                return {};
            }
            return damage(path_, offset, "a batch record is damaged");
        }
        if (head->number != number) {
            return damage(path_, offset, "a batch is out of sequence");
        }
        if (head->size() > rest.size()) {
            return damage(path_, offset, "a batch larger than its file");
        }
        const auto size = static_cast<std::size_t>(head->size());
        if (tail > size) {
            const auto behind = rest.subspan(size);
            const auto found =
                std::ranges::find_if(behind, [](std::byte byte) { return byte != std::byte{0}; });
            return damage(path_, offset + size + static_cast<std::uint64_t>(found - behind.begin()),
                          "bytes that are not of the batch before them");
        }
        const std::uint64_t blank = count_blank_pieces(rest.first(size), offset);
        if (blank > head->blank_pieces) return {};
        return damage(path_, invalid_offset, "the last batch is damaged");
    }

    /// The batches from `offset` on that are whole, or whose summaries at least are.
    /// @param number  of the batch that is expected at `offset`
    std::vector<FoundBatch> find_behind(std::uint64_t offset, std::uint64_t number) const {
        std::vector<FoundBatch> found;
        for (std::uint64_t at = offset; at + opening_bytes <= bytes_.size();) {
            const auto head = this->head(at);
            const auto summary = this->summary(at);
            const std::optional<BatchHead> told =
                head ? head : (summary ? std::optional(summary->head) : std::nullopt);
            const bool fits = told && told->number >= number && told->size() <= from(at).size();
            const bool is_whole = fits && check(at, told->number).valid;
            if (!fits || !(is_whole || summary)) {
                at += batch_alignment;
                continue;
            }
            found.push_back({at, *told, summary, is_whole});
            number = told->number + 1;
            at += told->size();
        }
        return found;
    }

    /// What the newest of these batches has led to, whatever else of it and of those before it is
    /// damaged. Nothing where that cannot be told: where there is no summary, or something lies
    /// behind the newest that can have been acknowledged.
    /// @param found  by find_behind()
    std::optional<BatchSummary> newest_summary(const std::vector<FoundBatch>& found) const {
        const auto newest =
            std::ranges::find_if(found.rbegin(), found.rend(),
                                 [](const FoundBatch& batch) { return batch.summary.has_value(); });
        if (newest == found.rend()) return std::nullopt;
        const std::uint64_t behind = newest->offset + newest->head.size();
        const std::size_t tail = used_size(from(behind));
        const std::uint64_t number = newest->head.number + 1;
        if (tail != 0 && !check_tail(behind, tail, behind, number, false)) return std::nullopt;
        return newest->summary;
    }

private:
    /// @pre the batch lies in `rest`, which begins with it
    bool sealed(std::span<const std::byte> rest, const BatchHead& head,
                std::uint64_t offset) const {
        const auto seal = static_cast<std::size_t>(head.seal());
        const auto begin = static_cast<std::size_t>(head.lone_bits_begin());
        return raft::codec::load_little<std::uint64_t>(rest.data() + seal) ==
               batch_seal(rest.subspan(begin, seal - begin), id_, offset + seal);
    }
    /// Whether a batch begins behind `offset` that was written after the one of this number.
    bool has_later(std::uint64_t offset, std::uint64_t number) const {
        const auto rest = from(offset);
        for (std::size_t at = 0; at + batch_record_bytes <= rest.size(); at += batch_alignment) {
            const auto head = read_batch_head(rest.subspan(at), id_, offset + at);
            if (head && head->number > number) return true;
        }
        return false;
    }
    std::span<const std::byte> piece_of(std::uint64_t offset) const {
        return bytes_.subspan(static_cast<std::size_t>(offset / piece_bytes * piece_bytes),
                              piece_bytes);
    }

    std::span<std::byte> bytes_;
    SegmentId id_;
    std::string path_;
};

}  // namespace rsm::detail::wal

#endif
