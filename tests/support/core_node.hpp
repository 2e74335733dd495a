// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// One node of a CoreCluster: a Core, its disk in records, and what is on its way between them.
//
// The model of a crash: what leaves a node has left; of the writes under way a prefix survives;
// everything else that the node knew is gone. What leaves is checked against the disk on the way
// out (see Node::post): nothing may be visible before it is durable.
#ifndef RSM_TESTS_SUPPORT_CORE_NODE_HPP
#define RSM_TESTS_SUPPORT_CORE_NODE_HPP

#include "records.hpp"

#include <raft/base/digest.hpp>
#include <raft/base/result.hpp>
#include <raft/core.hpp>
#include <raft/driver/recovery.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace raft::test {

inline std::uint64_t checksum_of(const Bytes& content) {
    Digest digest;
    digest.add(content.view());
    return digest.value();
}

/// What no correct cluster does.
inline bool is_suspicious(EventKind kind) {
    return kind == EventKind::protocol_violation || kind == EventKind::snapshot_rejected ||
           kind == EventKind::snapshot_unreadable || kind == EventKind::acknowledgement_lost ||
           kind == EventKind::rival_leader || kind == EventKind::number_out_of_range;
}

/// What a node's log and hard state look like on disk.
struct Disk {
    HardState hard;
    LogPosition base;
    std::vector<Entry> log;  // from base.index + 1 on
    LogPosition promised{};
    std::vector<std::vector<Entry>> detached{};  // behind damage

    Index last() const { return base.index + log.size(); }
    LogPosition end() const { return log.empty() ? base : log.back().position(); }
    /// Finds all behind this damaged. @pre base.index <= last
    void lose_after(Index last) {
        if (is_up_to_date(end(), promised)) promised = end();
        log.resize(last - base.index);
        hard.commit = std::min(hard.commit, last);
    }
    /// Finds these damaged, and the rest of the log behind them. @pre base.index < first <= end
    void lose(Index first, Index end) {
        const auto behind = log.begin() + static_cast<std::ptrdiff_t>(end - base.index);
        // The entry in front of what is left is the last of those that are lost.
        detached.emplace_back(behind - 1, log.end());
        lose_after(first - 1);
    }
    bool holds(Index index) const { return index > base.index && index <= last(); }
    const Entry& at(Index index) const { return log[index - base.index - 1]; }

    void carry_out(const Write& write) {
        if (write.reset) {
            base = *write.reset;
            log.clear();
        }
        if (!write.entries.empty()) {
            log.resize(write.entries.front().index - base.index - 1);
            log.insert(log.end(), write.entries.begin(), write.entries.end());
        }
        if (write.hard_state) hard = *write.hard_state;
        if (write.release && write.release->index > base.index) {
            const auto gone = static_cast<std::ptrdiff_t>(write.release->index - base.index);
            log.erase(log.begin(), log.begin() + gone);
            base = *write.release;
        }
        if (is_up_to_date(end(), promised)) promised = LogPosition{};
        if (promised.index.value == 0) detached.clear();
    }
    /// Storage::read_detached.
    std::vector<Entry> read_detached(Index first, std::size_t most) const {
        std::vector<Entry> entries;
        for (const std::vector<Entry>& run : detached) {
            for (std::size_t i = 1; i < run.size() && entries.size() < most; ++i) {
                if (run[i].index == first + entries.size()) entries.push_back(run[i]);
            }
        }
        return entries;
    }
    bool covers(LogPosition position) const {
        if (position == base) return true;
        return holds(position.index) && at(position.index).term == position.term;
    }
    /// Storage::recover.
    Recovered recover(const SnapshotMeta& snapshot) {
        Recovered recovered{hard, snapshot, base, last(), {}, {}, promised, {}};
        for (const std::vector<Entry>& run : detached) {
            if (run.size() < 2) continue;
            DetachedRun& told = recovered.detached.emplace_back();
            told.before = run.front().position();
            told.last = run.back().index;
            for (std::size_t i = 1; i < run.size(); ++i) {
                add_to_runs(told.runs, run[i].index, run[i].term);
            }
        }
        for (const Entry& held : log) {
            add_to_runs(recovered.runs, held.index, held.term);
            if (held.kind == EntryKind::membership) recovered.memberships.push_back(held);
        }
        const Result<bool> is_void = fit_to_snapshot(recovered, {});
        if (!is_void) throw std::logic_error(is_void.error().what);
        if (*is_void) {
            base = snapshot.last;
            log.clear();
        }
        return recovered;
    }
};

/// What a node finds on its disk that holds these entries.
inline Recovered recovered(HardState hard, std::vector<Entry> log = {}) {
    return Disk{hard, {}, std::move(log)}.recover({});
}

/// A state machine that remembers all that it was given as one number.
struct Machine {
    Index applied;
    std::uint64_t value = 0;

    void apply(const Entry& entry) {
        Digest digest;
        digest.add(value);
        digest.add(entry.position());
        digest.add(entry.payload.view());
        value = digest.value();
        applied = entry.index;
    }
    friend bool operator==(const Machine&, const Machine&) = default;
};

struct Snapshot {
    SnapshotMeta meta;
    Bytes content;
    Machine machine;  // what the content stands for
};

/// One node: a Core, its disk, and what is on its way between them.
struct Node {
    NodeId id;
    Instance instance;
    bool founder = true;  // as far as it knows
    Options options;
    std::optional<Core> core;  // nothing while crashed
    Machine machine;
    Term applied_term;

    Disk durable;                       // with all writes that are done
    Disk begun;                         // with all writes that were begun
    std::deque<Write> writes;           // under way
    std::deque<DeferredMessage> bound;  // to a write
    std::vector<Snapshot> snapshots;    // kept; two of one position may differ
    std::optional<Snapshot> receiving;
    std::vector<MarksTold> marks;  // that others have told of their machines
    std::deque<Input> answers;     // of disk and state machine, on their way to the core

    bool disk_stalled = false;
    bool machine_stalled = false;  // holds back Applied and all else in `answers`

    /// A message leaves the node. Returns what it says too early, if anything.
    std::string post(const Message& message) const {
        const Term known = durable.hard.term;
        const auto* vote = std::get_if<VoteReply>(&message.body);
        const auto* request = std::get_if<VoteRequest>(&message.body);
        const auto* append = std::get_if<AppendReply>(&message.body);
        const auto* installed = std::get_if<SnapshotReply>(&message.body);
        const bool pre_vote = request != nullptr && request->pre_vote;
        if (term_of(message) > Term{known.value + (pre_vote ? 1U : 0U)}) return "a term";
        if (vote != nullptr && vote->granted && !vote->pre_vote && vote->election == known &&
            durable.hard.voted_for != message.to) {
            return "a vote";
        }
        if (request != nullptr && !pre_vote && request->term == known &&
            durable.hard.voted_for != id) {
            return "a candidate's own vote";
        }
        const Index safe = std::max(durable.last(), newest().last.index);
        if (append != nullptr && append->accepted && append->term == known &&
            append->index > safe) {
            return "an append acknowledgement";
        }
        if (installed != nullptr && installed->installed() && installed->match > safe) {
            return "an installed snapshot";
        }
        return {};
    }
    const Snapshot* newest_snapshot() const {
        const auto found = std::ranges::max_element(
            snapshots, {}, [](const Snapshot& kept) { return kept.meta.last.index; });
        return found == snapshots.end() ? nullptr : &*found;
    }
    SnapshotMeta newest() const {
        const Snapshot* found = newest_snapshot();
        return found == nullptr ? SnapshotMeta{} : found->meta;
    }
    const Snapshot* find(const SnapshotMeta& meta) const {
        const auto found = std::ranges::find(snapshots, meta, &Snapshot::meta);
        return found == snapshots.end() ? nullptr : &*found;
    }
};

}  // namespace raft::test

#endif
