// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "rsm/transport/transport_support.hpp"
#include "support/records.hpp"
#include "support/run_until.hpp"
#include "support/temporary_directory.hpp"

#include <policies/unix_transport.hpp>
#include <raft/protocol/message.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <boost/system/system_error.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace unix_transport_test {

using rsm_test::run_until;
using rsm_test::TemporaryDirectory;
using transport_test::chunk;
using transport_test::heartbeat;
using transport_test::one;
using transport_test::round_of;
using transport_test::two;

namespace {

struct Node {
    Node(boost::asio::io_context& io, raft::NodeId self, const std::string& directory)
        : transport(policies::UnixTransport{self, {one, two}, directory}.open(io.get_executor())) {}
    void start() {
        transport.start([this](raft::Message message) { received.push_back(std::move(message)); });
    }
    policies::RunningUnixTransport transport;
    std::vector<raft::Message> received;
};

struct Pair {
    Pair() {
        a.start();
        b.start();
    }
    TemporaryDirectory directory;
    boost::asio::io_context io;
    Node a{io, one, directory.path()};
    Node b{io, two, directory.path()};
};

}  // namespace

TEST_CASE("unix: messages arrive intact and in order, more of them than a socket holds") {
    Pair pair;
    for (std::uint64_t i = 0; i < 3000; ++i) pair.a.transport.send(heartbeat(one, two, i));
    CHECK(pair.b.received.empty());
    REQUIRE(run_until(pair.io, [&] { return pair.b.received.size() == 3000; }));
    for (std::uint64_t i = 0; i < 3000; ++i) CHECK(round_of(pair.b.received[i]) == i);

    const raft::Message large = chunk(one, two, 5, 120000);
    pair.a.transport.send(large);
    pair.b.transport.send(heartbeat(two, one, 7));
    REQUIRE(run_until(pair.io, [&] { return pair.b.received.size() == 3001; }));
    CHECK(pair.b.received.back() == large);
    REQUIRE(run_until(pair.io, [&] { return pair.a.received.size() == 1; }));
}

TEST_CASE("unix: pieces of snapshots let the others go first, and what is too much is dropped") {
    Pair pair;
    for (std::uint64_t i = 0; i < 100; ++i) pair.a.transport.send(chunk(one, two, i, 100000));
    pair.a.transport.send(chunk(one, two, 0, policies::max_datagram_bytes));
    pair.a.transport.send(heartbeat(one, two, 1));
    const auto is_heartbeat = [](const raft::Message& message) {
        return std::holds_alternative<raft::AppendRequest>(message.body);
    };
    REQUIRE(run_until(
        pair.io, [&] { return !pair.b.received.empty() && is_heartbeat(pair.b.received.back()); }));
    CHECK(pair.b.received.size() < 10);
    // The bound is on bytes that wait: these are what fitted.
    const std::size_t fitting = policies::max_queue_bytes / 100000;
    REQUIRE(run_until(pair.io, [&] { return pair.b.received.size() >= fitting; }));
    pair.a.transport.send(heartbeat(one, two, 2));
    REQUIRE(run_until(pair.io, [&] { return is_heartbeat(pair.b.received.back()); }));
    CHECK(pair.b.received.size() < fitting + 5);
}

TEST_CASE("unix: a peer that comes late, or again, is found by its name") {
    TemporaryDirectory directory;
    boost::asio::io_context io;
    Node a(io, one, directory.path());
    a.start();
    a.transport.send(heartbeat(one, two, 1));  // nobody is there
    for (std::uint64_t round = 2; round < 5; ++round) {
        Node b(io, two, directory.path());
        b.start();
        // The first one after a restart finds the end of the old socket.
        for (int attempt = 0; attempt < 2 && b.received.empty(); ++attempt) {
            a.transport.send(heartbeat(one, two, round));
            io.poll();
        }
        REQUIRE(b.received.size() == 1);
        CHECK(round_of(b.received.front()) == round);
    }
}

TEST_CASE("unix: what is no message, or not from a member to this node, is not delivered") {
    Pair pair;
    using Protocol = boost::asio::local::datagram_protocol;
    Protocol::socket stranger(pair.io, Protocol());
    stranger.connect(Protocol::endpoint(policies::socket_path(pair.directory.path(), two)));
    const auto say = [&](const std::string& bytes) {
        stranger.send(boost::asio::buffer(bytes.data(), bytes.size()));
        pair.io.poll();
    };
    say("");
    say("nonsense");
    say(std::string(policies::max_datagram_bytes + 100, 'x'));
    say(std::string(raft::codec::encode(heartbeat(one, one, 1)).text()));
    say(std::string(raft::codec::encode(heartbeat({9}, two, 1)).text()));
    say(std::string(raft::codec::encode(heartbeat(one, two, 2)).text()));
    REQUIRE(run_until(pair.io, [&] { return !pair.b.received.empty(); }));
    CHECK(pair.b.received.size() == 1);
    CHECK(round_of(pair.b.received[0]) == 2);
}

TEST_CASE("unix: a receiver may stop or destroy its transport, and nothing comes after it") {
    TemporaryDirectory directory;
    boost::asio::io_context io;
    Node a(io, one, directory.path());
    a.start();
    std::unique_ptr<policies::RunningUnixTransport> b(new policies::RunningUnixTransport(
        policies::UnixTransport{two, {one, two}, directory.path()}.open(io.get_executor())));
    int received = 0;
    bool destroys = false;
    SUBCASE("stop") {}
    SUBCASE("destroy") { destroys = true; }
    b->start([&](raft::Message) {
        ++received;
        if (destroys) return b.reset();
        b->stop();
        b->stop();
    });
    for (std::uint64_t i = 0; i < 10; ++i) a.transport.send(heartbeat(one, two, i));
    REQUIRE(run_until(io, [&] { return received == 1; }));
    CHECK_FALSE(std::filesystem::exists(policies::socket_path(directory.path(), two)));
    a.transport.stop();
    a.transport.send(heartbeat(one, two, 11));
    io.restart();
    io.run();
    CHECK(received == 1);
}

TEST_CASE("unix: a plan that cannot be carried out says so, and a dead node's socket is taken") {
    TemporaryDirectory directory;
    boost::asio::io_context io;
    const auto open = [&](const std::string& path) {
        return policies::UnixTransport{one, {one, two}, path}.open(io.get_executor());
    };
    CHECK_THROWS_AS(open(directory.path() + "/" + std::string(200, 'd')), std::invalid_argument);
    CHECK_THROWS_AS(open(directory.path() + "/missing"), boost::system::system_error);
    {
        const auto running = open(directory.path());
        try {
            open(directory.path());
            FAIL("two nodes of one name");
        } catch (const boost::system::system_error& error) {
            CHECK(error.code() == boost::system::errc::address_in_use);
        }
    }
    using Protocol = boost::asio::local::datagram_protocol;
    const std::string path = policies::socket_path(directory.path(), one);
    Protocol::socket(io, Protocol::endpoint(path)).close();  // leaves its file, as a crash does
    REQUIRE(std::filesystem::exists(path));
    const auto running = open(directory.path());
}

}  // namespace unix_transport_test
