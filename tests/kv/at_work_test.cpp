// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an operator asks of servers at work: snapshots, log levels, and the table of kv top.
#include "server_support.hpp"

#include <kv/cli_servers.hpp>
#include <kv/log_level.hpp>
#include <kv/top_table.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace at_work_test {

using namespace kv_test;

namespace {

KvClusterOptions alone() {
    KvClusterOptions options = quick_options();
    options.members = 1;
    options.running = 1;
    return options;
}

/// The process has one.
struct LevelAsBefore {
    LevelAsBefore() = default;
    LevelAsBefore(const LevelAsBefore&) = delete;
    LevelAsBefore& operator=(const LevelAsBefore&) = delete;
    ~LevelAsBefore() { kv::log_level() = before; }
    kv::LogLevel before = kv::log_level();
};

kv::Row answering(std::string at, std::string_view fields) {
    return {std::move(at), kv::parse_fields(fields), {}, false};
}
kv::TopSample sample(double at, std::string_view commit, std::string_view commands) {
    const std::string counted = "commit:" + std::string(commit) +
                                "\r\napplied:" + std::string(commit) +
                                "\r\ntotal_commands_processed:" + std::string(commands) + "\r\n";
    return {at,
            {answering("a:1", counted + "node:1\r\nrole:leader\r\nterm:4\r\n"
                                        "persisted_bytes:1536\r\nsnapshot_bytes:0\r\nstorage:ok\r\n"
                                        "follower_3:state=snapshot,match=0,"
                                        "snapshot_sent_bytes=512,snapshot_total_bytes=2048\r\n"),
             {"b:2", {}, "unreachable: timed out", false}}};
}
bool has(const std::vector<kv::TopLine>& lines, std::string_view part) {
    return std::ranges::any_of(lines, [part](const kv::TopLine& line) {
        return line.text.find(part) != std::string::npos;
    });
}

}  // namespace

TEST_CASE("kv at work: a server takes a snapshot when it is asked, and answers how far it goes") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient client(cluster, 0);
    REQUIRE(client.ask({"SET", "key", "value"}) == simple("OK"));
    const kv::Reply taken = client.ask({"RAFT.SNAPSHOT"});
    REQUIRE(taken.type == kv::Reply::Type::bulk);
    const kv::Fields fields = kv::parse_fields(taken.text);
    const kv::Fields status = kv::parse_fields(client.ask({"RAFT.STATUS"}).text);
    CHECK(kv::number(fields, "index") > 0);
    CHECK(kv::field(fields, "index") == kv::field(status, "applied"));
    CHECK(kv::field(fields, "index") == kv::field(status, "snapshot"));
    CHECK(kv::field(fields, "bytes") == kv::field(status, "snapshot_bytes"));
    CHECK(client.ask({"raft.snapshot", "now"}).is_error("ERR"));
    // In its order among the requests of a connection.
    client.send(request({"SET", "key", "more"}) + request({"RAFT.SNAPSHOT"}) +
                request({"GET", "key"}));
    const std::vector<kv::Reply> replies = client.receive(3);
    CHECK(kv::number(kv::parse_fields(replies[1].text), "index") > kv::number(fields, "index"));
    CHECK(replies[2].text == "more");
}

TEST_CASE("kv at work: the log's level is shown, set, and kept where a name is wrong") {
    const LevelAsBefore as_before;
    KvCluster cluster(alone());
    TestClient client(cluster, 0);
    CHECK(client.ask({"CONFIG", "SET", "loglevel", "Warning"}) == simple("OK"));
    CHECK(kv::log_level() == kv::LogLevel::warning);
    CHECK_FALSE(kv::is_logged(kv::LogLevel::notice));
    CHECK(kv::is_logged(kv::LogLevel::warning));
    CHECK(client.ask({"CONFIG", "SET", "loglevel", "loud"}).text.starts_with("ERR CONFIG SET"));
    CHECK(client.ask({"CONFIG", "SET", "maxmemory", "1"}).text.find("'maxmemory'") !=
          std::string::npos);
    CHECK(client.ask({"CONFIG", "SET", "loglevel"}).is_error("ERR"));
    const kv::Reply shown = client.ask({"CONFIG", "GET", "loglevel"});
    REQUIRE(shown.elements.size() == 2);
    CHECK(shown.elements[1].text == "warning");
    for (const std::string_view name : kv::log_level_names) {
        CHECK(kv::to_string(*kv::parse_log_level(name)) == name);
    }
}

TEST_CASE("kv at work: the table's rates are those between two looks") {
    const kv::TopSample before = sample(10, "100", "5000");
    const kv::TopSample now = sample(12, "500", "9000");
    const std::vector<kv::TopLine> lines = kv::TopTable(now, &before).lines();
    CHECK(lines[0].text ==
          "1 of 2 servers answer, node 1 leads in term 4, 200 entries committed a second");
    CHECK(has(lines, "2.00k"));
    CHECK(has(lines, "1.50 KiB"));
    CHECK(has(lines, "?     b:2      unreachable: timed out"));
    CHECK(has(lines, "node 3 needs a snapshot of node 1: 512 B of 2.00 KiB, 25 %"));
    // Heads and figures end below each other.
    CHECK(lines[1].text.find("COMMIT") + 3 == lines[2].text.find("500"));

    // One that was started again has counted less; nothing is known of the first look.
    CHECK_FALSE(has(kv::TopTable(before, &now).lines(), "a second"));
    CHECK_FALSE(has(kv::TopTable(now, nullptr).lines(), "a second"));
}

TEST_CASE("kv at work: what a server says cannot move the terminal") {
    const kv::TopSample now{
        1,
        {answering("a\x1b[2J",
                   "node:1\r\nrole:\x1b]0;x\x07\r\npeer_2:connected=0,reason=\xff\r\n")}};
    for (const kv::TopLine& line : kv::TopTable(now, nullptr).lines()) {
        CHECK(std::ranges::all_of(line.text, [](char c) { return c >= ' ' && c <= '~'; }));
    }
    CHECK(has(kv::TopTable(now, nullptr).lines(), "node 1 is not connected to node 2: ?"));
    CHECK(has(kv::TopTable(now, nullptr).lines(), "a?[2J"));
}

}  // namespace at_work_test
