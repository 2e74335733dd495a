// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// In which version operations and snapshots are written while programs of several versions run.
#include "membership_support.hpp"

#include <raft/core.hpp>
#include <raft/protocol/codec.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <variant>

namespace version_agreement_test {

using namespace membership_support;
using std::chrono::seconds;

namespace {

Options reading(std::uint32_t version) {
    Options options = ordinary();
    options.readable_version = version;
    return options;
}

struct Programs : Changing {
    using Changing::Changing;

    std::uint32_t written(std::uint64_t id) { return core(id).membership().version; }
    bool all_write(std::uint32_t version) {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (up(id) && written(id) != version) return false;
        }
        return true;
    }
    /// Another program begins, with what the one before has left.
    void replace_program(std::uint64_t id, std::uint32_t version) {
        node(id).options.readable_version = version;
        crash(id);
        restart(id);
    }
    std::size_t reports(const Output& output) { return sent<ReadableVersion>(output).size(); }
};

}  // namespace

TEST_CASE("a version is written once every member has said that it reads it") {
    Programs cluster(3, 0, reading(0));
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t first = leader == 1 ? 2 : 1;
    const std::uint64_t second = 6 - leader - first;
    cluster.replace_program(first, 2);
    cluster.replace_program(second, 3);
    cluster.run(seconds(3));
    CHECK(cluster.all_write(0));
    cluster.replace_program(leader, 4);
    cluster.run(seconds(3));
    CHECK(cluster.all_write(2));
    CHECK(cluster.seen(EventKind::version_raised) == 3);
    CHECK(cluster.seen(EventKind::members_changed) == 0);
    cluster.replace_program(first, 5);
    cluster.run(seconds(3));
    CHECK(cluster.all_write(3));
    CHECK(cluster.failure.empty());
}

TEST_CASE("no version is raised while a member is silent, be it a learner") {
    Programs cluster(2, 1, reading(1));
    const std::uint64_t leader = cluster.elected();
    cluster.run(seconds(2));
    CHECK(cluster.all_write(0) == false);
    REQUIRE(cluster.written(leader) == 1);
    REQUIRE(cluster.change(leader, of({1, 2}, {3})) == ChangeResult::done);
    cluster.cut_off(3);
    cluster.replace_program(3 - leader, 2);
    cluster.replace_program(leader, 2);
    cluster.replace_program(3, 2);
    cluster.elected();
    cluster.run(seconds(3));
    CHECK(cluster.written(1) == 1);
    CHECK(cluster.written(2) == 1);
    cluster.lost = {};
    cluster.run(seconds(3));
    CHECK(cluster.all_write(2));
    CHECK(cluster.failure.empty());
}

TEST_CASE("what a member has said is forgotten when it is silent for an election timeout") {
    Programs cluster(3, 0, reading(1));
    cluster.node(3).options.readable_version = 0;
    cluster.replace_program(3, 0);
    const std::uint64_t leader = [&] {
        cluster.elect(1);
        cluster.run(seconds(1));
        return cluster.leader();
    }();
    REQUIRE(leader == 1);
    REQUIRE(cluster.all_write(0));
    // The second has said 1. Its program becomes an older one, which says nothing, and then the
    // third's a newer one.
    cluster.replace_program(2, 0);
    cluster.run(seconds(2));
    cluster.replace_program(3, 1);
    cluster.run(seconds(2));
    CHECK(cluster.all_write(0));
    cluster.replace_program(2, 1);
    cluster.run(seconds(2));
    CHECK(cluster.all_write(1));
}

TEST_CASE("a follower says what it reads once in a heartbeat, to its leader, until it is written") {
    Programs cluster(3, 0, reading(0));
    const std::uint64_t leader = cluster.elected();
    const std::uint64_t follower = leader == 1 ? 2 : 1;
    cluster.replace_program(follower, 1);
    cluster.run(seconds(1));
    Core core = cluster.core(follower);
    const Core& leads = cluster.core(leader);
    AppendRequest request;
    request.term = leads.term();
    request.previous = leads.log().last();
    request.commit = leads.log().commit();
    const Time now = cluster.now + seconds(1);
    const auto hear = [&](std::uint64_t from, Time when) {
        return cluster.reports(core.step(when, Message{{from}, {follower}, request}));
    };
    CHECK(hear(leader, now) == 1);
    CHECK(hear(leader, now) == 0);
    CHECK(hear(leader, now + milliseconds(99)) == 0);
    CHECK(hear(leader, now + milliseconds(100)) == 1);
    request.term = Term{leads.term().value - 1};
    CHECK(hear(6 - leader - follower, now + seconds(1)) == 0);
}

TEST_CASE("a version counts as its sender's only in its term, from a follower, to a leader") {
    Programs cluster(1, 1, reading(1));
    cluster.node(2).options.readable_version = 0;
    cluster.replace_program(2, 0);
    cluster.elect(1);
    cluster.run(seconds(1));
    REQUIRE(cluster.change(1, of({1, 2})) == ChangeResult::done);
    REQUIRE(cluster.written(1) == 1);  // before the other was there
    cluster.node(1).options.readable_version = 7;
    cluster.replace_program(1, 7);
    cluster.elect(1);
    cluster.run(seconds(1));
    const Term term = cluster.core(1).term();
    const auto raises = [&](std::uint64_t from, Term when) {
        Core core = cluster.core(1);
        core.step(cluster.now, Message{{from}, {1}, ReadableVersion{when, 7}});
        return core.membership().version == 7;
    };
    CHECK_FALSE(raises(2, Term{term.value - 1}));
    CHECK_FALSE(raises(3, term));
    CHECK(raises(2, term));
    Core follower = cluster.core(2);
    follower.step(cluster.now, Message{{1}, {2}, ReadableVersion{term, 7}});
    CHECK(follower.membership().version == 1);
}

TEST_CASE("no version is raised before an entry of the leader's own term is committed") {
    Options options = reading(1);
    options.barrier_on_election = false;
    Programs cluster(3, 0, options);
    cluster.elect(1);
    cluster.lost = [](const Message& message) {
        const auto* const reply = std::get_if<AppendReply>(&message.body);
        return reply != nullptr && reply->index.value != 0;
    };
    cluster.run(milliseconds(400));
    CHECK(cluster.written(1) == 0);
    CHECK(cluster.core(1).log().last_index() == Index{1});  // the barrier that it needs
    cluster.lost = {};
    cluster.run(seconds(2));
    CHECK(cluster.all_write(1));
}

TEST_CASE("a version survives changes of members, joint ones too, and what others ask for") {
    Programs cluster(3, 3, reading(2));
    const std::uint64_t leader = cluster.elected();
    cluster.run(seconds(2));
    REQUIRE(cluster.written(leader) == 2);
    REQUIRE(cluster.change(leader, of({4, 5, 6}, {leader})) == ChangeResult::done);
    cluster.run(seconds(2));
    for (std::uint64_t id = 4; id <= 6; ++id) CHECK(cluster.written(id) == 2);
    Membership asked = of({4, 5, 6});
    asked.version = 9;
    REQUIRE(cluster.change(cluster.elected(), asked) == ChangeResult::done);
    cluster.run(seconds(2));
    for (std::uint64_t id = 4; id <= 6; ++id) CHECK(cluster.written(id) == 2);
}

TEST_CASE("a version is raised while newcomers catch up, and not in a joint membership") {
    Programs cluster(3, 1, reading(0));
    const std::uint64_t leader = cluster.elected();
    for (std::uint64_t id = 1; id <= 4; ++id) {
        if (id != leader) cluster.replace_program(id, 1);
    }
    cluster.run(seconds(1));
    REQUIRE(cluster.leader() == leader);
    const Token token = cluster.ask_and_hold(leader, of({1, 2, 3, 4}));
    REQUIRE(cluster.core(leader).membership().joint());
    cluster.lost = {};
    cluster.run(seconds(3));
    CHECK(cluster.result(token) == ChangeResult::done);
    CHECK(cluster.all_write(0));
    cluster.replace_program(leader, 1);
    cluster.elected();
    cluster.run(seconds(3));
    CHECK(cluster.all_write(1));
    CHECK(cluster.failure.empty());
}

TEST_CASE("a version that was not committed falls with the entry that raised it") {
    Programs cluster(3, 0, reading(0));
    cluster.elect(1);
    cluster.run(seconds(1));
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.replace_program(id, 1);
    cluster.elect(1);
    // The entry that raises it reaches nobody.
    cluster.lost = [](const Message& message) {
        const auto* const request = std::get_if<AppendRequest>(&message.body);
        return request != nullptr && std::ranges::any_of(request->entries, [](const Entry& entry) {
                   return entry.kind == EntryKind::membership;
               });
    };
    for (int i = 0; i < 50 && cluster.written(1) == 0; ++i) cluster.run(milliseconds(10));
    REQUIRE(cluster.written(1) == 1);
    cluster.crash(1, 100);
    cluster.lost = {};
    for (std::uint64_t id = 2; id <= 3; ++id) cluster.replace_program(id, 0);
    const std::uint64_t leader = cluster.elected();
    REQUIRE(leader != 1);
    cluster.propose(leader, "x");
    cluster.restart(1);
    cluster.run(seconds(1));
    CHECK(cluster.all_write(0));
    CHECK(cluster.failure.empty());
}

TEST_CASE("a snapshot brings the version as of its index") {
    Programs cluster(3, 0, reading(1));
    const std::uint64_t leader = cluster.elected();
    cluster.run(seconds(2));
    REQUIRE(cluster.all_write(1));
    const std::uint64_t behind = leader == 1 ? 2 : 1;
    cluster.wipe(behind, {});
    cluster.crash(behind);
    cluster.propose(leader, "x");
    cluster.run(milliseconds(200));
    REQUIRE(cluster.take_snapshot(leader));
    cluster.run(milliseconds(200));
    CHECK(cluster.core(leader).snapshot().membership.version == 1);
    cluster.expected_events.push_back(EventKind::acknowledgement_lost);
    cluster.restart(behind);
    REQUIRE(cluster.written(behind) == 0);
    cluster.run(seconds(1));
    CHECK(cluster.written(behind) == 1);
}

TEST_CASE("a membership without a version is written as before there were any") {
    Membership membership = Membership::of_voters({{1}, {2}});
    const Bytes plain = codec::encode(membership);
    membership.version = 0x01020304;
    const Bytes versioned = codec::encode(membership);
    CHECK(versioned.size() == plain.size() + 4);
    CHECK(codec::encoded_size(membership) == versioned.size());
    CHECK(codec::decode_membership(versioned) == membership);
    CHECK(codec::decode_membership(plain) == Membership::of_voters({{1}, {2}}));
    // A version that is said and is none, and one that is missing.
    Buffer zero(versioned.size());
    std::ranges::copy(versioned.view(), zero.data());
    std::fill_n(zero.data() + versioned.size() - 4, 4, std::byte{0});
    CHECK_FALSE(codec::decode_membership(zero.share(0, versioned.size())));
    CHECK_FALSE(codec::decode_membership(versioned.slice(0, plain.size())));
}

TEST_CASE("only those who speak the fifth version of messages are told of readable versions") {
    const Message report{{1}, {2}, ReadableVersion{Term{3}, 4}};
    CHECK_FALSE(codec::is_known_in(4, report));
    CHECK(codec::is_known_in(5, report));
    CHECK(codec::is_known_in(3, Message{{1}, {2}, AppendReply{}}));
}

}  // namespace version_agreement_test
