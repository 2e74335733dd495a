// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The lines that a server writes for its operator.
#include "support/temporary_directory.hpp"

#include <kv/log.hpp>

#include <rsm/admin/metrics.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace log_test {

namespace {

using Kind = raft::EventKind;
using Lines = std::vector<std::string>;

/// The lines that `act` writes, each without its time.
template <class Act>
Lines written_by(Act act) {
    const rsm_test::TemporaryDirectory directory;
    const std::string path = directory / "log";
    std::fflush(stderr);
    const int before = ::dup(STDERR_FILENO);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (before < 0 || file < 0 || ::dup2(file, STDERR_FILENO) < 0) {
        throw std::runtime_error("standard error cannot be redirected");
    }
    act();
    std::fflush(stderr);
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(file);
    std::istringstream in(rsm_test::read_file(path));
    Lines lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line.substr(line.find(' ') + 1));
    return lines;
}

/// One whose numbers all differ.
raft::Event event(Kind kind) { return {kind, {7}, {2}, {5}, 11, 12}; }

constexpr bool notice = false;
constexpr bool warning = true;
struct Told {
    Kind kind;
    bool is_warning;
    const char* line;
};
const std::vector<Told> told{
    {Kind::became_follower, notice, "role: follower"},
    {Kind::became_pre_candidate, notice, "role: pre-candidate"},
    {Kind::became_candidate, notice, "role: candidate"},
    {Kind::became_leader, notice, "role: leader"},
    {Kind::leader_known, notice, "leader: node 2"},
    {Kind::quorum_lost, warning, "no quorum answers, giving up leadership"},
    {Kind::disk_stalled, warning,
     "DISK HANGS: a write of this node does not end, so it neither leads nor votes"},
    {Kind::log_truncated, notice, "log: entries from index 5 on replaced by the leader's"},
    {Kind::snapshot_installed, notice, "snapshot: installed up to index 5"},
    {Kind::snapshot_rejected, warning,
     "snapshot: received one up to index 5 with a wrong checksum"},
    {Kind::snapshot_unreadable, warning,
     "snapshot: the own one up to index 5 is damaged or cannot be read"},
    {Kind::protocol_violation, warning, "PROTOCOL VIOLATION by node 2"},
    {Kind::acknowledgement_lost, warning,
     "ACKNOWLEDGEMENT LOST: node 2 has nothing after index 5 of what it had acknowledged"},
    {Kind::rival_leader, warning, "RIVAL LEADER: node 2 leads the term that this node leads"},
    {Kind::number_out_of_range, warning,
     "ignored a message of node 2 with a number that no cluster comes to"},
    {Kind::paused, notice, "this node did not run for a while and asks peers and disk anew"},
    {Kind::members_changed, notice, "members: those of index 5 are committed"},
    {Kind::version_raised, notice,
     "version: everybody reads a higher one, which is written from index 5 on"},
    {Kind::removed, warning, "REMOVED: this node is a member no more, as of index 5"},
    {Kind::other_instance, warning,
     "ANOTHER INSTANCE: node 2 is not the one that the members know, its storage is another or "
     "empty"},
    {Kind::unrecognized, warning,
     "NOT RECOGNIZED: for node 2 another instance bears this node's id; waiting to be taken in"},
    {Kind::log_regained, notice,
     "log: HEALED, the peers have brought what was damaged, up to index 5"},
    {Kind::disk_recovered, notice, "disk: what hung has been written, this node takes part again"},
    {Kind::disk_full, warning, "DISK FULL: while it is, a node that has room is to lead"},
    {Kind::disk_has_room, notice, "disk: there is room again"},
    {Kind::states_differ, warning,
     "STATES DIFFER: node 2 has made something else of the log than this node, from index 5 on, "
     "digests 11 here and 12 there"},
    {Kind::outvoted, warning,
     "OUTVOTED: a majority, node 2 among them, has made something else of the log than this node, "
     "from index 5 on, digests 11 here and 12 there"},
};

/// What is printed from now on, until the test ends.
struct Printed {
    explicit Printed(kv::LogLevel level) { kv::log_level() = level; }
    Printed(const Printed&) = delete;
    Printed& operator=(const Printed&) = delete;
    ~Printed() { kv::log_level() = kv::LogLevel::notice; }
};

}  // namespace

TEST_CASE("kv log: each event has a line, and a level that says whether to look at it") {
    std::set<Kind> kinds;
    for (const Told& expected : told) {
        CHECK(kv::describe(event(expected.kind)) == std::string(expected.line) + " (term 7)");
        CHECK(kv::level_of(expected.kind) ==
              (expected.is_warning ? kv::LogLevel::warning : kv::LogLevel::notice));
        kinds.insert(expected.kind);
    }
    CHECK(kinds.size() == rsm::EventCounts::kinds);
}

TEST_CASE("kv log: of many attempts to be elected the first, second, fourth, eighth are told") {
    kv::EventLog log;
    const auto attempts = [&log](int count) {
        for (int i = 0; i < count; ++i) log.line(event(Kind::became_pre_candidate));
    };
    const std::string first = "role: pre-candidate (term 7)";
    CHECK(written_by([&] { attempts(1); }) == Lines{first});
    CHECK(written_by([&] { attempts(1); }) == Lines{first + ": no quorum answered 1 time"});
    CHECK(written_by([&] { attempts(1); }).empty());
    CHECK(written_by([&] { attempts(1); }) == Lines{first + ": no quorum answered 3 times"});
    CHECK(written_by([&] { attempts(4); }) == Lines{first + ": no quorum answered 7 times"});
    CHECK(written_by([&] { log.line(event(Kind::became_follower)); }).size() == 1);
    CHECK(written_by([&] { attempts(1); }) == Lines{first});
    const Printed all(kv::LogLevel::verbose);
    CHECK(written_by([&] { attempts(2); }) ==
          Lines{first + ": no quorum answered 1 time", first + ": no quorum answered 2 times"});
}

TEST_CASE("kv log: where only warnings are printed, what is a matter of course is not") {
    const Printed warnings(kv::LogLevel::warning);
    kv::EventLog log;
    CHECK(written_by([&] { log.line(event(Kind::became_leader)); }).empty());
    CHECK(written_by([&] { log.line(event(Kind::disk_full)); }).size() == 1);
}

TEST_CASE("kv log: of what clients bring about ten lines a second are written, the rest counted") {
    using namespace std::chrono_literals;
    kv::CalmLog log;
    const auto begin = std::chrono::steady_clock::now();
    const auto lines = [&](int count, std::chrono::nanoseconds after) {
        return written_by([&] {
            for (int i = 0; i < count; ++i) log.line("a client", begin + after);
        });
    };
    CHECK(lines(10, 0s) == Lines(10, "a client"));
    CHECK(lines(3, 999ms).empty());
    CHECK(lines(1, 1s) == Lines{"(3 more lines about clients left out)", "a client"});
    CHECK(lines(9, 1999ms).size() == 9);
    CHECK(lines(1, 1999ms).empty());
    CHECK(lines(12, 2s).size() == 11);
    CHECK(lines(1, 10s) == Lines{"(2 more lines about clients left out)", "a client"});
    CHECK(lines(1, 20s) == Lines{"a client"});
}

TEST_CASE("kv log: the library's options are named as the command line has them") {
    CHECK(kv::with_own_options("at index 3, unless Options::skip_operations leaves that out, and "
                               "Options::skip_operations again") ==
          "at index 3, unless --skip-operation leaves that out, and --skip-operation again");
    CHECK(kv::with_own_options("no room").find("no room") == 0);
}

TEST_CASE("kv log: a start tells of a certificate once, and later each time") {
    kv::TlsLog log;
    const std::string valid = "TLS: the certificate is that in one.crt, valid until 2030";
    const auto say = [&](const std::string& text) { return written_by([&] { log.line(text); }); };
    CHECK(say(valid) == Lines{valid});
    CHECK(say(valid).empty());
    log.started();
    CHECK(say(valid) == Lines{valid});
    const Printed warnings(kv::LogLevel::warning);
    CHECK(say(valid).empty());
    CHECK(say("TLS: ...; THE CERTIFICATE EXPIRES SOON, on 2030").size() == 1);
}

}  // namespace log_test
