// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv: asks a kv service from the command line.
//
//   kv get KEY                    prints the value
//   kv put KEY VALUE              writes it, whatever was there
//   kv cas KEY VALUE VERSION      writes it if the key has this version (0: is absent)
//   kv status                     shows all servers, and who is a member
//   kv top [--once]               the same and more, at work, each second
//   kv snapshot                   makes all servers, or --server ADDRESS, take a snapshot now
//   kv log-level [LEVEL]          shows or changes which lines the servers print
//   kv member list                shows the members, as the leader has them
//   kv member add ID ADDRESS [--learner]
//   kv member remove ID
//   kv member promote ID | demote ID
//   kv member replace OLD NEW ADDRESS
//   kv member move ID ADDRESS
//   kv member priority ID PRIORITY
//   kv transfer [ID]              makes another server lead
//   kv backup FILE [--from follower | --server ADDRESS]
//
// The servers are those of --cluster, or else those that KV_CLUSTER in the environment names in the
// same way, or else 127.0.0.1:6381 to 6383. Some of them are enough: they say who leads.
//
// Where the servers ask for a user and a password, these are in the file that --auth-file names, or
// in the environment: KV_PASSWORD, and KV_USER if that is not "default".
//
// An ADDRESS is where that server talks to the others. Changes of members end when the cluster has
// them for good, or will not.
//
// A backup contains all that was acknowledged before the command; a cluster is founded from it with
// kv-server --restore FILE.
//
// Exit status: 0 done; 1 the key is absent or has another version, or (status, member, transfer,
// backup) no leader, or no follower, was found; 2 wrong usage or a request that the service
// refuses; 3 the write or the change may have taken effect or not; 4 no answer in time to a read or
// a backup, or no server that a write could be sent to.
#include "clerk.hpp"
#include "cli_backup.hpp"
#include "cli_members.hpp"
#include "cli_servers.hpp"
#include "cli_service.hpp"
#include "cli_status.hpp"
#include "cli_top.hpp"
#include "tls_options.hpp"

#include <rsm/version_text.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

using kv::done;
using kv::no;
using kv::unavailable;
using kv::unknown;
using kv::usage;

struct Arguments {
    std::vector<std::string> cluster{"127.0.0.1:6381", "127.0.0.1:6382", "127.0.0.1:6383"};
    std::string auth_file;
    double timeout_seconds = 10;
    std::string key;
    std::string value;
    std::uint64_t version = 0;

    kv::Credentials credentials() const { return kv::find_credentials("--auth-file", auth_file); }
    kv::Addressees addressees() const { return {cluster, credentials()}; }
    std::chrono::nanoseconds timeout() const {
        return std::chrono::nanoseconds(static_cast<std::int64_t>(timeout_seconds * 1e9));
    }
};

// ---- get, put, cas -----------------------------------------------------------------------------

int fail(boost::system::error_code error, const kv::Answer& answer, bool writes,
         const kv::Addressees& asked) {
    if (error == boost::asio::error::timed_out) {
        const bool in_doubt = writes && answer.sent;
        std::cerr << "kv: no answer in time";
        if (writes && !in_doubt) std::cerr << "; no server could be asked, so nothing is written";
        if (in_doubt) std::cerr << "; the write may have taken effect, or still may";
        if (!answer.value.empty()) std::cerr << " (" << answer.value << ')';
        std::cerr << kv::silence_text(asked) << '\n';
        return in_doubt ? unknown : unavailable;
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
    options.credentials = arguments.credentials();
    kv::Clerk clerk(io.get_executor(), std::move(options));
    int status = unavailable;
    start(clerk, [&](boost::system::error_code error, const kv::Answer& answer) {
        if (error) {
            status = fail(error, answer, writes, arguments.addressees());
            return;
        }
        status = tell(answer);
        if (status == done && !writes) std::cout << answer.value << '\n';
        if (status == done && writes && answer.version != 0) std::cout << answer.version << '\n';
    });
    io.run();
    return status;
}

// ---- the command line --------------------------------------------------------------------------

int run(int count, char** words) {
    Arguments arguments;
    CLI::App app("Asks a kv service.");
    app.set_version_flag("--version", "kv of rsm " + rsm::version_text());
    app.require_subcommand(1);
    app.add_option("--cluster", arguments.cluster, "Where the servers serve clients: HOST:PORT,...")
        ->delimiter(',')
        ->envname(kv::cluster_variable)
        ->default_str("127.0.0.1:6381,127.0.0.1:6382,127.0.0.1:6383");
    app.add_option(
        "--auth-file", arguments.auth_file,
        "Whose first line is USER PASSWORD, or PASSWORD of the user \"default\"; without "
        "it the environment is looked at: KV_USER and KV_PASSWORD");
    app.add_option("--timeout", arguments.timeout_seconds, "Seconds to wait for an answer")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    kv::TlsArguments tls;
    kv::declare_tls(app, tls);
    CLI::App* get = app.add_subcommand("get", "Prints the value of a key");
    CLI::App* put = app.add_subcommand("put", "Writes a key, whatever was there");
    CLI::App* cas = app.add_subcommand("cas", "Writes a key if it has the version (0: is absent)");
    CLI::App* all = app.add_subcommand("status", "Shows all servers, and who is a member");
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
    const kv::LeaderCommands leader_commands(app);
    const kv::ServerCommands server_commands(app);
    kv::TopWish top_wish;
    const CLI::App* const top = kv::declare_top(app, top_wish);
    kv::BackupWish wish;
    const CLI::App* const backup = kv::declare_backup(app, wish);
    try {
        app.parse(count, words);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? done : usage;
    }

    kv::own_tls() = kv::open_tls(tls);
    if (*all) return kv::print_status(arguments.addressees(), arguments.timeout());
    if (*backup) return kv::make_backup(arguments.addressees(), wish, arguments.timeout());
    if (*top) return kv::Top(arguments.addressees(), top_wish).run();
    if (server_commands.asked()) {
        return server_commands.run(arguments.addressees(), arguments.timeout());
    }
    if (leader_commands.asked()) {
        return leader_commands.run(arguments.addressees(), arguments.timeout());
    }
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
