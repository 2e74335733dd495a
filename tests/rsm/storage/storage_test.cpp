// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every storage does, checked on each of them.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>

#include <policies/plain_storage.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace storage_test {

using namespace raft::test;
using namespace rsm_test;

struct MemoryBed {
    using Storage = rsm::MemoryStorage;
    std::shared_ptr<rsm::MemoryDisk> disk = std::make_shared<rsm::MemoryDisk>();
    Storage make() const { return Storage(disk); }
};
struct WalBed {
    using Storage = rsm::WalStorage;
    TemporaryDirectory directory;
    Storage make() const { return Storage(directory.path() + "/a/b"); }
};
struct SmallSegmentsBed {
    using Storage = FakeWal;
    FakeFiles files;
    Storage make() const { return fake_wal(files); }
};
struct PlainBed {
    using Storage = policies::PlainStorage;
    TemporaryDirectory directory;
    Storage make() const { return Storage(directory.path() + "/a/b"); }
};

#define RSM_STORAGES MemoryBed, WalBed, SmallSegmentsBed, PlainBed

template <class Bed>
using NodeOf = StorageNode<typename Bed::Storage>;

TEST_CASE_TEMPLATE("A fresh storage recovers the value-initialised state and counts no bytes", Bed,
                   RSM_STORAGES) {
    Bed bed;
    for (int round = 0; round < 2; ++round) {
        NodeOf<Bed> node(bed.make());
        const raft::Recovered recovered = node.start();
        CHECK(recovered.hard_state == raft::HardState{});
        CHECK(recovered.snapshot == raft::SnapshotMeta{});
        CHECK(recovered.base == raft::LogPosition{});
        CHECK(recovered.last == raft::Index{});
        CHECK(recovered.runs.empty());
        CHECK(recovered.memberships.empty());
        CHECK(node.storage().persisted_bytes() == 0);
        node.close();
    }
}

TEST_CASE_TEMPLATE("Entries, term and vote that were acknowledged are there after a restart", Bed,
                   RSM_STORAGES) {
    Bed bed;
    raft::Entry member{{3}, {2}, raft::EntryKind::membership, raft::codec::encode(voters(3))};
    const std::vector<raft::Entry> list{entry(1, 1, "one"), entry(2, 2, ""), member,
                                        entry(4, 2, 10000), entry(5, 4, "five")};
    const raft::HardState state{{4}, {2}, {3}};
    const std::uint64_t bytes = bytes_of(list) + raft::codec::persisted_hard_state_size;
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        raft::Write write = write_of(list);
        write.hard_state = state;
        CHECK(node.write(write).has_value());
        CHECK(node.storage().persisted_bytes() == bytes);
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.hard_state == state);
    CHECK(recovered.base == position(0, 0));
    CHECK(recovered.last == raft::Index{5});
    CHECK(recovered.runs == std::vector<raft::TermRun>{{{1}, {1}}, {{2}, {2}}, {{5}, {4}}});
    CHECK(recovered.memberships == std::vector{member});
    CHECK(node.storage().persisted_bytes() == bytes);
    CHECK(*node.read(1, 1 << 20) == list);
}

TEST_CASE_TEMPLATE("Entries replace what is stored from their first index on", Bed, RSM_STORAGES) {
    Bed bed;
    const std::vector<raft::Entry> after{entry(1, 1, 1500), entry(2, 3, "new")};
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        for (std::uint64_t i = 1; i <= 9; ++i) {
            CHECK(node.write(write_of({entry(i, 1, 1500)})).has_value());
        }
        CHECK(node.write(write_of({after[1]})).has_value());
        CHECK(*node.read(1, 1 << 20) == after);
        CHECK(node.storage().persisted_bytes() == bytes_of(after));
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.last == raft::Index{2});
    CHECK(recovered.runs == std::vector<raft::TermRun>{{{1}, {1}}, {{2}, {3}}});
    CHECK(*node.read(1, 1 << 20) == after);
    CHECK(node.storage().persisted_bytes() == bytes_of(after));
}

TEST_CASE_TEMPLATE("Released entries count no bytes and stay away after a restart", Bed,
                   RSM_STORAGES) {
    Bed bed;
    std::vector<raft::Entry> rest;
    std::uint64_t bytes = 0;
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        for (std::uint64_t i = 1; i <= 9; ++i) {
            CHECK(node.write(write_of({entry(i, i, 1500)})).has_value());
            if (i > 6) rest.push_back(entry(i, i, 1500));
        }
        REQUIRE(node.save(position(7, 7), "state").has_value());
        CHECK(node.write(release(position(6, 6))).has_value());
        // An earlier position releases nothing more.
        CHECK(node.write(release(position(2, 2))).has_value());
        bytes = bytes_of(rest);
        CHECK(node.storage().persisted_bytes() == bytes);
        CHECK(node.read(6, 1).error().code == rsm::StorageErrc::invalid_read);
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.base == position(6, 6));
    CHECK(recovered.last == raft::Index{9});
    CHECK(recovered.snapshot.last == position(7, 7));
    CHECK(recovered.runs.front() == raft::TermRun{{7}, {7}});
    CHECK(node.storage().persisted_bytes() == bytes);
    CHECK(*node.read(7, 1 << 20) == rest);
}

TEST_CASE_TEMPLATE("A release that no snapshot covers is refused at the restart", Bed,
                   RSM_STORAGES) {
    Bed bed;
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
        CHECK(node.write(release(position(1, 1))).has_value());
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    CHECK(node.recover().error().code == rsm::StorageErrc::corrupted);
}

TEST_CASE_TEMPLATE("A received snapshot and its reset begin a new log", Bed, RSM_STORAGES) {
    Bed bed;
    const std::string text = "the content of a leader's snapshot";
    const raft::SnapshotMeta meta{position(40, 7), voters(3), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a"), entry(2, 1, "b")})).has_value());
        CHECK(*node.receive(meta, 0, text.substr(0, 10)) == raft::ChunkOutcome::stored);
        CHECK(*node.receive(meta, 10, text.substr(10)) == raft::ChunkOutcome::installed);
        CHECK(content(node.storage(), meta) == text);
        raft::Write write = reset(position(40, 7));
        write.entries = {entry(41, 8, "c")};
        write.hard_state = raft::HardState{{8}, {}, {40}};
        CHECK(node.write(write).has_value());
        CHECK(node.write(write_of({entry(42, 8, "d")})).has_value());
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.snapshot == meta);
    CHECK(recovered.base == position(40, 7));
    CHECK(recovered.last == raft::Index{42});
    CHECK(recovered.hard_state == raft::HardState{{8}, {}, {40}});
    CHECK(*node.read(41, 1 << 20) == std::vector{entry(41, 8, "c"), entry(42, 8, "d")});
    CHECK(node.read(1, 1).error().code == rsm::StorageErrc::invalid_read);
    CHECK(content(node.storage(), meta) == text);
}

TEST_CASE_TEMPLATE("A snapshot that the log does not contain voids the log for good", Bed,
                   RSM_STORAGES) {
    Bed bed;
    raft::LogPosition snapshot;
    SUBCASE("it is behind the end") { snapshot = position(9, 5); }
    SUBCASE("the log has another term there") { snapshot = position(2, 4); }
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        raft::Write write = write_of({entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")});
        write.hard_state = raft::HardState{{5}, {1}, {1}};
        CHECK(node.write(write).has_value());
        REQUIRE(node.save(snapshot, "newer").has_value());
        node.close();
    }
    {
        NodeOf<Bed> node(bed.make());
        const raft::Recovered recovered = node.start();
        CHECK(recovered.base == snapshot);
        CHECK(recovered.last == snapshot.index);
        CHECK(recovered.runs.empty());
        CHECK(recovered.hard_state.term == raft::Term{5});
        CHECK(node.storage().persisted_bytes() == raft::codec::persisted_hard_state_size);
        CHECK(node.write(write_of({entry(snapshot.index.value + 1, 6, "d")})).has_value());
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    const raft::Recovered recovered = node.start();
    CHECK(recovered.base == snapshot);
    CHECK(recovered.last == snapshot.index + 1);
    CHECK(node.read(snapshot.index.value + 1, 1)->front().payload.text() == "d");
}

TEST_CASE_TEMPLATE("A read gives at least one entry and then as many as fit", Bed, RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    std::vector<raft::Entry> list;
    for (std::uint64_t i = 1; i <= 40; ++i) list.push_back(entry(i, 1, i * 13));
    for (const raft::Entry& one : list) CHECK(node.write(write_of({one})).has_value());
    for (std::uint64_t first = 1; first <= 40; first += 3) {
        for (const std::size_t budget : {0U, 100U, 1000U, 3000U, 100000U}) {
            std::vector<raft::Entry> expected;
            std::size_t bytes = 0;
            for (std::size_t i = first - 1; i < list.size(); ++i) {
                bytes += raft::footprint(list[i]);
                if (!expected.empty() && bytes > budget) break;
                expected.push_back(list[i]);
            }
            CHECK(*node.read(first, budget) == expected);
        }
    }
    CHECK(node.read(41, 1).error().code == rsm::StorageErrc::invalid_read);
    CHECK(node.read(0, 1).error().code == rsm::StorageErrc::invalid_read);
}

TEST_CASE_TEMPLATE("Writes complete in the order of submission, each once, none inside append", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    std::vector<std::uint64_t> order;
    for (std::uint64_t i = 1; i <= 200; ++i) {
        node.storage().append(write_of({entry(i, 1, 50)}), [&order, i](raft::Result<void> result) {
            CHECK(result.has_value());
            order.push_back(i);
        });
    }
    CHECK(order.empty());
    node.run();
    REQUIRE(order.size() == 200);
    CHECK(std::ranges::is_sorted(order));
}

TEST_CASE_TEMPLATE("A write that does not continue the log fails, and so do all after it", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
    SUBCASE("a gap") {
        CHECK(node.write(write_of({entry(3, 1, "c")})).error().code ==
              rsm::StorageErrc::invalid_write);
    }
    SUBCASE("entries that are not contiguous") {
        CHECK(node.write(write_of({entry(2, 1, "c"), entry(4, 1, "d")})).error().code ==
              rsm::StorageErrc::invalid_write);
    }
    SUBCASE("a release behind the end") {
        CHECK(node.write(release(position(2, 1))).error().code == rsm::StorageErrc::invalid_write);
    }
    CHECK(node.write(write_of({entry(2, 1, "b")})).error().code == rsm::StorageErrc::invalid_write);
    node.close();
    NodeOf<Bed> again(bed.make());
    CHECK(again.start().last == raft::Index{1});
}

TEST_CASE_TEMPLATE("Snapshots are kept, read in pieces and dropped", Bed, RSM_STORAGES) {
    Bed bed;
    const std::string text(300000, 's');
    raft::SnapshotMeta first;
    raft::SnapshotMeta second;
    {
        NodeOf<Bed> node(bed.make());
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a"), entry(2, 2, "b")})).has_value());
        first = *node.save(position(1, 1), "one");
        second = *node.save(position(2, 2), text);
        CHECK(second.size == text.size());
        CHECK(second.membership == voters(3));
        CHECK(second.checksum == rsm::detail::checksum(std::as_bytes(std::span(text))));
        CHECK(content(node.storage(), first) == "one");
        CHECK(node.chunk(first, 1, 1)->text() == "n");
        CHECK(node.chunk(first, 3, 5)->text().empty());
        CHECK(node.chunk(first, 4, 1).error().code == rsm::StorageErrc::no_such_snapshot);
        node.storage().drop_snapshots_before({2});
        CHECK(node.chunk(first, 0, 1).error().code == rsm::StorageErrc::no_such_snapshot);
        CHECK_FALSE(node.storage().open_snapshot(first).has_value());
        node.close();
    }
    NodeOf<Bed> node(bed.make());
    CHECK(node.start().snapshot == second);
    CHECK(content(node.storage(), second) == text);
    CHECK(node.chunk(second, 299990, 100)->text() == std::string(10, 's'));
    node.close();
    NodeOf<Bed> again(bed.make());
    CHECK(again.start().snapshot == second);
    CHECK_FALSE(again.storage().open_snapshot(first).has_value());
}

TEST_CASE_TEMPLATE("A received snapshot that is not what was announced is rejected and dropped",
                   Bed, RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    const std::string text = "0123456789";
    raft::SnapshotMeta meta{position(4, 2), voters(3), text.size(),
                            rsm::detail::checksum(std::as_bytes(std::span(text)))};
    SUBCASE("a wrong checksum") {
        CHECK(*node.receive(meta, 0, "01234") == raft::ChunkOutcome::stored);
        CHECK(*node.receive(meta, 5, "56780") == raft::ChunkOutcome::rejected);
    }
    SUBCASE("a piece that does not continue") {
        CHECK(*node.receive(meta, 0, "01234") == raft::ChunkOutcome::stored);
        CHECK(*node.receive(meta, 6, "6789") == raft::ChunkOutcome::rejected);
        CHECK(*node.receive(meta, 5, "56789") == raft::ChunkOutcome::rejected);
    }
    SUBCASE("a piece beyond the end") {
        CHECK(*node.receive(meta, 0, "0123456789a") == raft::ChunkOutcome::rejected);
    }
    SUBCASE("a piece of another snapshot") {
        CHECK(*node.receive(meta, 0, "01234") == raft::ChunkOutcome::stored);
        raft::SnapshotMeta other = meta;
        other.checksum += 1;
        CHECK(*node.receive(other, 5, "56789") == raft::ChunkOutcome::rejected);
    }
    SUBCASE("a snapshot of nothing") {
        raft::SnapshotMeta other = meta;
        other.last = position(0, 0);
        CHECK(*node.receive(other, 0, text) == raft::ChunkOutcome::rejected);
    }
    CHECK_FALSE(node.storage().open_snapshot(meta).has_value());
    CHECK(*node.receive(meta, 0, "01") == raft::ChunkOutcome::stored);
    CHECK(*node.receive(meta, 0, text) == raft::ChunkOutcome::installed);
    CHECK(content(node.storage(), meta) == text);
}

TEST_CASE_TEMPLATE("Of two snapshots of one position the one that is completed last is there", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    CHECK(node.write(write_of({entry(1, 1, "a"), entry(2, 1, "b")})).has_value());
    const std::string received = "from the leader";
    const raft::SnapshotMeta theirs{position(2, 1), voters(3), received.size(),
                                    rsm::detail::checksum(std::as_bytes(std::span(received)))};
    // Both are under way at once.
    std::vector<raft::SnapshotMeta> completed;
    const auto save = [&] {
        node.storage().save_snapshot(position(2, 1), voters(3), produce("my own"),
                                     [&](auto saved) { completed.push_back(*saved); });
    };
    const auto receive = [&] {
        node.storage().receive_chunk(theirs, 0, raft::Bytes::copy_of(received), [&](auto outcome) {
            CHECK(*outcome == raft::ChunkOutcome::installed);
            completed.push_back(theirs);
        });
    };
    SUBCASE("the own one first") {
        save();
        receive();
    }
    SUBCASE("the received one first") {
        receive();
        save();
    }
    node.run();
    REQUIRE(completed.size() == 2);
    const std::string last = completed[1] == theirs ? received : "my own";
    CHECK(content(node.storage(), completed[1]) == last);
    CHECK(node.storage().open_snapshot(completed[0]).error().code ==
          rsm::StorageErrc::no_such_snapshot);
    CHECK(node.chunk(completed[0], 0, 3).error().code == rsm::StorageErrc::no_such_snapshot);
    CHECK(node.chunk(completed[1], 0, 3)->text() == last.substr(0, 3));
    node.close();
    NodeOf<Bed> again(bed.make());
    CHECK(again.start().snapshot == completed[1]);
    CHECK(content(again.storage(), completed[1]) == last);
}

TEST_CASE_TEMPLATE("Several pieces of a snapshot may be under way, and none follows a rejected one",
                   Bed, RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    const std::string text = "0123456789";
    const raft::SnapshotMeta meta{position(4, 1), voters(3), text.size(),
                                  rsm::detail::checksum(std::as_bytes(std::span(text)))};
    std::vector<raft::ChunkOutcome> outcomes;
    const auto receive = [&](std::size_t offset, std::size_t size) {
        node.storage().receive_chunk(meta, offset, raft::Bytes::copy_of(text.substr(offset, size)),
                                     [&](auto outcome) { outcomes.push_back(*outcome); });
    };
    using enum raft::ChunkOutcome;
    SUBCASE("in order") {
        for (const std::size_t offset : {0U, 4U, 8U}) receive(offset, 4);
        node.run();
        CHECK(outcomes == std::vector{stored, stored, installed});
    }
    SUBCASE("one is missing") {
        receive(0, 4);
        receive(8, 2);
        receive(4, 4);
        receive(8, 2);
        receive(0, 4);
        node.run();
        CHECK(outcomes == std::vector{stored, rejected, rejected, rejected, stored});
    }
    SUBCASE("abandoned") {
        receive(0, 4);
        node.storage().abandon_transfer();
        receive(4, 4);
        node.storage().abandon_transfer();
        receive(0, 10);
        node.run();
        CHECK(outcomes == std::vector{stored, rejected, installed});
    }
}

TEST_CASE_TEMPLATE("A producer that throws fails the save and leaves no snapshot", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    const auto result = node.template wait<raft::SnapshotMeta>([&](auto done) {
        node.storage().save_snapshot(
            position(1, 1), voters(3), [](raft::ByteSink&) { throw std::runtime_error("no"); },
            done);
    });
    CHECK(result.error().code == rsm::StorageErrc::producer_failed);
    node.close();
    NodeOf<Bed> again(bed.make());
    CHECK(again.start().snapshot.empty());
}

TEST_CASE_TEMPLATE("A second storage is refused until the first one is closed", Bed, RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> first(bed.make());
    first.start();
    NodeOf<Bed> second(bed.make());
    CHECK(second.recover().error().code == rsm::StorageErrc::locked);
    first.close();
    NodeOf<Bed> third(bed.make());
    CHECK(third.recover().has_value());
}

TEST_CASE_TEMPLATE("Closing finishes what is under way and refuses what comes after", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    std::string order;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        node.storage().append(write_of({entry(i, 1, "x")}), [&](raft::Result<void> result) {
            CHECK(result.has_value());
            order += 'w';
        });
    }
    node.storage().close([&] { order += 'c'; });
    node.storage().append(write_of({entry(4, 1, "x")}), [&](raft::Result<void> result) {
        CHECK(result.error().code == rsm::StorageErrc::closed);
        order += 'r';
    });
    node.run();
    CHECK(std::ranges::count(order, 'w') == 3);
    CHECK(std::ranges::count(order, 'r') == 1);
    CHECK(order.back() == 'c');
    CHECK(order.size() == 5);
    NodeOf<Bed> again(bed.make());
    CHECK(again.start().last == raft::Index{3});
}

TEST_CASE_TEMPLATE("A storage that is destroyed runs no callback any more", Bed, RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    bool called = false;
    const auto token = std::make_shared<int>(0);
    for (std::uint64_t i = 1; i <= 50; ++i) {
        node.storage().append(write_of({entry(i, 1, "x")}),
                              [&called, token](raft::Result<void>) { called = true; });
    }
    node.storage().save_snapshot(
        position(1, 1), voters(3), produce("text"),
        [&called, token](raft::Result<raft::SnapshotMeta>) { called = true; });
    SUBCASE("before the executor runs") {
        node.destroy();
        CHECK(token.use_count() == 1);
        node.run();
        CHECK_FALSE(called);
    }
    SUBCASE("by one of them") {
        int count = 0;
        node.storage().append(write_of({entry(51, 1, "x")}), [&](raft::Result<void>) {
            ++count;
            node.destroy();
        });
        node.storage().append(write_of({entry(52, 1, "x")}),
                              [&](raft::Result<void>) { count += 100; });
        node.run();
        CHECK(count == 1);
        CHECK(token.use_count() == 1);
    }
}

TEST_CASE("A held memory disk completes nothing, and forgets it when the storage is destroyed") {
    MemoryBed bed;
    {
        StorageNode<rsm::MemoryStorage> node(bed.make());
        node.start();
        int completed = 0;
        bed.disk->hold();
        for (std::uint64_t i = 1; i <= 3; ++i) {
            node.storage().append(write_of({entry(i, 1, "x")}),
                                  [&](raft::Result<void>) { ++completed; });
        }
        CHECK(node.io.poll() == 0);
        CHECK(bed.disk->held() == 3);
        CHECK(bed.disk->release_one());
        CHECK(node.io.poll() == 1);
        CHECK(completed == 1);
        // The second takes effect, though nobody learns of it; the third never does.
        CHECK(bed.disk->release_one());
    }
    CHECK(bed.disk->held() == 0);
    CHECK_FALSE(bed.disk->release_one());
    bed.disk->release_all();
    StorageNode<rsm::MemoryStorage> node(bed.make());
    CHECK(node.start().last == raft::Index{2});
}

TEST_CASE("A failed write of a memory disk is final for the storage, not for the disk") {
    MemoryBed bed;
    {
        StorageNode<rsm::MemoryStorage> node(bed.make());
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
        const raft::Failure failure{std::make_error_code(std::errc::io_error), "test"};
        bed.disk->fail_next_write(failure);
        CHECK(node.write(write_of({entry(2, 1, "b")})).error() == failure);
        CHECK(node.write(write_of({entry(3, 1, "c")})).error() == failure);
    }
    StorageNode<rsm::MemoryStorage> node(bed.make());
    CHECK(node.start().last == raft::Index{1});
    CHECK(node.write(write_of({entry(2, 1, "b")})).has_value());
}

}  // namespace storage_test
