// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// Key/value histories as text: one JSON object per line, one line per operation.
//
//   {"client":1,"op":"put","key":"k","value":"v","version":3,"err":"OK","call":123,"return":456}
//   {"client":2,"op":"get","key":"k","value":"v","version":4,"err":"OK","call":130,"return":470}
//   {"client":1,"op":"put","key":"k","value":"w","version":4,"call":500}
//
//   client   0 .. 2^64-1
//   op       "get" or "put"
//   key      any string
//   value    of a put: what is written; of a get: what was returned
//   version  of a put: the expected one; of a get: the returned one; 0 .. 2^64-1
//   err      "OK", "ErrVersion", "ErrNoKey" or "ErrMaybe"
//   call     time of the call in nanoseconds, -2^63 .. 2^63-1
//   return   time of the return, not before the call; absent when the operation never returned, and
//            then the reply (err, and value and version of a get) may be absent too and is ignored
//
// A get that returned anything but "OK" has no value and no version. Members may come in any order,
// each at most once, and there are no others. Lines of white space alone are skipped.
//
// Strings hold bytes, not characters, since keys and values are bytes. The writer writes ASCII
// only, and a byte of 0x80 or more as \u0080 to \u00ff. The reader takes these escapes back as that
// one byte; an escape above \u00ff, or a pair of surrogates, becomes the UTF-8 encoding of its code
// point; bytes that are not escaped stay as they are. So everything that the writer writes is read
// back exactly, and ordinary UTF-8 files are read as they stand. A file by another program that
// writes the same character of U+0080 to U+00FF now escaped and now plain is read as two different
// strings; within the convention above there is no way to tell.

#ifndef RSM_CHECK_HISTORY_FILE_HPP
#define RSM_CHECK_HISTORY_FILE_HPP

#include <rsm/check/history.hpp>
#include <rsm/check/kv_model.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::check {

/// Where and why a history file could not be read. Lines and columns count from 1, columns in
/// bytes; column 0 means the line as a whole.
struct HistoryFileError {
    std::size_t line = 0;
    std::size_t column = 0;
    std::string message;
};

/// Bounds on what a reader takes in; more is an error.
struct HistoryFileLimits {
    std::size_t line_bytes_max = std::size_t{1} << 20;
    std::size_t operations_max = std::size_t{1} << 24;
};

namespace detail {

/// The members of one line, none of them checked against the others yet.
struct HistoryLine {
    std::optional<std::uint64_t> client;
    std::optional<KvOp> op;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::optional<std::uint64_t> version;
    std::optional<KvError> error;
    std::optional<std::int64_t> call;
    std::optional<std::int64_t> ret;
};

/// A parser for one line. It stops at the first error and remembers it; every member function
/// returns false from then on.
class HistoryLineParser {
public:
    explicit HistoryLineParser(std::string_view text) : text_(text) {}

    bool parse(HistoryLine& line) {
        skip_space();
        if (!expect('{')) {
            return false;
        }
        do {
            skip_space();
            if (!member(line)) {
                return false;
            }
            skip_space();
        } while (accept(','));
        if (!expect('}')) {
            return false;
        }
        skip_space();
        return at_end() || fail("text after the object");
    }

    [[nodiscard]] std::size_t column() const { return column_; }
    [[nodiscard]] const std::string& message() const { return message_; }

private:
    [[nodiscard]] bool at_end() const { return next_ == text_.size(); }

    bool fail(std::string message) { return fail_at(next_, std::move(message)); }

    bool fail_at(std::size_t position, std::string message) {
        column_ = position + 1;
        message_ = std::move(message);
        return false;
    }

    void skip_space() {
        while (!at_end() && (text_[next_] == ' ' || text_[next_] == '\t' || text_[next_] == '\r')) {
            ++next_;
        }
    }

    bool accept(char wanted) {
        if (at_end() || text_[next_] != wanted) {
            return false;
        }
        ++next_;
        return true;
    }

    bool expect(char wanted) {
        return accept(wanted) || fail(std::string("expected '") + wanted + "'");
    }

    bool member(HistoryLine& line) {
        const std::size_t start = next_;
        std::string name;
        if (!string(name)) {
            return false;
        }
        skip_space();
        if (!expect(':')) {
            return false;
        }
        skip_space();
        if (name == "client") {
            return once(line.client, start) && number(line.client.emplace());
        }
        if (name == "op") {
            return once(line.op, start) && op(line.op.emplace());
        }
        if (name == "key") {
            return once(line.key, start) && string(line.key.emplace());
        }
        if (name == "value") {
            return once(line.value, start) && string(line.value.emplace());
        }
        if (name == "version") {
            return once(line.version, start) && number(line.version.emplace());
        }
        if (name == "err") {
            return once(line.error, start) && error(line.error.emplace());
        }
        if (name == "call") {
            return once(line.call, start) && number(line.call.emplace());
        }
        if (name == "return") {
            return once(line.ret, start) && number(line.ret.emplace());
        }
        return fail_at(start, "unknown member");
    }

    template <class T>
    bool once(const std::optional<T>& member, std::size_t start) {
        return !member || fail_at(start, "member given twice");
    }

    bool op(KvOp& op) {
        const std::size_t start = next_;
        std::string name;
        if (!string(name)) {
            return false;
        }
        if (name != "get" && name != "put") {
            return fail_at(start, "op is neither \"get\" nor \"put\"");
        }
        op = name == "get" ? KvOp::get : KvOp::put;
        return true;
    }

    bool error(KvError& error) {
        const std::size_t start = next_;
        std::string name;
        if (!string(name)) {
            return false;
        }
        if (name == "OK") {
            error = KvError::ok;
        } else if (name == "ErrVersion") {
            error = KvError::version;
        } else if (name == "ErrNoKey") {
            error = KvError::no_key;
        } else if (name == "ErrMaybe") {
            error = KvError::maybe;
        } else {
            return fail_at(start,
                           "err is none of \"OK\", \"ErrVersion\", \"ErrNoKey\", \"ErrMaybe\"");
        }
        return true;
    }

    template <class Number>
    bool number(Number& number) {
        const std::size_t start = next_;
        const std::string_view rest = text_.substr(start);
        const char* const begin = rest.data();
        const auto [end, code] = std::from_chars(begin, begin + rest.size(), number);
        if (code == std::errc::result_out_of_range) {
            return fail_at(start, "number out of range");
        }
        if (code != std::errc()) {
            return fail_at(start, "expected an integer");
        }
        const auto length = static_cast<std::size_t>(end - begin);
        const std::string_view digits =
            rest.substr(rest.front() == '-' ? 1 : 0, length - (rest.front() == '-' ? 1 : 0));
        if (digits.size() > 1 && digits.front() == '0') {
            return fail_at(start, "number with a leading zero");
        }
        next_ += length;
        if (!at_end() && (text_[next_] == '.' || text_[next_] == 'e' || text_[next_] == 'E')) {
            return fail_at(start, "expected an integer");
        }
        return true;
    }

    bool string(std::string& string) {
        const std::size_t start = next_;
        if (!expect('"')) {
            return false;
        }
        while (!at_end()) {
            const char c = text_[next_];
            if (c == '"') {
                ++next_;
                return true;
            }
            if (static_cast<unsigned char>(c) < 0x20) {
                return fail("control character in a string");
            }
            if (c == '\\') {
                if (!escape(string)) {
                    return false;
                }
            } else {
                string.push_back(c);
                ++next_;
            }
        }
        return fail_at(start, "string without end");
    }

    bool escape(std::string& string) {
        static constexpr std::string_view names = "\"\\/bfnrt";
        static constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
        const std::size_t start = next_++;
        if (at_end()) {
            return fail_at(start, "string without end");
        }
        const char name = text_[next_++];
        if (name == 'u') {
            return unicode_escape(string, start);
        }
        const std::size_t which = names.find(name);
        if (which == std::string_view::npos) {
            return fail_at(start, "unknown escape");
        }
        string.push_back(meanings[which]);
        return true;
    }

    bool unicode_escape(std::string& string, std::size_t start) {
        std::uint32_t code = 0;
        if (!hex4(code, start)) {
            return false;
        }
        if (code >= 0xdc00 && code <= 0xdfff) {
            return fail_at(start, "second half of a surrogate pair without the first");
        }
        if (code >= 0xd800 && code <= 0xdbff) {
            std::uint32_t low = 0;
            if (text_.substr(next_, 2) != "\\u") {
                return fail_at(start, "first half of a surrogate pair without the second");
            }
            next_ += 2;
            if (!hex4(low, start)) {
                return false;
            }
            if (low < 0xdc00 || low > 0xdfff) {
                return fail_at(start, "first half of a surrogate pair without the second");
            }
            code = 0x10000 + ((code - 0xd800) << 10U) + (low - 0xdc00);
        }
        append_code(string, code);
        return true;
    }

    bool hex4(std::uint32_t& code, std::size_t start) {
        const std::string_view digits = text_.substr(next_, 4);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (error != std::errc() || end != digits.data() + 4) {
            return fail_at(start, "\\u without four hexadecimal digits");
        }
        next_ += 4;
        return true;
    }

    static void append_code(std::string& string, std::uint32_t code) {
        const auto byte = [&string](std::uint32_t value) {
            string.push_back(static_cast<char>(value));
        };
        const auto tail = [&byte, code](std::uint32_t shift) {
            byte(0x80U | ((code >> shift) & 0x3fU));
        };
        if (code <= 0xff) {
            byte(code);  // Not its UTF-8 encoding: see the convention at the top of this file.
        } else if (code < 0x800) {
            byte(0xc0U | (code >> 6U));
            tail(0);
        } else if (code < 0x10000) {
            byte(0xe0U | (code >> 12U));
            tail(6);
            tail(0);
        } else {
            byte(0xf0U | (code >> 18U));
            tail(12);
            tail(6);
            tail(0);
        }
    }

    std::string_view text_;
    std::size_t next_ = 0;
    std::size_t column_ = 0;
    std::string message_;
};

/// Why the members of a line do not make an operation, or null when they do.
inline const char* complaint_about(const HistoryLine& line) {
    if (!line.client || !line.op || !line.key || !line.call) {
        return "client, op, key and call must all be given";
    }
    if (line.ret && *line.ret < *line.call) {
        return "return lies before call";
    }
    if (line.ret && !line.error) {
        return "an operation that returned must have err";
    }
    if (line.op == KvOp::put) {
        return line.value && line.version ? nullptr : "a put must have value and version";
    }
    if (line.ret && line.error == KvError::ok) {
        return line.value && line.version ? nullptr
                                          : "a get that returned OK must have value and version";
    }
    if (line.ret && (line.value.value_or("") != "" || line.version.value_or(0) != 0)) {
        return "a get that did not return OK has neither value nor version";
    }
    return nullptr;
}

/// Precondition: complaint_about(line) is null.
inline KvOperation operation_of(HistoryLine&& line) {
    KvOperation operation;
    operation.client = *line.client;
    operation.input.op = *line.op;
    operation.input.key = std::move(*line.key);
    operation.call = *line.call;
    operation.ret = line.ret;
    if (operation.input.op == KvOp::put) {
        operation.input.value = std::move(*line.value);
        operation.input.version = *line.version;
    }
    if (line.ret) {
        KvOutput& output = operation.output.emplace();
        output.error = *line.error;
        if (operation.input.op == KvOp::get && output.error == KvError::ok) {
            output.value = std::move(*line.value);
            output.version = *line.version;
        }
    }
    return operation;
}

inline void append_json_string(std::string& text, std::string_view bytes) {
    static constexpr std::string_view hex = "0123456789abcdef";
    text.push_back('"');
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            text.push_back('\\');
            text.push_back(c);
        } else if (byte < 0x20 || byte >= 0x7f) {
            text += "\\u00";
            text.push_back(hex[byte >> 4U]);
            text.push_back(hex[byte & 0xfU]);
        } else {
            text.push_back(c);
        }
    }
    text.push_back('"');
}

enum class LineEnd { found, end_of_file, too_long };

/// Reads up to the next newline, which is taken and not stored, without ever holding more than
/// `bytes_max`.
inline LineEnd read_line(std::istream& in, std::string& line, std::size_t bytes_max) {
    line.clear();
    for (int c = in.get(); c != std::istream::traits_type::eof(); c = in.get()) {
        if (c == '\n') {
            return LineEnd::found;
        }
        if (line.size() == bytes_max) {
            return LineEnd::too_long;
        }
        line.push_back(static_cast<char>(c));
    }
    return line.empty() ? LineEnd::end_of_file : LineEnd::found;
}

}  // namespace detail

/// Reads one line, without its newline. The error's line is 1.
inline std::variant<KvOperation, HistoryFileError> parse_kv_operation(std::string_view text) {
    detail::HistoryLine line;
    detail::HistoryLineParser parser(text);
    if (!parser.parse(line)) {
        return HistoryFileError{1, parser.column(), parser.message()};
    }
    if (const char* const complaint = detail::complaint_about(line)) {
        return HistoryFileError{1, 0, complaint};
    }
    return detail::operation_of(std::move(line));
}

/// Reads a whole history: its operations in the order of the lines, or the first error. An input
/// that fails before its end is an error too. Memory: at most one line besides the result.
inline std::variant<std::vector<KvOperation>, HistoryFileError> read_kv_history(
    std::istream& in, const HistoryFileLimits& limits = {}) {
    std::vector<KvOperation> operations;
    std::string line;
    for (std::size_t number = 1;; ++number) {
        const detail::LineEnd end = detail::read_line(in, line, limits.line_bytes_max);
        if (in.bad()) {
            return HistoryFileError{number, 0, "the input cannot be read"};
        }
        if (end == detail::LineEnd::too_long) {
            return HistoryFileError{number, limits.line_bytes_max + 1, "line too long"};
        }
        if (end == detail::LineEnd::end_of_file) {
            return operations;
        }
        if (line.find_first_not_of(" \t\r") == std::string::npos) {
            continue;
        }
        if (operations.size() >= limits.operations_max) {
            return HistoryFileError{number, 0, "too many operations"};
        }
        auto parsed = parse_kv_operation(line);
        if (auto* const error = std::get_if<HistoryFileError>(&parsed)) {
            error->line = number;
            return std::move(*error);
        }
        operations.push_back(std::get<KvOperation>(std::move(parsed)));
    }
}

/// One operation as a line, without a newline. Of an operation without `ret` the reply is left out,
/// since a reader would ignore it. Precondition: an operation with `ret` has an output.
inline std::string format_kv_operation(const KvOperation& operation) {
    static constexpr std::string_view errors[] = {"OK", "ErrVersion", "ErrNoKey", "ErrMaybe"};
    const bool is_put = operation.input.op == KvOp::put;
    const KvOutput* const reply = operation.ret && operation.output ? &*operation.output : nullptr;
    const bool has_result = !is_put && reply != nullptr && reply->error == KvError::ok;

    std::string text = "{\"client\":" + std::to_string(operation.client);
    text += is_put ? ",\"op\":\"put\",\"key\":" : ",\"op\":\"get\",\"key\":";
    detail::append_json_string(text, operation.input.key);
    if (is_put || has_result) {
        text += ",\"value\":";
        detail::append_json_string(text, is_put ? operation.input.value : reply->value);
        text += ",\"version\":" + std::to_string(is_put ? operation.input.version : reply->version);
    }
    if (reply != nullptr) {
        text += ",\"err\":\"";
        text += errors[static_cast<std::size_t>(reply->error)];
        text += '"';
    }
    text += ",\"call\":" + std::to_string(operation.call);
    if (operation.ret) {
        text += ",\"return\":" + std::to_string(*operation.ret);
    }
    text += '}';
    return text;
}

/// Writes a line per operation. The caller checks the stream afterwards.
inline void write_kv_history(std::ostream& out, const std::vector<KvOperation>& operations) {
    for (const KvOperation& operation : operations) {
        out << format_kv_operation(operation) << '\n';
    }
}

}  // namespace rsm::check

#endif  // RSM_CHECK_HISTORY_FILE_HPP
