// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Replies in RESP2 and RESP3 (https://redis.io/docs/reference/protocol-spec), as Redis writes them.
#ifndef RSM_EXAMPLES_KV_REPLY_WRITER_HPP
#define RSM_EXAMPLES_KV_REPLY_WRITER_HPP

#include "integer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv {

/// What a client has chosen by HELLO. RESP3 has types of its own for what RESP2 shows as arrays,
/// strings and a special length.
enum class Protocol : std::uint8_t { resp2 = 2, resp3 = 3 };

/// Appends replies to a string, which must outlive the writer. The strings handed over may hold any
/// bytes: in a bulk string they are kept, in a status or an error a line break becomes a blank.
class ReplyWriter {
public:
    explicit ReplyWriter(std::string& out, Protocol protocol = Protocol::resp2) noexcept
        : out_(&out), resp3_(protocol == Protocol::resp3) {}

    void simple(std::string_view text) { line('+', text); }
    /// `text` begins with the error's code in capitals: "ERR syntax error".
    void error(std::string_view text) { line('-', text); }
    void integer(std::int64_t value) { header(':', value); }
    void null() { *out_ += resp3_ ? "_\r\n" : "$-1\r\n"; }
    void null_array() { *out_ += resp3_ ? "_\r\n" : "*-1\r\n"; }
    /// The header of an array; its `count` elements follow.
    void array(std::size_t count) { header('*', static_cast<std::int64_t>(count)); }
    /// The header of a set; its `count` elements follow.
    void set(std::size_t count) { header(resp3_ ? '~' : '*', static_cast<std::int64_t>(count)); }
    /// The header of a map; `count` times a key and its value follow.
    void map(std::size_t count) {
        header(resp3_ ? '%' : '*', static_cast<std::int64_t>(resp3_ ? count : 2 * count));
    }

    void bulk(std::string_view bytes) {
        header('$', static_cast<std::int64_t>(bytes.size()));
        *out_ += bytes;
        *out_ += "\r\n";
    }
    /// Text for people, which RESP3 tells from data.
    void text(std::string_view bytes) {
        if (!resp3_) return bulk(bytes);
        constexpr std::string_view format = "txt:";
        header('=', static_cast<std::int64_t>(format.size() + bytes.size()));
        *out_ += format;
        *out_ += bytes;
        *out_ += "\r\n";
    }

private:
    void line(char type, std::string_view text) {
        out_->push_back(type);
        const std::size_t begin = out_->size();
        *out_ += text;
        std::replace_if(
            out_->begin() + static_cast<std::ptrdiff_t>(begin), out_->end(),
            [](char c) { return c == '\r' || c == '\n'; }, ' ');
        *out_ += "\r\n";
    }

    void header(char type, std::int64_t number) {
        out_->push_back(type);
        append_integer(*out_, number);
        *out_ += "\r\n";
    }

    std::string* out_;
    bool resp3_;
};

}  // namespace kv

#endif
