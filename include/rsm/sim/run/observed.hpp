// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Observed: a user's state machine under watch. It is replicated in place of the machine and hands
// everything on; on the way it numbers the operations as they are applied and compares what the
// replicas make of each: the operation itself, its result, and now and then the whole state.
//
// All replicas apply one sequence, so an AppliedSequence that all of them share sees at once when
// one differs: a machine that is not deterministic, a field that its snapshot forgets, and any
// engine that applies the wrong thing.
#ifndef RSM_SIM_RUN_OBSERVED_HPP
#define RSM_SIM_RUN_OBSERVED_HPP

#include <raft/base/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/machines_that_throw.hpp>
#include <rsm/sim/run/detail/observing.hpp>
#include <rsm/sim/run/machine_troubles.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/state_machine.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rsm::inline v0::sim {

namespace detail {

/// The image of an Observed machine.
template <class Image>
struct Frozen {
    std::uint64_t signature;
    std::uint64_t applied;
    std::uint64_t flaw;
    Image image;
    std::shared_ptr<MachineTroubles> troubles;
    raft::NodeId node;
    void snapshot(SnapshotWriter& out) const {
        out << signature << applied << flaw;
        troubles->called(node, MachineCall::write);
        image.snapshot(out);
    }
};

}  // namespace detail

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
    std::uint64_t flaw = 0;  ///< what is wrong with the state that has led to it
    Inner inner{};

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& number& flaw& inner;
    }
};

template <StateMachine Machine>
class Observed {
public:
    using Operation = NamedOperation<typename Machine::Operation>;
    static constexpr bool has_result = !std::is_void_v<ResultOf<Machine>>;
    using Inner = detail::InnerResult<Machine>;
    using Result = NumberedResult<Inner>;

    /// @param signature  written into its snapshots, so that replicas may write equal states in
    ///                   other bytes
    Observed(Machine machine, std::shared_ptr<AppliedSequence> sequence,
             std::shared_ptr<MachineTroubles> troubles, raft::NodeId node, std::uint64_t signature)
        : machine_(std::move(machine)),
          sequence_(std::move(sequence)),
          troubles_(std::move(troubles)),
          node_(node),
          signature_(signature) {
        sequence_->began(node);
        troubles_->has_flaw(node, flaw_);
    }

    Result apply(const Operation& operation) {
        Result result;
        if (changes_at_once_) troubles_->applied(node_, operation.id);
        if constexpr (has_result) {
            result.inner = machine_.apply(operation.inner);
        } else {
            machine_.apply(operation.inner);
        }
        // When the work is done, and not told.
        if (!changes_at_once_) troubles_->applied(node_, operation.id);
        flaw_ ^= troubles_->flipped_bit(node_);
        troubles_->has_flaw(node_, flaw_);
        result.number = ++applied_;
        result.flaw = flaw_;
        AppliedSequence::Applied seen;
        seen.id = operation.id;
        seen.operation = detail::digest_of(sequence_->scratch, operation.inner);
        if constexpr (has_result) {
            seen.result = detail::digest_of(sequence_->scratch, result.inner);
        }
        sequence_->apply(
            node_, applied_, seen, [&] { return words(operation.inner); },
            [inner = result.inner] { return detail::describe(inner); });
        if (sequence_->digest_due(applied_)) tell_state();
        return result;
    }

    void snapshot(SnapshotWriter& out) const {
        sequence_->captured(node_, applied_);
        troubles_->write_whole(node_);
        write(out);
    }
    void restore(SnapshotReader& in) {
        read(in, [this] { troubles_->called(node_, MachineCall::restore); });
    }

    // ---- of a state that is elsewhere, too ----

    /// An operation that throws leaves nothing behind.
    void changes_at_once() { changes_at_once_ = true; }
    void write(SnapshotWriter& out) const {
        out << signature_ << applied_ << flaw_;
        detail::write_machine(out, machine_);
    }
    /// @param done  called when the state is read
    template <class Done = void (*)()>
    void read(
        SnapshotReader& in, Done done = [] {}) {
        std::uint64_t signature = 0;  // of the one who wrote it
        in >> signature >> applied_ >> flaw_;
        detail::read_machine(in, machine_);
        done();
        sequence_->restored(node_, applied_);
        troubles_->has_flaw(node_, flaw_);
        if (sequence_->digest_due(applied_)) tell_state();
    }
    /// Only where the machine has it, so that each is captured in its own way.
    auto freeze() const requires Freezes<Machine> {
        sequence_->captured(node_, applied_);
        troubles_->called(node_, MachineCall::capture);
        return detail::Frozen<decltype(machine_.freeze())>{signature_,        applied_,  flaw_,
                                                           machine_.freeze(), troubles_, node_};
    }

    void captures(std::uint64_t operations) const {
        sequence_->captured(node_, operations);
        troubles_->called(node_, MachineCall::capture);
    }
    /// To be called as that is written.
    auto writes_image() const {
        return [troubles = troubles_, node = node_] { troubles->called(node, MachineCall::write); };
    }

    const Machine& machine() const { return machine_; }
    /// How many operations this replica has applied.
    std::uint64_t operations() const { return applied_; }
    /// What is wrong with this replica's state; 0: nothing.
    std::uint64_t flaw() const { return flaw_; }
    void tell_state() const { sequence_->state(node_, applied_, detail::state_digest(machine_)); }

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
    std::shared_ptr<AppliedSequence> sequence_;
    std::shared_ptr<MachineTroubles> troubles_;
    raft::NodeId node_;
    std::uint64_t signature_;
    std::uint64_t applied_ = 0;
    bool changes_at_once_ = false;
    // Beside the machine's own state: it shows in the results as the replicas compare them, and in
    // nothing that clients see, so that no other rule is broken by it.
    std::uint64_t flaw_ = 0;
};

}  // namespace rsm::sim

#endif
