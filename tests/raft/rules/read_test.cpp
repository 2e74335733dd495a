// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Linearizable reads without log entries: Raft paper, section 8; thesis, section 6.4.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace read_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 leads three and has committed and applied its barrier.
CoreCluster serving(Options options = {}) {
    CoreCluster cluster(3, options);
    cluster.elect(1);
    cluster.run(milliseconds(20));
    REQUIRE(cluster.core(1).role() == Role::leader);
    return cluster;
}
bool released(const CoreCluster& cluster, Token token) {
    const auto outcome = cluster.outcome_of(token);
    return outcome && outcome->refusal == Refusal::none;
}
Refusal refusal(const CoreCluster& cluster, Token token) {
    const auto outcome = cluster.outcome_of(token);
    REQUIRE(outcome);
    return outcome->refusal;
}
/// The round that the latest append requests in the bag announce.
std::uint64_t announced(const CoreCluster& cluster) {
    std::uint64_t round = 0;
    for (const Message& message : cluster.bag) {
        if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
            round = std::max(round, request->round);
        }
    }
    return round;
}
Input echo(const CoreCluster& cluster, Term term, std::uint64_t from, std::uint64_t round) {
    AppendReply reply;
    reply.term = term;
    reply.accepted = true;
    reply.round = round;
    CHECK(cluster.failure == "");
    return message(from, 1, reply);
}

}  // namespace

TEST_CASE("a read is released by the echo of a quorum, without a log entry or a write (6.4)") {
    CoreCluster cluster = serving();
    const Index last = cluster.core(1).log().last_index();
    const Token token = cluster.read(1);
    CHECK(cluster.bag.size() == 2);  // asked at once, not with the next heartbeat
    CHECK(!cluster.outcome_of(token));
    cluster.deliver(0);
    CHECK(!cluster.outcome_of(token));
    cluster.settle();
    CHECK(released(cluster, token));
    CHECK(cluster.outcome_of(token)->index == last);
    CHECK(cluster.core(1).log().last_index() == last);
    CHECK(cluster.node(1).writes.empty());
}

TEST_CASE("a single node answers its reads at once") {
    CoreCluster cluster(1, Options{});
    cluster.elect(1);
    cluster.settle();
    CHECK(released(cluster, cluster.read(1)));
}

TEST_CASE("a read sees everything that was committed when it was asked for") {
    CoreCluster cluster = serving();
    cluster.propose(1, "a");
    cluster.settle();
    const Token token = cluster.read(1);
    cluster.settle();
    CHECK(cluster.outcome_of(token)->index == Index{2});
    CHECK(cluster.failure == "");
}

TEST_CASE("reads that come together share one round") {
    CoreCluster cluster = serving();
    std::vector<Input> inputs;
    for (Token token = 1001; token <= 1100; ++token) inputs.push_back(ReadIndex{token});
    const Output output = cluster.step(1, std::move(inputs));
    CHECK(output.send.size() == 2);
    cluster.settle();
    for (Token token = 1001; token <= 1100; ++token) CHECK(released(cluster, token));
}

TEST_CASE("a read that comes with operations does not wait for the followers' disks") {
    CoreCluster cluster = serving();
    cluster.node(2).disk_stalled = cluster.node(3).disk_stalled = true;
    cluster.step(1, std::vector<Input>{Propose{1000, text("x")}, ReadIndex{1001}});
    CHECK(announced(cluster) == 1);
    cluster.settle();
    CHECK(released(cluster, 1001));
}

TEST_CASE("an echo of an earlier round confirms nothing later") {
    CoreCluster cluster = serving();
    const Term term = cluster.core(1).term();
    const Token first = cluster.read(1);
    const std::uint64_t round = announced(cluster);
    const Token second = cluster.read(1);
    REQUIRE(announced(cluster) == round + 1);
    cluster.bag.clear();
    cluster.step(1, echo(cluster, term, 2, round - 1));
    CHECK(!cluster.outcome_of(first));
    cluster.step(1, echo(cluster, term, 2, round));
    CHECK(released(cluster, first));
    CHECK(!cluster.outcome_of(second));
    cluster.step(1, echo(cluster, term, 2, round));
    cluster.step(1, echo(cluster, term, 3, round));
    CHECK(!cluster.outcome_of(second));
    cluster.step(1, echo(cluster, term, 3, round + 1));
    CHECK(released(cluster, second));
}

TEST_CASE("the echo of a later round confirms the earlier ones too") {
    CoreCluster cluster = serving();
    const Token first = cluster.read(1);
    const Token second = cluster.read(1);
    const Term term = cluster.core(1).term();
    const std::uint64_t round = announced(cluster);
    cluster.bag.clear();
    cluster.step(1, echo(cluster, term, 2, round));
    CHECK(released(cluster, first));
    CHECK(released(cluster, second));
}

TEST_CASE("an echo from another term confirms nothing") {
    CoreCluster cluster = serving();
    const Token token = cluster.read(1);
    const std::uint64_t round = announced(cluster);
    const Term earlier{cluster.core(1).term().value - 1};
    cluster.step(1, echo(cluster, earlier, 2, round));
    CHECK(!cluster.outcome_of(token));
}

TEST_CASE("a quorum's echo is needed, not any follower's, of five") {
    CoreCluster cluster(5, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(20));
    const Token token = cluster.read(1);
    const std::uint64_t round = announced(cluster);
    const Term term = cluster.core(1).term();
    cluster.step(1, echo(cluster, term, 2, round));
    cluster.step(1, echo(cluster, term, 2, round));
    CHECK(!cluster.outcome_of(token));
    cluster.step(1, echo(cluster, term, 3, round));
    CHECK(released(cluster, token));
}

TEST_CASE("a follower that refuses for lack of entries echoes all the same") {
    CoreCluster cluster = serving();
    const Token token = cluster.read(1);
    AppendReply reply;
    reply.term = cluster.core(1).term();
    reply.round = announced(cluster);
    reply.index = cluster.core(1).log().last_index();
    cluster.bag.clear();
    cluster.step(1, message(2, 1, reply));
    CHECK(released(cluster, token));
}

TEST_CASE("a read waits until an entry of the leader's term is committed (6.4)") {
    Options options;
    CoreCluster cluster(3, options);
    cluster.lost = [](const Message& m) {
        return m.to.value == 1 && std::holds_alternative<AppendReply>(m.body);
    };
    cluster.elect(1);
    REQUIRE(cluster.core(1).log().commit() == Index{0});
    const Token token = cluster.read(1);
    // Echoes without the barrier's acknowledgement.
    const Term term = cluster.core(1).term();
    cluster.step(1, echo(cluster, term, 2, 0));
    cluster.step(1, echo(cluster, term, 3, 0));
    CHECK(!cluster.outcome_of(token));
    cluster.lost = nullptr;
    cluster.run(milliseconds(201));
    CHECK(released(cluster, token));
    CHECK(cluster.outcome_of(token)->index == Index{1});
}

TEST_CASE("where the barrier is off, the first read appends it, and only if one is needed") {
    Options options;
    options.barrier_on_election = false;
    CoreCluster cluster(3, options);
    cluster.elect(1);
    cluster.run(milliseconds(20));
    REQUIRE(cluster.core(1).log().last_index() == Index{0});
    const Token first = cluster.read(1);
    const Token second = cluster.read(1);
    CHECK(cluster.core(1).log().last_index() == Index{1});
    cluster.settle();
    CHECK(released(cluster, first));
    CHECK(released(cluster, second));
    CHECK(cluster.history.at(0).kind == EntryKind::barrier);
    cluster.read(1);
    CHECK(cluster.core(1).log().last_index() == Index{1});
    CHECK(cluster.propose(1, "a").position.index == Index{2});
}

TEST_CASE("an operation of the term makes the barrier superfluous") {
    Options options;
    options.barrier_on_election = false;
    CoreCluster cluster(3, options);
    cluster.elect(1);
    cluster.propose(1, "a");
    const Token token = cluster.read(1);
    cluster.settle();
    CHECK(released(cluster, token));
    CHECK(cluster.core(1).log().last_index() == Index{1});
}

TEST_CASE("a confirmed read waits until its index has been applied") {
    CoreCluster cluster = serving();
    cluster.node(1).machine_stalled = true;
    cluster.propose(1, "a");
    cluster.settle();
    REQUIRE(cluster.core(1).log().commit() == Index{2});
    const Token token = cluster.read(1);
    cluster.settle();
    CHECK(!cluster.outcome_of(token));
    cluster.node(1).machine_stalled = false;
    cluster.settle();
    CHECK(released(cluster, token));
}

TEST_CASE("a leader in a minority never releases a read, though it is not deposed (8)") {
    Options options;
    options.check_quorum = false;
    CoreCluster cluster = serving(options);
    cluster.lost = [](const Message& m) { return m.from.value == 1 || m.to.value == 1; };
    cluster.run(milliseconds(3000));
    std::uint64_t other = cluster.core(2).role() == Role::leader ? 2 : 3;
    REQUIRE(cluster.core(other).role() == Role::leader);
    cluster.propose(other, "newer");
    cluster.settle();
    REQUIRE(cluster.core(1).role() == Role::leader);
    const Token token = cluster.read(1);
    cluster.run(milliseconds(3000));
    CHECK(!cluster.outcome_of(token));
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(refusal(cluster, token) == Refusal::not_leader);
    CHECK(cluster.failure == "");
}

TEST_CASE("reads that wait are refused when the leader steps down") {
    CoreCluster cluster = serving();
    cluster.lost = [](const Message& m) { return m.from.value == 1; };
    const Token announced_read = cluster.read(1);
    cluster.run(milliseconds(2000));
    REQUIRE(cluster.core(1).role() != Role::leader);
    CHECK(refusal(cluster, announced_read) == Refusal::not_leader);
    CHECK(std::ranges::count(cluster.reads, announced_read, &ReadOutcome::token) == 1);
}

TEST_CASE("a read that is confirmed already survives the leader's fall") {
    CoreCluster cluster = serving();
    cluster.node(1).machine_stalled = true;
    cluster.propose(1, "a");
    cluster.settle();
    const Token token = cluster.read(1);
    cluster.settle();
    AppendReply reply;
    reply.term = Term{99};
    cluster.step(1, message(2, 1, reply));
    REQUIRE(cluster.core(1).role() == Role::follower);
    CHECK(!cluster.outcome_of(token));
    cluster.node(1).machine_stalled = false;
    cluster.settle();
    CHECK(released(cluster, token));
    CHECK(cluster.failure == "");
}

TEST_CASE("a read elsewhere than at the leader is refused") {
    CoreCluster cluster = serving();
    CHECK(refusal(cluster, cluster.read(2)) == Refusal::not_leader);
}

TEST_CASE("reads that wait are bounded: overload, until some are released") {
    Options options;
    options.max_waiting_reads = 3;
    CoreCluster cluster = serving(options);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) CHECK(!cluster.outcome_of(cluster.read(1)));
        CHECK(refusal(cluster, cluster.read(1)) == Refusal::overloaded);
        cluster.settle();
    }
    cluster.read(1);
    AppendReply reply;
    reply.term = Term{99};
    cluster.step(1, message(2, 1, reply));
    cluster.bag.clear();
    cluster.elect(1);
    cluster.run(milliseconds(200));
    REQUIRE(cluster.core(1).role() == Role::leader);
    for (int i = 0; i < 3; ++i) CHECK(!cluster.outcome_of(cluster.read(1)));
}

TEST_CASE("a lost round is announced again by the heartbeats") {
    CoreCluster cluster = serving();
    cluster.lost = [](const Message& m) { return m.from.value == 1; };
    const Token token = cluster.read(1);
    cluster.settle();
    cluster.lost = nullptr;
    CHECK(!cluster.outcome_of(token));
    cluster.run(milliseconds(101));
    CHECK(released(cluster, token));
}

}  // namespace read_test
