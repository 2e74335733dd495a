// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Several things that come in one step of a follower, in either order, and places that are exactly
// equal: the end of a snapshot, of what is committed, of what is read back.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <raft/driver/carry_out.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace coincidence_test {

namespace {

using namespace raft;
using namespace raft::test;

const SnapshotMeta meta{position(8, 4), voters(3), 10, 77};

/// Node 1 of 3 in term 5, whose log is on the disk and not in memory, before the last answer of the
/// disk to a snapshot of index 8.
struct Follower {
    explicit Follower(std::vector<std::uint64_t> terms)
        : core(options(), NodeId{1}, voters(3),
               recovered({Term{5}, {}, {}}, entries(1, std::move(terms))), 1, Time{}) {}
    static Options options() {
        Options small = small_chunks();
        small.log_cache_bytes = 0;
        return small;
    }
    Output take(Input input) { return core.step(Time{}, std::move(input)); }
    Output take_together(std::vector<Input> inputs) {
        Output output;
        core.step(Time{}, inputs, output);
        return output;
    }
    /// The leader says what is committed, and sends the snapshot.
    Output prepare(std::uint64_t commit) {
        const LogPosition last = core.log().last();
        Output output = take(message(2, 1, AppendRequest{Term{5}, last, Index{commit}, 0, {}}));
        take(message(2, 1, SnapshotChunk{Term{5}, meta, 0, text("0123456789")}));
        return output;
    }
    static Input installed() { return ChunkStored{meta, ChunkOutcome::installed}; }
    Core core;
};

/// Notes the order in which an Output is carried out.
struct Recorder {
    std::string order;
    void begin_write(Write&&) { order += "write "; }
    void send(Message&&) { order += "send "; }
    void send_after(DeferredMessage&&) { order += "defer "; }
    void proposed(const ProposalOutcome&) { order += "proposed "; }
    void restore(const SnapshotMeta&) { order += "restore "; }
    void apply(std::span<const Entry>) { order += "apply "; }
    void read_ready(const ReadOutcome&) { order += "read "; }
    void change_ended(const ChangeOutcome&) {}
    void handover_ended(const HandoverOutcome&) {}
    void load(const LoadEntries&) { order += "load "; }
    void load(const LoadDetached&) { order += "detached "; }
    void load(const LoadChunk&) { order += "load "; }
    void store(StoreChunk&&) { order += "store "; }
    void abandon_transfer() { order += "abandon "; }
    void compare(const MarksTold&) { order += "compare "; }
    void drop_snapshots_except(const std::vector<Index>&) { order += "drop "; }
    void observe(const Event&) { order += "event"; }
    bool stopped() const { return stops && order.ends_with("restore "); }
    bool stops = false;
};

}  // namespace

TEST_CASE("what is read back in the step of an install is not applied on top of it") {
    const Input loaded = EntriesLoaded{{}, entries(1, {1, 1, 1, 1})};
    for (const bool install_first : {false, true}) {
        Follower follower({1, 1, 1, 1});
        REQUIRE(follower.prepare(4).load_entries.size() == 1);
        const Output output = install_first
                                  ? follower.take_together({Follower::installed(), loaded})
                                  : follower.take_together({loaded, Follower::installed()});
        CHECK(output.restore == meta);
        CHECK(output.apply.empty());
        CHECK(follower.core.log().applied() == Index{8});
        CHECK(follower.core.log().handed() == Index{8});
    }
}

TEST_CASE("what is read back after an install is not applied, and the next entries are") {
    Follower follower({1, 1, 1, 1});
    follower.prepare(4);
    follower.take(Follower::installed());
    CHECK(follower.take(EntriesLoaded{{}, entries(1, {1, 1, 1, 1})}).apply.empty());
    const Output output = follower.take(
        message(2, 1, AppendRequest{Term{5}, meta.last, Index{9}, 0, entries(9, {5})}));
    CHECK(output.apply == entries(9, {5}));
}

TEST_CASE("entries that come in the step of a snapshot that covers them are written all the same") {
    Follower follower({});
    follower.prepare(0);
    const Output output = follower.take_together(
        {message(2, 1, AppendRequest{Term{5}, {}, {}, 0, entries(1, {4, 4, 4, 4, 4, 4, 4, 4, 5})}),
         Follower::installed()});
    CHECK(output.restore == meta);
    REQUIRE(output.write);
    CHECK_FALSE(output.write->reset);
    CHECK(output.write->entries.size() == 9);
    CHECK_FALSE(output.write->release);
    CHECK(follower.core.log().base().index == Index{0});
}

TEST_CASE("a log that a snapshot voids takes with it what one of the node's own had released") {
    Follower follower({1, 1, 1, 1});
    follower.prepare(4);
    follower.take(EntriesLoaded{{}, entries(1, {1, 1, 1, 1})});
    follower.take(Applied{Index{4}});
    const Output output = follower.take_together(
        {SnapshotTaken{{position(3, 1), voters(3), 1, 1}}, Follower::installed()});
    CHECK(output.restore == meta);
    REQUIRE(output.write);
    CHECK(output.write->reset == meta.last);
    CHECK_FALSE(output.write->release);
}

TEST_CASE("a snapshot that ends exactly where the log is committed changes nothing") {
    Follower follower({1, 1, 1, 4, 4, 4, 4});
    follower.prepare(7);
    const Output output = follower.take_together(
        {message(2, 1, AppendRequest{Term{5}, position(7, 4), Index{8}, 0, entries(8, {4, 5})}),
         Follower::installed()});
    CHECK_FALSE(output.restore);
    CHECK(follower.core.log().commit() == Index{8});
    CHECK(follower.core.log().last() == position(9, 5));
    CHECK(follower.core.snapshot() == meta);
}

TEST_CASE("a snapshot that ends exactly where the log ends keeps it or voids it, by its term") {
    for (const std::uint64_t last_term : {4U, 3U}) {
        Follower follower({1, 1, 1, 1, 1, 1, 1, last_term});
        follower.prepare(0);
        const Output output = follower.take(Follower::installed());
        CHECK(output.restore == meta);
        REQUIRE(output.write);
        CHECK(output.write->reset.has_value() == (last_term == 3));
        CHECK(follower.core.log().last() == meta.last);
    }
}

TEST_CASE("a transfer by another maker of the same position is another transfer") {
    Follower follower({});
    SnapshotMeta other = meta;
    other.size = 20;
    other.checksum += 1;
    follower.take(message(2, 1, SnapshotChunk{Term{5}, other, 0, text("0123456789")}));
    follower.take(ChunkStored{other, ChunkOutcome::stored});
    SnapshotMeta mine = other;
    mine.checksum += 1;
    const Output middle =
        follower.take(message(3, 1, SnapshotChunk{Term{6}, mine, 10, text("0123456789")}));
    CHECK(middle.store_chunks.empty());
    const Output begin =
        follower.take(message(3, 1, SnapshotChunk{Term{6}, mine, 0, text("0123456789")}));
    REQUIRE(begin.store_chunks.size() == 1);
    CHECK(begin.store_chunks[0].meta == mine);
}

TEST_CASE("a step is carried out in the one safe order") {
    Output output;
    output.write.emplace();
    output.send.emplace_back();
    output.send_after.emplace_back();
    output.proposals.emplace_back();
    output.restore.emplace();
    output.apply = entries(1, {1});
    output.reads.emplace_back();
    output.load_entries.emplace_back();
    output.load_detached.emplace();
    output.load_chunks.emplace_back();
    output.store_chunks.emplace_back();
    output.abandon_transfer = true;
    output.needed_snapshots = {Index{1}};
    output.events.emplace_back();
    Output same = output;
    Recorder recorder;
    carry_out(output, recorder);
    CHECK(
        recorder.order ==
        "write send defer proposed restore apply read load detached load store abandon drop event");
    Recorder failing;
    failing.stops = true;
    carry_out(same, failing);
    CHECK(failing.order == "write send defer proposed restore ");
}

}  // namespace coincidence_test
