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
#include <raft/rules/handover.hpp>
#include <raft/rules/member_change.hpp>
#include <raft/rules/membership.hpp>
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
        interrupt_change(step, *ended);
        end_handover_with_reign(step, *ended, term > ballot.term);
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

/// A node that may have promised something takes its start for a word of a leader, whatever the
/// term in which it is asked: the leader has time to tell it that its storage has lost some of
/// that.
inline void start_timer(const Options& options, const Ballot& ballot, ElectionTimer& timer,
                        Time now) {
    const bool is_loyal = options.pre_vote || options.check_quorum;
    if (ballot.term.value != 0 && is_loyal) timer.votes_from = now + options.election_timeout;
    timer.restart(options, now);
}
inline bool is_starting(const Step& step, const ElectionTimer& timer) {
    return timer.votes_from && step.now < *timer.votes_from;
}

/// Volatile state on leaders is "reinitialized after election" (Figure 2).
inline void become_leader(const Step& step, Office& office, Log& log) {
    Reign reign;
    enlist(step, reign, log);
    reign.quorum_check_at = step.now + step.options.election_timeout;
    begin_preference(step, office.preference);
    reign.heartbeat_at = step.now;  // "upon election: send initial heartbeats" (Figure 2)
    step.announce(EventKind::became_leader, step.self);
    // A change of members that is not finished waits for an entry of this term, too.
    const bool changing = !is_settled(step.configuration, log) || step.membership().joint();
    if (step.options.barrier_on_election || changing) {
        append_own(step, reign.budget, log, EntryKind::barrier, {});
    }
    office.held = std::move(reign);
}

inline void count_vote(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                       Log& log, NodeId voter);

enum class Candidacy : std::uint8_t {
    pre_vote,  ///< asks whether the election could be won
    vote,
    handover,  ///< a vote that the leader has asked for
};

/// A learner that hears from no leader may have been removed while it was away. It asks as one that
/// could stand does, to be told; what is granted counts for nothing. One that has lost entries asks
/// for them in this way (log_repair.hpp).
inline void ask_whether_member(const Step& step, const Log& log) {
    if (!may_vote(step, log) || step.term() >= max_term) return;
    for (const Member& member : step.membership().members) {
        if (member.id == step.self || !member.votes()) continue;
        step.send(member.id,
                  VoteRequest{{step.term().value + 1}, true, log.last(), false, !log.is_whole()});
    }
}

/// Starts an election: "increment currentTerm, vote for self, reset election timer, send
/// RequestVote RPCs to all other servers" (Figure 2); or first asks whether it could be won
/// (thesis, 9.6). The term to be elected in is the next one; only a real candidate enters it.
inline void stand_for_election(const Step& step, Ballot& ballot, Office& office,
                               ElectionTimer& timer, Log& log, Candidacy candidacy) {
    timer.restart(step.options, step.now);
    if (!may_stand(step, log)) return ask_whether_member(step, log);
    if (step.disk.stalled) return;
    const bool pre_vote = candidacy == Candidacy::pre_vote;
    if (ballot.term >= max_term) return step.announce(EventKind::number_out_of_range, step.self);
    office.held = Candidate{pre_vote, {}};
    VoteRequest request{ballot.term, pre_vote, log.last(), candidacy == Candidacy::handover};
    if (pre_vote) {
        request.term.value += 1;
        step.announce(EventKind::became_pre_candidate);
    } else {
        ballot.enter({ballot.term.value + 1});
        ballot.vote_for(step.self, step.instance);
        request.term = ballot.term;
        step.announce(EventKind::became_candidate);
    }
    for (const Member& member : step.membership().members) {
        if (member.id != step.self && member.votes()) step.send(member.id, request);
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
    if (!step.membership().has_quorum(has_granted)) return;
    if (candidate.pre_vote) {
        stand_for_election(step, ballot, office, timer, log, Candidacy::vote);
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

/// Whether there is one, as far as this node knows.
inline bool has_leader(const Step& step, const Office& office, const ElectionTimer& timer) {
    return office.leads() || hears_from_leader(step, office, timer);
}

/// The election restriction: "the voter denies its vote if its own log is more up-to-date than
/// that of the candidate" (section 5.4.1).
inline bool may_lead(const Log& log, LogPosition candidate) { return log.up_to_date(candidate); }

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served
/// basis" (section 5.2). Two instances of one node are two candidates. @pre the ballot's term is
/// not behind the request's
inline bool has_vote_for(const Ballot& ballot, Term term, NodeId candidate, Instance instance) {
    const bool same = ballot.voted_for == candidate && ballot.voted_instance == instance;
    return term == ballot.term && (!ballot.voted_for || same);
}

/// Whoever follows a leader has nobody else to vote for in its term. That the leader was elected
/// without this node's vote only this tells, where the vote has been lost with a disk.
inline bool follows_another(const Step& step, const Office& office, NodeId candidate) {
    const NodeId leader = office.leader(step.self);
    return leader && leader != candidate;
}

/// RequestVote, receiver implementation (Figure 2), and the same for pre-votes (thesis, 9.6).
/// Whoever hears from a leader does not help to depose it, and whoever's disk hangs could not keep
/// what it promised: the term stays as it is.
inline void answer_vote_request(const Step& step, Ballot& ballot, Office& office,
                                ElectionTimer& timer, Reads& reads, const Log& log,
                                const Message& message, const VoteRequest& request) {
    const NodeId candidate = message.from;
    const LogPosition without = membership_without(step, log, candidate);
    const auto answer = [&](bool granted) {
        const VoteReply reply{ballot.term, request.term, request.pre_vote, granted, without};
        step.send(candidate, reply);
    };
    const bool is_later = request.term > ballot.term;
    const bool is_agreed = is_later && request.by_handover;
    const bool loyal = is_later && hears_from_leader(step, office, timer);
    const bool is_bound = !is_agreed && (loyal || is_starting(step, timer));
    if (is_bound || step.disk.stalled) {
        // One that is a member no more asks until it is told.
        if (request.pre_vote || without.index.value != 0) answer(false);
        return;
    }
    if (!request.pre_vote && request.term > ballot.term) {
        become_follower(step, ballot, office, timer, reads, request.term, NodeId{});
    }
    bool granted = may_vote(step, log) && may_lead(log, request.last);
    if (request.pre_vote) {
        granted = granted && request.term > ballot.term;
    } else {
        granted = granted && has_vote_for(ballot, request.term, candidate, message.sender) &&
                  !follows_another(step, office, candidate);
        if (granted) {
            ballot.vote_for(candidate, message.sender);
            // Only one that had not voted can be here: it gives up asking for pre-votes.
            if (office.role() == Role::pre_candidate) {
                become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
            }
            timer.restart(step.options, step.now);
        }
    }
    answer(granted);
}

/// A vote counts for the candidacy that asked for it, which its term names.
inline void take_vote_reply(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                            Log& log, Configuration& configuration, NodeId voter,
                            const VoteReply& reply) {
    learn_of_removal(step, configuration, log, reply.without);
    const Candidate* candidate = office.candidate();
    if (candidate == nullptr || configuration.is_excluded() || !reply.granted) return;
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

/// Leadership transfer, at its target: it "starts a new election" without waiting for its timer
/// (thesis, section 3.10). One that has just started may have less than the leader takes it to
/// have.
inline void take_timeout_now(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                             Log& log, NodeId sender, const TimeoutNow& request) {
    const bool from_leader = request.term == ballot.term && office.leader(step.self) == sender;
    if (!from_leader || is_starting(step, timer)) return;
    stand_for_election(step, ballot, office, timer, log, Candidacy::handover);
}

}  // namespace raft

#endif
