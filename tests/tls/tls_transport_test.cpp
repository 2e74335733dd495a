// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes under TLS: what they send arrives, and who is not who he should be is refused on both
// sides.
#include "tls_support.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tls_transport_test {

using namespace tls_test;
using namespace std::chrono_literals;
using rsm::TcpRefusal;
using transport_test::append;
using transport_test::heartbeat;
using transport_test::RawListener;
using transport_test::RawPeer;

namespace {

struct Fixture {
    rsm_test::TemporaryDirectory directory;
    Authority authority{directory.path(), "ours"};
    boost::asio::io_context io;
};

/// Node one is as it should be, and node two is not: both say so, and neither gets through.
void check_refused(Fixture& made, Node& a, Node& b, TcpRefusal reason, const std::string& a_refuses,
                   const std::string& b_hears, const std::string& a_misses) {
    introduce(a, b);
    CHECK(run_until(made.io, [&] { return a.has_refused(reason, a_refuses); }));
    CHECK(run_until(made.io, [&] { return b.misses(one, b_hears); }));
    CHECK(run_until(made.io, [&] { return a.misses(two, a_misses); }));
    CHECK_FALSE(a.transport.connected(two));
    CHECK_FALSE(b.transport.connected(one));
    CHECK(a.transport.counters().accepts == 0);
    CHECK(b.transport.counters().accepts == 0);
    CHECK(a.transport.counters().refusals[reason] > 0);
}

}  // namespace

TEST_CASE("tls: messages of all sizes arrive in order, both ways at once") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, made.authority.issue_node(2));
    introduce(a, b);
    REQUIRE(connect(made.io, a, b));
    CHECK(a.notices.size() == 1);  // until when its certificate is valid
    const std::vector<std::size_t> sizes = {0,      1,      100,     16'383,    16'384,   16'385,
                                            65'536, 70'000, 300'000, 5'000'000, 1'000'000};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        a.transport.send(append(one, two, i, sizes[i]));
        b.transport.send(append(two, one, i, sizes[i]));
    }
    CHECK(run_until(made.io, [&] {
        return a.received.size() == sizes.size() && b.received.size() == sizes.size();
    }));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        CHECK(b.received.at(i) == append(one, two, i, sizes[i]));
        CHECK(a.received.at(i) == append(two, one, i, sizes[i]));
    }
}

TEST_CASE("tls: what is sent while the peer takes nothing in arrives when it does") {
    Fixture made;
    boost::asio::io_context other;
    rsm::TcpOptions patient;
    patient.user_timeout = 60s;
    Node a(made.io, one, made.authority.issue_node(1), patient);
    Node b(other, two, made.authority.issue_node(2));
    introduce(a, b);
    REQUIRE(run_until(made.io, [&] {
        other.poll();
        return a.transport.connected(two);
    }));
    // More than the system keeps for one connection, in many turns.
    constexpr std::uint64_t count = 200;
    for (std::uint64_t i = 0; i < count; ++i) {
        a.transport.send(append(one, two, i, 100'000));
        made.io.restart();
        made.io.poll();
    }
    REQUIRE(run_until(other, [&] {
        made.io.restart();
        made.io.poll();
        return b.received.size() == count;
    }));
    for (std::uint64_t i = 0; i < count; ++i) CHECK(b.received[i] == append(one, two, i, 100'000));
}

TEST_CASE("tls: what is on the wire does not show what is sent") {
    Fixture made;
    RawListener listener(made.io);
    Node a(made.io, one, made.authority.issue_node(1));
    a.transport.set_peer(two, "127.0.0.1", listener.port());
    a.start();
    RawPeer peer = listener.accept();
    peer.listen();
    CHECK(run_until(made.io, [&] { return peer.got().size() > 100; }));
    CHECK(static_cast<unsigned char>(peer.got()[0]) == 22);
    CHECK_FALSE(contains(peer.got(), "RSMH"));
    CHECK_FALSE(contains(peer.got(), "default"));
}

TEST_CASE("tls: a certificate may be for several nodes, or for a node of whatever cluster") {
    Fixture made;
    const auto files = made.authority.issue(
        {"both",
         "DNS:example.org,URI:https://example.org/1,URI:rsm://other/3,URI:rsm:///1,"
         "URI:rsm://default/2"});
    Node a(made.io, one, files);
    Node b(made.io, two, files);
    introduce(a, b);
    CHECK(connect(made.io, a, b));
}

TEST_CASE("tls: names of clusters with all kinds of characters have a URI") {
    using rsm::CertifiedNode;
    const CertifiedNode odd{"a b/c,%\xc3\xa9", {18446744073709551615U}};
    CHECK(odd.uri() == "rsm://a%20b%2Fc%2C%25%C3%A9/18446744073709551615");
    CHECK(CertifiedNode::parse(odd.uri()) == odd);
    CHECK(CertifiedNode::parse("rsm:///7") == CertifiedNode{"", {7}});
    CHECK(CertifiedNode{"", {7}}.is("any", {7}));
    CHECK_FALSE(CertifiedNode{"", {7}}.is("any", {8}));
    CHECK_FALSE(CertifiedNode{"kv", {7}}.is("KV", {7}));
    for (const char* none :
         {"", "rsm://", "rsm://kv", "rsm://kv/", "rsm://kv/0", "rsm://kv/01", "rsm://kv/1/",
          "rsm://kv/-1", "rsm://kv/1a", "rsm://kv/18446744073709551616", "rsm://k v/1",
          "rsm://k%2/1", "rsm://k%2x/1", "RSM://kv/1", "http://kv/1"}) {
        CAPTURE(none);
        CHECK_FALSE(CertifiedNode::parse(none));
    }
}

// ---- who is refused ----------------------------------------------------------------------------

TEST_CASE("tls: a peer without TLS is refused, and both sides say so") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, std::nullopt);
    check_refused(made, a, b, TcpRefusal::speaks_no_tls, "it speaks no TLS",
                  "one of the two speaks TLS, and the other does not", "it speaks no TLS");
    CHECK(run_until(made.io, [&] {
        return b.has_refused(TcpRefusal::speaks_tls, "it speaks TLS, and this node does not");
    }));
}

TEST_CASE("tls: a certificate of a foreign authority is refused, and both sides say so") {
    Fixture made;
    const Authority theirs(made.directory.path(), "theirs");
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, theirs.issue_node(2));
    check_refused(made, a, b, TcpRefusal::tls_failed, "certificate", "certificate",
                  "its certificate is not accepted: ");
    CHECK(run_until(made.io, [&] {
        return b.misses(one, "its certificate is not accepted: unable to get local issuer");
    }));
    CHECK(run_until(made.io, [&] {
        return a.has_refused(TcpRefusal::tls_failed,
                             "it refuses the certificate that it was shown: it does not trust");
    }));
}

TEST_CASE("tls: a foreign certificate is refused by those who are trusted, and told so") {
    Fixture made;
    const Authority theirs(made.directory.path(), "theirs");
    Node a(made.io, one, made.authority.issue_node(1));
    rsm::TlsFiles files = theirs.issue_node(2);
    files.authorities = made.authority.path();
    Node b(made.io, two, files);
    check_refused(made, a, b, TcpRefusal::tls_failed,
                  "its certificate is not accepted: unable to get local issuer certificate",
                  "it refuses the certificate that it was shown: it does not trust the one who",
                  "its certificate is not accepted: unable to get local issuer certificate");
}

TEST_CASE("tls: an expired certificate is refused, and both sides say so") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, made.authority.issue({"late", "URI:rsm://default/2", -7200, -3600}));
    check_refused(made, a, b, TcpRefusal::tls_failed,
                  "its certificate is not accepted: certificate has expired",
                  "it refuses the certificate that it was shown: that has expired",
                  "its certificate is not accepted: certificate has expired");
}

TEST_CASE("tls: a certificate that is not valid yet is refused, and both sides say so") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, made.authority.issue({"early", "URI:rsm://default/2", 3600, 7200}));
    check_refused(made, a, b, TcpRefusal::tls_failed,
                  "its certificate is not accepted: certificate is not yet valid",
                  "it refuses the certificate that it was shown: that is for another node or "
                  "cluster, or not valid yet",
                  "its certificate is not accepted: certificate is not yet valid");
}

TEST_CASE("tls: a certificate for clients is none for nodes") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two,
           made.authority.issue({"weak", "URI:rsm://default/2", -60, 3600, "serverAuth"}));
    introduce(a, b);
    CHECK(run_until(made.io, [&] {
        return a.has_refused(TcpRefusal::tls_failed,
                             "its certificate is not accepted: unsuitable certificate purpose");
    }));
    CHECK(run_until(made.io, [&] {
        return b.misses(one, "it refuses the certificate that it was shown: unsupported");
    }));
}

TEST_CASE("tls: a node that is dialled and has another node's certificate is not greeted") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, three, made.authority.issue_node(3));
    a.transport.set_peer(two, "127.0.0.1", b.transport.local_port());
    a.start();
    b.start();
    CHECK(run_until(made.io, [&] {
        return a.misses(two,
                        "its certificate is not accepted: it is for rsm://default/3 and not "
                        "for rsm://default/2");
    }));
    CHECK(run_until(made.io, [&] {
        return b.has_refused(TcpRefusal::tls_failed,
                             "it refuses the certificate that it was shown: that is for another "
                             "node or cluster");
    }));
    CHECK(b.transport.counters().refusals[TcpRefusal::other_node] == 0);
}

TEST_CASE("tls: a node that says that it is another than its certificate is refused") {
    Fixture made;
    // Its plan takes it for node three; what it says then is another matter.
    Node a(made.io, one, made.authority.issue_node(1));
    a.transport.set_peer(two, "127.0.0.1", 1);
    a.start();
    const auto files = made.authority.issue_node(3);
    rsm::detail::TlsNet net;
    net.cluster = "default";
    net.context = std::make_shared<rsm::TlsContext>(files);
    rsm::BasicRunningTcpTransport<rsm::detail::TlsNet> liar(made.io.get_executor(),
                                                            transport_test::options(two), net);
    liar.set_peer(one, "127.0.0.1", a.transport.local_port());
    liar.start([](const raft::Message&) {});
    CHECK(run_until(made.io, [&] {
        return a.has_refused(TcpRefusal::other_certificate,
                             "it is for rsm://default/3 and not for rsm://default/2");
    }));
    CHECK(run_until(made.io, [&] {
        return contains(liar.last_failure(one), "this node's certificate is not for it");
    }));
    CHECK(a.transport.counters().accepts == 0);
}

TEST_CASE("tls: a node of another cluster is refused although one authority has signed both") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    rsm::TcpOptions other;
    other.cluster = "other";
    Node b(made.io, two, made.authority.issue({"stray", "URI:rsm://other/2"}), other);
    introduce(a, b);
    CHECK(run_until(made.io, [&] {
        return a.misses(two, "it is for rsm://other/2 and not for rsm://default/2");
    }));
    CHECK(run_until(made.io, [&] {
        return b.misses(one, "it is for rsm://default/1 and not for rsm://other/1");
    }));
    for (const Node* node : {&a, &b}) {
        CHECK(run_until(made.io, [&] {
            return node->has_refused(TcpRefusal::tls_failed, "that is for another node or cluster");
        }));
    }
}

TEST_CASE("tls: whoever shows no certificate is refused") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    a.start();
    const auto context =
        std::make_shared<rsm::TlsContext>(rsm::TlsFiles{{}, {}, made.authority.path()});
    rsm::TlsSocket socket(made.io.get_executor());
    socket.tcp().connect({boost::asio::ip::address_v4::loopback(), a.transport.local_port()});
    std::string end = "none";
    std::array<char, 100> space{};
    socket.async_secure(context, rsm::TlsSocket::Check{}, [&](const rsm::TlsOutcome& outcome) {
        REQUIRE(outcome.failure.empty());  // this side is content, and hears of it when it reads
        socket.async_read_some(
            boost::asio::buffer(space),
            [&](boost::system::error_code error, std::size_t) { end = error.message(); });
    });
    CHECK(run_until(
        made.io, [&] { return a.has_refused(TcpRefusal::tls_failed, "it shows no certificate"); }));
    CHECK(
        run_until(made.io, [&] { return end == "it asks for a certificate, and was shown none"; }));
}

TEST_CASE("tls: those who say nothing, or no more than a beginning, are gone in time") {
    Fixture made;
    rsm::TcpOptions hasty;
    hasty.handshake_timeout = 50ms;
    hasty.max_strangers = 3;
    Node a(made.io, one, made.authority.issue_node(1), hasty);
    a.start();
    RawPeer silent(made.io, a.transport.local_port());
    RawPeer begins(made.io, a.transport.local_port());
    begins.say(std::string("\x16\x03\x01\x02\x00\x01", 6));
    CHECK(run_until(made.io, [&] { return silent.closed() && begins.closed(); }));
    CHECK(a.transport.counters().refusals[TcpRefusal::hello_timeout] == 2);
    std::vector<RawPeer> many;
    for (int i = 0; i < 8; ++i) many.emplace_back(made.io, a.transport.local_port());
    CHECK(run_until(made.io,
                    [&] { return a.transport.counters().refusals[TcpRefusal::too_many] == 5; }));
}

TEST_CASE("tls: garbage is turned away with a line, and disturbs nobody") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, made.authority.issue_node(2));
    introduce(a, b);
    REQUIRE(connect(made.io, a, b));
    RawPeer http(made.io, b.transport.local_port());
    http.say(std::string("GET / HTTP/1.1\r\n\r\n"));
    RawPeer noise(made.io, b.transport.local_port());
    noise.say(std::string("\x16\x03\x01\x00\x05garbage after the header of a record", 40));
    CHECK(run_until(made.io, [&] { return http.closed() && noise.closed(); }));
    CHECK(b.transport.counters().handshakes_refused == 2);
    CHECK(b.transport.counters().refusals[TcpRefusal::tls_failed] == 1);
    a.transport.send(heartbeat(one, two, 7));
    CHECK(run_until(made.io, [&] { return b.received.size() == 1; }));
}

TEST_CASE("tls: bytes that were changed on their way end the connection") {
    Fixture made;
    Node a(made.io, one, made.authority.issue_node(1));
    Node b(made.io, two, made.authority.issue_node(2));
    // A relay that can turn a bit over.
    RawListener relay(made.io);
    a.transport.set_peer(two, "127.0.0.1", relay.port());
    b.transport.set_peer(one, "127.0.0.1", 1);
    a.start();
    b.start();
    RawPeer left = relay.accept();
    RawPeer right(made.io, b.transport.local_port());
    left.listen();
    std::size_t there = 0;
    std::size_t back = 0;
    bool damages = false;
    const auto pass_on = [&] {
        std::string more = left.got().substr(there);
        there = left.got().size();
        if (damages && !more.empty()) more.back() = static_cast<char>(more.back() ^ 1);
        if (!more.empty() && !right.closed()) right.say(more);
        if (right.got().size() != back) left.say(std::string(right.got().substr(back)));
        back = right.got().size();
    };
    REQUIRE(run_until(made.io, [&] {
        pass_on();
        return a.transport.connected(two);
    }));
    a.transport.send(heartbeat(one, two, 1));
    REQUIRE(run_until(made.io, [&] {
        pass_on();
        return b.received.size() == 1;
    }));
    damages = true;
    a.transport.send(heartbeat(one, two, 2));
    CHECK(run_until(made.io, [&] {
        pass_on();
        return right.closed();
    }));
    CHECK(b.received.size() == 1);
}

}  // namespace tls_transport_test
