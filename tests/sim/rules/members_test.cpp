// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules of members and of handovers: what they let pass, and that they speak when they are
// broken.
#include "support/core_cluster.hpp"
#include "support/records.hpp"

#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/decision.hpp>
#include <rsm/sim/rules/handovers.hpp>
#include <rsm/sim/rules/member_changes.hpp>
#include <rsm/sim/rules/members_in_force.hpp>
#include <rsm/sim/rules/quorums.hpp>
#include <rsm/sim/rules/returning_members.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace members_test {

namespace {

using namespace rsm::sim;
using namespace raft::test;
using raft::Standing;

std::string broken_rule(const Broken& broken) { return broken ? broken->property : "none"; }

raft::Membership members(std::vector<std::pair<std::uint64_t, Standing>> wanted) {
    raft::Membership membership;
    for (const auto& [id, standing] : wanted) membership.put({{id}, standing, {id}, {}});
    return membership;
}
bool decided(const raft::Membership& membership, const std::set<std::uint64_t>& by) {
    return decides(membership,
                   [&by](const raft::Member& one) { return by.contains(one.id.value); });
}

/// Three nodes, the first of which leads, and what is known of them.
struct Led {
    Led() {
        cluster.elect(1);
        cluster.run(milliseconds(300));
        chronicle.founding = cluster.core(1).membership();
        chronicle.committed.assign(leader().log().commit().value, leader().term());
    }
    const raft::Core& leader() { return cluster.core(1); }
    /// Some node has held that membership behind the first entry of the leader's log.
    void place(raft::Membership membership) {
        const raft::Log& log = leader().log();
        chronicle.memberships[log.last()] = std::move(membership);
    }

    CoreCluster cluster{3, raft::Options{}};
    Chronicle chronicle{3};
};

}  // namespace

TEST_CASE(
    "Decision: of a joint membership both majorities are needed, and learners are not asked") {
    const auto joint = members({{1, Standing::voter},
                                {2, Standing::outgoing},
                                {3, Standing::demoted},
                                {4, Standing::incoming},
                                {5, Standing::incoming},
                                {6, Standing::learner},
                                {7, Standing::returning}});
    CHECK(decided(joint, {1, 2, 4}));
    CHECK_FALSE(decided(joint, {1, 4, 5, 6, 7}));
    CHECK_FALSE(decided(joint, {1, 2, 3, 6, 7}));
    CHECK_FALSE(decided(members({{1, Standing::voter}, {2, Standing::voter}}), {1}));
}

TEST_CASE("Member changes: who votes changes by a joint membership, and was a learner") {
    const auto two = members({{1, Standing::voter}, {2, Standing::voter}});
    const auto learns =
        members({{1, Standing::voter}, {2, Standing::voter}, {3, Standing::learner}});
    const auto joint =
        members({{1, Standing::voter}, {2, Standing::outgoing}, {3, Standing::incoming}});
    const auto decided = members({{1, Standing::voter}, {3, Standing::voter}});
    CHECK(wrong_step(two, learns) == nullptr);
    CHECK(wrong_step(learns, joint) == nullptr);
    CHECK(wrong_step(joint, decided) == nullptr);
    CHECK(wrong_step(two, joint) != nullptr);
    CHECK(wrong_step(learns, decided) != nullptr);
    CHECK(wrong_step(joint, two) != nullptr);
    auto another = two;
    another.find({2})->instance = {9};
    CHECK(wrong_step(two, another) != nullptr);
    another.find({2})->standing = Standing::suspended;
    another.find({2})->instance = {2};
    CHECK(wrong_step(two, another) == nullptr);
}

TEST_CASE("Members in force: the last membership that a node's log holds") {
    Led led;
    CHECK_FALSE(members_in_force(led.leader(), led.chronicle));
    led.place(members({{1, Standing::voter}}));
    CHECK(broken_rule(members_in_force(led.leader(), led.chronicle)) == "members in force");
}

TEST_CASE("Member changes: who has no vote does not lead") {
    Led led;
    CHECK_FALSE(has_a_vote(led.leader(), led.chronicle));
    led.place(members({{2, Standing::voter}, {1, Standing::learner}}));
    CHECK(broken_rule(has_a_vote(led.leader(), led.chronicle)) == "member changes");
    led.place(members({{2, Standing::voter}, {1, Standing::outgoing}}));
    CHECK_FALSE(has_a_vote(led.leader(), led.chronicle));
    led.place(members({{2, Standing::voter}}));
    CHECK_FALSE(has_a_vote(led.cluster.core(3), led.chronicle));
}

TEST_CASE("Member changes: who was removed is let go after a while") {
    Led led;
    led.cluster.lost = [](const raft::Message& message) { return message.to.value == 3; };
    led.cluster.step(1, raft::ChangeMembers{1, voters(2), true, std::chrono::seconds(20)});
    led.cluster.run(milliseconds(400));
    const raft::Duration timeout = milliseconds(100);
    REQUIRE(led.leader().followers().size() == 2);
    CHECK_FALSE(lets_go_of_leavers(led.leader(), led.cluster.now, timeout));
    const raft::Time later = led.cluster.now + 16 * timeout;
    CHECK(broken_rule(lets_go_of_leavers(led.leader(), later, timeout)) == "member changes");
}

TEST_CASE("Member changes: who is a member does not take itself for removed") {
    Led led;
    raft::Core& told = led.cluster.core(3);
    CHECK_FALSE(removed_rightly(told, led.chronicle));
    raft::VoteReply reply;
    reply.term = reply.election = told.term();
    reply.without = told.log().last();
    led.cluster.step(3, message(2, 3, reply));
    REQUIRE(told.configuration().is_excluded());
    CHECK(broken_rule(removed_rightly(told, led.chronicle)) == "member changes");
    led.place(members({{1, Standing::voter}, {2, Standing::voter}}));
    CHECK_FALSE(removed_rightly(told, led.chronicle));
}

/// A leader gives votes back at its heartbeats. What it does between two of them looks as if it did
/// not, to a rule that takes an election for shorter than that.
TEST_CASE("Member changes: who is there again gets its vote back") {
    Led led;
    ReturningMembers rule(3, milliseconds(2));
    ReturningMembers patient(3, milliseconds(1000));
    raft::Membership returning = voters(2);
    returning.put({{3}, Standing::returning, {}, {}});
    led.cluster.step(1, raft::ChangeMembers{1, returning, true, std::chrono::seconds(20)});
    Broken broken;
    for (int i = 0; i < 3000 && !broken; ++i) {
        led.cluster.propose(1, "x");
        led.cluster.run(milliseconds(1));
        broken = rule.spoke(led.leader(), led.cluster.now);
        CHECK_FALSE(patient.spoke(led.leader(), led.cluster.now));
    }
    CHECK(broken_rule(broken) == "member changes");
    led.cluster.run(milliseconds(1000));
    CHECK(led.leader().membership().find({3})->votes());
    CHECK_FALSE(patient.spoke(led.leader(), led.cluster.now));
}

TEST_CASE("Quorums: who leads has the votes of one, and what is committed its acknowledgements") {
    Led led;
    Quorums quorums(led.chronicle);
    const raft::Term term = led.leader().term();
    const raft::LogPosition last = led.leader().log().last();
    CHECK(broken_rule(quorums.elected(led.leader())) == "quorums");
    quorums.cast({{3}, {30}}, term, {2});
    CHECK(broken_rule(quorums.elected(led.leader())) == "quorums");
    quorums.cast({{3}, {30}}, term, {1});
    CHECK_FALSE(quorums.elected(led.leader()));

    CHECK(broken_rule(quorums.committed(led.leader(), last, last.index)) == "quorums");
    quorums.acknowledged({{2}, {20}}, term, last.index - 1);
    CHECK(broken_rule(quorums.committed(led.leader(), last, last.index)) == "quorums");
    quorums.acknowledged({{2}, {20}}, term, last.index);
    CHECK_FALSE(quorums.committed(led.leader(), last, last.index));
    led.chronicle.founding->find({2})->instance = {21};  // another one
    CHECK(broken_rule(quorums.committed(led.leader(), last, last.index)) == "quorums");
}

TEST_CASE("Handovers: to one that votes and has the whole log, in time, and without operations") {
    Led led;
    raft::test::CoreCluster& cluster = led.cluster;
    Handovers rule(3, milliseconds(100));
    const raft::Term term = led.leader().term();
    raft::Time now = cluster.now;
    CHECK_FALSE(rule.asked(led.leader(), {2}, term, now));
    CHECK(broken_rule(rule.asked(led.leader(), {4}, term, now)) == "handovers");
    for (int i = 0; i < 4; ++i) CHECK_FALSE(rule.asked(led.leader(), {2}, term, now));
    Broken broken;
    for (int i = 0; i < 8 && !broken; ++i) broken = rule.asked(led.leader(), {2}, term, now);
    CHECK(broken_rule(broken) == "handovers");
    CHECK_FALSE(rule.asked(led.leader(), {2}, term, now + milliseconds(100)));

    raft::VoteRequest request;
    request.term = {term.value + 1};
    CHECK_FALSE(rule.stood({2}, request));
    CHECK(broken_rule(rule.stood({3}, request)) == "handovers");

    cluster.node(2).disk_stalled = true;
    cluster.propose(1, "x");
    cluster.run(milliseconds(20));
    CHECK(broken_rule(rule.asked(led.leader(), {2}, term, now + milliseconds(300))) == "handovers");
    cluster.step(1, raft::HandOver{7, {2}, milliseconds(400)});
    const raft::Index last = led.leader().log().last_index();
    REQUIRE(led.leader().handover() != nullptr);
    CHECK_FALSE(rule.step(led.leader(), last));
    CHECK_FALSE(rule.step(led.leader(), last));
    CHECK(broken_rule(rule.step(led.leader(), last - 1)) == "handovers");
    CHECK_FALSE(rule.spoke(led.leader(), cluster.now + milliseconds(500)));
    CHECK(broken_rule(rule.spoke(led.leader(), cluster.now + milliseconds(501))) == "handovers");
}

}  // namespace members_test
