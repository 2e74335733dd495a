// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Single faults of the simulator: that they happen, and that a cluster recovers from them as the
// library's contract says.
#include "sim/run/quiet_cluster.hpp"

#include <rsm-sim/workloads.hpp>

#include <rsm/sim/run/nemesis.hpp>
#include <rsm/sim/run/swarm.hpp>
#include <rsm/sim/simulate.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace faults_test {

namespace {

using namespace rsm::sim;
using namespace std::chrono_literals;
using rsm::sim::Counter;  // of coverage
using sim_test::QuietCluster;

FaultPlan only(Fault kind) {
    FaultPlan plan;
    plan.enabled[static_cast<std::size_t>(kind)] = true;
    plan.every_max = plan.lasts_max = 1ms;
    return plan;
}

/// What the runs on a theme come across, a few of them.
Coverage seen_on(Theme theme, int runs) {
    Coverage seen;
    for (std::uint64_t seed = 1; runs > 0; ++seed) {
        if (draw_plan(seed).theme != theme) continue;
        const RunReport report = simulate<sim_workloads::Counting>(seed);
        CHECK_FALSE(report.violation);
        seen += report.coverage;
        --runs;
    }
    return seen;
}

}  // namespace

TEST_CASE("a follower rejects a snapshot that was damaged on its way, and gets it again") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(1);
    const raft::NodeId behind{cluster.leader().value % 3 + 1};
    quiet.cut(behind, true);
    quiet.add(100);
    quiet.cut(behind, false);
    Nemesis nemesis(cluster, only(Fault::damaged_transfer), 1);
    nemesis.start();
    CHECK(quiet.wait([&] { return cluster.coverage()[Rule::causes] > 0; }));
    CHECK(cluster.coverage()[Counter::damaged_pieces] > 0);
    CHECK(cluster.core(behind).snapshot().last.index.value == 0);
    nemesis.heal();
    CHECK(quiet.all_equal());
    CHECK(cluster.core(behind).snapshot().last.index.value > 0);
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("logs that are damaged at different places heal") {
    const Coverage seen = seen_on(Theme::scattered_damage, 3);
    CHECK(seen[Counter::scattered_damage] > 0);
    CHECK(seen[Counter::healed_logs] > 0);
}

TEST_CASE("a rejection is excused by a damaged piece only where that has arrived") {
    DamagedPieces pieces;
    pieces.arrived({2}, {10});
    CHECK_FALSE(pieces.explains_rejection({3}, {10}));
    CHECK_FALSE(pieces.explains_rejection({2}, {11}));
    CHECK(pieces.explains_rejection({2}, {10}));
    CHECK_FALSE(pieces.explains_rejection({2}, {10}));  // what came after that was good
    CHECK(pieces.explains_report({2}, {10}));
    CHECK_FALSE(pieces.explains_report({3}, {10}));
    pieces.arrived({2}, {10});
    pieces.restarted({2}, {});
    CHECK_FALSE(pieces.explains_rejection({2}, {10}));
    pieces.restarted({3}, {10});  // on whose disk node 2's part is now
    CHECK_FALSE(pieces.explains_rejection({3}, {11}));
    CHECK(pieces.explains_rejection({3}, {10}));
    pieces.restarted({3}, {11});  // of which no piece was damaged
    CHECK_FALSE(pieces.explains_rejection({3}, {11}));
}

TEST_CASE("an operation that throws everywhere is left out when all have stopped at it") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(1);
    cluster.troubles().poison();
    CHECK(quiet.outcome_of_one() == rsm::Errc::interrupted);
    REQUIRE(quiet.wait([&] { return cluster.coverage()[Counter::skipped_operations] >= 2; }));
    REQUIRE(quiet.all_equal());
    quiet.add(1);
    REQUIRE(quiet.all_equal());
    CHECK(cluster.coverage()[Counter::failed_nodes] >= 2);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        const std::vector<raft::Index> skipped = cluster.replica({id}).status().skipped_operations;
        CHECK(skipped.size() == 1);
        CHECK(cluster.replica({id}).machine().operations() == 2);
        CHECK_FALSE(cluster.machines_that_throw().lacks_what_all_lack({id}, skipped, {1000}));
        CHECK(cluster.machines_that_throw().lacks_what_all_lack({id}, {}, {1000}));
    }
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("one node's machine that throws stops that node, and one without memory does not") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(1);
    const raft::NodeId other{cluster.leader().value % 3 + 1};
    Thrown thrown = Thrown::exception;
    SUBCASE("any exception") {}
    SUBCASE("no memory") { thrown = Thrown::no_memory; }
    cluster.troubles().prepare(other, {MachineCall::capture, thrown});
    quiet.add(100);
    REQUIRE(quiet.wait([&] { return cluster.coverage()[Counter::machine_exceptions] == 1; }));
    const bool stops = thrown == Thrown::exception;
    CHECK(cluster.coverage()[Counter::failed_nodes] == (stops ? 1 : 0));
    CHECK(quiet.all_equal());  // the operator has started it again
    CHECK(quiet.wait([&] { return cluster.core(other).snapshot().last.index.value > 0; }));
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("a node that goes on although its machine threw breaks a rule") {
    MachinesThatThrow rule;
    raft::Time now{std::chrono::seconds(1)};
    rule.started({1});
    CHECK_FALSE(rule.stops({1}, now));
    rule.threw({1}, MachineCall::write, false, "ink");
    CHECK_FALSE(rule.stops({1}, now));
    CHECK_FALSE(rule.explains({1}, "something about ink"));
    rule.threw({1}, MachineCall::restore, false, "ink");
    CHECK(rule.stops({1}, now));
    CHECK(rule.explains({1}, "something about ink"));
    CHECK_FALSE(rule.explains({1}, "something else"));
    CHECK_FALSE(rule.explains({2}, "something about ink"));
    rule.poisoned({1}, 7, "poison");
    CHECK(rule.stops({1}, now));
    rule.read({1}, "the state machine threw at the operation of index 30 (poison)");
    CHECK(rule.list() == std::vector<raft::Index>{{30}});
    rule.started({1});
    rule.poisoned({1}, 7, "poison");
    CHECK_FALSE(rule.stops({1}, now));  // it skips the operation
    CHECK_FALSE(rule.explains({1}, "the state machine did not like the poison"));
    rule.threw({1}, MachineCall::capture, false, "ink");
    rule.hears_later({1});
    CHECK_FALSE(rule.stops({1}, now));  // its storage has to tell it
    now += std::chrono::seconds(10);
    CHECK(rule.stops({1}, now));
}

TEST_CASE("a node with an old copy of its disk gets again what it lacks") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(3);
    REQUIRE(quiet.all_equal());
    const raft::NodeId node{cluster.leader().value % 3 + 1};
    cluster.files(node).keep_copy();
    REQUIRE(cluster.files(node).copy() != nullptr);
    const raft::Index copied = cluster.files(node).copy()->last;
    quiet.add(3);
    REQUIRE(quiet.all_equal());
    cluster.fall_back(node);
    cluster.start(node);
    REQUIRE(cluster.running(node));
    CHECK(cluster.core(node).log().last_index() == copied);
    CHECK(quiet.wait([&] { return cluster.coverage()[Counter::lost_acknowledgements] == 1; }));
    quiet.add(1);
    CHECK(quiet.all_equal());
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("a node that is started with another one's disk leaves it as it is") {
    QuietCluster quiet;
    auto& cluster = quiet.cluster;
    quiet.add(3);
    REQUIRE(quiet.all_equal());
    const raft::NodeId one{cluster.leader().value % 3 + 1};
    const raft::NodeId other{one.value % 3 + 1};
    cluster.power_off(one);
    cluster.power_off(other);
    cluster.start_on_foreign_disk(one, other, false);
    cluster.start_on_foreign_disk(other, one, true);
    CHECK(cluster.coverage()[Rule::foreign_disks] == 2);
    CHECK(cluster.state(one) == NodeState::down);
    cluster.start(one);
    cluster.start(other);
    CHECK(quiet.all_equal());
    CHECK_FALSE(cluster.violation());
}

TEST_CASE("members change, disks are lost and leaders hand over beside what is rare") {
    const Coverage changing = seen_on(Theme::member_changes, 8);
    for (const Counter other :
         {Counter::elections, Counter::snapshots_installed, Counter::power_failures,
          Counter::process_kills, Counter::crashes_between_calls, Counter::failed_syncs,
          Counter::inherited_changes}) {
        CHECK_MESSAGE(changing.met(Counter::membership_changes, other) > 0,
                      counter_names[static_cast<std::size_t>(other)]);
    }
    const Coverage losing = seen_on(Theme::lost_disks, 8);
    CHECK(losing.met(Counter::wiped_disks, Counter::membership_changes) > 0);
    CHECK(losing[Counter::old_copies] > 0);
    CHECK(losing[Counter::lost_acknowledgements] > 0);
    CHECK(losing[Counter::exchanged_disks] > 0);
    const Coverage handing = seen_on(Theme::handovers, 8);
    CHECK(handing.met(Counter::handovers, Counter::membership_changes) > 0);
    CHECK(handing.met(Counter::handovers, Counter::snapshots_installed) > 0);
}

TEST_CASE("whatever goes wrong goes wrong with a minority, too") {
    const Coverage seen = seen_on(Theme::minority_faults, 36);
    for (const Counter other :
         {Counter::power_failures, Counter::process_kills, Counter::crashes_between_calls,
          Counter::clean_restarts, Counter::pauses, Counter::clock_jumps, Counter::partitions,
          Counter::clogged_links, Counter::stalled_disks, Counter::full_disks,
          Counter::failed_nodes, Counter::hold_ups, Counter::refused_openings}) {
        CHECK_MESSAGE(seen.met(Counter::minority_faults, other) > 0,
                      counter_names[static_cast<std::size_t>(other)]);
    }
}

TEST_CASE("one leader's disk hangs soon after another's") {
    const Coverage seen = seen_on(Theme::stalling_leaders, 3);
    CHECK(seen.met(Counter::stalled_leaders, Counter::stalled_leaders) > 0);
}

TEST_CASE("disks hang under others than leaders, and full leaders hand over") {
    const Coverage hanging = seen_on(Theme::hanging_disks, 3);
    CHECK(hanging.met(Counter::stalled_disks, Counter::stalled_disks) > 0);
    const Coverage seen = seen_on(Theme::full_leaders, 3);
    CHECK(seen.met(Counter::full_disks, Counter::noticed_full) > 0);
    CHECK(seen.met(Counter::noticed_full, Counter::handed_for_room) > 0);
}

}  // namespace faults_test
