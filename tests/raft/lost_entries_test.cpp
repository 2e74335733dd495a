// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A disk that has lost what its node acknowledged: the leader notices, and counts it no longer.
#include "adversity_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <variant>
#include <vector>

namespace lost_entries_test {

namespace {

using namespace raft;
using namespace raft::test;

}  // namespace

TEST_CASE(
    "entries that a follower has lost after it acknowledged them are noticed and sent again") {
    std::size_t lost = 2;
    SUBCASE("the last two") {}
    SUBCASE("all of them") { lost = 11; }
    CoreCluster cluster = led(3);
    for (int i = 0; i < 10; ++i) {
        cluster.propose(1, "operation");
        cluster.run(milliseconds(20));
    }
    cluster.expected_events = {EventKind::acknowledgement_lost};
    cluster.crash(3);
    std::vector<Entry>& log = cluster.node(3).durable.log;
    REQUIRE(log.size() == 11);
    log.resize(log.size() - lost);
    cluster.restart(3);
    cluster.events.clear();
    cluster.run(milliseconds(500));
    CHECK(cluster.seen(EventKind::acknowledgement_lost) == 1);
    CHECK(cluster.core(3).log().durable() == cluster.core(1).log().last_index());
    CHECK(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    // It counts again: the third node is not needed.
    cluster.crash(2);
    cluster.propose(1, "with one node down");
    cluster.run(milliseconds(200));
    CHECK(cluster.core(1).log().commit() == cluster.core(1).log().last_index());
    CHECK(cluster.failure == "");
}

TEST_CASE("what was acknowledged before a loss does not count after it, however late it comes") {
    CoreCluster cluster = led(3);
    std::vector<Message> acknowledgements;
    cluster.lost = [&](const Message& m) {
        const auto* reply = std::get_if<AppendReply>(&m.body);
        if (reply != nullptr && m.from == NodeId{3}) acknowledgements.push_back(m);
        return false;
    };
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(200));
    REQUIRE(view_of(cluster, 3).match == Index{11});
    cluster.expected_events = {EventKind::acknowledgement_lost};
    cluster.crash(3);
    cluster.node(3).durable.log.resize(5);
    cluster.restart(3);
    // It learns of the loss, but the entries do not get there.
    cluster.lost = [&](const Message& m) {
        const auto* request = std::get_if<AppendRequest>(&m.body);
        return request != nullptr && m.to == NodeId{3} && !request->entries.empty();
    };
    cluster.run(milliseconds(500));
    REQUIRE(view_of(cluster, 3).match == Index{5});
    for (const Message& old : acknowledgements) cluster.step(1, old);
    CHECK(view_of(cluster, 3).match == Index{5});
    cluster.lost = nullptr;
    cluster.run(milliseconds(500));
    CHECK(view_of(cluster, 3).match >= Index{11});
}

TEST_CASE("a refusal of what was acknowledged while the doubt was asked about is no loss") {
    CoreCluster cluster = led(3);
    const Term term = cluster.core(1).term();
    for (int i = 0; i < 3; ++i) cluster.propose(1, "operation");
    cluster.settle();
    REQUIRE(view_of(cluster, 2).match == Index{4});
    cluster.step(1, message(2, 1, AppendReply{term, false, Index{3}, {Index{2}, term}, 0}));
    cluster.propose(1, "operation");
    cluster.settle();
    cluster.step(1, message(2, 1, AppendReply{term, false, Index{5}, {Index{4}, term}, 1}));
    CHECK(cluster.seen(EventKind::acknowledgement_lost) == 0);
    CHECK(view_of(cluster, 2).match == Index{5});
}

TEST_CASE("a refusal that comes late, however often, is not taken for a loss") {
    CoreCluster cluster = led(3);
    cluster.crash(3);
    for (int i = 0; i < 10; ++i) cluster.propose(1, "operation");
    cluster.settle();
    cluster.restart(3);
    std::vector<Message> refusals;
    cluster.lost = [&](const Message& m) {
        const auto* reply = std::get_if<AppendReply>(&m.body);
        if (reply != nullptr && !reply->accepted) refusals.push_back(m);
        return false;
    };
    cluster.run(milliseconds(500));
    REQUIRE(!refusals.empty());
    REQUIRE(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    cluster.events.clear();
    const std::size_t before = cluster.messages;
    for (int i = 0; i < 20; ++i) {
        for (const Message& refusal : refusals) cluster.step(1, refusal);
        cluster.settle();
    }
    CHECK(cluster.events.empty());
    CHECK(view_of(cluster, 3).match == cluster.core(1).log().last_index());
    CHECK(cluster.messages - before <= 20 * refusals.size() * 4);
    CHECK(cluster.failure == "");
}

}  // namespace lost_entries_test
