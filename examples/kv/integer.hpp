// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Integers as text, the way Redis reads and writes them.
#ifndef RSM_EXAMPLES_KV_INTEGER_HPP
#define RSM_EXAMPLES_KV_INTEGER_HPP

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace kv {

/// The integer that `text` spells, or nothing. Strict, so that an integer has one spelling and a
/// counter that is read and written back keeps its bytes: no blanks, no plus sign, no leading
/// zeros, no "-0".
inline std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
    std::int64_t value = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error != std::errc{} || end != last) {
        return std::nullopt;
    }
    const std::string_view digits = text.front() == '-' ? text.substr(1) : text;
    if (digits.front() == '0' && text.size() != 1) {
        return std::nullopt;
    }
    return value;
}

/// The same for the id of a node, which is positive.
inline std::optional<std::uint64_t> parse_node_id(std::string_view text) noexcept {
    const auto id = parse_integer(text);
    if (!id || *id <= 0) return std::nullopt;
    return static_cast<std::uint64_t>(*id);
}

/// Appends `value` in decimal.
inline void append_integer(std::string& out, std::int64_t value) {
    char digits[20];
    const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), value);
    static_cast<void>(error);  // 20 characters hold every 64-bit integer with its sign.
    out.append(digits, end);
}

}  // namespace kv

#endif
