// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user's type must provide to be replicated, and its refinements.
#ifndef RSM_STATE_MACHINE_HPP
#define RSM_STATE_MACHINE_HPP

#include <rsm/archive.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace rsm::inline v0 {

/// Names the type of its operations.
template <class SM>
concept HasOperation = requires {
    typename SM::Operation;
};

/// An operation is written to the log and read from it again.
template <class T>
concept Loggable = std::movable<T> && std::default_initializable<T> && Serializable<T>;

/// The minimum: an operation type that an archive can carry, and a function that takes it in.
///
/// `apply` must be deterministic: the same operations in the same order give the same state and
/// the same results on every node. No clock, no randomness, no addresses, no iteration over
/// unordered containers where the order shows.
///
/// Replicas compare what they have applied, operations and results, where an archive can carry the
/// results; who is outvoted by a majority stops. A machine whose results are not deterministic by
/// intent says `static constexpr bool compares_results = false`.
///
/// It must not throw, nor may `snapshot`, `restore` and `freeze`: an operation that cannot be
/// carried out is a result that says so, not an exception. If `apply` throws, the node stops, and
/// so does every other node that comes to the operation, again after each restart, because the
/// operation stands in the log of all; with a majority of them the cluster is down. The failure
/// names its index and what was thrown, and Options::skip_operations is the way out.
template <class SM>
concept Applies = std::movable<SM> && HasOperation<SM> && Loggable<typename SM::Operation> &&
    requires(SM machine, const typename SM::Operation& operation) {
    machine.apply(operation);
};

/// Writes its state by hand, without changing it.
template <class SM>
concept WritesSnapshot = requires(const SM& fixed, SnapshotWriter& out) {
    fixed.snapshot(out);
};

/// Replaces its whole state by hand, leaving nothing of the state before.
template <class SM>
concept ReadsSnapshot = requires(SM& machine, SnapshotReader& in) {
    machine.restore(in);
};

/// Both sides by hand. One of them alone is refused: what it writes nothing could read.
template <class SM>
concept SnapshotsByHand = WritesSnapshot<SM> && ReadsSnapshot<SM>;

/// Leaves both sides to an archive, which carries the whole object (`serialize`).
template <class SM>
concept SnapshotsByArchive = !WritesSnapshot<SM> && !ReadsSnapshot<SM> && Serializable<SM> &&
                             !requires(SM & machine, SnapshotWriter& out) {
    machine.snapshot(out);
};

/// Gives a cheap immutable image of its state, which is written on another thread while `apply`
/// goes on: it must not share anything with the machine that `apply` changes. Its form is
/// that of `snapshot`, so that `restore` reads it: a machine that freezes has both of them too.
/// Nobody waits for a disk that hangs, so an image may be at work while the program ends: it owns
/// what it reads, and uses no object that is destroyed at exit.
template <class SM>
concept Freezes = requires(const SM& fixed, SnapshotWriter& out) {
    { fixed.freeze() } -> std::movable;
    std::declval<const decltype(fixed.freeze())&>().snapshot(out);
};

/// A deterministic state machine: `Applies`, and a state that can be saved and read back, either
/// by hand (`snapshot` and `restore`) or because an archive can carry the whole object
/// (`serialize`). Replicated says in a sentence what another one lacks.
template <class SM>
concept StateMachine = Applies<SM> &&
    (SnapshotsByHand<SM> || SnapshotsByArchive<SM>)&&(SnapshotsByHand<SM> || !Freezes<SM>);

/// What `apply` returns; `void` is allowed.
template <Applies SM>
using ResultOf = std::remove_cvref_t<decltype(std::declval<SM&>().apply(
    std::declval<const typename SM::Operation&>()))>;

}  // namespace rsm

#endif
