// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Transactions: commands that are queued, and carried out as one operation of the log.
#ifndef RSM_EXAMPLES_KV_TRANSACTION_COMMANDS_HPP
#define RSM_EXAMPLES_KV_TRANSACTION_COMMANDS_HPP

#include "command_spec.hpp"
#include "limits.hpp"
#include "operation.hpp"
#include "string_commands.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace kv::detail {

inline Command parse_multi(Arguments, Connection& connection) {
    if (connection.queued) return error("ERR MULTI calls can not be nested");
    connection.queued.emplace();
    return ok();
}

inline Command parse_discard(Arguments, Connection& connection) {
    if (!connection.queued) return error("ERR DISCARD without MULTI");
    connection.queued.reset();
    connection.watch.reset();
    return ok();
}

inline Command parse_exec(Arguments, Connection& connection) {
    if (!connection.queued) return error("ERR EXEC without MULTI");
    Queued queued = std::move(*connection.queued);
    connection.queued.reset();
    const auto watch = std::exchange(connection.watch, nullptr);
    if (queued.is_void) {
        return error("EXECABORT Transaction discarded because of previous errors.");
    }
    if (queued.script.parts.empty() && watch == nullptr) {
        Immediate nothing;
        ReplyWriter(nothing.reply).array(0);
        return nothing;
    }
    Write write = write_of(std::move(queued.transaction), Write::Form::transaction);
    write.script = std::make_shared<const Script>(std::move(queued.script));
    write.watch = watch;
    return write;
}

// WATCH <key>...
inline Command parse_watch(Arguments arguments, Connection& connection) {
    if (connection.queued) return error("ERR WATCH inside MULTI is not allowed");
    if (connection.watch == nullptr) connection.watch = std::make_shared<Watch>();
    Watch& watch = *connection.watch;
    std::size_t bytes = watch.bytes;
    for (const std::string_view key : arguments.subspan(1)) bytes += key.size();
    if (watch.wanted + arguments.size() - 1 > command_keys_max || bytes > command_bytes_max) {
        return error("ERR at most " + std::to_string(command_keys_max) + " keys with " +
                     std::to_string(command_bytes_max) + " bytes can be watched");
    }
    watch.wanted += arguments.size() - 1;
    watch.bytes = bytes;
    Read read{{Query::Kind::watch, keys_of(arguments)}};
    read.watch = connection.watch;
    return read;
}

inline Command parse_unwatch(Arguments, Connection& connection) {
    // In a transaction it comes after the only moment at which it would matter.
    if (!connection.queued) connection.watch.reset();
    return ok();
}

// ---- between MULTI and EXEC ----

inline bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Carried out although others are queued. The last two are those that no client says.
inline bool controls_transaction(const CommandSpec& spec) {
    static constexpr std::array<std::string_view, 7> names = {"multi", "exec", "discard", "watch",
                                                              "quit",  "post", "host:"};
    return is_one_of(spec.name, names);
}

/// What has no keys and can be queued all the same.
inline bool is_queued_without_keys(const CommandSpec& spec) {
    static constexpr std::array<std::string_view, 7> names = {
        "ping", "echo", "select", "dbsize", "flushall", "flushdb", "unwatch"};
    return is_one_of(spec.name, names);
}

/// An error if the command cannot be queued.
inline std::optional<Immediate> refuse_in_transaction(const CommandSpec& spec) {
    if (controls_transaction(spec) || spec.first_key != 0 || is_queued_without_keys(spec)) {
        return std::nullopt;
    }
    return error("ERR '" + std::string(spec.name) + "' is not allowed between MULTI and EXEC");
}

inline std::size_t keys_in(const Action& action) {
    if (const auto* query = std::get_if<Query>(&action)) return query->keys.size();
    if (const auto* deletion = std::get_if<Delete>(&action)) return deletion->keys.size();
    if (const auto* many = std::get_if<SetMany>(&action)) return many->entries.size();
    if (const auto* many = std::get_if<SetManyAbsent>(&action)) return many->many.entries.size();
    return 1;
}

inline Action action_of(Operation&& operation) {
    return std::visit(
        [](auto&& action) -> Action {
            using Kind = std::remove_cvref_t<decltype(action)>;
            if constexpr (std::is_same_v<Kind, Tick> || std::is_same_v<Kind, Transaction>) {
                return Query{};  // no command that can be queued gives one of these
            } else {
                return std::forward<decltype(action)>(action);
            }
        },
        std::move(operation.action));
}

/// What parsing has given, for later; what was refused makes the whole transaction void.
/// @param argument_bytes  of the command
inline Command queue(Command&& command, std::size_t argument_bytes, Connection& connection) {
    Queued& queued = *connection.queued;
    if (auto* known = std::get_if<Immediate>(&command)) {
        if (known->reply.starts_with('-')) {
            queued.give_up();
            return std::move(command);
        }
        if (!queued.is_void) queued.script.parts.emplace_back(std::move(known->reply));
    } else if (!queued.is_void) {
        auto* read = std::get_if<Read>(&command);
        Action action = read != nullptr ? Action(static_cast<Query&&>(std::move(*read)))
                                        : action_of(std::move(std::get<Write>(command).operation));
        queued.keys += keys_in(action);
        if (read != nullptr) {
            queued.script.parts.emplace_back(std::get<Query>(action).kind);
        } else {
            queued.script.parts.emplace_back(std::get<Write>(command).form);
        }
        queued.transaction.actions.push_back(std::move(action));
    }
    constexpr std::size_t part_bytes = sizeof(Action) + sizeof(Script::Part) + sizeof(Result);
    queued.argument_bytes += argument_bytes;
    queued.script.bytes += queued.is_void ? 0 : 2 * argument_bytes + part_bytes;
    if (queued.script.parts.size() > command_keys_max || queued.keys > command_keys_max ||
        queued.argument_bytes > command_bytes_max) {
        queued.give_up();
        return error("ERR a transaction has at most " + std::to_string(command_keys_max) +
                     " commands and keys, and " + std::to_string(command_bytes_max) +
                     " bytes of arguments");
    }
    Immediate reply;
    ReplyWriter(reply.reply).simple("QUEUED");
    return reply;
}

}  // namespace kv::detail

#endif
