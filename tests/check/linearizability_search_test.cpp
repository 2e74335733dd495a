// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The checker's search: against trying every order, on histories that are large or hopeless, and
// with too little memory or too few steps.
#include "kv_histories.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace linearizability_search_test {

namespace {

using namespace rsm::check::test;
using kv::check::KvError;
using kv::check::KvInput;
using kv::check::KvModel;
using kv::check::KvOp;
using kv::check::KvOperation;
using kv::check::KvOutput;
using rsm::check::check_linearizability;
using rsm::check::Explanation;
using rsm::check::Limits;
using rsm::check::Report;
using rsm::check::UndecidedReason;
using rsm::check::Verdict;

/// KvModel without any of the optional promises: no partitions, and all the choices left to the
/// search.
struct PlainKvModel {
    using Input = KvInput;
    using Output = KvOutput;
    using State = std::map<std::string, KvModel::State>;

    KvModel kv;

    State initial() const { return {}; }

    std::optional<State> step(const State& state, const Input& input, const Output* output) const {
        const auto found = state.find(input.key);
        const auto after =
            kv.step(found == state.end() ? kv.initial() : found->second, input, output);
        if (!after) {
            return std::nullopt;
        }
        State next = state;
        if (after->version != 0) {
            next[input.key] = *after;
        }
        return next;
    }

    std::size_t hash(const State& state) const {
        std::size_t sum = 0;
        for (const auto& [key, value] : state) {
            sum += kv.hash(value);
        }
        return sum;
    }

    bool unknown_outcome(const Input& input, const Output& output) const {
        return kv.unknown_outcome(input, output);
    }
};

std::vector<KvOperation> tiny_random_history(Random& random) {
    std::vector<KvOperation> history;
    const std::size_t count = 2 + random.below(4);
    for (std::size_t i = 0; i < count; ++i) {
        KvOperation operation;
        operation.input.op = random.one_in(2) ? KvOp::put : KvOp::get;
        operation.input.key = "k";
        operation.call = random.time_below(12);
        if (!random.one_in(6)) {
            operation.ret = operation.call + random.time_below(8);
            KvOutput output;
            const std::uint64_t kind = random.below(10);
            output.error = kind < 6   ? KvError::ok
                           : kind < 7 ? KvError::version
                           : kind < 8 ? KvError::no_key
                                      : KvError::maybe;
            if (operation.input.op == KvOp::get && output.error == KvError::ok) {
                output.version = 1 + random.below(2);
                output.value = random.one_in(2) ? "a" : "b";
            }
            operation.output = output;
        }
        if (operation.input.op == KvOp::put) {
            operation.input.version = random.below(3);
            operation.input.value = random.one_in(2) ? "a" : "b";
        }
        history.push_back(operation);
    }
    return history;
}

double seconds_of(const std::vector<KvOperation>& history, Report& report) {
    const auto start = std::chrono::steady_clock::now();
    report = check_kv(history);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE(
    "The checker agrees with trying every order on thousands of tiny histories, and explains the "
    "illegal ones") {
    Random random(20240601);
    int legal_count = 0;
    constexpr int count = 6000;
    for (int i = 0; i < count; ++i) {
        CAPTURE(i);
        const std::vector<KvOperation> history = tiny_random_history(random);
        const bool expected = brute_force(KvModel{}, history);
        legal_count += expected ? 1 : 0;
        const Report report = check_kv(history);
        REQUIRE(report.verdict == (expected ? Verdict::linearizable : Verdict::not_linearizable));
        REQUIRE(check_linearizability(PlainKvModel{}, history).verdict == report.verdict);
        if (expected) {
            verify_linearizations(history, report);
        } else {
            verify_explanation(KvModel{}, history, *report.explanation);
        }
    }
    CHECK(legal_count > count / 20);
    CHECK(legal_count < count - count / 20);
}

TEST_CASE(
    "The checker agrees with trying every order on tiny histories of a correct service and on "
    "spoiled ones") {
    int spoiled = 0;
    for (std::uint64_t seed = 0; seed < 1500; ++seed) {
        CAPTURE(seed);
        std::vector<KvOperation> history = simulate({3, 1, 6, 4, 20, seed});
        REQUIRE(brute_force(KvModel{}, history));
        verify_linearizations(history, check_kv(history));
        REQUIRE(legal(history));
        REQUIRE(check_linearizability(PlainKvModel{}, history).verdict == Verdict::linearizable);
        Random random(seed);
        if (invent_a_reply(history, random)) {
            ++spoiled;
            const Report report = check_kv(history);
            REQUIRE((report.verdict == Verdict::linearizable) == brute_force(KvModel{}, history));
            if (report.explanation) {
                verify_explanation(KvModel{}, history, *report.explanation);
            }
        }
    }
    CHECK(spoiled > 300);
}

TEST_CASE(
    "Random histories of a correct service are accepted, and rejected once a single reply is "
    "wrong") {
    int spoiled[3] = {0, 0, 0};
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
        CAPTURE(seed);
        const Load load{2 + seed % 12,           1 + seed % 3,        200,
                        seed % 2 == 0 ? 0U : 6U, 1 + 20 * (seed % 4), seed};
        const std::vector<KvOperation> history = simulate(load);
        const Report report = check_kv(history);
        REQUIRE(report.verdict == Verdict::linearizable);
        verify_linearizations(history, report);
        Random random(seed);
        bool (*const mutations[])(std::vector<KvOperation>&, Random&) = {
            lower_a_version, lose_an_update, invent_a_reply};
        for (std::size_t i = 0; i < 3; ++i) {
            CAPTURE(i);
            std::vector<KvOperation> wrong = history;
            if (mutations[i](wrong, random)) {
                ++spoiled[i];
                const Explanation explanation = explanation_of(wrong);
                CHECK(explanation.minimal);
                CHECK(explanation.core.size() <= 3);
                CHECK(check_kv(with_set_aside(wrong, explanation.core)).verdict ==
                      Verdict::not_linearizable);
            }
        }
    }
    CHECK(spoiled[0] > 60);
    CHECK(spoiled[1] > 60);
    CHECK(spoiled[2] > 60);
}

TEST_CASE("A history of 100,000 operations by 15 clients on 100 keys is decided, right or wrong") {
    for (const std::uint64_t unknown_in : {0U, 50U}) {
        std::vector<KvOperation> history = simulate({15, 100, 100'000, unknown_in, 10, 7});
        Report report;
        const double seconds = seconds_of(history, report);
        CHECK(report.verdict == Verdict::linearizable);
        verify_linearizations(history, report);
        Random random(3);
        REQUIRE(lower_a_version(history, random));
        const double seconds_wrong = seconds_of(history, report);
        CHECK(report.verdict == Verdict::not_linearizable);
        MESSAGE("15 clients, 100 keys, unknown outcomes 1 in ", unknown_in, ": ", seconds,
                " s, spoiled: ", seconds_wrong, " s");
    }
}

TEST_CASE("A history of 5,000 operations by 20 clients on one key is decided, right or wrong") {
    for (const std::uint64_t unknown_in : {0U, 50U, 5U, 2U}) {
        std::vector<KvOperation> history = simulate({20, 1, 5'000, unknown_in, 1, 11});
        Report report;
        const double seconds = seconds_of(history, report);
        const std::size_t bytes = report.memo_bytes_peak;
        CHECK(report.verdict == Verdict::linearizable);
        CHECK(bytes < (std::size_t{16} << 20U));
        verify_linearizations(history, report);
        Random random(5);
        REQUIRE(lower_a_version(history, random));
        const double seconds_wrong = seconds_of(history, report);
        CHECK(report.verdict == Verdict::not_linearizable);
        CHECK(report.explanation->minimal);
        MESSAGE("20 clients, one key, unknown outcomes 1 in ", unknown_in, ": ", seconds, " s, ",
                bytes, " memo bytes, spoiled: ", seconds_wrong, " s");
    }
}

TEST_CASE("Hopeless branches are left early among 100 clients when many outcomes are unknown") {
    std::vector<KvOperation> history = simulate({100, 1, 5'000, 3, 1, 1});
    CHECK(check_kv(history).memo_entries < history.size());
    Random random(1);
    REQUIRE(lower_a_version(history, random));
    const Report report = check_kv(history);
    CHECK(report.verdict == Verdict::not_linearizable);
    CHECK(report.memo_entries < history.size());
}

TEST_CASE(
    "One invented reply among 20,000 operations on one key is found and explained by itself") {
    std::vector<KvOperation> history = simulate({15, 1, 20'000, 10, 1, 2});
    Random random(2);
    REQUIRE(invent_a_reply(history, random));
    const Explanation explanation = explanation_of(history);
    CHECK(explanation.minimal);
    CHECK(explanation.core == Positions{explanation.culprit});
}

TEST_CASE("A thousand puts that never returned do not make the search explode") {
    std::vector<KvOperation> history;
    for (int i = 0; i < 1000; ++i) {
        history.push_back(
            pending_put(0, "p" + std::to_string(i), static_cast<std::uint64_t>(i % 50)));
    }
    std::int64_t time = 1;
    for (std::uint64_t version = 0; version < 40; ++version) {
        history.push_back(
            put({time, time + 1}, "v" + std::to_string(version), version, KvError::ok));
        time += 2;
    }
    history.push_back(get({time, time + 1}, "p45", 46));
    const Report report = check_kv(history);
    CHECK(report.verdict == Verdict::linearizable);
    verify_linearizations(history, report);
    history.back().output->value = "p44";
    CHECK_FALSE(legal(history));
}

TEST_CASE(
    "Too little memory or too few steps give undecided with the reason, whatever the history") {
    Random random(1);
    for (const bool spoil : {false, true}) {
        std::vector<KvOperation> history = simulate({8, 1, 400, 0, 5, 3});
        if (spoil) {
            REQUIRE(lower_a_version(history, random));
        }
        const Verdict truth = spoil ? Verdict::not_linearizable : Verdict::linearizable;
        Limits limits;
        int undecided = 0;
        constexpr std::size_t one_state = 256;
        for (std::size_t bytes = 0; bytes < (std::size_t{1} << 20U); bytes = bytes * 2 + 1) {
            limits.memo_bytes = bytes;
            const Report report = check_kv(history, limits);
            CHECK(report.memo_bytes_peak <= bytes + one_state);
            if (report.verdict == Verdict::undecided) {
                CHECK(report.reason == UndecidedReason::memory);
                CHECK(report.linearizations.empty());
                ++undecided;
            } else {
                CHECK(report.verdict == truth);
                CHECK(report.reason == UndecidedReason::none);
            }
        }
        CHECK(undecided > 8);
        CHECK(check_kv(history, limits).verdict == truth);
        limits = {};
        limits.steps = 20;
        CHECK(check_kv(history, limits).reason == UndecidedReason::steps);
    }
}

TEST_CASE("A key that cannot be decided does not hide another key's error") {
    std::vector<KvOperation> history = simulate({8, 1, 400, 0, 5, 3});
    Limits limits;
    limits.memo_bytes = 4096;
    CHECK(check_kv(history, limits).verdict == Verdict::undecided);
    history.push_back(get({0, 1}, "x", 1));
    history.back().input.key = "zzz";
    const Report report = check_kv(history, limits);
    CHECK(report.verdict == Verdict::not_linearizable);
    CHECK(report.reason == UndecidedReason::none);
}

TEST_CASE(
    "An explanation is left out on request, and marked as not minimal when its steps run out") {
    std::vector<KvOperation> history = simulate({8, 1, 400, 0, 5, 3});
    Random random(1);
    REQUIRE(lower_a_version(history, random));
    Limits limits;
    limits.explanation_steps = 0;
    CHECK_FALSE(check_kv(history, limits).explanation);
    limits.explanation_steps = 1;
    const Report report = check_kv(history, limits);
    REQUIRE(report.explanation);
    CHECK_FALSE(report.explanation->minimal);
    CHECK_FALSE(legal(with_set_aside(history, report.explanation->core)));
}

}  // namespace linearizability_search_test
