// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "transport_support.hpp"

#include <rsm/transport/memory.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace memory_transport_test {

using namespace transport_test;

namespace {

using PlainPair = MemoryPair<rsm::MemoryTransport, rsm::MemoryNetwork>;

}  // namespace

TEST_CASE("memory transport: messages arrive in order, and not from inside send") {
    PlainPair pair;
    const raft::Message large = append(one, two, 0, 10000);
    pair.a.transport.send(large);
    for (std::uint64_t i = 1; i < 100; ++i) pair.a.transport.send(heartbeat(one, two, i));
    CHECK(pair.b.received.empty());
    pair.run();
    REQUIRE(pair.b.received.size() == 100);
    CHECK(pair.b.received[0] == large);
    for (std::uint64_t i = 1; i < 100; ++i) CHECK(round_of(pair.b.received[i]) == i);
    CHECK(pair.a.received.empty());
    CHECK(pair.network->dropped() == 0);
}

TEST_CASE("memory transport: a full mailbox drops, an empty one takes any message") {
    PlainPair pair(1000);
    pair.a.transport.send(append(one, two, 1, 5000));
    pair.a.transport.send(heartbeat(one, two, 2));
    pair.run();
    REQUIRE(pair.b.received.size() == 1);
    CHECK(round_of(pair.b.received[0]) == 1);
    for (std::uint64_t i = 0; i < 100; ++i) pair.a.transport.send(heartbeat(one, two, i));
    pair.run();
    const std::size_t size = raft::codec::encoded_size(heartbeat(one, two, 0));
    CHECK(pair.b.received.size() == 1 + 1000 / size);
    CHECK(pair.network->dropped() == 1 + 100 - 1000 / size);
}

TEST_CASE("memory transport: nothing arrives after stop, not even what was waiting") {
    PlainPair pair;
    pair.a.transport.send(heartbeat(one, two, 1));
    pair.b.transport.stop();
    pair.a.transport.send(heartbeat(one, two, 2));
    pair.b.transport.send(heartbeat(two, one, 3));
    pair.run();
    CHECK(pair.b.received.empty());
    CHECK(pair.a.received.empty());
}

TEST_CASE("memory transport: a receiver that stops its transport gets no further message") {
    PlainPair pair;
    auto third =
        std::make_unique<rsm::RunningMemoryTransport>(pair.io.get_executor(), pair.network, three);
    int received = 0;
    third->start([&](raft::Message) {
        ++received;
        third.reset();
    });
    for (std::uint64_t i = 0; i < 3; ++i) pair.a.transport.send(heartbeat(one, three, i));
    pair.run();
    CHECK(received == 1);
}

TEST_CASE("memory transport: a node that is started anew takes its old self's place") {
    PlainPair pair;
    PlainPair::Node anew(pair.network, pair.io, two);
    pair.b.transport.stop();
    pair.a.transport.send(heartbeat(one, two, 1));
    pair.run();
    CHECK(pair.b.received.empty());
    CHECK(anew.received.size() == 1);
}

TEST_CASE("memory transport: what a receiver owns may send when stop destroys it") {
    PlainPair pair;
    struct LastWords {
        PlainPair::Node* sender;
        explicit LastWords(PlainPair::Node& node) : sender(&node) {}
        LastWords(const LastWords&) = delete;
        LastWords& operator=(const LastWords&) = delete;
        ~LastWords() { sender->transport.send(heartbeat(one, three, 1)); }
    };
    auto third = rsm::MemoryTransport(pair.network, three).open(pair.io.get_executor());
    third.start([words = std::make_shared<LastWords>(pair.a)](const raft::Message&) {});
    third.stop();
    CHECK(pair.network->dropped() == 1);
}

TEST_CASE("memory transport: a receiver that is replaced gets nothing more") {
    PlainPair pair;
    int before = 0;
    int after = 0;
    auto third = rsm::MemoryTransport(pair.network, three).open(pair.io.get_executor());
    third.start([&before](const raft::Message&) { ++before; });
    pair.a.transport.send(heartbeat(one, three, 1));
    third.start([&after](const raft::Message&) { ++after; });
    pair.a.transport.send(heartbeat(one, three, 2));
    pair.run();
    CHECK(before == 0);
    CHECK(after == 1);
}

TEST_CASE("memory transport: nodes on different threads play a long rally") {
    constexpr std::uint64_t rounds = 5000;
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    boost::asio::io_context left;
    boost::asio::io_context right;
    auto stay_left = boost::asio::make_work_guard(left);
    auto stay_right = boost::asio::make_work_guard(right);
    std::uint64_t last = 0;
    {
        auto a = rsm::MemoryTransport(network, one).open(left.get_executor());
        auto b = rsm::MemoryTransport(network, two).open(right.get_executor());
        b.start(
            [&b](raft::Message message) { b.send(heartbeat(two, one, round_of(message) + 1)); });
        a.start([&](raft::Message message) {
            last = round_of(message);
            if (last < rounds) return a.send(heartbeat(one, two, last));
            stay_left.reset();
            stay_right.reset();
        });
        boost::asio::post(left, [&a] { a.send(heartbeat(one, two, 0)); });
        std::thread other([&right] { right.run(); });
        left.run();
        other.join();
    }
    CHECK(last == rounds);
}

}  // namespace memory_transport_test
