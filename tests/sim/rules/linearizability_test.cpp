// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether an order of application fits what clients saw.
#include <rsm/sim/rules/linearizability.hpp>
#include <rsm/sim/workload.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace linearizability_test {

namespace {

using namespace rsm::sim;
using Record = BasicClientRecord<int, int, int, int>;

/// A history whose records are called one after the other, and end when they are told to.
struct History {
    std::size_t call(Record::Kind kind) {
        Record record;
        record.id = records.size() + 1;
        record.kind = kind;
        record.called = ++events;
        records.push_back(record);
        return records.size() - 1;
    }
    void end(std::size_t place, Record::End how, std::uint64_t number = 0) {
        records[place].end = how;
        records[place].returned = ++events;
        records[place].number = number;
    }
    std::size_t whole(Record::Kind kind, Record::End how, std::uint64_t number = 0) {
        const std::size_t place = call(kind);
        end(place, how, number);
        return place;
    }
    /// What is wrong, if the operations of these ids were applied in this order.
    std::string wrong(const std::vector<std::uint64_t>& order) const {
        std::vector<AppliedSequence::Applied> applied;
        for (const std::uint64_t id : order) applied.push_back({id, 0, 0});
        const Broken broken = linearizability(records, applied);
        if (broken) CHECK(broken->property == "linearizability");
        return broken ? broken->where : "";
    }

    std::vector<Record> records;
    std::uint64_t events = 0;
};

constexpr auto a_submit = Record::Kind::submit;
constexpr auto a_read = Record::Kind::read;
constexpr auto committed = Record::End::committed;
constexpr auto not_committed = Record::End::not_committed;
constexpr auto unknown = Record::End::unknown;

}  // namespace

TEST_CASE("Operations that overlap may be applied in any order, and unknown ones or not") {
    History history;
    const auto first = history.call(a_submit);
    const auto second = history.call(a_submit);
    history.end(second, committed, 1);
    history.end(first, committed, 2);
    history.whole(a_read, committed, 2);
    history.whole(a_submit, unknown);
    CHECK(history.wrong({2, 1}).empty());
    CHECK(history.wrong({2, 1, 4}).empty());
    CHECK(history.wrong({1, 2}) ==
          "operation 1 was acknowledged with the result of another operation");
}

TEST_CASE("What was acknowledged is applied, what was refused is not, nothing twice") {
    History history;
    history.whole(a_submit, committed, 1);
    history.whole(a_submit, not_committed);
    CHECK(history.wrong({1}).empty());
    CHECK(history.wrong({}) == "operation 1 was acknowledged and never applied");
    CHECK(history.wrong({1, 2}) == "operation 2 was reported as not committed, and was applied");
    CHECK(history.wrong({1, 1}) == "operation 1 was applied twice");
    CHECK(history.wrong({1, 3}) == "an operation was applied that nobody submitted");
}

TEST_CASE("Neither a read nor an operation takes effect before what had returned before its call") {
    History history;
    history.whole(a_submit, committed, 1);
    history.whole(a_read, committed, 0);
    CHECK(history.wrong({1}) ==
          "read 2 took effect before operation 1, which had returned before it was called");
    History later;
    later.whole(a_submit, committed, 2);
    later.whole(a_submit, unknown);
    CHECK(later.wrong({2, 1}) ==
          "operation 2 took effect before operation 1, which had returned before it was called");
}

}  // namespace linearizability_test
