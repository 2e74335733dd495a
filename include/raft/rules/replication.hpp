// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// AppendEntries, the leader's side (section 5.3): what is sent, and what the answers mean.
#ifndef RSM_RAFT_RULES_REPLICATION_HPP
#define RSM_RAFT_RULES_REPLICATION_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/reads.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// @pre the entries start at follower.next, and follower.next > base
inline void send_entries(const Step& step, const ReadRounds& rounds, Progress& follower,
                         const Log& log, std::vector<Entry> entries, std::size_t bytes) {
    AppendRequest request;
    request.term = step.term();
    request.previous.index = follower.next - 1;
    request.previous.term = *log.term_at(request.previous.index);
    request.commit = log.commit();
    request.round = rounds.latest;
    follower.sent_commit = log.commit();
    if (!entries.empty()) follower.sent(entries.back().index, bytes);
    request.entries = std::move(entries);
    step.send(follower.node, std::move(request));
}

/// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
/// starting at nextIndex" (Figure 2), as much as the follower's window allows, without waiting
/// for answers (pipelining, thesis section 10.2.1). Returns whether anything was sent.
inline bool replicate(const Step& step, const ReadRounds& rounds, Progress& follower,
                      const Log& log) {
    bool spoken = false;
    while (follower.next <= log.last_index()) {
        const std::size_t window = step.options.window_bytes;
        const std::size_t allowance =
            std::min(follower.allowance(window), step.options.max_message_bytes);
        if (allowance == 0 || follower.reading) break;
        if (!log.cached(follower.next)) {
            follower.reading = true;
            step.out.load_entries.push_back({follower.node, follower.next, allowance});
            break;
        }
        std::vector<Entry> entries;
        const std::size_t bytes = log.copy(follower.next, log.last_index(), allowance, entries);
        send_entries(step, rounds, follower, log, std::move(entries), bytes);
        spoken = true;
    }
    return spoken;
}

/// Goes on with entries that were read back for a follower, if they are still what it needs next.
inline void send_loaded(const Step& step, Office& office, const Log& log, EntriesLoaded& loaded) {
    Progress* follower = office.follower(loaded.reader);
    if (follower == nullptr || !follower->reading) return;
    follower->reading = false;
    // Nor may what precedes it have been released in the meantime.
    const bool next = !loaded.entries.empty() && loaded.entries.front().index == follower->next &&
                      follower->next > log.base().index;
    if (!next || follower->allowance(step.options.window_bytes) == 0) return;
    std::size_t bytes = 0;
    for (const Entry& entry : loaded.entries) bytes += footprint(entry);
    send_entries(step, office.reign()->rounds, *follower, log, std::move(loaded.entries), bytes);
}

/// Says that the leader is there, what is committed, and asks whether the follower's log agrees
/// up to where the leader believes it does. A refusal finds lost messages; an acceptance makes up
/// for lost answers.
inline void send_heartbeat(const Step& step, const ReadRounds& rounds, Progress& follower,
                           const Log& log) {
    if (follower.state != ProgressState::snapshot) {
        send_entries(step, rounds, follower, log, {}, 0);
        return;
    }
    // Accepted once the snapshot is installed, however its last answer fared.
    AppendRequest request;
    request.term = step.term();
    request.previous = follower.transfer.meta.last;
    request.commit = log.commit();
    request.round = rounds.latest;
    step.send(follower.node, std::move(request));
}

/// A refusal of what the follower has acknowledged: an old answer, or it has lost entries that it
/// had reported as durable (a disk that lied, an old copy of a directory). The echo of a round
/// that is asked for now tells. What is lost is sent again and counts for nothing until it has
/// been acknowledged anew; what has been committed with its help stays so, on one copy less.
inline void doubt(const Step& step, ReadRounds& rounds, Progress& follower, const Log& log,
                  const AppendReply& reply) {
    const bool contradicts = reply.index.value != 0 && reply.index <= follower.match;
    if (!contradicts) return;
    const bool asked = follower.doubted_round != 0;
    if (asked && reply.round < follower.doubted_round) return;
    // What was acknowledged after the question was sent may have been refused before.
    if (!asked || reply.index > follower.doubted_match) {
        rounds.latest += 1;
        rounds.due = true;
        follower.doubted_round = rounds.latest;
        follower.doubted_match = follower.match;
    } else {
        const Index agreeing = std::min(log.last_agreeing(reply.hint).index, reply.index - 1);
        step.announce(EventKind::acknowledgement_lost, follower.node, agreeing);
        // What it accepted before the loss may echo even the round that told of it.
        rounds.latest += 1;
        rounds.due = true;
        follower.lost_after(agreeing, rounds.latest);
        if (step.membership().is_voter(follower.node)) follower.lost_before = log.last_index() + 1;
    }
}

/// "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails because
/// of log inconsistency: decrement nextIndex and retry" (Figure 2), here by whole terms at a time
/// (fast backup, end of section 5.3). Answers may come late, twice and in any order.
inline void take_append_reply(const Step& step, Office& office, Reads& reads, const Log& log,
                              NodeId sender, const AppendReply& reply) {
    Reign* reign = office.reign();
    if (reign == nullptr) return;
    const bool is_notice = reply.term == Term{};
    if (reply.term < step.term() && !is_notice) return;
    Progress* follower = reign->find(sender);
    if (follower == nullptr) return;
    follower->disk_stalled = reply.disk_stalled;
    follower->disk_full = reply.disk_full;
    if (is_notice) return;  // it promises nothing, not even that it follows
    if (reply.index > log.last_index() || reply.round > reign->rounds.latest) {
        step.announce(EventKind::protocol_violation, sender, reply.index);
        return;
    }
    follower->last_contact = step.now;
    follower->acknowledged_round = std::max(follower->acknowledged_round, reply.round);
    if (reply.accepted) {
        if (reply.round < follower->trusted_round) return;
        follower->accepted(reply.index);
        if (reply.round >= follower->doubted_round) follower->doubted_round = 0;
        const bool log_reaches = follower->match >= log.base().index;
        if (follower->state == ProgressState::snapshot && log_reaches) {
            follower->become_replicate();
        }
        if (reply.hint.index.value != 0) {
            follower->become_full();
        } else {
            follower->full = false;
        }
    } else if (follower->refusal_is_news(reply.index)) {
        const Index agreeing = log.last_agreeing(reply.hint).index;
        follower->become_probe(std::min(reply.index, agreeing + 1));
    } else {
        follower->transfer.installed = false;
        doubt(step, reign->rounds, *follower, log, reply);
    }
    confirm_reads(step, *reign, reads, log);
}

}  // namespace raft

#endif
