// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A snapshot that a follower sends in the leader's place: what each of the three does, alone.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <raft/rules/snapshot_source.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace snapshot_errand_test {

namespace {

using namespace raft;
using namespace raft::test;

SnapshotMeta meta(std::uint64_t index) { return {position(index, 4), voters(4), 100, index * 100}; }
Options options() {
    Options options = small_chunks();
    options.snapshot_window_bytes = 35;
    return options;
}
Recovered with_snapshot(const SnapshotMeta& newest) {
    Recovered found;
    found.hard_state.term = {5};
    found.snapshot = newest;
    found.base = newest.last;
    found.last = newest.last.index;
    return found;
}

/// Node 1 of 4, which follows node 2 in term 5.
struct One {
    explicit One(const SnapshotMeta& newest = meta(8))
        : core(options(), NodeId{1}, voters(4), with_snapshot(newest), 1, now) {
        heartbeat();
    }
    Output heartbeat() {
        return take(message(2, 1, AppendRequest{{5}, core.snapshot().last, {}, 0, {}}));
    }
    Output take(Input input) { return core.step(now, std::move(input)); }
    Output ask(LogPosition last, std::uint64_t checksum, std::uint64_t offset, std::uint64_t bytes,
               std::uint64_t target = 3) {
        return take(message(2, 1, SourceRequest{{5}, {target}, last, checksum, offset, bytes}));
    }
    Output ask(const SnapshotMeta& about, std::uint64_t offset, std::uint64_t bytes = 10) {
        return ask(about.last, about.checksum, offset, bytes);
    }
    Output question(std::uint64_t target = 3) { return ask({}, 0, 0, 0, target); }
    Output loaded(std::uint64_t offset, std::optional<Bytes> data = text("0123456789")) {
        return take(ChunkLoaded{{3}, meta(8), offset, std::move(data)});
    }

    Time now = at(milliseconds(10'000));
    Core core;
};

/// Node 1 of 5, which leads in term 5, at one second. Node 4 needs a snapshot.
struct Leading {
    Leading() {
        options.snapshot_source = SnapshotSource::follower;
        for (std::uint64_t id = 2; id <= 5; ++id) {
            Progress& follower = reign.add({id});
            follower.last_contact = now;
            follower.become_replicate();
        }
        reign.find({4})->become_snapshot(meta(8), 10, milliseconds(100), now);
    }
    Options options = small_chunks();
    Configuration configuration{voters(5), {}};
    Ballot ballot{Term{5}, {}, {}, false, {}};
    DiskHealth disk;
    Output out;
    Time now = at(milliseconds(1000));
    Reign reign;
    Step step{options, {1}, {}, configuration, ballot, disk, now, out};
};

}  // namespace

// ---- the source ------------------------------------------------------------------------------

TEST_CASE("who is asked what it has says what its newest snapshot is") {
    One source;
    CHECK(only<SourceReply>(source.question()) == SourceReply{{5}, {3}, meta(8)});
    One empty(SnapshotMeta{});
    CHECK(only<SourceReply>(empty.question()) == SourceReply{{5}, {3}, {}});
    CHECK(empty.core.errands().empty());
}

TEST_CASE("a source sends the piece that it is asked for to the target, as the leader's") {
    One source;
    const Output asked = source.ask(meta(8), 20);
    CHECK(sent<SourceReply>(asked).empty());
    REQUIRE(asked.load_chunks.size() == 1);
    CHECK(asked.load_chunks[0] == LoadChunk{{3}, meta(8), 20, 10});
    const Output output = source.loaded(20);
    REQUIRE(output.send.size() == 1);
    CHECK(output.send[0].to == NodeId{3});
    CHECK(only<SourceChunk>(output) == SourceChunk{{5}, {2}, meta(8), 20, text("0123456789")});
    CHECK(source.loaded(20).send.empty());
}

TEST_CASE("who the target is only the leader knows for certain") {
    Recovered found = with_snapshot(meta(8));
    found.snapshot.membership.put({{3}, Standing::voter, {77}, {}});
    One source;
    source.core = Core(options(), {1}, voters(4), found, 1, source.now);
    source.take(message(2, 1, AppendRequest{{5}, meta(8).last, {}, 0, {}}));
    source.ask(meta(8), 0);
    const Output output = source.take(ChunkLoaded{{3}, found.snapshot, 0, text("0123456789")});
    REQUIRE(output.send.size() == 1);
    CHECK(output.send[0].addressee == Instance{});
}

TEST_CASE("only the leader of the term has anything sent") {
    One source;
    const SourceRequest request{{5}, {3}, meta(8).last, meta(8).checksum, 0, 10};
    SUBCASE("not another node") { CHECK(source.take(message(4, 1, request)).load_chunks.empty()); }
    SUBCASE("not in an earlier term") {
        SourceRequest earlier = request;
        earlier.term = {4};
        CHECK(source.take(message(2, 1, earlier)).load_chunks.empty());
    }
    SUBCASE("nor in a later one that it has not shown itself in") {
        SourceRequest later = request;
        later.term = {6};
        CHECK(source.take(message(2, 1, later)).load_chunks.empty());
        CHECK(source.core.leader() == NodeId{});
    }
    CHECK(source.core.errands().empty());
}

TEST_CASE("what is read for a leader is not sent for the next one") {
    One source;
    source.ask(meta(8), 0);
    source.take(message(4, 1, AppendRequest{{6}, meta(8).last, {}, 0, {}}));
    CHECK(source.core.errands().empty());
    CHECK(sent<SourceChunk>(source.loaded(0)).empty());
}

TEST_CASE("a source reads each piece once, no more of them than the window is wide, nor larger") {
    One source;
    CHECK(source.ask(meta(8), 0, 1000).load_chunks.at(0).max_bytes == 10);
    CHECK(source.ask(meta(8), 0).load_chunks.empty());
    CHECK(source.ask(meta(8), 10).load_chunks.size() == 1);
    CHECK(source.ask(meta(8), 20).load_chunks.size() == 1);
    CHECK(source.ask(meta(8), 30).load_chunks.empty());
    source.loaded(10);
    CHECK(source.ask(meta(8), 101).load_chunks.empty());
    CHECK(source.ask(meta(8), 30).load_chunks.size() == 1);
}

TEST_CASE("a source sends what it has begun to send, also when it has a newer one") {
    One source;
    source.question();
    source.ask(meta(8), 0);
    const Output newer = source.take(SnapshotTaken{meta(9)});
    CHECK(newer.needed_snapshots == std::vector<Index>{{8}, {9}});
    CHECK(source.ask(meta(8), 10).load_chunks.size() == 1);
    CHECK(only<SourceReply>(source.question()).meta == meta(8));
    // For another target there is the newest.
    CHECK(only<SourceReply>(source.question(4)).meta == meta(9));
    const Output kept = source.take(SnapshotTaken{meta(10)});
    CHECK(kept.needed_snapshots == std::vector<Index>{{8}, {9}, {10}});
}

TEST_CASE("a source that has not what it is asked for says what it has instead") {
    One source;
    CHECK(only<SourceReply>(source.ask(meta(7), 0)).meta == meta(8));
    SnapshotMeta another = meta(8);
    another.checksum += 1;
    CHECK(only<SourceReply>(source.ask(another, 0)).meta == meta(8));
}

TEST_CASE("a source that cannot read what it has says so") {
    One source;
    source.ask(meta(8), 0);
    const Output output = source.loaded(0, std::nullopt);
    CHECK(only<SourceReply>(output) == SourceReply{{5}, {3}, {}});
    CHECK(count(output, EventKind::snapshot_unreadable) == 1);
    CHECK(source.core.errands().empty());
}

TEST_CASE("a source keeps a snapshot as long as the leader asks for it, and a while longer") {
    One source;
    source.question();
    source.take(SnapshotTaken{meta(9)});
    for (int i = 0; i < 3; ++i) {
        source.now = source.now + milliseconds(3999);
        CHECK(source.heartbeat().needed_snapshots.empty());
        CHECK(sent<SourceReply>(source.ask(meta(8), 0, 0)).empty());
    }
    source.now = source.now + milliseconds(4000);
    CHECK(source.heartbeat().needed_snapshots == std::vector<Index>{{9}});
    CHECK(source.core.errands().empty());
}

TEST_CASE("a source sends to no more targets than there can be members") {
    One source;
    for (std::uint64_t target = 100; target < 100 + max_members; ++target) source.question(target);
    CHECK(source.core.errands().size() == max_members);
    CHECK(sent<SourceReply>(source.question(99)).empty());
    CHECK(source.core.errands().size() == max_members);
}

// ---- the target ------------------------------------------------------------------------------

TEST_CASE("a piece is taken from whoever sends it for the leader, who is told") {
    One target(SnapshotMeta{});
    const Time deadline = target.core.deadline();
    target.now = target.now + milliseconds(50);
    const Output output =
        target.take(message(3, 1, SourceChunk{{5}, {2}, meta(8), 0, text("0123456789")}));
    REQUIRE(output.store_chunks.size() == 1);
    CHECK(output.store_chunks[0].data == text("0123456789"));
    CHECK(output.deadline == deadline);  // only the leader itself keeps it from standing
    CHECK(target.core.leader() == NodeId{2});
    const Output stored = target.take(ChunkStored{meta(8), ChunkOutcome::stored});
    REQUIRE(stored.send.size() == 1);
    CHECK(stored.send[0].to == NodeId{2});
    CHECK(only<SnapshotReply>(stored).next_offset == 10);
    // One that does not continue what is here is answered to the leader, too.
    const Output again =
        target.take(message(3, 1, SourceChunk{{5}, {2}, meta(8), 40, text("0123456789")}));
    REQUIRE(again.send.size() == 1);
    CHECK(again.send[0].to == NodeId{2});
}

TEST_CASE("a piece is taken for the leader of the term only") {
    One target(SnapshotMeta{});
    const auto is_taken = [&](SourceChunk chunk) {
        const Output output = target.take(message(3, 1, std::move(chunk)));
        return !output.store_chunks.empty() || !output.send.empty();
    };
    CHECK_FALSE(is_taken({{5}, {4}, meta(8), 0, text("0123456789")}));
    CHECK_FALSE(is_taken({{5}, {}, meta(8), 0, text("0123456789")}));
    CHECK_FALSE(is_taken({{4}, {2}, meta(8), 0, text("0123456789")}));
    // Of a later term it learns, and of its leader it does not.
    CHECK_FALSE(is_taken({{6}, {2}, meta(8), 0, text("0123456789")}));
    CHECK(target.core.term() == Term{6});
    CHECK(target.core.leader() == NodeId{});
    CHECK_FALSE(is_taken({{6}, {}, meta(8), 0, text("0123456789")}));
}

TEST_CASE("of two senders for one leader each counts, and of one the lower snapshot is late") {
    One target(SnapshotMeta{});
    const auto stores = [&](std::uint64_t from, std::uint64_t index) {
        Output output = target.take(
            message(from, 1, SourceChunk{{5}, {2}, meta(index), 0, text("0123456789")}));
        if (output.store_chunks.empty()) return false;
        target.take(ChunkStored{meta(index), ChunkOutcome::stored});
        return true;
    };
    CHECK(stores(3, 8));
    CHECK_FALSE(stores(3, 7));
    CHECK(stores(4, 7));
    const SnapshotChunk own{{5}, meta(6), 0, text("0123456789")};
    CHECK(!target.take(message(2, 1, own)).store_chunks.empty());
}

// ---- the leader ------------------------------------------------------------------------------

TEST_CASE("the source is a member that is well, has caught up, and has the least to do") {
    Leading leading;
    Reign& reign = leading.reign;
    const Time now = leading.now;
    Progress& target = *reign.find({4});
    const auto choice = [&] { return choose_source(leading.step, reign, target); };
    CHECK(choice() == NodeId{5});  // the next one behind
    Progress& five = *reign.find({5});
    Progress& two = *reign.find({2});
    SUBCASE("not one that is silent") { five.last_contact = Time{}; }
    SUBCASE("not one whose disk hangs") { five.disk_stalled = true; }
    SUBCASE("not one without room") { five.disk_full = true; }
    SUBCASE("not one that has lost entries") { five.lost_before = Index{9}; }
    SUBCASE("not one that leaves") { five.departure = Departure{{9}, now}; }
    SUBCASE("not one that is another") {
        five.instance = {1};
        five.claimed = {2};
    }
    SUBCASE("not one that has to catch up") { five.become_probe({3}); }
    SUBCASE("not one that has been asked") { target.transfer.passed = {{5}}; }
    SUBCASE("not one that sends already, if others do not") {
        two.become_snapshot(meta(8), 10, milliseconds(100), now);
        two.transfer.ask({5}, now);
        CHECK(choice() == NodeId{3});
        two.become_replicate();
        five.become_probe({3});
    }
    CHECK(choice() == NodeId{2});
    target.last_contact = Time{};
    CHECK(choice() == NodeId{});  // nobody for one that is not there
    target.last_contact = now;
    leading.options.snapshot_source = SnapshotSource::leader;
    CHECK(choice() == NodeId{});
}

TEST_CASE("a source that has sent everything is needed no more") {
    Leading leading;
    Progress& target = *leading.reign.find({4});
    target.transfer.ask({5}, leading.now);
    target.transfer.begin_from_source(meta(9), 10, milliseconds(100), leading.now);
    target.transfer.installed = true;
    leading.reign.find({5})->last_contact = Time{};
    CHECK(attend_source(leading.step, leading.reign, target, meta(8)));
    CHECK(target.transfer.source == NodeId{5});
    CHECK(leading.out.send.empty());
    target.transfer.installed = false;
    CHECK_FALSE(attend_source(leading.step, leading.reign, target, meta(8)));
    CHECK(target.transfer.source == NodeId{});
}

TEST_CASE("nothing is read before the source has said which snapshot it has") {
    SnapshotTransfer transfer;
    transfer.begin(meta(8), 10, milliseconds(100), Time{});
    CHECK(transfer.may_load(10));
    transfer.ask({2}, at(milliseconds(50)));
    CHECK_FALSE(transfer.may_load(10));
    transfer.pass();
    CHECK(transfer.passed == std::vector<NodeId>{{2}});
    transfer.ask({3}, at(milliseconds(60)));
    transfer.begin_from_source(meta(9), 10, milliseconds(100), at(milliseconds(70)));
    CHECK(transfer.may_load(10));
    CHECK(transfer.source == NodeId{3});
    CHECK(transfer.meta == meta(9));
}

}  // namespace snapshot_errand_test
