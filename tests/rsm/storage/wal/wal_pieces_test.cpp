// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log does its work in pieces; what comes of it does not depend on their sizes.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "wal_support.hpp"

#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wal_pieces_test {

using namespace raft::test;
using namespace rsm_test;

/// Segments of four units, of which the first one is not smaller than the others.
rsm::WalOptions options_of(const rsm::WalPieces& pieces) {
    rsm::WalOptions options{.directory = "d", .segment_bytes = 16384, .pieces = pieces};
    options.pieces.first_segment_bytes = options.segment_bytes;
    return options;
}

/// Everything in pieces as small as they may be.
rsm::WalPieces smallest() {
    rsm::WalPieces pieces;
    pieces.fill_bytes = 512;
    pieces.referenced_payload_bytes = 1;
    pieces.read_gap_bytes = 0;
    pieces.snapshot_write_bytes = 1;
    pieces.snapshot_sync_bytes = 1;
    pieces.snapshot_read_bytes = 1;
    return pieces;
}

/// Fills segments, gives some of them up to be used again, and saves a snapshot.
FakeFiles worked_on(const rsm::WalPieces& pieces) {
    FakeFiles files;
    StorageNode<FakeWal> node(FakeWal(options_of(pieces), files));
    node.start();
    for (std::uint64_t i = 1; i <= 40; ++i) {
        CHECK(node.write(write_of({entry(i, 1, 10), entry(i + 1, 1, 3000)})).has_value());
        if (i % 8 == 0) CHECK(node.write(release(position(i, 1))).has_value());
    }
    CHECK(node.save(position(40, 1), std::string(2000, 's')).has_value());
    node.close();
    return files;
}
std::map<std::string, std::string> contents(const FakeDisk& disk) {
    std::map<std::string, std::string> result;
    for (const auto& [name, inode] : disk.durable_names) result[name] = inode->durable;
    return result;
}

TEST_CASE("The files are the same, in whatever pieces they are written") {
    const FakeFiles usual = worked_on({});
    const auto expected = contents(*usual.disk);
    REQUIRE(expected.size() >= 3);
    rsm::WalPieces pieces;
    SUBCASE("a segment is filled in small steps") { pieces.fill_bytes = 512; }
    SUBCASE("in steps that are no whole sectors") { pieces.fill_bytes = 1001; }
    SUBCASE("payloads are not copied") { pieces.referenced_payload_bytes = 1; }
    SUBCASE("some payloads are not copied") { pieces.referenced_payload_bytes = 11; }
    SUBCASE("snapshots are written in small pieces") { pieces.snapshot_write_bytes = 7; }
    SUBCASE("snapshots are synced often") {
        pieces.snapshot_write_bytes = 100;
        pieces.snapshot_sync_bytes = 150;
    }
    SUBCASE("all of it") { pieces = smallest(); }
    const FakeFiles files = worked_on(pieces);
    CHECK(contents(*files.disk) == expected);
    CHECK(files.disk->syncs >= usual.disk->syncs);
}

TEST_CASE("Smaller steps and snapshots synced more often take more syncs") {
    const std::uint64_t usual = worked_on({}).disk->syncs;
    rsm::WalPieces pieces;
    SUBCASE("steps") { pieces.fill_bytes = 512; }
    SUBCASE("snapshots") {
        pieces.snapshot_write_bytes = 100;
        pieces.snapshot_sync_bytes = 100;
    }
    CHECK(worked_on(pieces).disk->syncs >= usual + 20);
}

TEST_CASE("What is read back is the same, in whatever pieces it is read") {
    const FakeFiles files = worked_on({});
    rsm::WalPieces pieces;
    SUBCASE("as usual") {}
    SUBCASE("each entry by itself") { pieces.read_gap_bytes = 0; }
    SUBCASE("some together") { pieces.read_gap_bytes = 100; }
    SUBCASE("the snapshot by the byte") { pieces.snapshot_read_bytes = 1; }
    SUBCASE("the snapshot in pieces") { pieces.snapshot_read_bytes = 999; }
    StorageNode<FakeWal> node(FakeWal(options_of(pieces), files));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{41});
    CHECK(recovered.snapshot.last == position(40, 1));
    CHECK(content(node.storage(), recovered.snapshot) == std::string(2000, 's'));
    CHECK(node.write(write_of({entry(42, 1, 50), entry(43, 1, 50), entry(44, 1, 50)})).has_value());
    const auto read = node.read(41, 1 << 20);
    REQUIRE(read.has_value());
    CHECK(*read == std::vector<raft::Entry>{entry(41, 1, 3000), entry(42, 1, 50), entry(43, 1, 50),
                                            entry(44, 1, 50)});
}

TEST_CASE("A snapshot that is damaged anywhere is found out, in whatever pieces it is checked") {
    const FakeFiles files = worked_on({});
    rsm::WalPieces pieces;
    SUBCASE("in one") {}
    SUBCASE("in small ones") { pieces.snapshot_read_bytes = 64; }
    for (const std::size_t from_end : {1U, 70U, 1999U}) {
        for (const auto& [name, inode] : files.disk->names) {
            if (!name.ends_with(".snapshot")) continue;
            std::string content = inode->now;
            char& byte = content[content.size() - from_end];
            byte = static_cast<char>(byte ^ 1);
            const FakeFiles damaged = changed(*files.disk, name.substr(2), content);
            StorageNode<FakeWal> node(FakeWal(options_of(pieces), damaged));
            CHECK(node.start().snapshot.empty());
            CHECK(node.storage().recovery_report().at(0).starts_with(name + " at offset "));
        }
    }
}

TEST_CASE("A new log's segments double from the first one to the usual size") {
    FakeFiles files;
    rsm::WalOptions options{.directory = "d", .segment_bytes = 20'000};
    options.pieces.first_segment_bytes = 4097;
    StorageNode<FakeWal> node(FakeWal(options, files));
    node.start();
    for (std::uint64_t i = 1; i <= 30; ++i) {
        CHECK(node.write(write_of({entry(i, 1, 3000)})).has_value());
    }
    std::vector<std::size_t> sizes;
    for (const auto& [name, inode] : files.disk->names) {
        if (name.ends_with(".wal")) sizes.push_back(inode->now.size());
    }
    REQUIRE(sizes.size() >= 5);
    CHECK(std::vector(sizes.begin(), sizes.begin() + 4) ==
          std::vector<std::size_t>{8192, 16384, 20480, 20480});
}

TEST_CASE("As many segments as said are kept to be used again") {
    for (const std::size_t spares : {0U, 1U, 3U}) {
        FakeFiles files;
        rsm::WalOptions options = options_of({});
        options.spare_segments = spares;
        StorageNode<FakeWal> node(FakeWal(options, files));
        node.start();
        for (std::uint64_t i = 1; i <= 40; ++i) {
            CHECK(node.write(write_of({entry(i, 1, 3000)})).has_value());
        }
        CHECK(node.write(release(position(40, 1))).has_value());
        std::size_t kept = 0;
        for (const auto& file : files.disk->names) kept += file.first.ends_with(".spare.tmp");
        CHECK(kept == spares);
    }
}

}  // namespace wal_pieces_test
