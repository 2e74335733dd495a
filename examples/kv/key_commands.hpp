// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The commands that are about keys, whatever their values are.
#ifndef RSM_EXAMPLES_KV_KEY_COMMANDS_HPP
#define RSM_EXAMPLES_KV_KEY_COMMANDS_HPP

#include "command_spec.hpp"
#include "expiry_options.hpp"
#include "integer.hpp"
#include "limits.hpp"
#include "operation.hpp"
#include "string_commands.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace kv::detail {

inline Command parse_del(Arguments arguments, Connection&) {
    return write_of(Delete{keys_of(arguments)}, Write::Form::integer);
}

// FLUSHALL, FLUSHDB [SYNC | ASYNC], which are the same: memory is freed little by little.
inline Command parse_flush(Arguments arguments, Connection&) {
    const bool fits = arguments.size() == 1 ||
                      (arguments.size() == 2 &&
                       (same_word(arguments[1], "sync") || same_word(arguments[1], "async")));
    if (!fits) return error("ERR syntax error");
    return write_of(Flush{}, Write::Form::status);
}

// ---- deadlines ----

/// NX, XX, GT and LT of EXPIRE, of which XX goes with one of the last two.
inline std::variant<Expire::When, Immediate> parse_expire_options(Arguments options) {
    bool nx = false;
    bool xx = false;
    bool gt = false;
    bool lt = false;
    for (const std::string_view option : options) {
        bool* const known = same_word(option, "nx")   ? &nx
                            : same_word(option, "xx") ? &xx
                            : same_word(option, "gt") ? &gt
                            : same_word(option, "lt") ? &lt
                                                      : nullptr;
        if (known == nullptr) {
            return error("ERR Unsupported option " +
                         std::string(option.substr(0, quoted_bytes_max)));
        }
        *known = true;
    }
    if (nx && (xx || gt || lt)) {
        return error("ERR NX and XX, GT or LT options at the same time are not compatible");
    }
    if (gt && lt) {
        return error("ERR GT and LT options at the same time are not compatible");
    }
    if (gt) return Expire::When::later;  // which no key without a deadline fulfils
    if (lt) return xx ? Expire::When::sooner_with : Expire::When::sooner;
    return nx ? Expire::When::without : xx ? Expire::When::with : Expire::When::always;
}

inline Command parse_expire(Arguments arguments, ExpiryUnit unit, std::string_view name) {
    auto parsed = parse_expiry(arguments[2], unit, name);
    if (auto* refused = std::get_if<Immediate>(&parsed)) return std::move(*refused);
    auto when = parse_expire_options(arguments.subspan(3));
    if (auto* refused = std::get_if<Immediate>(&when)) return std::move(*refused);
    return write_of(Expire{std::string(arguments[1]), std::get<Expiry>(parsed),
                           std::get<Expire::When>(when), false},
                    Write::Form::integer);
}
inline Command parse_expire(Arguments arguments, Connection&) {
    return parse_expire(arguments, in_seconds, "expire");
}
inline Command parse_pexpire(Arguments arguments, Connection&) {
    return parse_expire(arguments, in_milliseconds, "pexpire");
}
inline Command parse_expireat(Arguments arguments, Connection&) {
    return parse_expire(arguments, at_second, "expireat");
}
inline Command parse_pexpireat(Arguments arguments, Connection&) {
    return parse_expire(arguments, at_millisecond, "pexpireat");
}

inline Command parse_persist(Arguments arguments, Connection&) {
    return write_of(Expire{std::string(arguments[1]), {}, Expire::When::always, false},
                    Write::Form::integer);
}

// ---- which keys there are ----

inline std::optional<Immediate> refuse_pattern(std::string_view pattern) {
    if (pattern.size() <= pattern_bytes_max) return std::nullopt;
    return error("ERR a pattern has at most " + std::to_string(pattern_bytes_max) + " bytes");
}

inline Command parse_keys(Arguments arguments, Connection&) {
    if (auto refusal = refuse_pattern(arguments[1])) return *std::move(refusal);
    auto scan = std::make_shared<Scan>();
    scan->pattern = arguments[1];
    Read read{{Query::Kind::keys, {}}};
    read.scan = std::move(scan);
    return read;
}

/// One option of SCAN with its value. Nothing: it makes sense.
inline std::optional<Immediate> take_scan_option(std::string_view option, std::string_view value,
                                                 Scan& scan) {
    if (same_word(option, "match")) {
        scan.pattern = value;
        return refuse_pattern(value);
    }
    if (same_word(option, "type")) {
        scan.is_for_strings = same_word(value, "string");
        return std::nullopt;
    }
    if (!same_word(option, "count")) return error("ERR syntax error");
    const auto count = parse_integer(value);
    if (!count) return error(not_integer_text);
    if (*count < 1) return error("ERR syntax error");
    scan.count = static_cast<std::size_t>(std::min<std::int64_t>(*count, scan_count_max));
    return std::nullopt;
}

// SCAN <cursor> [MATCH <pattern>] [COUNT <count>] [TYPE <type>]
inline Command parse_scan(Arguments arguments, Connection&) {
    auto scan = std::make_shared<Scan>();
    const std::string_view cursor = arguments[1];
    const char* const last = cursor.data() + cursor.size();
    const auto [end, failed] = std::from_chars(cursor.data(), last, scan->cursor);
    if (failed != std::errc{} || end != last) return error("ERR invalid cursor");
    if (arguments.size() % 2 != 0) return error("ERR syntax error");
    for (std::size_t i = 2; i < arguments.size(); i += 2) {
        auto refusal = take_scan_option(arguments[i], arguments[i + 1], *scan);
        if (refusal) return *std::move(refusal);
    }
    Read read{{Query::Kind::scan, {}}};
    read.scan = std::move(scan);
    return read;
}

inline Command parse_randomkey(Arguments, Connection&) {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    Read read{{Query::Kind::random, {}}};
    read.number = random();
    return read;
}

}  // namespace kv::detail

#endif
