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

using CutPair = MemoryPair<rsm_test::CutTransport, rsm_test::CutNetwork>;

}  // namespace

TEST_CASE("cut network: a cut link drops one direction until it is healed") {
    CutPair pair;
    pair.network->cut(one, two);
    pair.a.transport.send(heartbeat(one, two, 1));
    pair.b.transport.send(heartbeat(two, one, 2));
    pair.run();
    CHECK(pair.b.received.empty());
    CHECK(pair.a.received.size() == 1);
    CHECK(pair.network->cut_off() == 1);
    pair.network->heal(one, two);
    pair.a.transport.send(heartbeat(one, two, 3));
    pair.run();
    CHECK(pair.b.received.size() == 1);
}

TEST_CASE("cut network: an isolated node neither sends nor receives until it rejoins") {
    CutPair pair;
    pair.network->isolate(one);
    pair.a.transport.send(heartbeat(one, two, 1));
    pair.b.transport.send(heartbeat(two, one, 2));
    pair.run();
    CHECK(pair.a.received.empty());
    CHECK(pair.b.received.empty());
    pair.network->rejoin(one);
    pair.network->cut(two, one);
    pair.a.transport.send(heartbeat(one, two, 3));
    pair.b.transport.send(heartbeat(two, one, 4));
    pair.run();
    CHECK(pair.a.received.empty());
    CHECK(pair.b.received.size() == 1);
    pair.network->isolate(two);
    pair.network->heal_all();
    pair.b.transport.send(heartbeat(two, one, 5));
    pair.run();
    CHECK(pair.a.received.size() == 1);
}

}  // namespace cut_network_test
