// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log on its files: format, torn tails, damage, removal of segments.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wal_test {

using namespace raft::test;
using namespace rsm_test;

const std::string second_segment = "00000000000000000002.wal";

/// The disk of a log of one batch for each of the writes.
std::shared_ptr<FakeDisk> disk_with(const std::vector<raft::Write>& writes) {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    for (const raft::Write& write : writes) REQUIRE(node.write(write).has_value());
    node.close();
    return files.disk;
}
/// A copy of a disk's files, with one of them changed.
FakeFiles changed(const FakeDisk& disk, const std::string& name, const std::string& content) {
    FakeFiles files;
    for (const auto& [path, inode] : disk.names) {
        files.disk->names[path] = std::make_shared<FakeDisk::Inode>(*inode);
    }
    files.disk->names["d/" + name]->now = content;
    files.disk->durable_names = files.disk->names;
    return files;
}
std::size_t used_bytes(const std::string& content) { return content.find_last_not_of('\0') + 1; }
/// Where the next batch would begin.
std::size_t frontier(const std::string& content) { return (used_bytes(content) + 7) / 8 * 8; }

std::vector<std::string> segment_names(const FakeDisk& disk) {
    std::vector<std::string> names;
    for (const auto& [path, inode] : disk.names) {
        if (path.ends_with(".wal")) names.push_back(path);
    }
    return names;
}

TEST_CASE("A small segment has the bytes that the format describes") {
    raft::Write write;
    write.reset = position(7, 3);
    write.entries = {entry(8, 4, "abc")};
    write.hard_state = raft::HardState{{5}, {2}, {7}};
    write.release = position(7, 3);
    const auto disk = disk_with({write});
    const std::string& content = disk->names.at("d/" + first_segment)->now;
    CHECK(content.size() == 4096);
    const std::string golden =
        // segment header: magic, version, log id, number, capacity, checksum
        "72736d2d77616c0a0300000000000000887766554433221101000000000000000010000000000000"
        "565ee6ebb939476e"
        // batch record: number 1, 209 bytes, no blank pieces, no lone bits, mark
        "c347658c816dba4e18000000010200000100000000000000d10000000000000000000000b5b5b5b5"
        // checkpoint: nothing yet
        "e874e8202269c5103500000002020000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000"
        // reset to (7, 3)
        "60cf98374986f8f2100000000502000007000000000000000300000000000000"
        // entry (8, 4), operation, abc
        "b238b90eeab17dd114000000030200000800000000000000040000000000000001616263"
        // hard state: term 5, vote 2, commit 7
        "ac165594157b319d1800000004020000050000000000000002000000000000000700000000000000"
        // release of (7, 3), padding
        "996103272d9cbb4e10000000060200000700000000000000030000000000000000000000000000"
        // seal
        "f8644d5c3923e07f";
    CHECK(hex(content.substr(0, frontier(content))) == golden);
}

TEST_CASE("A last batch that is cut at any sector is wholly gone, and the log goes on from there") {
    raft::Write last = write_of({entry(3, 2, 900), entry(4, 2, 1700)});
    last.hard_state = raft::HardState{{2}, {1}, {2}};
    const std::vector<raft::Write> kept{write_of({entry(1, 1, "a")}), write_of({entry(2, 1, "b")})};
    const auto before = disk_with(kept);
    const auto after = disk_with({kept[0], kept[1], last});
    const std::string whole = after->names.at("d/" + first_segment)->now;
    const std::size_t begin = frontier(before->names.at("d/" + first_segment)->now);
    const std::size_t end = used_bytes(whole);
    REQUIRE(end > begin + 2600);

    for (std::size_t next = begin; next < end + 512; next = next / 512 * 512 + 512) {
        const std::size_t cut = std::min(next, end);
        CAPTURE(cut);
        std::string content = whole;
        std::fill(content.begin() + static_cast<std::ptrdiff_t>(cut), content.end(), '\0');
        const FakeFiles files = changed(*after, first_segment, content);
        {
            StorageNode<FakeWal> node(fake_wal(files));
            const raft::Recovered recovered = node.start();
            if (cut == end) {
                CHECK(recovered.last == raft::Index{4});
                continue;
            }
            CHECK(recovered.last == raft::Index{2});
            CHECK(recovered.hard_state == raft::HardState{});
            CHECK(used_bytes(files.disk->names.at("d/" + first_segment)->durable) <= begin);
            CHECK(node.write(write_of({entry(3, 9, "x")})).has_value());
            node.close();
        }
        StorageNode<FakeWal> node(fake_wal(files));
        CHECK(node.start().last == raft::Index{3});
        CHECK(*node.read(3, 1) == std::vector{entry(3, 9, "x")});
    }
}

TEST_CASE("A segment that is not of the size with which it was made is refused, at any size") {
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
    const FakeFiles longer = changed(*disk, first_segment, whole + std::string(4096, '\0'));
    StorageNode<FakeWal> node(fake_wal(longer));
    CHECK(node.recover().error().what ==
          path + " at offset 4096: the file has grown (8192 bytes, made with 4096)");
}

TEST_CASE("A recovery says what it has cut, and up to which entry the log goes") {
    const auto before = disk_with({write_of({entry(1, 1, "a")})});
    const auto after = disk_with({write_of({entry(1, 1, "a")}), write_of({entry(2, 1, 1700)})});
    std::string content = after->names.at("d/" + first_segment)->now;
    const std::size_t begin = frontier(before->names.at("d/" + first_segment)->now);
    const std::size_t end = used_bytes(content);
    std::fill(content.begin() + 1024, content.begin() + 1536, '\0');
    const FakeFiles files = changed(*after, first_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.start().last == raft::Index{1});
    CHECK(node.storage().recovery_report() ==
          std::vector{"cut " + std::to_string(end - begin) + " bytes from offset " +
                      std::to_string(begin) + " of d/" + first_segment +
                      ", what is left of a write that was never completed; the log ends with "
                      "entry 1"});
    node.close();
    StorageNode<FakeWal> again(fake_wal(files));
    again.start();
    CHECK(again.storage().recovery_report().empty());
}

TEST_CASE("Any changed byte before the last batch is refused, with file and offset") {
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
            REQUIRE_FALSE(recovered.has_value());
            CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
            const std::string& what = recovered.error().what;
            const std::string lead = "d/" + first_segment + " at offset ";
            REQUIRE(what.starts_with(lead));
            // The offset is that of the record (or the header) in which the byte lies.
            const std::size_t offset = std::stoul(what.substr(lead.size()));
            CHECK(offset <= place);
            CHECK(place < offset + 120);
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
    const std::size_t batch = 40 + 40 + 8;
    content.replace(end, batch, content.substr(end - batch, batch));
    const FakeFiles files = changed(*disk, first_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.recover().error().what == "d/" + first_segment + " at offset " +
                                             std::to_string(end) + ": a batch record is damaged");
}

TEST_CASE("A record is valid only in its log, its segment and at its offset") {
    namespace wal = rsm::detail::wal;
    wal::BatchEncoder encoder;
    encoder.begin({7, 2}, 40);
    encoder.add(hard_state({{1}, {1}, {}}));
    encoder.finish(3);
    std::vector<std::byte> bytes;
    for (const auto part : encoder.parts()) bytes.insert(bytes.end(), part.begin(), part.end());
    const auto record = std::span(std::as_const(bytes)).subspan(wal::batch_record_bytes);
    CHECK(wal::read_record(record, {7, 2}, 80).has_value());
    CHECK_FALSE(wal::read_record(record, {7, 2}, 88).has_value());
    CHECK_FALSE(wal::read_record(record, {7, 3}, 80).has_value());
    CHECK_FALSE(wal::read_record(record, {8, 2}, 80).has_value());
    CHECK(wal::read_batch_head(bytes, {7, 2}, 40)->number == 3);
    CHECK_FALSE(wal::read_batch_head(bytes, {7, 2}, 48).has_value());
}

TEST_CASE("A last batch that was written but never synced is durable once it was recovered") {
    FakeFiles files;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
        // The write takes place; the process ends before its sync.
        files.disk->stop_at = files.disk->operations + 2;
        CHECK_FALSE(node.write(write_of({entry(2, 1, "b")})).has_value());
        files.disk->stop_at = UINT64_MAX;
    }
    {
        StorageNode<FakeWal> node(fake_wal(files));
        CHECK(node.start().last == raft::Index{2});
    }
    // Now the machine ends, with everything that is not synced.
    files.disk->crash(0);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.start().last == raft::Index{2});
}

/// A log whose entries fill several segments.
FakeFiles several_segments(std::uint64_t count = 12) {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    for (std::uint64_t i = 1; i <= count; ++i) {
        raft::Write write = write_of({entry(i, i, 1500)});
        if (i == 1) write.hard_state = raft::HardState{{30}, {3}, {}};
        REQUIRE(node.write(write).has_value());
    }
    node.close();
    return files;
}

TEST_CASE("A log of several segments is recovered and read across them") {
    const FakeFiles files = several_segments();
    REQUIRE(segment_names(*files.disk).size() >= 6);
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{12});
    CHECK(recovered.hard_state == raft::HardState{{30}, {3}, {}});
    CHECK(recovered.runs.size() == 12);
    const auto list = node.read(1, 1 << 20);
    REQUIRE(list->size() == 12);
    for (std::uint64_t i = 1; i <= 12; ++i) CHECK((*list)[i - 1] == entry(i, i, 1500));
}

TEST_CASE("Any changed byte in an older segment is refused, also behind its last batch") {
    const FakeFiles good = several_segments(4);
    const std::string whole = good.disk->names.at("d/" + first_segment)->now;
    REQUIRE(used_bytes(whole) < whole.size());
    for (std::size_t place = 0; place < whole.size(); place += place % 64 == 0 ? 1U : 21U) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 32);
        const FakeFiles files = changed(*good.disk, first_segment, content);
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
        CHECK(recovered.error().what.find(first_segment + " at offset ") != std::string::npos);
    }
}

TEST_CASE("An older segment whose last batch became zeros is refused") {
    const FakeFiles good = several_segments(6);
    std::string content = good.disk->names.at("d/" + second_segment)->now;
    // The second of its two batches, of one entry each, and its end.
    const std::size_t batch = 40 + 33 + 1500 + 3 + 8 + 40 + 16 + 8;
    const std::size_t begin = frontier(content) - batch;
    content.replace(begin, batch, std::string(batch, '\0'));
    const FakeFiles files = changed(*good.disk, second_segment, content);
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.recover().error().what ==
          "d/" + second_segment + " at offset " + std::to_string(begin) +
              ": zeros in the place of a batch, and later segments are in use");
}

TEST_CASE("A missing segment is refused, wherever it is needed") {
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
        if (i + 1 == names.size()) {
            CHECK(recovered.has_value());
            continue;
        }
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().what == names[i] + " is missing");
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
        CHECK(recovered.error().what == names[left] + " is missing");
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
        CHECK(node.recover().error().code == rsm::StorageErrc::corrupted);
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
    SUBCASE("a later version") { version = 4; }
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

TEST_CASE("A release removes the segments that hold nothing else, and a restart counts the rest") {
    const FakeFiles files = several_segments(12);
    std::uint64_t bytes = 0;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        const std::size_t before = segment_names(*files.disk).size();
        REQUIRE(node.save(position(10, 10), "state").has_value());
        CHECK(node.write(release(position(9, 9))).has_value());
        CHECK(segment_names(*files.disk).size() <= before - 4);
        CHECK_FALSE(files.disk->names.contains("d/" + first_segment));
        bytes = bytes_of({entry(10, 10, 1500), entry(11, 11, 1500), entry(12, 12, 1500)}) +
                raft::codec::persisted_hard_state_size;
        CHECK(node.storage().persisted_bytes() == bytes);
        node.close();
    }
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.base == position(9, 9));
    CHECK(recovered.hard_state == raft::HardState{{30}, {3}, {}});
    CHECK(node.storage().persisted_bytes() == bytes);
    CHECK(node.read(10, 1 << 20)->size() == 3);
}

/// A log that has given up its segments up to the last ones, all of one size.
struct SpareLog {
    FakeFiles files;
    StorageNode<FakeWal> node{fake_wal(files)};
    std::uint64_t last = 0;

    SpareLog() { node.start(); }
    void add(std::uint64_t count) {
        while (count-- != 0) {
            ++last;
            REQUIRE(node.write(write_of({entry(last, 1, 1500)})).has_value());
        }
    }
    void give_up(std::uint64_t index) {
        REQUIRE(node.save(position(index, 1), "state").has_value());
        REQUIRE(node.write(release(position(index, 1))).has_value());
    }
    std::shared_ptr<FakeDisk::Inode> spare() const {
        for (const auto& [path, inode] : files.disk->names) {
            if (path.ends_with(".spare.tmp")) return inode;
        }
        return nullptr;
    }
    bool is_segment(const std::shared_ptr<FakeDisk::Inode>& inode) const {
        return std::ranges::any_of(segment_names(*files.disk), [&](const std::string& name) {
            return files.disk->names.at(name) == inode;
        });
    }
};

TEST_CASE("A segment that is given up becomes a later one, made of zeros") {
    SpareLog log;
    log.add(8);
    REQUIRE(log.spare() == nullptr);
    log.give_up(7);
    const auto spare = log.spare();
    REQUIRE(spare != nullptr);
    CHECK(used_bytes(spare->now) > 1500);
    while (!log.is_segment(spare)) {
        log.add(1);
        REQUIRE(log.last < 20);
    }
    CHECK(log.spare() == nullptr);
    CHECK(used_bytes(spare->durable) == rsm::detail::wal::segment_header_bytes);
    // It is as good as any other.
    log.add(6);
    log.files.disk->crash(0);
    StorageNode<FakeWal> again(fake_wal(log.files));
    CHECK(again.start().last == raft::Index{log.last});
    CHECK(again.read(8, 1 << 20)->size() == log.last - 7);
}

TEST_CASE("What is left of a segment's earlier life is no part of its log") {
    // After each number of operations from the giving up on, until the spare is a segment.
    for (std::uint64_t stop = 1;; ++stop) {
        CAPTURE(stop);
        SpareLog log;
        log.add(8);
        log.give_up(7);
        const auto spare = log.spare();
        const std::uint64_t acknowledged = log.last;
        log.files.disk->stop_at = log.files.disk->operations + stop;
        std::uint64_t begun = acknowledged;
        while (!log.files.disk->stopped() && !log.is_segment(spare)) {
            ++begun;
            if (!log.node.write(write_of({entry(begun, 1, 1500)}))) break;
            log.last = begun;
        }
        const bool done = !log.files.disk->stopped();
        log.files.disk->crash(stop);
        StorageNode<FakeWal> again(fake_wal(log.files));
        const raft::Index last = again.start().last;
        CHECK(last >= raft::Index{log.last});
        CHECK(last <= raft::Index{begun});
        CHECK(again.read(8, 1 << 20)->size() == last.value - 7);
        if (done) break;
        REQUIRE(stop < 200);
    }
}

TEST_CASE("Endless votes and replacements do not fill the disk, even with entries to keep") {
    FakeFiles files;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a"), entry(2, 1, "b")})).has_value());
        for (std::uint64_t i = 1; i <= 400; ++i) {
            CHECK(node.write(hard_state({{i}, {1}, {}})).has_value());
            if (i % 50 == 0) CHECK(node.write(write_of({entry(2, i, "r")})).has_value());
            CHECK(segment_names(*files.disk).size() <= 4);
        }
        node.close();
    }
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.hard_state.term == raft::Term{400});
    CHECK(*node.read(1, 100000) == std::vector{entry(1, 1, "a"), entry(2, 400, "r")});
}

TEST_CASE("A write larger than a segment makes its segment larger") {
    FakeFiles files;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        for (std::uint64_t i = 1; i <= 4; ++i) {
            CHECK(node.write(write_of({entry(i, 1, i % 2 == 0 ? 20000U : 10U)})).has_value());
        }
        node.close();
    }
    StorageNode<FakeWal> node(fake_wal(files));
    CHECK(node.start().last == raft::Index{4});
    CHECK(node.read(2, 1)->front() == entry(2, 1, 20000));
    CHECK(node.write(write_of({entry(5, 1, 100)})).has_value());
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

TEST_CASE("Any changed byte of the newest snapshot is refused, with its name") {
    const FakeFiles good = two_snapshots();
    const std::string name = "00000000000000000002-00000000000000000001.snapshot";
    const std::string whole = good.disk->names.at("d/" + name)->now;
    for (std::size_t place = 0; place < whole.size(); ++place) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 2);
        StorageNode<FakeWal> node(fake_wal(changed(*good.disk, name, content)));
        const auto recovered = node.recover();
        REQUIRE_FALSE(recovered.has_value());
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
        CHECK(recovered.error().what.starts_with("d/" + name));
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
        StorageNode<FakeWal> node(fake_wal(changed(*good.disk, name, whole.substr(0, size))));
        CHECK(node.recover().error().code == rsm::StorageErrc::corrupted);
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

}  // namespace wal_test
