// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a cluster does while something lasts that is no failure yet: a disk that is behind, a node
// that was stopped for a while, numbers that no cluster comes to. Nothing waits without end, and
// memory has a bound.
#include "adversity_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace adversity_test {

namespace {

using namespace raft;
using namespace raft::test;

std::size_t waiting_for_disk(CoreCluster& cluster, std::uint64_t id) {
    std::size_t bytes = 0;
    for (const Write& write : cluster.node(id).writes) {
        for (const Entry& each : write.entries) bytes += footprint(each);
    }
    return bytes;
}

}  // namespace

// ---- reigns ----------------------------------------------------------------------------------

TEST_CASE("a loaded leader keeps its reign, and serves reads, while its followers' disks hang") {
    bool one_down = false;
    SUBCASE("three nodes") {}
    SUBCASE("one of them down") { one_down = true; }
    CoreCluster cluster = led(3);
    if (one_down) cluster.crash(3);
    cluster.node(2).disk_stalled = cluster.node(3).disk_stalled = true;
    for (int i = 0; i < 3000; ++i) {
        cluster.propose(1, "operation");
        const Token read = i % 100 == 0 ? cluster.read(1) : 0;
        cluster.now += milliseconds(1);
        cluster.tick();
        cluster.settle();
        if (read != 0) CHECK(cluster.outcome_of(read).has_value());
    }
    CHECK(cluster.seen(EventKind::quorum_lost) == 0);
    CHECK(cluster.core(1).role() == Role::leader);
    cluster.node(2).disk_stalled = cluster.node(3).disk_stalled = false;
    cluster.run(milliseconds(200));
    CHECK(cluster.core(1).log().commit() == cluster.core(1).log().last_index());
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader that was stopped for a while hears its peers before it judges") {
    CoreCluster cluster = led(5);
    cluster.run(milliseconds(2000));
    cluster.propose(1, "a write that is under way meanwhile");
    const auto unheard = std::exchange(cluster.bag, {});
    cluster.events.clear();
    cluster.now += std::chrono::seconds(10);
    // The first thing that it finds is one peer's answer, not all of them; and its own disk has
    // been done for long, but could not say so.
    cluster.step(1, Tick{});
    CHECK(cluster.core(1).role() == Role::leader);
    CHECK(cluster.seen(EventKind::paused) == 1);
    CHECK(cluster.seen(EventKind::disk_stalled) == 0);
    cluster.bag = unheard;
    cluster.settle();
    CHECK(cluster.core(1).role() == Role::leader);
}

TEST_CASE("a leader that was stopped just before its disk would have been late hears of it first") {
    CoreCluster cluster = led(3);
    cluster.node(1).disk_stalled = true;
    cluster.propose(1, "operation");
    const Time began = cluster.now;
    cluster.run(std::chrono::seconds(5) - milliseconds(1));
    REQUIRE(cluster.core(1).role() == Role::leader);
    REQUIRE(cluster.now - began < Options{}.disk_stall_timeout);
    cluster.now += std::chrono::seconds(1);
    cluster.step(1, Tick{});
    CHECK(cluster.core(1).role() == Role::leader);
    cluster.step(1, *cluster.complete_write(1));
    cluster.run(milliseconds(500));
    CHECK(cluster.core(1).role() == Role::leader);
    CHECK(cluster.seen(EventKind::disk_stalled) == 0);
}

TEST_CASE("a leader that is stopped again and again does not excuse itself for ever") {
    CoreCluster cluster = led(3);
    cluster.run(milliseconds(2000));
    cluster.lost = [](const Message&) { return true; };
    for (int i = 0; i < 12; ++i) {
        cluster.bag.clear();
        cluster.now += milliseconds(800);
        cluster.step(1, Tick{});
    }
    CHECK(cluster.core(1).role() != Role::leader);
}

TEST_CASE("a follower that was stopped for a while does not stand for election at once") {
    CoreCluster cluster = led(3);
    cluster.run(milliseconds(2000));
    cluster.now += std::chrono::seconds(10);
    cluster.step(2, Tick{});
    CHECK(cluster.core(2).role() == Role::follower);
    CHECK(cluster.core(2).deadline() > cluster.now);
}

// ---- memory ----------------------------------------------------------------------------------

TEST_CASE("what the leader's own disk has not got counts in its budget, whoever commits it") {
    Options options;
    options.max_entry_bytes = 1U << 20;
    options.max_uncommitted_bytes = 8U << 20;
    options.log_cache_bytes = 1U << 20;
    CoreCluster cluster = led(3, options);
    cluster.node(1).disk_stalled = true;
    const std::string payload(options.max_entry_bytes, 'x');
    std::size_t refused = 0;
    for (int i = 0; i < 100; ++i) {
        if (cluster.propose(1, payload).refusal == Refusal::overloaded) ++refused;
        cluster.settle();
    }
    CHECK(refused >= 92);
    CHECK(cluster.core(1).log().commit() > cluster.core(1).log().durable());
    CHECK(waiting_for_disk(cluster, 1) <= options.max_uncommitted_bytes);
    CHECK(cluster.core(1).log().cache_bytes() <=
          options.max_uncommitted_bytes + options.log_cache_bytes);
    cluster.node(1).disk_stalled = false;
    cluster.settle();
    CHECK(cluster.propose(1, payload).refusal == Refusal::none);
}

TEST_CASE("a disk that hangs gathers no more writes than a few, and is given the rest in one") {
    for (const std::uint64_t hanging : {1U, 2U}) {
        CoreCluster cluster = led(3);
        cluster.node(hanging).disk_stalled = true;
        std::size_t most = 0;
        for (int i = 0; i < 3000; ++i) {
            CHECK(cluster.propose(1, "x").refusal == Refusal::none);
            cluster.settle();
            most = std::max(most, cluster.node(hanging).writes.size());
        }
        CHECK(most == max_writes_under_way);
        const Index last = cluster.core(1).log().last_index();
        CHECK(cluster.core(hanging).log().begun() < last);
        CHECK(cluster.core(hanging).log().last_index() == last);
        CHECK(cluster.core(hanging).log().commit() >= last - 1);  // by the two others
        cluster.step(hanging, *cluster.complete_write(hanging));
        REQUIRE(cluster.core(hanging).log().begun() == last);
        CHECK(cluster.node(hanging).writes.back().entries.size() > 1000);
        cluster.node(hanging).disk_stalled = false;
        cluster.settle();
        CHECK(cluster.core(hanging).log().durable() == last);
        for (const Progress& follower : cluster.core(1).followers()) CHECK(follower.match == last);
        cluster.check();
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("what the leader's state machine has not applied counts in its budget") {
    Options options;
    options.max_entry_bytes = 1000;
    options.max_uncommitted_bytes = 10000;
    CoreCluster cluster = led(3, options);
    cluster.node(1).machine_stalled = true;
    std::size_t accepted = 0;
    for (int i = 0; i < 100; ++i) {
        if (cluster.propose(1, std::string(900, 'x')).refusal == Refusal::none) ++accepted;
        cluster.settle();
    }
    CHECK(accepted == 10);
    cluster.node(1).machine_stalled = false;
    cluster.settle();
    CHECK(cluster.propose(1, "x").refusal == Refusal::none);
}

TEST_CASE("a follower whose state machine is behind keeps no more than its cache in memory") {
    Options options;
    options.log_cache_bytes = 1U << 20;
    CoreCluster cluster = led(3, options);
    cluster.node(3).machine_stalled = true;
    for (int i = 0; i < 300; ++i) {
        cluster.propose(1, std::string(64U << 10, 'x'));
        cluster.settle();
    }
    CHECK(cluster.core(3).log().cache_bytes() <= options.log_cache_bytes);
    CHECK(cluster.core(3).log().commit() > cluster.core(3).log().applied() + 250);
    cluster.node(3).machine_stalled = false;
    cluster.run(milliseconds(200));
    CHECK(cluster.node(3).machine == cluster.node(1).machine);
    CHECK(cluster.failure == "");
}

TEST_CASE("entries that wait for a follower's disk have a bound, however many leaders send them") {
    Options options;
    options.max_entry_bytes = options.max_message_bytes = options.window_bytes = 10000;
    options.snapshot_chunk_bytes = 1000;
    Core core(options, NodeId{1}, voters(3), {}, 1, Time{});
    std::size_t waiting = 0;
    for (std::uint64_t term = 1; term <= 50; ++term) {
        std::vector<Entry> batch;
        for (std::uint64_t i = 1; i <= 10; ++i)
            batch.push_back(entry(i, term, std::string(900, 'x')));
        const Output output = core.step(
            Time{},
            message(2 + term % 2, 1, AppendRequest{Term{term}, {}, {}, 0, std::move(batch)}));
        if (!output.write) continue;
        for (const Entry& each : output.write->entries) waiting += footprint(each);
    }
    CHECK(waiting >= 2 * options.window_bytes);
    CHECK(waiting <= 3 * options.window_bytes);
    for (std::uint64_t id = 1; id <= 60; ++id) core.step(Time{}, Persisted{WriteId{id}});
    const Output output =
        core.step(Time{}, message(2, 1, AppendRequest{Term{60}, {}, {}, 0, entries(1, {60})}));
    REQUIRE(output.write);
    CHECK(output.write->entries.size() == 1);
}

// ---- numbers ---------------------------------------------------------------------------------

TEST_CASE("a number that no cluster comes to is not taken over") {
    CoreCluster cluster = led(3);
    cluster.expected_events = {EventKind::number_out_of_range};
    const Term term = cluster.core(1).term();
    const std::uint64_t end = ~std::uint64_t{0};
    std::vector<Message::Body> forged;
    for (const std::uint64_t far :
         {end, end - 1, max_term.value + 1, term.value + max_term_step + 1}) {
        forged.push_back(VoteRequest{Term{far}, false, {}});
        forged.push_back(VoteRequest{Term{far}, true, {}});
        forged.push_back(VoteReply{Term{far}, {}, false, false});
        forged.push_back(AppendRequest{Term{far}, {}, {}, 0, {}});
        forged.push_back(AppendReply{Term{far}, false, {}, {}, 0});
        forged.push_back(SnapshotChunk{Term{far}, {}, 0, {}});
        forged.push_back(SnapshotReply{Term{far}, {}, 0, 0, {}, {}});
    }
    forged.push_back(AppendRequest{term, {Index{end}, term}, {}, 0, {}});
    forged.push_back(AppendRequest{term, {Index{end - 1}, term}, {}, 0, entries(end, {1})});
    forged.push_back(AppendRequest{term, {}, Index{end}, 0, {}});
    forged.push_back(AppendReply{term, true, Index{end}, {}, 0});
    forged.push_back(AppendReply{term, false, Index{end}, {Index{end}, term}, 0});
    forged.push_back(SnapshotChunk{term, {{Index{end}, term}, voters(3), 1, 1}, 0, text("x")});
    forged.push_back(SnapshotChunk{term, {{Index{9}, term}, voters(3), end, 1}, end, text("x")});
    const Index far = cluster.core(1).log().last_index() + max_index_step + 1;
    for (const LogPosition snapshot :
         {LogPosition{far, term}, {Index{9}, {}}, {{}, term}, {Index{9}, Term{term.value + 1}}}) {
        const SnapshotMeta meta{snapshot, voters(3), 1, 1};
        forged.push_back(SnapshotChunk{term, meta, 0, text("x")});
        forged.push_back(SourceChunk{term, NodeId{1}, meta, 0, text("x")});
        forged.push_back(SourceReply{term, NodeId{1}, meta});
    }
    forged.push_back(
        SnapshotReply{term, {Index{end}, term}, 0, end, TransferOutcome::installed, Index{end}});
    for (const Message::Body& body : forged) {
        for (std::uint64_t id = 1; id <= 3; ++id) {
            const Output output = cluster.step(id, Message{NodeId{id % 3 + 1}, NodeId{id}, body});
            CHECK(count(output, EventKind::number_out_of_range) == 1);
        }
    }
    cluster.run(milliseconds(1000));
    CHECK(cluster.core(1).role() == Role::leader);
    for (std::uint64_t id = 1; id <= 3; ++id) CHECK(cluster.core(id).term() == term);
    CHECK(cluster.failure == "");
}

TEST_CASE("a round that was never asked for is not taken for an echo") {
    CoreCluster cluster = led(3);
    cluster.expected_events = {EventKind::protocol_violation};
    cluster.step(1, message(2, 1, AppendReply{cluster.core(1).term(), true, {}, {}, ~0ULL}));
    CHECK(cluster.seen(EventKind::protocol_violation) == 1);
    CHECK(view_of(cluster, 2).acknowledged_round < 1000);
}

TEST_CASE("at the last term there is no election, and the node says why") {
    Core core(Options{}, NodeId{1}, voters(3), recovered({max_term, {}, {}}), 1, Time{});
    const Output output = core.step(core.deadline(), Tick{});
    CHECK(count(output, EventKind::number_out_of_range) == 1);
    CHECK(core.role() == Role::follower);
    CHECK(core.deadline() > Time{} + milliseconds(500));
}

}  // namespace adversity_test
