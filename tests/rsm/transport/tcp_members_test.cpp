// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a TcpTransport makes of who its node is, and of the members that it is told.
#include "transport_support.hpp"

#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/transport/wire/cluster_id.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tcp_members_test {

using namespace transport_test;
using rsm::detail::AnswerCode;

namespace {

raft::Membership members(std::vector<raft::Member> all) {
    raft::Membership membership;
    for (raft::Member& member : all) membership.put(std::move(member));
    return membership;
}
raft::Member member(raft::NodeId node, std::string contact) {
    return {node, raft::Standing::voter, {}, std::move(contact)};
}
std::string at(const Node& node) {
    return "127.0.0.1:" + std::to_string(node.transport.local_port());
}
raft::Identity identity(raft::NodeId node, std::string founded_at) {
    return {node, "c", members({member(one, std::move(founded_at))}), {node.value + 100}, true};
}

}  // namespace

TEST_CASE("a cluster's id tells names and founding members apart, and not who starts") {
    const raft::Identity first = identity(one, "a:1");
    raft::Identity other_node = identity(two, "a:1");
    CHECK(rsm::detail::cluster_id(first) == rsm::detail::cluster_id(other_node));
    other_node.founding.members.front().instance = {9};
    CHECK(rsm::detail::cluster_id(first) == rsm::detail::cluster_id(other_node));
    CHECK(rsm::detail::cluster_id(first) != rsm::detail::cluster_id(identity(one, "a:2")));
    raft::Identity renamed = first;
    renamed.cluster = "d";
    CHECK(rsm::detail::cluster_id(first) != rsm::detail::cluster_id(renamed));
}

TEST_CASE("tcp: nodes of clusters of one name that were founded otherwise refuse each other") {
    boost::asio::io_context io;
    rsm::TcpOptions options_of_one = options(one);
    std::vector<std::string> told;
    options_of_one.on_refusal = [&](const rsm::TcpRefused& refused) {
        told.push_back(refused.text());
    };
    Node a(io, options_of_one);
    Node b(io, options(two));
    a.transport.identify(identity(one, "a:1"));
    b.transport.identify(identity(two, "a:2"));
    a.knows(b);
    b.knows(a);
    a.start();
    b.start();
    CHECK(run_until(io, [&] { return !told.empty(); }));
    CHECK(told.front().find("founded with other members") != std::string::npos);
    CHECK(run_until(io, [&] { return !b.transport.last_failure(one).empty(); }));
    CHECK(b.transport.last_failure(one).find("another cluster") != std::string::npos);
    CHECK_FALSE(b.transport.connected(one));
}

TEST_CASE("tcp: a node of the cluster that is no member yet is heard, and can be answered") {
    boost::asio::io_context io;
    Node a(io, options(one));
    Node b(io, options(two));
    a.transport.identify(identity(one, "a:1"));
    b.transport.identify(identity(two, "a:1"));
    a.transport.set_members(members({member(one, at(a))}));
    b.transport.set_members(members({member(two, at(b)), member(one, at(a))}));
    a.start();
    b.start();
    CHECK(run_until(io, [&] { return a.transport.connected(two); }));
    a.transport.send(heartbeat(one, two, 7));
    CHECK(run_until(io, [&] { return !b.received.empty(); }));
    // It stays one that has introduced itself until it is told otherwise.
    a.transport.set_members(members({member(one, at(a))}));
    CHECK(a.transport.connected(two));
    a.transport.set_members(members({member(one, at(a)), member(two, at(b))}));
    a.transport.set_members(members({member(one, at(a))}));
    CHECK_FALSE(a.transport.connected(two));
}

TEST_CASE("tcp: who does not say where it is, or is of no cluster, is no guest") {
    boost::asio::io_context io;
    Node a(io, options(one));
    a.transport.identify(identity(one, "a:1"));
    a.start();
    const auto greeting = [&](std::string contact, raft::NodeId from) {
        return encode(rsm::detail::Hello{from,
                                         one,
                                         1,
                                         rsm::detail::cluster_id(identity(one, "a:1")),
                                         {},
                                         "default",
                                         std::move(contact)});
    };
    for (const std::string contact : {"", "nonsense", "127.0.0.1:0"}) {
        CAPTURE(contact);
        RawPeer peer(io, a.transport.local_port());
        peer.say(greeting(contact, two));
        peer.listen();
        CHECK(run_until(io, [&] { return answer_code(peer) == AnswerCode::unknown_node; }));
    }
    // Nor are there ever many of them: one more finds a place when another one has gone.
    const auto knock = [&](std::uint64_t id) {
        RawPeer peer(io, a.transport.local_port());
        peer.say(greeting("127.0.0.1:1", {id}));
        peer.listen();
        REQUIRE(run_until(io, [&] { return answer_code(peer).has_value(); }));
        return peer;
    };
    std::map<std::uint64_t, RawPeer> guests;
    for (std::uint64_t id = 2; id < 18; ++id) {
        const auto guest = guests.emplace(id, knock(id)).first;
        CHECK(answer_code(guest->second) == AnswerCode::welcome);
    }
    CHECK(answer_code(knock(99)) == AnswerCode::unknown_node);
    guests.erase(5);
    AnswerCode answer = AnswerCode::unknown_node;
    for (int i = 0; i < 100 && answer != AnswerCode::welcome; ++i) answer = *answer_code(knock(99));
    CHECK(answer == AnswerCode::welcome);
    std::vector<raft::NodeId> left;
    for (const rsm::PeerStatus& peer : a.transport.peers()) left.push_back(peer.node);
    CHECK(std::ranges::count(left, raft::NodeId{5}) == 0);
    CHECK(left.size() == 16);
}

TEST_CASE("tcp: a member that moves is dialled where it is now") {
    boost::asio::io_context io;
    Node a(io, options(one));
    Node before(io, options(two));
    Node after(io, options(two));
    a.start();
    for (Node* node : {&before, &after}) {
        node->knows(a);
        node->start();
    }
    a.transport.set_members(members({member(one, at(a)), member(two, at(before))}));
    CHECK(run_until(io, [&] { return a.transport.connected(two); }));
    a.transport.set_members(members({member(one, at(a)), member(two, at(after))}));
    CHECK(run_until(io, [&] { return a.transport.connected(two); }));
    a.transport.send(heartbeat(one, two, 3));
    CHECK(run_until(io, [&] { return !after.received.empty(); }));
    // Of whom no address is said, the one that is known stays.
    a.transport.set_members(members({member(one, ""), member(two, "")}));
    CHECK(a.transport.connected(two));
}

TEST_CASE("tcp: members that could not be reached are told with a reason") {
    boost::asio::io_context io;
    Node a(io, options(one));
    const auto problem = [&](std::vector<raft::Member> all) {
        return a.transport.problem(members(std::move(all)));
    };
    CHECK(problem({member(one, "h:1"), member(two, "h:2")}) == "");
    CHECK(problem({member(two, "")}) == "node 2: \"\" is not host:port");
    CHECK(problem({member(two, "h")}) == "node 2: \"h\" is not host:port");
    CHECK(problem({member(two, "h:0")}) == "node 2: \"h:0\" has port 0");
    CHECK(problem({member(two, "h:1"), member(three, "H:1")}) ==
          "node 3: \"H:1\" is the address of node 2, too");
    for (const std::string nowhere : {"0.0.0.0:1", "[::]:1", "a b:1", "a\nb:1"}) {
        CHECK(problem({member(two, nowhere)}) ==
              "node 2: \"" + nowhere + "\" is nowhere that others can reach");
    }
}

}  // namespace tcp_members_test
