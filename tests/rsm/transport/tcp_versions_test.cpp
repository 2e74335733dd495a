// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes that speak different versions of the protocol.
#include "transport_support.hpp"

#include <raft/protocol/codec.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/transport/wire/greeting.hpp>
#include <rsm/transport/wire/versions.hpp>

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tcp_versions_test {

namespace {

using namespace transport_test;
using rsm::TcpRefusal;
using rsm::WireVersions;
using rsm::detail::Answer;
using rsm::detail::AnswerCode;
using rsm::detail::common_version;
using rsm::detail::Hello;

raft::Message marks(raft::NodeId from, raft::NodeId to) {
    return {from, to, raft::StateMarks{raft::Term{1}, raft::MarksKind::newest, {{{7}, 8}}}};
}
rsm::TcpOptions speaking(raft::NodeId self, WireVersions versions) {
    rsm::TcpOptions with = options(self);
    with.versions = versions;
    return with;
}
std::string frame_of(const raft::Message& message, std::uint8_t version) {
    raft::codec::Gather out;
    rsm::detail::put_frame(out, message, version);
    return flat(out);
}

}  // namespace

TEST_CASE("the highest version that both speak is spoken") {
    CHECK(common_version({2, 3}, {2, 3}) == 3);
    CHECK(common_version({2, 3}, {2, 2}) == 2);
    CHECK(common_version({2, 2}, {2, 3}) == 2);
    CHECK(common_version({1, 5}, {3, 9}) == 5);
    CHECK(common_version({3, 9}, {1, 5}) == 5);
    CHECK(common_version({1, 5}, {5, 9}) == 5);
    CHECK_FALSE(common_version({1, 4}, {5, 9}).has_value());
    CHECK_FALSE(common_version({5, 9}, {1, 4}).has_value());
    CHECK(rsm::detail::text(WireVersions{2, 3}) == "2 to 3");
    CHECK(rsm::detail::text(WireVersions{4, 4}) == "4");
}

TEST_CASE("options take versions that the library speaks only") {
    const auto problem = [](WireVersions versions) { return speaking(one, versions).problem(); };
    CHECK(problem({3, 5}).empty());
    CHECK(problem({4, 4}).empty());
    CHECK_FALSE(problem({4, 3}).empty());
    CHECK_FALSE(problem({2, 4}).empty());
    CHECK_FALSE(problem({3, 6}).empty());
}

TEST_CASE("tcp: a newer node and an older one talk, but for what the older one does not know") {
    boost::asio::io_context io;
    Node older(io, speaking(one, {3, 3}));
    Node newer(io, speaking(two, {3, 4}));
    older.knows(newer);
    newer.knows(older);
    older.start();
    newer.start();
    REQUIRE(run_until(
        io, [&] { return older.transport.connected(two) && newer.transport.connected(one); }));
    newer.transport.send(marks(two, one));
    newer.transport.send(heartbeat(two, one, 5));
    older.transport.send(heartbeat(one, two, 6));
    CHECK(run_until(io, [&] { return !older.received.empty() && !newer.received.empty(); }));
    REQUIRE(older.received.size() == 1);
    CHECK(older.received[0] == heartbeat(two, one, 5));
    CHECK(newer.received[0] == heartbeat(one, two, 6));
    CHECK(newer.transport.counters().messages_dropped == 1);
    CHECK(older.transport.counters().bad_frames == 0);
}

TEST_CASE("tcp: who does not know that others send for a leader is neither asked to nor sent to") {
    boost::asio::io_context io;
    Node older(io, speaking(one, {3, 4}));
    Node newer(io, speaking(two, {3, 5}));
    older.knows(newer);
    newer.knows(older);
    older.start();
    newer.start();
    REQUIRE(run_until(
        io, [&] { return older.transport.connected(two) && newer.transport.connected(one); }));
    newer.transport.send({two, one, raft::SourceRequest{}});
    newer.transport.send({two, one, raft::SourceReply{}});
    newer.transport.send({two, one, raft::SourceChunk{}});
    newer.transport.send(heartbeat(two, one, 5));
    CHECK(run_until(io, [&] { return !older.received.empty(); }));
    CHECK(older.received[0] == heartbeat(two, one, 5));
    CHECK(newer.transport.counters().messages_dropped == 3);
}

TEST_CASE("tcp: two newer nodes tell each other everything") {
    boost::asio::io_context io;
    Pair pair(io);
    REQUIRE(pair.connected);
    pair.a.transport.send(marks(one, two));
    CHECK(run_until(io, [&] { return !pair.b.received.empty(); }));
    CHECK(pair.b.received[0] == marks(one, two));
}

TEST_CASE("tcp: with no version in common both sides say which ones they speak") {
    boost::asio::io_context io;
    std::vector<rsm::TcpRefused> told;
    rsm::TcpOptions with = speaking(two, {4, 4});
    with.on_refusal = [&told](const rsm::TcpRefused& refused) { told.push_back(refused); };
    Node newer(io, with);
    Node older(io, speaking(one, {3, 3}));
    older.knows(newer);
    newer.knows(older);
    older.start();
    newer.start();
    REQUIRE(run_until(io, [&] {
        return !told.empty() && !older.transport.last_failure(two).empty() &&
               !newer.transport.last_failure(one).empty();
    }));
    CHECK(told[0].reason == TcpRefusal::other_version);
    CHECK(contains(told[0].text(), "(3 instead of 4)"));
    CHECK(contains(older.transport.last_failure(two),
                   "refused: it speaks versions 4 of the protocol, and this node 3"));
    CHECK(contains(newer.transport.last_failure(one),
                   "refused: it speaks versions 3 of the protocol, and this node 4"));
    CHECK_FALSE(older.transport.connected(two));
    CHECK_FALSE(newer.transport.connected(one));
}

TEST_CASE("tcp: every frame is of the version that was agreed") {
    boost::asio::io_context io;
    Node node(io, speaking(one, {3, 4}));
    node.knows(two, 1);
    node.start();
    const auto greet = [&](WireVersions versions) {
        RawPeer peer(io, node.transport.local_port());
        peer.say(encode(Hello{two, one, 1, {}, {}, "default", {}, versions}));
        REQUIRE(run_until(io, [&] { return answer_code(peer) == AnswerCode::welcome; }));
        return peer;
    };
    const auto says = [&](RawPeer& peer, const std::string& bytes) {
        const std::uint64_t before = node.received.size();
        peer.say(bytes);
        run_until(io, [&] { return peer.closed() || node.received.size() != before; });
        return node.received.size() != before;
    };
    RawPeer old = greet({1, 3});
    CHECK(says(old, frame_of(heartbeat(two, one, 1), 3)));
    CHECK_FALSE(says(old, frame_of(heartbeat(two, one, 2), 4)));
    CHECK(node.transport.counters().refusals[TcpRefusal::frame_unknown] == 1);
    RawPeer same = greet({3, 3});
    CHECK_FALSE(says(same, frame_of(marks(two, one), 3)));
    CHECK(node.transport.counters().refusals[TcpRefusal::message_invalid] == 1);
    RawPeer later = greet({4, 9});
    CHECK(says(later, frame_of(marks(two, one), 4)));
}

TEST_CASE("tcp: what a later greeting says beyond this one is left unread") {
    boost::asio::io_context io;
    Node node(io, options(one));
    node.knows(two, 1);
    node.start();
    std::vector<std::byte> greeting = encode(Hello{two, one, 1, {}, {}, "default", {}, {3, 7}});
    greeting.resize(greeting.size() - 8);
    greeting.insert(greeting.end(), 5, std::byte{0x5a});
    const auto length = static_cast<std::uint16_t>(greeting.size());  // with the checksum
    raft::codec::store_little(greeting.data() + 6, length);
    const std::uint64_t sum = rsm::detail::checksum(greeting);
    greeting.resize(greeting.size() + 8);
    raft::codec::store_little(greeting.data() + greeting.size() - 8, sum);
    RawPeer peer(io, node.transport.local_port());
    peer.say(greeting);
    CHECK(run_until(io, [&] { return answer_code(peer) == AnswerCode::welcome; }));
}

}  // namespace tcp_versions_test
