// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Observed: a user's state machine under watch. It is replicated in place of the machine and hands
// everything on; on the way it numbers the operations as they are applied and compares what the
// replicas make of each: the operation itself, its result, and now and then the whole state.
//
// All replicas apply one sequence, so a Witness that all of them share sees at once when one
// differs: a machine that is not deterministic, a field that its snapshot forgets, and any engine
// that applies the wrong thing.
#ifndef RSM_SIM_OBSERVED_HPP
#define RSM_SIM_OBSERVED_HPP

#include <raft/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/detail/observing.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/state_machine.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rsm::sim {

namespace detail {

/// The image of an Observed machine.
template <class Image>
struct Frozen {
    std::uint64_t applied;
    Image image;
    void snapshot(SnapshotWriter& out) const {
        out << applied;
        image.snapshot(out);
    }
};

}  // namespace detail

/// What is known of the one sequence of operations that a cluster applies. The first replica to
/// apply an operation fixes what the others must find.
class Witness {
public:
    /// @param complain  called once for each thing that differs
    /// @param digest_every  how many operations lie between two comparisons of the whole state
    Witness(std::function<void(raft::NodeId, std::string)> complain, std::uint64_t digest_every)
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
    bool digest_due(std::uint64_t number) const { return number % digest_every_ == 0; }

    /// @param number  how many operations the replica has applied, this one included
    /// @param operation, result  functions that put it into words; the result's is kept
    template <class OperationWords, class ResultWords>
    void apply(raft::NodeId node, std::uint64_t number, const Applied& what,
               const OperationWords& operation, const ResultWords& result) {
        if (number == applied_.size() + 1) {
            applied_.push_back(what);
            firsts_.push_back({node, result});
            return;
        }
        const std::string name = "operation " + std::to_string(what.id);
        if (number > applied_.size()) {
            return complain_(
                node, name + " was applied before the operations that precede it" + origin(node));
        }
        const Applied& first = applied_[number - 1];
        const First& by = firsts_[number - 1];
        if (first.id != what.id || first.operation != what.operation) {
            complain_(node, name + in_words(operation()) + " is applied in place of operation " +
                                std::to_string(first.id) + ", which node " + text(by.node) +
                                " applied there" + origin(node));
        } else if (first.result != what.result) {
            const std::string where = by.node == node
                                          ? "when the same node applied it before"
                                          : "on node " + text(by.node) + ", which applied it first";
            complain_(node, name + in_words(operation()) + " has another result: " + result() +
                                "; it was " + by.result() + " " + where + origin(node));
        }
    }
    void state(raft::NodeId node, std::uint64_t number, std::uint64_t digest) {
        const auto [place, first] = states_.try_emplace(number, State{node, digest});
        if (first || place->second.digest == digest) return;
        complain_(node, "the state after " + after(number) + " is another than on node " +
                            text(place->second.node) + origin(node));
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

    static std::string text(raft::NodeId node) { return std::to_string(node.value); }
    static std::string in_words(const std::string& words) {
        return words.empty() ? words : " (" + words + ")";
    }
    /// Whether the replica's state came from a snapshot, and from which.
    std::string origin(raft::NodeId node) const {
        const std::string name = ". The state of node " + text(node);
        const auto restored = origins_.find(node);
        if (restored == origins_.end()) return name + " came from no snapshot";
        std::string whole =
            name + " came from a snapshot that ends after " + after(restored->second);
        const auto known = snapshots_.find(restored->second);
        if (known == snapshots_.end()) return whole;
        whole += ", at index " + std::to_string(known->second.index.value) + ", made by node";
        for (const raft::NodeId maker : known->second.nodes) {
            whole += (maker == known->second.nodes.front() ? " " : " and by node ") + text(maker);
        }
        return whole;
    }

    std::function<void(raft::NodeId, std::string)> complain_;
    std::uint64_t digest_every_;
    std::vector<Applied> applied_;
    std::vector<First> firsts_;  ///< of each in applied_
    std::map<std::uint64_t, State> states_;
    std::map<raft::NodeId, std::uint64_t> captured_;  ///< how many operations
    std::map<std::uint64_t, Makers> snapshots_;       ///< by how many operations they hold
    std::map<raft::NodeId, std::uint64_t> origins_;   ///< how many a replica began with
};

/// An operation with a name of its own, by which a history finds it again.
template <class Inner>
struct NamedOperation {
    std::uint64_t id = 0;
    Inner inner{};

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& id& inner;
    }
};

/// What became of an operation: the machine's result and its place in the sequence.
template <class Inner>
struct NumberedResult {
    std::uint64_t number = 0;
    Inner inner{};
};

template <StateMachine Machine>
class Observed {
public:
    using Operation = NamedOperation<typename Machine::Operation>;
    static constexpr bool has_result = !std::is_void_v<ResultOf<Machine>>;
    using Inner = detail::InnerResult<Machine>;
    using Result = NumberedResult<Inner>;

    Observed(Machine machine, std::shared_ptr<Witness> witness, raft::NodeId node)
        : machine_(std::move(machine)), witness_(std::move(witness)), node_(node) {
        witness_->began(node);
    }

    Result apply(const Operation& operation) {
        Result result;
        if constexpr (has_result) {
            result.inner = machine_.apply(operation.inner);
        } else {
            machine_.apply(operation.inner);
        }
        result.number = ++applied_;
        Witness::Applied seen;
        seen.id = operation.id;
        seen.operation = detail::digest_of(witness_->scratch, operation.inner);
        if constexpr (has_result) {
            seen.result = detail::digest_of(witness_->scratch, result.inner);
        }
        witness_->apply(
            node_, applied_, seen, [&] { return words(operation.inner); },
            [inner = result.inner] { return detail::describe(inner); });
        if (witness_->digest_due(applied_)) tell_state();
        return result;
    }

    void snapshot(SnapshotWriter& out) const {
        witness_->captured(node_, applied_);
        out << applied_;
        detail::write_machine(out, machine_);
    }
    void restore(SnapshotReader& in) {
        in >> applied_;
        detail::read_machine(in, machine_);
        witness_->restored(node_, applied_);
        if (witness_->digest_due(applied_)) tell_state();
    }
    /// Only where the machine has it, so that each is captured in its own way.
    auto freeze() const requires Freezes<Machine> {
        witness_->captured(node_, applied_);
        return detail::Frozen<decltype(machine_.freeze())>{applied_, machine_.freeze()};
    }

    const Machine& machine() const { return machine_; }
    /// How many operations this replica has applied.
    std::uint64_t applied() const { return applied_; }
    void tell_state() const { witness_->state(node_, applied_, detail::state_digest(machine_)); }

private:
    template <class Inner>
    std::string words(const Inner& operation) const {
        if constexpr (requires { machine_.describe(operation); }) {
            return machine_.describe(operation);
        } else {
            return detail::describe(operation);
        }
    }

    Machine machine_;
    std::shared_ptr<Witness> witness_;
    raft::NodeId node_;
    std::uint64_t applied_ = 0;
};

}  // namespace rsm::sim

#endif
