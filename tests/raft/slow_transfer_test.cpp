// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that take long: a transfer over a slow line or to a slow disk ends nevertheless, and
// what is held for it has a bound.
#include "adversity_support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>

namespace slow_transfer_test {

namespace {

using namespace raft;
using namespace raft::test;

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
    // What was held for it goes.
    for (int i = 0; i < 500; ++i) slow.one_millisecond();
    CHECK(!slow.cluster.core(1).holds_log());
    CHECK(slow.cluster.core(1).log().last_index() - slow.cluster.core(1).log().base().index < 200);
    CHECK(slow.cluster.failure == "");
}

TEST_CASE("what is held for a follower goes as soon as it has it, before any heartbeat") {
    Options options;
    options.retained_bytes = 0;
    CoreCluster cluster = led(3, options);
    std::deque<Message> late;
    cluster.lost = [&](const Message& m) {
        const auto* request = std::get_if<AppendRequest>(&m.body);
        const bool waits = request != nullptr && m.to == NodeId{3} && !request->entries.empty();
        if (waits) late.push_back(m);
        return waits;
    };
    for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
    cluster.settle();
    REQUIRE(cluster.take_snapshot(1));
    cluster.settle();
    const Index covered = cluster.core(1).snapshot().last.index;
    REQUIRE(cluster.core(1).holds_log());
    REQUIRE(cluster.core(1).log().base().index < covered);
    const Time before = cluster.now;
    while (!late.empty()) {
        const Message message = late.front();
        late.pop_front();
        cluster.step(3, message);
        cluster.settle();
    }
    CHECK(cluster.now == before);
    CHECK(!cluster.core(1).holds_log());
    CHECK(cluster.core(1).log().base().index == covered);
    CHECK(cluster.failure == "");
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

TEST_CASE("a leader that steps down does not keep what it held of its log for a follower") {
    SlowTransfer slow(SlowTransfer::options());
    for (int i = 0; i < 1000 && !slow.cluster.core(1).holds_log(); ++i) slow.one_millisecond();
    REQUIRE(slow.cluster.core(1).holds_log());
    const Core& core = slow.cluster.core(1);
    REQUIRE(core.log().base().index + 20 < core.snapshot().last.index);
    slow.cluster.step(1, Message{{2}, {1}, VoteReply{Term{9}, Term{9}, false, false}});
    REQUIRE(core.role() == Role::follower);
    CHECK(core.log().base().index + 20 >= core.snapshot().last.index);  // but for what is retained
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
    const auto chunk = [&](std::uint64_t offset, Duration at = {}) {
        return core.step(Time{} + at,
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
    CHECK(chunk(0, options.election_timeout).store_chunks.size() == 1);
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

}  // namespace slow_transfer_test
