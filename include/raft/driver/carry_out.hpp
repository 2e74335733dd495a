// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The one safe order in which what a step asks for is carried out. Everybody who drives a Core
// takes it from here: the Engine, and those who test or explore Cores without one.
#ifndef RSM_RAFT_DRIVER_CARRY_OUT_HPP
#define RSM_RAFT_DRIVER_CARRY_OUT_HPP

#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>

#include <concepts>
#include <span>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Whoever does what an Output asks for, a piece at a time. How the pieces are answered is said in
/// step.hpp.
///
/// - `begin_write(write)`: make it durable; answered by Persisted.
/// - `send(message)`: it may leave now.
/// - `send_after(deferred)`: it may leave when the write that it names is durable, which may be so
///   already. In the order of the calls.
/// - `apply(entries)`: never empty; answered by Applied.
/// - `stopped()`: nothing more may happen; asked after what may fail.
template <class H>
concept OutputHandler = requires(H handler, Write write, Message message, DeferredMessage deferred,
                                 const ProposalOutcome& proposal, const SnapshotMeta& meta,
                                 std::span<const Entry> entries, const ReadOutcome& read,
                                 const ChangeOutcome& change, const HandoverOutcome& handover,
                                 const LoadEntries& load, const LoadDetached& detached,
                                 const LoadChunk& chunk, StoreChunk store,
                                 const std::vector<Index>& needed, const Event& event,
                                 const MarksTold& told) {
    handler.begin_write(std::move(write));
    handler.send(std::move(message));
    handler.send_after(std::move(deferred));
    handler.proposed(proposal);
    handler.restore(meta);
    handler.apply(entries);
    handler.read_ready(read);
    handler.change_ended(change);
    handler.handover_ended(handover);
    handler.load(load);
    handler.load(detached);
    handler.load(chunk);
    handler.store(std::move(store));
    handler.abandon_transfer();
    handler.drop_snapshots_except(needed);
    handler.observe(event);
    handler.compare(told);
    { handler.stopped() } -> std::convertible_to<bool>;
};

/// The order is the point: a write begins before anything that counts on it is sent, what waits for
/// a write is queued under its number, the state machine sees a restored state before the entries
/// that follow it, and a read sees all of these.
template <OutputHandler H>
void carry_out(Output& output, H& handler) {
    if (output.write) handler.begin_write(std::move(*output.write));
    for (Message& message : output.send) handler.send(std::move(message));
    for (DeferredMessage& deferred : output.send_after) handler.send_after(std::move(deferred));
    for (const ProposalOutcome& outcome : output.proposals) handler.proposed(outcome);
    if (output.restore) {
        handler.restore(*output.restore);
        if (handler.stopped()) return;
    }
    if (!output.apply.empty()) {
        handler.apply(output.apply);
        if (handler.stopped()) return;
    }
    for (const ReadOutcome& outcome : output.reads) handler.read_ready(outcome);
    for (const ChangeOutcome& outcome : output.changes) handler.change_ended(outcome);
    for (const HandoverOutcome& outcome : output.handovers) handler.handover_ended(outcome);
    for (const LoadEntries& load : output.load_entries) handler.load(load);
    if (output.load_detached) handler.load(*output.load_detached);
    for (const LoadChunk& load : output.load_chunks) handler.load(load);
    for (StoreChunk& store : output.store_chunks) handler.store(std::move(store));
    if (output.abandon_transfer) handler.abandon_transfer();
    if (!output.needed_snapshots.empty()) handler.drop_snapshots_except(output.needed_snapshots);
    for (const Event& event : output.events) {
        handler.observe(event);
    }
    for (const MarksTold& told : output.marks) handler.compare(told);
}

}  // namespace raft

#endif
