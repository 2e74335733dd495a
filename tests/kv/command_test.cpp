// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "command_support.hpp"

#include <kv/command.hpp>
#include <kv/limits.hpp>
#include <kv/reply.hpp>
#include <kv/server_options.hpp>
#include <kv/store.hpp>
#include <kv/topology.hpp>

#include <raft/protocol/options.hpp>
#include <rsm/archive.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace command_test {

namespace {

using kv_test::parse;
using kv_test::Words;
using Service = kv_test::LocalService;

kv::Topology three_nodes() {
    kv::Topology topology;
    topology.self = 2;
    topology.term = 9;
    topology.nodes = {{1, "10.0.0.1", 7001, false, true},
                      {2, "10.0.0.2", 7002, true, true},
                      {0x1f, "10.0.0.3", 7003, false, false}};
    return topology;
}

const std::string name_1 = "0000000000000000000000000000000000000001";
const std::string name_2 = "0000000000000000000000000000000000000002";
const std::string name_31 = "000000000000000000000000000000000000001f";

}  // namespace

TEST_CASE("values are set and read back") {
    Service kv;
    CHECK(kv("GET a") == "$-1\r\n");
    CHECK(kv("set a 1") == "+OK\r\n");
    CHECK(kv("GeT a") == "$1\r\n1\r\n");
    CHECK(kv("SET a 2 NX") == "$-1\r\n");
    CHECK(kv("SET b 2 xx") == "$-1\r\n");
    CHECK(kv("SET b 2 nx") == "+OK\r\n");
    CHECK(kv("SET a 3 XX") == "+OK\r\n");
    CHECK(kv("MGET a b c") == "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n");
    CHECK(kv("EXISTS a a c") == ":2\r\n");
    CHECK(kv("DBSIZE") == ":2\r\n");
    CHECK(kv("DEL a c") == ":1\r\n");
    CHECK(kv("MSET x 1 y 2") == "+OK\r\n");
    CHECK(kv("MGET x y") == "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
}

TEST_CASE("counters count, and refuse what is no integer") {
    Service kv;
    CHECK(kv("INCR n") == ":1\r\n");
    CHECK(kv("INCRBY n 10") == ":11\r\n");
    CHECK(kv("DECR n") == ":10\r\n");
    CHECK(kv("DECRBY n 12") == ":-2\r\n");
    CHECK(kv("INCRBY n 1x") == "-ERR value is not an integer or out of range\r\n");
    CHECK(kv("DECRBY n -9223372036854775808") == "-ERR decrement would overflow\r\n");
    CHECK(kv("INCRBY n -9223372036854775808") == "-ERR increment or decrement would overflow\r\n");
    kv("SET n abc");
    CHECK(kv("INCR n") == "-ERR value is not an integer or out of range\r\n");
}

TEST_CASE("versioned reads and writes answer with versions and their own errors") {
    Service kv;
    CHECK(kv("VGET a") == "-NOKEY no such key\r\n");
    CHECK(kv("VPUT a x 1") == "-NOKEY no such key\r\n");
    CHECK(kv("VPUT a x 0") == ":1\r\n");
    CHECK(kv("VPUT a y 0") == "-VERSION the version of the key is 1\r\n");
    CHECK(kv("VPUT a y 1") == ":2\r\n");
    CHECK(kv("VGET a") == "*2\r\n$1\r\ny\r\n:2\r\n");
    for (const char* line : {"VPUT a y -1", "VPUT a y x", "VPUT a y 9223372036854775808"}) {
        CHECK(kv(line) == "-ERR version is not an integer or out of range\r\n");
    }
}

TEST_CASE("options of SET that make no sense are refused and set nothing") {
    Service kv;
    for (const char* line : {"SET a 1 NX XX", "SET a 1 foo", "SET a 1 EX", "SET a 1 EX 10 PX 10",
                             "SET a 1 EX 5 KEEPTTL", "SET a 1 KEEPTTL KEEPTTL", "SET a 1 GET EXAT",
                             "SET a 1 KEEPTTL 5"}) {
        CAPTURE(line);
        CHECK(kv(line) == "-ERR syntax error\r\n");
    }
    CHECK(kv("SET a 1 EX x") == "-ERR value is not an integer or out of range\r\n");
    for (const char* line : {"SET a 1 EX 0", "SET a 1 px -1", "SET a 1 EX 9223372036854775807",
                             "SET a 1 EXAT 0", "SET a 1 PXAT -5"}) {
        CAPTURE(line);
        CHECK(kv(line) == "-ERR invalid expire time in 'set' command\r\n");
    }
    CHECK(kv("DBSIZE") == ":0\r\n");
}

TEST_CASE("every command refuses each number of arguments that it does not take") {
    Service kv;
    for (const kv::CommandSpec& spec : kv::command_table()) {
        const std::string expected =
            "-ERR wrong number of arguments for '" + std::string(spec.name) + "' command\r\n";
        for (std::size_t count = 1; count < 6; ++count) {
            const auto arity = static_cast<std::size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
            const bool fits = spec.arity < 0 ? count >= arity : count == arity;
            Words words(count, "x");
            words[0] = spec.name;
            CAPTURE(spec.name);
            CAPTURE(count);
            if (!fits) {
                CHECK(kv.run(words) == expected);
            } else if (spec.name != "ping" && spec.name != "mset" && spec.name != "msetnx" &&
                       spec.name != "transfer") {
                CHECK(kv.run(words) != expected);
            }
        }
    }
    CHECK(kv("GET") == "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK(kv("PING a b") == "-ERR wrong number of arguments for 'ping' command\r\n");
    CHECK(kv("MSET a 1 b") == "-ERR wrong number of arguments for 'mset' command\r\n");
    CHECK(kv("TRANSFER 1 2") == "-ERR wrong number of arguments for 'transfer' command\r\n");
}

TEST_CASE("an unknown command is named with the beginning of its arguments") {
    Service kv;
    CHECK(kv("FOO bar baz") ==
          "-ERR unknown command 'FOO', with args beginning with: 'bar' 'baz' \r\n");
    CHECK(kv.run({"a\r\nb"}) == "-ERR unknown command 'a  b', with args beginning with: \r\n");
    const std::string name(1000, 'n');
    const std::string argument(100, 'a');
    const std::string reply = kv.run({name, argument, argument, argument, argument});
    CHECK(reply.size() < 400);
    CHECK(reply.find("'" + argument + "' ") != std::string::npos);
    CHECK(kv.run({""}) == "-ERR unknown command '', with args beginning with: \r\n");
    CHECK(kv.run({"ge"}).starts_with("-ERR unknown command"));
    CHECK(kv.run({"gett"}).starts_with("-ERR unknown command"));
}

TEST_CASE("an empty request gets no answer") {
    Service kv;
    CHECK(kv.run({}).empty());
    CHECK_FALSE(kv.closed);
}

TEST_CASE("commands about the connection are answered at once") {
    Service kv;
    CHECK(kv("PING") == "+PONG\r\n");
    CHECK(kv("ping hello") == "$5\r\nhello\r\n");
    CHECK(kv("ECHO x") == "$1\r\nx\r\n");
    CHECK(kv("SELECT 0") == "+OK\r\n");
    CHECK(kv("SELECT 1") == "-ERR SELECT is not allowed in cluster mode\r\n");
    CHECK(kv("SELECT x") == "-ERR value is not an integer or out of range\r\n");
    CHECK(kv("READONLY").starts_with("-ERR READONLY is not supported"));
    CHECK(kv.connection.wants_replica_reads);
    CHECK(kv("READWRITE") == "+OK\r\n");
    CHECK_FALSE(kv.connection.wants_replica_reads);
    CHECK(kv("ASKING").starts_with("-ERR ASKING is not supported"));
    CHECK(kv("AUTH secret").starts_with("-ERR AUTH "));
    CHECK(kv("CLIENT ID") == ":7\r\n");
    CHECK(kv("CLIENT GETNAME") == "$-1\r\n");
    CHECK(kv("CLIENT SETNAME bob") == "+OK\r\n");
    CHECK(kv("CLIENT GETNAME") == "$3\r\nbob\r\n");
    CHECK(kv("CLIENT SETINFO LIB-NAME x") == "+OK\r\n");
    CHECK(kv("CLIENT SETINFO lib-ver 1.2") == "+OK\r\n");
    CHECK(kv("CLIENT SETINFO lib-bla 1.2") == "-ERR Unrecognized option 'lib-bla'\r\n");
    CHECK(parse(kv("CLIENT INFO")).text == "id=7 name=bob resp=2 lib-name=x lib-ver=1.2\n");
    for (const char* line : {"CLIENT NO-EVICT ON", "CLIENT REPLY OFF", "CLIENT TRACKING ON",
                             "CLIENT LIST", "CLIENT KILL ID 1"}) {
        CAPTURE(line);
        CHECK(kv(line).starts_with("-ERR unknown subcommand "));
    }
    CHECK(kv.run({"CLIENT", "SETNAME", "a b"}).starts_with("-ERR Client names cannot"));
    CHECK(kv.run({"CLIENT", "SETNAME", std::string(257, 'a')}).starts_with("-ERR Client names"));
    CHECK(kv.connection.name == "bob");
    CHECK(kv("CLIENT KILL") == "-ERR unknown subcommand 'KILL' of 'client'\r\n");
    CHECK(kv("INFO server") == "(info)");
    CHECK_FALSE(kv.closed);
    CHECK(kv("QUIT") == "+OK\r\n");
    CHECK(kv.closed);
}

TEST_CASE("HELLO chooses the protocol and says who answers, all of it or nothing") {
    Service kv;
    const std::string rest =
        "$6\r\nserver\r\n$2\r\nkv\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:";
    const std::string end =
        "\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        "$7\r\nmodules\r\n*0\r\n";
    CHECK(kv("HELLO") == "*14\r\n" + rest + "2" + end);
    CHECK(kv("HELLO 3") == "%7\r\n" + rest + "3" + end);
    CHECK(kv("HELLO") == "%7\r\n" + rest + "3" + end);
    CHECK(kv("HELLO 2 SETNAME bob") == "*14\r\n" + rest + "2" + end);
    CHECK(kv.connection.name == "bob");
    for (const char* line :
         {"HELLO 4", "HELLO 1", "HELLO 3 SETNAME", "HELLO 3 FOO", "HELLO 3 AUTH a",
          "HELLO 3 AUTH default secret", "HELLO 3 SETNAME eve AUTH a b", "HELLO x",
          "HELLO 3 SETNAME eve SETNAME eve"}) {
        CAPTURE(line);
        CHECK(kv(line).starts_with("-"));
        CHECK(kv.connection.protocol == kv::Protocol::resp2);
        CHECK(kv.connection.name == "bob");
    }
    CHECK(kv("HELLO 4") == "-NOPROTO unsupported protocol version\r\n");
    CHECK(kv("HELLO 3 AUTH default secret").starts_with("-ERR AUTH called without"));
    CHECK(kv("HELLO 3 SETNAME eve SETNAME eve") == "-ERR Syntax error in HELLO\r\n");
    CHECK(kv.run({"HELLO", "3", "SETNAME", "a b"}).starts_with("-ERR Client names cannot"));
}

TEST_CASE("RESP3 has nulls, maps, sets and texts where Redis has them") {
    Service kv;
    kv.topology = three_nodes();
    kv("SET a 1");
    const std::string shards = kv("CLUSTER SHARDS");
    CHECK(shards.starts_with("*1\r\n*4\r\n$5\r\nslots\r\n"));
    CHECK(shards.find("*14\r\n$2\r\nid\r\n") != std::string::npos);
    kv("HELLO 3");
    CHECK(kv("GET b") == "_\r\n");
    CHECK(kv("GET a") == "$1\r\n1\r\n");
    CHECK(kv("MGET a b") == "*2\r\n$1\r\n1\r\n_\r\n");
    CHECK(kv("SET a 1 NX") == "_\r\n");
    CHECK(kv("VGET a") == "*2\r\n$1\r\n1\r\n:1\r\n");
    CHECK(kv("CLIENT GETNAME") == "_\r\n");
    CHECK(kv("CONFIG GET save") == "%1\r\n$4\r\nsave\r\n$0\r\n\r\n");
    CHECK(kv("COMMAND DOCS") == "%0\r\n");
    CHECK(kv("COMMAND INFO get nothing") ==
          "*2\r\n*6\r\n$3\r\nget\r\n:2\r\n~1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n_\r\n");
    CHECK(kv("CLUSTER SHARDS").starts_with("*1\r\n%2\r\n$5\r\nslots\r\n"));
    CHECK(kv("CLUSTER SHARDS").find("%7\r\n$2\r\nid\r\n") != std::string::npos);
    CHECK(kv("CLUSTER NODES").starts_with("="));
    CHECK(kv("CLIENT INFO").starts_with("=41\r\ntxt:id=7 name= resp=3 lib-name= lib-ver=\n"));
    // A request keeps the protocol of its time.
    const kv::Command read = kv::parse_command(Words{"GET", "b"}, kv.connection);
    kv("HELLO 2");
    std::string out;
    kv::answer(std::get<kv::Read>(read), kv.store, kv.now, out);
    CHECK(out == "_\r\n");
    CHECK(kv("GET b") == "$-1\r\n");
}

TEST_CASE("an HTTP request closes the connection without an answer") {
    for (const char* line : {"POST / HTTP/1.1", "Host: localhost:7001"}) {
        Service kv;
        CHECK(kv(line).empty());
        CHECK(kv.closed);
    }
}

TEST_CASE("benchmarks find the settings that they ask for") {
    Service kv;
    CHECK(kv("CONFIG GET save") == "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    CHECK(kv("CONFIG GET appendonly") == "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    CHECK(kv("CONFIG GET other") == "*0\r\n");
    CHECK(parse(kv("CONFIG GET *")).elements.size() == 6);
    CHECK(kv("CONFIG GET") == "-ERR wrong number of arguments for 'config|get' command\r\n");
    CHECK(kv("CONFIG SET a b") ==
          "-ERR CONFIG SET failed: only loglevel can be set, and not 'a'\r\n");
}

TEST_CASE("COMMAND tells clients where the keys are") {
    Service kv;
    const kv::Reply all = parse(kv("COMMAND"));
    CHECK(all.elements.size() == kv::command_table().size());
    CHECK(parse(kv("COMMAND COUNT")).integer ==
          static_cast<std::int64_t>(kv::command_table().size()));
    CHECK(kv("COMMAND DOCS get") == "*0\r\n");
    CHECK(kv("COMMAND INFO mset nothing") ==
          "*2\r\n*6\r\n$4\r\nmset\r\n:-3\r\n*1\r\n+write\r\n:1\r\n:-1\r\n:2\r\n*-1\r\n");
    Words names(2 + 1024, "get");
    names[0] = "COMMAND";
    names[1] = "INFO";
    CHECK(parse(kv.run(names)).elements.size() == 1024);
    names.push_back("get");
    CHECK(kv.run(names) == "-ERR COMMAND INFO takes at most 1024 names\r\n");
    CHECK(kv("COMMAND FOO") == "-ERR unknown subcommand 'FOO' of 'command'\r\n");
}

TEST_CASE("the arguments of a command have a limit together, and it has one of its own") {
    Service kv;
    constexpr std::size_t limit = kv::command_bytes_max;
    const std::string value(limit, 'v');
    const std::string_view view = value;
    const std::string text =
        "-ERR the arguments of a command have at most 8388608 bytes together\r\n";
    CHECK(kv.run({"SET", "k", view.substr(2)}) == "+OK\r\n");
    CHECK(kv.run({"SET", "k", view.substr(1)}) == "+OK\r\n");
    CHECK(kv.run({"SET", "k", view}) == text);
    CHECK(kv.run({"SET", view.substr(1), "v"}) == "+OK\r\n");
    CHECK(kv.run({"SET", view, "v"}) == text);
    CHECK(kv.run({"GET", view}) == "$-1\r\n");
    CHECK(kv.run({"MSET", "a", view.substr(limit / 2), "b", view.substr(limit / 2 + 2)}) ==
          "+OK\r\n");
    CHECK(kv.run({"MSET", "a", view.substr(limit / 2), "b", view.substr(limit / 2 + 1)}) == text);
    CHECK(kv.run({"VPUT", "v", view.substr(2), "0"}) == ":1\r\n");
    CHECK(kv.run({"VPUT", "v", view.substr(1), "1"}) == text);
    CHECK(kv.run({"ECHO", view}).size() == limit + 12);
}

TEST_CASE("a command names so many keys and no more") {
    const std::string text = "-ERR a command names at most 4096 keys\r\n";
    for (const std::size_t more : {std::size_t{0}, std::size_t{1}}) {
        Service kv;
        const std::size_t keys = kv::command_keys_max + more;
        for (const std::string_view name : {"DEL", "MGET", "EXISTS", "MSET"}) {
            CAPTURE(name);
            Words words((name == "MSET" ? 2 * keys : keys) + 1, "k");
            words[0] = name;
            CHECK((kv.run(words) == text) == (more == 1));
        }
    }
}

TEST_CASE("everything that a command may carry has room in the log") {
    raft::Options options;
    kv::fit_commands(options);
    CHECK(options.validate());
    std::string key(kv::command_bytes_max / kv::command_keys_max, 'k');
    kv::SetMany many;
    for (std::size_t i = 0; i < kv::command_keys_max; ++i) many.entries.emplace_back(key, "");
    kv::Delete deletion;
    deletion.keys.assign(kv::command_keys_max, key);
    for (const kv::Operation& operation : {kv::Operation{many}, kv::Operation{deletion}}) {
        rsm::BufferWriter writer;
        writer << operation;
        CHECK(writer.view().size() <= options.max_entry_bytes);
    }
}

TEST_CASE("slots are those of Redis") {
    CHECK(kv::key_slot("123456789") == 0x31c3);
    CHECK(kv::key_slot("foo") == 12182);
    CHECK(kv::key_slot("") == 0);
    CHECK(kv::key_slot("{foo}.bar") == kv::key_slot("foo"));
    CHECK(kv::key_slot("a{foo}{b}") == kv::key_slot("foo"));
    CHECK(kv::key_slot("{}foo") == 9500);
    CHECK(kv::key_slot("{foo") != kv::key_slot("foo"));
    CHECK(kv::key_slot("\xff\x80") == 4727);
    Service kv;
    CHECK(kv("CLUSTER KEYSLOT foo") == ":12182\r\n");
    CHECK(kv("CLUSTER KEYSLOT") ==
          "-ERR wrong number of arguments for 'cluster|keyslot' command\r\n");
}

TEST_CASE("CLUSTER SLOTS shows the leader first and leaves out nodes that are away") {
    Service kv;
    kv.topology = three_nodes();
    const kv::Reply slots = parse(kv("CLUSTER SLOTS"));
    REQUIRE(slots.elements.size() == 1);
    const auto& range = slots.elements[0].elements;
    REQUIRE(range.size() == 4);
    CHECK(range[0].integer == 0);
    CHECK(range[1].integer == 16383);
    REQUIRE(range[2].elements.size() == 3);
    CHECK(range[2].elements[0].text == "10.0.0.2");
    CHECK(range[2].elements[1].integer == 7002);
    CHECK(range[2].elements[2].text == name_2);
    CHECK(range[3].elements[2].text == name_1);
}

TEST_CASE("CLUSTER NODES has one line for each node") {
    Service kv;
    kv.topology = three_nodes();
    CHECK(parse(kv("cluster nodes")).text ==
          name_1 + " 10.0.0.1:7001@0 slave " + name_2 + " 0 0 9 connected\n" + name_2 +
              " 10.0.0.2:7002@0 myself,master - 0 0 9 connected 0-16383\n" + name_31 +
              " 10.0.0.3:7003@0 slave,fail? " + name_2 + " 0 0 9 disconnected\n");
}

TEST_CASE("CLUSTER SHARDS shows one shard with all nodes") {
    Service kv;
    kv.topology = three_nodes();
    const kv::Reply shards = parse(kv("CLUSTER SHARDS"));
    REQUIRE(shards.elements.size() == 1);
    const auto& shard = shards.elements[0].elements;
    REQUIRE(shard.size() == 4);
    CHECK(shard[1].elements[1].integer == 16383);
    REQUIRE(shard[3].elements.size() == 3);
    const auto& away = shard[3].elements[2].elements;
    REQUIRE(away.size() == 14);
    CHECK(away[1].text == name_31);
    CHECK(away[9].text == "replica");
    CHECK(away[13].text == "failed");
    CHECK(shard[3].elements[1].elements[9].text == "master");
}

TEST_CASE("CLUSTER INFO and MYID speak of this node") {
    Service kv;
    kv.topology = three_nodes();
    const std::string info = parse(kv("CLUSTER INFO")).text;
    CHECK(info.find("cluster_state:ok\r\n") != std::string::npos);
    CHECK(info.find("cluster_slots_assigned:16384\r\n") != std::string::npos);
    CHECK(info.find("cluster_known_nodes:3\r\n") != std::string::npos);
    CHECK(info.find("cluster_current_epoch:9\r\n") != std::string::npos);
    CHECK(parse(kv("CLUSTER MYID")).text == name_2);
    CHECK(kv("CLUSTER MYID x") == "-ERR wrong number of arguments for 'cluster|myid' command\r\n");
    CHECK(kv("CLUSTER RESET") == "-ERR unknown subcommand 'RESET' of 'cluster'\r\n");
    CHECK(kv::node_name(UINT64_MAX) == "000000000000000000000000ffffffffffffffff");
}

TEST_CASE("without a leader no slot is served") {
    Service kv;
    kv.topology = three_nodes();
    kv.topology.nodes[1].is_leader = false;
    // An error, and not a map without slots, for which clients would give up what they know.
    CHECK(kv("CLUSTER SLOTS") == "-CLUSTERDOWN The cluster has no leader\r\n");
    CHECK(kv("CLUSTER SHARDS") == "-CLUSTERDOWN The cluster has no leader\r\n");
    CHECK(parse(kv("CLUSTER INFO")).text.find("cluster_state:fail") != std::string::npos);
    const std::string nodes = parse(kv("CLUSTER NODES")).text;
    CHECK(nodes.find("master") == std::string::npos);
    CHECK(nodes.find("myself,slave - 0 0 9 connected\n") != std::string::npos);
}

TEST_CASE("a redirect names the leader, or says that there is none") {
    kv::Topology topology = three_nodes();
    std::string out;
    kv::write_redirect(topology, out);
    CHECK(out == "-MOVED 0 10.0.0.2:7002\r\n");
    topology.nodes[1].is_leader = false;
    out.clear();
    kv::write_redirect(topology, out);
    CHECK(out.starts_with("-CLUSTERDOWN "));
}

TEST_CASE("random requests get exactly one well-formed reply each") {
    std::mt19937 random(1234);
    Service kv;
    kv.topology = three_nodes();
    const Words pool = {"a",    "1",    "-5",    "GET",     "nx",      "XX",   "slots",
                        "info", "docs", "count", "setname", "keyslot", "id",   "get",
                        "save", "3",    "2",     "",        "a\r\nb",  "nodes"};
    const auto table = kv::command_table();
    for (int round = 0; round < 20000; ++round) {
        Words words = {random() % 50 == 0 ? pool[random() % pool.size()]
                                          : table[random() % table.size()].name};
        for (auto i = random() % 5; i != 0; --i) {
            words.push_back(pool[random() % pool.size()]);
        }
        const std::string reply = kv.run(words);
        const bool is_resp3 = kv.connection.protocol == kv::Protocol::resp3;
        if (reply != "(info)" && words[0] != "post" && words[0] != "host:" && !is_resp3) {
            parse(reply);
        }
        kv.connection.protocol = kv::Protocol::resp2;  // which parse() can read
    }
    CHECK(kv.store.key_count() > 0);
}

}  // namespace command_test
