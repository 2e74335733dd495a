// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a failing run is reduced to, and how that is written and read.
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/shrink.hpp>
#include <rsm/sim/run/swarm.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace shrink_test {

namespace {

using namespace rsm::sim;

std::size_t place(Fault fault) { return static_cast<std::size_t>(fault); }

/// A run of five nodes that breaks a rule, or does not.
RunReport report_of(bool breaks, const std::string& property = "a rule") {
    RunReport report;
    report.nodes = 5;
    report.simulated = std::chrono::seconds(16);
    if (breaks) report.violation = raft::Violation{property, "somewhere", {}};
    return report;
}

}  // namespace

TEST_CASE("shrink: what a violation does not need is left out, and nothing else") {
    const auto needs = [](const Reduction& reduction) {
        const bool phase = reduction.milliseconds == 0 || reduction.milliseconds >= 3000;
        return !reduction.without[place(Fault::pause)] &&
               !reduction.without[place(Fault::bit_rot)] && !reduction.single && phase &&
               (reduction.nodes == 0 || reduction.nodes >= 3);
    };
    Shrinker shrinker([&](const Reduction& reduction) { return report_of(needs(reduction)); },
                      1000);
    const Shrinker::Result result = shrinker.shrink(report_of(true));
    const Reduction& left = result.reduction;
    CHECK(result.report.violation.has_value());
    CHECK(std::count(left.without.begin(), left.without.end(), false) == 2);
    CHECK(needs(left));
    CHECK(left.nodes == 3);
    CHECK(left.clients == 1);
    CHECK(left.calm_network);
    CHECK(left.calm_disks);
    CHECK(left.milliseconds >= 3000);
    CHECK(left.milliseconds < 6000);
    CHECK(result.runs < 300);
}

TEST_CASE("shrink: another rule is not the same violation") {
    Shrinker shrinker([](const Reduction&) { return report_of(true, "another rule"); }, 1000);
    CHECK(shrinker.shrink(report_of(true)).reduction.empty());
}

TEST_CASE("shrink: a violation that comes in one course of several is followed there") {
    Shrinker shrinker(
        [](const Reduction& reduction) { return report_of(reduction.course % 4 == 2); }, 1000);
    const Shrinker::Result result = shrinker.shrink(report_of(true));
    CHECK(result.reduction.course % 4 == 2);
    CHECK(result.reduction.nodes == 1);
}

TEST_CASE("shrink: it ends with the runs that it may spend") {
    std::size_t runs = 0;
    Shrinker shrinker(
        [&](const Reduction&) {
            ++runs;
            return report_of(true);
        },
        7);
    CHECK(shrinker.shrink(report_of(true)).runs == 7);
    CHECK(runs == 7);
}

TEST_CASE("shrink: a reduction is read as it is written") {
    Reduction reduction;
    CHECK(reduction.text().empty());
    CHECK(Reduction::parse("") == reduction);
    reduction.nodes = 3;
    reduction.clients = 2;
    reduction.milliseconds = 4200;
    reduction.course = 9;
    reduction.calm_network = reduction.calm_disks = reduction.single = true;
    reduction.without[place(Fault::partition)] = true;
    reduction.without[place(Fault::short_pause)] = true;
    CHECK(reduction.text() ==
          "nodes=3,clients=2,ms=4200,course=9,calm-network,calm-disks,single,"
          "without=partition+short-pause");
    CHECK(Reduction::parse(reduction.text()) == reduction);
    reduction.without.fill(true);
    CHECK(reduction.text().ends_with(",only="));
    CHECK(Reduction::parse(reduction.text()) == reduction);
    reduction.without[place(Fault::pause)] = false;
    CHECK(reduction.text().ends_with(",only=pause"));
    CHECK(Reduction::parse(reduction.text()) == reduction);
    for (const char* wrong : {"nodes", "nodes=", "nodes=x", "nodes=3x", "without=nothing", "calm",
                              "calm=1", "nodes=99999999999999999999"}) {
        CHECK_FALSE(Reduction::parse(wrong).has_value());
    }
}

TEST_CASE("shrink: a reduction takes from a plan, and never adds to it") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const RunPlan drawn = draw_plan(seed);
        RunPlan plan = drawn;
        Reduction reduction;
        reduction.nodes = 4;
        reduction.clients = 3;
        reduction.milliseconds = 15'000;
        reduction.single = true;
        reduction.without[place(Fault::pause)] = true;
        reduce(plan, reduction);
        CHECK(plan.cluster.nodes == std::min<std::size_t>(drawn.cluster.nodes, 4));
        CHECK(plan.clients.clients == std::min<std::size_t>(drawn.clients.clients, 3));
        CHECK(plan.safety_phase ==
              std::min<raft::Duration>(drawn.safety_phase, std::chrono::milliseconds(15'000)));
        CHECK_FALSE(plan.faults.enabled[place(Fault::pause)]);
        CHECK(plan.clients.pipeline == 1);
    }
}

}  // namespace shrink_test
