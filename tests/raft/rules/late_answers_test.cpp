// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Answers that come when what they answer is over: pre-votes for a candidacy that has ended, and
// what was said to an earlier reign of a node that leads again.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace late_answers_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 of 3, whose writes are durable at once.
struct Node {
    Node(const Options& options, const Recovered& found)
        : core(options, NodeId{1}, voters(3), found, 1, Time{}) {}

    Output take(Input input) {
        Output output = core.step(now, std::move(input));
        if (output.write) core.step(now, Persisted{output.write->id});
        return output;
    }
    /// What node 2 or 3 says.
    template <class Body>
    Output hear(std::uint64_t from, Body body) {
        return take(message(from, 1, std::move(body)));
    }
    Output time_out() {
        now = core.deadline();
        return take(Tick{});
    }
    Core core;
    Time now{};
};

AppendRequest heartbeat(std::uint64_t term) { return {Term{term}, {}, {}, 0, {}}; }
/// That a real vote is granted, or refused, by a voter that has entered the term itself.
VoteReply vote(std::uint64_t term, bool granted = true) {
    return {Term{term}, Term{term}, false, granted};
}
/// A pre-vote for the term after the voter's own.
VoteReply pre_vote(std::uint64_t election) {
    return {Term{election - 1}, Term{election}, true, true};
}

/// Node 1 is in term 4 and has asked for pre-votes for term 5, which one grant of two decides.
Node pre_candidate() {
    Node node({}, recovered({Term{4}, {}, {}}, entries(1, {4})));
    const Output asked = node.time_out();
    REQUIRE(node.core.role() == Role::pre_candidate);
    REQUIRE(sent<VoteRequest>(asked).size() == 2);
    return node;
}
/// The grant of node 3 for term 5 comes now.
void nothing_comes_of_the_grant(Node& node) {
    const Core before = node.core;
    const Output output = node.hear(3, pre_vote(5));
    CHECK(output.events.empty());
    CHECK(sent<VoteRequest>(output).empty());
    CHECK(node.core == before);
}

Options plain() {
    Options options = small_chunks();
    options.pre_vote = false;
    return options;
}
void win(Node& node, std::uint64_t term) {
    node.time_out();
    node.hear(2, vote(term));
    REQUIRE(node.core.role() == Role::leader);
    REQUIRE(node.core.term() == Term{term});
}
/// Node 1 has led in term 5, where it appended the entries 3 and 4; in term 6 node 2 replaced them
/// by another 3; and now node 1 leads in term 7, with an entry 4 of this term.
Node leading_again() {
    Node node(plain(), recovered({Term{4}, {}, {}}, entries(1, {4, 4})));
    win(node, 5);
    node.take(Propose{1, text("third")});
    node.take(Propose{2, text("fourth")});
    node.hear(2, AppendRequest{Term{6}, position(2, 4), Index{2}, 0, entries(3, {6})});
    win(node, 7);
    node.take(Propose{3, text("fourth of another kind")});
    REQUIRE(terms_of(node.core) == std::vector<std::uint64_t>{4, 4, 6, 7});
    REQUIRE(node.core.log().commit() == Index{2});
    return node;
}
/// Node 1 leads in term 7 as it did in term 5, and both times node 3 needs the snapshot.
Node sending_again() {
    const SnapshotMeta meta{position(8, 4), voters(3), 30, 77};
    Node node(plain(), Disk{{Term{4}, {}, {}}, meta.last, {}}.recover(meta));
    for (const std::uint64_t term : {5U, 7U}) {
        win(node, term);
        const AppendReply lacks_all{Term{term}, false, Index{8}, {}, 0};
        REQUIRE(node.hear(3, lacks_all).load_chunks.size() == 1);
        node.take(ChunkLoaded{NodeId{3}, meta, 0, text("0123456789")});
        if (term == 5) node.hear(2, heartbeat(6));
    }
    return node;
}
/// The answer is nothing to a leader of term 7 if it was given in term 5; if it is of term 7 it
/// does something.
template <class Reply>
void only_the_present_term_counts(Node& node, Reply reply) {
    const Core before = node.core;
    reply.term = Term{5};
    const Output late = node.hear(3, reply);
    CHECK(node.core == before);
    CHECK(late.events.empty());
    CHECK(late.reads.empty());
    CHECK(late.send.empty());
    CHECK(late.load_chunks.empty());
    reply.term = Term{7};
    const Output timely = node.hear(3, reply);
    CHECK((node.core != before || !timely.events.empty()));
}

}  // namespace

TEST_CASE("a pre-vote that is granted in time makes a candidate (thesis, 9.6)") {
    Node node = pre_candidate();
    CHECK(sent<VoteRequest>(node.hear(3, pre_vote(5))).size() == 2);
    CHECK(node.core.role() == Role::candidate);
    CHECK(node.core.term() == Term{5});
}

TEST_CASE("a pre-vote that is granted late deposes no leader, however the candidacy ended (9.6)") {
    Node node = pre_candidate();
    SUBCASE("the leader of the term was heard") {
        node.hear(2, heartbeat(4));
        CHECK(node.core.leader() == NodeId{2});
    }
    SUBCASE("the leader of the term to be elected in was heard") {
        node.hear(2, heartbeat(5));
        CHECK(node.core.leader() == NodeId{2});
    }
    SUBCASE("a refusal told of a later term") {
        node.hear(2, VoteReply{Term{9}, Term{5}, true, false});
        CHECK(node.core.term() == Term{9});
    }
    SUBCASE("another candidate of the term got the vote") {
        node.now += Options{}.election_timeout;
        node.hear(2, VoteRequest{Term{4}, false, position(1, 4)});
        CHECK(node.core.voted_for() == NodeId{2});
    }
    SUBCASE("another candidate of a later term got the vote") {
        node.hear(2, VoteRequest{Term{5}, false, position(1, 4)});
        CHECK(node.core.voted_for() == NodeId{2});
    }
    CHECK(node.core.role() == Role::follower);
    nothing_comes_of_the_grant(node);
}

TEST_CASE("a pre-vote that is granted when the pre-votes are won is no vote (9.6)") {
    Node node = pre_candidate();
    node.hear(2, pre_vote(5));
    REQUIRE(node.core.role() == Role::candidate);
    SUBCASE("while the votes are counted") {}
    SUBCASE("when the election is won") {
        node.hear(2, vote(5));
        CHECK(node.core.role() == Role::leader);
    }
    SUBCASE("when it was lost, and the next one is asked about") {
        node.hear(2, vote(5, false));
        node.time_out();
        CHECK(node.core.role() == Role::pre_candidate);
    }
    nothing_comes_of_the_grant(node);
}

TEST_CASE("a vote for an earlier candidacy of the node is none for its next one (5.2)") {
    Node node(plain(), recovered({Term{4}, {}, {}}));
    win(node, 5);
    node.hear(2, heartbeat(6));
    node.time_out();
    REQUIRE(node.core.role() == Role::candidate);
    const Core before = node.core;
    node.hear(3, vote(5));
    node.hear(3, VoteReply{Term{7}, Term{5}, false, true});
    CHECK(node.core == before);
    node.hear(3, vote(7));
    CHECK(node.core.role() == Role::leader);
}

TEST_CASE("what a follower acknowledged to an earlier reign commits nothing in the next (5.3)") {
    Node node = leading_again();
    only_the_present_term_counts(node, AppendReply{{}, true, Index{4}, {}, 0});
    CHECK(node.core.log().commit() == Index{4});
}

TEST_CASE("what a follower refused to an earlier reign does not set the next one back (5.3)") {
    Node node = leading_again();
    only_the_present_term_counts(node, AppendReply{{}, false, Index{3}, position(1, 4), 0});
}

TEST_CASE("the echo of an earlier reign's round confirms none of the same number (6.4)") {
    Node node = leading_again();
    node.hear(2, AppendReply{Term{7}, true, Index{4}, {}, 0});
    node.take(Applied{Index{4}});
    const Output asked = node.take(ReadIndex{11});
    REQUIRE(sent<AppendRequest>(asked).front().round == 1);
    const AppendReply echo{Term{5}, true, Index{2}, {}, 1};
    CHECK(node.hear(2, echo).reads.empty());
    only_the_present_term_counts(node, echo);
    CHECK(node.core.waiting_reads() == 0);
}

TEST_CASE("an answer to an earlier reign's snapshot does not move the next one's (7)") {
    Node node = sending_again();
    const LogPosition last = node.core.snapshot().last;
    SnapshotReply reply{{}, last, 77, 0, TransferOutcome::none, {}};
    SUBCASE("a piece was kept") { reply.next_offset = 10; }
    SUBCASE("it was installed") {
        reply.outcome = TransferOutcome::installed;
        reply.match = last.index;
    }
    SUBCASE("it was rejected") { reply.outcome = TransferOutcome::rejected; }
    only_the_present_term_counts(node, reply);
}

}  // namespace late_answers_test
