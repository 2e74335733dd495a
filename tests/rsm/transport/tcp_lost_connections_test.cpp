// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Connections of a TcpTransport that lead nowhere.
#include "transport_support.hpp"

#include <rsm/transport/tcp.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#ifdef __linux__
#include <linux/filter.h>
#include <sys/socket.h>
#endif

#include <chrono>
#include <list>
#include <string>

namespace tcp_lost_connections_test {

using namespace transport_test;
using rsm::detail::AnswerCode;
using namespace std::chrono_literals;

namespace {

#ifdef __linux__
/// From now on nothing that is sent to this socket arrives, and nothing is acknowledged.
void deafen(RawPeer& peer) {
    sock_filter drop{BPF_RET | BPF_K, 0, 0, 0};
    const sock_fprog program{1, &drop};
    REQUIRE(::setsockopt(peer.socket().native_handle(), SOL_SOCKET, SO_ATTACH_FILTER, &program,
                         sizeof program) == 0);
}
#endif

}  // namespace

TEST_CASE(
    "tcp: a peer that comes back and connects is dialled anew, though its old connection stands") {
    boost::asio::io_context io;
    Dialling to(io);
    const RawPeer back = to.greet(2);
    RawPeer anew = to.listener.accept();  // the old one is in use until this one is greeted
    CHECK(to.node.transport.connected(two));
    to.peer->listen();
    anew.say(encode(rsm::detail::Answer{AnswerCode::welcome, two, 2, {}}));
    CHECK(run_until(io, [&] { return to.peer->closed(); }));
    CHECK(to.node.transport.connected(two));
    anew.listen();
    to.node.transport.send(heartbeat(one, two, 5));
    const std::string expected = frame(heartbeat(one, two, 5));
    CHECK(run_until(io, [&] { return contains(anew.got(), expected); }));
    CHECK_FALSE(contains(to.peer->got(), expected));
}

TEST_CASE("tcp: a forged greeting in a peer's name costs its connection nothing") {
    boost::asio::io_context io;
    rsm::TcpOptions hasty = options(one);
    hasty.handshake_timeout = 20ms;
    Dialling to(io, hasty);
    to.peer->listen();
    const RawPeer forged = to.greet(2);
    const RawPeer silent = to.listener.accept();
    REQUIRE(run_until(io, [&] { return to.node.transport.counters().connect_failures >= 1; }));
    CHECK(to.node.transport.connected(two));
    to.node.transport.send(heartbeat(one, two, 5));
    const std::string expected = frame(heartbeat(one, two, 5));
    CHECK(run_until(io, [&] { return contains(to.peer->got(), expected); }));
}

TEST_CASE("tcp: a peer that connects again from where it was leaves a sound connection alone") {
    boost::asio::io_context io;
    Dialling to(io);
    to.peer->listen();
    for (int i = 0; i < 5; ++i) to.greet(1);
    to.node.transport.send(heartbeat(one, two, 5));
    const std::string expected = frame(heartbeat(one, two, 5));
    CHECK(run_until(io, [&] { return contains(to.peer->got(), expected); }));
    CHECK(to.node.transport.counters().connects == 1);
}

#ifdef __linux__
TEST_CASE(
    "tcp: a connection on which nothing is acknowledged is made anew after the user timeout") {
    boost::asio::io_context io;
    rsm::TcpOptions hasty = options(one);
    hasty.user_timeout = 100ms;
    Dialling to(io, hasty);
    deafen(*to.peer);
    const auto begin = std::chrono::steady_clock::now();
    to.node.transport.send(heartbeat(one, two, 1));
    REQUIRE(run_until(io, [&] { return !to.node.transport.connected(two); }));
    CHECK(std::chrono::steady_clock::now() - begin >= hasty.user_timeout);
    CHECK(contains(to.node.transport.last_failure(two), "nothing is acknowledged"));
    const RawPeer anew = to.listener.welcome(two);
    CHECK(run_until(io, [&] { return to.node.transport.connected(two); }));
}

TEST_CASE("tcp: an idle connection to a host that has vanished ends, too") {
    boost::asio::io_context io;
    Dialling to(io);
    deafen(*to.peer);
    REQUIRE(run_until(io, [&] { return !to.node.transport.connected(two); }));
    CHECK(contains(to.node.transport.last_failure(two), "nothing is acknowledged"));
}

TEST_CASE("tcp: a connection from a host that has vanished ends, too") {
    boost::asio::io_context io;
    Dialling to(io);
    RawPeer dialled = to.greet(1);
    REQUIRE(only(to.node.transport.peers()).incoming);
    deafen(dialled);
    CHECK(run_until(io, [&] { return !only(to.node.transport.peers()).incoming; }));
}

TEST_CASE("tcp: a peer that connects ends the wait for TCP to repeat what was lost") {
    boost::asio::io_context io;
    rsm::TcpOptions patient = options(one);
    patient.user_timeout = 1h;
    Dialling to(io, patient);
    deafen(*to.peer);
    to.node.transport.send(heartbeat(one, two, 1));
    std::list<RawPeer> greetings;
    RawPeer anew(io);
    bool accepted = false;
    to.listener.acceptor.async_accept(anew.socket(),
                                      [&accepted](boost::system::error_code) { accepted = true; });
    // Before TCP has repeated anything there is nothing wrong with the connection.
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!accepted && std::chrono::steady_clock::now() < deadline) {
        greetings.push_back(to.greet(1));
        if (greetings.size() > 2) greetings.pop_front();
    }
    REQUIRE(accepted);
    anew.say(encode(rsm::detail::Answer{AnswerCode::welcome, two, 1, {}}));
    anew.listen();
    CHECK(run_until(io, [&] { return to.node.transport.counters().connects == 2; }));
    to.node.transport.send(heartbeat(one, two, 2));
    const std::string expected = frame(heartbeat(one, two, 2));
    CHECK(run_until(io, [&] { return contains(anew.got(), expected); }));
}
#endif

}  // namespace tcp_lost_connections_test
