// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <raft/base/random.hpp>
#include <raft/protocol/codec.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace codec_test {

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

raft::Message message(raft::Message::Body body) {
    return {raft::NodeId{1}, raft::NodeId{2}, std::move(body), raft::Instance{0xa1},
            raft::Instance{0xa2}};
}

raft::Bytes pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
    return raft::Bytes::copy_of(text);
}

raft::Entry entry(std::uint64_t index, std::uint64_t term, raft::EntryKind kind,
                  raft::Bytes payload) {
    return {raft::Index{index}, raft::Term{term}, kind, std::move(payload)};
}

template <class... Values>
raft::Bytes encoded(const Values&... values) {
    raft::codec::Gather out;
    (raft::codec::put(out, values), ...);
    std::string flat;
    out.for_each_part([&flat](std::span<const std::byte> part) {
        flat.append(reinterpret_cast<const char*>(part.data()), part.size());
    });
    CHECK(flat.size() == out.size());
    return raft::Bytes::copy_of(flat);
}

/// Lower-case hexadecimal digits to bytes; spaces are for the reader.
raft::Bytes hex(std::string_view digits) {
    const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
    std::string bytes;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (digits[i] == ' ') continue;
        bytes.push_back(static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1])));
        ++i;
    }
    return raft::Bytes::copy_of(bytes);
}

raft::SnapshotMeta meta(std::uint64_t size) {
    raft::SnapshotMeta meta;
    meta.last = {raft::Index{9}, raft::Term{4}};
    using raft::Standing;
    meta.membership.members = {{raft::NodeId{1}, Standing::voter, {}, "host:1"},
                               {raft::NodeId{2}, Standing::incoming, raft::Instance{most}, {}},
                               {raft::NodeId{3}, Standing::learner, {}, {}},
                               {raft::NodeId{4}, Standing::outgoing, {}, {}},
                               {raft::NodeId{5}, Standing::demoted, {}, {}}};
    meta.size = size;
    meta.checksum = 0x1122334455667788;
    return meta;
}

/// Every kind of message, with ordinary and with extreme values.
std::vector<raft::Message> samples() {
    using namespace raft;
    const LogPosition end{Index{most}, Term{most}};
    return {
        message(VoteRequest{}),
        message(VoteRequest{Term{most}, true, end, true}),
        message(VoteReply{}),
        message(VoteReply{Term{3}, Term{most}, true, true, end}),
        message(AppendRequest{}),
        message(AppendRequest{Term{most}, end, Index{most}, most, {}}),
        message(AppendRequest{
            Term{5},
            {Index{6}, Term{4}},
            Index{6},
            7,
            {entry(7, 4, EntryKind::operation, pattern(1)), entry(8, 5, EntryKind::barrier, {}),
             entry(9, 5, EntryKind::membership,
                   codec::encode(Membership::of_voters({NodeId{1}, NodeId{2}}))),
             entry(10, 5, EntryKind::operation, pattern(codec::Gather::reference_bytes)),
             entry(11, 5, EntryKind::operation, pattern(codec::Gather::reference_bytes - 1))}}),
        message(AppendReply{}),
        message(AppendReply{Term{most}, true, Index{most}, end, most, true, false}),
        message(AppendReply{Term{}, false, {}, {}, 0, false, true}),
        message(SnapshotChunk{}),
        message(SnapshotChunk{Term{5}, meta(most), most, {}}),
        message(SnapshotChunk{Term{5}, meta(10000), 0, pattern(10000)}),
        message(SnapshotReply{}),
        message(
            SnapshotReply{Term{most}, end, most, most, TransferOutcome::installed, Index{most}}),
        message(SnapshotReply{Term{most}, end, most, 0, TransferOutcome::rejected, {}}),
        message(TimeoutNow{}),
        message(TimeoutNow{Term{most}}),
        message(LackingEntries{}),
        message(LackingEntries{
            Term{most}, {{3}, {2}}, {entry(4, 2, EntryKind::operation, pattern(1))}}),
        message(StateMarks{}),
        message(StateMarks{Term{most}, MarksKind::agreed, {{Index{most}, most}, {Index{7}, 8}}}),
        message(ReadableVersion{}),
        message(ReadableVersion{Term{most}, 0xffffffff}),
        message(SourceRequest{}),
        message(SourceRequest{Term{most}, NodeId{most}, end, most, most, most}),
        message(SourceReply{}),
        message(SourceReply{Term{5}, NodeId{3}, meta(most)}),
        message(SourceChunk{}),
        message(SourceChunk{Term{5}, NodeId{most}, meta(10000), 0, pattern(10000)}),
    };
}

/// A copy of `bytes` with `count` of them removed at `at` and `added` put there instead.
raft::Bytes spliced(const raft::Bytes& bytes, std::size_t at, std::size_t count,
                    std::string_view added) {
    std::string text(bytes.text());
    text.replace(at, count, added);
    return raft::Bytes::copy_of(text);
}

}  // namespace

TEST_CASE("every kind of message comes back equal from its encoding") {
    for (const raft::Message& sample : samples()) {
        CAPTURE(sample.body.index());
        const auto back = raft::codec::decode_message(encoded(sample));
        REQUIRE(back.has_value());
        CHECK(*back == sample);
    }
}

TEST_CASE("the payloads of a decoded message are slices of the frame, not copies") {
    const raft::Bytes frame = encoded(samples()[6]);
    const auto back = raft::codec::decode_message(frame);
    REQUIRE(back.has_value());
    for (const raft::Entry& got : std::get<raft::AppendRequest>(back->body).entries) {
        if (got.payload.empty()) continue;
        CHECK(got.payload.data() > frame.data());
        CHECK(got.payload.data() + got.payload.size() <= frame.data() + frame.size());
    }
}

TEST_CASE("payloads from the limit on are referred to, smaller ones are copied") {
    std::size_t limit = raft::codec::Gather::reference_bytes;
    raft::codec::Gather out;
    SUBCASE("the usual one") {}
    SUBCASE("another one") {
        limit = 20;
        out = raft::codec::Gather(limit);
    }
    const raft::Bytes large = pattern(limit);
    out.put_payload(pattern(limit - 1));
    CHECK(out.pieces().empty());
    out.put_payload(large);
    REQUIRE(out.pieces().size() == 1);
    CHECK(out.pieces()[0].payload.data() == large.data());
    CHECK(out.pieces()[0].position == limit - 1);
    CHECK(out.size() == 2 * limit - 1);
}

TEST_CASE("a vote request has these bytes") {
    const raft::Message sample =
        message(raft::VoteRequest{raft::Term{3}, true, {raft::Index{0x1234}, raft::Term{2}}});
    CHECK(encoded(sample) == hex("01 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0300000000000000"
                                 "01 3412000000000000 0200000000000000 00 00"));
}

TEST_CASE("a vote reply has these bytes") {
    const raft::Message sample =
        message(raft::VoteReply{raft::Term{4}, raft::Term{3}, false, true});
    CHECK(encoded(sample) == hex("02 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0400000000000000"
                                 "0300000000000000 00 01 0000000000000000 0000000000000000"));
}

TEST_CASE("an append request has these bytes") {
    const raft::Message sample = message(
        raft::AppendRequest{raft::Term{5},
                            {raft::Index{6}, raft::Term{4}},
                            raft::Index{6},
                            7,
                            {entry(7, 4, raft::EntryKind::operation, raft::Bytes::copy_of("xyz")),
                             entry(8, 5, raft::EntryKind::barrier, {})}});
    CHECK(encoded(sample) == hex("03 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0500000000000000"
                                 "0600000000000000 0400000000000000 0600000000000000"
                                 "0700000000000000 02000000"
                                 "0400000000000000 01 03000000 78797a"
                                 "0500000000000000 03 00000000"));
}

TEST_CASE("an append reply has these bytes") {
    const raft::Message sample = message(raft::AppendReply{
        raft::Term{5}, true, raft::Index{8}, {raft::Index{7}, raft::Term{4}}, 9, true, false});
    CHECK(encoded(sample) == hex("04 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0500000000000000"
                                 "01 0800000000000000 0700000000000000 0400000000000000"
                                 "0900000000000000 01 00"));
}

TEST_CASE("a snapshot chunk has these bytes") {
    const raft::Message sample =
        message(raft::SnapshotChunk{raft::Term{5}, meta(100), 98, raft::Bytes::copy_of("AB")});
    CHECK(encoded(sample) ==
          hex("05 0100000000000000 0200000000000000 a100000000000000"
              "a200000000000000 0500000000000000"
              "0900000000000000 0400000000000000 6400000000000000"
              "8877665544332211"
              "05000000"
              "0100000000000000 01 0000000000000000 01000000 06000000 686f73743a31"
              "0200000000000000 03 ffffffffffffffff 01000000 00000000"
              "0300000000000000 02 0000000000000000 01000000 00000000"
              "0400000000000000 04 0000000000000000 01000000 00000000"
              "0500000000000000 05 0000000000000000 01000000 00000000"
              "6200000000000000 4142"));
}

TEST_CASE("a snapshot reply has these bytes") {
    const raft::Message sample = message(raft::SnapshotReply{raft::Term{5},
                                                             {raft::Index{9}, raft::Term{4}},
                                                             0xff,
                                                             16,
                                                             raft::TransferOutcome::installed,
                                                             raft::Index{9}});
    CHECK(encoded(sample) == hex("06 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0500000000000000"
                                 "0900000000000000 0400000000000000 ff00000000000000"
                                 "1000000000000000 01 0900000000000000"));
}

TEST_CASE("whatever carries payloads keeps the block that it was decoded from") {
    const std::vector<raft::Entry> carried{{{4}, {2}, raft::EntryKind::operation, pattern(1)}};
    CHECK(raft::codec::holds_payload(message(raft::AppendRequest{{}, {}, {}, 0, carried})));
    CHECK(raft::codec::holds_payload(message(raft::LackingEntries{{}, {}, carried})));
    CHECK(raft::codec::holds_payload(message(raft::SnapshotChunk{{}, {}, 0, pattern(1)})));
    CHECK_FALSE(raft::codec::holds_payload(message(raft::AppendRequest{})));
    CHECK_FALSE(raft::codec::holds_payload(message(raft::LackingEntries{})));
    CHECK_FALSE(raft::codec::holds_payload(message(raft::StateMarks{})));
    CHECK_FALSE(raft::codec::holds_payload(message(raft::TimeoutNow{})));
}

TEST_CASE("state marks have these bytes, which the versions before 4 do not know") {
    const raft::Message sample = message(raft::StateMarks{
        raft::Term{5}, raft::MarksKind::agreed, {{raft::Index{9}, 0xff}, {raft::Index{10}, 1}}});
    CHECK(encoded(sample) == hex("09 0100000000000000 0200000000000000 a100000000000000"
                                 "a200000000000000 0500000000000000 04 02000000"
                                 "0900000000000000 ff00000000000000"
                                 "0a00000000000000 0100000000000000"));
    CHECK(raft::codec::is_known_in(4, sample));
    CHECK_FALSE(raft::codec::is_known_in(3, sample));
    CHECK(raft::codec::is_known_in(3, message(raft::TimeoutNow{})));
    const std::size_t kind = 41;
    CHECK(raft::codec::decode_message(spliced(encoded(sample), kind, 1, "\x01")));
    CHECK_FALSE(raft::codec::decode_message(spliced(encoded(sample), kind, 1, "\x05")));
    raft::StateMarks many;
    many.marks.resize(raft::max_state_marks);
    CHECK(raft::codec::decode_message(encoded(message(many))));
    many.marks.emplace_back();
    CHECK_FALSE(raft::codec::decode_message(encoded(message(many))));
}

TEST_CASE("who sends a snapshot for the leader is told in these bytes, from version 5 on") {
    const raft::Message request = message(raft::SourceRequest{
        raft::Term{5}, raft::NodeId{3}, {raft::Index{9}, raft::Term{4}}, 0xff, 98, 2});
    CHECK(encoded(request) == hex("0b 0100000000000000 0200000000000000 a100000000000000"
                                  "a200000000000000 0500000000000000 0300000000000000"
                                  "0900000000000000 0400000000000000 ff00000000000000"
                                  "6200000000000000 0200000000000000"));
    const raft::Message reply =
        message(raft::SourceReply{raft::Term{5}, raft::NodeId{3}, {{{9}, {4}}, {}, 100, 0xff}});
    CHECK(encoded(reply) == hex("0c 0100000000000000 0200000000000000 a100000000000000"
                                "a200000000000000 0500000000000000 0300000000000000"
                                "0900000000000000 0400000000000000 6400000000000000"
                                "ff00000000000000 00000000"));
    const raft::Message chunk = message(raft::SourceChunk{raft::Term{5},
                                                          raft::NodeId{3},
                                                          {{{9}, {4}}, {}, 100, 0xff},
                                                          98,
                                                          raft::Bytes::copy_of("AB")});
    CHECK(encoded(chunk) == hex("0d 0100000000000000 0200000000000000 a100000000000000"
                                "a200000000000000 0500000000000000 0300000000000000"
                                "0900000000000000 0400000000000000 6400000000000000"
                                "ff00000000000000 00000000 6200000000000000 4142"));
    for (const raft::Message& sample : {request, reply, chunk}) {
        CHECK(raft::codec::is_known_in(5, sample));
        CHECK_FALSE(raft::codec::is_known_in(4, sample));
    }
    // A piece that reaches beyond its snapshot.
    const std::size_t offset = encoded(chunk).size() - 10;
    CHECK_FALSE(raft::codec::decode_message(spliced(encoded(chunk), offset, 1, "\x63")));
    CHECK(raft::codec::holds_payload(chunk));
    CHECK_FALSE(raft::codec::holds_payload(request));
}

TEST_CASE("the persistent forms have these bytes and the sizes that are accounted for them") {
    const raft::HardState state{raft::Term{3}, raft::NodeId{2}, raft::Index{1}};
    CHECK(encoded(state) == hex("0300000000000000 0200000000000000 0100000000000000"));
    CHECK(encoded(state).size() == raft::codec::hard_state_bytes);
    CHECK(raft::codec::decode<raft::HardState>(encoded(state)) == state);

    const raft::Entry operation =
        entry(7, 3, raft::EntryKind::operation, raft::Bytes::copy_of("op"));
    CHECK(encoded(operation) == hex("0700000000000000 0300000000000000 01 6f70"));
    CHECK(encoded(operation).size() + raft::codec::record_header_bytes ==
          raft::codec::persisted_size(operation));
    CHECK(raft::codec::decode<raft::Entry>(encoded(operation)) == operation);

    const raft::Membership members = meta(0).membership;
    CHECK(raft::codec::decode_membership(raft::codec::encode(members)) == members);
    CHECK_FALSE(raft::codec::decode_membership(encoded(raft::Membership{})).has_value());
}

TEST_CASE("every truncation of a message is refused, except that of a chunk's data") {
    for (const raft::Message& sample : samples()) {
        CAPTURE(sample.body.index());
        const raft::Bytes whole = encoded(sample);
        std::size_t needed = whole.size();
        // A chunk's data reaches to the end of its frame, whose length is the transport's matter.
        if (const auto* chunk = std::get_if<raft::SnapshotChunk>(&sample.body)) {
            needed -= chunk->data.size();
        }
        if (const auto* chunk = std::get_if<raft::SourceChunk>(&sample.body)) {
            needed -= chunk->data.size();
        }
        std::size_t accepted = 0;
        for (std::size_t size = 0; size < needed; ++size) {
            if (raft::codec::decode_message(whole.slice(0, size)).has_value()) ++accepted;
        }
        CHECK(accepted == 0);
    }
}

TEST_CASE("a byte after the end of a message is refused") {
    for (const raft::Message& sample : samples()) {
        CAPTURE(sample.body.index());
        if (const auto* chunk = std::get_if<raft::SnapshotChunk>(&sample.body)) {
            // One more byte of data would lie beyond the snapshot's size in these samples.
            REQUIRE(chunk->offset + chunk->data.size() == chunk->meta.size);
        }
        const raft::Bytes whole = encoded(sample);
        const raft::Bytes longer = spliced(whole, whole.size(), 0, std::string_view("\0", 1));
        CHECK_FALSE(raft::codec::decode_message(longer).has_value());
    }
}

TEST_CASE("unknown kinds of messages and of entries are refused") {
    const raft::Bytes whole = encoded(samples()[6]);
    CHECK_FALSE(raft::codec::decode_message(spliced(whole, 0, 1, std::string_view("\0", 1))));
    CHECK_FALSE(raft::codec::decode_message(spliced(whole, 0, 1, "\x08")));
    CHECK_FALSE(raft::codec::decode_message(spliced(whole, 0, 1, "\xff")));
    const std::size_t first_entry_kind = 41 + 36 + 8;
    REQUIRE(whole.data()[first_entry_kind] == std::byte{1});
    CHECK(raft::codec::decode_message(spliced(whole, first_entry_kind, 1, "\x02")));
    CHECK_FALSE(raft::codec::decode_message(spliced(whole, first_entry_kind, 1, "\x04")));
}

TEST_CASE("a flag that is neither 0 nor 1 is refused") {
    const raft::Bytes whole = encoded(samples()[1]);
    REQUIRE(whole.data()[41] == std::byte{1});
    CHECK(raft::codec::decode_message(spliced(whole, 41, 1, std::string_view("\0", 1))));
    CHECK_FALSE(raft::codec::decode_message(spliced(whole, 41, 1, "\x02")));
}

TEST_CASE("counts and lengths that promise more than follows are refused without being believed") {
    // Were they believed, the 2^32 - 1 entries alone would take 200 GiB and more.
    const std::string_view huge = "\xff\xff\xff\xff";
    const raft::Bytes append = encoded(samples()[6]);
    const std::size_t entry_count = 41 + 32;
    CHECK_FALSE(raft::codec::decode_message(spliced(append, entry_count, 4, huge)));
    CHECK_FALSE(raft::codec::decode_message(spliced(append, entry_count, 1, "\x06")));
    CHECK_FALSE(raft::codec::decode_message(spliced(append, entry_count, 1, "\x04")));
    const std::size_t first_length = entry_count + 4 + 9;
    CHECK_FALSE(raft::codec::decode_message(spliced(append, first_length, 4, huge)));

    const raft::Bytes chunk = encoded(samples()[11]);
    const std::size_t members = 41 + 32;
    REQUIRE(raft::codec::decode_message(chunk).has_value());
    CHECK_FALSE(raft::codec::decode_message(spliced(chunk, members, 4, huge)));
}

TEST_CASE("a chunk that reaches beyond its snapshot is refused, also where the sum overflows") {
    using raft::codec::decode_message;
    const auto chunk = [](std::uint64_t size, std::uint64_t offset) {
        return encoded(message(
            raft::SnapshotChunk{raft::Term{1}, meta(size), offset, raft::Bytes::copy_of("abc")}));
    };
    CHECK(decode_message(chunk(3, 0)).has_value());
    CHECK(decode_message(chunk(most, most - 3)).has_value());
    CHECK_FALSE(decode_message(chunk(2, 0)).has_value());
    CHECK_FALSE(decode_message(chunk(3, 1)).has_value());
    CHECK_FALSE(decode_message(chunk(3, most)).has_value());
    CHECK_FALSE(decode_message(chunk(most, most - 1)).has_value());
}

TEST_CASE("a membership that is not valid is refused") {
    const auto refused = [](std::vector<raft::NodeId> voters, std::vector<raft::NodeId> learners) {
        raft::SnapshotMeta bad = meta(0);
        bad.membership.members.clear();
        for (const raft::NodeId id : voters) bad.membership.members.push_back({id, {}, {}, {}});
        for (raft::Member& member : bad.membership.members) member.standing = raft::Standing::voter;
        for (const raft::NodeId id : learners) {
            bad.membership.members.push_back({id, raft::Standing::learner, {}, {}});
        }
        const auto sample = message(raft::SnapshotChunk{raft::Term{1}, bad, 0, {}});
        return !raft::codec::decode_message(encoded(sample)).has_value();
    };
    const raft::NodeId one{1};
    const raft::NodeId two{2};
    CHECK_FALSE(refused({one, two}, {}));
    CHECK(refused({two, one}, {}));
    CHECK(refused({one, one}, {}));
    CHECK(refused({raft::NodeId{0}}, {}));
    CHECK(refused({}, {one}));
    CHECK(refused({one}, {one}));
}

TEST_CASE("whatever bytes decode to a message are the very bytes that the message encodes to") {
    raft::Random random(20260101);
    const std::vector<raft::Message> originals = samples();
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < 40000; ++round) {
        std::string bytes(encoded(originals[random.below(originals.size())]).text());
        // Most damage goes to the front, where the structure is.
        const std::size_t front = random.below(4) == 0 ? bytes.size() : 120;
        for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
            const std::size_t at = random.below(std::min(front, bytes.size()));
            switch (random.below(4)) {
                case 0: bytes[at] = static_cast<char>(random.below(256)); break;
                case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
                case 2: bytes.erase(at, 1 + random.below(8)); break;
                default: bytes.insert(at, 1 + random.below(8), '\0'); break;
            }
            if (bytes.empty()) break;
        }
        const raft::Bytes frame = raft::Bytes::copy_of(bytes);
        const auto decoded = raft::codec::decode_message(frame);
        if (!decoded) {
            ++refused;
            continue;
        }
        ++accepted;
        if (encoded(*decoded) != frame) FAIL("round " << round << " is not canonical");
    }
    CHECK(accepted > 1000);
    CHECK(refused > 1000);
}

TEST_CASE("bytes of pure chance never crash the decoder") {
    raft::Random random(7);
    int refused = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string bytes(random.below(200), '\0');
        for (char& byte : bytes) byte = static_cast<char>(random.below(256));
        // A known kind, or nothing would get past the first byte.
        if (!bytes.empty()) bytes[0] = static_cast<char>(1 + random.below(6));
        if (!raft::codec::decode_message(raft::Bytes::copy_of(bytes))) ++refused;
    }
    CHECK(refused > 19000);
}

}  // namespace codec_test
