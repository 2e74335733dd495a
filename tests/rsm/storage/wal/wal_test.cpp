// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The write-ahead log on its files: format, torn tails, removal of segments.
#include "wal_support.hpp"

#include <raft/protocol/codec.hpp>
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

namespace wal_test {

using namespace raft::test;
using namespace rsm_test;

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
        "72736d2d77616c0a0400000000000000887766554433221101000000000000000010000000000000"
        "4e08810def76fb55"
        // batch record: number 1, 337 bytes, no blank pieces, no lone bits, mark
        "f17b865a84ac2e8e18000000010300000100000000000000510100000000000000000000b5b5b5b5"
        // summary: the same, the log up to (8, 4), nothing more promised, term 5, vote 2, marks
        "4be4e81a0200636150000000080300000100000000000000510100000000000000000000b5b5b5b5"
        "08000000000000000400000000000000000000000000000000000000000000000500000000000000"
        "0200000000000000b5b5b5b5b5b5b5b5"
        // checkpoint: nothing yet
        "9387b05b786ad7375500000002030000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000"
        // reset to (7, 3)
        "40b64ba57d081b12100000000503000007000000000000000300000000000000"
        // entry (8, 4), operation, abc
        "e2b36cd475fcdd2314000000030300000800000000000000040000000000000001616263"
        // hard state: term 5, vote 2, commit 7
        "e2d130a5a9ebdcd81800000004030000050000000000000002000000000000000700000000000000"
        // release of (7, 3), padding
        "ad8e9395582d2b1d10000000060300000700000000000000030000000000000000000000000000"
        // seal
        "3cfd26ce2f7934db";
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

TEST_CASE("A record is valid only in its log, its segment and at its offset") {
    namespace wal = rsm::detail::wal;
    wal::BatchEncoder encoder;
    encoder.begin({7, 2}, 40);
    encoder.add(hard_state({{1}, {1}, {}}));
    encoder.finish(3, {});
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

}  // namespace wal_test
