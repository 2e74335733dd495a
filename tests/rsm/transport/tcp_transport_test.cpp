// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is sent over TCP, and the life of a transport; how its connections come about is in
// tcp_connection_test.cpp.
#include "transport_support.hpp"

#include <raft/driver/concepts.hpp>
#include <rsm/transport/tcp.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tcp_transport_test {

using namespace transport_test;

TEST_CASE("tcp: messages of all sizes arrive intact and in order, in both directions") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    std::vector<raft::Message> forth;
    std::vector<raft::Message> back;
    for (std::uint64_t i = 0; i < 300; ++i) {
        const std::size_t sizes[] = {0, 10, 4095, 4096, 100000};
        forth.push_back(append(one, two, i, sizes[i % 5]));
        back.push_back(append(two, one, i, sizes[(i + 2) % 5]));
    }
    for (std::uint64_t i = 0; i < 3; ++i) forth.push_back(append(one, two, i, 5 << 20));
    for (const raft::Message& message : forth) pair.a.transport.send(message);
    for (const raft::Message& message : back) pair.b.transport.send(message);
    CHECK(run_until(io, [&] {
        return pair.b.received.size() == forth.size() && pair.a.received.size() == back.size();
    }));
    CHECK(pair.b.received == forth);
    CHECK(pair.a.received == back);
    CHECK(pair.a.transport.counters().messages_dropped == 0);
    CHECK(pair.a.transport.counters().messages_sent == forth.size());
    CHECK(pair.a.transport.counters().bytes_sent == pair.b.transport.counters().bytes_received);
}

TEST_CASE("tcp: what one turn sends to a peer leaves in one write") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    for (std::uint64_t i = 0; i < 20000; ++i) pair.a.transport.send(heartbeat(one, two, i));
    CHECK(run_until(io, [&] { return pair.b.received.size() == 20000; }));
    for (std::uint64_t i = 0; i < 20000; ++i) {
        if (round_of(pair.b.received[i]) != i) FAIL("out of order at " << i);
    }
    CHECK(pair.a.transport.counters().writes == 1);
}

static_assert(raft::GroupingTransport<rsm::RunningTcpTransport>);

TEST_CASE("tcp: flushed messages leave at once, and who receives a group is told of its end") {
    boost::asio::io_context io;
    Node a(io, options(one));
    Node b(io, options(two));
    a.knows(b);
    b.knows(a);
    a.transport.start([](const raft::Message&) {}, [] {});
    std::vector<std::size_t> groups;
    b.transport.start([&b](raft::Message message) { b.received.push_back(std::move(message)); },
                      [&] { groups.push_back(b.received.size()); });
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    const rsm::TcpCounters& counters = a.transport.counters();
    const std::uint64_t greeting = b.transport.counters().bytes_received;

    for (std::uint64_t i = 0; i < 10; ++i) a.transport.send(heartbeat(one, two, i));
    io.poll();
    CHECK(counters.bytes_sent == 0);  // nobody has asked for it
    a.transport.flush();
    CHECK(counters.messages_sent == 10);
    CHECK(counters.writes == 1);
    CHECK(run_until(io, [&] { return b.received.size() == 10; }));
    CHECK(groups == std::vector<std::size_t>{10});
    CHECK(b.transport.counters().bytes_received - greeting == counters.bytes_sent);

    // More than the system takes at once: the rest follows by itself, and what comes behind it too.
    for (std::uint64_t i = 0; i < 40; ++i) a.transport.send(append(one, two, i, 1 << 20));
    a.transport.flush();
    CHECK(counters.messages_sent == 10);
    a.transport.send(heartbeat(one, two, 99));
    a.transport.flush();
    CHECK(run_until(io, [&] { return b.received.size() == 51; }));
    CHECK(round_of(b.received.back()) == 99);
    CHECK(groups.back() == 51);
    CHECK(counters.messages_sent == 51);
    CHECK(counters.messages_dropped == 0);
}

TEST_CASE("tcp: a receiver may stop the transport at the end of a group") {
    boost::asio::io_context io;
    Node a(io, options(one));
    Node b(io, options(two));
    a.knows(b);
    b.knows(a);
    a.start();
    b.transport.start([&b](raft::Message message) { b.received.push_back(std::move(message)); },
                      [&b] { b.transport.stop(); });
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    a.transport.send(heartbeat(one, two, 1));
    CHECK(run_until(io, [&] { return !a.transport.connected(two); }));
    CHECK(b.received.size() == 1);
    b.transport.flush();
}

TEST_CASE("tcp: messages for a peer that does not read are dropped beyond the queue's bound") {
    boost::asio::io_context io;
    rsm::TcpOptions small = options(one);
    small.queue_bytes = 1 << 20;
    Dialling to(io, small);
    constexpr std::uint64_t count = 1000;
    const raft::Message message = append(one, two, 1, 100000);  // 100 MB in all
    for (std::uint64_t i = 0; i < count; ++i) {
        to.node.transport.send(message);
        io.poll();
    }
    const rsm::TcpCounters stuck = to.node.transport.counters();
    CHECK(stuck.messages_dropped > 0);
    CHECK(stuck.messages_dropped < count);
    // What was neither dropped nor given to the system waits, within the bound.
    const std::uint64_t waiting = count - stuck.messages_dropped - stuck.messages_sent;
    CHECK(waiting * 100000 <= small.queue_bytes);
    CHECK(waiting * 100000 > small.queue_bytes - 200000);

    to.peer->listen();  // it reads again, and everything that was kept arrives
    CHECK(run_until(io, [&] {
        return to.node.transport.counters().messages_sent + stuck.messages_dropped == count;
    }));
    const std::uint64_t sent = to.node.transport.counters().bytes_sent;
    const std::size_t greeting = hello(one, two).size();
    CHECK(run_until(io, [&] { return to.peer->got().size() == sent + greeting; }));
}

TEST_CASE("tcp: a connection whose peer takes nothing in for the user timeout is given up") {
    boost::asio::io_context io;
    rsm::TcpOptions hasty = options(one);
    hasty.user_timeout = std::chrono::milliseconds(20);
    Dialling to(io, hasty);
    constexpr std::uint64_t count = 3;
    for (std::uint64_t i = 0; i < count; ++i) {
        to.node.transport.send(append(one, two, i, 20 << 20));
    }
    CHECK(run_until(io, [&] { return !to.node.transport.connected(two); }));
    CHECK(to.node.transport.last_failure(two).find("nothing is acknowledged") != std::string::npos);
    CHECK(to.node.transport.counters().messages_dropped == count);
}

TEST_CASE("tcp: an idle connection outlives the user timeout") {
    boost::asio::io_context io;
    rsm::TcpOptions hasty = options(one);
    hasty.user_timeout = std::chrono::milliseconds(1);
    Pair pair(io, hasty, options(two));
    REQUIRE(pair.connected);
    boost::asio::steady_timer timer(io, std::chrono::milliseconds(30));
    bool expired = false;
    timer.async_wait([&expired](boost::system::error_code) { expired = true; });
    REQUIRE(run_until(io, [&] { return expired; }));
    CHECK(pair.a.transport.counters().connects == 1);
    CHECK(works(io, pair));
}

TEST_CASE("tcp: a heartbeat overtakes all snapshot chunks but one on the wire") {
    boost::asio::io_context io;
    Dialling to(io);
    constexpr std::uint64_t size = 8 << 20;
    constexpr std::uint64_t chunks = 3;
    for (std::uint64_t i = 0; i < chunks; ++i) {
        to.node.transport.send(chunk(one, two, i * size, size));
    }
    io.poll();  // the first chunk is on its way, and too large for the system to take whole
    REQUIRE(to.node.transport.counters().messages_sent == 0);
    to.node.transport.send(heartbeat(one, two, 1));
    to.node.transport.send(heartbeat(one, two, 2));
    to.peer->listen();
    CHECK(run_until(io, [&] { return to.node.transport.counters().messages_sent == chunks + 2; }));
    const std::size_t greeting = hello(one, two).size();
    const std::uint64_t all = to.node.transport.counters().bytes_sent + greeting;
    REQUIRE(run_until(io, [&] { return to.peer->got().size() == all; }));
    const std::string expected = frame(chunk(one, two, 0, size)) + frame(heartbeat(one, two, 1)) +
                                 frame(heartbeat(one, two, 2)) +
                                 frame(chunk(one, two, size, size)) +
                                 frame(chunk(one, two, 2 * size, size));
    CHECK((to.peer->got().substr(greeting) == expected));
}

TEST_CASE("tcp: messages to nobody, to the unconnected and above the frame limit are dropped") {
    boost::asio::io_context io;
    rsm::TcpOptions first = options(one);
    first.max_frame_bytes = 1024;
    Pair pair(io, first, options(two));
    REQUIRE(pair.connected);
    pair.a.knows(three, 1);
    pair.a.transport.send(heartbeat(one, raft::NodeId{9}, 1));
    pair.a.transport.send(heartbeat(one, three, 1));
    pair.a.transport.send(append(one, two, 1, 1024));
    CHECK(pair.a.transport.counters().messages_dropped == 3);
    CHECK(works(io, pair));
    CHECK(pair.b.received.size() == 1);
}

TEST_CASE("tcp: a failure to listen names the address, and wrong options name the option") {
    boost::asio::io_context io;
    Node holder(io, options(one));
    rsm::TcpOptions taken = options(two);
    taken.listen = "127.0.0.1:" + std::to_string(holder.transport.local_port());
    const auto complaint = [&io](rsm::TcpOptions wrong) -> std::string {
        const rsm::TcpTransport plan(std::move(wrong));
        try {
            const auto transport = plan.open(io.get_executor());
        } catch (const std::exception& error) {
            return error.what();
        }
        return "none";
    };
    CHECK(complaint(taken).find("cannot listen on " + taken.listen + ": ") == 0);
    CHECK(complaint(options(two)) == "none");
    rsm::TcpOptions wrong = options(raft::NodeId{0});
    CHECK(complaint(wrong) == "TcpTransport: self must not be 0");
    wrong = options(two);
    wrong.advertise = std::string(1025, 'x');
    CHECK(complaint(wrong) == "TcpTransport: advertise is longer than 1 KiB");
    wrong = options(two);
    wrong.peers[one] = "nowhere";
    CHECK(complaint(wrong) == "TcpTransport: the address of peer 1 is not host:port: \"nowhere\"");
    wrong = options(two);
    wrong.listen.clear();
    CHECK(complaint(wrong) == "TcpTransport: node 2 has no address: peers and listen are empty");
    wrong.peers = {{one, "a:1"}, {three, "b:1"}};
    CHECK(complaint(wrong) ==
          "TcpTransport: node 2 is not among the peers (1, 3), and listen does not say where it "
          "listens either");
    wrong.peers[two] = "here";
    CHECK(complaint(wrong) == "TcpTransport: the address of this node is not host:port: \"here\"");
    wrong.peers[two] = "A:1";
    CHECK(complaint(wrong) == "TcpTransport: nodes 1 and 2 have the same address, a:1");
    wrong.peers[two] = "127.0.0.1:0";
    CHECK(complaint(wrong) == "none");
    wrong.peers[three] = "b:0";
    CHECK(complaint(wrong) == "TcpTransport: the port of peer 3 is 0: \"b:0\"");
    CHECK_THROWS_AS(holder.transport.set_peer(one, "127.0.0.1", 1), std::invalid_argument);
    CHECK_THROWS_AS(holder.transport.set_peer(two, "127.0.0.1", 0), std::invalid_argument);
    holder.transport.set_peer(two, "127.0.0.1", 1);
    CHECK_THROWS_WITH_AS(holder.transport.set_peer(three, "127.0.0.1", 1),
                         "TcpTransport: nodes 2 and 3 have the same address, 127.0.0.1:1",
                         std::invalid_argument);
}

TEST_CASE("tcp: the short form listens on the node's own entry, and names are looked up") {
    boost::asio::io_context io;
    Node b(io, options(two));
    const rsm::TcpTransport plan{
        {1}, {{1, "localhost:0"}, {2, "localhost:" + std::to_string(b.transport.local_port())}}};
    auto a = plan.open(io.get_executor());
    CHECK(a.local_port() != 0);
    b.knows(one, 1);
    b.start();
    a.start([](raft::Message) {});
    CHECK(run_until(io, [&] { return a.connected(two); }));
}

TEST_CASE("tcp: destruction with operations under way waits for nothing and calls nothing") {
    for (int phase = 0; phase < 40; ++phase) {
        CAPTURE(phase);
        boost::asio::io_context io;
        auto pair = std::make_unique<Pair>(io);
        REQUIRE(pair->connected);
        for (std::uint64_t i = 0; i < 50; ++i) {
            pair->a.transport.send(append(one, two, i, 100000));
            pair->b.transport.send(chunk(two, one, i, 100000));
        }
        for (int i = 0; i < phase; ++i) io.poll_one();
        pair.reset();
        io.restart();
        io.run();  // ends: nothing is left that could keep it
        CHECK(io.stopped());
    }
}

TEST_CASE("tcp: a transport that is destroyed while it connects leaves nothing behind") {
    for (int phase = 0; phase < 12; ++phase) {
        CAPTURE(phase);
        boost::asio::io_context io;
        RawListener listener(io);
        auto node = std::make_unique<Node>(io, options(one));
        node->knows(two, listener.port());
        node->start();
        for (int i = 0; i < phase; ++i) io.poll_one();
        node.reset();
        io.restart();
        io.run();
        CHECK(io.stopped());
    }
}

TEST_CASE("tcp: a receiver may destroy its transport") {
    boost::asio::io_context io;
    Node a(io, options(one));
    auto b = std::make_unique<rsm::RunningTcpTransport>(io.get_executor(), options(two));
    b->set_peer(one, "127.0.0.1", a.transport.local_port());
    a.transport.set_peer(two, "127.0.0.1", b->local_port());
    int received = 0;
    a.start();
    b->start([&](raft::Message) {
        ++received;
        b.reset();
    });
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    for (std::uint64_t i = 0; i < 5; ++i) a.transport.send(heartbeat(one, two, i));
    CHECK(run_until(io, [&] { return received > 0 && !a.transport.connected(two); }));
    CHECK(received == 1);
}

TEST_CASE("tcp: a plan may be opened again when what ran by it is gone") {
    boost::asio::io_context io;
    Node b(io, options(two));
    const rsm::TcpTransport plan(options(one));
    CHECK(plan.self() == one);
    for (int life = 0; life < 2; ++life) {
        auto a = plan.open(io.get_executor());
        a.set_peer(two, "127.0.0.1", b.transport.local_port());
        b.knows(one, a.local_port());
        if (life == 0) b.start();
        a.start([](raft::Message) {});
        CHECK(run_until(io, [&] { return a.connected(two) && b.transport.connected(one); }));
    }
}

TEST_CASE("tcp: nodes on strands of several threads exchange messages and are destroyed") {
    constexpr std::uint64_t rounds = 2000;
    boost::asio::io_context io;
    const auto left = boost::asio::make_strand(io);
    const auto right = boost::asio::make_strand(io);
    auto a = std::make_unique<rsm::RunningTcpTransport>(left, options(one));
    auto b = std::make_unique<rsm::RunningTcpTransport>(right, options(two));
    a->set_peer(two, "127.0.0.1", b->local_port());
    b->set_peer(one, "127.0.0.1", a->local_port());
    std::atomic<std::uint64_t> last = 0;
    bool begun = false;
    b->start([&](raft::Message message) {
        // The first messages tell that the peer is there; the answers begin the rally.
        b->send(heartbeat(two, one, round_of(message) + 1));
    });
    a->start([&](raft::Message message) {
        last = round_of(message);
        begun = true;
        if (last < rounds) return a->send(append(one, two, last, 5000));
        a.reset();
        boost::asio::post(right, [&b] { b.reset(); });
    });
    boost::asio::steady_timer serve(left);
    std::function<void()> try_to_begin = [&] {
        if (begun) return;
        if (a->connected(two)) a->send(heartbeat(one, two, 0));
        serve.expires_after(std::chrono::milliseconds(1));
        serve.async_wait([&](boost::system::error_code) { try_to_begin(); });
    };
    boost::asio::post(left, [&] { try_to_begin(); });
    std::thread other([&io] { io.run_for(std::chrono::seconds(30)); });
    io.run_for(std::chrono::seconds(30));
    other.join();
    CHECK(last >= rounds);
}

}  // namespace tcp_transport_test
