// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A history as text for people: one line for each action, with what it led to at its node.
#ifndef RSM_TESTS_MODEL_DESCRIBE_HPP
#define RSM_TESTS_MODEL_DESCRIBE_HPP

#include "support/text.hpp"
#include "world.hpp"

#include <array>
#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace model {

using test::text_of;

inline const char* text_of(Answer::Kind kind) {
    switch (kind) {
        case Answer::Kind::entries: return "entries";
        case Answer::Kind::snapshot_taken: return "the snapshot is durable";
        case Answer::Kind::chunk_loaded: return "a piece of a snapshot";
        case Answer::Kind::chunk_stored: return "a piece of a snapshot is stored";
    }
    return "?";
}

/// "leader, term 2, vote 1, log (0/0] [1/2 a], commit 1, durable 1"
inline std::string text_of(const NodeState& node) {
    std::ostringstream out;
    const Core& core = node.core;
    const Log& log = core.log();
    out << text_of(core.role()) << ", term " << core.term().value << ", vote "
        << core.voted_for().value << ", log ";
    if (log.base().index.value != 0) out << "(after " << text_of(log.base()) << ") ";
    out << "[";
    for (Index index = log.base().index + 1; index <= log.last_index(); ++index) {
        if (index > log.base().index + 1) out << ", ";
        out << (log.cached(index) ? text_of(log[index])
                                  : text_of(LogPosition{index, *log.term_at(index)}));
    }
    out << "], commit " << log.commit().value;
    if (!node.flights.empty()) out << ", writes under way " << node.flights.size();
    return out.str();
}

inline std::string text_of(World& world, const State& state, Action action) {
    std::ostringstream out;
    const NodeState& node = world.tables().node(state.nodes[action.node]);
    out << "node " << action.node + 1 << ' ' << act_names[static_cast<std::size_t>(action.act)];
    switch (action.act) {
        case Act::deliver:
        case Act::deliver_copy: {
            const Message& message = world.tables().message(action.number);
            out << ' ' << text_of(message) << " from node " << message.from.value;
            break;
        }
        case Act::answer: out << ": " << text_of(node.answers[action.number].kind); break;
        case Act::propose: out << ' ' << static_cast<char>('a' + action.number); break;
        case Act::change:
            out << " to " << text_of(world.tables().model().members().target(action.number));
            break;
        case Act::read: out << " (read " << action.number + 1 << ")"; break;
        default: break;
    }
    return out.str();
}

/// Writes the actions and where they lead, and returns the state at the end.
inline State describe(World& world, const std::vector<Action>& trace, std::ostream& out) {
    State state = world.initial();
    State after;
    std::size_t line = 0;
    for (const Action action : trace) {
        std::string violation;
        const std::string what = text_of(world, state, action);
        if (!world.follow(state, action, after, violation)) {
            out << "  (cannot be followed: " << what << ")\n";
            return state;
        }
        out << "  " << ++line << ". " << what << " -> "
            << text_of(world.tables().node(after.nodes[action.node]));
        std::vector<std::uint32_t> sent;
        std::ranges::set_difference(after.messages, state.messages, std::back_inserter(sent));
        const char* separator = "; sends ";
        for (const std::uint32_t message : sent) {
            out << separator << text_of(world.tables().message(message)) << " to node "
                << world.tables().message(message).to.value;
            separator = ", ";
        }
        out << '\n';
        std::swap(state, after);
    }
    return state;
}

}  // namespace model

#endif
