// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How connections over TCP come about and end: greetings, strangers, replacements.
#include "transport_support.hpp"

#include <rsm/transport/tcp.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tcp_connection_test {

using namespace transport_test;
using rsm::detail::AnswerCode;

namespace {

/// A pair, and a raw connection to its second node that is greeted as peer three.
struct Hostile {
    explicit Hostile(boost::asio::io_context& context)
        : io(context), pair((prepare(context))), peer(context, pair.b.transport.local_port()) {
        pair.b.transport.set_peer(three, "127.0.0.1", refuses.port());
        peer.say(hello(three, two));
        run_until(io, [this] { return answer_code(peer) == AnswerCode::welcome; });
    }
    boost::asio::io_context& prepare(boost::asio::io_context& context) { return context; }

    boost::asio::io_context& io;
    RawListener refuses{io};
    Pair pair;
    RawPeer peer;
};

}  // namespace

TEST_CASE("tcp: each side learns what the other advertises") {
    boost::asio::io_context io;
    rsm::TcpOptions first = options(one);
    rsm::TcpOptions second = options(two);
    first.advertise = "clients at 1";
    second.advertise = std::string(1024, '2');
    Pair pair(io, first, second);
    REQUIRE(pair.connected);
    CHECK(pair.a.transport.peer_advertisement(two) == second.advertise);
    CHECK(pair.b.transport.peer_advertisement(one) == first.advertise);
    CHECK(pair.a.transport.peer_advertisement(three).empty());
}

TEST_CASE("tcp: a peer advertises where it is dialled, and nobody else does in its name") {
    boost::asio::io_context io;
    RawListener listener(io);
    Node node(io, options(one));
    node.knows(two, listener.port());
    node.start();
    const RawPeer accepted = listener.welcome(two, "from the answer");
    CHECK(run_until(io, [&] { return node.transport.connected(two); }));
    CHECK(node.transport.peer_advertisement(two) == "from the answer");
    RawPeer dialled(io, node.transport.local_port());
    dialled.say(hello(two, one, "default", 2));
    CHECK(run_until(io, [&] { return answer_code(dialled) == AnswerCode::welcome; }));
    // The node looks who is there, and what does not greet it changes nothing either.
    const RawPeer silent = listener.accept();
    CHECK(node.transport.peer_advertisement(two) == "from the answer");
    const RawPeer anew = listener.welcome(two, "from the newer answer", 2);
    CHECK(run_until(
        io, [&] { return node.transport.peer_advertisement(two) == "from the newer answer"; }));
}

TEST_CASE("tcp: nodes of different clusters refuse each other and say so") {
    boost::asio::io_context io;
    rsm::TcpOptions second = options(two);
    second.cluster = "other";
    Node a(io, options(one));
    Node b(io, second);
    a.knows(b);
    b.knows(a);
    a.start();
    b.start();
    CHECK(run_until(io, [&] {
        return a.transport.last_failure(two).find("another cluster") != std::string::npos &&
               b.transport.last_failure(one).find("another cluster") != std::string::npos;
    }));
    CHECK_FALSE(a.transport.connected(two));
    a.transport.send(heartbeat(one, two, 1));
    CHECK(a.transport.counters().messages_dropped == 1);
    CHECK(a.transport.counters().handshakes_refused > 0);
}

TEST_CASE("tcp: a hello that does not belong here is answered with the reason and closed") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    std::vector<std::byte> newer = hello(one, two);
    newer[4] = std::byte{9};
    const std::vector<std::pair<std::vector<std::byte>, AnswerCode>> cases = {
        {newer, AnswerCode::other_version},
        {hello(one, two, "other"), AnswerCode::other_cluster},
        {hello(one, three), AnswerCode::other_node},
        {hello(three, two), AnswerCode::unknown_node},
        {hello(two, two), AnswerCode::unknown_node},
        {hello(raft::NodeId{0}, two), AnswerCode::unknown_node},
    };
    for (const auto& [greeting, reason] : cases) {
        const AnswerCode expected = reason;
        CAPTURE(sentence(expected));
        RawPeer peer(io, pair.b.transport.local_port());
        peer.say(greeting);
        CHECK(run_until(io, [&] { return peer.closed(); }));
        CHECK(answer_code(peer) == expected);
    }
    CHECK(pair.b.transport.counters().handshakes_refused == cases.size());
    CHECK(works(io, pair));
}

TEST_CASE(
    "tcp: garbage instead of a hello is closed, without an answer unless it is a damaged hello") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    std::vector<std::byte> damaged = hello(one, two);
    damaged.back() ^= std::byte{1};
    std::vector<std::byte> endless = hello(one, two);
    endless[6] = endless[7] = std::byte{0xff};
    std::vector<std::byte> empty = hello(one, two);
    empty[6] = empty[7] = std::byte{0};
    const std::string http = "GET / HTTP/1.1\r\n\r\n";
    const auto bytes = std::as_bytes(std::span(http));
    for (const auto& greeting : {endless, empty, {bytes.begin(), bytes.end()}}) {
        RawPeer peer(io, pair.b.transport.local_port());
        peer.say(greeting);
        CHECK(run_until(io, [&] { return peer.closed(); }));
        CHECK(peer.got().empty());
    }
    RawPeer peer(io, pair.b.transport.local_port());
    peer.say(damaged);
    CHECK(run_until(io, [&] { return peer.closed(); }));
    CHECK(answer_code(peer) == AnswerCode::damaged_hello);
    CHECK(pair.b.transport.counters().handshakes_refused == 4);
    CHECK(works(io, pair));
}

TEST_CASE("tcp: a peer that sends a bad frame is disconnected, the others go on") {
    const std::string good = frame(append(three, two, 1, 100));
    std::string flipped = good;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    std::string too_long = good;
    too_long[3] = '\x7f';
    std::string other_kind = good;
    other_kind[5] = 2;
    const std::vector<std::string> bad = {
        flipped,
        too_long,
        other_kind,
        frame(append(one, two, 1, 100)),    // in the name of another peer
        frame(append(three, one, 1, 100)),  // meant for another node
        std::string(64, '\0'),
    };
    for (std::size_t i = 0; i < bad.size(); ++i) {
        CAPTURE(i);
        boost::asio::io_context io;
        Hostile hostile(io);
        REQUIRE(hostile.pair.connected);
        hostile.peer.say(good);
        REQUIRE(run_until(io, [&] { return hostile.pair.b.received.size() == 1; }));
        hostile.peer.say(bad[i]);
        CHECK(run_until(io, [&] { return hostile.peer.closed(); }));
        CHECK(hostile.pair.b.received.size() == 1);
        CHECK(hostile.pair.b.transport.counters().bad_frames == 1);
        CHECK(works(io, hostile.pair));
    }
}

TEST_CASE("tcp: a newer connection of a peer replaces its older one") {
    boost::asio::io_context io;
    Hostile hostile(io);
    RawPeer newer(io, hostile.pair.b.transport.local_port());
    newer.say(hello(three, two));
    CHECK(run_until(io, [&] { return hostile.peer.closed(); }));
    newer.say(frame(heartbeat(three, two, 5)));
    CHECK(run_until(io, [&] { return hostile.pair.b.received.size() == 1; }));
    CHECK_FALSE(newer.closed());
}

TEST_CASE("tcp: a node that is restarted on its port is connected again, both ways") {
    boost::asio::io_context io;
    Node a(io, options(one));
    auto b = std::make_unique<Node>(io, options(two));
    const std::uint16_t port = b->transport.local_port();
    a.knows(*b);
    b->knows(a);
    a.start();
    b->start();
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    b.reset();
    REQUIRE(run_until(io, [&] {
        return !a.transport.connected(two) && a.transport.counters().connect_failures > 2;
    }));
    CHECK(a.transport.last_failure(two).find("cannot connect") != std::string::npos);
    rsm::TcpOptions again = options(two);
    again.listen = "127.0.0.1:" + std::to_string(port);
    b = std::make_unique<Node>(io, again);
    b->knows(a);
    b->start();
    CHECK(run_until(io, [&] { return a.transport.connected(two) && b->transport.connected(one); }));
    CHECK(a.transport.last_failure(two).empty());
    a.transport.send(heartbeat(one, two, 1));
    b->transport.send(heartbeat(two, one, 2));
    CHECK(run_until(io, [&] { return a.received.size() == 1 && b->received.size() == 1; }));
}

TEST_CASE("tcp: a peer that connects ends the wait for the next attempt to reach it") {
    boost::asio::io_context io;
    rsm::TcpOptions patient = options(one);
    patient.reconnect_min = patient.reconnect_max = std::chrono::hours(1);
    std::optional<RawListener> nobody(io);
    Node a(io, patient);
    Node b(io, options(two));
    a.knows(two, nobody->port());
    nobody.reset();
    a.start();
    REQUIRE(run_until(io, [&] { return a.transport.counters().connect_failures == 1; }));
    b.knows(a);
    b.start();
    REQUIRE(run_until(io, [&] { return b.transport.connected(one); }));
    CHECK(run_until(io, [&] { return a.transport.counters().connect_failures == 2; }));
}

TEST_CASE("tcp: a peer whose address changes is reached at the new one") {
    boost::asio::io_context io;
    RawListener before(io);
    RawListener after(io);
    Node a(io, options(one));
    a.knows(two, before.port());
    a.start();
    RawPeer old = before.welcome(two);
    old.listen();
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    a.knows(two, after.port());
    CHECK_FALSE(a.transport.connected(two));
    const RawPeer anew = after.welcome(two);
    CHECK(run_until(io, [&] { return a.transport.connected(two) && old.closed(); }));
}

TEST_CASE("tcp: a removed peer is disconnected and refused") {
    boost::asio::io_context io;
    Hostile hostile(io);
    hostile.pair.b.transport.remove_peer(three);
    CHECK(run_until(io, [&] { return hostile.peer.closed(); }));
    RawPeer again(io, hostile.pair.b.transport.local_port());
    again.say(hello(three, two));
    CHECK(run_until(io, [&] { return again.closed(); }));
    CHECK(answer_code(again) == AnswerCode::unknown_node);
    CHECK(works(io, hostile.pair));
}

TEST_CASE("tcp: a stranger that does not finish its hello in time is closed") {
    boost::asio::io_context io;
    rsm::TcpOptions second = options(two);
    second.handshake_timeout = std::chrono::milliseconds(30);
    Node node(io, second);
    node.knows(one, 1);
    node.start();
    RawPeer silent(io, node.transport.local_port());
    RawPeer halting(io, node.transport.local_port());
    const auto greeting = hello(one, two);
    halting.say(std::span(greeting).first(greeting.size() - 1));
    RawPeer refused(io, node.transport.local_port());
    refused.say(hello(three, two));
    CHECK(run_until(io, [&] { return silent.closed() && halting.closed() && refused.closed(); }));
    CHECK(silent.got().empty());
    CHECK(node.transport.counters().accepts == 0);
    CHECK(node.transport.counters().handshakes_refused == 3);
}

TEST_CASE("tcp: a peer keeps its connection beyond the handshake timeout") {
    boost::asio::io_context io;
    rsm::TcpOptions second = options(two);
    second.handshake_timeout = std::chrono::milliseconds(20);
    Node node(io, second);
    node.knows(one, 1);
    node.start();
    RawPeer peer(io, node.transport.local_port());
    peer.say(hello(one, two));
    REQUIRE(run_until(io, [&] { return answer_code(peer) == AnswerCode::welcome; }));
    RawPeer silent(io, node.transport.local_port());
    REQUIRE(run_until(io, [&] { return silent.closed(); }));
    peer.say(frame(heartbeat(one, two, 1)));
    CHECK(run_until(io, [&] { return node.received.size() == 1; }));
}

TEST_CASE("tcp: one stranger too many closes the oldest, and a peer still gets in") {
    boost::asio::io_context io;
    rsm::TcpOptions second = options(two);
    second.max_strangers = 2;
    second.handshake_timeout = std::chrono::hours(1);
    Node node(io, second);
    node.knows(one, 1);
    node.start();
    std::vector<RawPeer> strangers;
    for (int i = 0; i < 5; ++i) strangers.emplace_back(io, node.transport.local_port());
    CHECK(run_until(io, [&] {
        return strangers[0].closed() && strangers[1].closed() && strangers[2].closed();
    }));
    CHECK_FALSE(strangers[3].closed());
    CHECK_FALSE(strangers[4].closed());
    RawPeer peer(io, node.transport.local_port());
    peer.say(hello(one, two));
    CHECK(run_until(io, [&] { return answer_code(peer) == AnswerCode::welcome; }));
}

TEST_CASE("tcp: a dialled host that never greets, or greets wrongly, is given up and retried") {
    boost::asio::io_context io;
    RawListener listener(io);
    rsm::TcpOptions hasty = options(one);
    hasty.handshake_timeout = std::chrono::milliseconds(20);
    Node node(io, hasty);
    node.knows(two, listener.port());
    node.start();
    const auto failure = [&node] { return node.transport.last_failure(two); };
    const auto fails_with = [&](const char* text) {
        return run_until(io, [&] { return failure().find(text) != std::string::npos; });
    };
    const RawPeer silent = listener.accept();
    CHECK(fails_with("no greeting in time"));
    RawPeer babbling = listener.accept();
    babbling.say("220 mail.example ESMTP\r\n");
    CHECK(fails_with("no node of this kind"));
    const RawPeer impostor = listener.welcome(three);
    CHECK(fails_with("another node answers"));
    RawPeer newer = listener.accept();
    auto answer = encode(rsm::detail::Answer{AnswerCode::welcome, two, 1, {}});
    answer[4] = std::byte{9};
    newer.say(answer);
    CHECK(fails_with("its greeting has layout 9, and this node's has 4"));
    RawPeer damaged = listener.accept();
    answer = encode(rsm::detail::Answer{AnswerCode::welcome, two, 1, {}});
    answer.back() ^= std::byte{1};
    damaged.say(answer);
    CHECK(fails_with("damaged"));
    CHECK(node.transport.counters().connect_failures == 5);
    const RawPeer good = listener.welcome(two);
    CHECK(run_until(io, [&] { return node.transport.connected(two); }));
}

TEST_CASE("tcp: bytes that come back on an outgoing connection end it") {
    boost::asio::io_context io;
    Dialling to(io);
    to.peer->say("?");
    CHECK(run_until(io, [&] { return !to.node.transport.connected(two); }));
    CHECK(to.node.transport.last_failure(two).find("broke the protocol") != std::string::npos);
}

}  // namespace tcp_connection_test
