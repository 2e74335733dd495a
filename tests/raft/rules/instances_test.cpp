// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which of those that bear one id is the member, and how one that has lost its storage is taken in.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace instances_test {

using namespace membership_support;

TEST_CASE("the leader notes which instance bears the id of each member") {
    Instances cluster(3);
    const std::uint64_t leader = cluster.elected();
    cluster.propose(leader, "x");
    cluster.run(milliseconds(1000));
    for (std::uint64_t at = 1; at <= 3; ++at) {
        for (std::uint64_t id = 1; id <= 3; ++id)
            CHECK(cluster.known(at, id) == Instance{100 + id});
    }
    const Index last = cluster.core(leader).log().last_index();
    cluster.run(milliseconds(5000));
    CHECK(cluster.core(leader).log().last_index() == last);
    CHECK(cluster.failure == "");
}

TEST_CASE("a wiped node is taken in again as a learner before it votes") {
    Instances cluster(3);
    const std::uint64_t leader = cluster.elected();
    cluster.run(milliseconds(1000));
    const std::uint64_t wiped = leader == 3 ? 2 : 3;
    cluster.propose(leader, "precious");
    cluster.run(milliseconds(500));
    cluster.wipe(wiped, {900});
    bool voter_before_it_has_all = false;
    for (int i = 0; i < 5000; ++i) {
        cluster.run(milliseconds(1));
        const Member* const member = cluster.core(leader).membership().find({wiped});
        const bool votes =
            member != nullptr && member->instance == Instance{900} && member->votes();
        const bool behind = cluster.core(wiped).log().last_index() < Index{2};
        voter_before_it_has_all = voter_before_it_has_all || (votes && behind);
    }
    CHECK_FALSE(voter_before_it_has_all);
    CHECK(cluster.seen(EventKind::other_instance) >= 1);
    CHECK(cluster.seen(EventKind::unrecognized) >= 1);
    CHECK(cluster.known(leader, wiped) == Instance{900});
    CHECK(cluster.core(leader).membership().find({wiped})->standing == Standing::voter);
    CHECK(cluster.serves(leader));
    CHECK(cluster.failure == "");
}

TEST_CASE("the votes and acknowledgements of a wiped node count for nobody") {
    Instances cluster(3);
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t wiped = leader == 3 ? 2 : 3;
    const std::uint64_t behind = 6 - leader - wiped;
    cluster.run(milliseconds(1000));
    // What is precious is on the leader and on the one that loses it.
    cluster.crash(behind);
    const ProposalOutcome precious = cluster.propose(leader, "precious");
    cluster.run(milliseconds(300));
    REQUIRE(cluster.core(leader).log().commit() >= precious.position.index);
    cluster.crash(leader);
    cluster.wipe(wiped, {900});
    cluster.restart(behind);
    cluster.run(milliseconds(20000));
    CHECK(cluster.leader() == 0);
    cluster.restart(leader);
    cluster.run(milliseconds(10000));
    REQUIRE(cluster.leader() == leader);
    CHECK(cluster.serves(leader));
    CHECK(cluster.failure == "");
}

// ---- a vote that was lost --------------------------------------------------------------------

struct Replaced : Instances {
    Replaced() : Instances(3) {
        elect(1);
        run(milliseconds(2000));
        REQUIRE(leader() == 1);
        replace(3, {903});
    }
    /// Until the leader has it among those who do not vote.
    void await_end_of_vote() {
        run_until([this] { return !member(1, 3).votes(); }, milliseconds(5000));
        REQUIRE_FALSE(member(1, 3).votes());
    }
    void check_that_it_votes() {
        run(milliseconds(60000));
        CHECK(votes(3, {903}));
        CHECK(failure == "");
    }
};

TEST_CASE("a wiped node votes again, however long it takes to catch up") {
    Replaced cluster;
    cluster.lost = [](const Message& message) {
        const auto* const append = std::get_if<AppendRequest>(&message.body);
        return message.to.value == 3 && append != nullptr && !append->entries.empty();
    };
    cluster.run(milliseconds(60000));
    CHECK_FALSE(cluster.votes(3, {903}));
    cluster.lost = nullptr;
    cluster.check_that_it_votes();
}

TEST_CASE("a wiped node votes again under a leader of whom nobody asks anything") {
    Options options = ordinary();
    options.barrier_on_election = false;
    Instances cluster(3, 0, options);
    cluster.elect(1);
    cluster.propose(1, "x");
    cluster.run(milliseconds(2000));
    REQUIRE(cluster.known(1, 3) == Instance{103});
    cluster.crash(3);
    cluster.step(1, HandOver{7, {2}, milliseconds(500)});
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.leader() == 2);
    cluster.replace(3, {903});
    cluster.run(milliseconds(10000));
    CHECK(cluster.votes(3, {903}));
}

TEST_CASE("a wiped node votes again although leadership is handed over meanwhile") {
    Replaced cluster;
    cluster.await_end_of_vote();
    cluster.step(1, HandOver{7, {2}, milliseconds(500)});
    cluster.run(milliseconds(1000));
    CHECK(cluster.leader() == 2);
    cluster.check_that_it_votes();
}

TEST_CASE("a wiped node votes again although the leader dies when it has ended the former's vote") {
    Replaced cluster;
    cluster.lost = [&](const Message& message) {
        return message.from.value == 2 && !cluster.member(2, 3).votes();
    };
    cluster.run_until([&] { return !cluster.member(2, 3).votes(); }, milliseconds(5000));
    cluster.persist(2);
    cluster.crash(1);
    cluster.lost = nullptr;
    cluster.restart(1);
    cluster.check_that_it_votes();
}

TEST_CASE("a cancelled replacement under the same id does not cost a voter") {
    Replaced cluster;
    cluster.crash(3);
    Membership target = of({1, 2, 3});
    target.put({{3}, Standing::voter, {903}, {}});
    const Token token = cluster.ask(1, target);
    cluster.run(milliseconds(2000));
    cluster.step(1, CancelChange{token});
    cluster.run(milliseconds(2000));
    CHECK(cluster.result(token) == ChangeResult::cancelled);
    cluster.restart(3);
    cluster.check_that_it_votes();
}

TEST_CASE("what is asked for goes before what a leader does by itself") {
    Instances cluster(3, 1);
    cluster.elect(1);
    cluster.run(milliseconds(2000));
    cluster.replace(3, {903});
    cluster.run(milliseconds(500));
    cluster.crash(3);
    cluster.run(milliseconds(1000));
    CHECK(cluster.change(1, of({1, 2, 4})) == ChangeResult::done);
    CHECK(cluster.failure == "");
}

// ---- who is another --------------------------------------------------------------------------

/// A message of node 3, or to it, is on its way for longer than the node has its storage.
struct Outlived : Instances {
    template <class Predicate>
    explicit Outlived(Predicate is_it) : Instances(3) {
        elect(1);
        run(milliseconds(2000));
        bool held = false;
        lost = [&](const Message& message) {
            const bool first = !held && is_it(message);
            if (first) late = message;
            held = held || first;
            return first;
        };
        run(milliseconds(300));
        lost = nullptr;
        REQUIRE(held);
        replace(3, {903});
        run(milliseconds(20000));
        REQUIRE(votes(3, {903}));
    }
    Message late;
};

TEST_CASE("one late answer of a former instance does not cost the present one its vote") {
    Outlived cluster([](const Message& message) {
        return message.from.value == 3 && std::holds_alternative<AppendReply>(message.body);
    });
    const Index before = cluster.core(1).log().last_index();
    // In the step of a heartbeat.
    cluster.now = cluster.core(1).deadline();
    cluster.step(1, std::vector<Input>{cluster.late});
    cluster.run(milliseconds(5000));
    CHECK(cluster.votes(3, {903}));
    CHECK(cluster.core(1).log().last_index() == before);
    CHECK(cluster.failure == "");
}

TEST_CASE("a node that falls silent when it has been noted is not taken for another one") {
    Instances cluster(3);
    cluster.elect(1);
    bool silent = false;
    cluster.lost = [&](const Message& message) {
        return silent && (message.from.value == 3 || message.to.value == 3);
    };
    for (int i = 0; i < 5000 && !cluster.known(1, 3); ++i) {
        for (const Progress& follower : cluster.core(1).followers()) {
            silent = silent || (follower.node.value == 3 && follower.claimed);
        }
        cluster.run(milliseconds(1));
    }
    cluster.run(milliseconds(1000));
    for (const Progress& follower : cluster.core(1).followers()) CHECK(!follower.is_another());
    cluster.replace(3, {903});
    silent = false;
    cluster.run(milliseconds(5000));
    CHECK(cluster.votes(3, {903}));
}

TEST_CASE("one that leaves before anybody knows which instance it is hears of it from the leader") {
    Instances cluster(3);
    cluster.lost = [](const Message& message) { return message.from.value == 3; };
    cluster.elect(1);
    cluster.run(milliseconds(300));
    REQUIRE(cluster.known(1, 3) == Instance{});
    REQUIRE(cluster.change(1, of({1, 2})) == ChangeResult::done);
    cluster.lost = nullptr;
    const Term before = cluster.core(1).term();
    cluster.run(milliseconds(2000));
    CHECK(cluster.core(3).membership() == cluster.core(1).membership());
    CHECK(cluster.core(1).term() == before);
    CHECK(cluster.failure == "");
}

TEST_CASE("one that is not recognized leads no more, and stands no more") {
    Instances cluster(1, 2);
    cluster.elect(1);
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.change(1, of({1, 2, 3})) == ChangeResult::done);
    cluster.run(milliseconds(1000));
    cluster.step(1, HandOver{7, {2}, milliseconds(500)});
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.leader() == 2);
    cluster.cut_off(1);
    cluster.wipe(1, {901});  // and founded anew: it has a majority of its own foundation
    cluster.run_until([&] { return cluster.core(1).role() == Role::leader; }, milliseconds(5000));
    cluster.lost = nullptr;
    for (int i = 0; i < 400; ++i) {
        cluster.run(milliseconds(1));
        const bool recognized = !cluster.core(1).configuration().is_unrecognized();
        CHECK((recognized || cluster.core(1).role() == Role::follower));
    }
    CHECK(cluster.seen(EventKind::unrecognized) >= 1);
}

struct Noted : Instances {
    Noted() : Instances(3) {
        elect(1);
        run(milliseconds(1000));
        REQUIRE(known(1, 1) == Instance{101});
    }
    /// To the leader, from one for whom its id is borne by another instance.
    void say(Message::Body body) {
        step(1, std::vector<Input>{Message{{3}, {1}, std::move(body), {103}, {999}}});
    }
    bool is_recognized() { return !core(1).configuration().is_unrecognized(); }
};

TEST_CASE("what an outdated node says about who a node is counts for nothing") {
    Noted cluster;
    const Term term = cluster.core(1).term();
    cluster.say(VoteRequest{{term.value + 1}, true, {}});
    cluster.say(VoteRequest{{term.value + 1}, false, {Index{1}, term}});
    cluster.say(AppendRequest{{term.value - 1}, {}, {}, 0, {}});
    CHECK(cluster.is_recognized());
    CHECK(cluster.core(1).role() == Role::leader);
    CHECK(cluster.core(1).configuration().is_founder());
    CHECK(cluster.seen(EventKind::unrecognized) == 0);
}

TEST_CASE("one that has the membership says who a node is") {
    Noted cluster;
    cluster.say(
        VoteRequest{{cluster.core(1).term().value + 1}, true, cluster.core(1).log().last()});
    CHECK(!cluster.is_recognized());
    CHECK(cluster.core(1).role() == Role::follower);
    CHECK(cluster.seen(EventKind::unrecognized) == 1);
}

TEST_CASE("one late message does not leave a majority without a leader") {
    Outlived cluster([](const Message& message) {
        return message.to.value == 3 && std::holds_alternative<AppendRequest>(message.body);
    });
    // Here is a membership that 2 does not have, whose word is all that there is.
    cluster.cut_off(2);
    Membership target = cluster.core(1).membership();
    target.put({{2}, Standing::voter, {102}, "elsewhere"});
    REQUIRE(cluster.change(1, target) == ChangeResult::done);
    cluster.crash(1);
    cluster.step(3, std::vector<Input>{cluster.late});
    cluster.lost = nullptr;
    cluster.run(milliseconds(60000));
    CHECK(cluster.leader() == 3);
}

TEST_CASE("one that was removed is told, although all that it knows are other instances by now") {
    Instances cluster(3, 2);
    cluster.elect(1);
    cluster.run(milliseconds(1000));
    cluster.crash(3);
    REQUIRE(cluster.change(1, of({1, 2, 4, 5})) == ChangeResult::done);
    cluster.step(1, HandOver{7, {4}, milliseconds(500)});
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.leader() == 4);
    for (const std::uint64_t id : {1U, 2U}) {
        cluster.replace(id, {900 + id});
        cluster.run(milliseconds(5000));
        REQUIRE(cluster.votes(id, {900 + id}));
    }
    cluster.restart(3);
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(3).configuration().is_excluded());
    CHECK(cluster.core(3).role() == Role::follower);
    CHECK(cluster.leader() == 4);
    CHECK(cluster.failure == "");
}

/// What a membership without instances says of a voter is about a founder, and not about one that
/// has lost what the founder had promised and is in the middle of the log.
TEST_CASE("one that joins does not take the vote of a founder that is not named yet") {
    Options options = ordinary();
    options.max_message_bytes = 1;
    Instances cluster(3, 6, options);
    cluster.crash(3);
    cluster.elect(1);
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.change(1, of({1, 2, 3, 4, 5})) == ChangeResult::done);
    cluster.run(milliseconds(300));
    const Index prefix = cluster.core(4).log().last_index();
    cluster.crash(4);
    cluster.crash(5);
    cluster.restart(3);
    cluster.run(milliseconds(1000));
    REQUIRE(cluster.change(1, of({1, 2, 3, 4, 5, 6, 7, 8, 9})) == ChangeResult::done);
    cluster.propose(1, "precious");
    cluster.run(milliseconds(500));
    cluster.replace(3, {903});
    cluster.lost = [&](const Message& message) {
        const auto* const append = std::get_if<AppendRequest>(&message.body);
        return message.to.value == 3 && append != nullptr && !append->entries.empty() &&
               append->entries.back().index > prefix;
    };
    for (int i = 0; i < 10000 && cluster.core(3).log().last_index() < prefix; ++i) {
        cluster.run(milliseconds(1));
    }
    REQUIRE(cluster.core(3).log().last_index() == prefix);
    const auto apart = [](NodeId node) { return node.value >= 3 && node.value <= 5; };
    cluster.lost = [&](const Message& message) { return apart(message.from) != apart(message.to); };
    cluster.restart(4);
    cluster.restart(5);
    for (int i = 0; i < 100; ++i) {
        cluster.run(milliseconds(100));
        for (const std::uint64_t id : {3U, 4U, 5U}) CHECK(cluster.core(id).role() != Role::leader);
    }
    CHECK(cluster.failure == "");
}

}  // namespace instances_test
