// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every storage does, checked on each of them.
#include "storage_beds.hpp"
#include "support/held_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace storage_test {

using namespace raft::test;
using namespace rsm_test;

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

TEST_CASE_TEMPLATE("A release that no snapshot covers is noticed at the restart", Bed,
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
    const auto recovered = node.recover();
    if (recovered) {
        // It knows what it lacks.
        CHECK(recovered->last == raft::Index{0});
        CHECK(recovered->promised == position(1, 1));
    } else {
        CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
    }
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

TEST_CASE(
    "What a memory disk has not run completes not, and has no effect after the storage's end") {
    const auto disk = std::make_shared<HeldDisk>();
    int completed = 0;
    {
        StorageNode<rsm::MemoryStorage> node(rsm::MemoryStorage{disk});
        node.start();
        disk->hold();
        for (std::uint64_t i = 1; i <= 3; ++i) {
            node.storage().append(write_of({entry(i, 1, "x")}),
                                  [&](raft::Result<void>) { ++completed; });
        }
        CHECK(node.io.poll() == 0);
        CHECK(disk->held() == 3);
        CHECK(disk->release_one());
        CHECK(node.io.poll() == 1);
        CHECK(completed == 1);
        // The second takes effect, though nobody learns of it; the third never does.
        CHECK(disk->release_one());
    }
    disk->release_all();
    CHECK(completed == 1);
    StorageNode<rsm::MemoryStorage> node(rsm::MemoryStorage{disk});
    CHECK(node.start().last == raft::Index{2});
}

}  // namespace storage_test
