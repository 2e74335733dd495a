// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that a follower sends in the leader's place, in clusters.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace snapshot_source_test {

namespace {

using namespace raft;
using namespace raft::test;

Options by_followers() {
    Options options = small_chunks();
    options.snapshot_source = SnapshotSource::follower;
    return options;
}

/// Node 1 leads; node 3 has been heard of, and has seen no entry yet.
struct Lab {
    explicit Lab(std::uint64_t nodes = 3, const Options& options = by_followers())
        : cluster(nodes, options) {
        cluster.elect(1);
        cluster.settle();
        cluster.lost = [this](const Message& m) { return cut && apart(m); };
    }
    /// Entries that node 3 does not get, and the others apply.
    void propose(int operations) {
        cut = true;
        for (int i = 0; i < operations; ++i) {
            cluster.propose(1, "operation");
            cluster.settle();
        }
        cluster.run(milliseconds(20));
    }
    void compact(std::uint64_t id, std::size_t padding) {
        REQUIRE(cluster.take_snapshot(id, padding));
        cluster.settle();
    }
    /// From now on node 3 hears everything, and the pieces are noted.
    void open() {
        cut = false;
        cluster.lost = [this](const Message& m) {
            if (lost && lost(m)) return true;
            if (const auto* own = std::get_if<SnapshotChunk>(&m.body)) {
                own_bytes += own->data.size();
            }
            if (const auto* other = std::get_if<SourceChunk>(&m.body)) {
                bytes[m.from.value - 1] += other->data.size();
            }
            return false;
        };
    }
    bool caught_up() { return cluster.node(3).machine == cluster.node(1).machine; }
    bool run_until_caught_up(milliseconds limit) {
        const bool done = cluster.run_until([this] { return caught_up(); }, limit);
        cluster.check();
        CHECK(cluster.failure == "");
        return done;
    }
    NodeId installed_from() const {
        for (const Event& event : cluster.events) {
            if (event.kind == EventKind::snapshot_installed) return event.node;
        }
        return {};
    }
    const Progress& target() {
        const Progress* const known = progress(3);
        if (known == nullptr) throw std::logic_error("the leader does not know node 3");
        return *known;
    }
    const SnapshotTransfer& transfer() { return target().transfer; }
    const Progress* progress(std::uint64_t id) {
        for (const Progress& follower : cluster.core(1).followers()) {
            if (follower.node == NodeId{id}) return &follower;
        }
        return nullptr;
    }
    /// Until the leader has found out that node 3, of which it hears, needs a snapshot.
    void run_until_begun() {
        const auto begun = [this] {
            return target().state == ProgressState::snapshot && !transfer().unheard;
        };
        REQUIRE(cluster.run_until(begun, milliseconds(300)));
    }
    /// Until node 3 has kept some of it. The source reads a piece at a time meanwhile, and then no
    /// more.
    void run_until_half_way() {
        cluster.node(2).machine_stalled = true;
        run_until_begun();
        for (int i = 0; i < 20 && transfer().kept < 30; ++i) {
            if (!cluster.node(2).answers.empty()) cluster.answer(2);
            cluster.settle();
        }
        REQUIRE(transfer().kept == 30);
        REQUIRE(transfer().source == NodeId{2});
    }
    static bool apart(const Message& m) {
        return m.to == NodeId{3} && std::holds_alternative<AppendRequest>(m.body);
    }

    CoreCluster cluster;
    bool cut = false;
    std::function<bool(const Message&)> lost;
    std::size_t own_bytes = 0;  ///< that the leader has sent
    std::size_t bytes[7] = {};  ///< that others have
};

}  // namespace

TEST_CASE("a follower sends the snapshot, and the leader none of it") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(lab.own_bytes == 0);
    CHECK(lab.bytes[1] == lab.cluster.core(2).snapshot().size);
    CHECK(lab.installed_from() == NodeId{2});
    CHECK(lab.cluster.seen(EventKind::became_leader) == 1);
}

TEST_CASE("with the option as it is the leader sends") {
    Lab lab(3, small_chunks());
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(lab.bytes[1] == 0);
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("who was away is sent the snapshot by a follower when it is back") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.lost = [](const Message& m) { return m.to == NodeId{2} || is_piece(m.body); };
    lab.compact(1, 60);
    lab.run_until_begun();
    lab.lost = [](const Message& m) { return m.to == NodeId{3} || m.from == NodeId{3}; };
    lab.cluster.run(milliseconds(1500));
    CHECK(lab.transfer().source == NodeId{});
    lab.lost = nullptr;
    CHECK(lab.run_until_caught_up(milliseconds(1000)));
    CHECK(lab.bytes[1] > 0);
    CHECK(lab.installed_from() == NodeId{2});
}

TEST_CASE("the leader goes on where its source has died, if its snapshot is the same") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.compact(1, 60);
    lab.run_until_half_way();
    lab.cluster.crash(2);
    const std::size_t sent = lab.bytes[1];
    const std::uint64_t size = lab.cluster.core(1).snapshot().size;
    CHECK(lab.run_until_caught_up(milliseconds(1500)));
    CHECK(sent > 0);
    CHECK(lab.own_bytes < size);
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("the leader begins with its own where its source has died, also with an older one") {
    Lab lab;
    lab.propose(5);
    lab.compact(1, 80);
    lab.propose(2);
    lab.compact(2, 60);
    lab.open();
    lab.run_until_half_way();
    REQUIRE(lab.transfer().meta.last.index > lab.cluster.core(1).snapshot().last.index);
    lab.cluster.crash(2);
    CHECK(lab.run_until_caught_up(milliseconds(2500)));
    CHECK(lab.own_bytes >= lab.cluster.core(1).snapshot().size);
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("a source that does not reach the receiver is given up") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.lost = [](const Message& m) { return std::holds_alternative<SourceChunk>(m.body); };
    lab.compact(1, 70);
    lab.run_until_begun();
    lab.cluster.run(milliseconds(500));
    CHECK(lab.transfer().source == NodeId{2});  // what is lost is sent again at first
    CHECK(lab.run_until_caught_up(milliseconds(700)));
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("who does not know the question keeps nobody waiting for longer than an election takes") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.lost = [](const Message& m) { return std::holds_alternative<SourceRequest>(m.body); };
    lab.compact(1, 60);
    lab.run_until_begun();
    REQUIRE(lab.transfer().asked);
    lab.cluster.run(milliseconds(400));
    CHECK(lab.own_bytes == 0);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("a question and an answer that are lost are repeated") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    std::size_t questions = 0;
    std::size_t answers = 0;
    lab.lost = [&](const Message& m) {
        if (std::holds_alternative<SourceRequest>(m.body)) return ++questions == 1;
        return std::holds_alternative<SourceReply>(m.body) && ++answers == 1;
    };
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(400)));
    CHECK(lab.own_bytes == 0);
}

TEST_CASE("a snapshot from before the leader's log is of no use, and the next one is asked") {
    Lab lab(4);
    lab.propose(5);
    lab.compact(2, 60);  // node 4 is asked first, for it comes behind node 3
    lab.compact(4, 50);
    lab.propose(2);
    SUBCASE("who has a newer one") { lab.compact(2, 70); }
    SUBCASE("nobody has a newer one") {}
    const bool has_newer = lab.cluster.core(2).snapshot().last.index == Index{7};
    std::vector<NodeId> asked;
    lab.open();
    lab.lost = [&](const Message& m) {
        const auto* const request = std::get_if<SourceRequest>(&m.body);
        if (request != nullptr && request->last == LogPosition{}) asked.push_back(m.to);
        return false;
    };
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(asked == std::vector<NodeId>{{4}, {2}});
    CHECK(lab.installed_from() == NodeId{has_newer ? 2U : 1U});
    CHECK((lab.own_bytes == 0) == has_newer);
}

TEST_CASE("what one says that is not the source changes nothing") {
    Lab lab(4);
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.compact(1, 60);
    lab.run_until_half_way();
    lab.cluster.step(1, message(4, 1, SourceReply{lab.cluster.core(1).term(), {3}, {}}));
    CHECK(lab.transfer().source == NodeId{2});
    // Nor does what the source has said already.
    const SnapshotMeta sent = lab.transfer().meta;
    lab.cluster.step(1, message(2, 1, SourceReply{lab.cluster.core(1).term(), {3}, sent}));
    CHECK(lab.transfer().kept == 30);
    lab.cluster.step(1, message(2, 1, SourceReply{lab.cluster.core(1).term(), {3}, {}}));
    CHECK(lab.transfer().source == NodeId{});
}

TEST_CASE("a source with which some of it goes through is not given up") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    std::size_t pieces = 0;
    lab.lost = [&](const Message& m) {
        return std::holds_alternative<SourceChunk>(m.body) && ++pieces % 2 == 1;
    };
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(2500)));
    CHECK(pieces == 16);
    CHECK(lab.own_bytes == 0);
}

TEST_CASE("a snapshot older than the leader's serves where the log goes on from it") {
    Options options = by_followers();
    options.retained_bytes = 3 * footprint(entry(1, 1, "operation"));
    Lab lab(3, options);
    lab.propose(5);
    lab.compact(2, 60);
    lab.propose(2);
    lab.open();
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(lab.installed_from() == NodeId{2});
    CHECK(lab.cluster.core(3).snapshot().last.index == Index{5});
    CHECK(lab.own_bytes == 0);
}

TEST_CASE("the leader's log waits for who is sent an older snapshot by a follower") {
    Options options = by_followers();
    options.max_hold_bytes = std::size_t{1} << 20;
    Lab lab(3, options);
    lab.propose(5);
    lab.compact(2, 60);
    // The leader waits for nobody who is not there.
    lab.cluster.lost = [](const Message& m) { return m.to == NodeId{3} || m.from == NodeId{3}; };
    lab.cluster.run(milliseconds(600));
    lab.compact(1, 60);
    lab.open();
    lab.run_until_half_way();
    lab.cluster.node(2).machine_stalled = false;
    lab.lost = [](const Message& m) { return std::holds_alternative<SourceChunk>(m.body); };
    for (int i = 0; i < 3; ++i) lab.cluster.propose(1, "more");
    lab.cluster.settle();
    REQUIRE(lab.cluster.take_snapshot(1, 90));
    lab.cluster.settle();
    CHECK(lab.cluster.core(1).log().base().index == Index{5});
    lab.lost = nullptr;
    CHECK(lab.run_until_caught_up(milliseconds(500)));
    CHECK(lab.cluster.seen(EventKind::snapshot_installed) == 1);
    CHECK(lab.own_bytes == 0);
}

TEST_CASE("a source that is removed is given up") {
    Lab lab(4);
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.lost = [](const Message& m) { return std::holds_alternative<SourceChunk>(m.body); };
    lab.compact(1, 60);
    lab.run_until_begun();
    REQUIRE(lab.transfer().source == NodeId{2});
    Membership fewer = voters(4);
    fewer.remove({2});
    lab.cluster.step(1, ChangeMembers{1, fewer});
    REQUIRE(lab.cluster.run_until(
        [&] { return lab.progress(2) == nullptr || lab.progress(2)->departure; },
        milliseconds(300)));
    CHECK(lab.run_until_caught_up(milliseconds(250)));
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("a source keeps what it sends, and drops it when it is asked no more") {
    Lab lab;
    lab.propose(5);
    lab.compact(2, 60);
    lab.open();
    lab.compact(1, 60);
    lab.run_until_half_way();
    const SnapshotMeta sent = lab.transfer().meta;
    lab.lost = [](const Message& m) { return std::holds_alternative<SnapshotReply>(m.body); };
    lab.cluster.node(2).machine_stalled = false;
    lab.cluster.propose(1, "more");
    lab.cluster.run(milliseconds(20));
    REQUIRE(lab.cluster.take_snapshot(2, 60));
    lab.cluster.run(milliseconds(100));
    CHECK(lab.cluster.node(2).find(sent) != nullptr);
    lab.lost = nullptr;
    CHECK(lab.run_until_caught_up(milliseconds(1000)));
    CHECK(lab.own_bytes == 0);
    lab.cluster.run(milliseconds(4200));
    CHECK(lab.cluster.core(2).errands().empty());
    CHECK(lab.cluster.node(2).find(sent) == nullptr);
    CHECK(lab.cluster.node(2).snapshots.size() == 1);
}

TEST_CASE("a snapshot that the leader does not send keeps and drops none of its own") {
    Lab lab;
    lab.propose(5);
    lab.compact(1, 80);
    lab.propose(3);
    lab.compact(2, 60);
    lab.open();
    lab.run_until_half_way();
    REQUIRE(lab.transfer().meta.last.index == Index{8});
    // One of its own, between the two, is being saved.
    lab.cluster.node(1).snapshots.push_back({{position(7, 1), voters(3), 1, 1}, text("x"), {}});
    const Output next = lab.cluster.step(1, SnapshotTaken{{position(6, 1), voters(3), 1, 2}});
    CHECK(next.needed_snapshots == std::vector<Index>{{6}});
}

TEST_CASE("a source that cannot read its snapshot says so, and the leader sends its own") {
    Lab lab;
    lab.cluster.expected_events = {EventKind::snapshot_unreadable};
    lab.propose(5);
    lab.compact(2, 60);
    lab.cluster.node(2).snapshots.clear();
    lab.open();
    lab.compact(1, 60);
    CHECK(lab.run_until_caught_up(milliseconds(200)));
    CHECK(lab.cluster.seen(EventKind::snapshot_unreadable) == 1);
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("where a source's snapshot arrives damaged, the leader sends its own") {
    Lab lab;
    lab.cluster.expected_events = {EventKind::snapshot_rejected};
    lab.propose(5);
    lab.compact(2, 60);
    Snapshot& rotten = lab.cluster.node(2).snapshots.front();
    rotten.content = text(std::string(rotten.content.size(), '!'));
    lab.open();
    lab.compact(1, 70);
    CHECK(lab.run_until_caught_up(milliseconds(300)));
    CHECK(lab.cluster.seen(EventKind::snapshot_rejected) == 1);
    CHECK(lab.installed_from() == NodeId{1});
}

TEST_CASE("a transfer ends whatever is lost, late, doubled or out of order") {
    std::size_t by_others = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        Options options = by_followers();
        options.snapshot_window_bytes = 10 + random.below(std::uint64_t{60});
        options.max_hold_bytes = std::size_t{1} << 20;
        Lab lab(4, options);
        lab.propose(5);
        lab.compact(2, 60);
        lab.compact(4, 40);
        lab.open();
        lab.cluster.take_snapshot(1, 60);
        std::vector<Message> late;
        lab.lost = [&](const Message& m) {
            const bool about = is_piece(m.body) || std::holds_alternative<SnapshotReply>(m.body) ||
                               std::holds_alternative<SourceRequest>(m.body) ||
                               std::holds_alternative<SourceReply>(m.body);
            if (!about) return false;
            if (random.below(4) == 0) late.push_back(m);
            return random.below(4) == 0;
        };
        for (int round = 0; round < 400 && !lab.caught_up(); ++round) {
            lab.cluster.run(milliseconds(20));
            if (!late.empty() && random.below(2) == 0) {
                const auto one = static_cast<std::ptrdiff_t>(random.below(late.size()));
                lab.cluster.bag.push_back(late[static_cast<std::size_t>(one)]);
                late.erase(late.begin() + one);
            }
            if (random.below(20) == 0) lab.cluster.propose(1, "more");
            if (random.below(30) == 0) lab.cluster.take_snapshot(1 + random.below(4), 50);
        }
        CHECK(lab.caught_up());
        lab.cluster.check();
        CHECK(lab.cluster.failure == "");
        if (lab.installed_from() != NodeId{1}) ++by_others;
    }
    CHECK(by_others > 20);
}

TEST_CASE("each source has a pace of its own") {
    Options options = by_followers();
    options.check_quorum = false;
    options.snapshot_window_bytes = 40;
    options.snapshot_bytes_per_second = 500;
    Lab lab(5, options);
    // Nodes 3 and 5 need the snapshot; nodes 4 and 2 have one.
    lab.cluster.lost = [](const Message& m) {
        const bool behind = m.to == NodeId{3} || m.to == NodeId{5};
        return behind && std::holds_alternative<AppendRequest>(m.body);
    };
    for (int i = 0; i < 5; ++i) lab.cluster.propose(1, "operation");
    lab.cluster.run(milliseconds(20));
    for (const std::uint64_t id : {2U, 4U, 1U}) REQUIRE(lab.cluster.take_snapshot(id, 600));
    lab.open();
    lab.cluster.run(milliseconds(100));  // and the next heartbeat finds out
    const Time began = lab.cluster.now;
    REQUIRE(lab.cluster.run_until(
        [&] {
            return lab.caught_up() && lab.cluster.node(5).machine == lab.cluster.node(1).machine;
        },
        milliseconds(5000)));
    // 619 bytes each at 500 in a second.
    CHECK(lab.cluster.now - began > milliseconds(1100));
    CHECK(lab.cluster.now - began < milliseconds(1500));
    CHECK(lab.own_bytes == 0);
    CHECK(lab.bytes[1] > 600);
    CHECK(lab.bytes[3] > 600);
    CHECK(lab.cluster.failure == "");
}

TEST_CASE("one source at a slow pace sends nothing twice, and is not given up") {
    Options options = by_followers();
    options.check_quorum = false;
    options.snapshot_bytes_per_second = 20;  // a piece each half a second, heartbeats each tenth
    Lab lab(3, options);
    lab.propose(5);
    lab.compact(2, 90);
    lab.open();
    lab.compact(1, 90);
    CHECK(lab.run_until_caught_up(milliseconds(8000)));
    CHECK(lab.own_bytes == 0);
    CHECK(lab.bytes[1] == lab.cluster.core(2).snapshot().size);
}

TEST_CASE("a piece that waits for its turn after it was lost is no reason to give up a source") {
    Options options = by_followers();
    options.check_quorum = false;
    options.snapshot_bytes_per_second = 10;  // a piece each second
    Lab lab(3, options);
    lab.propose(5);
    lab.compact(2, 20);
    lab.open();
    std::size_t pieces = 0;
    lab.lost = [&](const Message& m) {
        return std::holds_alternative<SourceChunk>(m.body) && ++pieces <= 2;
    };
    lab.compact(1, 20);
    CHECK(lab.run_until_caught_up(milliseconds(8000)));
    CHECK(lab.own_bytes == 0);
}

}  // namespace snapshot_source_test
