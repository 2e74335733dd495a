// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// State machines that keep their state themselves, and how far it has come.
#include "machine_group.hpp"
#include "support/held_snapshots.hpp"

#include <raft/base/random.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/replica_state.hpp>
#include <rsm/replicated.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace persistent_machine_test {

namespace {

using namespace std::chrono_literals;
using machine_group::Error;
using machine_group::MachineGroup;
using machine_group::says;

/// What a database holds: the operations that it was given, and the position of the last.
struct Content {
    std::vector<std::int64_t> operations;
    raft::LogPosition applied;
};

/// A database, as a crash leaves it, and what has been done with it.
struct Database {
    Content durable;
    /// How many operations become durable together.
    std::size_t group = 1;
    int restores = 0;
    int images = 0;
    /// A restore ends in a crash when half of it is done.
    bool crash_in_restore = false;
    /// Positions are not kept with the operations.
    bool forgets_position = false;
};
using DatabasePointer = std::shared_ptr<Database>;

/// Throws at the operation 0, before it changes anything, and at -1, after it has.
class Ledger {
public:
    using Operation = std::int64_t;

    explicit Ledger(DatabasePointer database)
        : database_(std::move(database)), content_(database_->durable) {}

    std::int64_t apply(const Operation& operation, raft::LogPosition position) {
        if (operation == 0) throw std::runtime_error("nothing to add");
        content_.operations.push_back(operation);
        if (!database_->forgets_position) content_.applied = position;
        if (++waiting_ >= database_->group) commit();
        if (operation == -1) throw std::runtime_error("too late");
        return operation;
    }
    raft::LogPosition applied() const { return content_.applied; }

    void snapshot(rsm::SnapshotWriter& out) const { out << content_.operations; }
    void restore(rsm::SnapshotReader& in, raft::LogPosition last) {
        ++database_->restores;
        database_->durable = {};  // says of itself that it has nothing
        if (database_->crash_in_restore) throw std::runtime_error("the power fails");
        in >> content_.operations;
        content_.applied = last;
        commit();
    }

    const std::vector<std::int64_t>& operations() const { return content_.operations; }

protected:
    void commit() {
        waiting_ = 0;
        database_->durable = content_;
    }

    DatabasePointer database_;
    Content content_;
    std::size_t waiting_ = 0;
};
static_assert(rsm::Persistent<Ledger> && !rsm::Freezes<Ledger>);

/// Hands out what is durable.
class FrozenLedger : public Ledger {
public:
    using Ledger::Ledger;
    struct Image {
        Content content;
        raft::LogPosition applied() const { return content.applied; }
        void snapshot(rsm::SnapshotWriter& out) const { out << content.operations; }
    };
    Image freeze() const {
        ++database_->images;
        return {database_->durable};
    }
};
static_assert(rsm::Persistent<FrozenLedger> && rsm::FreezesWithPosition<FrozenLedger>);

using Databases = std::map<std::uint64_t, DatabasePointer>;

/// One for each node.
struct WithDatabases {
    explicit WithDatabases(std::uint64_t size) {
        for (std::uint64_t id = 1; id <= size; ++id) databases[id] = std::make_shared<Database>();
    }
    Databases databases;
};

template <class Machine>
struct Group : WithDatabases, MachineGroup<Machine, rsm_test::HeldSnapshots> {
    explicit Group(std::uint64_t size, rsm::Options options = {})
        : WithDatabases(size),
          MachineGroup<Machine, rsm_test::HeldSnapshots>(
              size, std::move(options),
              [this](std::uint64_t id) { return Machine(databases[id]); }) {}

    /// Appends the next numbers, one after the other.
    void add(int count) {
        for (int i = 0; i < count; ++i) this->submit_and_wait(++last);
    }
    /// Each number once, in order.
    bool is_complete(std::uint64_t id) {
        const std::vector<std::int64_t>& all = this->cluster.node(id).machine().operations();
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (all[i] != static_cast<std::int64_t>(i) + 1) return false;
        }
        return all.size() == static_cast<std::size_t>(last);
    }
    bool completes(std::uint64_t id) {
        return this->cluster.run_until([&] { return is_complete(id); });
    }
    int restores(std::uint64_t id) { return databases[id]->restores; }

    std::int64_t last = 0;
};

}  // namespace

TEST_CASE_TEMPLATE("what is in the database is neither restored nor applied again", Machine, Ledger,
                   FrozenLedger) {
    Group<Machine> group(1, {.snapshot_threshold = 1000});
    group.add(100);
    REQUIRE(group.snapshot(1) > 0);
    for (int i = 0; i < 5; ++i) {
        group.restart(1);
        CHECK(group.is_complete(1));  // before anything else has happened
        CHECK(group.cluster.node(1).status().applied >= raft::Index{100});
        group.add(1);
    }
    CHECK(group.is_complete(1));
    CHECK(group.restores(1) == 0);
}

TEST_CASE_TEMPLATE("what a group commit has lost comes from the log again, once", Machine, Ledger,
                   FrozenLedger) {
    Group<Machine> group(1, {.snapshot_threshold = 1000});
    group.databases[1]->group = 7;
    raft::Random random(1);
    for (int i = 0; i < 20; ++i) {
        group.add(static_cast<int>(random.below(20)));
        group.restart(1);
        CHECK(group.completes(1));
    }
    CHECK(group.snapshot(1) > 0);
    // The log is released up to what is durable, so that nothing need be restored.
    if (rsm::Freezes<Machine>) CHECK(group.restores(1) == 0);
}

TEST_CASE("the log is released no further than the image reaches") {
    Group<FrozenLedger> group(1, {.snapshot_threshold = 0});
    group.databases[1]->group = 50;
    group.add(120);
    const std::uint64_t durable = group.databases[1]->durable.applied.index.value;
    REQUIRE(durable < group.cluster.node(1).machine().applied().index.value);
    REQUIRE(durable > 0);
    CHECK(group.cluster.run_until([&] { return group.snapshot(1) == durable; }));
    CHECK(group.cluster.node(1).core().log().base().index == raft::Index{durable});
    group.cluster.run_for(10s);
    CHECK(group.databases[1]->images < 20);  // although nearly all would have shown the same
}

TEST_CASE("a backup has all that has completed, whether that is durable in the database or not") {
    Group<FrozenLedger> group(1);
    group.databases[1]->group = 4;
    group.add(6);
    std::optional<raft::LogPosition> taken;
    group.cluster.node(1).async_capture(std::chrono::seconds(1),
                                        [&](Error error, const rsm::CapturedState& state) {
                                            CHECK_FALSE(error);
                                            taken = state.last;
                                        });
    REQUIRE(group.cluster.run_until([&] { return taken.has_value(); }));
    CHECK(group.databases[1]->durable.applied.index <
          group.cluster.node(1).machine().applied().index);
    CHECK(*taken == group.cluster.node(1).machine().applied());
}

TEST_CASE("an image that brings nothing new is asked for again after a pause only") {
    Group<FrozenLedger> group(1, {.snapshot_threshold = 0});
    group.databases[1]->group = 1000;
    group.add(200);
    group.cluster.run_for(10s);
    CHECK(group.snapshot(1) == 0);
    CHECK(group.databases[1]->images > 0);
    CHECK(group.databases[1]->images < 20);
}

TEST_CASE("several nodes crash at any time, and each database has each operation once") {
    Group<FrozenLedger> group(3, {.snapshot_threshold = 700});
    for (std::uint64_t id = 1; id <= 3; ++id) group.databases[id]->group = id;
    raft::Random random(7);
    for (int i = 0; i < 60; ++i) {
        group.add(static_cast<int>(random.below(6)));
        const std::uint64_t id = 1 + random.below(3);
        group.cluster.crash(id);
        if (random.below(2) == 0) group.add(static_cast<int>(random.below(40)));
        group.cluster.start(id);
    }
    for (std::uint64_t id = 1; id <= 3; ++id) CHECK(group.completes(id));
    CHECK(group.failures.empty());
}

TEST_CASE("a database that has less than the snapshot is restored from that") {
    Group<Ledger> group(1, {.snapshot_threshold = 1000});
    group.add(100);
    REQUIRE(group.snapshot(1) > 0);
    group.cluster.crash(1);
    *group.databases[1] = {};
    group.cluster.start(1);
    CHECK(group.restores(1) == 1);
    CHECK(group.completes(1));
    // From now on it has what it was restored to.
    group.restart(1);
    CHECK(group.restores(1) == 1);
    CHECK(group.is_complete(1));
}

TEST_CASE("a restore that ends in a crash is done again") {
    Group<Ledger> group(3, {.snapshot_threshold = 500});
    group.add(1);
    const std::uint64_t leader = group.cluster.elect();
    const std::uint64_t behind = leader == 1 ? 2 : 1;
    group.cluster.crash(behind);
    group.add(100);
    group.databases[behind]->crash_in_restore = true;
    group.cluster.start(behind);
    REQUIRE(group.stops(behind));
    CHECK(group.databases[behind]->durable.applied == raft::LogPosition{});
    CHECK(says(group.refusal(behind), "the power fails"));
    group.databases[behind]->crash_in_restore = false;
    group.cluster.start(behind);
    CHECK(group.completes(behind));
    CHECK(group.restores(behind) == 3);
}

TEST_CASE("a database that the log does not reach is refused") {
    Group<Ledger> group(1);
    group.add(10);
    group.cluster.crash(1);
    group.cluster.replace_disk(1);
    const std::string why = group.refusal(1);
    CHECK(says(why, "the state machine has applied up to index 11 of term 1"));
    CHECK(says(why, "the log of this node ends at index 0: it is an older copy, or another"));
    group.cluster.replace_disk(1);
    *group.databases[1] = {};
    group.last = 0;
    group.cluster.start(1);
    group.add(1);
    CHECK(group.completes(1));
}

TEST_CASE("a database of another history is refused") {
    Group<Ledger> group(1, {.snapshot_threshold = -1});
    group.add(3);
    const Content other = group.databases[1]->durable;
    group.cluster.crash(1);
    group.cluster.replace_disk(1);
    *group.databases[1] = {};
    group.cluster.start(1);
    for (int i = 0; i < 6; ++i) {  // a barrier each, of a term of its own
        group.cluster.elect();
        group.cluster.run_for(1s);
        group.restart(1);
    }
    group.cluster.crash(1);
    group.databases[1]->durable = other;
    CHECK(says(group.refusal(1), "there: they are not of one history"));
}

TEST_CASE("where the log has lost entries the database may be ahead of it") {
    const auto database = std::make_shared<Database>();
    database->durable = {{1, 2, 3}, {{30}, {2}}};
    rsm::detail::ReplicaState<Ledger> state(Ledger(database), {});
    raft::Recovered found;
    found.last = {20};
    found.runs = {{{1}, {2}}};
    CHECK_FALSE(state.recovered(found).has_value());
    found.promised = {{40}, {2}};
    const raft::Result<raft::Index> applied = state.recovered(found);
    REQUIRE(applied.has_value());
    // All that the log has may be what the lost entries had replaced.
    CHECK(*applied == raft::Index{0});
    CHECK(state.holds({30}));
    CHECK_FALSE(state.holds({31}));
    found.snapshot.last = {{12}, {1}};
    CHECK(*state.recovered(found) == raft::Index{12});
    // So may an entry of another term, which is a contradiction in a log that is whole.
    found.last = {40};
    found.runs = {{{1}, {1}}, {{13}, {4}}};
    CHECK(*state.recovered(found) == raft::Index{12});
    found.promised = {};
    CHECK(says(state.recovered(found).error().message(), "they are not of one history"));
    // One of the same term is the one that was applied.
    found.promised = {{45}, {5}};
    found.runs = {{{1}, {2}}};
    CHECK(*state.recovered(found) == raft::Index{30});

    // What a leader's snapshot has, it has already.
    rsm::detail::PieceSink sink;
    rsm::detail::write_state(sink, Ledger(std::make_shared<Database>()));
    const std::vector<raft::Bytes> written = sink.take();
    raft::SnapshotMeta meta;
    for (const raft::Bytes& piece : written) meta.size += piece.size();
    for (const std::uint64_t index : {25U, 35U}) {
        rsm::detail::PieceSource source(written);
        meta.last = {{index}, {2}};
        CHECK(state.restore(meta, source, 100).has_value());
        CHECK(database->restores == (index < 30 ? 0 : 1));
    }
    CHECK(state.machine().operations().empty());
    CHECK(state.position().index == raft::Index{35});
}

TEST_CASE("the database gets nothing that is not durable in the log") {
    Group<Ledger> group(3);
    group.add(1);
    const std::uint64_t leader = group.cluster.elect();
    group.cluster.disk(leader).hold();
    const auto waiting = group.submit(++group.last);
    group.cluster.run_for(1s);
    const rsm::Status status = group.cluster.node(leader).status();
    CHECK(status.commit == status.last);
    CHECK(group.cluster.node(leader).machine().operations().size() == 1);
    CHECK(waiting->empty());
    group.cluster.disk(leader).release_all();
    REQUIRE(group.cluster.run_until([&] { return !waiting->empty(); }));
    CHECK_FALSE(waiting->front());
    CHECK(group.is_complete(leader));
}

TEST_CASE("a machine that does not keep the position with its state stops its node") {
    Group<Ledger> group(1);
    group.add(1);
    group.databases[1]->forgets_position = true;
    const auto ended = group.submit(2);
    REQUIRE(group.stops(1));
    group.cluster.run_for(1s);
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0],
               "the state machine says that it is at index 2 of term 1 after "
               "the operation of index 3 of term 1"));
    CHECK(*ended == std::vector<Error>{rsm::Errc::interrupted});
}

TEST_CASE("an operation that throws can be skipped, and stays so") {
    Group<Ledger> group(1, {.snapshot_threshold = 1000, .skip_operations = {{4}}});
    group.add(2);
    const auto poison = group.submit(0);
    REQUIRE(group.cluster.run_until([&] { return !poison->empty(); }));
    CHECK(poison->front() == rsm::Errc::skipped);
    group.add(1);
    CHECK(group.is_complete(1));
    group.restart(1);
    group.add(1);
    CHECK(group.is_complete(1));
    CHECK(group.cluster.node(1).status().skipped_operations == std::vector<raft::Index>{{4}});
}

TEST_CASE("an operation that throws when it is in the database already is not skipped") {
    Group<Ledger> group(1, {.skip_operations = {{3}}});
    group.add(1);
    const auto poison = group.submit(-1);
    REQUIRE(group.stops(1));
    group.cluster.run_for(1s);
    CHECK(*poison == std::vector<Error>{rsm::Errc::interrupted});
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "index 3 (too late)"));
}

TEST_CASE("a database is written in place, and operations wait for that") {
    Group<Ledger> group(1, {.snapshot_threshold = 0, .max_captured_bytes = 0});
    group.add(1);
    REQUIRE(group.cluster.run_until([&] { return group.snapshot(1) == 2; }));
    rsm_test::SnapshotDisk& disk = group.cluster.disk(1);
    disk.hold_snapshots = true;
    group.add(1);
    const auto waiting = group.submit(++group.last);
    group.cluster.run_for(1s);
    CHECK(waiting->empty());
    REQUIRE(disk.saves.size() == 1);
    CHECK(disk.saves.front().last.index == raft::Index{3});
    disk.hold_snapshots = false;
    disk.save();
    CHECK(group.completes(1));
}

}  // namespace persistent_machine_test
