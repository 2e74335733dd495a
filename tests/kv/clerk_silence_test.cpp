// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "server_support.hpp"

#include <kv/clerk.hpp>

#include <boost/asio/steady_timer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace clerk_silence_test {

using namespace kv_test;
using std::chrono::milliseconds;

namespace {

/// Gives one answer to whatever it is asked, after a while.
class Scripted {
public:
    Scripted(boost::asio::io_context& io, milliseconds delay)
        : io_(io), acceptor_(io, any_port()), delay_(delay) {
        accept();
    }
    std::string address() const { return address_of(acceptor_.local_endpoint().port()); }

    std::string answer;
    int requests = 0;

private:
    struct Link {
        Link(tcp::socket accepted, boost::asio::io_context& io)
            : socket(std::move(accepted)), timer(io) {}
        tcp::socket socket;
        boost::asio::steady_timer timer;
        std::array<char, 4096> room;
    };

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
            if (error) return;
            serve(std::make_shared<Link>(std::move(socket), io_));
            accept();
        });
    }
    void serve(const std::shared_ptr<Link>& link) {
        link->socket.async_read_some(
            boost::asio::buffer(link->room),
            [this, link](boost::system::error_code error, std::size_t) {
                if (error) return;
                ++requests;
                link->timer.expires_after(delay_);
                link->timer.async_wait([this, link](boost::system::error_code) {
                    boost::system::error_code gone;
                    boost::asio::write(link->socket, boost::asio::buffer(answer), gone);
                    if (!gone) serve(link);
                });
            });
    }

    boost::asio::io_context& io_;
    tcp::acceptor acceptor_;
    milliseconds delay_;
};

std::string moved(const Scripted& to) { return "-MOVED 0 " + to.address() + "\r\n"; }

kv::ClerkOptions options(std::vector<std::string> servers) {
    kv::ClerkOptions options;
    options.servers = std::move(servers);
    options.doubt_timeout = milliseconds(20);
    options.attempt_timeout = milliseconds(100);
    return options;
}

std::optional<kv::Answer> put(boost::asio::io_context& io, kv::Clerk& clerk) {
    std::optional<kv::Answer> answer;
    clerk.async_put("k", "a", 0, [&answer](boost::system::error_code error, kv::Answer given) {
        if (!error) answer = std::move(given);
    });
    run_until(io, [&answer] { return answer.has_value(); });
    return answer;
}

}  // namespace

TEST_CASE("kv clerk: a leader that is slow, and that another names, is waited for") {
    boost::asio::io_context io;
    Scripted leader(io, milliseconds(500));
    leader.answer = ":1\r\n";
    Scripted follower(io, milliseconds(0));
    follower.answer = moved(leader);
    kv::Clerk clerk(io.get_executor(), options({leader.address(), follower.address()}));
    const auto answer = put(io, clerk);
    REQUIRE(answer);
    CHECK(answer->version == 1);
    CHECK(leader.requests == 1);
    CHECK(follower.requests > 1);
}

TEST_CASE("kv clerk: who is asked besides, and only names the leader, raises no doubt") {
    boost::asio::io_context io;
    Scripted leader(io, milliseconds(900));
    leader.answer = "-VERSION it is another\r\n";
    Scripted follower(io, milliseconds(0));
    follower.answer = moved(leader);
    kv::ClerkOptions once = options({leader.address(), follower.address()});
    once.doubt_timeout = milliseconds(700);  // and then again 350 ms later
    once.attempt_timeout = std::chrono::minutes(10);
    kv::Clerk clerk(io.get_executor(), once);
    const auto answer = put(io, clerk);
    REQUIRE(answer);
    CHECK(follower.requests == 1);
    CHECK(answer->err == kv::Err::version);
}

TEST_CASE("kv clerk: where a leader is silent another one is asked besides, and then instead") {
    boost::asio::io_context io;
    Scripted former(io, std::chrono::minutes(10));
    Scripted leader(io, milliseconds(0));
    leader.answer = ":1\r\n";
    Scripted follower(io, milliseconds(0));
    follower.answer = moved(leader);
    kv::ClerkOptions patient = options({former.address(), follower.address()});
    patient.attempt_timeout = std::chrono::minutes(10);
    kv::Clerk clerk(io.get_executor(), patient);
    REQUIRE(put(io, clerk));
    REQUIRE(put(io, clerk));
    CHECK(leader.requests == 2);
    CHECK(follower.requests == 1);
    CHECK(former.requests == 1);
}

TEST_CASE("kv clerk: a put that one refuses while another has not answered yet is in doubt") {
    boost::asio::io_context io;
    Scripted former(io, std::chrono::minutes(10));
    Scripted leader(io, milliseconds(0));
    leader.answer = "-VERSION it is another\r\n";
    kv::ClerkOptions patient = options({former.address(), leader.address()});
    patient.attempt_timeout = std::chrono::minutes(10);
    kv::Clerk clerk(io.get_executor(), patient);
    const auto answer = put(io, clerk);
    REQUIRE(answer);
    CHECK(answer->err == kv::Err::maybe);
}

TEST_CASE("kv clerk: a put that one refuses for good after another was given up may yet happen") {
    boost::asio::io_context io;
    Scripted former(io, std::chrono::minutes(10));
    Scripted other(io, milliseconds(0));
    other.answer = "-CLUSTERDOWN nobody leads\r\n";
    kv::Clerk clerk(io.get_executor(), options({former.address(), other.address()}));
    std::optional<boost::system::error_code> ended;
    clerk.async_put("k", "a", 0, [&ended](boost::system::error_code error, const kv::Answer&) {
        ended = error;
    });
    const auto begin = std::chrono::steady_clock::now();
    run_until(io, [&] { return std::chrono::steady_clock::now() - begin > milliseconds(150); });
    SUBCASE("for what it is") { other.answer = "-ERR it is too large\r\n"; }
    SUBCASE("for who asks") { other.answer = "-NOAUTH who is it?\r\n"; }
    REQUIRE(run_until(io, [&ended] { return ended.has_value(); }));
    CHECK(*ended == boost::asio::error::timed_out);
}

TEST_CASE("kv clerk: a put that one refuses after another was given up is in doubt") {
    boost::asio::io_context io;
    Scripted former(io, std::chrono::minutes(10));
    Scripted busy(io, milliseconds(0));
    busy.answer = "-CLUSTERDOWN nobody leads\r\n";
    kv::Clerk clerk(io.get_executor(), options({former.address(), busy.address()}));
    std::optional<kv::Answer> answer;
    clerk.async_put("k", "a", 0, [&answer](boost::system::error_code error, kv::Answer given) {
        if (!error) answer = std::move(given);
    });
    const auto begin = std::chrono::steady_clock::now();
    run_until(io, [&] { return std::chrono::steady_clock::now() - begin > milliseconds(150); });
    busy.answer = "-VERSION it is another\r\n";
    REQUIRE(run_until(io, [&answer] { return answer.has_value(); }));
    CHECK(answer->err == kv::Err::maybe);
}

TEST_CASE("kv clerk: two that name each other are not asked without a pause") {
    boost::asio::io_context io;
    Scripted silent(io, std::chrono::minutes(10));
    Scripted one(io, milliseconds(0));
    Scripted other(io, milliseconds(0));
    one.answer = moved(other);
    other.answer = moved(one);
    kv::ClerkOptions patient = options({silent.address(), one.address()});
    patient.attempt_timeout = std::chrono::minutes(10);
    kv::Clerk clerk(io.get_executor(), patient);
    clerk.async_put("k", "a", 0, [](boost::system::error_code, const kv::Answer&) {});
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(run_until(io, [&] { return one.requests >= 5; }));
    CHECK(std::chrono::steady_clock::now() - begin >= 4 * milliseconds(10));
}

TEST_CASE("kv clerk: hosts where no server is hold up nobody who looks for the leader") {
    boost::asio::io_context io;
    Scripted silent(io, std::chrono::minutes(10));
    Scripted leader(io, milliseconds(0));
    leader.answer = ":1\r\n";
    std::vector<std::string> servers{silent.address()};
    for (int i = 0; i < 3; ++i) {
        tcp::acceptor gone(io, any_port());
        servers.push_back(address_of(gone.local_endpoint().port()));
    }
    servers.push_back(leader.address());
    kv::ClerkOptions once = options(servers);
    once.doubt_timeout = milliseconds(1000);
    once.attempt_timeout = std::chrono::minutes(10);
    kv::Clerk clerk(io.get_executor(), once);
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(put(io, clerk));
    CHECK(std::chrono::steady_clock::now() - begin < milliseconds(1450));  // one look around
}

}  // namespace clerk_silence_test
