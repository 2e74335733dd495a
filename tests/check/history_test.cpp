// Distributed under the Boost Software License, Version 1.0. See LICENSE.

#include "check_support.hpp"
#include "kv/check/history_file.hpp"
#include "kv/check/model.hpp"

#include <rsm/check/history.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace history_test {

namespace {

using kv::check::KvError;
using kv::check::KvHistory;
using kv::check::KvInput;
using kv::check::KvOp;
using kv::check::KvOperation;
using kv::check::KvOutput;
using rsm::check::test::simulate;

std::vector<KvOperation> read_all(const std::string& text) {
    std::istringstream in(text);
    auto read = kv::check::read_kv_history(in);
    if (const auto* const error = std::get_if<kv::check::HistoryFileError>(&read)) {
        FAIL(error->line, ":", error->column, ": ", error->message);
    }
    return std::get<std::vector<KvOperation>>(read);
}

kv::check::HistoryFileError error_of(const std::string& text,
                                     const kv::check::HistoryFileLimits& limits = {}) {
    std::istringstream in(text);
    const auto read = kv::check::read_kv_history(in, limits);
    REQUIRE(std::holds_alternative<kv::check::HistoryFileError>(read));
    return std::get<kv::check::HistoryFileError>(read);
}

}  // namespace

TEST_CASE("A recorder keeps what never ended as pending and refuses an end that makes no sense") {
    KvHistory history(3);
    const auto first = history.begin(1, {KvOp::put, "k", "a", 0}, 10);
    const auto second = history.begin(2, {KvOp::get, "k", "", 0}, 11);
    CHECK_FALSE(history.end(first, {KvError::ok, "", 0}, 9));
    CHECK_FALSE(history.end(7, {KvError::ok, "", 0}, 20));
    CHECK(history.end(first, {KvError::ok, "", 0}, 10));
    CHECK_FALSE(history.end(first, {KvError::version, "", 0}, 30));
    history.begin(3, {KvOp::get, "k", "", 0}, 12);
    CHECK_THROWS_AS(history.begin(4, {}, 13), std::length_error);
    REQUIRE(history.size() == 3);
    CHECK(history.operations()[first].ret == 10);
    CHECK(history.operations()[first].output->error == KvError::ok);
    CHECK_FALSE(history.operations()[second].ret);
    CHECK_FALSE(history.operations()[second].output);
    history.clear();
    CHECK(history.size() == 0);
}

TEST_CASE("A shared recorder loses nothing when several threads record at once") {
    rsm::check::SharedHistory<KvInput, KvOutput> history;
    std::vector<std::thread> threads;
    for (std::uint64_t client = 0; client < 4; ++client) {
        threads.emplace_back([&history, client] {
            for (std::int64_t i = 0; i < 500; ++i) {
                const auto token = history.begin(client, {KvOp::get, "k", "", 0}, i);
                if (i % 5 != 0 && !history.end(token, {KvError::no_key, "", 0}, i)) {
                    return;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const std::vector<KvOperation> operations = history.operations();
    CHECK(operations.size() == 2000);
    CHECK(std::count_if(operations.begin(), operations.end(), [](const KvOperation& operation) {
              return operation.ret.has_value();
          }) == 1600);
}

TEST_CASE("A history file is read as its format says") {
    const auto operations = read_all(
        R"({"client":1,"op":"put","key":"k","value":"v","version":3,"err":"OK","call":123,)"
        R"("return":456})"
        "\n\n"
        R"( { "op" : "get" , "return":-9223372036854775808, "err":"OK","value":"x",)"
        R"("version":18446744073709551615,)"
        R"("call":-9223372036854775808,"client":18446744073709551615,"key":"" } )"
        "\r\n"
        R"({"client":3,"op":"get","key":"k","call":5})"
        "\n"
        R"({"client":3,"op":"put","key":"k","value":"w","version":1,"err":"ErrMaybe","call":5,)"
        R"("return":6})");
    REQUIRE(operations.size() == 4);
    CHECK(operations[0] ==
          KvOperation{1, {KvOp::put, "k", "v", 3}, KvOutput{KvError::ok, "", 0}, 123, 456});
    const std::int64_t first = std::numeric_limits<std::int64_t>::min();
    const std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    CHECK(
        operations[1] ==
        KvOperation{last, {KvOp::get, "", "", 0}, KvOutput{KvError::ok, "x", last}, first, first});
    CHECK(operations[2] == KvOperation{3, {KvOp::get, "k", "", 0}, std::nullopt, 5, std::nullopt});
    CHECK(operations[3] ==
          KvOperation{3, {KvOp::put, "k", "w", 1}, KvOutput{KvError::maybe, "", 0}, 5, 6});
}

TEST_CASE(
    "What the writer writes is printable ASCII and is read back exactly, all bytes included") {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
        bytes.push_back(static_cast<char>(i));
    }
    std::vector<KvOperation> operations = simulate({5, 4, 300, 5, 10, 17});
    operations.push_back(
        {9, {KvOp::put, bytes, bytes + bytes, 5}, KvOutput{KvError::ok, "", 0}, -4, -3});
    operations.push_back({9, {KvOp::get, bytes, "", 0}, KvOutput{KvError::ok, bytes, 6}, -4, -3});
    operations.push_back({9, {KvOp::get, bytes, "", 0}, KvOutput{KvError::no_key, "", 0}, -4, -3});
    operations.push_back(
        {9, {KvOp::put, "\xc3\xa9", "\xff\xfe", 5}, KvOutput{KvError::version, "", 0}, -4, -3});
    std::ostringstream out;
    kv::check::write_kv_history(out, operations);
    const std::string text = out.str();
    CHECK(std::all_of(text.begin(), text.end(),
                      [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
    CHECK(read_all(text) == operations);
}

TEST_CASE("Characters above U+00FF become UTF-8, those below one byte, escaped or not") {
    const auto key_of = [](const std::string& text) {
        return read_all("{\"client\":1,\"op\":\"get\",\"key\":\"" + text + "\",\"call\":1}")
            .at(0)
            .input.key;
    };
    CHECK(key_of("\\u00e9") == "\xe9");
    CHECK(key_of("\\u0100") == "\xc4\x80");
    CHECK(key_of("\\u07ff") == "\xdf\xbf");
    CHECK(key_of("\\u0800") == "\xe0\xa0\x80");
    CHECK(key_of("\\u20AC") == "\xe2\x82\xac");
    CHECK(key_of("\\ud83d\\ude00") == "\xf0\x9f\x98\x80");
    CHECK(key_of("\\udbff\\udfff") == "\xf4\x8f\xbf\xbf");
    CHECK(key_of("\xc3\xa9\xc4\x80") == "\xe9\xc4\x80");
    CHECK(key_of("\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000") == std::string("\"\\/\b\f\n\r\t\0", 9));
}

TEST_CASE("A line that is not an operation is an error with its line and column") {
    struct Case {
        const char* text;
        std::size_t column;
        const char* message;
    };
    const Case cases[] = {
        {"x", 1, "invalid literal"},
        {"[]", 0, "the line is no object"},
        {"{}", 0, "client, op, key and call must all be given"},
        {R"({"client":1,})", 13, "expected string literal"},
        {R"({"client" 1})", 11, "expected ':'"},
        {R"({"client":1)", 12, "expected '}'"},
        {R"({"client":1,"client":2})", 0, "client is given twice"},
        {R"({"colour":1})", 0, "colour is no member of an operation"},
        {R"({"client":-1})", 0, "client is not an integer from 0 to 2^64-1"},
        {R"({"client":1.0})", 0, "client is not an integer from 0 to 2^64-1"},
        {R"({"client":null})", 0, "client is not an integer from 0 to 2^64-1"},
        {R"({"client":18446744073709551616})", 0, "client is not an integer from 0 to 2^64-1"},
        {R"({"call":9223372036854775808})", 0, "call is not an integer from -2^63 to 2^63-1"},
        {R"({"call":1e3})", 0, "call is not an integer from -2^63 to 2^63-1"},
        {R"({"call":1e999})", 0, "number overflow"},
        {R"({"client":01})", 12, "unexpected number literal"},
        {R"({"client":+1})", 11, "invalid literal"},
        {R"({"op":"append"})", 0, "op is none of the names that it may be"},
        {R"({"err":1})", 0, "err is none of the names that it may be"},
        {R"({"key":[]})", 0, "key is not a string"},
        {R"({"key":"abc)", 12, "missing closing quote"},
        {"{\"key\":\"a\tb\"}", 10, "control character"},
        {"{\"key\":\"a\xff\"}", 10, "ill-formed UTF-8"},
        {R"({"key":"\x41"})", 10, "forbidden character after backslash"},
        {R"({"key":"\u12"})", 13, "must be followed by 4 hex digits"},
        {R"({"key":"\udc00"})", 14, "must follow"},
        {R"({"client":1,"op":"get","key":"k","call":1} x)", 44, "invalid literal"},
        {R"({"op":"get","key":"k","call":1})", 0, "client, op, key and call must all be given"},
        {R"({"client":1,"op":"get","key":"k","call":2,"return":1,"err":"ErrNoKey"})", 0,
         "return lies before call"},
        {R"({"client":1,"op":"get","key":"k","call":1,"return":1})", 0,
         "an operation that returned must have err"},
        {R"({"client":1,"op":"put","key":"k","call":1,"value":"v"})", 0,
         "a put must have value and version"},
        {R"({"client":1,"op":"get","key":"k","call":1,"return":1,"err":"OK","value":"v"})", 0,
         "a get that returned OK must have value and version"},
        {R"({"client":1,"op":"get","key":"k","call":1,"return":1,"err":"ErrNoKey","version":1})", 0,
         "a get that did not return OK has neither value nor version"},
    };
    for (const Case& example : cases) {
        CAPTURE(example.text);
        const auto error = error_of("{\"client\":1,\"op\":\"get\",\"key\":\"k\",\"call\":1}\n" +
                                    std::string(example.text));
        CHECK(error.line == 2);
        CHECK(error.column == example.column);
        CHECK(error.message.find(example.message) != std::string::npos);
    }
}

TEST_CASE("A line or a history above the reader's limits is an error, one at the limit is not") {
    const std::string line = R"({"client":1,"op":"get","key":"k","call":1})";
    std::istringstream in(line + "\n" + line);
    CHECK(std::get<std::vector<KvOperation>>(kv::check::read_kv_history(in, {line.size(), 2}))
              .size() == 2);
    CHECK(error_of(line + "\n" + line, {line.size() - 1, 2}).message == "line too long");
    const auto error = error_of(line + "\n" + line, {line.size(), 1});
    CHECK(error.message == "too many operations");
    CHECK(error.line == 2);
}

}  // namespace history_test
