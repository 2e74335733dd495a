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
//
// What others have may be the tail of a deposed leader, and what is left of a log behind damage may
// have been replaced in what was lost. A log that has taken the wrong way goes back where another
// one has more of what this node is known to have had (Evidence). That grows each time, so it ends.
//
// It is safe, because a node that is not whole counts for what it has promised and not for what its
// log has: its vote goes to who has as much, and it does not lead. An entry that it has
// acknowledged in the term in which that may commit it makes its log one of the promised term or as
// up to date, and there only a log goes before it that has all which may be committed. Nothing is
// committed, no vote given: when the log is as much as was promised, the node counts again, and
// elections do the rest.
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

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Whether the log lacks entries, and nobody is there who brings them as its leader.
inline bool repairs_log(const Step& step, const Office& office, const ElectionTimer& timer,
                        const Log& log) {
    return !log.is_whole() && !has_leader(step, office, timer);
}

/// What tells of a term that is not durable would wait for the disk. It will be asked for again.
inline bool may_send_much(const Step& step) { return step.ballot.durable() && !step.disk.stalled; }

/// One that asks in vain for want of a leader gets what this log has behind the last place at which
/// the two may agree, and that entry too where they may not. It asks once in an election timeout,
/// and again at once only for an earlier place.
inline void load_lacking(const Step& step, const Office& office, const ElectionTimer& timer,
                         const Log& log, NodeId sender, const VoteRequest& request) {
    if (!request.lacks_entries || has_leader(step, office, timer)) return;
    if (!may_send_much(step)) return;
    if (step.membership().find(sender) == nullptr) return;
    const LogPosition common = log.last_agreeing(request.last);
    const bool is_there = common.index <= request.last.index && common.term <= request.last.term;
    const bool is_sure = common == request.last || common == log.base();
    const Index first = is_sure ? common.index + 1 : common.index;
    if (!is_there || first > log.readable()) return;
    step.out.load_entries.push_back({sender, first, step.options.max_message_bytes, true});
}
/// What was to be read for others may have been replaced or released in the same step.
inline void drop_stale_loads(const Step& step, const Log& log) {
    std::erase_if(step.out.load_entries, [&log](const LoadEntries& load) {
        return load.repairs && (load.first <= log.base().index || load.first > log.readable());
    });
}
inline void send_lacking(const Step& step, const Log& log, EntriesLoaded& loaded) {
    if (loaded.entries.empty() || !may_send_much(step)) return;
    const Index before = loaded.entries.front().index - 1;
    const std::optional<Term> term = log.term_at(before);
    if (!term) return;
    step.send(loaded.reader,
              LackingEntries{step.term(), {before, *term}, std::move(loaded.entries)});
}

/// The logs part before what was sent. Each time the question is for an earlier place, or for an
/// earlier term.
inline void ask_for_earlier(const Step& step, const Log& log, NodeId sender, LogPosition sent) {
    LogPosition common = log.last_agreeing(sent);
    if (common.index < log.commit()) common = {log.commit(), *log.term_at(log.commit())};
    step.send(sender, VoteRequest{{step.term().value + 1}, true, common, false, true});
}

/// Whether what was sent agrees with the last entry that is committed here, or comes behind it. Who
/// does not lead may have another one there, and what follows that is of no use.
inline bool has_committed(const Log& log, const LackingEntries& lacking) {
    const Index commit = log.commit();
    if (lacking.previous.index >= commit) return true;
    const std::uint64_t before = commit - lacking.previous.index - 1;
    return before < lacking.entries.size() && log.matches(lacking.entries[before].position());
}

inline Evidence evidence_of(const Log& log, const Detached& detached) {
    return detached.evidence(log.promised(), log.last(), log.base().index,
                             [&log](LogPosition position) { return log.matches(position); });
}
/// Of what this log would be if the last of these entries came to stand in it, from `first` on.
inline Evidence evidence_with(const Log& log, const Detached& detached,
                              const std::vector<Entry>& entries, Index first) {
    const auto has = [&](LogPosition position) {
        if (position.index < first) return log.matches(position);
        return entries[position.index - entries.front().index].term == position.term;
    };
    return detached.evidence(log.promised(), entries.back().position(), log.base().index, has);
}

/// What another one has is appended where the logs part. What this node may vote for stays as it
/// was, because the promise does.
inline void take_lacking(const Step& step, const Office& office, const ElectionTimer& timer,
                         Log& log, Configuration& configuration, const Detached& detached,
                         NodeId sender, LackingEntries& lacking) {
    if (!repairs_log(step, office, timer, log)) return;
    if (log.unwritten_bytes() >= step.options.window_bytes) return;
    if (!are_sound(step, sender, lacking)) return;
    if (!has_committed(log, lacking)) return;
    skip_committed(log, lacking);
    if (!log.matches(lacking.previous)) {
        return ask_for_earlier(step, log, sender, lacking.previous);
    }
    std::vector<Entry>& entries = lacking.entries;
    const auto has = [&log](const Entry& entry) { return log.matches(entry.position()); };
    const auto news = std::find_if_not(entries.begin(), entries.end(), has);
    if (news == entries.end()) return;
    if (news->index <= log.last_index()) {
        const Evidence present = evidence_of(log, detached);
        if (evidence_with(log, detached, entries, news->index) <= present) return;
        step.announce(EventKind::log_truncated, sender, news->index);
        truncate_entries(log, configuration, news->index);
    }
    for (auto entry = news; entry != entries.end(); ++entry) {
        append_entry(log, configuration, std::move(*entry));
    }
}

/// Where this node has itself what its log should go on with; nothing: nowhere.
inline std::optional<Index> next_detached(const Log& log, const Detached& detached) {
    const Evidence evidence = evidence_of(log, detached);
    if (evidence.run == 0 || evidence.run > detached.runs.size()) {
        if (detached.find(log.last()) == nullptr) return std::nullopt;
        return log.last_index() + 1;
    }
    const DetachedRun& run = detached.runs[evidence.run - 1];
    if (evidence.depth >= run.last || evidence.depth < log.commit()) return std::nullopt;
    return evidence.depth + 1;
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
    detached.reading = next_detached(log, detached);
    if (!detached.reading) return;
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
    if (next_detached(log, detached) != loaded.first) return;
    for (Entry& entry : loaded.entries) {
        const Index before = entry.index - 1;
        const std::optional<Term> term = log.term_at(before);
        const DetachedRun* const run = term ? detached.find({before, *term}) : nullptr;
        if (run == nullptr || entry.term != run->term_at(entry.index)) return;
        if (entry.index <= log.last_index()) {
            step.announce(EventKind::log_truncated, step.self, entry.index);
            truncate_entries(log, configuration, entry.index);
        }
        append_entry(log, configuration, std::move(entry));
    }
}

}  // namespace raft

#endif
