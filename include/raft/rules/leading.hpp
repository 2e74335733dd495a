// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a leader owes its followers, once per step (Figure 2, rules for leaders).
#ifndef RSM_RAFT_RULES_LEADING_HPP
#define RSM_RAFT_RULES_LEADING_HPP

#include <raft/parts/journal.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/rules/commit.hpp>
#include <raft/rules/compaction.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/handover.hpp>
#include <raft/rules/member_change.hpp>
#include <raft/rules/membership.hpp>
#include <raft/rules/reads.hpp>
#include <raft/rules/replication.hpp>
#include <raft/rules/snapshot_sending.hpp>

#include <variant>

namespace raft::inline v0 {

/// Which of the leader's clocks have run out in this step.
struct Occasions {
    bool heartbeat = false;  ///< "repeat during idle periods to prevent election timeouts"
    bool notice = false;     ///< a risen commit index has waited long enough for entries
};

inline Occasions take_occasions(const Step& step, Reign& reign) {
    Occasions occasions;
    occasions.heartbeat = step.now >= reign.heartbeat_at;
    if (occasions.heartbeat) reign.heartbeat_at = step.now + step.options.heartbeat_interval;
    occasions.notice = reign.commit_notice_at && step.now >= *reign.commit_notice_at;
    if (occasions.notice) reign.commit_notice_at.reset();
    return occasions;
}

/// Entries, a snapshot, or a heartbeat: what this follower needs now.
inline void serve(const Step& step, const Reign& reign, Progress& follower, const Log& log,
                  const SnapshotMeta& newest, Occasions occasions) {
    if (follower.state == ProgressState::snapshot) {
        if (occasions.heartbeat) resend_chunk(step, reign, follower, newest);
    } else if (follower.next <= log.base().index) {
        begin_snapshot(step, reign, follower, newest);
    }
    const bool spoken = replicate(step, reign.rounds, follower, log);
    const bool streaming = follower.state == ProgressState::replicate;
    const bool commit_unknown = streaming && follower.sent_commit < log.commit();
    // The answer to entries waits for the follower's disk, and neither a reign nor a read may
    // wait for that; so both are asked for apart. A probe asks one thing at a time.
    const bool asked = occasions.heartbeat || reign.rounds.due;
    const bool apart = asked && streaming;
    if (apart || (!spoken && (asked || (occasions.notice && commit_unknown)))) {
        send_heartbeat(step, reign.rounds, follower, log);
    }
}

/// @pre the node leads
inline void lead(const Step& step, Office& office, Reads& reads, Log& log, const Room& room,
                 Configuration& configuration, Journal& journal, const SnapshotMeta& newest) {
    Reign& reign = std::get<Reign>(office.held);
    advance_commit(step, reign, log);
    return_budget(reign.budget, log);
    open_read_round(step, reign.rounds, log);
    const Occasions occasions = take_occasions(step, reign);
    release_held(step, office, log, room, journal, newest, occasions.heartbeat);
    if (occasions.heartbeat || reign.change) {
        dismiss(step, reign, log);
        advance_change(step, reign, log, configuration);
    }
    if (occasions.heartbeat) prefer_successor(step, reign, office.preference, log);
    advance_handover(step, reign, log);
    for (Progress& follower : reign.followers) {
        serve(step, reign, follower, log, newest, occasions);
    }
    read_at_pace(step, reign);
    reign.rounds.due = false;
    confirm_reads(step, reign, reads, log);
}

}  // namespace raft

#endif
