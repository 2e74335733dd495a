// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The model checker itself: that it counts right, merges what is the same and nothing else, and
// finds faults by the shortest way.
#include "presets.hpp"
#include "report.hpp"
#include "walks.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace checker_test {

namespace {

using namespace model;

Setup tiny() {
    Setup setup;
    setup.terms = 1;
    setup.heartbeats = 0;
    setup.keep_messages = true;
    return setup;
}

Setup everything() {
    Setup setup = tiny();
    setup.terms = 4;
    setup.operations = 3;
    setup.reads = 2;
    setup.crashes = 3;
    setup.snapshots = 2;
    setup.heartbeats = unbounded;
    setup.disk = DiskMode::split;
    return setup;
}

}  // namespace

TEST_CASE("a single node's states are as many as there are by hand") {
    Setup setup = tiny();
    setup.nodes = 1;
    // At the start; candidate with its vote under way; leader with its barrier under way; leader
    // with the barrier committed.
    CHECK(Checker(setup).run().states == 4);
    // Two more, in which the vote, or the barrier, is durable and the core does not know.
    setup.disk = DiskMode::split;
    CHECK(Checker(setup).run().states == 6);
    // Nothing is under way between steps: at the start, and leader.
    setup.disk = DiskMode::instant;
    CHECK(Checker(setup).run().states == 2);
    // The operation may come while the barrier is under way (then three more: both under way, the
    // operation alone, none) or after (two more; the written commit index tells them apart).
    setup.disk = DiskMode::joined;
    setup.operations = 1;
    const Report report = Checker(setup).run();
    CHECK(report.states == 9);
    CHECK(report.end == End::complete);
}

TEST_CASE("states that differ only in who is who are one, and none is lost by that") {
    for (const std::uint32_t nodes : {2U, 3U}) {
        Setup setup = tiny();
        setup.nodes = nodes;
        setup.terms = nodes == 2 ? 2 : 1;
        setup.operations = 1;
        World world(setup);
        const std::vector<State> states = all_states(world);
        std::set<std::uint64_t> keys;
        for (const State& state : states) keys.insert(world.key(state));
        CHECK(Checker(setup).run().states == keys.size());
        CHECK(keys.size() < states.size());
        setup.symmetry = false;
        CHECK(Checker(setup).run().states == states.size());
    }
}

TEST_CASE("the key of a state does not depend on the names of the nodes") {
    Setup setup = everything();
    for (const bool checks : {false, true}) {
        setup.check_quorum = checks;
        setup.pre_vote = checks;
        World world(setup);
        std::size_t steps = 0;
        for (std::uint64_t seed = 1; seed <= 60; ++seed) {
            const auto& names = world.tables().names();
            steps += walk_twice(world, seed, names[seed % names.size()]);
        }
        CHECK(steps > 2000);
    }
}

TEST_CASE("two orders of independent actions lead to one state") {
    Setup setup = tiny();
    World world(setup);
    std::string violation;
    const auto run = [&](const std::vector<Action>& actions) {
        State state = world.initial();
        for (const Action action : actions) {
            State after;
            REQUIRE(world.follow(state, action, after, violation));
            state = after;
        }
        return state;
    };
    const Action first{Act::time_out, 0, 0};
    const Action second{Act::time_out, 1, 0};
    CHECK(world.key(run({first, second})) == world.key(run({second, first})));
    CHECK(world.key(run({first})) == world.key(run({second})));  // symmetry
    CHECK(world.key(run({first})) != world.key(run({first, second})));
    CHECK(violation == "");
}

TEST_CASE("votes count the same in whatever order they came") {
    Setup setup = tiny();
    setup.nodes = 5;
    setup.disk = DiskMode::instant;
    World world(setup);
    std::string violation;
    const auto elect = [&](std::uint32_t one, std::uint32_t other) {
        State state = world.initial();
        State after;
        REQUIRE(world.follow(state, {Act::time_out, 0, 0}, after, violation));
        for (const std::uint32_t voter : {one, other}) {
            for (const std::uint32_t to : {voter, 0U}) {
                state = after;
                std::uint32_t number = 0;
                for (const std::uint32_t message : state.messages) {
                    const Message& sent = world.tables().message(message);
                    const bool reply = std::holds_alternative<VoteReply>(sent.body);
                    const bool wanted = to == 0 ? reply && sent.from == NodeId{voter + 1}
                                                : sent.to == NodeId{to + 1};
                    if (wanted) number = message;
                }
                REQUIRE(world.follow(state, {Act::deliver, to, number}, after, violation));
            }
        }
        return world.tables().node(after.nodes[0]);
    };
    const NodeState node = elect(1, 2);
    CHECK(node.core.role() == Role::leader);
    CHECK(node == elect(2, 1));
}

TEST_CASE("messages that may always come again lead everywhere that others lead") {
    Setup setup = tiny();
    setup.operations = 1;
    setup.symmetry = false;
    World all(setup);
    const auto reached = nodes_of(all, all_states(all));
    setup.keep_messages = false;
    for (const std::uint32_t duplicates : {0U, 1U}) {
        setup.duplicates = duplicates;
        World some(setup);
        const auto within = nodes_of(some, all_states(some));
        CHECK(within.size() > 20);
        CHECK(std::ranges::includes(reached, within));
    }
}

TEST_CASE("different states of a node have different digests, equal ones equal") {
    World world(everything());
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        walk_twice(world, seed, world.tables().names()[seed % 6]);
    }
    const Tables& tables = world.tables();
    std::set<std::uint64_t> digests;
    for (std::uint32_t i = 0; i < tables.node_count(); ++i) {
        const NodeState copy = tables.node(i);
        CHECK(raft::digest(copy.core) == std::hash<Core>{}(tables.node(i).core));
        digests.insert(digest_of(copy, SameNames{}));
    }
    CHECK(tables.node_count() > 1000);
    CHECK(digests.size() == tables.node_count());
}

TEST_CASE("a disk that forgets a vote is found out by the shortest history") {
    Setup setup = tiny();
    setup.crashes = 1;
    CHECK(Checker(setup).run().end == End::complete);
    setup.sabotage = Sabotage::forget_vote;
    Checker checker(setup);
    const Report report = checker.run();
    REQUIRE(report.end == End::violation);
    CHECK(report.property == "a leader lacks a majority of the members' votes");
    // A candidature and its vote; the other's vote, which is lost in a crash; an election.
    CHECK(report.trace.size() == 6);
    std::ostringstream text;
    const State last = describe(checker.world(), report.trace, text);
    std::uint32_t leaders = 0;
    for (std::uint32_t i = 0; i < setup.nodes; ++i) {
        leaders += checker.world().tables().row(last.nodes[i]).leads ? 1U : 0U;
    }
    CHECK(leaders == 1);
    CHECK(text.str().find("crashes and restarts -> follower, term 1, vote 0") != std::string::npos);
    CHECK(std::ranges::count(text.str(), '\n') == 6);
}

TEST_CASE("a disk that forgets its last write is found out") {
    Setup setup = tiny();
    setup.crashes = 1;
    setup.sabotage = Sabotage::forget_write;
    const Report vote = Checker(setup).run();
    CHECK(vote.end == End::violation);
    CHECK(vote.property == "a leader lacks a majority of the members' votes");
    CHECK(vote.trace.size() == 6);
    // An operation at the leader and at a follower, which acknowledges it and forgets it.
    setup.start = Start::led;
    setup.operations = 1;
    const Report entry = Checker(setup).run();
    CHECK(entry.end == End::violation);
    CHECK(entry.property == "an entry is called committed that lacks a majority of the members");
    CHECK(entry.trace.size() == 6);
}

TEST_CASE("the bounds on states, depth and memory stop an exploration, always at the same place") {
    Setup setup = tiny();
    setup.terms = 2;
    setup.operations = 1;
    setup.states = 20000;
    const Report first = Checker(setup).run();
    const Report second = Checker(setup).run();
    CHECK(first.end == End::states);
    CHECK(first.states >= 20000);
    CHECK(first.states < 20100);
    CHECK(std::tie(first.states, first.steps, first.depth, first.frontier) ==
          std::tie(second.states, second.steps, second.depth, second.frontier));
    setup.states = 0;
    setup.depth = 5;
    const Report shallow = Checker(setup).run();
    CHECK(shallow.end == End::depth);
    CHECK(shallow.depth == 5);
    setup.depth = 0;
    setup.memory_bytes = 16U << 20;
    const Report small = Checker(setup).run();
    CHECK(small.end == End::memory);
    CHECK(small.bytes <= setup.memory_bytes);
    CHECK(small.depth > 5);
}

TEST_CASE("the presets are within the bounds of the model and have names of their own") {
    std::set<std::string> names;
    for (const Preset& preset : presets()) {
        CHECK(preset.setup.refusal() == "");
        CHECK(preset.setup.states > 0);
        CHECK(names.insert(preset.name).second);
    }
    CHECK(names.size() > 5);
}

TEST_CASE("the presets come by the corners that they are meant for") {
    const auto corners_of = [](const std::string& name) { return corners_within(name, 200000); };
    CHECK(contains(corners_of("elections"), EventKind::became_leader, EventKind::became_follower,
                   EventKind::leader_known, Corner::restarted_with_lost_write));
    CHECK(contains(corners_of("replication"), EventKind::log_truncated, Corner::entry_applied));
    CHECK(contains(corners_of("split-disk"), Corner::restarted_with_lost_write,
                   Corner::entry_applied));
    CHECK(contains(corners_of("snapshots"), EventKind::snapshot_installed, Corner::state_restored,
                   Corner::restarted_from_snapshot));
    CHECK(contains(corners_of("reads"), Corner::read_released, Corner::read_refused));
    CHECK(contains(corners_of("pre-vote"), EventKind::became_pre_candidate, EventKind::quorum_lost,
                   EventKind::became_leader));
    CHECK(contains(corners_of("figure-8"), EventKind::log_truncated));
    CHECK(contains(corners_of("single"), Corner::restarted_from_snapshot, Corner::read_released,
                   Corner::restarted_with_lost_write));
}

TEST_CASE("histories of entries agree where one begins with the other") {
    History left;
    left.push_back(0x11);
    left.push_back(0x2f);
    History right = left;
    CHECK(agree(left, right));
    right.push_back(0x21);
    CHECK(agree(left, right));
    CHECK(right.size() == 3);
    left.push_back(0x31);
    CHECK_FALSE(agree(left, right));
    CHECK(agree(History{}, right));
    for (std::uint8_t i = 3; i < 8; ++i) right.push_back(0x22);
    CHECK(right.size() == 8);
    CHECK(agree(right, right));
}

TEST_CASE("sets, maps and queues of numbers keep what is put into them while they grow") {
    KeySet set;
    KeyMap map;
    RecordQueue queue;
    std::vector<std::uint32_t> record;
    constexpr std::uint32_t many = 200000;
    Digest digest;
    std::vector<std::uint64_t> keys;
    for (std::uint32_t i = 0; i < many; ++i) {
        digest.add(i);
        keys.push_back(digest.value());
        CHECK(set.insert(keys.back()));
        map[keys.back()] = i;
        queue.push(std::vector<std::uint32_t>(1 + i % 9, i));
    }
    CHECK(set.size() == many);
    CHECK(map[0] == KeyMap::none);
    bool kept = true;
    for (std::uint32_t i = 0; i < many; ++i) {
        queue.pop(record);
        kept = kept && !set.insert(keys[i]) && map[keys[i]] == i &&
               record == std::vector<std::uint32_t>(1 + i % 9, i);
    }
    CHECK(kept);
    CHECK(set.insert(0));
    CHECK_FALSE(set.insert(0));
}

}  // namespace checker_test
