// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// damage_rounds: kills a random node of a cluster of kv-server processes with SIGKILL, changes one
// byte in one place of its directory, and starts it again, while three clerks read and write; one
// place after the other. Then it asks for an account: every acknowledged write must be there, the
// history of the clerks must be linearizable, and all replicas equal.
//
// The node must name the file, and either come back with all that is committed, or refuse and say
// what to do. That is done then: it begins anew on an empty directory. Either way the cluster must
// be whole again within a stated time. It says what became of each place.
//
//   test_programs damage_rounds PATH/TO/kv-server [--rounds N] [--seed N] [--history FILE]
#include "cluster.hpp"
#include "places.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <raft/base/random.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace system_test::damage_rounds {

namespace {

using Clock = std::chrono::steady_clock;

enum class Outcome { nothing_lacking, healed, refused };

constexpr const char* word_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::nothing_lacking: return "nothing lacking";
        case Outcome::healed: return "healed by its peers";
        case Outcome::refused: return "refused, taken in again";
    }
    return "";
}

/// From the start on. A node that is taken in again may have to wait for 32 election timeouts
/// first; what a busy machine adds is not the service's fault.
constexpr std::chrono::seconds limit_of(Outcome outcome) {
    return std::chrono::seconds(outcome == Outcome::refused ? 60 : 30);
}

/// What became of the nodes on which one place was damaged.
struct Fates {
    std::map<Outcome, std::uint64_t> times;
    std::chrono::milliseconds longest{0};
    std::string sentence;  ///< of the last one that refused
};

class Run {
public:
    Run(const Settings& settings, const std::filesystem::path& directory)
        : settings_(settings),
          random_(settings.seed),
          // A log of several segments, and a snapshot all the time.
          cluster_(settings.server, directory,
                   {"--snapshot-threshold", "192KiB", "--segment-size", "64KiB",
                    "--election-timeout", std::to_string(election_timeout.count())},
                   settings.seed),
          order_(places::all.begin(), places::all.end()) {
        for (std::size_t i = order_.size(); i > 1; --i) {
            std::swap(order_[i - 1], order_[random_.below(i)]);
        }
    }

    void run() {
        cluster_.found();
        cluster_.begin();
        cluster_.await_acquaintance();
        for (std::uint64_t round = 0; round < settings_.rounds; ++round) {
            std::cout << "round " << round + 1 << ":" << std::flush;
            const Place& place = order_[round % order_.size()];
            cluster_.measure(place.name, [&] { damage_one(place); });
            cluster_.clerks().wait_for_operations(300, "all serve");
        }
        cluster_.clerks().end();
        cluster_.compare_replicas();
        report();
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const { return std::to_string(settings_.rounds) + " damaged bytes"; }

private:
    // ---- a round ----

    void damage_one(const Place& place) {
        const Node node = 1 + random_.below(3);
        const bool led = cluster_.await_leader() == node;
        const Stretch stretch = kill_with(node, place);
        const std::uint64_t offset = damage_one_byte(stretch, random_);
        const std::string file = stretch.file.filename();
        std::cout << " " << Cluster::name(node) << (led ? " (leader), " : ", ") << place.name
                  << ", " << file << " at " << offset << ":" << std::flush;
        const std::size_t before = cluster_.servers().log_of(node).size();
        const auto begin = Clock::now();
        const Outcome outcome = bring_back(node, place, file, before);
        const auto taken =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
        std::cout << " " << word_of(outcome) << " after " << taken.count() << " ms" << std::endl;
        demand(taken <= limit_of(outcome), "too long until the cluster is whole again");
        judge_logs(node, outcome);
        Fates& fates = fates_[place.name];
        ++fates.times[outcome];
        fates.longest = std::max(fates.longest, taken);
    }

    /// Kills it when it has such a place.
    Stretch kill_with(Node node, const Place& place) {
        Found found;
        const auto look = [&] {
            found = place.find(DiskContent(cluster_.servers().directory(node)), random_);
            return found.has_value();
        };
        for (;;) {
            cluster_.clerks().wait("there is " + std::string(place.name), look);
            cluster_.servers().process(node).kill();
            if (look()) return *found;
            // It went in the last moment.
            cluster_.servers().reopen(node);
            cluster_.await_whole(node);
        }
    }

    Outcome bring_back(Node node, const Place& place, const std::string& file, std::size_t before) {
        const std::optional<int> refusal = start(node);
        std::string said = cluster_.servers().log_of(node).substr(before);
        demand(said.find(file) != std::string::npos,
               "it does not name the file that is damaged: " + said);
        if (refusal) {
            fates_[place.name].sentence = obey(node, *refusal, said);
            cluster_.await_whole(node);
            return Outcome::refused;
        }
        cluster_.await_whole(node);
        said = cluster_.servers().log_of(node).substr(before);
        const bool lacked = said.find("this node does not lead") != std::string::npos;
        const bool healed = said.find("HEALED") != std::string::npos;
        demand(lacked == healed, "it does not say when it lacks something, and when no more");
        return healed ? Outcome::healed : Outcome::nothing_lacking;
    }

    /// @return its exit status, if it does not serve
    std::optional<int> start(Node node) {
        cluster_.servers().reopen(node);
        Process process = cluster_.servers().release(node);
        std::optional<int> ended;
        cluster_.clerks().wait(Cluster::name(node) + " serves or refuses", [&] {
            ended = process.poll();
            return ended || !cluster_.account(node).empty();
        });
        if (!ended) cluster_.servers().process(node) = std::move(process);
        return ended;
    }

    /// Does what a refusal says. @return its sentence
    std::string obey(Node node, int status, const std::string& said) {
        demand(status == 1, "a refused start ends with " + std::to_string(status));
        const std::size_t at = said.rfind("cannot start: ");
        demand(at != std::string::npos, "a refused start does not say why: " + said);
        const std::string sentence = said.substr(at, said.find('\n', at) - at);
        demand(sentence.find("start this node on an empty directory") != std::string::npos,
               "a refused start does not say what to do: " + sentence);
        cluster_.servers().wipe(node);
        cluster_.servers().join(node, cluster_.another_than(node, random_.next()));
        return sentence;
    }

    // ---- what they say ----

    /// Nobody was caught at what no node does, whatever is damaged; and what a node had
    /// acknowledged is missing only where that says so itself.
    void judge_logs(Node damaged, Outcome outcome) {
        for (const Node node : cluster_.founders()) {
            const std::string log = cluster_.servers().log_of(node);
            const std::string said = log.substr(std::exchange(heard_[node], log.size()));
            for (const char* words :
                 {"PROTOCOL VIOLATION", "RIVAL LEADER", "stopped for good", "STATES DIFFER"}) {
                demand(said.find(words) == std::string::npos,
                       Cluster::name(node) + " says: " + words);
            }
            const std::string lost = "ACKNOWLEDGEMENT LOST: ";
            const std::size_t known = outcome == Outcome::healed
                                          ? count_of(said, lost + Cluster::name(damaged) + " ")
                                          : 0;
            demand(count_of(said, lost) == known,
                   Cluster::name(node) + " misses what was not said to be lacking");
        }
    }

    void report() const {
        std::cout << "damaged byte:                     nothing lacking  healed  refused  "
                     "whole after at most\n";
        for (const auto& [place, fates] : fates_) {
            const auto times = [&fates = fates](Outcome outcome) {
                const auto found = fates.times.find(outcome);
                return found == fates.times.end() ? 0 : found->second;
            };
            std::cout << "  " << std::left << std::setw(36) << place << std::right << std::setw(11)
                      << times(Outcome::nothing_lacking) << std::setw(8) << times(Outcome::healed)
                      << std::setw(9) << times(Outcome::refused) << std::setw(18)
                      << fates.longest.count() << " ms\n";
            if (!fates.sentence.empty()) std::cout << "      " << fates.sentence << '\n';
        }
        std::cout << std::flush;
    }

    const Settings& settings_;
    raft::Random random_;
    Cluster cluster_;
    std::vector<Place> order_;
    std::map<std::string, Fates> fates_;
    std::map<Node, std::size_t> heard_;  // so much of what each has said was judged
};

}  // namespace

int run(int count, char** words) {
    Settings settings;
    Program program("damage_rounds",
                    "Damages the disks of a kv cluster under load and checks what clients saw.",
                    settings);
    program.add_rounds(50, "How many bytes to damage, one after the other");
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::damage_rounds
