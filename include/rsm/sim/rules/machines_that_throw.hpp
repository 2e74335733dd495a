// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Machines that throw: a node whose state machine throws stops and says what was thrown, or goes on
// where the contract of Options::skip_operations and StateMachine says so; and what is left out of
// one replica's state is left out of all.
#ifndef RSM_SIM_RULES_MACHINES_THAT_THROW_HPP
#define RSM_SIM_RULES_MACHINES_THAT_THROW_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What is asked of a state machine that may throw.
enum class MachineCall : std::uint8_t {
    apply,
    capture,  ///< of its state: as a whole, or an image of it
    write,    ///< of an image
    restore,
    count_
};

class MachinesThatThrow {
public:
    /// Whoever operates the cluster has given the node the list of what to skip.
    void started(raft::NodeId node) {
        expected_.erase(node);
        given_[node] = listed_;
    }
    /// An operation threw that throws wherever it is applied.
    void poisoned(raft::NodeId node, std::uint64_t operation, std::string text) {
        Expected expected{std::move(text), !skips(node, operation), operation, {}};
        expected_[node] = std::move(expected);
    }
    /// Anything else was thrown, by one node's machine only.
    void threw(raft::NodeId node, MachineCall call, bool no_memory, std::string text) {
        // A snapshot that could not be taken for want of memory, or not be written, is taken later.
        // The state before an operation that is tried is needed at once.
        const bool later =
            call == MachineCall::write || (call == MachineCall::capture && no_memory);
        expected_[node] = {std::move(text), !later, std::nullopt, {}};
    }

    /// Whether the node whose list has the operation is to go on without it.
    bool skips(raft::NodeId node, std::uint64_t operation) const {
        const auto given = given_.find(node);
        return given != given_.end() && given->second.contains(operation);
    }
    /// Whether that is how a node ends, or does not start, because of what its machine has thrown.
    bool explains(raft::NodeId node, std::string_view what) const {
        const auto found = expected_.find(node);
        if (found == expected_.end() || what.find(found->second.text) == what.npos) return false;
        return found->second.stops || what.find(at_operation) != what.npos;
    }
    /// The operator reads why a node has stopped. @pre explains()
    void read(raft::NodeId node, std::string_view what) {
        const std::optional<std::uint64_t> operation = expected_[node].operation;
        const std::size_t place = what.find(at_operation);
        if (!operation || place == what.npos) return;
        listed_[*operation] = number_at(what.substr(place + at_operation.size()));
    }
    /// Options::skip_operations, as of now.
    std::vector<raft::Index> list() const {
        std::vector<raft::Index> indexes;
        for (const auto& [operation, index] : listed_) indexes.push_back(index);
        return indexes;
    }

    /// Whether its machine has thrown since it was started.
    bool threw(raft::NodeId node) const { return expected_.contains(node); }
    /// What threw last on the node was called by its storage, which has yet to tell it.
    void hears_later(raft::NodeId node) { expected_[node].stops_by = raft::Time::max(); }
    /// @pre the node runs and has done a piece of work
    Broken stops(raft::NodeId node, raft::Time now) {
        const auto found = expected_.find(node);
        if (found == expected_.end() || !found->second.stops) return {};
        raft::Time& by = found->second.stops_by;
        if (by == raft::Time::max()) by = now + longest_hold_up;
        if (now < by) return {};
        return broken(node, "goes on although its state machine threw: " + found->second.text);
    }
    /// @param skipped  what the state of a node lacks  @param applied  up to there
    Broken lacks_what_all_lack(raft::NodeId node, const std::vector<raft::Index>& skipped,
                               raft::Index applied) const {
        std::set<raft::Index> wanted;
        for (const auto& [operation, index] : listed_) {
            if (index <= applied) wanted.insert(index);
        }
        if (std::set<raft::Index>(skipped.begin(), skipped.end()) == wanted) return {};
        return broken(node, "lacks " + std::to_string(skipped.size()) + " operations, and " +
                                std::to_string(wanted.size()) + " have thrown everywhere");
    }

private:
    struct Expected {
        std::string text;  ///< is in what the node says
        bool stops = false;
        std::optional<std::uint64_t> operation;  ///< that throws on every node
        raft::Time stops_by{};
    };
    /// A node that is paused, or whose thread is held up, hears of nothing.
    static constexpr std::chrono::seconds longest_hold_up{10};
    static constexpr std::string_view at_operation =
        "the state machine threw at the operation of index ";

    static raft::Index number_at(std::string_view text) {
        std::uint64_t number = 0;
        for (const char digit : text) {
            if (digit < '0' || digit > '9') break;
            number = number * 10 + static_cast<std::uint64_t>(digit - '0');
        }
        return {number};
    }
    static Violation broken(raft::NodeId node, const std::string& what) {
        return {"machines that throw", detail::node_text(node) + " " + what, {node}};
    }

    std::map<std::uint64_t, raft::Index> listed_;  ///< where each operation stands in the log
    std::map<raft::NodeId, std::map<std::uint64_t, raft::Index>> given_;  ///< to each at its start
    std::map<raft::NodeId, Expected> expected_;
};

}  // namespace rsm::sim

#endif
