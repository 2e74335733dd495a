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
// snapshot anyway. A piece that is lost is asked for again when the lender offers its snapshot
// again, which it does at each question for entries.
//
// - It is safe, because a snapshot is of committed entries, whoever has it; and what the node has
//   promised stays what it was. Only when its log has come to that again, with what is left of it
//   behind the damage or with what others have, the node counts (log_repair.hpp).
// - It ends. A higher snapshot takes the place of a lower one, of which there are finitely many;
//   any other one only where nothing has come forward for long; and a leader's has precedence.
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
#include <raft/rules/snapshot_sending.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

// ---- the lender --------------------------------------------------------------------------------

/// To one that asks for entries which this log does not have any more: the one who asks cannot have
/// what this log begins behind, for terms never fall along a log; or may lack it, and there is
/// nothing behind it that would show whether it does.
inline void offer_snapshot(const Step& step, const Office& office, const ElectionTimer& timer,
                           const Log& log, const SnapshotMeta& newest, NodeId sender,
                           const VoteRequest& request) {
    const LogPosition base = log.base();
    const bool lacks_base = request.last.index < base.index || request.last.term < base.term;
    const bool is_all = log.durable() <= base.index && request.last != base;
    if (!request.lacks_entries || newest.empty() || !(lacks_base || is_all)) return;
    if (has_leader(step, office, timer) || step.membership().find(sender) == nullptr) return;
    step.send(sender, SourceReply{step.term(), sender, newest});
}

/// A piece of the newest snapshot is read for one that asks for it itself; another one is not there
/// any more.
inline void lend_piece(const Step& step, const Office& office, const ElectionTimer& timer,
                       Snapshots& snapshots, const SourceRequest& request) {
    const SnapshotMeta& newest = snapshots.newest;
    const NodeId reader = request.target;
    if (newest.empty() || has_leader(step, office, timer)) return;
    if (step.membership().find(reader) == nullptr) return;
    const bool is_newest = request.last == newest.last && request.checksum == newest.checksum;
    if (!is_newest) return step.send(reader, SourceReply{step.term(), reader, newest});
    if (request.bytes == 0 || request.offset > newest.size) return;
    std::erase_if(snapshots.lent,
                  [reader](const LentPiece& lent) { return lent.reader == reader; });
    snapshots.lent.push_back({reader, request.offset});
    const std::uint64_t largest = step.options.snapshot_chunk_bytes;
    step.out.load_chunks.push_back({reader, newest, request.offset,
                                    static_cast<std::size_t>(std::min(request.bytes, largest))});
}

/// Sends a piece that was read, if it was for one that has asked for it itself.
inline void send_lent(const Step& step, Snapshots& snapshots, ChunkLoaded& loaded) {
    const LentPiece piece{loaded.reader, loaded.offset};
    const bool was_asked_for = std::erase(snapshots.lent, piece) != 0;
    if (!was_asked_for || loaded.meta != snapshots.newest) return;
    if (!loaded.data) {
        return step.announce(EventKind::snapshot_unreadable, step.self, loaded.meta.last.index);
    }
    step.send(loaded.reader, SourceChunk{step.term(), NodeId{}, loaded.meta, loaded.offset,
                                         std::move(*loaded.data)});
}

/// A leader sends snapshots, or has them sent.
inline void end_lending(const Step& step, const Office& office, const ElectionTimer& timer,
                        Snapshots& snapshots) {
    if (has_leader(step, office, timer)) snapshots.lent.clear();
}

// ---- the borrower ------------------------------------------------------------------------------

/// Whether a snapshot that is offered may take the place of the one that comes in.
inline bool may_replace(const Step& step, const IncomingSnapshot& incoming,
                        const SnapshotMeta& offered) {
    const Duration since = step.now - incoming.moved_at;
    if (incoming.meta == offered) return since >= step.options.election_timeout;
    const bool is_higher = !incoming.leader && incoming.meta.last.index < offered.last.index;
    return is_higher || since >= longest_patience(step);
}

/// Whether all that the snapshot stands for is here: then it brings nothing.
inline bool has_all_of(const Log& log, const SnapshotMeta& meta) {
    return meta.last.index <= log.commit() || log.matches(meta.last);
}

/// One of the others has released what is lacking here, and could send this.
inline void take_offer(const Step& step, const Office& office, const ElectionTimer& timer,
                       const Log& log, std::optional<IncomingSnapshot>& incoming, NodeId sender,
                       const SourceReply& offer) {
    if (offer.target != step.self || !repairs_log(step, office, timer, log)) return;
    if (offer.meta.empty() || has_all_of(log, offer.meta)) return;
    if (incoming) {
        if (incoming->over || !incoming->storing.empty()) return;
        if (!may_replace(step, *incoming, offer.meta)) return;
    }
    if (!incoming || incoming->meta != offer.meta) incoming = IncomingSnapshot{offer.meta};
    incoming->leader = NodeId{};
    incoming->source = sender;
    incoming->moved_at = step.now;
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
    if (is_wanted && !brings_nothing) {
        store_chunk(step, *incoming, chunk.offset, std::move(chunk.data));
    }
}

}  // namespace raft

#endif
