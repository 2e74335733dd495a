// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// AppendEntries, the follower's side: the consistency check, truncation and the hint for fast
// backup (section 5.3), and what an acknowledgement vouches for.
#ifndef RSM_RAFT_RULES_ACCEPTANCE_HPP
#define RSM_RAFT_RULES_ACCEPTANCE_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/configuration.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/membership.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace raft::inline v0 {

/// What is committed here is in the leader's log too (leader completeness, section 5.4.3) and may
/// be gone from this one: the check begins behind it.
template <class Body>
void skip_committed(const Log& log, Body& request) {
    const Index commit = log.commit();
    if (request.previous.index >= commit) return;
    const std::size_t known =
        std::min<std::size_t>(commit - request.previous.index, request.entries.size());
    request.entries.erase(request.entries.begin(),
                          request.entries.begin() + static_cast<std::ptrdiff_t>(known));
    request.previous = {commit, *log.term_at(commit)};
}

/// While the disk is behind, new entries are left as if the message had been lost: a leader sends
/// them again at its heartbeats, and the memory of what waits to be written has a bound. False: all
/// of it is left, and so is the answer, or it would bring the same entries again at once.
inline bool keep_what_fits(const Step& step, const Log& log, AppendRequest& request) {
    const bool asks_only = request.entries.empty();
    if (asks_only || log.unwritten_bytes() < 2 * step.options.window_bytes) return true;
    std::size_t here = 0;
    while (here < request.entries.size() && log.matches(request.entries[here].position())) ++here;
    request.entries.resize(here);
    return here != 0;
}

/// Whether the log is as long as it may be, and will be shorter by a snapshot. Where there is
/// nothing of it that a snapshot could cover, it has to go on: what commits it is still to come.
inline bool is_full(const Room& room, const Log& log, const SnapshotMeta& newest) {
    return room.none() && newest.last.index < log.commit();
}

/// A log that is full takes what it has already, and behind it what leaders append by themselves,
/// without which nothing would be committed in a new term.
inline void keep_what_has_room(const Log& log, AppendRequest& request) {
    const auto fits = [&log](const Entry& entry) {
        return entry.kind != EntryKind::operation || log.matches(entry.position());
    };
    const auto end = std::find_if_not(request.entries.begin(), request.entries.end(), fits);
    request.entries.erase(end, request.entries.end());
}

/// Whether the entries of a message can stand in a log behind its `previous`: terms never fall
/// along a log, and none is later than the sender's.
template <class Body>
bool are_sound(const Step& step, NodeId sender, const Body& body) {
    Term least = body.previous.term;
    for (const Entry& entry : body.entries) {
        const bool in_order = entry.term >= least && entry.term <= body.term;
        if (!in_order || !is_well_formed(entry)) {
            step.announce(EventKind::protocol_violation, sender, entry.index);
            return false;
        }
        least = entry.term;
    }
    return true;
}

/// Rules 3 and 4: delete what conflicts, append what is not there. What agrees stays, because a
/// late request must not cut off what a newer one has brought. False: no correct node sends this.
inline bool append_received(const Step& step, Log& log, Room& room, Configuration& configuration,
                            NodeId leader, AppendRequest& request) {
    if (!are_sound(step, leader, request)) return false;
    for (Entry& entry : request.entries) {
        if (log.matches(entry.position())) continue;
        if (entry.index <= log.last_index()) {
            truncate_entries(log, configuration, entry.index);
            step.announce(EventKind::log_truncated, leader, entry.index);
        }
        room.take(footprint(entry));
        append_entry(log, configuration, std::move(entry));
    }
    return true;
}

/// An answer, which says besides how the disk is.
inline AppendReply begin_reply(const Step& step) {
    AppendReply reply;
    reply.term = step.term();
    reply.disk_stalled = step.disk.stalled;
    reply.disk_full = step.disk.full;
    return reply;
}

/// A term that the disk does not take cannot be told, and so no answer is given in it; nor is one
/// where the log starts anew and the disk does not take that. That the disk hangs needs no term.
inline void tell_of_disk(const Step& step, const Log& log, NodeId leader) {
    if (!step.disk.stalled || (step.ballot.durable() && !log.is_resetting())) return;
    AppendReply notice = begin_reply(step);
    notice.term = Term{};
    step.out.send.push_back(step.addressed(leader, notice));
}

/// The answer vouches for entries, so it waits for the write that makes them durable; one that
/// brings nothing new says at once what is durable already, so that a heartbeat is answered while
/// a write is under way (see lead(): no heartbeat and no read round relies on entries alone). What
/// only a received snapshot stands for is not vouched for before the log on disk says so
/// (reply_snapshot()).
/// @param full  is_full()
inline void acknowledge(const Step& step, const Log& log, NodeId leader,
                        const AppendRequest& request, Index match, bool full) {
    AppendReply reply = begin_reply(step);
    reply.accepted = true;
    reply.index = match;
    reply.round = request.round;
    if (full) reply.hint = log.last();
    const bool brings_news = match > log.readable() && !request.entries.empty();
    if (brings_news || log.is_resetting()) {
        reply.disk_stalled = false;  // or it does not leave
        step.send_when_durable(leader, reply);
        return;
    }
    reply.index = std::min(match, log.readable());
    step.send(leader, reply);
}

/// Rules 2 to 5. @pre follow()
inline void accept_entries(const Step& step, Log& log, Room& room, const SnapshotMeta& newest,
                           Configuration& configuration, NodeId leader, AppendRequest& request) {
    AppendReply refusal = begin_reply(step);
    refusal.index = request.previous.index;
    refusal.round = request.round;
    skip_committed(log, request);
    const bool agrees = log.matches(request.previous);
    if (!agrees) {  // rule 2: reply false, with a hint where to go on
        refusal.hint = log.last_agreeing(request.previous);
        step.send(leader, refusal);
        return;
    }
    if (!keep_what_fits(step, log, request)) return;
    const bool full = is_full(room, log, newest);
    if (full) keep_what_has_room(log, request);
    if (!append_received(step, log, room, configuration, leader, request)) return;
    const Index match = request.previous.index + request.entries.size();
    log.commit_to(std::min(request.commit, match));  // rule 5
    acknowledge(step, log, leader, request, match, full);
}

/// AppendEntries, receiver implementation (Figure 2).
inline void answer_append_request(const Step& step, Ballot& ballot, Office& office,
                                  ElectionTimer& timer, Reads& reads, Log& log, Room& room,
                                  const SnapshotMeta& newest, Configuration& configuration,
                                  const Message& message, AppendRequest& request) {
    if (follow(step, ballot, office, timer, reads, message)) {
        tell_of_disk(step, log, message.from);
        return accept_entries(step, log, room, newest, configuration, message.from, request);
    }
    // Rule 1: "reply false if term < currentTerm". It names no index: the sender may lead this term
    // by now, with a log of another length.
    step.send(message.from, begin_reply(step));
}

}  // namespace raft

#endif
