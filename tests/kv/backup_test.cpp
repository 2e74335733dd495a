// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server does for those who fetch a backup.
#include "kv/server_support.hpp"
#include "support/run_until.hpp"
#include "support/temporary_directory.hpp"

#include <kv/backups.hpp>
#include <kv/cli_service.hpp>
#include <kv/join.hpp>
#include <kv/store.hpp>
#include <rsm/backup.hpp>
#include <rsm/node/saved_state.hpp>

#include <doctest/doctest.h>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace kv_backup_test {

using namespace kv_test;
using rsm_test::TemporaryDirectory;

KvClusterOptions options_for(const TemporaryDirectory& directory) {
    KvClusterOptions options = quick_options();
    options.server.backup_directory = directory.path();
    options.server.backup_timeout = std::chrono::milliseconds(500);
    return options;
}
bool begins(const kv::Reply& reply) { return reply.type == kv::Reply::Type::bulk; }

/// The bytes that a client would keep.
std::string fetch(TestClient& client, const kv::Reply& begun) {
    const std::uint64_t size = kv::number(kv::parse_fields(begun.text), "size");
    std::string bytes;
    while (bytes.size() < size) {
        const std::string offset = std::to_string(bytes.size());
        const kv::Reply piece = client.ask({"RAFT.BACKUP", "READ", offset});
        REQUIRE(piece.type == kv::Reply::Type::bulk);
        REQUIRE_FALSE(piece.text.empty());
        CHECK(piece.text.size() <= kv::SpooledBackup::piece_bytes);
        bytes += piece.text;
    }
    CHECK(client.ask({"RAFT.BACKUP", "READ", std::to_string(size)}) == bulk(""));
    return bytes;
}
kv::Store restored(const std::string& path) {
    const auto backup = rsm::Backup::open(path);
    REQUIRE(backup.has_value());
    REQUIRE(backup->verify().has_value());
    kv::Store store;
    const auto source = backup->source();
    REQUIRE(rsm::detail::restore_state(*source, backup->meta(), store, 4096).has_value());
    return store;
}

TEST_CASE("what work on another thread throws is an error in its result, want of memory too") {
    boost::asio::io_context io;
    kv::Background background(io.get_executor());
    const auto outcome_of = [&](auto fail) {
        std::optional<std::error_code> ended;
        const auto started = background.run(
            [fail]() -> raft::Result<int> {
                fail();
                return 1;
            },
            [&](raft::Result<int> result) {
                ended = result ? std::error_code() : result.error().code;
            });
        REQUIRE(started.has_value());
        REQUIRE(rsm_test::run_until(io, [&] { return ended.has_value(); }));
        return *ended;
    };
    CHECK_FALSE(outcome_of([] {}));
    CHECK(outcome_of([] { throw std::bad_alloc(); }) ==
          std::make_error_code(std::errc::not_enough_memory));
    CHECK(outcome_of([] { throw std::runtime_error("broken"); }) ==
          std::make_error_code(std::errc::io_error));
}

TEST_CASE("the leader gives a backup of all that it has acknowledged, in pieces") {
    const TemporaryDirectory directory;
    KvCluster cluster(options_for(directory));
    TestClient client(cluster, cluster.leader());
    for (const char* key : {"a", "b", "c"}) {
        REQUIRE(client.ask({"SET", key, std::string(1 << 20, key[0])}) == simple("OK"));
    }
    const kv::Reply begun = client.ask({"RAFT.BACKUP", "BEGIN"});
    REQUIRE(begins(begun));
    // It is of its moment.
    REQUIRE(client.ask({"SET", "late", "1"}) == simple("OK"));
    const std::string path = directory / "b";
    rsm_test::write_file(path, fetch(client, begun));
    const kv::Store store = restored(path);
    CHECK(store.key_count() == 3);
    REQUIRE(store.find("c") != nullptr);
    CHECK(store.find("c")->value == std::string(1 << 20, 'c'));
    // What it was fetched from has no name.
    CHECK(std::filesystem::directory_iterator(directory.path()) !=
          std::filesystem::directory_iterator());
    std::size_t files = 0;
    for (const auto& item : std::filesystem::directory_iterator(directory.path())) {
        files += item.is_regular_file() ? 1U : 0U;
    }
    CHECK(files == 1);
    CHECK(client.ask({"RAFT.BACKUP", "END"}) == simple("OK"));
    CHECK(client.ask({"RAFT.BACKUP", "READ", "0"}).is_error("ERR"));
}

TEST_CASE("a follower gives a state as far as it is asked for, and sends elsewhere for all") {
    const TemporaryDirectory directory;
    KvCluster cluster(options_for(directory));
    const std::size_t leader = cluster.leader();
    TestClient at_leader(cluster, leader);
    TestClient client(cluster, cluster.follower());
    REQUIRE(at_leader.ask({"SET", "a", "1"}) == simple("OK"));
    CHECK(client.ask({"RAFT.BACKUP", "BEGIN"}).is_error("MOVED"));
    CHECK(client.ask({"RAFT.BARRIER"}).is_error("MOVED"));
    const kv::Reply barrier = at_leader.ask({"RAFT.BARRIER"});
    REQUIRE(barrier.type == kv::Reply::Type::integer);
    const kv::Reply begun = client.ask({"RAFT.BACKUP", "BEGIN", std::to_string(barrier.integer)});
    REQUIRE(begins(begun));
    CHECK(kv::number(kv::parse_fields(begun.text), "index") >=
          static_cast<std::uint64_t>(barrier.integer));
    const std::string path = directory / "b";
    rsm_test::write_file(path, fetch(client, begun));
    CHECK(restored(path).find("a") != nullptr);
    const std::string beyond = std::to_string(barrier.integer + 1000);
    CHECK(client.ask({"RAFT.BACKUP", "BEGIN", beyond}).is_error("TRYAGAIN"));
}

TEST_CASE("two backups at once have a place, which goes with whoever has taken it") {
    const TemporaryDirectory directory;
    KvCluster cluster(options_for(directory));
    const std::size_t leader = cluster.leader();
    TestClient one(cluster, leader);
    REQUIRE(one.ask({"SET", "a", "1"}) == simple("OK"));
    auto two = std::make_unique<TestClient>(cluster, leader);
    TestClient three(cluster, leader);
    REQUIRE(begins(one.ask({"RAFT.BACKUP", "BEGIN"})));
    REQUIRE(begins(two->ask({"RAFT.BACKUP", "BEGIN"})));
    CHECK(three.ask({"RAFT.BACKUP", "BEGIN"}).is_error("BUSY"));
    // Another one of the same client takes the place of the one before.
    CHECK(begins(one.ask({"RAFT.BACKUP", "BEGIN"})));
    SUBCASE("it says that it is done") {
        REQUIRE(one.ask({"RAFT.BACKUP", "END"}) == simple("OK"));
        CHECK(begins(three.ask({"RAFT.BACKUP", "BEGIN"})));
    }
    SUBCASE("it goes") {
        two.reset();
        CHECK(cluster.run_until([&] { return begins(three.ask({"RAFT.BACKUP", "BEGIN"})); }));
    }
}

TEST_CASE("a backup that is left unread goes and leaves its place; one that is sent stays") {
    const TemporaryDirectory directory;
    KvClusterOptions options = options_for(directory);
    options.server.backup_idle_timeout = std::chrono::milliseconds(1000);
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient slow(cluster, leader);
    REQUIRE(slow.ask({"SET", "a", std::string(2 << 20, 'a')}) == simple("OK"));
    REQUIRE(begins(slow.ask({"RAFT.BACKUP", "BEGIN"})));
    // More than the system takes for a client that reads nothing of it for now.
    constexpr std::size_t pieces = 16;
    for (std::size_t i = 0; i < pieces; ++i) slow.send(request({"RAFT.BACKUP", "READ", "0"}));
    TestClient idle(cluster, leader);
    REQUIRE(begins(idle.ask({"RAFT.BACKUP", "BEGIN"})));
    TestClient next(cluster, leader);
    REQUIRE(next.ask({"RAFT.BACKUP", "BEGIN"}).is_error("BUSY"));
    CHECK(cluster.run_until([&] {
        CHECK(idle.ask({"PING"}) == simple("PONG"));
        return begins(next.ask({"RAFT.BACKUP", "BEGIN"}));
    }));
    CHECK(idle.ask({"RAFT.BACKUP", "READ", "0"}).text.starts_with("ERR the backup was not read"));
    for (const kv::Reply& piece : slow.receive(pieces)) {
        CHECK(piece.text.size() == kv::SpooledBackup::piece_bytes);
    }
    CHECK(begins(slow.ask({"RAFT.BACKUP", "READ", "0"})));
    CHECK(idle.ask({"RAFT.BACKUP", "BEGIN"}).is_error("BUSY"));
    REQUIRE(slow.ask({"RAFT.BACKUP", "END"}) == simple("OK"));
    CHECK(begins(idle.ask({"RAFT.BACKUP", "BEGIN"})));
    CHECK(begins(idle.ask({"RAFT.BACKUP", "READ", "0"})));
}

TEST_CASE("what makes no sense is said, and changes nothing") {
    const TemporaryDirectory directory;
    KvClusterOptions options = options_for(directory);
    SUBCASE("the requests") {
        KvCluster cluster(options);
        TestClient client(cluster, cluster.leader());
        CHECK(client.ask({"RAFT.BACKUP"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "TAKE"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "READ"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "READ", "-1"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "BEGIN", "x"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "END", "1"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BARRIER", "1"}).is_error("ERR"));
        CHECK(client.ask({"RAFT.BACKUP", "READ", "0"}).is_error("ERR"));
        CHECK(client.ask({"PING"}) == simple("PONG"));
    }
    SUBCASE("a server that has no place for them") {
        options.server.backup_directory.clear();
        KvCluster cluster(options);
        TestClient client(cluster, cluster.leader());
        CHECK(client.ask({"RAFT.BACKUP", "BEGIN"}).text.find("makes no backups") !=
              std::string::npos);
    }
    SUBCASE("a directory that is not there") {
        options.server.backup_directory = directory / "none";
        KvCluster cluster(options);
        TestClient client(cluster, cluster.leader());
        REQUIRE(client.ask({"SET", "a", "1"}) == simple("OK"));
        CHECK(client.ask({"RAFT.BACKUP", "BEGIN"}).is_error("BUSY"));
        // The place is free again.
        for (int i = 0; i < 3; ++i) {
            const kv::Reply refused = client.ask({"RAFT.BACKUP", "BEGIN"});
            CHECK(refused.text.find("cannot be made") != std::string::npos);
        }
    }
}

TEST_CASE("who joins is told from which backup the cluster was founded") {
    const kv::FoundedCluster cluster =
        kv::parse_founded("cluster:shop\r\norigin:00000000000000ff\r\n1 voter a:1\r\n");
    CHECK(cluster.origin == 255);
    CHECK(kv::parse_founded("cluster:shop\r\n1 voter a:1\r\n").origin == 0);
    for (const char* const bad : {"origin:", "origin:0", "origin:xyz", "origin:1 2"}) {
        CHECK_THROWS(
            kv::parse_founded("cluster:shop\r\n" + std::string(bad) + "\r\n1 voter a:1\r\n"));
    }
}

}  // namespace kv_backup_test
