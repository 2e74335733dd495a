// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Deadlines and transactions on replicas: who tells the time, and what a change of leader leaves.
#include "server_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace expiry_server_test {

using namespace kv_test;
using Replies = std::vector<kv::Reply>;

namespace {

/// A cluster all of whose members know that all of them know the newest format.
struct Agreed : KvCluster {
    explicit Agreed(const KvClusterOptions& options = quick_options()) : KvCluster(options) {
        leader();
        REQUIRE(run_until(
            [&] { return replicas.all([](auto& one) { return one.machine().version() == 1; }); }));
    }
};

std::string refusal(const kv::Reply& reply) { return reply.text.substr(0, reply.text.find(' ')); }

}  // namespace

TEST_CASE("kv server: a key expires on all replicas although nobody writes, and never comes back") {
    Agreed cluster;
    TestClient client(cluster, cluster.leader());
    CHECK(client.ask({"SET", "a", "1", "PX", "150"}) == simple("OK"));
    CHECK(client.ask({"SET", "b", "1", "EX", "1000"}) == simple("OK"));
    const std::int64_t left = client.ask({"PTTL", "a"}).integer;
    CHECK(left > 0);
    CHECK(left <= 150);
    bool gone = false;
    while (!gone) gone = client.ask({"GET", "a"}) == null();
    CHECK(client.ask({"TTL", "a"}) == integer(-2));
    REQUIRE(cluster.run_until([&] {
        return cluster.replicas.all([](auto& one) { return one.machine().key_count() == 1; });
    }));
    CHECK(client.ask({"TTL", "b"}).integer <= 1000);
    CHECK(client.ask({"TTL", "b"}).integer > 900);
}

TEST_CASE("kv server: the next leader knows the deadlines of the one before") {
    Agreed cluster;
    const std::size_t first = cluster.leader();
    {
        TestClient client(cluster, first);
        CHECK(client.ask({"SET", "a", "1"}) == simple("OK"));
        CHECK(client.ask({"EXPIRE", "a", "500"}) == integer(1));
        CHECK(client.ask({"SET", "soon", "1", "PX", "1500"}) == simple("OK"));
    }
    cluster.network->isolate({first + 1});
    std::size_t next = first;
    REQUIRE(cluster.run_until([&] {
        for (std::size_t i = 0; i < 3; ++i) {
            const bool leads = cluster.replicas[i + 1].status().role == raft::Role::leader;
            if (i != first && leads) next = i;
        }
        return next != first;
    }));
    TestClient client(cluster, next);
    const kv::Reply left = client.ask({"TTL", "a"});
    CHECK(left.integer > 400);
    CHECK(left.integer <= 500);
    bool gone = false;
    while (!gone) gone = client.ask({"EXISTS", "soon"}) == integer(0);
    CHECK(client.ask({"EXISTS", "a"}) == integer(1));
}

TEST_CASE("kv server: transactions, watched keys and all, in one pipeline") {
    Agreed cluster;
    TestClient client(cluster, cluster.leader());
    client.send(request({"SET", "a", "1"}) + request({"WATCH", "a", "none"}) + request({"MULTI"}) +
                request({"INCR", "a"}) + request({"GET", "a"}) + request({"EXEC"}) +
                request({"WATCH", "a"}) + request({"SET", "a", "9"}) + request({"MULTI"}) +
                request({"DEL", "a"}) + request({"EXEC"}) + request({"GET", "a"}));
    const Replies replies = client.receive(12);
    REQUIRE(replies.size() == 12);
    CHECK(replies[5].elements == Replies{integer(2), bulk("2")});
    CHECK(replies[10] == null());
    CHECK(replies[11] == bulk("9"));
}

TEST_CASE("kv server: another client's write between WATCH and EXEC is found out") {
    Agreed cluster;
    TestClient client(cluster, cluster.leader());
    TestClient other(cluster, cluster.leader());
    CHECK(client.ask({"WATCH", "a"}) == simple("OK"));
    CHECK(other.ask({"SET", "a", "theirs"}) == simple("OK"));
    CHECK(client.ask({"MULTI"}) == simple("OK"));
    CHECK(client.ask({"SET", "a", "mine"}) == simple("QUEUED"));
    CHECK(client.ask({"EXEC"}) == null());
    CHECK(client.ask({"GET", "a"}) == bulk("theirs"));
}

TEST_CASE("kv server: a follower refuses a transaction where it begins, and EXEC after that") {
    Agreed cluster;
    const std::string moved = "MOVED 0 " + cluster.address(cluster.leader());
    TestClient client(cluster, cluster.follower());
    CHECK(client.ask({"WATCH", "a"}).text == moved);
    CHECK(client.ask({"MULTI"}) == simple("OK"));
    CHECK(client.ask({"SET", "a", "1"}).text == moved);
    CHECK(client.ask({"SET", "b", "1"}).text == moved);
    CHECK(refusal(client.ask({"EXEC"})) == "EXECABORT");
}

TEST_CASE("kv server: the memory of a flushed store is freed on all replicas without a write") {
    Agreed cluster;
    TestClient client(cluster, cluster.leader());
    std::string requests;
    constexpr std::size_t rounds = 20;
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<std::string> words{"MSET"};
        for (int i = 0; i < 500; ++i) {
            words.push_back("k" + std::to_string(round) + ":" + std::to_string(i));
            words.emplace_back("v");
        }
        requests += request({words.begin(), words.end()});
    }
    client.send(requests);
    REQUIRE(client.receive(rounds).size() == rounds);
    CHECK(client.ask({"DBSIZE"}) == integer(10000));
    CHECK(client.ask({"FLUSHALL"}) == simple("OK"));
    CHECK(client.ask({"DBSIZE"}) == integer(0));
    CHECK(cluster.run_until([&] {
        return cluster.replicas.all([](auto& one) {
            return one.machine().key_count() == 0 && !one.machine().has_leftovers();
        });
    }));
}

TEST_CASE("kv server: what not all members know is refused, and what they know is served") {
    KvClusterOptions options = quick_options();
    options.replica.max_format_version = 0;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    CHECK(client.ask({"SET", "a", "1"}) == simple("OK"));
    CHECK(client.ask({"SETNX", "a", "2"}) == integer(0));
    for (const std::vector<std::string_view>& words :
         {std::vector<std::string_view>{"EXPIRE", "a", "10"},
          {"SET", "a", "2", "EX", "10"},
          {"APPEND", "a", "x"},
          {"FLUSHALL"},
          {"GETDEL", "a"}}) {
        CHECK(refusal(client.ask(words)) == "TRYAGAIN");
    }
    CHECK(client.ask({"MULTI"}) == simple("OK"));
    CHECK(client.ask({"GET", "a"}) == simple("QUEUED"));
    CHECK(refusal(client.ask({"EXEC"})) == "TRYAGAIN");
    CHECK(client.ask({"TTL", "a"}) == integer(-1));
    CHECK(client.ask({"GET", "a"}) == bulk("1"));
}

}  // namespace expiry_server_test
