// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whose a data directory is, and what in it is not the log's.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <sys/stat.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wal_identity_test {

using namespace raft::test;
using namespace rsm_test;
namespace wal = rsm::detail::wal;

const raft::Identity one{{1}, "shop", {{1}, {2}, {3}}};

StorageNode<FakeWal> claimed(const FakeFiles& files, raft::Identity identity) {
    return StorageNode<FakeWal>(fake_wal(files), std::move(identity));
}
raft::Result<raft::Recovered> start(const FakeFiles& files, raft::Identity identity = one) {
    return claimed(files, std::move(identity)).recover();
}
FakeFiles copy_of(const FakeFiles& files) {
    FakeFiles copy;
    for (const auto& [name, inode] : files.disk->names) {
        copy.disk->names[name] = std::make_shared<FakeDisk::Inode>(*inode);
    }
    copy.disk->durable_names = copy.disk->names;
    return copy;
}
/// A directory of node 1 with a vote in its log.
FakeFiles used() {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files), one);
    node.start();
    REQUIRE(node.write(hard_state({{1}, {1}, {}})).has_value());
    node.close();
    return files;
}

TEST_CASE("A directory belongs to one node, one cluster and one list of members") {
    const FakeFiles files = used();
    CHECK(start(files).has_value());
    raft::Identity other = one;
    std::string says;
    SUBCASE("another node") {
        other.node = {2};
        says = "node 2 of cluster \"shop\" with the members 1, 2, 3";
    }
    SUBCASE("another cluster") {
        other.cluster = "bank";
        says = "node 1 of cluster \"bank\" with the members 1, 2, 3";
    }
    SUBCASE("other members") {
        other.members = {{1}, {2}};
        says = "node 1 of cluster \"shop\" with the members 1, 2";
    }
    const auto refused = start(files, other);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == rsm::StorageErrc::foreign);
    CHECK(refused.error().what ==
          "d/identity says node 1 of cluster \"shop\" with the members 1, 2, 3, and this is a "
          "start of " +
              says);
    CHECK(start(files).has_value());
}

TEST_CASE("A directory without its identity, without its log, or with another's is refused") {
    const FakeFiles files = used();
    SUBCASE("no identity") {
        files.disk->names.erase("d/identity");
        CHECK(start(files).error().what ==
              "d/identity is missing, although there is a log or a snapshot");
    }
    SUBCASE("no log") {
        std::erase_if(files.disk->names,
                      [](const auto& file) { return file.first.ends_with(".wal"); });
        CHECK(start(files).error().what == "d: the log is missing");
    }
    SUBCASE("the identity of another log") {
        wal::StoredIdentity stored{one, 7};
        const auto bytes = wal::encode_identity(stored);
        files.disk->names["d/identity"]->now.assign(reinterpret_cast<const char*>(bytes.data()),
                                                    bytes.size());
        const auto refused = start(files);
        CHECK(refused.error().code == rsm::StorageErrc::foreign);
    }
    SUBCASE("any changed or missing byte of it") {
        const std::string whole = files.disk->names["d/identity"]->now;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            CAPTURE(at);
            for (const bool cut : {false, true}) {
                std::string content = cut ? whole.substr(0, at) : whole;
                if (!cut) content[at] = static_cast<char>(content[at] ^ 4);
                const FakeFiles copy = copy_of(files);
                copy.disk->names["d/identity"]->now = content;
                CHECK(start(copy).error().code == rsm::StorageErrc::corrupted);
            }
        }
    }
}

TEST_CASE("The identity is durable before the first write, whenever the machine stops") {
    for (std::uint64_t stop = 1;; ++stop) {
        CAPTURE(stop);
        FakeFiles files;
        files.disk->stop_at = stop;
        bool done = false;
        {
            StorageNode<FakeWal> node = claimed(files, one);
            done = node.recover().has_value() && node.write(hard_state({{1}, {1}, {}})).has_value();
        }
        for (std::uint64_t seed = 0; seed < 6; ++seed) {
            CAPTURE(seed);
            const FakeFiles copy = copy_of(files);
            copy.disk->durable_names.clear();
            for (const auto& [name, inode] : files.disk->durable_names) {
                copy.disk->durable_names[name] = std::make_shared<FakeDisk::Inode>(*inode);
            }
            copy.disk->crash(seed);
            StorageNode<FakeWal> node = claimed(copy, one);
            const auto recovered = node.recover();
            if (!recovered) FAIL(recovered.error().message());
            if (done) CHECK(recovered->hard_state.voted_for == raft::NodeId{1});
            node.close();
            raft::Identity other = one;
            other.node = {2};
            CHECK(start(copy, other).error().code == rsm::StorageErrc::foreign);
        }
        if (done) break;
        REQUIRE(stop < 100);
    }
}

TEST_CASE("What is not the log's is left alone, whatever it is") {
    const TemporaryDirectory directory;
    const std::string path = directory.path();
    std::filesystem::create_directory(path + "/foo.tmp");
    REQUIRE(::mkfifo((path + "/pipe.tmp").c_str(), 0600) == 0);
    std::filesystem::create_symlink("nowhere", path + "/link.tmp");
    std::filesystem::create_directory(path + "/1.wal");
    write_file(path + "/mine.snapshot", "mine");
    {
        StorageNode<rsm::WalStorage> node(rsm::WalStorage{path});
        node.start();
        CHECK(node.storage().recovery_report().size() == 2);
        for (const std::string& what : node.storage().recovery_report()) {
            CHECK(what.starts_with("left alone " + path + "/"));
        }
        CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
        node.close();
    }
    CHECK(std::filesystem::is_directory(path + "/foo.tmp"));
    CHECK(std::filesystem::is_fifo(path + "/pipe.tmp"));
    CHECK(std::filesystem::is_symlink(path + "/link.tmp"));
    CHECK(read_file(path + "/mine.snapshot") == "mine");
}

TEST_CASE(
    "Something else under a name of the log's is refused with that name, and not waited for") {
    const TemporaryDirectory directory;
    const std::string path = directory.path();
    {
        StorageNode<rsm::WalStorage> node(rsm::WalStorage{path});
        node.start();
        CHECK(node.write(write_of({entry(1, 1, "a")})).has_value());
        node.close();
    }
    const std::string segment = path + "/" + first_segment;
    const std::string newest = wal::snapshot_path(path, position(9, 1));
    for (const std::string& name : {newest, segment}) {
        for (const std::string kind : {"a directory", "a pipe", "a link to nothing"}) {
            CAPTURE(name);
            CAPTURE(kind);
            std::filesystem::remove(name);
            if (kind == "a directory") {
                std::filesystem::create_directory(name);
            } else if (kind == "a pipe") {
                REQUIRE(::mkfifo(name.c_str(), 0600) == 0);
            } else {
                std::filesystem::create_symlink("nowhere", name);
            }
            StorageNode<rsm::WalStorage> node(rsm::WalStorage{path});
            const auto recovered = node.recover();
            REQUIRE_FALSE(recovered.has_value());
            CHECK(recovered.error().what.starts_with("open " + name));
        }
        std::filesystem::remove(name);
    }
}

}  // namespace wal_identity_test
