// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A snapshot where there is no leader: who lends it to whom, what is asked for when, and what takes
// the place of what.
#include "membership_support.hpp"
#include "snapshot_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace snapshot_lending_test {

namespace {

using namespace membership_support;

SnapshotMeta meta(std::uint64_t index, std::uint64_t size = 25) {
    return {position(index, 4), voters(3), size, index * 100};
}
Bytes ten() { return text("0123456789"); }

/// Node 1 of 3 in term 5, at ten seconds, which hears of no leader.
struct One {
    explicit One(const Recovered& found, const Options& options = One::options())
        : core(options, NodeId{1}, voters(3), found, 1, at(milliseconds(5'000))) {}

    static Options options() {
        Options options = small_chunks();
        options.pre_vote = true;
        return options;
    }
    /// Has released its log up to 8@4, and has `behind` behind it.
    static One lender(std::vector<std::uint64_t> behind = {}) {
        Recovered found;
        found.hard_state.term = {5};
        found.snapshot = meta(8);
        found.base = found.snapshot.last;
        found.last = found.base.index + behind.size();
        for (std::size_t i = 0; i < behind.size(); ++i) {
            add_to_runs(found.runs, found.base.index + 1 + i, {behind[i]});
        }
        return One(found);
    }
    /// Has 1@1 2@1, and lacks what it had up to 9@5.
    static One borrower(const Options& options = One::options()) {
        Recovered found = recovered({{5}, {}, {1}}, entries(1, {1, 1}));
        found.promised = {{9}, {5}};
        return One(found, options);
    }

    Output take(Input input) { return core.step(now, std::move(input)); }
    Output hear(std::uint64_t from, Message::Body body) {
        return take(message(from, 1, std::move(body)));
    }
    Output heartbeat() { return hear(3, AppendRequest{{5}, core.log().base(), {}, 0, {}}); }
    Output lacks(LogPosition last, std::uint64_t from = 2) {
        return hear(from, VoteRequest{{6}, true, last, false, true});
    }
    Output request(const SnapshotMeta& about, std::uint64_t offset, std::uint64_t bytes = 10) {
        return hear(2, SourceRequest{{5}, {2}, about.last, about.checksum, offset, bytes});
    }
    Output offer(const SnapshotMeta& offered, std::uint64_t from = 2) {
        return hear(from, SourceReply{{5}, {1}, offered});
    }
    Output piece(const SnapshotMeta& about, std::uint64_t offset, std::uint64_t from = 2,
                 Bytes data = ten()) {
        return hear(from, SourceChunk{{5}, {}, about, offset, std::move(data)});
    }
    Output stored(const SnapshotMeta& about, ChunkOutcome outcome = ChunkOutcome::stored) {
        return take(ChunkStored{about, outcome});
    }
    /// For which place in which snapshot it asks whom; nothing: for none.
    static std::string asks(const Output& out) {
        std::string asked;
        for (const Message& message : out.send) {
            if (!std::holds_alternative<SourceRequest>(message.body)) continue;
            const auto& request = std::get<SourceRequest>(message.body);
            CHECK(request.target == NodeId{1});
            CHECK(request.bytes == 10);
            asked += "of " + std::to_string(request.last.index.value) + " at " +
                     std::to_string(request.offset) + " from " + std::to_string(message.to.value);
        }
        return asked;
    }

    Time now = at(milliseconds(10'000));
    Core core;
};

}  // namespace

// ---- the lender --------------------------------------------------------------------------------

TEST_CASE("a snapshot is offered to a member that lacks what it stands for, without a leader") {
    const auto offered = [](Output out) {
        const auto replies = sent<SourceReply>(out);
        for (const SourceReply& reply : replies) {
            CHECK(reply.target == NodeId{2});
            CHECK(reply.meta == meta(8));
        }
        return replies.size();
    };
    CHECK(offered(One::lender().lacks({{7}, {4}})) == 1);
    // Its log is longer, but of earlier terms: it parts before 8@4.
    CHECK(offered(One::lender().lacks({{20}, {3}})) == 1);
    // It may have 8@4 or not: entries behind that will show it, if there are some.
    CHECK(offered(One::lender().lacks({{20}, {4}})) == 1);
    CHECK(offered(One::lender({4}).lacks({{20}, {4}})) == 0);
    CHECK(offered(One::lender().lacks({{8}, {4}})) == 0);
    // One that is no member, and one that lacks nothing.
    CHECK(offered(One::lender().lacks({{7}, {4}}, 4)) == 0);
    CHECK(offered(One::lender().hear(2, VoteRequest{{6}, true, {{7}, {4}}, false, false})) == 0);
    One follows = One::lender();
    follows.heartbeat();
    CHECK(offered(follows.lacks({{7}, {4}})) == 0);
    follows.now += milliseconds(2'000);
    CHECK(offered(follows.lacks({{7}, {4}})) == 1);
    // There is nothing to lend.
    CHECK(offered(One(recovered({{5}, {}, {}})).lacks({{7}, {4}})) == 0);
}

TEST_CASE("a piece is read for the one that asks, and is sent as it is") {
    One one = One::lender();
    const Output reads = one.request(meta(8), 10, 50);
    REQUIRE(reads.load_chunks.size() == 1);
    CHECK(reads.load_chunks[0].reader == NodeId{2});
    CHECK(reads.load_chunks[0].offset == 10);
    CHECK(reads.load_chunks[0].max_bytes == 10);
    // What was read for another reason is not sent.
    CHECK(one.take(ChunkLoaded{{2}, meta(8), 0, ten()}).send.empty());
    CHECK(one.take(ChunkLoaded{{3}, meta(8), 10, ten()}).send.empty());
    const auto chunk = only<SourceChunk>(one.take(ChunkLoaded{{2}, meta(8), 10, ten()}));
    CHECK(chunk.leader == NodeId{});
    CHECK(chunk.meta == meta(8));
    CHECK(chunk.offset == 10);
    CHECK(chunk.data == ten());
    CHECK(one.take(ChunkLoaded{{2}, meta(8), 10, ten()}).send.empty());
    // It cannot be read.
    one.request(meta(8), 10);
    const Output unreadable = one.take(ChunkLoaded{{2}, meta(8), 10, std::nullopt});
    CHECK(unreadable.send.empty());
    CHECK(count(unreadable, EventKind::snapshot_unreadable) == 1);
    // One at a time, and while it is read nothing is offered.
    CHECK(one.request(meta(8), 0).load_chunks.size() == 1);
    CHECK(one.request(meta(8), 0).load_chunks.empty());
    CHECK(one.request(meta(8), 10).load_chunks.empty());
    CHECK(sent<SourceReply>(one.lacks({{7}, {4}})).empty());
    one.take(ChunkLoaded{{2}, meta(8), 0, ten()});
    CHECK(sent<SourceReply>(one.lacks({{7}, {4}})).size() == 1);
    // Another one is not there any more: what there is is offered.
    CHECK(only<SourceReply>(one.request(meta(7), 0)).meta == meta(8));
    // For a third, behind the end, nothing at all.
    const LogPosition last = meta(8).last;
    CHECK(one.hear(2, SourceRequest{{5}, {3}, last, 800, 0, 10}).load_chunks.empty());
    CHECK(one.request(meta(8), 26).load_chunks.empty());
    CHECK(one.request(meta(8), 0, 0).load_chunks.empty());
    // Who follows a leader lends nothing.
    one.request(meta(8), 10);
    one.heartbeat();
    CHECK(one.request(meta(8), 0).load_chunks.empty());
    CHECK(one.take(ChunkLoaded{{2}, meta(8), 10, ten()}).send.empty());
}

TEST_CASE("one that was the leader until it lost its snapshot is lent one like everybody else") {
    One one = One::lender();
    one.hear(2, AppendRequest{{5}, one.core.log().base(), {}, 0, {}});
    REQUIRE(one.core.leader() == NodeId{2});
    one.now += milliseconds(2'000);
    REQUIRE(one.request(meta(8), 0).load_chunks.size() == 1);
    CHECK(one.core.errands().empty());
    const auto chunk = only<SourceChunk>(one.take(ChunkLoaded{{2}, meta(8), 0, ten()}));
    CHECK(chunk.leader == NodeId{});
}

// ---- the borrower ------------------------------------------------------------------------------

TEST_CASE("a snapshot comes piece by piece, and what was promised stays until it is there again") {
    One one = One::borrower();
    CHECK(One::asks(one.offer(meta(8))) == "of 8 at 0 from 2");
    const auto kept = [&](const Output& out) { return out.store_chunks.size(); };
    CHECK(kept(one.piece(meta(8), 10)) == 0);
    CHECK(kept(one.piece(meta(8), 0, 3)) == 0);
    CHECK(kept(one.piece(meta(7), 0)) == 0);
    CHECK(kept(one.piece(meta(8), 0, 2, text(""))) == 0);
    CHECK(kept(one.piece(meta(8), 0)) == 1);
    CHECK(kept(one.piece(meta(8), 0)) == 0);
    CHECK(One::asks(one.stored(meta(8))) == "of 8 at 10 from 2");
    one.piece(meta(8), 10);
    CHECK(One::asks(one.stored(meta(8))) == "of 8 at 20 from 2");
    one.piece(meta(8), 20, 2, text("01234"));
    const Output out = one.stored(meta(8), ChunkOutcome::installed);
    CHECK(out.send.empty());
    REQUIRE(out.restore);
    CHECK(out.restore->last == meta(8).last);
    CHECK(one.core.log().last() == meta(8).last);
    CHECK(one.core.log().commit() == Index{8});
    CHECK(one.core.log().promised() == LogPosition{{9}, {5}});
    CHECK_FALSE(one.core.log().is_whole());
}

TEST_CASE("what is lost on the way is asked for again when it is late, from whoever offers it") {
    One one = One::borrower();
    const Duration timeout = One::options().election_timeout;
    one.offer(meta(8));
    one.piece(meta(8), 0);
    CHECK(One::asks(one.offer(meta(8))) == "");  // the storage has not answered
    one.stored(meta(8));
    one.now += timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8))) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "of 8 at 10 from 3");
    // It is waited for twice as long each time.
    one.now += 2 * timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "of 8 at 10 from 3");
}

TEST_CASE("where pieces take long, they are not asked for again before that has passed twice") {
    One one = One::borrower();
    const Duration timeout = One::options().election_timeout;
    one.offer(meta(8));
    one.now += 3 * timeout;
    one.piece(meta(8), 0);
    one.stored(meta(8));
    one.now += 6 * timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8))) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8))) == "of 8 at 10 from 2");
}

TEST_CASE("what comes forward gives way to nothing; what stands to a higher one, later to any") {
    const Duration timeout = One::options().election_timeout;
    One one = One::borrower();
    one.offer(meta(7));
    one.now += timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "");
    one.piece(meta(7), 0);
    one.stored(meta(7));
    one.now += timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "");
    one.now += timeout;
    CHECK(One::asks(one.offer(meta(8), 3)) == "of 8 at 0 from 3");
    one.now += 16 * timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(7))) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(7))) == "of 7 at 0 from 2");
    // Who has brought nothing for so long is passed over for a while, and the next time for longer.
    one.now += 8 * timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "of 8 at 0 from 3");
    one.now += 16 * timeout;
    CHECK(One::asks(one.offer(meta(7))) == "of 7 at 0 from 2");
    one.now += 16 * timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8), 3)) == "of 8 at 0 from 3");
}

TEST_CASE("what a lender offers in the place of what it has no more is taken at once") {
    One one = One::borrower();
    one.offer(meta(8));
    CHECK(One::asks(one.offer(meta(7))) == "of 7 at 0 from 2");
}

TEST_CASE("what was received before a restart goes on at once, and does not give way at once") {
    Recovered found = recovered({{5}, {}, {1}}, entries(1, {1, 1}));
    found.promised = {{9}, {5}};
    found.partial = meta(8);
    found.partial_bytes = 20;
    One one(found);
    one.now = at(milliseconds(5'001));
    CHECK(One::asks(one.offer(meta(9), 3)) == "");
    CHECK(One::asks(one.offer(meta(7), 3)) == "");
    CHECK(One::asks(one.offer(meta(8))) == "of 8 at 20 from 2");
}

TEST_CASE("what brings nothing is not asked for, and nothing where a leader is heard") {
    CHECK(One::asks(One::borrower().offer(meta(1))) == "");
    CHECK(One::asks(One::borrower().offer({})) == "");
    CHECK(One::asks(One::borrower().hear(2, SourceReply{{5}, {3}, meta(8)})) == "");
    CHECK(One::asks(One(recovered({{5}, {}, {1}}, entries(1, {1, 1}))).offer(meta(8))) == "");
    One follows = One::borrower();
    follows.offer(meta(8));
    follows.heartbeat();
    CHECK(One::asks(follows.offer(meta(9))) == "");
    CHECK(follows.piece(meta(8), 0).store_chunks.empty());
}

TEST_CASE("a leader goes on with what was borrowed, and what it sends gives way to nobody's") {
    One one = One::borrower();
    one.offer(meta(8));
    one.piece(meta(8), 0);
    one.stored(meta(8));
    const auto reply = only<SnapshotReply>(one.hear(3, SnapshotChunk{{5}, meta(8), 0, ten()}));
    CHECK(reply.next_offset == 10);
    one.hear(3, SnapshotChunk{{5}, meta(8), 10, ten()});
    CHECK(only<SnapshotReply>(one.stored(meta(8))).next_offset == 20);
    one.now += One::options().election_timeout - Duration(1);
    CHECK(One::asks(one.offer(meta(9))) == "");
    CHECK(One::asks(one.offer(meta(8))) == "");
    one.now += Duration(1);
    CHECK(One::asks(one.offer(meta(8))) == "of 8 at 20 from 2");
}

TEST_CASE("one that is damaged is said to its lender, which is passed over; others are not") {
    One one = One::borrower();
    one.offer(meta(8, 10));
    one.piece(meta(8, 10), 0);
    const Output out = one.stored(meta(8, 10), ChunkOutcome::rejected);
    const auto reply = only<SnapshotReply>(out);
    CHECK(out.send.front().to == NodeId{2});
    CHECK(reply.rejected());
    CHECK(reply.last == meta(8).last);
    CHECK(count(out, EventKind::snapshot_rejected) == 1);
    CHECK(out.abandon_transfer);
    CHECK(One::asks(one.offer(meta(8, 10))) == "");
    CHECK(One::asks(one.offer(meta(8, 10), 3)) == "of 8 at 0 from 3");

    One lender = One::lender();
    SnapshotReply rejected;
    rejected.term = {5};
    rejected.last = meta(8).last;
    rejected.checksum = meta(8).checksum;
    rejected.outcome = TransferOutcome::rejected;
    CHECK(count(lender.hear(2, rejected), EventKind::snapshot_unreadable) == 1);
    rejected.last = meta(7).last;
    CHECK(count(lender.hear(2, rejected), EventKind::snapshot_unreadable) == 0);
}

TEST_CASE("a piece is the last one that is asked for where a leader has come, or all is there") {
    One one = One::borrower();
    one.offer(meta(8));
    one.piece(meta(8), 0);
    one.heartbeat();
    CHECK(One::asks(one.stored(meta(8))) == "");
    One other = One::borrower();
    other.offer(meta(8));
    other.piece(meta(8), 0);
    other.hear(3, LackingEntries{{5}, {{2}, {1}}, entries(3, {5, 5, 5, 5, 5, 5, 5})});
    other.core.step(other.now, Persisted{WriteId{1}});
    REQUIRE(other.core.log().is_whole());
    CHECK(One::asks(other.stored(meta(8))) == "");
}

// ---- all of them -------------------------------------------------------------------------------

TEST_CASE("what a snapshot stands for is not read for others before the log's storage has it") {
    Options options = One::options();
    options.retained_bytes = 1 << 20;
    One one = One::borrower(options);
    one.offer(meta(8, 10));
    one.piece(meta(8, 10), 0);
    // Another one brings the entries themselves, and the snapshot is durable before they are.
    const Output brought =
        one.hear(3, LackingEntries{{5}, {{2}, {1}}, entries(3, {4, 4, 4, 4, 4, 4})});
    REQUIRE(brought.write);
    one.stored(meta(8, 10), ChunkOutcome::installed);
    REQUIRE(one.core.log().durable() == Index{8});
    REQUIRE(one.core.log().base().index < Index{3});
    CHECK(one.lacks({{2}, {1}}).load_entries.empty());
    one.take(Persisted{brought.write->id});
    const Output reads = one.lacks({{2}, {1}});
    REQUIRE(reads.load_entries.size() == 1);
    CHECK(reads.load_entries[0].first == Index{3});
}

TEST_CASE("one whose snapshot is rotten does not keep another one from lending a good one") {
    Options options = One::options();
    Changing cluster(3, 0, options);
    cluster.expected_events = {EventKind::acknowledgement_lost, EventKind::snapshot_rejected,
                               EventKind::snapshot_unreadable};
    cluster.elect(1);
    for (const std::uint64_t id : {2U, 3U}) {
        for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
        cluster.run(milliseconds(1000));
        REQUIRE(cluster.take_snapshot(id, 2000));
        cluster.run(milliseconds(1000));
    }
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(1000));
    const Index last = cluster.core(1).log().last_index();
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.crash(id);
    cluster.node(1).durable.lose({2}, {3});
    cluster.node(2).durable.lose(last, last);
    cluster.node(3).durable.lose(last, last);
    for (Snapshot& kept : cluster.node(3).snapshots) {
        kept.content = text(std::string(kept.content.text().size(), 'x'));
    }
    bool first = true;  // the rotten one is offered first
    cluster.lost = [&first](const Message& message) {
        const bool offers = std::holds_alternative<SourceReply>(message.body);
        if (offers && message.from == NodeId{3}) first = false;
        return offers && message.from == NodeId{2} && first;
    };
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.restart(id);
    const Time begun = cluster.now;
    CHECK(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(60'000)));
    CHECK(cluster.now - begun < 20 * options.election_timeout);
    CHECK(cluster.core(cluster.leader()).log().last_index() >= last);
    CHECK(cluster.seen(EventKind::snapshot_rejected) <= 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a majority that lacks what only snapshots have heals, although messages are lost") {
    Options options = One::options();
    Changing cluster(3, 0, options);
    cluster.expected_events = {EventKind::acknowledgement_lost};
    cluster.elect(1);
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(1000));
    for (const std::uint64_t id : {2U, 3U}) REQUIRE(cluster.take_snapshot(id, 200));
    cluster.run(milliseconds(1000));
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(1000));
    const Index last = cluster.core(1).log().last_index();
    const std::uint64_t value = cluster.node(1).machine.value;
    REQUIRE(cluster.core(2).log().base().index >= Index{10});
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.crash(id);
    cluster.node(1).durable.lose({3}, {4});
    cluster.node(2).durable.lose({15}, {16});
    cluster.node(3).durable.lose({18}, {18});
    std::uint64_t messages = 0;
    cluster.lost = [&messages](const Message&) { return ++messages % 5 == 0; };
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.restart(id);
    CHECK(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(120'000)));
    cluster.lost = nullptr;
    cluster.run(milliseconds(3000));
    for (const std::uint64_t id : {1U, 2U, 3U}) CHECK(cluster.core(id).log().is_whole());
    CHECK(cluster.history.size() >= last.value);
    CHECK(cluster.values[last.value - 1] == value);
    CHECK(cluster.failure == "");
}

}  // namespace snapshot_lending_test
