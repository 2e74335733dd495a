// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Histories of commands and transactions, made up, against their model.
#include <kv/check/command_model.hpp>

#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace command_model_test {

using kv::check::CommandInput;
using kv::check::CommandModel;
using kv::check::CommandOp;
using kv::check::CommandOperation;
using kv::check::CommandOutput;
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

}  // namespace command_model_test
