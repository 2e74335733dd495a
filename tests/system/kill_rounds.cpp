// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kill_rounds: kills a random node of a cluster of kv-server processes with SIGKILL, twenty times,
// while three clerks read and write, and then asks for an account: every acknowledged write must
// be there, and the history of the clerks must be linearizable.
//
//   kill_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "clerks.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>

#include <raft/base/random.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <string>

namespace {

using namespace system_test;
using Clock = std::chrono::steady_clock;

struct Settings {
    std::string server;
    std::uint64_t rounds = 20;
    std::uint64_t seed = 0;
    std::string history;
};

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          random_(settings.seed),
          // Small, so that many nodes come back through a snapshot.
          servers_(settings.server, directory, {"--snapshot-threshold", "64KiB"}) {
        servers_.add_founders(size);
        kv::ClerkOptions options;
        options.servers = servers_.clients();
        clerks_.emplace(options, settings.seed, [this] {
            const Node node = servers_.ended_by_itself();
            demand(node == 0, "node " + std::to_string(node) + " ended by itself");
        });
    }

    void run() {
        for (Node node = 1; node <= size; ++node) servers_.found(node);
        clerks_->begin();
        clerks_->wait_for_operations(100, "a new cluster serves");
        for (std::uint64_t round = 1; round <= settings_.rounds; ++round) kill_one(round);
        clerks_->end();
    }

    const Load& load() const { return clerks_->load(); }
    std::string summary() const {
        return std::to_string(settings_.rounds) + " kills (" + std::to_string(leaders_killed_) +
               " of leaders), " + std::to_string(snapshots_installed_) + " snapshots installed";
    }

private:
    static constexpr std::size_t size = 3;

    void kill_one(std::uint64_t round) {
        const Node node = 1 + random_.below(size);
        const bool led = kv::field(account(node), "role") == "leader";
        leaders_killed_ += led ? 1 : 0;
        const auto begin = Clock::now();
        servers_.process(node).kill();
        clerks_->wait_for_operations(100, "two nodes serve");
        const auto gap = Clock::now() - begin;
        // Sometimes the node misses so much that only a snapshot can bring it back.
        if (random_.below(2) == 0) clerks_->wait_for_operations(1500, "two nodes serve");

        const std::uint64_t commit = highest_commit(node);
        servers_.found(node);
        clerks_->wait("node " + std::to_string(node) + " catches up",
                      [&] { return kv::number(account(node), "applied") >= commit; });
        snapshots_installed_ += kv::number(account(node), "snapshots_installed");
        clerks_->wait_for_operations(100, "three nodes serve");
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gap).count();
        std::cout << "round " << round << ": killed node " << node << (led ? " (leader)" : "")
                  << ", 100 operations later after " << ms << " ms, caught up with index " << commit
                  << std::endl;
    }

    /// Empty if it does not answer.
    kv::Fields account(Node node) {
        return clerks_->accounts({servers_.client(node)}).front().fields;
    }
    std::uint64_t highest_commit(Node except) {
        std::uint64_t highest = 0;
        for (Node node = 1; node <= size; ++node) {
            if (node == except) continue;
            highest = std::max(highest, kv::number(account(node), "commit"));
        }
        return highest;
    }

    const Settings& settings_;
    raft::Random random_;
    Servers servers_;
    std::optional<Clerks> clerks_;
    std::uint64_t snapshots_installed_ = 0;
    std::uint64_t leaders_killed_ = 0;
};

bool run(const Settings& settings) {
    std::cout << "seed " << settings.seed << std::endl;
    rsm_test::TemporaryDirectory directory;
    Run run(settings, directory.path());
    return tell(run, directory, settings.history);
}

}  // namespace

int main(int count, char** words) {
    Settings settings;
    settings.seed = std::random_device{}();
    CLI::App app("Kills random nodes of a kv cluster under load and checks what clients saw.");
    app.add_option("SERVER", settings.server, "The kv-server program")
        ->required()
        ->check(CLI::ExistingFile);
    app.add_option("--rounds", settings.rounds, "How many nodes to kill, one after the other")
        ->capture_default_str();
    app.add_option("--seed", settings.seed, "Of the choices; by default another in every run");
    app.add_option("--history", settings.history, "Where to write what the clerks saw");
    CLI11_PARSE(app, count, words);
    try {
        return run(settings) ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::cout << "kill_rounds: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
