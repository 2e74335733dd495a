// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Committed entries on their way to the state machine (section 5.3).
#ifndef RSM_RAFT_RULES_APPLICATION_HPP
#define RSM_RAFT_RULES_APPLICATION_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/reads.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/reads.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace raft::inline v0 {

/// Up to where entries may be handed over.
inline Index ready_to_apply(const Step& step, const Log& log) {
    const Index limit = step.options.apply_durable_only ? log.durable() : log.commit();
    return std::min(log.commit(), limit);
}

/// "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine"
/// (Figure 2). One batch at a time, so that a long backlog does not keep the node from its
/// heartbeats.
inline void hand_over(const Step& step, Log& log) {
    const Index last = ready_to_apply(step, log);
    if (log.handed() != log.applied() || log.handed() >= last) return;
    const Index first = log.handed() + 1;
    if (log.cached(first)) {
        log.copy(first, last, step.options.apply_batch_bytes, step.out.apply);
        log.handed_to(step.out.apply.back().index);
    } else if (!log.reading_back()) {
        log.set_reading_back(true);
        step.out.load_entries.push_back({NodeId{}, first, step.options.apply_batch_bytes});
    }
}

/// The state machine has taken in everything up to `index`; reads may have waited for that.
inline void take_applied(const Step& step, Reads& reads, Log& log, Index index) {
    log.applied_to(index);
    release_reads(step, reads, log);
}

/// Hands over entries that were read back for the state machine. @pre they are not replaced
inline void hand_over_loaded(const Step& step, Log& log, EntriesLoaded& loaded) {
    log.set_reading_back(false);
    const Index last = ready_to_apply(step, log);
    while (!loaded.entries.empty() && loaded.entries.back().index > last) {
        loaded.entries.pop_back();
    }
    const bool next = !loaded.entries.empty() && log.handed() == log.applied() &&
                      loaded.entries.front().index == log.handed() + 1;
    if (!next) return;
    log.handed_to(loaded.entries.back().index);
    step.out.apply = std::move(loaded.entries);
}

}  // namespace raft

#endif
