// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The commands that read and write values.
#ifndef RSM_EXAMPLES_KV_STRING_COMMANDS_HPP
#define RSM_EXAMPLES_KV_STRING_COMMANDS_HPP

#include "command_spec.hpp"
#include "expiry_options.hpp"
#include "integer.hpp"
#include "operation.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kv::detail {

template <Query::Kind kind>
Command parse_read(Arguments arguments, Connection&) {
    return Read{{kind, keys_of(arguments)}};
}

/// A write of which the first format version has none where the time is 0.
template <class Action>
Write write_of(Action action, Write::Form form) {
    Write write;
    write.operation.action = std::move(action);
    write.form = form;
    return write;
}

/// What SET is asked for, option by option.
struct SetOptions {
    Set::When when = Set::When::always;
    Expiry expiry;
    bool wants_old = false;

    /// Takes in the option at the front, with its number. Empty: it makes sense.
    std::string take(Arguments& options) {
        const std::string_view option = options.front();
        options = options.subspan(1);
        if (same_word(option, "nx")) return take(Set::When::absent);
        if (same_word(option, "xx")) return take(Set::When::present);
        if (same_word(option, "get")) return wants_old = true, std::string();
        const auto unit = expiry_unit(option);
        const bool is_kept = same_word(option, "keepttl");
        if (expiry.kind != Expiry::Kind::none || (!unit && !is_kept)) return syntax_error;
        if (is_kept) return expiry.kind = Expiry::Kind::kept, std::string();
        if (options.empty()) return syntax_error;
        auto parsed = parse_positive_expiry(options.front(), *unit, "set");
        options = options.subspan(1);
        if (auto* refused = std::get_if<Immediate>(&parsed)) return std::move(refused->reply);
        expiry = std::get<Expiry>(parsed);
        return {};
    }

private:
    static constexpr const char* syntax_error = "-ERR syntax error\r\n";

    std::string take(Set::When wanted) {
        if (when != Set::When::always && when != wanted) return syntax_error;
        when = wanted;
        return {};
    }
};

inline Command parse_set(Arguments arguments, Connection&) {
    SetOptions wanted;
    for (Arguments options = arguments.subspan(3); !options.empty();) {
        std::string refusal = wanted.take(options);
        if (!refusal.empty()) return Immediate{std::move(refusal)};
    }
    Set set{std::string(arguments[1]), std::string(arguments[2]), wanted.when};
    if (wanted.expiry.kind == Expiry::Kind::none && !wanted.wants_old) {
        return write_of(std::move(set), Write::Form::status);
    }
    return write_of(Replace{std::move(set), wanted.expiry, wanted.wants_old},
                    wanted.wants_old ? Write::Form::value : Write::Form::status);
}

inline Command parse_setnx(Arguments arguments, Connection&) {
    return write_of(Set{std::string(arguments[1]), std::string(arguments[2]), Set::When::absent},
                    Write::Form::boolean);
}

// SETEX, PSETEX: <key> <time> <value>
template <bool milliseconds>
Command parse_setex(Arguments arguments, Connection&) {
    auto parsed = parse_positive_expiry(arguments[2], milliseconds ? in_milliseconds : in_seconds,
                                        milliseconds ? "psetex" : "setex");
    if (auto* refused = std::get_if<Immediate>(&parsed)) return std::move(*refused);
    return write_of(Replace{{std::string(arguments[1]), std::string(arguments[3])},
                            std::get<Expiry>(parsed),
                            false},
                    Write::Form::status);
}

inline Command parse_getset(Arguments arguments, Connection&) {
    return write_of(Replace{{std::string(arguments[1]), std::string(arguments[2])}, {}, true},
                    Write::Form::value);
}

inline Command parse_getdel(Arguments arguments, Connection&) {
    return write_of(Take{std::string(arguments[1])}, Write::Form::value);
}

// GETEX <key> [EX <s> | PX <ms> | EXAT <s> | PXAT <ms> | PERSIST]
inline Command parse_getex(Arguments arguments, Connection& connection) {
    if (arguments.size() == 2) return parse_read<Query::Kind::get>(arguments, connection);
    Expire expire{std::string(arguments[1]), {}, Expire::When::always, true};
    const auto unit = expiry_unit(arguments[2]);
    if (unit && arguments.size() == 4) {
        auto parsed = parse_positive_expiry(arguments[3], *unit, "getex");
        if (auto* refused = std::get_if<Immediate>(&parsed)) return std::move(*refused);
        expire.expiry = std::get<Expiry>(parsed);
    } else if (arguments.size() != 3 || !same_word(arguments[2], "persist")) {
        return error("ERR syntax error");
    }
    return write_of(std::move(expire), Write::Form::value);
}

inline Command parse_append(Arguments arguments, Connection&) {
    return write_of(Append{std::string(arguments[1]), std::string(arguments[2])},
                    Write::Form::integer);
}

inline SetMany entries_of(Arguments arguments) {
    SetMany many;
    many.entries.reserve(arguments.size() / 2);
    for (std::size_t i = 1; i < arguments.size(); i += 2) {
        many.entries.emplace_back(arguments[i], arguments[i + 1]);
    }
    return many;
}

inline Command parse_mset(Arguments arguments, Connection&) {
    if (arguments.size() % 2 == 0) return wrong_arity("mset");
    return write_of(entries_of(arguments), Write::Form::status);
}

inline Command parse_msetnx(Arguments arguments, Connection&) {
    if (arguments.size() % 2 == 0) return wrong_arity("msetnx");
    return write_of(SetManyAbsent{entries_of(arguments)}, Write::Form::boolean);
}

template <std::int64_t amount>
Command parse_step(Arguments arguments, Connection&) {
    return write_of(Increment{std::string(arguments[1]), amount}, Write::Form::integer);
}

template <std::int64_t sign>
Command parse_step_by(Arguments arguments, Connection&) {
    const auto amount = parse_integer(arguments[2]);
    if (!amount) {
        return error(not_integer_text);
    }
    if (sign < 0 && *amount == std::numeric_limits<std::int64_t>::min()) {
        return error("ERR decrement would overflow");
    }
    return write_of(Increment{std::string(arguments[1]), sign * *amount}, Write::Form::integer);
}

inline Command parse_vput(Arguments arguments, Connection&) {
    const auto version = parse_integer(arguments[3]);
    if (!version || *version < 0) {
        return error("ERR version is not an integer or out of range");
    }
    return write_of(Put{std::string(arguments[1]), std::string(arguments[2]),
                        static_cast<std::uint64_t>(*version)},
                    Write::Form::version);
}

}  // namespace kv::detail

#endif
