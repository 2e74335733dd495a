// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Users and passwords: what a server that has some does for strangers, and what clients say.
#include "server_support.hpp"

#include "support/temporary_directory.hpp"

#include <kv/clerk.hpp>
#include <kv/cli_members.hpp>
#include <kv/connection_commands.hpp>
#include <kv/credentials.hpp>
#include <kv/guess_limit.hpp>

#include <boost/system/errc.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace auth_test {

using namespace kv_test;

namespace {

const kv::Credentials ann{"ann", "correct horse"};
const kv::Credentials usual{"default", "battery"};

/// What the servers have said to their operator.
struct Watched {
    explicit Watched(KvClusterOptions options = quick_options()) {
        options.server.accounts = kv::Accounts(std::vector<kv::Credentials>{ann, usual});
        options.server.log = [told = lines](std::string_view line) { told->emplace_back(line); };
        cluster.emplace(options);
    }
    std::shared_ptr<std::vector<std::string>> lines = std::make_shared<std::vector<std::string>>();
    std::optional<KvCluster> cluster;
};

std::string refusal(std::string_view text) {
    try {
        kv::parse_accounts(text);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

constexpr const char* no_auth = "NOAUTH Authentication required.";
constexpr const char* wrong = "WRONGPASS invalid username-password pair or user is disabled.";

struct Ended {
    boost::system::error_code error;
    kv::Answer answer;
};
Ended set(boost::asio::io_context& io, kv::Clerk& clerk) {
    std::optional<Ended> ended;
    clerk.async_set("k", "v", [&](boost::system::error_code error, kv::Answer answer) {
        ended = Ended{error, std::move(answer)};
    });
    REQUIRE(run_until(io, [&] { return ended.has_value(); }));
    return *ended;
}

}  // namespace

TEST_CASE("accounts: user and password are compared as wholes") {
    const std::string nul("a\0b", 3);
    const kv::Accounts accounts(std::vector<kv::Credentials>{ann, usual, {"nul", nul}});
    CHECK(accounts.admit("ann", "correct horse"));
    CHECK(accounts.admit("default", "battery"));
    CHECK(accounts.admit("nul", nul));
    CHECK_FALSE(accounts.admit("nul", "a"));
    CHECK_FALSE(accounts.admit("nul", std::string("a\0c", 3)));
    CHECK_FALSE(accounts.admit("default", "correct horse"));
    CHECK_FALSE(accounts.admit("ann", "battery"));
    for (const std::string_view password :
         {"", "c", "correct hors", "correct horsf", "correct horse ", "Correct horse"}) {
        CAPTURE(password);
        CHECK_FALSE(accounts.admit("ann", password));
    }
    CHECK_FALSE(accounts.admit("", "correct horse"));
    CHECK_FALSE(accounts.admit("ann", "correct horse" + std::string(1000, '\0')));
    CHECK_FALSE(accounts.admit(std::string(100'000, 'a'), std::string(100'000, 'b')));
    const std::string longest(kv::password_bytes_max, 'p');
    const kv::Accounts other(std::vector<kv::Credentials>{{"u", longest}});
    CHECK(other.admit("u", longest));
    CHECK_FALSE(other.admit("u", longest + "p"));
    CHECK_FALSE(other.admit("u", longest.substr(1)));
}

TEST_CASE("accounts: a file has one in each line") {
    const auto accounts = kv::parse_accounts("# who may\n\nann correct horse\r\nbattery\neve a");
    REQUIRE(accounts.size() == 3);
    CHECK(accounts[0].user == "ann");
    CHECK(accounts[0].password == "correct horse");
    CHECK(accounts[1].user == "default");
    CHECK(accounts[1].password == "battery");
    CHECK(accounts[2].password == "a");
    CHECK(kv::parse_accounts("").empty());
    // What is refused is not repeated: it may be a secret.
    CHECK(refusal("a b\nann ") == "line 2: a password has 1 to 512 bytes");
    CHECK(refusal(" secret") == "line 1: a user has 1 to 64 bytes");
    CHECK(refusal(std::string(65, 'u') + " p") == "line 1: a user has 1 to 64 bytes");
    CHECK(refusal(std::string(513, 'p')) == "line 1: a password has 1 to 512 bytes");
    std::vector<kv::Credentials> many(kv::accounts_max + 1, ann);
    CHECK_THROWS_AS(kv::Accounts{many}, std::invalid_argument);
}

TEST_CASE("accounts: they come from the file, or else from the environment") {
    const rsm_test::TemporaryDirectory directory;
    const std::string path = directory / "accounts";
    rsm_test::write_file(path, "ann correct horse\n");
    ::setenv("KV_PASSWORD", "battery", 1);
    CHECK(kv::find_credentials("--auth-file", path).user == "ann");
    CHECK(kv::find_credentials("--auth-file", "").user == "default");
    CHECK(kv::find_credentials("--auth-file", "").password == "battery");
    ::setenv("KV_USER", "bob", 1);
    CHECK(kv::find_credentials("--auth-file", "").user == "bob");
    // A password that is not there protects nothing.
    ::setenv("KV_PASSWORD", "", 1);
    CHECK_THROWS_WITH(kv::find_accounts("--auth-file", ""),
                      "KV_USER and KV_PASSWORD: a password has 1 to 512 bytes");
    ::unsetenv("KV_PASSWORD");
    CHECK_THROWS_AS(kv::find_accounts("--auth-file", ""), std::invalid_argument);
    ::unsetenv("KV_USER");
    CHECK(kv::find_accounts("--auth-file", "").empty());
    CHECK_THROWS_WITH(kv::find_accounts("--auth-file", "/none"),
                      "--auth-file: /none: cannot be read");
    rsm_test::write_file(path, "# nobody\n");
    CHECK_THROWS_AS(kv::find_accounts("--auth-file", path), std::invalid_argument);
    rsm_test::write_file(path, std::string(70'000, '#'));
    CHECK_THROWS_AS(kv::find_accounts("--auth-file", path), std::invalid_argument);
}

TEST_CASE("kv server: nothing is done for one who has not said who it is") {
    Watched watched;
    KvCluster& cluster = *watched.cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    for (const std::vector<std::string_view>& words :
         std::vector<std::vector<std::string_view>>{{"GET", "k"},
                                                    {"SET", "k", "v"},
                                                    {"PING"},
                                                    {"INFO"},
                                                    {"CLUSTER", "SLOTS"},
                                                    {"COMMAND"},
                                                    {"CONFIG", "GET", "*"},
                                                    {"CONFIG", "SET", "loglevel", "debug"},
                                                    {"RAFT.SNAPSHOT"},
                                                    {"CLIENT", "ID"},
                                                    {"MEMBER", "LIST"},
                                                    {"MEMBER", "FOUNDING"},
                                                    {"TRANSFER"},
                                                    {"RAFT.STATUS"},
                                                    {"RAFT.DIGEST"},
                                                    {"RAFT.BARRIER"},
                                                    {"RAFT.BACKUP", "BEGIN"},
                                                    {"NONSENSE"},
                                                    {"GET"}}) {
        CAPTURE(words.front());
        CHECK(client.ask(words).text == no_auth);
    }
    CHECK(client.ask({"HELLO", "3"}).text.starts_with("NOAUTH HELLO must be called"));
    CHECK(client.ask({"HELLO"}).text.starts_with("NOAUTH HELLO must be called"));
    CHECK(client.ask({"AUTH"}).is_error("ERR"));
    CHECK(client.ask({"AUTH", "a", "b", "c"}).text == "ERR syntax error");
    CHECK(client.ask({"AUTH", "correct horse"}).text == wrong);
    CHECK(client.ask({"AUTH", "ann", "battery"}).text == wrong);
    CHECK(client.ask({"AUTH", "ann", "correct horse"}) == simple("OK"));
    CHECK(client.ask({"SET", "k", "v"}) == simple("OK"));
    // Who is known stays so, whatever it tries.
    CHECK(client.ask({"AUTH", "wrong"}).text == wrong);
    CHECK(client.ask({"GET", "k"}) == bulk("v"));
    TestClient ends(cluster, leader);
    CHECK(ends.ask({"QUIT"}) == simple("OK"));
    CHECK(ends.is_closed());
}

TEST_CASE("kv server: AUTH, HELLO and what follows may come in one piece") {
    Watched watched;
    KvCluster& cluster = *watched.cluster;
    const std::size_t leader = cluster.leader();
    TestClient client(cluster, leader);
    // The value is larger than what a stranger may send.
    const std::string value(100'000, 'x');
    client.send(request({"GET", "k"}) + request({"AUTH", "battery"}) +
                request({"SET", "k", value}) + request({"GET", "k"}));
    const std::vector<kv::Reply> replies = client.receive(4);
    CHECK(replies[0].text == no_auth);
    CHECK(replies[1] == simple("OK"));
    CHECK(replies[2] == simple("OK"));
    CHECK(replies[3] == bulk(value));
    TestClient modern(cluster, leader);
    CHECK(modern.ask({"HELLO", "3", "AUTH", "ann", "battery"}).text == wrong);
    CHECK(modern.ask({"CLIENT", "ID"}).text == no_auth);
    // One look at the accounts for each request.
    for (const std::string_view second : {"correct horse", "battery"}) {
        CHECK(modern.ask({"HELLO", "2", "AUTH", "ann", "correct horse", "AUTH", "ann", second})
                  .text == "ERR Syntax error in HELLO");
        CHECK(modern.ask({"CLIENT", "ID"}).text == no_auth);
    }
    const kv::Reply hello =
        modern.ask({"HELLO", "2", "AUTH", "ann", "correct horse", "SETNAME", "x"});
    CHECK(hello.elements.size() == 14);
    CHECK(modern.ask({"CLIENT", "GETNAME"}) == bulk("x"));
}

TEST_CASE("kv server: strangers may send little, try little, and have little time") {
    KvClusterOptions options = quick_options();
    options.server.request_timeout = std::chrono::milliseconds(200);
    Watched watched(options);
    KvCluster& cluster = *watched.cluster;
    const std::size_t leader = cluster.leader();
    TestClient large(cluster, leader);
    CHECK(large.ask({"SET", "k", std::string(5000, 'x')}).is_error("ERR"));
    CHECK(large.is_closed());
    TestClient many(cluster, leader);
    many.send("*17\r\n");
    CHECK(many.receive(2).size() == 1);
    TestClient guesses(cluster, leader);
    for (std::size_t i = 1; i <= kv::detail::failed_logins_max; ++i) {
        CHECK(guesses.ask({"AUTH", "ann", "guess"}).text == wrong);
    }
    CHECK(guesses.is_closed());
    const auto& counters = cluster.servers[leader]->counters();
    CHECK(counters.failed_logins == kv::detail::failed_logins_max);
    TestClient silent(cluster, leader);
    TestClient known(cluster, leader);
    REQUIRE(known.ask({"AUTH", "battery"}) == simple("OK"));
    const std::vector<kv::Reply> last = silent.receive(2);
    REQUIRE(last.size() == 1);
    CHECK(last[0].text == "NOAUTH there was no AUTH in time");
    CHECK(known.ask({"PING"}) == simple("PONG"));
    std::string told;
    for (const std::string& line : *watched.lines) told += line + "\n";
    CHECK(told.find("gave a wrong user or password, attempt 1\n") != std::string::npos);
    CHECK(told.find("gave a wrong user or password, which was its last") != std::string::npos);
    CHECK(told.find("closed: it does not say who it is (--request-timeout)") != std::string::npos);
    // Neither what is right nor what was tried.
    for (const char* secret : {"guess", "battery", "horse", "ann"}) {
        CHECK(told.find(secret) == std::string::npos);
    }
}

TEST_CASE("guess limit: a place is wrong so often at once, and then once in each interval") {
    using namespace std::chrono_literals;
    const auto place = [](const char* text) { return boost::asio::ip::make_address(text); };
    const auto begin = kv::GuessLimit::Clock::time_point{} + 1h;
    kv::GuessLimit limit(1s);
    const auto guesses = [&](const char* from, auto now) {
        std::size_t count = 0;
        for (; count < 1000 && limit.admits(place(from), now); ++count) {
            limit.note_wrong(place(from), now);
        }
        return count;
    };
    CHECK(guesses("10.0.0.1", begin) == kv::GuessLimit::at_once);
    CHECK(guesses("10.0.0.1", begin + 999ms) == 0);
    CHECK(guesses("10.0.0.1", begin + 1s) == 1);
    CHECK(guesses("::ffff:10.0.0.1", begin + 1s) == 0);
    CHECK(guesses("10.0.0.2", begin + 1s) == kv::GuessLimit::at_once);
    CHECK(guesses("10.0.0.1", begin + 1h) == kv::GuessLimit::at_once);
    CHECK(guesses("2001:db8::1", begin) == kv::GuessLimit::at_once);
    CHECK(guesses("2001:db8::ffff:0:0:1", begin) == 0);
    CHECK(guesses("2001:db8:0:1::1", begin) == kv::GuessLimit::at_once);
    kv::GuessLimit none(0s);
    for (int i = 0; i < 100; ++i) none.note_wrong(place("10.0.0.1"), begin);
    CHECK(none.admits(place("10.0.0.1"), begin));
}

TEST_CASE("guess limit: of more places than it remembers, those with most left are forgotten") {
    using namespace std::chrono_literals;
    const auto place = [](std::uint32_t number) { return boost::asio::ip::address_v4(number); };
    const auto now = kv::GuessLimit::Clock::time_point{} + 1h;
    kv::GuessLimit limit(1s);
    for (std::size_t i = 0; i < kv::GuessLimit::at_once; ++i) limit.note_wrong(place(1), now);
    for (std::uint32_t i = 2; i < 10 * kv::GuessLimit::places_max; ++i) {
        limit.note_wrong(place(i), now);
    }
    CHECK_FALSE(limit.admits(place(1), now));
    CHECK(limit.admits(place(2), now));
}

TEST_CASE("kv server: who guesses is not listened to, on whatever connection, and others are") {
    KvClusterOptions options = quick_options();
    options.server.wrong_login_interval = std::chrono::hours(1);
    Watched watched(options);
    KvCluster& cluster = *watched.cluster;
    const std::size_t leader = cluster.leader();
    TestClient known(cluster, leader);
    REQUIRE(known.ask({"AUTH", "battery"}) == simple("OK"));
    std::size_t guesses = 0;
    while (guesses < kv::GuessLimit::at_once) {
        TestClient guessing(cluster, leader);
        for (std::size_t i = 0; i < kv::detail::failed_logins_max; ++i, ++guesses) {
            CHECK(guessing.ask({"AUTH", "ann", "guess"}).text == wrong);
        }
    }
    TestClient late(cluster, leader);
    CHECK(late.ask({"AUTH", "battery"}).is_error("BUSY"));
    CHECK(late.ask({"HELLO", "3", "AUTH", "ann", "correct horse"}).is_error("BUSY"));
    CHECK(late.ask({"GET", "k"}).text == no_auth);
    CHECK(known.ask({"SET", "k", "v"}) == simple("OK"));
    CHECK(cluster.servers[leader]->counters().failed_logins == kv::GuessLimit::at_once);
}

TEST_CASE("clerk: it says who it is, follows the leader so, and is told when it is refused") {
    Watched watched;
    KvCluster& cluster = *watched.cluster;
    cluster.leader();
    kv::ClerkOptions options;
    options.servers = cluster.addresses();
    options.credentials = ann;
    kv::Clerk known(cluster.io.get_executor(), options);
    CHECK_FALSE(set(cluster.io, known).error);
    options.credentials = {};
    kv::Clerk unknown(cluster.io.get_executor(), options);
    const Ended nobody = set(cluster.io, unknown);
    CHECK(nobody.error == boost::system::errc::permission_denied);
    CHECK(nobody.answer.value == no_auth);
    options.credentials = {"ann", "battery"};
    kv::Clerk mistaken(cluster.io.get_executor(), options);
    const Ended refused = set(cluster.io, mistaken);
    CHECK(refused.error == boost::system::errc::permission_denied);
    CHECK(refused.answer.value == wrong);
}

TEST_CASE("clerk: a server without passwords refuses one who believes that there are some") {
    KvCluster cluster;
    cluster.leader();
    kv::ClerkOptions options;
    options.servers = cluster.addresses();
    options.credentials = ann;
    kv::Clerk clerk(cluster.io.get_executor(), options);
    const Ended refused = set(cluster.io, clerk);
    CHECK(refused.error == boost::system::errc::permission_denied);
    CHECK(refused.answer.value.starts_with("ERR AUTH called without any password configured"));
}

}  // namespace auth_test
