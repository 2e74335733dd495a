// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a batch lies in the sectors of a disk. A crash leaves each sector's piece of an unsynced
// batch as it was written or as zeros, damage leaves something else. So a batch says which of its
// pieces are zeros as written, and recovery can tell the two apart (docs/format.md).
#ifndef RSM_STORAGE_WAL_PIECES_HPP
#define RSM_STORAGE_WAL_PIECES_HPP

#include <raft/protocol/codec.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// What a disk writes wholly or not at all; no disk has smaller sectors.
inline constexpr std::size_t piece_bytes = 512;

inline bool all_zeros(std::span<const std::byte> bytes) {
    // Equal to itself, moved by one: every byte is what the first one is.
    return bytes.empty() || (bytes[0] == std::byte{0} &&
                             std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// The only bit that is set in a piece: if it rots, the piece is zeros, as if it had never been
/// written. So the batch says it twice.
struct LoneBit {
    std::uint32_t offset = 0;  ///< of its byte in the segment
    std::uint8_t value = 0;    ///< of its byte

    /// Eight bytes, of which one bit cannot make zeros.
    std::uint64_t word() const {
        return std::uint64_t{offset} | (std::uint64_t{value} << 32) | (mark << 40);
    }
    static LoneBit of_word(std::uint64_t word) {
        return {static_cast<std::uint32_t>(word), static_cast<std::uint8_t>(word >> 32)};
    }

private:
    static constexpr std::uint64_t mark = 0xb5b5b5;
};
inline constexpr std::size_t lone_bit_bytes = 8;

/// Finds, in consecutive bytes of a segment, the whole pieces without a bit and those with one.
class PieceScanner {
public:
    /// The bytes to come begin at `offset`. A piece that begins before is taken for a full one.
    void begin(std::uint64_t offset) {
        offset_ = offset;
        bits_ = offset % piece_bytes == 0 ? 0 : enough;
        blank_ = 0;
        lone_bits_.clear();
    }
    void scan(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const std::size_t left = piece_bytes - offset_ % piece_bytes;
            const std::size_t count = std::min(left, bytes.size());
            if (bits_ < enough) look(bytes.first(count));
            offset_ += count;
            bytes = bytes.subspan(count);
            if (count == left) end_piece();
        }
    }
    std::uint32_t blank() const { return blank_; }
    const std::vector<LoneBit>& lone_bits() const { return lone_bits_; }

private:
    static constexpr int enough = 2;

    /// Mostly ends at the first word.
    void look(std::span<const std::byte> bytes) {
        std::size_t at = 0;
        for (; at + 8 <= bytes.size(); at += 8) {
            const auto word = raft::codec::load_little<std::uint64_t>(bytes.data() + at);
            if (word != 0 && found(word, at)) return;
        }
        for (; at < bytes.size(); ++at) {
            const auto byte = std::to_integer<std::uint64_t>(bytes[at]);
            if (byte != 0 && found(byte, at)) return;
        }
    }
    bool found(std::uint64_t word, std::size_t at) {
        bits_ += std::popcount(word);
        if (bits_ >= enough) return true;
        const auto bit = static_cast<unsigned>(std::countr_zero(word));
        lone_ = {static_cast<std::uint32_t>(offset_ + at + bit / 8),
                 static_cast<std::uint8_t>(1U << bit % 8)};
        return false;
    }
    void end_piece() {
        if (bits_ == 0) ++blank_;
        if (bits_ == 1) lone_bits_.push_back(lone_);
        bits_ = 0;
    }

    std::uint64_t offset_ = 0;
    int bits_ = 0;  ///< set in the piece at hand; not counted beyond `enough`
    LoneBit lone_;
    std::uint32_t blank_ = 0;
    std::vector<LoneBit> lone_bits_;
};

/// How many of the pieces of a stretch that begins at `offset` are zeros.
inline std::uint64_t count_blank_pieces(std::span<const std::byte> bytes, std::uint64_t offset) {
    std::uint64_t count = 0;
    while (!bytes.empty()) {
        const std::size_t size =
            std::min<std::size_t>(piece_bytes - offset % piece_bytes, bytes.size());
        if (all_zeros(bytes.first(size))) ++count;
        offset += size;
        bytes = bytes.subspan(size);
    }
    return count;
}

}  // namespace rsm::detail::wal

#endif
