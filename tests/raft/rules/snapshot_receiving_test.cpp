// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots as a follower takes them, piece by piece: Raft paper, section 7 and figure 13.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace snapshot_receiving_test {

namespace {

using namespace raft;
using namespace raft::test;

/// A follower (node 1 of 3) in term 5, to which chunks are fed by hand.
struct Receiver {
    explicit Receiver(std::vector<std::uint64_t> terms)
        : core(small_chunks(), NodeId{1}, voters(3),
               recovered({Term{5}, {}, {}}, entries(1, std::move(terms))), 1, Time{}) {}

    static SnapshotMeta meta(std::uint64_t index, std::uint64_t term) {
        return {{Index{index}, Term{term}}, voters(3), 20, index * 100 + term};
    }
    Output chunk(const SnapshotMeta& snapshot, std::uint64_t offset, std::uint64_t from = 2,
                 std::uint64_t term = 5) {
        return core.step(
            Time{},
            message(from, 1, SnapshotChunk{Term{term}, snapshot, offset, text("0123456789")}));
    }
    Output stored(const SnapshotMeta& snapshot, ChunkOutcome outcome) {
        return core.step(Time{}, ChunkStored{snapshot, outcome});
    }
    /// The first of its two pieces is stored.
    void begin(const SnapshotMeta& snapshot) {
        chunk(snapshot, 0);
        stored(snapshot, ChunkOutcome::stored);
    }
    /// The second one is being stored.
    void bring(const SnapshotMeta& snapshot) {
        begin(snapshot);
        chunk(snapshot, 10);
    }
    Output install(const SnapshotMeta& snapshot) {
        bring(snapshot);
        return stored(snapshot, ChunkOutcome::installed);
    }
    Core core;
};
SnapshotReply reply_of(const Output& output) { return only<SnapshotReply>(output); }

}  // namespace

TEST_CASE("pieces are taken in order, one at a time; the answer says where to go on") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    CHECK(reply_of(receiver.chunk(meta, 10)).next_offset == 0);
    const Output first = receiver.chunk(meta, 0);
    REQUIRE(first.store_chunks.size() == 1);
    CHECK(first.store_chunks[0].data == text("0123456789"));
    const Output meanwhile = receiver.chunk(meta, 0);
    CHECK(meanwhile.store_chunks.empty());
    CHECK(reply_of(receiver.stored(meta, ChunkOutcome::stored)).next_offset == 10);
    CHECK(reply_of(receiver.chunk(meta, 0)).next_offset == 10);
    CHECK(!receiver.chunk(meta, 10).store_chunks.empty());
    const SnapshotReply last = reply_of(receiver.stored(meta, ChunkOutcome::installed));
    CHECK(last.installed());
}

TEST_CASE("an installed snapshot replaces a log that does not contain it (Figure 13)") {
    for (const std::vector<std::uint64_t>& terms :
         {std::vector<std::uint64_t>{}, {1, 1, 1}, {1, 1, 2, 3, 3, 3, 3, 3, 3, 3}}) {
        Receiver receiver(terms);
        const Output output = receiver.install(Receiver::meta(8, 4));
        CHECK(output.restore == Receiver::meta(8, 4));
        REQUIRE(output.write);
        CHECK(output.write->reset == LogPosition{Index{8}, Term{4}});
        CHECK(receiver.core.log().last() == LogPosition{Index{8}, Term{4}});
        CHECK(receiver.core.log().base() == LogPosition{Index{8}, Term{4}});
        CHECK(receiver.core.log().commit() == Index{8});
        CHECK(receiver.core.log().applied() == Index{8});
    }
}

TEST_CASE("a snapshot is vouched for when the log on disk says that it begins behind it") {
    Receiver receiver({1, 1, 2});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    const Output output = receiver.install(meta);
    REQUIRE(output.write);
    REQUIRE(output.write->reset == meta.last);
    CHECK(reply_of(output).installed());
    CHECK(reply_of(output).match == Index{});
    // Sent anew before that is durable, and behind it.
    CHECK(reply_of(receiver.chunk(meta, 0)).match == Index{});
    receiver.core.step(Time{}, Persisted{output.write->id});
    CHECK(reply_of(receiver.chunk(meta, 0)).match == Index{8});
}

TEST_CASE("a heartbeat does not vouch for a snapshot before the log on disk begins behind it") {
    const auto heartbeat = [](Receiver& receiver) {
        AppendRequest request{Term{5}, {Index{8}, Term{4}}, Index{8}, 0, {}};
        return receiver.core.step(Time{}, message(2, 1, std::move(request)));
    };
    SUBCASE("where the log is replaced") {
        Receiver receiver({1, 1, 2});
        const WriteId reset = receiver.install(Receiver::meta(8, 4)).write->id;
        const Output early = heartbeat(receiver);
        CHECK(early.send.empty());
        REQUIRE(early.send_after.size() == 1);
        CHECK(early.send_after[0].after == reset);
        receiver.core.step(Time{}, Persisted{reset});
        const Output late = heartbeat(receiver);
        REQUIRE(late.send.size() == 1);
        CHECK(only<AppendReply>(late).index == Index{8});
    }
    SUBCASE("where it goes on, and what it has is not written yet") {
        Receiver receiver({1, 1, 1, 1, 1});
        AppendRequest request{Term{5}, {Index{5}, Term{1}}, Index{5}, 0, entries(6, {4, 4, 4})};
        const Output output = receiver.core.step(Time{}, message(2, 1, std::move(request)));
        receiver.install(Receiver::meta(8, 4));
        const Output early = heartbeat(receiver);
        REQUIRE(early.send.size() == 1);
        CHECK(only<AppendReply>(early).index == Index{5});
        receiver.core.step(Time{}, Persisted{output.write->id});
        CHECK(only<AppendReply>(heartbeat(receiver)).index == Index{8});
    }
}

TEST_CASE("a storage that has no room for a snapshot is not soon given another one") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    const auto chunk = [&](std::chrono::seconds now) {
        return receiver.core.step(
            Time{} + now, message(2, 1, SnapshotChunk{Term{5}, meta, 0, text("0123456789")}));
    };
    using std::chrono::seconds;
    CHECK(chunk(seconds(0)).store_chunks.size() == 1);
    receiver.core.step(Time{} + seconds(10), ChunkStored{meta, ChunkOutcome::refused});
    const Output early = chunk(seconds(49));
    CHECK(early.store_chunks.empty());
    CHECK(early.send.empty());
    CHECK(chunk(seconds(50)).store_chunks.size() == 1);
}

TEST_CASE("what follows an installed snapshot in a log that contains it is kept (Figure 13)") {
    Receiver receiver({1, 1, 2, 4, 4, 4, 4, 4, 4, 5});
    const Output output = receiver.install(Receiver::meta(8, 4));
    CHECK(output.restore == Receiver::meta(8, 4));
    REQUIRE(output.write);
    CHECK(!output.write->reset);
    CHECK(output.write->entries.empty());
    CHECK(receiver.core.log().last() == LogPosition{Index{10}, Term{5}});
    CHECK(receiver.core.log().commit() == Index{8});
    CHECK(receiver.core.log().applied() == Index{8});
}

TEST_CASE("an installed snapshot releases the log before it, as one of the node's own does") {
    Receiver receiver({1, 1, 2, 4, 4, 4, 4, 4, 4, 5});
    const Output output = receiver.install(Receiver::meta(8, 4));
    REQUIRE(output.write);
    CHECK(output.write->release == LogPosition{Index{8}, Term{4}});
    CHECK(receiver.core.log().base() == LogPosition{Index{8}, Term{4}});
}

TEST_CASE("a snapshot of one's own releases the log, although an installed one is newer") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(2, 1);
    receiver.bring(meta);
    AppendRequest request{Term{5}, {}, Index{3}, 0, entries(1, {1, 1, 1})};
    const Output appended = receiver.core.step(Time{}, message(2, 1, std::move(request)));
    receiver.stored(meta, ChunkOutcome::installed);
    REQUIRE(receiver.core.snapshot() == meta);
    REQUIRE(appended.apply.size() == 3);
    receiver.core.step(Time{}, Applied{Index{3}});
    const Output output = receiver.core.step(Time{}, SnapshotTaken{Receiver::meta(2, 1)});
    REQUIRE(output.write);
    CHECK(output.write->release == LogPosition{Index{2}, Term{1}});
}

TEST_CASE("a snapshot of what is committed here already is answered, not taken (Figure 13)") {
    Receiver receiver({1, 1, 2, 4});
    AppendRequest request{Term{5}, {Index{4}, Term{4}}, Index{4}, 0, {}};
    receiver.core.step(Time{}, message(2, 1, std::move(request)));
    const Output output = receiver.chunk(Receiver::meta(3, 2), 0);
    CHECK(output.store_chunks.empty());
    CHECK(reply_of(output).installed());
    CHECK(reply_of(output).match == Index{4});
}

TEST_CASE("a snapshot that the log overtakes while it is stored does not set the state back") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(2, 1);
    receiver.bring(meta);
    AppendRequest request{Term{5}, {}, Index{3}, 0, entries(1, {1, 1, 1})};
    receiver.core.step(Time{}, message(2, 1, std::move(request)));
    REQUIRE(receiver.core.log().commit() == Index{3});
    const Output output = receiver.stored(meta, ChunkOutcome::installed);
    CHECK(!output.restore);
    CHECK(reply_of(output).installed());
    CHECK(receiver.core.log().last_index() == Index{3});
    CHECK(receiver.core.snapshot() == meta);
}

TEST_CASE("a piece from an earlier term is refused with the present one") {
    Receiver receiver({});
    const Output output = receiver.chunk(Receiver::meta(8, 4), 0, 2, 4);
    CHECK(output.store_chunks.empty());
    CHECK(reply_of(output).term == Term{5});
    CHECK(!reply_of(output).installed());
}

TEST_CASE("an older snapshot of the same leader does not displace the one under way") {
    Receiver receiver({});
    const SnapshotMeta newer = Receiver::meta(9, 4);
    receiver.begin(newer);
    CHECK(receiver.chunk(Receiver::meta(8, 4), 0).store_chunks.empty());
    CHECK(!receiver.chunk(newer, 10).store_chunks.empty());
}

TEST_CASE("another leader's snapshot displaces the one under way, even an older one") {
    Receiver receiver({});
    const SnapshotMeta newer = Receiver::meta(9, 4);
    receiver.begin(newer);
    const Output output = receiver.chunk(Receiver::meta(8, 4), 0, 3, 6);
    REQUIRE(output.store_chunks.size() == 1);
    CHECK(output.store_chunks[0].meta == Receiver::meta(8, 4));
}

TEST_CASE("a snapshot whose checksum is wrong is reported and asked for again") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    receiver.chunk(meta, 0);
    const Output output = receiver.stored(meta, ChunkOutcome::rejected);
    CHECK(count(output, EventKind::snapshot_rejected) == 1);
    CHECK(reply_of(output).next_offset == 0);
    CHECK(reply_of(output).rejected());
    CHECK(receiver.core.log().last_index() == Index{0});
    CHECK(!receiver.chunk(meta, 0).store_chunks.empty());
}

TEST_CASE("what a storage has of a snapshot after a restart is not sent again") {
    const SnapshotMeta meta = Receiver::meta(8, 4);
    Recovered found = recovered({Term{5}, {}, {}}, entries(1, {1, 1}));
    found.partial = meta;
    found.partial_bytes = 10;
    Receiver receiver({});
    receiver.core = Core(small_chunks(), NodeId{1}, voters(3), found, 1, Time{});
    SUBCASE("by a leader that begins with it") {
        CHECK(reply_of(receiver.chunk(meta, 0)).next_offset == 10);
    }
    SUBCASE("by one that has not noticed the restart") {}
    SUBCASE("by the leader of another term") {
        CHECK(reply_of(receiver.chunk(meta, 0, 3, 6)).next_offset == 10);
        const Output output = receiver.chunk(meta, 10, 3, 6);
        REQUIRE(output.store_chunks.size() == 1);
        CHECK(output.store_chunks[0].offset == 10);
        CHECK(receiver.stored(meta, ChunkOutcome::installed).restore == meta);
        return;
    }
    SUBCASE("unless another one is sent, be it an older one") {
        const Output output = receiver.chunk(Receiver::meta(7, 4), 0);
        REQUIRE(output.store_chunks.size() == 1);
        CHECK(output.store_chunks[0].offset == 0);
        return;
    }
    const Output output = receiver.chunk(meta, 10);
    REQUIRE(output.store_chunks.size() == 1);
    CHECK(output.store_chunks[0].offset == 10);
    CHECK(receiver.stored(meta, ChunkOutcome::installed).restore == meta);
}

TEST_CASE("what a storage has of a snapshot goes when the log has brought it") {
    Recovered found = recovered({Term{5}, {}, {}}, entries(1, {1, 1, 1, 1}));
    found.partial = Receiver::meta(3, 1);
    found.partial_bytes = 10;
    Core core(small_chunks(), NodeId{1}, voters(3), found, 1, Time{});
    CHECK(!core.step(Time{}, Tick{}).abandon_transfer);
    AppendRequest request{Term{5}, {Index{4}, Term{1}}, Index{3}, 0, {}};
    CHECK(core.step(Time{}, message(2, 1, std::move(request))).abandon_transfer);
    CHECK(!core.receives_snapshot());
}

TEST_CASE("a transfer goes on where it was when another leader sends the same snapshot") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    receiver.begin(meta);
    CHECK(reply_of(receiver.chunk(meta, 0, 3, 6)).next_offset == 10);
    CHECK(receiver.chunk(meta, 10, 3, 6).store_chunks.size() == 1);
    SnapshotMeta other = meta;
    other.checksum += 1;  // made by a node whose state has other bytes
    receiver.stored(meta, ChunkOutcome::stored);
    CHECK(receiver.chunk(other, 0, 2, 7).store_chunks.at(0).offset == 0);
}

TEST_CASE("a restored state and the entries after it come in one step, in order") {
    Receiver receiver({});
    const SnapshotMeta meta = Receiver::meta(8, 4);
    receiver.bring(meta);
    std::vector<Input> inputs{
        ChunkStored{meta, ChunkOutcome::installed},
        message(2, 1, AppendRequest{Term{5}, meta.last, Index{9}, 0, entries(9, {5})})};
    Output output;
    receiver.core.step(Time{}, inputs, output);
    CHECK(output.restore == meta);
    CHECK(output.apply == entries(9, {5}));
    REQUIRE(output.write);
    CHECK(output.write->reset == meta.last);
    CHECK(output.write->entries == entries(9, {5}));
}

}  // namespace snapshot_receiving_test
