// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a cluster does while something lasts that is no failure yet: a disk that is behind, a line
// that is slow, a node that was stopped for a while, entries that a disk has lost, numbers that no
// cluster comes to. Nothing loops without time passing, nothing waits without end, and memory has
// a bound.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace adversity_test {

namespace {

using namespace raft;
using namespace raft::test;

const Progress& view_of(CoreCluster& cluster, std::uint64_t id) {
    const auto followers = cluster.core(cluster.leader()).followers();
    const auto found = std::ranges::find(followers, NodeId{id}, &Progress::node);
    REQUIRE(found != followers.end());
    return *found;
}
CoreCluster led(std::uint64_t nodes, const Options& options = {}) {
    CoreCluster cluster(nodes, options);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    return cluster;
}
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

// ---- snapshots -------------------------------------------------------------------------------

TEST_CASE("a snapshot that a follower holds, but not durably yet, is not sent again and again") {
    Options options;
    options.retained_bytes = 0;
    options.max_hold_bytes = 0;
    CoreCluster cluster = led(3, options);
    cluster.node(3).disk_stalled = true;
    for (int i = 0; i < 50; ++i) {
        cluster.propose(1, "operation");
        cluster.run(milliseconds(5));
    }
    cluster.run(milliseconds(100));
    REQUIRE(cluster.core(3).log().durable() < cluster.core(3).log().commit());
    // A lost append makes the leader probe; meanwhile it compacts.
    cluster.lost = [](const Message& m) {
        return m.to == NodeId{3} && std::holds_alternative<AppendRequest>(m.body);
    };
    cluster.propose(1, "lost");
    cluster.settle();
    cluster.lost = nullptr;
    cluster.run(milliseconds(150));
    REQUIRE(cluster.take_snapshot(1, 1000));
    std::size_t chunks = 0;
    cluster.lost = [&](const Message& m) {
        if (std::holds_alternative<SnapshotChunk>(m.body)) ++chunks;
        return chunks > 100;  // lets a loop end
    };
    cluster.settle();
    cluster.run(milliseconds(1000));
    CHECK(chunks <= 2);
    cluster.node(3).disk_stalled = false;
    cluster.propose(1, "goes on");
    cluster.run(milliseconds(300));
    CHECK(view_of(cluster, 3).state == ProgressState::replicate);
    CHECK(cluster.node(3).machine == cluster.node(1).machine);
    CHECK(cluster.failure == "");
}

namespace {

/// Node 3 is away while the log is compacted; then all its messages take 5 ms each way, and the
/// others compact after every 64 KiB of operations, 1 KB in each millisecond.
struct SlowTransfer {
    explicit SlowTransfer(const Options& options) : cluster(led(3, options)) {
        cluster.lost = [this](const Message& m) {
            if (m.to != NodeId{3} && m.from != NodeId{3}) return false;
            if (!away) line.emplace_back(cluster.now + milliseconds(5), m);
            return true;
        };
        for (int i = 0; i < 700; ++i) one_millisecond();
        away = false;
    }
    static Options options() {
        Options options;
        options.retained_bytes = 16U << 10;
        options.log_cache_bytes = 1U << 20;
        options.snapshot_chunk_bytes = 64U << 10;
        options.snapshot_window_bytes = 64U << 10;  // of 2,500 KiB: 400 ms at least
        return options;
    }
    void one_millisecond() {
        cluster.propose(1, std::string(1000, 'x'));
        cluster.now += milliseconds(1);
        while (!line.empty() && line.front().first <= cluster.now) {
            const Message arrived = line.front().second;
            line.pop_front();
            cluster.step(arrived.to.value, arrived);
        }
        cluster.tick();
        cluster.settle();
        for (std::uint64_t id = 1; id <= 3; ++id) {
            const Disk& disk = cluster.node(id).begun;
            std::size_t bytes = 0;
            for (const Entry& each : disk.log) bytes += footprint(each);
            largest = std::max(largest, bytes);
            const std::size_t kept = id == 1 && cluster.core(1).holds_log() ? held : 0;
            if (bytes < kept + (64U << 10) || !cluster.node(id).answers.empty()) continue;
            if (cluster.take_snapshot(id, 2500U << 10)) cluster.settle();
            if (id == 1) held = bytes;
        }
    }
    bool caught_up() {
        return view_of(cluster, 3).state == ProgressState::replicate &&
               cluster.core(3).log().last_index() + 200 > cluster.core(1).log().last_index();
    }

    CoreCluster cluster;
    std::deque<std::pair<Time, Message>> line;
    bool away = true;
    std::size_t held = 0;
    std::size_t largest = 0;
};

}  // namespace

TEST_CASE("a transfer that takes longer than the log takes to grow ends nevertheless") {
    SlowTransfer slow(SlowTransfer::options());
    slow.cluster.events.clear();
    int elapsed = 0;
    while (elapsed < 5000 && !slow.caught_up()) {
        slow.one_millisecond();
        ++elapsed;
    }
    CHECK(elapsed < 2000);
    CHECK(slow.cluster.seen(EventKind::snapshot_installed) == 1);
    // What was held for it goes with the next heartbeats.
    for (int i = 0; i < 500; ++i) slow.one_millisecond();
    CHECK(!slow.cluster.core(1).holds_log());
    CHECK(slow.cluster.core(1).log().last_index() - slow.cluster.core(1).log().base().index < 200);
    CHECK(slow.cluster.failure == "");
}

TEST_CASE("the log is held for a follower up to a limit in bytes and in time") {
    Options options = SlowTransfer::options();
    SUBCASE("in bytes") { options.max_hold_bytes = 200U << 10; }
    SUBCASE("in time") { options.max_hold_time = milliseconds(200); }
    SlowTransfer slow(options);
    slow.cluster.events.clear();
    slow.largest = 0;
    for (int i = 0; i < 3000; ++i) slow.one_millisecond();
    CHECK(slow.largest >= 200U << 10);
    CHECK(slow.largest <= 450U << 10);
    CHECK(slow.cluster.seen(EventKind::snapshot_installed) > 1);
    CHECK(slow.cluster.failure == "");
}

TEST_CASE("the log is not held for a follower that says nothing") {
    Options options = SlowTransfer::options();
    SlowTransfer slow(options);  // node 3 was away for longer than an election timeout
    slow.away = true;
    CHECK(!slow.cluster.core(1).holds_log());
    CHECK(slow.largest <= 600U << 10);  // of the first election timeout
    for (int i = 0; i < 100; ++i) slow.one_millisecond();
    CHECK(slow.cluster.core(1).log().last_index() - slow.cluster.core(1).log().base().index < 200);
}

TEST_CASE("an unfinished transfer is dropped when its content has come another way") {
    Options options;
    options.snapshot_chunk_bytes = 10;
    Core core(options, NodeId{1}, voters(3), recovered({Term{5}, {}, {}}), 1, Time{});
    const SnapshotMeta meta{{Index{3}, Term{4}}, voters(3), 20, 1};
    const auto chunk = [&](std::uint64_t from, std::uint64_t term) {
        return core.step(Time{},
                         message(from, 1, SnapshotChunk{Term{term}, meta, 0, text("0123456789")}));
    };
    REQUIRE(chunk(2, 5).store_chunks.size() == 1);
    const Message log =
        message(2, 1, AppendRequest{Term{5}, {}, Index{4}, 0, entries(1, {4, 4, 4, 5})});
    SUBCASE("while a piece is being stored") {
        CHECK(!core.step(Time{}, log).abandon_transfer);
        CHECK(core.step(Time{}, ChunkStored{meta, ChunkOutcome::stored}).abandon_transfer);
    }
    SUBCASE("while none is") {
        core.step(Time{}, ChunkStored{meta, ChunkOutcome::stored});
        CHECK(core.step(Time{}, log).abandon_transfer);
    }
    CHECK(!core.step(Time{}, Tick{}).abandon_transfer);
}

TEST_CASE("after a piece that is not kept, those behind it are awaited before a new beginning") {
    Options options;
    options.snapshot_chunk_bytes = 10;
    Core core(options, NodeId{1}, voters(3), recovered({Term{5}, {}, {}}), 1, Time{});
    const SnapshotMeta meta{{Index{3}, Term{4}}, voters(3), 40, 1};
    const auto chunk = [&](std::uint64_t offset) {
        return core.step(Time{},
                         message(2, 1, SnapshotChunk{Term{5}, meta, offset, text("0123456789")}));
    };
    REQUIRE(chunk(0).store_chunks.size() == 1);
    REQUIRE(chunk(10).store_chunks.size() == 1);
    const Output refused = core.step(Time{}, ChunkStored{meta, ChunkOutcome::refused});
    REQUIRE(sent<SnapshotReply>(refused).size() == 1);
    CHECK(sent<SnapshotReply>(refused)[0].next_offset == 0);
    CHECK(!sent<SnapshotReply>(refused)[0].rejected());
    CHECK(chunk(0).store_chunks.empty());
    core.step(Time{}, ChunkStored{meta, ChunkOutcome::refused});
    CHECK(chunk(0).store_chunks.size() == 1);
}

TEST_CASE("of two snapshots of one position, the one that was completed last is known") {
    Core core(Options{}, NodeId{1}, voters(3),
              recovered({Term{5}, {}, Index{4}}, entries(1, {5, 5, 5, 5})), 1, Time{});
    core.step(Time{}, Tick{});
    core.step(Time{}, EntriesLoaded{NodeId{}, entries(1, {5, 5, 5, 5})});
    core.step(Time{}, Applied{Index{4}});
    core.step(Time{}, SnapshotTaken{{{Index{4}, Term{5}}, voters(3), 10, 111}});
    core.step(Time{}, SnapshotTaken{{{Index{4}, Term{5}}, voters(3), 12, 222}});
    CHECK(core.snapshot().checksum == 222);
}

// ---- a disk that lied ------------------------------------------------------------------------

TEST_CASE(
    "entries that a follower has lost after it acknowledged them are noticed and sent again") {
    std::size_t lost = 2;
    SUBCASE("the last two") {}
    SUBCASE("all of them") { lost = 11; }
    CoreCluster cluster = led(3);
    for (int i = 0; i < 10; ++i) {
        cluster.propose(1, "operation");
        cluster.run(milliseconds(20));
    }
    cluster.expected_event = EventKind::acknowledgement_lost;
    cluster.crash(3);
    std::vector<Entry>& log = cluster.node(3).durable.log;
    REQUIRE(log.size() == 11);
    log.resize(log.size() - lost);
    cluster.restart(3);
    cluster.events.clear();
    cluster.run(milliseconds(500));
    CHECK(cluster.seen(EventKind::acknowledgement_lost) == 1);
    CHECK(cluster.core(3).log().durable() == cluster.core(1).log().last_index());
    CHECK(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    // It counts again: the third node is not needed.
    cluster.crash(2);
    cluster.propose(1, "with one node down");
    cluster.run(milliseconds(200));
    CHECK(cluster.core(1).log().commit() == cluster.core(1).log().last_index());
    CHECK(cluster.failure == "");
}

TEST_CASE("what was acknowledged before a loss does not count after it, however late it comes") {
    CoreCluster cluster = led(3);
    std::vector<Message> acknowledgements;
    cluster.lost = [&](const Message& m) {
        const auto* reply = std::get_if<AppendReply>(&m.body);
        if (reply != nullptr && m.from == NodeId{3}) acknowledgements.push_back(m);
        return false;
    };
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(200));
    REQUIRE(view_of(cluster, 3).match == Index{11});
    cluster.expected_event = EventKind::acknowledgement_lost;
    cluster.crash(3);
    cluster.node(3).durable.log.resize(5);
    cluster.restart(3);
    // It learns of the loss, but the entries do not get there.
    cluster.lost = [&](const Message& m) {
        const auto* request = std::get_if<AppendRequest>(&m.body);
        return request != nullptr && m.to == NodeId{3} && !request->entries.empty();
    };
    cluster.run(milliseconds(500));
    REQUIRE(view_of(cluster, 3).match == Index{5});
    for (const Message& old : acknowledgements) cluster.step(1, old);
    CHECK(view_of(cluster, 3).match == Index{5});
    cluster.lost = nullptr;
    cluster.run(milliseconds(500));
    CHECK(view_of(cluster, 3).match == Index{11});
}

TEST_CASE("a refusal of what was acknowledged while the doubt was asked about is no loss") {
    CoreCluster cluster = led(3);
    const Term term = cluster.core(1).term();
    for (int i = 0; i < 3; ++i) cluster.propose(1, "operation");
    cluster.settle();
    REQUIRE(view_of(cluster, 2).match == Index{4});
    cluster.step(1, message(2, 1, AppendReply{term, false, Index{3}, {Index{2}, term}, 0}));
    cluster.propose(1, "operation");
    cluster.settle();
    cluster.step(1, message(2, 1, AppendReply{term, false, Index{5}, {Index{4}, term}, 1}));
    CHECK(cluster.seen(EventKind::acknowledgement_lost) == 0);
    CHECK(view_of(cluster, 2).match == Index{5});
}

TEST_CASE("a refusal that comes late, however often, is not taken for a loss") {
    CoreCluster cluster = led(3);
    cluster.crash(3);
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.settle();
    cluster.restart(3);
    std::vector<Message> refusals;
    cluster.lost = [&](const Message& m) {
        const auto* reply = std::get_if<AppendReply>(&m.body);
        if (reply != nullptr && !reply->accepted) refusals.push_back(m);
        return false;
    };
    cluster.run(milliseconds(500));
    REQUIRE(!refusals.empty());
    REQUIRE(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    cluster.events.clear();
    const std::size_t before = cluster.messages;
    for (int i = 0; i < 20; ++i) {
        for (const Message& refusal : refusals) cluster.step(1, refusal);
        cluster.settle();
    }
    CHECK(cluster.events.empty());
    CHECK(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    CHECK(cluster.messages - before <= 20 * refusals.size() * 4);
    CHECK(cluster.failure == "");
}

// ---- numbers ---------------------------------------------------------------------------------

TEST_CASE("a number that no cluster comes to is not taken over") {
    CoreCluster cluster = led(3);
    cluster.expected_event = EventKind::number_out_of_range;
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
    cluster.expected_event = EventKind::protocol_violation;
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
