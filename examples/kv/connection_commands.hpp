// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The commands that are about the connection and the service rather than about keys.
#ifndef RSM_EXAMPLES_KV_CONNECTION_COMMANDS_HPP
#define RSM_EXAMPLES_KV_CONNECTION_COMMANDS_HPP

#include "command_spec.hpp"
#include "integer.hpp"
#include "resp.hpp"
#include "topology.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

namespace detail {

inline Command parse_ping(Arguments arguments, Connection&) {
    if (arguments.size() > 2) {
        return wrong_arity("ping");
    }
    return arguments.size() == 2 ? bulk(arguments[1]) : Immediate{"+PONG\r\n"};
}

inline Command parse_echo(Arguments arguments, Connection&) { return bulk(arguments[1]); }

inline Command parse_ok(Arguments, Connection&) { return ok(); }

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

// RESP3 is refused in the words upon which clients fall back to RESP2.
inline Command parse_hello(Arguments arguments, Connection& connection) {
    if (arguments.size() > 1) {
        const auto version = parse_integer(arguments[1]);
        if (!version) {
            return error("ERR Protocol version is not an integer or out of range");
        }
        if (*version != 2) {
            return error("NOPROTO unsupported protocol version");
        }
    }
    if (arguments.size() > 2) {
        return error("ERR syntax error in HELLO");
    }
    Immediate immediate;
    ReplyWriter reply(immediate.reply);
    reply.array(8);
    reply.bulk("server");
    reply.bulk("kv");
    reply.bulk("proto");
    reply.integer(2);
    reply.bulk("id");
    reply.integer(static_cast<std::int64_t>(connection.id));
    reply.bulk("mode");
    reply.bulk("cluster");
    return immediate;
}

inline Command set_client_name(std::string_view name, Connection& connection) {
    constexpr std::size_t name_bytes_max = 256;
    const bool is_plain =
        std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!is_plain || name.size() > name_bytes_max) {
        return error(
            "ERR Client names cannot contain spaces, newlines or special characters, and have at "
            "most 256 bytes");
    }
    connection.name = name;
    return ok();
}

inline Command parse_client(Arguments arguments, Connection& connection) {
    const std::string_view what = arguments[1];
    if (same_word(what, "setname")) {
        return arguments.size() == 3 ? set_client_name(arguments[2], connection)
                                     : wrong_arity("client|setname");
    }
    if (same_word(what, "setinfo")) {
        return arguments.size() == 4 ? ok() : wrong_arity("client|setinfo");
    }
    if (same_word(what, "getname")) {
        return connection.name.empty() ? Immediate{"$-1\r\n"} : bulk(connection.name);
    }
    if (same_word(what, "id")) {
        return integer(static_cast<std::int64_t>(connection.id));
    }
    return unknown_subcommand(arguments);
}

// Benchmarks ask for these two. There is no other setting to show.
inline Command parse_config(Arguments arguments, Connection&) {
    if (!same_word(arguments[1], "get")) {
        return unknown_subcommand(arguments);
    }
    if (arguments.size() < 3) {
        return wrong_arity("config|get");
    }
    std::vector<std::string_view> shown;
    for (const std::string_view name : arguments.subspan(2)) {
        if (same_word(name, "save")) {
            shown.insert(shown.end(), {"save", ""});
        } else if (same_word(name, "appendonly")) {
            shown.insert(shown.end(), {"appendonly", "yes"});
        }
    }
    Immediate immediate;
    ReplyWriter reply(immediate.reply);
    reply.array(shown.size());
    for (const std::string_view text : shown) {
        reply.bulk(text);
    }
    return immediate;
}

// The group.

inline Command parse_info(Arguments, Connection&) { return InfoQuery{}; }

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
