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
    // One from a leader may be newer, although the log brought its content faster. Of two of one
    // position, the storage keeps the one that it completed last.
    if (taken.meta.last.index >= snapshot_.last.index) snapshot_ = std::move(taken.meta);
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
    const Index wanted = release;
    if (auto* leader = std::get_if<Leader>(&role_)) release = held_for_followers(*leader, release);
    holding_ = release < wanted;
    if (release > log_.base().index) {
        log_.release(release);
        pending_release_ = log_.base();
    }
}

/// A follower that is heard of keeps what it still needs in the log, within the limits of Options;
/// else a transfer that takes longer than the log takes to grow would never be of use.
inline Index Core::held_for_followers(Leader& leader, Index release) const {
    if (RSM_MUTANT(log_not_held)) return release;
    Index held = release;
    for (Progress& follower : leader.followers) {
        const bool silent = now_ - follower.last_contact >= options_.election_timeout;
        if (silent || follower.provided() >= release) {
            follower.hold.reset();
            continue;
        }
        if (!follower.hold) follower.hold = LogHold{now_, leader.appended_bytes};
        const bool within =
            now_ - follower.hold->since <= options_.max_hold_time &&
            leader.appended_bytes - follower.hold->appended < options_.max_hold_bytes;
        if (within) held = std::min(held, follower.provided());
    }
    return std::max(held, log_.base().index);
}

/// Only the newest snapshot is kept, and what is on its way to a follower.
inline void Core::drop_unused_snapshots(Output& out) {
    if (dropped_before_ == snapshot_.last.index) return;
    Index oldest = snapshot_.last.index;
    for (const Progress& follower : followers()) {
        if (follower.state != ProgressState::snapshot) continue;
        oldest = std::min(oldest, follower.transfer.meta.last.index);
    }
    if (std::exchange(dropped_before_, oldest) != oldest) out.drop_snapshots_before = oldest;
}

// ---- the leader's side -----------------------------------------------------------------------

inline void Core::begin_snapshot(Output& out, Progress& follower) {
    follower.become_snapshot(snapshot_, options_.snapshot_chunk_bytes, options_.heartbeat_interval,
                             now_);
    load_chunk(out, follower);
}

/// Reads the next piece where the window has room for it; the one after it follows when this one
/// has been sent.
inline void Core::load_chunk(Output& out, Progress& follower) {
    SnapshotTransfer& transfer = follower.transfer;
    if (!transfer.may_load(options_.snapshot_chunk_bytes)) return;
    transfer.loading = transfer.offset;
    out.load_chunks.push_back(
        {follower.node, transfer.meta, transfer.offset, options_.snapshot_chunk_bytes});
}

/// At a heartbeat: where nothing has come back for long enough, pieces or their answers are taken
/// for lost, and the transfer goes on where the follower last wanted it to.
inline void Core::resend_chunk(Output& out, Progress& follower) {
    SnapshotTransfer& transfer = follower.transfer;
    // The follower's disk is behind; the heartbeats ask when it is no longer.
    const bool waits = transfer.installed && follower.match < transfer.meta.last.index;
    if (waits || transfer.loading || now_ - transfer.moved_at < transfer.patience) return;
    if (RSM_MUTANT(chunk_never_resent)) return;
    // Where nothing of it has arrived, or nobody answers, or all of it is there and the log has
    // moved on nevertheless, the newest serves better; and the old one, which would be kept for as
    // long as a follower is away, can go.
    const bool silent = now_ - follower.last_contact >= options_.election_timeout;
    const bool outdated = silent || transfer.kept == 0 || transfer.installed;
    if (transfer.meta != snapshot_ && outdated) return begin_snapshot(out, follower);
    transfer.go_back(options_.snapshot_chunk_bytes, 8 * options_.election_timeout, now_);
    load_chunk(out, follower);
}

inline void Core::on(Output& out, ChunkLoaded& loaded) {
    auto* leader = std::get_if<Leader>(&role_);
    Progress* follower = leader == nullptr ? nullptr : find(*leader, loaded.reader);
    if (follower == nullptr || follower->state != ProgressState::snapshot) return;
    SnapshotTransfer& transfer = follower->transfer;
    if (transfer.loading != loaded.offset || transfer.meta != loaded.meta) return;
    transfer.loading.reset();
    if (loaded.data && loaded.offset == transfer.offset) {
        transfer.offset += loaded.data->size();
        send(out, follower->node,
             SnapshotChunk{hard_.term, loaded.meta, loaded.offset, std::move(*loaded.data)});
        load_chunk(out, *follower);
    } else if (loaded.data) {  // an answer has moved the transfer on since it was asked for
        load_chunk(out, *follower);
    } else if (transfer.meta != snapshot_) {
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
    SnapshotTransfer& transfer = follower->transfer;
    const bool expected = follower->state == ProgressState::snapshot &&
                          reply.last == transfer.meta.last &&
                          reply.checksum == transfer.meta.checksum;
    if (!expected) return;
    if (reply.installed) {
        if (reply.match > log_.last_index()) return;
        follower->accepted(reply.match);
        // To go on with the log, it must be durable over there from where the log begins here.
        transfer.installed = true;
        if (follower->match >= log_.base().index) follower->become_replicate();
        return;
    }
    if (reply.rejected && transfer.meta == snapshot_) {
        // Damaged on the way or over there, or here: only a new one is surely good.
        announce(out, EventKind::snapshot_unreadable, message.from, transfer.meta.last.index);
    }
    transfer.answered(reply.next_offset, options_.snapshot_chunk_bytes,
                      options_.snapshot_window_bytes, options_.heartbeat_interval, now_);
    load_chunk(out, *follower);
}

// ---- the follower's side ---------------------------------------------------------------------

/// InstallSnapshot, receiver implementation (Figure 13). Pieces are kept strictly in order; the
/// answer always says where to go on, which also resumes a broken transfer.
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
    if (receiving_ && receiving_->over) return;
    if (!receiving_ || receiving_->meta != chunk.meta) {
        if (receiving_ && !receiving_->storing.empty()) return;
        // From the same leader, a lower snapshot is an old message.
        const bool older = receiving_ && chunk.meta.last.index < receiving_->meta.last.index;
        if (older && chunk.term == receiving_->term) return;
        if (chunk.offset != 0) {
            reply_snapshot(out, message.from, chunk.meta, 0);
            return;
        }
        receiving_ = Receiving{chunk.meta, chunk.term, message.from, 0, 0, {}, false};
    }
    receiving_->from = message.from;
    receiving_->term = chunk.term;
    if (chunk.offset != receiving_->next_offset && !RSM_MUTANT(chunks_unordered)) {
        reply_snapshot(out, message.from, chunk.meta, receiving_->kept);
        return;
    }
    // A leader whose window is wider will send the rest again.
    const std::uint64_t storing = receiving_->next_offset - receiving_->kept;
    if (storing != 0 && storing + chunk.data.size() > options_.snapshot_window_bytes) return;
    if (chunk.data.empty() && !receiving_->storing.empty()) return;
    receiving_->next_offset = chunk.offset + chunk.data.size();
    receiving_->storing.push_back(receiving_->next_offset);
    out.store_chunks.push_back({chunk.meta, chunk.offset, std::move(chunk.data)});
}

inline void Core::on(Output& out, ChunkStored& stored) {
    if (!receiving_ || receiving_->meta != stored.meta || receiving_->storing.empty()) return;
    Receiving& receiving = *receiving_;
    receiving.kept = receiving.storing.front();
    receiving.storing.pop_front();
    const NodeId from = receiving.from;
    if (stored.outcome == ChunkOutcome::installed) {
        receiving_.reset();
        install(out, stored.meta);
        reply_snapshot(out, from, stored.meta, stored.meta.size);
        return;
    }
    if (receiving.over) return;
    if (stored.outcome == ChunkOutcome::stored) {
        reply_snapshot(out, from, stored.meta, receiving.kept);
        return;
    }
    // What is outstanding of it is not kept either.
    receiving.over = true;
    const bool rejected = stored.outcome == ChunkOutcome::rejected;
    if (rejected) announce(out, EventKind::snapshot_rejected, from, stored.meta.last.index);
    reply_snapshot(out, from, stored.meta, 0, rejected);
}

/// A transfer ends when its content has come by the log, or from another leader: what was kept of
/// it would lie there for ever. The storage is told when it has nothing more of it under way.
inline void Core::finish_receiving(Output& out) {
    if (!receiving_) return;
    const bool needless = receiving_->meta.last.index <= log_.commit();
    const bool leads = std::holds_alternative<Leader>(role_);
    if (needless || leads) receiving_->over = true;
    if (!receiving_->over || !receiving_->storing.empty()) return;
    receiving_.reset();
    out.abandon_transfer = true;
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it; otherwise discard the entire log; reset state machine using snapshot
/// contents" (Figure 13). The snapshot is durable; should the node crash before the log on disk
/// is reset, recovery comes to the same result (Storage::recover).
inline void Core::install(Output& out, const SnapshotMeta& meta) {
    if (meta.last.index >= snapshot_.last.index) snapshot_ = meta;
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
