// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Equal state machines: every replica makes the same of each operation, and whole states are equal
// at equal counts.
#ifndef RSM_SIM_RULES_EQUAL_STATE_MACHINES_HPP
#define RSM_SIM_RULES_EQUAL_STATE_MACHINES_HPP

#include <raft/base/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What is known of the one sequence of operations that a cluster applies. The first replica to
/// apply an operation fixes what the others must find.
class AppliedSequence {
public:
    /// @param complain  called once for each thing that differs
    /// @param digest_every  how many operations lie between two comparisons of the whole state
    AppliedSequence(Complain complain, std::uint64_t digest_every)
        : complain_(std::move(complain)), digest_every_(digest_every) {}

    BufferWriter scratch;  ///< for whoever takes a digest

    struct Applied {
        std::uint64_t id = 0;         ///< names the operation; given by the client
        std::uint64_t operation = 0;  ///< digest
        std::uint64_t result = 0;     ///< digest
    };
    /// Puts something into words, when asked.
    using Words = std::function<std::string()>;

    /// In the order of application; the first has number 1.
    const std::vector<Applied>& applied() const { return applied_; }
    /// How often a replica was compared with another one, or with what is to come.
    std::uint64_t asked() const { return asked_; }
    bool digest_due(std::uint64_t number) const { return number % digest_every_ == 0; }

    /// @param number  how many operations the replica has applied, this one included
    /// @param operation, result  functions that put it into words; the result's is kept
    template <class OperationWords, class ResultWords>
    void apply(raft::NodeId node, std::uint64_t number, const Applied& what,
               const OperationWords& operation, const ResultWords& result) {
        ++asked_;
        if (number == applied_.size() + 1) {
            applied_.push_back(what);
            firsts_.push_back({node, result});
            return;
        }
        const std::string name = "operation " + std::to_string(what.id);
        if (number > applied_.size()) {
            return complain(
                node, name + " was applied before the operations that precede it" + origin(node));
        }
        const Applied& first = applied_[number - 1];
        const First& by = firsts_[number - 1];
        if (first.id != what.id || first.operation != what.operation) {
            complain(node, name + in_words(operation()) + " is applied in place of operation " +
                               std::to_string(first.id) + ", which node " + detail::text(by.node) +
                               " applied there" + origin(node));
        } else if (first.result != what.result) {
            const std::string where =
                by.node == node ? "when the same node applied it before"
                                : "on node " + detail::text(by.node) + ", which applied it first";
            complain(node, name + in_words(operation()) + " has another result: " + result() +
                               "; it was " + by.result() + " " + where + origin(node));
        }
    }
    /// It is written in a higher version than is in force where it stands in the log.
    void too_new(raft::NodeId node, std::uint64_t id, std::uint32_t version) {
        complain(node, "operation " + std::to_string(id) +
                           " is written in a higher version than the " + std::to_string(version) +
                           " that all members read");
    }
    void state(raft::NodeId node, std::uint64_t number, std::uint64_t digest) {
        const auto [place, first] = states_.try_emplace(number, State{node, digest});
        if (first || place->second.digest == digest) return;
        complain(node, "the state after " + after(number) + " is another than on node " +
                           detail::text(place->second.node) + origin(node));
    }

    // ---- where a replica's state comes from ----

    /// A replica begins with an empty state.
    void began(raft::NodeId node) { origins_.erase(node); }
    /// Its state is captured for a snapshot.
    void captured(raft::NodeId node, std::uint64_t number) { captured_[node] = number; }
    /// The snapshot of what was captured last has been saved.
    void saved(raft::NodeId node, raft::Index index) {
        const auto captured = captured_.find(node);
        if (captured == captured_.end()) return;
        Makers& makers = snapshots_[captured->second];
        makers.index = index;
        if (std::ranges::find(makers.nodes, node) == makers.nodes.end()) {
            makers.nodes.push_back(node);
        }
    }
    /// Its state is now that of a snapshot.
    void restored(raft::NodeId node, std::uint64_t number) { origins_[node] = number; }

    /// The result of the operation of that number, in words; 1 is the first.
    std::string result_of(std::uint64_t number) const { return firsts_[number - 1].result(); }
    /// "operation 12", or what else precedes a state.
    std::string after(std::uint64_t number) const {
        if (number == 0 || number > applied_.size()) return "the last operation";
        return "operation " + std::to_string(applied_[number - 1].id);
    }

private:
    struct First {
        raft::NodeId node;
        Words result;
    };
    struct State {
        raft::NodeId node;
        std::uint64_t digest = 0;
    };
    struct Makers {
        raft::Index index;
        std::vector<raft::NodeId> nodes;
    };

    void complain(raft::NodeId node, const std::string& what) const {
        complain_({"equal state machines", detail::node_text(node) + ": " + what, {node}});
    }
    static std::string in_words(const std::string& words) {
        return words.empty() ? words : " (" + words + ")";
    }
    /// Whether the replica's state came from a snapshot, and from which.
    std::string origin(raft::NodeId node) const {
        const std::string name = ". The state of node " + detail::text(node);
        const auto restored = origins_.find(node);
        if (restored == origins_.end()) return name + " came from no snapshot";
        std::string whole =
            name + " came from a snapshot that ends after " + after(restored->second);
        const auto known = snapshots_.find(restored->second);
        if (known == snapshots_.end()) return whole;
        whole += ", at index " + std::to_string(known->second.index.value) + ", made by node";
        for (const raft::NodeId maker : known->second.nodes) {
            whole += (maker == known->second.nodes.front() ? " " : " and by node ") +
                     detail::text(maker);
        }
        return whole;
    }

    Complain complain_;
    std::uint64_t digest_every_;
    std::uint64_t asked_ = 0;
    std::vector<Applied> applied_;
    std::vector<First> firsts_;  ///< of each in applied_
    std::map<std::uint64_t, State> states_;
    std::map<raft::NodeId, std::uint64_t> captured_;  ///< how many operations
    std::map<std::uint64_t, Makers> snapshots_;       ///< by how many operations they hold
    std::map<raft::NodeId, std::uint64_t> origins_;   ///< how many a replica began with
};

}  // namespace rsm::sim

#endif
