// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How long the log becomes before a snapshot is taken.
#include "../counters.hpp"

#include "support/core_cluster.hpp"

#include <rsm/node/compaction.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace compaction_test {

using namespace counter_test;
using rsm::detail::Rank;
using rsm::detail::SnapshotTrigger;

TEST_CASE("by itself the threshold alone counts, however large the last snapshot is") {
    const SnapshotTrigger trigger{1000};
    CHECK(!trigger.grown(999, 0, 50'000, {}));
    CHECK(trigger.grown(1000, 0, 50'000, {}));
    CHECK(!trigger.grown(1299, 300, 0, {}));
    CHECK(trigger.grown(1300, 300, 0, {}));
    CHECK(SnapshotTrigger{0}.grown(0, 0, 50'000, {2, 3}));
    CHECK(!SnapshotTrigger{-1}.grown(~std::uint64_t{0}, 0, 0, {}));
}

TEST_CASE("a log need not be compacted before it is so many times as long as the last snapshot") {
    const SnapshotTrigger trigger{1000, 1.5};
    CHECK(trigger.due_at(0, {}) == 1000);
    CHECK(trigger.due_at(600, {}) == 1000);
    CHECK(trigger.due_at(4000, {}) == 6000);
    CHECK(trigger.due_at(~std::uint64_t{0}, {}) == std::uint64_t{1} << 60);
}

TEST_CASE("members wait for different amounts, and for no more than a quarter more") {
    const SnapshotTrigger trigger{1200};
    std::set<std::uint64_t> amounts;
    for (std::uint64_t place = 0; place < 5; ++place) {
        amounts.insert(trigger.due_at(0, {place, 5}));
    }
    CHECK(amounts == std::set<std::uint64_t>{1200, 1260, 1320, 1380, 1440});
    raft::Membership membership;
    for (const std::uint64_t id : {3U, 5U, 9U}) {
        membership.members.push_back({{id}, raft::Standing::voter, {}, {}});
    }
    CHECK(rsm::detail::rank_of({5}, membership).place == 1);
    CHECK(rsm::detail::rank_of({9}, membership).place == 2);
    CHECK(rsm::detail::rank_of({9}, membership).members == 3);
    CHECK(rsm::detail::rank_of({4}, membership).place == 0);
}

TEST_CASE("nobody waits beyond half of the log's limit") {
    CHECK(SnapshotTrigger{1000, 3, 8000}.due_at(2000, {2, 3}) == 4000);
    CHECK(SnapshotTrigger{1000, 0, 2000}.due_at(0, {2, 3}) == 1000);
    CHECK(SnapshotTrigger{1000, 0, 8000}.due_at(0, {2, 3}) == 1166);
}

TEST_CASE("replicas of equal logs take their snapshots at different indexes") {
    Counters cluster(3, {.snapshot_threshold = 4000});
    const auto newest = [&](std::uint64_t id) { return cluster.node(id).status().snapshot.value; };
    std::vector<std::uint64_t> first(4);
    for (int i = 0; i < 250; ++i) {
        add(cluster, 1);
        cluster.settle();
        for (std::uint64_t id = 1; id <= 3; ++id) {
            if (first[id] == 0) first[id] = newest(id);
            REQUIRE(cluster.node(id).status().persisted_bytes < 6000);
        }
    }
    REQUIRE(first[1] != 0);
    CHECK(first[1] < first[2]);
    CHECK(first[2] < first[3]);
}

TEST_CASE("a state that is larger than the threshold is not written for little of a log") {
    // A counter's snapshot is small, so the threshold is the smaller one.
    const auto snapshots = [](double factor) {
        Counters cluster(1, {.snapshot_threshold = 0, .snapshot_factor = factor});
        std::set<std::uint64_t> seen;
        for (int i = 0; i < 60; ++i) {
            add(cluster, 1);
            cluster.settle();
            seen.insert(cluster.node(1).status().snapshot.value);
        }
        return seen.size();
    };
    CHECK(snapshots(0) >= 59);
    CHECK(snapshots(40) < 45);
}

TEST_CASE("a factor out of its range is refused with its name") {
    rsm::Options options;
    for (const double factor : {-1.0, 1001.0}) {
        options.snapshot_factor = factor;
        const auto valid = options.validate();
        REQUIRE(!valid);
        CHECK(std::string(valid.error().what).find("snapshot_factor") != std::string::npos);
    }
}

TEST_CASE("What lies behind a snapshot does not count until it is applied") {
    const raft::Core core(raft::Options{}, raft::NodeId{1}, raft::test::voters(1),
                          raft::test::recovered({{1}, {}, {}}, raft::test::entries(1, {1, 1, 1})),
                          1, {});
    REQUIRE(core.log().applied() < core.log().last_index());
    const auto due_with = [&core](std::uint64_t behind, std::uint64_t now) {
        rsm::detail::SnapshotSchedule schedule({1000, 0, 0});
        schedule.begun({});
        schedule.saved({1});
        static_cast<void>(schedule.due({}, {1}, behind, core));
        return schedule.due({}, {2}, now, core);
    };
    CHECK_FALSE(due_with(1500, 1500));
    CHECK_FALSE(due_with(1500, 2499));
    CHECK(due_with(1500, 2500));
    CHECK_FALSE(due_with(9000, 9999));
    CHECK(due_with(9000, 10'000));
}

}  // namespace compaction_test
