// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// InstallSnapshot, the follower's side (section 7, Figure 13), whoever sends the pieces for the
// leader.
#ifndef RSM_RAFT_RULES_SNAPSHOT_RECEIVING_HPP
#define RSM_RAFT_RULES_SNAPSHOT_RECEIVING_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/configuration.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/compaction.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/reads.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace raft::inline v0 {

/// Says where the transfer should go on, or that nothing more is needed. For the snapshot it
/// vouches only when the log on disk says that it begins behind it: a node that lost the file
/// alone, in a copy of its directory for one, would else not know that it ever had it.
inline void reply_snapshot(const Step& step, const Log& log, NodeId to, const SnapshotMeta& meta,
                           std::uint64_t next_offset,
                           TransferOutcome outcome = TransferOutcome::none) {
    SnapshotReply reply;
    reply.term = step.term();
    reply.last = meta.last;
    reply.checksum = meta.checksum;
    reply.next_offset = next_offset;
    reply.outcome = outcome;
    if (meta.last.index <= log.commit()) {
        reply.outcome = TransferOutcome::installed;
        reply.match = std::min(log.commit(), log.vouched());
    }
    step.send(to, reply);
}

/// A transfer that was under way when the node stopped: whoever sends that snapshot goes on where
/// it was.
inline std::optional<IncomingSnapshot> resumed(const Recovered& recovered, Time now) {
    if (!recovered.partial) return std::nullopt;
    IncomingSnapshot incoming{*recovered.partial};
    incoming.kept = incoming.next_offset = recovered.partial_bytes;
    incoming.moved_at = incoming.begun_at = now;
    return incoming;
}

/// Who wants the node to have a snapshot, and who sends the pieces.
struct Senders {
    NodeId leader;
    NodeId source;
};

/// Makes the transfer to which this piece belongs the one that is under way, where it may be.
/// False: the piece is of no use here.
inline bool joins_transfer(const Step& step, const Log& log,
                           std::optional<IncomingSnapshot>& incoming, Senders senders,
                           const SnapshotChunk& chunk) {
    if (incoming && incoming->over) return false;
    if (!incoming || incoming->meta != chunk.meta) {
        if (incoming && !incoming->storing.empty()) return false;
        // By the same sender for the same leader, a lower snapshot is an old message. The leader
        // itself may begin with a lower one where another one has not come through.
        const bool older = incoming && chunk.meta.last.index < incoming->meta.last.index;
        const bool same_sender =
            incoming && chunk.term == incoming->term && senders.source == incoming->source;
        if (older && same_sender) return false;
        if (chunk.offset != 0) {
            reply_snapshot(step, log, senders.leader, chunk.meta, 0);
            return false;
        }
        incoming = IncomingSnapshot{chunk.meta};
        incoming->begun_at = step.now;
    }
    incoming->leader = senders.leader;
    incoming->source = senders.source;
    incoming->term = chunk.term;
    return true;
}

/// The storage is given the next piece.
inline void store_chunk(const Step& step, IncomingSnapshot& incoming, std::uint64_t offset,
                        Bytes data) {
    incoming.next_offset = offset + data.size();
    incoming.storing.push_back(incoming.next_offset);
    incoming.moved_at = step.now;
    step.out.store_chunks.push_back({incoming.meta, offset, std::move(data)});
}

/// Pieces are kept strictly in order; the answer always says where to go on, which also resumes a
/// broken transfer. @pre the node follows that leader
inline void accept_chunk(const Step& step, const Log& log, Snapshots& snapshots, Senders senders,
                         SnapshotChunk& chunk) {
    std::optional<IncomingSnapshot>& incoming = snapshots.incoming;
    const NodeId leader = senders.leader;
    if (chunk.meta.last.index <= log.commit()) {
        // Nothing that is not here already.
        reply_snapshot(step, log, leader, chunk.meta, chunk.meta.size);
        return;
    }
    if (!incoming && step.now < snapshots.no_other_before) return;
    if (!joins_transfer(step, log, incoming, senders, chunk)) return;
    if (chunk.offset != incoming->next_offset) {
        reply_snapshot(step, log, leader, chunk.meta, incoming->kept);
        return;
    }
    // A leader whose window is wider will send the rest again.
    const std::uint64_t storing = incoming->next_offset - incoming->kept;
    const bool overflows = storing + chunk.data.size() > step.options.snapshot_window_bytes;
    if (storing != 0 && overflows) return;
    if (chunk.data.empty() && !incoming->storing.empty()) return;
    store_chunk(step, *incoming, chunk.offset, std::move(chunk.data));
}

/// InstallSnapshot, receiver implementation (Figure 13).
inline void take_chunk(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                       Reads& reads, const Log& log, Snapshots& snapshots, const Message& message,
                       SnapshotChunk& chunk) {
    if (follow(step, ballot, office, timer, reads, message)) {
        accept_chunk(step, log, snapshots, {message.from, message.from}, chunk);
    } else {
        reply_snapshot(step, log, message.from, chunk.meta, 0);
    }
}

/// A piece from one that sends it in the leader's place: taken if that is the leader of this term,
/// as the leader's own messages have shown.
inline void take_source_chunk(const Step& step, const Office& office, const Log& log,
                              Snapshots& snapshots, NodeId source, SourceChunk& chunk) {
    const bool follows = !office.leads() && chunk.leader && chunk.term == step.term() &&
                         chunk.leader == office.leader(step.self);
    if (!follows) return;
    SnapshotChunk piece{chunk.term, std::move(chunk.meta), chunk.offset, std::move(chunk.data)};
    accept_chunk(step, log, snapshots, {chunk.leader, source}, piece);
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it; otherwise discard the entire log; reset state machine using snapshot
/// contents" (Figure 13). The snapshot is durable; should the node crash before the log on disk
/// is reset, recovery comes to the same result (Storage::recover), and nobody relies on it yet.
inline void install(const Step& step, Configuration& configuration, Office& office, Reads& reads,
                    Log& log, const Room& room, Journal& journal, Snapshots& snapshots,
                    const SnapshotMeta& meta, NodeId source) {
    if (meta.last.index >= snapshots.newest.last.index) snapshots.newest = meta;
    snapshots.kept.clear();
    // The log may have brought it faster.
    if (meta.last.index <= log.commit()) return;
    if (log.matches(meta.last)) {
        log.covered_by_snapshot(meta.last.index);
        configuration.covered_by_snapshot(meta.last.index, meta.membership);
    } else {
        log.reset(meta.last);
        configuration.restart(meta.last.index, meta.membership);
        journal.reset = meta.last;
        journal.release.reset();
    }
    log.commit_to(meta.last.index);
    log.handed_to(meta.last.index);
    log.applied_to(meta.last.index);
    release_covered(step, office, log, room, journal, snapshots.newest);
    step.out.apply.clear();
    step.out.restore = meta;
    step.announce(EventKind::snapshot_installed, source, meta.last.index);
    release_reads(step, reads, log);
}

/// Nobody tells when there is room. What has cost the sender, the line and the disk much before it
/// was refused is not begun again soon.
inline void wait_for_room(const Step& step, Snapshots& snapshots) {
    constexpr int attempts_per_pause = 4;
    constexpr Duration longest = std::chrono::minutes(5);
    const Duration attempt = std::min(step.now - snapshots.incoming->begun_at, longest);
    const Duration pause = std::max(attempts_per_pause * attempt, step.options.election_timeout);
    snapshots.no_other_before = step.now + std::min(pause, longest);
}

/// What became of a piece that was given to the storage. After the last one the snapshot is
/// durable. Without a leader nobody is answered (take_borrowed()).
inline void take_stored(const Step& step, Configuration& configuration, Office& office,
                        Reads& reads, Log& log, const Room& room, Journal& journal,
                        Snapshots& snapshots, const ChunkStored& stored) {
    std::optional<IncomingSnapshot>& incoming = snapshots.incoming;
    if (!incoming || incoming->meta != stored.meta || incoming->storing.empty()) return;
    incoming->kept = incoming->storing.front();
    incoming->storing.pop_front();
    const NodeId source = incoming->source;
    const auto answer = [&, leader = incoming->leader](std::uint64_t next,
                                                       TransferOutcome outcome) {
        if (leader) reply_snapshot(step, log, leader, stored.meta, next, outcome);
    };
    if (stored.outcome == ChunkOutcome::installed) {
        incoming.reset();
        install(step, configuration, office, reads, log, room, journal, snapshots, stored.meta,
                source);
        return answer(stored.meta.size, TransferOutcome::none);
    }
    if (incoming->over) return;
    if (stored.outcome == ChunkOutcome::stored) {
        return answer(incoming->kept, TransferOutcome::none);
    }
    // What is outstanding of it is not kept either.
    incoming->over = true;
    if (stored.outcome == ChunkOutcome::refused) wait_for_room(step, snapshots);
    const bool rejected = stored.outcome == ChunkOutcome::rejected;
    if (rejected) step.announce(EventKind::snapshot_rejected, source, stored.meta.last.index);
    answer(0, rejected ? TransferOutcome::rejected : TransferOutcome::none);
}

/// A transfer ends when its content has come by the log, or from another leader: what was kept of
/// it would lie there for ever. The storage is told when it has nothing more of it under way.
inline void abandon_needless(const Step& step, const Log& log,
                             std::optional<IncomingSnapshot>& incoming, bool leads) {
    if (!incoming) return;
    if (leads || incoming->meta.last.index <= log.commit()) incoming->over = true;
    if (!incoming->over || !incoming->storing.empty()) return;
    incoming.reset();
    step.out.abandon_transfer = true;
}

}  // namespace raft

#endif
