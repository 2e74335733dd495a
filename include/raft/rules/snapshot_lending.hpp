// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who lacks entries that the others have in their snapshots only, and has no leader to send it one,
// borrows one of these. Without that a majority that damage has struck at different places could
// wait for each other for ever: log_repair.hpp brings what is in logs.
//
//     lacks entries                        has released them
//       |-- VoteRequest: lacks_entries ------>|
//       |<-- SourceReply: this one -----------|
//       |-- SourceRequest: a piece ---------->|
//       |<-- SourceChunk: it -----------------|   and so on, one piece at a time
//
// It is the exchange of snapshot_source.hpp with the node that lacks entries in the place of a
// leader: what is under way only that one knows (IncomingSnapshot), and the lender keeps its newest
// snapshot anyway. A piece that is lost is asked for again when a snapshot is offered again, which
// is done at each question for entries; but not before it is late, as measured by those before it.
// No pace is kept: nothing is served meanwhile.
//
// - It is safe, because a snapshot is of committed entries, whoever has it; and what the node has
//   promised stays what it was. Only when its log has come to that again, with what is left of it
//   behind the damage or with what others have, the node counts (log_repair.hpp).
// - It ends. What comes forward is not given up for another lender's, but for a leader's. What does
//   not, or is not what it should be, is; and its lender is passed over for a time that grows.
#ifndef RSM_RAFT_RULES_SNAPSHOT_LENDING_HPP
#define RSM_RAFT_RULES_SNAPSHOT_LENDING_HPP

#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/log_repair.hpp>
#include <raft/rules/snapshot_receiving.hpp>
#include <raft/rules/snapshot_source.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

// ---- the lender --------------------------------------------------------------------------------

inline bool is_lent_a_piece(const Snapshots& snapshots, NodeId reader) {
    return std::any_of(snapshots.lent.begin(), snapshots.lent.end(),
                       [reader](const LentPiece& lent) { return lent.reader == reader; });
}

/// To one that asks for entries which this log does not have any more: the one who asks cannot have
/// what this log begins behind, for terms never fall along a log; or may lack it, and there is
/// nothing behind it that would show whether it does. While a piece is being read for it, it has
/// nothing to ask for.
inline void offer_snapshot(const Step& step, const Office& office, const ElectionTimer& timer,
                           const Log& log, const Snapshots& snapshots, NodeId sender,
                           const VoteRequest& request) {
    const LogPosition base = log.base();
    const bool lacks_base = request.last.index < base.index || request.last.term < base.term;
    const bool is_all = log.durable() <= base.index && request.last != base;
    if (!request.lacks_entries || snapshots.newest.empty() || !(lacks_base || is_all)) return;
    if (has_leader(step, office, timer) || step.membership().find(sender) == nullptr) return;
    if (is_lent_a_piece(snapshots, sender)) return;
    step.send(sender, SourceReply{step.term(), sender, snapshots.newest});
}

/// A piece of the newest snapshot is read for one that asks for it itself; another one is not there
/// any more. One after the other, however often it is asked for.
inline void lend_piece(const Step& step, const Office& office, const ElectionTimer& timer,
                       Snapshots& snapshots, const SourceRequest& request) {
    const SnapshotMeta& newest = snapshots.newest;
    const NodeId reader = request.target;
    if (newest.empty() || has_leader(step, office, timer)) return;
    if (step.membership().find(reader) == nullptr || is_lent_a_piece(snapshots, reader)) return;
    const bool is_newest = newest.is_named(request.last, request.checksum);
    if (!is_newest) return step.send(reader, SourceReply{step.term(), reader, newest});
    if (request.bytes == 0 || request.offset > newest.size) return;
    snapshots.lent.push_back({reader, request.offset});
    load_requested(step, reader, newest, request);
}

/// Sends a piece that was read, if it was for one that has asked for it itself.
inline void send_lent(const Step& step, Snapshots& snapshots, ChunkLoaded& loaded) {
    const LentPiece piece{loaded.reader, loaded.offset};
    const bool was_asked_for = std::erase(snapshots.lent, piece) != 0;
    if (!was_asked_for || loaded.meta != snapshots.newest || !may_send_much(step)) return;
    if (!loaded.data) {
        return step.announce(EventKind::snapshot_unreadable, step.self, loaded.meta.last.index);
    }
    step.send(loaded.reader, SourceChunk{step.term(), NodeId{}, loaded.meta, loaded.offset,
                                         std::move(*loaded.data)});
}

/// What was lent is not what it should be: only a new one is surely good.
inline void take_rejection(const Step& step, const Office& office, const SnapshotMeta& newest,
                           NodeId sender, const SnapshotReply& reply) {
    const bool is_newest = newest.is_named(reply.last, reply.checksum);
    if (office.leads() || !reply.rejected() || newest.empty() || !is_newest) return;
    step.announce(EventKind::snapshot_unreadable, sender, newest.last.index);
}

/// A leader sends snapshots, or has them sent; and who lacks nothing borrows nothing.
inline void end_lending(const Step& step, const Office& office, const ElectionTimer& timer,
                        const Log& log, Snapshots& snapshots) {
    const bool has_one = has_leader(step, office, timer);
    if (has_one) snapshots.lent.clear();
    if (has_one || log.is_whole()) snapshots.bad_lenders.clear();
}

// ---- the borrower ------------------------------------------------------------------------------

inline void ask_for_piece(const Step& step, const IncomingSnapshot& incoming) {
    const SnapshotMeta& meta = incoming.meta;
    step.send(incoming.source, SourceRequest{step.term(), step.self, meta.last, meta.checksum,
                                             incoming.kept, step.options.snapshot_chunk_bytes});
}

inline BadLender* find_bad(Snapshots& snapshots, NodeId lender) {
    const auto found = std::find_if(snapshots.bad_lenders.begin(), snapshots.bad_lenders.end(),
                                    [lender](const BadLender& bad) { return bad.node == lender; });
    return found == snapshots.bad_lenders.end() ? nullptr : &*found;
}
/// What this one lends is of no use, or not at present.
inline void pass_over(const Step& step, Snapshots& snapshots, NodeId lender) {
    BadLender* bad = find_bad(snapshots, lender);
    if (bad == nullptr) bad = &snapshots.bad_lenders.emplace_back(BadLender{lender, {}});
    bad->pause = std::clamp(2 * bad->pause, longest_patience(step), 8 * longest_patience(step));
    bad->until = step.now + bad->pause;
}
inline bool is_passed_over(const Step& step, Snapshots& snapshots, NodeId lender) {
    const BadLender* const bad = find_bad(snapshots, lender);
    return bad != nullptr && step.now < bad->until;
}

/// Whether the transfer that is under way may go on from this lender, which offers the same, or
/// gives way to what it offers: if its own lender has that no more, if it stands and what is
/// offered is higher, or if it has stood for long.
inline bool may_take(const Step& step, const IncomingSnapshot& incoming, NodeId lender,
                     const SnapshotMeta& offered) {
    if (incoming.over || !incoming.storing.empty()) return false;
    const Duration timeout = step.options.election_timeout;
    const Duration stands = step.now - incoming.moved_at;
    if (incoming.meta == offered) {
        return incoming.leader ? stands >= timeout : step.now >= incoming.again_at;
    }
    if (!incoming.leader && incoming.source == lender) return true;
    const bool is_higher = incoming.meta.last.index < offered.last.index;
    const Duration patience = std::max(incoming.patience, timeout);
    return stands >= (is_higher ? patience : 2 * longest_patience(step));
}

/// Whether all that the snapshot stands for is here: then it brings nothing.
inline bool has_all_of(const Log& log, const SnapshotMeta& meta) {
    return meta.last.index <= log.commit() || log.matches(meta.last);
}

/// One of the others has released what is lacking here, and could send this.
inline void take_offer(const Step& step, const Office& office, const ElectionTimer& timer,
                       const Log& log, Snapshots& snapshots, NodeId sender,
                       const SourceReply& offer) {
    if (offer.target != step.self || !repairs_log(step, office, timer, log)) return;
    if (offer.meta.empty() || has_all_of(log, offer.meta)) return;
    if (is_passed_over(step, snapshots, sender)) return;
    std::optional<IncomingSnapshot>& incoming = snapshots.incoming;
    if (incoming && !may_take(step, *incoming, sender, offer.meta)) return;
    const bool is_other = incoming && incoming->meta != offer.meta;
    const bool is_lower = is_other && offer.meta.last.index <= incoming->meta.last.index;
    if (is_lower && !incoming->leader && incoming->source && incoming->source != sender) {
        pass_over(step, snapshots, incoming->source);
    }
    if (!incoming || is_other) incoming = IncomingSnapshot{offer.meta};
    const bool begins = incoming->patience == Duration{};
    if (begins) incoming->moved_at = step.now;
    incoming->leader = NodeId{};
    incoming->source = sender;
    incoming->asked_again(step.options.election_timeout, longest_patience(step), step.now);
    ask_for_piece(step, *incoming);
}

/// The piece that was asked for has come.
inline void take_lent(const Step& step, const Office& office, const ElectionTimer& timer,
                      const Log& log, std::optional<IncomingSnapshot>& incoming, NodeId sender,
                      SourceChunk& chunk) {
    if (!repairs_log(step, office, timer, log)) return;
    const bool is_wanted = incoming && !incoming->over && !incoming->leader &&
                           incoming->source == sender && incoming->meta == chunk.meta &&
                           incoming->next_offset == chunk.offset && incoming->storing.empty();
    const bool brings_nothing = chunk.data.empty() && chunk.offset < chunk.meta.size;
    if (!is_wanted || brings_nothing) return;
    incoming->moved(step.options.election_timeout, step.now);
    store_chunk(step, *incoming, chunk.offset, std::move(chunk.data));
}

/// What became of a piece that was borrowed: the next one is asked for, or the lender is told that
/// the whole is damaged, and passed over.
inline void take_borrowed(const Step& step, const Office& office, const ElectionTimer& timer,
                          const Log& log, Snapshots& snapshots, const ChunkStored& stored) {
    std::optional<IncomingSnapshot>& incoming = snapshots.incoming;
    const bool is_borrowed = incoming && incoming->meta == stored.meta && !incoming->leader &&
                             incoming->source && incoming->storing.empty();
    if (!is_borrowed) return;
    if (stored.outcome == ChunkOutcome::rejected) {
        reply_snapshot(step, log, incoming->source, stored.meta, 0, TransferOutcome::rejected);
        pass_over(step, snapshots, incoming->source);
    } else if (stored.outcome == ChunkOutcome::stored && !incoming->over &&
               repairs_log(step, office, timer, log)) {
        incoming->asked(step.now);
        ask_for_piece(step, *incoming);
    }
}

}  // namespace raft

#endif
