// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What of a state machine outlives its node: snapshots, compaction and restarts.
#include "counters.hpp"

#include <rsm/archive.hpp>
#include <rsm/replicated.hpp>

#include <boost/serialization/vector.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace replicated_snapshot_test {

using namespace std::chrono_literals;
using namespace counter_test;

namespace {

// No snapshot and restore by hand, and apply returns nothing.
struct Journal {
    struct Operation {
        std::string line;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& line;
        }
    };
    void apply(const Operation& operation) { lines.push_back(operation.line); }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lines;
    }
    std::vector<std::string> lines;
};

// Gives an image that is written elsewhere.
struct Frozen {
    struct Operation {
        std::int64_t value = 0;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& value;
        }
    };
    struct Image {
        std::int64_t sum = 0;
        void snapshot(rsm::SnapshotWriter& out) const { out << sum; }
    };
    std::int64_t apply(const Operation& operation) { return sum += operation.value; }
    Image freeze() const { return {sum}; }
    void snapshot(rsm::SnapshotWriter& out) const { out << sum; }
    void restore(rsm::SnapshotReader& in) { in >> sum; }
    std::int64_t sum = 0;
};
static_assert(rsm::Freezes<Frozen> && !rsm::Freezes<Counter>);

}  // namespace

TEST_CASE("all replicas may crash at once and none forgets a completed operation") {
    Counters cluster(3);
    for (int i = 0; i < 20; ++i) add(cluster, 1);
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.crash(id);
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.start(id);
    CHECK(add(cluster, 1) == 21);
    CHECK(all_hold(cluster, 3, 21));
}

TEST_CASE("the log is compacted at the threshold and a restart begins from the snapshot") {
    Counters cluster(3, {.snapshot_threshold = 2000});
    for (int i = 0; i < 300; ++i) {
        add(cluster, 1);
        for (std::uint64_t id = 1; id <= 3; ++id) {
            REQUIRE(cluster.node(id).status().persisted_bytes < 4000);
        }
    }
    const std::uint64_t leader = cluster.leader();
    CHECK(cluster.node(leader).status().snapshot.value > 100);
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.crash(id);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        cluster.start(id);
        CHECK(cluster.node(id).machine().value() > 100);  // before any message
    }
    CHECK(add(cluster, 1) == 301);
    CHECK(all_hold(cluster, 3, 301));
}

TEST_CASE("a negative threshold never takes a snapshot") {
    Counters cluster(1, {.snapshot_threshold = -1});
    for (int i = 0; i < 200; ++i) add(cluster, 1);
    CHECK(cluster.node(1).status().snapshot.value == 0);
    CHECK(cluster.node(1).status().persisted_bytes > 200 * 30);
}

TEST_CASE("a replica that missed what was compacted catches up through a snapshot") {
    Counters cluster(3, {.snapshot_threshold = 2000, .raft = {.max_hold_bytes = 0}});
    add(cluster, 1);
    const std::uint64_t behind = other(cluster.leader());
    cluster.network().isolate({behind});
    for (int i = 0; i < 300; ++i) add(cluster, 1);
    CHECK(cluster.node(behind).machine().value() <= 1);
    cluster.network().rejoin({behind});
    CHECK(all_hold(cluster, 3, 301));
    CHECK(cluster.node(behind).status().snapshot.value > 100);
    // What it installed survives its own crash.
    cluster.crash(behind);
    cluster.start(behind);
    CHECK(cluster.node(behind).machine().value() > 100);
    CHECK(all_hold(cluster, 3, 301));
}

TEST_CASE("an operation whose place a snapshot took has an unknown outcome") {
    Counters cluster(3, {.snapshot_threshold = 2000, .raft = {.max_hold_bytes = 0}});
    add(cluster, 1);
    const std::uint64_t old_leader = cluster.leader();
    for (std::uint64_t id = 1; id <= 3; ++id) {
        if (id != old_leader) cluster.network().cut({id}, {old_leader});
    }
    const auto pending =
        submit(cluster, old_leader, 1000);  // reaches the others, not their answers
    cluster.settle();
    cluster.network().isolate({old_leader});
    const bool elected =
        cluster.run_until([&] { return cluster.leader() != 0 && cluster.leader() != old_leader; });
    REQUIRE(elected);
    for (int i = 0; i < 300; ++i) add(cluster, 1);
    cluster.network().heal_all();
    CHECK(cluster.run_until([&] { return pending->has_value(); }, 25s));
    CHECK((*pending)->error == rsm::Errc::result_lost);
    CHECK(rsm::outcome((*pending)->error) == rsm::Outcome::unknown);
    CHECK(all_hold(cluster, 3, 1301));
}

TEST_CASE("a machine that only serializes is snapshotted and restored as a whole") {
    rsm_test::VirtualCluster<Journal> cluster(1, {.snapshot_threshold = 1000});
    cluster.elect();
    for (int i = 0; i < 100; ++i) {
        bool done = false;
        cluster.node(1).async_submit({"line " + std::to_string(i)},
                                     [&](Error error) { done = !error; });
        REQUIRE(cluster.run_until([&] { return done; }));
    }
    CHECK(cluster.node(1).status().snapshot.value > 0);
    cluster.crash(1);
    cluster.start(1);
    cluster.elect();
    CHECK(cluster.run_until([&] { return cluster.node(1).machine().lines.size() == 100; }));
    CHECK(cluster.node(1).machine().lines[99] == "line 99");
}

TEST_CASE("a machine that freezes is restored from the image that it gave") {
    rsm_test::VirtualCluster<Frozen> cluster(1, {.snapshot_threshold = 1000});
    cluster.elect();
    for (int i = 0; i < 100; ++i) {
        bool done = false;
        cluster.node(1).async_submit({1}, [&](Error error, std::int64_t) { done = !error; });
        REQUIRE(cluster.run_until([&] { return done; }));
    }
    CHECK(cluster.node(1).status().snapshot.value > 0);
    cluster.crash(1);
    cluster.start(1);
    CHECK(cluster.node(1).machine().sum > 0);
    CHECK(cluster.run_until([&] { return cluster.node(1).machine().sum == 100; }));
}

}  // namespace replicated_snapshot_test
