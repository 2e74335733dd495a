// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// The sequential model of the kv service's commands on values: what a single, never failing server
// would answer to GET, SET, APPEND, GETSET, GETDEL, INCR, FLUSHALL and transactions of them.
//
// Keys depend on each other here, since transactions and FLUSHALL touch several, so a history is
// checked as a whole: it should be short, or of few clients. Deadlines are not in the model: when a
// key expires is no matter of the order of the operations.

#ifndef RSM_EXAMPLES_KV_CHECK_COMMAND_MODEL_HPP
#define RSM_EXAMPLES_KV_CHECK_COMMAND_MODEL_HPP

#include "../integer.hpp"

#include <rsm/check/history.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kv::check {

enum class CommandOp : std::uint8_t { get, set, append, get_set, get_del, increment, flush };

struct ModelCommand {
    CommandOp op = CommandOp::get;
    std::string key{};
    std::string text{};  ///< what is written, or written behind

    friend bool operator==(const ModelCommand&, const ModelCommand&) = default;
};

/// The reply to one command: the value, the number in decimal, "OK", or the error's first word with
/// a minus sign before it; nothing: null.
using ModelReply = std::optional<std::string>;

/// One command, or those of a transaction.
using CommandInput = std::vector<ModelCommand>;
using CommandOutput = std::vector<ModelReply>;
using CommandOperation = rsm::check::Operation<CommandInput, CommandOutput>;

class CommandModel {
public:
    using Input = CommandInput;
    using Output = CommandOutput;
    using State = std::map<std::string, std::string>;

    [[nodiscard]] State initial() const { return {}; }

    [[nodiscard]] std::optional<State> step(const State& state, const Input& input,
                                            const Output* output) const {
        State next = state;
        if (output != nullptr && output->size() != input.size()) return std::nullopt;
        for (std::size_t i = 0; i < input.size(); ++i) {
            const ModelReply reply = carry_out(input[i], next);
            if (output != nullptr && (*output)[i] != reply) return std::nullopt;
        }
        return next;
    }

    [[nodiscard]] std::size_t hash(const State& state) const {
        std::size_t sum = 0;
        for (const auto& [key, value] : state) {
            sum = sum * 31 + std::hash<std::string>{}(key);
            sum = sum * 31 + std::hash<std::string>{}(value);
        }
        return sum;
    }

    [[nodiscard]] bool read_only(const Input& input, const Output*) const {
        return std::all_of(input.begin(), input.end(), [](const ModelCommand& command) {
            return command.op == CommandOp::get;
        });
    }

private:
    static ModelReply value_in(const State& state, const std::string& key) {
        const auto found = state.find(key);
        return found == state.end() ? std::nullopt : ModelReply(found->second);
    }

    static ModelReply carry_out(const ModelCommand& command, State& state) {
        const ModelReply before = value_in(state, command.key);
        switch (command.op) {
            case CommandOp::get: return before;
            case CommandOp::set: state[command.key] = command.text; return "OK";
            case CommandOp::append:
                return std::to_string((state[command.key] += command.text).size());
            case CommandOp::get_set: state[command.key] = command.text; return before;
            case CommandOp::get_del: state.erase(command.key); return before;
            case CommandOp::increment: return increment(before, state[command.key]);
            case CommandOp::flush: state.clear(); return "OK";
        }
        return std::nullopt;
    }

    // `value` is there already, also where it is new.
    static ModelReply increment(const ModelReply& before, std::string& value) {
        const auto number = parse_integer(before.value_or("0"));
        if (!number || *number == std::numeric_limits<std::int64_t>::max()) return "-ERR";
        return value = std::to_string(*number + 1);
    }
};

}  // namespace kv::check

#endif  // RSM_EXAMPLES_KV_CHECK_COMMAND_MODEL_HPP
