// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whose a data directory is, and what in it is not the log's.
#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <raft/base/result.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/storage/wal.hpp>

#include <sys/stat.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace wal_identity_test {

using namespace raft::test;
using namespace rsm_test;
namespace wal = rsm::detail::wal;

raft::Membership founders() {
    raft::Membership members = voters(3);
    members.members[1].instance = {77};
    members.members[1].contact = "there:1";
    members.members[2].standing = raft::Standing::learner;
    return members;
}
const raft::Identity one{{1}, "shop", founders(), {42}, true};
const std::string described = "node 1 of cluster \"shop\", founded with the members 1, 2, 3";

StorageNode<FakeWal> claimed(const FakeFiles& files, raft::Identity identity) {
    return StorageNode<FakeWal>(fake_wal(files), std::move(identity));
}
raft::Result<raft::Recovered> start(const FakeFiles& files, raft::Identity identity = one) {
    return claimed(files, std::move(identity)).recover();
}
/// What a start that says `identity` finds. Fails the test where it is refused.
raft::Identity found(const FakeFiles& files, raft::Identity identity = one) {
    StorageNode<FakeWal> node = claimed(files, std::move(identity));
    node.start();
    raft::Identity stored = node.storage().identity();
    node.close();
    return stored;
}
/// Names and contents.
std::map<std::string, std::string> contents(const FakeFiles& files) {
    std::map<std::string, std::string> all;
    for (const auto& [name, inode] : files.disk->names) all[name] = inode->now;
    return all;
}
/// The same disk, of which nothing is durable that is not so there, and no call fails.
FakeFiles copy_of(const FakeFiles& files) {
    FakeFiles copy;
    std::map<const FakeDisk::Inode*, std::shared_ptr<FakeDisk::Inode>> made;
    const auto copied = [&made](const FakeDisk::Names& names) {
        FakeDisk::Names result;
        for (const auto& [name, inode] : names) {
            std::shared_ptr<FakeDisk::Inode>& node = made[inode.get()];
            if (node == nullptr) node = std::make_shared<FakeDisk::Inode>(*inode);
            result[name] = node;
        }
        return result;
    };
    copy.disk->names = copied(files.disk->names);
    copy.disk->durable_names = copied(files.disk->durable_names);
    return copy;
}
void put_identity(const FakeFiles& files, std::span<const std::byte> bytes) {
    const auto inode = std::make_shared<FakeDisk::Inode>();
    inode->now.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    inode->durable = inode->now;
    files.disk->names["d/identity"] = inode;
    files.disk->durable_names = files.disk->names;
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

TEST_CASE("A directory belongs to one node, one cluster and one list of founding members") {
    const FakeFiles files = used();
    CHECK(start(files).has_value());
    raft::Identity other = one;
    std::string says;
    SUBCASE("another node") {
        other.node = {2};
        says = "node 2 of cluster \"shop\", founded with the members 1, 2, 3";
    }
    SUBCASE("another cluster") {
        other.cluster = "bank";
        says = "node 1 of cluster \"bank\", founded with the members 1, 2, 3";
    }
    SUBCASE("fewer members") {
        other.founding = voters(2);
        says = "node 1 of cluster \"shop\", founded with the members 1, 2";
    }
    SUBCASE("more members") {
        other.founding = voters(4);
        says = "node 1 of cluster \"shop\", founded with the members 1, 2, 3, 4";
    }
    SUBCASE("another node, and nothing said of members") {
        other.node = {4};
        other.founding = {};
        says = "node 4 of cluster \"shop\"";
    }
    SUBCASE("another cluster, and nothing said of members") {
        other.cluster = "";
        other.founding = {};
        says = "node 1 of cluster \"\"";
    }
    const auto before = contents(files);
    const std::uint64_t operations = files.disk->operations;
    const auto refused = start(files, other);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == rsm::StorageErrc::foreign);
    CHECK(refused.error().what ==
          "d/identity says " + described + ", and this is a start of " + says);
    CHECK(contents(files) == before);
    CHECK(files.disk->operations == operations);
    CHECK(start(files).has_value());
}

TEST_CASE("What a directory was founded with stays, whatever later starts say of it") {
    raft::Identity joining = one;
    joining.node = {9};
    joining.founder = false;
    for (const raft::Identity& founded : {one, joining}) {
        CAPTURE(founded.founder);
        const FakeFiles files;
        CHECK(found(files, founded) == founded);
        const auto kept = contents(files).at("d/identity");
        std::vector<raft::Identity> later(5, founded);
        later[1].instance = {43};
        later[2].founder = !founded.founder;
        later[3].founding = voters(3);
        later[3].founding.members[0].contact = "elsewhere:1";
        later[4].founding = {};
        for (std::size_t i = 0; i < later.size(); ++i) {
            CAPTURE(i);
            CHECK(found(files, later[i]) == founded);
            CHECK(contents(files).at("d/identity") == kept);
        }
    }
}

TEST_CASE("A new directory is refused while nobody says how its cluster was founded") {
    const FakeFiles files;
    SUBCASE("an empty one") {}
    SUBCASE("one whose foundation was interrupted") {
        static_cast<void>(found(files));
        files.disk->names.erase("d/identity");
    }
    const auto before = contents(files);
    raft::Identity nobody = one;
    nobody.founding = {};
    const auto refused = start(files, nobody);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == rsm::StorageErrc::unfounded);
    CHECK(refused.error().what ==
          "d is new, and nobody says which cluster node 1 is to found or to join");
    CHECK(contents(files) == before);
    CHECK(found(files) == one);
}

TEST_CASE("A new directory is not founded with what could not be read back") {
    const FakeFiles files;
    raft::Identity wrong = one;
    SUBCASE("no node") { wrong.node = {}; }
    SUBCASE("a member twice") { wrong.founding.members.push_back(wrong.founding.members.back()); }
    SUBCASE("nobody who votes") {
        for (raft::Member& member : wrong.founding.members) {
            member.standing = raft::Standing::learner;
        }
    }
    SUBCASE("a long contact") {
        wrong.founding.members[0].contact.assign(raft::max_contact_bytes + 1, 'x');
    }
    SUBCASE("a long name") { wrong.cluster.assign(wal::identity_bytes_max, 'x'); }
    const auto refused = start(files, wrong);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == std::errc::invalid_argument);
    CHECK(refused.error().what.starts_with("d is new, and cannot become that of node "));
    CHECK(contents(files).empty());
}

TEST_CASE("The bytes of an identity are those of docs/format.md") {
    const auto bytes = wal::encode_identity({one, 0x1122334455667788ULL});
    const std::string golden =
        // magic, version, log id, node, name
        "72736d2d6964740a02000000000000008877665544332211010000000000000004000000"
        "73686f70"
        // three members: id, standing, instance, priority, contact
        "03000000"
        "01000000000000000100000000000000000100000000000000"
        "0200000000000000014d000000000000000100000007000000"
        "74686572653a31"
        "03000000000000000200000000000000000100000000000000"
        // instance, founder, checksum
        "2a0000000000000001"
        "a7701dca19abee13";
    CHECK(hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) == golden);
}

TEST_CASE("An identity of the first version is refused as such") {
    const FakeFiles files = used();
    raft::codec::Gather out;
    out.put_text("rsm-idt\n");
    out.put(std::uint32_t{1});
    out.put(std::uint32_t{0});
    out.put(std::uint64_t{0x1122334455667788ULL});
    out.put(std::uint64_t{1});
    std::string name = "shop";
    SUBCASE("with members and a name") {
        out.put(std::uint32_t{3});
        for (const std::uint64_t member : {1U, 2U, 3U}) out.put(member);
    }
    SUBCASE("as short as it can be") {
        out.put(std::uint32_t{0});
        name.clear();
    }
    raft::codec::put(out, name);
    out.put(rsm::detail::checksum(out.copied()));
    put_identity(files, out.copied());
    const auto refused = start(files);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == rsm::StorageErrc::unsupported_version);
    CHECK(refused.error().what == "d/identity has version 1");
}

TEST_CASE("A directory without its identity, without its log, or with another's is refused") {
    const FakeFiles files = used();
    SUBCASE("no identity") {
        files.disk->names.erase("d/identity");
        CHECK(start(files).error().what ==
              std::string("d/identity is missing, although there is a log or a snapshot") +
                  rsm::detail::begin_anew);
    }
    SUBCASE("no log") {
        std::erase_if(files.disk->names,
                      [](const auto& file) { return file.first.ends_with(".wal"); });
        CHECK(start(files).error().what ==
              std::string("d: the log is missing") + rsm::detail::begin_anew);
    }
    SUBCASE("the identity of another log") {
        put_identity(files, wal::encode_identity({one, 7}));
        const auto refused = start(files);
        CHECK(refused.error().code == rsm::StorageErrc::foreign);
    }
    SUBCASE("an identity that says too little, too much or what cannot be") {
        std::vector<std::byte> bytes;
        raft::Identity wrong = one;
        SUBCASE("no founding members") { wrong.founding = {}; }
        SUBCASE("no node") { wrong.node = {}; }
        SUBCASE("more than its fields") {}
        bytes = wal::encode_identity({wrong, 0x1122334455667788ULL});
        if (wrong == one) bytes.insert(bytes.end() - 8, std::byte{0});
        const auto sum = rsm::detail::checksum(std::span(bytes).first(bytes.size() - 8));
        raft::codec::store_little(bytes.data() + bytes.size() - 8, sum);
        put_identity(files, bytes);
        CHECK(start(files).error().what ==
              std::string("d/identity at offset 0: the identity is damaged") +
                  rsm::detail::begin_anew);
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

// ---- a node that is no founder ---------------------------------------------------------------

const raft::Identity renounced{{1}, "shop", founders(), {42}, false};

TEST_CASE("A node that renounces is no founder any more, now and after every restart") {
    const FakeFiles files = used();
    StorageNode<FakeWal> node = claimed(files, one);
    node.start();
    CHECK(node.storage().identity() == one);
    CHECK(node.renounce().has_value());
    CHECK(node.storage().identity() == renounced);
    CHECK(node.renounce().has_value());
    CHECK(node.write(hard_state({{2}, {3}, {}})).has_value());
    node.close();
    CHECK(contents(files).count("d/identity.tmp") == 0);
    CHECK(found(files) == renounced);
    CHECK(start(files)->hard_state.voted_for == raft::NodeId{3});
}

TEST_CASE("Whenever the machine stops, a renunciation is there wholly or not at all") {
    for (std::uint64_t stop = 1;; ++stop) {
        CAPTURE(stop);
        const FakeFiles files = used();
        bool done = false;
        {
            StorageNode<FakeWal> node = claimed(files, one);
            node.start();
            files.disk->stop_at = files.disk->operations + stop;
            done = node.renounce().has_value();
            CHECK(node.storage().identity() == (done ? renounced : one));
        }
        for (std::uint64_t seed = 0; seed < 6; ++seed) {
            CAPTURE(seed);
            const FakeFiles copy = copy_of(files);
            copy.disk->crash(seed);
            const raft::Identity stored = found(copy);
            CHECK((stored == renounced || (!done && stored == one)));
            CHECK(contents(copy).count("d/identity.tmp") == 0);
            CHECK(start(copy)->hard_state.voted_for == raft::NodeId{1});
        }
        if (done) break;
        REQUIRE(stop < 100);
    }
}

TEST_CASE("What a start has found of a renunciation is not lost by a later crash") {
    for (std::uint64_t stop = 1; stop < 10; ++stop) {
        CAPTURE(stop);
        const FakeFiles files = used();
        {
            StorageNode<FakeWal> node = claimed(files, one);
            node.start();
            files.disk->stop_at = files.disk->operations + stop;
            static_cast<void>(node.renounce().has_value());
        }
        // The process was killed; the machine goes on.
        files.disk->stop_at = UINT64_MAX;
        const raft::Identity seen = found(files);
        for (std::uint64_t seed = 0; seed < 6; ++seed) {
            CAPTURE(seed);
            const FakeFiles copy = copy_of(files);
            copy.disk->crash(seed);
            CHECK(found(copy) == seen);
        }
    }
}

TEST_CASE("A failed renunciation is final, and so is a failure before it") {
    const FakeFiles files = used();
    StorageNode<FakeWal> node = claimed(files, one);
    node.start();
    raft::Result<void> failed;
    std::string where;
    SUBCASE("of itself") {
        files.disk->stop_at = files.disk->operations + 3;
        failed = node.renounce();
        where = "stopped d/identity.tmp";
    }
    SUBCASE("of a write") {
        files.disk->stop_at = files.disk->operations + 2;
        failed = node.write(hard_state({{2}, {3}, {}}));
        where = "stopped d/" + first_segment;
    }
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().what == where);
    files.disk->stop_at = UINT64_MAX;
    const std::uint64_t operations = files.disk->operations;
    CHECK(node.renounce().error() == failed.error());
    CHECK(node.write(hard_state({{3}, {3}, {}})).error() == failed.error());
    CHECK(files.disk->operations == operations);
    CHECK(node.storage().identity() == one);
}

TEST_CASE("Nothing can be renounced of a directory that nobody has claimed, or that is closed") {
    const FakeFiles files = used();
    const auto before = contents(files);
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    CHECK(node.renounce().error().code == rsm::StorageErrc::closed);
    CHECK(node.storage().identity() == raft::Identity{});
    node.close();
    StorageNode<FakeWal> closed = claimed(files, one);
    CHECK(closed.renounce().error().code == rsm::StorageErrc::closed);
    closed.start();
    closed.close();
    CHECK(closed.renounce().error().code == rsm::StorageErrc::closed);
    CHECK(contents(files) == before);
}

// ---- what else is there ----------------------------------------------------------------------

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
