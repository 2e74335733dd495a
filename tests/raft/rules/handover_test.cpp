// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A leader hands over (thesis, section 3.10).
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <variant>
#include <vector>

namespace handover_test {

using namespace membership_support;

TEST_CASE("leadership passes to the one that is named, within a few messages") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t target = leader == 1 ? 2 : 1;
    cluster.step(leader, HandOver{7, {target}, milliseconds(500)});
    CHECK(cluster.propose(leader, "late").refusal == Refusal::handing_over);
    cluster.run(milliseconds(20));
    CHECK(cluster.leader() == target);
    REQUIRE(cluster.handovers.size() == 1);
    CHECK(cluster.handovers[0] == HandoverOutcome{7, HandoverResult::done});
    CHECK(cluster.serves(target));
    CHECK(cluster.failure == "");
}

TEST_CASE("a target is caught up first, and the best one is chosen where none is named") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t behind = leader == 1 ? 2 : 1;
    cluster.node(behind).disk_stalled = true;
    cluster.propose(leader, "x");
    cluster.run(milliseconds(50));
    cluster.step(leader, HandOver{7, {behind}, milliseconds(400)});
    cluster.run(milliseconds(100));
    CHECK(cluster.leader() == leader);
    cluster.run(milliseconds(500));
    REQUIRE(cluster.handovers.size() == 1);
    CHECK(cluster.handovers[0].result == HandoverResult::timed_out);
    CHECK(cluster.serves(leader));  // there is a way back
    cluster.step(leader, HandOver{8, {}, milliseconds(400)});
    cluster.run(milliseconds(50));
    CHECK(cluster.leader() == 6 - leader - behind);
    CHECK(cluster.failure == "");
}

TEST_CASE("a handover that cannot be is refused") {
    Changing cluster(1, 1);
    const std::uint64_t leader = cluster.elected();
    cluster.step(leader, HandOver{1, {}, milliseconds(400)});
    cluster.step(leader, HandOver{2, {2}, milliseconds(400)});
    cluster.step(leader, HandOver{3, {9}, milliseconds(400)});
    cluster.step(2, HandOver{4, {1}, milliseconds(400)});
    const std::vector<HandoverOutcome> expected{{1, HandoverResult::no_successor},
                                                {2, HandoverResult::no_voter},
                                                {3, HandoverResult::no_voter},
                                                {4, HandoverResult::not_leader}};
    CHECK(cluster.handovers == expected);
}

TEST_CASE("a handover to the leader itself has taken place") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    cluster.step(leader, HandOver{1, {leader}, milliseconds(400)});
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{1, HandoverResult::done}});
    CHECK(cluster.leader() == leader);
}

TEST_CASE("a handover to a node that is not heard from is refused, and clients are not") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t dead = leader % 3 + 1;
    cluster.cut_off(dead);
    cluster.run(milliseconds(2000));
    cluster.step(leader, HandOver{1, {dead}, milliseconds(400)});
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{1, HandoverResult::no_successor}});
    CHECK(cluster.serves(leader));
}

/// A leader whose second node cannot be brought up to date.
struct Waiting : Changing {
    Waiting() : Changing(3) {
        elect(1);
        run(milliseconds(300));
        node(2).disk_stalled = true;
        propose(1, "x");
        run(milliseconds(50));
    }
};

TEST_CASE("a handover ends when its target loses its vote, and clients are served again") {
    Waiting cluster;
    cluster.step(1, HandOver{7, {2}, milliseconds(60000)});
    cluster.ask(1, of({1, 3}), true);
    for (int i = 0; i < 3000 && cluster.handovers.empty(); ++i) cluster.run(milliseconds(1));
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{7, HandoverResult::no_voter}});
    CHECK(cluster.core(1).handover() == nullptr);
    CHECK(cluster.serves(1));
}

TEST_CASE("a handover is not done where the leader only gives way") {
    Waiting cluster;
    cluster.step(1, HandOver{7, {2}, milliseconds(5000)});
    cluster.cut_off(1);
    for (int i = 0; i < 3000 && cluster.handovers.empty(); ++i) cluster.run(milliseconds(1));
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{7, HandoverResult::interrupted}});
}

TEST_CASE("patience without end is no overflow") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    cluster.step(leader, HandOver{1, {}, Duration::max()});
    cluster.run(milliseconds(50));
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{1, HandoverResult::done}});
}

// ---- priorities ------------------------------------------------------------------------------

struct Preferring : Changing {
    explicit Preferring(std::uint64_t founders = 3) : Changing(founders) {
        elect(1);
        run(milliseconds(300));
    }
    void prefer(std::uint64_t id, std::uint32_t priority = 2) {
        Membership target = core(leader()).membership();
        Member* const member = target.find({id});
        REQUIRE(member != nullptr);
        if (member != nullptr) member->priority = priority;
        REQUIRE(change(leader(), target) == ChangeResult::done);
    }
    /// Whether an operation would be taken in.
    bool takes() {
        if (leader() == 0) return false;
        Core copy = core(leader());
        const Output output = copy.step(now, Propose{});
        return output.proposals.at(0).refusal == Refusal::none;
    }
    /// For how many milliseconds none would.
    int refused(milliseconds duration) {
        int count = 0;
        for (milliseconds past{}; past < duration; past += milliseconds(1)) {
            count += takes() ? 0 : 1;
            run(milliseconds(1));
        }
        return count;
    }
};

TEST_CASE("leadership passes to the voter of the highest priority, without being asked to") {
    Preferring cluster;
    cluster.prefer(2, 3);
    cluster.prefer(3);
    CHECK(cluster.leader() == 1);  // not in the first 8 election timeouts of its reign
    CHECK(cluster.refused(milliseconds(6000)) <= 10);
    CHECK(cluster.leader() == 2);
    CHECK(cluster.handovers.empty());
    cluster.run(milliseconds(60000));
    CHECK(cluster.leader() == 2);
    CHECK(cluster.failure == "");
}

TEST_CASE("a priority of 0 is the lowest, and leads where nobody else can") {
    Preferring cluster;
    cluster.prefer(1, 0);
    cluster.run(milliseconds(6000));
    const std::uint64_t other = cluster.leader();
    REQUIRE(other != 1);
    cluster.crash(other);
    cluster.lost = [](const Message& message) {
        return message.from.value != 1 && std::holds_alternative<VoteRequest>(message.body);
    };
    cluster.run(milliseconds(3000));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.serves(1));
}

TEST_CASE("one that is not there, does not vote or lacks what is committed is not preferred") {
    Preferring cluster(5);
    SUBCASE("not there") {
        cluster.prefer(2);
        cluster.crash(2);
    }
    SUBCASE("a learner") {
        cluster.prefer(2);
        Membership target = cluster.core(1).membership();
        target.put({{2}, Standing::learner, {}, {}, 2});
        REQUIRE(cluster.change(1, target) == ChangeResult::done);
    }
    SUBCASE("behind") {
        cluster.node(2).disk_stalled = true;
        cluster.prefer(2);
    }
    CHECK(cluster.refused(milliseconds(10000)) == 0);
    CHECK(cluster.leader() == 1);
}

TEST_CASE("one that is preferred and cannot lead is tried ever less often") {
    Preferring cluster;
    cluster.prefer(2);
    cluster.lost = [](const Message& message) {
        return std::holds_alternative<TimeoutNow>(message.body);
    };
    const int soon = cluster.refused(milliseconds(30000));
    const int later = cluster.refused(milliseconds(30000));
    CHECK(soon >= 500);  // election timeouts of 500 ms, after 4, 12 and 28 s
    CHECK(soon <= 1600);
    CHECK(later <= 600);
    CHECK(cluster.leader() == 1);
    CHECK(cluster.run_until([&] { return cluster.takes(); }, milliseconds(600)));
}

TEST_CASE("what is asked for goes before a preference, and a higher priority before more entries") {
    Preferring cluster;
    cluster.prefer(2);
    cluster.lost = [](const Message& message) {
        return std::holds_alternative<TimeoutNow>(message.body) && message.to.value == 2;
    };
    REQUIRE(cluster.run_until([&] { return !cluster.takes(); }, milliseconds(6000)));
    cluster.step(1, HandOver{7, {3}, milliseconds(500)});
    cluster.run(milliseconds(20));
    CHECK(cluster.leader() == 3);
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{7, HandoverResult::done}});
    cluster.lost = nullptr;
    cluster.step(3, HandOver{8, {}, milliseconds(500)});
    cluster.run(milliseconds(20));
    CHECK(cluster.leader() == 2);
}

TEST_CASE("one that is preferred, deposes the leader and cannot lead is tried ever less often") {
    Preferring cluster(5);
    cluster.prefer(2, 2);
    cluster.prefer(3, 3);
    // 3 hears 2 and is heard by it, and by nobody else.
    cluster.lost = [](const Message& message) {
        const auto is = [&message](std::uint64_t one, std::uint64_t other) {
            return message.from.value == one && message.to.value == other;
        };
        const bool of_3 = message.from.value == 3 || message.to.value == 3;
        return of_3 && !is(2, 3) && !is(3, 2);
    };
    cluster.run(milliseconds(300000));
    const std::size_t before = cluster.seen(EventKind::became_leader);
    CHECK(cluster.refused(milliseconds(60000)) <= 3000);
    CHECK(cluster.seen(EventKind::became_leader) - before <= 4);
    CHECK(cluster.failure == "");
}

TEST_CASE("a preference does not interrupt a change, and gives way to who is to go on leading") {
    Preferring cluster;
    cluster.add_node(ordinary());
    cluster.prefer(2);
    cluster.lost = [](const Message& message) {
        return std::holds_alternative<TimeoutNow>(message.body);
    };
    REQUIRE(cluster.run_until([&] { return !cluster.takes(); }, milliseconds(6000)));
    SUBCASE("a change") {
        Membership target = cluster.core(1).membership();
        target.put({{4}, Standing::voter, {}, {}});
        const Token token = cluster.ask(1, target);
        cluster.run(milliseconds(50));
        cluster.lost = nullptr;
        cluster.run(milliseconds(20000));
        CHECK(cluster.result(token) == ChangeResult::done);
    }
    SUBCASE("the leader itself") {
        cluster.step(1, HandOver{7, {1}, milliseconds(500)});
        cluster.lost = nullptr;
        cluster.run(milliseconds(300));
        CHECK(cluster.handovers == std::vector<HandoverOutcome>{{7, HandoverResult::done}});
        CHECK(cluster.leader() == 1);
    }
}

/// Of four voters that remain two have more than what is committed, and one is away.
TEST_CASE("whom a removed leader asks to stand can win, whatever the priorities") {
    Preferring cluster(5);
    cluster.prefer(5);
    cluster.run(milliseconds(300));
    std::vector<Message> held;
    const auto away = [](const Message& message) {
        return message.to.value == 4 || message.from.value == 4;
    };
    cluster.lost = [&](const Message& message) {
        if (cluster.core(1).membership().contains({1})) return false;
        const auto* const request = std::get_if<AppendRequest>(&message.body);
        const bool more = request != nullptr && !request->entries.empty() &&
                          request->entries.back().kind == EntryKind::operation;
        if (message.from.value == 5) held.push_back(message);
        return away(message) || message.from.value == 5 || (message.to.value == 5 && more);
    };
    Membership target = cluster.core(1).membership();
    target.remove({1});
    cluster.ask(1, target);
    REQUIRE(cluster.run_until([&] { return !cluster.core(1).membership().contains({1}); },
                              milliseconds(5000)));
    for (int i = 0; i < 5; ++i) cluster.propose(1, "more");
    cluster.run(milliseconds(20));
    REQUIRE(cluster.core(1).role() == Role::leader);
    cluster.lost = away;
    for (const Message& message : held) {
        if (std::holds_alternative<AppendReply>(message.body)) cluster.step(1, message);
    }
    REQUIRE(cluster.core(1).role() == Role::follower);
    CHECK(cluster.run_until([&] { return cluster.leader() > 1; }, milliseconds(50)));
}

// ---- the target ------------------------------------------------------------------------------

TEST_CASE("nobody stands because a node that does not lead says so") {
    Core core(Options{}, NodeId{2}, voters(3), {}, 1, Time{});
    core.step(at(milliseconds(1)), message(1, 2, AppendRequest{Term{7}, {}, {}, 0, {}}));
    core.step(at(milliseconds(2)), message(3, 2, TimeoutNow{Term{7}}));
    core.step(at(milliseconds(2)), message(1, 2, TimeoutNow{Term{6}}));
    CHECK(core.role() == Role::follower);
    core.step(at(milliseconds(2)), message(1, 2, TimeoutNow{Term{7}}));
    CHECK(core.role() == Role::candidate);
}

TEST_CASE("one that has just started, and may have promised something, does not stand when asked") {
    Core core(Options{}, NodeId{2}, voters(3), recovered({Term{7}, {}, {}}), 1, Time{});
    core.step(at(milliseconds(1)), message(1, 2, AppendRequest{Term{7}, {}, {}, 0, {}}));
    core.step(at(milliseconds(499)), message(1, 2, TimeoutNow{Term{7}}));
    CHECK(core.role() == Role::follower);
    core.step(at(milliseconds(500)), message(1, 2, TimeoutNow{Term{7}}));
    CHECK(core.role() == Role::candidate);
}

}  // namespace handover_test
