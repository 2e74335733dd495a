// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv: asks a kv service from the command line.
//
//   kv get KEY                    prints the value
//   kv put KEY VALUE              writes it, whatever was there
//   kv cas KEY VALUE VERSION      writes it if the key has this version (0: is absent)
//   kv status                     shows all servers
//
// Exit status: 0 done; 1 the key is absent or has another version, or (status) no leader was found;
// 2 wrong usage or a request that the service refuses; 3 the write may have taken effect or not;
// 4 no answer in time to a read.
#include "caller.hpp"
#include "clerk.hpp"
#include "integer.hpp"
#include "reply.hpp"

#include <CLI/CLI.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

enum ExitStatus : int { done = 0, no = 1, usage = 2, unknown = 3, unavailable = 4 };

struct Arguments {
    std::vector<std::string> cluster{"127.0.0.1:6381", "127.0.0.1:6382", "127.0.0.1:6383"};
    double timeout_seconds = 10;
    std::string key;
    std::string value;
    std::uint64_t version = 0;

    std::chrono::nanoseconds timeout() const {
        return std::chrono::nanoseconds(static_cast<std::int64_t>(timeout_seconds * 1e9));
    }
};

// ---- get, put, cas -----------------------------------------------------------------------------

int fail(boost::system::error_code error, const kv::Answer& answer, bool writes) {
    if (error == boost::asio::error::timed_out) {
        std::cerr << "kv: no answer in time"
                  << (writes ? "; the write may have taken effect, or still may" : "") << '\n';
        return writes ? unknown : unavailable;
    }
    std::cerr << "kv: " << (answer.value.empty() ? error.message() : answer.value) << '\n';
    return usage;
}

int tell(const kv::Answer& answer) {
    switch (answer.err) {
        case kv::Err::ok: return done;
        case kv::Err::no_key: std::cerr << "kv: no such key\n"; return no;
        case kv::Err::version: std::cerr << "kv: the key has another version\n"; return no;
        case kv::Err::maybe:
            std::cerr << "kv: the write may have taken effect or not; read the key to find out\n";
            return unknown;
    }
    return unknown;
}

template <class Start>
int ask(const Arguments& arguments, bool writes, Start start) {
    boost::asio::io_context io;
    kv::ClerkOptions options;
    options.servers = arguments.cluster;
    options.operation_timeout = arguments.timeout();
    kv::Clerk clerk(io.get_executor(), std::move(options));
    int status = unavailable;
    start(clerk, [&](boost::system::error_code error, const kv::Answer& answer) {
        if (error) {
            status = fail(error, answer, writes);
            return;
        }
        status = tell(answer);
        if (status == done && !writes) std::cout << answer.value << '\n';
        if (status == done && writes && answer.version != 0) std::cout << answer.version << '\n';
    });
    io.run();
    return status;
}

// ---- status ------------------------------------------------------------------------------------

using Fields = std::map<std::string, std::string, std::less<>>;

/// Lines "name:value".
Fields parse(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const std::size_t end = text.find("\r\n");
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        fields.emplace(line.substr(0, colon), line.substr(colon + 1));
    }
    return fields;
}

std::string field(const Fields& fields, std::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "-" : found->second;
}

std::uint64_t number(const Fields& fields, std::string_view name) {
    const auto value = kv::parse_integer(field(fields, name));
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
}

struct Row {
    Fields fields;
    std::string problem;  // empty: the server has answered
};

std::vector<Row> ask_all(const Arguments& arguments) {
    boost::asio::io_context io;
    std::string request;
    const std::string_view word = "RAFT.STATUS";
    kv::append_request(request, {&word, 1});
    std::vector<Row> rows(arguments.cluster.size());
    std::vector<std::unique_ptr<kv::Caller>> callers;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        callers.push_back(std::make_unique<kv::Caller>(io.get_executor()));
        callers.back()->call(arguments.cluster[i], request, arguments.timeout(),
                             [&row = rows[i]](const kv::CallOutcome& outcome) {
                                 if (outcome.error) {
                                     row.problem = "unreachable: " + outcome.error.message();
                                 } else if (outcome.reply.type != kv::Reply::Type::bulk) {
                                     row.problem = "no kv server: " + outcome.reply.text;
                                 } else {
                                     row.fields = parse(outcome.reply.text);
                                 }
                             });
    }
    io.run();
    return rows;
}

void print(const std::vector<std::string>& cells) {
    constexpr int widths[] = {6, 22, 14, 8, 12, 12, 12, 12, 10, 8};
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto width = static_cast<std::size_t>(widths[i]);
        line += cells[i];
        if (i + 1 == cells.size()) break;
        line.append(std::max(width, cells[i].size() + 1) - cells[i].size(), ' ');
    }
    std::cout << line << '\n';
}

/// Under the table: which server misses which peer, and why.
void print_missing_peers(const Row& row) {
    constexpr std::string_view name = "peer_";
    constexpr std::string_view reason = ",reason=";
    for (const auto& [key, value] : row.fields) {
        if (!key.starts_with(name) || !value.starts_with("connected=0")) continue;
        const std::size_t why = value.find(reason);
        const std::string text =
            why == std::string::npos ? std::string() : value.substr(why + reason.size());
        std::cout << "node " << field(row.fields, "node") << " is not connected to node "
                  << key.substr(name.size()) << ": " << (text.empty() ? "not yet" : text) << '\n';
    }
}

int status(const Arguments& arguments) {
    const std::vector<Row> rows = ask_all(arguments);
    // Two may call themselves leader for a moment: the one of the higher term is.
    const Row* leader = nullptr;
    for (const Row& row : rows) {
        if (field(row.fields, "role") != "leader") continue;
        if (leader == nullptr || number(row.fields, "term") > number(leader->fields, "term")) {
            leader = &row;
        }
    }
    const std::uint64_t commit = leader == nullptr ? 0 : number(leader->fields, "commit");
    print({"node", "address", "role", "term", "commit", "applied", "log bytes", "snapshot",
           "installed", "lag"});
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Fields& fields = rows[i].fields;
        if (!rows[i].problem.empty()) {
            print({"?", arguments.cluster[i], rows[i].problem});
            continue;
        }
        const std::uint64_t applied = number(fields, "applied");
        print({field(fields, "node"), field(fields, "address"), field(fields, "role"),
               field(fields, "term"), field(fields, "commit"), field(fields, "applied"),
               field(fields, "persisted_bytes"), field(fields, "snapshot"),
               field(fields, "snapshots_installed"),
               leader == nullptr ? "-" : std::to_string(commit > applied ? commit - applied : 0)});
    }
    for (const Row& row : rows) print_missing_peers(row);
    return leader == nullptr ? no : done;
}

// ---- the command line --------------------------------------------------------------------------

int run(int count, char** words) {
    Arguments arguments;
    CLI::App app("Asks a kv service.");
    app.require_subcommand(1);
    app.add_option("--cluster", arguments.cluster, "Where the servers serve clients: HOST:PORT,...")
        ->delimiter(',')
        ->default_str("127.0.0.1:6381,127.0.0.1:6382,127.0.0.1:6383");
    app.add_option("--timeout", arguments.timeout_seconds, "Seconds to wait for an answer")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    CLI::App* get = app.add_subcommand("get", "Prints the value of a key");
    CLI::App* put = app.add_subcommand("put", "Writes a key, whatever was there");
    CLI::App* cas = app.add_subcommand("cas", "Writes a key if it has the version (0: is absent)");
    CLI::App* all = app.add_subcommand("status", "Shows all servers");
    for (CLI::App* command : {get, put, cas}) {
        command->fallthrough();
        command->add_option("KEY", arguments.key)->required();
    }
    all->fallthrough();
    for (CLI::App* command : {put, cas}) {
        command->add_option("VALUE", arguments.value)->required();
    }
    constexpr auto version_max =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    cas->add_option("VERSION", arguments.version)
        ->required()
        ->check(CLI::Range(std::uint64_t{0}, version_max));
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? done : usage;
    }

    if (*all) return status(arguments);
    if (*get) {
        return ask(arguments, false,
                   [&](kv::Clerk& clerk, auto then) { clerk.async_get(arguments.key, then); });
    }
    if (*put) {
        return ask(arguments, true, [&](kv::Clerk& clerk, auto then) {
            clerk.async_set(arguments.key, arguments.value, then);
        });
    }
    return ask(arguments, true, [&](kv::Clerk& clerk, auto then) {
        // The clerk finds the leader with a read first: to send the write to a follower and then
        // again to the leader would put a refusal in doubt.
        const auto write = [&arguments, &clerk, then](boost::system::error_code error,
                                                      const kv::Answer& answer) {
            if (error) return then(error, answer);
            clerk.async_put(arguments.key, arguments.value, arguments.version, then);
        };
        clerk.async_get(arguments.key, write);
    });
}

}  // namespace

int main(int count, char** words) {
    try {
        return run(count, words);
    } catch (const std::exception& error) {
        std::cerr << "kv: " << error.what() << '\n';
        return usage;
    }
}
