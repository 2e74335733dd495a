// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: what a leader does with operations and with its followers.
#ifndef RSM_RAFT_CORE_LEADER_HPP
#define RSM_RAFT_CORE_LEADER_HPP

#include <raft/core.hpp>
#include <raft/mutant.hpp>

#include <algorithm>
#include <utility>

namespace raft {

inline Progress* Core::find(Leader& leader, NodeId node) {
    for (Progress& follower : leader.followers) {
        if (follower.node == node) return &follower;
    }
    return nullptr;
}

/// What a leader knows of a node: its own value for itself, the least for a stranger.
template <class Value>
Value Core::of_node(Leader& leader, NodeId node, Value Progress::*member, Value own) const {
    if (node == self_) return own;
    const Progress* follower = find(leader, node);
    return follower == nullptr ? Value{} : follower->*member;
}

/// "If command received from client: append entry to local log" (Figure 2).
inline void Core::append_own(Leader& leader, EntryKind kind, Bytes payload) {
    Entry entry{log_.last_index() + 1, hard_.term, kind, std::move(payload)};
    leader.step_bytes += footprint(entry);
    leader.unsettled_bytes += footprint(entry);
    leader.appended_bytes += footprint(entry);
    log_.append(std::move(entry));
}

inline void Core::on(Output& out, Propose& proposal) {
    ProposalOutcome outcome{proposal.token, Refusal::none, {}};
    auto* leader = std::get_if<Leader>(&role_);
    const std::size_t size = proposal.payload.size();
    if (leader == nullptr) {
        outcome.refusal = Refusal::not_leader;
    } else if (size > options_.max_entry_bytes) {
        outcome.refusal = Refusal::too_large;
    } else if (leader->unsettled_bytes + size + entry_overhead_bytes >
                   options_.max_uncommitted_bytes &&
               !RSM_MUTANT(uncommitted_unbounded)) {
        outcome.refusal = Refusal::overloaded;
    } else {
        append_own(*leader, EntryKind::operation, std::move(proposal.payload));
        outcome.position = log_.last();
    }
    out.proposals.push_back(outcome);
}

/// Everything that a leader owes its followers, once per step.
inline void Core::lead(Output& out, Leader& leader) {
    advance_commit(leader);
    settle(leader);
    open_read_round(leader);
    const bool heartbeat = now_ >= leader.heartbeat_at;
    if (heartbeat) leader.heartbeat_at = now_ + options_.heartbeat_interval;
    if (heartbeat && holding_) release_covered();
    const bool notice = leader.commit_notice_at && now_ >= *leader.commit_notice_at;
    if (notice) leader.commit_notice_at.reset();

    for (Progress& follower : leader.followers) {
        if (follower.state == ProgressState::snapshot) {
            if (heartbeat) resend_chunk(out, follower);
        } else if (follower.next <= log_.base().index) {
            begin_snapshot(out, follower);
        }
        const bool spoken = replicate(out, leader, follower);
        const bool streaming = follower.state == ProgressState::replicate;
        const bool commit_unknown = streaming && follower.sent_commit < log_.commit();
        // The answer to entries waits for the follower's disk, and neither a reign nor a read may
        // wait for that; so both are asked for apart. A probe asks one thing at a time.
        const bool asked = heartbeat || leader.round_due;
        const bool apart = asked && streaming && !RSM_MUTANT(heartbeat_waits_for_disk);
        if (apart || (!spoken && (asked || (notice && commit_unknown)))) {
            send_heartbeat(out, leader, follower);
        }
    }
    leader.round_due = false;
    confirm_reads(out, leader);
}

/// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
/// log[N].term == currentTerm: set commitIndex = N" (sections 5.3, 5.4.2). The leader's own match
/// index is what is durable here.
inline void Core::advance_commit(Leader& leader) {
    const Index reached = membership_.reached_by_quorum<Index>([&](NodeId node) {
        const Index own = RSM_MUTANT(leader_counts_unsynced) ? log_.last_index() : log_.durable();
        return of_node(leader, node, &Progress::match, own);
    });
    if (reached <= log_.commit()) return;
    if (log_.term_at(reached) != hard_.term && !RSM_MUTANT(commits_old_terms)) return;
    log_.commit_to(reached);
    if (!leader.commit_notice_at) {
        leader.commit_notice_at = now_ + options_.commit_notice_delay;
    }
}

/// The budget of proposals is given back for what costs memory no more: what others have committed
/// may still wait for this node's disk or state machine.
inline void Core::settle(Leader& leader) {
    if (leader.step_bytes != 0) {
        leader.unsettled.push_back({log_.last_index(), std::exchange(leader.step_bytes, 0)});
    }
    Index settled = std::min({log_.commit(), log_.durable(), log_.applied()});
    if (RSM_MUTANT(settled_at_commit)) settled = log_.commit();
    while (!leader.unsettled.empty() && leader.unsettled.front().last <= settled) {
        leader.unsettled_bytes -= leader.unsettled.front().bytes;
        leader.unsettled.pop_front();
    }
}

/// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
/// starting at nextIndex" (Figure 2), as much as the follower's window allows, without waiting
/// for answers (pipelining, thesis section 10.2.1). Returns whether anything was sent.
inline bool Core::replicate(Output& out, Leader& leader, Progress& follower) {
    bool spoken = false;
    while (follower.next <= log_.last_index()) {
        const std::size_t window =
            RSM_MUTANT(window_unbounded) ? static_cast<std::size_t>(-1) : options_.window_bytes;
        const std::size_t allowance =
            std::min(follower.allowance(window), options_.max_message_bytes);
        if (allowance == 0 || follower.reading) break;
        if (!log_.cached(follower.next)) {
            follower.reading = true;
            out.load_entries.push_back({follower.node, follower.next, allowance});
            break;
        }
        std::vector<Entry> entries;
        const std::size_t bytes = log_.copy(follower.next, log_.last_index(), allowance, entries);
        send_entries(out, leader, follower, std::move(entries), bytes);
        spoken = true;
    }
    return spoken;
}

/// @pre the entries start at follower.next, and follower.next > base
inline void Core::send_entries(Output& out, Leader& leader, Progress& follower,
                               std::vector<Entry> entries, std::size_t bytes) {
    AppendRequest request;
    request.term = hard_.term;
    request.previous.index = follower.next - 1;
    request.previous.term = *log_.term_at(request.previous.index);
    request.commit = log_.commit();
    request.round = leader.round;
    follower.sent_commit = log_.commit();
    if (RSM_MUTANT(contact_on_send)) follower.last_contact = now_;
    if (!entries.empty()) follower.sent(entries.back().index, bytes);
    request.entries = std::move(entries);
    send(out, follower.node, std::move(request));
}

/// Says that the leader is there, what is committed, and asks whether the follower's log agrees
/// up to where the leader believes it does. A refusal finds lost messages; an acceptance makes up
/// for lost answers.
inline void Core::send_heartbeat(Output& out, Leader& leader, Progress& follower) {
    if (follower.state != ProgressState::snapshot) {
        send_entries(out, leader, follower, {}, 0);
        return;
    }
    // Accepted once the snapshot is installed, however its last answer fared.
    AppendRequest request;
    request.term = hard_.term;
    request.previous = follower.transfer.meta.last;
    request.commit = log_.commit();
    request.round = leader.round;
    send(out, follower.node, std::move(request));
}

/// "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails because
/// of log inconsistency: decrement nextIndex and retry" (Figure 2), here by whole terms at a time
/// (end of section 5.3). Answers may come late, twice and in any order.
inline void Core::on(Output& out, const Message& message, AppendReply& reply) {
    auto* leader = std::get_if<Leader>(&role_);
    if (leader == nullptr) return;
    if (reply.term < hard_.term && !RSM_MUTANT(old_append_replies)) return;
    Progress* follower = find(*leader, message.from);
    if (follower == nullptr) return;
    if (reply.index > log_.last_index() || reply.round > leader->round) {
        announce(out, EventKind::protocol_violation, message.from, reply.index);
        return;
    }
    follower->last_contact = now_;
    follower->acknowledged_round = std::max(follower->acknowledged_round, reply.round);
    if (reply.accepted) {
        if (reply.round < follower->trusted_round) return;
        follower->accepted(reply.index);
        if (reply.round >= follower->doubted_round) follower->doubted_round = 0;
        const bool log_reaches = follower->match >= log_.base().index;
        if (follower->state == ProgressState::snapshot && log_reaches) {
            follower->become_replicate();
        }
    } else if (follower->refusal_is_news(reply.index) && !RSM_MUTANT(refusals_ignored)) {
        const Index agreeing = log_.last_agreeing(reply.hint).index;
        follower->become_probe(std::min(reply.index, agreeing + 1));
    } else {
        follower->transfer.installed = false;
        doubt(out, *leader, *follower, reply);
    }
    confirm_reads(out, *leader);
}

/// A refusal of what the follower has acknowledged: an old answer, or it has lost entries that it
/// had reported as durable (a disk that lied, an old copy of a directory). The echo of a round
/// that is asked for now tells. What is lost is sent again and counts for nothing until it has
/// been acknowledged anew; what has been committed with its help stays so, on one copy less.
inline void Core::doubt(Output& out, Leader& leader, Progress& follower, const AppendReply& reply) {
    const bool contradicts = reply.index.value != 0 && reply.index <= follower.match;
    if (!contradicts) return;
    const bool asked = follower.doubted_round != 0;
    if (asked && reply.round < follower.doubted_round) return;
    // What was acknowledged after the question was sent may have been refused before.
    if (!asked || reply.index > follower.doubted_match) {
        leader.round += 1;
        leader.round_due = true;
        follower.doubted_round = leader.round;
        follower.doubted_match = follower.match;
    } else {
        const Index agreeing = std::min(log_.last_agreeing(reply.hint).index, reply.index - 1);
        announce(out, EventKind::acknowledgement_lost, follower.node, agreeing);
        follower.lost_after(agreeing);
    }
}

inline void Core::on(Output& out, EntriesLoaded& loaded) {
    // What was read may have been replaced since it was asked for.
    for (std::size_t i = 0; i < loaded.entries.size(); ++i) {
        const bool same = log_.matches(loaded.entries[i].position());
        if (!same && !RSM_MUTANT(loaded_entries_unchecked)) loaded.entries.resize(i);
    }
    if (!loaded.reader) {
        applying_load_ = false;
        while (!loaded.entries.empty() && loaded.entries.back().index > log_.commit()) {
            loaded.entries.pop_back();
        }
        const bool next = !loaded.entries.empty() && log_.handed() == log_.applied() &&
                          loaded.entries.front().index == log_.handed() + 1;
        if (!next) return;
        log_.handed_to(loaded.entries.back().index);
        out.apply = std::move(loaded.entries);
        return;
    }
    auto* leader = std::get_if<Leader>(&role_);
    Progress* follower = leader == nullptr ? nullptr : find(*leader, loaded.reader);
    if (follower == nullptr || !follower->reading) return;
    follower->reading = false;
    // Nor may what precedes it have been released in the meantime.
    const bool next = !loaded.entries.empty() && loaded.entries.front().index == follower->next &&
                      follower->next > log_.base().index;
    if (!next || follower->allowance(options_.window_bytes) == 0) return;
    std::size_t bytes = 0;
    for (const Entry& entry : loaded.entries) bytes += footprint(entry);
    send_entries(out, *leader, *follower, std::move(loaded.entries), bytes);
}

}  // namespace raft

#endif
