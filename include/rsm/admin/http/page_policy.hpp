// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The content security policy of a page that has its style and its scripts in itself.
#ifndef RSM_ADMIN_HTTP_PAGE_POLICY_HPP
#define RSM_ADMIN_HTTP_PAGE_POLICY_HPP

#include <rsm/detail/sha256.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rsm::inline v0::detail {

inline std::string base64(std::span<const std::byte> bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            group = group << 8U;
            if (i + j < bytes.size()) group |= std::to_integer<std::uint32_t>(bytes[i + j]);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            const bool is_there = i + j <= bytes.size();
            text.push_back(is_there ? digits[group >> (18 - 6 * j) & 63U] : '=');
        }
    }
    return text;
}

/// What stands in each element of that name, as a source that a policy allows.
inline std::string sources_of(std::string_view page, std::string_view element) {
    const std::string begin = "<" + std::string(element) + ">";
    const std::string end = "</" + std::string(element) + ">";
    std::string sources;
    for (std::size_t at = page.find(begin); at != std::string_view::npos;) {
        at += begin.size();
        const std::string_view content = page.substr(at, page.find(end, at) - at);
        const Digest256 digest = Sha256().update(std::as_bytes(std::span(content))).digest();
        sources.append(" 'sha256-").append(base64(digest)).append("'");
        at = page.find(begin, at);
    }
    return sources.empty() ? " 'none'" : sources;
}

/// Lets the page have what is in it, ask its own server, and nothing else: what an address or a
/// name may bring into it cannot run.
inline std::string policy_of(std::string_view page) {
    return "default-src 'none'; script-src" + sources_of(page, "script") + "; style-src" +
           sources_of(page, "style") +
           "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
           "frame-ancestors 'none'";
}

}  // namespace rsm::detail

#endif
