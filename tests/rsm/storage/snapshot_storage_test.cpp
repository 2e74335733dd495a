// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every storage does with snapshots, checked on each of them.
#include "storage_beds.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace snapshot_storage_test {

using namespace raft::test;
using namespace storage_test;

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
        node.storage().drop_snapshots_except({{2}});
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

TEST_CASE_TEMPLATE("Of the snapshots up to a needed one only needed ones are kept", Bed,
                   RSM_STORAGES) {
    Bed bed;
    NodeOf<Bed> node(bed.make());
    node.start();
    std::vector<raft::SnapshotMeta> metas;
    for (std::uint64_t i = 1; i <= 5; ++i) {
        metas.push_back(*node.save(position(i, 1), std::to_string(i)));
    }
    const auto kept = [&] {
        std::string text;
        for (const raft::SnapshotMeta& meta : metas) {
            const auto piece = node.chunk(meta, 0, 1);
            if (piece) text += piece->text();
        }
        return text;
    };
    CHECK(kept() == "12345");
    node.storage().drop_snapshots_except({{2}, {4}});
    CHECK(kept() == "245");
    node.storage().drop_snapshots_except({{1}, {5}});  // one of them is not there
    CHECK(kept() == "5");
    node.storage().drop_snapshots_except({{3}});
    CHECK(kept() == "5");
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

}  // namespace snapshot_storage_test
