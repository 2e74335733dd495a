// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that are sent no faster than they may be.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <variant>
#include <vector>

namespace sending_pace_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 of 5 leads. Nodes 3 and 4 need its snapshot, of a little over 600 bytes, in pieces of
/// 10, of which 500 bytes may go in a second; they have seen nothing of it yet.
struct Paced {
    explicit Paced(std::uint64_t rate = 500) : cluster(5, options(rate)) {
        cluster.elect(1);
        cluster.lost = [](const Message& m) {
            const bool behind = m.to == NodeId{3} || m.to == NodeId{4};
            return behind && std::holds_alternative<AppendRequest>(m.body);
        };
        for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
        cluster.settle();
        REQUIRE(cluster.take_snapshot(1, 600));
        cluster.settle();
        began = cluster.now;
        cluster.lost = [this](const Message& m) {
            const auto* chunk = std::get_if<SnapshotChunk>(&m.body);
            if (chunk == nullptr) return false;
            pieces.push_back({cluster.now, m.to, chunk->offset, chunk->data.size()});
            return drop && drop(m);
        };
    }
    static Options options(std::uint64_t rate) {
        Options options = small_chunks();
        options.check_quorum = false;
        options.snapshot_window_bytes = 40;
        options.snapshot_bytes_per_second = rate;
        return options;
    }
    /// The most that has left within any stretch of time, beyond what the rate brings in it.
    std::int64_t excess(std::uint64_t rate) const {
        std::int64_t most = 0;
        for (std::size_t first = 0; first < pieces.size(); ++first) {
            std::int64_t bytes = 0;
            for (std::size_t i = first; i < pieces.size(); ++i) {
                bytes += static_cast<std::int64_t>(pieces[i].bytes);
                const Duration span = pieces[i].at - pieces[first].at;
                const auto brought = span.count() * static_cast<std::int64_t>(rate) / 1'000'000'000;
                most = std::max(most, bytes - brought);
            }
        }
        return most;
    }
    bool caught_up(std::uint64_t id) { return cluster.node(id).machine == cluster.node(1).machine; }

    struct Piece {
        Time at;
        NodeId to;
        std::uint64_t offset;
        std::size_t bytes;
    };
    CoreCluster cluster;
    Time began;
    std::vector<Piece> pieces;
    std::function<bool(const Message&)> drop;
};

}  // namespace

TEST_CASE("snapshots leave a leader at their pace, to all followers together") {
    Paced paced;
    const bool done = paced.cluster.run_until(
        [&] { return paced.caught_up(3) && paced.caught_up(4); }, milliseconds(20'000));
    REQUIRE(done);
    // 2 * 619 bytes at 500 in a second.
    CHECK(paced.cluster.now - paced.began > milliseconds(2200));
    CHECK(paced.cluster.now - paced.began < milliseconds(3200));
    // What a heartbeat interval brings, and one piece.
    CHECK(paced.excess(500) <= 50 + 10);
    // Nothing is sent twice, although a piece waits longer for its turn than for its answer.
    std::size_t bytes = 0;
    for (const Paced::Piece& piece : paced.pieces) bytes += piece.bytes;
    CHECK(bytes == 2 * paced.cluster.core(1).snapshot().size);
    CHECK(paced.cluster.failure == "");
}

TEST_CASE("each follower gets its part of the pace") {
    Paced paced;
    paced.cluster.run(milliseconds(1500));
    std::map<NodeId, std::size_t> bytes;
    for (const Paced::Piece& piece : paced.pieces) bytes[piece.to] += piece.bytes;
    CHECK(bytes[NodeId{3}] > 300);
    CHECK(bytes[NodeId{4}] > 300);
}

TEST_CASE("a pace that is slower than the heartbeats sends nothing twice") {
    Paced paced(20);  // a piece each half a second, heartbeats each tenth
    paced.cluster.run(milliseconds(10'000));
    CHECK(paced.excess(20) <= 2 + 10);
    std::map<NodeId, std::uint64_t> next;
    for (const Paced::Piece& piece : paced.pieces) {
        CHECK(piece.offset == next[piece.to]);
        next[piece.to] = piece.offset + piece.bytes;
    }
    CHECK(next[NodeId{3}] + next[NodeId{4}] >= 190);
}

TEST_CASE("what is lost is sent again at the same pace") {
    Paced paced;
    Random random(1);
    paced.drop = [&](const Message&) { return random.below(100) < 30; };
    const bool done = paced.cluster.run_until(
        [&] { return paced.caught_up(3) && paced.caught_up(4); }, milliseconds(60'000));
    CHECK(done);
    CHECK(paced.excess(500) <= 50 + 10);
    CHECK(paced.cluster.failure == "");
}

TEST_CASE("a pace is exact for all sizes and rates") {
    SendingPace pace;
    pace.spend(1'500, 1'000, Duration{}, Time{});
    CHECK(pace.free_at == at(milliseconds(1'500)));
    pace.spend(std::uint64_t{1} << 30, 1, Duration{}, Time{});
    CHECK(pace.free_at - at(milliseconds(1'500)) == std::chrono::seconds(1 << 30));
    // What was not used is not saved for longer than the bucket holds.
    pace = {};
    pace.spend(100, 1'000, milliseconds(50), at(milliseconds(9'000)));
    CHECK(pace.free_at == at(milliseconds(9'050)));
}

}  // namespace sending_pace_test
