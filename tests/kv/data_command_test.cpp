// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Commands on keys as clients say them: deadlines, strings, iterations, transactions.
#include "command_support.hpp"

#include <kv/limits.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace data_command_test {

namespace {

using kv_test::LocalService;
using kv_test::Words;

const std::string one = ":1\r\n";
const std::string zero = ":0\r\n";
const std::string ok = "+OK\r\n";
const std::string null = "$-1\r\n";
const std::string queued = "+QUEUED\r\n";
std::string integer(std::int64_t value) { return ":" + std::to_string(value) + "\r\n"; }
std::string bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

}  // namespace

TEST_CASE("commands: deadlines are set, told and taken away") {
    LocalService kv;
    CHECK(kv("TTL a") == integer(-2));
    CHECK(kv("EXPIRE a 10") == zero);
    kv("SET a 1");
    CHECK(kv("TTL a") == integer(-1));
    CHECK(kv("PEXPIRETIME a") == integer(-1));
    CHECK(kv("EXPIRE a 10") == one);
    CHECK(kv("TTL a") == integer(10));
    CHECK(kv("PTTL a") == integer(10000));
    kv.now += 4400;
    CHECK(kv("TTL a") == integer(6));  // as no write has come meanwhile, and rounded
    CHECK(kv("PTTL a") == integer(5600));
    CHECK(kv("PEXPIRETIME a") == integer(1010000));
    CHECK(kv("EXPIRETIME a") == integer(1010));
    CHECK(kv("PERSIST a") == one);
    CHECK(kv("PERSIST a") == zero);
    CHECK(kv("TTL a") == integer(-1));
    CHECK(kv("PEXPIRE a 1500") == one);
    CHECK(kv("EXPIREAT a 2000") == one);
    CHECK(kv("PTTL a") == integer(2000000 - 1004400));
    CHECK(kv("PEXPIREAT a 1004401") == one);
    CHECK(kv("GET a") == bulk("1"));
    ++kv.now;
    CHECK(kv("PTTL a") == zero);  // due, but only the log says that it is gone
    CHECK(kv("GET a") == bulk("1"));
    kv("SET b 1");
    CHECK(kv("GET a") == null);
    CHECK(kv("EXPIRE b -1") == one);
    CHECK(kv("EXISTS b") == zero);
}

TEST_CASE("commands: the conditions of EXPIRE, and what it refuses") {
    LocalService kv;
    kv("SET a 1");
    CHECK(kv("EXPIRE a 10 xx") == zero);
    CHECK(kv("EXPIRE a 10 GT") == zero);
    CHECK(kv("EXPIRE a 10 nx") == one);
    CHECK(kv("EXPIRE a 10 NX") == zero);
    CHECK(kv("EXPIRE a 9 XX LT") == one);
    CHECK(kv("EXPIRE a 9 GT") == zero);
    CHECK(kv("PEXPIRE a 9001 XX GT") == one);
    for (const char* line : {"EXPIRE a 1 NX XX", "EXPIRE a 1 NX GT", "EXPIRE a 1 LT NX"}) {
        CHECK(kv(line) ==
              "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    }
    CHECK(kv("EXPIRE a 1 GT LT") ==
          "-ERR GT and LT options at the same time are not compatible\r\n");
    CHECK(kv("EXPIRE a 1 foo") == "-ERR Unsupported option foo\r\n");
    CHECK(kv("EXPIRE a x") == "-ERR value is not an integer or out of range\r\n");
    CHECK(kv("EXPIRE a 9223372036854775807") == "-ERR invalid expire time in 'expire' command\r\n");
    CHECK(kv("PEXPIREAT a -9223372036854775807") ==
          "-ERR invalid expire time in 'pexpireat' command\r\n");
    CHECK(kv("PTTL a") == integer(9001));
}

TEST_CASE("commands: SET with all of its options") {
    LocalService kv;
    CHECK(kv("SET a 1 EX 10") == ok);
    CHECK(kv("PTTL a") == integer(10000));
    CHECK(kv("SET a 2 KEEPTTL") == ok);
    CHECK(kv("PTTL a") == integer(10000));
    CHECK(kv("SET a 3 GET") == bulk("2"));
    CHECK(kv("TTL a") == integer(-1));
    CHECK(kv("SET a 4 NX GET") == bulk("3"));
    CHECK(kv("GET a") == bulk("3"));
    CHECK(kv("SET b 1 XX GET PX 5") == null);
    CHECK(kv("SET b 1 GET NX PX 5") == null);
    CHECK(kv("PTTL b") == integer(5));
    CHECK(kv("SET b 2 XX PXAT 1000020") == ok);
    CHECK(kv("PTTL b") == integer(20));
    CHECK(kv("SET b 2 NX EX 9") == null);
    CHECK(kv("SET b 2 EXAT 999") == ok);  // in the past
    CHECK(kv("EXISTS b") == zero);
    CHECK(kv("SETEX c 7 x") == ok);
    CHECK(kv("TTL c") == integer(7));
    CHECK(kv("PSETEX c 7 x") == ok);
    CHECK(kv("PTTL c") == integer(7));
    CHECK(kv("SETEX c 0 x") == "-ERR invalid expire time in 'setex' command\r\n");
    CHECK(kv("PSETEX c -1 x") == "-ERR invalid expire time in 'psetex' command\r\n");
    CHECK(kv("SETNX c y") == zero);
    CHECK(kv("SETNX d y") == one);
    CHECK(kv("MSETNX e 1 d 2") == zero);
    CHECK(kv("MSETNX e 1 f 2") == one);
    CHECK(kv("MGET e f") == "*2\r\n" + bulk("1") + bulk("2"));
    CHECK(kv("MSETNX e 1 f") == "-ERR wrong number of arguments for 'msetnx' command\r\n");
}

TEST_CASE("commands: values are taken, exchanged and grown") {
    LocalService kv;
    CHECK(kv("GETSET a 1") == null);
    CHECK(kv("GETSET a 2") == bulk("1"));
    CHECK(kv("GETEX a EX 10") == bulk("2"));
    CHECK(kv("TTL a") == integer(10));
    CHECK(kv("GETEX a") == bulk("2"));
    CHECK(kv("TTL a") == integer(10));
    CHECK(kv("GETEX a PERSIST") == bulk("2"));
    CHECK(kv("TTL a") == integer(-1));
    CHECK(kv("GETEX none PX 5") == null);
    CHECK(kv("GETEX a PX") == "-ERR syntax error\r\n");
    CHECK(kv("GETEX a PX 5 x") == "-ERR syntax error\r\n");
    CHECK(kv("GETEX a PX 0") == "-ERR invalid expire time in 'getex' command\r\n");
    CHECK(kv("GETDEL a") == bulk("2"));
    CHECK(kv("GETDEL a") == null);
    CHECK(kv("APPEND a xy") == integer(2));
    CHECK(kv("APPEND a z") == integer(3));
    CHECK(kv("STRLEN a") == integer(3));
    CHECK(kv("STRLEN none") == zero);
    CHECK(kv("TYPE a") == "+string\r\n");
    CHECK(kv("TYPE none") == "+none\r\n");
    CHECK(kv("UNLINK a none") == one);
    const std::string large(kv::command_bytes_max - 1, 'x');
    CHECK(kv.run({"SET", "a", large}) == ok);
    CHECK(kv("APPEND a y") ==
          "-ERR key and value would have more than 8388608 bytes, nothing "
          "happened\r\n");
    CHECK(kv("STRLEN a") == integer(static_cast<std::int64_t>(large.size())));
}

TEST_CASE("commands: SCAN goes through all keys, by pattern and type") {
    LocalService kv;
    std::set<std::string> expected;
    for (int i = 0; i < 3000; ++i) {
        const std::string key = "key:" + std::to_string(i);
        kv.run({"SET", key, "x"});
        if (key.ends_with("7")) expected.insert(key);
    }
    std::set<std::string> found;
    std::string cursor = "0";
    int rounds = 0;
    do {
        const kv::Reply reply = kv_test::parse(kv("SCAN " + cursor + " COUNT 100 MATCH key:*7"));
        REQUIRE(reply.elements.size() == 2);
        cursor = reply.elements[0].text;
        for (const kv::Reply& key : reply.elements[1].elements) found.insert(key.text);
        ++rounds;
    } while (cursor != "0");
    CHECK(found == expected);
    CHECK(rounds == 30);
    CHECK(kv("SCAN 0 TYPE list COUNT 5000").starts_with("*2\r\n$1"));
    CHECK(kv("SCAN 0 TYPE list COUNT 5000").ends_with("\r\n*0\r\n"));
    CHECK(kv("SCAN x") == "-ERR invalid cursor\r\n");
    CHECK(kv("SCAN -1") == "-ERR invalid cursor\r\n");
    CHECK(kv("SCAN 18446744073709551615") == "*2\r\n$1\r\n0\r\n*0\r\n");
    CHECK(kv("SCAN 0 COUNT 0") == "-ERR syntax error\r\n");
    CHECK(kv("SCAN 0 COUNT") == "-ERR syntax error\r\n");
    CHECK(kv("SCAN 0 FOO 1") == "-ERR syntax error\r\n");
    CHECK(kv("SCAN 0 COUNT x") == "-ERR value is not an integer or out of range\r\n");
    CHECK(kv("RANDOMKEY").starts_with("$"));
    CHECK(kv_test::parse(kv("KEYS key:1*")).elements.size() == 1111);
    CHECK(kv("KEYS none") == "*0\r\n");
    CHECK(kv("FLUSHALL") == ok);
    CHECK(kv("RANDOMKEY") == null);
    CHECK(kv("SCAN 0") == "*2\r\n$1\r\n0\r\n*0\r\n");
}

TEST_CASE("commands: what looks at keys has limits") {
    LocalService kv;
    const std::string text(kv::pattern_bytes_max + 1, 'x');
    CHECK(kv.run({"KEYS", text}) == "-ERR a pattern has at most 1024 bytes\r\n");
    CHECK(kv.run({"SCAN", "0", "MATCH", text}) == "-ERR a pattern has at most 1024 bytes\r\n");
    kv.run({"SET", std::string(1 << 20, 'a'), ""});
    const std::string pattern = "*" + std::string(100, 'a') + "b";
    const std::string refusal = "-ERR to compare the pattern with the keys takes too long\r\n";
    CHECK(kv.run({"KEYS", pattern}) == refusal);
    CHECK(kv.run({"SCAN", "0", "MATCH", pattern}) == refusal);
    for (std::size_t i = 0; i < kv::keys_looked_at_max; ++i) {
        kv.run({"SET", "k" + std::to_string(i), ""});
    }
    CHECK(kv("KEYS *") ==
          "-ERR KEYS looks at 16384 keys at most, and there are 16385: use SCAN\r\n");
    CHECK(kv("FLUSHDB ASYNC") == ok);
    CHECK(kv("DBSIZE") == zero);
    CHECK(kv("FLUSHALL SYNC") == ok);
    CHECK(kv("FLUSHALL NOW") == "-ERR syntax error\r\n");
    // A SCAN ends early where keys are large, and goes on behind them.
    for (int i = 0; i < 20; ++i)
        kv.run({"SET", std::string(300000, static_cast<char>('a' + i)), ""});
    std::string cursor = "0";
    std::size_t found = 0;
    std::size_t rounds = 0;
    do {
        const kv::Reply reply = kv_test::parse(kv("SCAN " + cursor + " COUNT 1000"));
        cursor = reply.elements[0].text;
        found += reply.elements[1].elements.size();
        ++rounds;
    } while (cursor != "0");
    CHECK(found == 20);
    CHECK(rounds >= 5);
}

TEST_CASE("commands: a transaction is carried out as one operation and answered as an array") {
    LocalService kv;
    CHECK(kv("EXEC") == "-ERR EXEC without MULTI\r\n");
    CHECK(kv("DISCARD") == "-ERR DISCARD without MULTI\r\n");
    CHECK(kv("MULTI") == ok);
    CHECK(kv("MULTI") == "-ERR MULTI calls can not be nested\r\n");
    for (const char* line : {"SET a 1", "INCR a", "GET a", "MGET a b", "PING", "ECHO x", "SELECT 0",
                             "SET t x EX 5", "TTL t", "TYPE t", "INCR t", "SETNX a 9", "VGET a",
                             "DBSIZE", "VPUT a 3 7", "GETSET a 4", "EXISTS a a b", "UNWATCH"}) {
        CAPTURE(line);
        CHECK(kv(line) == queued);
    }
    CHECK(kv.operations == 0);
    CHECK(kv("EXEC") == "*18\r\n" + ok + integer(2) + bulk("2") + "*2\r\n" + bulk("2") + null +
                            "+PONG\r\n" + bulk("x") + ok + ok + integer(5) + "+string\r\n" +
                            "-ERR value is not an integer or out of range\r\n" + zero + "*2\r\n" +
                            bulk("2") + integer(2) + integer(2) +
                            "-VERSION the version of the key is 2\r\n" + bulk("2") + integer(2) +
                            ok);
    CHECK(kv.operations == 1);
    CHECK(kv("GET a") == bulk("4"));
    CHECK(kv("MULTI") == ok);
    CHECK(kv("EXEC") == "*0\r\n");
    CHECK(kv("MULTI") == ok);
    CHECK(kv("SET a 5") == queued);
    CHECK(kv("DISCARD") == ok);
    CHECK(kv("GET a") == bulk("4"));
    CHECK(kv("MULTI") == ok);
    CHECK(kv("FLUSHALL") == queued);
    CHECK(kv("SET z 1") == queued);
    CHECK(kv("EXEC") == "*2\r\n" + ok + ok);
    CHECK(kv("DBSIZE") == one);
}

TEST_CASE("commands: an error while queueing makes the transaction void") {
    for (const char* wrong :
         {"SET a", "FOO", "INCRBY a x", "SET a 1 EX 0", "KEYS *", "SCAN 0", "RANDOMKEY", "INFO",
          "HELLO 3", "CLUSTER INFO", "MEMBER LIST", "AUTH x", "SELECT 1"}) {
        CAPTURE(wrong);
        LocalService kv;
        kv("MULTI");
        CHECK(kv("SET a 1") == queued);
        CHECK(kv(wrong).starts_with("-"));
        CHECK(kv("SET a 2") == queued);
        CHECK(kv("EXEC") == "-EXECABORT Transaction discarded because of previous errors.\r\n");
        CHECK(kv("GET a") == null);
        CHECK(kv.connection.protocol == kv::Protocol::resp2);
        CHECK(kv("EXEC") == "-ERR EXEC without MULTI\r\n");
    }
    LocalService kv;
    kv("MULTI");
    CHECK(kv("WATCH a") == "-ERR WATCH inside MULTI is not allowed\r\n");
    CHECK(kv("KEYS *") == "-ERR 'keys' is not allowed between MULTI and EXEC\r\n");
}

TEST_CASE("commands: a watched key that has changed makes EXEC do nothing") {
    LocalService kv;
    kv("SET a 1");
    const auto exec_after = [&](const char* watch, const char* change) {
        kv(watch);
        if (change != nullptr) kv(change);
        kv("MULTI");
        kv("SET done 1");
        return kv("EXEC");
    };
    const std::string done = "*1\r\n" + ok;
    CHECK(exec_after("WATCH a b", nullptr) == done);
    CHECK(exec_after("WATCH a b", "SET other 1") == done);
    for (const char* change :
         {"SET a 1", "INCR b", "EXPIRE a 100", "PERSIST a", "DEL b", "APPEND b x", "FLUSHALL"}) {
        CAPTURE(change);
        CHECK(exec_after("WATCH a b", change) == "*-1\r\n");
    }
    kv("WATCH a");
    kv("SET a 2");
    CHECK(kv("UNWATCH") == ok);
    kv("MULTI");
    CHECK(kv("EXEC") == "*0\r\n");
    // It is over with EXEC and DISCARD.
    kv("WATCH a");
    kv("MULTI");
    kv("DISCARD");
    CHECK(exec_after("SET a 3", nullptr) == done);
    kv("WATCH a");
    kv("SET a 4");
    kv("HELLO 3");
    kv("MULTI");
    CHECK(kv("EXEC") == "_\r\n");
    kv("SET e 1 PX 5");
    kv("WATCH e");
    kv.now += 5;
    kv("MULTI");
    CHECK(kv("EXEC") == "_\r\n");
}

TEST_CASE("commands: a transaction has limits, beyond which it is void") {
    LocalService kv;
    const std::string refusal =
        "-ERR a transaction has at most 4096 commands and keys, and "
        "8388608 bytes of arguments\r\n";
    kv("MULTI");
    for (std::size_t i = 0; i < kv::command_keys_max; ++i) REQUIRE(kv("PING") == queued);
    CHECK(kv("PING") == refusal);
    CHECK(kv("EXEC").starts_with("-EXECABORT "));
    kv("MULTI");
    Words many(4001, "k");
    many[0] = "DEL";
    CHECK(kv.run(many) == queued);
    CHECK(kv.run(many) == refusal);
    kv("DISCARD");
    kv("MULTI");
    const std::string large(kv::command_bytes_max / 2, 'x');
    CHECK(kv.run({"SET", "a", large}) == queued);
    CHECK(kv.run({"SET", "a", large}) == refusal);
    CHECK(kv.connection.queued->script.bytes == 0);
    Words watched(4097, "k");
    watched[0] = "WATCH";
    kv("DISCARD");
    CHECK(kv.run(watched) == ok);
    CHECK(kv("WATCH k") == "-ERR at most 4096 keys with 8388608 bytes can be watched\r\n");
}

}  // namespace data_command_test
