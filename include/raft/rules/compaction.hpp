// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What of the log and of older snapshots may go once a snapshot is durable (section 7). When one is
// made is decided by the bytes of the log: rsm/node/compaction.hpp.
#ifndef RSM_RAFT_RULES_COMPACTION_HPP
#define RSM_RAFT_RULES_COMPACTION_HPP

#include <raft/parts/configuration.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/room.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

namespace raft::inline v0 {

/// Whether a follower that is heard of still needs what the log has below `release`.
inline bool needs_log(const Step& step, const Progress& follower, Index release) {
    const bool silent = step.is_silent(follower.last_contact);
    return !silent && !follower.departure && follower.provided() < release;
}

/// Such a follower keeps it in the log, within the limits of Options; else a transfer that takes
/// longer than the log takes to grow would never be of use.
/// A log that comes near its limit gives way before operations are refused for it.
inline Index held_for_followers(const Step& step, Reign& reign, const Log& log, const Room& room,
                                Index release) {
    Index held = release;
    const bool short_of_room = room.left < step.options.max_log_bytes / 2;
    const std::uint64_t appended = reign.budget.appended();
    for (Progress& follower : reign.followers) {
        if (!needs_log(step, follower, release)) {
            follower.hold.reset();
            continue;
        }
        if (!follower.hold) follower.hold = LogHold{step.now, appended};
        const bool within = !short_of_room &&
                            step.now - follower.hold->since <= step.options.max_hold_time &&
                            appended - follower.hold->appended < step.options.max_hold_bytes;
        if (within) held = std::min(held, follower.provided());
    }
    return std::max(held, log.base().index);
}

/// "Once a server completes writing a snapshot, it may delete all log entries up through the last
/// included index" (section 7), except what is kept for followers that are slightly behind.
inline void release_covered(const Step& step, Office& office, Log& log, const Room& room,
                            Journal& journal, const SnapshotMeta& newest) {
    // What has come in this very step is still to be given to the storage.
    Index release = std::min({newest.last.index, log.applied(), log.begun()});
    std::size_t retained = 0;
    while (!room.none() && release > log.base().index && log.cached(release)) {
        retained += footprint(log[release]);
        if (retained > step.options.retained_bytes) break;
        release = release - 1;
    }
    if (Reign* reign = office.reign()) {
        const Index wanted =
            std::exchange(release, held_for_followers(step, *reign, log, room, release));
        reign->held_log = release < wanted ? wanted : Index{};
    }
    if (release > log.base().index) {
        log.release(release);
        journal.release = log.base();
    }
}

/// What is held goes as soon as nobody needs it any more, and at heartbeats as far as the limits
/// of holding ask for. @pre the node leads
inline void release_held(const Step& step, Office& office, Log& log, const Room& room,
                         Journal& journal, const SnapshotMeta& newest, bool heartbeat) {
    const Reign& reign = std::get<Reign>(office.held);
    if (reign.held_log.value == 0) return;
    const bool needed = std::any_of(
        reign.followers.begin(), reign.followers.end(),
        [&](const Progress& follower) { return needs_log(step, follower, reign.held_log); });
    if (heartbeat || !needed) release_covered(step, office, log, room, journal, newest);
}

/// A snapshot of the own state machine has become durable.
inline void take_own_snapshot(const Step& step, Configuration& configuration, Office& office,
                              Log& log, const Room& room, Journal& journal, Snapshots& snapshots,
                              SnapshotTaken& taken) {
    // One from a leader may be newer, although the log brought its content faster. Of two of one
    // position, the storage keeps the one that it completed last.
    if (taken.meta.last.index >= snapshots.newest.last.index) {
        configuration.covered_by_snapshot(taken.meta.last.index, taken.meta.membership);
        snapshots.newest = std::move(taken.meta);
    }
    release_covered(step, office, log, room, journal, snapshots.newest);
    snapshots.kept.clear();
}

/// Only the newest snapshot is kept, and what is on its way from here: "discarding" the others
/// (section 7), those between the two among them, or a slow transfer would fill the disk.
inline void drop_unused_snapshots(const Step& step, const Office& office, Snapshots& snapshots) {
    const Index newest = snapshots.newest.last.index;
    std::vector<Index>& kept = snapshots.kept;
    const bool only_newest = kept.size() == 1 && kept.front() == newest;
    if (newest.value == 0 || only_newest) return;
    std::vector<Index> needed{newest};
    if (const Reign* reign = office.reign()) {
        for (const Progress& follower : reign->followers) {
            const bool sends = follower.state == ProgressState::snapshot;
            if (!sends || follower.transfer.source) continue;
            needed.push_back(follower.transfer.meta.last.index);
        }
    }
    for (const Errand& errand : office.errands()) needed.push_back(errand.meta.last.index);
    std::sort(needed.begin(), needed.end());
    needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
    if (needed == kept) return;
    kept = needed;
    step.out.needed_snapshots = std::move(needed);
}

}  // namespace raft

#endif
