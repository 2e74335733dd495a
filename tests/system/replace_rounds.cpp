// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// replace_rounds: replaces a random node of a cluster of kv-server processes, twenty times, while
// three clerks read and write, as an operator does it with kv: a dead one by a new one, one without
// its directory by itself, one that is alive by a new one; and in between makes another one lead.
// Then it asks for an account: every acknowledged write must be there, the history of the clerks
// must be linearizable, and all replicas equal. It says for how long no write was acknowledged.
//
//   test_programs replace_rounds PATH/TO/kv-server PATH/TO/kv [--nodes N] [--rounds N] [--seed N]
//   [--history FILE]
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "cluster.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>
#include <kv/cli_status.hpp>

#include <raft/base/random.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace system_test::replace_rounds {

namespace {

struct ReplaceSettings : Settings {
    std::string tool;
    std::size_t nodes = 3;
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
    Run(const ReplaceSettings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          directory_(directory),
          random_(settings.seed),
          cluster_(settings.server, directory, options(), settings.seed, impatient(),
                   settings.nodes),
          members_(cluster_.founders()),
          next_(settings.nodes + 1) {}

    void run() {
        cluster_.found();
        cluster_.begin();
        cluster_.await_acquaintance();
        for (std::uint64_t round = 1; round <= settings_.rounds; ++round) {
            std::cout << "round " << round << ":" << std::flush;
            if (random_.below(2) == 0) hand_over();
            replace_one();
            measure(nothing_done, [this] { clerks().wait_for_operations(300, "all serve"); });
            std::cout << std::endl;
        }
        clerks().end();
        cluster_.compare_replicas();
        cluster_.search_logs(next_ - 1);
        judge_gaps();
    }

    const Cluster& cluster() const { return cluster_; }
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
        const bool leads = cluster_.await_leader() == node;
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
            servers().forget(node);
            await_all(successor);
        });
    }

    void wipe_one(Node node, bool leads) {
        const auto before = member_among(cluster_.accounts_with_leader(), node);
        demand(before.has_value(), name(node) + " is no member although nothing was done");
        kill(node, leads);
        std::cout << ", taken in again:";
        servers().join(node, another_than(node));
        measure(wiped_taken_in, [&] {
            clerks().wait(name(node) + " is taken in again, as another instance", [&] {
                const auto now = member_among(cluster_.accounts(), node);
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
            clerks().wait(name(node) + " learns that it was removed", [&] {
                return servers().log_of(node).find("REMOVED: ") != std::string::npos;
            });
            demand(stop(node) == 0, name(node) + ", which was removed, does not end well");
            servers().forget(node);
            await_all(successor);
        });
    }

    void hand_over() {
        const Node before = cluster_.await_leader();
        const bool stops = random_.below(2) == 0;
        std::cout << " leader " << before << (stops ? " stopped:" : " asked to hand over:");
        measure(handed_over, [&] {
            if (stops) {
                demand(stop(before) == 0, "a leader that is stopped does not end well");
                servers().reopen(before);
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
        std::cout << Gaps::in_ms(cluster_.measure(kind, act)) << std::flush;
    }

    // ---- what is done to servers ----

    void kill(Node node, bool leads) {
        std::cout << " killed:";
        measure(leads ? leader_killed : follower_killed, [&] { servers().wipe(node); });
    }

    /// SIGTERM. @return the exit status
    int stop(Node node) {
        Process process = servers().release(node);
        process.ask_to_end();
        return await_end(process, name(node) + " ends");
    }

    Node join_a_new_one(Node except) {
        const Node node = next_++;
        const Node asked = another_than(except);
        servers().add(node);
        std::cout << ", " << node << " started:";
        measure(newcomer_started, [&] {
            servers().join(node, asked);
            clerks().wait(name(node) + " serves",
                          [&] { return account_of(cluster_.accounts(), node) != nullptr; });
        });
        return node;
    }

    /// As kv says it: when it ends well, the one votes and the other is no member.
    void replace(Node node, Node successor) {
        const int status = operate({"member", "replace", std::to_string(node),
                                    std::to_string(successor), servers().peer(successor)});
        demand(status == 0, "kv member replace ends with " + std::to_string(status));
        *std::ranges::find(members_, node) = successor;
        const std::vector<kv::Row> rows = cluster_.accounts_with_leader();
        const auto taken_in = member_among(rows, successor);
        demand(taken_in && taken_in->standing == "voter" && !member_among(rows, node),
               "kv member replace ended before " + name(successor) + " was in place");
    }

    /// Asks for it with kv. @return the exit status
    int operate(const Words& command) {
        Process process(kv_command(settings_.tool, servers().clients(), command),
                        directory_ / "kv.log");
        return await_end(process, "kv " + command.front() + " ends");
    }

    int await_end(Process& process, const std::string& what) {
        std::optional<int> status;
        const auto has_ended = [&] { return (status = process.poll()).has_value(); };
        clerks().wait(what, has_ended, std::chrono::seconds(120));
        return *status;
    }

    // ---- what they say ----

    static std::string name(Node node) { return Cluster::name(node); }
    Servers& servers() { return cluster_.servers(); }
    Clerks& clerks() { return cluster_.clerks(); }
    Node another_than(Node except) {
        Node node = except;
        while (node == except) node = members_[random_.below(members_.size())];
        return node;
    }

    /// Until the members are those that they should be, all voters, and this one has applied what
    /// was committed then.
    void await_all(Node newcomer) {
        clerks().use(servers().clients());
        std::uint64_t commit = 0;
        clerks().wait("the members are settled", [&] {
            const std::vector<kv::Row> rows = cluster_.accounts();
            const kv::Row* const teller = kv::leader_of(rows);
            if (teller == nullptr || !are_settled(*teller)) return false;
            commit = kv::number(teller->fields, "commit");
            return true;
        });
        clerks().wait(name(newcomer) + " has applied what was committed", [&] {
            const std::vector<kv::Row> rows = cluster_.accounts();
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

    /// The goals are two election timeouts without a leader, and 50 ms where one hands over. What
    /// a busy machine adds is not the service's fault, so the bounds are ten times as much.
    void judge_gaps() const {
        using std::chrono::nanoseconds;
        constexpr nanoseconds lost = 10 * 2 * election_timeout;
        for (const std::string& kind : cluster_.gaps().kinds()) {
            demand(nanoseconds(cluster_.gaps().longest(kind)) <= lost,
                   "too long without a write: " + kind);
        }
        // An election timeout as well: with more than that in most cases nothing is handed over. A
        // disk that makes all wait does so where nothing is done, too.
        constexpr nanoseconds planned = std::chrono::milliseconds(10 * 50);
        const nanoseconds everywhere(cluster_.gaps().longest(nothing_done));
        for (const auto& kinds : {Words{handed_over, leader_replaced}, Words{follower_replaced}}) {
            const std::int64_t median = cluster_.gaps().median(kinds);
            demand(nanoseconds(median) - everywhere <= planned,
                   "what is planned takes too long: " + kinds.front() + Gaps::in_ms(median));
        }
    }

    const ReplaceSettings& settings_;
    std::filesystem::path directory_;
    raft::Random random_;
    Cluster cluster_;
    std::vector<Node> members_;
    Node next_;  // an id that no node has had
};

}  // namespace

int run(int count, char** words) {
    ReplaceSettings settings;
    Program program("replace_rounds",
                    "Replaces random nodes of a kv cluster under load and checks what clients saw.",
                    settings);
    program.add_program("TOOL", settings.tool, "The kv program");
    program.options()
        .add_option("--nodes", settings.nodes, "How many the cluster has")
        ->check(CLI::Range(std::size_t{3}, std::size_t{9}))
        ->capture_default_str();
    program.add_rounds(20, "How many nodes to replace, one after the other");
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::replace_rounds
