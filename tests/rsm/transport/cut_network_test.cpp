// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The links that tests cut are cut.
#include "support/cut_network.hpp"
#include "transport_support.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

namespace cut_network_test {

using namespace transport_test;

namespace {

using Cluster = MemoryPair<rsm_test::CutTransport, rsm_test::CutNetwork>;

}  // namespace

TEST_CASE("cut network: a cut link drops one direction until it is healed") {
    Cluster cluster;
    cluster.network->cut(one, two);
    cluster.a.transport.send(heartbeat(one, two, 1));
    cluster.b.transport.send(heartbeat(two, one, 2));
    cluster.run();
    CHECK(cluster.b.received.empty());
    CHECK(cluster.a.received.size() == 1);
    CHECK(cluster.network->cut_off() == 1);
    cluster.network->heal(one, two);
    cluster.a.transport.send(heartbeat(one, two, 3));
    cluster.run();
    CHECK(cluster.b.received.size() == 1);
}

TEST_CASE("cut network: an isolated node neither sends nor receives until it rejoins") {
    Cluster cluster;
    cluster.network->isolate(one);
    cluster.a.transport.send(heartbeat(one, two, 1));
    cluster.b.transport.send(heartbeat(two, one, 2));
    cluster.run();
    CHECK(cluster.a.received.empty());
    CHECK(cluster.b.received.empty());
    cluster.network->rejoin(one);
    cluster.network->cut(two, one);
    cluster.a.transport.send(heartbeat(one, two, 3));
    cluster.b.transport.send(heartbeat(two, one, 4));
    cluster.run();
    CHECK(cluster.a.received.empty());
    CHECK(cluster.b.received.size() == 1);
    cluster.network->isolate(two);
    cluster.network->heal_all();
    cluster.b.transport.send(heartbeat(two, one, 5));
    cluster.run();
    CHECK(cluster.a.received.size() == 1);
}

}  // namespace cut_network_test
