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
// Keys and values are bytes, and JSON's strings are characters: a byte is the character of its
// number, U+0000 to U+00FF. The writer writes ASCII only, and the others as \u0080 to \u00ff. In
// files of other programs, a character above U+00FF stands for the bytes of its UTF-8 encoding.

#ifndef RSM_EXAMPLES_KV_CHECK_HISTORY_FILE_HPP
#define RSM_EXAMPLES_KV_CHECK_HISTORY_FILE_HPP

#include "model.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv::check {

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

/// What the names in a file stand for.
inline constexpr std::pair<const char*, KvOp> op_names[] = {{"get", KvOp::get}, {"put", KvOp::put}};
inline constexpr std::pair<const char*, KvError> error_names[] = {{"OK", KvError::ok},
                                                                  {"ErrVersion", KvError::version},
                                                                  {"ErrNoKey", KvError::no_key},
                                                                  {"ErrMaybe", KvError::maybe}};

template <class Names, class Value>
const char* name_of(const Names& names, Value value) {
    for (const auto& [name, meaning] : names) {
        if (meaning == value) return name;
    }
    throw std::invalid_argument("no name for a history's value");
}

/// Bytes as the characters of their numbers, in UTF-8.
inline std::string characters_of(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            text += c;
        } else {
            text += static_cast<char>(0xc0U | (byte >> 6U));
            text += static_cast<char>(0x80U | (byte & 0x3fU));
        }
    }
    return text;
}

/// The reverse, for valid UTF-8. The bytes of other characters stay.
inline std::string bytes_of(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto first = static_cast<unsigned char>(text[i]);
        if (first == 0xc2 || first == 0xc3) {  // U+0080 to U+00FF
            const auto second = static_cast<unsigned char>(text[++i]);
            bytes += static_cast<char>((first & 3U) << 6U | (second & 0x3fU));
        } else {
            bytes += text[i];
        }
    }
    return bytes;
}

inline void read_member(const nlohmann::json& json, std::string& string) {
    if (!json.is_string()) throw std::invalid_argument("is not a string");
    string = bytes_of(json.get_ref<const std::string&>());
}
inline void read_member(const nlohmann::json& json, std::uint64_t& number) {
    if (!json.is_number_unsigned()) {
        throw std::invalid_argument("is not an integer from 0 to 2^64-1");
    }
    number = json.get<std::uint64_t>();
}
inline void read_member(const nlohmann::json& json, std::int64_t& number) {
    if (!json.is_number_integer() ||
        (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{INT64_MAX})) {
        throw std::invalid_argument("is not an integer from -2^63 to 2^63-1");
    }
    number = json.get<std::int64_t>();
}
template <class Names, class Value>
void read_name(const Names& names, const nlohmann::json& json, Value& value) {
    for (const auto& [name, meaning] : names) {
        if (json == name) {
            value = meaning;
            return;
        }
    }
    throw std::invalid_argument("is none of the names that it may be");
}
inline void read_member(const nlohmann::json& json, KvOp& op) { read_name(op_names, json, op); }
inline void read_member(const nlohmann::json& json, KvError& error) {
    read_name(error_names, json, error);
}

/// Throws std::invalid_argument with a sentence, or the parser's exception.
inline HistoryLine parse_line(std::string_view text) {
    std::set<std::string> seen;
    const auto twice = [&seen](int depth, nlohmann::json::parse_event_t event,
                               nlohmann::json& parsed) {
        if (event == nlohmann::json::parse_event_t::key && depth == 1 &&
            !seen.insert(parsed.get<std::string>()).second) {
            throw std::invalid_argument(parsed.get<std::string>() + " is given twice");
        }
        return true;
    };
    const auto json = nlohmann::json::parse(text, twice);
    if (!json.is_object()) throw std::invalid_argument("the line is no object");

    HistoryLine line;
    for (const auto& member : json.items()) {
        const auto is = [&](const char* name, auto& place) {
            if (member.key() != name) return false;
            try {
                read_member(member.value(), place.emplace());
            } catch (const std::invalid_argument& why) {
                throw std::invalid_argument(std::string(name) + ' ' + why.what());
            }
            return true;
        };
        if (!is("client", line.client) && !is("op", line.op) && !is("key", line.key) &&
            !is("value", line.value) && !is("version", line.version) && !is("err", line.error) &&
            !is("call", line.call) && !is("return", line.ret)) {
            throw std::invalid_argument(member.key() + " is no member of an operation");
        }
    }
    return line;
}

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
    try {
        detail::HistoryLine line = detail::parse_line(text);
        if (const char* const complaint = detail::complaint_about(line)) {
            return HistoryFileError{1, 0, complaint};
        }
        return detail::operation_of(std::move(line));
    } catch (const nlohmann::json::parse_error& error) {
        return HistoryFileError{1, error.byte, error.what()};
    } catch (const nlohmann::json::exception& error) {
        return HistoryFileError{1, 0, error.what()};  // a number that no type can hold
    } catch (const std::invalid_argument& error) {
        return HistoryFileError{1, 0, error.what()};
    }
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
    const bool is_put = operation.input.op == KvOp::put;
    const KvOutput* const reply = operation.ret && operation.output ? &*operation.output : nullptr;
    const bool has_result = !is_put && reply != nullptr && reply->error == KvError::ok;

    nlohmann::ordered_json line;
    line["client"] = operation.client;
    line["op"] = detail::name_of(detail::op_names, operation.input.op);
    line["key"] = detail::characters_of(operation.input.key);
    if (is_put || has_result) {
        line["value"] = detail::characters_of(is_put ? operation.input.value : reply->value);
        line["version"] = is_put ? operation.input.version : reply->version;
    }
    if (reply != nullptr) line["err"] = detail::name_of(detail::error_names, reply->error);
    line["call"] = operation.call;
    if (operation.ret) line["return"] = *operation.ret;
    return line.dump(-1, ' ', /*ensure_ascii=*/true);
}

/// Writes a line per operation. The caller checks the stream afterwards.
inline void write_kv_history(std::ostream& out, const std::vector<KvOperation>& operations) {
    for (const KvOperation& operation : operations) {
        out << format_kv_operation(operation) << '\n';
    }
}

}  // namespace kv::check

#endif  // RSM_EXAMPLES_KV_CHECK_HISTORY_FILE_HPP
