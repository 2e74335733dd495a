// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What becomes of operations whose places a snapshot or an entry reaches, exactly, almost, or not.
#include "support/records.hpp"

#include <rsm/error.hpp>
#include <rsm/node/pending_operations.hpp>

#include <boost/system/error_code.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace pending_operations_test {

namespace {

using raft::test::position;
using rsm::Errc;
using rsm::Outcome;

/// Notes how its operation ended.
struct Complete {
    std::optional<boost::system::error_code>* end = nullptr;
    explicit operator bool() const { return end != nullptr; }
    void operator()(boost::system::error_code why) {
        *end = why;
        end = nullptr;
    }
};
using Operations = rsm::detail::PendingOperations<int, Complete>;

/// One operation that stands somewhere in the log.
struct Bench {
    explicit Bench(raft::LogPosition place) {
        Operations::Pending pending;
        pending.complete = {&end};
        pending.bytes = 7;
        operations.add(std::move(pending));
        operations.place(place);
    }
    std::optional<boost::system::error_code> end;
    Operations operations;
};

}  // namespace

TEST_CASE("an installed snapshot decides what stands in it, and what its terms have passed over") {
    struct Case {
        raft::LogPosition place;
        std::optional<Errc> end;
    };
    const raft::LogPosition last = position(8, 4);
    const std::vector<Case> cases{
        {position(7, 4), Errc::result_lost}, {position(7, 3), Errc::result_lost},
        {position(8, 4), Errc::result_lost}, {position(8, 3), Errc::result_lost},
        {position(9, 3), Errc::superseded},  {position(9, 4), std::nullopt},
        {position(8, 5), std::nullopt},      {position(9, 5), std::nullopt}};
    for (const Case& one : cases) {
        Bench bench(one.place);
        bench.operations.restore(last);
        REQUIRE(bench.end.has_value() == one.end.has_value());
        CHECK(bench.operations.size() == (one.end ? 0 : 1));
        CHECK(bench.operations.bytes() == (one.end ? 0 : 7));
        if (!one.end) continue;
        CHECK(*bench.end == *one.end);
        const bool covered = one.place.index <= last.index;
        CHECK(rsm::outcome(*bench.end) == (covered ? Outcome::unknown : Outcome::not_committed));
    }
}

TEST_CASE("an entry decides the operation of its own place and all of earlier terms") {
    for (const raft::LogPosition applied : {position(8, 4), position(8, 5), position(7, 5)}) {
        Bench bench(position(8, 4));
        const bool given = bench.operations.apply(applied).has_value();
        CHECK(given == (applied == position(8, 4)));
        REQUIRE(bench.end.has_value() != given);
        if (!given) CHECK(*bench.end == Errc::superseded);
        CHECK(bench.operations.bytes() == 0);
    }
    for (const raft::LogPosition applied : {position(7, 4), position(8, 3), position(7, 3)}) {
        Bench bench(position(8, 4));
        CHECK_FALSE(bench.operations.apply(applied));
        CHECK_FALSE(bench.end);
        CHECK(bench.operations.size() == 1);
    }
}

}  // namespace pending_operations_test
