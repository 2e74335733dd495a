// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "support/core_cluster.hpp"

#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <variant>

namespace deaf_leader_test {

using namespace raft;
using namespace raft::test;
using std::chrono::milliseconds;

namespace {

/// Whether another one than node 1 leads within this time.
bool is_succeeded(CoreCluster& cluster, Duration limit) {
    return cluster.run_until(
        [&cluster] {
            for (std::uint64_t id = 2; id <= 5; ++id) {
                if (cluster.core(id).role() == Role::leader) return true;
            }
            return false;
        },
        limit);
}

}  // namespace

TEST_CASE("a leader that is heard but hears nobody is succeeded without an election timeout more") {
    const Options options;
    CoreCluster cluster(5, options);
    cluster.elect(1);
    cluster.run(milliseconds(50));
    cluster.lost = [](const Message& message) { return message.to.value == 1; };
    CHECK(is_succeeded(cluster, options.election_timeout + 3 * options.heartbeat_interval));
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader that has lost its quorum does not ask one of those whom it still hears") {
    CoreCluster cluster(5, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(50));
    const Term term = cluster.core(1).term();
    const auto here = [](NodeId node) { return node.value <= 2; };
    cluster.lost = [here](const Message& message) {
        return here(message.from) != here(message.to);
    };
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(1).role() != Role::leader);
    CHECK(cluster.core(2).term() == term);  // else it would depose the others' leader later
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader that has lost its quorum asks nobody who has been away for long") {
    CoreCluster cluster(5, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(50));
    cluster.lost = [](const Message& message) {
        return message.to.value == 1 && message.from.value <= 3;
    };
    cluster.run(milliseconds(1500));
    REQUIRE(cluster.core(1).role() == Role::leader);
    std::uint64_t asked = 0;
    cluster.lost = [&asked](const Message& message) {
        if (std::holds_alternative<TimeoutNow>(message.body)) asked = message.to.value;
        return message.to.value == 1;
    };
    CHECK(is_succeeded(cluster, milliseconds(1000)));
    CHECK(asked >= 4);
}

}  // namespace deaf_leader_test
