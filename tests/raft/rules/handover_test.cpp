// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A leader hands over (thesis, section 3.10).
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>
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

TEST_CASE("a handover ends when its target loses its vote, and clients are served again") {
    Changing cluster(3);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    cluster.node(2).disk_stalled = true;
    cluster.propose(1, "x");
    cluster.run(milliseconds(50));
    cluster.step(1, HandOver{7, {2}, milliseconds(60000)});
    cluster.ask(1, of({1, 3}), true);
    for (int i = 0; i < 3000 && cluster.handovers.empty(); ++i) cluster.run(milliseconds(1));
    CHECK(cluster.handovers == std::vector<HandoverOutcome>{{7, HandoverResult::no_voter}});
    CHECK(cluster.core(1).handover() == nullptr);
    CHECK(cluster.serves(1));
}

TEST_CASE("a handover is not done where the leader only gives way") {
    Changing cluster(3);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    cluster.node(2).disk_stalled = true;
    cluster.propose(1, "x");
    cluster.run(milliseconds(50));
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

TEST_CASE("nobody stands because a node that does not lead says so") {
    Core core(Options{}, NodeId{2}, voters(3), {}, 1, Time{});
    core.step(at(milliseconds(1)), message(1, 2, AppendRequest{Term{7}, {}, {}, 0, {}}));
    core.step(at(milliseconds(2)), message(3, 2, TimeoutNow{Term{7}}));
    core.step(at(milliseconds(2)), message(1, 2, TimeoutNow{Term{6}}));
    CHECK(core.role() == Role::follower);
    core.step(at(milliseconds(2)), message(1, 2, TimeoutNow{Term{7}}));
    CHECK(core.role() == Role::candidate);
}

}  // namespace handover_test
