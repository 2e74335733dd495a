// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whom an Engine works for: the one that has the state machine.
#ifndef RSM_RAFT_DRIVER_HOST_HPP
#define RSM_RAFT_DRIVER_HOST_HPP

#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>

#include <concepts>
#include <memory>
#include <span>
#include <utility>

namespace raft::inline v0 {

/// What an Engine tells the one it works for. All calls happen inside Engine::turn(), inside
/// Engine::start() or inside a callback of one of the policies, except `wake`, which happens
/// whenever something has come in.
///
/// - `wake()`: call turn() soon, on the executor, not from within this call.
/// - `proposed(outcome)`, `read_ready(outcome)`, `change_ended(outcome)`,
///   `handover_ended(outcome)`: answers to propose(), read(), change_members() and hand_over().
/// - `apply(entries)`: committed entries, in order, each exactly once since the start or the last
///   restore. They count as applied when the call returns, unless the host says later that they are
///   (PacingHost).
/// - `restore(meta, source)`: replace the state by a snapshot, whose content the source has, a
///   std::unique_ptr that is the host's from then on. A failure is final.
/// - `snapshot_saved(meta)`: a snapshot that take_snapshot() asked for is durable.
/// - `snapshot_failed(failure)`: it could not be made; the log stays, and the host may ask again
///   later.
/// - `observe(event)`: something noteworthy.
/// - `tick(now)`: once per turn, at its end; returns when the next turn is wanted at the latest.
/// - `failed(failure)`: the node has stopped for good (nothing more is sent, written or applied).
template <class H>
concept EngineHost = requires(H host, const ProposalOutcome& proposal, const ReadOutcome& read,
                              const ChangeOutcome& change, const HandoverOutcome& handover,
                              std::span<const Entry> entries, const SnapshotMeta& meta,
                              std::unique_ptr<ByteSource> source, const Event& event,
                              const Failure& failure, Time now) {
    host.wake();
    host.proposed(proposal);
    host.read_ready(read);
    host.change_ended(change);
    host.handover_ended(handover);
    host.apply(entries);
    { host.restore(meta, std::move(source)) } -> std::same_as<Result<void>>;
    host.snapshot_saved(meta);
    host.snapshot_failed(failure);
    host.observe(event);
    { host.tick(now) } -> std::same_as<Time>;
    host.failed(failure);
};

/// An EngineHost whose state machine may work elsewhere, and is waited for.
///
/// - `apply(entries)` returns whether they count as applied already. If not, the host keeps what it
///   needs of them, which it does not own, and calls Engine::applied() with the last one's index
///   when the state machine has taken them in. Until then no others come, reads that need them
///   wait, and on a leader they count in Options::max_uncommitted_bytes, so that proposals are
///   refused as overload instead of piling up.
/// - `restore(meta, source)` may come meanwhile; it covers these entries. What is left of them can
///   be dropped; saying that they are applied is neither needed nor harmful then. But for that of
///   start(), it may be put off likewise: the host keeps the source, and has entries that come wait
///   behind it. No read is answered meanwhile, for that takes an entry of the leader's own term to
///   be applied. One that fails later is told to fail().
template <class H>
concept PacingHost = EngineHost<H> && requires(H host, std::span<const Entry> entries) {
    { host.apply(entries) } -> std::same_as<bool>;
};

/// An EngineHost whose state machine keeps its state itself.
///
/// - `recovered(recovered)`, in start(), before anything else: the index up to which the state has
///   been applied; all that is committed then. Where it reaches the snapshot, that is not restored,
///   and apply() begins behind it. A failure says that state and log are not of one history, and
///   ends the start. Where the log has lost entries (Recovered::promised), the state may be beyond
///   that index, and beyond the log: entries come again then, and a restore() may lie before what
///   the state has.
template <class H>
concept PersistentHost = EngineHost<H> && requires(H host, const Recovered& recovered) {
    { host.recovered(recovered) } -> std::same_as<Result<Index>>;
};

/// An EngineHost that finds out whether its state machine differs from those of the others.
///
/// - `compare(told)`: what another member says of its own; see StateMarks, and
/// Engine::tell_marks().
template <class H>
concept ComparingHost = EngineHost<H> && requires(H host, const MarksTold& told) {
    host.compare(told);
};

/// An EngineHost that measures.
///
/// - `write_begun(write)`: it is about to be handed to the storage; `write_ended(failed)`: the
///   oldest of those has come to its end.
/// - `received(message)`: it has come and is about to be taken in, or refused.
template <class H>
concept MeasuringHost = EngineHost<H> &&
    requires(H host, const Write& write, const Message& message) {
    host.write_begun(write);
    host.write_ended(true);
    host.received(message);
};

}  // namespace raft

#endif
