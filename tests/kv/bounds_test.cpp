// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What clients may not do to a server: fill its memory, keep it from its own work, hold places.
#include "server_support.hpp"

#include <kv/client_memory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bounds_test {

using namespace kv_test;

namespace {

/// Does not let go of its memory by itself.
struct Holder final : kv::ClientMemory::Account {
    explicit Holder(kv::ClientMemory& memory) : Account(memory) {}
    void give_way() override {
        gave_way = true;
        close_account();
    }
    bool is_of_stranger() const override { return is_stranger; }
    bool gave_way = false;
    bool is_stranger = false;
};

/// For tests of large values, which a busy machine may copy slowly.
KvClusterOptions calm_options() {
    KvClusterOptions options = quick_options();
    options.replica.raft.election_timeout = std::chrono::seconds(1);
    return options;
}

kv::ServerCounters& counters(KvCluster& cluster, std::size_t node) {
    return cluster.servers[node]->counters();
}

/// How often each node has become leader or given that up.
struct Reigns {
    explicit Reigns(KvClusterOptions& options) {
        options.replica.on_event = [count = changes](const raft::Event& event) {
            if (event.kind == raft::EventKind::became_leader ||
                event.kind == raft::EventKind::quorum_lost) {
                ++*count;
            }
        };
    }
    std::shared_ptr<int> changes = std::make_shared<int>(0);
};

std::string repeated(const std::string& text, std::size_t count) {
    std::string all;
    all.reserve(text.size() * count);
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("client memory: who holds most gives way to one that would hold less") {
    kv::ClientMemory memory(100);
    Holder small(memory);
    Holder large(memory);
    Holder other(memory);
    small.set(10);
    large.set(60);
    other.set(30);
    CHECK(memory.used() == 100);
    CHECK(small.admit(0));
    CHECK_FALSE(large.admit(1));
    CHECK_FALSE(other.admit(30));
    CHECK_FALSE(large.gave_way);
    CHECK(other.admit(29));
    CHECK(large.gave_way);
    CHECK_FALSE(small.gave_way);
    CHECK(memory.used() == 40);
    CHECK(memory.peak() == 100);
    CHECK_FALSE(large.admit(1));  // it is out
    other.close_account();
    CHECK(memory.used() == 10);
}

TEST_CASE("client memory: strangers share a quarter, and the oldest of them goes first") {
    constexpr std::size_t limit = std::size_t{1} << 20;
    constexpr std::size_t small = limit / 4096;  // nobody is asked for so little but strangers
    kv::ClientMemory memory(limit);
    std::vector<std::unique_ptr<Holder>> strangers;
    const auto gone = [&] {
        std::size_t count = 0;
        while (count < strangers.size() && strangers[count]->gave_way) ++count;
        const bool in_order =
            std::all_of(strangers.begin() + static_cast<std::ptrdiff_t>(count), strangers.end(),
                        [](const auto& each) { return !each->gave_way; });
        CHECK(in_order);
        return count;
    };
    for (std::size_t i = 0; i < 2000; ++i) {
        strangers.push_back(std::make_unique<Holder>(memory));
        strangers.back()->is_stranger = true;
        REQUIRE(strangers.back()->admit(small));
        strangers.back()->set(small);
        REQUIRE(memory.used() <= limit / 4);
    }
    CHECK(gone() == 2000 - 1024);
    // Nobody makes room for the oldest.
    CHECK_FALSE(strangers[2000 - 1024]->admit(1));
    CHECK(gone() == 2000 - 1024);
    // One that logs in is asked for nothing any more.
    strangers[2000 - 1024]->is_stranger = false;
    strangers[2000 - 1024]->set(small);
    // Nor is one that holds much, as long as there are strangers.
    Holder rich(memory);
    rich.set(limit / 2);
    Holder known(memory);
    known.set(limit / 4);
    CHECK_FALSE(strangers[2000 - 1024]->gave_way);
    CHECK(known.admit(2 * small));
    CHECK(strangers[2000 - 1024 + 1]->gave_way);
    CHECK(strangers[2000 - 1024 + 2]->gave_way);
    CHECK_FALSE(strangers[2000 - 1024 + 3]->gave_way);
    CHECK_FALSE(strangers[2000 - 1024]->gave_way);
    CHECK_FALSE(rich.gave_way);
    // Where many who are known hold the rest, a stranger still comes in for another one.
    rich.close_account();
    known.close_account();
    std::vector<std::unique_ptr<Holder>> many;
    while (memory.used() + small <= limit) {
        many.push_back(std::make_unique<Holder>(memory));
        many.back()->set(small);
    }
    CHECK(strangers.back()->admit(small));
    CHECK(strangers[2000 - 1024 + 3]->gave_way);
    CHECK_FALSE(many.front()->gave_way);
}

TEST_CASE("kv server: strangers cannot use up the memory for clients") {
    KvClusterOptions options = quick_options();
    options.server.accounts = kv::Accounts(std::vector<kv::Credentials>{{"default", "battery"}});
    options.server.client_memory = std::size_t{512} << 10;
    const auto lines = std::make_shared<std::vector<std::string>>();
    options.server.log = [lines](std::string_view line) { lines->emplace_back(line); };
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ClientMemory& memory = cluster.servers[leader]->memory();
    TestClient waking(cluster, leader);
    REQUIRE(waking.ask({"AUTH", "battery"}) == simple("OK"));
    std::vector<std::unique_ptr<TestClient>> strangers;
    for (int i = 0; i < 200; ++i) {
        strangers.push_back(std::make_unique<TestClient>(cluster, leader));
        strangers.back()->send("*");
    }
    REQUIRE(run_until(cluster.io, [&] { return counters(cluster, leader).closed_for_memory > 0; }));
    CHECK(strangers.front()->is_closed());
    CHECK(waking.ask({"SET", "k", std::string(100'000, 'x')}) == simple("OK"));
    TestClient fresh(cluster, leader);
    CHECK(fresh.ask({"AUTH", "battery"}) == simple("OK"));
    CHECK(fresh.ask({"GET", "k"}) == bulk(std::string(100'000, 'x')));
    CHECK(memory.peak() <= memory.limit());
    REQUIRE_FALSE(lines->empty());
    CHECK(lines->front().ends_with(
        "closed: it has not shown who it is, and its memory is wanted (--client-memory)"));
}

TEST_CASE("kv server: handshakes do not use up the memory for clients") {
    KvClusterOptions options = quick_options();
    // Without OpenSSL nobody comes to the end of one.
    const auto unused = std::make_shared<int>();
    options.server.tls = kv::Tls(unused, reinterpret_cast<kv::TlsContext*>(unused.get()));
    options.server.client_memory = (std::size_t{1} << 20) + (4 << 10);
    KvCluster cluster(options);
    const kv::ClientMemory& memory = cluster.servers[0]->memory();
    std::vector<std::unique_ptr<TestClient>> strangers;
    for (int i = 0; i < 8; ++i) {
        strangers.push_back(std::make_unique<TestClient>(cluster, 0));
        REQUIRE(run_until(cluster.io, [&] {
            return counters(cluster, 0).accepted == static_cast<std::uint64_t>(i + 1);
        }));
    }
    CHECK(memory.used() <= memory.limit() / 4);
    CHECK(counters(cluster, 0).closed_for_memory == 4);
    CHECK(counters(cluster, 0).clients == 4);
    for (std::size_t i = 0; i < 4; ++i) CHECK(strangers[i]->is_closed());
}

TEST_CASE("kv server: a stranger stays one when it leaves the reply to its QUIT unread") {
    KvClusterOptions options = quick_options();
    options.server.accounts = kv::Accounts(std::vector<kv::Credentials>{{"default", "battery"}});
    std::size_t expected = 1;
    SUBCASE("it makes way for another one") { options.server.max_clients = 1; }
    SUBCASE("its time to log in comes to an end") {
        options.server.request_timeout = std::chrono::milliseconds(1500);
        expected = 0;
    }
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ServerCounters& counted = counters(cluster, leader);
    TestClient deaf(cluster, leader);
    const auto send = [&](const std::string& text, std::size_t count) {
        const std::uint64_t before = counted.commands;
        deaf.send(repeated(text, count));
        REQUIRE(run_until(cluster.io, [&] { return counted.commands == before + count; }));
    };
    // Until its replies stay here, and it is still listened to.
    while (counted.unsent_bytes_peak < 64'000) send(request({"GET", "k"}), 500);
    send(request({"QUIT"}), 1);
    if (expected == 1) {
        TestClient other(cluster, leader);
        CHECK(other.ask({"AUTH", "battery"}) == simple("OK"));
        CHECK(counted.closed_for_time == 0);
    } else {
        REQUIRE(run_until(cluster.io, [&] { return counted.closed_for_time != 0; }));
        CHECK(counted.closed_for_time == 1);
    }
    CHECK(counted.clients == expected);
}

TEST_CASE("kv server: half requests together stay within the budget, and others are served") {
    KvClusterOptions options = calm_options();
    options.server.client_memory = std::size_t{8} << 20;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ClientMemory& memory = cluster.servers[leader]->memory();
    std::vector<std::unique_ptr<TestClient>> greedy;
    for (int i = 0; i < 16; ++i) {
        greedy.push_back(std::make_unique<TestClient>(cluster, leader));
        greedy.back()->send("*2\r\n$4\r\nECHO\r\n$4000000\r\n" + std::string(3'000'000, 'x'));
    }
    TestClient modest(cluster, leader);
    REQUIRE(
        run_until(cluster.io, [&] { return counters(cluster, leader).closed_for_memory >= 14; }));
    CHECK(modest.ask({"SET", "k", "v"}) == simple("OK"));
    CHECK(modest.ask({"GET", "k"}) == bulk("v"));
    CHECK(memory.peak() <= memory.limit());
}

TEST_CASE("kv server: replies that nobody reads stay within the budget, and others are served") {
    KvClusterOptions options = calm_options();
    options.server.client_memory = std::size_t{32} << 20;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ClientMemory& memory = cluster.servers[leader]->memory();
    TestClient modest(cluster, leader);
    REQUIRE(modest.ask({"SET", "b", std::string(1'500'000, 'x')}) == simple("OK"));
    const auto before = counters(cluster, leader).commands;
    std::vector<std::unique_ptr<TestClient>> deaf;
    for (int i = 0; i < 12; ++i) {
        deaf.push_back(std::make_unique<TestClient>(cluster, leader));
        deaf.back()->send(request({"MGET", "b", "b", "b", "b", "b", "b", "b", "b", "b"}));
    }
    REQUIRE(
        run_until(cluster.io, [&] { return counters(cluster, leader).commands == before + 12; }));
    CHECK(modest.ask({"SET", "k", "v"}) == simple("OK"));
    CHECK(modest.ask({"GET", "k"}) == bulk("v"));
    CHECK(memory.peak() <= memory.limit());
    // Each is either served, told to come again, or closed.
    std::size_t served = 0;
    std::size_t refused = 0;
    for (const auto& client : deaf) {
        for (const kv::Reply& reply : client->receive(1)) {
            served += reply.elements.size() == 9 ? 1U : 0U;
            refused += reply.is_error("BUSY") ? 1U : 0U;
        }
    }
    CHECK(served >= 1);
    CHECK(served + refused + counters(cluster, leader).closed_for_memory >= 12);
    REQUIRE(run_until(cluster.io, [&] { return memory.used() < (std::size_t{1} << 20); }));
}

TEST_CASE("kv server: values that writes answer stay within the budget, and others are served") {
    KvClusterOptions options = calm_options();
    options.server.client_memory = std::size_t{32} << 20;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ClientMemory& memory = cluster.servers[leader]->memory();
    constexpr std::size_t size = 2'000'000;
    const std::string set = request({"SET", "b", std::string(size, 'x')});
    const std::string multi = request({"MULTI"}) + request({"GETEX", "b", "PERSIST"}) +
                              request({"GETSET", "b", "y"}) + request({"EXEC"});
    std::vector<std::unique_ptr<TestClient>> deaf;
    for (int i = 0; i < 6; ++i) {
        deaf.push_back(std::make_unique<TestClient>(cluster, leader));
        // The value comes by the same pipeline.
        deaf.back()->send(set + repeated(request({"GETEX", "b", "PERSIST"}), 100) + set + multi);
    }
    TestClient modest(cluster, leader);
    for (int i = 0; i < 30; ++i) CHECK(modest.ask({"SET", "k", "v"}) == simple("OK"));
    // One reply may come that nobody knew of, and those on their way to be written.
    CHECK(memory.peak() <= memory.limit() + 2 * size + (std::size_t{8} << 20));
    CHECK(modest.ask({"GET", "k"}) == bulk("v"));
    const std::size_t replies = 100 + 1 + 1 + 4;
    for (auto& client : deaf) {
        if (counters(cluster, leader).closed_for_memory != 0) break;
        CHECK(client->receive(replies).size() == replies);
    }
}

TEST_CASE("kv server: what a connection watches counts as its memory") {
    KvClusterOptions options = calm_options();
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    const kv::ClientMemory& memory = cluster.servers[leader]->memory();
    TestClient client(cluster, leader);
    CHECK(client.ask({"WATCH", std::string(4'000'000, 'k')}) == simple("OK"));
    CHECK(memory.used() >= 4'000'000);
    CHECK(client.ask({"UNWATCH"}) == simple("OK"));
    CHECK(memory.used() < 1'000'000);
}

TEST_CASE("kv server: a reply beyond its limit is an error, and one below it is not") {
    KvClusterOptions options = quick_options();
    options.server.max_reply_bytes = 10'000;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    REQUIRE(client.ask({"SET", "k", std::string(3200, 'x')}) == simple("OK"));
    CHECK(client.ask({"MGET", "k", "k", "k"}).elements.size() == 3);
    CHECK(client.ask({"MGET", "k", "k", "k", "k"}).text ==
          "ERR the reply would have more than 10000 bytes");
}

TEST_CASE("kv server: a request that is not completed in time is refused, idleness is not") {
    KvClusterOptions options = quick_options();
    options.server.request_timeout = std::chrono::milliseconds(60);
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient idle(cluster, leader);
    REQUIRE(idle.ask({"PING"}) == simple("PONG"));
    TestClient slow(cluster, leader);
    slow.send(request({"PING"}) + "*2\r\n$4\r\nECHO\r\n$10\r\nabc");
    const std::vector<kv::Reply> replies = slow.receive(3);
    REQUIRE(replies.size() == 2);
    CHECK(replies[0] == simple("PONG"));
    CHECK(replies[1].text == "ERR the request was not completed in time");
    CHECK(counters(cluster, leader).closed_for_time == 1);
    CHECK(idle.ask({"PING"}) == simple("PONG"));
}

TEST_CASE("kv server: a client that takes nothing of its replies is closed, idleness is not") {
    KvClusterOptions options = calm_options();
    options.server.reply_timeout = std::chrono::milliseconds(60);
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient idle(cluster, leader);
    REQUIRE(idle.ask({"SET", "b", std::string(4'000'000, 'x')}) == simple("OK"));
    TestClient deaf(cluster, leader);
    deaf.send(repeated(request({"GET", "b"}), 20));
    REQUIRE(run_until(cluster.io, [&] { return counters(cluster, leader).closed_for_time == 1; }));
    CHECK(idle.ask({"PING"}) == simple("PONG"));
    CHECK(deaf.receive(20).size() < 20);
}

TEST_CASE("kv server: pipelines of everything that costs much do not end the leader's reign") {
    KvClusterOptions options = calm_options();
    const Reigns reigns(options);
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < kv::command_keys_max; ++i) keys.push_back("k" + std::to_string(i));
    std::vector<std::string_view> names(keys.begin(), keys.end());
    const auto command = [&](std::vector<std::string_view> words, std::size_t step) {
        for (std::size_t i = 0; i < names.size(); i += step) {
            words.push_back(names[i]);
            if (words[0] == "MSET") words.push_back("value");
        }
        return request(words);
    };
    const std::string mset = command({"MSET"}, 1);
    REQUIRE((client.send(mset), client.receive(1).front()) == simple("OK"));
    const int before = *reigns.changes;
    std::vector<std::unique_ptr<TestClient>> clients;
    const std::pair<std::string, std::size_t> floods[] = {
        {request({"RAFT.DIGEST"}), 2000},
        {request({"PING"}), 50000},
        {command({"MGET"}, 1), 80},
        {command({"EXISTS"}, 1), 80},
        {command({"COMMAND", "INFO"}, 4), 80},
        {mset, 20},
        {command({"DEL"}, 1), 20},
    };
    for (const auto& [text, count] : floods) {
        clients.push_back(std::make_unique<TestClient>(cluster, leader));
        clients.back()->send(repeated(text, count));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        CHECK(clients[i]->receive(floods[i].second).size() == floods[i].second);
    }
    CHECK(*reigns.changes == before);
}

TEST_CASE("kv server: who asks for reads from replicas is told that there are none") {
    KvCluster cluster;
    TestClient client(cluster, cluster.follower());
    CHECK(client.ask({"GET", "k"}).is_error("MOVED"));
    CHECK(client.ask({"READONLY"}).is_error("ERR"));
    CHECK(client.ask({"GET", "k"}).is_error("ERR"));
    CHECK(client.ask({"SET", "k", "v"}).is_error("MOVED"));
    CHECK(client.ask({"READWRITE"}) == simple("OK"));
    CHECK(client.ask({"GET", "k"}).is_error("MOVED"));
}

TEST_CASE("kv server: values up to the limit are stored, and refused beyond it") {
    KvCluster cluster(calm_options());
    TestClient client(cluster, cluster.leader());
    constexpr std::size_t limit = kv::command_bytes_max;
    for (const std::size_t size : {limit - 2, limit - 1}) {
        const std::string value(size, 'v');
        CHECK(client.ask({"SET", "k", value}) == simple("OK"));
        CHECK(client.ask({"GET", "k"}) == bulk(value));
    }
    CHECK(client.ask({"SET", "k", std::string(limit, 'v')}).text ==
          "ERR the arguments of a command have at most 8388608 bytes together");
    CHECK(client.ask({"SET", "k", std::string(limit + 1, 'v')}).text ==
          "ERR Protocol error: invalid bulk length: at most 8388608 bytes");
    CHECK(client.is_closed());
}

TEST_CASE("kv server: INFO gives the sections that are asked for") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    const std::string clients = client.ask({"INFO", "Clients"}).text;
    CHECK(clients == "# Clients\r\nconnected_clients:1\r\nmaxclients:10000\r\n");
    CHECK(client.ask({"INFO", "memory"}).text.find("client_memory_limit_bytes:268435456\r\n") !=
          std::string::npos);
    CHECK(client.ask({"INFO", "all"}).text.find("# Raft\r\n") != std::string::npos);
}

}  // namespace bounds_test
