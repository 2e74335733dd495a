// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Histories of commands and transactions, of the service and made up, against their model.
#include "server_support.hpp"

#include <kv/check/command_model.hpp>

#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace command_model_test {

using namespace kv_test;
using kv::check::CommandInput;
using kv::check::CommandModel;
using kv::check::CommandOp;
using kv::check::CommandOperation;
using kv::check::CommandOutput;
using kv::check::ModelCommand;
using kv::check::ModelReply;
using rsm::check::Verdict;

namespace {

using History = std::vector<CommandOperation>;

Verdict verdict(const History& history) {
    return rsm::check::check_linearizability(CommandModel{},
                                             std::span<const CommandOperation>(history))
        .verdict;
}

/// One client after the other.
History in_turn(const std::vector<std::pair<CommandInput, CommandOutput>>& steps) {
    History history;
    std::int64_t time = 0;
    for (const auto& [input, output] : steps) {
        history.push_back({1, input, output, time, time + 1});
        time += 2;
    }
    return history;
}

std::string text_of(const ModelCommand& command) {
    const std::string& key = command.key;
    switch (command.op) {
        case CommandOp::get: return request({"GET", key});
        case CommandOp::set: return request({"SET", key, command.text});
        case CommandOp::append: return request({"APPEND", key, command.text});
        case CommandOp::get_set: return request({"GETSET", key, command.text});
        case CommandOp::get_del: return request({"GETDEL", key});
        case CommandOp::increment: return request({"INCR", key});
        case CommandOp::flush: return request({"FLUSHALL"});
    }
    return {};
}

ModelReply model_of(const kv::Reply& reply) {
    switch (reply.type) {
        case kv::Reply::Type::null: return std::nullopt;
        case kv::Reply::Type::integer: return std::to_string(reply.integer);
        case kv::Reply::Type::error: return "-" + reply.text.substr(0, reply.text.find(' '));
        default: return reply.text;
    }
}

ModelCommand random_command(std::mt19937& random) {
    constexpr std::array ops = {CommandOp::get,      CommandOp::get,     CommandOp::set,
                                CommandOp::append,   CommandOp::get_set, CommandOp::get_del,
                                CommandOp::increment};
    ModelCommand command;
    command.op = random() % 25 == 0 ? CommandOp::flush : ops[random() % ops.size()];
    command.key = std::string(1, static_cast<char>('a' + random() % 3));
    command.text = std::to_string(random() % 10);
    return command;
}

/// Clients of the service that each have one request under way at a time.
class Clients {
public:
    static constexpr std::size_t count = 4;

    explicit Clients(KvCluster& cluster) {
        for (std::size_t i = 0; i < count; ++i) {
            clients_.push_back(std::make_unique<TestClient>(cluster, cluster.leader()));
        }
    }

    History run(std::size_t rounds) {
        std::mt19937 random(5);
        History history;
        for (std::int64_t time = 0; time < static_cast<std::int64_t>(2 * rounds); time += 2) {
            for (std::size_t i = 0; i < count; ++i) {
                CommandInput input(random() % 4 == 0 ? 3 : 1);
                for (ModelCommand& command : input) command = random_command(random);
                send(*clients_[i], input);
                history.push_back({i, std::move(input), std::nullopt, time, time + 1});
            }
            for (std::size_t i = 0; i < count; ++i) {
                CommandOperation& operation = history[history.size() - count + i];
                operation.output = receive(*clients_[i], operation.input.size());
            }
        }
        return history;
    }

private:
    static void send(TestClient& client, const CommandInput& input) {
        std::string text;
        for (const ModelCommand& command : input) text += text_of(command);
        if (input.size() != 1) text = request({"MULTI"}) + text + request({"EXEC"});
        client.send(text);
    }
    static CommandOutput receive(TestClient& client, std::size_t commands) {
        const std::size_t expected = commands == 1 ? 1 : commands + 2;
        const std::vector<kv::Reply> replies = client.receive(expected);
        REQUIRE(replies.size() == expected);
        CommandOutput output;
        if (commands == 1) return {model_of(replies.front())};
        for (const kv::Reply& part : replies.back().elements) output.push_back(model_of(part));
        return output;
    }

    std::vector<std::unique_ptr<TestClient>> clients_;
};

}  // namespace

TEST_CASE("command model: each command answers and changes as it should") {
    using Op = CommandOp;
    const History right = in_turn({{{{Op::get, "a"}}, {std::nullopt}},
                                   {{{Op::set, "a", "1"}}, {"OK"}},
                                   {{{Op::increment, "a"}, {Op::append, "a", "x"}}, {"2", "2"}},
                                   {{{Op::increment, "a"}}, {"-ERR"}},
                                   {{{Op::get_set, "a", "z"}}, {"2x"}},
                                   {{{Op::get_del, "a"}, {Op::get, "a"}}, {"z", std::nullopt}},
                                   {{{Op::set, "b", "1"}}, {"OK"}},
                                   {{{Op::flush}, {Op::get, "b"}}, {"OK", std::nullopt}},
                                   {{{Op::append, "b", "y"}}, {"1"}}});
    CHECK(verdict(right) == Verdict::linearizable);
    for (std::size_t i = 0; i < right.size(); ++i) {
        CAPTURE(i);
        History wrong = right;
        wrong[i].output->front() = "no reply of any";
        CHECK(verdict(wrong) == Verdict::not_linearizable);
    }
}

TEST_CASE("command model: nobody sees half a transaction") {
    using Op = CommandOp;
    const CommandInput both{{Op::set, "a", "1"}, {Op::set, "b", "1"}};
    History history{{1, both, CommandOutput{"OK", "OK"}, 0, 9},
                    {2, {{Op::get, "a"}}, CommandOutput{"1"}, 1, 2},
                    {2, {{Op::get, "b"}}, CommandOutput{"1"}, 3, 4}};
    CHECK(verdict(history) == Verdict::linearizable);
    history.back().output = CommandOutput{std::nullopt};
    CHECK(verdict(history) == Verdict::not_linearizable);
}

TEST_CASE("kv server: what concurrent clients see of commands and transactions is linearizable") {
    KvCluster cluster;
    cluster.leader();
    REQUIRE(cluster.run_until([&] {
        return cluster.replicas.all([](auto& one) { return one.machine().version() == 1; });
    }));
    History history = Clients(cluster).run(150);
    CHECK(verdict(history) == Verdict::linearizable);
    // One that has lost an effect is found out.
    for (auto last = history.rbegin(); last != history.rend(); ++last) {
        if (last->input.size() != 1 || last->input.front().op != CommandOp::append) continue;
        last->output->front() = "1000";
        break;
    }
    CHECK(verdict(history) == Verdict::not_linearizable);
}

}  // namespace command_model_test
