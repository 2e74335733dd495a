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

#include <raft/base/digest.hpp>
#include <raft/base/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/machines_that_throw.hpp>
#include <rsm/sim/run/detail/observing.hpp>
#include <rsm/sim/run/machine_troubles.hpp>
#include <rsm/sim/workload.hpp>
#include <rsm/state_machine.hpp>

#include <boost/serialization/version.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rsm::inline v0::sim {

/// An operation has so many additions of which an older program knows nothing: each comes with a
/// version of its own.
inline constexpr std::uint32_t observed_additions = 2;

namespace detail {

/// While it is there, an archive has the versions of the machine under watch, which may know fewer
/// than its watch, or none.
template <class Archive>
class OwnVersions {
public:
    OwnVersions(Archive& archive, std::uint32_t known)
        : archive_(archive), around_(archive.versions()) {
        archive.use_versions({std::min(around_.written, known), known});
    }
    OwnVersions(const OwnVersions&) = delete;
    OwnVersions& operator=(const OwnVersions&) = delete;
    ~OwnVersions() { archive_.use_versions(around_); }

private:
    Archive& archive_;
    FormatVersions around_;
};

/// The image of an Observed machine.
template <class Image, std::uint32_t known>
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
        const OwnVersions own(out, known);
        image.snapshot(out);
    }
};

}  // namespace detail

/// An operation with a name of its own, by which a history finds it again.
template <class Machine>
struct NamedOperation {
    std::uint64_t id = 0;
    typename Machine::Operation inner{};
    std::array<std::uint64_t, observed_additions> additions{};
    std::uint32_t read_as = 0;  ///< the version that it was written in; 0 where it is at hand

    template <class Archive>
    void serialize(Archive& ar, unsigned version) {
        ar& id;
        if constexpr (Archive::is_loading::value) read_as = version;
        for (std::uint32_t i = 0; i < additions.size() && i < version; ++i) ar& additions[i];
        const detail::OwnVersions own(ar, format_version_of<Machine>);
        ar& inner;
    }
};

/// What became of an operation: the machine's result and its place in the sequence.
template <class Machine>
struct NumberedResult {
    std::uint64_t number = 0;
    std::uint64_t flaw = 0;  ///< what is wrong with the state that has led to it
    detail::InnerResult<Machine> inner{};

    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& number& flaw;
        const detail::OwnVersions own(ar, format_version_of<Machine>);
        ar& inner;
    }
};

template <StateMachine Machine>
class Observed {
public:
    using Operation = NamedOperation<Machine>;
    static constexpr bool has_result = !std::is_void_v<ResultOf<Machine>>;
    using Inner = detail::InnerResult<Machine>;
    using Result = NumberedResult<Machine>;
    static constexpr std::uint32_t format_version =
        std::max(observed_additions, format_version_of<Machine>);

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
        seen.operation = detail::digest_of(sequence_->scratch, operation.inner) ^ added(operation);
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
        const detail::OwnVersions own(out, own_version);
        detail::write_machine(out, machine_);
    }
    /// @param done  called when the state is read
    template <class Done = void (*)()>
    void read(
        SnapshotReader& in, Done done = [] {}) {
        std::uint64_t signature = 0;  // of the one who wrote it
        in >> signature >> applied_ >> flaw_;
        {
            const detail::OwnVersions own(in, own_version);
            detail::read_machine(in, machine_);
        }
        done();
        sequence_->restored(node_, applied_);
        troubles_->has_flaw(node_, flaw_);
        if (sequence_->digest_due(applied_)) tell_state();
    }
    /// Only where the machine has it, so that each is captured in its own way.
    auto freeze() const requires Freezes<Machine> {
        sequence_->captured(node_, applied_);
        troubles_->called(node_, MachineCall::capture);
        return detail::Frozen<decltype(machine_.freeze()), own_version>{
            signature_, applied_, flaw_, machine_.freeze(), troubles_, node_};
    }

    void version_agreed(std::uint32_t version) {
        version_ = version;
        if constexpr (HearsVersion<Machine>) {
            machine_.version_agreed(std::min(version, own_version));
        }
    }

    /// In which operations are written by who has applied as much as this replica.
    FormatVersions versions() const { return {version_, format_version}; }

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
    static constexpr std::uint32_t own_version = format_version_of<Machine>;

    /// What the operation has beside that of an older program, and in which version it is applied.
    std::uint64_t added(const Operation& operation) const {
        if (operation.read_as > version_) sequence_->too_new(node_, operation.id, version_);
        raft::Digest digest;
        digest.add(std::uint64_t{version_});
        for (const std::uint64_t addition : operation.additions) digest.add(addition);
        return digest.value();
    }
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
    std::uint32_t version_ = 0;  // in force
    bool changes_at_once_ = false;
    // Beside the machine's own state: it shows in the results as the replicas compare them, and in
    // nothing that clients see, so that no other rule is broken by it.
    std::uint64_t flaw_ = 0;
};

}  // namespace rsm::sim

template <class Machine>
struct boost::serialization::version<rsm::sim::NamedOperation<Machine>>
    : std::integral_constant<int, rsm::sim::observed_additions> {};

#endif
