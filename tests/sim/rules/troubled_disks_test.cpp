// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rule about disks that hang or are full, held against nodes that do not keep it.
#include "support/core_cluster.hpp"

#include <raft/core.hpp>
#include <rsm/sim/rules/look.hpp>
#include <rsm/sim/rules/troubled_disks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace troubled_disks_test {

using namespace raft;
using namespace raft::test;
using rsm::sim::Broken;
using rsm::sim::look;
using rsm::sim::TroubledDisks;
using std::chrono::seconds;

namespace {

std::string said(const Broken& broken) { return broken ? broken->where : std::string(); }

/// Node 1 of three leads. The nodes wait for disks for an hour; the rule expects a tenth of a
/// second.
struct Bench {
    Bench() : cluster(3, patient()), rule(3, impatient()) {
        cluster.elect(1);
        cluster.run(seconds(10));
        REQUIRE(cluster.leader() == 1);
    }
    static Options patient() {
        Options options;
        options.disk_stall_timeout = std::chrono::hours(1);
        return options;
    }
    static Options impatient() {
        Options options;
        options.disk_stall_timeout = milliseconds(100);
        return options;
    }
    /// The disk of node 2 hangs, and the rule has seen it hang for so long.
    void hang(Duration lasts) {
        cluster.node(2).disk_stalled = true;
        cluster.propose(1, "stuck at 2");
        for (const Time end = cluster.now + lasts; cluster.now < end;) {
            cluster.run(milliseconds(100));
            rule.spoke(cluster.core(2), cluster.now);
        }
    }
    void hear(std::uint64_t from, bool stalled, bool full) {
        AppendReply reply;
        reply.term = cluster.core(1).term();
        reply.disk_stalled = stalled;
        reply.disk_full = full;
        rule.heard(cluster.core(1), message(from, 1, reply), reply);
    }
    /// What the rule says first while this leader goes on for so long.
    std::string lead(Duration lasts) {
        for (const Time end = cluster.now + lasts; cluster.now < end;) {
            cluster.run(milliseconds(100));
            if (Broken broken = rule.leads(cluster.core(1), cluster.now)) return said(broken);
        }
        return {};
    }
    CoreCluster cluster;
    TroubledDisks rule;
};

VoteRequest request(const Core& voter, const Core& leader) {
    return {{voter.term().value + 1}, false, leader.log().last()};
}

}  // namespace

TEST_CASE(
    "troubled disks: who votes while its disk hangs breaks the rule, before that nobody does") {
    for (const Duration lasts : {milliseconds(300), milliseconds(1200)}) {
        Bench bench;
        bench.hang(lasts);
        Core& core = bench.cluster.core(2);
        const auto before = look(core);
        core.step(bench.cluster.now + seconds(1),
                  message(3, 2, request(core, bench.cluster.core(1))));
        REQUIRE(core.voted_for() == NodeId{3});
        CHECK((said(bench.rule.step(core, before)) == "node 2 votes while its disk hangs") ==
              (lasts > milliseconds(1000)));
    }
}

TEST_CASE("troubled disks: what it did before it hung is no matter, nor what it does after") {
    Bench bench;
    bench.hang(seconds(2));
    Core& core = bench.cluster.core(2);
    CHECK_FALSE(bench.rule.step(core, look(core)));
    bench.cluster.node(2).disk_stalled = false;
    bench.cluster.settle();
    const auto before = look(core);
    core.step(bench.cluster.now + seconds(1), message(3, 2, request(core, bench.cluster.core(1))));
    REQUIRE(core.voted_for() == NodeId{3});
    CHECK_FALSE(bench.rule.step(core, before));
}

TEST_CASE("troubled disks: who stands while its disk hangs breaks the rule") {
    Bench bench;
    bench.hang(seconds(2));
    Core& core = bench.cluster.core(2);
    const auto before = look(core);
    core.step(core.deadline(), Tick{});
    REQUIRE(core.role() == Role::pre_candidate);
    CHECK(said(bench.rule.step(core, before)) == "node 2 stands for election while its disk hangs");
}

TEST_CASE("troubled disks: who has said that its disk hangs is not asked to lead") {
    Bench bench;
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), {2}));
    bench.hear(2, true, false);
    CHECK(said(bench.rule.asked(bench.cluster.core(1), {2})) ==
          "node 1 asks one to lead that has said that its disk hangs");
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), {3}));
    bench.hear(2, false, false);
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), {2}));
    // What it has heard as leader of an earlier term was of then.
    bench.hear(2, true, false);
    const Term before = bench.cluster.core(1).term();
    bench.cluster.crash(1);
    bench.cluster.restart(1);
    bench.cluster.elect(1);
    REQUIRE(bench.cluster.core(1).role() == Role::leader);
    REQUIRE(bench.cluster.core(1).term() > before);
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), {2}));
    bench.hear(3, true, false);
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), {2}));
}

TEST_CASE("troubled disks: a leader without room that stays where another one has some") {
    Bench bench;
    // It does not hear of its handover: the rule looks at a leader that was told nothing of room.
    bench.cluster.lost = [](const Message& m) {
        return std::holds_alternative<TimeoutNow>(m.body);
    };
    CHECK(bench.lead(seconds(10)).empty());
    bench.cluster.step(1, StorageRoom{true});
    // It hands over at once, as it should.
    CHECK(bench.lead(seconds(10)).empty());
    TroubledDisks other(3, Bench::impatient());
    std::string found;
    for (int i = 0; i < 200 && found.empty(); ++i) {
        bench.cluster.run(milliseconds(100));
        // Between two of its handovers it looks like one that never hands over.
        if (bench.cluster.core(1).handover() != nullptr) continue;
        found = said(other.leads(bench.cluster.core(1), bench.cluster.now));
    }
    CHECK(found == "node 1 leads without room, although another one has some");
}

TEST_CASE("troubled disks: a leader without room stays where none could be elected without it") {
    Bench bench;
    bench.cluster.crash(3);
    CHECK(bench.lead(seconds(2)).empty());
    bench.cluster.step(1, StorageRoom{true});
    CHECK(bench.lead(seconds(20)).empty());
    CHECK(bench.cluster.leader() == 1);
}

TEST_CASE("troubled disks: nobody hands over by itself to one that is full as well") {
    Bench bench;
    bench.cluster.lost = [](const Message& m) {
        return std::holds_alternative<TimeoutNow>(m.body);
    };
    bench.cluster.step(1, StorageRoom{true});
    bench.cluster.run_until([&] { return bench.cluster.core(1).handover() != nullptr; },
                            seconds(10));
    REQUIRE(bench.cluster.core(1).handover() != nullptr);
    const NodeId target = bench.cluster.core(1).handover()->target;
    CHECK_FALSE(bench.rule.asked(bench.cluster.core(1), target));
    bench.hear(target.value, false, true);
    CHECK(said(bench.rule.asked(bench.cluster.core(1), target)) ==
          "node 1 hands over by itself to one that has said that it has no room");
}

}  // namespace troubled_disks_test
