// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A story about a cluster as text: commands, and below each what the cores did. The commands are
// carried out anew, and what they lead to now is compared with what stands there.
//
//     cluster 3 [no-pre-vote] [no-check-quorum] [no-barrier] [retain-nothing]
//     log 1 term 4: 1 1 4          what is on a node's disk: its term, and each entry's
//     start
//     time-out 1                   its election timeout passes, and nobody else's
//     pass 200                     milliseconds, with all that happens in them
//     propose 1 text | read 1 | snapshot 1
//     deliver 1 2                  the oldest message from 1 to 2
//     repeat 1 2                   the same, and it will arrive once more
//     lose 1 2                     the same, but it does not arrive
//     settle                       everything arrives, is written and answered, in no time
//     stall 1 | release 1          a node's disk
//     persist 1                    a node's oldest write becomes durable
//     partition 1 2 | 3            messages between the groups are lost from now on; heal
//     crash 1 | restart 1
//
// A node that has changed is shown as: role, term, [terms of its entries] commit. `(3/2)` before
// the entries: the log begins after index 3, term 2.
#ifndef RSM_TESTS_RAFT_TRANSCRIPT_HPP
#define RSM_TESTS_RAFT_TRANSCRIPT_HPP

#include "support/core_cluster.hpp"
#include "support/text.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace raft::test {

class Transcript {
public:
    /// The same story, with what its commands lead to now. Other lines than commands and their
    /// results (those that begin with #, and empty ones) stay.
    static std::string renew(const std::string& story) {
        Transcript transcript;
        std::istringstream in(story);
        std::ostringstream out;
        for (std::string line; std::getline(in, line);) {
            if (line.empty() || line[0] == '#') out << line << '\n';
            if (line.starts_with("> ")) {
                out << line << '\n';
                transcript.out_ = &out;
                transcript.perform(line.substr(2));
            }
        }
        return out.str();
    }

private:
    void perform(const std::string& command) {
        std::istringstream words(command);
        std::string verb;
        words >> verb;
        if (verb == "cluster") return begin(words);
        if (verb == "log") return write_log(words);
        if (verb == "partition") return part(words);
        if (verb == "heal") return groups_.clear();
        if (verb == "settle") {
            settle();
        } else if (verb == "start") {
            for (std::uint64_t id = 1; id <= cluster().size(); ++id) cluster().restart(id);
        } else if (verb == "pass") {
            pass(milliseconds(number(words)));
        } else {
            perform(verb, number(words), words);
        }
        show_changes();
        if (!cluster().failure.empty()) *out_ << "  FAILURE: " << cluster().failure << '\n';
    }
    /// What is said to one node.
    void perform(const std::string& verb, std::uint64_t id, std::istringstream& words) {
        if (verb == "time-out") {
            // Only its own clock runs ahead.
            const Time now = cluster().now;
            cluster().now = std::max(now, cluster().core(id).deadline());
            cluster().step(id, Tick{});
            cluster().now = now;
        } else if (verb == "propose") {
            std::string text;
            words >> text;
            const ProposalOutcome outcome = cluster().propose(id, text);
            *out_ << "  "
                  << (outcome.refusal == Refusal::none ? text_of(outcome.position) : "refused")
                  << '\n';
        } else if (verb == "read") {
            cluster().read(id);
        } else if (verb == "snapshot") {
            cluster().take_snapshot(id);
        } else if (verb == "deliver") {
            cluster().deliver(oldest(id, number(words), ""));
        } else if (verb == "repeat") {
            const std::size_t position = oldest(id, number(words), "");
            cluster().bag.push_back(cluster().bag[position]);
            cluster().deliver(position);
        } else if (verb == "lose") {
            cluster().bag.erase(cluster().bag.begin() +
                                static_cast<std::ptrdiff_t>(oldest(id, number(words), " is lost")));
        } else if (verb == "stall" || verb == "release") {
            cluster().node(id).disk_stalled = verb == "stall";
        } else if (verb == "persist") {
            if (const auto done = cluster().complete_write(id)) cluster().step(id, *done);
        } else if (verb == "crash") {
            cluster().crash(id);
        } else if (verb == "restart") {
            cluster().restart(id);
        } else {
            throw std::runtime_error("no such command: " + verb);
        }
    }

    void begin(std::istringstream& words) {
        const std::uint64_t nodes = number(words);
        Options options;
        for (std::string word; words >> word;) {
            if (word == "no-pre-vote") options.pre_vote = false;
            if (word == "no-check-quorum") options.check_quorum = false;
            if (word == "no-barrier") options.barrier_on_election = false;
            if (word == "retain-nothing") options.retained_bytes = options.max_hold_bytes = 0;
        }
        cluster_.emplace(nodes, options);
        cluster_->lost = [this](const Message& message) { return leaves(message); };
        shown_.assign(nodes + 1, describe(1));
        reads_shown_ = 0;
        groups_.clear();
    }
    void write_log(std::istringstream& words) {
        Disk& disk = cluster().node(number(words)).durable;
        std::string word;
        words >> word;  // "term"
        disk.hard.term = {number(words)};
        words >> word;  // ":" or what follows the number
        for (std::uint64_t term = 0; words >> term;) {
            disk.log.push_back(entry(disk.last().value + 1, term));
        }
    }
    void part(std::istringstream& words) {
        groups_.assign(cluster().size() + 1, 0);
        std::uint64_t group = 1;
        for (std::string word; words >> word;) {
            if (word == "|") {
                ++group;
            } else {
                groups_[std::stoul(word)] = group;
            }
        }
    }

    bool leaves(const Message& message) const {
        return !groups_.empty() && groups_[message.from.value] != groups_[message.to.value];
    }
    void tell(const Message& message, const char* fate) {
        *out_ << "  " << message.from.value << " -> " << message.to.value << ' ' << text_of(message)
              << fate << '\n';
    }
    /// The place of the oldest message between the two.
    std::size_t oldest(std::uint64_t from, std::uint64_t to, const char* fate) {
        const auto found = std::ranges::find_if(cluster().bag, [&](const Message& message) {
            return message.from.value == from && message.to.value == to;
        });
        if (found == cluster().bag.end()) throw std::runtime_error("no such message");
        tell(*found, fate);
        return static_cast<std::size_t>(found - cluster().bag.begin());
    }
    /// As CoreCluster::settle, and tells what arrives.
    void settle() {
        for (bool busy = true; busy && cluster().failure.empty();) {
            busy = false;
            while (!cluster().bag.empty()) {
                const Message next = cluster().bag.front();
                tell(next, cluster().up(next.to.value) ? "" : ", which is down");
                cluster().deliver(0);
                busy = true;
            }
            for (std::uint64_t id = 1; id <= cluster().size(); ++id) {
                if (!cluster().up(id)) continue;
                Node& node = cluster().node(id);
                if (!node.disk_stalled && !node.writes.empty()) {
                    cluster().step(id, *cluster().complete_write(id));
                    busy = true;
                }
                if (!node.answers.empty()) {
                    cluster().answer(id);
                    busy = true;
                }
            }
        }
    }
    void pass(Duration time) {
        const Time end = cluster().now + time;
        settle();
        for (;;) {
            Time next = end;
            for (std::uint64_t id = 1; id <= cluster().size(); ++id) {
                if (cluster().up(id)) next = std::min(next, cluster().core(id).deadline());
            }
            if (next >= end) break;
            cluster().now = std::max(cluster().now, next);
            cluster().tick();
            settle();
        }
        cluster().now = end;
    }

    void show_changes() {
        for (std::uint64_t id = 1; id <= cluster().size(); ++id) {
            std::string now = describe(id);
            if (now != shown_[id]) *out_ << "  " << id << ": " << now << '\n';
            shown_[id] = std::move(now);
        }
        for (; reads_shown_ < cluster().reads.size(); ++reads_shown_) {
            const ReadOutcome& read = cluster().reads[reads_shown_];
            *out_ << "  read " << read.token
                  << (read.refusal == Refusal::none
                          ? " sees index " + std::to_string(read.index.value)
                          : std::string(" is refused"))
                  << '\n';
        }
    }
    std::string describe(std::uint64_t id) {
        if (!cluster().up(id)) return "down";
        const Core& core = cluster().core(id);
        const Log& log = core.log();
        std::ostringstream text;
        text << text_of(core.role()) << ", term " << core.term().value << ", [";
        const char* separator = "";
        if (log.base().index.value != 0) {
            text << '(' << text_of(log.base()) << ')';
            separator = " ";
        }
        for (Index index = log.base().index + 1; index <= log.last_index(); ++index) {
            text << std::exchange(separator, " ") << log.term_at(index)->value;
        }
        text << "] " << log.commit().value;
        return text.str();
    }

    CoreCluster& cluster() {
        if (!cluster_) throw std::runtime_error("a story begins with a cluster");
        return *cluster_;
    }
    static std::uint64_t number(std::istringstream& words) {
        std::uint64_t value = 0;
        if (!(words >> value)) throw std::runtime_error("a number is missing");
        return value;
    }

    std::optional<CoreCluster> cluster_;
    std::vector<std::string> shown_;  // of each node
    std::size_t reads_shown_ = 0;
    std::vector<std::uint64_t> groups_;  // of each node, while there is a partition
    std::ostringstream* out_ = nullptr;
};

}  // namespace raft::test

#endif
