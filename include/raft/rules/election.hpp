// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How a leader comes and goes: terms and votes (sections 5.1 and 5.2), the election restriction
// (5.4.1), pre-vote (thesis, 9.6) and sticky leaders (thesis, 4.2.3).
#ifndef RSM_RAFT_RULES_ELECTION_HPP
#define RSM_RAFT_RULES_ELECTION_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/proposals.hpp>
#include <raft/rules/reads.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace raft::inline v0 {

/// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
/// follower" (Figure 2). In the present term, a candidate gives way or a leader steps down.
inline void become_follower(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                            Reads& reads, Term term, NodeId leader) {
    const bool was_follower = office.role() == Role::follower;
    if (Reign* ended = office.reign()) {
        refuse_reads(step, ended->rounds, reads);
        timer.restart(step.options, step.now);
    }
    if (term > ballot.term) {
        ballot.enter(term);
    }
    office.held = Follower{leader};
    if (!was_follower) step.announce(EventKind::became_follower, leader);
}

/// A snapshot from a leader may have become durable before the term in which it came. A node whose
/// log is of a later term than its own could be elected to append earlier ones to it.
inline void enter_term_of_log(Ballot& ballot, const Log& log) {
    const Term logged = log.last().term;
    if (logged > ballot.term) ballot.enter(logged);
}

/// Volatile state on leaders is "reinitialized after election" (Figure 2).
inline void become_leader(const Step& step, Office& office, Log& log) {
    Reign reign;
    for (const NodeId node : step.membership.all()) {
        if (node == step.self) continue;
        Progress& follower = reign.followers.emplace_back();
        follower.node = node;
        follower.last_contact = step.now;
        follower.become_probe(log.last_index() + 1);
    }
    reign.quorum_check_at = step.now + step.options.election_timeout;
    reign.heartbeat_at = step.now;  // "upon election: send initial heartbeats" (Figure 2)
    step.announce(EventKind::became_leader, step.self);
    if (step.options.barrier_on_election) {
        append_own(step, reign.budget, log, EntryKind::barrier, {});
    }
    office.held = std::move(reign);
}

inline void count_vote(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                       Log& log, NodeId voter);

/// Starts an election: "increment currentTerm, vote for self, reset election timer, send
/// RequestVote RPCs to all other servers" (Figure 2); or first asks whether it could be won
/// (thesis, 9.6). The term to be elected in is the next one; only a real candidate enters it.
inline void stand_for_election(const Step& step, Ballot& ballot, Office& office,
                               ElectionTimer& timer, Log& log, bool pre_vote) {
    timer.restart(step.options, step.now);
    if (!step.membership.is_voter(step.self)) return;
    if (ballot.term >= max_term) return step.announce(EventKind::number_out_of_range, step.self);
    office.held = Candidate{pre_vote, {}};
    VoteRequest request{ballot.term, pre_vote, log.last()};
    if (pre_vote) {
        request.term.value += 1;
        step.announce(EventKind::became_pre_candidate);
    } else {
        ballot.enter({ballot.term.value + 1});
        ballot.vote_for(step.self);
        request.term = ballot.term;
        step.announce(EventKind::became_candidate);
    }
    for (const NodeId node : step.membership.all()) {
        if (node != step.self && step.membership.is_voter(node)) step.send(node, request);
    }
    // A vote is a promise to be kept over a crash, so a candidate's own counts when it is durable
    // (see count_own_vote()); a pre-vote promises nothing.
    if (pre_vote) {
        count_vote(step, ballot, office, timer, log, step.self);
    }
}

/// "If votes received from majority of servers: become leader" (Figure 2); of pre-votes: stand.
/// @pre the node is a candidate
inline void count_vote(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                       Log& log, NodeId voter) {
    Candidate& candidate = std::get<Candidate>(office.held);
    const auto has_granted = [&candidate](NodeId node) {
        const auto end = candidate.granted.end();
        return std::find(candidate.granted.begin(), end, node) != end;
    };
    if (!has_granted(voter)) candidate.granted.push_back(voter);
    if (!step.membership.has_quorum(has_granted)) return;
    if (candidate.pre_vote) {
        stand_for_election(step, ballot, office, timer, log, false);
    } else {
        become_leader(step, office, log);
    }
}

/// A candidate's vote for itself counts once it could not be forgotten.
inline void count_own_vote(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                           Log& log) {
    const Candidate* candidate = office.candidate();
    if (candidate == nullptr || candidate->pre_vote || !ballot.durable()) return;
    count_vote(step, ballot, office, timer, log, step.self);
}

/// Whether this node has reason to believe that a leader is alive (thesis, section 4.2.3).
inline bool hears_from_leader(const Step& step, const Office& office, const ElectionTimer& timer) {
    if (!step.options.check_quorum && !step.options.pre_vote) return false;
    // A leader that checks its quorum steps down by itself when it has lost it.
    if (office.leads()) return step.options.check_quorum;
    return timer.leader_heard && step.now - *timer.leader_heard < step.options.election_timeout;
}

/// The election restriction: "the voter denies its vote if its own log is more up-to-date than
/// that of the candidate" (section 5.4.1).
inline bool may_lead(const Log& log, LogPosition candidate) { return log.up_to_date(candidate); }

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served
/// basis" (section 5.2). @pre the ballot's term is not behind the request's
inline bool has_vote_for(const Ballot& ballot, Term term, NodeId candidate) {
    const bool free = !ballot.voted_for || ballot.voted_for == candidate;
    return free && term == ballot.term;
}

/// RequestVote, receiver implementation (Figure 2), and the same for pre-votes (thesis, 9.6).
/// Whoever hears from a leader does not help to depose it: the term stays as it is.
inline void answer_vote_request(const Step& step, Ballot& ballot, Office& office,
                                ElectionTimer& timer, Reads& reads, const Log& log,
                                NodeId candidate, const VoteRequest& request) {
    const bool loyal = request.term > ballot.term && hears_from_leader(step, office, timer);
    if (loyal && !request.pre_vote) return;
    if (!request.pre_vote && request.term > ballot.term) {
        become_follower(step, ballot, office, timer, reads, request.term, NodeId{});
    }
    bool granted = may_lead(log, request.last);
    if (request.pre_vote) {
        granted = granted && !loyal && request.term > ballot.term;
    } else {
        granted = granted && has_vote_for(ballot, request.term, candidate);
        if (granted) {
            ballot.vote_for(candidate);
            // Only one that had not voted can be here: it gives up asking for pre-votes.
            if (office.role() == Role::pre_candidate) {
                become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
            }
            timer.restart(step.options, step.now);
        }
    }
    step.send(candidate, VoteReply{ballot.term, request.term, request.pre_vote, granted});
}

/// A vote counts for the candidacy that asked for it, which its term names.
inline void take_vote_reply(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                            Log& log, NodeId voter, const VoteReply& reply) {
    const Candidate* candidate = office.candidate();
    if (candidate == nullptr || !reply.granted) return;
    if (reply.pre_vote != candidate->pre_vote) return;
    const Term election{ballot.term.value + (candidate->pre_vote ? 1 : 0)};
    if (reply.election == election) {
        count_vote(step, ballot, office, timer, log, voter);
    }
}

/// Whether the message comes from the leader of this term, who is then followed. "If AppendEntries
/// RPC received from new leader: convert to follower" (Figure 2). Later terms have been entered
/// before.
inline bool follow(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                   Reads& reads, const Message& message) {
    if (term_of(message) < ballot.term) return false;
    if (office.leads()) {  // election safety says: cannot be
        step.announce(EventKind::rival_leader, message.from);
        return false;
    }
    if (office.leader(step.self) != message.from) {
        become_follower(step, ballot, office, timer, reads, ballot.term, message.from);
        step.announce(EventKind::leader_known, message.from);
    }
    timer.leader_heard = step.now;
    timer.restart(step.options, step.now);
    return true;
}

}  // namespace raft

#endif
