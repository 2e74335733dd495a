// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// replace_rounds: replaces a random node of a cluster of kv-server processes, twenty times, while
// three clerks read and write, as an operator does it with kv: a dead one by a new one, one without
// its directory by itself, one that is alive by a new one; and in between makes another one lead.
// Then it asks for an account: every acknowledged write must be there, the history of the clerks
// must be linearizable, and all replicas equal. It says for how long no write was acknowledged.
//
//   replace_rounds PATH/TO/kv-server PATH/TO/kv [--nodes N] [--rounds N] [--seed N] [--history
//   FILE]
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "clerks.hpp"
#include "gaps.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>
#include <kv/cli_status.hpp>

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
#include <vector>

namespace {

using namespace system_test;

// What kv-server has by default.
constexpr std::chrono::milliseconds election_timeout{500};

struct Settings {
    std::string server;
    std::string tool;
    std::size_t nodes = 3;
    std::uint64_t rounds = 20;
    std::uint64_t seed = 0;
    std::string history;
};

constexpr const char* nothing_done = "nothing done";
constexpr const char* newcomer_started = "a newcomer started";
constexpr const char* follower_killed = "follower killed";
constexpr const char* leader_killed = "leader killed";
constexpr const char* handed_over = "planned handover";
constexpr const char* follower_replaced = "replaced alive: a follower";
constexpr const char* leader_replaced = "replaced alive: the leader";
constexpr const char* dead_replaced = "a dead one replaced";
// The leader does it once for a node in 32 election timeouts, so most of it may be waiting for
// that.
constexpr const char* wiped_taken_in = "a wiped one taken in again";

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          directory_(directory),
          random_(settings.seed),
          servers_(settings.server, directory, options()),
          next_(settings.nodes + 1) {
        servers_.add_founders(settings.nodes);
        for (Node node = 1; node <= settings.nodes; ++node) members_.push_back(node);
        kv::ClerkOptions options;
        options.servers = servers_.clients();
        // What is measured is how long the service takes, not how long a clerk sleeps meanwhile.
        options.pause_max = std::chrono::milliseconds(20);
        clerks_.emplace(options, settings.seed, [this] {
            const Node node = servers_.ended_by_itself();
            demand(node == 0, "node " + std::to_string(node) + " ended by itself");
        });
    }

    void run() {
        for (const Node node : members_) servers_.found(node);
        clerks_->begin();
        clerks_->wait_for_operations(100, "a new cluster serves");
        clerks_->wait("the founders know each other's instances",
                      [this] { return know_each_other(accounts()); });
        for (std::uint64_t round = 1; round <= settings_.rounds; ++round) {
            std::cout << "round " << round << ":" << std::flush;
            if (random_.below(2) == 0) hand_over();
            replace_one();
            measure(nothing_done, [this] { clerks_->wait_for_operations(300, "all serve"); });
            std::cout << std::endl;
        }
        clerks_->end();
        compare_replicas();
        search_logs();
        judge_gaps();
    }

    const Load& load() const { return clerks_->load(); }
    const Gaps& gaps() const { return gaps_; }
    std::string summary() const {
        return std::to_string(settings_.rounds) + " rounds with " +
               std::to_string(settings_.nodes) + " nodes";
    }

private:
    static Words options() {
        // A threshold so small that newcomers are sent a snapshot.
        return {"--snapshot-threshold", "64KiB", "--election-timeout",
                std::to_string(election_timeout.count())};
    }

    // ---- a round ----

    void replace_one() {
        const Node node = members_[random_.below(members_.size())];
        const bool leads = leader() == node;
        std::cout << (leads ? " leader " : " follower ") << node;
        switch (random_.below(3)) {
            case 0: replace_a_dead_one(node, leads); break;
            case 1: wipe_one(node, leads); break;
            default: replace_one_alive(node, leads); break;
        }
        std::cout << ";" << std::flush;
    }

    void replace_a_dead_one(Node node, bool leads) {
        kill(node, leads);
        const Node successor = join_a_new_one(node);
        std::cout << ", in its place:";
        measure(dead_replaced, [&] {
            replace(node, successor);
            servers_.forget(node);
            await_all(successor);
        });
    }

    void wipe_one(Node node, bool leads) {
        const auto before = member_among(accounts_with_leader(), node);
        demand(before.has_value(), name(node) + " is no member although nothing was done");
        kill(node, leads);
        std::cout << ", taken in again:";
        servers_.join(node, another_than(node));
        measure(wiped_taken_in, [&] {
            clerks_->wait(name(node) + " is taken in again, as another instance", [&] {
                const auto now = member_among(accounts(), node);
                return now && now->standing == "voter" && now->instance != before->instance;
            });
            await_all(node);
        });
    }

    void replace_one_alive(Node node, bool leads) {
        std::cout << " alive";
        const Node successor = join_a_new_one(node);
        std::cout << ", in its place:";
        measure(leads ? leader_replaced : follower_replaced, [&] {
            replace(node, successor);
            clerks_->wait(name(node) + " learns that it was removed", [&] {
                return servers_.log_of(node).find("REMOVED: ") != std::string::npos;
            });
            demand(stop(node) == 0, name(node) + ", which was removed, does not end well");
            servers_.forget(node);
            await_all(successor);
        });
    }

    void hand_over() {
        const Node before = leader();
        const bool stops = random_.below(2) == 0;
        std::cout << " leader " << before << (stops ? " stopped:" : " asked to hand over:");
        measure(handed_over, [&] {
            if (stops) {
                demand(stop(before) == 0, "a leader that is stopped does not end well");
                servers_.reopen(before);
            } else {
                demand(operate({"transfer"}) == 0, "kv transfer failed");
            }
            await_all(before);
        });
        std::cout << ";" << std::flush;
    }

    /// For how long no write was acknowledged while this is done and until it has its effect.
    template <class Act>
    void measure(const char* kind, Act act) {
        Load& load = clerks_->load();
        load.silence.begin();
        act();
        const std::size_t enough = load.puts_ok + 20;
        clerks_->wait("writes are acknowledged", [&] { return load.puts_ok >= enough; });
        const std::int64_t gap = load.silence.longest();
        gaps_.add(kind, gap);
        std::cout << Gaps::in_ms(gap) << std::flush;
    }

    // ---- what is done to servers ----

    void kill(Node node, bool leads) {
        std::cout << " killed:";
        measure(leads ? leader_killed : follower_killed, [&] { servers_.wipe(node); });
    }

    /// SIGTERM. @return the exit status
    int stop(Node node) {
        Process process = servers_.release(node);
        process.ask_to_end();
        return await_end(process, name(node) + " ends");
    }

    Node join_a_new_one(Node except) {
        const Node node = next_++;
        const Node asked = another_than(except);
        servers_.add(node);
        std::cout << ", " << node << " started:";
        measure(newcomer_started, [&] {
            servers_.join(node, asked);
            clerks_->wait(name(node) + " serves",
                          [&] { return account_of(accounts(), node) != nullptr; });
        });
        return node;
    }

    /// As kv says it: when it ends well, the one votes and the other is no member.
    void replace(Node node, Node successor) {
        const int status = operate({"member", "replace", std::to_string(node),
                                    std::to_string(successor), servers_.peer(successor)});
        demand(status == 0, "kv member replace ends with " + std::to_string(status));
        *std::ranges::find(members_, node) = successor;
        const std::vector<kv::Row> rows = accounts_with_leader();
        const auto taken_in = member_among(rows, successor);
        demand(taken_in && taken_in->standing == "voter" && !member_among(rows, node),
               "kv member replace ended before " + name(successor) + " was in place");
    }

    /// Asks for it with kv. @return the exit status
    int operate(const Words& command) {
        Words words{settings_.tool, "--timeout", "60", "--cluster", joined(servers_.clients())};
        words.insert(words.end(), command.begin(), command.end());
        Process process(words, directory_ / "kv.log");
        return await_end(process, "kv " + command.front() + " ends");
    }

    int await_end(Process& process, const std::string& what) {
        std::optional<int> status;
        const auto has_ended = [&] { return (status = process.poll()).has_value(); };
        clerks_->wait(what, has_ended, std::chrono::seconds(120));
        return *status;
    }

    // ---- what they say ----

    static std::string name(Node node) { return "node " + std::to_string(node); }

    std::vector<kv::Row> accounts() { return clerks_->accounts(servers_.clients()); }

    /// Nobody leads for a moment where one that led has handed over.
    std::vector<kv::Row> accounts_with_leader() {
        std::vector<kv::Row> rows;
        clerks_->wait("somebody leads", [&] { return leader_among(rows = accounts()) != 0; });
        return rows;
    }
    Node leader() { return leader_among(accounts_with_leader()); }
    Node another_than(Node except) {
        Node node = except;
        while (node == except) node = members_[random_.below(members_.size())];
        return node;
    }

    /// Until the members are those that they should be, all voters, and this one has applied what
    /// was committed then.
    void await_all(Node newcomer) {
        clerks_->use(servers_.clients());
        std::uint64_t commit = 0;
        clerks_->wait("the members are settled", [&] {
            const std::vector<kv::Row> rows = accounts();
            const kv::Row* const teller = kv::leader_of(rows);
            if (teller == nullptr || !are_settled(*teller)) return false;
            commit = kv::number(teller->fields, "commit");
            return true;
        });
        clerks_->wait(name(newcomer) + " has applied what was committed", [&] {
            const std::vector<kv::Row> rows = accounts();
            const kv::Row* const own = account_of(rows, newcomer);
            return own != nullptr && kv::number(own->fields, "applied") >= commit;
        });
    }

    bool are_settled(const kv::Row& teller) const {
        const std::vector<kv::MemberRow> members = kv::members_of(teller);
        return kv::number(teller.fields, "members_settled") == 1 &&
               kv::number(teller.fields, "changing_members") == 0 &&
               members.size() == members_.size() &&
               std::ranges::all_of(members, [this](const kv::MemberRow& member) {
                   return member.standing == "voter" &&
                          std::ranges::find(members_, member.node) != members_.end();
               });
    }

    // ---- the account ----

    void compare_replicas() {
        clerks_->wait("all replicas are equal", [this] {
            std::vector<std::string> digests;
            for (const auto& outcome : clerks_->ask(servers_.clients(), "RAFT.DIGEST")) {
                digests.push_back(outcome.reply.text);
            }
            return digests.front().starts_with("digest:") &&
                   std::ranges::all_of(digests, [&digests](const std::string& digest) {
                       return digest == digests.front();
                   });
        });
    }

    /// Nobody was caught at what no node does whose directory nobody has touched.
    void search_logs() const {
        for (Node node = 1; node < next_; ++node) {
            const std::string log = servers_.log_of(node);
            for (const char* words : {"PROTOCOL VIOLATION", "ACKNOWLEDGEMENT LOST", "RIVAL LEADER",
                                      "stopped for good", "damage"}) {
                demand(log.find(words) == std::string::npos, name(node) + " says: " + words);
            }
        }
    }

    /// The goals are two election timeouts without a leader, and 50 ms where one hands over. What
    /// a busy machine adds is not the service's fault, so the bounds are ten times as much.
    void judge_gaps() const {
        using std::chrono::nanoseconds;
        constexpr nanoseconds lost = 10 * 2 * election_timeout;
        for (const std::string& kind : gaps_.kinds()) {
            demand(nanoseconds(gaps_.longest(kind)) <= lost, "too long without a write: " + kind);
        }
        // An election timeout as well: with more than that in most cases nothing is handed over. A
        // disk that makes all wait does so where nothing is done, too.
        constexpr nanoseconds planned = std::chrono::milliseconds(10 * 50);
        const nanoseconds everywhere(gaps_.longest(nothing_done));
        for (const auto& kinds : {Words{handed_over, leader_replaced}, Words{follower_replaced}}) {
            const std::int64_t median = gaps_.median(kinds);
            demand(nanoseconds(median) - everywhere <= planned,
                   "what is planned takes too long: " + kinds.front() + Gaps::in_ms(median));
        }
    }

    const Settings& settings_;
    std::filesystem::path directory_;
    raft::Random random_;
    Servers servers_;
    std::optional<Clerks> clerks_;
    Gaps gaps_;
    std::vector<Node> members_;
    Node next_;  // an id that no node has had
};

bool run(const Settings& settings) {
    std::cout << "seed " << settings.seed << std::endl;
    rsm_test::TemporaryDirectory directory;
    Run run(settings, directory.path());
    const bool good = tell(run, directory, settings.history);
    run.gaps().print();
    return good;
}

}  // namespace

int main(int count, char** words) {
    Settings settings;
    settings.seed = std::random_device{}();
    CLI::App app("Replaces random nodes of a kv cluster under load and checks what clients saw.");
    app.add_option("SERVER", settings.server, "The kv-server program")
        ->required()
        ->check(CLI::ExistingFile);
    app.add_option("TOOL", settings.tool, "The kv program")->required()->check(CLI::ExistingFile);
    app.add_option("--nodes", settings.nodes, "How many the cluster has")
        ->check(CLI::Range(std::size_t{3}, std::size_t{9}))
        ->capture_default_str();
    app.add_option("--rounds", settings.rounds, "How many nodes to replace, one after the other")
        ->capture_default_str();
    app.add_option("--seed", settings.seed, "Of the choices; by default another in every run");
    app.add_option("--history", settings.history, "Where to write what the clerks saw");
    CLI11_PARSE(app, count, words);
    try {
        return run(settings) ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::cout << "replace_rounds: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
