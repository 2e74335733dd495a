// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// InstallSnapshot, the leader's side (section 7): in pieces that resume, several under way.
#ifndef RSM_RAFT_RULES_SNAPSHOT_SENDING_HPP
#define RSM_RAFT_RULES_SNAPSHOT_SENDING_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace raft::inline v0 {

/// After how long without a step forward a piece or a whole snapshot is sent again at the latest.
inline Duration longest_patience(const Step& step) { return 8 * step.options.election_timeout; }

inline void read_chunk(const Step& step, Progress& follower) {
    SnapshotTransfer& transfer = follower.transfer;
    transfer.loading = transfer.offset;
    step.out.load_chunks.push_back(
        {follower.node, transfer.meta, transfer.offset, step.options.snapshot_chunk_bytes});
}
inline bool is_paced(const Step& step) { return step.options.snapshot_bytes_per_second != 0; }
/// Whether nothing but the pace keeps the next piece back.
inline bool waits_for_its_turn(const Step& step, const SnapshotTransfer& transfer) {
    return is_paced(step) && transfer.offset == transfer.kept &&
           transfer.may_load(step.options.snapshot_chunk_bytes);
}

/// Reads the next piece where the window has room for it; the one after it follows when this one
/// has been sent. Where there is a pace, read_at_pace() does it.
inline void load_chunk(const Step& step, Progress& follower) {
    if (is_paced(step)) return;
    if (follower.transfer.may_load(step.options.snapshot_chunk_bytes)) read_chunk(step, follower);
}

/// Reads what the pace lets go: a piece for each follower in turn, those first that come behind the
/// one that got the last, so that each gets its part. What waits for its turn is not late.
inline void read_at_pace(const Step& step, Reign& reign) {
    if (!is_paced(step)) return;
    SendingPace& pace = reign.pace;
    pace.waiting = false;
    const std::size_t count = reign.followers.size();
    std::size_t first = 0;
    while (first < count && reign.followers[first].node <= pace.last) ++first;
    for (std::size_t i = 0; i < count; ++i) {
        Progress& follower = reign.followers[(first + i) % count];
        SnapshotTransfer& transfer = follower.transfer;
        const std::uint64_t piece = step.options.snapshot_chunk_bytes;
        if (follower.state != ProgressState::snapshot || !transfer.may_load(piece)) continue;
        pace.waiting = step.now < pace.free_at;
        if (pace.waiting) return;
        if (transfer.offset == transfer.kept) transfer.moved_at = step.now;
        read_chunk(step, follower);
        pace.spend(std::min(piece, transfer.meta.size - transfer.offset),
                   step.options.snapshot_bytes_per_second, step.options.heartbeat_interval,
                   step.now);
        pace.last = follower.node;
    }
}

/// "The leader must occasionally send snapshots to followers that lag behind", because it "has
/// already discarded the next log entry that it needs to send" (section 7).
inline void begin_snapshot(const Step& step, Progress& follower, const SnapshotMeta& newest) {
    follower.become_snapshot(newest, step.options.snapshot_chunk_bytes,
                             step.options.heartbeat_interval, step.now);
    load_chunk(step, follower);
}

/// At a heartbeat: where nothing has come back for long enough, pieces or their answers are taken
/// for lost, and the transfer goes on where the follower last wanted it to.
inline void resend_chunk(const Step& step, Progress& follower, const SnapshotMeta& newest) {
    SnapshotTransfer& transfer = follower.transfer;
    const bool silent = step.is_silent(follower.last_contact);
    // The follower's disk is behind; the heartbeats ask when it is no longer.
    const bool behind = transfer.installed && follower.match < transfer.meta.last.index;
    const bool waits = behind && !silent;
    if (waits || transfer.loading || step.now - transfer.moved_at < transfer.patience) return;
    // Where nothing of it has arrived, or nobody answers, or all of it is there and the log has
    // moved on nevertheless, the newest serves better; and the old one, which would be kept for as
    // long as a follower is away, can go.
    const bool outdated = silent || transfer.kept == 0 || transfer.installed;
    if (transfer.meta != newest && outdated) return begin_snapshot(step, follower, newest);
    if (waits_for_its_turn(step, transfer)) return;
    transfer.go_back(step.options.snapshot_chunk_bytes, longest_patience(step), step.now);
    load_chunk(step, follower);
}

/// Sends a piece that was read, and reads the next.
inline void send_chunk(const Step& step, Office& office, const SnapshotMeta& newest,
                       ChunkLoaded& loaded) {
    Progress* follower = office.follower(loaded.reader);
    if (follower == nullptr || follower->state != ProgressState::snapshot) return;
    SnapshotTransfer& transfer = follower->transfer;
    if (transfer.loading != loaded.offset || transfer.meta != loaded.meta) return;
    transfer.loading.reset();
    if (loaded.data && loaded.offset == transfer.offset) {
        transfer.sent(loaded.data->size());
        step.send(follower->node,
                  SnapshotChunk{step.term(), loaded.meta, loaded.offset, std::move(*loaded.data)});
        load_chunk(step, *follower);
    } else if (loaded.data) {  // an answer has moved the transfer on since it was asked for
        load_chunk(step, *follower);
    } else if (transfer.meta != newest) {
        begin_snapshot(step, *follower, newest);
    } else {
        step.announce(EventKind::snapshot_unreadable, step.self, newest.last.index);
    }
}

/// Where the follower wants the transfer to go on, or that it needs nothing more of it.
inline void take_snapshot_reply(const Step& step, Office& office, const Log& log,
                                const SnapshotMeta& newest, NodeId sender,
                                const SnapshotReply& reply) {
    Progress* follower = office.follower(sender);
    if (follower == nullptr || reply.term < step.term()) return;
    follower->last_contact = step.now;
    SnapshotTransfer& transfer = follower->transfer;
    const bool expected = follower->state == ProgressState::snapshot &&
                          reply.last == transfer.meta.last &&
                          reply.checksum == transfer.meta.checksum;
    if (!expected) return;
    if (reply.installed()) {
        if (reply.match > log.last_index()) return;
        follower->accepted(reply.match);
        // To go on with the log, it must be durable over there from where the log begins here.
        transfer.installed = true;
        if (follower->match >= log.base().index) follower->become_replicate();
        return;
    }
    if (reply.rejected()) {
        // Damaged on the way or over there, or here: only a new one is surely good.
        if (transfer.meta == newest) {
            step.announce(EventKind::snapshot_unreadable, sender, transfer.meta.last.index);
        }
        return transfer.rejected(step.options.heartbeat_interval, longest_patience(step), step.now);
    }
    transfer.answered(reply.next_offset, step.options.snapshot_chunk_bytes,
                      step.options.snapshot_window_bytes, step.options.heartbeat_interval,
                      step.now);
    load_chunk(step, *follower);
}

}  // namespace raft

#endif
