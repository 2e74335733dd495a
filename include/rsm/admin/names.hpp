// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Names for machines: of errors and events in labels and fields.
#ifndef RSM_ADMIN_NAMES_HPP
#define RSM_ADMIN_NAMES_HPP

#include <rsm/error.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace rsm::inline v0 {

/// The enumerator's name. No switch has a default, so that the compiler says where one is missing.
inline std::string_view name_of(Errc code) {
    switch (code) {
        case Errc::not_leader: return "not_leader";
        case Errc::overloaded: return "overloaded";
        case Errc::too_large: return "too_large";
        case Errc::user_exception: return "user_exception";
        case Errc::superseded: return "superseded";
        case Errc::timed_out: return "timed_out";
        case Errc::result_lost: return "result_lost";
        case Errc::stopped: return "stopped";
        case Errc::interrupted: return "interrupted";
        case Errc::no_space: return "no_space";
        case Errc::skipped: return "skipped";
        case Errc::handing_over: return "handing_over";
        case Errc::busy: return "busy";
        case Errc::invalid_members: return "invalid_members";
        case Errc::unreachable: return "unreachable";
        case Errc::given_up: return "given_up";
        case Errc::log_full: return "log_full";
    }
    return "unknown";
}

/// What to_string() says of a kind, as one word: "became leader" is became_leader.
inline std::string one_word(std::string_view name) {
    std::string text(name);
    std::ranges::replace_if(
        text, [](char c) { return c == ' ' || c == '-'; }, '_');
    return text;
}

namespace detail {

/// In quotes, with what would end them or the line escaped.
inline std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.append(c == '\n' ? "\\n" : std::string(1, c));
    }
    return out + "\"";
}

}  // namespace detail

}  // namespace rsm

#endif
