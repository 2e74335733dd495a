// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Snapshots that somebody asks for.
#include "counters.hpp"
#include "machine_group.hpp"
#include "support/held_snapshots.hpp"

#include <rsm/replicated.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace asked_snapshot_test {

using namespace std::chrono_literals;
using counter_test::add;
using counter_test::Counters;
using counter_test::Error;
using counter_test::other;

namespace {

struct Ended {
    Error error;
    rsm::SavedSnapshot snapshot;
};
using Answers = std::shared_ptr<std::vector<Ended>>;

template <class Cluster>
Answers ask(Cluster& cluster, std::uint64_t id, std::chrono::nanoseconds timeout = 30s) {
    auto answers = std::make_shared<std::vector<Ended>>();
    cluster.node(id).async_snapshot(timeout,
                                    [answers](Error error, const rsm::SavedSnapshot& snapshot) {
                                        answers->push_back({error, snapshot});
                                    });
    CHECK(answers->empty());  // never from inside
    return answers;
}

template <class Cluster>
Ended outcome(Cluster& cluster, const Answers& answers) {
    REQUIRE(cluster.run_until([&] { return !answers->empty(); }));
    return answers->front();
}

struct Sum {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t operation) { return value += operation; }
    void snapshot(rsm::SnapshotWriter& out) const { out << value; }
    void restore(rsm::SnapshotReader& in) { in >> value; }
    std::int64_t value = 0;
};
using Held = machine_group::MachineGroup<Sum, rsm_test::HeldSnapshots>;

}  // namespace

TEST_CASE("any node takes a snapshot when it is asked, and no other node does") {
    Counters cluster(3, {.snapshot_threshold = -1, .raft = {.retained_bytes = 0}});
    for (int i = 0; i < 50; ++i) add(cluster, 1);
    REQUIRE(counter_test::all_hold(cluster, 3, 50));
    const std::uint64_t leader = cluster.leader();
    const std::uint64_t follower = other(leader);
    const rsm::Status before = cluster.node(follower).status();
    const Ended ended = outcome(cluster, ask(cluster, follower));
    CHECK_FALSE(ended.error);
    CHECK(ended.snapshot.index == before.applied);
    CHECK(ended.snapshot.bytes > 0);
    cluster.run_for(1s);
    const rsm::Status after = cluster.node(follower).status();
    CHECK(after.snapshot == ended.snapshot.index);
    CHECK(after.snapshot_bytes == ended.snapshot.bytes);
    CHECK(after.persisted_bytes < before.persisted_bytes / 2);
    CHECK(cluster.node(leader).status().snapshot.value == 0);

    cluster.crash(follower);
    cluster.start(follower);
    CHECK(cluster.node(follower).machine().value() == 50);  // before any message
    CHECK(add(cluster, 1) == 51);
    CHECK(counter_test::all_hold(cluster, 3, 51));
}

TEST_CASE("where nothing was applied since, the newest snapshot is the answer") {
    Counters cluster(1);
    const Ended none = outcome(cluster, ask(cluster, 1));
    CHECK_FALSE(none.error);
    CHECK(none.snapshot == rsm::SavedSnapshot{});
    add(cluster, 1);
    const Ended first = outcome(cluster, ask(cluster, 1));
    const Ended second = outcome(cluster, ask(cluster, 1));
    CHECK_FALSE(second.error);
    CHECK(second.snapshot == first.snapshot);
    CHECK(second.snapshot.index.value > 0);
}

TEST_CASE("one that is under way already is not what was asked for") {
    Held group(1);
    group.submit_and_wait(1);
    auto& cluster = group.cluster;
    cluster.disk(1).hold_snapshots = true;
    const Answers first = ask(cluster, 1);
    cluster.settle();
    const Answers same_moment = ask(cluster, 1);
    REQUIRE(cluster.run_until([&] { return cluster.disk(1).saves.size() == 1; }));
    group.submit_and_wait(2);
    const Answers later = ask(cluster, 1);
    cluster.run_for(1s);
    CHECK(cluster.disk(1).saves.size() == 1);
    CHECK(first->empty());
    cluster.disk(1).save();
    const raft::Index index = outcome(cluster, first).snapshot.index;
    // It was asked for when the first had begun.
    CHECK(same_moment->empty());
    REQUIRE(cluster.run_until([&] { return cluster.disk(1).saves.size() == 1; }));
    cluster.disk(1).save();
    CHECK(outcome(cluster, later).snapshot.index > index);
    CHECK(outcome(cluster, same_moment).snapshot.index > index);
    CHECK(cluster.node(1).status().snapshot == outcome(cluster, later).snapshot.index);
}

TEST_CASE("one that could not be saved is an error, and the next one is taken at once") {
    Held group(1);
    group.submit_and_wait(1);
    auto& cluster = group.cluster;
    cluster.disk(1).hold_snapshots = true;
    const Answers failed = ask(cluster, 1);
    REQUIRE(cluster.run_until([&] { return cluster.disk(1).saves.size() == 1; }));
    cluster.disk(1).take_save().complete([](raft::ByteSink&) { throw std::bad_alloc(); });
    const Ended ended = outcome(cluster, failed);
    CHECK(ended.error.message() ==
          rsm::make_error_code(rsm::StorageErrc::producer_failed).message());
    CHECK(group.snapshot(1) == 0);
    cluster.disk(1).hold_snapshots = false;
    CHECK_FALSE(outcome(cluster, ask(cluster, 1)).error);
    CHECK(group.snapshot(1) > 0);
    group.submit_and_wait(1);
}

TEST_CASE("who asks for a snapshot is answered in the end, and not many wait") {
    Held group(1);
    group.submit_and_wait(1);
    auto& cluster = group.cluster;
    cluster.disk(1).hold_snapshots = true;
    const Answers hurried = ask(cluster, 1, 2s);
    std::vector<Answers> others;
    for (int i = 1; i < 16; ++i) others.push_back(ask(cluster, 1, 0s));
    const Answers too_many = ask(cluster, 1);
    CHECK(outcome(cluster, too_many).error == rsm::Errc::overloaded);
    CHECK(outcome(cluster, hurried).error == rsm::Errc::timed_out);
    cluster.run_for(1h);
    CHECK(others.front()->empty());
    bool stopped = false;
    cluster.node(1).async_stop([&](Error) { stopped = true; });
    REQUIRE(cluster.run_until([&] { return stopped; }));
    for (const Answers& answers : others) {
        CHECK(outcome(cluster, answers).error == rsm::Errc::stopped);
    }
    CHECK(outcome(cluster, ask(cluster, 1)).error == rsm::Errc::stopped);
}

}  // namespace asked_snapshot_test
