// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// hang_rounds: lets the disk of each of three kv-server processes hang in turn, and then that of a
// follower and that of the leader, while three clerks read and write: fdatasync does not return.
// Then one is killed and the leader's disk hangs: no majority has working disks, so a write is
// unknown and nobody leads until the disk is well. Then it asks for an account. Writes must go on
// within a few election timeouts of when the node notices, which must neither lead nor vote until
// its disk is well again, and then come back by itself. It says for how long no write was
// acknowledged.
//
//   test_programs hang_rounds PATH/TO/kv-server PATH/TO/hanging_disk.so [--seconds N] [--stall MS]
//   [--seed N]
//   [--history FILE]
#include "cluster.hpp"
#include "preloaded.hpp"
#include "program.hpp"
#include "support/temporary_directory.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

namespace system_test::hang_rounds {

namespace {

using Clock = std::chrono::steady_clock;

struct HangSettings : Settings {
    std::string library;
    std::uint64_t seconds = 30;
    std::uint64_t stall_ms = 5000;
};

class Run {
public:
    Run(const HangSettings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          directory_(directory),
          cluster_(settings.server, directory,
                   {"--snapshot-threshold", "64KiB", "--election-timeout",
                    std::to_string(election_timeout.count()), "--disk-stall-timeout",
                    std::to_string(settings.stall_ms), "--operation-timeout",
                    std::to_string(2 * settings.stall_ms)},
                   settings.seed) {}

    void run() {
        start_all();
        cluster_.begin();
        for (const Node node : cluster_.founders()) hang(node);
        // Each may have led just then.
        hang(cluster_.another_than(cluster_.await_leader(), settings_.seed));
        hang(cluster_.await_leader());
        hang_the_last_majority();
        cluster_.clerks().end();
        cluster_.search_logs(3);
        demand(leaders_ > 0, "no leader's disk has hung");
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const {
        return "5 disks that hung for " + std::to_string(settings_.seconds) + " s, " +
               std::to_string(leaders_) + " of them a leader's";
    }

private:
    std::string switch_of(Node node) const {
        return directory_ / ("hangs-" + std::to_string(node));
    }

    /// Only they find the library and the switch in their environment.
    void start_all() {
        for (const Node node : cluster_.founders()) {
            const Preloaded now(settings_.library, "RSM_DISK_HANGS", switch_of(node));
            cluster_.servers().found(node);
        }
    }

    void hang(Node node) {
        const bool leads = cluster_.await_leader() == node;
        leaders_ += leads ? 1 : 0;
        std::cout << Cluster::name(node) << (leads ? ", the leader:" : ":") << std::flush;
        const std::string kind = leads ? "a leader's disk hangs" : "a follower's disk hangs";
        const std::int64_t gap = cluster_.measure_aloud(kind, [&] { hang_for_long(node); });
        judge(kind, gap, leads);
        cluster_.clerks().wait(Cluster::name(node) + " is well again", [&] {
            return kv::field(cluster_.account(node), "disk_stalled") == "0";
        });
        cluster_.await_all(node);
        await_lines(node);
        cluster_.clerks().wait("the leader knows that it is", [&] {
            return cluster_.leader() == node || cluster_.leader_says(node, ",disk_stalled=0");
        });
        cluster_.measure_aloud("all are well",
                               [this] { cluster_.clerks().wait_for_operations(300, "all serve"); });
        std::cout << std::endl;
    }

    /// Each disk that has hung is one that is well again.
    void await_lines(Node node) {
        cluster_.clerks().wait(Cluster::name(node) + " says so", [&] {
            const std::string log = cluster_.servers().log_of(node);
            const std::size_t hung = count_of(log, "DISK HANGS: a write of this node does not end");
            return hung > 0 && hung == count_of(log, "disk: what hung has been written");
        });
    }

    void hang_the_last_majority() {
        const Node leader = cluster_.await_leader();
        const Node gone = cluster_.another_than(leader, settings_.seed);
        std::cout << Cluster::name(gone) << " is killed, and the disk of " << Cluster::name(leader)
                  << ", the leader, hangs:" << std::flush;
        cluster_.servers().process(gone).kill();
        rsm_test::write_file(switch_of(leader), "");
        const auto written = cluster_.clerks()
                                 .ask({cluster_.servers().client(leader)},
                                      {"SET", "unknown", "value"}, std::chrono::seconds(60))
                                 .front();
        demand(!written.error && written.reply.is_error("UNKNOWN"),
               "a write that no majority can have written is not unknown, but " +
                   (written.error ? written.error.message() : written.reply.text));
        cluster_.clerks().wait("nobody leads", [&] { return cluster_.leader() == 0; });
        const auto end = Clock::now() + 4 * election_timeout;
        cluster_.clerks().wait("time passes", [&] {
            demand(cluster_.leader() == 0, "a node leads without a majority of working disks");
            return Clock::now() >= end;
        });
        std::filesystem::remove(switch_of(leader));
        cluster_.clerks().wait_for_operations(300, "the two that are left serve");
        cluster_.servers().reopen(gone);
        cluster_.await_all(gone);
        await_lines(leader);
        std::cout << " served again" << std::endl;
    }

    void hang_for_long(Node node) {
        const auto end = Clock::now() + std::chrono::seconds(settings_.seconds);
        rsm_test::write_file(switch_of(node), "");
        cluster_.clerks().wait(Cluster::name(node) + " says that its disk hangs", [&] {
            return kv::field(cluster_.account(node), "disk_stalled") == "1";
        });
        cluster_.clerks().wait("another one leads", [&] {
            const Node leader = cluster_.leader();
            return leader != 0 && leader != node;
        });
        cluster_.clerks().wait("the leader says so, too",
                               [&] { return cluster_.leader_says(node, ",disk_stalled=1"); });
        const Node leader = cluster_.leader();
        const std::string term = kv::field(cluster_.account(leader), "term");
        cluster_.clerks().wait(
            "time passes", [&] { return Clock::now() >= end; },
            std::chrono::seconds(settings_.seconds + 60));
        demand(kv::field(cluster_.account(node), "disk_stalled") == "1",
               Cluster::name(node) + " takes its disk for well while that hangs");
        demand(kv::field(cluster_.account(node), "role") == "follower",
               Cluster::name(node) + " stands for election while its disk hangs");
        demand(kv::field(cluster_.account(leader), "term") == term,
               "an election was held while a follower's disk hung");
        std::filesystem::remove(switch_of(node));
    }

    /// The goal is two election timeouts after it was noticed. What a busy machine adds is not the
    /// service's fault, so the bound is ten times as much.
    void judge(const std::string& kind, std::int64_t gap, bool leads) const {
        using std::chrono::nanoseconds;
        const nanoseconds noticed =
            leads ? std::chrono::milliseconds(settings_.stall_ms) + election_timeout / 5
                  : std::chrono::milliseconds(0);
        demand(nanoseconds(gap) <= noticed + 10 * 2 * election_timeout,
               "too long without a write: " + kind);
    }

    const HangSettings& settings_;
    std::filesystem::path directory_;
    Cluster cluster_;
    std::uint64_t leaders_ = 0;
};

}  // namespace

int run(int count, char** words) {
    HangSettings settings;
    Program program("hang_rounds",
                    "Lets the disks of a kv cluster hang under load and checks what clients saw.",
                    settings);
    program.add_program("LIBRARY", settings.library, "What makes a disk hang, to be preloaded");
    program.options()
        .add_option("--seconds", settings.seconds, "For how long each hangs")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{600}))
        ->capture_default_str();
    program.options()
        .add_option("--stall", settings.stall_ms,
                    "Milliseconds after which a server takes its disk for one that hangs")
        ->check(CLI::Range(std::uint64_t{50}, std::uint64_t{60'000}))
        ->capture_default_str();
    program.add_seed();
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::hang_rounds
