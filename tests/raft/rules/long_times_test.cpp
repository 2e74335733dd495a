// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Days, months and years in which nothing comes: 32 bits of milliseconds hold 24.8 days, or 49.7
// without a sign.
#include "support/core_cluster.hpp"

#include <raft/rules/compaction.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/health.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

namespace long_times_test {

namespace {

using namespace raft;
using namespace raft::test;

constexpr auto day = std::chrono::hours(24);
/// Around the places where such counters run over.
const std::vector<Duration> long_times{day,      24 * day, 25 * day,  37 * day,
                                       49 * day, 50 * day, 100 * day, 3650 * day};

/// Node 1 of three, in term 5, after all this time.
struct Bench {
    explicit Bench(Duration passed) : now(Time{} + passed) {}
    Options options;
    Configuration configuration{voters(3), {}};
    Ballot ballot{Term{5}, {}, {}, false, {}};
    Output out;
    Time now;
    DiskHealth disk;
    Step step{options, NodeId{1}, {}, configuration, ballot, disk, now, out};
};
Reign reign_heard_at(Time contact) {
    Reign reign;
    for (const std::uint64_t id : {2U, 3U}) {
        reign.followers.emplace_back().node = {id};
        reign.followers.back().last_contact = contact;
    }
    return reign;
}

}  // namespace

TEST_CASE("who was heard of long ago is not heard of, however long ago") {
    for (const Duration passed : long_times) {
        Bench bench(passed);
        CHECK_FALSE(hears_from_quorum(bench.step, reign_heard_at(Time{})));
        CHECK(hears_from_quorum(bench.step, reign_heard_at(bench.now)));
        ElectionTimer timer(1);
        timer.leader_heard = Time{};
        CHECK_FALSE(hears_from_leader(bench.step, Office{}, timer));
        timer.leader_heard = bench.now;
        CHECK(hears_from_leader(bench.step, Office{}, timer));
    }
}

TEST_CASE("the log is held for nobody who has been silent, or held it, for so long") {
    for (const Duration passed : long_times) {
        Bench bench(passed);
        Reign silent = reign_heard_at(Time{});
        CHECK(held_for_followers(bench.step, silent, Log{}, Room{}, Index{9}) == Index{9});
        Reign holding = reign_heard_at(bench.now);
        for (Progress& follower : holding.followers) follower.hold = LogHold{Time{}, 0};
        CHECK(held_for_followers(bench.step, holding, Log{}, Room{}, Index{9}) == Index{9});
        Reign present = reign_heard_at(bench.now);
        CHECK(held_for_followers(bench.step, present, Log{}, Room{}, Index{9}) == Index{0});
    }
}

TEST_CASE("a disk that has hung for so long hangs") {
    for (const Duration passed : long_times) {
        Bench bench(passed);
        Log log;
        std::vector<Entry> none;
        log.begin_write({1}, Time{}, none);
        bench.disk.late_since = Time{};
        watch_disk(bench.step, bench.disk, ElectionTimer(1), log);
        CHECK(bench.disk.stalled);
    }
}

TEST_CASE("a node that was stopped for so long hears its peers before it judges") {
    for (const Duration passed : long_times) {
        CoreCluster cluster(3, Options{});
        cluster.elect(1);
        cluster.run(milliseconds(300));
        Core leader = cluster.core(1);
        Core follower = cluster.core(2);
        const Time later = cluster.now + passed;
        const Output woken = leader.step(later, Tick{});
        CHECK(leader.role() == Role::leader);
        CHECK(woken.deadline > later);
        CHECK(woken.deadline <= later + Options{}.election_timeout);
        follower.step(later, Tick{});
        CHECK(follower.role() == Role::follower);
        CHECK(follower.deadline() > later);
        CHECK(follower.deadline() <= later + 2 * Options{}.heartbeat_interval);
    }
}

TEST_CASE("with days between heartbeats a leader serves and is missed as with milliseconds") {
    for (const Duration heartbeat : {Duration(9 * day), Duration(26 * day), Duration(51 * day)}) {
        Options options;
        options.heartbeat_interval = heartbeat;
        options.election_timeout = 3 * heartbeat;
        options.disk_stall_timeout = heartbeat;
        Core core(options, NodeId{1}, voters(3), recovered({Term{5}, {}, {}}), 1, Time{});
        CHECK(core.deadline() >= Time{} + options.election_timeout);
        CHECK(core.deadline() < Time{} + 2 * options.election_timeout);
        core.step(Time{}, message(2, 1, AppendRequest{Term{5}, {}, {}, 0, {}}));
        const Time missed = core.deadline();
        core.step(missed - milliseconds(1), Tick{});
        CHECK(core.role() == Role::follower);
        core.step(missed, Tick{});
        CHECK(core.role() == Role::pre_candidate);
    }
}

}  // namespace long_times_test
