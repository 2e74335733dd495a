// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "server_support.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace server_test {

using namespace kv_test;
using Replies = std::vector<kv::Reply>;

TEST_CASE("kv server: commands of every kind in one pipeline are answered in their order") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    client.send(request({"PING"}) + request({"SET", "a", "1"}) + request({"INCR", "a"}) +
                request({"GET", "a"}) + request({"ECHO", "x"}) + request({"SET", "a", "3", "NX"}) +
                request({"MGET", "a", "b"}) + request({"VPUT", "v", "w", "0"}) +
                request({"VGET", "v"}) + request({"DEL", "a", "b"}) + request({"GET", "a"}) +
                request({"DBSIZE"}));
    const Replies replies = client.receive(12);
    REQUIRE(replies.size() == 12);
    CHECK(replies[0] == simple("PONG"));
    CHECK(replies[1] == simple("OK"));
    CHECK(replies[2] == integer(2));
    CHECK(replies[3] == bulk("2"));
    CHECK(replies[4] == bulk("x"));
    CHECK(replies[5] == null());
    CHECK(replies[6].elements == Replies{bulk("2"), null()});
    CHECK(replies[7] == integer(1));
    CHECK(replies[8].elements == Replies{bulk("w"), integer(1)});
    CHECK(replies[9] == integer(1));
    CHECK(replies[10] == null());
    CHECK(replies[11] == integer(1));
}

TEST_CASE("kv server: each read of a pipeline sees the write before it and not the one after it") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    constexpr std::size_t rounds = 300;
    std::string requests;
    for (std::size_t i = 0; i < rounds; ++i) {
        requests += request({"SET", "k", std::to_string(i)}) + request({"GET", "k"});
    }
    client.send(requests);
    const Replies replies = client.receive(2 * rounds);
    REQUIRE(replies.size() == 2 * rounds);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < rounds; ++i) {
        if (replies[2 * i] != simple("OK") || replies[2 * i + 1] != bulk(std::to_string(i))) {
            ++wrong;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("kv server: more pipelined requests than its bounds are all served, in order") {
    KvClusterOptions options = quick_options();
    options.server.max_requests = 8;
    options.server.max_request_bytes = 256;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    std::string requests;
    for (int i = 0; i < 500; ++i) requests += request({"INCR", "k"});
    requests += request({"SET", "large", std::string(1000, 'x')}) + request({"INCR", "k"});
    client.send(requests);
    const Replies replies = client.receive(502);
    REQUIRE(replies.size() == 502);
    for (int i = 0; i < 500; ++i) REQUIRE(replies[static_cast<std::size_t>(i)] == integer(i + 1));
    CHECK(replies[500] == simple("OK"));
    CHECK(replies[501] == integer(501));
}

TEST_CASE("kv server: a follower sends reads and writes to the leader's client address") {
    KvCluster cluster;
    const std::string moved = "MOVED 0 " + cluster.address(cluster.leader());
    TestClient client(cluster, cluster.follower());
    client.send(request({"SET", "k", "v"}) + request({"GET", "k"}) + request({"PING"}));
    const Replies replies = client.receive(3);
    REQUIRE(replies.size() == 3);
    CHECK(replies[0].text == moved);
    CHECK(replies[1].text == moved);
    CHECK(replies[2] == simple("PONG"));
    const kv::Reply slots = client.ask({"CLUSTER", "SLOTS"});
    REQUIRE(slots.elements.size() == 1);
    CHECK(slots.elements[0].elements[0] == integer(0));
    CHECK(slots.elements[0].elements[1] == integer(16383));
    CHECK(slots.elements[0].elements[2].elements[1] ==
          integer(cluster.servers[cluster.leader()]->port()));
}

TEST_CASE("kv server: without a leader, reads and writes are refused and the rest is answered") {
    KvClusterOptions options = quick_options();
    options.running = 1;
    KvCluster cluster(options);
    TestClient client(cluster, 0);
    CHECK(client.ask({"SET", "k", "v"}).is_error("CLUSTERDOWN"));
    CHECK(client.ask({"GET", "k"}).is_error("CLUSTERDOWN"));
    CHECK(client.ask({"PING"}) == simple("PONG"));
    CHECK(client.ask({"RAFT.STATUS"}).text.find("leader:0\r\n") != std::string::npos);
}

TEST_CASE("kv server: a write that cannot be confirmed in time is unknown, and a read is not") {
    KvClusterOptions options = quick_options();
    options.replica.raft.election_timeout = std::chrono::milliseconds(400);
    options.replica.operation_timeout = std::chrono::milliseconds(20);
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    REQUIRE(client.ask({"SET", "k", "v"}) == simple("OK"));
    cluster.network->isolate({leader + 1});
    client.send(request({"SET", "k", "w"}) + request({"GET", "k"}));
    const Replies replies = client.receive(2);
    REQUIRE(replies.size() == 2);
    CHECK(replies[0].is_error("UNKNOWN"));
    CHECK(replies[1].is_error("TRYAGAIN"));
}

TEST_CASE("kv server: every replica shows its own digest, equal at equal indexes") {
    KvCluster cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    const std::string empty = client.ask({"RAFT.DIGEST"}).text;
    REQUIRE(client.ask({"SET", "k", "v"}) == simple("OK"));
    const std::string digest = client.ask({"RAFT.DIGEST"}).text;
    CHECK(digest.starts_with("digest:"));
    CHECK(digest.substr(digest.rfind(':')) != empty.substr(empty.rfind(':')));
    const auto applied = cluster.replicas[leader + 1].status().applied;
    for (std::size_t node = 0; node < cluster.servers.size(); ++node) {
        const Replica& replica = cluster.replicas[node + 1];
        REQUIRE(run_until(cluster.io, [&] { return replica.status().applied >= applied; }));
    }
    // An entry that the cluster appends by itself may come between two questions.
    const auto all_equal = [&cluster] {
        const auto digest_of = [&cluster](std::size_t node) {
            return TestClient(cluster, node).ask({"RAFT.DIGEST"}).text;
        };
        const std::string first = digest_of(0);
        return digest_of(1) == first && digest_of(2) == first;
    };
    bool equal = all_equal();
    for (int i = 0; i < 20 && !equal; ++i) equal = all_equal();
    CHECK(equal);
}

TEST_CASE("kv server: a request that makes no sense is an error, and the connection goes on") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    client.send("NOSUCH x\r\n\r\n" + request({"GET"}) + request({"SET", "k", "v", "BAD"}) +
                request({"RAFT.DIGEST", "x"}) + "*0\r\n" + request({"SET", "k", "v"}));
    const Replies replies = client.receive(5);
    REQUIRE(replies.size() == 5);
    for (std::size_t i = 0; i < 4; ++i) CHECK(replies[i].is_error("ERR"));
    CHECK(replies[4] == simple("OK"));
}

TEST_CASE("kv server: broken framing is answered behind the requests before it, then closed") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    client.send(request({"SET", "k", "v"}) + "*2\r\n$x\r\n" + request({"SET", "k", "w"}));
    const Replies replies = client.receive(3);
    REQUIRE(replies.size() == 2);
    CHECK(replies[0] == simple("OK"));
    CHECK(replies[1].is_error("ERR"));
    CHECK(TestClient(cluster, cluster.leader()).ask({"GET", "k"}) == bulk("v"));
}

TEST_CASE("kv server: a request over the limit is an error before its bytes arrive, then closed") {
    KvClusterOptions options = quick_options();
    options.server.request.bulk_bytes = 1000;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    client.send("*2\r\n$3\r\nGET\r\n$1001\r\n");
    const Replies replies = client.receive(2);
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].is_error("ERR"));
}

TEST_CASE("kv server: an operation too large for the log is refused, and the connection goes on") {
    KvClusterOptions options = quick_options();
    options.replica.raft.max_entry_bytes = 1000;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    CHECK(client.ask({"SET", "k", std::string(2000, 'x')}).is_error("ERR"));
    CHECK(client.ask({"SET", "k", "v"}) == simple("OK"));
}

TEST_CASE("kv server: more at once than the node may keep is refused, and the connection goes on") {
    KvClusterOptions options = quick_options();
    options.replica.max_pending_bytes = 1500;
    KvCluster cluster(options);
    TestClient client(cluster, cluster.leader());
    client.send(request({"SET", "k", std::string(1000, 'x')}) +
                request({"SET", "k", std::string(1000, 'y')}));
    const Replies replies = client.receive(2);
    REQUIRE(replies.size() == 2);
    CHECK(replies[0] == simple("OK"));
    CHECK(replies[1].text == "BUSY the server is overloaded, nothing happened, try again later");
    CHECK(client.ask({"GET", "k"}) == bulk(std::string(1000, 'x')));
}

TEST_CASE("kv server: each reason for which an operation fails has a sentence of its own") {
    KvCluster cluster;
    const kv::Service<Replica> service(cluster.replicas[1], [&] { return cluster.directory(); },
                                       {});
    using Kind = kv::Service<Replica>::Kind;
    const auto said = [&](rsm::Errc why, Kind kind = Kind::write) {
        std::string reply;
        service.write_error(why, kind, reply);
        return reply;
    };
    CHECK(said(rsm::Errc::too_large) == "-ERR the request is too large, nothing happened\r\n");
    CHECK(said(rsm::Errc::skipped) ==
          "-ERR the operation makes every server stop and was left out (--skip-operation), "
          "nothing happened, do not send it again\r\n");
    const std::string thrown =
        "-ERR the operation or the query threw an exception, nothing happened\r\n";
    CHECK(said(rsm::Errc::user_exception) == thrown);
    CHECK(said(rsm::Errc::user_exception, Kind::read) == thrown);
    CHECK(said(rsm::Errc::overloaded) ==
          "-BUSY the server is overloaded, nothing happened, try again later\r\n");
    CHECK(said(rsm::Errc::handing_over) ==
          "-TRYAGAIN another node is about to lead, nothing happened\r\n");
    for (const rsm::Errc why :
         {rsm::Errc::timed_out, rsm::Errc::result_lost, rsm::Errc::interrupted}) {
        CHECK(said(why) == "-UNKNOWN the operation may or may not have taken effect\r\n");
        CHECK(said(why, Kind::read) == "-TRYAGAIN the read was not confirmed in time\r\n");
    }
}

TEST_CASE("kv server: a client that only stops sending still gets its replies") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    client.send(request({"SET", "k", "v"}) + request({"GET", "k"}) + "*1\r\n$4\r\nPI");
    client.finish_sending();
    CHECK(client.receive(3) == Replies{simple("OK"), bulk("v")});
}

TEST_CASE("kv server: QUIT is answered, and what stands behind it is not carried out") {
    KvCluster cluster;
    TestClient client(cluster, cluster.leader());
    client.send(request({"SET", "k", "v"}) + request({"QUIT"}) + request({"SET", "k", "w"}));
    CHECK(client.receive(3) == Replies{simple("OK"), simple("OK")});
    CHECK(TestClient(cluster, cluster.leader()).ask({"GET", "k"}) == bulk("v"));
}

TEST_CASE("kv server: replies to a client that does not read stay within their bound") {
    KvClusterOptions options = quick_options();
    options.server.max_unsent_bytes = 1 << 20;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    constexpr std::size_t value_bytes = 256 * 1024;
    constexpr std::size_t count = 400;
    const std::string value(value_bytes, 'x');
    REQUIRE(client.ask({"SET", "k", value}) == simple("OK"));
    std::string requests;
    for (std::size_t i = 0; i < count; ++i) requests += request({"GET", "k"});
    client.send(requests);
    // All of it would be 100 MiB. The client begins to read when the server has reached the bound.
    const std::size_t& peak = cluster.servers[leader]->counters().unsent_bytes_peak;
    REQUIRE(run_until(cluster.io, [&] { return peak >= options.server.max_unsent_bytes; }));
    const Replies replies = client.receive(count);
    REQUIRE(replies.size() == count);
    std::size_t wrong = 0;
    for (const kv::Reply& reply : replies) wrong += reply == bulk(value) ? 0U : 1U;
    CHECK(wrong == 0);
    CHECK(peak <= options.server.max_unsent_bytes + value_bytes + 64);
}

TEST_CASE("kv server: a client beyond the maximum is told so, and has a place when one leaves") {
    KvClusterOptions options = quick_options();
    options.server.max_clients = 1;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    kv::ServerCounters& counters = cluster.servers[leader]->counters();
    {
        TestClient first(cluster, leader);
        REQUIRE(first.ask({"PING"}) == simple("PONG"));
        TestClient second(cluster, leader);
        const Replies replies = second.receive(2);
        REQUIRE(replies.size() == 1);
        CHECK(replies[0].text == "ERR max number of clients reached");
        CHECK(first.ask({"PING"}) == simple("PONG"));
    }
    REQUIRE(run_until(cluster.io, [&] { return counters.clients == 0; }));
    CHECK(TestClient(cluster, leader).ask({"PING"}) == simple("PONG"));
    CHECK(counters.refused == 1);
}

TEST_CASE("kv server: a stopped replica refuses, and its connections are closed") {
    KvCluster cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    REQUIRE(client.ask({"SET", "k", "v"}) == simple("OK"));
    bool stopped = false;
    cluster.replicas[leader + 1].async_stop(
        [&stopped](boost::system::error_code) { stopped = true; });
    REQUIRE(run_until(cluster.io, [&stopped] { return stopped; }));
    CHECK(client.ask({"SET", "k", "w"}).is_error("CLUSTERDOWN"));
    CHECK(client.is_closed());
}

TEST_CASE("kv server: one that is destroyed with requests under way closes its connections") {
    KvCluster cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    REQUIRE(client.ask({"PING"}) == simple("PONG"));
    const kv::ServerCounters& counters = cluster.servers[leader]->counters();
    const auto before = counters.commands;
    client.send(request({"SET", "k", "v"}) + request({"GET", "k"}));
    REQUIRE(run_until(cluster.io, [&] { return counters.commands == before + 2; }));
    cluster.servers[leader].reset();
    CHECK(client.is_closed());
}

TEST_CASE("kv server: INFO tells the role and what has been committed") {
    KvCluster cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    REQUIRE(client.ask({"SET", "k", "v"}) == simple("OK"));
    const std::string info = client.ask({"INFO"}).text;
    CHECK(info.find("# Raft\r\n") != std::string::npos);
    CHECK(info.find("role:leader\r\n") != std::string::npos);
    CHECK(info.find("commit:2\r\n") != std::string::npos);
    CHECK(info.find("db0:keys=1,") != std::string::npos);
    CHECK(info.find("follower_" + std::to_string(cluster.follower() + 1) + ":state=") !=
          std::string::npos);
}

TEST_CASE("kv server: INFO tells in the words of Redis who takes writes") {
    KvCluster cluster;
    TestClient leader(cluster, cluster.leader());
    CHECK(leader.ask({"INFO", "replication"}).text ==
          "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n");
    // Of two roles in one answer clients keep the last one.
    const std::string all = leader.ask({"INFO"}).text;
    CHECK(all.find("role:leader\r\n") < all.find("role:master\r\n"));
    TestClient follower(cluster, cluster.follower());
    const std::string address = cluster.address(cluster.leader());
    const std::size_t colon = address.find(':');
    CHECK(follower.ask({"INFO", "replication"}).text ==
          "# Replication\r\nrole:slave\r\nmaster_host:" + address.substr(0, colon) +
              "\r\nmaster_port:" + address.substr(colon + 1) + "\r\nmaster_link_status:up\r\n");
}

TEST_CASE("kv server: without a leader INFO names none") {
    KvClusterOptions options = quick_options();
    options.running = 1;
    KvCluster cluster(options);
    TestClient client(cluster, 0);
    CHECK(client.ask({"INFO", "replication"}).text ==
          "# Replication\r\nrole:slave\r\nmaster_link_status:down\r\n");
}

}  // namespace server_test
