// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Histories of the key-value service written by hand, and what the checker says of them.
#ifndef RSM_TESTS_CHECK_KV_HISTORIES_HPP
#define RSM_TESTS_CHECK_KV_HISTORIES_HPP

#include "check_support.hpp"
#include "kv/check/model.hpp"

#include <rsm/check/history.hpp>
#include <rsm/check/linearizability.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::check::test {

// Times are given as [call, return].

inline KvOperation put(Interval when, std::string value, std::uint64_t expected, KvError error) {
    return {1,
            {KvOp::put, "k", std::move(value), expected},
            KvOutput{error, "", 0},
            when.call,
            when.ret};
}

inline KvOperation pending_put(std::int64_t call, std::string value, std::uint64_t expected) {
    return {1, {KvOp::put, "k", std::move(value), expected}, std::nullopt, call, std::nullopt};
}

inline KvOperation get(Interval when, std::string value, std::uint64_t version) {
    return {2,
            {KvOp::get, "k", "", 0},
            KvOutput{KvError::ok, std::move(value), version},
            when.call,
            when.ret};
}

inline KvOperation get_error(Interval when, KvError error) {
    return {2, {KvOp::get, "k", "", 0}, KvOutput{error, "", 0}, when.call, when.ret};
}

inline Report check_kv(const std::vector<KvOperation>& history, const Limits& limits = {}) {
    return check_linearizability(KvModel{}, history, limits);
}

inline bool legal(const std::vector<KvOperation>& history) {
    const Report report = check_kv(history);
    REQUIRE(report.verdict != Verdict::undecided);
    return report.verdict == Verdict::linearizable;
}

inline Explanation explanation_of(const std::vector<KvOperation>& history) {
    const Report report = check_kv(history);
    REQUIRE(report.verdict == Verdict::not_linearizable);
    REQUIRE(report.explanation);
    return *report.explanation;
}

/// Whether the linearizations of a report are what they claim to be. The order of time is respected
/// when nothing returned before the latest call of what stands ahead of it.
inline void verify_linearizations(const std::vector<KvOperation>& history, const Report& report) {
    std::size_t required = 0;
    for (const Positions& order : report.linearizations) {
        CHECK(replays(KvModel{}, history, order));
        std::int64_t latest_call = std::numeric_limits<std::int64_t>::min();
        bool in_time = true;
        for (const std::size_t position : order) {
            latest_call = std::max(latest_call, history[position].call);
            in_time = in_time && (!history[position].ret || *history[position].ret >= latest_call);
            required += optional_in(KvModel{}, history[position]) ? 0U : 1U;
        }
        CHECK(in_time);
    }
    const auto expected = std::count_if(
        history.begin(), history.end(),
        [](const KvOperation& operation) { return !optional_in(KvModel{}, operation); });
    CHECK(required == static_cast<std::size_t>(expected));
}

}  // namespace rsm::check::test

#endif
