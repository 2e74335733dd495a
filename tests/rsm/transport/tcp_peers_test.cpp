// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a TcpTransport says of its peers and of strangers.
#include "transport_support.hpp"

#include <rsm/transport/tcp.hpp>
#include <rsm/transport/tcp/acceptors.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tcp_peers_test {

using namespace transport_test;
using rsm::TcpRefusal;
using rsm::detail::AnswerCode;
using namespace std::chrono_literals;

namespace {

/// A port at which nobody listens.
std::uint16_t free_port(boost::asio::io_context& io) { return RawListener(io).port(); }

}  // namespace

// ---- addresses -------------------------------------------------------------------------------

TEST_CASE("tcp: all addresses of a name are listened on at one port, but those of other hosts") {
    boost::asio::io_context io;
    using boost::asio::ip::make_address;
    boost::system::error_code error;
    const auto own = {make_address("127.0.0.1"), make_address("192.0.2.1"),
                      make_address("127.0.0.2")};
    const auto opened = rsm::detail::open_acceptors(io.get_executor(), own, 0, error);
    CHECK_FALSE(error);
    REQUIRE(opened.size() == 2);
    CHECK(opened[0].local_endpoint().port() == opened[1].local_endpoint().port());
    CHECK(opened[1].local_endpoint().address() == make_address("127.0.0.2"));

    const auto foreign = {make_address("192.0.2.1")};
    CHECK(rsm::detail::open_acceptors(io.get_executor(), foreign, 0, error).empty());
    CHECK(error);
    // A port that is taken at one of them is no reason to be content with the other.
    const std::uint16_t taken = opened[1].local_endpoint().port();
    const auto others = {make_address("127.0.0.3"), make_address("127.0.0.2")};
    CHECK(rsm::detail::open_acceptors(io.get_executor(), others, taken, error).empty());
    CHECK(error == boost::asio::error::address_in_use);
}

TEST_CASE("tcp: a node is reached at each address of the name that it listens on") {
    boost::asio::io_context io;
    rsm::TcpOptions named = options(one);
    named.listen = "localhost:0";
    Node node(io, named);
    node.knows(two, 1);
    node.start();
    tcp::resolver resolver(io);
    for (const auto& found : resolver.resolve("localhost", "")) {
        const auto address = found.endpoint().address();
        CAPTURE(address.to_string());
        RawPeer peer(io);
        boost::system::error_code error;
        peer.socket().connect({address, node.transport.local_port()}, error);
        if (error == boost::asio::error::network_unreachable) continue;
        REQUIRE_FALSE(error);
        peer.say(hello(two, one));
        peer.listen();
        CHECK(run_until(io, [&] { return answer_code(peer) == AnswerCode::welcome; }));
    }
}

TEST_CASE("tcp: the addresses of a peer are tried in turn until the right node answers") {
    boost::asio::io_context io;
    Node a(io, options(one));
    tcp::resolver resolver(io);
    std::vector<std::string> listens;
    for (const auto& found : resolver.resolve("localhost", "")) {
        const auto address = found.endpoint().address();
        const rsm::TcpAddress at{address.to_string(), 0};
        if (std::find(listens.begin(), listens.end(), at.text()) == listens.end()) {
            listens.push_back(at.text());
        }
    }
    for (const std::string& where : listens) {
        CAPTURE(where);
        rsm::TcpOptions second = options(two);
        second.listen = where;
        Node b(io, second);
        Node dialling(io, options(one));
        dialling.transport.set_peer(two, "localhost", b.transport.local_port());
        b.knows(one, 1);
        b.start();
        dialling.start();
        CHECK(run_until(io, [&] { return dialling.transport.connected(two); }));
    }
    a.transport.set_peer(two, "localhost", free_port(io));
    a.start();
    CHECK(run_until(io, [&] { return !a.transport.last_failure(two).empty(); }));
    if (listens.size() > 1) CHECK(contains(a.transport.last_failure(two), "; "));
}

// ---- what is said of peers -------------------------------------------------------------------

TEST_CASE("tcp: why a peer is not connected is told once, and again when it changes") {
    boost::asio::io_context io;
    std::vector<rsm::PeerStatus> told;
    rsm::TcpOptions first = options(one);
    first.on_peer_change = [&told](const rsm::PeerStatus& status) { told.push_back(status); };
    Node a(io, first);
    const std::uint16_t port = free_port(io);
    a.knows(two, port);
    a.start();
    REQUIRE(run_until(io, [&] { return a.transport.counters().connect_failures >= 5; }));
    REQUIRE(told.size() == 1);
    CHECK(told[0].node == two);
    CHECK_FALSE(told[0].connected);
    const std::string where = "127.0.0.1:" + std::to_string(port);
    CHECK(told[0].address == where);
    CHECK(contains(told[0].reason, where + ": cannot connect: "));

    rsm::TcpOptions second = options(two);
    second.listen = where;
    second.cluster = "other";
    std::optional<Node> b(std::in_place, io, second);
    b->knows(a);
    b->start();
    REQUIRE(run_until(io, [&] { return told.size() == 2; }));
    CHECK(told[1].reason == where + ": refused: it belongs to another cluster");
    b.reset();

    second.cluster = "default";
    b.emplace(io, second);
    b->knows(a);
    b->start();
    REQUIRE(run_until(io, [&] { return told.back().connected; }));
    CHECK(told.back().reason.empty());
    const rsm::PeerStatus now = only(a.transport.peers());
    CHECK(now.connected);
    CHECK(now.reason.empty());
    CHECK(now.since < 20s);
    CHECK(run_until(io, [&] { return only(a.transport.peers()).incoming; }));

    b.reset();
    REQUIRE(run_until(io, [&] { return !told.back().connected; }));
    CHECK_FALSE(only(a.transport.peers()).reason.empty());
}

TEST_CASE("tcp: an unknown host and a silent one are told apart") {
    boost::asio::io_context io;
    Node a(io, options(one));
    a.transport.set_peer(two, "host.invalid", 7001);
    a.start();
    CHECK(run_until(io, [&] { return !a.transport.last_failure(two).empty(); }));
    CHECK(contains(a.transport.last_failure(two), "host.invalid:7001: cannot look the name up: "));
}

TEST_CASE("tcp: bytes that wait for a peer are shown") {
    boost::asio::io_context io;
    Dialling to(io);
    for (std::uint64_t i = 0; i < 40; ++i) to.node.transport.send(append(one, two, i, 1 << 20));
    CHECK(only(to.node.transport.peers()).queued_bytes > std::size_t{40} << 20);
    to.peer->listen();
    CHECK(run_until(io, [&] { return only(to.node.transport.peers()).queued_bytes == 0; }));
}

TEST_CASE("tcp: who is told of a change or of a refusal may destroy the transport") {
    boost::asio::io_context io;
    for (const bool refusal : {false, true}) {
        CAPTURE(refusal);
        std::unique_ptr<rsm::RunningTcpTransport> transport;
        int calls = 0;
        const auto destroy = [&, held = std::string(100, 'x')](const auto&) {
            ++calls;
            transport.reset();
            CHECK(held.size() == 100);
        };
        rsm::TcpOptions with = options(one);
        if (refusal) {
            with.on_refusal = destroy;
        } else {
            with.on_peer_change = destroy;
        }
        transport = std::make_unique<rsm::RunningTcpTransport>(io.get_executor(), with);
        transport->set_peer(two, "127.0.0.1", free_port(io));
        transport->start([](raft::Message) {});
        std::vector<RawPeer> strangers;
        for (int i = 0; refusal && i < 3; ++i) {
            strangers.emplace_back(io, transport->local_port());
            strangers.back().say("GET / HTTP/1.1\r\n\r\n");
        }
        CHECK(run_until(io, [&] { return transport == nullptr; }));
        io.restart();
        io.poll();
        CHECK(calls == 1);
    }
}

TEST_CASE("tcp: a receiver may destroy the transport at the end of a group") {
    boost::asio::io_context io;
    Node a(io, options(one));
    auto b = std::make_unique<rsm::RunningTcpTransport>(io.get_executor(), options(two));
    b->set_peer(one, "127.0.0.1", a.transport.local_port());
    a.transport.set_peer(two, "127.0.0.1", b->local_port());
    a.start();
    int groups = 0;
    b->start([](raft::Message) {},
             [&, held = std::string(100, 'x')] {
                 ++groups;
                 b.reset();
                 CHECK(held.size() == 100);
             });
    REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    a.transport.send(heartbeat(one, two, 1));
    CHECK(run_until(io, [&] { return !a.transport.connected(two); }));
    CHECK(groups == 1);
}

// ---- what is turned away ---------------------------------------------------------------------

TEST_CASE("tcp: what is turned away is counted by reason and told with who and why") {
    boost::asio::io_context io;
    std::vector<rsm::TcpRefused> told;
    rsm::TcpOptions with = options(two);
    with.handshake_timeout = 50ms;
    with.on_refusal = [&told](const rsm::TcpRefused& refused) { told.push_back(refused); };
    Node node(io, with);
    node.knows(one, 1);
    node.start();
    std::vector<std::byte> newer = hello(one, two);
    newer[4] = std::byte{9};
    std::vector<std::byte> damaged = hello(one, two);
    damaged.back() ^= std::byte{1};
    const std::vector<std::byte> nothing;
    struct Case {
        std::vector<std::byte> says;
        TcpRefusal reason;
        const char* text;
    };
    const std::vector<Case> cases = {
        {std::vector<std::byte>(8, std::byte{'x'}), TcpRefusal::no_hello, "no greeting"},
        {damaged, TcpRefusal::hello_damaged, "damaged"},
        {newer, TcpRefusal::other_version,
         "no version of the protocol that this node speaks (its greeting has layout 9 instead of "
         "4)"},
        {hello(one, two, "blue\n"), TcpRefusal::other_cluster,
         "(\"blue?\" instead of \"default\")"},
        {hello(one, three), TcpRefusal::other_node, "looks for another node (3, and this is 2)"},
        {hello(three, two), TcpRefusal::unknown_node, "none of the peers (it says that it is 3)"},
        {nothing, TcpRefusal::hello_timeout, "in time"},
    };
    for (const Case& each : cases) {
        const std::string name(to_string(each.reason));
        CAPTURE(name);
        told.clear();
        RawPeer peer(io, node.transport.local_port());
        const auto local = peer.socket().local_endpoint().port();
        if (!each.says.empty()) peer.say(each.says);
        REQUIRE(run_until(io, [&] { return !told.empty(); }));
        CHECK(told[0].reason == each.reason);
        CHECK(told[0].from == "127.0.0.1:" + std::to_string(local));
        CHECK(contains(told[0].text(), each.text));
        CHECK(node.transport.counters().refusals[each.reason] == 1);
    }
    { const RawPeer gone(io, node.transport.local_port()); }
    CHECK(run_until(
        io, [&] { return node.transport.counters().refusals[TcpRefusal::hello_cut_off] == 1; }));
    CHECK(node.transport.counters().handshakes_refused == cases.size() + 1);
}

TEST_CASE("tcp: many refusals for one reason are one line, and the next one says how many") {
    boost::asio::io_context io;
    std::vector<rsm::TcpRefused> told;
    rsm::TcpOptions with = options(two);
    with.on_refusal = [&told](const rsm::TcpRefused& refused) { told.push_back(refused); };
    Node node(io, with);
    node.knows(one, 1);
    node.start();
    const rsm::TcpRefusalCounts& counts = node.transport.counters().refusals;
    const auto begin = std::chrono::steady_clock::now();
    const auto knock = [&] {
        const std::uint64_t before = counts[TcpRefusal::unknown_node];
        RawPeer peer(io, node.transport.local_port());
        peer.say(hello(three, two));
        REQUIRE(run_until(io, [&] { return counts[TcpRefusal::unknown_node] > before; }));
    };
    for (int i = 0; i < 50; ++i) knock();
    while (told.size() < 2) knock();
    const auto lasted = std::chrono::steady_clock::now() - begin;
    CHECK(static_cast<std::int64_t>(told.size()) <= lasted / 1s + 1);
    CHECK(told[0].suppressed == 0);
    CHECK(told[1].suppressed >= 1);
    CHECK(contains(told[1].text(), " more like it before"));
}

TEST_CASE("tcp: both sides say why a connection was ended for what came over it") {
    boost::asio::io_context io;
    rsm::TcpOptions small = options(two);
    small.max_frame_bytes = 1024;
    Pair pair(io, options(one), small);
    REQUIRE(pair.connected);
    pair.a.transport.send(append(one, two, 1, 5 << 20));
    CHECK(run_until(io, [&] { return !pair.a.transport.connected(two); }));
    CHECK(contains(pair.a.transport.last_failure(two), "above its max_frame_bytes"));
    CHECK(pair.b.transport.counters().refusals[TcpRefusal::frame_too_long] == 1);
    CHECK(pair.b.transport.counters().bad_frames == 1);
}

TEST_CASE("tcp: a connection that another process replaces is told so, and a renewed one is not") {
    for (const std::uint64_t process : {1U, 2U}) {
        const bool other = process == 2;
        CAPTURE(other);
        boost::asio::io_context io;
        Dialling to(io);
        RawPeer first = to.greet(1);
        const std::size_t welcome = first.got().size();
        const RawPeer second = to.greet(process);
        CHECK(run_until(io, [&] { return first.closed(); }));
        const std::string_view farewell = std::string_view(first.got()).substr(welcome);
        CHECK(farewell.empty() != other);
        if (other) CHECK(answer_code_in(farewell) == AnswerCode::replaced);
        CHECK(to.node.transport.counters().refusals[TcpRefusal::claimed_anew] == (other ? 1U : 0U));
    }
}

TEST_CASE("tcp: nothing is told of a connection that ends while it is being renewed") {
    boost::asio::io_context io;
    std::vector<rsm::PeerStatus> changes;
    rsm::TcpOptions with = options(one);
    with.on_peer_change = [&changes](const rsm::PeerStatus& status) { changes.push_back(status); };
    Dialling to(io, with);
    REQUIRE(run_until(io, [&] { return !changes.empty(); }));
    changes.clear();
    const RawPeer greeted = to.greet(2);
    RawPeer next = to.listener.accept();
    to.peer.reset();
    CHECK(run_until(io, [&] { return !to.node.transport.connected(two); }));
    next.say(encode(rsm::detail::Answer{AnswerCode::welcome, two, 2, {}}));
    CHECK(run_until(io, [&] { return to.node.transport.connected(two); }));
    CHECK(changes.empty());
}

// ---- snapshots -------------------------------------------------------------------------------

TEST_CASE(
    "tcp: full windows of entries and of chunks fit into the queue, and heartbeats go first") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    constexpr std::uint64_t chunks = 16;  // of 256 KiB
    constexpr std::uint64_t appends = 4;  // of 8 MiB
    for (std::uint64_t i = 0; i < chunks; ++i) {
        pair.a.transport.send(chunk(one, two, i * (256 << 10), 256 << 10));
    }
    for (std::uint64_t i = 0; i < appends; ++i) {
        pair.a.transport.send(append(one, two, i, (8 << 20) - 1024));
    }
    pair.a.transport.send(heartbeat(one, two, appends));
    const bool all = run_until(io, [&] { return pair.b.received.size() == chunks + appends + 1; });
    CAPTURE(pair.b.received.size());
    CAPTURE(pair.a.transport.last_failure(two));
    CAPTURE(pair.a.transport.counters().messages_dropped);
    CAPTURE(pair.a.transport.counters().connects);
    CAPTURE(pair.b.transport.last_failure(one));
    REQUIRE(all);
    CHECK(pair.a.transport.counters().messages_dropped == 0);
    for (std::uint64_t i = 0; i <= appends; ++i) CHECK(round_of(pair.b.received[i]) == i);
    for (std::uint64_t i = 0; i < chunks; ++i) {
        const auto& body = std::get<raft::SnapshotChunk>(pair.b.received[appends + 1 + i].body);
        CHECK(body.offset == i * (256 << 10));
    }
}

}  // namespace tcp_peers_test
