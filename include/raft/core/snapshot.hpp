// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: compaction of the log, and snapshots from a leader to a follower (section 7).
#ifndef RSM_RAFT_CORE_SNAPSHOT_HPP
#define RSM_RAFT_CORE_SNAPSHOT_HPP

#include <raft/core.hpp>
#include <raft/mutant.hpp>

#include <algorithm>
#include <utility>

namespace raft {

// ---- compaction ------------------------------------------------------------------------------

/// A durable snapshot of what has been applied lets the log before it go, except what is kept for
/// followers that are slightly behind.
inline void Core::on(Output&, SnapshotTaken& taken) {
    // One from a leader may be newer, although the log brought its content faster.
    if (taken.meta.last.index > snapshot_.last.index) snapshot_ = std::move(taken.meta);
    release_covered();
    dropped_before_ = {};
}

inline void Core::release_covered() {
    // What has come in this very step is still to be given to the storage.
    Index release = std::min({snapshot_.last.index, log_.applied(), log_.submitted()});
    if (RSM_MUTANT(released_too_far)) release = log_.applied();
    std::size_t retained = 0;
    while (release > log_.base().index && log_.cached(release)) {
        retained += footprint(log_[release]);
        if (retained > options_.retained_bytes) break;
        release = release - 1;
    }
    if (release > log_.base().index) {
        log_.release(release);
        pending_release_ = log_.base();
    }
}

/// Only the newest snapshot is kept, and what is on its way to a follower.
inline void Core::drop_unused_snapshots(Output& out) {
    if (dropped_before_ == snapshot_.last.index) return;
    Index oldest = snapshot_.last.index;
    for (const Progress& follower : followers()) {
        if (follower.state != ProgressState::snapshot) continue;
        oldest = std::min(oldest, follower.snapshot.last.index);
    }
    if (std::exchange(dropped_before_, oldest) != oldest) out.drop_snapshots_before = oldest;
}

// ---- the leader's side -----------------------------------------------------------------------

inline void Core::begin_snapshot(Output& out, Progress& follower) {
    follower.become_snapshot(snapshot_);
    load_chunk(out, follower);
}

inline void Core::load_chunk(Output& out, Progress& follower) {
    follower.loading = true;
    out.load_chunks.push_back(
        {follower.node, follower.snapshot, follower.offset, options_.snapshot_chunk_bytes});
}

/// At a heartbeat: nothing came back since the last one, so the piece, or its answer, is taken for
/// lost, and the transfer goes on where the follower last wanted it to.
inline void Core::resend_chunk(Output& out, Progress& follower) {
    if (std::exchange(follower.moved_since_heartbeat, false) || follower.loading) return;
    if (RSM_MUTANT(chunk_never_resent)) return;
    // Where nothing of it has arrived, or nobody answers, the newest serves better; and the old
    // one, which would be kept for as long as a follower is away, can go.
    const bool silent = now_ - follower.last_contact >= options_.election_timeout;
    if (follower.snapshot != snapshot_ && (silent || follower.resume_offset == 0)) {
        begin_snapshot(out, follower);
        return;
    }
    follower.offset = follower.resume_offset;
    load_chunk(out, follower);
}

inline void Core::on(Output& out, ChunkLoaded& loaded) {
    auto* leader = std::get_if<Leader>(&role_);
    Progress* follower = leader == nullptr ? nullptr : find(*leader, loaded.reader);
    const bool expected = follower != nullptr && follower->state == ProgressState::snapshot &&
                          follower->loading && follower->snapshot == loaded.meta &&
                          follower->offset == loaded.offset;
    if (!expected) return;
    follower->loading = false;
    if (loaded.data) {
        send(out, follower->node,
             SnapshotChunk{hard_.term, loaded.meta, loaded.offset, std::move(*loaded.data)});
    } else if (follower->snapshot != snapshot_) {
        begin_snapshot(out, *follower);
    } else {
        announce(out, EventKind::snapshot_unreadable, self_, snapshot_.last.index);
    }
}

inline void Core::on(Output& out, const Message& message, SnapshotReply& reply) {
    auto* leader = std::get_if<Leader>(&role_);
    Progress* follower = leader == nullptr ? nullptr : find(*leader, message.from);
    if (follower == nullptr || reply.term < hard_.term) return;
    follower->last_contact = now_;
    const SnapshotMeta& meta = follower->snapshot;
    const bool expected = follower->state == ProgressState::snapshot && reply.last == meta.last &&
                          reply.checksum == meta.checksum;
    if (!expected) return;
    if (reply.installed) {
        if (reply.match > log_.last_index()) return;
        follower->accepted(reply.match);
        follower->become_replicate();
        return;
    }
    if (reply.rejected && meta == snapshot_) {
        // Damaged on the way or over there, or here: only a new one is surely good.
        announce(out, EventKind::snapshot_unreadable, message.from, meta.last.index);
    }
    follower->resume_offset = std::min(reply.next_offset, meta.size);
    // A lower offset may be an old answer; if it is not, the next heartbeat acts on it.
    if (follower->resume_offset <= follower->offset) return;
    follower->offset = follower->resume_offset;
    follower->moved_since_heartbeat = true;
    load_chunk(out, *follower);
}

// ---- the follower's side ---------------------------------------------------------------------

/// InstallSnapshot, receiver implementation (Figure 13). Pieces are kept strictly in order, one
/// at a time; the answer always says where to go on, which also resumes a broken transfer.
inline void Core::on(Output& out, const Message& message, SnapshotChunk& chunk) {
    if (!follow(out, message)) {
        reply_snapshot(out, message.from, chunk.meta, 0);
        return;
    }
    if (chunk.meta.last.index <= log_.commit() && !RSM_MUTANT(older_snapshot_installed)) {
        // Nothing that is not here already.
        reply_snapshot(out, message.from, chunk.meta, chunk.meta.size);
        return;
    }
    if (receiving_ && receiving_->storing) return;
    if (!receiving_ || receiving_->meta != chunk.meta) {
        // From the same leader, a lower snapshot is an old message.
        const bool older = receiving_ && chunk.meta.last.index < receiving_->meta.last.index;
        if (older && chunk.term == receiving_->term) return;
        if (chunk.offset != 0) {
            reply_snapshot(out, message.from, chunk.meta, 0);
            return;
        }
        receiving_ = Receiving{chunk.meta, chunk.term, message.from, 0, 0, false};
    }
    receiving_->from = message.from;
    receiving_->term = chunk.term;
    if (chunk.offset != receiving_->next_offset && !RSM_MUTANT(chunks_unordered)) {
        reply_snapshot(out, message.from, chunk.meta, receiving_->next_offset);
        return;
    }
    receiving_->storing = true;
    receiving_->storing_bytes = chunk.data.size();
    out.store_chunk = StoreChunk{chunk.meta, chunk.offset, std::move(chunk.data)};
}

inline void Core::on(Output& out, ChunkStored& stored) {
    if (!receiving_ || receiving_->meta != stored.meta) return;
    receiving_->storing = false;
    const NodeId from = receiving_->from;
    switch (stored.outcome) {
        case ChunkOutcome::stored:
            receiving_->next_offset += receiving_->storing_bytes;
            reply_snapshot(out, from, stored.meta, receiving_->next_offset);
            break;
        case ChunkOutcome::rejected:
            receiving_.reset();
            announce(out, EventKind::snapshot_rejected, from, stored.meta.last.index);
            reply_snapshot(out, from, stored.meta, 0, true);
            break;
        case ChunkOutcome::installed:
            receiving_.reset();
            install(out, stored.meta);
            reply_snapshot(out, from, stored.meta, stored.meta.size);
            break;
    }
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it; otherwise discard the entire log; reset state machine using snapshot
/// contents" (Figure 13). The snapshot is durable; should the node crash before the log on disk
/// is reset, recovery comes to the same result (Storage::recover).
inline void Core::install(Output& out, const SnapshotMeta& meta) {
    if (meta.last.index > snapshot_.last.index) snapshot_ = meta;
    dropped_before_ = {};
    // The log may have brought it faster.
    if (meta.last.index <= log_.commit() && !RSM_MUTANT(older_snapshot_installed)) return;
    const bool kept = RSM_MUTANT(suffix_kept) && log_.last_index() > meta.last.index;
    if (log_.matches(meta.last) || kept) {
        log_.covered_by_snapshot(meta.last.index);
    } else {
        log_.reset(meta.last);
        pending_reset_ = meta.last;
        pending_release_.reset();
    }
    log_.commit_to(meta.last.index);
    log_.handed_to(meta.last.index);
    log_.applied_to(meta.last.index);
    release_covered();
    membership_ = meta.membership;
    out.apply.clear();
    if (!RSM_MUTANT(restore_forgotten)) out.restore = meta;
    announce(out, EventKind::snapshot_installed, leader(), meta.last.index);
    release_reads(out);
}

/// Says where the transfer should go on, or that nothing more is needed.
inline void Core::reply_snapshot(Output& out, NodeId to, const SnapshotMeta& meta,
                                 std::uint64_t next_offset, bool rejected) {
    SnapshotReply reply{hard_.term, meta.last, meta.checksum, next_offset, false, rejected, {}};
    if (meta.last.index <= log_.commit()) {
        reply.installed = true;
        reply.rejected = false;
        reply.match = std::min(log_.commit(), log_.durable());
        if (RSM_MUTANT(snapshot_vouches_for_all)) reply.match = log_.commit();
    }
    send(out, to, reply);
}

}  // namespace raft

#endif
