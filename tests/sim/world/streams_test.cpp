// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Simulated connections: what a small window and losses cost.
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/sim/world/world.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace streams_test {

namespace {

using namespace rsm::sim;
using namespace std::chrono_literals;

/// Two hosts and a connection, over which the first writes and the second reads.
struct Connection {
    Connection() {
        links.conditions.loss = 20;
        streams.window_bytes = 256;
        const StreamNetwork::Endpoint at(StreamNetwork::address_of({2}), 7000);
        const auto port = streams.listen(at, second);
        port->accept_done = [this](auto, StreamEndPtr end) { far = std::move(end); };
        streams.connect(
            {1}, first, at, [] { return true; },
            [this](auto, StreamEndPtr end) { near = std::move(end); });
        REQUIRE(world.run_until([this] { return near && far; }, world.now() + 100s));
    }

    void write(std::size_t message_bytes) {
        if (to_write == 0) return;
        to_write -= message_bytes;
        streams.async_write(near, std::string(message_bytes, 'x'),
                            [=, this](auto, std::size_t moved) { go_on(message_bytes, moved); });
    }
    void go_on(std::size_t message_bytes, std::size_t moved) {
        if (moved == message_bytes) return write(message_bytes);
        const std::size_t rest = message_bytes - moved;
        streams.async_write(near, std::string(rest, 'x'), [=, this](auto, std::size_t more) {
            go_on(message_bytes, moved + more);
        });
    }
    void read() {
        streams.async_read(far, buffer, [this](auto, std::size_t moved) {
            received += moved;
            read();
        });
    }

    World world;
    Network links{world, 2, 1};
    StreamNetwork streams{world, links, 1};
    Process first{world, [] {}};
    Process second{world, [] {}};
    StreamEndPtr near;
    StreamEndPtr far;
    std::vector<std::byte> buffer = std::vector<std::byte>(4096);
    std::size_t to_write = std::size_t{64} << 10;
    std::size_t received = 0;
};

}  // namespace

TEST_CASE("Streams: a small window does not fall into ever smaller segments") {
    Connection connection;
    const std::size_t all = connection.to_write;
    const raft::Time began = connection.world.now();
    connection.read();
    connection.write(64);
    REQUIRE(connection.world.run_until([&] { return connection.received == all; },
                                       connection.world.now() + 1000s));
    // A thousand messages, a few more segments, one in fifty lost, 200 ms for each.
    CHECK(connection.world.now() - began < 12s);
    CHECK(connection.streams.repeats() < 60);
    connection.world.discard();
}

}  // namespace streams_test
