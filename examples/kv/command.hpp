// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// From a request to what must be done for it, and from what was done to the reply. Nothing here
// does I/O or knows of replication: a server executes the Command that parse_command() returns.
#ifndef RSM_EXAMPLES_KV_COMMAND_HPP
#define RSM_EXAMPLES_KV_COMMAND_HPP

#include "command_spec.hpp"
#include "connection_commands.hpp"
#include "integer.hpp"
#include "limits.hpp"
#include "member_commands.hpp"
#include "reply_writer.hpp"
#include "store.hpp"
#include "topology.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

/// All commands.
inline std::span<const CommandSpec> command_table() noexcept;

namespace detail {

inline bool arity_fits(int arity, std::size_t count) noexcept {
    return arity >= 0 ? count == static_cast<std::size_t>(arity)
                      : count >= static_cast<std::size_t>(-arity);
}

inline const CommandSpec* find_command(std::string_view name) noexcept {
    for (const CommandSpec& spec : command_table()) {
        if (same_word(name, spec.name)) {
            return &spec;
        }
    }
    return nullptr;
}

// Reads.

template <Read::Kind kind>
Command parse_read(Arguments arguments, Connection&) {
    return Read{kind, keys_of(arguments)};
}

// Writes.

inline Command parse_set(Arguments arguments, Connection&) {
    Set set{std::string(arguments[1]), std::string(arguments[2])};
    for (const std::string_view option : arguments.subspan(3)) {
        const bool is_absent = same_word(option, "nx");
        if (!is_absent && !same_word(option, "xx")) {
            constexpr std::array<std::string_view, 6> known = {"ex",   "px",      "exat",
                                                               "pxat", "keepttl", "get"};
            const auto* const found =
                std::find_if(known.begin(), known.end(),
                             [&](std::string_view word) { return same_word(option, word); });
            return error(found == known.end()
                             ? "ERR syntax error"
                             : "ERR syntax error: SET does not support " + std::string(option));
        }
        const Set::When when = is_absent ? Set::When::absent : Set::When::present;
        if (set.when != Set::When::always && set.when != when) {
            return error("ERR syntax error");
        }
        set.when = when;
    }
    return Write{{std::move(set)}, Write::Form::status};
}

inline Command parse_mset(Arguments arguments, Connection&) {
    if (arguments.size() % 2 == 0) {
        return wrong_arity("mset");
    }
    SetMany many;
    many.entries.reserve(arguments.size() / 2);
    for (std::size_t i = 1; i < arguments.size(); i += 2) {
        many.entries.emplace_back(arguments[i], arguments[i + 1]);
    }
    return Write{{std::move(many)}, Write::Form::status};
}

inline Command parse_del(Arguments arguments, Connection&) {
    return Write{{Delete{keys_of(arguments)}}, Write::Form::integer};
}

template <std::int64_t amount>
Command parse_step(Arguments arguments, Connection&) {
    return Write{{Increment{std::string(arguments[1]), amount}}, Write::Form::integer};
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
    return Write{{Increment{std::string(arguments[1]), sign * *amount}}, Write::Form::integer};
}

inline Command parse_vput(Arguments arguments, Connection&) {
    const auto version = parse_integer(arguments[3]);
    if (!version || *version < 0) {
        return error("ERR version is not an integer or out of range");
    }
    return Write{{Put{std::string(arguments[1]), std::string(arguments[2]),
                      static_cast<std::uint64_t>(*version)}},
                 Write::Form::version};
}

// The table of the commands.

inline void write_spec(const CommandSpec& spec, ReplyWriter& reply) {
    reply.array(6);
    reply.bulk(spec.name);
    reply.integer(spec.arity);
    if (spec.first_key == 0) {
        reply.set(0);
    } else {
        reply.set(1);
        reply.simple(spec.writes ? "write" : "readonly");
    }
    reply.integer(spec.first_key);
    reply.integer(spec.last_key);
    reply.integer(spec.key_step);
}

inline Command parse_command_command(Arguments arguments, Connection& connection) {
    Immediate immediate;
    ReplyWriter reply(immediate.reply, connection.protocol);
    const bool is_info = arguments.size() > 1 && same_word(arguments[1], "info");
    constexpr std::size_t names_max = 1024;  // each makes the reply longer than the request
    if (is_info && arguments.size() - 2 > names_max) {
        return error("ERR COMMAND INFO takes at most " + std::to_string(names_max) + " names");
    }
    if (arguments.size() == 1 || (is_info && arguments.size() == 2)) {
        reply.array(command_table().size());
        for (const CommandSpec& spec : command_table()) {
            write_spec(spec, reply);
        }
    } else if (is_info) {
        reply.array(arguments.size() - 2);
        for (const std::string_view name : arguments.subspan(2)) {
            if (const CommandSpec* spec = find_command(name)) {
                write_spec(*spec, reply);
            } else {
                reply.null_array();
            }
        }
    } else if (same_word(arguments[1], "count")) {
        reply.integer(static_cast<std::int64_t>(command_table().size()));
    } else if (same_word(arguments[1], "docs")) {
        reply.map(0);
    } else {
        return unknown_subcommand(arguments);
    }
    return immediate;
}

// The most frequent ones are first: they are looked for from the front.
inline constexpr auto commands = std::to_array<CommandSpec>({
    {"get", 2, false, 1, 1, 1, parse_read<Read::Kind::get>},
    {"set", -3, true, 1, 1, 1, parse_set},
    {"vget", 2, false, 1, 1, 1, parse_read<Read::Kind::get_version>},
    {"vput", 4, true, 1, 1, 1, parse_vput},
    {"incr", 2, true, 1, 1, 1, parse_step<1>},
    {"decr", 2, true, 1, 1, 1, parse_step<-1>},
    {"incrby", 3, true, 1, 1, 1, parse_step_by<1>},
    {"decrby", 3, true, 1, 1, 1, parse_step_by<-1>},
    {"del", -2, true, 1, -1, 1, parse_del},
    {"mget", -2, false, 1, -1, 1, parse_read<Read::Kind::get_many>},
    {"mset", -3, true, 1, -1, 2, parse_mset},
    {"exists", -2, false, 1, -1, 1, parse_read<Read::Kind::exists>},
    {"dbsize", 1, false, 0, 0, 0, parse_read<Read::Kind::size>},
    {"ping", -1, false, 0, 0, 0, parse_ping},
    {"echo", 2, false, 0, 0, 0, parse_echo},
    {"quit", -1, false, 0, 0, 0, parse_quit},
    {"select", 2, false, 0, 0, 0, parse_select},
    {"hello", -1, false, 0, 0, 0, parse_hello},
    {"client", -2, false, 0, 0, 0, parse_client},
    {"config", -2, false, 0, 0, 0, parse_config},
    {"command", -1, false, 0, 0, 0, parse_command_command},
    {"auth", -2, false, 0, 0, 0, parse_auth},
    {"readonly", 1, false, 0, 0, 0, parse_readonly},
    {"readwrite", 1, false, 0, 0, 0, parse_readwrite},
    {"asking", 1, false, 0, 0, 0, parse_asking},
    {"info", -1, false, 0, 0, 0, parse_info},
    {"cluster", -2, false, 0, 0, 0, parse_cluster},
    {"member", -2, false, 0, 0, 0, parse_member},
    {"transfer", -1, false, 0, 0, 0, parse_transfer},
    {"post", -1, false, 0, 0, 0, parse_http},
    {"host:", -1, false, 0, 0, 0, parse_http},
});

}  // namespace detail

inline std::span<const CommandSpec> command_table() noexcept { return detail::commands; }

namespace detail {

// An error if the command asks for more than may be carried out in one go.
inline std::optional<Immediate> excess(const CommandSpec& spec, Arguments arguments) {
    std::size_t bytes = 0;
    for (const std::string_view argument : arguments.subspan(1)) bytes += argument.size();
    if (bytes > command_bytes_max) {
        return error("ERR the arguments of a command have at most " +
                     std::to_string(command_bytes_max) + " bytes together");
    }
    const bool many = spec.first_key != 0 && spec.last_key < 0;
    if (many &&
        (arguments.size() - 1) / static_cast<std::size_t>(spec.key_step) > command_keys_max) {
        return error("ERR a command names at most " + std::to_string(command_keys_max) + " keys");
    }
    return std::nullopt;
}

}  // namespace detail

/// What to do for a request. Names and options are in any case. A request that makes no sense, or
/// goes beyond limits.hpp, is an Immediate with an error; it has changed nothing.
inline Command parse_command(Arguments arguments, Connection& connection) {
    if (arguments.empty()) {
        return Immediate{};
    }
    const CommandSpec* spec = detail::find_command(arguments[0]);
    if (spec == nullptr) {
        return detail::unknown_command(arguments);
    }
    if (!detail::arity_fits(spec->arity, arguments.size())) {
        return detail::wrong_arity(spec->name);
    }
    if (auto refusal = detail::excess(*spec, arguments)) {
        return *std::move(refusal);
    }
    Command command = spec->parse(arguments, connection);
    if (Write* write = std::get_if<Write>(&command)) write->protocol = connection.protocol;
    if (Read* read = std::get_if<Read>(&command)) read->protocol = connection.protocol;
    return command;
}

/// Appends the reply to a write that was carried out with `result`.
inline void write_result(Write::Form form, const Result& result, std::string& out,
                         Protocol protocol = Protocol::resp2) {
    ReplyWriter reply(out, protocol);
    switch (result.status) {
        case Status::ok: break;
        case Status::no_key: return reply.error("NOKEY no such key");
        case Status::version:
            return reply.error("VERSION the version of the key is " +
                               std::to_string(result.version));
        case Status::condition: return reply.null();
        case Status::not_integer: return reply.error(detail::not_integer_text);
        case Status::out_of_range: return reply.error("ERR increment or decrement would overflow");
    }
    switch (form) {
        case Write::Form::version: return reply.integer(static_cast<std::int64_t>(result.version));
        case Write::Form::status: return reply.simple("OK");
        case Write::Form::integer: return reply.integer(result.integer);
    }
}

/// Bytes of the reply to a read, or a little more. A request can name a large value many times,
/// so a reply may be far larger than any write.
inline std::size_t reply_bytes(const Read& read, const Store& store) {
    constexpr std::size_t framing_bytes = 32;
    std::size_t bytes = framing_bytes;
    if (read.kind == Read::Kind::exists || read.kind == Read::Kind::size) return bytes;
    for (const std::string& key : read.keys) {
        const Store::Entry* entry = store.find(key);
        bytes += framing_bytes + (entry == nullptr ? 0 : entry->value.size());
    }
    return bytes;
}

namespace detail {

inline void write_value(const Store::Entry* entry, ReplyWriter& reply) {
    if (entry == nullptr) {
        reply.null();
    } else {
        reply.bulk(entry->value);
    }
}

inline void get_many(const Read& read, const Store& store, ReplyWriter& reply) {
    reply.array(read.keys.size());
    for (const std::string& key : read.keys) {
        write_value(store.find(key), reply);
    }
}

inline void get_version(const Store::Entry* entry, ReplyWriter& reply) {
    if (entry == nullptr) {
        return reply.error("NOKEY no such key");
    }
    reply.array(2);
    reply.bulk(entry->value);
    reply.integer(static_cast<std::int64_t>(entry->version));
}

}  // namespace detail

/// Appends the reply to a read, of reply_bytes() at most.
inline void answer(const Read& read, const Store& store, std::string& out) {
    ReplyWriter reply(out, read.protocol);
    switch (read.kind) {
        case Read::Kind::get: return detail::write_value(store.find(read.keys[0]), reply);
        case Read::Kind::get_version: return detail::get_version(store.find(read.keys[0]), reply);
        case Read::Kind::get_many: return detail::get_many(read, store, reply);
        case Read::Kind::exists:
            return reply.integer(
                std::count_if(read.keys.begin(), read.keys.end(),
                              [&](const std::string& key) { return store.find(key) != nullptr; }));
        case Read::Kind::size: return reply.integer(static_cast<std::int64_t>(store.key_count()));
    }
}

}  // namespace kv

#endif
