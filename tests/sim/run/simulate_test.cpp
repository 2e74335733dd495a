// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulator itself: that a seed is a run, that the runs reach what they are meant for, and that
// each oracle speaks when its rule is broken.
#include "sim/run/quiet_cluster.hpp"

#include <rsm-sim/workloads.hpp>

#include <rsm/sim/simulate.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simulate_test {

namespace {

using namespace rsm::sim;
using namespace sim_workloads;
using sim_test::QuietCluster;

RunReport run(std::uint64_t seed, Tracing tracing = Tracing::off) {
    return simulate_any<KvPuts, KvMixed, Counting, Transfers>(seed, tracing);
}

}  // namespace

TEST_CASE("a leader whose snapshot has rotted takes a new one for the follower that needs it") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(1);
    const raft::NodeId leader = cluster.leader();
    const raft::NodeId behind{leader.value % 3 + 1};
    quiet.cut(behind, true);
    quiet.add(100);
    const auto snapshot = [&] { return cluster.core(leader).snapshot().last.index; };
    REQUIRE(snapshot() > cluster.core(behind).log().last_index());
    for (const std::string& path : cluster.disk(leader).paths()) {
        if (!path.ends_with(".snapshot")) continue;
        REQUIRE(cluster.disk(leader).flip(path, cluster.disk(leader).content(path)->size() - 1, 0));
    }
    cluster.disk_history(leader).damaged = true;
    const raft::Index rotten = snapshot();
    quiet.cut(behind, false);
    CHECK(quiet.wait([&] {
        return cluster.core(behind).log().applied() == cluster.core(leader).log().applied();
    }));
    CHECK(snapshot() > rotten);
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("a seed gives the same run twice, traced or not, and another seed another") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const RunReport first = run(seed);
        const RunReport again = run(seed, Tracing::on);
        CHECK(first.digest == again.digest);
        CHECK(first.events == again.events);
        CHECK(first.coverage == again.coverage);
        CHECK(first.trace.records().empty());
        CHECK_FALSE(again.trace.records().empty());
        CHECK(first.digest != run(seed + 1000).digest);
    }
}

TEST_CASE("the runs come across everything that they are meant to") {
    constexpr std::uint64_t runs = 400;
    Coverage seen;
    double simulated = 0;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        const RunReport report = run(seed);
        seen += report.coverage;
        simulated += std::chrono::duration<double>(report.simulated).count();
    }
    CHECK(simulated > runs * 10);
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
        const auto what = static_cast<rsm::sim::Counter>(i);
        const bool unbuilt = what == rsm::sim::Counter::expired_sessions;
        if (unbuilt) {
            CHECK_MESSAGE(seen[what] == 0, counter_names[i]);  // not built yet
        } else {
            CHECK_MESSAGE(seen[what] > 0, counter_names[i]);
        }
    }
    CHECK(seen[rsm::sim::Counter::committed] > 20'000);
    CHECK(seen[rsm::sim::Counter::elections] > 500);
    CHECK(seen[rsm::sim::Counter::snapshots_installed] > 100);
    CHECK(seen[rsm::sim::Counter::truncations] > 20);
}

}  // namespace simulate_test
