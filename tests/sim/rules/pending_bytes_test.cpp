// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rule about what clients count of a node's bounds: what it lets pass, and that it speaks when
// it is broken.
#include "support/core_cluster.hpp"
#include "support/ledger.hpp"

#include <raft/protocol/entry.hpp>
#include <rsm/archive.hpp>
#include <rsm/options.hpp>
#include <rsm/sim/rules/pending_bytes.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace pending_bytes_test {

namespace {

using namespace rsm::sim;

constexpr std::uint64_t life = 1;

std::string broken_rule(const Broken& broken) { return broken ? broken->property : "none"; }

/// Node 1 leads, and may keep so many bytes of operations.
struct Lab {
    explicit Lab(std::size_t bytes) {
        cluster.elect(1);
        cluster.settle();
        REQUIRE(core().role() == raft::Role::leader);
        rsm::Options options;
        options.max_pending_bytes = bytes;
        rule = PendingBytes(3, options);
    }
    const raft::Core& core() { return cluster.core(1); }
    void given(std::size_t place, OperationSize size) {
        rule.given(place, {1}, life, size, core());
    }
    std::string bound() { return broken_rule(rule.bounded({1}, life)); }
    std::string refusal_of(std::size_t place) {
        return broken_rule(rule.refusal_has_cause(place, "an operation", core()));
    }

    raft::test::CoreCluster cluster{3, {}};
    PendingBytes rule{3, {}};
};

}  // namespace

TEST_CASE("Pending bytes: a refusal has a cause where there is no room, and nowhere else") {
    Lab lab(475);
    lab.given(0, {390, 390});
    lab.given(1, {85, 85});
    CHECK(lab.bound() == "none");
    CHECK(lab.refusal_of(1) == "bounds");
    CHECK(lab.rule.answered(1, life));
    lab.given(2, {86, 86});
    CHECK(lab.refusal_of(2) == "none");
    CHECK(lab.bound() == "bounds");
    CHECK(lab.rule.answered(2, life));
    CHECK(lab.rule.answered(0, life));
    lab.given(3, {86, 86});
    CHECK(lab.refusal_of(3) == "bounds");
    // What an earlier life had is gone with it.
    CHECK_FALSE(lab.rule.answered(0, life + 1));
}

TEST_CASE("Pending bytes: what was given before may be larger than it was then, or smaller") {
    Lab lab(475);
    lab.given(0, {385, 409});
    lab.given(1, {85, 85});
    CHECK(lab.refusal_of(1) == "none");
    CHECK(lab.bound() == "none");
    CHECK(lab.rule.answered(1, life));
    lab.given(2, {66, 66});  // there is room whatever the others take
    CHECK(lab.refusal_of(2) == "bounds");
    CHECK(lab.rule.answered(2, life));
    lab.given(3, {91, 97});
    CHECK(lab.bound() == "bounds");
    // Nothing of it stays behind.
    CHECK(lab.rule.answered(3, life));
    CHECK(lab.rule.answered(0, life));
    lab.given(4, {475, 475});
    CHECK(lab.bound() == "none");
    CHECK(lab.refusal_of(4) == "bounds");
}

TEST_CASE("Pending bytes: one that is held up may take in an operation in a higher version") {
    const ledger::Note note{"text", {1, 2, 3}, 0.5};
    rsm::BufferWriter scratch;
    const auto size_in = [&](std::uint32_t version) {
        return size_once_taken(scratch, note, {version, 2}, true).most;
    };
    const std::size_t before = size_in(1);
    const std::size_t after = size_in(2);
    CHECK(before > raft::entry_overhead_bytes);
    REQUIRE(after == before + sizeof(double));
    for (const std::uint32_t version : {1U, 2U}) {
        const OperationSize at_once = size_once_taken(scratch, note, {version, 2}, true);
        CHECK(at_once.least == at_once.most);
    }
    const OperationSize later = size_once_taken(scratch, note, {1, 2}, false);
    CHECK(later.least == before);
    CHECK(later.most == after);
    const OperationSize newest = size_once_taken(scratch, note, {2, 2}, false);
    CHECK(newest.least == after);
    CHECK(newest.most == after);
}

}  // namespace pending_bytes_test
