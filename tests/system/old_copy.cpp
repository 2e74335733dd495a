// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// old_copy: brings back an old copy of a follower's directory, as no operator may do, while three
// clerks read and write. The leader must say so, and go on to lead; the node must be in doubt, and
// then without a vote, until it has all again that it had acknowledged. Disks hang meanwhile, for
// that would be over too soon to be seen. Then it is done as docs/operations.md says: its directory
// is emptied, and it joins. Then it asks for an account: every acknowledged write must be there,
// the history of the clerks must be linearizable, and all replicas equal.
//
//   test_programs old_copy KV_SERVER KV DISK_AND_CLOCK_LIBRARY [--seed N] [--history FILE]
#include "cluster.hpp"
#include "preloaded.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <kv/cli_service.hpp>
#include <kv/cli_status.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace system_test::old_copy {

namespace {

struct CopySettings : Settings {
    std::string tool;
    std::string library;
};

class Run {
public:
    Run(const CopySettings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          directory_(directory),
          controls_(settings.library, directory),
          // A disk that hangs is not to be noticed before the test has seen what it waits for, and
          // no other node is to lead because the machine is busy.
          cluster_(settings.server, directory,
                   {"--election-timeout", "1000", "--disk-stall-timeout", "60000"}, settings.seed) {
    }

    void run() {
        for (const Node node : cluster_.founders()) {
            controls_.start(node, [&] { servers().found(node); });
        }
        cluster_.begin();
        cluster_.await_acquaintance();
        leader_ = cluster_.await_leader();
        node_ = cluster_.another_than(leader_, settings_.seed);
        std::cout << Cluster::name(node_) << " of leader " << leader_ << ":" << std::flush;
        copy_and_go_on();
        bring_back_copy();
        cluster_.measure_aloud("taken in anew", [this] { join_anew(); });
        std::cout << std::endl;
        cluster_.clerks().end();
        cluster_.compare_replicas();
        judge_logs();
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const { return "an old copy brought back"; }

private:
    // ---- the story ----

    void copy_and_go_on() {
        servers().process(node_).kill();
        std::filesystem::copy(servers().directory(node_), copy(),
                              std::filesystem::copy_options::recursive);
        servers().reopen(node_);
        cluster_.await_all(node_);
        const std::size_t enough = cluster_.load().puts_ok + 100;
        clerks().wait("more is written", [&] { return cluster_.load().puts_ok >= enough; });
        cluster_.await_all(node_);
        demand(cluster_.await_leader() == leader_, "another one leads although nothing was done");
        term_ = term();
    }

    void bring_back_copy() {
        servers().wipe(node_);
        std::filesystem::rename(copy(), servers().directory(node_));
        acknowledged_ = kv::number(cluster_.account(leader_), "commit");
        // As long as the third disk hangs nobody can do without this node.
        hang(third());
        start(node_, {.sync_ms = 200});
        clerks().wait("the leader says that an acknowledgement is lost", [this] {
            return servers().log_of(leader_).find(lost()) != std::string::npos;
        });
        hang(node_);
        clerks().wait("the leader says that it is doubtful", [this] { return is_doubtful(); });
        demand(operator_sees("has lost what it had acknowledged"),
               "kv status does not say that an acknowledgement is lost");
        demand(is_doubtful(), "there is no doubt any more although the node has got nothing");
        controls_.set(third(), {});
        clerks().wait("its vote is taken away", [this] { return standing() == "returning"; });
        const std::size_t enough = cluster_.load().puts_ok + 100;
        clerks().wait("writes go on", [&] {
            demand(standing() == "returning", "a node votes again that has got nothing");
            return cluster_.load().puts_ok >= enough;
        });
        controls_.set(node_, {});
        clerks().wait("it votes again", [this] { return standing() == "voter"; });
        cluster_.await_whole(node_);
        demand(cluster_.leader() == leader_ && term() == term_, "another one leads meanwhile");
    }

    /// As the section on lost acknowledgements says, also when all looks well.
    void join_anew() {
        const auto before = member_among(cluster_.accounts_with_leader(), node_);
        demand(before.has_value(), Cluster::name(node_) + " is no member");
        servers().wipe(node_);
        servers().join(node_, leader_);
        clerks().wait("it is taken in again, as another instance", [&] {
            const auto now = member_among(cluster_.accounts(), node_);
            return now && now->standing == "voter" && now->instance != before->instance;
        });
        cluster_.await_whole(node_);
    }

    // ---- the account ----

    /// Only the leader of that time has anything to say, and only once.
    void judge_logs() {
        cluster_.search_logs(3, {"damage"});
        for (const Node node : cluster_.founders()) {
            const std::string log = servers().log_of(node);
            demand(count_of(log, "ACKNOWLEDGEMENT LOST") == (node == leader_ ? 1 : 0),
                   Cluster::name(node) + " says that an acknowledgement is lost");
        }
    }

    // ---- what they say ----

    std::string lost() const {
        return "ACKNOWLEDGEMENT LOST: " + Cluster::name(node_) + " has nothing after index ";
    }
    std::uint64_t term() { return kv::number(cluster_.account(leader_), "term"); }
    /// What the leader says of it.
    std::string follower() {
        return kv::field(cluster_.account(leader_), "follower_" + std::to_string(node_));
    }
    bool is_doubtful() { return follower().find(",doubtful=1") != std::string::npos; }
    /// As the leader has it, which must not let it vote without what it had acknowledged.
    std::string standing() {
        const std::vector<kv::Row> rows = cluster_.accounts();
        const auto member = member_among(rows, node_);
        demand(leader_among(rows) == leader_ && member, "another one leads meanwhile");
        const std::string said =
            kv::field(kv::leader_of(rows)->fields, "follower_" + std::to_string(node_));
        demand(member->standing != "voter" || match_in(said) >= acknowledged_ ||
                   said.find(",doubtful=1") != std::string::npos,
               Cluster::name(node_) + " votes without what it had acknowledged: " + said);
        return member->standing;
    }
    static std::uint64_t match_in(const std::string& follower) {
        const std::string name = ",match=";
        const std::size_t at = follower.find(name);
        return at == std::string::npos ? 0 : std::stoull(follower.substr(at + name.size()));
    }
    /// Whether kv status has these words.
    bool operator_sees(const std::string& words) {
        const std::filesystem::path file = directory_ / "status.log";
        std::filesystem::remove(file);
        Process process(kv_command(settings_.tool, servers().clients(), {"status"}), file);
        clerks().wait("kv status ends", [&] { return process.poll().has_value(); });
        return rsm_test::read_file(file).find(words) != std::string::npos;
    }

    void start(Node node, const chaos::Control& control) {
        controls_.set(node, control);
        controls_.start(node, [&] { servers().reopen(node); });
    }
    void hang(Node node) { controls_.set(node, {.sync_hangs = 1}); }
    /// Neither the leader nor the one whose copy it is.
    Node third() const { return 6 - leader_ - node_; }

    Servers& servers() { return cluster_.servers(); }
    Clerks& clerks() { return cluster_.clerks(); }
    std::filesystem::path copy() const { return directory_ / "copy"; }

    const CopySettings& settings_;
    std::filesystem::path directory_;
    Controls controls_;
    Cluster cluster_;
    Node leader_ = 0;
    Node node_ = 0;  // whose copy it is
    std::uint64_t term_ = 0;
    std::uint64_t acknowledged_ = 0;  // the node had it before
};

}  // namespace

int run(int count, char** words) {
    CopySettings settings;
    Program program("old_copy", "Brings back an old copy of a kv server's directory.", settings);
    program.add_program("TOOL", settings.tool, "The kv program");
    program.add_program("LIBRARY", settings.library, "What makes disks hang, to be preloaded");
    program.add_seed();
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::old_copy
