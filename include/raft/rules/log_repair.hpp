// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Nodes that have lost entries, and have no leader to bring them, help each other (after
// "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, section 3.3).
//
// Where damage has struck a majority at different places, nobody may lead: those who are whole lack
// what was committed, the others what they have promised. So a node that is not whole takes over
// what others have in their logs behind the end of its own, and what it has itself behind the
// damage as soon as its log reaches there. Both only make its log that of somebody: logs that have
// an entry of one index and term in common are the same up to there (Log Matching, section 5.3).
// Nothing is cut off, nothing committed, no vote given: when the log is as much as was promised,
// the node counts again, and elections do the rest.
#ifndef RSM_RAFT_RULES_LOG_REPAIR_HPP
#define RSM_RAFT_RULES_LOG_REPAIR_HPP

#include <raft/parts/configuration.hpp>
#include <raft/parts/detached.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/acceptance.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/membership.hpp>

#include <utility>

namespace raft::inline v0 {

/// Whether the log lacks entries, and nobody is there who brings them as its leader.
inline bool repairs_log(const Step& step, const Office& office, const ElectionTimer& timer,
                        const Log& log) {
    return !log.is_whole() && !office.leads() && !hears_from_leader(step, office, timer);
}

/// One that asks in vain for want of a leader gets what this log has behind its own. It asks once
/// in an election timeout, so this is one message in that time.
inline void load_lacking(const Step& step, const Office& office, const ElectionTimer& timer,
                         const Log& log, NodeId sender, const VoteRequest& request) {
    const bool has_leader = office.leads() || hears_from_leader(step, office, timer);
    if (!request.lacks_entries || has_leader || step.membership().find(sender) == nullptr) return;
    const bool is_behind = log.matches(request.last) && request.last.index < log.durable();
    if (!is_behind) return;
    step.out.load_entries.push_back(
        {sender, request.last.index + 1, step.options.max_message_bytes, true});
}
/// What was to be read for others may have been replaced or released in the same step.
inline void drop_stale_loads(const Step& step, const Log& log) {
    std::erase_if(step.out.load_entries, [&log](const LoadEntries& load) {
        return load.repairs && (load.first <= log.base().index || load.first > log.durable());
    });
}
inline void send_lacking(const Step& step, const Log& log, EntriesLoaded& loaded) {
    if (loaded.entries.empty()) return;
    const Index before = loaded.entries.front().index - 1;
    const std::optional<Term> term = log.term_at(before);
    if (!term) return;
    step.send(loaded.reader,
              LackingEntries{step.term(), {before, *term}, std::move(loaded.entries)});
}

/// What another one has is appended where this log ends. What this node may vote for stays as it
/// was, because the promise does. What it has itself goes before: the other's may be of a leader
/// whose entries were replaced, and does not lead to what was promised then.
inline void take_lacking(const Step& step, const Office& office, const ElectionTimer& timer,
                         Log& log, Configuration& configuration, const Detached& detached,
                         NodeId sender, LackingEntries& lacking) {
    if (!repairs_log(step, office, timer, log) || lacking.previous != log.last()) return;
    if (log.unwritten_bytes() >= step.options.window_bytes) return;
    if (!are_sound(step, sender, lacking)) return;
    for (Entry& entry : lacking.entries) {
        if (detached.find(log.last()) != nullptr) return;
        append_entry(log, configuration, std::move(entry));
    }
}

/// The log has come to where this node has more itself: that is read.
inline void reattach(const Step& step, const Office& office, const ElectionTimer& timer,
                     const Log& log, Detached& detached) {
    if (log.is_whole()) {
        detached.runs.clear();
        return;
    }
    if (detached.reading || !repairs_log(step, office, timer, log)) return;
    if (log.unwritten_bytes() >= step.options.window_bytes) return;
    if (detached.find(log.last()) == nullptr) return;
    detached.reading = log.last_index() + 1;
    step.out.load_detached = LoadDetached{*detached.reading, step.options.max_message_bytes};
}
inline void take_detached(const Step& step, const Office& office, const ElectionTimer& timer,
                          Log& log, Configuration& configuration, Detached& detached,
                          DetachedLoaded& loaded) {
    if (detached.reading != loaded.first) return;
    detached.reading.reset();
    if (loaded.entries.empty()) return detached.give_up(loaded.first);
    // A leader may have come meanwhile, or the log have gone another way.
    if (!repairs_log(step, office, timer, log)) return;
    for (Entry& entry : loaded.entries) {
        const DetachedRun* const run = detached.find(log.last());
        const bool fits = run != nullptr && entry.index == log.last_index() + 1 &&
                          entry.term == run->term_at(entry.index);
        if (!fits) return;
        append_entry(log, configuration, std::move(entry));
    }
}

}  // namespace raft

#endif
