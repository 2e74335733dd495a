// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The model checker where members change: that what it leaves out makes no difference, that it
// comes to what is worth exploring, and that it finds the faults that changes are prone to.
#include "presets.hpp"
#include "report.hpp"
#include "walks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace changes_test {

namespace {

using namespace model;

Setup changing(std::uint32_t founders, std::vector<std::uint32_t> target, Start start) {
    Setup setup;
    setup.nodes = std::max(founders, target.back());
    setup.founders = founders;
    setup.target = std::move(target);
    setup.changes = 1;
    setup.heartbeats = 0;
    setup.disk = DiskMode::instant;
    setup.newest_only = true;
    setup.lose_stale = true;
    setup.start = start;
    return setup;
}

const Core& core(World& world, const State& state, std::uint64_t id) {
    return world.tables().node(state.nodes[id - 1]).core;
}

State after(World& world, const State& before, Action action) {
    State state;
    std::string violation;
    REQUIRE(world.follow(before, action, state, violation));
    REQUIRE(violation == "");
    return state;
}

bool may(World& world, const State& state, Act act) {
    bool found = false;
    world.for_each_action(state, [&](Action action) { found = found || action.act == act; });
    return found;
}

Membership of(std::vector<Member> members) {
    Membership membership{std::move(members)};
    REQUIRE(membership.valid());
    return membership;
}

}  // namespace

TEST_CASE("an exploration may begin where a leader is, and where newcomers are learners") {
    World led(changing(3, {4, 5, 6}, Start::led));
    const State first = led.initial();
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(core(led, first, id).term() == Term{1});
        CHECK(core(led, first, id).log().commit() == Index{1});
    }
    CHECK(core(led, first, 1).role() == Role::leader);
    CHECK(core(led, first, 4).log().last_index() == Index{});
    CHECK(first.messages.empty());
    CHECK(first.spent == 0);
    CHECK(led.corners() == 0);

    World introduced(changing(3, {4, 5, 6}, Start::introduced));
    const State second = introduced.initial();
    for (std::uint64_t id = 1; id <= 6; ++id) {
        const Membership& members = core(introduced, second, id).membership();
        CHECK(test::text_of(members) == "{1 2 3 4(learner) 5(learner) 6(learner)}");
        CHECK(core(introduced, second, id).log().commit() == Index{2});
    }
    CHECK(second.used(Resource::changes) == 1);
}

TEST_CASE("newcomers are taken in when the leader is in touch with them, and no sooner") {
    World world(changing(3, {4, 5, 6}, Start::introduced));
    State state = world.initial();
    CHECK(world.tables().node(state.nodes[0]).out_of_touch);
    CHECK_FALSE(may(world, state, Act::lose_touch));
    const State waits = after(world, state, {Act::heartbeat, 0, 0});
    CHECK_FALSE(core(world, waits, 1).membership().joint());
    state = after(world, state, {Act::gain_touch, 0, 0});
    CHECK(core(world, state, 1).membership().joint());
    // Then it is the members' to decide, and touch means nothing.
    CHECK_FALSE(world.tables().node(state.nodes[0]).out_of_touch);
    CHECK_FALSE(may(world, state, Act::lose_touch));
    CHECK_FALSE(may(world, state, Act::gain_touch));
    CHECK_FALSE(may(world, state, Act::give_up));
}

TEST_CASE("a change that is given up takes the learners back") {
    Setup setup = changing(1, {1, 2}, Start::introduced);
    setup.lapses = 1;
    World world(setup);
    const State state = after(world, world.initial(), {Act::give_up, 0, 0});
    CHECK(test::text_of(core(world, state, 1).membership()) == "{1}");
    CHECK_FALSE(may(world, state, Act::give_up));
}

TEST_CASE("a change is asked for where there is something to change, as often as is allowed") {
    Setup setup = changing(1, {1, 2}, Start::led);
    World world(setup);
    State state = world.initial();
    const auto targets = [&] {
        std::set<std::uint32_t> found;
        world.for_each_action(state, [&](Action action) {
            if (action.act == Act::change) found.insert(action.number);
        });
        return found;
    };
    CHECK(targets() == std::set<std::uint32_t>{0});
    state = after(world, state, {Act::change, 0, 0});
    CHECK(test::text_of(core(world, state, 1).membership()) == "{1 2(learner)}");
    CHECK(targets().empty());
    setup.changes = 2;
    World twice(setup);
    state = after(twice, twice.initial(), {Act::change, 0, 0});
    std::size_t more = 0;
    twice.for_each_action(state, [&](Action action) { more += action.act == Act::change; });
    CHECK(more == 2);
}

TEST_CASE("only nodes of one part are taken for each other") {
    CHECK(renamings(changing(3, {4, 5, 6}, Start::empty)).size() == 36);
    CHECK(renamings(changing(3, {1, 2, 4}, Start::empty)).size() == 2);
    CHECK(renamings(changing(1, {1, 2}, Start::empty)).size() == 1);
    CHECK(renamings(changing(2, {1, 2, 3, 4}, Start::empty)).size() == 4);
}

TEST_CASE("the key of a state does not depend on the names of nodes of one part") {
    for (const Start start : {Start::empty, Start::introduced}) {
        Setup setup = changing(2, {3, 4}, start);
        setup.terms = 4;
        setup.crashes = 2;
        setup.lapses = 2;
        setup.heartbeats = unbounded;
        setup.disk = DiskMode::split;
        World world(setup);
        std::size_t steps = 0;
        for (std::uint64_t seed = 1; seed <= 60; ++seed) {
            // What comes before names node 1; only the others may be called otherwise.
            const auto& names = world.tables().names();
            const std::size_t choice = start == Start::empty ? seed % names.size() : seed % 2;
            steps += walk_twice(world, seed, names[choice]);
        }
        CHECK(steps > 2000);
    }
}

TEST_CASE("of states that differ only in who of one part is who, none is lost") {
    Setup setup = changing(1, {2, 3}, Start::introduced);
    setup.terms = 1;
    World world(setup);
    const std::vector<State> states = all_states(world);
    std::set<std::uint64_t> keys;
    for (const State& state : states) keys.insert(world.key(state));
    CHECK(Checker(setup).run().states == keys.size());
    CHECK(keys.size() < states.size());
    setup.symmetry = false;
    CHECK(Checker(setup).run().states == states.size());
}

TEST_CASE("where only the newest message arrives, nothing comes about that could not otherwise") {
    Setup setup = changing(1, {1, 2}, Start::led);
    setup.heartbeats = 2;
    setup.symmetry = false;
    setup.newest_only = false;
    World all(setup);
    const auto reached = nodes_of(all, all_states(all));
    setup.newest_only = true;
    World some(setup);
    const auto within = nodes_of(some, all_states(some));
    CHECK(within.size() > 50);
    CHECK(within.size() < reached.size());
    CHECK(std::ranges::includes(reached, within));
}

TEST_CASE("majorities are counted of the old and of the new members") {
    const Membership joint = of({{{1}, Standing::voter, {}, {}},
                                 {{2}, Standing::outgoing, {}, {}},
                                 {{3}, Standing::demoted, {}, {}},
                                 {{4}, Standing::incoming, {}, {}},
                                 {{5}, Standing::incoming, {}, {}},
                                 {{6}, Standing::learner, {}, {}}});
    const auto decide = [&joint](std::set<std::uint64_t> nodes) {
        return have_majorities(joint, [&](NodeId id) { return nodes.contains(id.value); });
    };
    CHECK(decide({1, 2, 4}));
    CHECK(decide({2, 3, 4, 5}));
    CHECK_FALSE(decide({1, 2, 3}));
    CHECK_FALSE(decide({1, 4, 5}));
    CHECK_FALSE(decide({1, 6}));
    const Membership two = test::voters(2);
    CHECK_FALSE(have_majorities(two, [](NodeId id) { return id == NodeId{1}; }));
}

TEST_CASE("explorations of changes come by what they are meant for") {
    const std::uint32_t grown = corners_within("change-1-to-2", 200000);
    CHECK(contains(grown, Corner::joint_committed, Corner::joint_left, Corner::members_truncated,
                   Corner::elected_while_joint, Corner::restarted_with_lost_write,
                   EventKind::removed));
    CHECK(contains(corners_within("change-1-to-1", 100000), Corner::leader_left,
                   Corner::joint_ended_by_another));
    for (const char* name : {"change-one-of-3", "change-one-joins"}) {
        CHECK(contains(corners_within(name, 400000), Corner::joint_committed, Corner::joint_left,
                       Corner::elected_while_joint, Corner::members_truncated));
    }
    CHECK(contains(corners_within("change-3-to-3", 400000), Corner::joint_committed,
                   Corner::joint_left, Corner::elected_while_joint, Corner::members_truncated,
                   Corner::leader_left, EventKind::removed));
}

TEST_CASE("faults that changes are prone to are found out by the shortest history") {
    const auto found = [](Setup setup, Sabotage sabotage) {
        setup.states = 100000;
        CHECK(Checker(setup).run().end != End::violation);
        setup.sabotage = sabotage;
        Checker checker(setup);
        Report report = checker.run();
        REQUIRE(report.end == End::violation);
        std::ostringstream text;
        describe(checker.world(), report.trace, text);
        CHECK(text.str().find("{1(outgoing)") != std::string::npos);
        return report;
    };
    const Setup all = changing(3, {4, 5, 6}, Start::introduced);
    const char* const votes = "a leader lacks a majority of the members' votes";
    // The newcomers elect one of them, of which the founders know nothing.
    const Report skipped = found(all, Sabotage::skip_joint);
    CHECK(skipped.property == votes);
    CHECK(skipped.trace.size() == 5);
    // The founders elect one of them that has the joint membership and does not heed it.
    const Report late = found(all, Sabotage::members_late);
    CHECK(late.property == votes);
    CHECK(late.trace.size() == 5);
    // The newcomers commit what they need no founder for, and the founders elect one without it.
    const Report early = found(all, Sabotage::leave_early);
    CHECK(early.property.find("leader completeness") == 0);
    CHECK(early.trace.size() == 8);
}

TEST_CASE("what cannot be explored is refused") {
    const Setup good = changing(3, {4, 5, 6}, Start::introduced);
    CHECK(good.refusal() == "");
    const auto refused = [&good](auto change) {
        Setup setup = good;
        change(setup);
        return setup.refusal() != "";
    };
    CHECK(refused([](Setup& setup) { setup.nodes = 5; }));
    CHECK(refused([](Setup& setup) { setup.founders = 7; }));
    CHECK(refused([](Setup& setup) { setup.target.clear(); }));
    CHECK(refused([](Setup& setup) { setup.pre_vote = true; }));
    CHECK(refused([](Setup& setup) { setup.check_quorum = true; }));
    CHECK(refused([](Setup& setup) { setup.changes = 0; }));
    CHECK(refused([](Setup& setup) { setup.changes = 3; }));
    CHECK(refused([](Setup& setup) { setup.lapses = 16; }));
}

}  // namespace changes_test
