// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// State machines that throw where they are saved and restored: what ends the node, what costs a
// snapshot only, and what those learn who wait.
#include "machine_group.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace throwing_machine_test {

namespace {

using namespace std::chrono_literals;
using machine_group::Error;
using machine_group::MachineGroup;
using machine_group::says;

enum class Trouble { none, thrown, unknown, no_memory };
/// What the machines' functions throw from now on.
struct Troubles {
    Trouble snapshot = Trouble::none;
    Trouble freeze = Trouble::none;
    Trouble restore = Trouble::none;
} troubles;

void may_throw(Trouble trouble) {
    if (trouble == Trouble::thrown) throw std::runtime_error("cannot do that");
    if (trouble == Trouble::unknown) throw 7;
    if (trouble == Trouble::no_memory) throw std::bad_alloc();
}

/// Throws at the operation 0, when half of the work is done.
struct Sum {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t add) {
        value += add == 0 ? 1000 : add;
        if (add == 0) throw std::runtime_error("nothing to add");
        return value;
    }
    void snapshot(rsm::SnapshotWriter& out) const {
        may_throw(troubles.snapshot);
        out << value;
    }
    void restore(rsm::SnapshotReader& in) {
        may_throw(troubles.restore);
        in >> value;
    }
    std::int64_t value = 0;
};
struct FrozenSum : Sum {
    Sum freeze() const {
        may_throw(troubles.freeze);
        return *this;
    }
};
static_assert(rsm::Freezes<FrozenSum>);

template <class Machine = Sum>
struct Group : MachineGroup<Machine> {
    using MachineGroup<Machine>::MachineGroup;
    ~Group() { troubles = {}; }

    /// Adds 1, so many times, one after the other.
    void add(int times) {
        for (int i = 0; i < times; ++i) this->submit_and_wait(1);
    }
    bool comes_to(std::uint64_t id, std::int64_t value) {
        return this->cluster.run_until(
            [&] { return this->cluster.node(id).machine().value == value; });
    }
};

}  // namespace

TEST_CASE("an operation that throws ends the ones around it, each once") {
    Group<> group(1);
    group.add(1);
    const auto before = group.submit(1);
    const auto poison = group.submit(0);
    const auto after = group.submit(1);
    REQUIRE(group.stops(1));
    group.cluster.run_for(60s);
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "index 4 (nothing to add)"));
    CHECK(*before == std::vector<Error>{{}});
    CHECK(*poison == std::vector<Error>{rsm::Errc::interrupted});
    CHECK(*after == std::vector<Error>{rsm::Errc::interrupted});
}

TEST_CASE("a machine that throws ends what waits for other nodes, too, each thing once") {
    Group<> group(3, {.snapshot_threshold = 1000});
    group.add(1);
    const std::uint64_t leader = group.cluster.elect();
    group.cluster.network().isolate(raft::NodeId{leader});
    std::vector<Error> read;
    group.cluster.node(leader).async_read(
        [](const Sum& sum) { return sum.value; },
        [&read](Error error, std::int64_t) { read.push_back(error); });
    troubles.snapshot = Trouble::thrown;
    std::vector<std::shared_ptr<std::vector<Error>>> operations;
    for (int i = 0; i < 100; ++i) operations.push_back(group.submit(1));
    group.cluster.settle();
    REQUIRE(group.cluster.node(leader).status().stopped);
    CHECK(read == std::vector<Error>{rsm::Errc::stopped});
    for (const auto& ended : operations) {
        CHECK(*ended == std::vector<Error>{rsm::Errc::interrupted});
    }
    CHECK(group.failures.size() == 1);
}

TEST_CASE("a node that an operation has stopped begins anew from the state before it") {
    Group<> group(1, {.snapshot_threshold = 0});
    group.add(2);
    const auto poison = group.submit(0);
    REQUIRE(group.stops(1));
    group.cluster.run_for(60s);
    group.cluster.options().skip_operations = {{4}};
    group.restart(1);
    group.add(1);
    CHECK(group.comes_to(1, 3));
}

TEST_CASE_TEMPLATE("a machine that throws as its state is saved stops its node, with a sentence",
                   Machine, Sum, FrozenSum) {
    Group<Machine> group(1, {.snapshot_threshold = 1000});
    (rsm::Freezes<Machine> ? troubles.freeze : troubles.snapshot) = Trouble::thrown;
    SUBCASE("a std::exception") {}
    SUBCASE("anything else") {
        (rsm::Freezes<Machine> ? troubles.freeze : troubles.snapshot) = Trouble::unknown;
    }
    std::vector<std::shared_ptr<std::vector<Error>>> operations;
    for (int i = 0; i < 100; ++i) operations.push_back(group.submit(1));
    REQUIRE(group.stops(1));
    group.cluster.run_for(1s);
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "the state machine threw when a snapshot of index "));
    CHECK((says(group.failures[0], "(cannot do that)") || says(group.failures[0], "unknown type")));
    for (const auto& ended : operations) CHECK(ended->size() == 1);
    troubles = {};
    group.restart(1);
    CHECK(group.comes_to(1, 100));  // nothing of the log is gone
    CHECK(group.cluster.run_until([&] { return group.snapshot(1) > 0; }));
}

TEST_CASE_TEMPLATE("where memory runs out as a state is saved, another snapshot is taken later",
                   Machine, Sum, FrozenSum) {
    Group<Machine> group(1, {.snapshot_threshold = 1000});
    (rsm::Freezes<Machine> ? troubles.freeze : troubles.snapshot) = Trouble::no_memory;
    group.add(100);
    REQUIRE(group.notices.size() == 1);
    CHECK(says(group.notices[0], "a snapshot could not be saved and is tried again later"));
    CHECK(group.snapshot(1) == 0);
    troubles = {};
    CHECK(group.cluster.run_until([&] { return group.snapshot(1) > 0; }));
    CHECK(group.failures.empty());
    group.restart(1);
    CHECK(group.comes_to(1, 100));
}

TEST_CASE("an image that throws as it is written costs a snapshot, not the node") {
    Group<FrozenSum> group(1, {.snapshot_threshold = 1000});
    SUBCASE("a std::exception") { troubles.snapshot = Trouble::thrown; }
    SUBCASE("anything else") { troubles.snapshot = Trouble::unknown; }
    group.add(100);
    REQUIRE(group.notices.size() == 1);
    CHECK(says(group.notices[0], "a snapshot could not be saved and is tried again later"));
    CHECK(group.snapshot(1) == 0);
    troubles = {};
    CHECK(group.cluster.run_until([&] { return group.snapshot(1) > 0; }));
    CHECK(group.failures.empty());
    group.restart(1);
    CHECK(group.comes_to(1, 100));
}

TEST_CASE("a start whose snapshot the machine does not take is refused, and loses nothing") {
    Group<> group(1, {.snapshot_threshold = 1000});
    group.add(100);
    REQUIRE(group.snapshot(1) > 0);
    troubles.restore = Trouble::thrown;
    CHECK(says(group.refusal(1), "cannot be restored into the state machine (cannot do that)"));
    troubles.restore = Trouble::unknown;
    CHECK(says(group.refusal(1), "(an exception of an unknown type)"));
    troubles = {};
    group.cluster.start(1);
    CHECK(group.comes_to(1, 100));
}

TEST_CASE("a node whose machine does not take a leader's snapshot stops; the others go on") {
    Group<> group(3, {.snapshot_threshold = 300});
    group.add(1);
    group.cluster.crash(3);
    group.add(50);
    troubles.restore = Trouble::thrown;
    group.cluster.start(3);
    REQUIRE(group.stops(3));
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "cannot be restored into the state machine (cannot do that)"));
    group.add(1);
    troubles = {};
    group.restart(3);
    CHECK(group.comes_to(3, 52));
}

TEST_CASE("whoever submits an operation that cannot be skipped hears that nothing is known") {
    Group<> group(1, {.skip_operations = {{3}}});
    group.add(1);
    SUBCASE("because the state before it cannot be saved") { troubles.snapshot = Trouble::thrown; }
    SUBCASE("because the state before it cannot be put back") {
        troubles.restore = Trouble::thrown;
    }
    const auto ended = group.submit(0);
    REQUIRE(group.stops(1));
    group.cluster.run_for(1s);
    CHECK(*ended == std::vector<Error>{rsm::Errc::interrupted});
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "index 3 (cannot do that)"));
    troubles = {};
    group.restart(1);
    group.add(1);
    CHECK(group.comes_to(1, 2));
}

TEST_CASE("whoever submits an operation that must not be skipped hears of it once") {
    Group<> group(1, {.skip_operations = {{3}}});
    group.add(1);
    const auto ended = group.submit(1);
    REQUIRE(group.stops(1));
    group.cluster.run_for(1s);
    CHECK(*ended == std::vector<Error>{{}});  // it is committed, and was applied here
    CHECK(group.failures.size() == 1);
}

}  // namespace throwing_machine_test
