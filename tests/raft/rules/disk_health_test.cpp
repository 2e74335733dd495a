// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes whose disks hang or are full: who votes, stands, leads and is asked to, and what is told of
// it.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace disk_health_test {

using namespace membership_support;

namespace {

using std::chrono::seconds;

/// How long a disk has to hang until its node says so, and a little more.
constexpr Duration until_noticed = seconds(5) + milliseconds(200);

/// Node 1 of three leads, and has done so for long.
struct Led : Changing {
    explicit Led(Options options = ordinary(), std::uint64_t nodes = 3)
        : Changing(nodes, 0, options) {
        elect(1);
        run(seconds(5));
        REQUIRE(leader() == 1);
    }
    void hang(std::uint64_t id) { node(id).disk_stalled = true; }
    void mend(std::uint64_t id) { node(id).disk_stalled = false; }
    std::size_t said(std::uint64_t id, EventKind kind) const {
        return static_cast<std::size_t>(std::ranges::count_if(events, [&](const Event& event) {
            return event.kind == kind && event.node.value == id;
        }));
    }
    const Progress& progress(std::uint64_t of) {
        const auto followers = core(leader()).followers();
        const auto found = std::ranges::find(followers, NodeId{of}, &Progress::node);
        REQUIRE(found != followers.end());
        return *found;
    }
    void set_room(std::uint64_t id, bool full) { step(id, StorageRoom{full}); }
    VoteRequest request(bool pre_vote, bool by_handover = false) {
        return {{core(2).term().value + 1}, pre_vote, core(1).log().last(), by_handover};
    }
};

/// Of these, node 2's disk hangs and it has noticed; what it was to write is an operation.
struct Hanging : Led {
    explicit Hanging(Options options = ordinary(), std::uint64_t nodes = 3) : Led(options, nodes) {
        hang(2);
        propose(1, "stuck at 2");
        run(until_noticed);
        REQUIRE(core(2).disk().stalled);
    }
};

}  // namespace

TEST_CASE("a follower whose disk hangs notices, says so once, and so when it is well again") {
    Led cluster;
    cluster.hang(2);
    cluster.propose(1, "stuck at 2");
    cluster.run(seconds(5));
    CHECK_FALSE(cluster.core(2).disk().stalled);
    cluster.run(milliseconds(200));
    CHECK(cluster.core(2).disk().stalled);
    cluster.run(seconds(20));
    CHECK(cluster.said(2, EventKind::disk_stalled) == 1);
    CHECK(cluster.said(2, EventKind::disk_recovered) == 0);
    CHECK(cluster.leader() == 1);
    cluster.mend(2);
    cluster.settle();
    CHECK_FALSE(cluster.core(2).disk().stalled);
    CHECK(cluster.said(2, EventKind::disk_recovered) == 1);
    CHECK(cluster.seen(EventKind::disk_stalled) == 1);
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE("a node is woken when its write is late, however far its election is") {
    Options options = ordinary();
    options.disk_stall_timeout = milliseconds(50);
    Led cluster(options);
    cluster.run(milliseconds(90));
    cluster.hang(2);
    cluster.propose(1, "stuck at 2");
    cluster.settle();
    const Time written = cluster.now;
    cluster.lost = [](const Message&) { return true; };
    CHECK(cluster.core(2).deadline() == written + milliseconds(50));
    cluster.now = cluster.core(2).deadline();
    cluster.step(2, Tick{});
    CHECK_FALSE(cluster.core(2).disk().stalled);  // its end may be waiting to be told
    CHECK(cluster.core(2).deadline() == written + milliseconds(150));
    cluster.now = cluster.core(2).deadline();
    cluster.step(2, Tick{});
    CHECK(cluster.core(2).disk().stalled);
    CHECK(cluster.core(2).deadline() > cluster.now);
}

TEST_CASE("a node whose disk hangs votes for nobody, and keeps its term") {
    Hanging cluster;
    cluster.lost = [](const Message&) { return true; };
    cluster.now += seconds(1);  // the leader is not heard of any more
    const Term term = cluster.core(2).term();
    for (const bool by_handover : {false, true}) {
        const Output output = cluster.step(2, message(3, 2, cluster.request(true, by_handover)));
        CHECK_FALSE(only<VoteReply>(output).granted);
        const Output real = cluster.step(2, message(3, 2, cluster.request(false, by_handover)));
        CHECK(sent<VoteReply>(real).empty());
        CHECK_FALSE(real.write.has_value());
        CHECK(cluster.core(2).term() == term);
    }
    cluster.step(2, *cluster.complete_write(2));
    const Output output = cluster.step(2, message(3, 2, cluster.request(false)));
    CHECK(only<VoteReply>(output).granted);
}

TEST_CASE("a node whose disk hangs does not stand, by itself or when it is asked to") {
    Hanging cluster;
    const Term term = cluster.core(2).term();
    const Output asked = cluster.step(2, message(1, 2, TimeoutNow{term}));
    CHECK(sent<VoteRequest>(asked).empty());
    cluster.lost = [](const Message&) { return true; };
    cluster.run(seconds(10));
    CHECK(cluster.core(2).term() == term);
    CHECK(cluster.said(2, EventKind::became_pre_candidate) == 0);
    CHECK(cluster.core(2).role() == Role::follower);
    cluster.step(2, *cluster.complete_write(2));
    cluster.run(seconds(2));
    CHECK(cluster.core(2).role() == Role::pre_candidate);
}

TEST_CASE("a candidate whose disk hangs gives up") {
    Options options = ordinary();
    options.pre_vote = false;
    options.check_quorum = false;
    options.disk_stall_timeout = milliseconds(300);
    Led cluster(options);
    cluster.lost = [](const Message&) { return true; };
    cluster.hang(2);
    cluster.run_until([&] { return cluster.core(2).role() == Role::candidate; }, seconds(3));
    const Term term = cluster.core(2).term();
    cluster.run_until([&] { return cluster.core(2).disk().stalled; }, seconds(3));
    CHECK(cluster.core(2).role() == Role::follower);
    cluster.run(seconds(5));
    CHECK(cluster.core(2).term() == term);
    CHECK(cluster.node(2).writes.size() == 1);
}

TEST_CASE("heartbeats are answered while the disk hangs, and the leader knows why it lags") {
    Hanging cluster;
    CHECK(cluster.progress(2).disk_stalled);
    CHECK_FALSE(cluster.progress(3).disk_stalled);
    CHECK(cluster.now - cluster.progress(2).last_contact <= milliseconds(100));
    // Both of the others are heard of and none of them is: the leader stays, as a quorum is there.
    cluster.run(seconds(10));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.now - cluster.progress(2).last_contact <= milliseconds(100));
    cluster.mend(2);
    cluster.run(milliseconds(200));
    CHECK_FALSE(cluster.progress(2).disk_stalled);
    CHECK(cluster.progress(2).match == cluster.core(1).log().last_index());
}

TEST_CASE("a leader that gave way for its disk is not elected again while that hangs") {
    Led cluster;
    cluster.hang(1);
    cluster.propose(1, "stuck at 1");
    cluster.run(until_noticed);
    CHECK(cluster.core(1).role() == Role::follower);
    CHECK(cluster.said(1, EventKind::disk_stalled) == 1);
    cluster.run(seconds(2));
    const std::uint64_t next = cluster.leader();
    REQUIRE(next != 0);
    CHECK(next != 1);
    // Even where nobody else could: neither of the two leads without the third one.
    cluster.hang(5 - next);
    cluster.propose(next, "stuck at another one");
    cluster.cut_off(next);
    cluster.run(seconds(30));
    CHECK(cluster.core(1).role() == Role::follower);
    CHECK(cluster.said(1, EventKind::became_leader) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a disk that hangs is told of in a term that it does not take, and nothing else is") {
    Led cluster;
    cluster.hang(1);
    cluster.propose(1, "stuck at 1");
    cluster.run(until_noticed + seconds(2));
    const std::uint64_t next = cluster.leader();
    REQUIRE(next > 1);
    CHECK(cluster.core(1).term() == cluster.core(next).term());
    CHECK(cluster.progress(1).disk_stalled);
    CHECK(cluster.progress(1).match == Index{0});
    CHECK(cluster.progress(1).acknowledged_round == 0);
    // It does not count as heard of either: nobody knows that it follows.
    CHECK(cluster.now - cluster.progress(1).last_contact > milliseconds(500));
    cluster.mend(1);
    cluster.run(milliseconds(300));
    CHECK_FALSE(cluster.progress(1).disk_stalled);
    CHECK(cluster.progress(1).match == cluster.core(next).log().last_index());
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE("leadership is not handed to a node whose disk hangs") {
    SUBCASE("the best one is another") {
        Hanging cluster;
        cluster.step(1, HandOver{7, {}, milliseconds(400)});
        cluster.run(milliseconds(50));
        CHECK(cluster.leader() == 3);
    }
    SUBCASE("it is refused where it is named") {
        Hanging cluster;
        cluster.step(1, HandOver{7, {2}, milliseconds(400)});
        REQUIRE(cluster.handovers.size() == 1);
        CHECK(cluster.handovers[0].result == HandoverResult::no_successor);
    }
    SUBCASE("it ends where the disk turns out to hang meanwhile") {
        Led cluster;
        cluster.hang(2);
        cluster.propose(1, "stuck at 2");
        cluster.run(seconds(4));
        cluster.step(1, HandOver{7, {2}, seconds(60)});
        CHECK(cluster.propose(1, "x").refusal == Refusal::handing_over);
        cluster.run(seconds(2));
        REQUIRE(cluster.handovers.size() == 1);
        CHECK(cluster.handovers[0].result == HandoverResult::no_successor);
        CHECK(cluster.propose(1, "x").refusal == Refusal::none);
    }
    SUBCASE("whatever its priority is, and although it has all") {
        for (const bool stalled : {true, false}) {
            Led cluster;
            Membership target = of({1, 2, 3});
            target.members[1].priority = 9;
            cluster.lost = [](const Message& m) { return m.from.value == 2; };
            cluster.ask(1, target, true);
            AppendReply reply;
            reply.term = cluster.core(1).term();
            reply.accepted = true;
            reply.disk_stalled = stalled;
            bool offered = false;
            for (int i = 0; i < 200; ++i) {
                reply.index = cluster.core(1).log().last_index();
                cluster.step(1, message(2, 1, reply));
                cluster.run(milliseconds(100));
                offered = offered || cluster.core(1).handover() != nullptr;
            }
            CHECK(offered == !stalled);
            if (!stalled) continue;
            cluster.step(1, HandOver{7, {}, milliseconds(400)});
            REQUIRE(cluster.core(1).handover() != nullptr);
            CHECK(cluster.core(1).handover()->target == NodeId{3});
        }
    }
}

TEST_CASE("a node that was stopped does not hold that against its disk") {
    Led cluster;
    cluster.hang(2);
    cluster.propose(1, "stuck at 2");
    cluster.run(seconds(4));
    cluster.lost = [](const Message&) { return true; };
    cluster.now += seconds(60);
    cluster.step(2, Tick{});
    cluster.now += milliseconds(110);
    cluster.step(2, Tick{});
    CHECK_FALSE(cluster.core(2).disk().stalled);
    CHECK(cluster.core(2).role() == Role::follower);
    cluster.run(seconds(2));
    CHECK(cluster.core(2).disk().stalled);
}

// ---- room ------------------------------------------------------------------------------------

TEST_CASE("whether a disk has room is told once, and the leader knows it of each follower") {
    Led cluster;
    cluster.set_room(2, true);
    cluster.set_room(2, true);
    cluster.run(milliseconds(200));
    CHECK(cluster.said(2, EventKind::disk_full) == 1);
    CHECK(cluster.progress(2).disk_full);
    CHECK_FALSE(cluster.progress(3).disk_full);
    CHECK(cluster.leader() == 1);
    cluster.set_room(2, false);
    cluster.run(milliseconds(200));
    CHECK(cluster.said(2, EventKind::disk_has_room) == 1);
    CHECK_FALSE(cluster.progress(2).disk_full);
}

TEST_CASE("a leader without room hands over to a voter that has room, and once") {
    Led cluster;
    cluster.set_room(2, true);
    cluster.run(milliseconds(200));
    cluster.set_room(1, true);
    cluster.run(milliseconds(200));
    CHECK(cluster.leader() == 3);
    cluster.run(seconds(60));
    CHECK(cluster.leader() == 3);
    CHECK(cluster.seen(EventKind::became_leader) == 2);
    CHECK(cluster.failure == "");
}

TEST_CASE("where no voter has room, or those that have it are behind, leadership stays") {
    Led cluster;
    for (const std::uint64_t id : {2U, 3U}) cluster.set_room(id, true);
    cluster.run(milliseconds(200));
    cluster.set_room(1, true);
    cluster.run(seconds(60));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.propose(1, "still replicated").refusal == Refusal::none);
    cluster.lost = [](const Message& m) { return m.to.value == 3 || m.from.value == 3; };
    cluster.propose(1, "3 has not got this");
    cluster.set_room(3, false);
    cluster.run(seconds(60));
    CHECK(cluster.leader() == 1);
    cluster.lost = nullptr;
    cluster.run(seconds(60));
    CHECK(cluster.leader() == 3);
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader whose writes wait for room goes on serving reads where nobody has more") {
    Led cluster;
    for (const std::uint64_t id : {2U, 3U}) cluster.set_room(id, true);
    cluster.run(milliseconds(200));
    cluster.set_room(1, true);
    cluster.hang(1);
    cluster.propose(1, "waits for room");
    cluster.run(seconds(20));
    CHECK(cluster.core(1).disk().stalled);
    REQUIRE(cluster.leader() == 1);
    const Token read = cluster.read(1);
    cluster.run(milliseconds(200));
    REQUIRE(cluster.outcome_of(read).has_value());
    CHECK(cluster.outcome_of(read)->refusal == Refusal::none);
    // It gives way as soon as another one has some.
    cluster.set_room(3, false);
    cluster.run(milliseconds(200));
    CHECK(cluster.leader() == 3);
    CHECK(cluster.failure == "");
}

TEST_CASE(
    "a leader without room goes on serving reads where no other could be elected without it") {
    Led cluster;
    SUBCASE("one is away") { cluster.crash(3); }
    SUBCASE("the disk of one hangs") {
        cluster.hang(3);
        cluster.propose(1, "stuck at 3");
        cluster.run(until_noticed);
        REQUIRE(cluster.progress(3).disk_stalled);
    }
    cluster.run(seconds(2));
    cluster.set_room(1, true);
    cluster.hang(1);
    cluster.propose(1, "waits for room");
    cluster.run(seconds(20));
    CHECK(cluster.core(1).disk().stalled);
    REQUIRE(cluster.leader() == 1);
    const Token read = cluster.read(1);
    cluster.run(milliseconds(200));
    REQUIRE(cluster.outcome_of(read).has_value());
    CHECK(cluster.outcome_of(read)->refusal == Refusal::none);
    // It gives way as soon as the other two are enough.
    if (cluster.up(3)) {
        cluster.mend(3);
    } else {
        cluster.restart(3);
    }
    const auto has_given_way = [&] { return cluster.leader() > 1; };
    CHECK(cluster.run_until(has_given_way, seconds(1)));
    CHECK(cluster.failure == "");
}

TEST_CASE("a handover that nobody has asked for ends when no other could be elected any more") {
    Led cluster;
    cluster.lost = [](const Message& m) { return std::holds_alternative<TimeoutNow>(m.body); };
    bool is_asked_for = false;
    SUBCASE("by itself") { cluster.set_room(1, true); }
    SUBCASE("asked for") {
        is_asked_for = true;
        cluster.set_room(1, true);
        cluster.step(1, HandOver{7, {2}, seconds(5)});
    }
    const auto target = [&] {
        const Handover* const handover = cluster.core(1).handover();
        return handover == nullptr ? NodeId{} : handover->target;
    };
    const auto hands_over = [&] { return target() != NodeId{}; };
    REQUIRE(cluster.run_until(hands_over, milliseconds(400)));
    const std::uint64_t other = target().value == 2 ? 3 : 2;
    AppendReply hangs;
    hangs.disk_stalled = true;
    cluster.step(1, message(other, 1, hangs));
    CHECK(hands_over() == is_asked_for);
}

TEST_CASE("a handover for room ends when the other one has none any more") {
    Led cluster;
    cluster.lost = [](const Message& m) { return std::holds_alternative<TimeoutNow>(m.body); };
    cluster.set_room(1, true);
    const auto hands_over = [&] { return cluster.core(1).handover() != nullptr; };
    REQUIRE(cluster.run_until(hands_over, milliseconds(400)));
    const std::uint64_t target = cluster.core(1).handover()->target.value;
    AppendReply full;
    full.disk_full = true;
    cluster.step(1, message(target, 1, full));
    CHECK_FALSE(hands_over());
}

TEST_CASE("room comes before priority") {
    Led cluster;
    Membership target = of({1, 2, 3});
    target.members[1].priority = 9;
    cluster.set_room(2, true);
    cluster.run(milliseconds(200));
    REQUIRE(cluster.change(1, target) == ChangeResult::done);
    cluster.run(seconds(60));
    CHECK(cluster.leader() == 1);
    // Where nobody has any, the priority counts again.
    cluster.set_room(1, true);
    cluster.set_room(3, true);
    cluster.run(seconds(100));
    CHECK(cluster.leader() == 2);
    CHECK(cluster.failure == "");
}

TEST_CASE("leadership does not wander while room comes and goes") {
    Led cluster;
    cluster.events.clear();
    for (int i = 0; i < 300; ++i) {
        const std::uint64_t leader = cluster.leader();
        if (leader != 0) {
            for (std::uint64_t id = 1; id <= 3; ++id) cluster.set_room(id, id == leader);
        }
        cluster.run(milliseconds(200));
    }
    // A minute, in which there could be more than a hundred without pauses.
    CHECK(cluster.seen(EventKind::became_leader) >= 6);
    CHECK(cluster.seen(EventKind::became_leader) <= 20);
    CHECK(cluster.failure == "");
}

}  // namespace disk_health_test
