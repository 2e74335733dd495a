// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Members come, go, are replaced and move while the cluster works (Raft paper, section 6; thesis,
// chapter 4).
#include "membership_support.hpp"
#include "support/text.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace membership_test {

using namespace membership_support;

TEST_CASE("one node grows to three and to five, and shrinks to three others") {
    Changing cluster(1, 5);
    std::uint64_t leader = cluster.elected();
    cluster.propose(leader, "a");
    CHECK(cluster.change(leader, of({1, 2, 3})) == ChangeResult::done);
    CHECK(cluster.change(leader, of({1, 2, 3, 4, 5})) == ChangeResult::done);
    CHECK(cluster.serves(leader));
    CHECK(cluster.agreed({1, 2, 3, 4, 5}, of({1, 2, 3, 4, 5})));
    CHECK(cluster.change(leader, of({4, 5, 6})) == ChangeResult::done);
    cluster.run(milliseconds(2000));
    leader = cluster.leader();
    CHECK(leader >= 4);
    CHECK(cluster.serves(leader));
    CHECK(cluster.agreed({4, 5, 6}, of({4, 5, 6})));
    for (const std::uint64_t gone : {1U, 2U, 3U}) {
        CHECK(cluster.core(gone).role() == Role::follower);
        CHECK(cluster.core(gone).term() <= cluster.core(leader).term());
    }
    CHECK(cluster.seen(EventKind::removed) == 3);
    CHECK(cluster.failure == "");
}

TEST_CASE("a node is added while one voter is down") {
    Changing cluster(3, 1);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t down = leader == 3 ? 2 : 3;
    cluster.crash(down);
    CHECK(cluster.change(leader, of({1, 2, 3, 4})) == ChangeResult::done);
    CHECK(cluster.serves(leader));
    cluster.restart(down);
    cluster.run(milliseconds(2000));
    CHECK(cluster.agreed({1, 2, 3, 4}, of({1, 2, 3, 4})));
    CHECK(cluster.failure == "");
}

TEST_CASE("a newcomer catches up by a snapshot, whose membership is that of its index") {
    Changing cluster(3, 1);
    const std::uint64_t leader = cluster.elected();
    for (int i = 0; i < 20; ++i) cluster.propose(leader, "something");
    cluster.run(milliseconds(500));
    for (const std::uint64_t id : {1U, 2U, 3U}) REQUIRE(cluster.take_snapshot(id));
    cluster.run(milliseconds(500));
    REQUIRE(cluster.core(leader).log().base().index.value > 10);
    CHECK(cluster.change(leader, of({1, 2, 3}, {4})) == ChangeResult::done);
    cluster.run(milliseconds(1000));
    CHECK(cluster.seen(EventKind::snapshot_installed) == 1);
    CHECK(cluster.node(4).newest().membership == of({1, 2, 3}));
    CHECK(cluster.agreed({1, 2, 3, 4}, of({1, 2, 3}, {4})));
    // A snapshot of what precedes a change that is in the log already is without that change.
    cluster.crash(4);
    cluster.restart(4);
    CHECK(cluster.core(4).membership() == of({1, 2, 3}, {4}));
    CHECK(cluster.failure == "");
}

TEST_CASE("a membership is in force from its append and falls back with its entry") {
    Configuration configuration(of({1, 2, 3}), {});
    configuration.append({5}, of({1, 2, 3, 4}));
    configuration.append({9}, of({1, 2}));
    CHECK(configuration.latest() == of({1, 2}));
    CHECK(configuration.at({4}) == of({1, 2, 3}));
    CHECK(configuration.at({5}) == of({1, 2, 3, 4}));
    CHECK(configuration.at({8}) == of({1, 2, 3, 4}));
    CHECK(configuration.at({9}) == of({1, 2}));
    configuration.truncate_from({9});
    CHECK(configuration.latest() == of({1, 2, 3, 4}));
    configuration.truncate_from({6});
    CHECK(configuration.latest() == of({1, 2, 3, 4}));
    configuration.covered_by_snapshot({7}, of({1, 2, 3, 4}));
    CHECK(configuration.at({7}) == of({1, 2, 3, 4}));
    configuration.truncate_from({1});
    CHECK(configuration.latest() == of({1, 2, 3, 4}));
    configuration.restart({20}, of({6}));
    CHECK(configuration.latest() == of({6}));
}

TEST_CASE("a removed leader leads until the change is committed, then gives way at once") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    Membership rest = of({1, 2, 3});
    rest.remove({leader});
    CHECK(cluster.change(leader, rest) == ChangeResult::done);
    CHECK(cluster.core(leader).role() == Role::follower);
    cluster.run(milliseconds(200));  // much less than an election timeout
    const std::uint64_t next = cluster.leader();
    REQUIRE(next != 0);
    CHECK(next != leader);
    CHECK(cluster.serves(next));
    const Term term = cluster.core(next).term();
    cluster.run(milliseconds(5000));
    CHECK(cluster.core(next).term() == term);  // nobody disturbs
    CHECK(cluster.seen(EventKind::removed) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a removed leader finds nothing more to change, which would keep it leading") {
    Instances cluster(3);
    cluster.elect(2);
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.change(2, of({2, 3})) == ChangeResult::done);
    cluster.crash(1);
    const auto is_left = [&] {
        const Membership& latest = cluster.core(2).membership();
        return !latest.joint() && !latest.contains({2});
    };
    // It hears of the learner, whose instance is still to be noted, before it can leave.
    cluster.lost = [&](const Message& message) {
        return message.from.value == 3 && message.to.value == 2 && is_left();
    };
    const Token token = cluster.ask(2, of({3}, {1}));
    REQUIRE(cluster.run_until(is_left, milliseconds(2000)));
    const Index last = cluster.core(2).log().last_index();
    cluster.restart(1);
    cluster.run(milliseconds(100));
    cluster.lost = nullptr;
    REQUIRE(
        cluster.run_until([&] { return cluster.result(token).has_value(); }, milliseconds(1000)));
    CHECK(cluster.result(token) == ChangeResult::done);
    CHECK(cluster.core(2).role() == Role::follower);
    CHECK(cluster.core(2).log().last_index() == last);
    CHECK(cluster.run_until([&] { return cluster.known(3, 1) == Instance{101}; },
                            milliseconds(5000)));
    CHECK(cluster.failure == "");
}

TEST_CASE("a removed leader takes on no change, which would keep it leading") {
    Changing cluster(4);
    cluster.elect(2);
    cluster.run(milliseconds(300));
    // It finds a change joint, finishes it, and is asked for another before that is committed.
    cluster.ask_and_hold(2, of({2, 3, 4}));
    cluster.crash(2);
    cluster.lost = nullptr;
    cluster.elect(1);
    REQUIRE(cluster.core(1).membership().joint());
    const auto is_left = [&] { return !cluster.core(1).membership().contains({1}); };
    cluster.lost = [&](const Message& message) { return message.to.value == 1 && is_left(); };
    REQUIRE(cluster.run_until(is_left, milliseconds(2000)));
    const Token token = cluster.ask(1, of({1, 2, 3, 4}));
    CHECK(cluster.result(token) == ChangeResult::busy);
    cluster.lost = nullptr;
    CHECK(cluster.run_until([&] { return cluster.core(1).role() == Role::follower; },
                            milliseconds(1000)));
    CHECK_FALSE(cluster.core(1).membership().contains({1}));
    CHECK(cluster.seen(EventKind::removed) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a node that was removed while it was away is told when it asks for votes") {
    for (const unsigned which : {0U, 1U, 2U, 3U}) {
        Options options = ordinary();
        options.pre_vote = (which & 1U) != 0;
        options.check_quorum = (which & 2U) != 0;
        CAPTURE(which);
        Changing cluster(4, 0, options);
        const std::uint64_t leader = cluster.elected();
        const std::uint64_t gone = leader == 4 ? 1 : 4;
        cluster.crash(gone);
        Membership rest = of({1, 2, 3, 4});
        rest.remove({gone});
        CHECK(cluster.change(leader, rest) == ChangeResult::done);
        cluster.run(milliseconds(10000));
        cluster.restart(gone);
        cluster.run(milliseconds(3000));
        CHECK(cluster.seen(EventKind::removed) == 1);
        const Term term = cluster.core(cluster.leader()).term();
        cluster.run(milliseconds(5000));
        CHECK(cluster.core(cluster.leader()).term() == term);
        // Loyal ones tell a real candidate, and do not follow it into its term.
        if (which != 2) CHECK(cluster.core(gone).term() <= term);
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("a learner that was removed while it was away is told when it asks") {
    Changing cluster(3, 1);
    const std::uint64_t leader = cluster.elected();
    REQUIRE(cluster.change(leader, of({1, 2, 3}, {4})) == ChangeResult::done);
    cluster.run(milliseconds(300));
    cluster.crash(4);
    REQUIRE(cluster.change(leader, of({1, 2, 3})) == ChangeResult::done);
    cluster.run(milliseconds(10000));
    cluster.restart(4);
    cluster.run(milliseconds(1500));
    CHECK(cluster.core(4).configuration().is_excluded());
    CHECK(cluster.core(4).role() == Role::follower);
    CHECK(cluster.seen(EventKind::removed) == 1);
}

TEST_CASE("the leader of a new term finishes a joint change that it finds") {
    for (const bool barrier : {true, false}) {
        Options options = ordinary();
        options.barrier_on_election = barrier;
        Changing cluster(3, 2, options);
        const std::uint64_t leader = cluster.elected();
        cluster.propose(leader, "own");
        const Token token = cluster.ask_and_hold(leader, of({1, 4, 5}));
        REQUIRE(cluster.core(leader).membership().joint());
        cluster.crash(leader);
        cluster.lost = nullptr;
        cluster.run(milliseconds(5000));
        const std::uint64_t next = cluster.leader();
        REQUIRE(next != 0);
        CHECK_FALSE(cluster.result(token));
        cluster.propose(next, "own");
        cluster.run(milliseconds(1000));
        CHECK(cluster.core(next).membership() == of({1, 4, 5}));
        CHECK(cluster.serves(next));
        cluster.restart(leader);
        cluster.run(milliseconds(3000));
        CHECK(cluster.agreed({1, 4, 5}, of({1, 4, 5})));
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("joint: neither the old nor the new voters decide alone") {
    for (const bool old_ones : {true, false}) {
        Changing cluster(3, 2);
        const std::uint64_t leader = cluster.elected();
        cluster.ask_and_hold(leader, of({leader, 4, 5}));
        const Index joint = cluster.core(leader).configuration().latest_at();
        REQUIRE(cluster.core(leader).log().commit() < joint);
        cluster.lost = [&](const Message& message) {
            const auto heard = [&](NodeId node) {
                return node.value == leader || (node.value <= 3) == old_ones;
            };
            return !heard(message.from) || !heard(message.to);
        };
        cluster.run(milliseconds(400));
        CHECK(cluster.core(leader).log().commit() < joint);
        cluster.lost = nullptr;
        cluster.run(milliseconds(3000));
        CHECK(cluster.core(cluster.leader()).log().commit() > joint);
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("no change before an entry of the leader's own term is committed") {
    Options options = ordinary();
    options.barrier_on_election = false;
    Changing cluster(3, 1, options);
    const std::uint64_t leader = cluster.elected();
    cluster.lost = [](const Message& message) {
        return std::holds_alternative<AppendReply>(message.body);
    };
    const Token token = cluster.ask(leader, of({1, 2, 3}, {4}));
    cluster.run(milliseconds(300));
    CHECK(cluster.core(leader).log().last_index() == Index{1});
    CHECK(cluster.core(leader).configuration().latest_at() == Index{});
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(cluster.result(token) == ChangeResult::done);
    CHECK(cluster.failure == "");
}

TEST_CASE("what cannot be is refused") {
    Changing cluster(3, 1);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t other = leader == 1 ? 2 : 1;
    CHECK(cluster.change(other, of({1, 2})) == ChangeResult::not_leader);
    CHECK(cluster.change(leader, of({})) == ChangeResult::invalid);
    CHECK(cluster.change(leader, of({}, {1, 2, 3})) == ChangeResult::invalid);
    CHECK(cluster.change(leader, of({0, 1})) == ChangeResult::invalid);
    Membership joint = of({1, 2, 3});
    joint.find({1})->standing = Standing::outgoing;
    CHECK(cluster.change(leader, joint) == ChangeResult::invalid);
    CHECK(cluster.change(leader, of({1, 2, 3})) == ChangeResult::done);
    CHECK(cluster.core(leader).configuration().latest_at() == Index{});

    // 4 does not answer.
    cluster.crash(4);
    const Token token = cluster.ask(leader, of({1, 2, 3, 4}));
    CHECK(cluster.change(leader, of({1, 2})) == ChangeResult::busy);
    cluster.run(milliseconds(15000));
    CHECK_FALSE(cluster.result(token));
    CHECK_FALSE(cluster.core(leader).membership().joint());
    CHECK(cluster.serves(leader));
    cluster.run(milliseconds(10000));
    CHECK(cluster.result(token) == ChangeResult::too_slow);
    CHECK(cluster.core(leader).membership() == of({1, 2, 3}));
    CHECK(cluster.failure == "");
}

TEST_CASE("a change on whose way there would be too many members is refused") {
    Changing cluster(33, 32);
    cluster.elect(1);
    cluster.run(milliseconds(500));
    Membership target;
    for (std::uint64_t id = 34; id <= 65; ++id) target.put({{id}, Standing::voter, {}, {}});
    CHECK(cluster.change(1, target) == ChangeResult::invalid);
    CHECK(cluster.serves(1));
    CHECK(cluster.failure == "");
}

TEST_CASE("a change that those who are heard from cannot decide is refused unless it is forced") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t down = leader == 3 ? 2 : 3;
    cluster.crash(down);
    cluster.run(milliseconds(1000));
    CHECK(cluster.change(leader, of({leader, down})) == ChangeResult::unreachable);
    const Token token = cluster.ask(leader, of({leader, down}), true);
    cluster.run(milliseconds(2000));
    // It is joint, and waits for the one that is down: without it, no leader has a quorum.
    CHECK(cluster.result(token) == ChangeResult::interrupted);
    CHECK(cluster.leader() == 0);
    cluster.restart(down);
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(cluster.leader()).membership() == of({leader, down}));
    CHECK(cluster.failure == "");
}

TEST_CASE("a change is cancelled until it is joint") {
    Changing cluster(3, 1);
    const std::uint64_t leader = cluster.elected();
    cluster.crash(4);
    const Token token = cluster.ask(leader, of({1, 2, 4}));
    cluster.run(milliseconds(1000));
    CHECK(cluster.core(leader).membership() == of({1, 2, 3}, {4}));
    cluster.step(leader, CancelChange{token + 1});
    cluster.run(milliseconds(1000));
    CHECK_FALSE(cluster.result(token));
    cluster.step(leader, CancelChange{token});
    cluster.run(milliseconds(1000));
    CHECK(cluster.result(token) == ChangeResult::cancelled);
    CHECK(cluster.core(leader).membership() == of({1, 2, 3}));
    CHECK(cluster.failure == "");
}

TEST_CASE("a voter becomes a learner, and a learner is sent everything and never leads") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t demoted = leader == 3 ? 2 : 3;
    Membership target = of({1, 2, 3});
    target.find({demoted})->standing = Standing::learner;
    CHECK(cluster.change(leader, target) == ChangeResult::done);
    CHECK(cluster.serves(leader));
    cluster.run(milliseconds(200));
    CHECK(cluster.core(demoted).log().commit() == cluster.core(leader).log().commit());
    cluster.crash(leader);
    cluster.run(milliseconds(5000));
    CHECK(cluster.core(demoted).role() == Role::follower);
    CHECK(cluster.failure == "");
}

TEST_CASE("members move without a change of who votes") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    Membership moved = of({1, 2, 3});
    for (Member& member : moved.members) member.contact = "host:" + std::to_string(member.id.value);
    CHECK(cluster.change(leader, moved) == ChangeResult::done);
    cluster.run(milliseconds(500));
    CHECK(cluster.agreed({1, 2, 3}, moved));
    CHECK(cluster.core(leader).configuration().latest_at().value <= 3);  // one entry
    CHECK(cluster.failure == "");
}

// ---- the known traps -------------------------------------------------------------------------

TEST_CASE("the only node with the newest log is no voter of it, and is needed nevertheless") {
    Changing cluster(2);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t other = 3 - leader;
    const Token token = cluster.ask(leader, of({other}));
    // The last membership stays with the leader, which crashes when it is durable.
    cluster.lost = [&](const Message& message) {
        return message.from.value == leader &&
               !cluster.core(leader).membership().contains({leader});
    };
    for (int i = 0; i < 3000 && cluster.core(leader).membership().contains({leader}); ++i) {
        cluster.run(milliseconds(1));
    }
    REQUIRE_FALSE(cluster.core(leader).membership().contains({leader}));
    cluster.persist(leader);
    cluster.crash(leader);
    cluster.lost = nullptr;
    REQUIRE(cluster.core(other).membership().joint());
    cluster.restart(leader);
    cluster.run(milliseconds(8000));
    CHECK(cluster.leader() == other);
    CHECK(cluster.serves(other));
    CHECK(cluster.core(other).membership() == of({other}));
    CHECK_FALSE(cluster.result(token).value_or(ChangeResult::done) == ChangeResult::cancelled);
    CHECK(cluster.failure == "");
}

TEST_CASE("a voter that only what is not committed leaves out is needed, and votes") {
    Changing cluster(3);
    cluster.elect(3);
    cluster.run(milliseconds(300));
    // What leaves 3 out stays with it.
    cluster.lost = [&](const Message& message) {
        return message.from.value == 3 && !cluster.core(3).membership().contains({3});
    };
    cluster.ask(3, of({1}));
    cluster.run_until([&] { return !cluster.core(3).membership().contains({3}); },
                      milliseconds(5000));
    cluster.persist(3);
    cluster.crash(3);
    // So does with 1 what it appends when the joint membership has elected it.
    cluster.lost = [](const Message& message) {
        const bool candidate = std::holds_alternative<VoteRequest>(message.body);
        return std::holds_alternative<AppendRequest>(message.body) ||
               (message.from.value == 2 && candidate);
    };
    cluster.run_until([&] { return cluster.core(1).role() == Role::leader; }, milliseconds(5000));
    REQUIRE(cluster.core(1).role() == Role::leader);
    cluster.persist(1);
    cluster.crash(1);
    cluster.crash(2);  // for good
    cluster.lost = nullptr;
    cluster.restart(1);
    cluster.restart(3);
    cluster.run(milliseconds(20000));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("the only node with the newest log is needed, also where the commit index is forgotten") {
    Options options = ordinary();
    options.recover_commit_index = false;
    Changing cluster(1, 1, options);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    REQUIRE(cluster.change(1, of({1, 2})) == ChangeResult::done);
    cluster.run(milliseconds(500));
    cluster.step(1, HandOver{7, {2}, milliseconds(500)});
    cluster.run(milliseconds(500));
    REQUIRE(cluster.leader() == 2);
    cluster.lost = [&](const Message& message) {
        return message.from.value == 2 && !cluster.core(2).membership().contains({2});
    };
    cluster.ask(2, of({1}));
    cluster.run_until([&] { return !cluster.core(2).membership().contains({2}); },
                      milliseconds(5000));
    cluster.persist(2);
    cluster.crash(2);
    cluster.lost = nullptr;
    cluster.restart(2);
    cluster.run(milliseconds(20000));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a removed node is told, although it alone has a membership further on") {
    Changing cluster(4);
    cluster.elect(4);
    cluster.run(milliseconds(300));
    cluster.cut_off(4);
    for (int i = 0; i < 20; ++i) cluster.propose(4, "its own");
    Membership target = of({1, 2, 3, 4});
    target.put({{4}, Standing::voter, {}, "elsewhere"});
    cluster.ask(4, target);
    cluster.run(milliseconds(300));
    REQUIRE(cluster.core(4).configuration().latest_at() > Index{20});
    cluster.persist(4);
    cluster.crash(4);
    const std::uint64_t leader = cluster.elected();
    REQUIRE(cluster.change(leader, of({1, 2, 3})) == ChangeResult::done);
    cluster.run(milliseconds(10000));
    SUBCASE("by logs that have the entry") {}
    SUBCASE("by logs that do not have it any more") {
        for (const std::uint64_t id : {1U, 2U, 3U}) {
            cluster.propose(leader, "x");
            cluster.run(milliseconds(300));
            cluster.take_snapshot(id);
            cluster.run(milliseconds(300));
            REQUIRE(cluster.core(id).log().base().index >
                    cluster.core(id).configuration().latest_at());
        }
    }
    cluster.lost = nullptr;
    cluster.restart(4);
    cluster.run(milliseconds(5000));
    CHECK(cluster.seen(EventKind::removed) == 1);
    CHECK(cluster.core(4).role() == Role::follower);
    CHECK(cluster.failure == "");
}

TEST_CASE("a change waits for what an earlier leader has left joint") {
    Changing cluster(3, 3);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    cluster.ask_and_hold(1, of({1, 2, 4}));
    cluster.crash(1);
    cluster.lost = [](const Message& message) {
        return std::holds_alternative<AppendReply>(message.body);
    };
    for (int i = 0; i < 10000 && cluster.leader() == 0; ++i) cluster.run(milliseconds(1));
    const std::uint64_t leader = cluster.leader();
    REQUIRE(leader != 0);
    const Token token = cluster.ask(leader, of({1, 2, 4, 5, 6}));
    CHECK(cluster.result(token) == ChangeResult::busy);
}

TEST_CASE("a voter that does not know yet that it is one votes") {
    Core core(Options{}, NodeId{4}, of({1, 2, 3}, {4}), {}, 1, Time{});
    const Output output =
        core.step(at(milliseconds(1)),
                  message(1, 4, VoteRequest{Term{7}, false, {Index{3}, Term{6}}, false}));
    core.step(at(milliseconds(1)), Persisted{output.write->id});
    CHECK(core.voted_for() == NodeId{1});
}

TEST_CASE("a node that has not been taken in yet does not vote") {
    Core core(Options{}, NodeId{4}, voters(3), {}, 1, Time{});
    const Output output =
        core.step(at(milliseconds(1)),
                  message(1, 4, VoteRequest{Term{7}, false, {Index{3}, Term{6}}, false}));
    CHECK(core.voted_for() == NodeId{});
}

TEST_CASE("a leader that is not in one's own membership yet is followed") {
    Core core(Options{}, NodeId{2}, voters(3), {}, 1, Time{});
    AppendRequest request{Term{7}, {}, {}, 0, {entry(1, 7, "x")}};
    core.step(at(milliseconds(1)), message(9, 2, request));
    CHECK(core.leader() == NodeId{9});
    CHECK(core.log().last_index() == Index{1});
}

TEST_CASE("answers of strangers count for nothing") {
    Core core(Options{}, NodeId{1}, voters(3), {}, 1, Time{});
    core.step(at(milliseconds(1)), message(9, 1, AppendReply{Term{40}, false, {}, {}, 0}));
    CHECK(core.term() == Term{0});
}

TEST_CASE("an entry that says it is a membership and is none is never taken in") {
    Core core(Options{}, NodeId{2}, voters(3), {}, 1, Time{});
    Entry broken = entry(1, 7, "x");
    broken.kind = EntryKind::membership;
    const Output output =
        core.step(at(milliseconds(1)), message(1, 2, AppendRequest{Term{7}, {}, {}, 0, {broken}}));
    CHECK(count(output, EventKind::protocol_violation) == 1);
    CHECK(core.log().last_index() == Index{});
}

}  // namespace membership_test
