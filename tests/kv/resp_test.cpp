// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "receive.hpp"

#include <kv/reply.hpp>
#include <kv/resp.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace resp_test {

namespace {

using kv::ParseStatus;
using kv_test::receive;
using Words = std::vector<std::string>;

// What came of a stream of requests: those found, and the final error if there was one.
struct Outcome {
    std::vector<Words> requests;
    std::string error;
    std::size_t left = 0;  // bytes of an unfinished request

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Takes all complete requests out of the buffer. Returns false once the parser has failed.
bool drain(kv::RequestParser& parser, kv::InputBuffer& buffer, Outcome& outcome) {
    while (true) {
        const ParseStatus status = parser.parse(buffer.data());
        if (status == ParseStatus::incomplete) {
            outcome.left = buffer.data().size();
            return true;
        }
        if (status == ParseStatus::failed) {
            outcome.error = parser.error();
            outcome.left = 0;
            return false;
        }
        const auto arguments = parser.arguments();
        outcome.requests.emplace_back(arguments.begin(), arguments.end());
        buffer.consume(parser.consumed());
    }
}

// Feeds the pieces that end at `cuts` (ascending) and the rest.
Outcome feed(std::string_view stream, const std::vector<std::size_t>& cuts,
             const kv::RequestLimits& limits = {}) {
    kv::RequestParser parser(limits);
    kv::InputBuffer buffer;
    Outcome outcome;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t end = i < cuts.size() ? cuts[i] : stream.size();
        receive(buffer, stream.substr(begin, end - begin));
        begin = end;
        if (!drain(parser, buffer, outcome)) {
            CHECK(parser.parse("PING\r\n") == ParseStatus::failed);
            return outcome;
        }
    }
    return outcome;
}

Outcome feed_bytewise(std::string_view stream, const kv::RequestLimits& limits = {}) {
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < stream.size(); ++i) {
        cuts.push_back(i);
    }
    return feed(stream, cuts, limits);
}

Outcome feed_whole(std::string_view stream, const kv::RequestLimits& limits = {}) {
    return feed(stream, {}, limits);
}

std::string error_of(std::string_view stream, const kv::RequestLimits& limits = {}) {
    const Outcome whole = feed_whole(stream, limits);
    CHECK(whole == feed_bytewise(stream, limits));
    return whole.error;
}

Words inline_words(std::string_view line) {
    const Outcome outcome = feed_whole(line);
    REQUIRE(outcome.error.empty());
    REQUIRE(outcome.requests.size() == 1);
    return outcome.requests[0];
}

std::string request(const Words& words) {
    const std::vector<std::string_view> views(words.begin(), words.end());
    std::string out;
    kv::append_request(out, views);
    return out;
}

constexpr std::string_view protocol_error = "ERR Protocol error: ";

std::string protocol(std::string_view reason) {
    return std::string(protocol_error) + std::string(reason);
}

}  // namespace

TEST_CASE("an integer has one spelling only") {
    CHECK(kv::parse_integer("0") == 0);
    CHECK(kv::parse_integer("-7") == -7);
    CHECK(kv::parse_integer("9223372036854775807") == INT64_MAX);
    CHECK(kv::parse_integer("-9223372036854775808") == INT64_MIN);
    for (const char* text : {"", "-", "+1", " 1", "1 ", "01", "-0", "-01", "00", "1x", "0x1",
                             "9223372036854775808", "-9223372036854775809"}) {
        CAPTURE(text);
        CHECK_FALSE(kv::parse_integer(text));
    }
    std::string out;
    kv::append_integer(out, INT64_MIN);
    CHECK(out == "-9223372036854775808");
}

TEST_CASE("a multibulk request is read with any bytes in its arguments") {
    const Words words = {"SET", std::string("a\0\r\n$*b", 8), ""};
    const Outcome outcome = feed_whole(request(words));
    REQUIRE(outcome.requests.size() == 1);
    CHECK(outcome.requests[0] == words);
    CHECK(outcome.left == 0);
}

TEST_CASE("arguments of a multibulk request point into the caller's bytes") {
    const std::string stream = request({"ECHO", "hello"});
    kv::RequestParser parser;
    REQUIRE(parser.parse(stream) == ParseStatus::complete);
    CHECK(parser.arguments()[1].data() == stream.data() + stream.find("hello"));
    CHECK(parser.consumed() == stream.size());
}

TEST_CASE("a pipeline split at any one byte gives the same requests") {
    const std::string stream = request({"SET", "key", "value\r\n"}) +
                               "ping 'a b' \"\\x41\\n\"\r\n" + request({"", "x"}) +
                               "\r\n*0\r\n*-1\r\nGET k\n" + request({"GET"});
    const Outcome whole = feed_whole(stream);
    const std::vector<Words> expected = {{"SET", "key", "value\r\n"},
                                         {"ping", "a b", "A\n"},
                                         {"", "x"},
                                         {},
                                         {},
                                         {},
                                         {"GET", "k"},
                                         {"GET"}};
    CHECK(whole.requests == expected);
    CHECK(whole.error.empty());
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
        CAPTURE(cut);
        CHECK(feed(stream, {cut}) == whole);
    }
    CHECK(feed_bytewise(stream) == whole);
}

TEST_CASE("every proper prefix of a request is incomplete") {
    for (const std::string& stream :
         {request({"SET", "k", "v"}), std::string("set 'k' \"v\"\r\n")}) {
        for (std::size_t size = 0; size + 1 < stream.size(); ++size) {
            const Outcome outcome = feed_whole(std::string_view(stream).substr(0, size));
            CAPTURE(size);
            CHECK(outcome.requests.empty());
            CHECK(outcome.error.empty());
            CHECK(outcome.left == size);
        }
    }
}

TEST_CASE("inline commands follow the quoting rules of Redis") {
    CHECK(inline_words("  set\tk   v  \r\n") == Words{"set", "k", "v"});
    CHECK(inline_words("set k \"a b\\r\\n\\t\\b\\a\\\\\\\"\\q\"\n") ==
          Words{"set", "k", "a b\r\n\t\b\a\\\"q"});
    CHECK(inline_words("\"\\x00\\xfF\\xg1\\x4\"\n") == Words{std::string("\0\xff"
                                                                         "xg1x4",
                                                                         7)});
    CHECK(inline_words("'it\\'s \\n \"x\"'\n") == Words{"it's \\n \"x\""});
    CHECK(inline_words("foo\"bar\" ''\n") == Words{"foobar", ""});
    CHECK(inline_words("back\\slash\n") == Words{"back\\slash"});
    for (const char* line : {"\"a\n", "'a\n", "\"a\"b\n", "'a'b\n", "\"a\\\"\n", "'a\\'\n",
                             "\"a\\\n", "a\"b\r\n", "\"\\x4\n"}) {
        CAPTURE(line);
        CHECK(error_of(line) == protocol("unbalanced quotes in request"));
    }
}

TEST_CASE("hostile framing is refused in the words of Redis") {
    const std::pair<const char*, const char*> cases[] = {
        {"*x\r\n", "invalid multibulk length"},
        {"*\r\n", "invalid multibulk length"},
        {"*1\n$1\r\n\r\n", "invalid multibulk length"},
        {"*1\rx", "invalid multibulk length"},
        {"*01\r\n", "invalid multibulk length"},
        {"*8194\r\n", "invalid multibulk length: at most 8193 arguments"},
        {"*9223372036854775807\r\n", "invalid multibulk length: at most 8193 arguments"},
        {"*9223372036854775808\r\n", "invalid multibulk length"},
        {"*00000000000000000000000000000001\r\n", "too big mbulk count string"},
        {"*1\r\n+OK\r\n", "expected '$', got '+'"},
        {"*2\r\n$1\r\na\r\nGET", "expected '$', got 'G'"},
        {"*1\r\n$-1\r\n", "invalid bulk length"},
        {"*1\r\n$x\r\n", "invalid bulk length"},
        {"*1\r\n$8388609\r\n", "invalid bulk length: at most 8388608 bytes"},
        {"*1\r\n$9223372036854775807\r\n", "invalid bulk length: at most 8388608 bytes"},
        {"*1\r\n$1\rxa\r\n", "invalid bulk length"},
        {"*1\r\n$00000000000000000000000000000001\r\n", "too big bulk count string"},
        {"*1\r\n$1\r\nabc\r\n", "expected CRLF after a bulk string"},
        {"*1\r\n$1\r\na\r\r", "expected CRLF after a bulk string"},
    };
    for (const auto& [stream, reason] : cases) {
        const std::string_view sent = stream;
        CAPTURE(sent);
        CHECK(error_of(sent) == protocol(reason));
    }
}

TEST_CASE("requests before a framing error are still given") {
    const Outcome outcome = feed_whole(request({"PING"}) + "*1\r\n!");
    CHECK(outcome.requests == std::vector<Words>{{"PING"}});
    CHECK(outcome.error == protocol("expected '$', got '!'"));
}

TEST_CASE("each limit lets its own value pass and refuses the next") {
    kv::RequestLimits limits;
    limits.arguments = 3;
    CHECK(feed_whole(request({"a", "b", "c"}), limits).requests.size() == 1);
    CHECK(error_of("*4\r\n", limits) == protocol("invalid multibulk length: at most 3 arguments"));
    CHECK(feed_whole("a b c\n", limits).requests.size() == 1);
    CHECK(error_of("a b c d\n", limits) == protocol("too big inline request"));

    limits.bulk_bytes = 5;
    CHECK(feed_whole(request({"12345"}), limits).requests.size() == 1);
    CHECK(error_of("*1\r\n$6\r\n", limits) == protocol("invalid bulk length: at most 5 bytes"));

    const std::string three = request({"12345", "12345", "12345"});
    limits.request_bytes = three.size();
    CHECK(feed_whole(three, limits).requests.size() == 1);
    limits.request_bytes = three.size() - 1;
    CHECK(error_of(three, limits) == protocol("too big request: at most 36 bytes"));
    limits.request_bytes = 3;
    CHECK(error_of(three, limits) == protocol("too big request: at most 3 bytes"));

    limits.inline_bytes = 4;
    CHECK(feed_whole("ping\n", limits).requests.size() == 1);
    CHECK(error_of("ping\r\n", limits) == protocol("too big inline request"));
    CHECK(error_of("pinga", limits) == protocol("too big inline request"));
    CHECK(feed_whole("ping", limits).left == 4);
}

TEST_CASE("an inline command without an end is refused at 64 KiB") {
    CHECK(feed_whole(std::string(64 * 1024, 'a')).error.empty());
    CHECK(feed_whole(std::string(64 * 1024 + 1, 'a')).error == protocol("too big inline request"));
}

TEST_CASE("announced lengths allocate nothing before the bytes arrive") {
    kv::RequestParser parser;
    kv::InputBuffer buffer;
    receive(buffer, "*8193\r\n$8388608\r\nabc");
    CHECK(parser.parse(buffer.data()) == ParseStatus::incomplete);
    static_cast<void>(buffer.prepare());
    CHECK(buffer.capacity() < 2 * kv::InputBuffer::chunk_bytes);
}

TEST_CASE("a long request that arrives byte by byte takes linear work") {
    // With a rescan from the start for each byte this would look at 10^10 bytes or more.
    const Words words = {"SET", "k", std::string(1024 * 1024, 'v')};
    Words many(kv::command_arguments_max, "x");
    CHECK(feed_bytewise(request(words)).requests == std::vector<Words>{words});
    CHECK(feed_bytewise(request(many)).requests == std::vector<Words>{many});
}

TEST_CASE("an input buffer grows with what it holds and gives large memory back") {
    kv::InputBuffer buffer;
    std::string expected;
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        const std::string piece(random() % 5000, static_cast<char>('a' + round % 26));
        receive(buffer, piece);
        expected += piece;
        const std::size_t drop = std::min<std::size_t>(expected.size(), random() % 5000);
        buffer.consume(drop);
        expected.erase(0, drop);
        REQUIRE(buffer.data() == expected);
    }
    buffer.consume(expected.size());
    receive(buffer, std::string(1024 * 1024, 'z'));
    CHECK(buffer.capacity() <= 2 * 1024 * 1024 + kv::InputBuffer::chunk_bytes);
    buffer.consume(1024 * 1024 - 1);
    CHECK(buffer.data() == "z");
    buffer.consume(1);
    CHECK(buffer.capacity() == 0);
    CHECK(buffer.data().empty());
}

TEST_CASE("random requests survive random splits") {
    std::mt19937 random(20240601);
    for (int round = 0; round < 300; ++round) {
        std::vector<Words> expected;
        std::string stream;
        for (auto i = 1 + random() % 6; i != 0; --i) {
            Words words(1 + random() % 5);
            for (std::string& word : words) {
                word.resize(random() % 40);
                std::generate(word.begin(), word.end(),
                              [&] { return static_cast<char>(random() & 0xff); });
            }
            stream += request(words);
            expected.push_back(std::move(words));
        }
        std::vector<std::size_t> cuts(random() % 8);
        std::generate(cuts.begin(), cuts.end(), [&] { return random() % (stream.size() + 1); });
        std::sort(cuts.begin(), cuts.end());
        const Outcome outcome = feed(stream, cuts);
        CHECK(outcome.requests == expected);
        CHECK(outcome.error.empty());
    }
}

TEST_CASE("random bytes give the same outcome however they are split") {
    constexpr std::string_view alphabet = "**$$-0112359\r\n\r\n\r\n \"'\\xaGET";
    std::mt19937 random(42);
    kv::RequestLimits limits;
    limits.bulk_bytes = 20;
    limits.request_bytes = 60;
    limits.inline_bytes = 24;
    std::size_t failed = 0;
    std::size_t found = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string stream = round % 2 == 0 ? "*2\r\n$1\r\na\r\n" : "";
        for (auto i = random() % 50; i != 0; --i) {
            stream += alphabet[random() % alphabet.size()];
        }
        const Outcome whole = feed_whole(stream, limits);
        failed += whole.error.empty() ? 0U : 1U;
        found += whole.requests.size();
        const std::size_t cut = random() % (stream.size() + 1);
        REQUIRE(feed(stream, {cut}, limits) == whole);
        REQUIRE(feed_bytewise(stream, limits) == whole);
    }
    CHECK(failed > 1000);
    CHECK(found > 1000);
}

TEST_CASE("a valid stream with one byte damaged never breaks the parser") {
    const std::string first = request({"SET", "key", "value"});
    const std::string valid = first + "get 'k'\r\n" + request({"PING"});
    for (std::size_t at = 0; at < valid.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string stream = valid;
            stream[at] = static_cast<char>(byte);
            const Outcome whole = feed_whole(stream);
            REQUIRE(feed(stream, {stream.size() / 2}) == whole);
            const bool first_is_intact = at >= first.size();
            REQUIRE((!first_is_intact || !whole.requests.empty()));
        }
    }
}

}  // namespace resp_test
