// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Committed entries on their way to the state machine: Raft paper, section 5.3; state machines that
// keep their state themselves.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace application_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 leads three, and its own disk hangs while the others commit what it is given.
CoreCluster ahead_of_its_disk(const Options& options) {
    CoreCluster cluster(3, options);
    cluster.elect(1);
    cluster.run(milliseconds(20));
    cluster.node(1).disk_stalled = true;
    cluster.propose(1, "one");
    cluster.propose(1, "two");
    cluster.run(milliseconds(20));
    const Log& log = cluster.core(1).log();
    REQUIRE(log.commit() == log.last_index());
    REQUIRE(log.durable() == log.last_index() - 2);
    return cluster;
}

/// A log of one term that holds so many entries and a snapshot of the first of them.
Recovered with_snapshot(std::uint64_t snapshot, std::uint64_t last) {
    Recovered found;
    found.hard_state.term = {3};
    found.snapshot.last = {{snapshot}, {3}};
    found.base = found.snapshot.last;
    found.last = {last};
    if (last > snapshot) found.runs = {{{snapshot + 1}, {3}}};
    return found;
}

}  // namespace

TEST_CASE("what is committed is applied, although the node's own disk hangs") {
    CoreCluster cluster = ahead_of_its_disk({});
    CHECK(cluster.core(1).log().applied() == cluster.core(1).log().last_index());
    CHECK(cluster.failure == "");
}

TEST_CASE("with apply_durable_only it is applied when the node has it, too") {
    Options options;
    options.apply_durable_only = true;
    CoreCluster cluster = ahead_of_its_disk(options);
    CHECK(cluster.core(1).log().applied() == cluster.core(1).log().durable());
    const Index last = cluster.core(1).log().last_index();
    SUBCASE("as soon as its disk goes on") {
        cluster.node(1).disk_stalled = false;
        cluster.run(milliseconds(20));
        CHECK(cluster.core(1).log().applied() == last);
    }
    SUBCASE("and a read waits for it") {
        const Token token = cluster.read(1);
        cluster.run(milliseconds(20));
        CHECK(!cluster.outcome_of(token));
        cluster.node(1).disk_stalled = false;
        cluster.run(milliseconds(20));
        CHECK(cluster.outcome_of(token).has_value());
    }
    CHECK(cluster.failure == "");
}

TEST_CASE("with apply_durable_only nothing that was read back is applied before it is durable") {
    Options options;
    options.apply_durable_only = true;
    options.log_cache_bytes = 0;
    CoreCluster cluster = ahead_of_its_disk(options);
    CHECK(cluster.core(1).log().applied() == cluster.core(1).log().durable());
    cluster.node(1).disk_stalled = false;
    cluster.run(milliseconds(20));
    CHECK(cluster.core(1).log().applied() == cluster.core(1).log().last_index());
    CHECK(cluster.failure == "");
}

TEST_CASE("a log begins behind what the state machine has by its own account") {
    Recovered found = with_snapshot(5, 20);
    found.applied = {12};
    const Log log(found, {});
    CHECK(log.applied() == Index{12});
    CHECK(log.handed() == Index{12});
    CHECK(log.commit() == Index{12});  // for nothing else is applied
}

TEST_CASE("a log that lacks what the state machine has ends where it ends") {
    Recovered found = with_snapshot(5, 20);
    found.promised = {{40}, {3}};
    found.applied = {30};
    const Log log(found, {});
    CHECK(log.applied() == Index{20});
    CHECK(log.commit() == Index{20});
}

TEST_CASE("a log begins behind its snapshot where the state machine has less than that") {
    Recovered found = with_snapshot(5, 20);
    found.applied = {3};
    const Log log(found, {});
    CHECK(log.applied() == Index{5});
    CHECK(log.handed() == Index{5});
}

}  // namespace application_test
