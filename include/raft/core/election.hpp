// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: how a leader comes and goes.
#ifndef RSM_RAFT_CORE_ELECTION_HPP
#define RSM_RAFT_CORE_ELECTION_HPP

#include <raft/core.hpp>
#include <raft/mutant.hpp>

#include <algorithm>
#include <utility>

namespace raft {

/// Drawn anew each time, so that split votes are rare and do not repeat (section 5.2).
inline void Core::reset_election_timer() {
    election_at_ = now_ + options_.election_timeout + random_.below(options_.election_timeout);
    if (RSM_MUTANT(same_timeouts)) election_at_ = now_ + options_.election_timeout;
}

/// Time in which this node did not run (it was stopped, or its machine slept) says nothing about
/// the others, whose messages may be waiting to be read, nor about the disk. What is judged by how
/// long it takes is therefore judged by how long it took while the node ran.
inline void Core::notice_pause(Output& out) {
    const Duration late = now_ - deadline();
    if (late <= Duration{}) {
        pauses_ = 0;
        return;
    }
    log_.excuse_writes(late);
    auto* leader = std::get_if<Leader>(&role_);
    if (leader != nullptr) {
        leader->quorum_check_at += late;
        for (Progress& follower : leader->followers) follower.last_contact += late;
    }
    const bool paused = late > options_.heartbeat_interval;
    pauses_ = paused ? std::min(pauses_ + 1, 2U) : 0;
    if (!paused) return;
    announce(out, EventKind::paused, self_);
    // What has come meanwhile is heard before anything is judged; but once, or a node that is
    // always late would never judge.
    if (leader == nullptr && pauses_ == 1) {
        election_at_ =
            now_ + options_.heartbeat_interval + random_.below(options_.heartbeat_interval);
    }
}

/// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
/// follower" (Figure 2). In the present term, a candidate gives way or a leader steps down.
inline void Core::become_follower(Output& out, Term term, NodeId leader) {
    const bool was_follower = std::holds_alternative<Follower>(role_);
    if (auto* deposed = std::get_if<Leader>(&role_)) {
        refuse_reads(out, *deposed);
        reset_election_timer();
        holding_ = false;
    }
    if (term > hard_.term) {
        hard_.term = term;
        hard_.voted_for = NodeId{};
        hard_changed_ = !RSM_MUTANT(term_not_persisted);
    }
    role_ = Follower{leader};
    if (!was_follower) announce(out, EventKind::became_follower, leader);
}

/// Starts an election (section 5.2), or first asks whether it could be won (thesis, 9.6). The
/// term to be elected in is the next one; only a real candidate enters it.
inline void Core::stand_for_election(Output& out, bool pre_vote) {
    reset_election_timer();
    if (!membership_.is_voter(self_)) return;
    if (hard_.term >= max_term) return announce(out, EventKind::number_out_of_range, self_);
    role_ = Candidate{pre_vote, {}};
    VoteRequest request{hard_.term, pre_vote, log_.last()};
    if (pre_vote) {
        request.term.value += 1;
        announce(out, EventKind::became_pre_candidate);
    } else {
        hard_.term.value += 1;
        hard_.voted_for = self_;
        hard_changed_ = true;
        request.term = hard_.term;
        announce(out, EventKind::became_candidate);
    }
    for (const NodeId node : membership_.all()) {
        if (node != self_ && membership_.is_voter(node)) send(out, node, request);
    }
    // A vote is a promise to be kept over a crash, so a candidate's own counts when it is durable
    // (see Persisted); a pre-vote promises nothing.
    if (pre_vote || RSM_MUTANT(own_vote_at_once)) count_vote(out, self_);
}

inline void Core::count_vote(Output& out, NodeId voter) {
    Candidate& candidate = std::get<Candidate>(role_);
    const auto has_granted = [&candidate](NodeId node) {
        const auto end = candidate.granted.end();
        return std::find(candidate.granted.begin(), end, node) != end;
    };
    if (!has_granted(voter)) candidate.granted.push_back(voter);
    if (!membership_.has_quorum(has_granted)) return;
    if (candidate.pre_vote) {
        stand_for_election(out, false);
    } else {
        become_leader(out);
    }
}

/// Volatile state on leaders is "reinitialized after election" (Figure 2).
inline void Core::become_leader(Output& out) {
    Leader leader;
    for (const NodeId node : membership_.all()) {
        if (node == self_) continue;
        Progress& follower = leader.followers.emplace_back();
        follower.node = node;
        follower.last_contact = now_;
        follower.become_probe(log_.last_index() + 1);
    }
    leader.quorum_check_at = now_ + options_.election_timeout;
    leader.heartbeat_at = now_;  // at once: "upon election: send initial heartbeats" (Figure 2)
    role_ = std::move(leader);
    announce(out, EventKind::became_leader, self_);
    if (options_.barrier_on_election && !RSM_MUTANT(no_barrier)) {
        append_own(std::get<Leader>(role_), EntryKind::barrier, {});
    }
}

/// Whether this node has reason to believe that a leader is alive (thesis, section 4.2.3).
inline bool Core::hears_from_leader() const {
    if (!options_.check_quorum && !options_.pre_vote) return false;
    // A leader that checks its quorum steps down by itself when it has lost it.
    if (std::holds_alternative<Leader>(role_)) {
        return options_.check_quorum && !RSM_MUTANT(leader_not_sticky);
    }
    return leader_heard_ && now_ - *leader_heard_ < options_.election_timeout;
}

inline void Core::on(Output& out, const Message& message, VoteRequest& request) {
    // Whoever hears from a leader does not help to depose it: the term stays as it is.
    const bool loyal = request.term > hard_.term && hears_from_leader();
    if (loyal && !request.pre_vote) return;
    if (!request.pre_vote && request.term > hard_.term) {
        become_follower(out, request.term, NodeId{});
    }
    bool granted = log_.up_to_date(request.last);  // the election restriction (section 5.4.1)
    if (RSM_MUTANT(votes_without_log_check)) granted = true;
    if (RSM_MUTANT(log_check_by_length)) granted = request.last.index >= log_.last_index();
    if (request.pre_vote) {
        granted = granted && !loyal && request.term > hard_.term;
    } else {
        const bool free =
            !hard_.voted_for || hard_.voted_for == message.from || RSM_MUTANT(votes_twice);
        granted = granted && free && request.term == hard_.term;
        if (granted) {
            const bool news = hard_.voted_for != message.from;
            hard_changed_ = hard_changed_ || (news && !RSM_MUTANT(vote_not_persisted));
            hard_.voted_for = message.from;
            // Only one that had not voted can be here: it gives up asking for pre-votes.
            if (role() == Role::pre_candidate) become_follower(out, hard_.term, NodeId{});
            reset_election_timer();
        }
    }
    send(out, message.from, VoteReply{hard_.term, request.term, request.pre_vote, granted});
}

inline void Core::on(Output& out, const Message& message, VoteReply& reply) {
    const auto* candidate = std::get_if<Candidate>(&role_);
    if (candidate == nullptr || !reply.granted) return;
    if (reply.pre_vote != candidate->pre_vote && !RSM_MUTANT(prevote_reply_is_vote)) return;
    const Term election{hard_.term.value + (candidate->pre_vote ? 1 : 0)};
    if (reply.election == election || RSM_MUTANT(old_vote_replies)) count_vote(out, message.from);
}

/// Whether the oldest write has been under way for too long. Its end may be waiting to be told, so
/// that is looked at twice, a heartbeat apart.
inline bool Core::disk_hangs(Leader& leader) const {
    const std::optional<Time> write = log_.oldest_write();
    if (!write || now_ - *write < options_.disk_stall_timeout) {
        leader.stall_seen_at.reset();
        return false;
    }
    if (!leader.stall_seen_at) leader.stall_seen_at = now_;
    return now_ - *leader.stall_seen_at >= options_.heartbeat_interval;
}

/// A leader that cannot serve gives way: one that does not hear from a quorum (thesis, section
/// 6.2), and one whose own disk hangs.
inline void Core::check_leadership(Output& out, Leader& leader) {
    if (pauses_ == 1) return;
    if (disk_hangs(leader) && !RSM_MUTANT(stalled_leader_stays)) {
        announce(out, EventKind::disk_stalled, self_);
        become_follower(out, hard_.term, NodeId{});
        return;
    }
    if (now_ < leader.quorum_check_at) return;
    leader.quorum_check_at = now_ + options_.election_timeout;
    if (!options_.check_quorum) return;
    const bool heard = membership_.has_quorum([&](NodeId node) {
        const Time contact = of_node(leader, node, &Progress::last_contact, now_);
        return now_ - contact < options_.election_timeout;
    });
    if (heard || RSM_MUTANT(lonely_leader_stays)) return;
    announce(out, EventKind::quorum_lost, self_);
    become_follower(out, hard_.term, NodeId{});
}

}  // namespace raft

#endif
