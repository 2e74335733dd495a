// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A node whose storage has lost entries that it had acknowledged, and knows it: it does not lead,
// helps nobody to lead who may lack them, and gets them from the others.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace lost_entries_test {

using namespace membership_support;

struct Damaged : Changing {
    explicit Damaged(std::uint64_t founders = 3) : Changing(founders) {
        expected_events = {EventKind::acknowledgement_lost};
        elect(1);
        run(milliseconds(300));
    }
    void propose_ten() {
        for (int i = 0; i < 10; ++i) propose(1, "operation");
        run(milliseconds(1000));
    }
    /// Finds at its restart that the log behind this is damaged.
    void damage(std::uint64_t id, std::uint64_t last) {
        crash(id);
        node(id).durable.lose_after({last});
        restart(id);
    }
    bool is_whole(std::uint64_t id) { return core(id).log().is_whole(); }
};

TEST_CASE("lost entries come from the leader, and then the node has all that it had") {
    Damaged cluster;
    cluster.propose_ten();
    cluster.damage(2, 3);
    CHECK_FALSE(cluster.is_whole(2));
    CHECK(cluster.core(2).log().last_index() == Index{3});
    cluster.run(milliseconds(2000));
    CHECK(cluster.is_whole(2));
    CHECK(cluster.core(2).log().last_index() >= cluster.core(1).log().commit());
    CHECK(cluster.seen(EventKind::log_regained) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries helps nobody to lead who may lack them, over restarts, too") {
    Damaged cluster;
    cluster.cut_off(3);
    cluster.propose_ten();
    const Index committed = cluster.core(1).log().commit();
    REQUIRE(committed >= Index{10});
    cluster.crash(1);
    cluster.damage(2, 1);
    cluster.lost = nullptr;
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 0);
    cluster.crash(2);
    cluster.restart(2);
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 0);
    CHECK_FALSE(cluster.is_whole(2));
    cluster.restart(1);
    CHECK(cluster.run_until([&] { return cluster.is_whole(2); }, milliseconds(10000)));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.serves(1));
    CHECK(cluster.core(3).log().last_index() >= committed);
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries gives the vote that is needed to who has them") {
    Damaged cluster;
    cluster.propose_ten();
    cluster.crash(3);
    cluster.crash(1);
    cluster.damage(2, 0);
    cluster.restart(1);
    CHECK(cluster.run_until([&] { return cluster.serves(1); }, milliseconds(10000)));
    CHECK(cluster.run_until([&] { return cluster.is_whole(2); }, milliseconds(10000)));
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries does not lead, not even when it is asked to") {
    Damaged cluster(1);
    cluster.propose_ten();
    cluster.damage(1, 5);
    cluster.run(milliseconds(20000));
    CHECK(cluster.leader() == 0);
    CHECK(cluster.core(1).term() == cluster.node(1).durable.hard.term);
    CHECK(cluster.failure == "");
}

TEST_CASE("lost entries that nobody else has do not keep the others from going on") {
    Damaged cluster;
    cluster.lost = [](const Message& message) { return message.from.value == 1; };
    for (int i = 0; i < 5; ++i) cluster.propose(1, "nobody hears of it");
    cluster.run(milliseconds(20));
    cluster.damage(1, 1);
    CHECK_FALSE(cluster.is_whole(1));
    cluster.lost = nullptr;
    cluster.run(milliseconds(5000));
    REQUIRE(cluster.leader() != 0);
    CHECK(cluster.leader() != 1);
    CHECK(cluster.serves(cluster.leader()));
    // What is later than they were stands for as much.
    CHECK(cluster.is_whole(1));
    CHECK(cluster.failure == "");
}

}  // namespace lost_entries_test
