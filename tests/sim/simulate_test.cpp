// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulator itself: that a seed is a run, that the runs reach what they are meant for, and that
// each oracle speaks when its rule is broken.
#include <rsm-sim/workloads.hpp>

#include <rsm/sim/simulate.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace rsm::sim;
using namespace sim_workloads;

RunReport run(std::uint64_t seed, Tracing tracing = Tracing::off) {
    return simulate_any<KvPuts, KvMixed, Counting, Transfers>(seed, tracing);
}

}  // namespace

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
    Coverage seen;
    double simulated = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        const RunReport report = run(seed);
        seen += report.coverage;
        simulated += std::chrono::duration<double>(report.simulated).count();
    }
    CHECK(simulated > 150 * 10);
    for (std::size_t i = 0; i < counter_names.size(); ++i) {
        const auto what = static_cast<rsm::sim::Counter>(i);
        if (what >= rsm::sim::Counter::membership_changes) {
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
