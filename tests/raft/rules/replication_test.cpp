// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a leader brings operations to a quorum: Raft paper, sections 5.3 and 5.4.2 with Figures 2 and
// 8; thesis, section 10.2.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace replication_test {

namespace {

using namespace raft;
using namespace raft::test;

Options quiet() {
    Options options;
    options.barrier_on_election = false;
    return options;
}

/// Node 1 leads n nodes that hold nothing else than its log.
CoreCluster led(std::uint64_t nodes, const Options& options = quiet()) {
    CoreCluster cluster(nodes, options);
    cluster.elect(1);
    cluster.settle();
    REQUIRE(cluster.core(1).role() == Role::leader);
    return cluster;
}
/// Gives a node that has not been started yet this log and term.
void prepare(CoreCluster& cluster, std::uint64_t id, std::vector<Entry> log, HardState hard) {
    cluster.crash(id);
    cluster.node(id).durable = Disk{hard, {}, std::move(log)};
    cluster.restart(id);
}
/// A leader whose log has these terms, and what it has made of a follower whose log had others.
CoreCluster made_equal(const std::vector<std::uint64_t>& mine,
                       const std::vector<std::uint64_t>& theirs) {
    Options options;
    options.pre_vote = options.check_quorum = false;
    CoreCluster cluster(2, options);
    prepare(cluster, 1, entries(1, mine), {Term{50}, NodeId{}, {}});
    prepare(cluster, 2, entries(1, theirs), {Term{50}, NodeId{}, {}});
    cluster.elect(1);
    CHECK(terms_of(cluster.core(2)) == terms_of(cluster.core(1)));
    return cluster;
}
const Progress& view_of(CoreCluster& cluster, std::uint64_t id) {
    for (const Progress& progress : cluster.core(1).followers()) {
        if (progress.node.value == id) return progress;
    }
    FAIL("no such follower");
    return cluster.core(1).followers().front();
}

}  // namespace

TEST_CASE("an operation is committed and applied everywhere once a majority holds it durably") {
    CoreCluster cluster = led(5);
    cluster.node(4).disk_stalled = cluster.node(5).disk_stalled = true;
    CHECK(cluster.propose(1, "a").position == LogPosition{Index{1}, cluster.core(1).term()});
    cluster.settle();
    CHECK(cluster.core(1).log().commit() == Index{1});
    cluster.node(3).disk_stalled = true;
    cluster.propose(1, "b");
    cluster.settle();
    CHECK(cluster.core(1).log().commit() == Index{1});
    cluster.node(3).disk_stalled = cluster.node(4).disk_stalled = false;
    cluster.node(5).disk_stalled = false;
    cluster.run(milliseconds(50));
    for (std::uint64_t id = 1; id <= 5; ++id) CHECK(cluster.node(id).machine.applied == Index{2});
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader counts itself only when its own write is durable (thesis 10.2.1)") {
    CoreCluster cluster = led(3);
    cluster.node(1).disk_stalled = true;
    cluster.propose(1, "a");
    cluster.lost = [](const Message& m) { return m.from.value == 3; };
    cluster.settle();
    CHECK(view_of(cluster, 2).match == Index{1});  // sent while the own write is under way
    CHECK(cluster.core(1).log().commit() == Index{0});
    SUBCASE("then it counts") {
        cluster.node(1).disk_stalled = false;
        cluster.settle();
    }
    SUBCASE("two others are a majority without it") {
        cluster.lost = nullptr;
        cluster.run(milliseconds(101));
    }
    CHECK(cluster.core(1).log().commit() == Index{1});
}

TEST_CASE("an old term's entry is not committed by counting its copies (Figure 8, 5.4.2)") {
    // Terms as in the figure: S1 led term 2, S5 led term 3, S1 leads again in term 4.
    Options options = quiet();
    options.pre_vote = options.check_quorum = false;
    CoreCluster cluster(5, options);
    prepare(cluster, 1, entries(1, {1, 2}), {Term{3}, NodeId{}, {}});
    prepare(cluster, 2, entries(1, {1, 2}), {Term{3}, NodeId{}, {}});
    prepare(cluster, 3, entries(1, {1}), {Term{3}, NodeId{}, {}});
    prepare(cluster, 4, entries(1, {1}), {Term{3}, NodeId{}, {}});
    prepare(cluster, 5, entries(1, {1, 3}), {Term{3}, NodeId{5}, {}});
    cluster.lost = [](const Message& m) { return m.from.value == 5 || m.to.value == 5; };
    cluster.elect(1);
    REQUIRE(cluster.core(1).term() == Term{4});
    cluster.run(milliseconds(150));
    CHECK(cluster.core(3).log().last() == LogPosition{Index{2}, Term{2}});
    CHECK(view_of(cluster, 4).match == Index{2});
    CHECK(cluster.core(1).log().commit() == Index{0});

    SUBCASE("(d): S5 may still win and overwrite it") {
        cluster.crash(1);
        cluster.lost = nullptr;
        cluster.now += milliseconds(2000);
        for (int i = 0; i < 5 && cluster.core(5).role() != Role::leader; ++i) {
            cluster.now = std::max(cluster.now, cluster.core(5).deadline());
            cluster.step(5, Tick{});
            // Only nodes 3 and 4 have logs that S5's is at least as up to date as, and 2.
            cluster.settle();
        }
        CHECK(cluster.core(5).role() == Role::leader);
        cluster.propose(5, "of term 5 or later");
        cluster.run(milliseconds(200));
        CHECK(cluster.core(2).log().term_at(Index{2}) == Term{3});
    }
    SUBCASE("(e): an entry of the own term commits it too") {
        cluster.propose(1, "of term 4");
        cluster.settle();
        CHECK(cluster.core(1).log().commit() == Index{3});
    }
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE("a new leader appends a barrier at once, unless that is switched off (section 8)") {
    CoreCluster with(3, Options{});
    with.elect(1);
    with.run(milliseconds(20));
    REQUIRE(with.core(1).log().commit() == Index{1});
    CHECK(with.history.at(0).kind == EntryKind::barrier);
    CHECK(with.propose(1, "a").position.index == Index{2});

    CoreCluster without = led(3);
    CHECK(without.core(1).log().last_index() == Index{0});
    CHECK(without.propose(1, "a").position.index == Index{1});
}

TEST_CASE("the logs of followers become the leader's, whatever they held (Figure 7)") {
    const std::vector<std::vector<std::uint64_t>> logs = {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6},
                                                          {1, 1, 1, 4, 4, 5, 5, 6, 6},
                                                          {1, 1, 1, 4},
                                                          {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
                                                          {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
                                                          {1, 1, 1, 4, 4, 4, 4},
                                                          {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}};
    Options options;
    options.check_quorum = false;
    CoreCluster cluster(7, options);
    for (std::uint64_t id = 1; id <= 7; ++id) {
        prepare(cluster, id, entries(1, logs[id - 1]), {Term{7}, NodeId{}, {}});
    }
    cluster.elect(1);
    REQUIRE(cluster.core(1).role() == Role::leader);
    cluster.run(milliseconds(250));
    for (std::uint64_t id = 2; id <= 7; ++id) {
        CHECK(terms_of(cluster.core(id)) == terms_of(cluster.core(1)));
        CHECK(cluster.node(id).machine.applied == Index{11});
    }
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE("many conflicting terms are passed in few round trips (fast backup, 5.3)") {
    // 400 entries of 40 terms that the leader does not have.
    std::vector<std::uint64_t> mine{1, 1, 1};
    std::vector<std::uint64_t> theirs{1, 1, 1};
    for (std::uint64_t i = 0; i < 400; ++i) {
        mine.push_back(50);
        theirs.push_back(2 + i / 10);
    }
    const CoreCluster cluster = made_equal(mine, theirs);
    CHECK(cluster.requests <= 5);
    CHECK(cluster.failure == "");
}

TEST_CASE("where both logs are of many terms, a round trip passes one of them (5.3)") {
    std::vector<std::uint64_t> mine{1};
    std::vector<std::uint64_t> theirs{1};
    for (std::uint64_t i = 0; i < 200; ++i) {
        mine.push_back(3 + 2 * (i / 10));
        theirs.push_back(2 + 2 * (i / 10));
    }
    const CoreCluster cluster = made_equal(mine, theirs);
    CHECK(cluster.requests <= 25);  // 20 terms on either side
}

TEST_CASE("the window bounds what is under way to a follower, in bytes (thesis 10.2.1)") {
    Options options = quiet();
    options.max_entry_bytes = 100;
    options.max_message_bytes = 400;
    options.window_bytes = 1000;
    CoreCluster cluster = led(3, options);
    cluster.propose(1, "first");
    cluster.settle();
    const std::size_t before = cluster.requests;
    for (int i = 0; i < 50; ++i) {
        cluster.propose(1, std::string(100, 'x'));
        for (const std::uint64_t id : {2U, 3U}) {
            CHECK(view_of(cluster, id).in_flight_bytes() <= 1000 + 400);
        }
    }
    CHECK(cluster.requests > before + 2);  // without waiting for answers
    CHECK(cluster.bag.size() < 2 * 9);
    for (const Message& message : cluster.bag) {
        const auto& request = std::get<AppendRequest>(message.body);
        std::size_t bytes = 0;
        for (const Entry& each : request.entries) bytes += footprint(each);
        CHECK((bytes <= 400 || request.entries.size() == 1));
    }
    SUBCASE("answers in order go on") {}
    SUBCASE("answers in reverse order go on") { std::ranges::reverse(cluster.bag); }
    cluster.run(milliseconds(500));
    CHECK(cluster.node(3).machine.applied == Index{51});
    CHECK(view_of(cluster, 2).in_flight_bytes() == 0);
}

TEST_CASE("an entry larger than the window or a message still travels") {
    Options options = quiet();
    options.max_entry_bytes = options.max_message_bytes = options.window_bytes = 100;
    options.snapshot_chunk_bytes = 100;
    CoreCluster cluster = led(3, options);
    for (int i = 0; i < 5; ++i) cluster.propose(1, std::string(100, 'x'));
    cluster.settle();
    CHECK(cluster.core(1).log().commit() == Index{5});
}

TEST_CASE("lost entries are found by a heartbeat and sent again") {
    CoreCluster cluster = led(3);
    cluster.propose(1, "a");
    cluster.settle();
    cluster.lost = [](const Message& m) { return m.to.value == 3; };
    cluster.propose(1, "b");
    cluster.propose(1, "c");
    cluster.settle();
    cluster.lost = nullptr;
    CHECK(cluster.core(3).log().last_index() == Index{1});
    cluster.run(milliseconds(101));
    CHECK(cluster.core(3).log().last_index() == Index{3});
    CHECK(cluster.core(3).log().commit() == Index{3});
}

TEST_CASE("lost acknowledgements are made up for by a heartbeat's") {
    CoreCluster cluster = led(3);
    cluster.propose(1, "a");
    cluster.settle();
    cluster.lost = [](const Message& m) { return m.to.value == 1; };
    cluster.propose(1, "b");
    cluster.settle();
    CHECK(cluster.core(1).log().commit() == Index{1});
    cluster.lost = nullptr;
    const std::size_t before = cluster.requests;
    cluster.run(milliseconds(101));
    CHECK(cluster.core(1).log().commit() == Index{2});
    CHECK(cluster.requests <= before + 4);
    CHECK(view_of(cluster, 2).in_flight_bytes() == 0);
}

TEST_CASE("an unreachable follower costs one small message per heartbeat") {
    CoreCluster cluster = led(3);
    cluster.lost = [](const Message& m) { return m.to.value == 3 || m.from.value == 3; };
    cluster.propose(1, std::string(10000, 'x'));
    cluster.run(milliseconds(250));
    std::size_t small = 0;
    std::size_t large = 0;
    cluster.lost = [&](const Message& m) {
        if (m.to.value != 3) return m.from.value == 3;
        (std::get<AppendRequest>(m.body).entries.empty() ? small : large) += 1;
        return true;
    };
    cluster.run(milliseconds(1000));
    CHECK(small == 10);
    CHECK(large == 0);
}

TEST_CASE("proposals elsewhere than at the leader are refused") {
    CoreCluster cluster = led(3);
    CHECK(cluster.propose(2, "a").refusal == Refusal::not_leader);
    CHECK(cluster.core(2).log().last_index() == Index{0});
}

TEST_CASE("an operation larger than max_entry_bytes is refused, one of that size is not") {
    Options options = quiet();
    options.max_entry_bytes = 10;
    CoreCluster cluster = led(1, options);
    CHECK(cluster.propose(1, "12345678901").refusal == Refusal::too_large);
    CHECK(cluster.propose(1, "1234567890").refusal == Refusal::none);
    CHECK(cluster.propose(1, "").refusal == Refusal::none);
}

TEST_CASE("uncommitted bytes are bounded: overload, until entries commit") {
    Options options = quiet();
    options.max_entry_bytes = 100;
    options.max_uncommitted_bytes = 5 * (100 + entry_overhead_bytes);
    CoreCluster cluster = led(3, options);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 5; ++i) {
            CHECK(cluster.propose(1, std::string(100, 'x')).refusal == Refusal::none);
        }
        CHECK(cluster.propose(1, std::string(100, 'x')).refusal == Refusal::overloaded);
        CHECK(cluster.propose(1, "").refusal == Refusal::overloaded);
        cluster.settle();
    }
    CHECK(cluster.core(1).log().commit() == Index{15});
}

TEST_CASE("operations that come together make one write and one message for each follower") {
    CoreCluster cluster = led(3);
    cluster.propose(1, "first");
    cluster.settle();
    std::vector<Input> inputs;
    for (Token token = 1; token <= 100; ++token) inputs.push_back(Propose{token, text("x")});
    const Output output = cluster.step(1, std::move(inputs));
    CHECK(output.proposals.size() == 100);
    REQUIRE(output.write);
    CHECK(output.write->entries.size() == 100);
    CHECK(output.send.size() == 2);
}

TEST_CASE("a risen commit index waits for company: 12 operations take 42 requests at most") {
    CoreCluster cluster = led(3, Options{});
    cluster.run(milliseconds(250));
    const std::size_t before = cluster.requests;
    for (int i = 0; i < 12; ++i) {
        cluster.propose(1, "x");
        cluster.settle();
    }
    cluster.run(milliseconds(60));
    CHECK(cluster.requests - before >= 24);
    CHECK(cluster.requests - before <= 42);
    for (std::uint64_t id = 1; id <= 3; ++id) CHECK(cluster.node(id).machine.applied.value == 13);
}

TEST_CASE("a commit notice comes after its delay, not with the next heartbeat") {
    Options options = quiet();
    options.commit_notice_delay = milliseconds(10);
    CoreCluster cluster = led(3, options);
    cluster.run(milliseconds(105));
    cluster.propose(1, "x");
    cluster.settle();
    CHECK(cluster.core(2).log().commit() == Index{0});
    cluster.run(milliseconds(12));
    CHECK(cluster.core(2).log().commit() == Index{1});
}

TEST_CASE("an idle cluster of three exchanges at most 60 messages a second") {
    CoreCluster cluster = led(3, Options{});
    cluster.run(milliseconds(1000));
    const std::size_t before = cluster.messages;
    cluster.run(milliseconds(10000));
    CHECK(cluster.messages - before <= 600);
    CHECK(cluster.messages - before >= 360);
}

TEST_CASE("entries that are not in memory any more are read back for followers") {
    Options options = quiet();
    options.log_cache_bytes = 0;
    options.max_entry_bytes = options.max_message_bytes = 200;
    options.window_bytes = 1000;
    options.snapshot_chunk_bytes = 64;
    CoreCluster cluster = led(3, options);
    cluster.lost = [](const Message& m) { return m.to.value == 3; };
    for (int i = 0; i < 40; ++i) {
        cluster.propose(1, "x" + std::to_string(i));
        cluster.settle();
    }
    cluster.run(milliseconds(20));
    REQUIRE(!cluster.core(1).log().cached(Index{40}));
    cluster.lost = nullptr;
    const std::size_t before = cluster.loads;
    cluster.run(milliseconds(400));
    CHECK(cluster.node(3).machine.applied == Index{40});
    // Three entries fit into a message; nothing is read twice for long.
    CHECK(cluster.loads - before <= 20);
    CHECK(cluster.failure == "");
}

TEST_CASE("one read back at a time is under way for a follower, however slow the disk is") {
    Options options = quiet();
    options.log_cache_bytes = 0;
    options.max_entry_bytes = options.max_message_bytes = 200;
    options.snapshot_chunk_bytes = 64;
    CoreCluster cluster = led(3, options);
    cluster.lost = [](const Message& m) { return m.from.value == 3 || m.to.value == 3; };
    for (int i = 0; i < 60; ++i) {
        cluster.propose(1, "x");
        cluster.settle();
    }
    cluster.run(milliseconds(300));
    std::size_t sent_with_entries = 0;
    cluster.lost = [&](const Message& m) {
        const auto* request = std::get_if<AppendRequest>(&m.body);
        return m.to.value == 3 && request != nullptr && !request->entries.empty() &&
               ++sent_with_entries % 3 == 0;
    };
    cluster.node(1).machine_stalled = true;
    for (int i = 0; i < 200; ++i) {
        cluster.run(milliseconds(101));
        CHECK(cluster.node(1).answers.size() <= 1);
        if (!cluster.node(1).answers.empty()) cluster.answer(1);
    }
    CHECK(cluster.node(3).machine.applied == Index{60});
}

TEST_CASE("after a restart, what is known to be committed is read back and applied in batches") {
    Options options = quiet();
    options.apply_batch_bytes = 3 * footprint(entry(1, 1));
    Core core(options, NodeId{1}, voters(1),
              recovered({Term{1}, NodeId{1}, Index{5}}, entries(1, {1, 1, 1, 1, 1, 1})), 1, {});
    const Output asked = core.step(Time{}, Tick{});
    REQUIRE(asked.load_entries.size() == 1);
    CHECK(asked.load_entries.front() == LoadEntries{{}, Index{1}, options.apply_batch_bytes});
    CHECK(core.step(Time{}, Tick{}).load_entries.empty());
    const Output first = core.step(Time{}, EntriesLoaded{{}, entries(1, {1, 1, 1})});
    CHECK(first.apply == entries(1, {1, 1, 1}));
    CHECK(first.load_entries.empty());
    const Output next = core.step(Time{}, Applied{Index{3}});
    REQUIRE(next.load_entries.size() == 1);
    CHECK(next.load_entries.front().first == Index{4});
    // The sixth is not known to be committed.
    CHECK(core.step(Time{}, EntriesLoaded{{}, entries(4, {1, 1, 1})}).apply == entries(4, {1, 1}));
}

TEST_CASE("a volatile commit index is learnt anew after a restart") {
    Options options = quiet();
    options.recover_commit_index = false;
    Recovered found = recovered({Term{1}, NodeId{2}, Index{5}}, entries(1, {1, 1, 1, 1, 1, 1}));
    Core core(options, NodeId{1}, voters(3), found, 1, {});
    CHECK(core.log().commit() == Index{});
    CHECK(core.step(Time{}, Tick{}).load_entries.empty());

    const Message heartbeat{NodeId{2}, NodeId{1},
                            AppendRequest{Term{1}, {Index{6}, Term{1}}, Index{4}, 0, {}}};
    const Output heard = core.step(Time{}, heartbeat);
    CHECK(core.log().commit() == Index{4});
    CHECK(heard.load_entries.size() == 1);

    found.base = {Index{2}, Term{1}};
    found.snapshot.last = found.base;
    found.runs = {{Index{3}, Term{1}}};
    found.snapshot.membership = voters(3);
    const Core restored(options, NodeId{1}, voters(3), found, 1, {});
    CHECK(restored.log().commit() == Index{2});
}

TEST_CASE("one batch at a time is handed to the state machine") {
    Options options = quiet();
    options.apply_batch_bytes = 1;
    CoreCluster cluster = led(1, options);
    cluster.node(1).machine_stalled = true;
    for (int i = 0; i < 3; ++i) cluster.propose(1, "x");
    cluster.settle();
    CHECK(cluster.core(1).log().commit() == Index{3});
    CHECK(cluster.node(1).machine.applied == Index{1});
    cluster.node(1).machine_stalled = false;
    cluster.settle();
    CHECK(cluster.node(1).machine.applied == Index{3});
}

TEST_CASE("copies of a core are equal and behave equally") {
    CoreCluster cluster = led(3);
    cluster.propose(1, "a");
    cluster.settle();
    Core copy = cluster.core(1);
    Core other = copy;
    CHECK(copy == other);
    const Input input = Propose{1, text("b")};
    CHECK(copy.step(cluster.now, input) == other.step(cluster.now, input));
    CHECK(copy == other);
    CHECK(copy != cluster.core(1));
    cluster.step(1, input);
    CHECK(copy == cluster.core(1));
}

}  // namespace replication_test
