// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whose words on their state machines are heard.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <variant>
#include <vector>

namespace comparison_test {

using namespace membership_support;

namespace {

const std::vector<StateMark> some{{Index{7}, 11}, {Index{8}, 12}};

bool tells(const Output& output) {
    for (const Message& message : output.send) {
        if (std::holds_alternative<StateMarks>(message.body)) return true;
    }
    for (const DeferredMessage& deferred : output.send_after) {
        if (std::holds_alternative<StateMarks>(deferred.message.body)) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a leader hears what its followers tell, and a follower what the leader tells") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t follower = leader == 1 ? 2 : 1;
    cluster.step(follower, TellMarks{{leader}, MarksKind::newest, some});
    cluster.step(leader, TellMarks{{follower}, MarksKind::agreed, some});
    cluster.run(milliseconds(20));
    REQUIRE(cluster.node(leader).marks.size() == 1);
    CHECK(cluster.node(leader).marks[0] == MarksTold{{follower}, MarksKind::newest, some});
    REQUIRE(cluster.node(follower).marks.size() == 1);
    CHECK(cluster.node(follower).marks[0] == MarksTold{{leader}, MarksKind::agreed, some});
}

TEST_CASE("nobody says what is another role's to say, or says it to somebody else") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t follower = leader == 1 ? 2 : 1;
    Core& led = *cluster.node(follower).core;
    Core& leads = *cluster.node(leader).core;
    const Time now = cluster.now;
    CHECK_FALSE(tells(led.step(now, TellMarks{{leader}, MarksKind::agreed, some})));
    CHECK_FALSE(tells(led.step(now, TellMarks{{6 - leader - follower}, MarksKind::all, some})));
    CHECK_FALSE(tells(led.step(now, TellMarks{{}, MarksKind::all, some})));
    CHECK_FALSE(tells(leads.step(now, TellMarks{{follower}, MarksKind::all, some})));
    CHECK_FALSE(tells(leads.step(now, TellMarks{{leader}, MarksKind::asked, {}})));
    CHECK(tells(led.step(now, TellMarks{{leader}, MarksKind::all, some})));
    CHECK(tells(leads.step(now, TellMarks{{follower}, MarksKind::asked, {}})));
}

TEST_CASE("marks are heard in their term, from members, and in the role that they are for") {
    Changing cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t follower = leader == 1 ? 2 : 1;
    const std::uint64_t other = 6 - leader - follower;
    const Time now = cluster.now;
    const Term term = cluster.node(leader).core->term();
    const auto heard = [&](std::uint64_t from, std::uint64_t to, MarksKind kind, Term when) {
        const Message message{{from}, {to}, StateMarks{when, kind, some}};
        return !cluster.node(to).core->step(now, message).marks.empty();
    };
    CHECK(heard(follower, leader, MarksKind::all, term));
    CHECK_FALSE(heard(follower, leader, MarksKind::all, Term{term.value - 1}));
    CHECK_FALSE(heard(follower, leader, MarksKind::agreed, term));
    CHECK_FALSE(heard(9, leader, MarksKind::all, term));
    CHECK(heard(leader, follower, MarksKind::asked, term));
    CHECK_FALSE(heard(other, follower, MarksKind::asked, term));
    CHECK_FALSE(heard(leader, follower, MarksKind::all, term));
    CHECK_FALSE(heard(other, follower, MarksKind::all, term));
    // Who leads no more hears nobody.
    CHECK_FALSE(heard(follower, leader, MarksKind::all, Term{term.value + 1}));
    CHECK(cluster.node(leader).core->role() == Role::follower);
}

}  // namespace comparison_test
