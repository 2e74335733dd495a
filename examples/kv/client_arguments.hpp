// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the command line of a kv server says of its clients.
#ifndef RSM_EXAMPLES_KV_CLIENT_ARGUMENTS_HPP
#define RSM_EXAMPLES_KV_CLIENT_ARGUMENTS_HPP

#include "credentials.hpp"
#include "log.hpp"
#include "memory_limit.hpp"
#include "server_options.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kv {

struct ClientArguments {
    std::size_t max_clients = 10000;
    std::optional<std::size_t> client_memory;
    std::uint64_t request_timeout_ms = 30'000;
    std::uint64_t reply_timeout_ms = 60'000;
    std::uint64_t idle_timeout_s = 0;
    std::uint64_t keep_alive_s = 300;
    std::string auth_file;
};

inline void declare_client_times(CLI::App& app, ClientArguments& arguments) {
    const CLI::Range up_to_a_day_ms(std::uint64_t{0}, std::uint64_t{86'400'000});
    app.add_option("--request-timeout", arguments.request_timeout_ms,
                   "Milliseconds that a client may take to complete a request that it has begun to "
                   "send, and to say who it is where that is asked for; 0: any time")
        ->check(up_to_a_day_ms)
        ->capture_default_str();
    app.add_option("--reply-timeout", arguments.reply_timeout_ms,
                   "Milliseconds for which a client may take no byte of the replies that wait for "
                   "it; 0: any time")
        ->check(up_to_a_day_ms)
        ->capture_default_str();
    app.add_option("--timeout", arguments.idle_timeout_s,
                   "Seconds after which a client that wants nothing is closed; 0: never")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{31'536'000}))
        ->capture_default_str();
    app.add_option("--tcp-keepalive", arguments.keep_alive_s,
                   "Seconds of silence after which the system asks a client whether it is still "
                   "there; one that does not answer for as long again is closed; 0: never")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{32'767}))
        ->capture_default_str();
}

inline void declare_client_arguments(CLI::App& app, ClientArguments& arguments) {
    app.add_option("--max-clients", arguments.max_clients,
                   "Connections at once, as far as there are descriptors for them")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
        ->capture_default_str();
    app.add_option("--client-memory", arguments.client_memory,
                   "Bytes that requests and replies of all clients together may take, at least "
                   "64MiB")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::size_t{64} << 20, std::size_t{1} << 40))
        ->default_str("a quarter of what the process may have, 256MiB at most");
    declare_client_times(app, arguments);
    app.add_option(
        "--auth-file", arguments.auth_file,
        "Who may use the service: lines USER PASSWORD, or PASSWORD of the user "
        "\"default\". The first one is also what --join says to the server that it asks. "
        "Without the file KV_USER and KV_PASSWORD of the environment are looked at, and "
        "without these everybody may");
}

/// @param clients  for which there are descriptors
/// @throws std::invalid_argument  if there is something wrong with the accounts
inline ServerOptions server_options(const ClientArguments& arguments, std::size_t clients) {
    ServerOptions options;
    options.max_clients = clients;
    options.client_memory = arguments.client_memory.value_or(usual_client_memory(memory_limit()));
    options.request_timeout = std::chrono::milliseconds(arguments.request_timeout_ms);
    options.reply_timeout = std::chrono::milliseconds(arguments.reply_timeout_ms);
    options.idle_timeout = std::chrono::seconds(arguments.idle_timeout_s);
    options.keep_alive = std::chrono::seconds(arguments.keep_alive_s);
    options.accounts = Accounts(find_accounts("--auth-file", arguments.auth_file));
    if (is_readable_by_all(arguments.auth_file)) {
        log_line("--auth-file: every user of this machine may read " + arguments.auth_file);
    }
    return options;
}

}  // namespace kv

#endif
