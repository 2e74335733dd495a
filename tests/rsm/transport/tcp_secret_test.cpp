// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The peers' secret: who knows it, who does not, and who has only listened.
#include "transport_support.hpp"

#include <rsm/detail/sha256.hpp>
#include <rsm/transport/tcp.hpp>
#include <rsm/transport/wire/peer_secret.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tcp_secret_test {

using namespace transport_test;
using rsm::TcpRefusal;
using rsm::detail::AnswerCode;
using rsm::detail::Digest256;
using rsm::detail::HmacSha256;
using rsm::detail::Sha256;

namespace {

constexpr std::string_view secret = "known to all of ours";

std::string hex(const Digest256& digest) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : digest) {
        const auto value = std::to_integer<unsigned>(byte);
        text += {digits[value / 16], digits[value % 16]};
    }
    return text;
}
std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string sha256(std::string_view text) { return hex(Sha256().update(bytes(text)).digest()); }
std::string hmac(std::string_view key, std::string_view text) {
    return hex(HmacSha256(bytes(key)).update(bytes(text)).code());
}

/// A node with a secret, or without, that keeps what it has refused.
struct Careful {
    Careful(boost::asio::io_context& io, raft::NodeId self, std::string_view knows)
        : node(io, with(self, knows)) {}

    rsm::TcpOptions with(raft::NodeId self, std::string_view knows) {
        rsm::TcpOptions made = options(self);
        made.secret = knows;
        made.on_refusal = [this](const rsm::TcpRefused& said) { refused.push_back(said); };
        return made;
    }
    bool has_refused(TcpRefusal reason) const {
        return std::ranges::any_of(
            refused, [reason](const rsm::TcpRefused& said) { return said.reason == reason; });
    }

    std::vector<rsm::TcpRefused> refused;
    Node node;
};

/// A node with the secret, and what it dials for node two.
struct Dialling {
    Dialling() {
        node.node.knows(two, listener.port());
        node.node.start();
    }

    boost::asio::io_context io;
    RawListener listener{io};
    Careful node{io, one, secret};
};

void introduce(Careful& a, Careful& b) {
    a.node.knows(b.node);
    b.node.knows(a.node);
    a.node.start();
    b.node.start();
}

/// Neither is connected, and each says this of what comes from the other and of its own attempts.
void check_apart(boost::asio::io_context& io, Careful& a, Careful& b, TcpRefusal a_refuses,
                 std::string_view a_misses, TcpRefusal b_refuses, std::string_view b_misses) {
    introduce(a, b);
    CHECK(run_until(io, [&] { return a.has_refused(a_refuses) && b.has_refused(b_refuses); }));
    CHECK(run_until(io, [&] { return contains(a.node.transport.last_failure(two), a_misses); }));
    CHECK(run_until(io, [&] { return contains(b.node.transport.last_failure(one), b_misses); }));
    for (const Careful* each : {&a, &b}) {
        CHECK(each->node.transport.counters().accepts == 0);
        CHECK(each->node.transport.counters().connects == 0);
    }
}

}  // namespace

TEST_CASE("secret: SHA-256 and HMAC give what their standards say") {
    // FIPS 180-4's examples, and those of RFC 4231.
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256(std::string(1'000'000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(hmac(std::string(20, '\x0b'), "Hi There") ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(hmac("Jefe", "what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    CHECK(
        hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("secret: a proof is the code that the wire format says") {
    const std::string hello("\0\1\2\3\4\5\6", 7);
    const std::string question("\0\1\2\3\4\5\6\7\10", 9);
    using rsm::detail::proof_of;
    using rsm::detail::Side;
    CHECK(hex(proof_of("0123456789abcdef", Side::dialling, bytes(hello), bytes(question))) ==
          "215b3bbec33e31d22b055dbadddeed1dedee36a4bac46fe0bfb07995956cdcd4");
    CHECK(hex(proof_of("0123456789abcdef", Side::accepting, bytes(hello), bytes(question))) ==
          "08e74b2082b951cbc25cd1cdf574faac2cf4cdf3bfd0897b2437ce8aa9df284d");
}

TEST_CASE("secret: challenges and proofs come at the end of greetings, where others have nothing") {
    using namespace rsm::detail;
    Hello said{one, two, 7, {}, {}, "kv", "host:1"};
    const auto plain = encode(said);
    said.challenge.emplace();
    said.challenge->fill(std::byte{5});
    const auto asking = encode(said);
    CHECK(asking.size() == plain.size() + 34);
    CHECK(decode_hello(plain)->challenge == std::nullopt);
    CHECK(decode_hello(asking) == said);

    Answer question{AnswerCode::welcome, two, 9, {}};
    question.challenge.emplace();
    const auto [asked, expected] = ask(secret, asking, question);
    const auto read = decode_answer(asked);
    REQUIRE(read);
    CHECK(read->code == AnswerCode::prove);
    CHECK(read->proof == proof_of(secret, Side::accepting, asking, provable(asked, *read)));
    CHECK(expected == proof_of(secret, Side::dialling, asking, provable(asked, *read)));
    CHECK(decode_answer(encode(Answer{AnswerCode::welcome, two, 9, "here"}))->proof ==
          std::nullopt);

    const auto proof = encode_proof(*read->proof);
    REQUIRE(proof.size() == proof_bytes);
    CHECK(decode_proof(proof) == read->proof);
    for (std::size_t i = 0; i < proof.size(); ++i) {
        auto damaged = proof;
        damaged[i] ^= std::byte{1};
        CHECK(decode_proof(damaged) == std::nullopt);
    }
}

TEST_CASE("secret: one that is too short or too long is refused") {
    rsm::TcpOptions with = options(one);
    with.secret = std::string(15, 's');
    CHECK(with.problem() == "secret is shorter than 16 bytes");
    with.secret += 's';
    CHECK(with.problem().empty());
    with.secret = std::string(1025, 's');
    CHECK(with.problem() == "secret is longer than 1 KiB");
}

TEST_CASE("secret: nodes that know it talk to each other") {
    boost::asio::io_context io;
    Careful a(io, one, secret);
    Careful b(io, two, secret);
    introduce(a, b);
    REQUIRE(run_until(
        io, [&] { return a.node.transport.connected(two) && b.node.transport.connected(one); }));
    a.node.transport.send(append(one, two, 1, 100'000));
    CHECK(run_until(io, [&] { return b.node.received.size() == 1; }));
    CHECK(a.refused.empty());
    CHECK(b.refused.empty());
}

TEST_CASE("secret: nodes with different ones refuse each other, and both say so") {
    boost::asio::io_context io;
    Careful a(io, one, secret);
    Careful b(io, two, "not known to all of ours");
    check_apart(io, a, b, TcpRefusal::other_secret, "its peer secret is another one than this",
                TcpRefusal::other_secret, "its peer secret is another one than this");
}

TEST_CASE("secret: a node without one is refused, and refuses, and both say so") {
    boost::asio::io_context io;
    Careful a(io, one, secret);
    Careful b(io, two, "");
    check_apart(io, a, b, TcpRefusal::no_secret,
                "refused: it has no peer secret, and this node has one", TcpRefusal::has_secret,
                "refused: it asks for a peer secret, and this node has none");
}

TEST_CASE("secret: whoever welcomes without a proof is not taken for the peer") {
    Dialling a;
    RawPeer peer = a.listener.welcome(two);
    CHECK(run_until(a.io, [&] {
        return contains(a.node.node.transport.last_failure(two), "does not show that it knows");
    }));
    CHECK(a.node.node.transport.counters().connects == 0);
}

TEST_CASE("secret: whoever does not know it gets no proof of it") {
    Dialling a;
    RawPeer peer = a.listener.accept();
    rsm::detail::Answer question{AnswerCode::prove, two, 1, {}};
    question.challenge.emplace();
    question.proof.emplace();
    peer.say(encode(question));
    peer.listen();
    CHECK(run_until(a.io, [&] { return peer.closed(); }));
    const auto proof = bytes(peer.got()).last(rsm::detail::proof_bytes);
    CHECK(rsm::detail::decode_proof(proof) == Digest256{});
}

TEST_CASE("secret: what a later version adds to its question is proved, and the proof found") {
    using namespace rsm::detail;
    Dialling a;
    RawPeer peer = a.listener.accept();
    peer.listen();
    REQUIRE(run_until(a.io, [&] {
        return peer.got().size() >= greeting_head_bytes &&
               peer.got().size() >=
                   greeting_head_bytes + load_greeting_head(bytes(peer.got()).data()).length;
    }));
    const std::string hello = peer.got();

    Answer answer{AnswerCode::prove, two, 1, "here"};
    answer.challenge.emplace();
    answer.proof.emplace();
    const auto known = encode(answer);
    // The head's length and the checksum are those of the whole.
    const auto longer = [&](const std::vector<std::byte>& shorter) {
        raft::codec::Gather out;
        out.put_text({reinterpret_cast<const char*>(shorter.data()), shorter.size() - 8});
        out.put_text("more");
        return finish_greeting(out);
    };
    const std::vector<std::byte> asked = provable(longer(known), answer);
    answer.proof = proof_of(secret, Side::accepting, bytes(hello), asked);
    const auto question = longer(encode(answer));
    CHECK(decode_answer(question) == answer);
    peer.say({reinterpret_cast<const char*>(question.data()), question.size()});
    REQUIRE(run_until(a.io, [&] { return peer.got().size() == hello.size() + proof_bytes; }));
    CHECK(decode_proof(bytes(peer.got()).last(proof_bytes)) ==
          proof_of(secret, Side::dialling, bytes(hello), asked));
}

TEST_CASE("secret: what was heard of an exchange is of no use for another one") {
    boost::asio::io_context io;
    Careful a(io, one, secret);
    Careful b(io, two, secret);
    RawListener relay(io);
    a.node.knows(two, relay.port());
    b.node.transport.set_peer(one, "127.0.0.1", 1);
    a.node.start();
    b.node.start();
    RawPeer left = relay.accept();
    RawPeer right(io, b.node.transport.local_port());
    left.listen();
    std::size_t there = 0;
    std::size_t back = 0;
    REQUIRE(run_until(io, [&] {
        right.say(std::string_view(left.got()).substr(there));
        there = left.got().size();
        left.say(std::string_view(right.got()).substr(back));
        back = right.got().size();
        return a.node.transport.connected(two);
    }));
    REQUIRE(b.node.transport.counters().accepts == 1);

    const std::string heard = left.got();  // the hello and the proof, byte by byte
    RawPeer replays(io, b.node.transport.local_port());
    replays.say(heard);
    CHECK(run_until(io, [&] { return b.has_refused(TcpRefusal::other_secret); }));
    CHECK(run_until(io, [&] { return replays.closed(); }));
    CHECK(b.node.transport.counters().accepts == 1);
}

}  // namespace tcp_secret_test
