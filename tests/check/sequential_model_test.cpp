// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// The checker with models other than the key/value service's.

#include "check_support.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

namespace sequential_model_test {

namespace {

using namespace rsm::check::test;
using rsm::check::check_linearizability;
using rsm::check::Limits;
using rsm::check::Report;
using rsm::check::UndecidedReason;
using rsm::check::Verdict;

struct QueueModel {
    using Input = std::optional<int>;   // a value to enqueue, or nothing for a dequeue
    using Output = std::optional<int>;  // of a dequeue: the value, or nothing when empty
    using State = std::vector<int>;

    State initial() const { return {}; }

    std::optional<State> step(const State& state, const Input& input, const Output* output) const {
        State next = state;
        if (input) {
            next.push_back(*input);
            return next;
        }
        const Output front = state.empty() ? std::nullopt : std::optional<int>(state.front());
        if (output != nullptr && *output != front) {
            return std::nullopt;
        }
        if (front) {
            next.erase(next.begin());
        }
        return next;
    }

    std::size_t hash(const State& state) const {
        return std::accumulate(
            state.begin(), state.end(), std::size_t{0},
            [](std::size_t sum, int value) { return sum * 31 + static_cast<std::size_t>(value); });
    }
};

using QueueOperation = rsm::check::Operation<QueueModel::Input, QueueModel::Output>;

QueueOperation enqueue(Interval when, int value) {
    return {1, value, QueueModel::Output{}, when.call, when.ret};
}

QueueOperation dequeue(Interval when, std::optional<int> value) {
    return {2, std::nullopt, QueueModel::Output{value}, when.call, when.ret};
}

struct CounterModel {
    using Input = int;   // added
    using Output = int;  // the sum afterwards
    using State = int;

    State initial() const { return 0; }

    std::optional<State> step(State state, Input input, const Output* output) const {
        const State next = state + input;
        return output == nullptr || *output == next ? std::optional<State>(next) : std::nullopt;
    }

    std::size_t hash(State state) const { return static_cast<std::size_t>(state); }
};

using CounterOperation = rsm::check::Operation<int, int>;

/// Moves from one number to a greater one, which happen only there, and reads (from == to). The
/// promises can be left out one by one: none of them may change a verdict.
template <bool WithReach, bool WithStage, bool WithReads>
struct MoveModel {
    struct Input {
        int from = 0;
        int to = 0;
    };
    using Output = bool;  // whether the number was `from`
    using State = int;

    State initial() const { return 0; }

    std::optional<State> step(State state, const Input& input, const Output* output) const {
        const bool moves = state == input.from;
        if (output != nullptr && *output != moves) {
            return std::nullopt;
        }
        return moves ? input.to : state;
    }

    /// A poor hash, so that different states share one.
    std::size_t hash(State state) const { return static_cast<std::size_t>(state % 2); }

    bool out_of_reach(State state, const Input& input,
                      const Output* output) const requires WithReach {
        return state > input.from && (output == nullptr || *output);
    }

    std::uint64_t stage(State state) const requires WithStage {
        return static_cast<std::uint64_t>(state);
    }

    std::uint64_t acts_at(const Input& input) const requires WithStage {
        return static_cast<std::uint64_t>(input.from);
    }

    bool read_only(const Input& input, const Output* output) const requires WithReads {
        return input.from == input.to || (output != nullptr && !*output);
    }
};

template <class Model>
using MoveHistory = std::vector<rsm::check::Operation<typename Model::Input, bool>>;

template <class Model>
MoveHistory<Model> tiny_move_history(Random& random) {
    MoveHistory<Model> history;
    for (std::uint64_t left = 3 + random.below(4); left != 0; --left) {
        typename MoveHistory<Model>::value_type operation;
        operation.input.from = static_cast<int>(random.below(4));
        operation.input.to = operation.input.from + static_cast<int>(random.below(3));
        operation.call = random.time_below(12);
        if (!random.one_in(3)) {
            operation.ret = operation.call + random.time_below(10);
            if (!random.one_in(3)) {
                operation.output = !random.one_in(3);
            }
        }
        history.push_back(operation);
    }
    return history;
}

template <class Model>
void compare_on_moves(std::uint64_t seed) {
    Random random(seed);
    int legal_count = 0;
    constexpr int count = 2500;
    for (int i = 0; i < count; ++i) {
        CAPTURE(i);
        const MoveHistory<Model> history = tiny_move_history<Model>(random);
        const bool expected = brute_force(Model{}, history);
        legal_count += expected ? 1 : 0;
        const Report report = check_linearizability(Model{}, history);
        REQUIRE(report.verdict == (expected ? Verdict::linearizable : Verdict::not_linearizable));
        if (!expected) {
            verify_explanation(Model{}, history, *report.explanation);
        }
    }
    CHECK(legal_count > count / 20);
    CHECK(legal_count < count - count / 20);
}

}  // namespace

TEST_CASE("The memo tells entries with one hash apart, and refuses what would exceed its bytes") {
    using rsm::check::detail::Memo;
    Memo memo;
    const std::size_t bytes_max = 4096;
    const auto insert = [&](std::vector<std::uint32_t> words) {
        return memo.insert(7, words, bytes_max);
    };
    CHECK(insert({1, 2, 3}) == Memo::Insertion::added);
    CHECK(insert({1, 2}) == Memo::Insertion::added);
    CHECK(insert({}) == Memo::Insertion::added);
    CHECK(insert({1, 2, 4}) == Memo::Insertion::added);
    CHECK(insert({1, 2, 3}) == Memo::Insertion::present);
    CHECK(insert({1, 2}) == Memo::Insertion::present);
    CHECK(insert({}) == Memo::Insertion::present);
    CHECK(insert(std::vector<std::uint32_t>(1000)) == Memo::Insertion::full);
    std::uint32_t count = 0;
    while (insert({count, 9, 9, 9}) == Memo::Insertion::added) {
        ++count;
        CHECK(memo.bytes_peak() <= bytes_max);
    }
    CHECK(count >= 16);
    CHECK(insert({count - 1, 9, 9, 9}) == Memo::Insertion::present);
    CHECK(memo.size() == count + 4);
}

TEST_CASE("A first-in-first-out queue is checked by its own model") {
    const auto verdict = [](const std::vector<QueueOperation>& history) {
        return check_linearizability(QueueModel{}, history).verdict;
    };
    CHECK(verdict({enqueue({0, 5}, 1), enqueue({1, 6}, 2), dequeue({7, 8}, 2),
                   dequeue({9, 10}, 1)}) == Verdict::linearizable);
    CHECK(verdict({enqueue({0, 1}, 1), enqueue({2, 3}, 2), dequeue({4, 5}, 2),
                   dequeue({6, 7}, 1)}) == Verdict::not_linearizable);
    CHECK(verdict({enqueue({0, 1}, 1), dequeue({2, 9}, 1), dequeue({2, 9}, std::nullopt)}) ==
          Verdict::linearizable);
    CHECK(verdict({enqueue({0, 1}, 1), dequeue({2, 9}, 1), dequeue({2, 9}, 1)}) ==
          Verdict::not_linearizable);
    std::vector<QueueOperation> lost{enqueue({0, 1}, 1), dequeue({2, 3}, 0),
                                     dequeue({4, 5}, std::nullopt)};
    lost[1].output.reset();
    lost[1].ret.reset();
    CHECK(verdict(lost) == Verdict::linearizable);
}

TEST_CASE(
    "A queue that hands out of order among many concurrent clients exhausts the memory instead of "
    "the machine") {
    std::vector<QueueOperation> history;
    for (int i = 0; i < 30; ++i) {
        history.push_back(enqueue({0, 10}, i));
    }
    history.push_back(dequeue({11, 12}, 1000));
    Limits limits;
    limits.memo_bytes = std::size_t{1} << 20U;
    const Report report = check_linearizability(QueueModel{}, history, limits);
    CHECK(report.verdict == Verdict::undecided);
    CHECK(report.reason == UndecidedReason::memory);
    CHECK(report.memo_bytes_peak <= limits.memo_bytes + 256);
}

TEST_CASE("The checker agrees with trying every order on tiny histories of a counter") {
    Random random(99);
    int legal_count = 0;
    constexpr int count = 3000;
    for (int i = 0; i < count; ++i) {
        CAPTURE(i);
        std::vector<CounterOperation> history;
        for (std::uint64_t left = 2 + random.below(4); left != 0; --left) {
            const std::int64_t call = random.time_below(10);
            CounterOperation operation{1, 1 + static_cast<int>(random.below(2)), std::nullopt, call,
                                       std::nullopt};
            if (!random.one_in(4)) {
                operation.ret = call + random.time_below(8);
                if (!random.one_in(4)) {
                    operation.output = 1 + static_cast<int>(random.below(6));
                }
            }
            history.push_back(operation);
        }
        const bool expected = brute_force(CounterModel{}, history);
        legal_count += expected ? 1 : 0;
        const Report report = check_linearizability(CounterModel{}, history);
        REQUIRE(report.verdict == (expected ? Verdict::linearizable : Verdict::not_linearizable));
        if (!expected) {
            verify_explanation(CounterModel{}, history, *report.explanation);
        }
    }
    CHECK(legal_count > count / 20);
    CHECK(legal_count < count - count / 20);
}

TEST_CASE("No combination of a model's promises changes a verdict") {
    compare_on_moves<MoveModel<false, false, false>>(1);
    compare_on_moves<MoveModel<true, false, false>>(2);
    compare_on_moves<MoveModel<false, true, false>>(3);
    compare_on_moves<MoveModel<false, false, true>>(4);
    compare_on_moves<MoveModel<true, true, true>>(5);
}

TEST_CASE(
    "A state reached too late for a doubtful operation does not hide the same state reached in "
    "time") {
    using Model = MoveModel<true, false, false>;
    const auto unknown = [](std::int64_t call, int from, int to) {
        return MoveHistory<Model>::value_type{1, {from, to}, std::nullopt, call, std::nullopt};
    };
    MoveHistory<Model> history{
        unknown(0, 0, 1),
        unknown(10, 1, 3),  // The first way to 3, after the return of the move from 3 to 4.
        unknown(1, 0, 2),
        unknown(2, 2, 3),  // The second way, in time.
        unknown(0, 3, 4),
    };
    history.back().ret = 5;
    history.push_back({2, {4, 4}, true, 20, 21});
    CHECK(brute_force(Model{}, history));
    CHECK(check_linearizability(Model{}, history).verdict == Verdict::linearizable);
}

}  // namespace sequential_model_test
