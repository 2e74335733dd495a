// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The way to where an exploration begins: one history in which everything goes well, so that what
// comes after it may be explored farther.
#ifndef RSM_TESTS_MODEL_PROLOGUE_HPP
#define RSM_TESTS_MODEL_PROLOGUE_HPP

#include "state.hpp"
#include "tables.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace model {

/// Each step is one of those that are explored; what is on its way in the end is lost.
template <class World>
class Prologue {
public:
    Prologue(World& world, const State& state) : world_(world), state_(state) {}

    State play() {
        must(Act::time_out);
        settle();
        beat();
        state_.spent = 0;
        if (world_.setup().start == Start::led) return state_;
        must(Act::change);
        settle();
        must(Act::lose_touch);
        // The first finds out what newcomers lack; the others tell all of what is committed.
        for (int beats = 0; beats < 3; ++beats) beat();
        state_.spent = 0;
        state_.use(Resource::changes);
        return state_;
    }

private:
    // All that happens of itself happens at node 1.
    void beat() {
        follow({Act::heartbeat, 0, 0});
        settle();
    }
    void must(Act act) {
        if (!follow({act, 0, 0})) throw std::logic_error("the prologue cannot go on");
    }
    bool follow(Action action) {
        State after;
        std::string violation;
        const bool goes = world_.follow(state_, action, after, violation);
        if (!violation.empty()) throw std::logic_error("in the prologue: " + violation);
        if (goes) state_ = after;
        return goes;
    }
    /// Until everything is written and everything has arrived.
    void settle() {
        while (finish_write() || deliver()) {}
    }
    bool finish_write() {
        for (std::uint32_t i = 0; i < world_.setup().nodes; ++i) {
            for (const Act act : {Act::complete, Act::notice, Act::answer}) {
                const NodeState& node = world_.tables().node(state_.nodes[i]);
                const bool possible = world_.tables().model().possible(node, act);
                if (possible && follow({act, i, 0})) return true;
            }
        }
        return false;
    }
    bool deliver() {
        if (state_.messages.empty()) return false;
        const std::uint32_t message = state_.messages.front();
        state_.messages.erase(state_.messages.begin());
        follow({Act::deliver, world_.tables().message_row(message).to, message});
        return true;
    }

    World& world_;
    State state_;
};

}  // namespace model

#endif
