// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The parts of the TCP transport that need no socket: greetings, frames, the two buffers.
#include "support/records.hpp"
#include "transport_support.hpp"

#include <raft/base/random.hpp>
#include <rsm/transport/tcp/inbox.hpp>
#include <rsm/transport/tcp/outbox.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/frame.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tcp_wire_test {

namespace {

using rsm::TcpBuffers;
using rsm::detail::Inbox;
constexpr std::size_t frame_max = std::size_t{1} << 20;

using raft::test::hex;
using transport_test::flat;
using transport_test::frame;
using transport_test::one;
using transport_test::two;

raft::Message heartbeat(std::uint64_t round) { return transport_test::heartbeat(one, two, round); }
raft::Message append(std::uint64_t round, std::size_t size) {
    return transport_test::append(one, two, round, size);
}
raft::Message chunk(std::uint64_t offset, std::size_t size) {
    return transport_test::chunk(one, two, offset, size);
}

std::string text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Feeds `bytes` in pieces of at most `most` bytes. False: the inbox found them broken.
bool feed(Inbox& inbox, std::string_view bytes, std::vector<raft::Message>& received,
          std::size_t most = std::size_t{1} << 30) {
    while (!bytes.empty()) {
        const std::span<std::byte> space = inbox.free_space();
        const std::size_t count = std::min({bytes.size(), space.size(), most});
        std::memcpy(space.data(), bytes.data(), count);
        inbox.received(count);
        bytes.remove_prefix(count);
        raft::Message message;
        Inbox::Status status = inbox.next(message);
        for (; status == Inbox::Status::message; status = inbox.next(message)) {
            received.push_back(std::move(message));
        }
        if (status != Inbox::Status::incomplete) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("the size of a message that limits use is the size of its encoding") {
    raft::SnapshotChunk described = std::get<raft::SnapshotChunk>(chunk(3, 5000).body);
    described.meta.membership = raft::Membership::of_voters({raft::NodeId{1}, raft::NodeId{2}});
    described.meta.membership.put({raft::NodeId{3}, raft::Standing::learner, {7}, "a:1"});
    const std::vector<raft::Message::Body> bodies = {
        raft::VoteRequest{},   raft::VoteReply{},   heartbeat(1).body, append(1, 10).body,
        append(1, 10000).body, raft::AppendReply{}, chunk(0, 7).body,  described,
        raft::SnapshotReply{},
    };
    for (const raft::Message::Body& body : bodies) {
        CAPTURE(body.index());
        raft::codec::Gather out;
        const raft::Message message{raft::NodeId{1}, raft::NodeId{2}, body};
        raft::codec::put(out, message);
        CHECK(raft::codec::encoded_size(message) == out.size());
    }
}

TEST_CASE("a checksum taken in pieces equals that of the whole, with any seed") {
    const std::string bytes(5000, 'x');
    const auto all = std::as_bytes(std::span(bytes));
    // Twice, so that the second state finds the first one's remains on the stack.
    for (int round = 0; round < 2; ++round) {
        for (const std::uint64_t seed : {0ULL, 1ULL, 0x1234567890abcdefULL}) {
            for (const std::size_t cut : {0U, 1U, 240U, 1024U, 5000U}) {
                rsm::detail::Checksum pieces(seed);
                pieces.update(all.first(cut));
                pieces.update(all.subspan(cut));
                CHECK(pieces.value() == rsm::detail::checksum(all, seed));
            }
        }
    }
    CHECK(rsm::detail::checksum(all, 1) != rsm::detail::checksum(all, 2));
}

TEST_CASE("a frame and the greetings have these bytes") {
    const raft::Message vote{raft::NodeId{1}, raft::NodeId{2},
                             raft::VoteReply{raft::Term{4}, raft::Term{3}, false, true}};
    CHECK(hex(frame(vote)) ==
          "43000000"
          "05"
          "01"
          "0000"
          "f739b24a8af6f272"
          "02"
          "0100000000000000"
          "0200000000000000"
          "0000000000000000"
          "0000000000000000"
          "0400000000000000"
          "0300000000000000"
          "00"
          "01"
          "0000000000000000"
          "0000000000000000");
    const rsm::detail::Hello hello{raft::NodeId{1},      raft::NodeId{2}, 9,    {0x11, 0x22},
                                   raft::Instance{0x33}, "blue",          "a:1"};
    CHECK(hex(text(encode(hello))) ==
          "52534d48"
          "0400"
          "4500"
          "0305"
          "0100000000000000"
          "0200000000000000"
          "0900000000000000"
          "1100000000000000"
          "2200000000000000"
          "3300000000000000"
          "0400"
          "626c7565"
          "0300"
          "613a31"
          "a4b8c5f704d91c43");
    const rsm::detail::Answer answer{rsm::detail::AnswerCode::welcome, raft::NodeId{2}, 9, "h:80"};
    CHECK(hex(text(encode(answer))) ==
          "52534d41"
          "0400"
          "2100"
          "0305"
          "00"
          "0200000000000000"
          "0900000000000000"
          "0400"
          "683a3830"
          "dc276f406c9cde54");
}

TEST_CASE("greetings come back equal, and no damaged one is accepted") {
    constexpr std::uint64_t most = ~std::uint64_t{0};
    const rsm::detail::Hello hello{raft::NodeId{most},
                                   raft::NodeId{most},
                                   most,
                                   {most, most},
                                   raft::Instance{most},
                                   std::string(rsm::TcpOptions::max_cluster_bytes, 'c'),
                                   std::string(raft::max_contact_bytes, 'h')};
    std::vector<std::byte> bytes = encode(hello);
    CHECK(rsm::detail::decode_hello(bytes) == hello);
    const rsm::detail::Answer answer{rsm::detail::AnswerCode::welcome, raft::NodeId{most}, most,
                                     std::string(rsm::TcpOptions::max_advertise_bytes, 'a')};
    CHECK(rsm::detail::decode_answer(encode(answer)) == answer);
    CHECK(encode(hello).size() <=
          rsm::detail::greeting_head_bytes + rsm::detail::greeting_rest_max);

    std::size_t accepted = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] ^= std::byte{0x10};
        if (rsm::detail::decode_hello(bytes).has_value()) ++accepted;
        bytes[i] ^= std::byte{0x10};
        if (rsm::detail::decode_hello(std::span(bytes).first(i)).has_value()) ++accepted;
    }
    CHECK(accepted == 0);
}

TEST_CASE("an inbox gives the same messages however their bytes are cut") {
    std::vector<raft::Message> sent;
    std::string bytes;
    raft::Random random(3);
    for (std::uint64_t i = 0; i < 60; ++i) {
        const std::size_t sizes[] = {0, 1, 100, 5000, 70000};
        const std::size_t size = sizes[random.below(5)];
        sent.push_back(size == 0 ? heartbeat(i) : append(i, size));
        bytes += frame(sent.back());
    }
    for (const std::size_t most : {7U, 100U, 4096U, 65536U, 1U << 30}) {
        CAPTURE(most);
        Inbox inbox(frame_max);
        std::vector<raft::Message> received;
        CHECK(feed(inbox, bytes, received, most));
        CHECK(received == sent);
    }
}

TEST_CASE("an inbox gives the same messages whatever the sizes of its buffers") {
    std::vector<raft::Message> sent;
    std::string bytes;
    raft::Random random(7);
    for (std::uint64_t i = 0; i < 400; ++i) {
        const std::size_t size = random.below(4) == 0 ? random.below(std::size_t{3000}) : 5;
        sent.push_back(i % 3 == 0 ? heartbeat(i) : append(i, size));
        bytes += frame(sent.back());
    }
    for (const TcpBuffers sizes : {TcpBuffers{1, 1, 1}, TcpBuffers{40, 64, 30},
                                   TcpBuffers{100, 5000, 1}, TcpBuffers{700, 700, 700}}) {
        for (const std::size_t most : {1U, 13U, 1000U}) {
            CAPTURE(sizes.first_receive_bytes);
            CAPTURE(most);
            Inbox inbox(frame_max, sizes);
            std::vector<raft::Message> received;
            CHECK(feed(inbox, bytes, received, most));
            CHECK(received == sent);
        }
    }
}

TEST_CASE("an inbox reuses the room of heartbeats and never that of payloads still in use") {
    Inbox inbox(frame_max);
    std::vector<raft::Message> received;
    REQUIRE(feed(inbox, frame(append(1, 50)), received));
    const std::byte* const room = inbox.free_space().data();
    for (std::uint64_t i = 0; i < 5000; ++i) {
        REQUIRE(feed(inbox, frame(heartbeat(i)), received));
    }
    CHECK(inbox.free_space().data() == room);
    REQUIRE(feed(inbox, frame(append(2, 50)), received));
    CHECK(inbox.free_space().data() > room);
    CHECK(received.size() == 5002);
    CHECK(received.front() == append(1, 50));
    CHECK(received.back() == append(2, 50));
}

TEST_CASE("an announced length alone makes an inbox allocate nothing") {
    Inbox inbox(std::size_t{1} << 30);
    std::vector<raft::Message> received;
    std::string large = frame(heartbeat(1));
    const std::uint32_t announced = 900U << 20;
    raft::codec::store_little(reinterpret_cast<std::byte*>(large.data()), announced);
    REQUIRE(feed(inbox, large, received));
    inbox.free_space();
    CHECK(inbox.buffer_size() == TcpBuffers{}.first_receive_bytes);
    REQUIRE(feed(inbox, std::string(200000, 'x'), received, 1000));
    CHECK(inbox.buffer_size() <= 2 * 200000);
    CHECK(received.empty());
}

TEST_CASE("a frame of the largest length is taken, a longer one breaks the connection at once") {
    const std::string exact = frame(append(1, 2000));
    std::vector<raft::Message> received;
    Inbox fits(exact.size() - rsm::detail::frame_header_bytes);
    CHECK(feed(fits, exact, received));
    CHECK(received.size() == 1);
    Inbox small(exact.size() - rsm::detail::frame_header_bytes - 1);
    CHECK_FALSE(feed(small, exact.substr(0, rsm::detail::frame_header_bytes), received));
}

TEST_CASE("no flipped bit of a frame gets past an inbox") {
    const std::string good = frame(append(1, 40));
    std::size_t delivered = 0;
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        Inbox inbox(frame_max);
        std::vector<raft::Message> received;
        const bool unbroken = feed(inbox, bad, received);
        // Only a length that became larger leaves the inbox waiting.
        if (unbroken && bit >= 32) ++delivered;
        delivered += received.size();
    }
    CHECK(delivered == 0);
}

TEST_CASE("an outbox puts one snapshot chunk behind the messages of each batch") {
    rsm::detail::Outbox outbox(frame_max, frame_max);
    rsm::detail::Batch batch;
    const auto written = [&outbox, &batch] {
        outbox.take(batch);
        std::string bytes = flat(batch.frames);
        outbox.finish(batch);
        return bytes;
    };
    REQUIRE(outbox.push(chunk(0, 100)));
    REQUIRE(outbox.push(chunk(100, 5000)));
    REQUIRE(outbox.push(chunk(5100, 1)));
    REQUIRE(outbox.push(heartbeat(1)));
    REQUIRE(outbox.push(append(2, 5000)));
    CHECK(written() == frame(heartbeat(1)) + frame(append(2, 5000)) + frame(chunk(0, 100)));
    CHECK(written() == frame(chunk(100, 5000)));
    REQUIRE(outbox.push(heartbeat(3)));
    CHECK(written() == frame(heartbeat(3)) + frame(chunk(5100, 1)));
    CHECK(outbox.empty());
    CHECK(outbox.bytes() == 0);
}

TEST_CASE("an outbox holds no more than its bound, and chunks no more than half of it") {
    constexpr std::size_t bound = 100000;
    rsm::detail::Outbox outbox(bound, frame_max);
    std::size_t chunks = 0;
    while (outbox.push(chunk(0, 1000))) ++chunks;
    CHECK(outbox.bytes() <= bound / 2);
    CHECK(outbox.bytes() > bound / 2 - 2000);
    std::size_t appends = 0;
    while (outbox.push(append(1, 1000))) ++appends;
    CHECK(outbox.bytes() <= bound);
    CHECK(outbox.bytes() > bound - 2000);
    CHECK(outbox.messages() == chunks + appends);

    rsm::detail::Batch batch;
    const std::size_t before = outbox.bytes();
    outbox.take(batch);
    CHECK(outbox.bytes() == before);  // what is being written still counts
    outbox.finish(batch);
    CHECK(outbox.bytes() < bound / 2);
}

TEST_CASE("an empty outbox takes a message above its bound, but none above the frame limit") {
    rsm::detail::Outbox outbox(100, 5000);
    CHECK_FALSE(outbox.push(append(1, 5000)));
    CHECK(outbox.push(append(1, 4900)));
    CHECK_FALSE(outbox.push(heartbeat(1)));
}

TEST_CASE("addresses are read, and what is none is not") {
    using rsm::TcpAddress;
    CHECK(TcpAddress::parse("127.0.0.1:7001") == TcpAddress{"127.0.0.1", 7001});
    CHECK(TcpAddress::parse("node-1.example:65535") == TcpAddress{"node-1.example", 65535});
    CHECK(TcpAddress::parse("[::1]:0") == TcpAddress{"::1", 0});
    CHECK(TcpAddress{"::1", 80}.text() == "[::1]:80");
    for (const char* wrong : {"", ":", "host", "host:", ":80", "::1:80", "host:65536", "host:1x",
                              "host:-1", "[]:80", "host:000080", "[:80"}) {
        CAPTURE(std::string(wrong));
        CHECK_FALSE(TcpAddress::parse(wrong).has_value());
    }
}

}  // namespace tcp_wire_test
