// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a write-ahead log refuses: damaged, missing and exchanged files.
#include "wal_support.hpp"

#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

namespace wal_damage_test {

using namespace raft::test;
using namespace rsm_test;

TEST_CASE("A segment in use that was cut short is refused, at any size") {
    const auto disk = disk_with({write_of({entry(1, 1, "a")}), write_of({entry(2, 1, "b")})});
    const std::string path = "d/" + first_segment;
    const std::string whole = disk->names.at(path)->now;
    for (std::size_t size = 0; size < whole.size(); size += size < 500 ? 1U : 97U) {
        CAPTURE(size);
        const FakeFiles files = changed(*disk, first_segment, whole.substr(0, size));
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
        const std::string place = path + " at offset " + std::to_string(size);
        CHECK(recovered.error().what.starts_with(place + ": the file is cut short"));
        CHECK(files.disk->names.at(path)->now.size() == size);
    }
}

TEST_CASE("A segment that has grown is remarked on, and its log is whole") {
    const auto disk = disk_with({write_of({entry(1, 1, "a")}), write_of({entry(2, 1, "b")})});
    const std::string path = "d/" + first_segment;
    const std::string whole = disk->names.at(path)->now;
    const FakeFiles longer = changed(*disk, first_segment, whole + std::string(4096, '\0'));
    StorageNode<FakeWal> node(fake_wal(longer));
    CHECK(node.start().last == raft::Index{2});
    CHECK(node.storage().recovery_report() ==
          std::vector{path + " at offset 4096: the file has grown (8192 bytes, made with 4096)"});
}

TEST_CASE("Any changed byte before the last batch is told, with file and offset") {
    raft::Write middle = write_of({entry(2, 1, "bb"), entry(3, 1, "ccc")});
    middle.hard_state = raft::HardState{{1}, {1}, {1}};
    const auto disk =
        disk_with({write_of({entry(1, 1, "a")}), middle, write_of({entry(4, 1, "d")})});
    const std::string whole = disk->names.at("d/" + first_segment)->now;
    const auto shorter = disk_with({write_of({entry(1, 1, "a")}), middle});
    const std::size_t end = frontier(shorter->names.at("d/" + first_segment)->now);
    REQUIRE(end > 200);

    for (std::size_t place = 0; place < end; ++place) {
        for (const int bit : {0, 6}) {
            CAPTURE(place);
            std::string content = whole;
            content[place] = static_cast<char>(content[place] ^ (1 << bit));
            const FakeFiles files = changed(*disk, first_segment, content);
            StorageNode<FakeWal> node(fake_wal(files));
            const auto recovered = node.recover();
            CHECK(recovered.has_value() == (place >= rsm::detail::wal::segment_header_bytes));
            const std::string what =
                recovered ? node.storage().recovery_report().at(0) : recovered.error().what;
            const std::string lead = "d/" + first_segment + " at offset ";
            REQUIRE(what.starts_with(lead));
            // The offset is that of the record (or the header) in which the byte lies.
            const std::size_t offset = std::stoul(what.substr(lead.size()));
            CHECK(offset <= place);
            CHECK(place < offset + 150);
            CHECK(files.disk->names.at("d/" + first_segment)->now == content);
        }
    }
}

TEST_CASE("A record that lies at another offset or in another segment is not valid there") {
    // Equal writes: the batches differ in nothing but their numbers and their places.
    const raft::Write same = hard_state({{1}, {1}, {}});
    const auto disk = disk_with({hard_state({{1}, {}, {}}), same, same});
    std::string content = disk->names.at("d/" + first_segment)->now;
    const std::size_t end = frontier(content);
    const std::size_t batch = rsm::detail::wal::opening_bytes + 40 + 8;
    content.replace(end, batch, content.substr(end - batch, batch));
    const FakeFiles files = changed(*disk, first_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.recover().error().what.starts_with("d/" + first_segment + " at offset " +
                                                  std::to_string(end) +
                                                  ": a batch record is damaged; "));
}

TEST_CASE("Any changed byte in an older segment is told, also behind its last batch") {
    const FakeFiles good = several_segments(4);
    const std::string whole = good.disk->names.at("d/" + first_segment)->now;
    REQUIRE(used_bytes(whole) < whole.size());
    for (std::size_t place = 0; place < whole.size(); place += place % 64 == 0 ? 1U : 21U) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 32);
        const FakeFiles files = changed(*good.disk, first_segment, content);
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        CHECK(node.storage().recovery_report().at(0).find(first_segment + " at offset ") !=
              std::string::npos);
    }
}

TEST_CASE("An older segment whose last batch became zeros is told") {
    const FakeFiles good = several_segments(6);
    std::string content = good.disk->names.at("d/" + second_segment)->now;
    // The second of its two batches, of one entry each, and its end.
    const std::size_t batch = 136 + 33 + 1500 + 3 + 8 + 136 + 16 + 8;
    const std::size_t begin = frontier(content) - batch;
    content.replace(begin, batch, std::string(batch, '\0'));
    const FakeFiles files = changed(*good.disk, second_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{2});
    CHECK(recovered.promised == position(6, 6));
    CHECK(node.storage().recovery_report().at(0) ==
          "d/" + second_segment + " at offset " + std::to_string(begin) +
              ": zeros in the place of a batch, and later segments are in use");
}

TEST_CASE("A missing segment is told, wherever it is needed") {
    const FakeFiles good = several_segments(12);
    const auto names = segment_names(*good.disk);
    // The last one is prepared and empty: without it nothing is lost.
    for (std::size_t i = 0; i < names.size(); ++i) {
        CAPTURE(i);
        const FakeFiles files =
            changed(*good.disk, first_segment, good.disk->names.at("d/" + first_segment)->now);
        files.disk->names.erase(names[i]);
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        // Without the one that was written last nobody knows what was promised.
        CHECK(recovered.has_value() == (i + 2 != names.size()));
        if (i + 1 == names.size()) {
            CHECK(node.storage().recovery_report().empty());
        } else if (recovered) {
            CHECK(node.storage().recovery_report().at(0).starts_with(names[i] + " is missing"));
            CHECK(recovered->promised == position(12, 12));
        } else {
            CHECK(recovered.error().what.starts_with(names[i] + " is missing; "));
        }
    }
}

TEST_CASE(
    "Segments that are missing at the end are missed, because the one before says that it ended") {
    const FakeFiles good = several_segments(12);
    const auto names = segment_names(*good.disk);
    REQUIRE(names.size() > 4);
    for (std::size_t left = 1; left + 1 < names.size(); ++left) {
        CAPTURE(left);
        const FakeFiles files =
            changed(*good.disk, first_segment, good.disk->names.at("d/" + first_segment)->now);
        for (std::size_t i = left; i < names.size(); ++i) files.disk->names.erase(names[i]);
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().what.starts_with(names[left] + " is missing; "));
    }
}

TEST_CASE("Files that stand under one another's names, or under two, are refused") {
    FakeFiles good = several_segments(12);
    {
        StorageNode<FakeWal> node(fake_wal(good));
        node.start();
        CHECK(node.save(position(2, 1), "two").has_value());
        CHECK(node.save(position(3, 1), "three").has_value());
        node.close();
    }
    const auto names = segment_names(*good.disk);
    const std::string two = rsm::detail::wal::snapshot_path("d", position(2, 1));
    const std::string three = rsm::detail::wal::snapshot_path("d", position(3, 1));
    const std::string four = rsm::detail::wal::snapshot_path("d", position(4, 1));
    struct Case {
        std::string from;
        std::string to;
    };
    for (const Case& one : {Case{names[0], names[1]}, Case{names[1], names[0]},
                            Case{names[2], rsm::detail::wal::segment_path("d", 99)},
                            Case{names[2], rsm::detail::wal::segment_path("d", 0)},
                            Case{two, three}, Case{three, four}}) {
        CAPTURE(one.from);
        CAPTURE(one.to);
        const FakeFiles files =
            changed(*good.disk, first_segment, good.disk->names.at("d/" + first_segment)->now);
        files.disk->names[one.to] =
            std::make_shared<FakeDisk::Inode>(*good.disk->names.at(one.from));
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        if (one.to == three || one.to.ends_with(".snapshot")) {
            // What it stands for is in the log.
            REQUIRE(recovered.has_value());
            CHECK(node.storage().recovery_report().at(0).starts_with(one.to + " at offset 0"));
        } else {
            REQUIRE_FALSE(recovered.has_value());
            CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
        }
    }
}

TEST_CASE("A segment of another log or another version is refused") {
    const FakeFiles good = several_segments(4);
    rsm::detail::wal::SegmentId id{1, 2};
    SUBCASE("another log") {}
    SUBCASE("another number") { id = {0x1122334455667788ULL, 3}; }
    auto header = rsm::detail::wal::encode_segment_header({id, 4096});
    std::string content = good.disk->names.at("d/" + second_segment)->now;
    rsm::StorageErrc expected = rsm::StorageErrc::corrupted;
    std::uint8_t version = 0;
    std::size_t covered = 40;
    SUBCASE("the version before, whose header was shorter") {
        version = 2;
        covered = 32;
    }
    SUBCASE("a later version") { version = 5; }
    if (version != 0) {
        header = rsm::detail::wal::encode_segment_header({{0x1122334455667788ULL, 2}, 4096});
        header[8] = std::byte{version};
        raft::codec::store_little(header.data() + covered,
                                  rsm::detail::checksum(std::span(header).first(covered)));
        expected = rsm::StorageErrc::unsupported_version;
    }
    std::memcpy(content.data(), header.data(), header.size());
    const FakeFiles files = changed(*good.disk, second_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.recover().error().code == expected);
}

TEST_CASE("A log without its segments beside a snapshot is refused") {
    const FakeFiles files = several_segments(2);
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        REQUIRE(node.save(position(1, 1), "state").has_value());
        node.close();
    }
    std::erase_if(files.disk->names, [](const auto& item) { return item.first.ends_with(".wal"); });
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.recover().error().code == rsm::StorageErrc::corrupted);
}

/// A log with a snapshot of its first entry and one of its second.
FakeFiles two_snapshots() {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    CHECK(node.write(write_of({entry(1, 1, "a"), entry(2, 1, "b")})).has_value());
    REQUIRE(node.save(position(1, 1), "old").has_value());
    REQUIRE(node.save(position(2, 1), "content").has_value());
    node.close();
    return files;
}

TEST_CASE("Any changed byte of the newest snapshot is told, with its name") {
    const FakeFiles good = two_snapshots();
    const std::string name = "00000000000000000002-00000000000000000001.snapshot";
    const std::string whole = good.disk->names.at("d/" + name)->now;
    for (std::size_t place = 0; place < whole.size(); ++place) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 2);
        StorageNode<FakeWal> node(fake_wal(changed(*good.disk, name, content)));
        CHECK(node.start().snapshot.last == position(1, 1));
        CHECK(node.storage().recovery_report().at(0).starts_with("d/" + name));
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
        StorageNode<FakeWal> node(fake_wal(changed(*good.disk, name, whole.substr(0, size))));
        CHECK(node.start().snapshot.last == position(1, 1));
    }
}

TEST_CASE(
    "The header of a snapshot has the bytes of docs/format.md, and no other version is read") {
    raft::SnapshotMeta meta{position(9, 2), voters(2), 5, 0xabcd};
    meta.membership.members[0].contact = "here";
    meta.membership.members[1].standing = raft::Standing::learner;
    meta.membership.members[1].instance = {7};
    auto header = rsm::detail::wal::encode_head(rsm::detail::wal::snapshot_head, meta);
    const std::string golden =
        // magic, version, size of the header, index, term, size and checksum of the content
        "72736d2d736e700a0200000072000000090000000000000002000000000000000500000000000000"
        "cdab000000000000"
        // two members: id, standing, instance, contact; checksum
        "020000000100000000000000010000000000000000010000000400000068657265"
        "02000000000000000207000000000000000100000000000000"
        "5fca9d671b0a6e90";
    CHECK(hex({reinterpret_cast<const char*>(header.data()), header.size()}) == golden);

    const FakeFiles good = several_segments(2);
    const std::string path = rsm::detail::wal::snapshot_path("d", meta.last);
    for (const int version : {1, 3}) {
        CAPTURE(version);
        header[8] = static_cast<std::byte>(version);
        const std::size_t covered = header.size() - 8;
        raft::codec::store_little(header.data() + covered,
                                  rsm::detail::checksum(std::span(header).first(covered)));
        const auto inode = std::make_shared<FakeDisk::Inode>();
        inode->now.assign(reinterpret_cast<const char*>(header.data()), header.size());
        good.disk->names[path] = inode;
        StorageNode<FakeWal> node(fake_wal(good));
        const auto refused = node.recover();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == rsm::StorageErrc::unsupported_version);
        CHECK(refused.error().what == path);
    }
}

TEST_CASE("Of several snapshots a restart keeps the newest, whether the others are whole or not") {
    const FakeFiles files = two_snapshots();
    const std::string old = "00000000000000000001-00000000000000000001.snapshot";
    const std::string whole = files.disk->names.at("d/" + old)->now;
    for (const std::string& found : {whole, whole.substr(1), std::string()}) {
        FakeFiles again = changed(*files.disk, old, found);
        StorageNode<FakeWal> node(fake_wal(again));
        CHECK(node.start().snapshot.last == position(2, 1));
        CHECK_FALSE(again.disk->names.contains("d/" + old));
        CHECK(again.disk->names.size() == files.disk->names.size() - 1);
        node.close();
    }
}

TEST_CASE("A snapshot that is damaged after its check ends early when it is read") {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    const auto meta = *node.save(position(1, 1), "0123456789");
    std::string& now =
        files.disk->names.at("d/00000000000000000001-00000000000000000001.snapshot")->now;
    now[now.size() - 8] = 'x';
    CHECK(content(node.storage(), meta).size() < 10);
}

TEST_CASE("An entry that is damaged after recovery is not given out") {
    FakeFiles files = several_segments(2);
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    std::string& now = files.disk->names.at("d/" + first_segment)->now;
    now[600] = static_cast<char>(now[600] ^ 1);
    const auto list = node.read(1, 1);
    REQUIRE_FALSE(list.has_value());
    CHECK(list.error().code == rsm::StorageErrc::corrupted);
    CHECK(list.error().what.find(first_segment + " at offset ") != std::string::npos);
    CHECK(node.read(2, 1).has_value());
}

}  // namespace wal_damage_test
