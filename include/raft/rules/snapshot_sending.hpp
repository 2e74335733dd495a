// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// InstallSnapshot, the leader's side (section 7): in pieces that resume, several under way. Who
// reads them from a disk and sends them may be a follower: snapshot_source.hpp.
#ifndef RSM_RAFT_RULES_SNAPSHOT_SENDING_HPP
#define RSM_RAFT_RULES_SNAPSHOT_SENDING_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/snapshot_source.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace raft::inline v0 {

/// Reads the next piece, or has the transfer's source send it.
inline void read_chunk(const Step& step, Progress& follower) {
    SnapshotTransfer& transfer = follower.transfer;
    const std::uint64_t piece = step.options.snapshot_chunk_bytes;
    if (transfer.source) {
        const std::uint64_t size = std::min(piece, transfer.meta.size - transfer.offset);
        // There is a piece even of a snapshot without content.
        send_source_request(step, follower, std::max(size, std::uint64_t{1}));
        return transfer.sent(size);
    }
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
    while (follower.transfer.may_load(step.options.snapshot_chunk_bytes)) {
        read_chunk(step, follower);
    }
}

/// Reads what the pace lets go of what this source sends: a piece for each follower in turn, those
/// first that come behind the one that got the last, so that each gets its part. What waits for its
/// turn is not late. Returns whether any was read.
/// @param source  0: the leader itself
inline bool read_turn_at_pace(const Step& step, Reign& reign, SendingPace& pace, NodeId source) {
    bool read = false;
    pace.waiting = false;
    const std::size_t count = reign.followers.size();
    std::size_t first = 0;
    while (first < count && reign.followers[first].node <= pace.last) ++first;
    for (std::size_t i = 0; i < count; ++i) {
        Progress& follower = reign.followers[(first + i) % count];
        SnapshotTransfer& transfer = follower.transfer;
        const std::uint64_t piece = step.options.snapshot_chunk_bytes;
        const bool is_served = follower.state == ProgressState::snapshot &&
                               transfer.source == source && transfer.may_load(piece);
        if (!is_served) continue;
        pace.waiting = step.now < pace.free_at;
        if (pace.waiting) return read;
        if (transfer.offset == transfer.kept) transfer.moved_at = step.now;
        pace.spend(std::min(piece, transfer.meta.size - transfer.offset),
                   step.options.snapshot_bytes_per_second, step.options.heartbeat_interval,
                   step.now);
        pace.last = follower.node;
        read_chunk(step, follower);
        read = true;
    }
    return read;
}
/// Each source has a pace of its own.
inline void read_at_pace(const Step& step, Reign& reign) {
    if (!is_paced(step)) return;
    while (read_turn_at_pace(step, reign, reign.pace, NodeId{})) {}
    for (Progress& source : reign.followers) {
        while (read_turn_at_pace(step, reign, source.pace, source.node)) {}
    }
}

/// The leader sends its newest snapshot by itself.
inline void begin_own(const Step& step, Progress& follower, const SnapshotMeta& newest) {
    follower.become_snapshot(newest, step.options.snapshot_chunk_bytes,
                             step.options.heartbeat_interval, step.now);
    follower.transfer.unheard = prefers_followers(step) && step.is_silent(follower.last_contact);
    load_chunk(step, follower);
}
/// Asks whoever could send in the leader's place and has not been asked; the leader sends where
/// there is nobody. @pre the follower is in the state snapshot
inline void ask_for_source(const Step& step, const Reign& reign, Progress& follower,
                           const SnapshotMeta& newest) {
    const NodeId source = choose_source(step, reign, follower);
    if (!source) return begin_own(step, follower, newest);
    follower.transfer.ask(source, step.now);
    send_source_request(step, follower, 0);
}
/// "The leader must occasionally send snapshots to followers that lag behind", because it "has
/// already discarded the next log entry that it needs to send" (section 7).
inline void begin_snapshot(const Step& step, const Reign& reign, Progress& follower,
                           const SnapshotMeta& newest) {
    follower.become_snapshot(newest, step.options.snapshot_chunk_bytes,
                             step.options.heartbeat_interval, step.now);
    ask_for_source(step, reign, follower, newest);
}

/// Whether the source that a transfer has must be given up: it is lost, has not answered for an
/// election timeout, or nothing has come forward although it was asked again and again.
inline bool gives_up_source(const Step& step, const Reign& reign, const Progress& follower) {
    constexpr std::uint32_t most_repeats = 2;
    const SnapshotTransfer& transfer = follower.transfer;
    if (!has_source(step, reign, transfer)) return true;
    if (transfer.asked) return step.is_silent(transfer.moved_at);
    const bool late = step.now - transfer.moved_at >= transfer.patience;
    return late && !waits_for_its_turn(step, transfer) && transfer.repeats >= most_repeats;
}

/// At a heartbeat: a source that is there keeps the snapshot, and says what it has if that is not
/// known. A follower that is back may have one. False: the transfer has begun anew.
inline bool attend_source(const Step& step, const Reign& reign, Progress& follower,
                          const SnapshotMeta& newest) {
    const SnapshotTransfer& transfer = follower.transfer;
    const bool is_back = transfer.unheard && !step.is_silent(follower.last_contact);
    if (is_back && transfer.kept == 0) {
        begin_snapshot(step, reign, follower, newest);
        return false;
    }
    if (!transfer.source || transfer.installed) return true;
    if (gives_up_source(step, reign, follower)) {
        begin_own(step, follower, newest);
        return false;
    }
    send_source_request(step, follower, 0);
    return true;
}

/// At a heartbeat: where nothing has come back for long enough, pieces or their answers are taken
/// for lost, and the transfer goes on where the follower last wanted it to.
inline void resend_chunk(const Step& step, const Reign& reign, Progress& follower,
                         const SnapshotMeta& newest) {
    if (!attend_source(step, reign, follower, newest) || follower.transfer.asked) return;
    SnapshotTransfer& transfer = follower.transfer;
    const bool silent = step.is_silent(follower.last_contact);
    // The follower's disk is behind; the heartbeats ask when it is no longer.
    const bool behind = transfer.installed && follower.match < transfer.meta.last.index;
    const bool waits = behind && !silent;
    if (waits || transfer.loading || step.now - transfer.moved_at < transfer.patience) return;
    // Where nothing of it has arrived, or nobody answers, or all of it is there and the log has
    // moved on nevertheless, the newest serves better; and the old one, which would be kept for as
    // long as a follower is away, can go. A source's is not kept here.
    const bool outdated = !transfer.source && (silent || transfer.kept == 0);
    if (transfer.meta != newest) {
        if (transfer.installed) return begin_snapshot(step, reign, follower, newest);
        if (outdated) return begin_own(step, follower, newest);
    }
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
        begin_own(step, *follower, newest);
    } else {
        step.announce(EventKind::snapshot_unreadable, step.self, newest.last.index);
    }
}

/// What a follower could send in the leader's place. What it offers is of use if the log goes on
/// from there. One that has lost what it had begun to send is not asked for anything else.
inline void take_source_reply(const Step& step, Office& office, const Log& log,
                              const SnapshotMeta& newest, NodeId sender, const SourceReply& reply) {
    Progress* const follower = office.follower(reply.target);
    if (follower == nullptr || reply.term < step.term()) return;
    SnapshotTransfer& transfer = follower->transfer;
    if (follower->state != ProgressState::snapshot || transfer.source != sender) return;
    if (!transfer.asked) {
        const bool said_before = reply.meta == transfer.meta;
        if (!said_before) begin_own(step, *follower, newest);
        return;
    }
    const bool of_use = !reply.meta.empty() && log.matches(reply.meta.last);
    if (!of_use) {
        transfer.pass();
        return ask_for_source(step, *office.reign(), *follower, newest);
    }
    transfer.begin_from_source(reply.meta, step.options.snapshot_chunk_bytes,
                               step.options.heartbeat_interval, step.now);
    load_chunk(step, *follower);
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
                          transfer.meta.is_named(reply.last, reply.checksum);
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
        if (transfer.source) return begin_own(step, *follower, newest);
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
