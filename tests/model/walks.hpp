// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Ways through a world that do without the checker, to test it by.
#ifndef RSM_TESTS_MODEL_WALKS_HPP
#define RSM_TESTS_MODEL_WALKS_HPP

#include "checker.hpp"
#include "presets.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace model {

/// Every concrete state within the bounds, found without the checker's keys.
inline std::vector<State> all_states(World& world) {
    std::set<std::vector<std::uint32_t>> seen;
    std::vector<State> found;
    std::vector<std::uint32_t> words;
    const auto add = [&](const State& state) {
        state.pack(world.setup().nodes, words);
        if (seen.insert(words).second) found.push_back(state);
    };
    add(world.initial());
    for (std::size_t i = 0; i < found.size(); ++i) {
        const State state = found[i];
        world.for_each_action(state, [&](Action action) {
            State after;
            std::string violation;
            if (world.follow(state, action, after, violation)) add(after);
            CHECK(violation == "");
        });
    }
    return found;
}

/// What the nodes are in each of these states, whatever is on its way between them.
inline std::set<std::vector<std::uint64_t>> nodes_of(World& world,
                                                     const std::vector<State>& states) {
    std::set<std::vector<std::uint64_t>> found;
    for (const State& state : states) {
        std::vector<std::uint64_t> nodes;
        for (std::uint32_t i = 0; i < world.setup().nodes; ++i) {
            nodes.push_back(digest_of(world.tables().node(state.nodes[i]), SameNames{}));
        }
        found.insert(nodes);
    }
    return found;
}

/// The same action in a world in which everybody is called otherwise.
inline Action renamed(World& world, const State& from, const State& to, Action action,
                      const Renaming& names) {
    Action other = action;
    other.node = static_cast<std::uint32_t>(names(NodeId{action.node + 1}).value - 1);
    if (action.act == Act::deliver || action.act == Act::deliver_copy) {
        Message message = world.tables().message(action.number);
        message.from = names(message.from);
        message.to = names(message.to);
        other.number = world.tables().number_of(message);
    } else if (action.act == Act::answer) {
        Answer answer = world.tables().node(from.nodes[action.node]).answers[action.number];
        answer.reader = names(answer.reader);
        const auto& there = world.tables().node(to.nodes[other.node]).answers;
        other.number = static_cast<std::uint32_t>(std::ranges::find(there, answer) - there.begin());
    }
    return other;
}

/// Two worlds of different names go the same random way, and have the same key all along it.
inline std::size_t walk_twice(World& world, std::uint64_t seed, const Renaming& names) {
    Random random(seed);
    State left = world.initial();
    State right = left;
    std::size_t steps = 0;
    std::string violation;
    for (int tries = 0; tries < 400; ++tries) {
        std::vector<Action> actions;
        world.for_each_action(left, [&](Action action) { actions.push_back(action); });
        if (actions.empty()) break;
        const Action action = actions[random.below(actions.size())];
        const Action other = renamed(world, left, right, action, names);
        State left_after;
        State right_after;
        const bool goes = world.follow(left, action, left_after, violation);
        REQUIRE(goes == world.follow(right, other, right_after, violation));
        if (!goes) continue;
        left = left_after;
        right = right_after;
        ++steps;
        REQUIRE(world.key(left) == world.key(right));
    }
    CHECK(violation == "");
    return steps;
}

/// What the preset comes by in so many states, and that it finds nothing.
inline std::uint32_t corners_within(const std::string& name, std::uint64_t states) {
    const std::vector<Preset> known = presets();
    const auto preset = std::ranges::find(known, name, &Preset::name);
    REQUIRE(preset != known.end());
    Setup setup = preset->setup;
    setup.states = states;
    Checker checker(setup);
    CHECK(checker.run().property == "");
    return checker.world().corners();
}
template <class... Corners>
bool contains(std::uint32_t corners, Corners... wanted) {
    const std::uint32_t bits = (bit(wanted) | ...);
    return (corners & bits) == bits;
}

}  // namespace model

#endif
