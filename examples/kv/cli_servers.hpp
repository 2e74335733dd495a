// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv snapshot and kv log-level: what is said to each server, and what each answers.
#ifndef RSM_EXAMPLES_KV_CLI_SERVERS_HPP
#define RSM_EXAMPLES_KV_CLI_SERVERS_HPP

#include "cli_service.hpp"
#include "log_level.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace kv {

/// The two commands, as the command line has them.
class ServerCommands {
public:
    explicit ServerCommands(CLI::App& app) {
        snapshot_ = declare(app, "snapshot", "Makes servers take a snapshot now");
        snapshot_->add_option("--wait", wait_seconds_, "Seconds until a server has it")
            ->check(CLI::Range(0.001, 1e6))
            ->capture_default_str();
        log_level_ = declare(app, "log-level", "Shows or changes which lines servers print");
        log_level_->add_option("LEVEL", level_, "The least important ones that are printed")
            ->transform(CLI::IsMember(names_of_log_levels(), CLI::ignore_case));
    }

    bool asked() const { return *snapshot_ || *log_level_; }
    int run(Addressees servers, std::chrono::nanoseconds timeout) const {
        if (!server_.empty()) servers.servers = {server_};
        if (*snapshot_) {
            const auto wait =
                std::chrono::nanoseconds(static_cast<std::int64_t>(wait_seconds_ * 1e9));
            return tell(servers, {"RAFT.SNAPSHOT"}, wait, snapshot_text);
        }
        if (level_.empty())
            return tell(servers, {"CONFIG", "GET", "loglevel"}, timeout, level_text);
        return tell(servers, {"CONFIG", "SET", "loglevel", level_}, timeout,
                    [this](const Reply&) { return level_; });
    }

private:
    CLI::App* declare(CLI::App& app, const char* name, const char* what) {
        CLI::App* const command = app.add_subcommand(name, what);
        command->fallthrough();
        command->add_option("--server", server_, "Only this one, not all: HOST:PORT");
        return command;
    }

    static std::string snapshot_text(const Reply& reply) {
        const Fields fields = parse_fields(reply.text);
        const std::string index = field(fields, "index");
        if (index == "0") return "nothing to take a snapshot of yet";
        return "snapshot up to index " + index + ", " + field(fields, "bytes") + " bytes";
    }
    static std::string level_text(const Reply& reply) {
        return reply.elements.size() == 2 ? reply.elements[1].text : "does not say";
    }

    /// A line for each server. The worst ending is everybody's.
    static int tell(const Addressees& servers, const std::vector<std::string>& words,
                    std::chrono::nanoseconds timeout,
                    const std::function<std::string(const Reply&)>& describe) {
        const std::vector<CallOutcome> outcomes = call_all(servers, words, timeout);
        int status = done;
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            const CallOutcome& outcome = outcomes[i];
            const std::string& server = servers.servers[i];
            if (outcome.error) {
                std::cerr << "kv: " << server << ": " << outcome.why() << '\n';
                status = std::max<int>(status, unavailable);
            } else if (outcome.reply.type == Reply::Type::error) {
                std::cerr << "kv: " << server << ": " << outcome.reply.text << '\n';
                const bool goes_on = outcome.reply.is_error("UNKNOWN");
                status = std::max<int>(status, goes_on ? unknown : usage);
            } else {
                std::cout << server << "  " << describe(outcome.reply) << '\n';
            }
        }
        return status;
    }

    CLI::App* snapshot_ = nullptr;
    CLI::App* log_level_ = nullptr;
    std::string server_;
    std::string level_;
    double wait_seconds_ = 660;
};

}  // namespace kv

#endif
