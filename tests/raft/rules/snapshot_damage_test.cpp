// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that come damaged to a follower, on the way or because the leader's own copy is, while
// nothing is applied: Raft paper, section 7.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>

namespace snapshot_damage_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 leads, node 3 lacks the snapshot of index 5, of several pieces, and nothing is applied
/// any more. Pieces for which `damages` holds are changed on the way.
struct Transfer {
    Transfer() : cluster(3, small_chunks()) {
        cluster.elect(1);
        cluster.crash(3);
        for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
        cluster.run(milliseconds(20));
        REQUIRE(cluster.take_snapshot(1, 60));
        cluster.run(milliseconds(300));
        cluster.expected_events = {EventKind::snapshot_rejected, EventKind::snapshot_unreadable};
        cluster.lost = [this](const Message& message) { return damage(message); };
        cluster.restart(3);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    /// Takes the message's place, if it is a piece to be damaged.
    bool damage(const Message& message) {
        const auto* chunk = std::get_if<SnapshotChunk>(&message.body);
        if (chunk == nullptr) return false;
        ++pieces;
        if (!damages || !damages(*chunk)) return false;
        SnapshotChunk damaged = *chunk;
        std::string content(damaged.data.text());
        content.front() = '#';
        damaged.data = text(content);
        cluster.bag.push_back({message.from, message.to, std::move(damaged)});
        return true;
    }
    bool caught_up() {
        return cluster.run_until(
            [this] { return cluster.node(3).machine == cluster.node(1).machine; },
            milliseconds(20000));
    }
    std::size_t rejections() const { return cluster.seen(EventKind::snapshot_rejected); }

    CoreCluster cluster;
    std::function<bool(const SnapshotChunk&)> damages;
    std::size_t pieces = 0;  // that left the leader
};

}  // namespace

TEST_CASE("a snapshot of which one piece was damaged on the way is sent anew, and arrives") {
    for (const std::uint64_t place : {0U, 30U, 70U}) {
        CAPTURE(place);
        Transfer transfer;
        bool done = false;
        transfer.damages = [&](const SnapshotChunk& chunk) {
            return chunk.offset == place && !std::exchange(done, true);
        };
        CHECK(transfer.caught_up());
        CHECK(transfer.rejections() == 1);
        CHECK(transfer.cluster.failure == "");
        CHECK(transfer.cluster.core(1).snapshot().last.index == Index{5});  // the same one
        CHECK(transfer.cluster.node(1).snapshots.size() == 1);
    }
}

TEST_CASE("a snapshot that is damaged each time is sent at ever longer intervals, not in a loop") {
    Transfer transfer;
    transfer.damages = [](const SnapshotChunk& chunk) { return chunk.offset == 30; };
    transfer.cluster.run(milliseconds(1000));
    CHECK(transfer.rejections() >= 1);
    // At a heartbeat at the earliest, and after twice as long each time, up to 8 election timeouts.
    CHECK(transfer.rejections() <= 10);
    transfer.cluster.run(milliseconds(20000));
    CHECK(transfer.rejections() >= 4);  // nor does it give up
    CHECK(transfer.rejections() <= 20);
    CHECK(transfer.cluster.core(1).role() == Role::leader);
    transfer.damages = nullptr;
    CHECK(transfer.caught_up());
    CHECK(transfer.cluster.failure == "");
}

TEST_CASE("a leader whose copy is damaged sends the one that takes its place at the same index") {
    Transfer transfer;
    Snapshot& copy = transfer.cluster.node(1).snapshots.front();
    const Snapshot sound = copy;
    std::string content(copy.content.text());
    content[35] = '#';
    copy.content = text(content);
    const bool told = transfer.cluster.run_until(
        [&] { return transfer.cluster.seen(EventKind::snapshot_unreadable) != 0; },
        milliseconds(5000));
    REQUIRE(told);
    CHECK(transfer.rejections() >= 1);
    CHECK(transfer.cluster.node(3).machine != transfer.cluster.node(1).machine);
    // The state is the same, its bytes may be others.
    Snapshot next = sound;
    SUBCASE("with the same bytes") {}
    SUBCASE("with other bytes") {
        next.content = text(std::string(sound.content.text()) + "signed");
        next.meta.size = next.content.size();
        next.meta.checksum = checksum_of(next.content);
    }
    copy = next;
    transfer.cluster.step(1, SnapshotTaken{next.meta});
    CHECK(transfer.cluster.core(1).snapshot() == next.meta);
    CHECK(transfer.caught_up());
    CHECK(transfer.cluster.core(3).snapshot() == next.meta);
    CHECK(transfer.cluster.failure == "");
}

}  // namespace snapshot_damage_test
