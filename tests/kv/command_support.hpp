// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the tests of commands share: a store and one connection to it.
#ifndef RSM_TESTS_KV_COMMAND_SUPPORT_HPP
#define RSM_TESTS_KV_COMMAND_SUPPORT_HPP

#include <kv/command.hpp>
#include <kv/reply.hpp>
#include <kv/store.hpp>
#include <kv/topology.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kv_test {

using Words = std::vector<std::string_view>;

/// A service of one node without replication: what a server does with a Command, in short.
struct LocalService {
    kv::Store store;
    kv::Connection connection{7, "", "", "", kv::Protocol::resp2, false};
    kv::Topology topology;
    kv::Time now = 1'000'000;
    bool closed = false;
    int operations = 0;  // in the log

    LocalService() { store.version_agreed(1); }

    std::string run(const Words& words) {
        std::string out;
        const kv::Command command = kv::parse_command(words, connection);
        if (const auto* immediate = std::get_if<kv::Immediate>(&command)) {
            closed = immediate->close;
            out = immediate->reply;
        } else if (const auto* write = std::get_if<kv::Write>(&command)) {
            kv::Operation operation = write->operation;
            operation.time = now;
            ++operations;
            if (write->watch != nullptr) {
                std::get<kv::Transaction>(operation.action).watched = write->watch->seen;
            }
            kv::write_result(write->form, store.apply(operation), out, write->protocol,
                             write->script.get());
        } else if (const auto* read = std::get_if<kv::Read>(&command)) {
            kv::answer(*read, store, now, out);
            CHECK(out.size() <= kv::reply_bytes(*read, store));
        } else if (const auto* query = std::get_if<kv::ClusterQuery>(&command)) {
            kv::answer(*query, topology, out, connection.protocol);
        } else {
            out = "(info)";
        }
        return out;
    }

    /// The reply to a line of words that have no blanks in them.
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

inline kv::Reply parse(const std::string& bytes) {
    kv::ReplyParser parser;
    REQUIRE(parser.parse(bytes) == kv::ParseStatus::complete);
    REQUIRE(parser.consumed() == bytes.size());
    return parser.take();
}

}  // namespace kv_test

#endif
