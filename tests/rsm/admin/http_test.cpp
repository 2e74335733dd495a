// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The admin server as clients of all kinds find it, over sockets of this host.
#include "../counters.hpp"
#include "support/real_time_cluster.hpp"

#include <rsm/admin/http.hpp>

#include <doctest/doctest.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace http_test {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

namespace {

using Replica = rsm::Replicated<counter_test::Counter, rsm::MemoryTransport, rsm::MemoryStorage>;

/// Sends what it is given and collects what comes back, on the server's own thread.
class Client {
public:
    Client(boost::asio::io_context& io, std::uint16_t port) : socket_(io) {
        socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    }
    void send(std::string bytes) {
        send_only(std::move(bytes));
        listen();
    }
    void send_only(std::string bytes) {
        auto held = std::make_shared<std::string>(std::move(bytes));
        boost::asio::async_write(socket_, boost::asio::buffer(*held),
                                 [held](boost::system::error_code, std::size_t) {});
    }
    void listen() {
        if (!std::exchange(reading_, true)) read();
    }
    const std::string& got() const { return got_; }
    bool ended() const { return ended_; }

private:
    void read() {
        socket_.async_read_some(boost::asio::buffer(space_),
                                [this](boost::system::error_code error, std::size_t count) {
                                    got_.append(space_.data(), count);
                                    if (error) {
                                        ended_ = true;
                                    } else {
                                        read();
                                    }
                                });
    }

    tcp::socket socket_;
    std::array<char, 65536> space_{};
    std::string got_;
    bool reading_ = false;
    bool ended_ = false;
};

/// One node that leads, and its server.
struct Served {
    explicit Served(rsm::AdminOptions options = {}, bool with_quorum = true) {
        auto network = std::make_shared<rsm::MemoryNetwork>();
        std::vector<raft::NodeId> members{{1}};
        if (!with_quorum) members.push_back({2});
        rsm::Options node;
        node.raft.election_timeout = 50ms;
        node.raft.heartbeat_interval = 10ms;
        node.raft.commit_notice_delay = 1ms;
        replica = std::make_unique<Replica>(cluster.io.get_executor(), counter_test::Counter{},
                                            rsm::MemoryTransport{network, raft::NodeId{1}, members},
                                            rsm::MemoryStorage{std::make_shared<rsm::MemoryDisk>()},
                                            node);
        server = std::make_unique<rsm::AdminServer<Replica>>(
            *replica, rsm::listen_on_loopback(cluster.io.get_executor(), 0), std::move(options));
        if (!with_quorum) return;
        REQUIRE(run_until([this] { return replica->status().role == raft::Role::leader; }));
    }
    template <class Condition>
    bool run_until(Condition holds) {
        return cluster.run_until(holds);
    }
    std::unique_ptr<Client> client() {
        return std::make_unique<Client>(cluster.io, server->port());
    }

    /// All that comes back until the server closes.
    std::string ask(std::string bytes) {
        Client asking(cluster.io, server->port());
        asking.send(std::move(bytes));
        CHECK(run_until([&] { return asking.ended(); }));
        return asking.got();
    }
    std::string get(const std::string& path, const std::string& method = "GET") {
        return ask(method + " " + path +
                   " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    }

    rsm_test::RealTimeCluster<Replica> cluster;
    std::unique_ptr<Replica> replica;
    std::unique_ptr<rsm::AdminServer<Replica>> server;
};

std::string status_of(const std::string& reply) { return reply.substr(0, reply.find("\r\n")); }
std::string body_of(const std::string& reply) {
    const std::size_t end = reply.find("\r\n\r\n");
    return end == std::string::npos ? "" : reply.substr(end + 4);
}
bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}
std::size_t count(const std::string& text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

TEST_CASE("each path is answered with what it is for") {
    Served served;
    const std::string metrics = served.get("/metrics");
    CHECK(status_of(metrics) == "HTTP/1.1 200 OK");
    CHECK(has(metrics, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK(has(body_of(metrics), "\nrsm_role{role=\"leader\"} 1\n"));
    CHECK(body_of(served.get("/healthz")) == "the node works\n");
    CHECK(body_of(served.get("/readyz?verbose")) == "the node is ready\n");
    const std::string status = served.get("/status.json");
    CHECK(has(status, "Content-Type: application/json\r\n"));
    CHECK(nlohmann::json::parse(body_of(status))["role"] == "leader");
    CHECK(status_of(served.get("/nothing")) == "HTTP/1.1 404 Not Found");
}

TEST_CASE("the page may run what is in it and nothing else") {
    Served served;
    const std::string page = served.get("/");
    CHECK(has(page, "Content-Type: text/html; charset=utf-8\r\n"));
    CHECK(has(page, "default-src 'none'; script-src 'sha256-"));
    CHECK(has(page, "X-Content-Type-Options: nosniff\r\n"));
    CHECK(!has(page, "unsafe"));
    CHECK(!has(page, "Access-Control"));
    CHECK(body_of(page) == rsm::status_page_html);
    // Of RFC 6234 and RFC 4648, and three lengths modulo three.
    CHECK(rsm::detail::policy_of("<script>abc</script>")
              .find("script-src 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='; style-src "
                    "'none'") != std::string::npos);
    const auto coded = [](std::string_view text) {
        return rsm::detail::base64(std::as_bytes(std::span(text)));
    };
    CHECK(coded("f") == "Zg==");
    CHECK(coded("fo") == "Zm8=");
    CHECK(coded("foo") == "Zm9v");
}

TEST_CASE("HEAD says how much there is and sends none of it") {
    Served served;
    const std::string reply = served.get("/healthz", "HEAD");
    CHECK(status_of(reply) == "HTTP/1.1 200 OK");
    CHECK(has(reply, "Content-Length: 15\r\n"));
    CHECK(body_of(reply).empty());
}

TEST_CASE("what is no request for it is refused in a sentence and closed") {
    Served served;
    const std::string end = "\r\nHost: localhost\r\n\r\n";
    CHECK(status_of(served.get("/metrics", "POST")) == "HTTP/1.1 405 Method Not Allowed");
    CHECK(has(served.get("/metrics", "DELETE"), "Allow: GET, HEAD\r\n"));
    CHECK(status_of(served.ask("\x16\x03\x01 hello\r\n\r\n")) == "HTTP/1.1 400 Bad Request");
    CHECK(status_of(served.ask("GET /\r\n\r\n")) == "HTTP/1.1 400 Bad Request");
    CHECK(status_of(served.ask("GET / HTTP/2.0" + end)) ==
          "HTTP/1.1 505 HTTP Version Not Supported");
    CHECK(status_of(served.ask("GET http://localhost/ HTTP/1.1" + end)) ==
          "HTTP/1.1 400 Bad Request");
    CHECK(status_of(served.ask("GET / HTTP/1.1\r\n\r\n")) == "HTTP/1.1 400 Bad Request");
    CHECK(status_of(served.ask("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")) ==
          "HTTP/1.1 400 Bad Request");
    CHECK(status_of(
              served.ask("GET / HTTP/1.1\r\nContent-Length: 5\r\nHost: localhost\r\n\r\nhello")) ==
          "HTTP/1.1 413 Content Too Large");
    CHECK(status_of(served.ask("GET / HTTP/1.1\r\nTransfer-Encoding: chunked" + end)) ==
          "HTTP/1.1 413 Content Too Large");
    CHECK(status_of(served.ask("GET /" + std::string(20'000, 'a') + " HTTP/1.1" + end)) ==
          "HTTP/1.1 431 Request Header Fields Too Large");
    CHECK(status_of(served.ask("GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + end)) ==
          "HTTP/1.1 431 Request Header Fields Too Large");
    const std::string echo = served.get("/<script>alert(1)</script>");
    CHECK(!has(echo, "alert"));
}

TEST_CASE("a name that leads here from elsewhere is not answered") {
    Served served({.names = {"db-1.example"}});
    const auto with_host = [&](const std::string& host) {
        return status_of(
            served.ask("GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n\r\n"));
    };
    for (const char* own : {"127.0.0.1", "127.0.0.1:9101", "[::1]:80", "localhost:1", "LocalHost",
                            "DB-1.example:9101", "10.1.2.3"}) {
        CHECK_MESSAGE(with_host(own) == "HTTP/1.1 200 OK", own);
    }
    for (const char* foreign : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example",
                                "[::1", "", "db-2.example"}) {
        CHECK_MESSAGE(with_host(foreign) == "HTTP/1.1 421 Misdirected Request", foreign);
    }
    CHECK(status_of(served.ask("GET /healthz HTTP/1.0\r\n\r\n")) == "HTTP/1.1 200 OK");
}

TEST_CASE("requests that are sent ahead are answered in order over one connection") {
    Served served;
    std::string all;
    for (int i = 0; i < 100; ++i) all += "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    all += "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const std::string replies = served.ask(all);
    CHECK(count(replies, "HTTP/1.1 200 OK\r\n") == 100);
    CHECK(replies.rfind("HTTP/1.1 404") > replies.rfind("HTTP/1.1 200"));
    // In pieces, too.
    const auto slow = served.client();
    for (const char* piece : {"GET /hea", "lthz HT", "TP/1.1\r\nHost: loc", "alhost\r\n\r", "\n"}) {
        CHECK(slow->got().empty());
        slow->send(piece);
        served.cluster.run_for(2ms);
    }
    CHECK(served.run_until([&] { return has(slow->got(), "the node works"); }));
}

TEST_CASE("who takes long to ask, or asks for nothing, is let go") {
    Served served({.request_timeout = 30ms, .idle_timeout = 60ms});
    const auto slow = served.client();
    slow->send("GET / HTTP/1.1\r\nHost: loc");
    const auto idle = served.client();
    idle->listen();
    CHECK(served.run_until([&] { return slow->ended(); }));
    CHECK(status_of(slow->got()) == "HTTP/1.1 408 Request Timeout");
    CHECK(served.run_until([&] { return idle->ended(); }));
    CHECK(idle->got().empty());
    CHECK(served.run_until([&] { return served.server->connections() == 0; }));
}

TEST_CASE("whoever asks is answered, however many only hold places") {
    Served served({.max_connections = 3});
    std::vector<std::unique_ptr<Client>> many;
    for (int i = 0; i < 10; ++i) {
        many.push_back(served.client());
        many.back()->send("GET / HT");
        CHECK(served.run_until([&] { return served.server->connections() != 0; }));
    }
    CHECK(status_of(served.get("/healthz")) == "HTTP/1.1 200 OK");
    CHECK(served.run_until([&] { return many[0]->ended(); }));
    CHECK(served.server->connections() <= 3);
}

TEST_CASE("whoever asks is answered a second later, however many take no answers") {
    Served served({.max_connections = 3, .reply_timeout = 10min});
    std::string ahead;
    for (int i = 0; i < 200; ++i) ahead += "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::vector<std::unique_ptr<Client>> deaf;
    for (std::size_t i = 1; i <= 3; ++i) {
        deaf.push_back(served.client());
        deaf.back()->send_only(ahead);
        CHECK(served.run_until([&] { return served.server->connections() == i; }));
    }
    // Each of them is left its second.
    served.cluster.run_for(10ms);
    CHECK(served.get("/healthz").empty());
    CHECK(served.run_until([&] {
        served.cluster.run_for(10ms);
        return status_of(served.get("/healthz")) == "HTTP/1.1 200 OK";
    }));
    deaf[0]->listen();
    CHECK(served.run_until([&] { return deaf[0]->ended(); }));
}

TEST_CASE("a node without a quorum works and is not ready; one that has stopped does neither") {
    Served served({}, false);
    CHECK(status_of(served.get("/healthz")) == "HTTP/1.1 200 OK");
    const std::string ready = served.get("/readyz");
    CHECK(status_of(ready) == "HTTP/1.1 503 Service Unavailable");
    CHECK(body_of(ready) == "no leader is known\n");
    served.replica->async_stop([](boost::system::error_code) {});
    CHECK(served.run_until([&] { return served.replica->status().stopped; }));
    CHECK(status_of(served.get("/healthz")) == "HTTP/1.1 503 Service Unavailable");
    CHECK(body_of(served.get("/readyz")) == "the node has stopped\n");
    CHECK(has(served.get("/metrics"), "\nrsm_up 0\n"));
}

}  // namespace

}  // namespace http_test
