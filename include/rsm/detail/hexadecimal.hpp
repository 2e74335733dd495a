// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Numbers that are names, as people and pages see them.
#ifndef RSM_DETAIL_HEXADECIMAL_HPP
#define RSM_DETAIL_HEXADECIMAL_HPP

#include <cstddef>
#include <cstdint>
#include <string>

namespace rsm::inline v0::detail {

/// 16 digits.
inline std::string hexadecimal(std::uint64_t value) {
    std::string text(16, '0');
    for (std::size_t i = text.size(); value != 0; value >>= 4) {
        text[--i] = "0123456789abcdef"[value & 15];
    }
    return text;
}

}  // namespace rsm::detail

#endif
