// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// clock_jumps: sets the wall clock of the leader of three kv-server processes an hour forward, and
// then two hours back, while three clerks read and write. Nobody may be elected, no client may see
// an error, and keys must have the deadlines that docs/kv-commands.md says. Then it asks for an
// account: every acknowledged write must be there, the history of the clerks must be linearizable,
// and all replicas equal.
//
//   test_programs clock_jumps KV_SERVER DISK_AND_CLOCK_LIBRARY [--seed N] [--history FILE]
#include "cluster.hpp"
#include "customer.hpp"
#include "preloaded.hpp"
#include "program.hpp"
#include "verdict.hpp"

#include <kv/clerk.hpp>
#include <kv/cli_service.hpp>
#include <kv/log.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace system_test::clock_jumps {

namespace {

using Steady = std::chrono::steady_clock;
using Wall = std::chrono::system_clock;

/// In seconds.
constexpr std::int64_t minute = 60;
constexpr std::int64_t hour = 60 * minute;

struct ClockSettings : Settings {
    std::string library;
};

class Run {
public:
    Run(const ClockSettings& settings, const std::filesystem::path& directory)
        : controls_(settings.library, directory),
          // So long that nobody is elected because the machine is busy.
          cluster_(settings.server, directory, {"--election-timeout", "2000"}, settings.seed,
                   patient()) {}

    void run() {
        for (const Node node : cluster_.founders()) {
            controls_.start(node, [&] { cluster_.servers().found(node); });
        }
        clerks().load().makes_keys = false;
        cluster_.begin();
        clerks().wait("the keys are there", [this] { return cluster_.load().has_shared_keys(); });
        leader_ = cluster_.await_leader();
        term_ = term();
        set_first_keys();
        const std::size_t doubts = cluster_.load().puts_maybe;
        cluster_.measure_aloud("an hour ahead", [this] { jump_ahead(); });
        cluster_.measure_aloud("two hours back", [this] { jump_back(); });
        std::cout << std::endl;
        demand(cluster_.load().puts_maybe == doubts, "a clerk was told that a put is in doubt");
        demand(cluster_.leader() == leader_ && term() == term_, "somebody was elected");
        cluster_.clerks().end();
        cluster_.compare_replicas();
        cluster_.search_logs(3);
    }

    const Cluster& cluster() const { return cluster_; }
    std::string summary() const { return "a clock an hour ahead and two hours back"; }

private:
    // ---- the story ----

    void set_first_keys() {
        set({"SET", "forever", "value"});
        set({"SET", "half an hour", "value", "EX", "1800"});
        set({"SET", "two hours", "value", "EX", "7200"});
        demand_left("half an hour", hour / 2);
        demand_left("two hours", 2 * hour);
    }

    void jump_ahead() {
        const Steady::time_point begin = Steady::now();
        set_clock(hour);
        await_gone("half an hour");
        demand(get("forever") == "value", "a key without a deadline has gone");
        demand_left("two hours", 2 * hour - hour, begin);
        set({"SET", "ten minutes", "value", "EX", "600"});
        demand_left("ten minutes", 10 * minute);
        demand_too_early();
        demand_line_of(hour);
    }

    void jump_back() {
        const Steady::time_point begin = Steady::now();
        set_clock(-hour);
        clerks().wait_for_operations(300, "all serve");
        demand(get("forever") == "value", "a key without a deadline has gone");
        demand(get("half an hour").empty(), "a key that has gone is there again");
        // Nothing is prolonged, and nothing shortened.
        demand_left("two hours", hour, begin);
        demand_left("ten minutes", 10 * minute, begin);
        demand_too_early();
        const Steady::time_point asked = Steady::now();
        set({"SET", "half a second", "value", "PX", "500"});
        await_gone("half a second");
        demand(Steady::now() - asked >= std::chrono::milliseconds(500),
               "a key goes before its deadline");
        demand_line_of(-hour);
    }

    void set_clock(std::int64_t offset) { controls_.set(leader_, {.clock_offset_s = offset}); }

    /// A clerk that waits for a busy machine, and asks no other server meanwhile: what it has
    /// doubts of is the service's fault.
    static kv::ClerkOptions patient() {
        kv::ClerkOptions options = impatient();
        options.doubt_timeout = options.attempt_timeout = options.answer_timeout = patience;
        return options;
    }

    // ---- keys ----

    kv::Reply ask(const std::vector<std::string_view>& words) {
        const kv::CallOutcome outcome =
            clerks().ask({cluster_.servers().client(leader_)}, words, patience).front();
        demand(!outcome.error, std::string(words.front()) + ": " + outcome.why());
        return outcome.reply;
    }
    void set(const std::vector<std::string_view>& words) {
        kv::Reply reply;
        clerks().wait("all have said that they know deadlines", [&] {
            reply = ask(words);
            return !reply.is_error("TRYAGAIN");
        });
        demand(reply.text == "OK", "SET " + std::string(words[1]) + " says " + reply.text);
    }
    /// Empty: it is not there.
    std::string get(std::string_view key) { return ask({"GET", key}).text; }
    void await_gone(const std::string& key) {
        clerks().wait("the key of " + key + " goes", [&] { return get(key).empty(); });
    }
    /// The log's time is and stays an hour ahead: what is to come in half an hour has been.
    void demand_too_early() {
        const auto soon = (Wall::now() + std::chrono::minutes(30)).time_since_epoch();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(soon).count();
        set({"SET", "time of day", "value", "EXAT", std::to_string(seconds)});
        await_gone("time of day");
    }
    /// @param seconds  that the key had left, or was given, at a time; by default just now
    void demand_left(std::string_view key, std::int64_t seconds,
                     Steady::time_point begin = Steady::now()) {
        const std::int64_t left = ask({"PTTL", key}).integer;
        const auto passed = [&] {
            return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - begin)
                .count();
        };
        // What has passed since the key was set, before that time, is within the patience.
        const std::int64_t least =
            seconds * 1000 - passed() -
            std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
        demand(left <= seconds * 1000 && left >= least, "the key of " + std::string(key) + " has " +
                                                            std::to_string(left) + " ms left of " +
                                                            std::to_string(seconds) + " s");
    }

    // ---- the log ----

    /// A line that the leader says now has the time of its clock.
    void demand_line_of(std::int64_t offset) {
        const std::string said = "turned away at the port for peers: ";
        const std::size_t before = cluster_.servers().log_of(leader_).size();
        std::string line;
        clerks().wait("the leader says that it has turned a stranger away", [&] {
            knock();
            const std::string log = cluster_.servers().log_of(leader_).substr(before);
            const std::size_t at = log.find(said);
            if (at == std::string::npos) return false;
            line = log.substr(log.rfind('\n', at) + 1, at);
            return true;
        });
        const auto about = Wall::now() + std::chrono::seconds(offset);
        demand(line > kv::timestamp(about - std::chrono::minutes(10)) &&
                   line < kv::timestamp(about + std::chrono::minutes(10)),
               "a line has another time than the clock: " + line);
    }
    /// Says to its peers' port what no peer says.
    void knock() {
        boost::asio::io_context io;
        boost::asio::ip::tcp::socket socket(io);
        socket.connect(endpoint_of(cluster_.servers().peer(leader_)));
        boost::asio::write(socket, boost::asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
    }

    std::uint64_t term() { return kv::number(cluster_.account(leader_), "term"); }
    Clerks& clerks() { return cluster_.clerks(); }

    static constexpr std::chrono::seconds patience{60};

    Controls controls_;
    Cluster cluster_;
    Node leader_ = 0;
    std::uint64_t term_ = 0;
};

}  // namespace

int run(int count, char** words) {
    ClockSettings settings;
    Program program("clock_jumps", "Sets the clock of a kv cluster's leader forward and back.",
                    settings);
    program.add_program("LIBRARY", settings.library, "What sets clocks, to be preloaded");
    program.add_seed();
    program.add_history();
    return program.run(count, words, [&] { return tell<Run>(settings); });
}

}  // namespace system_test::clock_jumps
