// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user of Replicated does with the members of a cluster, and with who leads it.
#include "counters.hpp"
#include "support/virtual_cluster.hpp"

#include <rsm/members.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace members_test {

using namespace std::chrono_literals;
using boost::system::error_code;
using counter_test::Counter;
using rsm::Errc;
using rsm::learner;
using rsm::voter;
using Cluster = rsm_test::VirtualCluster<Counter>;

error_code change(Cluster& cluster, std::uint64_t node, rsm::Members members,
                  rsm::ChangeOptions how = {}) {
    std::optional<error_code> ended;
    cluster.node(node).async_change_members(std::move(members), how,
                                            [&](error_code error) { ended = error; });
    CHECK_FALSE(ended);  // never from inside
    cluster.run_until([&] { return ended.has_value(); }, 60s);
    REQUIRE(ended.has_value());
    return *ended;
}
error_code add(Cluster& cluster, std::uint64_t node, std::int64_t amount) {
    std::optional<error_code> ended;
    cluster.node(node).async_submit({amount, {}},
                                    [&](error_code error, std::int64_t) { ended = error; });
    cluster.run_until([&] { return ended.has_value(); }, 60s);
    REQUIRE(ended.has_value());
    return *ended;
}

TEST_CASE("a cluster of one grows to three, whose states are equal") {
    Cluster cluster(1);
    REQUIRE(cluster.elect() == 1);
    CHECK_FALSE(add(cluster, 1, 5));
    cluster.options().birth = rsm::join({voter(1)});
    cluster.add(2);
    cluster.add(3);
    CHECK_FALSE(change(cluster, 1, {voter(1), voter(2), voter(3)}));
    CHECK_FALSE(add(cluster, 1, 2));
    cluster.run_until([&] { return cluster.node(3).machine().value() == 7; });
    CHECK(cluster.node(2).machine().value() == 7);
    CHECK(cluster.node(3).machine().value() == 7);
    const rsm::Status status = cluster.node(2).status();
    CHECK(status.members == rsm::Members{voter(1), voter(2), voter(3)});
    CHECK(status.members_settled);
    CHECK_FALSE(status.changing_members);
    cluster.crash(1);
    cluster.run_until([&] { return cluster.leader() != 0; });
    CHECK_FALSE(add(cluster, cluster.leader(), 1));
}

TEST_CASE("a leader says of whom it doubts that it has what it acknowledged, until it votes anew") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    REQUIRE_FALSE(add(cluster, leader, 1));
    const std::uint64_t other = leader == 1 ? 2 : 1;
    const auto follower = [&] {
        for (const auto& known : cluster.node(leader).status().followers) {
            if (known.node.value == other) return known;
        }
        return rsm::Status::Follower{};
    };
    const auto is_voter = [&] {
        for (const rsm::Member& member : cluster.node(leader).status().members) {
            if (member.id.value == other) return member.standing == raft::Standing::voter;
        }
        return false;
    };
    REQUIRE(cluster.run_until([&] { return follower().match.value == 2; }));
    CHECK_FALSE(follower().doubtful);
    cluster.crash(other);
    cluster.replace_disk(other);
    cluster.start(other);
    REQUIRE(cluster.run_until([&] { return follower().doubtful; }));
    // What comes of the doubt is under way before it is over.
    REQUIRE(cluster.run_until([&] { return !follower().doubtful; }));
    CHECK_FALSE(is_voter());
    CHECK(cluster.run_until(is_voter));
    CHECK_FALSE(follower().doubtful);
}

TEST_CASE("what is refused says why, and changes nothing") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t other = leader == 1 ? 2 : 1;
    const error_code elsewhere = change(cluster, other, {voter(1)});
    CHECK(elsewhere == Errc::not_leader);
    CHECK(rsm::leader_in(elsewhere)->node.value == leader);
    CHECK(change(cluster, leader, {}) == Errc::invalid_members);
    CHECK(change(cluster, leader, {learner(1)}) == Errc::invalid_members);
    CHECK(change(cluster, leader, {voter(1), voter(1)}) == Errc::invalid_members);
    CHECK(rsm::error_class(Errc::invalid_members) == rsm::ErrorClass::misuse);
    cluster.crash(other);
    cluster.run_for(2s);
    CHECK(change(cluster, leader, {voter(leader), voter(other)}) == Errc::unreachable);
    CHECK(cluster.node(leader).status().members.size() == 3);
}

TEST_CASE("a change that newcomers hold up is given up: when it is asked for, and in time") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    const rsm::Members wanted{voter(1), voter(2), voter(3), voter(9)};
    std::optional<error_code> ended;
    std::optional<error_code> second;
    cluster.node(leader).async_change_members(wanted, [&](error_code error) { ended = error; });
    cluster.run_for(3s);
    CHECK_FALSE(ended);
    CHECK(cluster.node(leader).status().changing_members);
    cluster.node(leader).cancel_change();
    cluster.run_until([&] { return ended.has_value(); });
    CHECK(ended == Errc::given_up);
    CHECK(change(cluster, leader, wanted, {.patience = 2s}) == Errc::given_up);
    CHECK(cluster.node(leader).status().members.size() == 3);
    cluster.node(leader).async_change_members(wanted, [&](error_code error) { ended = error; });
    cluster.node(leader).async_change_members(wanted, [&](error_code error) { second = error; });
    cluster.run_for(1s);
    CHECK(second == Errc::busy);
    ended.reset();
    cluster.crash(leader);
    cluster.run_for(1s);
    CHECK(ended == Errc::interrupted);
}

TEST_CASE("a change is given up although another one was refused after it had begun") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    std::optional<error_code> ended;
    cluster.node(leader).async_change_members({voter(1), voter(2), voter(3), voter(9)},
                                              [&](error_code error) { ended = error; });
    cluster.run_for(1s);
    CHECK(change(cluster, leader, {voter(1), voter(2)}) == Errc::busy);
    cluster.node(leader).cancel_change();
    cluster.run_for(3s);
    CHECK(ended == Errc::given_up);
}

TEST_CASE("leadership is handed over, and operations that come meanwhile are sent elsewhere") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t target = leader == 1 ? 2 : 1;
    CHECK_FALSE(add(cluster, leader, 1));
    std::optional<error_code> handed;
    std::optional<error_code> added;
    cluster.node(leader).async_transfer_leadership({target}, 500ms,
                                                   [&](error_code error) { handed = error; });
    cluster.node(leader).async_submit({1, {}},
                                      [&](error_code error, std::int64_t) { added = error; });
    cluster.run_until([&] { return handed.has_value() && added.has_value(); });
    CHECK_FALSE(*handed);
    CHECK(added == Errc::handing_over);
    CHECK(rsm::error_class(*added) == rsm::ErrorClass::retry_elsewhere);
    CHECK(rsm::outcome(*added) == rsm::Outcome::not_committed);
    cluster.run_until([&] { return cluster.leader() == target; });
    CHECK(cluster.leader() == target);
    CHECK_FALSE(add(cluster, target, 1));
}

TEST_CASE("a handover that fails leaves the leader at work") {
    Cluster cluster(3);
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t target = leader == 1 ? 2 : 1;
    cluster.crash(target);
    std::optional<error_code> handed;
    cluster.node(leader).async_transfer_leadership({target}, 300ms,
                                                   [&](error_code error) { handed = error; });
    cluster.run_until([&] { return handed.has_value(); });
    CHECK(handed == Errc::timed_out);
    CHECK_FALSE(add(cluster, leader, 1));
    cluster.node(leader).async_transfer_leadership({77}, 300ms,
                                                   [&](error_code error) { handed = error; });
    handed.reset();
    cluster.run_until([&] { return handed.has_value(); });
    CHECK(handed == Errc::invalid_members);
    // One that is known to be away is not waited for.
    cluster.run_for(2s);
    cluster.node(leader).async_transfer_leadership({target}, 300ms,
                                                   [&](error_code error) { handed = error; });
    handed.reset();
    cluster.run_until([&] { return handed.has_value(); }, 100ms);
    CHECK(handed == Errc::unreachable);
    cluster.node(leader).async_transfer_leadership({leader}, 300ms,
                                                   [&](error_code error) { handed = error; });
    handed.reset();
    cluster.run_until([&] { return handed.has_value(); });
    CHECK_FALSE(*handed);
}

TEST_CASE("what waits at a leader that the others have removed meanwhile does not wait for ever") {
    rsm::Options options;
    options.operation_timeout = 0s;
    options.raft.check_quorum = false;
    Cluster cluster(3, options);
    const std::uint64_t old = cluster.elect();
    CHECK_FALSE(add(cluster, old, 1));
    cluster.network().isolate({old});
    std::optional<error_code> waiting;
    cluster.node(old).async_submit({1, {}},
                                   [&](error_code error, std::int64_t) { waiting = error; });
    cluster.run_until([&] { return cluster.leader() != old; });
    const std::uint64_t leader = cluster.leader();
    REQUIRE(leader != old);
    rsm::Members rest;
    for (std::uint64_t id = 1; id <= 3; ++id) {
        if (id != old) rest.push_back(voter(id));
    }
    CHECK_FALSE(change(cluster, leader, rest, {.forced = true}));
    CHECK_FALSE(waiting);
    cluster.network().rejoin({old});
    cluster.run_until([&] { return waiting.has_value(); });
    REQUIRE(waiting.has_value());
    CHECK(rsm::outcome(*waiting) != rsm::Outcome::committed);
}

TEST_CASE("a node that has stopped changes nothing") {
    Cluster cluster(1);
    REQUIRE(cluster.elect() == 1);
    bool stopped = false;
    cluster.node(1).async_stop([&](error_code) { stopped = true; });
    cluster.run_until([&] { return stopped; });
    CHECK(change(cluster, 1, {voter(1), voter(2)}) == Errc::stopped);
    std::optional<error_code> handed;
    cluster.node(1).async_transfer_leadership({}, 300ms, [&](error_code error) { handed = error; });
    cluster.run_until([&] { return handed.has_value(); });
    CHECK(handed == Errc::stopped);
}

}  // namespace members_test
