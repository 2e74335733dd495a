// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What goes to stable storage and what comes back from it after a restart.
#ifndef RSM_RAFT_PROTOCOL_STABLE_HPP
#define RSM_RAFT_PROTOCOL_STABLE_HPP

#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace raft::inline v0 {

/// Numbers the writes of one node, from 1 upward since its start; 0 is "none".
struct WriteId {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(const WriteId&, const WriteId&) = default;
};

/// One atomic step of the persistent state. Writes become durable in the order of their ids. The
/// members take effect in the order in which they stand here.
struct Write {
    WriteId id;
    /// The whole log is void and starts anew after this position (an installed snapshot).
    std::optional<LogPosition> reset;
    /// Contiguous. They replace whatever is stored from the first one's index onward.
    std::vector<Entry> entries;
    std::optional<HardState> hard_state;
    /// Entries up to and including this position are covered by a snapshot and not needed any
    /// more.
    std::optional<LogPosition> release;

    friend bool operator==(const Write&, const Write&) = default;
};

/// Who a node's persistent state belongs to: given to it when it is founded or joins, before
/// anything else, and the same at every start.
struct Identity {
    NodeId node;
    std::string cluster;  ///< its name; empty where the transport gives none
    /// The members that the cluster was founded with. Together with the name they say which cluster
    /// it is. A joining node is not one of them, or only by its id.
    Membership founding;
    Instance instance;    ///< drawn; 0: the node has none
    bool founder = true;  ///< see Core
    /// Names the state that the cluster began with, and belongs to what says which cluster it is;
    /// 0: the empty one.
    std::uint64_t origin = 0;
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.node, self.cluster, self.founding, self.instance, self.founder,
                     self.origin);
    }
    friend bool operator==(const Identity&, const Identity&) = default;
};

/// Consecutive entries that the node's log had behind damage, and that are whole in its storage.
/// What lies between the log and them is lacking.
struct DetachedRun {
    LogPosition before;         ///< what the log had in front of them
    std::vector<TermRun> runs;  ///< of (before.index, last]; not empty
    Index last;

    Term term_at(Index index) const {
        std::size_t run = runs.size() - 1;
        while (run != 0 && runs[run].first > index) --run;
        return runs[run].term;
    }
    /// @pre before.index <= index <= last
    LogPosition position_at(Index index) const {
        return {index, index == before.index ? before.term : term_at(index)};
    }
    /// The last of their positions, or `before`, that a log has which reaches from `base` to `end`;
    /// nothing: it has none of them. A log that has one has those in front of it, too.
    template <class Has>
    std::optional<Index> depth_in(Index base, Index end, Has has) const {
        Index low = base < before.index ? before.index : base;
        Index high = end < last ? end : last;
        if (low > high || !has(position_at(low))) return std::nullopt;
        while (low < high) {
            const Index middle = low + (high - low + 1) / 2;
            if (has(position_at(middle))) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return low;
    }
    /// Whether a log that ends here goes on with them, or with what is left of them: logs that have
    /// an entry of one index and term in common are the same up to there (Log Matching, 5.3).
    bool continues(LogPosition end) const {
        if (end.index < before.index || end.index >= last) return false;
        return end.term == (end.index == before.index ? before.term : term_at(end.index));
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.before, self.runs, self.last);
    }
    friend bool operator==(const DetachedRun&, const DetachedRun&) = default;
};

/// What a node finds at its start. A fresh node finds the value-initialised one.
///
/// A storage that finds some of what was durable damaged gives the log up to there and says in
/// `promised` how far it had come. Term and vote are always the last ones; a storage that cannot
/// tell them, or what was promised, fails.
///
/// Invariants: the log holds (base, last]; `runs` give the term of each of its entries and the
/// first run begins at base.index + 1 (there is none where the log is empty); base.index <=
/// snapshot.last.index <= last; where the snapshot is not empty, the log agrees with it at
/// snapshot.last.
struct Recovered {
    HardState hard_state;
    SnapshotMeta snapshot;
    LogPosition base;
    Index last;
    std::vector<TermRun> runs;
    /// The entries of kind membership in (base, last], in order.
    std::vector<Entry> memberships;
    /// Where the log may have ended as its node has acknowledged it, where that is more than it has
    /// now; else 0@0. The storage keeps it until the log is as up to date again.
    LogPosition promised{};
    /// Where something is promised: what the storage has of it behind the damage, to be asked for
    /// with read_detached() (see DetachingStorage).
    std::vector<DetachedRun> detached{};
    /// Up to where the state machine has applied the log already, where it keeps its state itself.
    /// That is committed. The storage knows nothing of it.
    Index applied{};
    /// What the storage can go on from of a snapshot that a leader was sending: so many bytes of
    /// its content, as announced, which are as durable as a snapshot. Nothing, and 0: it begins
    /// anew.
    std::optional<SnapshotMeta> partial{};
    std::uint64_t partial_bytes = 0;
};

/// Writes the content of a snapshot into a sink. Called once, possibly on another thread, so it
/// owns or shares all that it reads.
using SnapshotProducer = std::function<void(ByteSink&)>;

/// What a founder's storage begins with in place of nothing: a snapshot that all founders have
/// alike. It stands for a log that nobody has, up to `last`, which is not 0@0.
struct Seed {
    LogPosition last;
    Membership membership;  ///< the founding members
    SnapshotProducer produce;
};

/// What became of a received piece of a snapshot.
enum class ChunkOutcome : std::uint8_t {
    stored,     ///< kept (not necessarily durable); more is to come
    installed,  ///< it was the last one: the snapshot is complete, verified and durable
    rejected,   ///< the whole does not have the announced checksum; what was kept is dropped
    refused,    ///< it could not be kept here (no space): what was kept is dropped
};

}  // namespace raft

#endif
