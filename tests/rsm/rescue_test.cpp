// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is saved of directories whose cluster has no majority any more.
#include "counters.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/bytes.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/rescue.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rescue_test {

using namespace raft::test;
using namespace rsm_test;
using counter_test::Counter;
using Node = StorageNode<rsm::WalStorage>;

raft::Identity identity(std::uint64_t node = 1) { return {{node}, "shop", voters(3), {7}, true}; }

raft::Entry add(std::uint64_t index, std::uint64_t term, std::int64_t amount,
                std::string note = {}) {
    rsm::BufferWriter out;
    out << Counter::Operation{amount, std::move(note)};
    return {{index}, {term}, raft::EntryKind::operation, raft::Bytes::copy_of(out.view())};
}
raft::Entry other(std::uint64_t index, std::uint64_t term, raft::EntryKind kind,
                  raft::Bytes payload = {}) {
    return {{index}, {term}, kind, std::move(payload)};
}
/// A directory with these entries, and a snapshot of a counter at `value` where that is given.
void make(const std::string& path, std::vector<raft::Entry> entries,
          std::optional<std::int64_t> value = {}, raft::LogPosition at = {}) {
    Node node(rsm::WalStorage(path), identity());
    node.start();
    REQUIRE(node.write(write_of(std::move(entries))).has_value());
    if (value) {
        Counter counter;
        counter.apply({*value, {}});
        auto saved = node.wait<raft::SnapshotMeta>([&](auto done) {
            node.storage().save_snapshot(at, voters(2), rsm::detail::capture_state(counter), done);
        });
        REQUIRE(saved.has_value());
    }
    node.close();
}
rsm::Remains remains_of(const std::string& path) {
    auto remains = rsm::Remains::open(path);
    if (!remains) FAIL(remains.error().message());
    return *std::move(remains);
}

TEST_CASE("all entries of a log are applied behind the newest snapshot") {
    const TemporaryDirectory directory;
    const std::string path = directory / "d";
    const raft::Membership members = voters(5);
    std::vector<raft::Entry> entries{
        add(1, 1, 100),
        add(2, 1, 1),
        other(3, 2, raft::EntryKind::barrier),
        add(4, 2, 10),
        other(5, 2, raft::EntryKind::membership, raft::codec::encode(members)),
        add(6, 3, 20)};
    std::int64_t value = 131;
    SUBCASE("none") { make(path, entries); }
    SUBCASE("a snapshot, which counts in place of what is before it") {
        make(path, entries, 5, {{2}, {1}});
        value = 35;
    }
    SUBCASE("a snapshot of all") {
        entries.resize(4);
        make(path, entries, 5, {{4}, {2}});
        value = 5;
    }
    const rsm::Remains remains = remains_of(path);
    CHECK(remains.identity() == identity());
    CHECK(remains.damages().empty());
    Counter counter;
    const auto state = remains.apply_to(counter);
    REQUIRE(state.has_value());
    CHECK(counter.value() == value);
    CHECK(state->last == entries.back().position());
    CHECK(state->membership == (value == 5 ? voters(2) : members));
    CHECK(state->identity.cluster == "shop");
    const auto backup = rsm::Backup::save(*state, directory / "b");
    REQUIRE(backup.has_value());
    Counter restored;
    const auto source = backup->source();
    CHECK(rsm::detail::restore_state(*source, backup->meta(), restored, 4096).has_value());
    CHECK(restored.value() == value);
}

TEST_CASE("a long log is read in parts") {
    const TemporaryDirectory directory;
    std::vector<raft::Entry> entries;
    for (std::uint64_t index = 1; index <= 40; ++index) {
        entries.push_back(add(index, 1, 1, std::string(std::size_t{1} << 20, 'x')));
    }
    make(directory / "d", std::move(entries));
    Counter counter;
    REQUIRE(remains_of(directory / "d").apply_to(counter).has_value());
    CHECK(counter.value() == 40);
}

TEST_CASE("of several directories that one counts whose log an election would prefer") {
    const TemporaryDirectory directory;
    make(directory / "long", {add(1, 1, 1), add(2, 1, 1), add(3, 1, 1)});
    make(directory / "late", {add(1, 1, 1), add(2, 2, 1)});
    make(directory / "short", {add(1, 1, 1), add(2, 1, 1)});
    const rsm::Remains longer = remains_of(directory / "long");
    const rsm::Remains later = remains_of(directory / "late");
    const rsm::Remains shorter = remains_of(directory / "short");
    CHECK(rsm::is_up_to_date(later, longer));
    CHECK_FALSE(rsm::is_up_to_date(longer, later));
    CHECK(rsm::is_up_to_date(longer, shorter));
    CHECK_FALSE(rsm::is_up_to_date(shorter, longer));
}

TEST_CASE("what cannot be rescued says why") {
    const TemporaryDirectory directory;
    const std::string path = directory / "d";
    SUBCASE("a node is running on it") {
        Node node(rsm::WalStorage(path), identity());
        node.start();
        const auto refused = rsm::Remains::open(path);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == rsm::StorageErrc::locked);
        node.close();
        CHECK(rsm::Remains::open(path).has_value());
    }
    SUBCASE("nothing is there") {
        CHECK(rsm::Remains::open(path).error().code == std::errc::no_such_file_or_directory);
    }
    SUBCASE("the machine throws") {
        make(path, {add(1, 1, 1), add(2, 1, 1, "poison")});
        Counter counter;
        const auto refused = remains_of(path).apply_to(counter);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().what.find("at the operation of index 2 (poisoned)") !=
              std::string::npos);
    }
}

}  // namespace rescue_test
