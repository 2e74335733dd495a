// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Replicas whose state machines come to differ find it out, and those whom a majority outvotes
// stop.
#include "support/virtual_cluster.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace divergence_test {

namespace {

using Error = boost::system::error_code;
using std::chrono::seconds;

struct Tally {
    struct Operation {
        std::int64_t add = 0;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& add;
        }
    };
    std::int64_t apply(const Operation& operation) { return value += operation.add; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
    std::int64_t value = 0;
};
// Its results say nothing of its state.
struct Silent : Tally {
    void apply(const Operation& operation) { Tally::apply(operation); }
};
// Nor do those that have an order only by chance.
struct Unordered : Tally {
    std::unordered_set<std::int64_t> apply(const Operation& operation) {
        return {Tally::apply(operation)};
    }
};
struct Unwilling : Tally {
    static constexpr bool compares_results = false;
};

template <class Machine = Tally>
struct Group {
    rsm_test::VirtualCluster<Machine> cluster;
    std::vector<raft::Event> events;
    std::vector<std::string> notices;
    std::vector<std::string> failures;

    explicit Group(std::uint64_t size, rsm::Options options = {}) : cluster(size, with(options)) {}

    rsm::Options with(rsm::Options options) {
        options.on_event = [this](const raft::Event& event) {
            const bool about = event.kind == raft::EventKind::states_differ ||
                               event.kind == raft::EventKind::outvoted;
            if (about) events.push_back(event);
        };
        options.on_notice = [this](const std::string& text) { notices.push_back(text); };
        options.on_failure = [this](const raft::Failure& why) { failures.push_back(why.what); };
        return options;
    }

    /// The leader, which has committed one more operation.
    std::uint64_t add(std::int64_t amount = 1) {
        for (int tries = 0; tries < 20; ++tries) {
            const std::uint64_t leader = cluster.elect();
            REQUIRE(leader != 0);
            std::optional<Error> ended;
            if constexpr (std::is_void_v<rsm::ResultOf<Machine>>) {
                cluster.node(leader).async_submit({amount}, [&](Error error) { ended = error; });
            } else {
                cluster.node(leader).async_submit({amount},
                                                  [&](Error error, auto&&) { ended = error; });
            }
            REQUIRE(cluster.run_until([&] { return ended.has_value(); }));
            if (!*ended) return leader;
            cluster.run_for(std::chrono::milliseconds(100));
        }
        FAIL("nothing is committed");
        return 0;
    }
    /// A bit of the node's memory is another one now.
    void flip(std::uint64_t id, std::int64_t bit = 1) {
        const_cast<Machine&>(cluster.node(id).machine()).value ^= bit;
    }
    bool stopped(std::uint64_t id) { return cluster.node(id).status().stopped; }
    bool stops(std::uint64_t id) {
        return cluster.run_until([&] { return stopped(id); }, seconds(3));
    }
    std::uint64_t follower(std::uint64_t leader) const { return leader == 1 ? 2 : 1; }
    int seen(raft::EventKind kind) const {
        int count = 0;
        for (const raft::Event& event : events) count += event.kind == kind ? 1 : 0;
        return count;
    }
};

bool says(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a follower whose state differs from the majority's stops, and says from where on") {
    Group group(3);
    for (int i = 0; i < 5; ++i) group.add();
    const std::uint64_t leader = group.cluster.elect();
    const std::uint64_t odd = group.follower(leader);
    group.cluster.run_for(seconds(2));
    CHECK(group.events.empty());
    group.flip(odd);
    CHECK(group.add() == leader);
    const raft::Index first = group.cluster.node(leader).status().last;
    group.add();
    REQUIRE(group.stops(odd));

    REQUIRE(group.failures.size() == 1);
    const std::string from = "from index " + std::to_string(first.value) + " on (digest ";
    CHECK(says(group.failures[0], from.c_str()));
    CHECK(says(group.failures[0], "remove its directory and let it join again"));
    CHECK(
        says(group.failures[0], ("equal up to index " + std::to_string(first.value - 1)).c_str()));
    REQUIRE(group.events.size() == 2);
    const raft::Event& told = group.events[0];
    CHECK(told.kind == raft::EventKind::states_differ);
    CHECK(told.node == raft::NodeId{odd});
    CHECK(told.index == first);
    CHECK(told.own_digest != told.other_digest);
    const raft::Event& stop = group.events[1];
    CHECK(stop.kind == raft::EventKind::outvoted);
    CHECK(stop.node == raft::NodeId{leader});
    CHECK(stop.index == first);
    CHECK(stop.own_digest == told.other_digest);
    CHECK(stop.other_digest == told.own_digest);
    REQUIRE(group.notices.size() == 1);
    CHECK(says(group.notices[0], from.c_str()));
    const rsm::Status status = group.cluster.node(leader).status();
    REQUIRE(status.states_that_differ.size() == 1);
    CHECK(status.states_that_differ[0].node == raft::NodeId{odd});
    CHECK(status.states_that_differ[0].differ == first);
    CHECK(status.states_that_differ[0].equal == first - 1);

    CHECK(group.add() == leader);  // the others go on
    group.cluster.run_for(seconds(3));
    CHECK(group.failures.size() == 1);
    CHECK(group.events.size() == 2);
}

TEST_CASE("a leader whose state differs from the majority's stops, and another one leads") {
    Group group(3);
    for (int i = 0; i < 5; ++i) group.add();
    const std::uint64_t odd = group.cluster.elect();
    group.flip(odd);
    group.add();
    REQUIRE(group.stops(odd));
    REQUIRE(group.failures.size() == 1);
    CHECK(says(group.failures[0], "than a majority of the voters"));
    CHECK(group.seen(raft::EventKind::outvoted) == 1);
    CHECK(group.add() != odd);
    group.cluster.run_for(seconds(3));
    CHECK(group.failures.size() == 1);
}

TEST_CASE("two of five that differ in the same way are outvoted") {
    Group group(5);
    group.add();
    const std::uint64_t leader = group.cluster.elect();
    const std::uint64_t one = leader % 5 + 1;
    const std::uint64_t other = one % 5 + 1;
    group.flip(one);
    group.flip(other);
    group.add();
    CHECK(group.stops(one));
    CHECK(group.stops(other));
    group.cluster.run_for(seconds(3));
    CHECK(group.failures.size() == 2);
    CHECK(group.add() == leader);
}

TEST_CASE("where no majority can be told, nobody stops, and it is said once") {
    const auto nobody_stops = [](auto& group, std::uint64_t size) {
        group.add();
        group.cluster.run_for(seconds(5));
        for (std::uint64_t id = 1; id <= size; ++id) CHECK_FALSE(group.stopped(id));
        CHECK(group.seen(raft::EventKind::outvoted) == 0);
        return group.cluster.node(group.cluster.elect()).status().states_that_differ.size();
    };
    SUBCASE("two nodes") {
        Group group(2);
        const std::uint64_t leader = group.add();
        group.flip(group.follower(leader));
        CHECK(nobody_stops(group, 2) == 1);
        CHECK(group.seen(raft::EventKind::states_differ) == 1);
        CHECK(group.notices.size() == 1);
    }
    SUBCASE("three nodes with three states") {
        Group group(3);
        const std::uint64_t leader = group.add();
        group.flip(group.follower(leader), 1);
        group.flip(6 - leader - group.follower(leader), 2);
        CHECK(nobody_stops(group, 3) == 2);
        CHECK(group.seen(raft::EventKind::states_differ) == 2);
    }
}

TEST_CASE("a digest outlives restarts and snapshots, right or wrong") {
    rsm::Options options;
    options.snapshot_threshold = 0;
    options.raft.retained_bytes = 0;
    Group group(3, options);
    const auto restart = [&](std::uint64_t id) {
        group.cluster.crash(id);
        group.cluster.start(id);
    };
    for (int i = 0; i < 30; ++i) group.add();
    for (std::uint64_t id = 1; id <= 3; ++id) {
        restart(id);
        group.add();
    }
    group.cluster.run_for(seconds(3));
    CHECK(group.events.empty());

    const std::uint64_t leader = group.add();
    const std::uint64_t odd = group.follower(leader);
    group.flip(odd);
    group.add();
    REQUIRE(group.stops(odd));
    REQUIRE(group.cluster.node(odd).status().snapshot.value > 30);
    restart(odd);
    CHECK(group.stops(odd));  // its snapshot is of the wrong state
    CHECK(group.failures.size() == 2);
    CHECK(group.add() == leader);
}

TEST_CASE("a node that has missed everything gets digest and state from a leader's snapshot") {
    rsm::Options options;
    options.snapshot_threshold = 300;
    options.raft.retained_bytes = 0;
    options.raft.max_hold_bytes = 0;
    Group group(3, options);
    const std::uint64_t leader = group.add();
    const std::uint64_t away = group.follower(leader);
    group.cluster.crash(away);
    for (int i = 0; i < 60; ++i) group.add();
    group.cluster.start(away);
    REQUIRE(
        group.cluster.run_until([&] { return group.cluster.node(away).machine().value == 61; }));
    group.cluster.run_for(seconds(3));
    CHECK(group.events.empty());
    group.flip(away);
    group.add();
    CHECK(group.stops(away));
}

TEST_CASE("learners stop as well, and count for nothing") {
    Group group(2);
    const std::uint64_t leader = group.add();
    group.cluster.options().birth = rsm::join({rsm::voter(1), rsm::voter(2)});
    group.cluster.add(3);
    std::optional<Error> changed;
    group.cluster.node(leader).async_change_members({rsm::voter(1), rsm::voter(2), rsm::learner(3)},
                                                    {}, [&](Error error) { changed = error; });
    REQUIRE(group.cluster.run_until([&] { return changed.has_value(); }));
    REQUIRE_FALSE(*changed);
    group.add();
    group.cluster.run_for(seconds(1));  // all have applied it
    SUBCASE("a learner alone") {
        group.flip(3);
        group.add();
        CHECK(group.stops(3));
    }
    SUBCASE("a learner and a voter against a voter") {
        group.flip(3);
        group.flip(group.follower(leader));
        group.add();
        group.cluster.run_for(seconds(3));
        for (std::uint64_t id = 1; id <= 3; ++id) CHECK_FALSE(group.stopped(id));
        CHECK(group.seen(raft::EventKind::states_differ) == 2);
    }
}

TEST_CASE_TEMPLATE("what results do not say, or not in one way only, is not compared", Machine,
                   Silent, Unordered, Unwilling) {
    Group<Machine> group(3);
    const std::uint64_t leader = group.add();
    group.flip(group.follower(leader));
    group.add();
    group.cluster.run_for(seconds(3));
    CHECK(group.events.empty());
    CHECK(group.failures.empty());
}

}  // namespace divergence_test
