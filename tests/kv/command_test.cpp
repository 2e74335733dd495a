// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/command.hpp>
#include <kv/reply.hpp>
#include <kv/store.hpp>
#include <kv/topology.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using Words = std::vector<std::string_view>;

// A service of one node without replication: what a server does with a Command, in short.
struct Service {
    kv::Store store;
    kv::Connection connection{7, ""};
    kv::Topology topology;
    bool closed = false;
    std::size_t reply_bytes_max = kv::reply_bytes_max_default;

    std::string run(const Words& words) {
        std::string out;
        const kv::Command command = kv::parse_command(words, connection);
        if (const auto* immediate = std::get_if<kv::Immediate>(&command)) {
            closed = immediate->close;
            out = immediate->reply;
        } else if (const auto* write = std::get_if<kv::Write>(&command)) {
            kv::write_result(write->form, store.apply(write->operation), out);
        } else if (const auto* read = std::get_if<kv::Read>(&command)) {
            kv::answer(*read, store, out, reply_bytes_max);
        } else if (const auto* query = std::get_if<kv::ClusterQuery>(&command)) {
            kv::answer(*query, topology, out);
        } else {
            out = "(info)";
        }
        return out;
    }

    // The reply to a line of words that have no blanks in them.
    std::string operator()(std::string_view line) {
        Words words;
        while (!line.empty()) {
            const std::size_t end = std::min(line.find(' '), line.size());
            words.push_back(line.substr(0, end));
            line.remove_prefix(std::min(end + 1, line.size()));
        }
        return run(words);
    }
};

kv::Reply parse(const std::string& bytes) {
    kv::ReplyParser parser;
    REQUIRE(parser.parse(bytes) == kv::ParseStatus::complete);
    REQUIRE(parser.consumed() == bytes.size());
    return parser.take();
}

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
    CHECK(kv("INCRBY n -9223372036854775808") ==
          "-ERR increment or decrement would overflow\r\n");
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

TEST_CASE("options of SET that are not supported are refused and set nothing") {
    Service kv;
    for (const char* line : {"SET a 1 EX 10", "SET a 1 px 10", "SET a 1 KEEPTTL", "SET a 1 GET",
                             "SET a 1 NX EX 5", "SET a 1 EXAT 1", "SET a 1 PXAT 1"}) {
        CAPTURE(line);
        CHECK(kv(line).starts_with("-ERR syntax error: SET does not support "));
    }
    CHECK(kv("SET a 1 NX XX") == "-ERR syntax error\r\n");
    CHECK(kv("SET a 1 foo") == "-ERR syntax error\r\n");
    CHECK(kv("DBSIZE") == ":0\r\n");
}

TEST_CASE("every command refuses each number of arguments that it does not take") {
    Service kv;
    for (const kv::CommandSpec& spec : kv::command_table()) {
        const std::string expected = "-ERR wrong number of arguments for '" +
                                     std::string(spec.name) + "' command\r\n";
        for (std::size_t count = 1; count < 6; ++count) {
            const auto arity = static_cast<std::size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
            const bool fits = spec.arity < 0 ? count >= arity : count == arity;
            Words words(count, "x");
            words[0] = spec.name;
            CAPTURE(spec.name);
            CAPTURE(count);
            if (!fits) {
                CHECK(kv.run(words) == expected);
            } else if (spec.name != "ping" && spec.name != "mset") {
                CHECK(kv.run(words) != expected);
            }
        }
    }
    CHECK(kv("GET") == "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK(kv("PING a b") == "-ERR wrong number of arguments for 'ping' command\r\n");
    CHECK(kv("MSET a 1 b") == "-ERR wrong number of arguments for 'mset' command\r\n");
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
    CHECK(kv("READONLY") == "+OK\r\n");
    CHECK(kv("READWRITE") == "+OK\r\n");
    CHECK(kv("ASKING") == "+OK\r\n");
    CHECK(kv("CLIENT ID") == ":7\r\n");
    CHECK(kv("CLIENT GETNAME") == "$-1\r\n");
    CHECK(kv("CLIENT SETNAME bob") == "+OK\r\n");
    CHECK(kv("CLIENT GETNAME") == "$3\r\nbob\r\n");
    CHECK(kv("CLIENT SETINFO LIB-NAME x") == "+OK\r\n");
    CHECK(kv.run({"CLIENT", "SETNAME", "a b"}).starts_with("-ERR Client names cannot"));
    CHECK(kv.run({"CLIENT", "SETNAME", std::string(257, 'a')}).starts_with("-ERR Client names"));
    CHECK(kv.connection.name == "bob");
    CHECK(kv("CLIENT KILL") == "-ERR unknown subcommand 'KILL' of 'client'\r\n");
    CHECK(kv("INFO server") == "(info)");
    CHECK_FALSE(kv.closed);
    CHECK(kv("QUIT") == "+OK\r\n");
    CHECK(kv.closed);
}

TEST_CASE("RESP3 is refused so that clients fall back to RESP2") {
    Service kv;
    CHECK(kv("HELLO 3").starts_with("-NOPROTO "));
    CHECK(kv("HELLO x").starts_with("-ERR "));
    CHECK(kv("HELLO 2 AUTH a b").starts_with("-ERR syntax error"));
    const kv::Reply hello = parse(kv("HELLO 2"));
    REQUIRE(hello.elements.size() == 8);
    CHECK(hello.elements[3].integer == 2);
    CHECK(kv("HELLO") == kv("HELLO 2"));
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
    CHECK(kv("CONFIG GET") == "-ERR wrong number of arguments for 'config|get' command\r\n");
    CHECK(kv("CONFIG SET a b") == "-ERR unknown subcommand 'SET' of 'config'\r\n");
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
    CHECK(kv("COMMAND FOO") == "-ERR unknown subcommand 'FOO' of 'command'\r\n");
}

TEST_CASE("a request that names a large value often cannot inflate the reply") {
    Service kv;
    kv.run({"SET", "big", std::string(1000, 'x')});
    kv.reply_bytes_max = 5 * 1032;
    CHECK(parse(kv("MGET big big big big big")).elements.size() == 5);
    CHECK(kv("MGET big big big big big big") == "-ERR the reply would exceed 5160 bytes\r\n");
    kv.reply_bytes_max = 63;
    CHECK(kv("MGET a b") == "-ERR the reply would exceed 63 bytes\r\n");
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
    REQUIRE(range[2].elements.size() == 4);
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
    CHECK(kv("CLUSTER SLOTS") == "*0\r\n");
    CHECK(parse(kv("CLUSTER SHARDS")).elements[0].elements[1].elements.empty());
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
    const Words pool = {"a", "1", "-5", "GET", "nx", "XX", "slots", "info", "docs", "count",
                        "setname", "keyslot", "id", "get", "save", "3", "2", "", "a\r\nb", "nodes"};
    const auto table = kv::command_table();
    for (int round = 0; round < 20000; ++round) {
        Words words = {random() % 50 == 0 ? pool[random() % pool.size()]
                                          : table[random() % table.size()].name};
        for (auto i = random() % 5; i != 0; --i) {
            words.push_back(pool[random() % pool.size()]);
        }
        const std::string reply = kv.run(words);
        if (reply != "(info)" && words[0] != "post" && words[0] != "host:") {
            parse(reply);
        }
    }
    CHECK(kv.store.key_count() > 0);
}
