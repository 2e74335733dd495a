// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "receive.hpp"

#include <kv/reply.hpp>
#include <kv/resp.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace reply_test {

namespace {

using kv::ParseStatus;
using kv_test::receive;

struct Replies {
    std::vector<kv::Reply> replies;
    std::string error;

    friend bool operator==(const Replies&, const Replies&) = default;
};

Replies read_replies(std::string_view stream, std::size_t piece,
                     const kv::ReplyLimits& limits = {}) {
    kv::ReplyParser parser(limits);
    kv::InputBuffer buffer;
    Replies result;
    for (std::size_t begin = 0; begin < stream.size(); begin += piece) {
        receive(buffer, stream.substr(begin, piece));
        ParseStatus status = ParseStatus::complete;
        while (status == ParseStatus::complete) {
            status = parser.parse(buffer.data());
            buffer.consume(parser.consumed());
            if (status == ParseStatus::complete) {
                result.replies.push_back(parser.take());
            }
        }
        if (status == ParseStatus::failed) {
            result.error = parser.error();
            return result;
        }
    }
    return result;
}

// The same, whole and byte by byte.
Replies read_replies(std::string_view stream, const kv::ReplyLimits& limits = {}) {
    Replies whole = read_replies(stream, std::max<std::size_t>(stream.size(), 1), limits);
    CHECK(whole == read_replies(stream, 1, limits));
    return whole;
}

}  // namespace

TEST_CASE("replies are written in the bytes of RESP2 and RESP3") {
    std::string out;
    kv::ReplyWriter reply(out);
    reply.simple("OK");
    reply.error("ERR a\r\nb");
    reply.integer(-12);
    reply.bulk(std::string_view("a\0\r\n", 4));
    reply.bulk("");
    reply.null();
    reply.null_array();
    reply.array(2);
    constexpr char expected[] =
        "+OK\r\n-ERR a  b\r\n:-12\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*2\r\n";
    CHECK(out == std::string(expected, sizeof(expected) - 1));

    for (const kv::Protocol protocol : {kv::Protocol::resp2, kv::Protocol::resp3}) {
        out.clear();
        kv::ReplyWriter writer(out, protocol);
        writer.null();
        writer.null_array();
        writer.map(2);
        writer.set(3);
        writer.array(4);
        writer.text("abc");
        CHECK(out == (protocol == kv::Protocol::resp2
                          ? "$-1\r\n*-1\r\n*4\r\n*3\r\n*4\r\n$3\r\nabc\r\n"
                          : "_\r\n_\r\n%2\r\n~3\r\n*4\r\n=7\r\ntxt:abc\r\n"));
    }
}

TEST_CASE("a client reads back what a server writes") {
    using Type = kv::Reply::Type;
    const std::string stream =
        "+OK\r\n-ERR no\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
        "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*0\r\n+y\r\n";
    const Replies read = read_replies(stream);
    CHECK(read.error.empty());
    const kv::Reply inner{Type::array, "", 0, {{Type::bulk, "x", 0, {}}, {Type::array, "", 0, {}}}};
    const std::vector<kv::Reply> expected = {
        {Type::simple, "OK", 0, {}},
        {Type::error, "ERR no", 0, {}},
        {Type::integer, "", -5, {}},
        {Type::bulk, "a\r\n", 0, {}},
        {Type::null, "", 0, {}},
        {Type::null, "", 0, {}},
        {Type::array, "", 0, {}},
        {Type::array, "", 0, {{Type::integer, "", 1, {}}, inner, {Type::simple, "y", 0, {}}}},
    };
    CHECK(read.replies == expected);
    CHECK(read.replies[1].is_error("ERR"));
    CHECK_FALSE(read.replies[1].is_error("ER"));
    CHECK_FALSE(read.replies[0].is_error("OK"));
}

TEST_CASE("a reply split at any one byte is read the same") {
    const std::string stream = "*2\r\n*2\r\n$5\r\nhe\r\no\r\n:77\r\n-NOKEY no\r\n+end\r\n";
    const Replies whole = read_replies(stream, stream.size());
    REQUIRE(whole.replies.size() == 2);
    for (std::size_t piece = 1; piece < stream.size(); ++piece) {
        CHECK(read_replies(stream, piece) == whole);
    }
}

TEST_CASE("bytes that are no reply fail for good") {
    for (const char* stream : {"x", "%1\r\n", ":1x\r\n", ":\r\n", "$-2\r\n", "*-2\r\n", "$1\r\nabc",
                               "+a\rb", "$a\r\n", "*1\r\n!", "$9223372036854775807\r\n",
                               "*9223372036854775807\r\n", ":000000000000000000000000000000000"}) {
        CAPTURE(stream);
        CHECK(read_replies(stream).error.starts_with("protocol error: "));
    }
    CHECK(read_replies("$-2\r\n").error == "protocol error: negative length");
    kv::ReplyParser parser;
    CHECK(parser.parse("?") == ParseStatus::failed);
    CHECK(parser.parse("+OK\r\n") == ParseStatus::failed);
}

TEST_CASE("each limit on replies lets its own value pass and refuses the next") {
    kv::ReplyLimits limits;
    limits.depth = 2;
    CHECK(read_replies("*1\r\n*1\r\n+a\r\n", limits).replies.size() == 1);
    CHECK(read_replies("*1\r\n*1\r\n*1\r\n+a\r\n", limits).error ==
          "protocol error: arrays are nested too deep");
    limits.elements = 3;
    CHECK(read_replies("*2\r\n*1\r\n+a\r\n+b\r\n", limits).replies.size() == 1);
    CHECK(read_replies("*2\r\n*2\r\n", limits).error == "protocol error: too many elements");
    limits.bulk_bytes = 2;
    CHECK(read_replies("$2\r\nab\r\n", limits).replies.size() == 1);
    CHECK(read_replies("$3\r\n", limits).error == "protocol error: too long a bulk string");
    limits.line_bytes = 2;
    CHECK(read_replies("+ab\r\n", limits).replies.size() == 1);
    CHECK(read_replies("+abc", limits).error == "protocol error: too long a line");
    limits.reply_bytes = 12;
    const Replies two = read_replies("*2\r\n+a\r\n+b\r\n*2\r\n+a\r\n+bc\r\n", limits);
    CHECK(two.replies.size() == 1);
    CHECK(two.error == "protocol error: too big reply");
    CHECK(read_replies("*2\r\n+a\r\n+b\r\n*2\r\n+a\r\n+b\r\n", limits).replies.size() == 2);
}

TEST_CASE("random bytes give the same replies however they are split") {
    constexpr std::string_view parts[] = {"*1\r\n",       "*2\r\n",    "*0\r\n",  "+a\r\n",
                                          "-b\r\n",       ":3\r\n",    "$-1\r\n", "*-1\r\n",
                                          "$2\r\nxy\r\n", "$0\r\n\r\n"};
    constexpr std::string_view noise = "*$:+-019\r\na";
    std::mt19937 random(99);
    std::size_t found = 0;
    std::size_t failed = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string stream;
        for (auto i = random() % 12; i != 0; --i) {
            stream += parts[random() % std::size(parts)];
        }
        if (round % 2 == 0 && !stream.empty()) {
            stream[random() % stream.size()] = noise[random() % noise.size()];
        }
        const Replies read = read_replies(stream);
        found += read.replies.size();
        failed += read.error.empty() ? 0U : 1U;
    }
    CHECK(found > 1000);
    CHECK(failed > 1000);
}

}  // namespace reply_test
