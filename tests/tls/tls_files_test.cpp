// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Certificates as files: what cannot be used is said, and what was renewed is used.
#include "tls_support.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace tls_files_test {

using namespace tls_test;
using rsm_test::write_file;

namespace {

/// What opening a transport with these files says; empty: it opens.
std::string refusal(boost::asio::io_context& io, const rsm::TlsFiles& files) {
    try {
        rsm::TlsTransport(transport_test::options(one), rsm::TlsOptions{files, {}})
            .open(io.get_executor());
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

void copy(const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, to + ".new",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(to + ".new", to);
}

}  // namespace

TEST_CASE("tls: files that cannot be used are refused at the start, each with its name") {
    boost::asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const Authority authority(directory.path(), "ours");
    const rsm::TlsFiles good = authority.issue_node(1);
    CHECK(refusal(io, good).empty());

    rsm::TlsFiles files = good;
    files.certificate = directory / "none.crt";
    CHECK(contains(refusal(io, files),
                   "the certificate in " + files.certificate + ": No such file or directory"));
    files = good;
    files.key = directory / "none.key";
    CHECK(contains(refusal(io, files), "the key in " + files.key + ": No such file"));
    files = good;
    files.authorities = directory / "none.crt";
    CHECK(contains(refusal(io, files), "the authorities in " + files.authorities + ": No such"));
    files.authorities = {};
    CHECK(contains(refusal(io, files), "a file of authorities is needed"));
    files = good;
    files.key = {};
    CHECK(contains(refusal(io, files), "certificate and key are given together"));
    files = good;
    files.key = authority.issue_node(2).key;
    CHECK(contains(refusal(io, files), "key values mismatch"));
    files = good;
    files.certificate = directory / "garbage";
    write_file(files.certificate, "no certificate");
    CHECK(contains(refusal(io, files), "the certificate in " + files.certificate + ": "));
    files = authority.issue_node(2);
    CHECK(contains(refusal(io, files), "it is for rsm://default/2 and not for rsm://default/1"));
    files = authority.issue({"client", "DNS:localhost"});
    CHECK(contains(refusal(io, files), "it is for no node: it has no URI rsm://CLUSTER/ID"));
}

TEST_CASE("tls: a renewed certificate is used for the next connection, and the old one before") {
    boost::asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const Authority authority(directory.path(), "ours");
    const rsm::TlsFiles files = authority.issue_node(2);
    Node a(io, one, authority.issue_node(1));
    Node b(io, two, files);
    introduce(a, b);
    REQUIRE(connect(io, a, b));

    // A broken one is said once, and what was there before goes on being used.
    write_file(files.certificate, "half of a certif");
    for (int round = 0; round < 3; ++round) {
        a.transport.set_peer(two, "localhost", b.transport.local_port());
        a.transport.set_peer(two, "127.0.0.1", b.transport.local_port());
        REQUIRE(run_until(io, [&] { return a.transport.connected(two); }));
    }
    REQUIRE(b.notices.size() == 2);
    CHECK(b.notices[0].starts_with("TLS: the certificate is that in " + files.certificate +
                                   ", valid until 20"));
    CHECK(contains(b.notices[1], "the certificate in " + files.certificate));
    CHECK(contains(b.notices[1], "; what was read before is used on"));
    CHECK(b.notices[1].find('\n') == std::string::npos);

    // That of another node is broken for this one.
    const rsm::TlsFiles third = authority.issue_node(3);
    copy(third.key, files.key);
    copy(third.certificate, files.certificate);
    a.knows(b);
    a.transport.set_peer(two, "localhost", b.transport.local_port());
    REQUIRE(run_until(io, [&] { return a.transport.connected(two) && b.notices.size() == 3; }));
    CHECK(contains(b.notices[2], "it is for rsm://default/3 and not for rsm://default/2"));

    const rsm::TlsFiles newer = authority.issue_node(2);  // into the same files
    CHECK(newer.certificate == files.certificate);
    a.knows(b);
    REQUIRE(run_until(io, [&] { return a.transport.connected(two) && b.notices.size() == 4; }));
    CHECK(contains(b.notices[3],
                   "the files have changed, and new connections use them, valid "
                   "until 20"));
}

TEST_CASE("tls: a start says until when the certificate is valid, aloud if that is soon or over") {
    boost::asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const Authority authority(directory.path(), "ours");
    const std::time_t now = std::time(nullptr);
    const auto opened = [&](long valid_until) {
        const Node node(io, two,
                        authority.issue({"two", "URI:rsm://default/2", -7200, valid_until, {}}));
        const std::int64_t left = node.transport.certificate_end() - now;
        CHECK(left >= valid_until);
        CHECK(left < valid_until + 60);
        REQUIRE(node.notices.size() == 1);
        return node.notices[0];
    };
    constexpr long day = 24L * 3600;
    CHECK(contains(opened(15 * day), "two.crt, valid until 20"));
    CHECK(contains(opened(13 * day), "two.crt; THE CERTIFICATE EXPIRES SOON, on 20"));
    CHECK(contains(opened(-3600), "two.crt; THE CERTIFICATE HAS EXPIRED on 20"));
    const Node plain(io, two, std::nullopt);
    CHECK(plain.notices.empty());
    CHECK(plain.transport.certificate_end() == 0);
}

TEST_CASE("tls: a node whose certificate has expired is heard again when it is renewed") {
    boost::asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const Authority authority(directory.path(), "ours");
    Node a(io, one, authority.issue_node(1));
    Says late{"two", "URI:rsm://default/2", -7200, -3600, {}};
    Node b(io, two, authority.issue(late));
    introduce(a, b);
    REQUIRE(run_until(io, [&] { return b.misses(one, "that has expired"); }));
    late.valid_until = 3600;
    authority.issue(late);
    CHECK(connect(io, a, b));
}

TEST_CASE("tls: an authority is replaced without a moment in which nodes refuse each other") {
    boost::asio::io_context io;
    const rsm_test::TemporaryDirectory directory;
    const Authority old_one(directory.path(), "old");
    const Authority new_one(directory.path(), "new");
    const std::string trusted = directory / "trusted.crt";
    copy(old_one.path(), trusted);
    rsm::TlsFiles first = old_one.issue({"one", "URI:rsm://default/1"});
    rsm::TlsFiles second = old_one.issue({"two", "URI:rsm://default/2"});
    first.authorities = second.authorities = trusted;
    Node a(io, one, first);
    Node b(io, two, second);
    introduce(a, b);
    REQUIRE(connect(io, a, b));
    const auto connect_anew = [&] {
        for (const char* host : {"localhost", "127.0.0.1"}) {
            a.transport.set_peer(two, host, b.transport.local_port());
            b.transport.set_peer(one, host, a.transport.local_port());
            REQUIRE(connect(io, a, b));
        }
    };
    write_file(trusted, rsm_test::read_file(old_one.path()) + rsm_test::read_file(new_one.path()));
    connect_anew();
    new_one.issue({"two", "URI:rsm://default/2"});
    connect_anew();
    new_one.issue({"one", "URI:rsm://default/1"});
    connect_anew();
    copy(new_one.path(), trusted);
    connect_anew();
    CHECK(a.transport.counters().handshakes_refused == 0);
    CHECK(b.transport.counters().handshakes_refused == 0);
}

}  // namespace tls_files_test
