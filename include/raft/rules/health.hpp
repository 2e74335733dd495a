// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A leader that cannot serve gives way (thesis, 6.2), and time in which a node did not run is held
// against nobody.
#ifndef RSM_RAFT_RULES_HEALTH_HPP
#define RSM_RAFT_RULES_HEALTH_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/handover.hpp>
#include <raft/rules/membership.hpp>

#include <algorithm>
#include <optional>
#include <variant>

namespace raft::inline v0 {

/// When a node must be given a step at the latest.
inline Time next_deadline(const Office& office, const ElectionTimer& timer) {
    const Reign* reign = office.reign();
    if (reign == nullptr) return timer.expires;
    Time earliest = std::min(reign->heartbeat_at, reign->quorum_check_at);
    if (reign->commit_notice_at) earliest = std::min(earliest, *reign->commit_notice_at);
    if (reign->pace.waiting) earliest = std::min(earliest, reign->pace.free_at);
    return earliest;
}

/// Time in which this node did not run (it was stopped, or its machine slept) says nothing about
/// the others, whose messages may be waiting to be read, nor about the disk. What is judged by how
/// long it takes is therefore judged by how long it took while the node ran.
inline void excuse_pause(const Step& step, Office& office, ElectionTimer& timer, Log& log) {
    const Duration late = step.now - next_deadline(office, timer);
    if (late <= Duration{}) {
        timer.pauses = 0;
        return;
    }
    log.excuse_writes(late);
    Reign* reign = office.reign();
    if (reign != nullptr) {
        reign->quorum_check_at += late;
        for (Progress& follower : reign->followers) follower.last_contact += late;
    }
    const Duration heartbeat = step.options.heartbeat_interval;
    const bool paused = late > heartbeat;
    timer.pauses = paused ? std::min(timer.pauses + 1, 2U) : 0;
    if (!paused) return;
    if (timer.votes_from && step.now - late < *timer.votes_from) *timer.votes_from += late;
    step.announce(EventKind::paused, step.self);
    // What has come meanwhile is heard before anything is judged; but once, or a node that is
    // always late would never judge.
    if (reign == nullptr && timer.pauses == 1) {
        timer.expires = step.now + heartbeat + timer.random.below(heartbeat);
    }
}

/// Whether the oldest write has been under way for too long. Its end may be waiting to be told, so
/// that is looked at twice, a heartbeat apart.
inline bool disk_hangs(const Step& step, Reign& reign, const Log& log) {
    const std::optional<Time> write = log.oldest_write();
    if (!write || step.now - *write < step.options.disk_stall_timeout) {
        reign.stall_seen_at.reset();
        return false;
    }
    if (!reign.stall_seen_at) reign.stall_seen_at = step.now;
    return step.now - *reign.stall_seen_at >= step.options.heartbeat_interval;
}

/// Whether a quorum, this node included, has been heard of for the last election timeout (check
/// quorum; thesis, section 6.2).
inline bool hears_from_quorum(const Step& step, const Reign& reign) {
    return step.membership().has_quorum([&](NodeId node) {
        return !step.is_silent(reign.of_node(node, step.self, &Progress::last_contact, step.now));
    });
}

/// A leader that cannot serve gives way: one that does not hear from a quorum, and one whose own
/// disk hangs. Nor does one lead whom others do not recognize as the member of its id, or go on
/// standing that has no vote any more.
inline void check_leadership(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                             Reads& reads, const Log& log) {
    if (office.role() == Role::follower) return;
    const bool in_vain =
        office.leads() ? step.configuration.is_unrecognized() : !may_stand(step, log);
    if (in_vain) {
        return become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
    }
    Reign* reign = office.reign();
    if (reign == nullptr || timer.pauses == 1) return;
    const auto step_down = [&](EventKind why) {
        step.announce(why, step.self);
        become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
    };
    if (disk_hangs(step, *reign, log)) {
        return step_down(EventKind::disk_stalled);
    }
    if (step.now < reign->quorum_check_at) return;
    reign->quorum_check_at = step.now + step.options.election_timeout;
    if (!step.options.check_quorum) return;
    if (!hears_from_quorum(step, *reign)) step_down(EventKind::quorum_lost);
}

/// A leader that is a voter no more "steps down once C_new is committed" (thesis, section 4.2.2),
/// and asks the best prepared of those who remain to stand at once. @pre it leads
inline void retire(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                   Reads& reads, const Log& log) {
    const bool stays =
        !is_settled(step.configuration, log) || step.membership().is_voter(step.self);
    if (stays) return;
    const NodeId successor =
        best_successor(step, std::get<Reign>(office.held), log, Successor::by_match).node;
    if (successor) step.send(successor, TimeoutNow{step.term()});
    // What was to be read for the followers may be released in this step.
    step.out.load_entries.clear();
    step.out.load_chunks.clear();
    become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
}

}  // namespace raft

#endif
