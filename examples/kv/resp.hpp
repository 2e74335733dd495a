// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// RESP, the wire protocol of Redis (https://redis.io/docs/reference/protocol-spec), from the
// server's side: a parser of requests, which look the same in RESP2 and RESP3. It does no I/O.
// Replies are written by reply_writer.hpp; the client's side is in reply.hpp.
#ifndef RSM_EXAMPLES_KV_RESP_HPP
#define RSM_EXAMPLES_KV_RESP_HPP

#include "input_buffer.hpp"
#include "integer.hpp"
#include "limits.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// What a client may ask of a server's memory. Checked as soon as a length is announced, before
/// the bytes arrive.
struct RequestLimits {
    /// Arguments of one request, the command's name included.
    std::size_t arguments = command_arguments_max;
    /// Bytes of one argument.
    std::size_t bulk_bytes = command_bytes_max;
    /// Bytes of one request with its framing. More than 4 GiB - 1 counts as 4 GiB - 1.
    std::size_t request_bytes = request_bytes_max;
    /// Bytes of an inline command without its newline.
    std::size_t inline_bytes = 64 * 1024;
};

/// Of a client that has not said who it is: enough to say it.
inline constexpr RequestLimits stranger_limits{16, 4096, 16384, 4096};

enum class ParseStatus : std::uint8_t {
    /// More bytes are needed.
    incomplete,
    /// One whole request (or reply) has been read.
    complete,
    /// The bytes break the protocol or a limit. Final: where the next request would begin is not
    /// known, so the connection is of no further use.
    failed,
};

namespace detail {

// The longest integer has 20 characters. A header line that is longer than this is refused before
// its end is seen.
inline constexpr std::size_t header_bytes_max = 32;

struct Header {
    enum class State : std::uint8_t { incomplete, complete, too_long, invalid };

    State state = State::incomplete;
    std::int64_t number = 0;
    std::size_t size = 0;  // of the line, with its type byte and CRLF
};

// Reads a line such as "*3\r\n", whose first byte is known to be there.
inline Header read_header(std::string_view input) noexcept {
    using State = Header::State;
    const std::string_view text = input.substr(1);
    const std::size_t size = text.substr(0, header_bytes_max).find('\r');
    if (size == std::string_view::npos) {
        return {text.size() < header_bytes_max ? State::incomplete : State::too_long};
    }
    if (size + 1 == text.size()) {
        return {State::incomplete};
    }
    const auto number = parse_integer(text.substr(0, size));
    if (text[size + 1] != '\n' || !number) {
        return {State::invalid};
    }
    return {State::complete, *number, size + 3};
}

inline bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Takes what follows a backslash in double quotes, from `at`; returns where to go on.
inline std::size_t unescape(std::string_view line, std::size_t at, std::string& out) {
    const char c = line[at];
    if (c == 'x' && at + 2 < line.size()) {
        const int high = hex_digit(line[at + 1]);
        const int low = hex_digit(line[at + 2]);
        if (high >= 0 && low >= 0) {
            out.push_back(static_cast<char>(static_cast<unsigned char>(high * 16 + low)));
            return at + 3;
        }
    }
    switch (c) {
        case 'n': out.push_back('\n'); break;
        case 'r': out.push_back('\r'); break;
        case 't': out.push_back('\t'); break;
        case 'b': out.push_back('\b'); break;
        case 'a': out.push_back('\a'); break;
        default: out.push_back(c); break;
    }
    return at + 1;
}

// Takes a quoted part, from behind its opening `quote`. Returns where to go on, or nothing if the
// quote is not closed, or is closed in the middle of a word.
inline std::optional<std::size_t> unquote(std::string_view line, std::size_t at, char quote,
                                          std::string& out) {
    while (at < line.size()) {
        const char c = line[at];
        if (c == quote) {
            const bool word_ends = at + 1 == line.size() || is_blank(line[at + 1]);
            return word_ends ? std::optional(at + 1) : std::nullopt;
        }
        if (c == '\\' && at + 1 < line.size() && (quote == '"' || line[at + 1] == '\'')) {
            at = unescape(line, at + 1, out);
        } else {
            out.push_back(c);
            ++at;
        }
    }
    return std::nullopt;
}

}  // namespace detail

/// Reads requests out of the bytes of one connection: arrays of bulk strings, and inline commands
/// with the quoting rules of Redis.
///
/// The caller keeps the bytes. It calls parse() with all bytes that it has not dropped yet and,
/// when a request is complete, drops consumed() of them; after `incomplete` it drops none and calls
/// again with the same bytes and more behind them (they may have moved). No byte is looked at again
/// then, except for the few of an unfinished header line, so the work is linear however the bytes
/// are split. What is found does not depend on how they are split.
///
/// Arguments are not copied: they point into the caller's bytes (for inline commands, into the
/// parser). Memory is proportional to the bytes received.
/// Thread safety: one object is used from one thread at a time.
class RequestParser {
public:
    explicit RequestParser(RequestLimits limits = {}) : limits_(checked(limits)) {}

    /// Other limits, from the next request on. @pre no request has begun
    void allow(RequestLimits limits) { limits_ = checked(limits); }

    ParseStatus parse(std::string_view input) {
        if (state_ == State::start) {
            begin_request();
            if (input.empty()) {
                return ParseStatus::incomplete;
            }
            state_ = input.front() == '*' ? State::count : State::inline_line;
        }
        assert(state_ == State::failed || input.size() >= position_);
        switch (state_) {
            case State::inline_line: return parse_inline(input);
            case State::count: return parse_count(input);
            case State::bulk_header:
            case State::bulk: return parse_bulks(input);
            case State::start:
            case State::failed: break;
        }
        return ParseStatus::failed;
    }

    /// The request, after `complete`: valid until the next call of parse(), and while the bytes
    /// stay where they were. It can be empty ("*0\r\n", an empty line): Redis does not answer such
    /// a request.
    std::span<const std::string_view> arguments() const noexcept { return arguments_; }

    /// How many bytes the request took, after `complete`.
    std::size_t consumed() const noexcept { return position_; }

    /// After `failed`: the text of the error reply that is due before closing the connection.
    const std::string& error() const noexcept { return error_; }

    /// Of the tables of the request that is being read, or was read last.
    std::size_t memory_bytes() const noexcept {
        return slices_.capacity() * sizeof(Slice) +
               arguments_.capacity() * sizeof(std::string_view) + text_.capacity();
    }

private:
    enum class State : std::uint8_t { start, inline_line, count, bulk_header, bulk, failed };

    static RequestLimits checked(RequestLimits limits) {
        constexpr std::size_t max = std::numeric_limits<std::uint32_t>::max();
        limits.request_bytes = std::min(limits.request_bytes, max);
        limits.inline_bytes = std::min(limits.inline_bytes, max - 2);
        return limits;
    }

    // Where an argument lies in the request. An offset, since the bytes may move between calls.
    struct Slice {
        std::uint32_t begin = 0;
        std::uint32_t size = 0;
    };

    void begin_request() {
        // A request of a million arguments does not leave its tables to the connection for ever.
        constexpr std::size_t kept_max = 1024;
        slices_.clear();
        arguments_.clear();
        if (slices_.capacity() > kept_max) {
            slices_.shrink_to_fit();
            arguments_.shrink_to_fit();
        }
        position_ = 0;
    }

    ParseStatus fail(std::string_view reason) {
        state_ = State::failed;
        error_ = "ERR Protocol error: ";
        error_ += reason;
        std::vector<Slice>().swap(slices_);
        std::vector<std::string_view>().swap(arguments_);
        return ParseStatus::failed;
    }

    ParseStatus complete(const char* base, std::size_t consumed) {
        arguments_.reserve(slices_.size());
        for (const Slice slice : slices_) {
            arguments_.emplace_back(base + slice.begin, slice.size);
        }
        position_ = consumed;
        state_ = State::start;
        return ParseStatus::complete;
    }

    ParseStatus parse_count(std::string_view input) {
        using Found = detail::Header::State;
        const detail::Header header = detail::read_header(input);
        switch (header.state) {
            case Found::incomplete: return ParseStatus::incomplete;
            case Found::too_long: return fail("too big mbulk count string");
            case Found::invalid: return fail("invalid multibulk length");
            case Found::complete: break;
        }
        if (header.number <= 0) {
            return complete(nullptr, header.size);
        }
        if (static_cast<std::uint64_t>(header.number) > limits_.arguments) {
            return fail("invalid multibulk length: at most " + std::to_string(limits_.arguments) +
                        " arguments");
        }
        remaining_ = static_cast<std::size_t>(header.number);
        position_ = header.size;
        state_ = State::bulk_header;
        return parse_bulks(input);
    }

    ParseStatus parse_bulks(std::string_view input) {
        for (; remaining_ != 0; --remaining_) {
            if (state_ == State::bulk_header) {
                const ParseStatus status = parse_bulk_header(input);
                if (status != ParseStatus::complete) {
                    return status;
                }
            }
            if (input.size() - position_ < bulk_size_ + 2) {
                return ParseStatus::incomplete;
            }
            // Redis skips these two bytes unseen. A client that puts others here counts its bytes
            // wrongly, and what it means by the rest is anybody's guess.
            if (input.substr(position_ + bulk_size_, 2) != "\r\n") {
                return fail("expected CRLF after a bulk string");
            }
            slices_.push_back(
                {static_cast<std::uint32_t>(position_), static_cast<std::uint32_t>(bulk_size_)});
            position_ += bulk_size_ + 2;
            state_ = State::bulk_header;
        }
        return complete(input.data(), position_);
    }

    ParseStatus parse_bulk_header(std::string_view input) {
        using Found = detail::Header::State;
        if (position_ == input.size()) {
            return ParseStatus::incomplete;
        }
        if (input[position_] != '$') {
            return fail(std::string("expected '$', got '") + input[position_] + "'");
        }
        const detail::Header header = detail::read_header(input.substr(position_));
        switch (header.state) {
            case Found::incomplete: return ParseStatus::incomplete;
            case Found::too_long: return fail("too big bulk count string");
            case Found::invalid: return fail("invalid bulk length");
            case Found::complete: break;
        }
        if (header.number < 0) return fail("invalid bulk length");
        if (static_cast<std::uint64_t>(header.number) > limits_.bulk_bytes) {
            return fail("invalid bulk length: at most " + std::to_string(limits_.bulk_bytes) +
                        " bytes");
        }
        // position_ + header.size cannot wrap, and the limit fits 32 bits: so does every slice.
        const std::size_t begin = position_ + header.size;
        if (begin > limits_.request_bytes ||
            static_cast<std::uint64_t>(header.number) + 2 > limits_.request_bytes - begin) {
            return fail("too big request: at most " + std::to_string(limits_.request_bytes) +
                        " bytes");
        }
        bulk_size_ = static_cast<std::size_t>(header.number);
        position_ = begin;
        state_ = State::bulk;
        return ParseStatus::complete;
    }

    ParseStatus parse_inline(std::string_view input) {
        // Here position_ is how far the newline has been looked for.
        const std::string_view window = input.substr(0, limits_.inline_bytes + 1);
        const std::size_t newline = window.find('\n', position_);
        if (newline == std::string_view::npos) {
            position_ = window.size();
            return window.size() > limits_.inline_bytes ? fail("too big inline request")
                                                        : ParseStatus::incomplete;
        }
        const bool with_return = newline != 0 && input[newline - 1] == '\r';
        if (!split_inline(input.substr(0, newline - (with_return ? 1 : 0)))) {
            return fail("unbalanced quotes in request");
        }
        if (slices_.size() > limits_.arguments) {
            return fail("too big inline request");
        }
        return complete(text_.data(), newline + 1);
    }

    // The words of the line go into text_, without their quotes, one behind the other.
    bool split_inline(std::string_view line) {
        text_.clear();
        std::size_t at = 0;
        while (true) {
            while (at < line.size() && detail::is_blank(line[at])) {
                ++at;
            }
            if (at == line.size()) {
                return true;
            }
            const std::size_t begin = text_.size();
            while (at < line.size() && !detail::is_blank(line[at])) {
                const char c = line[at++];
                if (c != '"' && c != '\'') {
                    text_.push_back(c);
                    continue;
                }
                const auto next = detail::unquote(line, at, c, text_);
                if (!next) {
                    return false;
                }
                at = *next;
            }
            slices_.push_back({static_cast<std::uint32_t>(begin),
                               static_cast<std::uint32_t>(text_.size() - begin)});
        }
    }

    RequestLimits limits_;
    State state_ = State::start;
    std::size_t position_ = 0;   // bytes of this request that are done with
    std::size_t remaining_ = 0;  // bulk strings still to come
    std::size_t bulk_size_ = 0;  // of the bulk string whose header has been read
    std::vector<Slice> slices_;
    std::vector<std::string_view> arguments_;
    std::string text_;  // of an inline command's arguments
    std::string error_;
};

}  // namespace kv

#endif
