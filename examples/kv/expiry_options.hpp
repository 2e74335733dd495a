// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How clients say when a key is to expire.
#ifndef RSM_EXAMPLES_KV_EXPIRY_OPTIONS_HPP
#define RSM_EXAMPLES_KV_EXPIRY_OPTIONS_HPP

#include "command_spec.hpp"
#include "integer.hpp"
#include "operation.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace kv::detail {

/// In which unit, and from when, a number is meant.
struct ExpiryUnit {
    Expiry::Kind kind = Expiry::Kind::relative;
    std::int64_t milliseconds = 1;
};
inline constexpr ExpiryUnit in_seconds{Expiry::Kind::relative, 1000};
inline constexpr ExpiryUnit in_milliseconds{Expiry::Kind::relative, 1};
inline constexpr ExpiryUnit at_second{Expiry::Kind::absolute, 1000};
inline constexpr ExpiryUnit at_millisecond{Expiry::Kind::absolute, 1};

/// The unit that an option of SET and GETEX names.
inline std::optional<ExpiryUnit> expiry_unit(std::string_view option) {
    if (same_word(option, "ex")) return in_seconds;
    if (same_word(option, "px")) return in_milliseconds;
    if (same_word(option, "exat")) return at_second;
    if (same_word(option, "pxat")) return at_millisecond;
    return std::nullopt;
}

/// @param command  as it is named in the error
inline std::variant<Expiry, Immediate> parse_expiry(std::string_view number, ExpiryUnit unit,
                                                    std::string_view command) {
    const auto value = parse_integer(number);
    if (!value) return error(not_integer_text);
    const std::int64_t most = Expiry::most / unit.milliseconds;
    if (*value > most || *value < -most) {
        return error("ERR invalid expire time in '" + std::string(command) + "' command");
    }
    return Expiry{unit.kind, *value * unit.milliseconds};
}

/// The same where the time must lie ahead: what is written is not meant to be gone already.
inline std::variant<Expiry, Immediate> parse_positive_expiry(std::string_view number,
                                                             ExpiryUnit unit,
                                                             std::string_view command) {
    auto parsed = parse_expiry(number, unit, command);
    const Expiry* const expiry = std::get_if<Expiry>(&parsed);
    if (expiry != nullptr && expiry->milliseconds <= 0) {
        return error("ERR invalid expire time in '" + std::string(command) + "' command");
    }
    return parsed;
}

}  // namespace kv::detail

#endif
