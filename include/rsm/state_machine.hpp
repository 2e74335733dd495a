// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user's type must provide to be replicated, and its refinements.
#ifndef RSM_STATE_MACHINE_HPP
#define RSM_STATE_MACHINE_HPP

#include <rsm/archive.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace rsm {

/// The minimum: an operation type that an archive can carry, and a function that takes it in.
///
/// `apply` must be deterministic: the same operations in the same order give the same state and
/// the same results on every node. No clock, no randomness, no addresses, no iteration over
/// unordered containers where the order shows. It must not throw, nor may `snapshot`, `restore`
/// and `freeze`; if one does, the node stops.
template <class SM>
concept Applies = std::movable<SM> && std::default_initializable<typename SM::Operation> &&
                  std::movable<typename SM::Operation> &&
                  requires(SM machine, const typename SM::Operation& operation) {
                      machine.apply(operation);
                  };

/// Writes and replaces its whole state by hand. `restore` must leave nothing of the state before.
template <class SM>
concept SnapshotsByHand = requires(SM machine, const SM& fixed, SnapshotWriter& out,
                                   SnapshotReader& in) {
    fixed.snapshot(out);
    machine.restore(in);
};

/// Gives a cheap immutable image of its state, which is written on another thread while `apply`
/// goes on: it must not share anything with the machine that `apply` changes. Its form is
/// that of `snapshot`, so that `restore` reads it.
template <class SM>
concept Freezes = requires(const SM& fixed, SnapshotWriter& out) {
    { fixed.freeze() } -> std::movable;
    std::declval<const decltype(fixed.freeze())&>().snapshot(out);
};

/// A deterministic state machine: `Applies`, and a state that can be saved, either by hand
/// (`snapshot` and `restore`) or because an archive can carry the whole object (`serialize`).
///
/// A machine that has neither is refused where the archive explains what is missing.
template <class SM>
concept StateMachine = Applies<SM>;

/// What `apply` returns; `void` is allowed.
template <StateMachine SM>
using ResultOf = std::remove_cvref_t<decltype(std::declval<SM&>().apply(
    std::declval<const typename SM::Operation&>()))>;

}  // namespace rsm

#endif
