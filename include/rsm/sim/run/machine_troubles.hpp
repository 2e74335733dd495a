// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What goes wrong in the state machines of a run: some operations throw wherever they are applied,
// and one node's machine, once, when it is asked for something; and a bit of a state changes.
#ifndef RSM_SIM_RUN_MACHINE_TROUBLES_HPP
#define RSM_SIM_RUN_MACHINE_TROUBLES_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/rules/machines_that_throw.hpp>
#include <rsm/sim/rules/outvoted_replicas.hpp>
#include <rsm/sim/run/coverage.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace rsm::inline v0::sim {

enum class Thrown : std::uint8_t { exception, no_memory };

class MachineTroubles {
public:
    struct Trouble {
        MachineCall call{};
        Thrown thrown{};
    };

    /// @param happened  told what to count
    /// @param in_place  states that are not frozen are written in place
    MachineTroubles(MachinesThatThrow& rule, OutvotedReplicas& outvoted,
                    std::function<void(Counter)> happened, bool in_place)
        : rule_(rule), outvoted_(outvoted), happened_(std::move(happened)), in_place_(in_place) {}

    // ---- what is to be thrown ----

    /// The next operation that a client gives throws everywhere.
    void poison() { poisons_next_ = poison_.size() < poison_max; }
    void prepare(raft::NodeId node, Trouble trouble) {
        // After each snapshot that fails the pause before the next is longer.
        if (++prepared_[node] <= each_max) troubles_[node] = trouble;
    }
    /// A bit of the node's state changes when it applies the next operation.
    void flip(raft::NodeId node, std::uint64_t bit) {
        if (!outvoted_.any_flaw()) flips_ = {node, bit};
    }
    /// Only what is poison stays so.
    void end() {
        poisons_next_ = false;
        troubles_.clear();
        flips_.reset();
    }
    void given(std::uint64_t operation) {
        if (std::exchange(poisons_next_, false)) poison_.insert(operation);
    }

    // ---- the machines, where they may throw ----

    void applied(raft::NodeId node, std::uint64_t operation) {
        if (poison_.contains(operation)) {
            const std::string text = "operation " + std::to_string(operation) + " is poison";
            happened_(Counter::machine_exceptions);
            if (rule_.skips(node, operation)) happened_(Counter::skipped_operations);
            rule_.poisoned(node, operation, text);
            throw std::runtime_error(text);
        }
        called(node, MachineCall::apply);
    }
    /// What changes in the state now; 0: nothing.
    std::uint64_t flipped_bit(raft::NodeId node) {
        if (!flips_ || flips_->node != node) return 0;
        happened_(Counter::flipped_bits);
        return std::exchange(flips_, std::nullopt)->bit;
    }
    void has_flaw(raft::NodeId node, std::uint64_t flaw) { outvoted_.state(node, flaw); }
    /// A machine that does not freeze is to write itself.
    void write_whole(raft::NodeId node) {
        if (in_place_) happened_(Counter::states_in_place);
        called(node, MachineCall::capture, in_place_);
    }
    /// @param elsewhere  not on the node's own thread, which hears of it later
    void called(raft::NodeId node, MachineCall call, bool elsewhere = false) {
        const auto prepared = troubles_.find(node);
        if (prepared == troubles_.end() || prepared->second.call != call) return;
        const Thrown thrown = prepared->second.thrown;
        troubles_.erase(prepared);
        happened_(Counter::machine_exceptions);
        if (thrown == Thrown::no_memory) {
            rule_.threw(node, call, true, std::bad_alloc().what());
            throw std::bad_alloc();
        }
        const std::string text = "node " + std::to_string(node.value) + " is not in the mood";
        rule_.threw(node, call, false, text);
        if (elsewhere) rule_.hears_later(node);
        throw std::runtime_error(text);
    }

private:
    static constexpr std::size_t poison_max = 4;
    static constexpr int each_max = 3;

    struct Flip {
        raft::NodeId node;
        std::uint64_t bit = 0;
    };

    MachinesThatThrow& rule_;
    OutvotedReplicas& outvoted_;
    std::optional<Flip> flips_;
    std::function<void(Counter)> happened_;
    bool in_place_;
    bool poisons_next_ = false;
    std::set<std::uint64_t> poison_;  ///< operations
    std::map<raft::NodeId, Trouble> troubles_;
    std::map<raft::NodeId, int> prepared_;  ///< how many
};

}  // namespace rsm::sim

#endif
