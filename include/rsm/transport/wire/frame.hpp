// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What frames a message between two nodes (docs/wire.md).
#ifndef RSM_TRANSPORT_WIRE_FRAME_HPP
#define RSM_TRANSPORT_WIRE_FRAME_HPP

#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/detail/checksum.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace rsm::inline v0::detail {

/// length u32, format version u8, kind u8, zero u16, checksum u64.
inline constexpr std::size_t frame_header_bytes = 16;
inline constexpr std::uint8_t frame_kind_message = 1;

struct FrameHeader {
    std::uint64_t word = 0;  ///< the first half of the header; the seed of the checksum
    std::uint64_t checksum = 0;

    std::size_t length() const { return static_cast<std::uint32_t>(word); }
    /// It is of that version and of a known kind, and the rest is zero.
    bool known(std::uint8_t version) const {
        return word >> 32 == (std::uint64_t{frame_kind_message} << 8 | version);
    }
};

/// @pre `bytes` holds frame_header_bytes
inline FrameHeader load_frame_header(const std::byte* bytes) {
    return {raft::codec::load_little<std::uint64_t>(bytes),
            raft::codec::load_little<std::uint64_t>(bytes + 8)};
}

/// Appends the frame of a message. The checksum starts from the header's first half, so damage to
/// the header shows too.
/// @pre the message's encoding is shorter than 2^32 bytes, and the version has messages of its kind
inline void put_frame(raft::codec::Gather& out, const raft::Message& message,
                      std::uint8_t version = raft::codec::format_version) {
    const std::size_t first_piece = out.pieces().size();
    const std::size_t at = out.reserve(frame_header_bytes);
    const std::size_t start = out.size();
    raft::codec::put(out, message);
    const std::uint64_t word = (out.size() - start) | std::uint64_t{version} << 32 |
                               std::uint64_t{frame_kind_message} << 40;
    std::uint64_t sum = 0;
    if (out.pieces().size() == first_piece) {
        sum = checksum(out.copied().subspan(at + frame_header_bytes), word);
    } else {
        Checksum pieces(word);
        out.for_each_part([&pieces](std::span<const std::byte> part) { pieces.update(part); },
                          at + frame_header_bytes, first_piece);
        sum = pieces.value();
    }
    raft::codec::store_little(out.copied().data() + at, word);
    raft::codec::store_little(out.copied().data() + at + 8, sum);
}

}  // namespace rsm::detail

#endif
