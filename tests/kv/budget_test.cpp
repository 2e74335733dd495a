// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What clients have time for, what the system is told of their sockets, how much memory there is,
// and what the operator is told when places run out.
#include "server_support.hpp"

#include "support/temporary_directory.hpp"

#include <kv/client_deadlines.hpp>
#include <kv/memory_limit.hpp>
#include <kv/socket_tuning.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace budget_test {

using namespace kv_test;
using std::chrono::seconds;

namespace {

int option_of(tcp::socket& socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(socket.native_handle(), level, name, &value, &size) == 0);
    return value;
}

std::string all_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

}  // namespace

TEST_CASE("deadlines: each limit counts from where it should, and what excuses what") {
    using kv::Lapse;
    kv::ServerOptions limits;
    limits.request_timeout = seconds(30);
    limits.reply_timeout = seconds(60);
    limits.idle_timeout = seconds(100);
    const kv::ClientDeadlines::Time begin{};
    const auto at = [&](int second) { return begin + seconds(second); };
    kv::ClientDeadlines client(begin);
    const kv::ClientDeadlines::State calm;
    CHECK(client.lapse(calm, limits, at(99)) == Lapse::none);
    CHECK(client.lapse(calm, limits, at(100)) == Lapse::idle);
    CHECK(client.lapse({{}, true, false}, limits, at(29)) == Lapse::none);
    CHECK(client.lapse({{}, true, false}, limits, at(30)) == Lapse::login);
    CHECK(client.lapse({at(20), false, false}, limits, at(79)) == Lapse::none);
    CHECK(client.lapse({at(20), false, false}, limits, at(80)) == Lapse::replies);
    // Who takes its replies ever so slowly does not say who it is for that.
    CHECK(client.lapse({at(29), true, false}, limits, at(29)) == Lapse::none);
    CHECK(client.lapse({at(29), true, false}, limits, at(30)) == Lapse::login);
    CHECK(client.lapse({{}, false, true}, limits, at(1000)) == Lapse::none);
    client.note_securing(at(40));
    CHECK(client.lapse(calm, limits, at(69)) == Lapse::none);
    CHECK(client.lapse(calm, limits, at(70)) == Lapse::handshake);
    client.note_secured();
    client.note_activity(at(50));
    CHECK(client.lapse(calm, limits, at(149)) == Lapse::none);
    CHECK(client.lapse(calm, limits, at(150)) == Lapse::idle);
    // Every byte of it counts as activity, but does not give it more time for the request.
    client.note_half(at(50));
    client.note_half(at(70));
    client.note_activity(at(79));
    CHECK(client.lapse(calm, limits, at(79)) == Lapse::none);
    CHECK(client.lapse(calm, limits, at(80)) == Lapse::request);
    client.note_whole();
    CHECK(client.lapse(calm, limits, at(80)) == Lapse::none);
    limits.idle_timeout = seconds(0);
    limits.reply_timeout = limits.request_timeout = seconds(0);
    client.note_half(at(80));
    CHECK(client.lapse({begin, true, false}, limits, at(1'000'000)) == Lapse::none);
    CHECK(client.lapse({{}, true, false}, limits, at(1'000'000)) == Lapse::none);
}

TEST_CASE("client socket: the system looks for vanished clients and holds little for deaf ones") {
    boost::asio::io_context io;
    tcp::acceptor acceptor(io, any_port());
    tcp::socket client(io);
    client.connect(acceptor.local_endpoint());
    kv::tune_client_socket(client, seconds(300));
    CHECK(option_of(client, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option_of(client, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(option_of(client, IPPROTO_TCP, TCP_KEEPIDLE) == 300);
    CHECK(option_of(client, IPPROTO_TCP, TCP_KEEPINTVL) == 100);
    CHECK(option_of(client, IPPROTO_TCP, TCP_KEEPCNT) == 3);
    CHECK(option_of(client, IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 256 << 10);
    tcp::socket other(io);
    other.connect(acceptor.local_endpoint());
    kv::tune_client_socket(other, seconds(0));
    CHECK(option_of(other, SOL_SOCKET, SO_KEEPALIVE) == 0);
}

TEST_CASE("memory limit: that of the group, or of one that it is in, and a share of it") {
    const rsm_test::TemporaryDirectory directory;
    const std::string root = directory / "root";
    const std::string groups = directory / "cgroup";
    std::filesystem::create_directories(root + "/a/b");
    std::filesystem::create_directories(root + "/memory/c");
    const auto limit = [&] { return kv::detail::limit_of_groups(groups, root); };
    CHECK(limit() == kv::detail::no_limit);
    rsm_test::write_file(groups, "0::/a/b\n");
    rsm_test::write_file(root + "/a/b/memory.max", "max\n");
    CHECK(limit() == kv::detail::no_limit);
    rsm_test::write_file(root + "/a/memory.max", "536870912\n");
    CHECK(limit() == 536'870'912);
    rsm_test::write_file(root + "/memory.max", "1000\n");
    CHECK(limit() == 1000);
    rsm_test::write_file(groups, "3:cpu,memory:/c\n2:pids:/c\n");
    rsm_test::write_file(root + "/memory/c/memory.limit_in_bytes", "2000\n");
    rsm_test::write_file(root + "/memory/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK(limit() == 2000);
    rsm_test::write_file(groups, "nonsense\n::\n");
    CHECK_NOTHROW(limit());
    constexpr std::uint64_t mebibyte = 1U << 20;
    CHECK(kv::usual_client_memory(512 * mebibyte) == 128 * mebibyte);
    CHECK(kv::usual_client_memory(100 * mebibyte) == 64 * mebibyte);
    CHECK(kv::usual_client_memory(kv::detail::no_limit) == 256 * mebibyte);
    CHECK(kv::memory_limit() > 0);
    CHECK(kv::memory_limit() < kv::detail::no_limit);
}

TEST_CASE("kv server: a client that wants nothing for too long is closed, one that waits is not") {
    KvClusterOptions options = quick_options();
    options.server.idle_timeout = seconds(1);
    const auto lines = std::make_shared<std::vector<std::string>>();
    options.server.log = [lines](std::string_view line) { lines->emplace_back(line); };
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    TestClient idle(cluster, leader);
    TestClient waiting(cluster, leader);
    REQUIRE(idle.ask({"PING"}) == simple("PONG"));
    // Nobody acknowledges what it writes.
    cluster.network->isolate({leader + 1});
    waiting.send(request({"SET", "k", "v"}));
    CHECK(idle.is_closed());
    CHECK(all_of(*lines).find("closed: it has been idle (--timeout)\n") != std::string::npos);
    CHECK(cluster.servers[leader]->counters().closed_for_time == 1);
    CHECK(cluster.servers[leader]->counters().clients == 1);
}

TEST_CASE(
    "kv server: the operator hears once that clients are refused, and once that no more are") {
    KvClusterOptions options = quick_options();
    options.server.max_clients = 2;
    options.server.request_timeout = std::chrono::milliseconds(100);  // looked at more often
    const auto lines = std::make_shared<std::vector<std::string>>();
    options.server.log = [lines](std::string_view line) { lines->emplace_back(line); };
    KvCluster cluster(options);
    const auto told = [&](std::string_view text) {
        std::size_t count = 0;
        for (const std::string& line : *lines) {
            count += static_cast<std::size_t>(line.find(text) != std::string::npos);
        }
        return count;
    };
    for (std::size_t round = 1; round <= 2; ++round) {
        TestClient one(cluster, 0);
        TestClient two(cluster, 0);
        REQUIRE(one.ask({"PING"}) == simple("PONG"));
        REQUIRE(two.ask({"PING"}) == simple("PONG"));
        for (int i = 0; i < 5; ++i) {
            TestClient further(cluster, 0);
            const std::vector<kv::Reply> last = further.receive(2);
            REQUIRE(last.size() == 1);
            CHECK(last[0].text == "ERR max number of clients reached");
        }
        CHECK(told("CLIENTS REFUSED: there are 2, and no place for more (--max-clients") == round);
        CHECK(told("clients: there are places again") == round - 1);
        CHECK(cluster.servers[0]->counters().refused == 5 * round);
        two.finish_sending();
        REQUIRE(run_until(cluster.io, [&] {
            return told("clients: there are places again, 5 were refused") == round;
        }));
        one.finish_sending();
        REQUIRE(run_until(cluster.io, [&] { return cluster.servers[0]->counters().clients == 0; }));
    }
}

TEST_CASE("kv server: nobody is refused for what others write, and little waits for little") {
    KvClusterOptions options = quick_options();
    options.replica.raft.election_timeout = seconds(1);
    options.replica.raft.max_uncommitted_bytes = options.replica.raft.max_entry_bytes + 64;
    KvCluster cluster(options);
    const std::size_t leader = cluster.leader();
    std::vector<std::unique_ptr<TestClient>> greedy;
    const std::string large = request({"SET", "large", std::string(3'000'000, 'x')});
    for (int i = 0; i < 12; ++i) {
        greedy.push_back(std::make_unique<TestClient>(cluster, leader));
        greedy.back()->send(large + large + large);
    }
    TestClient modest(cluster, leader);
    for (int i = 0; i < 20; ++i) CHECK(modest.ask({"SET", "k", "v"}) == simple("OK"));
    for (const auto& client : greedy) {
        for (const kv::Reply& reply : client->receive(3)) CHECK(reply == simple("OK"));
    }
}

}  // namespace budget_test
