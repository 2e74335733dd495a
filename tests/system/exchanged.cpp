// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// exchanged: stops two followers of five kv-server processes and starts each on the directory of
// the other one, while three clerks read and write. Both starts must be refused, with a sentence
// that names both, and change nothing in the directories; when these are put back, both must go on.
// Then it asks for an account: every acknowledged write must be there, the history of the clerks
// must be linearizable, and all replicas equal.
//
//   test_programs exchanged PATH/TO/kv-server [--seed N] [--history FILE]
#include "cluster.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>

namespace system_test::exchanged {

namespace {

/// What there is in a directory, by name.
using Content = std::map<std::string, std::string>;

Content content_of(const std::filesystem::path& directory) {
    Content content;
    for (const auto& item : std::filesystem::recursive_directory_iterator(directory)) {
        const std::string name = item.path().lexically_relative(directory);
        content[name] = item.is_regular_file() ? rsm_test::read_file(item.path()) : "";
    }
    return content;
}

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          directory_(directory),
          cluster_(settings.server, directory,
                   {"--election-timeout", std::to_string(election_timeout.count())}, settings.seed,
                   impatient(), 5) {}

    void run() {
        cluster_.found();
        cluster_.begin();
        const Node leader = cluster_.await_leader();
        const Node one = cluster_.another_than(leader, settings_.seed);
        Node other = one;
        while (other == one || other == leader) other = 1 + other % 5;
        std::cout << Cluster::name(one) << " and " << Cluster::name(other) << ":" << std::flush;
        cluster_.measure_aloud("exchanged", [&] { exchange(one, other); });
        cluster_.measure_aloud("put back", [&] {
            swap(one, other);
            for (const Node node : {one, other}) servers().reopen(node);
            for (const Node node : {one, other}) cluster_.await_whole(node);
        });
        std::cout << std::endl;
        cluster_.clerks().end();
        cluster_.compare_replicas();
        cluster_.search_logs(5);
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const { return "two directories exchanged and put back"; }

private:
    void exchange(Node one, Node other) {
        for (const Node node : {one, other}) servers().process(node).kill();
        swap(one, other);
        std::map<Node, Content> before;
        for (const Node node : {one, other}) before[node] = content_of(servers().directory(node));
        start_in_vain(one, other);
        start_in_vain(other, one);
        for (const Node node : {one, other}) {
            demand(
                content_of(servers().directory(node)) == before[node],
                "a refused start has changed something in " + servers().directory(node).string());
        }
    }

    /// @param owner  of what is in the node's directory
    void start_in_vain(Node node, Node owner) {
        servers().reopen(node);
        Process process = servers().release(node);
        std::optional<int> status;
        cluster_.clerks().wait(Cluster::name(node) + " ends",
                               [&] { return (status = process.poll()).has_value(); });
        const std::string last = last_line(servers().log_of(node));
        demand(*status == 1, "a start on another node's directory ends with " +
                                 std::to_string(*status) + ": " + last);
        const std::size_t refusal = last.find("cannot start: ");
        const std::size_t has = last.find(" says " + Cluster::name(owner) + " of cluster");
        const std::size_t wants = last.find("this is a start of " + Cluster::name(node) + " of");
        demand(refusal < has && has < wants && wants != std::string::npos,
               "the last line does not say whose directory it is, and who was started: " + last);
    }

    static std::string last_line(std::string log) {
        if (log.ends_with('\n')) log.pop_back();
        return log.substr(log.rfind('\n') + 1);
    }

    void swap(Node one, Node other) {
        const std::filesystem::path aside = directory_ / "aside";
        std::filesystem::rename(servers().directory(one), aside);
        std::filesystem::rename(servers().directory(other), servers().directory(one));
        std::filesystem::rename(aside, servers().directory(other));
    }

    Servers& servers() { return cluster_.servers(); }

    const Settings& settings_;
    std::filesystem::path directory_;
    Cluster cluster_;
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Program program("exchanged", "Exchanges the directories of two kv servers.", settings);
    program.add_seed();
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::exchanged
