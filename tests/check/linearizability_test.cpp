// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The checker on histories that are written by hand.
#include "kv_histories.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace linearizability_test {

namespace {

using namespace rsm::check::test;
using kv::check::KvError;
using kv::check::KvOperation;
using rsm::check::Explanation;
using rsm::check::Report;
using rsm::check::UndecidedReason;
using rsm::check::Verdict;

}  // namespace

TEST_CASE("An empty history is linearizable") {
    const Report report = check_kv({});
    CHECK(report.verdict == Verdict::linearizable);
    CHECK(report.partitions == 0);
}

TEST_CASE("A sequential history that follows the service's rules is linearizable") {
    CHECK(legal({
        get_error({0, 1}, KvError::no_key),
        put({2, 3}, "x", 1, KvError::no_key),
        put({4, 5}, "a", 0, KvError::ok),
        get({6, 7}, "a", 1),
        put({8, 9}, "b", 0, KvError::version),
        put({10, 11}, "b", 7, KvError::version),
        put({12, 13}, "b", 1, KvError::ok),
        get({14, 15}, "b", 2),
    }));
}

TEST_CASE("A get that returns an overwritten value after the overwrite returned is a stale read") {
    const std::vector<KvOperation> history{
        put({0, 1}, "a", 0, KvError::ok),
        put({2, 3}, "b", 1, KvError::ok),
        get({4, 5}, "a", 1),
        get({6, 7}, "b", 2),
    };
    const Explanation explanation = explanation_of(history);
    CHECK(explanation.culprit == 2);
    CHECK(explanation.core == Positions{1, 2});
    CHECK(explanation.prefix == Positions{0, 1});
    CHECK(explanation.minimal);
}

TEST_CASE("Two puts that both succeed on one version are a lost update, even when concurrent") {
    const std::vector<KvOperation> history{
        put({0, 10}, "a", 0, KvError::ok),
        put({0, 10}, "b", 0, KvError::ok),
    };
    CHECK(explanation_of(history).core == Positions{0, 1});
}

TEST_CASE("A get of a value that nobody put is not linearizable, and its reply alone is to blame") {
    const std::vector<KvOperation> history{
        put({0, 1}, "a", 0, KvError::ok),
        put({2, 9}, "b", 1, KvError::ok),
        get({3, 8}, "c", 2),
    };
    const Explanation explanation = explanation_of(history);
    CHECK(explanation.core == Positions{2});
    CHECK(explanation.culprit == 2);
}

TEST_CASE("A concurrent write that one get has seen must be seen by every later get") {
    const std::vector<KvOperation> history{
        put({0, 1}, "a", 0, KvError::ok),
        put({2, 20}, "b", 1, KvError::ok),
        get({3, 4}, "b", 2),
        get({5, 6}, "a", 1),
    };
    CHECK(explanation_of(history).core == Positions{2, 3});
}

TEST_CASE("A version that is given out twice for different values is not linearizable") {
    CHECK_FALSE(legal({
        put({0, 1}, "a", 0, KvError::ok),
        pending_put(2, "b", 1),
        pending_put(2, "c", 1),
        get({3, 4}, "b", 2),
        get({5, 6}, "c", 2),
    }));
}

TEST_CASE("A get must return the version of its value, not only the value") {
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::ok), get({2, 3}, "a", 2)}));
}

TEST_CASE("A key that exists cannot be reported absent, nor an absent key be said to exist") {
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::ok), get_error({2, 3}, KvError::no_key)}));
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::ok), put({2, 3}, "b", 1, KvError::no_key)}));
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::version)}));
    CHECK_FALSE(legal({put({0, 1}, "a", 1, KvError::version)}));
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::no_key)}));
    CHECK_FALSE(legal({put({0, 1}, "a", 0, KvError::ok), put({2, 3}, "b", 1, KvError::version)}));
    CHECK_FALSE(legal({get({0, 1}, "", 0)}));
    CHECK_FALSE(legal({get_error({0, 1}, KvError::version)}));
}

TEST_CASE("Concurrent operations may take effect in an order other than that of their calls") {
    CHECK(legal({
        put({0, 10}, "b", 1, KvError::ok),
        get({1, 9}, "b", 2),
        put({2, 8}, "a", 0, KvError::ok),
        get({3, 4}, "a", 1),
        get_error({0, 5}, KvError::no_key),
    }));
}

TEST_CASE(
    "Operations whose times touch count as concurrent, and one nanosecond later they do not") {
    CHECK(legal({put({0, 5}, "a", 0, KvError::ok), get_error({5, 9}, KvError::no_key)}));
    CHECK_FALSE(legal({put({0, 5}, "a", 0, KvError::ok), get_error({6, 9}, KvError::no_key)}));
    CHECK(legal({put({5, 5}, "a", 0, KvError::ok), get_error({5, 5}, KvError::no_key),
                 get({5, 5}, "a", 1)}));
}

TEST_CASE("A put that never returned may have taken effect, early or late, or not at all") {
    const KvOperation first = put({0, 1}, "a", 0, KvError::ok);
    CHECK(legal({first, pending_put(2, "b", 1), get({3, 4}, "b", 2)}));
    CHECK(legal({first, pending_put(2, "b", 1), get({3, 4}, "a", 1), get({1000, 1001}, "b", 2)}));
    CHECK(legal({first, pending_put(2, "b", 1), get({3, 4}, "a", 1)}));
    CHECK(legal(
        {first, pending_put(2, "b", 1), put({3, 4}, "c", 1, KvError::ok), get({5, 6}, "c", 2)}));
    CHECK_FALSE(legal({first, get({2, 3}, "b", 2), pending_put(4, "b", 1)}));
    CHECK_FALSE(legal({first, pending_put(2, "b", 1), get({3, 4}, "b", 2), get({5, 6}, "a", 1)}));
}

TEST_CASE("A chain of puts that never returned is found when a later get needs all of it") {
    CHECK(legal({pending_put(0, "c", 2), pending_put(0, "b", 1), pending_put(0, "a", 0),
                 get({1, 2}, "c", 3)}));
    CHECK_FALSE(legal({pending_put(0, "c", 2), pending_put(0, "a", 0), get({1, 2}, "c", 3)}));
}

TEST_CASE(
    "A put that returned ErrMaybe may have taken effect within its call, or not, but not later") {
    const KvOperation first = put({0, 1}, "a", 0, KvError::ok);
    const KvOperation maybe = put({2, 5}, "b", 1, KvError::maybe);
    CHECK(legal({first, maybe, get({6, 7}, "b", 2)}));
    CHECK(legal({first, maybe, get({6, 7}, "a", 1)}));
    CHECK(legal({first, maybe, get({3, 4}, "a", 1), get({6, 7}, "b", 2)}));
    CHECK(legal({first, maybe, put({6, 7}, "c", 1, KvError::ok)}));
    CHECK_FALSE(legal({first, maybe, get({6, 7}, "a", 1), get({8, 9}, "b", 2)}));
    CHECK_FALSE(legal({first, get({1, 1}, "b", 2), maybe}));
    // Its return is part of the contradiction: had it not returned, the second get could be
    // explained.
    CHECK(explanation_of({first, maybe, get({6, 7}, "a", 1), get({8, 9}, "b", 2)}).core ==
          Positions{1, 2, 3});
}

TEST_CASE("Reading early does not rob a doubtful put of its last chance to take effect") {
    // The get of version 1 fits at once, but it is called after the doubtful put has returned: the
    // put comes first.
    CHECK(legal({
        put({0, 2}, "a", 0, KvError::maybe),
        put({1, 9}, "b", 1, KvError::ok),
        get({3, 4}, "a", 1),
        get_error({0, 9}, KvError::no_key),
    }));
}

TEST_CASE("Keys are independent of each other") {
    std::vector<KvOperation> history{put({0, 1}, "a", 0, KvError::ok),
                                     get_error({2, 3}, KvError::no_key)};
    CHECK_FALSE(legal(history));
    history[1].input.key = "other";
    const Report report = check_kv(history);
    CHECK(report.verdict == Verdict::linearizable);
    CHECK(report.partitions == 2);
    verify_linearizations(history, report);
}

TEST_CASE(
    "An explanation speaks of the key that is at fault and numbers operations by the whole "
    "history") {
    std::vector<KvOperation> history{
        put({0, 1}, "a", 0, KvError::ok),
        put({0, 1}, "a", 0, KvError::ok),
        get({2, 3}, "a", 1),
        get_error({4, 5}, KvError::no_key),
    };
    history[1].input.key = history[3].input.key = "other";
    const Explanation explanation = explanation_of(history);
    CHECK(explanation.culprit == 3);
    CHECK(explanation.core == Positions{1, 3});
    CHECK(explanation.prefix == Positions{1});
}

TEST_CASE(
    "An operation that returned without a known reply happened before its return or not at all") {
    KvOperation unknown = put({2, 3}, "b", 1, KvError::ok);
    unknown.output.reset();
    const KvOperation first = put({0, 1}, "a", 0, KvError::ok);
    CHECK(legal({first, unknown, get({4, 5}, "b", 2)}));
    CHECK(legal({first, unknown, get({4, 5}, "a", 1)}));
    CHECK_FALSE(legal({first, unknown, get({4, 5}, "a", 1), get({6, 7}, "b", 2)}));
}

TEST_CASE("A history with a return before its call is malformed, not judged") {
    const Report report = check_kv({put({5, 4}, "a", 0, KvError::ok)});
    CHECK(report.verdict == Verdict::undecided);
    CHECK(report.reason == UndecidedReason::malformed);
}

}  // namespace linearizability_test
