// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Each rule that needs no whole node: what it lets pass, and that it speaks when it is broken.
#include "support/records.hpp"

#include <rsm/sim/rules/clutter.hpp>
#include <rsm/sim/rules/deadlines.hpp>
#include <rsm/sim/rules/election_safety.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/honest_start.hpp>
#include <rsm/sim/rules/leader_append_only.hpp>
#include <rsm/sim/rules/leader_completeness.hpp>
#include <rsm/sim/rules/liveness.hpp>
#include <rsm/sim/rules/log_matching.hpp>
#include <rsm/sim/rules/no_failure_without_a_cause.hpp>
#include <rsm/sim/rules/only_forward.hpp>
#include <rsm/sim/rules/progress_under_minority_fault.hpp>
#include <rsm/sim/rules/repetition.hpp>
#include <rsm/sim/rules/severe_events.hpp>
#include <rsm/sim/rules/stable_leadership.hpp>
#include <rsm/sim/rules/votes.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace rules_test {

namespace {

using namespace rsm::sim;
using namespace std::chrono_literals;

using raft::test::entry;

std::string broken_rule(const Broken& broken) { return broken ? broken->property : "none"; }

}  // namespace

TEST_CASE("Votes: the same vote may be said twice, another one of the term may not") {
    Votes votes(3);
    CHECK_FALSE(votes.cast({1}, {5}, {2}));
    CHECK_FALSE(votes.cast({1}, {5}, {2}));
    CHECK_FALSE(votes.cast({1}, {6}, {3}));
    CHECK_FALSE(votes.cast({2}, {5}, {3}));
    const Broken broken = votes.cast({1}, {5}, {3});
    REQUIRE(broken_rule(broken) == "votes");
    CHECK(broken->where == "node 1 votes for node 2 and for node 3 in term 5");
    CHECK(broken->nodes == std::vector<raft::NodeId>{{1}});
}

TEST_CASE("Election safety: who is not the leader of a term must not speak as if it were") {
    Chronicle chronicle(3);
    const ElectionSafety rule(chronicle);
    CHECK_FALSE(rule.spoke({1}, {4}));
    chronicle.leaders[{4}] = {{1}, 1};
    CHECK_FALSE(rule.spoke({1}, {4}));
    CHECK_FALSE(rule.spoke({2}, {5}));
    CHECK(broken_rule(rule.spoke({2}, {4})) == "election safety");
}

TEST_CASE("Only forward: no mark falls") {
    Look before;
    before.term = {3};
    before.commit = {7};
    Look now = before;
    now.term = {4};
    CHECK_FALSE(only_forward({1}, before, now));
    now.commit = {6};
    CHECK(broken_rule(only_forward({1}, before, now)) == "only forward");
}

TEST_CASE("Leader append-only: a leader does not truncate, a follower may") {
    Look leader;
    leader.role = raft::Role::leader;
    leader.term = {3};
    raft::Event truncated;
    truncated.kind = raft::EventKind::log_truncated;
    truncated.term = {3};
    CHECK_FALSE(leader_append_only({1}, truncated, Look{}));
    CHECK(broken_rule(leader_append_only({1}, truncated, leader)) == "leader append-only");
    truncated.term = {4};
    CHECK_FALSE(leader_append_only({1}, truncated, leader));
}

TEST_CASE("Leader completeness: a later leader that is there holds what is committed") {
    Chronicle chronicle(2);
    Chronicle::Node& node = chronicle.of({2});
    node.seen.role = raft::Role::leader;
    node.seen.term = {5};
    node.seen.last = {{9}, {5}};
    node.up = true;
    CHECK_FALSE(leader_completeness({1}, {9}, {4}, chronicle));
    CHECK_FALSE(leader_completeness({1}, {10}, {5}, chronicle));
    CHECK(broken_rule(leader_completeness({1}, {10}, {4}, chronicle)) == "leader completeness");
    node.up = false;
    CHECK_FALSE(leader_completeness({1}, {10}, {4}, chronicle));
}

TEST_CASE("Log matching: an entry is what it was, and so is the one before it") {
    Chronicle chronicle(3);
    LogMatching rule(chronicle);
    raft::AppendRequest request;
    request.previous = {{4}, {1}};
    request.entries = {entry(5, 2, "five"), entry(6, 2, "six")};
    CHECK_FALSE(rule.sent({1}, request));
    CHECK_FALSE(rule.sent({2}, request));
    request.entries[1] = entry(6, 2, "another");
    CHECK(broken_rule(rule.sent({2}, request)) == "log matching");
    request.entries = {entry(5, 2, "five")};
    request.previous.term = {2};
    CHECK(broken_rule(rule.sent({2}, request)) == "log matching");
    request.entries = {entry(5, 3, "another")};
    CHECK_FALSE(rule.sent({2}, request));
}

TEST_CASE("Repetition: a snapshot may be begun anew a few times, but not on and on") {
    Repetition rule(100ms);
    raft::SnapshotChunk chunk;
    chunk.term = {1};
    raft::Time now{};
    for (int i = 0; i < 5; ++i) CHECK_FALSE(rule.sent({1}, {2}, chunk, now += 1ms));
    CHECK_FALSE(rule.sent({1}, {3}, chunk, now));
    CHECK(broken_rule(rule.sent({1}, {2}, chunk, now)) == "repetition");
    chunk.offset = 1;
    CHECK_FALSE(rule.sent({1}, {2}, chunk, now));
    chunk.offset = 0;
    CHECK_FALSE(rule.sent({1}, {2}, chunk, now + 100ms));
}

TEST_CASE("Clutter: one snapshot, and the segments that the log needs") {
    const raft::Log empty;
    CHECK(clutter({"d/1.wal", "d/2.wal", "d/1.snapshot"}, empty).empty());
    CHECK(clutter({"d/1.wal", "d/2.wal", "d/3.wal"}, empty) == "3 segments");
    CHECK(clutter({"d/1.snapshot", "d/2.snapshot"}, empty) == "2 snapshots");
    CHECK(clutter({"d/1.wal", "d/saving.tmp"}, empty) == "d/saving.tmp");
    CHECK(clutter({"d/1.wal", "d/incoming.tmp"}, empty) == "d/incoming.tmp");
    std::vector<std::string> spares;
    for (const char* number : {"1", "2", "3", "4"}) {
        spares.push_back(std::string("d/") + number + ".wal.spare.tmp");
    }
    CHECK(clutter(spares, empty).empty());
    spares.emplace_back("d/5.wal.spare.tmp");
    CHECK(clutter(spares, empty) == "5 spare segments");
}

TEST_CASE("Clutter: what could not be taken away may stay") {
    DiskHit hit{.fault = DiskFault::call_error, .path = "d/1.wal", .call = DiskCall::remove};
    CHECK(leaves_clutter(hit));
    hit.call = DiskCall::rename;
    CHECK(leaves_clutter(hit));
    hit.call = DiskCall::create;
    CHECK_FALSE(leaves_clutter(hit));
    CHECK_FALSE(leaves_clutter({.fault = DiskFault::sync_error, .call = DiskCall::remove}));
}

TEST_CASE("Honest start: no node starts in spite of an error that counts") {
    const auto start = [](DiskHit hit) {
        return broken_rule(honest_start({1}, std::span<const DiskHit>(&hit, 1)));
    };
    CHECK(broken_rule(honest_start({1}, {})) == "none");
    CHECK(start({.fault = DiskFault::bit_rot}) == "none");
    CHECK(start({.fault = DiskFault::sync_error}) == "honest start");
    CHECK(start({.fault = DiskFault::write_error}) == "honest start");
    for (const DiskCall call : {DiskCall::list, DiskCall::open, DiskCall::create, DiskCall::stat,
                                DiskCall::read, DiskCall::rename, DiskCall::create_directory}) {
        CHECK(start({.fault = DiskFault::call_error, .call = call}) == "honest start");
    }
    const auto read = [&](int error) {
        return start({.fault = DiskFault::call_error, .call = DiskCall::read, .error = error});
    };
    CHECK(read(ENOMEM) == "honest start");
    CHECK(read(EIO) == "none");
    // What is not needed may fail.
    CHECK(start({.fault = DiskFault::call_error, .call = DiskCall::remove}) == "none");
    CHECK(start({.fault = DiskFault::call_error, .call = DiskCall::allocate}) == "none");
}

TEST_CASE("Stable leadership: a reign ends for a candidate and for nothing else") {
    StableLeadership rule(3, true);
    CHECK_FALSE(rule.event({1}, raft::EventKind::became_candidate));
    CHECK_FALSE(rule.event({1}, raft::EventKind::became_leader));
    const Broken broken = rule.event({1}, raft::EventKind::quorum_lost);
    REQUIRE(broken_rule(broken) == "stable leadership");
    CHECK(broken->where ==
          "node 1 gives up leadership, which nobody disputed, and says: "
          "hears from no quorum");
    CHECK_FALSE(rule.event({2}, raft::EventKind::became_pre_candidate));
    CHECK_FALSE(rule.event({1}, raft::EventKind::disk_stalled));
    StableLeadership other(3, true);
    CHECK_FALSE(other.event({1}, raft::EventKind::became_leader));
    CHECK_FALSE(other.event({2}, raft::EventKind::disk_stalled));
    CHECK(broken_rule(other.event({1}, raft::EventKind::disk_stalled)) == "stable leadership");
    CHECK_FALSE(other.event({1}, raft::EventKind::became_follower));
    CHECK_FALSE(other.event({1}, raft::EventKind::disk_stalled));
    CHECK_FALSE(StableLeadership(3, false).event({1}, raft::EventKind::quorum_lost));
    CHECK_FALSE(nobody_stood({0, 1}, {0, 1}));
    CHECK(broken_rule(nobody_stood({0, 1}, {1, 1})) == "stable leadership");
    CHECK_FALSE(not_deposed({{1}, {3}}, {{1}, {3}}));
    CHECK(broken_rule(not_deposed({{1}, {3}}, {{1}, {4}})) == "stable leadership");
}

TEST_CASE("Deadlines: a little late is not late, and without a timeout nothing is") {
    CHECK_FALSE(deadline("operation 1", 250ms, 200ms));
    CHECK(broken_rule(deadline("operation 1", 350ms, 200ms)) == "deadlines");
    CHECK_FALSE(deadline("operation 1", 350ms, {}));
}

TEST_CASE("No failure without a cause: what was done to the disk excuses, and only that") {
    DiskHistory history;
    raft::Failure failure{std::make_error_code(std::errc::no_space_on_device),
                          "write d/saving.tmp"};
    CHECK(broken_rule(failure_has_cause({1}, failure, history)) == "no failure without a cause");
    history.refusing = true;
    CHECK_FALSE(failure_has_cause({1}, failure, history));
    failure.what = "write d/1.wal";
    CHECK(broken_rule(failure_has_cause({1}, failure, history)) == "no failure without a cause");
    CHECK_FALSE(refusal_has_cause({1}, "no room", history));
    CHECK(broken_rule(refusal_has_cause({1}, "damage", {})) == "no refusal without damage");
    const Broken rejection = rejection_has_cause({1}, "rejects a snapshot", false);
    REQUIRE(broken_rule(rejection) == "no rejection without damage");
    CHECK(rejection->where == "node 1 rejects a snapshot");
    CHECK_FALSE(rejection_has_cause({1}, "rejects a snapshot", true));
}

TEST_CASE("Severe events: a report of a protocol violation breaks a rule, other events do not") {
    raft::Event event;
    event.node = {2};
    CHECK_FALSE(severe_event({1}, event, false));
    event.kind = raft::EventKind::protocol_violation;
    const Broken broken = severe_event({1}, event, false);
    REQUIRE(broken_rule(broken) == "severe event");
    CHECK(broken->nodes == std::vector<raft::NodeId>{{1}, {2}});
}

TEST_CASE(
    "Equal state machines: replicas that differ are named, with where their states came from") {
    std::vector<std::string> complaints;
    AppliedSequence sequence(
        [&](const Violation& violation) { complaints.push_back(violation.where); }, 10);
    const auto nothing = [] { return std::string(); };
    const auto result = [](std::string words) { return [words] { return words; }; };
    sequence.apply({1}, 1, {7, 70, 700}, nothing, result("one"));
    sequence.apply({2}, 1, {7, 70, 700}, nothing, result("one"));
    CHECK(complaints.empty());
    sequence.apply({3}, 1, {7, 70, 701}, nothing, result("two"));
    REQUIRE(complaints.size() == 1);
    CHECK(complaints[0] ==
          "node 3: operation 7 has another result: two; it was one on node 1, which applied it "
          "first. "
          "The state of node 3 came from no snapshot");
    sequence.state({1}, 1, 5);
    sequence.state({2}, 1, 5);
    CHECK(complaints.size() == 1);
    sequence.state({3}, 1, 6);
    CHECK(complaints.size() == 2);
}

TEST_CASE("Liveness: compaction is asked for where there is a threshold") {
    rsm::Options options{.snapshot_threshold = -1};
    CHECK(is_compacted(1250, 0, options));
    options.snapshot_threshold = 1000;
    CHECK(is_compacted(1250, 400, options));
    CHECK_FALSE(is_compacted(1251, 400, options));
    options.snapshot_factor = 3;
    CHECK(is_compacted(1500, 400, options));
    CHECK_FALSE(is_compacted(1501, 400, options));
    options = {.snapshot_threshold = 0};
    CHECK(is_compacted(raft::codec::persisted_hard_state_size, 0, options));
    CHECK_FALSE(is_compacted(raft::codec::persisted_hard_state_size + 1, 0, options));
    CHECK(not_alive("nothing was committed", 3s).where ==
          "nothing was committed within 3 s after the faults had ended");
}

TEST_CASE("Progress under a minority fault: a reign that ends, an old snapshot that stays") {
    const Leadership before{{2}, {7}};
    CHECK_FALSE(reign_lasts(before, {{2}, {7}}, "node 1 is away"));
    const Broken ended = reign_lasts(before, {{2}, {8}}, "node 1 is away");
    REQUIRE(broken_rule(ended) == "progress under a minority fault");
    CHECK(ended->where == "the reign of node 2 in term 7 ends while node 1 is away");
    CHECK(reign_lasts(before, {{3}, {7}}, "node 1 is away"));

    const std::string name = "d/00000000000000000012-00000000000000000003.snapshot";
    CHECK_FALSE(keeps_no_old_snapshot({2}, {12}, {"d/1.wal", name}));
    CHECK(broken_rule(keeps_no_old_snapshot({2}, {13}, {"d/1.wal", name})) ==
          "progress under a minority fault");
    CHECK(no_progress("node 1 is away", 1500ms).where ==
          "nothing is served for 1500 ms while node 1 is away");
}

TEST_CASE("Progress under a minority fault: who is needed may have to get a snapshot first") {
    constexpr auto log = [](std::uint64_t base, std::uint64_t last) {
        return HeldLog{{base}, {last}};
    };
    SUBCASE("nobody has released what another one lacks") {
        CHECK_FALSE(waits_for_snapshot({log(8, 20), log(8, 20), log(3, 8)}, 5));
    }
    SUBCASE("one lacks it without whom they are no majority") {
        CHECK(waits_for_snapshot({log(8, 20), log(8, 20), log(3, 7)}, 5));
    }
    SUBCASE("one lacks it without whom they are a majority") {
        CHECK_FALSE(waits_for_snapshot({log(8, 20), log(8, 20), log(8, 20), log(3, 7)}, 5));
    }
    SUBCASE("half are no majority") {
        CHECK(waits_for_snapshot({log(8, 20), log(8, 20), log(8, 20), log(3, 7), log(3, 7)}, 6));
    }
}

}  // namespace rules_test
