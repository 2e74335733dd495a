// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: how a follower takes in what its leader sends.
#ifndef RSM_RAFT_CORE_FOLLOWER_HPP
#define RSM_RAFT_CORE_FOLLOWER_HPP

#include <raft/core.hpp>
#include <raft/mutant.hpp>

#include <algorithm>
#include <utility>

namespace raft {

/// Whether the message comes from the leader of this term, who is then followed. "If AppendEntries
/// RPC received from new leader: convert to follower" (Figure 2). Later terms have been entered
/// before.
inline bool Core::follow(Output& out, const Message& message) {
    if (term_of(message) < hard_.term && !RSM_MUTANT(stale_leader_followed)) return false;
    if (std::holds_alternative<Leader>(role_)) {  // election safety says: cannot be
        announce(out, EventKind::rival_leader, message.from);
        return false;
    }
    if (leader() != message.from) {
        become_follower(out, hard_.term, message.from);
        announce(out, EventKind::leader_known, message.from);
    }
    leader_heard_ = now_;
    reset_election_timer();
    return true;
}

/// AppendEntries, receiver implementation (Figure 2).
inline void Core::on(Output& out, const Message& message, AppendRequest& request) {
    AppendReply refusal;
    refusal.term = hard_.term;
    if (!follow(out, message)) {  // rule 1: reply false if term < currentTerm
        // It names no index: the sender may lead this term by now, with a log of another length.
        send(out, message.from, refusal);
        return;
    }
    refusal.index = request.previous.index;
    refusal.round = request.round;
    const Index commit = log_.commit();
    if (request.previous.index < commit) {
        // What is committed here is in the leader's log too (leader completeness, section 5.4.3)
        // and may be gone from this one: the check begins behind it.
        const std::size_t known =
            std::min<std::size_t>(commit - request.previous.index, request.entries.size());
        request.entries.erase(request.entries.begin(),
                              request.entries.begin() + static_cast<std::ptrdiff_t>(known));
        request.previous = {commit, *log_.term_at(commit)};
    }
    const bool agrees = log_.matches(request.previous) || (RSM_MUTANT(previous_term_unchecked) &&
                                                           log_.term_at(request.previous.index));
    if (!agrees) {  // rule 2: reply false, with a hint where to go on
        refusal.hint = log_.last_agreeing(request.previous);
        send(out, message.from, refusal);
        return;
    }
    leave_what_does_not_fit(request);
    if (!append_received(out, message, request)) return;
    const Index match = request.previous.index + request.entries.size();
    const Index known = RSM_MUTANT(commit_beyond_match) ? log_.last_index() : match;
    log_.commit_to(std::min(request.commit, known));  // rule 5
    acknowledge(out, message, request, match);
}

/// While the disk is behind, new entries are left as if the message had been lost: a leader sends
/// them again at its heartbeats, and the memory of what waits to be written has a bound.
inline void Core::leave_what_does_not_fit(AppendRequest& request) const {
    if (log_.unwritten_bytes() < 2 * options_.window_bytes) return;
    std::size_t here = 0;
    while (here < request.entries.size() && log_.matches(request.entries[here].position())) ++here;
    request.entries.resize(here);
}

/// Rules 3 and 4: delete what conflicts, append what is not there. What agrees stays, because a
/// late request must not cut off what a newer one has brought.
inline bool Core::append_received(Output& out, const Message& message, AppendRequest& request) {
    Term least = request.previous.term;
    for (const Entry& entry : request.entries) {
        if (entry.term < least || entry.term > request.term) {  // terms never fall along a log
            announce(out, EventKind::protocol_violation, message.from, entry.index);
            return false;
        }
        least = entry.term;
    }
    for (Entry& entry : request.entries) {
        if (log_.matches(entry.position()) && !RSM_MUTANT(late_request_truncates)) continue;
        if (RSM_MUTANT(conflicts_kept) && entry.index <= log_.last_index()) continue;
        if (entry.index <= log_.last_index()) {
            log_.truncate_from(entry.index);
            announce(out, EventKind::log_truncated, message.from, entry.index);
        }
        log_.append(std::move(entry));
    }
    return true;
}

/// The answer vouches for entries, so it waits for the write that makes them durable; one that
/// brings nothing new says at once what is durable already, so that a heartbeat is answered while
/// a write is under way (see Core::lead: no heartbeat and no read round relies on entries alone).
inline void Core::acknowledge(Output& out, const Message& message, const AppendRequest& request,
                              Index match) {
    AppendReply reply{hard_.term, true, match, {}, request.round};
    if (RSM_MUTANT(acknowledges_all)) reply.index = log_.durable();
    if (RSM_MUTANT(append_acknowledged_early)) return send(out, message.from, reply);
    if (match > log_.durable() && !request.entries.empty()) {
        send_when_durable(out, message.from, reply);
        return;
    }
    if (!RSM_MUTANT(acknowledges_all)) reply.index = std::min(match, log_.durable());
    send(out, message.from, reply);
}

}  // namespace raft

#endif
