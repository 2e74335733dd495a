// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The integers of the encoding, as they lie in memory.
#ifndef RSM_ARCHIVE_WORDS_HPP
#define RSM_ARCHIVE_WORDS_HPP

#include <bit>
#include <cstddef>
#include <cstdint>

namespace rsm::inline v0::detail {

inline constexpr std::size_t varint_bytes_max = 9;
// The largest value that is its own single byte.
inline constexpr std::uint8_t varint_single_max = 247;

// The whole word is moved by memcpy, which compilers turn into one instruction where the machine is
// little-endian.
template <class Word>
constexpr Word little_endian(Word word) noexcept {
    if constexpr (std::endian::native == std::endian::little) {
        return word;
    } else {
        Word swapped = 0;
        for (std::size_t i = 0; i < sizeof(Word); ++i) {
            swapped = static_cast<Word>((swapped << 8) | ((word >> (8 * i)) & 0xff));
        }
        return swapped;
    }
}

}  // namespace rsm::detail

#endif
