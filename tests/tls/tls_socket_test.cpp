// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// TlsSocket by itself, and how soon handshakes begin.
#include "tls_support.hpp"

#include <rsm/transport/tls/context.hpp>
#include <rsm/transport/tls/pace.hpp>
#include <rsm/transport/tls/session.hpp>
#include <rsm/transport/tls/socket.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <doctest/doctest.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace tls_socket_test {

using namespace tls_test;
using namespace std::chrono_literals;
using rsm::detail::TlsPace;
using Tcp = boost::asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

constexpr TlsPace::Clock::time_point begin{};

std::string trusts_all(const X509*) { return {}; }

struct Ends {
    Ends() {
        acceptor.async_accept([this](Error error, Tcp::socket socket) {
            if (!error) accepted.emplace(std::move(socket));
        });
        client.async_connect(acceptor.local_endpoint(),
                             [this](Error error) { connected = !error; });
        REQUIRE(run_until(io, [this] { return accepted && connected; }));
    }
    std::shared_ptr<rsm::TlsContext> context(std::uint64_t node) const {
        return std::make_shared<rsm::TlsContext>(authority.issue_node(node));
    }
    static rsm::TlsSocket::Shaken into(std::optional<rsm::TlsOutcome>& place) {
        return [&place](const rsm::TlsOutcome& outcome) { place = outcome; };
    }

    boost::asio::io_context io;
    rsm_test::TemporaryDirectory directory;
    Authority authority{directory.path(), "ours"};
    Tcp::acceptor acceptor{io, {boost::asio::ip::address_v4::loopback(), 0}};
    rsm::TlsSocket client{io.get_executor()};
    std::optional<rsm::TlsSocket> accepted;
    bool connected = false;
    std::optional<rsm::TlsOutcome> ours;
    std::optional<rsm::TlsOutcome> theirs;
};

/// An established connection: this library's end accepts, the other one does what OpenSSL can.
struct BareEnds {
    BareEnds() {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets.data()) == 0);
        const rsm::detail::SslContext context = rsm::detail::load_context(authority.issue_node(1));
        session.emplace(context, sockets[0], true, rsm::TlsAsks::nothing, nullptr);
        other.reset(SSL_new(context.get()));
        SSL_set_fd(other.get(), sockets[1]);
        SSL_set_connect_state(other.get());
        std::string why;
        using State = rsm::detail::TlsSession::State;
        for (State state = State::wants_read; state != State::done;) {
            REQUIRE(state != State::failed);
            SSL_do_handshake(other.get());
            state = session->shake_hands(why);
        }
    }
    BareEnds(const BareEnds&) = delete;
    BareEnds& operator=(const BareEnds&) = delete;
    ~BareEnds() {
        for (const int socket : sockets) close(socket);
    }
    void change_keys(int times) {
        for (int i = 0; i < times; ++i) {
            REQUIRE(SSL_key_update(other.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
            REQUIRE(SSL_do_handshake(other.get()) == 1);
        }
    }
    /// Sends so many bytes and takes them in.
    Error pass(std::size_t bytes) {
        std::size_t count = 0;
        const std::string data(bytes, 'x');
        REQUIRE(SSL_write_ex(other.get(), data.data(), bytes, &count) == 1);
        Error error;
        std::string place(bytes, ' ');
        for (std::size_t read = 0; read < bytes && !error;) {
            read += session->read(place.data(), bytes - read, error);
        }
        return error;
    }

    struct Free {
        void operator()(SSL* made) const { SSL_free(made); }
    };
    rsm_test::TemporaryDirectory directory;
    Authority authority{directory.path(), "ours"};
    std::array<int, 2> sockets{};
    std::optional<rsm::detail::TlsSession> session;
    std::unique_ptr<SSL, Free> other;
};

}  // namespace

TEST_CASE("tls: who changes its keys behind every few bytes is cut off") {
    BareEnds ends;
    ends.change_keys(30);
    CHECK_FALSE(ends.pass(1));
    ends.change_keys(3);
    CHECK(ends.pass(1).message() == "it changes its TLS keys again and again");
    CHECK(ends.session->is_readable());
    Error error;
    char byte = 0;
    CHECK(ends.session->read(&byte, 1, error) == 0);
    CHECK(error);
}

TEST_CASE("tls: who changes its keys behind much data goes on") {
    BareEnds ends;
    for (int i = 0; i < 100; ++i) {
        ends.change_keys(1);
        CHECK_FALSE(ends.pass(std::size_t{64} << 10));
    }
}

TEST_CASE("tls: a socket that connects again begins in plain") {
    Ends ends;
    ends.client.async_secure(ends.context(1), trusts_all, Ends::into(ends.ours));
    ends.accepted->async_secure(ends.context(2), rsm::TlsAsks::nothing, Ends::into(ends.theirs));
    REQUIRE(run_until(ends.io, [&] { return ends.ours && ends.theirs; }));
    REQUIRE(ends.ours->failure.empty());
    REQUIRE(ends.client.is_secured());

    Error error;
    ends.client.close(error);
    Tcp::acceptor plain(ends.io, {boost::asio::ip::address_v4::loopback(), 0});
    std::optional<Tcp::socket> other;
    plain.async_accept([&](Error, Tcp::socket socket) { other.emplace(std::move(socket)); });
    ends.connected = false;
    ends.client.async_connect(plain.local_endpoint(),
                              [&](Error failed) { ends.connected = !failed; });
    REQUIRE(run_until(ends.io, [&] { return other && ends.connected; }));
    CHECK_FALSE(ends.client.is_secured());
    CHECK(ends.client.certificate() == nullptr);
    CHECK(ends.client.tls_memory_bytes() == 0);
    const std::string said = "in plain";
    CHECK(ends.client.write_some(boost::asio::buffer(said), error) == said.size());
    std::array<char, 100> heard{};
    std::size_t count = 0;
    other->async_read_some(boost::asio::buffer(heard),
                           [&](Error, std::size_t got) { count = got; });
    REQUIRE(run_until(ends.io, [&] { return count != 0; }));
    CHECK(std::string(heard.data(), count) == said);
}

TEST_CASE("tls: a handshake that waits for its time ends when its socket is closed") {
    Ends ends;
    const auto context = ends.context(2);
    context->pace().spent(TlsPace::Clock::now(), 1h);
    ends.client.async_secure(ends.context(1), trusts_all, Ends::into(ends.ours));
    ends.accepted->async_secure(context, rsm::TlsAsks::nothing, Ends::into(ends.theirs));
    Error error;
    REQUIRE(run_until(ends.io, [&] { return ends.accepted->tcp().available(error) != 0; }));
    ends.io.poll();
    CHECK_FALSE(ends.theirs);
    ends.accepted->close(error);
    CHECK(run_until(ends.io, [&] { return ends.theirs && ends.ours; }));
    CHECK_FALSE(ends.theirs->failure.empty());
}

TEST_CASE("tls: a socket that connects again while a handshake is under way has nothing of it") {
    Ends ends;
    ends.client.async_secure(ends.context(1), trusts_all, Ends::into(ends.ours));
    Error error;
    REQUIRE(run_until(ends.io, [&] { return ends.accepted->tcp().available(error) != 0; }));
    // What it waits for comes, and is not heard of before the socket is another one.
    REQUIRE(ends.accepted->write_some(boost::asio::buffer("no TLS", 6), error) == 6);
    ends.client.close(error);
    ends.connected = false;
    ends.accepted.reset();
    ends.acceptor.async_accept([&](Error failed, Tcp::socket socket) {
        if (!failed) ends.accepted.emplace(std::move(socket));
    });
    ends.client.async_connect(ends.acceptor.local_endpoint(),
                              [&](Error failed) { ends.connected = !failed; });
    REQUIRE(run_until(ends.io, [&] { return ends.ours && ends.accepted && ends.connected; }));
    CHECK_FALSE(ends.ours->failure.empty());
    CHECK(ends.client.tls_memory_bytes() == 0);
    ends.ours.reset();
    ends.client.async_secure(ends.context(1), trusts_all, Ends::into(ends.ours));
    ends.accepted->async_secure(ends.context(2), rsm::TlsAsks::nothing, Ends::into(ends.theirs));
    REQUIRE(run_until(ends.io, [&] { return ends.ours && ends.theirs; }));
    CHECK(ends.ours->failure.empty());
    CHECK(ends.client.is_secured());
}

TEST_CASE(
    "tls: handshakes that others ask for are counted, and those that this side asks for not") {
    Ends ends;
    const auto asking = ends.context(1);
    const auto asked = ends.context(2);
    ends.client.async_secure(asking, trusts_all, Ends::into(ends.ours));
    ends.accepted->async_secure(asked, rsm::TlsAsks::nothing, Ends::into(ends.theirs));
    REQUIRE(run_until(ends.io, [&] { return ends.ours && ends.theirs; }));
    REQUIRE(ends.theirs->failure.empty());
    // Each has 60 ms to give away; what is left of that shows what was counted.
    const auto left = [](rsm::TlsContext& context) {
        const auto now = TlsPace::Clock::now();
        context.pace().spent(now, 1h);
        return 3h - context.pace().wait(now);
    };
    CHECK(left(*asking) == 60ms);
    CHECK(left(*asked) < 60ms);
}

TEST_CASE("tls: a burst of handshakes does not wait, and a flood takes a third of the time") {
    TlsPace pace;
    TlsPace::Clock::time_point now = begin + 1s;
    for (int i = 0; i < 10; ++i) {
        CHECK(pace.wait(now) == 0ms);
        pace.spent(now, 2ms);
    }
    pace.spent(now, 2ms);
    CHECK(pace.wait(now) == 6ms);
    CHECK(pace.wait(now) == 6ms);  // asking costs nothing
    int done = 0;
    for (; now < begin + 7s; now += 1ms) {
        if (pace.wait(now) != 0ms) continue;
        pace.spent(now, 2ms);
        ++done;
    }
    CHECK(done >= 995);
    CHECK(done <= 1000);
    // A while without any is forgotten, however long it was.
    CHECK(pace.wait(begin + 1h) == 0ms);
    pace.spent(begin + 1h, 21ms);
    CHECK(pace.wait(begin + 1h) == 3ms);
}

}  // namespace tls_socket_test
