// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// RESP2 from the client's side: requests are written, replies are read.
#ifndef RSM_EXAMPLES_KV_REPLY_HPP
#define RSM_EXAMPLES_KV_REPLY_HPP

#include "reply_writer.hpp"
#include "resp.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// Appends a request, as an array of bulk strings.
inline void append_request(std::string& out, std::span<const std::string_view> arguments) {
    ReplyWriter writer(out);  // A request has the form of a reply.
    writer.array(arguments.size());
    for (const std::string_view argument : arguments) {
        writer.bulk(argument);
    }
}

/// One reply. Which members mean something depends on `type`.
struct Reply {
    enum class Type : std::uint8_t { null, simple, error, integer, bulk, array };

    Type type = Type::null;
    std::string text;             ///< of simple, error and bulk
    std::int64_t integer = 0;     ///< of integer
    std::vector<Reply> elements;  ///< of array

    /// Whether this is an error whose first word is `code`.
    bool is_error(std::string_view code) const noexcept {
        return type == Type::error && text.starts_with(code) &&
               (text.size() == code.size() || text[code.size()] == ' ');
    }

    friend bool operator==(const Reply&, const Reply&) = default;
};

/// What a server may ask of a client's memory.
struct ReplyLimits {
    /// Bytes of one bulk string.
    std::size_t bulk_bytes = 64 * 1024 * 1024;
    /// Bytes of one reply with its framing.
    std::size_t reply_bytes = 128 * 1024 * 1024;
    /// Bytes of a status or an error.
    std::size_t line_bytes = 64 * 1024;
    /// Elements of all arrays of one reply together.
    std::size_t elements = 1024 * 1024;
    /// Arrays within each other.
    std::size_t depth = 8;
};

/// Reads replies out of the bytes of one connection.
///
/// After every call of parse(), whatever it returned, the caller drops the first consumed() bytes
/// of its input, and calls again with what is left and more behind it. The work is linear however
/// the bytes are split, what is found does not depend on it, and memory is proportional to the
/// bytes received.
/// Thread safety: one object is used from one thread at a time.
class ReplyParser {
public:
    explicit ReplyParser(ReplyLimits limits = {}) : limits_(limits) {}

    ParseStatus parse(std::string_view input) {
        consumed_ = 0;
        while (error_.empty()) {
            Reply item;
            std::size_t array_size = 0;
            const std::size_t before = consumed_;
            const ParseStatus status = read_item(input.substr(consumed_), item, array_size);
            if (status != ParseStatus::complete) {
                return status;
            }
            reply_bytes_ += consumed_ - before;
            if (reply_bytes_ > limits_.reply_bytes) {
                return fail("too big reply");
            }
            if (array_size != 0) {
                if (open_.size() == limits_.depth) {
                    return fail("arrays are nested too deep");
                }
                open_.push_back({std::move(item), array_size});
            } else if (close(std::move(item))) {
                reply_bytes_ = 0;
                elements_ = 0;
                return ParseStatus::complete;
            }
        }
        return ParseStatus::failed;
    }

    /// How many bytes of the last input are done with.
    std::size_t consumed() const noexcept { return consumed_; }
    /// The reply, after `complete`.
    const Reply& reply() const noexcept { return reply_; }
    /// The reply, after `complete`, for keeps.
    Reply take() noexcept { return std::move(reply_); }
    /// What is wrong, after `failed`.
    const std::string& error() const noexcept { return error_; }

private:
    struct OpenArray {
        Reply reply;
        std::size_t missing = 0;  // elements
    };

    ParseStatus fail(std::string_view reason) {
        error_ = "protocol error: ";
        error_ += reason;
        open_ = {};
        return ParseStatus::failed;
    }

    // Puts an item where it belongs. True if it completes the reply.
    bool close(Reply item) {
        while (!open_.empty()) {
            OpenArray& array = open_.back();
            array.reply.elements.push_back(std::move(item));
            if (--array.missing != 0) {
                return false;
            }
            item = std::move(array.reply);
            open_.pop_back();
        }
        reply_ = std::move(item);
        return true;
    }

    // Reads a scalar, or the header of an array: then `array_size` is the number of its elements.
    ParseStatus read_item(std::string_view input, Reply& item, std::size_t& array_size) {
        if (input.empty()) {
            return ParseStatus::incomplete;
        }
        switch (input.front()) {
            case '+': item.type = Reply::Type::simple; return read_line(input, item);
            case '-': item.type = Reply::Type::error; return read_line(input, item);
            case ':':
            case '$':
            case '*': return read_counted(input, item, array_size);
            default: return fail("unknown type of reply");
        }
    }

    ParseStatus read_line(std::string_view input, Reply& item) {
        const std::string_view text = input.substr(1);
        const std::string_view window = text.substr(0, limits_.line_bytes + 1);
        const std::size_t size = window.find('\r', scanned_);
        if (size == std::string_view::npos) {
            scanned_ = window.size();
            return window.size() > limits_.line_bytes ? fail("too long a line")
                                                      : ParseStatus::incomplete;
        }
        scanned_ = size;
        if (size + 1 == text.size()) {
            return ParseStatus::incomplete;
        }
        if (text[size + 1] != '\n') {
            return fail("a line does not end with CRLF");
        }
        item.text = text.substr(0, size);
        consumed_ += size + 3;
        scanned_ = 0;
        return ParseStatus::complete;
    }

    ParseStatus read_counted(std::string_view input, Reply& item, std::size_t& array_size) {
        using Found = detail::Header::State;
        const detail::Header header = detail::read_header(input);
        switch (header.state) {
            case Found::incomplete: return ParseStatus::incomplete;
            case Found::too_long:
            case Found::invalid: return fail("invalid number");
            case Found::complete: break;
        }
        if (input.front() == ':') {
            item.type = Reply::Type::integer;
            item.integer = header.number;
        } else if (header.number < -1) {
            return fail("negative length");
        } else if (header.number == -1) {
            item.type = Reply::Type::null;
        } else if (input.front() == '$') {
            return read_bulk(input, header, item);
        } else {
            if (static_cast<std::uint64_t>(header.number) > limits_.elements - elements_) {
                return fail("too many elements");
            }
            item.type = Reply::Type::array;
            array_size = static_cast<std::size_t>(header.number);
            elements_ += array_size;
        }
        consumed_ += header.size;
        return ParseStatus::complete;
    }

    ParseStatus read_bulk(std::string_view input, const detail::Header& header, Reply& item) {
        if (static_cast<std::uint64_t>(header.number) > limits_.bulk_bytes) {
            return fail("too long a bulk string");
        }
        const auto size = static_cast<std::size_t>(header.number);
        const std::string_view body = input.substr(header.size);
        if (body.size() < 2 || body.size() - 2 < size) {
            return ParseStatus::incomplete;
        }
        if (body.substr(size, 2) != "\r\n") {
            return fail("a bulk string does not end with CRLF");
        }
        item.type = Reply::Type::bulk;
        item.text = body.substr(0, size);
        consumed_ += header.size + size + 2;
        return ParseStatus::complete;
    }

    ReplyLimits limits_;
    std::size_t consumed_ = 0;
    std::size_t scanned_ = 0;      // of an unfinished line, behind its type
    std::size_t reply_bytes_ = 0;  // of this reply, so far
    std::size_t elements_ = 0;     // announced in this reply; <= limits_.elements
    std::vector<OpenArray> open_;  // outermost first; size() <= limits_.depth
    Reply reply_;
    std::string error_;
};

}  // namespace kv

#endif
