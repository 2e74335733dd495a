// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// From a request to what must be done for it, and from what was done to the reply. Nothing here
// does I/O or knows of replication: a server executes the Command that parse_command() returns.
#ifndef RSM_EXAMPLES_KV_COMMAND_HPP
#define RSM_EXAMPLES_KV_COMMAND_HPP

#include "answers.hpp"
#include "command_spec.hpp"
#include "connection_commands.hpp"
#include "key_commands.hpp"
#include "limits.hpp"
#include "member_commands.hpp"
#include "reply_writer.hpp"
#include "string_commands.hpp"
#include "topology.hpp"
#include "transaction_commands.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
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
    {"get", 2, false, 1, 1, 1, parse_read<Query::Kind::get>},
    {"set", -3, true, 1, 1, 1, parse_set},
    {"vget", 2, false, 1, 1, 1, parse_read<Query::Kind::get_version>},
    {"vput", 4, true, 1, 1, 1, parse_vput},
    {"incr", 2, true, 1, 1, 1, parse_step<1>},
    {"decr", 2, true, 1, 1, 1, parse_step<-1>},
    {"incrby", 3, true, 1, 1, 1, parse_step_by<1>},
    {"decrby", 3, true, 1, 1, 1, parse_step_by<-1>},
    {"del", -2, true, 1, -1, 1, parse_del},
    {"mget", -2, false, 1, -1, 1, parse_read<Query::Kind::get_many>},
    {"mset", -3, true, 1, -1, 2, parse_mset},
    {"exists", -2, false, 1, -1, 1, parse_read<Query::Kind::exists>},
    {"expire", -3, true, 1, 1, 1, parse_expire},
    {"pexpire", -3, true, 1, 1, 1, parse_pexpire},
    {"ttl", 2, false, 1, 1, 1, parse_read<Query::Kind::seconds_left>},
    {"pttl", 2, false, 1, 1, 1, parse_read<Query::Kind::milliseconds_left>},
    {"setex", 4, true, 1, 1, 1, parse_setex<false>},
    {"psetex", 4, true, 1, 1, 1, parse_setex<true>},
    {"setnx", 3, true, 1, 1, 1, parse_setnx},
    {"getset", 3, true, 1, 1, 1, parse_getset},
    {"getdel", 2, true, 1, 1, 1, parse_getdel},
    {"getex", -2, true, 1, 1, 1, parse_getex},
    {"append", 3, true, 1, 1, 1, parse_append},
    {"strlen", 2, false, 1, 1, 1, parse_read<Query::Kind::length>},
    {"type", 2, false, 1, 1, 1, parse_read<Query::Kind::type>},
    {"multi", 1, false, 0, 0, 0, parse_multi},
    {"exec", 1, false, 0, 0, 0, parse_exec},
    {"discard", 1, false, 0, 0, 0, parse_discard},
    {"watch", -2, false, 1, -1, 1, parse_watch},
    {"unwatch", 1, false, 0, 0, 0, parse_unwatch},
    {"unlink", -2, true, 1, -1, 1, parse_del},
    {"msetnx", -3, true, 1, -1, 2, parse_msetnx},
    {"persist", 2, true, 1, 1, 1, parse_persist},
    {"expireat", -3, true, 1, 1, 1, parse_expireat},
    {"pexpireat", -3, true, 1, 1, 1, parse_pexpireat},
    {"expiretime", 2, false, 1, 1, 1, parse_read<Query::Kind::deadline_seconds>},
    {"pexpiretime", 2, false, 1, 1, 1, parse_read<Query::Kind::deadline_milliseconds>},
    {"scan", -2, false, 0, 0, 0, parse_scan},
    {"keys", 2, false, 0, 0, 0, parse_keys},
    {"randomkey", 1, false, 0, 0, 0, parse_randomkey},
    {"flushall", -1, true, 0, 0, 0, parse_flush},
    {"flushdb", -1, true, 0, 0, 0, parse_flush},
    {"dbsize", 1, false, 0, 0, 0, parse_read<Query::Kind::size>},
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

namespace detail {

/// What to do for a request, whatever was said before; null: there is no such command.
inline Command parse_alone(const CommandSpec* spec, Arguments arguments, Connection& connection) {
    if (spec == nullptr) return unknown_command(arguments);
    if (!arity_fits(spec->arity, arguments.size())) return wrong_arity(spec->name);
    if (auto refusal = excess(*spec, arguments)) return *std::move(refusal);
    if (connection.queued) {
        if (auto refusal = refuse_in_transaction(*spec)) return *std::move(refusal);
    }
    return spec->parse(arguments, connection);
}

inline std::size_t bytes_of(Arguments arguments) {
    return std::accumulate(
        arguments.begin(), arguments.end(), std::size_t{0},
        [](std::size_t sum, std::string_view argument) { return sum + argument.size(); });
}

}  // namespace detail

/// What to do for a request. Names and options are in any case. A request that makes no sense, or
/// goes beyond limits.hpp, is an Immediate with an error; it has changed nothing, but made void
/// what was queued since MULTI.
inline Command parse_command(Arguments arguments, Connection& connection) {
    if (arguments.empty()) {
        return Immediate{};
    }
    const CommandSpec* spec = detail::find_command(arguments[0]);
    Command command = detail::parse_alone(spec, arguments, connection);
    if (connection.queued && (spec == nullptr || !detail::controls_transaction(*spec))) {
        return detail::queue(std::move(command), detail::bytes_of(arguments), connection);
    }
    if (Write* write = std::get_if<Write>(&command)) write->protocol = connection.protocol;
    if (Read* read = std::get_if<Read>(&command)) read->protocol = connection.protocol;
    return command;
}

}  // namespace kv

#endif
