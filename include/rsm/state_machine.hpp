// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user's type must provide to be replicated, and its refinements.
#ifndef RSM_STATE_MACHINE_HPP
#define RSM_STATE_MACHINE_HPP

#include <raft/base/types.hpp>
#include <rsm/archive.hpp>

#include <concepts>
#include <cstdint>
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

/// Keeps its state on a disk of its own, a database say, together with how far it has come in the
/// log; so no start restores or repeats what is in there already, and each operation gets into the
/// database once.
///
/// - `applied()`: the position of the last operation in the state; 0@0 if there is none. It is kept
///   with the state, so that after a crash both are those of one moment, be it an earlier one.
/// - `apply(operation, position)`: takes the operation in and notes its position, in one
///   transaction. If it throws it has changed nothing.
/// - `restore(reader, last)`: replaces the state, and notes the position `last`. A crash in the
///   midst leaves the state before, or one that says of itself that it is at 0@0; the next start
///   restores again.
/// - what `freeze()` returns, if there is one, has an `applied()` too: the position of the last
///   operation in the image. It may lie before the machine's own. One that makes several operations
///   durable together hands out what is durable, for the log is released up to the image only, and
///   what is lost in a crash comes from there again.
///
/// Such a machine gets operations only once they are durable in the node's own log. A start is
/// refused if the log does not reach as far as the machine, or has another history. Make the
/// machine anew for each start, from what its disk holds; a copy of it is not needed, and a
/// snapshot of it takes room in the node's directory for one state.
template <class SM>
concept Persistent = std::movable<SM> && HasOperation<SM> &&
    requires(SM& machine, const SM& fixed, const typename SM::Operation& operation,
             raft::LogPosition position) {
    { fixed.applied() } -> std::convertible_to<raft::LogPosition>;
    machine.apply(operation, position);
};

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
    (Persistent<SM> ||
     requires(SM & machine, const typename SM::Operation& operation) { machine.apply(operation); });

/// Writes its state by hand, without changing it.
template <class SM>
concept WritesSnapshot = requires(const SM& fixed, SnapshotWriter& out) {
    fixed.snapshot(out);
};

/// Replaces its whole state by hand, leaving nothing of the state before.
template <class SM>
concept ReadsSnapshot =
    (Persistent<SM> &&
     requires(SM & machine, SnapshotReader& in) { machine.restore(in, raft::LogPosition{}); }) ||
    (!Persistent<SM> && requires(SM & machine, SnapshotReader& in) { machine.restore(in); });

/// Both sides by hand. One of them alone is refused: what it writes nothing could read.
template <class SM>
concept SnapshotsByHand = WritesSnapshot<SM> && ReadsSnapshot<SM>;

/// Leaves both sides to an archive, which carries the whole object (`serialize`).
template <class SM>
concept SnapshotsByArchive = !Persistent<SM> && !WritesSnapshot<SM> && !ReadsSnapshot<SM> &&
                             Serializable<SM> && !requires(SM & machine, SnapshotWriter& out) {
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

/// The image says how far it has come; see Persistent.
template <class SM>
concept FreezesWithPosition = Freezes<SM> && requires(const SM& fixed) {
    {
        std::declval<const decltype(fixed.freeze())&>().applied()
        } -> std::convertible_to<raft::LogPosition>;
};

/// What does not freeze is written in place once its state is large (Options::max_captured_bytes):
/// the storage's thread calls `snapshot`, or `serialize`, while the node applies nothing and goes
/// on to answer reads. So const functions may run side by side, as those of the standard library.
/// Nobody waits for a disk that hangs, so that thread may still read the machine, and be the one to
/// destroy it, after the Replicated and while the program ends: the machine owns what it writes,
/// uses no object that may be gone by then, and lets pass what the archive throws to end it early.
template <class SM>
concept SnapshotsInPlace = (SnapshotsByHand<SM> || SnapshotsByArchive<SM>)&&!Freezes<SM>;

/// Has changed, or may, what its operations, results and snapshots consist of, while a cluster
/// runs: the programs of its members are replaced one after the other, and until the last one is,
/// nothing may be written that an older one does not read.
///
/// `static constexpr std::uint32_t format_version = N` is the highest version that this program
/// reads and writes; the first is 0, as is that of a machine that does not say. A class that
/// changes gets the machine's new version as its BOOST_CLASS_VERSION, and its `serialize`, or
/// `save`, writes what the version that it is called with says, be it an earlier one; what is new
/// has then the value that reading the earlier one gives, on the node that took the operation in,
/// too. Those who write and read by hand ask `out.version()` and `in.version()`. Operations, and
/// after them snapshots, are written in the highest version that every member has said to read,
/// which is agreed on through the log (raft::Membership::version) and never falls. A node whose
/// program knows less than that stops, or does not start, with a sentence that says so.
template <class SM>
concept Versioned = requires {
    typename std::integral_constant<std::uint32_t, SM::format_version>;
};
template <class SM>
inline constexpr std::uint32_t format_version_of = 0;
template <Versioned SM>
inline constexpr std::uint32_t format_version_of<SM> = SM::format_version;

/// Wants to know which version is agreed on. `version_agreed(N)` is called between two operations,
/// on every node between the same two, and after each `restore`. So what `apply` does may depend on
/// it: an operation may begin to mean more once all know that. At first it is 0. One that keeps its
/// state itself hears it at each start.
template <class SM>
concept HearsVersion = requires(SM& machine, std::uint32_t version) {
    machine.version_agreed(version);
};

/// A deterministic state machine: `Applies`, and a state that can be saved and read back, either
/// by hand (`snapshot` and `restore`) or because an archive can carry the whole object
/// (`serialize`). Replicated says in a sentence what another one lacks.
template <class SM>
concept StateMachine = Applies<SM> &&
    (SnapshotsByHand<SM> || SnapshotsByArchive<SM>)&&(SnapshotsByHand<SM> || !Freezes<SM>)&&(
        !Persistent<SM> || !Freezes<SM> || FreezesWithPosition<SM>);

namespace detail {

template <class SM>
struct AppliedTo {
    using Type = decltype(std::declval<SM&>().apply(std::declval<const typename SM::Operation&>()));
};
template <Persistent SM>
struct AppliedTo<SM> {
    using Type = decltype(std::declval<SM&>().apply(std::declval<const typename SM::Operation&>(),
                                                    raft::LogPosition{}));
};

}  // namespace detail

/// What `apply` returns; `void` is allowed.
template <Applies SM>
using ResultOf = std::remove_cvref_t<typename detail::AppliedTo<SM>::Type>;

}  // namespace rsm

#endif
