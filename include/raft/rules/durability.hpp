// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Durable before visible: what a step changed is written before anything that tells of it leaves.
#ifndef RSM_RAFT_RULES_DURABILITY_HPP
#define RSM_RAFT_RULES_DURABILITY_HPP

#include <raft/parts/ballot.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/log.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace raft::inline v0 {

/// So many writes are under way at most. Each takes memory besides what it writes, so a disk that
/// hangs must not gather as many as there are steps: what is new then waits for one of them to end,
/// and goes with the next.
inline constexpr std::uint64_t max_writes_under_way = 1024;

/// Makes the one write of a step, if anything has changed, and binds to it (or to the last one
/// under way, or to the next one where it has to wait) all messages that must wait: a vote, a term,
/// an acknowledgement of entries ("updated on stable storage before responding to RPCs", Figure 2).
/// Which messages wait is decided where they are made, by Step::send() and send_when_durable().
inline void record(const Step& step, Ballot& ballot, Log& log, Journal& journal) {
    const bool entries = log.begun() < log.last_index();
    const bool is_due = ballot.changed || entries || journal.reset || journal.release;
    const bool waits =
        is_due && journal.begun.value >= journal.durable.value + max_writes_under_way;
    if (is_due && !waits) {
        journal.begun.value += 1;
        Write& write = step.out.write.emplace();
        write.id = journal.begun;
        write.reset = std::exchange(journal.reset, std::nullopt);
        log.begin_write(write.id, step.now, write.entries);
        // The commit index travels along with writes that are made anyway.
        if (ballot.changed || (entries && journal.commit < log.commit())) {
            journal.commit = log.commit();
            write.hard_state = HardState{ballot.term, ballot.voted_for, journal.commit};
        }
        if (ballot.changed) ballot.written(write.id);
        write.release = std::exchange(journal.release, std::nullopt);
    }
    const WriteId last{journal.begun.value + (waits ? 1 : 0)};
    for (DeferredMessage& deferred : step.out.send_after) deferred.after = last;
}

/// The write `id` and all before it are durable.
inline void take_persisted(Ballot& ballot, Log& log, Journal& journal, WriteId id) {
    journal.persisted(id);
    ballot.persisted(id);
    log.persisted(id);
}

/// What was damaged here is durable here again: this node may lead.
inline void regain(const Step& step, Log& log) {
    const Index lost = log.promised().index;
    if (log.regain()) step.announce(EventKind::log_regained, step.self, lost);
}

}  // namespace raft

#endif
