// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <rsm/node/applied_digest.hpp>
#include <rsm/node/comparison.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/state_machine.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace state_comparison_test {

namespace {

using raft::Index;
using raft::MarksKind;
using raft::StateMark;
using rsm::detail::AppliedDigest;
using rsm::detail::Comparison;
using rsm::detail::Finding;
using rsm::detail::StateMemory;

/// From the index on the digests are others.
StateMemory memory(std::uint64_t last, std::uint64_t differs_from = ~0ULL, std::uint64_t by = 1) {
    StateMemory memory;
    for (std::uint64_t i = 1; i <= last; ++i) {
        memory.add({i}, 1000 + i + (i >= differs_from ? by << 32 : 0));
    }
    return memory;
}

const raft::Membership three = raft::Membership::of_voters({{1}, {2}, {3}});

Finding tell(Comparison& comparison, const StateMemory& own, std::uint64_t from,
             const StateMemory& theirs, std::uint64_t term = 5, raft::Time now = {}) {
    return comparison.take({{1}, {term}, three, now}, own, {{from}, MarksKind::all, theirs.all()});
}
std::vector<std::uint64_t> told(const Finding& finding, MarksKind kind) {
    std::vector<std::uint64_t> nodes;
    for (const raft::TellMarks& tell : finding.tell) {
        if (tell.kind == kind) nodes.push_back(tell.to.value);
    }
    return nodes;
}

}  // namespace

TEST_CASE("the latest indexes are remembered, and ever fewer of those before") {
    const StateMemory memory = state_comparison_test::memory(1'000'000);
    CHECK(memory.at({1'000'000}) == 1'001'000);
    CHECK(memory.at({999'937}) == 1'000'937);
    CHECK_FALSE(memory.at({999'935}).has_value());
    CHECK(memory.at({999'936}) == 1'000'936);  // a multiple of 64
    CHECK(memory.at({999'424 - 64 * 50}) == 1'000'424 - 64 * 50);
    CHECK(memory.at({741'376}) == 742'376);  // a multiple of 4096
    CHECK_FALSE(memory.at({737'280}).has_value());
    CHECK_FALSE(memory.at({999'999 + 2}).has_value());
    CHECK_FALSE(memory.at({0}).has_value());

    const std::vector<StateMark> all = memory.all();
    CHECK(all.size() > 180);
    CHECK(all.size() <= raft::max_state_marks);
    CHECK(all.back() == StateMark{{1'000'000}, 1'001'000});
    for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(memory.at(all[i].index) == all[i].digest);
        if (i > 0) CHECK(all[i - 1].index < all[i].index);
    }
    const std::vector<StateMark> newest = memory.newest();
    CHECK(newest == std::vector<StateMark>{{{999'424}, 1'000'424}, {{1'000'000}, 1'001'000}});
}

TEST_CASE("a short memory is told whole") {
    CHECK(StateMemory().all().empty());
    CHECK(StateMemory().newest().empty());
    const std::vector<StateMark> all = memory(3).all();
    CHECK(all == std::vector<StateMark>{{{1}, 1001}, {{2}, 1002}, {{3}, 1003}});
    CHECK(memory(3).newest() == std::vector<StateMark>{{{3}, 1003}});
    CHECK(memory(200).all().size() == 64 + 2);  // 64 and 128 besides the last 64
    StateMemory later;
    for (std::uint64_t i = 5000; i <= 5010; ++i) later.add({i}, i);
    CHECK(later.all().size() == 11);
    later.clear();
    CHECK(later.all().empty());
}

TEST_CASE("replicas of unlike pace have indexes in common") {
    for (const std::uint64_t ahead : {1U, 63U, 64U, 1000U, 4000U, 200'000U}) {
        CAPTURE(ahead);
        const StateMemory slow = memory(700'000);
        const StateMemory fast = memory(700'000 + ahead, 600'000);
        CHECK(rsm::detail::first_difference({2}, fast, slow.newest()).has_value());
    }
}

TEST_CASE("the first difference among those remembered is found, and the last agreement") {
    for (const std::uint64_t from : {1U, 2U, 1000U, 1023U, 1024U, 1025U, 1090U, 1100U}) {
        CAPTURE(from);
        const StateMemory own = memory(1100);
        const auto found = rsm::detail::first_difference({2}, own, memory(1100, from).all());
        REQUIRE(found.has_value());
        CHECK(found->node == raft::NodeId{2});
        CHECK(found->differ.value >= from);
        CHECK(found->equal.value < from);
        CHECK(found->differ.value - found->equal.value <= 64);
        if (from > 1100 - 64) CHECK(found->differ.value == from);
        CHECK(found->own_digest != found->other_digest);
    }
    CHECK_FALSE(rsm::detail::first_difference({2}, memory(1100), memory(900).all()).has_value());
}

TEST_CASE("newest marks that agree are let pass, and those that differ lead to a question") {
    Comparison comparison(std::chrono::seconds(3));
    const StateMemory own = memory(100);
    const auto take = [&](const StateMemory& theirs) {
        return comparison.take({{1}, {5}, three, {}}, own,
                               {{2}, MarksKind::newest, theirs.newest()});
    };
    CHECK(take(memory(100)).tell.empty());
    CHECK(take(memory(70)).tell.empty());
    CHECK(told(take(memory(100, 90)), MarksKind::asked) == std::vector<std::uint64_t>{2});
}

TEST_CASE("whoever is asked tells all") {
    Comparison comparison(std::chrono::seconds(3));
    const StateMemory own = memory(100);
    const Finding finding =
        comparison.take({{2}, {5}, three, {}}, own, {{1}, MarksKind::asked, {}});
    REQUIRE(finding.tell.size() == 1);
    CHECK(finding.tell[0].to == raft::NodeId{1});
    CHECK(finding.tell[0].kind == MarksKind::all);
    CHECK(finding.tell[0].marks == own.all());
}

TEST_CASE("a difference is news once, the others are asked, and the one that is outvoted is told") {
    Comparison comparison(std::chrono::seconds(3));
    const StateMemory own = memory(100);
    const StateMemory odd = memory(100, 90);
    const Finding first = tell(comparison, own, 3, odd);
    REQUIRE(first.news.has_value());
    CHECK(first.news->differ == Index{90});
    CHECK(first.news->equal == Index{89});
    CHECK(told(first, MarksKind::asked) == std::vector<std::uint64_t>{2});
    CHECK(told(first, MarksKind::agreed).empty());
    CHECK(comparison.differences({5}).size() == 1);
    CHECK(comparison.differences({6}).empty());
    const Finding second = tell(comparison, own, 2, memory(98));
    CHECK_FALSE(second.news.has_value());
    CHECK_FALSE(second.outvoted.has_value());
    REQUIRE(told(second, MarksKind::agreed) == std::vector<std::uint64_t>{3});
    CHECK(second.tell.back().marks[0] == StateMark{{89}, 1089});
    CHECK(second.tell.back().marks[1] == StateMark{{90}, 1090});
    const Finding again = tell(comparison, own, 3, odd);
    CHECK_FALSE(again.news.has_value());

    Comparison others(std::chrono::seconds(3));
    const Finding stop =
        others.take({{3}, {5}, three, {}}, odd, {{1}, MarksKind::agreed, second.tell.back().marks});
    REQUIRE(stop.outvoted.has_value());
    CHECK(stop.outvoted->differ == Index{90});
    const Finding live =
        others.take({{2}, {5}, three, {}}, own, {{1}, MarksKind::agreed, second.tell.back().marks});
    CHECK_FALSE(live.outvoted.has_value());
}

TEST_CASE("a leader against whom the others agree is outvoted; against each other they are not") {
    Comparison comparison(std::chrono::seconds(3));
    const StateMemory own = memory(100, 90);
    CHECK_FALSE(tell(comparison, own, 2, memory(100)).outvoted.has_value());
    const Finding finding = tell(comparison, own, 3, memory(97));
    REQUIRE(finding.outvoted.has_value());
    CHECK(finding.outvoted->differ == Index{90});

    Comparison three_states(std::chrono::seconds(3));
    CHECK_FALSE(tell(three_states, own, 2, memory(100)).outvoted.has_value());
    const Finding none = tell(three_states, own, 3, memory(100, 90, 2));
    CHECK_FALSE(none.outvoted.has_value());
    CHECK(told(none, MarksKind::agreed).empty());
    // Where it was the first to differ, the other two were a majority.
    CHECK(told(tell(three_states, own, 3, memory(100, 80, 2)), MarksKind::agreed) ==
          std::vector<std::uint64_t>{3});
}

TEST_CASE("what was told in another term is forgotten, and a state that is equal again forgiven") {
    Comparison comparison(std::chrono::seconds(3));
    const StateMemory own = memory(100);
    CHECK(tell(comparison, own, 3, memory(100, 90)).news.has_value());
    CHECK(tell(comparison, own, 3, memory(100)).tell.empty());
    CHECK(comparison.differences({5}).empty());
    CHECK(tell(comparison, own, 3, memory(100, 90)).news.has_value());
    const Finding later = tell(comparison, own, 2, memory(100), 6);
    CHECK(later.tell.empty());
    CHECK(comparison.differences({6}).empty());
}

TEST_CASE("what a node told long ago decides nothing: it may have been started anew since") {
    const auto outvoted_after = [](std::chrono::milliseconds time) {
        Comparison comparison(std::chrono::seconds(3));
        const StateMemory own = memory(100, 90);
        tell(comparison, own, 2, memory(100));
        return tell(comparison, own, 3, memory(100), 5, raft::Time(time)).outvoted.has_value();
    };
    CHECK(outvoted_after(std::chrono::milliseconds(3000)));
    CHECK_FALSE(outvoted_after(std::chrono::milliseconds(3001)));
}

TEST_CASE("a digest is of operations and results, in their order") {
    const auto digest = [](const std::vector<std::string>& operations, std::uint64_t result) {
        AppliedDigest applied;
        for (const std::string& operation : operations) {
            applied.add(raft::bytes_of(operation));
            applied.add_result(result);
        }
        return applied.value();
    };
    CHECK(digest({"a", "b"}, 1) == digest({"a", "b"}, 1));
    CHECK(digest({"a", "b"}, 1) != digest({"b", "a"}, 1));
    CHECK(digest({"a", "b"}, 1) != digest({"a", "b"}, 2));
    CHECK(digest({"a"}, 1) != digest({"a", "a"}, 1));
}

namespace {

struct Unwritable {
    bool for_want_of_memory;
    template <class Archive>
    void serialize(Archive&, unsigned) {
        if (for_want_of_memory) throw std::bad_alloc();
        throw std::length_error("too long");
    }
};

}  // namespace

TEST_CASE("a result is left out where nobody can write it, and not for want of memory here") {
    AppliedDigest digest;
    const auto before = digest.value();
    digest.add_result(Unwritable{false});
    CHECK(digest.value() == before);
    CHECK_THROWS_AS(digest.add_result(Unwritable{true}), std::bad_alloc);
}

TEST_CASE("a state whose snapshot does not say its digest is not compared") {
    AppliedDigest digest;
    digest.add({});
    digest.passed({1});
    REQUIRE(digest.value().has_value());
    digest.restore({9}, 17);
    CHECK(digest.memory().all() == std::vector<StateMark>{{{9}, 17}});
    CHECK(digest.value() == 17);
    digest.restore({12}, std::nullopt);
    digest.add({});
    digest.passed({13});
    CHECK_FALSE(digest.value().has_value());
    CHECK(digest.memory().all().empty());
}

namespace {

struct Number {
    struct Operation {
        template <class Archive>
        void serialize(Archive&, unsigned) {}
    };
    void apply(const Operation&) {}
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
    std::uint64_t value = 0;
};

std::vector<raft::Bytes> saved(const Number& number, const rsm::detail::SnapshotHead& head) {
    rsm::detail::PieceSink sink;
    rsm::detail::write_state(sink, number, head);
    return sink.take();
}

}  // namespace

TEST_CASE("what stands before a state in a snapshot comes back, in the simplest layout that does") {
    using rsm::detail::SnapshotHead;
    const std::vector<std::pair<SnapshotHead, unsigned>> heads{
        {{{}, {}}, 1},
        {{{{3}, {9}}, {}}, 2},
        {{{}, 0}, 3},
        {{{{3}, {9}}, 0x1122334455667788}, 3},
    };
    for (const auto& [head, layout] : heads) {
        const std::vector<raft::Bytes> pieces = saved({5}, head);
        REQUIRE(pieces.size() == 1);
        CHECK(pieces[0].data()[0] == std::byte(layout));
        rsm::detail::PieceSource source(pieces);
        Number number;
        CHECK(rsm::detail::read_state(source, pieces[0].size(), number) == head);
        CHECK(number.value == 5);
    }
}

}  // namespace state_comparison_test
