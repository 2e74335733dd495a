// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kill_rounds: kills a random node of a cluster of kv-server processes with SIGKILL, twenty times,
// while three clerks read and write, and then asks for an account: every acknowledged write must
// be there, and the history of the clerks must be linearizable.
//
//   test_programs kill_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "cluster.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>

#include <raft/base/random.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

namespace system_test::kill_rounds {

namespace {

using Clock = std::chrono::steady_clock;

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          random_(settings.seed),
          // Small, so that many nodes come back through a snapshot.
          cluster_(settings.server, directory, {"--snapshot-threshold", "64KiB"}, settings.seed,
                   kv::ClerkOptions{}) {}

    void run() {
        cluster_.found();
        cluster_.begin();
        for (std::uint64_t round = 1; round <= settings_.rounds; ++round) kill_one(round);
        cluster_.clerks().end();
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const {
        return std::to_string(settings_.rounds) + " kills (" + std::to_string(leaders_killed_) +
               " of leaders), " + std::to_string(snapshots_installed_) + " snapshots installed";
    }

private:
    void kill_one(std::uint64_t round) {
        const Node node = 1 + random_.below(3);
        const bool led = kv::field(cluster_.account(node), "role") == "leader";
        leaders_killed_ += led ? 1 : 0;
        const auto begin = Clock::now();
        cluster_.servers().process(node).kill();
        cluster_.clerks().wait_for_operations(100, "two nodes serve");
        const auto gap = Clock::now() - begin;
        // Sometimes the node misses so much that only a snapshot can bring it back.
        if (random_.below(2) == 0) cluster_.clerks().wait_for_operations(1500, "two nodes serve");

        const std::uint64_t commit = highest_commit(node);
        cluster_.servers().found(node);
        cluster_.clerks().wait("node " + std::to_string(node) + " catches up", [&] {
            return kv::number(cluster_.account(node), "applied") >= commit;
        });
        snapshots_installed_ += kv::number(cluster_.account(node), "snapshots_installed");
        cluster_.clerks().wait_for_operations(100, "three nodes serve");
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gap).count();
        std::cout << "round " << round << ": killed node " << node << (led ? " (leader)" : "")
                  << ", 100 operations later after " << ms << " ms, caught up with index " << commit
                  << std::endl;
    }

    std::uint64_t highest_commit(Node except) {
        std::uint64_t highest = 0;
        for (const Node node : cluster_.founders()) {
            if (node == except) continue;
            highest = std::max(highest, kv::number(cluster_.account(node), "commit"));
        }
        return highest;
    }

    const Settings& settings_;
    raft::Random random_;
    Cluster cluster_;
    std::uint64_t snapshots_installed_ = 0;
    std::uint64_t leaders_killed_ = 0;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Program program("kill_rounds",
                    "Kills random nodes of a kv cluster under load and checks what clients saw.",
                    settings);
    program.add_rounds(20, "How many nodes to kill, one after the other");
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::kill_rounds
