// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// member_changes: founds a cluster of three kv-server processes, takes a fourth in, has a wiped one
// taken in again, replaces one whose directory is gone, sees all by asking one that is left, moves
// one to another port, stops the leader and says who is to lead, as an operator does it with kv.
// After each step every acknowledged write is read back.
//
//   test_programs member_changes PATH/TO/kv-server PATH/TO/kv
//
// What it waits for are conditions, each with a deadline that only a broken service misses.
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/clerk.hpp>
#include <kv/cli_service.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

namespace system_test::member_changes {

namespace {

class Run {
public:
    Run(const std::string& server, std::string tool, const std::filesystem::path& directory)
        : server_(server),
          tool_(std::move(tool)),
          directory_(directory),
          // Above what a busy machine's disk takes, for the leader to have time to hand over.
          servers_(server, directory, {"--election-timeout", "1000"}) {
        servers_.add_founders(3);
        servers_.add(4);
        servers_.add(5);
    }

    void run() {
        found_three();
        take_a_fourth_in();
        wipe_one();
        replace_one();
        see_all_from_one();
        move_one();
        stop_the_leader();
        prefer_one();
        refuse_what_contradicts();
    }

    std::string last_words() const {
        std::string text;
        for (Node node = 1; node <= nodes; ++node) {
            text += "---- node " + std::to_string(node) + "\n" + servers_.log_of(node);
        }
        return text + "---- kv\n" + rsm_test::read_file(directory_ / "kv.log");
    }

private:
    static constexpr Node nodes = 5;

    // ---- the story ----

    void found_three() {
        for (const Node node : {1U, 2U, 3U}) servers_.found(node);
        // From here on a founder that loses its directory is found out.
        wait_until("the founders' instances are known to all three", [this] {
            std::vector<kv::Row> rows = accounts();
            rows.resize(3);
            return know_each_other(rows);
        });
        write_and_check("founded");
    }

    void take_a_fourth_in() {
        join(4);
        demand(kv_status({"member", "add", "4", servers_.peer(4)}) == 0, "kv member add failed");
        demand(standing(4) == "voter", "a member that was added does not vote");
        demand(kv_status({"member", "add", "4", servers_.peer(4)}) == 2, "one is added twice");
        write_and_check("added");
    }

    void wipe_one() {
        const Node node = follower_among({1, 2, 3});
        const std::string before = member_among(accounts(), node)->instance;
        servers_.wipe(node);
        servers_.found(node);
        wait_until("a wiped founder is taken in again, as another instance", [&] {
            const auto now = member_among(accounts(), node);
            return now && now->standing == "voter" && now->instance != before;
        });
        write_and_check("wiped");
    }

    void replace_one() {
        if (leader() == 4) demand(kv_status({"transfer"}) == 0, "kv transfer failed");
        wait_until("another one than node 4 leads",
                   [this] { return leader() != 0 && leader() != 4; });
        servers_.wipe(4);
        join(5);
        demand(kv_status({"member", "replace", "4", "5", servers_.peer(5)}) == 0,
               "kv member replace failed");
        demand(standing(5) == "voter" && standing(4).empty(), "node 4 was not replaced by node 5");
        write_and_check("replaced");
    }

    /// One that is left of an old list is enough to see all; the option comes before the variable.
    void see_all_from_one() {
        const std::string variable = "KV_CLUSTER";
        const auto tell = [&](const std::string& servers, const Words& command, int status) {
            demand(::setenv(variable.c_str(), servers.c_str(), 1) == 0, "no memory");
            Words words{tool_, "--timeout", "1"};
            words.insert(words.end(), command.begin(), command.end());
            const std::filesystem::path said = directory_ / "said.log";
            std::filesystem::remove(said);
            const int ended = Process(words, said).wait();
            demand(::unsetenv(variable.c_str()) == 0, "no memory");
            std::string text = rsm_test::read_file(said);
            demand(ended == status, "kv exits with " + std::to_string(ended) + ": " + text);
            return text;
        };
        const Node asked = follower_among({1, 2, 3});
        std::string text;
        wait_until("one server knows where all are", [&] {
            text = tell(servers_.client(asked), {"status"}, 0);
            return std::ranges::all_of(std::vector<Node>{1, 2, 3, 5}, [&](Node node) {
                return text.find(" " + servers_.client(node) + " ") != std::string::npos;
            });
        });
        demand(text.find("format version 1 is in force") != std::string::npos,
               "kv status does not say which version is written: " + text);
        const std::string nowhere = "127.0.0.1:1";
        const std::string silence = ": nobody answers at " + nowhere + " (Connection refused)" +
                                    "; --cluster HOST:PORT,... or " + variable +
                                    " in the environment names other servers";
        const std::vector<std::pair<Words, int>> commands{
            {{"status"}, 1}, {{"get", "key"}, 4}, {{"put", "key", "value"}, 4}, {{"transfer"}, 1}};
        for (const auto& [command, status] : commands) {
            demand(tell(nowhere, command, status).find(silence) != std::string::npos,
                   "kv " + command.front() + " does not say whom it has asked");
        }
        tell(nowhere, {"--cluster", servers_.client(asked), "status"}, 0);
    }

    void move_one() {
        if (leader() == 5) demand(kv_status({"transfer"}) == 0, "kv transfer failed");
        wait_until("another one than node 5 leads",
                   [this] { return leader() != 0 && leader() != 5; });
        servers_.move(5);
        demand(servers_.process(5).terminate() == 0, "a follower does not end well");
        demand(kv_status({"member", "move", "5", servers_.peer(5)}) == 0, "kv member move failed");
        servers_.reopen(5);
        write_and_check("moved");
        wait_until("the moved one catches up", [this] { return has_all(accounts(), 5); });
    }

    void stop_the_leader() {
        const Node before = leader();
        const std::size_t elections = elections_by_timeout();
        demand(servers_.process(before).terminate() == 0, "the leader does not end well");
        wait_until("another one leads", [&] { return leader() != 0 && leader() != before; });
        demand(elections_by_timeout() == elections, "the leader did not hand over before it ended");
        write_and_check("handed over");
        servers_.reopen(before);
        wait_until("the one that led catches up", [&] { return has_all(accounts(), before); });
    }

    void prefer_one() {
        const std::size_t before = leader();
        const std::size_t elections = elections_by_timeout();
        std::size_t preferred = 0;
        for (std::size_t node = 1; node <= nodes; ++node) {
            if (node != before && standing(node) == "voter") preferred = node;
        }
        const std::string id = std::to_string(preferred);
        demand(kv_status({"member", "priority", id, "5"}) == 0, "kv member priority failed");
        wait_until("the one of the highest priority leads", [&] { return leader() == preferred; });
        demand(elections_by_timeout() == elections, "the leader did not hand over by itself");
        write_and_check("preferred");
    }

    void refuse_what_contradicts() {
        const Node node = follower_among({1, 2, 3});
        const std::string id = std::to_string(node);
        demand(servers_.process(node).terminate() == 0, "a follower does not end well");
        servers_.start(node, {"--cluster", servers_.founders() + ",4=" + servers_.peer(4)});
        demand(servers_.process(node).wait() == 1,
               "a list of founders is not compared with the directory's");
        servers_.process(node) =
            Process({server_, "--id", "9", "--peer", servers_.peer(node), "--listen",
                     servers_.client(node), "--data", directory_ / id},
                    directory_ / (id + ".log"));
        demand(servers_.process(node).wait() == 1,
               "a directory serves under the id of another node");
        for (const Words& how :
             {Words{}, Words{"--join", servers_.client(leader()), "--cluster-name", "another"}}) {
            Words words{server_,
                        "--id",
                        "9",
                        "--peer",
                        servers_.peer(node),
                        "--listen",
                        servers_.client(node),
                        "--data",
                        directory_ / "new"};
            words.insert(words.end(), how.begin(), how.end());
            demand(Process(words, directory_ / "new.log").wait() == 1,
                   "a new directory serves which nobody has founded, or of another cluster");
            demand(!std::filesystem::exists(directory_ / "new"), "a refused start leaves a mark");
        }
        // Whom to join is asked once: that one need not be there any more.
        servers_.start(node, {"--peer", servers_.peer(node), "--join", "127.0.0.1:1"});
        write_and_check("reopened");
        wait_until("the one that was refused catches up",
                   [&] { return has_all(accounts(), node); });
    }

    // ---- servers ----

    void join(Node node) {
        servers_.join(node, leader());
        wait_until("a node that joins serves",
                   [this, node] { return account_of(accounts(), node) != nullptr; });
    }
    std::size_t elections_by_timeout() const {
        std::size_t count = 0;
        for (Node node = 1; node <= nodes; ++node) {
            count += count_of(servers_.log_of(node), "role: pre-candidate");
        }
        return count;
    }

    int kv_status(const Words& command) {
        return Process(kv_command(tool_, servers_.clients(), command), directory_ / "kv.log")
            .wait();
    }

    // ---- what they say ----

    std::vector<kv::Row> accounts() const {
        return kv::ask_all(servers_.clients(), std::chrono::seconds(5));
    }
    Node leader() const { return leader_among(accounts()); }
    Node follower_among(const std::vector<Node>& some) {
        Node leads = 0;
        wait_until("somebody leads", [&] { return (leads = leader()) != 0; });
        return *std::ranges::find_if(some, [leads](Node node) { return node != leads; });
    }
    std::string standing(Node node) const {
        const auto found = member_among(accounts(), node);
        return found ? found->standing : std::string();
    }

    // ---- writes ----

    kv::Answer ask(auto start) {
        boost::asio::io_context io;
        kv::ClerkOptions options;
        options.servers = servers_.clients();
        options.operation_timeout = std::chrono::seconds(60);
        kv::Clerk clerk(io.get_executor(), options);
        kv::Answer answer;
        start(clerk, [&answer](boost::system::error_code error, kv::Answer given) {
            demand(!error, "an operation failed: " + error.message());
            answer = std::move(given);
        });
        io.run();
        return answer;
    }
    void write_and_check(const std::string& step) {
        for (int i = 0; i < 10; ++i) {
            const std::string key = step + " " + std::to_string(i);
            ask([&](kv::Clerk& clerk, auto then) { clerk.async_set(key, step, then); });
            written_[key] = step;
        }
        for (const auto& entry : written_) {
            const auto answer =
                ask([&](kv::Clerk& clerk, auto then) { clerk.async_get(entry.first, then); });
            demand(answer.err == kv::Err::ok && answer.value == entry.second,
                   "lost: " + entry.first);
        }
        std::cout << step << ": " << written_.size() << " writes are there" << std::endl;
    }

    std::string server_;
    std::string tool_;
    std::filesystem::path directory_;
    Servers servers_;
    std::map<std::string, std::string> written_;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    std::string tool;
    Program program("member_changes", "Changes the members of a kv cluster as an operator does.",
                    settings);
    program.add_program("TOOL", tool, "The kv program");
    return program.run(count, words, [&] {
        const rsm_test::TemporaryDirectory directory;
        Run run(settings.server, tool, directory.path());
        try {
            run.run();
        } catch (...) {
            std::cout << run.last_words();
            throw;
        }
        std::cout << "PASSED\n";
        return true;
    });
}

}  // namespace system_test::member_changes
