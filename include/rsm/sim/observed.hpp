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

#include <raft/stream.hpp>
#include <raft/types.hpp>
#include <rsm/archive.hpp>
#include <rsm/snapshot.hpp>
#include <rsm/state_machine.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::sim {

namespace detail {

class DigestSink final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> bytes) override { digest.add(bytes); }
    raft::Digest digest;
};

template <class T>
concept Archivable = requires(BufferWriter& out, const T& value) {
    out << value;
};

/// Of anything that an archive can carry; 0 for anything else.
template <class T>
std::uint64_t digest_of(BufferWriter& scratch, const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return static_cast<std::uint64_t>(value);
    } else {
        scratch.clear();
        scratch << value;
        raft::Digest digest;
        digest.add(scratch.view());
        return digest.value();
    }
}

/// A machine may say itself what its state amounts to, where equal states may be written in
/// different ways.
template <class Machine>
std::uint64_t state_digest(const Machine& machine) {
    if constexpr (requires {
                      { machine.digest() } -> std::convertible_to<std::uint64_t>;
                  }) {
        return machine.digest();
    } else {
        DigestSink sink;
        rsm::detail::write_state(sink, machine);
        return sink.digest.value();
    }
}

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
    /// In the order of application; the first has number 1.
    const std::vector<Applied>& applied() const { return applied_; }
    bool digest_due(std::uint64_t number) const { return number % digest_every_ == 0; }

    /// @param number  how many operations the replica has applied, this one included
    void apply(raft::NodeId node, std::uint64_t number, const Applied& what) {
        if (number == applied_.size() + 1) {
            applied_.push_back(what);
            return;
        }
        if (number > applied_.size()) {
            return complain(node, number, "was applied before the operations that precede it");
        }
        const Applied& first = applied_[number - 1];
        if (first.id != what.id || first.operation != what.operation) {
            complain(node, number, "is another operation than on the node that applied it first");
        } else if (first.result != what.result) {
            complain(node, number, "had another result than on the node that applied it first");
        }
    }
    void state(raft::NodeId node, std::uint64_t number, std::uint64_t digest) {
        const auto [place, first] = states_.try_emplace(number, digest);
        if (!first && place->second != digest) {
            complain(node, number, "led to another state than on the node that applied it first");
        }
    }

private:
    void complain(raft::NodeId node, std::uint64_t number, const char* what) {
        complain_(node, "operation " + std::to_string(number) + " " + what);
    }

    std::function<void(raft::NodeId, std::string)> complain_;
    std::uint64_t digest_every_;
    std::vector<Applied> applied_;
    std::map<std::uint64_t, std::uint64_t> states_;
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
    using Inner = std::conditional_t<has_result, ResultOf<Machine>, std::monostate>;
    using Result = NumberedResult<Inner>;

    Observed(Machine machine, std::shared_ptr<Witness> witness, raft::NodeId node)
        : machine_(std::move(machine)), witness_(std::move(witness)), node_(node) {}

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
        if constexpr (has_result && detail::Archivable<Inner>) {
            seen.result = detail::digest_of(witness_->scratch, result.inner);
        }
        witness_->apply(node_, applied_, seen);
        if (witness_->digest_due(applied_)) tell_state();
        return result;
    }

    void snapshot(SnapshotWriter& out) const {
        out << applied_;
        write_inner(out, machine_);
    }
    void restore(SnapshotReader& in) {
        in >> applied_;
        if constexpr (SnapshotsByHand<Machine>) {
            machine_.restore(in);
        } else {
            in >> machine_;
        }
        if (witness_->digest_due(applied_)) tell_state();
    }
    /// Only where the machine has it, so that each is captured in its own way.
    auto freeze() const requires Freezes<Machine> {
        return detail::Frozen<decltype(machine_.freeze())>{applied_, machine_.freeze()};
    }

    const Machine& machine() const { return machine_; }
    /// How many operations this replica has applied.
    std::uint64_t applied() const { return applied_; }
    void tell_state() const { witness_->state(node_, applied_, detail::state_digest(machine_)); }

private:
    template <class State>
    static void write_inner(SnapshotWriter& out, const State& state) {
        if constexpr (requires { state.snapshot(out); }) {
            state.snapshot(out);
        } else {
            out << state;
        }
    }
    Machine machine_;
    std::shared_ptr<Witness> witness_;
    raft::NodeId node_;
    std::uint64_t applied_ = 0;
};

}  // namespace rsm::sim

#endif
