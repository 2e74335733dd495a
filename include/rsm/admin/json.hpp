// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Writes JSON (RFC 8259): commas, quotes and escapes.
#ifndef RSM_ADMIN_JSON_HPP
#define RSM_ADMIN_JSON_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rsm::inline v0::detail {

/// How many bytes a well-formed UTF-8 sequence has that `text` begins with; 0: it begins with none.
inline std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
        return i < text.size() && byte(i) >= low && byte(i) <= high;
    };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0;
    if (first < 0xe0) return follows(1) ? 2 : 0;
    if (first < 0xf0) {
        const unsigned low = first == 0xe0 ? 0xa0 : 0x80;   // nothing that is too long
        const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogates
        return follows(1, low, high) && follows(2) ? 3 : 0;
    }
    if (first > 0xf4) return 0;
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
}

/// Calls come in the order of the text; each value that is in an object follows its key().
class JsonWriter {
public:
    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }

    JsonWriter& key(std::string_view name) {
        separate();
        quote(name);
        text_.push_back(':');
        fresh_ = true;
        return *this;
    }

    /// Any bytes: what is not UTF-8 becomes U+FFFD, and what a page could take for markup is
    /// escaped.
    JsonWriter& value(std::string_view text) {
        separate();
        quote(text);
        return *this;
    }
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(std::same_as<bool> auto truth) { return raw(truth ? "true" : "false"); }
    JsonWriter& value(std::unsigned_integral auto number) requires(
        !std::same_as<decltype(number), bool>) {
        return raw(std::to_string(number));
    }
    JsonWriter& value(std::int64_t number) { return raw(std::to_string(number)); }
    JsonWriter& null() { return raw("null"); }
    template <class Value>
    JsonWriter& value(const std::optional<Value>& maybe) {
        return maybe ? value(*maybe) : null();
    }
    /// A number that is written already.
    JsonWriter& raw(std::string_view text) {
        separate();
        text_.append(text);
        return *this;
    }

    template <class Value>
    JsonWriter& field(std::string_view name, const Value& content) {
        key(name);
        return value(content);
    }

    std::string take() { return std::move(text_); }

private:
    JsonWriter& open(char bracket) {
        separate();
        text_.push_back(bracket);
        fresh_ = true;
        return *this;
    }
    JsonWriter& close(char bracket) {
        text_.push_back(bracket);
        fresh_ = false;
        return *this;
    }
    void separate() {
        if (!std::exchange(fresh_, false)) text_.push_back(',');
    }
    void quote(std::string_view text) {
        text_.push_back('"');
        while (!text.empty()) {
            const std::size_t length = utf8_length(text);
            if (length == 0) {
                text_.append("\\ufffd");
            } else if (length == 1) {
                escape(text.front());
            } else {
                text_.append(text.substr(0, length));
            }
            text.remove_prefix(length == 0 ? 1 : length);
        }
        text_.push_back('"');
    }
    void escape(char c) {
        constexpr std::string_view digits = "0123456789abcdef";
        const auto code = static_cast<unsigned char>(c);
        const bool is_markup = c == '<' || c == '>' || c == '&';
        if (c == '"' || c == '\\') {
            text_.push_back('\\');
            text_.push_back(c);
        } else if (code < 0x20 || code == 0x7f || is_markup) {
            text_.append("\\u00");
            text_.push_back(digits[code >> 4U]);
            text_.push_back(digits[code & 15U]);
        } else {
            text_.push_back(c);
        }
    }

    std::string text_;
    bool fresh_ = true;  // no comma before what comes next
};

}  // namespace rsm::detail

#endif
