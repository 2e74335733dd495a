// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A write-ahead log that begins with a state in place of nothing.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace wal_seed_test {

using namespace raft::test;
using namespace rsm_test;
namespace wal = rsm::detail::wal;

raft::Identity claim(std::uint64_t origin = 77) {
    return {{1}, "shop", voters(3), {42}, true, origin};
}
raft::Seed seed(std::string text = "the state", raft::LogPosition last = {{7}, {3}}) {
    return {last, voters(3), produce(std::move(text))};
}

/// A start that founds a cluster with a state.
raft::Result<raft::Recovered> plant(StorageNode<FakeWal>& node) {
    node.storage().begin_with(seed());
    return node.recover();
}
StorageNode<FakeWal> node_on(const FakeFiles& files, raft::Identity identity = claim()) {
    return StorageNode<FakeWal>(fake_wal(files), std::move(identity));
}

void check_planted(StorageNode<FakeWal>& node, const raft::Recovered& recovered) {
    CHECK(recovered.base == raft::LogPosition{{7}, {3}});
    CHECK(recovered.last.value == 7);
    CHECK(recovered.runs.empty());
    CHECK(recovered.promised == raft::LogPosition{});
    CHECK(recovered.snapshot.last == raft::LogPosition{{7}, {3}});
    CHECK(recovered.snapshot.membership == voters(3));
    CHECK(content(node.storage(), recovered.snapshot) == "the state");
    CHECK(node.storage().identity() == claim());
}

TEST_CASE("A new log begins behind the state that it is given, and is continued there") {
    FakeFiles files;
    {
        StorageNode<FakeWal> node = node_on(files);
        const auto recovered = plant(node);
        REQUIRE(recovered.has_value());
        check_planted(node, *recovered);
        CHECK(node.storage().recovery_report().empty());
        REQUIRE(node.write(write_of({entry(8, 4, 10)})).has_value());
        node.close();
    }
    StorageNode<FakeWal> node = node_on(files, claim(0));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.base == raft::LogPosition{{7}, {3}});
    CHECK(recovered.last.value == 8);
    CHECK(content(node.storage(), recovered.snapshot) == "the state");
    node.close();
}

TEST_CASE("A log that has begun takes no notice of a state") {
    FakeFiles files;
    {
        StorageNode<FakeWal> node = node_on(files, claim(0));
        node.start();
        REQUIRE(node.write(write_of({entry(1, 1, 10)})).has_value());
        node.close();
    }
    StorageNode<FakeWal> node = node_on(files, claim(0));
    const auto recovered = plant(node);
    REQUIRE(recovered.has_value());
    CHECK(recovered->last.value == 1);
    CHECK(recovered->snapshot.empty());
    node.close();
}

TEST_CASE("A directory that has begun with another state, or with none, is refused") {
    for (const std::uint64_t origin : {std::uint64_t{0}, std::uint64_t{78}}) {
        CAPTURE(origin);
        FakeFiles files;
        {
            StorageNode<FakeWal> node = node_on(files, claim(origin));
            if (origin != 0) node.storage().begin_with(seed());
            node.start();
            node.close();
        }
        const auto refused = node_on(files).recover();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == rsm::StorageErrc::foreign);
        CHECK(refused.error().what.find("from backup 000000000000004d") != std::string::npos);
    }
}

TEST_CASE("A founder of a cluster that began with a state does not begin without it") {
    FakeFiles files;
    const auto refused = node_on(files).recover();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == std::errc::invalid_argument);
    CHECK(files.disk->names.empty());
    raft::Identity joins = claim();
    joins.founder = false;
    CHECK(node_on(files, joins).recover().has_value());
}

TEST_CASE("Wherever the machine stops, the log has begun with the state, or begins with it then") {
    std::uint64_t stops = 0;
    std::uint64_t begun = 0;
    for (bool completed = false; !completed; ++stops) {
        REQUIRE(stops < 1000);
        for (const std::uint64_t seed_of_crash : {1U, 2U, 3U, 6U}) {
            FakeFiles files;
            files.disk->stop_at = stops + 1;
            {
                StorageNode<FakeWal> node = node_on(files);
                completed = plant(node).has_value();
                if (completed) node.close();
            }
            files.disk->crash(seed_of_crash);
            const bool has_identity = files.disk->names.count("d/identity") != 0;
            CAPTURE(stops);
            CAPTURE(seed_of_crash);
            // One that has an identity needs the backup no more; any other begins anew with it.
            StorageNode<FakeWal> node = node_on(files);
            if (!has_identity) node.storage().begin_with(seed());
            begun += has_identity ? 1 : 0;
            const auto recovered = node.recover();
            if (!recovered) FAIL(recovered.error().message());
            check_planted(node, *recovered);
            REQUIRE(node.write(write_of({entry(8, 4, 10)})).has_value());
            node.close();
            StorageNode<FakeWal> again = node_on(files);
            CHECK(again.start().last.value == 8);
            again.close();
        }
    }
    CHECK(stops > 10);
    CHECK(begun > 4);
}

TEST_CASE("What a start that was cut off has left of another state gives way") {
    FakeFiles files;
    files.disk->stop_at = 1000;
    {
        StorageNode<FakeWal> node = node_on(files);
        REQUIRE(plant(node).has_value());
        node.close();
    }
    files.disk->names.erase("d/identity");
    // The log has been written to: it may have promised something.
    StorageNode<FakeWal> node = node_on(files);
    const auto refused = plant(node);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == rsm::StorageErrc::corrupted);

    FakeFiles fresh;
    std::uint64_t stop = 1;
    const auto left_over = [&] {
        for (const auto& [name, inode] : fresh.disk->names) {
            if (name.ends_with(".snapshot")) return true;
        }
        return false;
    };
    while (!left_over()) {
        fresh = FakeFiles();
        fresh.disk->stop_at = ++stop;
        StorageNode<FakeWal> cut_off = node_on(fresh);
        static_cast<void>(plant(cut_off).has_value());
    }
    fresh.disk->stop_at = UINT64_MAX;
    StorageNode<FakeWal> other = node_on(fresh, claim(5));
    other.storage().begin_with(seed("another", {{9}, {4}}));
    const raft::Recovered recovered = other.start();
    CHECK(recovered.snapshot.last == raft::LogPosition{{9}, {4}});
    CHECK(content(other.storage(), recovered.snapshot) == "another");
    CHECK(fresh.disk->names.count("d/00000000000000000007-00000000000000000003.snapshot") == 0);
    other.close();
}

TEST_CASE("An identity says which backup the cluster began with, where it did") {
    const auto with = wal::encode_identity({claim(), 3});
    const auto without = wal::encode_identity({claim(0), 3});
    CHECK(std::to_integer<int>(with[8]) == 3);
    CHECK(std::to_integer<int>(without[8]) == 2);
    CHECK(with.size() == without.size() + 8);
    CHECK(wal::decode_identity(with, true)->identity == claim());
    CHECK(wal::decode_identity(without, false)->identity == claim(0));
    CHECK_FALSE(wal::decode_identity(without, true));
    CHECK_FALSE(wal::decode_identity(with, false));
}

}  // namespace wal_seed_test
