// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kill_rounds: kills a random node of a cluster of kv-server processes with SIGKILL, twenty times,
// while three clerks read and write, and then asks for an account: every acknowledged write must
// be there, and the history of the clerks must be linearizable.
//
//   kill_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "kv/check/history_file.hpp"
#include "kv/check/model.hpp"
#include "load.hpp"
#include "processes.hpp"
#include "support/temporary_directory.hpp"

#include <kv/caller.hpp>
#include <kv/clerk.hpp>

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/check/linearizability.hpp>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
        : settings_(settings), random_(settings.seed), cluster_(settings.server, directory) {
        kv::ClerkOptions options;
        options.servers = cluster_.clients();
        for (std::uint64_t id = 1; id <= 3; ++id) {
            clients_.push_back(std::make_unique<Client>(io_.get_executor(), options, load_, id,
                                                        settings.seed * 31 + id));
        }
        kv::append_request(status_request_, std::vector<std::string_view>{"RAFT.STATUS"});
    }

    void run() {
        for (std::size_t node = 0; node < ServerProcesses::size; ++node) cluster_.start(node);
        for (const auto& client : clients_) client->run();
        wait_for_operations(100, "a new cluster serves");
        for (std::uint64_t round = 1; round <= settings_.rounds; ++round) kill_one(round);
        load_.ending = true;
        wait("the clients end", [this] { return idle(); });
        read_back();
    }

    const Load& load() const { return load_; }
    std::uint64_t snapshots_installed() const { return snapshots_installed_; }
    std::uint64_t leaders_killed() const { return leaders_killed_; }

private:
    void kill_one(std::uint64_t round) {
        const std::size_t node = random_.below(ServerProcesses::size);
        const bool led = status(node, "role") == "leader";
        leaders_killed_ += led ? 1 : 0;
        const auto begin = Clock::now();
        cluster_.kill(node);
        wait_for_operations(100, "two nodes serve");
        const auto gap = Clock::now() - begin;
        // Sometimes the node misses so much that only a snapshot can bring it back.
        if (random_.below(2) == 0) wait_for_operations(1500, "two nodes serve");

        const std::uint64_t commit = highest_commit(node);
        cluster_.start(node);
        wait("node " + std::to_string(node + 1) + " catches up",
             [&] { return number(status(node, "applied")) >= commit; });
        snapshots_installed_ += number(status(node, "snapshots_installed"));
        wait_for_operations(100, "three nodes serve");
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gap).count();
        std::cout << "round " << round << ": killed node " << node + 1 << (led ? " (leader)" : "")
                  << ", 100 operations later after " << ms << " ms, caught up with index " << commit
                  << std::endl;
    }

    void read_back() {
        std::vector<std::vector<std::string>> shares(clients_.size());
        std::size_t next = 0;
        for (const auto& [key, written] : load_.acknowledged) {
            shares[next++ % shares.size()].push_back(key);
        }
        for (std::size_t i = 0; i < clients_.size(); ++i) clients_[i]->read(shares[i]);
        wait("all keys are read back", [this] { return idle(); });
        for (const auto& [key, written] : load_.acknowledged) {
            if (!holds(key, written)) {
                throw std::runtime_error("lost: " + key + " version " +
                                         std::to_string(written.version));
            }
        }
    }

    bool holds(const std::string& key, const Load::Written& written) const {
        for (const auto& client : clients_) {
            const auto found = client->found().find(key);
            if (found == client->found().end()) continue;
            const Load::Written& there = found->second;
            // A later version can only be the work of a put whose clerk was not told.
            return there.version > written.version ||
                   (there.version == written.version && there.value == written.value);
        }
        return false;
    }

    bool idle() const {
        for (const auto& client : clients_) {
            if (!client->idle()) return false;
        }
        return true;
    }

    void wait_for_operations(std::size_t count, const std::string& what) {
        const std::size_t enough = load_.operations + count;
        wait(what, [this, enough] { return load_.operations >= enough; });
    }

    /// Runs the clients until `reached()`, which may itself run them.
    template <class Condition>
    void wait(const std::string& what, Condition reached) {
        const auto deadline = Clock::now() + std::chrono::seconds(30);
        while (!reached()) {
            if (Clock::now() > deadline) throw std::runtime_error("in vain waited until " + what);
            step();
        }
    }

    void step() {
        if (!load_.problem.empty()) throw std::runtime_error(load_.problem);
        if (const std::size_t node = cluster_.failed_node(); node != ServerProcesses::size) {
            throw std::runtime_error("node " + std::to_string(node + 1) + " ended by itself");
        }
        if (io_.stopped()) io_.restart();
        io_.run_one_for(std::chrono::milliseconds(100));
    }

    /// A line of a node's own account of itself; empty if it does not answer.
    std::string status(std::size_t node, std::string_view name) {
        kv::Caller caller(io_.get_executor());
        std::optional<kv::CallOutcome> outcome;
        caller.call(cluster_.clients()[node], status_request_, std::chrono::seconds(1),
                    [&outcome](kv::CallOutcome given) { outcome = std::move(given); });
        while (!outcome) step();
        const std::string text = "\r\n" + outcome->reply.text;
        const std::string wanted = "\r\n" + std::string(name) + ":";
        const std::size_t begin = text.find(wanted);
        if (begin == std::string::npos) return {};
        const std::size_t value = begin + wanted.size();
        return text.substr(value, text.find("\r\n", value) - value);
    }

    static std::uint64_t number(const std::string& text) {
        return text.empty() ? 0 : std::stoull(text);
    }

    std::uint64_t highest_commit(std::size_t except) {
        std::uint64_t highest = 0;
        for (std::size_t node = 0; node < ServerProcesses::size; ++node) {
            if (node != except) highest = std::max(highest, number(status(node, "commit")));
        }
        return highest;
    }

    const Settings& settings_;
    raft::Random random_;
    boost::asio::io_context io_{1};
    ServerProcesses cluster_;
    Load load_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::string status_request_;
    std::uint64_t snapshots_installed_ = 0;
    std::uint64_t leaders_killed_ = 0;
};

void write_history(const Settings& settings, const rsm_test::TemporaryDirectory& directory,
                   const Load& load, bool failed) {
    std::string file = settings.history;
    if (file.empty() && failed) file = directory / "history.jsonl";
    if (file.empty()) return;
    std::ofstream out(file);
    kv::check::write_kv_history(out, load.history.operations());
    out.flush();
    if (!out) throw std::runtime_error("cannot write " + file);
    std::cout << "history: " << file << std::endl;
}

bool judge(const Load& load) {
    const auto report =
        rsm::check::check_linearizability(kv::check::KvModel{}, load.history.operations());
    switch (report.verdict) {
        case rsm::check::Verdict::linearizable: return true;
        case rsm::check::Verdict::not_linearizable:
            std::cout << "NOT LINEARIZABLE" << std::endl;
            if (report.explanation) {
                for (const std::size_t position : report.explanation->core) {
                    const auto& operation = load.history.operations()[position];
                    std::cout << "  " << kv::check::format_kv_operation(operation) << '\n';
                }
            }
            return false;
        case rsm::check::Verdict::undecided: break;
    }
    std::cout << "linearizable or not: undecided within the checker's limits" << std::endl;
    return false;
}

bool run(const Settings& settings) {
    std::cout << "seed " << settings.seed << std::endl;
    const auto begin = Clock::now();
    rsm_test::TemporaryDirectory directory;
    directory.keep = true;  // until all has gone well
    Run run(settings, directory.path());
    bool good = false;
    try {
        run.run();
        good = judge(run.load());
    } catch (const std::exception& error) {
        std::cout << "FAILED: " << error.what() << std::endl;
    }
    write_history(settings, directory, run.load(), !good);
    directory.keep = !good;
    const Load& load = run.load();
    const auto taken = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
    std::cout << (good ? "passed: " : "failed: ") << settings.rounds << " kills ("
              << run.leaders_killed() << " of leaders), " << run.snapshots_installed()
              << " snapshots installed, " << load.history.size() << " operations, " << load.puts_ok
              << " acknowledged puts, " << load.puts_maybe << " in doubt, " << taken.count() << " s"
              << std::endl;
    if (!good) std::cout << "logs and data: " << directory.path() << std::endl;
    return good;
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
