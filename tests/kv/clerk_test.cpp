// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "server_support.hpp"

#include <kv/clerk.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clerk_test {

using namespace kv_test;

namespace {

struct Ended {
    boost::system::error_code error;
    kv::Answer answer;
};

/// Starts an operation and runs until it ends.
template <class Start>
Ended wait(boost::asio::io_context& io, Start start) {
    std::optional<Ended> ended;
    start([&ended](boost::system::error_code error, kv::Answer answer) {
        ended = Ended{error, std::move(answer)};
    });
    REQUIRE_FALSE(ended);  // never from inside
    REQUIRE(run_until(io, [&ended] { return ended.has_value(); }));
    return *ended;
}
Ended get(boost::asio::io_context& io, kv::Clerk& clerk, std::string_view key) {
    return wait(io, [&](auto done) { clerk.async_get(key, done); });
}
Ended put(boost::asio::io_context& io, kv::Clerk& clerk, std::string_view key,
          std::string_view value, std::uint64_t version) {
    return wait(io, [&](auto done) { clerk.async_put(key, value, version, done); });
}

kv::ClerkOptions options(std::vector<std::string> servers) {
    kv::ClerkOptions options;
    options.servers = std::move(servers);
    return options;
}

/// Stands between clients and one server. While `drop` holds, it passes requests on and throws the
/// connection away instead of passing on the reply.
class Proxy {
public:
    Proxy(boost::asio::io_context& io, std::uint16_t server)
        : io_(io), acceptor_(io, any_port()), server_(server) {
        accept();
    }
    std::string address() const { return address_of(acceptor_.local_endpoint().port()); }

    int drop = 0;  ///< so many replies are still to be thrown away

private:
    struct Link {
        explicit Link(boost::asio::io_context& io) : client(io), server(io) {}
        tcp::socket client;
        tcp::socket server;
        std::array<char, 4096> up;
        std::array<char, 4096> down;
    };

    void accept() {
        auto link = std::make_shared<Link>(io_);
        acceptor_.async_accept(link->client, [this, link](boost::system::error_code error) {
            if (error) return;
            link->server.connect({boost::asio::ip::address_v4::loopback(), server_});
            pump(link, link->client, link->server, link->up, false);
            pump(link, link->server, link->client, link->down, true);
            accept();
        });
    }

    void pump(const std::shared_ptr<Link>& link, tcp::socket& from, tcp::socket& to,
              std::array<char, 4096>& room, bool replies) {
        from.async_read_some(
            boost::asio::buffer(room), [this, link, &from, &to, &room, replies](
                                           boost::system::error_code error, std::size_t count) {
                if (error || (replies && drop > 0)) {
                    if (!error) --drop;
                    link->client.close();
                    link->server.close();
                    return;
                }
                boost::asio::write(to, boost::asio::buffer(room.data(), count), error);
                if (!error) pump(link, from, to, room, replies);
            });
    }

    boost::asio::io_context& io_;
    tcp::acceptor acceptor_;
    std::uint16_t server_;
};

/// Knows nothing but another server.
class Redirector {
public:
    Redirector(boost::asio::io_context& io, const std::string& to)
        : acceptor_(io, any_port()), reply_("-MOVED 0 " + to + "\r\n") {
        accept();
    }
    std::string address() const { return address_of(acceptor_.local_endpoint().port()); }

    int requests = 0;

private:
    struct Link {
        explicit Link(tcp::socket accepted) : socket(std::move(accepted)) {}
        tcp::socket socket;
        std::array<char, 4096> room;
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
            if (error) return;
            serve(std::make_shared<Link>(std::move(socket)));
            accept();
        });
    }
    void serve(const std::shared_ptr<Link>& link) {
        link->socket.async_read_some(boost::asio::buffer(link->room),
                                     [this, link](boost::system::error_code error, std::size_t) {
                                         if (error) return;
                                         ++requests;
                                         boost::asio::write(link->socket,
                                                            boost::asio::buffer(reply_), error);
                                         if (!error) serve(link);
                                     });
    }

    tcp::acceptor acceptor_;
    std::string reply_;
};

}  // namespace

TEST_CASE("kv clerk: a put takes effect at the version of the key only, and a get tells it") {
    KvCluster cluster;
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(cluster.leader())}));
    CHECK(get(cluster.io, clerk, "k").answer.err == kv::Err::no_key);
    CHECK(put(cluster.io, clerk, "k", "a", 7).answer.err == kv::Err::no_key);
    const Ended first = put(cluster.io, clerk, "k", "a", 0);
    CHECK_FALSE(first.error);
    CHECK(first.answer.err == kv::Err::ok);
    CHECK(first.answer.version == 1);
    CHECK(put(cluster.io, clerk, "k", "b", 0).answer.err == kv::Err::version);
    CHECK(put(cluster.io, clerk, "k", "b", 1).answer.version == 2);
    const Ended read = get(cluster.io, clerk, "k");
    CHECK(read.answer.err == kv::Err::ok);
    CHECK(read.answer.value == "b");
    CHECK(read.answer.version == 2);
}

TEST_CASE("kv clerk: a follower leads it to the leader, which it then asks first") {
    KvCluster cluster;
    const std::size_t follower = cluster.follower();
    const kv::ServerCounters& counters = cluster.servers[follower]->counters();
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(follower)}));
    CHECK(put(cluster.io, clerk, "k", "a", 0).answer.err == kv::Err::ok);
    CHECK(counters.commands == 1);
    CHECK(put(cluster.io, clerk, "k", "b", 1).answer.err == kv::Err::ok);
    CHECK(counters.commands == 1);
}

TEST_CASE("kv clerk: servers that have answered are remembered, in case that the listed ones go") {
    KvCluster cluster;
    kv::ClerkOptions quick = options({});
    quick.attempt_timeout = std::chrono::milliseconds(200);
    auto listed = std::make_unique<Redirector>(cluster.io, cluster.address(cluster.leader()));
    quick.servers = {listed->address()};
    kv::Clerk clerk(cluster.io.get_executor(), quick);
    const std::size_t first = cluster.leader();
    REQUIRE(put(cluster.io, clerk, "k", "a", 0).answer.err != kv::Err::no_key);
    listed.reset();
    cluster.replicas[first + 1].async_transfer_leadership({}, std::chrono::seconds(1),
                                                          boost::asio::detached);
    REQUIRE(run_until(cluster.io, [&] { return cluster.leader() != first; }));
    const std::size_t second = cluster.leader();
    REQUIRE(get(cluster.io, clerk, "k").answer.value == "a");
    // The one that leads last and is asked first is gone, too.
    cluster.network->isolate({second + 1});
    CHECK(get(cluster.io, clerk, "k").answer.value == "a");
}

TEST_CASE("kv clerk: a put refused after it was sent to a follower first is in doubt") {
    KvCluster cluster;
    kv::Clerk writer(cluster.io.get_executor(), options(cluster.addresses()));
    REQUIRE(put(cluster.io, writer, "k", "a", 0).answer.err == kv::Err::ok);
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(cluster.follower())}));
    CHECK(put(cluster.io, clerk, "k", "b", 0).answer.err == kv::Err::maybe);
    CHECK(put(cluster.io, clerk, "k", "b", 0).answer.err == kv::Err::version);
}

TEST_CASE("kv clerk: a put whose reply was lost took effect, and is in doubt") {
    KvCluster cluster;
    Proxy proxy(cluster.io, cluster.servers[cluster.leader()]->port());
    kv::Clerk clerk(cluster.io.get_executor(), options({proxy.address()}));
    proxy.drop = 1;
    CHECK(put(cluster.io, clerk, "k", "a", 0).answer.err == kv::Err::maybe);
    CHECK(proxy.drop == 0);
    const Ended read = get(cluster.io, clerk, "k");
    CHECK(read.answer.value == "a");
    CHECK(read.answer.version == 1);
    CHECK(put(cluster.io, clerk, "k", "b", 1).answer.err == kv::Err::ok);
}

TEST_CASE("kv clerk: a get whose reply was lost is simply asked again") {
    KvCluster cluster;
    Proxy proxy(cluster.io, cluster.servers[cluster.leader()]->port());
    kv::Clerk clerk(cluster.io.get_executor(), options({proxy.address()}));
    REQUIRE(put(cluster.io, clerk, "k", "a", 0).answer.err == kv::Err::ok);
    proxy.drop = 2;
    CHECK(get(cluster.io, clerk, "k").answer.value == "a");
    CHECK(get(cluster.io, clerk, "other").answer.err == kv::Err::no_key);
}

TEST_CASE("kv clerk: an operation goes on when the leader falls silent and another takes over") {
    KvCluster cluster;
    kv::ClerkOptions quick = options(cluster.addresses());
    quick.attempt_timeout = std::chrono::milliseconds(200);
    kv::Clerk clerk(cluster.io.get_executor(), quick);
    REQUIRE(put(cluster.io, clerk, "k", "a", 0).answer.err == kv::Err::ok);
    cluster.network->isolate({cluster.leader() + 1});
    const Ended second = put(cluster.io, clerk, "k", "b", 1);
    CHECK_FALSE(second.error);
    CHECK(second.answer.err != kv::Err::version);
    const Ended read = get(cluster.io, clerk, "k");
    CHECK(read.answer.value == "b");
    CHECK(read.answer.version == 2);
}

TEST_CASE("kv clerk: without an answer it gives up when the operation's time has passed") {
    boost::asio::io_context io;
    tcp::acceptor silent(io, any_port());  // connections stay in its queue
    kv::ClerkOptions limited = options({address_of(silent.local_endpoint().port())});
    limited.attempt_timeout = std::chrono::milliseconds(10);
    limited.operation_timeout = std::chrono::milliseconds(50);
    kv::Clerk clerk(io.get_executor(), limited);
    const auto begin = std::chrono::steady_clock::now();
    const Ended ended = put(io, clerk, "k", "a", 0);
    CHECK(ended.error == boost::asio::error::timed_out);
    CHECK(ended.answer.sent);
    CHECK(std::chrono::steady_clock::now() - begin >= limited.operation_timeout);
}

TEST_CASE("kv clerk: what no server could be sent was not done, which the answer says") {
    boost::asio::io_context io;
    const std::string nobody = address_of(tcp::acceptor(io, any_port()).local_endpoint().port());
    kv::ClerkOptions limited = options({nobody});
    limited.operation_timeout = std::chrono::milliseconds(100);
    kv::Clerk clerk(io.get_executor(), limited);
    const Ended ended = put(io, clerk, "k", "a", 0);
    CHECK(ended.error == boost::asio::error::timed_out);
    CHECK_FALSE(ended.answer.sent);
}

TEST_CASE("kv clerk: a second operation at once is refused and does not disturb the first") {
    KvCluster cluster;
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(cluster.leader())}));
    std::optional<Ended> first;
    clerk.async_put("k", "a", 0, [&first](boost::system::error_code error, kv::Answer answer) {
        first = Ended{error, std::move(answer)};
    });
    CHECK(get(cluster.io, clerk, "k").error == boost::asio::error::in_progress);
    REQUIRE(run_until(cluster.io, [&first] { return first.has_value(); }));
    CHECK(first->answer.err == kv::Err::ok);
}

TEST_CASE("kv clerk: one that is destroyed ends its operation") {
    KvCluster cluster;
    std::vector<boost::system::error_code> ended;
    {
        kv::Clerk clerk(cluster.io.get_executor(), options(cluster.addresses()));
        clerk.async_get("k", [&ended](boost::system::error_code error, const kv::Answer&) {
            ended.push_back(error);
        });
    }
    REQUIRE(run_until(cluster.io, [&ended] { return !ended.empty(); }));
    CHECK(ended == std::vector<boost::system::error_code>{boost::asio::error::operation_aborted});
}

TEST_CASE("kv clerk: one that is destroyed while a server keeps it waiting ends its operation") {
    boost::asio::io_context io;
    tcp::acceptor silent(io, any_port());
    bool connected = false;
    silent.async_accept(
        [&connected](boost::system::error_code error, tcp::socket) { connected = !error; });
    auto clerk = std::make_unique<kv::Clerk>(io.get_executor(),
                                             options({address_of(silent.local_endpoint().port())}));
    std::vector<boost::system::error_code> ended;
    clerk->async_put("k", "a", 0, [&ended](boost::system::error_code error, const kv::Answer&) {
        ended.push_back(error);
    });
    REQUIRE(run_until(io, [&connected] { return connected; }));
    clerk.reset();
    io.restart();
    io.run();  // nothing is left behind that would keep it running
    CHECK(ended == std::vector<boost::system::error_code>{boost::asio::error::operation_aborted});
}

TEST_CASE("kv clerk: a redirect to a host that does not answer holds it up for a moment only") {
    KvCluster cluster;
    // Whoever comes now waits for a connection without end: the queue is full.
    tcp::acceptor hole(cluster.io);
    hole.open(tcp::v4());
    hole.bind(any_port());
    hole.listen(0);
    std::array<std::optional<tcp::socket>, 8> filling;
    for (auto& socket : filling) {
        socket.emplace(cluster.io, tcp::v4());
        socket->async_connect(hole.local_endpoint(), [](boost::system::error_code) {});
    }
    Redirector liar(cluster.io, address_of(hole.local_endpoint().port()));
    kv::ClerkOptions patient = options({liar.address(), cluster.address(cluster.leader())});
    patient.attempt_timeout = std::chrono::minutes(10);
    patient.connect_timeout = std::chrono::milliseconds(20);
    kv::Clerk clerk(cluster.io.get_executor(), patient);
    CHECK(put(cluster.io, clerk, "k", "a", 0).answer.version == 1);
}

TEST_CASE("kv clerk: a redirect to a server that was silent is not followed again at once") {
    boost::asio::io_context io;
    tcp::acceptor silent(io, any_port());
    Redirector liar(io, address_of(silent.local_endpoint().port()));
    kv::ClerkOptions quick = options({liar.address()});
    quick.attempt_timeout = std::chrono::milliseconds(200);
    kv::Clerk clerk(io.get_executor(), quick);
    clerk.async_get("k", [](boost::system::error_code, const kv::Answer&) {});
    int connections = 0;
    std::vector<tcp::socket> held;
    std::function<void()> accept = [&] {
        silent.async_accept([&](boost::system::error_code error, tcp::socket socket) {
            if (error) return;
            ++connections;
            held.push_back(std::move(socket));
            accept();
        });
    };
    accept();
    REQUIRE(run_until(io, [&] { return liar.requests >= 5; }));
    CHECK(connections == 1);
}

TEST_CASE("kv clerk: a request that the service refuses for what it is ends with its reason") {
    KvClusterOptions small = quick_options();
    small.replica.raft.max_entry_bytes = 1000;
    KvCluster cluster(small);
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(cluster.leader())}));
    const Ended ended = put(cluster.io, clerk, "k", std::string(2000, 'x'), 0);
    CHECK(ended.error == boost::system::errc::invalid_argument);
    CHECK(ended.answer.value.starts_with("ERR"));
}

TEST_CASE("kv clerk: servers that are no addresses are refused at once") {
    boost::asio::io_context io;
    CHECK_THROWS_AS(kv::Clerk(io.get_executor(), options({})), std::invalid_argument);
    CHECK_THROWS_AS(kv::Clerk(io.get_executor(), options({"nowhere"})), std::invalid_argument);
}

TEST_CASE("kv clerk: futures and coroutines work as well as callbacks") {
    KvCluster cluster;
    kv::Clerk clerk(cluster.io.get_executor(), options({cluster.address(cluster.leader())}));
    std::future<kv::Answer> future = clerk.async_put("k", "a", 0, boost::asio::use_future);
    REQUIRE(run_until(cluster.io, [&future] {
        return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }));
    CHECK(future.get().version == 1);
    std::string value;
    boost::asio::co_spawn(
        cluster.io,
        [&]() -> boost::asio::awaitable<void> {
            co_await clerk.async_set("k", "b", boost::asio::use_awaitable);
            value = (co_await clerk.async_get("k", boost::asio::use_awaitable)).value;
        },
        boost::asio::detached);
    REQUIRE(run_until(cluster.io, [&value] { return !value.empty(); }));
    CHECK(value == "b");
}

}  // namespace clerk_test
