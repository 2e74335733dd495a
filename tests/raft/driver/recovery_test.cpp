// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a storage makes of the log and the snapshot that it finds.
#include "support/records.hpp"

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace recovery_test {

namespace {

using namespace raft;
using raft::test::position;

/// A log from `base` on whose entries have these terms, and a snapshot up to `snapshot`.
Recovered found(LogPosition base, const std::vector<std::uint64_t>& terms, LogPosition snapshot) {
    Recovered recovered;
    recovered.base = base;
    recovered.last = base.index;
    recovered.snapshot.last = snapshot;
    for (const std::uint64_t term : terms) {
        ++recovered.last;
        add_to_runs(recovered.runs, recovered.last, {term});
        recovered.memberships.push_back({recovered.last, {term}, EntryKind::membership, {}});
    }
    return recovered;
}

const std::error_code damaged = std::make_error_code(std::errc::illegal_byte_sequence);

/// Whether the log is void; it must be left alone where it is not.
bool is_void(Recovered recovered) {
    const Recovered before = recovered;
    const Result<bool> result = fit_to_snapshot(recovered, damaged);
    REQUIRE(result.has_value());
    if (*result) {
        CHECK(recovered.base == recovered.snapshot.last);
        CHECK(recovered.last == recovered.snapshot.last.index);
        CHECK(recovered.runs.empty());
        CHECK(recovered.memberships.empty());
    } else {
        CHECK(recovered.base == before.base);
        CHECK(recovered.last == before.last);
        CHECK(recovered.runs == before.runs);
        CHECK(recovered.memberships == before.memberships);
    }
    return *result;
}

std::string complaint(Recovered recovered) {
    const Result<bool> result = fit_to_snapshot(recovered, damaged);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == damaged);
    return result.error().what;
}

}  // namespace

TEST_CASE("recovery: a run begins where the term changes") {
    std::vector<TermRun> runs;
    add_to_runs(runs, {5}, {2});
    add_to_runs(runs, {6}, {2});
    add_to_runs(runs, {7}, {4});
    add_to_runs(runs, {9}, {4});
    add_to_runs(runs, {10}, {5});
    CHECK(runs == std::vector<TermRun>{{{5}, {2}}, {{7}, {4}}, {{10}, {5}}});
}

TEST_CASE("recovery: a log that contains the snapshot's last entry is kept") {
    CHECK_FALSE(is_void(found({}, {}, {})));
    CHECK_FALSE(is_void(found({}, {1, 1, 2}, {})));
    CHECK_FALSE(is_void(found(position(3, 2), {}, position(3, 2))));
    CHECK_FALSE(is_void(found(position(3, 2), {2, 4}, position(3, 2))));
    CHECK_FALSE(is_void(found(position(3, 2), {2, 4}, position(4, 2))));
    CHECK_FALSE(is_void(found(position(3, 2), {2, 4}, position(5, 4))));
}

TEST_CASE("recovery: a log that ends before the snapshot, or has another entry there, is void") {
    CHECK(is_void(found({}, {}, position(7, 3))));
    CHECK(is_void(found({}, {1, 1}, position(3, 1))));
    CHECK(is_void(found(position(3, 2), {2, 4}, position(6, 4))));
    CHECK(is_void(found(position(3, 2), {2, 4}, position(5, 5))));
    CHECK(is_void(found(position(3, 2), {2, 4, 4}, position(4, 3))));
}

TEST_CASE("recovery: released entries that no snapshot covers are damage") {
    CHECK(complaint(found(position(3, 2), {2}, {})) ==
          "the snapshot that covers the released log up to index 3 is missing");
    CHECK(complaint(found(position(3, 2), {2}, position(2, 2))) ==
          "the snapshot that covers the released log up to index 3 is missing");
    CHECK(complaint(found(position(3, 2), {}, position(3, 1))) ==
          "the snapshot and the log disagree on the term of index 3");
}

}  // namespace recovery_test
