// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The end of the log: what a crash can leave of the last batch is cut, what only damage can make
// of it is refused. Exhaustively, for batches of several shapes.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace wal_torn_test {

using namespace raft::test;
using namespace rsm_test;
namespace wal = rsm::detail::wal;

constexpr std::size_t sector = 512;
const std::string path = "d/" + first_segment;

FakeWal wal_on(const FakeFiles& files) {
    return FakeWal({.directory = "d", .segment_bytes = 16384}, files);
}

/// A log before and after its last batch.
struct Shape {
    std::string before;
    std::string after;
    std::size_t begin = 0;  ///< of the last batch
    std::size_t end = 0;
    raft::Entry entry;              ///< what it holds
    std::vector<std::size_t> lone;  ///< offsets of the bits that are alone in their sectors
};

raft::Entry with_payload(std::uint64_t index, const std::string& payload) {
    return {{index}, {1}, raft::EntryKind::operation, raft::Bytes::copy_of(payload)};
}

/// The last batch begins `begin` bytes into the file and holds an entry of this payload, and for
/// a payload of nothing, none.
Shape shape(std::size_t begin, const std::string& payload) {
    FakeFiles files;
    StorageNode<FakeWal> node(wal_on(files));
    node.start();
    Shape result;
    std::uint64_t index = 1;
    if (begin != wal::segment_header_bytes) {
        // Header, opening, checkpoint, entry, seal.
        const std::size_t fixed = wal::segment_header_bytes + wal::opening_bytes + 101 + 33 + 8;
        REQUIRE(begin > fixed);
        REQUIRE(node.write(write_of({entry(1, 1, begin - fixed)})).has_value());
        ++index;
    }
    result.before = files.disk->names.at(path)->now;
    result.entry = with_payload(index, payload);
    REQUIRE(node.write(write_of({result.entry})).has_value());
    node.close();
    result.after = files.disk->names.at(path)->now;
    result.begin = begin;
    result.end = result.after.find_last_not_of('\0') + 1;
    // It begins with a checksum.
    const auto differs = std::ranges::mismatch(result.before, result.after).in1;
    REQUIRE(static_cast<std::size_t>(differs - result.before.begin()) / 8 == begin / 8);
    for (std::size_t at = 0; at < result.end; at += sector) {
        std::size_t bits = 0;
        std::size_t place = 0;
        for (std::size_t i = std::max(at, begin); i < std::min(at + sector, result.end); ++i) {
            for (int bit = 0; bit < 8; ++bit) {
                if ((result.after[i] >> bit & 1) != 0) {
                    ++bits;
                    place = i;
                }
            }
        }
        if (bits == 1) result.lone.push_back(place);
    }
    return result;
}

std::string zeros(std::size_t count) { return std::string(count, '\0'); }

/// Several sectors of something, of nothing, and of a single bit each.
std::string mixed_payload() {
    std::string payload = std::string(700, 'x') + zeros(2600) + std::string(300, 'y');
    payload[1500] = '\x10';
    payload[2300] = '\x01';
    return payload;
}

std::vector<Shape> shapes() {
    std::vector<Shape> result;
    const std::string mixed = mixed_payload();
    result.push_back(shape(wal::segment_header_bytes, "first"));
    result.push_back(shape(wal::segment_header_bytes, mixed));
    result.push_back(shape(424, "short"));
    result.push_back(shape(424, std::string(1500, 'z')));
    result.push_back(shape(424, std::string(4600, 'w')));
    // The opening lies across two sectors, in each way in which it can; then it ends one.
    for (std::size_t head = 8; head <= wal::opening_bytes; head += 8) {
        result.push_back(shape(1024 - head, "straddling"));
        result.push_back(shape(1024 - head, zeros(1200)));
    }
    // The seal alone in its sector, and the last sector that is full.
    for (std::size_t size = 0; size < 16; size += 8) {
        result.push_back(shape(512, std::string(512 - wal::opening_bytes - 33 + 7 - size, 'e')));
        result.push_back(shape(512, zeros(1024 - wal::opening_bytes - 33 + 7 - size)));
    }
    result.push_back(shape(800, zeros(3000)));
    result.push_back(shape(800, zeros(1000) + "\x20" + zeros(1100)));
    result.push_back(shape(800, mixed));
    return result;
}

/// What became of a log of one file.
struct Outcome {
    bool refused = false;
    raft::Failure failure;
    bool has_last = false;  ///< the last batch's entry is there
    bool lacks = false;     ///< it is known that more was promised than is there
    bool told = false;      ///< damage was
    std::string first_told;
    std::string durable;
};

Outcome recover(const Shape& shape, const std::string& content) {
    FakeFiles files;
    files.disk->names[path] = std::make_shared<FakeDisk::Inode>(FakeDisk::Inode{content, content});
    files.disk->durable_names = files.disk->names;
    StorageNode<FakeWal> node(wal_on(files));
    const auto recovered = node.recover();
    Outcome outcome;
    outcome.refused = !recovered.has_value();
    if (outcome.refused) {
        outcome.failure = recovered.error();
        REQUIRE(files.disk->names.at(path)->now == content);
        return outcome;
    }
    outcome.has_last = recovered->last == shape.entry.index;
    REQUIRE((outcome.has_last || recovered->last + 1 == shape.entry.index));
    if (outcome.has_last) {
        REQUIRE(*node.read(shape.entry.index.value, 1) == std::vector{shape.entry});
    }
    outcome.lacks = recovered->promised == shape.entry.position();
    REQUIRE((outcome.lacks || recovered->promised == raft::LogPosition{}));
    for (const std::string& what : node.storage().recovery_report()) {
        if (outcome.told || !what.starts_with(path + " at offset ")) continue;
        outcome.told = true;
        outcome.first_told = what;
    }
    outcome.durable = files.disk->names.at(path)->durable;
    return outcome;
}

TEST_CASE("Any flipped bit of the last batch is told or made good, never taken for a torn one") {
    std::size_t made_good = 0;
    std::size_t lone = 0;
    for (const Shape& one : shapes()) {
        CAPTURE(one.begin);
        CAPTURE(one.end);
        lone += one.lone.size();
        for (std::size_t place = one.begin; place < one.end; ++place) {
            CAPTURE(place);
            for (int bit = 0; bit < 8; ++bit) {
                std::string content = one.after;
                content[place] = static_cast<char>(content[place] ^ (1 << bit));
                const Outcome outcome = recover(one, content);
                if (outcome.refused) {
                    REQUIRE(outcome.failure.code == rsm::StorageErrc::corrupted);
                    REQUIRE(outcome.failure.what.starts_with(path + " at offset "));
                    continue;
                }
                REQUIRE(outcome.has_last != outcome.lacks);
                if (outcome.told) continue;
                ++made_good;
                REQUIRE(outcome.durable == one.after);
                REQUIRE(std::ranges::count(one.lone, place) == 1);
                REQUIRE(content[place] == '\0');
            }
        }
    }
    CHECK(made_good == lone);
    CHECK(lone == 5);
}

TEST_CASE("Whichever of its sectors an unsynced last batch has, it is cut off, or found whole") {
    for (const Shape& one : shapes()) {
        CAPTURE(one.begin);
        CAPTURE(one.end);
        std::vector<std::size_t> pieces;  // where those begin that differ
        for (std::size_t at = one.begin / sector * sector; at < one.end; at += sector) {
            if (one.before.compare(at, sector, one.after, at, sector) != 0) pieces.push_back(at);
        }
        REQUIRE(pieces.size() <= 11);
        for (unsigned arrived = 0; arrived < 1U << pieces.size(); ++arrived) {
            CAPTURE(arrived);
            std::string content = one.before;
            bool whole = true;
            for (std::size_t i = 0; i < pieces.size(); ++i) {
                if ((arrived >> i & 1) != 0) {
                    content.replace(pieces[i], sector, one.after, pieces[i], sector);
                } else if (std::ranges::none_of(one.lone, [&](std::size_t place) {
                               return place / sector * sector == pieces[i];
                           })) {
                    whole = false;
                }
            }
            const Outcome outcome = recover(one, content);
            if (outcome.refused) FAIL(outcome.failure.what);
            REQUIRE_FALSE(outcome.told);
            REQUIRE(outcome.has_last == whole);
            REQUIRE(outcome.durable == (whole ? one.after : one.before));
        }
    }
}

TEST_CASE("What a write that stopped at the end of any sector has left is cut off") {
    for (const Shape& one : shapes()) {
        CAPTURE(one.begin);
        for (std::size_t cut = one.begin; cut < one.end; cut = cut / sector * sector + sector) {
            CAPTURE(cut);
            std::string content = one.after;
            std::fill(content.begin() + static_cast<std::ptrdiff_t>(cut), content.end(), '\0');
            const Outcome outcome = recover(one, content);
            if (outcome.refused) FAIL(outcome.failure.what);
            REQUIRE_FALSE(outcome.has_last);
            REQUIRE(outcome.durable == one.before);
        }
    }
}

TEST_CASE("A batch that is larger than a segment gets a larger one, and is cut off as any other") {
    FakeFiles files;
    const std::string payload = std::string(1500, 'p') + zeros(1200) + std::string(1900, 'q');
    Shape one;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        REQUIRE(files.disk->names.at(path)->now.size() == 4096);
        one.entry = with_payload(1, payload);
        REQUIRE(node.write(write_of({one.entry})).has_value());
        one.after = files.disk->names.at(path)->now;
        one.before = one.after.substr(0, wal::segment_header_bytes) +
                     zeros(one.after.size() - wal::segment_header_bytes);
    }
    REQUIRE(one.after.size() == 8192);
    const std::size_t sectors = one.after.find_last_not_of('\0') / sector + 1;
    REQUIRE(sectors == 10);
    for (unsigned arrived = 0; arrived < 1U << sectors; ++arrived) {
        CAPTURE(arrived);
        std::string content = one.before;
        for (std::size_t i = 0; i < sectors; ++i) {
            if ((arrived >> i & 1) != 0) {
                content.replace(i * sector, sector, one.after, i * sector, sector);
            }
        }
        const Outcome outcome = recover(one, content);
        if (outcome.refused) FAIL(outcome.failure.what);
        REQUIRE(outcome.has_last == (content == one.after));
        REQUIRE(outcome.durable == (outcome.has_last ? one.after : one.before));
    }
}

TEST_CASE("A sector of the last batch that is overwritten is told, by whatever it is") {
    for (const Shape& one : shapes()) {
        CAPTURE(one.begin);
        CAPTURE(one.end);
        for (std::size_t at = one.begin / sector * sector; at < one.end; at += sector) {
            CAPTURE(at);
            const std::size_t from = std::max(at, one.begin);
            const std::size_t count = at + sector - from;
            // Mostly zeros: what a torn batch has too.
            for (std::size_t place = 0; place < count; place += count / 8 + 1) {
                std::string content = one.after;
                content.replace(from, count, zeros(count));
                content.replace(from + place, 1, "\x55");
                if (content == one.after) continue;
                const Outcome outcome = recover(one, content);
                REQUIRE((outcome.refused || outcome.told));
                REQUIRE((outcome.refused || outcome.has_last || outcome.lacks));
            }
        }
    }
}

TEST_CASE("Bytes behind the extent of a torn batch are told, with their place") {
    const Shape one = shape(800, std::string(1500, 'z'));
    std::string content = one.after;
    content.replace(1024, sector, sector, '\0');
    REQUIRE_FALSE(recover(one, content).refused);
    for (const std::size_t place : {one.end, one.end + 1, one.end + 5000, content.size() - 1}) {
        std::string junk = content;
        junk[place] = '\x40';
        const Outcome outcome = recover(one, junk);
        REQUIRE((outcome.refused || outcome.lacks));
        const std::string what = path + " at offset " + std::to_string(place) +
                                 ": bytes that are not of the batch before them";
        CHECK((outcome.refused ? outcome.failure.what : outcome.first_told).starts_with(what));
    }
}

TEST_CASE("A bit that appears behind the last batch makes nobody lose that batch") {
    const Shape one = shape(800, "last");
    for (std::size_t place = one.end; place < one.after.size(); place += place < 1200 ? 1U : 97U) {
        CAPTURE(place);
        std::string content = one.after;
        content[place] = '\x40';
        const Outcome outcome = recover(one, content);
        CHECK(outcome.refused == (place / sector == one.end / sector));
        if (!outcome.refused) {
            CHECK(outcome.has_last);
            CHECK(outcome.durable == one.after);
        }
    }
}

TEST_CASE("A bit that is alone in its sector is made good only in the last batch of all") {
    FakeFiles files;
    StorageNode<FakeWal> node(wal_on(files));
    node.start();
    for (std::uint64_t i = 1; i <= 4; ++i) {
        REQUIRE(node.write(write_of({with_payload(i, mixed_payload())})).has_value());
    }
    std::size_t good = 1;
    SUBCASE("nothing follows") {}
    SUBCASE("a segment follows") {
        REQUIRE(node.write(write_of({with_payload(5, zeros(9000))})).has_value());
        REQUIRE(files.disk->names.at("d/00000000000000000002.wal")->now[41] != '\0');
        good = 0;
    }
    node.close();
    const std::string whole = files.disk->names.at(path)->now;
    const std::string lone_bit = zeros(600) + '\x10' + zeros(600);
    std::vector<std::size_t> places;
    for (std::size_t at = whole.find(lone_bit); at != std::string::npos;
         at = whole.find(lone_bit, at + 1)) {
        places.push_back(at + 600);
    }
    REQUIRE(places.size() == 4);
    for (std::size_t i = 0; i < places.size(); ++i) {
        CAPTURE(i);
        std::string content = whole;
        content[places[i]] = '\0';
        const FakeFiles damaged = changed(*files.disk, first_segment, content);
        StorageNode<FakeWal> again(wal_on(damaged));
        const raft::Recovered recovered = again.start();
        const bool made_good = i + good == places.size();
        CHECK((recovered.promised == raft::LogPosition{}) == made_good);
        CHECK((damaged.disk->names.at(path)->now == whole) == made_good);
        const std::string lead = made_good ? "made good a bit" : path + " at offset ";
        CHECK(again.storage().recovery_report().at(0).starts_with(lead));
    }
}

TEST_CASE("Blank pieces and lone bits are counted in whole pieces behind the batch record") {
    const auto scan = [](std::uint64_t offset, const std::string& bytes, std::size_t step) {
        wal::PieceScanner scanner;
        scanner.begin(offset);
        const auto all = std::as_bytes(std::span(bytes));
        for (std::size_t at = 0; at < all.size(); at += step) {
            scanner.scan(all.subspan(at, std::min(step, all.size() - at)));
        }
        std::string text = std::to_string(scanner.blank());
        for (const wal::LoneBit& bit : scanner.lone_bits()) {
            text += " " + std::to_string(bit.offset) + ":" + std::to_string(bit.value);
        }
        return text;
    };
    std::string bytes = zeros(4096);
    bytes[600] = '\x04';
    bytes[1100] = '\x01';
    bytes[1500] = '\x01';
    bytes[2047] = '\x03';
    bytes[3583] = '\x08';
    for (const std::size_t step : {1U, 7U, 8U, 100U, 512U, 700U, 5000U}) {
        CHECK(scan(512, bytes, step) == "4 1112:4 4095:8");
        // Then the first piece began before and the last one goes on: neither is counted.
        CHECK(scan(312, bytes, step) == "2 912:4 1412:1 1812:1 3895:8");
        CHECK(scan(0, bytes.substr(0, 1023), step) == "1");
    }
}

}  // namespace wal_torn_test
