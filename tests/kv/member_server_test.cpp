// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// MEMBER and TRANSFER at a server.
#include "server_support.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace member_server_test {

using namespace kv_test;

namespace {

KvClusterOptions alone() {
    KvClusterOptions options = quick_options();
    options.members = 1;
    options.running = 1;
    return options;
}

bool contains(const kv::Reply& reply, std::string_view part) {
    return reply.text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("kv members: a server lists them, and INFO and RAFT.STATUS show them") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient client(cluster, 0);
    CHECK(client.ask({"MEMBER", "LIST"}).text.starts_with("1 voter "));
    for (const std::string_view question : {"INFO", "RAFT.STATUS"}) {
        const kv::Reply account = client.ask({question});
        CHECK(contains(account, "\r\nmember_1:standing=voter,address="));
        CHECK(contains(account, "\r\nmembers_settled:1\r\n"));
        CHECK(contains(account, "\r\nchanging_members:0\r\n"));
        CHECK(contains(account, "\r\nreadable_version:1\r\n"));
    }
}

TEST_CASE("kv members: a priority is set and shown") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient client(cluster, 0);
    CHECK(client.ask({"MEMBER", "LIST"}).text.ends_with(" 1\r\n"));
    CHECK(client.ask({"MEMBER", "PRIORITY", "1", "7"}) == simple("OK"));
    CHECK(client.ask({"MEMBER", "LIST"}).text.ends_with(" 7\r\n"));
    CHECK(
        contains(client.ask({"RAFT.STATUS"}), ",priority=7,serves=" + cluster.address(0) + "\r\n"));
}

TEST_CASE(
    "kv members: one that cannot be reached learns, and its ADD waits with the server at work") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient waiting(cluster, 0);
    TestClient client(cluster, 0);
    waiting.send(request({"MEMBER", "ADD", "2", ""}));
    REQUIRE(run_until(cluster.io, [&cluster] {
        const rsm::Status status = cluster.replicas[1].status();
        return status.members.size() == 2 && status.members_settled;
    }));
    CHECK(contains(client.ask({"MEMBER", "LIST"}), "\r\n2 learner "));
    const kv::Reply account = client.ask({"INFO", "raft"});
    CHECK(contains(account, "\r\nmember_2:standing=learner,"));
    CHECK(contains(account, "\r\nchanging_members:1\r\n"));
    CHECK(client.ask({"SET", "k", "v"}) == simple("OK"));
    const kv::Reply second = client.ask({"MEMBER", "ADD", "3", ""});
    CHECK(second.is_error("ERR"));
    CHECK(contains(second, "another change of members"));

    cluster.replicas[1].cancel_change();
    const std::vector<kv::Reply> ended = waiting.receive(1);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].is_error("ERR"));
    CHECK(contains(ended[0], "was given up"));
    CHECK_FALSE(contains(client.ask({"MEMBER", "LIST"}), "\r\n2 "));
}

TEST_CASE("kv members: an edit that makes no sense is refused in a sentence") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient client(cluster, 0);
    CHECK(client.ask({"MEMBER", "REMOVE", "7"}).text == "ERR node 7 is no member");
    CHECK(contains(client.ask({"MEMBER", "ADD", "1", ""}), "node 1 is a member already"));
    CHECK(contains(client.ask({"MEMBER", "REMOVE", "1"}), "these cannot be the members"));
    CHECK(client.ask({"MEMBER", "ADD", "x", ""}).is_error("ERR"));
    CHECK(client.ask({"PING"}) == simple("PONG"));
}

TEST_CASE("kv members: a leader that is alone has nobody to hand over to, and goes on") {
    KvCluster cluster(alone());
    cluster.leader();
    TestClient client(cluster, 0);
    CHECK(client.ask({"TRANSFER"}).is_error("ERR"));
    CHECK(client.ask({"TRANSFER", "2"}).is_error("ERR"));
    CHECK(client.ask({"SET", "k", "v"}) == simple("OK"));
}

TEST_CASE("kv members: a follower sends changes to the leader's client address") {
    KvCluster cluster;
    const std::string moved = "MOVED 0 " + cluster.address(cluster.leader());
    TestClient client(cluster, cluster.follower());
    CHECK(client.ask({"MEMBER", "REMOVE", "1"}).text == moved);
    CHECK(client.ask({"MEMBER", "REMOVE", "77"}).text == moved);
    CHECK(client.ask({"TRANSFER"}).text == moved);
}

TEST_CASE("kv members: a write during a handover is refused, and the next leader takes it") {
    KvCluster cluster;
    const std::size_t before = cluster.leader();
    const std::size_t target = cluster.follower();
    TestClient operator_of(cluster, before);
    TestClient writer(cluster, before);
    REQUIRE(operator_of.ask({"PING"}) == simple("PONG"));
    REQUIRE(writer.ask({"PING"}) == simple("PONG"));
    // Both are there when the server looks next, so the write comes as the handover has begun.
    operator_of.send(request({"TRANSFER", std::to_string(target + 1)}));
    writer.send(request({"SET", "k", "v"}));
    CHECK(writer.receive(1).at(0).text ==
          "TRYAGAIN another node is about to lead, nothing happened");
    CHECK(operator_of.receive(1).at(0) == simple("OK"));
    TestClient next(cluster, cluster.leader());
    CHECK(next.ask({"GET", "k"}) == null());
    CHECK(next.ask({"SET", "k", "v"}) == simple("OK"));
}

TEST_CASE("kv members: the leader hands over to whom it is told, and removes who is to go") {
    KvCluster cluster;
    const std::size_t before = cluster.leader();
    const std::size_t target = cluster.follower();
    const std::string id = std::to_string(target + 1);
    CHECK(TestClient(cluster, before).ask({"TRANSFER", id}) == simple("OK"));
    REQUIRE(run_until(cluster.io, [&] {
        return cluster.replicas[target + 1].status().role == raft::Role::leader;
    }));
    TestClient client(cluster, target);
    CHECK(client.ask({"MEMBER", "REMOVE", std::to_string(before + 1)}) == simple("OK"));
    CHECK_FALSE(contains(client.ask({"MEMBER", "LIST"}), std::to_string(before + 1) + " voter"));
    CHECK(client.ask({"SET", "k", "v"}) == simple("OK"));
}

}  // namespace member_server_test
