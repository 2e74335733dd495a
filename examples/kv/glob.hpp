// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Patterns for keys, the way Redis reads them.
#ifndef RSM_EXAMPLES_KV_GLOB_HPP
#define RSM_EXAMPLES_KV_GLOB_HPP

#include <cstddef>
#include <string_view>
#include <utility>

namespace kv {

/// `*` any bytes, `?` any byte, `[abc]`, `[a-z]`, `[^abc]` one of these bytes or none of them, a
/// backslash before a byte that is meant as it is. All other bytes stand for themselves.
class Glob {
public:
    explicit Glob(std::string_view pattern) : pattern_(pattern) {}

    /// Whether it is the whole text.
    /// @param steps  how many comparisons it may take; they are subtracted, and at 0 the answer is
    ///               of no use
    bool matches(std::string_view text, std::size_t& steps) const {
        std::size_t at = 0;
        std::size_t p = 0;
        std::size_t star = std::string_view::npos;  // behind the last one
        std::size_t star_at = 0;                    // where the text goes on after it
        while (at < text.size() || p < pattern_.size()) {
            if (steps == 0) return false;
            --steps;
            if (p < pattern_.size() && pattern_[p] == '*') {
                star = ++p;
                star_at = at;
                continue;
            }
            if (at < text.size() && p < pattern_.size()) {
                const auto [fits, next] = byte_fits(p, text[at], steps);
                if (fits) {
                    p = next;
                    ++at;
                    continue;
                }
            }
            // The last star takes one more; those before it would not help.
            if (star == std::string_view::npos || star_at >= text.size()) return false;
            p = star;
            at = ++star_at;
        }
        return true;
    }

private:
    static unsigned char code(char c) { return static_cast<unsigned char>(c); }
    bool is_at(std::size_t p, char c) const { return p < pattern_.size() && pattern_[p] == c; }
    // A backslash at the end means itself.
    std::size_t unescaped(std::size_t p) const {
        return pattern_[p] == '\\' && p + 1 < pattern_.size() ? p + 1 : p;
    }

    /// Whether what begins at `p` takes the byte, and where it ends.
    std::pair<bool, std::size_t> byte_fits(std::size_t p, char byte, std::size_t& steps) const {
        if (pattern_[p] == '?') return {true, p + 1};
        if (pattern_[p] == '[') return set_fits(p + 1, byte, steps);
        p = unescaped(p);
        return {pattern_[p] == byte, p + 1};
    }

    std::pair<bool, std::size_t> set_fits(std::size_t p, char byte, std::size_t& steps) const {
        const bool is_negated = is_at(p, '^');
        if (is_negated) ++p;
        bool found = false;
        for (; p < pattern_.size() && pattern_[p] != ']'; ++p) {
            if (steps != 0) --steps;
            p = unescaped(p);
            unsigned char low = code(pattern_[p]);
            unsigned char high = low;
            if (is_at(p + 1, '-') && p + 2 < pattern_.size()) {
                high = code(pattern_[p += 2]);
                if (low > high) std::swap(low, high);
            }
            found = found || (low <= code(byte) && code(byte) <= high);
        }
        // One that is not closed ends with the pattern.
        return {found != is_negated, p < pattern_.size() ? p + 1 : p};
    }

    std::string_view pattern_;
};

}  // namespace kv

#endif
