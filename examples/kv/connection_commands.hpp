// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The commands that are about the connection and the service rather than about keys.
#ifndef RSM_EXAMPLES_KV_CONNECTION_COMMANDS_HPP
#define RSM_EXAMPLES_KV_CONNECTION_COMMANDS_HPP

#include "command_spec.hpp"
#include "integer.hpp"
#include "log_level.hpp"
#include "reply_writer.hpp"
#include "topology.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// The version of Redis in whose form the answers are. Clients choose by it what they ask for.
inline constexpr std::string_view redis_version = "7.0.0";

namespace detail {

inline Command parse_ping(Arguments arguments, Connection&) {
    if (arguments.size() > 2) {
        return wrong_arity("ping");
    }
    return arguments.size() == 2 ? bulk(arguments[1]) : Immediate{"+PONG\r\n"};
}

inline Command parse_echo(Arguments arguments, Connection&) { return bulk(arguments[1]); }

inline Command parse_quit(Arguments, Connection&) { return Immediate{"+OK\r\n", true}; }

// Only a browser that was lured into sending HTTP to this port says these: its requests must not
// reach the commands that an attacker puts into the body.
inline Command parse_http(Arguments, Connection&) { return Immediate{"", true}; }

inline Command parse_select(Arguments arguments, Connection&) {
    const auto database = parse_integer(arguments[1]);
    if (!database) {
        return error(not_integer_text);
    }
    return *database == 0 ? ok() : error("ERR SELECT is not allowed in cluster mode");
}

/// Attempts to log in of one connection; it is closed when the last one has failed.
inline constexpr std::size_t failed_logins_max = 8;

/// Empty: the connection has logged in. Else why not.
inline std::optional<Immediate> log_in(std::string_view user, std::string_view password,
                                       Connection& connection) {
    // A client that believes that its password protects anything is told so.
    if (connection.accounts == nullptr) {
        return error(
            "ERR AUTH called without any password configured: this server has no users and no "
            "passwords");
    }
    // Nothing was looked at, and a moment later it is: what BUSY says.
    if (!connection.may_log_in) {
        return error(
            "BUSY too many wrong passwords came from this address: none is looked at for a moment");
    }
    if (connection.accounts->admit(user, password)) {
        connection.is_known = true;
        return std::nullopt;
    }
    Immediate refusal = error("WRONGPASS invalid username-password pair or user is disabled.");
    refusal.close = ++connection.failed_logins >= failed_logins_max;
    return refusal;
}

inline bool may_have_password(Arguments arguments) {
    return same_word(arguments[0], "auth") || same_word(arguments[0], "hello");
}

// AUTH [<user>] <password>
inline Command parse_auth(Arguments arguments, Connection& connection) {
    if (arguments.size() > 3) return error("ERR syntax error");
    const std::string_view user = arguments.size() == 3 ? arguments[1] : default_user;
    auto refusal = log_in(user, arguments.back(), connection);
    return refusal ? *std::move(refusal) : ok();
}

/// What a connection that has not said who it is gets instead of anything else.
inline std::optional<Immediate> refuse_stranger(Arguments arguments, const Connection& connection) {
    if (!connection.is_stranger() || arguments.empty()) return std::nullopt;
    constexpr std::array<std::string_view, 5> open_to_all = {"auth", "hello", "quit", "post",
                                                             "host:"};
    const bool is_open = std::any_of(open_to_all.begin(), open_to_all.end(),
                                     [&](auto name) { return same_word(arguments[0], name); });
    if (is_open) return std::nullopt;
    return error("NOAUTH Authentication required.");
}

// Nothing that is acknowledged here is left undone.
inline Command parse_readonly(Arguments, Connection& connection) {
    connection.wants_replica_reads = true;
    return error("ERR READONLY is not supported: replicas do not answer reads, the leader does");
}
inline Command parse_readwrite(Arguments, Connection& connection) {
    connection.wants_replica_reads = false;
    return ok();
}
inline Command parse_asking(Arguments, Connection&) {
    return error("ERR ASKING is not supported: slots do not move");
}

inline constexpr std::size_t client_text_bytes_max = 256;

// As Redis has it: these texts appear in lines of words.
inline bool is_client_text(std::string_view text) {
    return text.size() <= client_text_bytes_max &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}
inline Immediate refuse_client_text(std::string_view what) {
    return error("ERR " + std::string(what) +
                 " cannot contain spaces, newlines or special characters, and have at most " +
                 std::to_string(client_text_bytes_max) + " bytes");
}

inline Immediate greeting(const Connection& connection) {
    Immediate immediate;
    ReplyWriter reply(immediate.reply, connection.protocol);
    reply.map(7);
    reply.bulk("server");
    reply.bulk("kv");
    reply.bulk("version");
    reply.bulk(redis_version);
    reply.bulk("proto");
    reply.integer(static_cast<std::int64_t>(connection.protocol));
    reply.bulk("id");
    reply.integer(static_cast<std::int64_t>(connection.id));
    reply.bulk("mode");
    reply.bulk("cluster");
    reply.bulk("role");
    reply.bulk("master");  // As Redis says in a cluster, where CLUSTER tells who leads.
    reply.bulk("modules");
    reply.array(0);
    return immediate;
}

// HELLO [<version> [AUTH <user> <password>] [SETNAME <name>]]. It does all of it or nothing.
inline Command parse_hello(Arguments arguments, Connection& connection) {
    Connection changed = connection;
    if (arguments.size() > 1) {
        const auto version = parse_integer(arguments[1]);
        if (!version) {
            return error("ERR Protocol version is not an integer or out of range");
        }
        if (*version != 2 && *version != 3) {
            return error("NOPROTO unsupported protocol version");
        }
        changed.protocol = *version == 2 ? Protocol::resp2 : Protocol::resp3;
    }
    // Each once: a password costs a look at all accounts, and one request may name thousands.
    bool has_login = false;
    bool has_name = false;
    for (std::size_t i = 2; i < arguments.size();) {
        if (!has_login && same_word(arguments[i], "auth") && i + 2 < arguments.size()) {
            has_login = true;
            if (auto refusal = log_in(arguments[i + 1], arguments[i + 2], changed)) {
                connection.failed_logins = changed.failed_logins;
                return *std::move(refusal);
            }
            i += 3;
            continue;
        }
        const bool is_name = same_word(arguments[i], "setname") && i + 1 < arguments.size();
        if (!is_name || std::exchange(has_name, true)) {
            return error("ERR Syntax error in HELLO");
        }
        if (!is_client_text(arguments[i + 1])) return refuse_client_text("Client names");
        changed.name = arguments[i + 1];
        i += 2;
    }
    if (changed.is_stranger()) {
        return error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
            "select the RESP protocol version at the same time");
    }
    connection = std::move(changed);
    return greeting(connection);
}

inline Immediate set_library(Arguments arguments, Connection& connection) {
    const bool is_name = same_word(arguments[2], "lib-name");
    if (!is_name && !same_word(arguments[2], "lib-ver")) {
        return error("ERR Unrecognized option '" +
                     std::string(arguments[2].substr(0, quoted_bytes_max)) + "'");
    }
    if (!is_client_text(arguments[3])) return refuse_client_text("Names and versions of libraries");
    (is_name ? connection.library_name : connection.library_version) = arguments[3];
    return ok();
}

inline Immediate describe_client(const Connection& connection) {
    Immediate immediate;
    ReplyWriter(immediate.reply, connection.protocol)
        .text("id=" + std::to_string(connection.id) + " name=" + connection.name +
              " resp=" + std::to_string(static_cast<int>(connection.protocol)) + " lib-name=" +
              connection.library_name + " lib-ver=" + connection.library_version + "\n");
    return immediate;
}

inline Command parse_client(Arguments arguments, Connection& connection) {
    struct Subcommand {
        std::string_view name;
        std::size_t arity;
        Immediate (*answer)(Arguments, Connection&);
    };
    static constexpr std::array<Subcommand, 5> subcommands = {{
        {"setname", 3,
         [](Arguments words, Connection& client) {
             if (!is_client_text(words[2])) return refuse_client_text("Client names");
             client.name = words[2];
             return ok();
         }},
        {"setinfo", 4, set_library},
        {"getname", 2,
         [](Arguments, Connection& client) {
             return client.name.empty() ? null(client) : bulk(client.name);
         }},
        {"id", 2,
         [](Arguments, Connection& client) {
             return integer(static_cast<std::int64_t>(client.id));
         }},
        {"info", 2, [](Arguments, Connection& client) { return describe_client(client); }},
    }};
    for (const Subcommand& known : subcommands) {
        if (!same_word(arguments[1], known.name)) continue;
        return arguments.size() == known.arity ? known.answer(arguments, connection)
                                               : wrong_arity("client|" + std::string(known.name));
    }
    return unknown_subcommand(arguments);
}

// CONFIG SET loglevel <level>
inline Immediate set_config(Arguments arguments) {
    if (arguments.size() != 4) return wrong_arity("config|set");
    if (!same_word(arguments[2], "loglevel")) {
        return error("ERR CONFIG SET failed: only loglevel can be set, and not '" +
                     std::string(arguments[2].substr(0, quoted_bytes_max)) + "'");
    }
    const auto level = parse_log_level(to_lower(arguments[3].substr(0, quoted_bytes_max)));
    if (!level) {
        return error(
            "ERR CONFIG SET failed: argument(s) must be one of the following: debug, verbose, "
            "notice, warning");
    }
    log_level() = *level;
    return ok();
}

// Benchmarks ask for the first two.
inline Command parse_config(Arguments arguments, Connection& connection) {
    if (same_word(arguments[1], "set")) return set_config(arguments);
    if (!same_word(arguments[1], "get")) {
        return unknown_subcommand(arguments);
    }
    if (arguments.size() < 3) {
        return wrong_arity("config|get");
    }
    using Setting = std::pair<std::string_view, std::string_view>;
    const std::array<Setting, 3> settings = {
        {{"save", ""}, {"appendonly", "yes"}, {"loglevel", to_string(log_level())}}};
    std::vector<Setting> shown;
    for (const Setting& setting : settings) {
        const auto is_asked = [&](std::string_view name) {
            return name == "*" || same_word(name, setting.first);
        };
        if (std::any_of(arguments.begin() + 2, arguments.end(), is_asked)) {
            shown.push_back(setting);
        }
    }
    Immediate immediate;
    ReplyWriter reply(immediate.reply, connection.protocol);
    reply.map(shown.size());
    for (const auto& [name, value] : shown) {
        reply.bulk(name);
        reply.bulk(value);
    }
    return immediate;
}

// The group.

inline Command parse_info(Arguments arguments, Connection&) {
    InfoQuery query;
    for (const std::string_view section : arguments.subspan(1)) {
        const bool is_all = same_word(section, "all") || same_word(section, "everything") ||
                            same_word(section, "default");
        if (is_all) return InfoQuery{};
        query.sections.push_back(to_lower(section.substr(0, quoted_bytes_max)));
    }
    return query;
}

inline Command parse_cluster(Arguments arguments, Connection&) {
    const std::string_view what = arguments[1];
    if (same_word(what, "keyslot")) {
        return arguments.size() == 3 ? integer(key_slot(arguments[2]))
                                     : wrong_arity("cluster|keyslot");
    }
    struct Query {
        std::string_view name;
        ClusterQuery query;
    };
    constexpr std::array<Query, 5> queries = {{{"slots", ClusterQuery::slots},
                                               {"shards", ClusterQuery::shards},
                                               {"nodes", ClusterQuery::nodes},
                                               {"info", ClusterQuery::info},
                                               {"myid", ClusterQuery::my_id}}};
    for (const Query& known : queries) {
        if (same_word(what, known.name)) {
            if (arguments.size() != 2) {
                return wrong_arity("cluster|" + std::string(known.name));
            }
            return known.query;
        }
    }
    return unknown_subcommand(arguments);
}

}  // namespace detail

}  // namespace kv

#endif
