// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Compaction of the log, and snapshots on their way from a leader to a follower: Raft paper,
// section 7.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace snapshot_sending_test {

namespace {

using namespace raft;
using namespace raft::test;

void propose(CoreCluster& cluster, std::uint64_t id, int operations) {
    for (int i = 0; i < operations; ++i) {
        cluster.propose(id, "operation " + std::to_string(i));
        cluster.settle();
    }
}
void cut_off(CoreCluster& cluster, std::uint64_t id) {
    cluster.lost = [id](const Message& m) { return m.from.value == id || m.to.value == id; };
}
/// Only the first `count` of those that are sent from now on arrive.
void lose_chunks_after(CoreCluster& cluster, std::size_t count) {
    cluster.lost = [count, sent = std::size_t{0}](const Message& m) mutable {
        return std::holds_alternative<SnapshotChunk>(m.body) && ++sent > count;
    };
}
/// Node 1 leads and has compacted everything; node 3 has seen nothing of it.
CoreCluster compacted(const Options& options = small_chunks(), int operations = 5,
                      std::size_t padding = 60) {
    CoreCluster cluster(3, options);
    cluster.elect(1);
    cluster.settle();
    cut_off(cluster, 3);
    propose(cluster, 1, operations);
    cluster.run(milliseconds(20));
    REQUIRE(cluster.take_snapshot(1, padding));
    cluster.settle();
    cluster.run(milliseconds(300));
    REQUIRE(cluster.core(1).role() == Role::leader);
    return cluster;
}
bool caught_up(CoreCluster& cluster, std::uint64_t id) {
    return cluster.node(id).machine == cluster.node(cluster.leader()).machine;
}
template <class Body>
std::size_t waiting(const CoreCluster& cluster) {
    return static_cast<std::size_t>(std::ranges::count_if(
        cluster.bag, [](const Message& m) { return std::holds_alternative<Body>(m.body); }));
}

}  // namespace

TEST_CASE("a durable snapshot releases the log before it") {
    CoreCluster cluster(1, small_chunks());
    cluster.elect(1);
    propose(cluster, 1, 5);
    REQUIRE(cluster.take_snapshot(1));
    cluster.settle();
    const Log& log = cluster.core(1).log();
    CHECK(log.base().index == Index{5});
    CHECK(log.last_index() == Index{5});
    CHECK(cluster.node(1).durable.log.empty());
    CHECK(cluster.core(1).snapshot().last.index == Index{5});
    propose(cluster, 1, 1);
    CHECK(log.last_index() == Index{6});

    cluster.crash(1);
    cluster.restart(1);
    CHECK(cluster.node(1).machine.applied == Index{5});
    cluster.elect(1);
    propose(cluster, 1, 1);
    CHECK(cluster.node(1).machine.applied == Index{7});
    CHECK(cluster.failure == "");
}

TEST_CASE("of the log before a snapshot, retained_bytes are kept") {
    Options options = small_chunks();
    options.retained_bytes = 3 * footprint(entry(1, 1, "operation 1"));
    CoreCluster cluster(1, options);
    cluster.elect(1);
    propose(cluster, 1, 8);
    cluster.take_snapshot(1);
    cluster.settle();
    CHECK(cluster.core(1).log().base().index == Index{5});
    CHECK(cluster.node(1).durable.log.size() == 3);
    CHECK(cluster.core(1).snapshot().last.index == Index{8});
}

TEST_CASE("a follower within the retained entries needs no snapshot") {
    Options options = small_chunks();
    options.retained_bytes = 1000;
    CoreCluster cluster = compacted(options);
    cluster.lost = nullptr;
    cluster.run(milliseconds(300));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.seen(EventKind::snapshot_installed) == 0);
}

TEST_CASE("an older snapshot than the present one changes nothing") {
    CoreCluster cluster(1, small_chunks());
    cluster.elect(1);
    propose(cluster, 1, 3);
    cluster.take_snapshot(1);
    cluster.settle();
    const Core before = cluster.core(1);
    SnapshotMeta older = before.snapshot();
    older.last.index = Index{2};
    CHECK(!cluster.step(1, SnapshotTaken{older}).write);
    CHECK(cluster.core(1) == before);
}

TEST_CASE("a follower that needs released entries is sent the snapshot, piece by piece") {
    CoreCluster cluster = compacted();
    cluster.lost = nullptr;
    cluster.run(milliseconds(300));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.seen(EventKind::snapshot_installed) == 1);
    CHECK(cluster.core(3).log().base().index == Index{5});
    propose(cluster, 1, 2);
    cluster.run(milliseconds(20));
    CHECK(caught_up(cluster, 3));
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE("the pieces are as large as the option says, as many under way as the window has room") {
    Options options = small_chunks();
    std::size_t most = 1;
    SUBCASE("one") {}
    SUBCASE("three") {
        options.snapshot_window_bytes = 39;
        most = 3;
    }
    CoreCluster cluster = compacted(options);
    cluster.node(3).machine_stalled = true;  // keeps what is to be stored
    std::size_t widest = 0;
    std::vector<std::uint64_t> offsets;
    cluster.lost = [&](const Message& m) {
        const auto* chunk = std::get_if<SnapshotChunk>(&m.body);
        if (chunk == nullptr) return false;
        CHECK(chunk->data.size() <= 10);
        offsets.push_back(chunk->offset);
        return false;
    };
    for (cluster.run(milliseconds(100)); !cluster.node(3).answers.empty(); cluster.settle()) {
        widest = std::max(widest, cluster.node(3).answers.size());
        cluster.answer(3);
    }
    REQUIRE(caught_up(cluster, 3));
    CHECK(widest == most);
    for (std::size_t i = 0; i < offsets.size(); ++i) CHECK(offsets[i] == 10 * i);
}

TEST_CASE("lost, doubled and reordered pieces and answers only slow a transfer down") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        Options options = small_chunks();
        options.snapshot_window_bytes = 10 + random.below(std::uint64_t{60});
        CoreCluster cluster = compacted(options);
        cluster.lost = [&](const Message& m) {
            const bool transfer = std::holds_alternative<SnapshotChunk>(m.body) ||
                                  std::holds_alternative<SnapshotReply>(m.body);
            if (!transfer) return false;
            if (random.below(100) < 20) cluster.bag.push_back(m);
            if (random.below(100) < 20) cluster.bag.push_front(m);
            return random.below(100) < 20;
        };
        cluster.run(milliseconds(4000));
        CHECK(caught_up(cluster, 3));
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("a line that is slower than the heartbeats is not filled with repetitions") {
    Options options = small_chunks();
    options.snapshot_window_bytes = 40;
    CoreCluster cluster = compacted(options, 5, 600);
    std::deque<std::pair<Time, Message>> line;  // one message each 250 ms
    std::size_t bytes = 0;
    std::size_t longest = 0;
    cluster.lost = [&](const Message& m) {
        const auto* chunk = std::get_if<SnapshotChunk>(&m.body);
        if (chunk == nullptr) return false;
        bytes += chunk->data.size();
        const Time free = line.empty() ? cluster.now : std::max(cluster.now, line.back().first);
        line.emplace_back(free + milliseconds(250), m);
        longest = std::max(longest, line.size());
        return true;
    };
    for (int i = 0; i < 400 && !caught_up(cluster, 3); ++i) {
        cluster.run(milliseconds(50));
        while (!line.empty() && line.front().first <= cluster.now) {
            cluster.step(3, line.front().second);
            line.pop_front();
            cluster.settle();
        }
    }
    REQUIRE(caught_up(cluster, 3));
    CHECK(longest <= 8);
    // The patience is learnt from the first repetitions; after that there are none.
    CHECK(bytes <= cluster.core(1).snapshot().size + 100);
}

TEST_CASE("a leader that was stopped does not take the pieces under way for lost") {
    CoreCluster cluster = compacted();
    std::vector<Message> under_way;
    cluster.lost = [&](const Message& m) {
        const bool is_piece = std::holds_alternative<SnapshotChunk>(m.body);
        if (is_piece) under_way.push_back(m);
        return is_piece;
    };
    for (int i = 0; i < 100 && under_way.empty(); ++i) cluster.run(milliseconds(1));
    REQUIRE(under_way.size() == 1);
    cluster.run(milliseconds(60));
    cluster.step(3, under_way.back());
    cluster.settle();
    REQUIRE(under_way.size() == 2);
    cluster.now += milliseconds(300);
    cluster.tick();
    cluster.settle();
    CHECK(under_way.size() == 2);
    CHECK(cluster.core(1).role() == Role::leader);
    cluster.lost = nullptr;
    cluster.step(3, under_way.back());
    cluster.run(milliseconds(100));
    CHECK(caught_up(cluster, 3));
}

TEST_CASE("a broken transfer goes on where the follower stands") {
    CoreCluster cluster = compacted();
    lose_chunks_after(cluster, 4);
    cluster.run(milliseconds(500));
    std::uint64_t lowest = 1000;
    cluster.lost = [&](const Message& m) {
        if (const auto* chunk = std::get_if<SnapshotChunk>(&m.body)) {
            lowest = std::min(lowest, chunk->offset);
        }
        return false;
    };
    cluster.run(milliseconds(500));
    CHECK(lowest == 40);
    CHECK(caught_up(cluster, 3));
}

TEST_CASE("a transfer begins anew for a follower that has lost what it held") {
    CoreCluster cluster = compacted();
    lose_chunks_after(cluster, 4);
    cluster.run(milliseconds(500));
    cluster.crash(3);
    cluster.restart(3);
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.failure == "");
}

TEST_CASE("a follower that installed a snapshot and crashed recovers from it") {
    CoreCluster cluster = compacted();
    cluster.node(3).disk_stalled = false;
    cluster.lost = nullptr;
    SUBCASE("after its log was reset on disk") { cluster.run(milliseconds(300)); }
    SUBCASE("before that") {
        cluster.run_until([&] { return !cluster.node(3).snapshots.empty(); }, milliseconds(500));
    }
    cluster.crash(3);
    cluster.restart(3);
    CHECK(cluster.core(3).log().last_index() == Index{5});
    CHECK(cluster.node(3).machine.applied == Index{5});
    propose(cluster, 1, 2);
    cluster.run(milliseconds(300));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.failure == "");
}

TEST_CASE("a new leader takes a transfer over") {
    CoreCluster cluster = compacted();
    cluster.take_snapshot(2, 30);
    cluster.settle();
    lose_chunks_after(cluster, 3);
    cluster.run(milliseconds(300));
    REQUIRE(!caught_up(cluster, 3));
    cluster.crash(1);
    cluster.lost = nullptr;
    cluster.run(milliseconds(5000));
    REQUIRE(cluster.leader() == 2);
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.failure == "");
}

TEST_CASE("a newer snapshot in the middle of a transfer does not break it") {
    CoreCluster cluster = compacted();
    lose_chunks_after(cluster, 3);
    cluster.run(milliseconds(300));
    propose(cluster, 1, 5);
    REQUIRE(cluster.take_snapshot(1, 40));
    cluster.settle();
    REQUIRE(cluster.core(1).log().base().index == Index{10});
    SUBCASE("the old one is kept until then") { CHECK(cluster.node(1).snapshots.size() == 2); }
    SUBCASE("where the old one is gone, the new one takes its place") {
        std::erase_if(cluster.node(1).snapshots,
                      [](const Snapshot& kept) { return kept.meta.last.index == Index{5}; });
    }
    cluster.lost = nullptr;
    cluster.run(milliseconds(2000));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.failure == "");
}

TEST_CASE("a long transfer keeps its own snapshot and the newest, none in between") {
    CoreCluster cluster = compacted();
    lose_chunks_after(cluster, 3);
    cluster.run(milliseconds(300));
    for (std::uint64_t index = 10; index <= 30; index += 5) {
        propose(cluster, 1, 5);
        REQUIRE(cluster.take_snapshot(1));
        cluster.settle();
        REQUIRE(cluster.core(1).snapshot().last.index == Index{index});
        const std::vector<Snapshot>& kept = cluster.node(1).snapshots;
        REQUIRE(kept.size() == 2);
        CHECK(kept[0].meta.last.index == Index{5});
        CHECK(kept[1].meta.last.index == Index{index});
    }
    cluster.lost = nullptr;
    cluster.run(milliseconds(2000));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.node(1).snapshots.size() == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("heartbeats go on during a transfer, and find a follower that got there otherwise") {
    CoreCluster cluster = compacted();
    cluster.lost = [](const Message& m) {
        return std::holds_alternative<SnapshotReply>(m.body);  // no answer ever arrives
    };
    cluster.run(milliseconds(250));
    CHECK(cluster.core(3).leader() == NodeId{1});
    // It holds the entries by other means, as after the answer to the last piece was lost.
    cluster.crash(3);
    Disk& disk = cluster.node(3).durable;
    disk.hard = {cluster.core(1).term(), NodeId{1}, Index{0}};
    disk.log = cluster.history;
    cluster.restart(3);
    cluster.run(milliseconds(250));
    CHECK(cluster.core(1).followers()[1].state == ProgressState::replicate);
    CHECK(caught_up(cluster, 3));
}

TEST_CASE("pieces that no longer have a snapshot behind them are not sent for ever") {
    CoreCluster cluster = compacted();
    cluster.node(1).machine_stalled = true;
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(waiting<SnapshotChunk>(cluster) == 0);
    // However many heartbeats went by, one piece is being read.
    CHECK(cluster.node(1).answers.size() <= 1);
    cluster.node(1).machine_stalled = false;
    cluster.run(milliseconds(500));
    CHECK(caught_up(cluster, 3));
}

namespace {

/// A leader without a cache that reads back entry 4 for node 3, up to which node 3 agrees.
struct ReadingBack {
    ReadingBack() : cluster(3, options()) {
        cluster.elect(1);
        propose(cluster, 1, 3);
        cluster.run(milliseconds(300));
        cut_off(cluster, 3);
        propose(cluster, 1, 1);
        cluster.run(milliseconds(20));
        cluster.take_snapshot(1);
        taken = cluster.node(1).answers.front();
        cluster.node(1).answers.clear();
        cluster.node(1).machine_stalled = true;
        cluster.lost = nullptr;
        cluster.run(milliseconds(101));
        REQUIRE(cluster.node(1).answers.size() == 1);
        loaded = cluster.node(1).answers.front();
        REQUIRE(std::get<EntriesLoaded>(loaded).entries == std::vector{cluster.history.at(3)});
        cluster.node(1).answers.clear();
    }
    static Options options() {
        Options options = small_chunks();
        options.log_cache_bytes = 0;
        return options;
    }
    CoreCluster cluster;
    Input taken;
    Input loaded;
};

}  // namespace

TEST_CASE("entries that a snapshot releases while they are read back are not sent") {
    ReadingBack leader;
    const Output output = leader.cluster.step(1, {leader.taken, leader.loaded});
    for (const AppendRequest& request : sent<AppendRequest>(output)) {
        CHECK(request.entries.empty());
        CHECK(request.previous.index >= Index{4});
    }
    leader.cluster.node(1).machine_stalled = false;
    leader.cluster.run(milliseconds(500));
    CHECK(caught_up(leader.cluster, 3));
    CHECK(leader.cluster.failure == "");
}

TEST_CASE("an answer that comes too late does not disturb the transfer that took its place") {
    ReadingBack leader;
    const Output begun = leader.cluster.step(1, leader.taken);
    REQUIRE(begun.load_chunks.size() == 1);
    leader.cluster.step(1, leader.loaded);
    // The first piece is sent as soon as it has been read, not with a later heartbeat.
    CHECK(leader.cluster.node(1).answers.size() == 1);
    leader.cluster.node(1).machine_stalled = false;
    leader.cluster.settle();
    CHECK(caught_up(leader.cluster, 3));
    CHECK(leader.cluster.failure == "");
}

TEST_CASE("a leader whose snapshot is rejected says that it needs a new one, and sends that") {
    CoreCluster cluster = compacted();
    const SnapshotMeta bad = cluster.core(1).snapshot();
    cluster.lost = [](const Message& m) { return std::holds_alternative<SnapshotReply>(m.body); };
    cluster.run(milliseconds(100));
    REQUIRE(cluster.core(1).followers()[1].state == ProgressState::snapshot);
    const Message rejects = message(
        3, 1,
        SnapshotReply{
            cluster.core(1).term(), bad.last, bad.checksum, 0, TransferOutcome::rejected, {}});
    CHECK(count(cluster.step(1, rejects), EventKind::snapshot_unreadable) == 1);
    cluster.failure.clear();  // to which such an event is one, in a cluster without faults
    cluster.lost = [](const Message& m) { return std::holds_alternative<SnapshotChunk>(m.body); };
    propose(cluster, 1, 5);
    cluster.run(milliseconds(100));
    REQUIRE(cluster.take_snapshot(1));
    cluster.run(milliseconds(300));
    CHECK(cluster.core(1).followers()[1].transfer.meta == cluster.core(1).snapshot());
    // Of a snapshot that it has replaced by itself there is nothing to say.
    CHECK(count(cluster.step(1, rejects), EventKind::snapshot_unreadable) == 0);
}

TEST_CASE("a node whose snapshot outlived its term takes up the snapshot's term, durably") {
    raft::Recovered found;
    found.hard_state.term = raft::Term{2};
    found.hard_state.voted_for = raft::NodeId{3};
    found.snapshot.last = {raft::Index{10}, raft::Term{5}};
    found.snapshot.membership = raft::Membership::of_voters({{1}, {2}, {3}});
    found.base = found.snapshot.last;
    found.last = raft::Index{10};
    raft::Core core({}, raft::NodeId{1}, {}, found, 1, raft::Time{});
    CHECK(core.term() == raft::Term{5});
    CHECK_FALSE(core.voted_for());
    const raft::Output output = core.step(raft::Time{}, raft::Tick{});
    REQUIRE(output.write);
    REQUIRE(output.write->hard_state);
    CHECK(output.write->hard_state->term == raft::Term{5});
}

TEST_CASE("a leader that steps down does not keep the older snapshot that it was sending") {
    CoreCluster cluster = compacted();
    cluster.lost = [](const Message& m) { return std::holds_alternative<SnapshotChunk>(m.body); };
    cluster.run(milliseconds(300));
    REQUIRE(cluster.core(1).followers()[1].state == ProgressState::snapshot);
    propose(cluster, 1, 5);
    cluster.run(milliseconds(100));
    REQUIRE(cluster.take_snapshot(1));
    cluster.answer(1);
    REQUIRE(cluster.node(1).snapshots.size() == 2);
    cluster.step(1, Message{{2}, {1}, VoteReply{Term{9}, Term{9}, false, false}});
    REQUIRE(cluster.core(1).role() == Role::follower);
    CHECK(cluster.node(1).snapshots.size() == 1);
}

TEST_CASE("a follower that is away does not keep the snapshot that it was offered for ever") {
    CoreCluster cluster = compacted();
    cluster.lost = [](const Message& m) { return std::holds_alternative<SnapshotChunk>(m.body); };
    cluster.run(milliseconds(300));
    REQUIRE(cluster.core(1).followers()[1].state == ProgressState::snapshot);
    cluster.lost = [](const Message& m) { return m.to == NodeId{3} || m.from == NodeId{3}; };
    for (int round = 0; round < 5; ++round) {
        cluster.run(milliseconds(1000));
        propose(cluster, 1, 5);
        cluster.run(milliseconds(100));
        REQUIRE(cluster.take_snapshot(1));
        cluster.run(milliseconds(1000));
        CHECK(cluster.node(1).snapshots.size() <= 2);
    }
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(caught_up(cluster, 3));
    CHECK(cluster.node(1).snapshots.size() == 1);
    cluster.check();
    CHECK(cluster.failure == "");
}

}  // namespace snapshot_sending_test
