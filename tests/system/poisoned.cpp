// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// poisoned: has three kv-server processes come to an operation at which their machines throw, for
// it finds no memory of a certain size. Whoever comes to it must stop and name it, also after
// another start, until all are told to leave it out; then they must serve, and be equal.
//
//   test_programs poisoned PATH/TO/kv-server PATH/TO/throwing_memory.so
#include "preloaded.hpp"
#include "processes.hpp"
#include "program.hpp"
#include "servers.hpp"
#include "support/temporary_directory.hpp"

#include <kv/caller.hpp>
#include <kv/cli_service.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace system_test::poisoned {

namespace {

class Poisoned {
public:
    Poisoned(const std::string& server, std::string library)
        : library_(std::move(library)),
          servers_(server, directory_.path(), {"--election-timeout", "300"}) {
        servers_.add_founders(3);
    }

    void run() {
        start_all({"--cluster", servers_.founders()});
        const Node first = await_leader();
        demand(ask(first, {"SET", "key", std::string(size_before, 'x')}).reply.text == "OK",
               "nothing is written");
        // The one that is asked stops at it: it may have happened.
        kv::CallOutcome outcome;
        wait_until("all have said that they know the command", [&] {
            outcome = ask(first, {"APPEND", "key", std::string(size_added, 'y')});
            return outcome.error || !outcome.reply.is_error("TRYAGAIN");
        });
        demand(outcome.error || outcome.reply.is_error("UNKNOWN"),
               "an operation that throws ends with " + outcome.reply.text);
        const std::string index = await_stop();
        restart({});
        demand(await_stop() == index, "another start stops at another operation");
        restart({"--skip-operation", index});
        serve();
    }
    void keep() { directory_.keep = true; }
    std::string directory() const { return directory_.path(); }

private:
    static constexpr std::size_t size_before = 100'003;
    static constexpr std::size_t size_added = 23'456;

    /// Only they find the library in their environment.
    void start_all(const Words& how) {
        // What the value would take with the byte behind it, and nothing else does.
        const Preloaded now(library_, "RSM_NO_MEMORY_OF",
                            std::to_string(size_before + size_added + 1));
        for (const Node node : nodes_) {
            Words words = how;
            if (how.empty() || how.front() != "--cluster") {
                words.insert(words.begin(), {"--peer", servers_.peer(node)});
            }
            servers_.start(node, words);
        }
    }
    void restart(const Words& how) {
        for (const Node node : nodes_) servers_.process(node).kill();
        start_all(how);
    }

    /// A node that comes to it stops before it can tell the others that it is committed: the last
    /// one waits for a majority that is not there.
    /// @return the index that all name who have stopped
    std::string await_stop() {
        std::map<Node, int> ended;
        wait_until("two have stopped", [&] {
            for (const Node node : nodes_) {
                if (const auto status = servers_.process(node).poll()) ended[node] = *status;
            }
            return ended.size() >= 2;
        });
        std::string index;
        for (const auto& [node, status] : ended) {
            demand(status == 2, "a node that stops exits with " + std::to_string(status));
            const std::string said = named_by(servers_.log_of(node));
            demand(index.empty() || said == index, "two name different operations");
            index = said;
        }
        return index;
    }
    /// The index in its last line.
    static std::string named_by(std::string log) {
        if (log.ends_with('\n')) log.pop_back();
        const std::string last = log.substr(log.rfind('\n') + 1);
        const std::string begin =
            "stopped for good: the state machine threw at the operation of index ";
        const std::size_t at = last.find(begin);
        demand(at != std::string::npos &&
                   last.find("unless --skip-operation leaves that operation out on all nodes") !=
                       std::string::npos,
               "the last line does not say what to do: " + last);
        const std::size_t from = at + begin.size();
        return last.substr(from, last.find(' ', from) - from);
    }

    void serve() {
        const Node leader = await_leader();
        demand(ask(leader, {"SET", "other", "value"}).reply.text == "OK",
               "nothing is written again");
        demand(ask(leader, {"STRLEN", "key"}).reply.integer == std::int64_t{size_before},
               "what was left out has had an effect");
        wait_until("all are equal", [&] {
            std::vector<std::string> digests;
            for (const Node node : nodes_) digests.push_back(ask(node, {"RAFT.DIGEST"}).reply.text);
            return digests.front().starts_with("digest:") &&
                   std::ranges::count(digests, digests.front()) == 3;
        });
        demand(servers_.ended_by_itself() == 0, "a node stops again");
    }

    Node await_leader() {
        Node leader = 0;
        wait_until("one leads", [&] {
            leader = leader_among(kv::ask_all(servers_.clients(), std::chrono::seconds(5)));
            return leader != 0;
        });
        return leader;
    }
    kv::CallOutcome ask(Node node, const Words& words) {
        return kv::call_once(servers_.client(node), words, std::chrono::seconds(20));
    }

    const std::vector<Node> nodes_{1, 2, 3};
    rsm_test::TemporaryDirectory directory_;
    std::string library_;
    Servers servers_;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    std::string library;
    Program program("poisoned", "Has kv servers come to an operation that throws.", settings);
    program.add_program("LIBRARY", library, "What finds no memory, to be preloaded");
    return program.run(count, words, [&] {
        Poisoned test(settings.server, library);
        run_or_keep(test);
        std::cout << "all stopped at the same operation, and served without it\n";
        return true;
    });
}

}  // namespace system_test::poisoned
