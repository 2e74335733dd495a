// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A follower sends a snapshot in the leader's place, so that the leader's disk and line are spared
// (Options::snapshot_source).
//
//     leader                          source                       target
//       |-- SourceRequest: which one? -->|                            |
//       |<-- SourceReply: this one ------|                            |
//       |-- SourceRequest: a piece ----->|-- SourceChunk: it -------->|
//       |<--------------------------------------- SnapshotReply ------|
//
// The transfer stays the leader's (Progress::transfer): window, pace, repetition and the log that
// is held for it are what they are when it sends by itself, but for who reads a piece. What the
// source knows (Errand) is which snapshot must be kept and which pieces are being read; it ends
// with the leader's reign, and when the leader has not asked for it for a while. The target takes
// a piece as one of the leader's, by the one rule of snapshot_receiving.hpp, if it follows that
// leader in that term; only the leader's own messages keep it from standing for election.
//
// - Whose snapshot it is does not matter: each is of committed entries, which every later leader's
//   log has (leader completeness, section 5.4.3).
// - It is of use if the leader's log goes on from it: from its base on.
// - A transfer ends. A source that has nothing of use is passed over, and each is asked once. One
//   that is lost, loses the snapshot or brings nothing forward is given up, and what begins then
//   the leader sends by itself, until it is through or the follower falls silent.
#ifndef RSM_RAFT_RULES_SNAPSHOT_SOURCE_HPP
#define RSM_RAFT_RULES_SNAPSHOT_SOURCE_HPP

#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace raft::inline v0 {

// ---- the leader --------------------------------------------------------------------------------

inline bool prefers_followers(const Step& step) {
    return step.options.snapshot_source == SnapshotSource::follower;
}

/// Whether it can send for the leader as far as it is known: a member that is there, with a disk
/// that works and has room for what must be kept meanwhile.
inline bool may_be_source(const Step& step, const Progress& follower) {
    const bool is_there = !step.is_silent(follower.last_contact) && !follower.departure;
    return is_there && !follower.is_another() && follower.is_able() && !follower.disk_full;
}

/// Who is to be asked next to send a snapshot to this follower: of those that have caught up
/// themselves the one that sends to the fewest, and of these the next one behind the follower. 0:
/// nobody.
inline NodeId choose_source(const Step& step, const Reign& reign, const Progress& target) {
    if (!prefers_followers(step) || step.is_silent(target.last_contact)) return {};
    const auto rank = [&](NodeId node) {
        const auto busy =
            std::count_if(reign.followers.begin(), reign.followers.end(),
                          [node](const Progress& other) { return other.transfer.source == node; });
        return std::tuple(busy, node.value - target.node.value);  // from 0 on, behind the last one
    };
    const std::vector<NodeId>& passed = target.transfer.passed;
    NodeId best;
    for (const Progress& follower : reign.followers) {
        const NodeId node = follower.node;
        const bool follows = follower.state == ProgressState::replicate;
        if (node == target.node || !follows || !may_be_source(step, follower)) continue;
        if (std::find(passed.begin(), passed.end(), node) != passed.end()) continue;
        if (!best || rank(node) < rank(best)) best = node;
    }
    return best;
}

/// Whether the source that a transfer has can be counted on.
inline bool has_source(const Step& step, const Reign& reign, const SnapshotTransfer& transfer) {
    const Progress* const source = reign.find(transfer.source);
    return source != nullptr && may_be_source(step, *source);
}

/// Has the source send so many bytes more, or none, and keep the snapshot in any case. While it has
/// not said which snapshot it has, it is asked that.
inline void send_source_request(const Step& step, const Progress& target, std::uint64_t bytes) {
    const SnapshotTransfer& transfer = target.transfer;
    SourceRequest request{step.term(), target.node};
    if (!transfer.asked) {
        request.last = transfer.meta.last;
        request.checksum = transfer.meta.checksum;
        request.offset = transfer.offset;
        request.bytes = bytes;
    }
    step.send(transfer.source, request);
}

// ---- the source --------------------------------------------------------------------------------

/// How long a snapshot is kept for a leader that asks no more.
inline Duration errand_time(const Step& step) { return 8 * step.options.election_timeout; }

inline Errand* find_errand(std::vector<Errand>& errands, NodeId target) {
    const auto found = std::find_if(errands.begin(), errands.end(), [target](const Errand& errand) {
        return errand.target == target;
    });
    return found == errands.end() ? nullptr : &*found;
}

/// Reads the piece that was asked for, which is none larger than it may be.
inline void load_requested(const Step& step, NodeId reader, const SnapshotMeta& meta,
                           const SourceRequest& request) {
    const std::uint64_t largest = step.options.snapshot_chunk_bytes;
    step.out.load_chunks.push_back(
        {reader, meta, request.offset, static_cast<std::size_t>(std::min(request.bytes, largest))});
}

/// No more pieces at once than the window is wide, each once.
inline void read_for_errand(const Step& step, Errand& errand, const SourceRequest& request) {
    const Options& options = step.options;
    std::vector<std::uint64_t>& reading = errand.reading;
    const bool has_begun =
        std::find(reading.begin(), reading.end(), request.offset) != reading.end();
    const std::size_t most = options.snapshot_window_bytes / options.snapshot_chunk_bytes;
    if (has_begun || reading.size() >= most || request.offset > errand.meta.size) return;
    reading.push_back(request.offset);
    load_requested(step, errand.target, errand.meta, request);
}

/// Keeps and sends what its leader asks for. Where that is not there, or the leader does not know
/// what is, it is the newest that is kept and told of.
inline void take_source_request(const Step& step, Office& office, const SnapshotMeta& newest,
                                NodeId leader, const SourceRequest& request) {
    std::vector<Errand>* const errands = office.errands_for(leader);
    if (errands == nullptr || request.term != step.term()) return;
    Errand* errand = find_errand(*errands, request.target);
    const bool is_question = request.last == LogPosition{};
    const auto is_asked_for = [&](const Errand& one) {
        return one.meta.is_named(request.last, request.checksum);
    };
    if (errand == nullptr || (!is_question && !is_asked_for(*errand))) {
        if (newest.empty()) {
            return step.send(leader, SourceReply{step.term(), request.target, newest});
        }
        if (errand == nullptr && errands->size() == max_members) return;
        if (errand == nullptr) errand = &errands->emplace_back();
        *errand = Errand{request.target, newest, step.now};
    }
    errand->until = step.now + errand_time(step);
    if (!is_asked_for(*errand)) {
        step.send(leader, SourceReply{step.term(), request.target, errand->meta});
    } else if (request.bytes != 0) {
        read_for_errand(step, *errand, request);
    }
}

/// Sends a piece that was read for the leader, if that is still wanted. False: it was not read for
/// that one.
inline bool send_source_chunk(const Step& step, Office& office, const SnapshotMeta& newest,
                              ChunkLoaded& loaded) {
    const NodeId leader = office.leader(step.self);
    std::vector<Errand>* const errands = office.errands_for(leader);
    Errand* const errand = errands == nullptr ? nullptr : find_errand(*errands, loaded.reader);
    if (errand == nullptr || errand->meta != loaded.meta) return false;
    if (std::erase(errand->reading, loaded.offset) == 0) return false;
    if (loaded.data) {
        step.send(loaded.reader, SourceChunk{step.term(), leader, loaded.meta, loaded.offset,
                                             std::move(*loaded.data)});
        return true;
    }
    if (errand->meta == newest) {
        step.announce(EventKind::snapshot_unreadable, step.self, newest.last.index);
    }
    step.send(leader, SourceReply{step.term(), loaded.reader, {}});
    errands->erase(errands->begin() + (errand - errands->data()));
    return true;
}

/// Lets go of what the leader has not asked for any more.
inline void end_errands(const Step& step, Office& office) {
    std::vector<Errand>* const errands = office.errands_for(office.leader(step.self));
    if (errands == nullptr) return;
    std::erase_if(*errands, [&step](const Errand& errand) { return errand.until <= step.now; });
}

}  // namespace raft

#endif
