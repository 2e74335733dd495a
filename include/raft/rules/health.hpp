// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A leader that cannot serve gives way (thesis, 6.2), a node whose disk hangs takes no part in
// elections, and time in which a node did not run is held against nobody.
#ifndef RSM_RAFT_RULES_HEALTH_HPP
#define RSM_RAFT_RULES_HEALTH_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/disk_health.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/handover.hpp>
#include <raft/rules/membership.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace raft::inline v0 {

/// When the disk has to be looked at; nothing: not before something is told of it.
inline std::optional<Time> next_look(const Options& options, const DiskHealth& disk,
                                     const Log& log) {
    if (disk.stalled) return std::nullopt;
    if (disk.late_since) return saturated_sum(*disk.late_since, options.heartbeat_interval);
    const std::optional<Time> write = log.oldest_write();
    if (!write) return std::nullopt;
    return saturated_sum(*write, options.disk_stall_timeout);
}

/// When a node must be given a step at the latest.
inline Time next_deadline(const Options& options, const Office& office, const ElectionTimer& timer,
                          const DiskHealth& disk, const Log& log) {
    const Reign* reign = office.reign();
    Time earliest = timer.expires;
    if (reign != nullptr) {
        earliest = std::min(reign->heartbeat_at, reign->quorum_check_at);
        if (reign->commit_notice_at) earliest = std::min(earliest, *reign->commit_notice_at);
        const auto read_at = [&](const SendingPace& pace) {
            if (pace.waiting) earliest = std::min(earliest, pace.free_at);
        };
        read_at(reign->pace);
        for (const Progress& source : reign->followers) read_at(source.pace);
    }
    if (const auto look = next_look(options, disk, log)) earliest = std::min(earliest, *look);
    return earliest;
}

/// Time in which this node did not run (it was stopped, or its machine slept) says nothing about
/// the others, whose messages may be waiting to be read, nor about the disk. What is judged by how
/// long it takes is therefore judged by how long it took while the node ran.
inline void excuse_pause(const Step& step, Office& office, ElectionTimer& timer, Log& log) {
    const Duration late = step.now - next_deadline(step.options, office, timer, step.disk, log);
    if (late <= Duration{}) {
        timer.pauses = 0;
        return;
    }
    log.excuse_writes(late);
    Reign* reign = office.reign();
    if (reign != nullptr) {
        reign->quorum_check_at += late;
        for (Progress& follower : reign->followers) {
            follower.last_contact += late;
            follower.transfer.moved_at += late;
        }
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
        const Time soon = step.now + heartbeat + timer.random.below(heartbeat);
        timer.expires = std::max(timer.expires, soon);
    }
}

/// Finds out whether the oldest write has been under way for too long, on whatever node. Its end
/// may be waiting to be told, so that is looked at twice, a heartbeat apart, and not before a node
/// that was stopped has heard what came meanwhile. The disk is well again when what it has still to
/// write is not late.
inline void watch_disk(const Step& step, DiskHealth& disk, const ElectionTimer& timer,
                       const Log& log) {
    const std::optional<Time> write = log.oldest_write();
    if (!write || step.now - *write < step.options.disk_stall_timeout) {
        disk.late_since.reset();
        if (std::exchange(disk.stalled, false)) {
            step.announce(EventKind::disk_recovered, step.self);
        }
        return;
    }
    if (timer.pauses == 1) return;
    if (!disk.late_since) disk.late_since = step.now;
    const bool hangs = step.now - *disk.late_since >= step.options.heartbeat_interval;
    if (hangs && !std::exchange(disk.stalled, true)) {
        step.announce(EventKind::disk_stalled, step.self);
    }
}

/// The storage has no room any more, or has some again.
inline void take_room(const Step& step, DiskHealth& disk, const StorageRoom& room) {
    if (std::exchange(disk.full, room.full) == room.full) return;
    step.announce(room.full ? EventKind::disk_full : EventKind::disk_has_room, step.self);
}

/// Whether a quorum, this node included, has been heard of for the last election timeout (check
/// quorum; thesis, section 6.2).
inline bool hears_from_quorum(const Step& step, const Reign& reign) {
    return step.membership().has_quorum([&](NodeId node) {
        return !step.is_silent(reign.of_node(node, step.self, &Progress::last_contact, step.now));
    });
}

/// Whether the disk is why leadership, or to stand for it, is to be given up. A leader whose writes
/// wait for room still serves reads, and could not be voted for again: it stays until another one
/// has room (see prefer_successor()).
inline bool yields_for_disk(const Step& step, const Office& office) {
    return step.disk.stalled && !(step.disk.full && office.leads());
}

/// Nobody has to wait for an election timeout where the leader knows that it is one no more. @pre
/// it leads
inline void ask_successor(const Step& step, const Office& office, const Log& log,
                          bool (*is_less)(const Successor&, const Successor&)) {
    const NodeId successor = best_successor(step, *office.reign(), log, is_less).node;
    if (successor) step.send(successor, TimeoutNow{step.term()});
}

/// A leader that hears a quorum no more may be heard by it: lines fail one way, too. Of the voters
/// that it misses since lately, the best prepared is asked to stand; those that it hears could not
/// win.
inline void ask_missed_voter(const Step& step, const Reign& reign) {
    const Progress* best = nullptr;
    for (const Progress& follower : reign.followers) {
        const Member* const member = step.membership().find(follower.node);
        const bool votes = member != nullptr && member->votes_in_new();
        const bool is_lately = step.now - follower.last_contact < 2 * step.options.election_timeout;
        const bool is_missed = step.is_silent(follower.last_contact) && is_lately;
        if (!votes || !is_missed || !follower.is_able() || follower.is_another()) continue;
        if (best == nullptr || best->match < follower.match) best = &follower;
    }
    if (best != nullptr) step.send(best->node, TimeoutNow{step.term()});
}

/// A leader that cannot serve gives way: one that does not hear from a quorum, and one whose own
/// disk hangs, which does not stand for election either. Nor does one lead whom others do not
/// recognize as the member of its id, or go on standing that has no vote any more.
inline void check_leadership(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                             Reads& reads, const Log& log) {
    if (office.role() == Role::follower) return;
    const bool in_vain =
        office.leads() ? step.configuration.is_unrecognized() : !may_stand(step, log);
    if (in_vain || yields_for_disk(step, office)) {
        if (!in_vain && office.leads()) {
            ask_successor(step, office, log, Successor::by_priority);
        }
        return become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
    }
    Reign* reign = office.reign();
    if (reign == nullptr || timer.pauses == 1) return;
    if (step.now < reign->quorum_check_at) return;
    reign->quorum_check_at = step.now + step.options.heartbeat_interval;
    if (!step.options.check_quorum || hears_from_quorum(step, *reign)) return;
    step.announce(EventKind::quorum_lost, step.self);
    ask_missed_voter(step, *reign);
    become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
}

/// A leader that is a voter no more "steps down once C_new is committed" (thesis, section 4.2.2),
/// and asks the best prepared of those who remain to stand at once. @pre it leads
inline void retire(const Step& step, Ballot& ballot, Office& office, ElectionTimer& timer,
                   Reads& reads, const Log& log) {
    const bool stays =
        !is_settled(step.configuration, log) || step.membership().is_voter(step.self);
    if (stays) return;
    ask_successor(step, office, log, Successor::by_match);
    // What was to be read for the followers may be released in this step.
    step.out.load_entries.clear();
    step.out.load_chunks.clear();
    become_follower(step, ballot, office, timer, reads, ballot.term, NodeId{});
}

}  // namespace raft

#endif
