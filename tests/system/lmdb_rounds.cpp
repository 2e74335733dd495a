// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// lmdb_rounds: kills nodes of a cluster of lmdb-kv processes with SIGKILL, one at a time and now
// and then all at once, while a client adds and puts without a pause, and then asks for an account.
//
//   test_programs lmdb_rounds PATH/TO/lmdb-kv [--rounds N] [--seed N]
//
// Each operation is given once and never again. So a key of its own that an acknowledged `add` of 1
// went to holds 1, not 0 and not 2; one that was refused does not exist; one in doubt may hold 1.
// The sums that acknowledged adds to a shared counter answered are all different, and the counter
// holds as many as there were acknowledged, or were in doubt. In the end the databases are equal.
#include "processes.hpp"
#include "program.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/random.hpp>

#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace system_test::lmdb_rounds {

namespace {

using Clock = std::chrono::steady_clock;

using system_test::demand;

/// An lmdb-kv process, which takes lines and gives lines.
class Node {
public:
    Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() { kill(); }

    void start(const std::vector<std::string>& words) {
        kill();
        std::array<int, 2> in{};
        std::array<int, 2> out{};
        demand(::pipe2(in.data(), O_CLOEXEC) == 0 && ::pipe2(out.data(), O_CLOEXEC) == 0, "pipe");
        process_ = system_test::Process(words, in[0], out[1]);
        ::close(in[0]);
        ::close(out[1]);
        in_ = in[1];
        out_ = out[0];
        text_.clear();
    }
    bool up() const { return process_.runs(); }
    void kill() {
        if (!up()) return;
        process_.kill();
        ::close(in_);
        ::close(out_);
    }
    /// By the end of its input. Gives its exit status.
    int stop() {
        ::close(in_);
        const int status = process_.wait();
        ::close(out_);
        return status;
    }
    void demand_running() { demand(!process_.poll(), "a node ended by itself"); }
    void tell(const std::string& line) {
        const std::string text = line + "\n";
        for (std::size_t at = 0; at < text.size();) {
            const ssize_t count = ::write(in_, text.data() + at, text.size() - at);
            if (count < 0 && errno == EINTR) continue;
            demand(count > 0, "a node does not read its input");
            at += static_cast<std::size_t>(count);
        }
    }
    int output() const { return out_; }
    /// What has come, as whole lines. @pre there is something to be read
    std::vector<std::string> lines() {
        std::array<char, 1 << 16> buffer{};
        const ssize_t count = ::read(out_, buffer.data(), buffer.size());
        if (count > 0) text_.append(buffer.data(), static_cast<std::size_t>(count));
        std::vector<std::string> lines;
        for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos;) {
            lines.push_back(text_.substr(0, end));
            text_.erase(0, end + 1);
        }
        return lines;
    }

private:
    system_test::Process process_;
    int in_ = -1;
    int out_ = -1;
    std::string text_;
};

/// What became of an operation.
enum class Fate { asked, done, refused, unknown };

class Run {
public:
    Run(const system_test::Settings& settings, std::filesystem::path directory)
        : program_(settings.server), directory_(std::move(directory)), random_(settings.seed) {
        std::set<std::uint16_t> taken;
        for (std::size_t i = 0; i < size; ++i) {
            addresses_.push_back("127.0.0.1:" + std::to_string(system_test::free_port(taken)));
        }
        for (std::size_t i = 0; i < size; ++i) start(i);
    }

    void round(std::uint64_t number) {
        load_until_done(300, "the cluster serves");
        fill_window();
        take_answers(static_cast<int>(random_.below(4)));
        const bool all = random_.below(4) == 0;
        const std::size_t one = random_.below(size);
        for (std::size_t i = 0; i < size; ++i) {
            if (all || i == one) kill(i);
        }
        if (!all) load_until_done(random_.below(2) == 0 ? 200 : 3000, "two nodes serve");
        for (std::size_t i = 0; i < size; ++i) {
            if (!nodes_[i].up()) start(i);
        }
        std::cout << "round " << number << ": killed "
                  << (all ? "all" : "node " + std::to_string(one + 1)) << ", " << done_
                  << " operations done, " << unknown_ << " in doubt" << std::endl;
    }

    void account() {
        load_until_done(300, "the cluster serves");
        wait("every operation ends", [&] { return asked_.empty(); });
        check_own_keys();
        const std::int64_t sum = std::stoll(read("sum").value_or("0"));
        const auto least = static_cast<std::int64_t>(sums_.size());
        demand(least <= sum && sum <= least + unknown_sums_,
               "the counter holds " + std::to_string(sum) + " after " + std::to_string(least) +
                   " adds and " + std::to_string(unknown_sums_) + " in doubt");
        demand(sums_.empty() || *sums_.rbegin() <= sum, "an add answered more than there is");
        std::string equal;
        wait("the databases become equal", [&] {
            std::set<std::string> digests;
            for (std::size_t i = 0; i < size; ++i) digests.insert(ask(i, "digest -"));
            equal = *digests.begin();
            return digests.size() == 1;
        });
        for (Node& node : nodes_) demand(node.stop() == 0, "a node does not stop cleanly");
        std::cout << done_ << " operations done, " << unknown_ << " in doubt, " << refused_
                  << " refused; counter " << sum << "; " << equal << std::endl;
    }

private:
    static constexpr std::size_t size = 3;
    static constexpr std::size_t window = 32;
    static constexpr std::chrono::seconds patience{60};

    enum class Kind { own, sum, filling };
    struct Operation {
        std::size_t node;
        Kind kind;
        std::uint64_t number;
    };

    void start(std::size_t i) {
        std::vector<std::string> words{program_, std::to_string(i + 1),
                                       (directory_ / std::to_string(i + 1)).string()};
        words.insert(words.end(), addresses_.begin(), addresses_.end());
        nodes_[i].start(words);
    }
    void kill(std::size_t i) {
        take_answers(0);
        nodes_[i].kill();
        for (auto at = asked_.begin(); at != asked_.end();) {
            const auto next = std::next(at);
            if (at->second.node == i) end(at, Fate::unknown, 0);
            at = next;
        }
    }

    void submit() {
        const std::size_t node = leader_;
        if (!nodes_[node].up()) {
            leader_ = (leader_ + 1) % size;
            return;
        }
        const std::uint64_t number = next_++;
        const auto kind = static_cast<Kind>(random_.below(3));
        asked_.emplace(number, Operation{node, kind, number});
        const std::string tag = std::to_string(number);
        if (kind == Kind::own) nodes_[node].tell(tag + " add own" + tag + " 1");
        if (kind == Kind::sum) nodes_[node].tell(tag + " add sum 1");
        if (kind == Kind::filling) {  // so that the log is compacted now and then
            const std::string key = "filling" + std::to_string(number % 100);
            nodes_[node].tell(tag + " put " + key + " " + std::string(500, 'x'));
        }
    }
    void end(std::map<std::uint64_t, Operation>::iterator at, Fate fate, std::int64_t value) {
        const Operation& operation = at->second;
        done_ += fate == Fate::done ? 1 : 0;
        unknown_ += fate == Fate::unknown ? 1 : 0;
        refused_ += fate == Fate::refused ? 1 : 0;
        if (fate == Fate::refused) refused_at_ = Clock::now();
        if (operation.kind == Kind::own) {
            fates_[operation.number] = fate;
            demand(fate != Fate::done || value == 1,
                   "own" + std::to_string(operation.number) + " is " + std::to_string(value));
        }
        if (operation.kind == Kind::sum && fate == Fate::done) {
            demand(sums_.insert(value).second, "two adds answered " + std::to_string(value));
        }
        if (operation.kind == Kind::sum && fate == Fate::unknown) ++unknown_sums_;
        asked_.erase(at);
    }
    /// Takes what has come, or comes within so many milliseconds.
    void take_answers(int milliseconds) {
        std::vector<pollfd> files;
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < size; ++i) {
            if (!nodes_[i].up()) continue;
            files.push_back({nodes_[i].output(), POLLIN, 0});
            places.push_back(i);
        }
        if (::poll(files.data(), files.size(), milliseconds) <= 0) return;
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (files[i].revents == 0) continue;
            const std::vector<std::string> lines = nodes_[places[i]].lines();
            if (lines.empty()) nodes_[places[i]].demand_running();
            for (const std::string& line : lines) take(line);
        }
    }
    void take(const std::string& line) {
        const std::size_t space = line.find(' ');
        const std::string tag = line.substr(0, space);
        const std::string text = line.substr(space + 1);
        if (tag.front() == 'q') {
            answers_[tag] = text;
            return;
        }
        const auto at = asked_.find(std::stoull(tag));
        if (at == asked_.end()) return;  // its node was killed
        if (text.starts_with("ok ")) return end(at, Fate::done, std::stoll(text.substr(3)));
        if (text.starts_with("unknown ")) return end(at, Fate::unknown, 0);
        if (text.starts_with("leader ")) {
            leader_ = std::stoull(text.substr(7)) - 1;
        } else if (at->second.node == leader_) {
            leader_ = (leader_ + 1) % size;
        }
        end(at, Fate::refused, 0);
    }

    void load_until_done(std::uint64_t operations, const char* what) {
        const std::uint64_t wanted = done_ + operations;
        const auto deadline = Clock::now() + patience;
        while (done_ < wanted) {
            demand(Clock::now() < deadline, std::string("in vain: ") + what);
            fill_window();
            take_answers(5);
        }
    }
    void fill_window() {
        // Who leads is not decided within a moment.
        if (Clock::now() < refused_at_ + std::chrono::milliseconds(20)) return;
        while (asked_.size() < window) {
            const std::size_t before = asked_.size();
            submit();
            if (asked_.size() == before) return;
        }
    }
    template <class Condition>
    void wait(const char* what, Condition holds) {
        const auto deadline = Clock::now() + patience;
        while (!holds()) {
            demand(Clock::now() < deadline, std::string("in vain: ") + what);
            take_answers(5);
        }
    }
    std::string ask(std::size_t node, const std::string& command) {
        const std::string tag = "q" + std::to_string(next_++);
        nodes_[node].tell(tag + " " + command);
        wait("a node answers", [&] { return answers_.contains(tag); });
        return answers_[tag];
    }
    /// Of whoever leads.
    std::optional<std::string> read(const std::string& key) {
        std::string found;
        wait("a read is answered", [&] {
            found = ask(leader_, "get " + key);
            if (found.starts_with("leader ")) leader_ = std::stoull(found.substr(7)) - 1;
            if (found.starts_with("no ")) leader_ = (leader_ + 1) % size;
            return found == "none" || found.starts_with("value ");
        });
        if (found == "none") return std::nullopt;
        return found.substr(6);
    }
    void check_own_keys() {
        for (const auto& [number, fate] : fates_) {
            const std::string key = "own" + std::to_string(number);
            const std::optional<std::string> value = read(key);
            const bool right = fate == Fate::done      ? value == "1"
                               : fate == Fate::refused ? !value
                                                       : !value || value == "1";
            demand(right, key + " holds " + value.value_or("nothing"));
        }
    }

    std::string program_;
    std::filesystem::path directory_;
    raft::Random random_;
    std::vector<std::string> addresses_;
    std::array<Node, size> nodes_;
    std::size_t leader_ = 0;
    std::uint64_t next_ = 1;
    Clock::time_point refused_at_;
    std::map<std::uint64_t, Operation> asked_;
    std::map<std::string, std::string> answers_;
    std::map<std::uint64_t, Fate> fates_;  // of those with a key of their own
    std::set<std::int64_t> sums_;          // that were answered
    std::int64_t unknown_sums_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t unknown_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace

int run(int count, char** words) {
    system_test::Settings settings;
    system_test::Program program(
        "lmdb_rounds", "Kills nodes of an lmdb-kv cluster under load and counts its operations.",
        settings);
    program.add_rounds(20, "How often nodes are killed");
    std::signal(SIGPIPE, SIG_IGN);
    return program.run(count, words, [&] {
        const rsm_test::TemporaryDirectory directory;
        Run run(settings, directory.path());
        for (std::uint64_t round = 1; round <= settings.rounds; ++round) run.round(round);
        run.account();
        return true;
    });
}

}  // namespace system_test::lmdb_rounds
