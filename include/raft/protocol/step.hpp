// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What goes into Core::step and what comes out of it: the whole conversation between the
// algorithm and the world.
#ifndef RSM_RAFT_PROTOCOL_STEP_HPP
#define RSM_RAFT_PROTOCOL_STEP_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace raft::inline v0 {

/// Names a proposal or a read to the one who made it.
using Token = std::uint64_t;

// ---- inputs ----------------------------------------------------------------------------------

/// Nothing but time has passed.
struct Tick {};

/// An operation to replicate. Answered in the same step by a ProposalOutcome.
struct Propose {
    Token token = 0;
    Bytes payload;
};

/// A linearizable read is wanted. Answered, in this step or a later one, by a ReadOutcome.
struct ReadIndex {
    Token token = 0;
};

/// The cluster is to have these members: everybody a voter or a learner. Answered by a
/// ChangeOutcome when it has them or will not have them.
struct ChangeMembers {
    Token token = 0;
    Membership target;
    bool forced = false;  ///< also where too few of the members are heard from to decide it
    Duration patience = std::chrono::minutes(10);  ///< for newcomers that catch up
};

/// The change that was asked for with this token is not wanted any more. Nothing where there is
/// none, and nothing once the members have begun to decide it; its ChangeOutcome tells.
struct CancelChange {
    Token token = 0;
};

/// Another node is to lead. Answered by a HandoverOutcome.
struct HandOver {
    Token token = 0;
    NodeId target;  ///< 0: the one that is best prepared
    Duration patience = std::chrono::milliseconds(500);
};

/// The write `id` and all before it are durable.
struct Persisted {
    WriteId id;
};

/// The state machine has taken in everything up to `index`.
struct Applied {
    Index index;
};

/// How many bytes the log may still grow by, for this step and until it is said anew; the first
/// input of a step. Without it there is no limit.
struct LogRoom {
    std::uint64_t bytes = 0;
};

/// Answers a LoadEntries. Consecutive entries, durable in the node's own log.
struct EntriesLoaded {
    NodeId reader;
    std::vector<Entry> entries;
    bool repairs = false;  ///< as it was asked
};

/// Answers a LoadDetached. Consecutive entries; none: they cannot be read.
struct DetachedLoaded {
    Index first;  ///< as it was asked
    std::vector<Entry> entries;
};

/// A snapshot of this node's own state machine has become durable.
struct SnapshotTaken {
    SnapshotMeta meta;
};

/// Answers a LoadChunk; without data the snapshot is not there any more.
struct ChunkLoaded {
    NodeId reader;
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    std::optional<Bytes> data;
};

/// Answers a StoreChunk.
struct ChunkStored {
    SnapshotMeta meta;
    ChunkOutcome outcome = ChunkOutcome::stored;
};

/// Whether the storage has room for what clients ask for. At first it has.
struct StorageRoom {
    bool full = false;
};

/// Another node is to be told these marks of this one's state machine. Nothing comes of it where
/// the kind is not one that the node may say in its present role.
struct TellMarks {
    NodeId to;
    MarksKind kind = MarksKind::newest;
    std::vector<StateMark> marks;
};

using Input = std::variant<Tick, Message, Propose, ReadIndex, Persisted, Applied, EntriesLoaded,
                           SnapshotTaken, ChunkLoaded, ChunkStored, ChangeMembers, CancelChange,
                           HandOver, StorageRoom, LogRoom, DetachedLoaded, TellMarks>;

// ---- outputs ---------------------------------------------------------------------------------

/// Why a request was not taken on. It did not happen and never will.
enum class Refusal : std::uint8_t {
    none,
    not_leader,    ///< ask the leader, if one is known
    overloaded,    ///< a bound of Options is reached: later
    too_large,     ///< larger than Options::max_entry_bytes
    handing_over,  ///< leadership is about to pass to another node, which should be asked soon
    log_full,      ///< the log has reached Options::max_log_bytes: later
};

/// Accepted: the operation stands at `position`. It is committed when that very entry is applied;
/// when an entry of a later term is applied first, at or before its index, it never will be.
struct ProposalOutcome {
    Token token = 0;
    Refusal refusal = Refusal::none;
    LogPosition position;
    friend bool operator==(const ProposalOutcome&, const ProposalOutcome&) = default;
};

/// Released: the state machine as it is now, having applied at least `index`, may answer the read.
struct ReadOutcome {
    Token token = 0;
    Refusal refusal = Refusal::none;
    Index index;
    friend bool operator==(const ReadOutcome&, const ReadOutcome&) = default;
};

/// How a change of members has ended.
enum class ChangeResult : std::uint8_t {
    done,         ///< the members are those that were asked for, for good
    not_leader,   ///< refused: ask the leader
    busy,         ///< refused: another change is under way
    invalid,      ///< refused: no membership, or one that replaces the only voter under its own id
    unreachable,  ///< refused: too few of the old or of the new voters are heard from
    cancelled,    ///< given up because it was asked to be; newcomers are members no more
    too_slow,  ///< likewise, because newcomers did not catch up, or too few voters were heard from
    interrupted,  ///< the node leads no more: it may be done, done in part, or not
};
struct ChangeOutcome {
    Token token = 0;
    ChangeResult result = ChangeResult::done;
    Index index;  ///< done: where in the log the membership stands
    friend bool operator==(const ChangeOutcome&, const ChangeOutcome&) = default;
};

/// How a handover of leadership has ended.
enum class HandoverResult : std::uint8_t {
    done,          ///< another term has begun, or the target leads already
    not_leader,    ///< refused: this node does not lead
    no_voter,      ///< the target does not vote, or no longer, or is no member
    no_successor,  ///< the target, or whoever could lead, is not heard from, or its disk hangs
    busy,          ///< refused: a handover is under way
    timed_out,     ///< the node goes on leading
    interrupted,   ///< the node leads no more, for another reason; the target may lead yet
};
struct HandoverOutcome {
    Token token = 0;
    HandoverResult result = HandoverResult::done;
    friend bool operator==(const HandoverOutcome&, const HandoverOutcome&) = default;
};

/// A message that may leave only once the write `after` is durable.
struct DeferredMessage {
    WriteId after;
    Message message;
    friend bool operator==(const DeferredMessage&, const DeferredMessage&) = default;
};

/// Read entries back from storage, for a follower or (reader 0) for the state machine.
struct LoadEntries {
    NodeId reader;
    Index first;
    std::size_t max_bytes = 0;
    bool repairs = false;  ///< the reader lacks them, and this node is not its leader
    friend bool operator==(const LoadEntries&, const LoadEntries&) = default;
};

/// Read entries of Recovered::detached.
struct LoadDetached {
    Index first;
    std::size_t max_bytes = 0;
    friend bool operator==(const LoadDetached&, const LoadDetached&) = default;
};

/// Read a piece of a kept snapshot, for a follower of this leader, or of this follower's leader.
struct LoadChunk {
    NodeId reader;
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    std::size_t max_bytes = 0;
    friend bool operator==(const LoadChunk&, const LoadChunk&) = default;
};

/// Keep a piece of a snapshot that a leader has sent, or has had sent. Several may be outstanding:
/// each continues where the one before ends, and they are answered in order. After one that is not
/// kept, those of the same snapshot that are outstanding are not kept either.
struct StoreChunk {
    SnapshotMeta meta;
    std::uint64_t offset = 0;
    Bytes data;
    friend bool operator==(const StoreChunk&, const StoreChunk&) = default;
};

/// What another member has told of its state machine: to a leader, or by the leader.
struct MarksTold {
    NodeId from;
    MarksKind kind = MarksKind::newest;
    std::vector<StateMark> marks;
    friend bool operator==(const MarksTold&, const MarksTold&) = default;
};

enum class EventKind : std::uint8_t {
    became_follower,
    became_pre_candidate,
    became_candidate,
    became_leader,
    leader_known,          ///< `node` leads the term
    quorum_lost,           ///< this leader has not heard from a quorum and steps down
    disk_stalled,          ///< this node's oldest write hangs: it neither leads, stands nor votes
    log_truncated,         ///< entries from `index` on conflicted with the leader's
    snapshot_installed,    ///< a snapshot up to `index`, which `node` sent, replaces the state
    snapshot_rejected,     ///< a received snapshot did not have its checksum
    snapshot_unreadable,   ///< this node's newest snapshot could not be read, or `node` rejects it
    protocol_violation,    ///< severe: `node` sent what no correct node sends
    acknowledgement_lost,  ///< severe: `node` has nothing after `index` of what it had acknowledged
    rival_leader,          ///< severe: `node` leads the term that this node leads
    number_out_of_range,   ///< `node` sent a term or an index that no cluster comes to; ignored
    paused,                ///< this node did not run for so long that it asks peers and disk anew
    members_changed,       ///< the membership that stands at `index` is committed
    version_raised,        ///< Membership::version of the one at `index`, which is committed
    removed,               ///< this node is a member no more, as of `index`
    other_instance,        ///< `node` is not the one that the membership has under its id
    unrecognized,          ///< `node` takes this one for another than the member of its id
    log_regained,          ///< what this node's storage had lost, up to `index`, is there again
    disk_recovered,        ///< the writes of this node whose disk hung have come to an end
    disk_full,             ///< this node's storage has no room for what clients ask for
    disk_has_room,         ///< it has room again
    /// Severe: from `index` on the state machine of `node` is known to have made something else of
    /// the log than this node's. Not the algorithm's: whoever compares them says it.
    states_differ,
    /// Severe: the same, and a majority of the voters, of which `node` is one, has made of it what
    /// this node has not. This node must not serve any more.
    outvoted,
};

/// Something that an operator or a test may want to know.
struct Event {
    EventKind kind{};
    Term term;
    NodeId node;
    Index index;
    std::uint64_t own_digest = 0;    ///< where states differ: this node's after `index`
    std::uint64_t other_digest = 0;  ///< and that of `node`
    friend bool operator==(const Event&, const Event&) = default;
};

/// Everything that one step asks for. The Engine carries the members out in this order.
struct Output {
    /// Begin to make this durable.
    std::optional<Write> write;
    /// May leave now.
    std::vector<Message> send;
    /// May leave when the named write is durable.
    std::vector<DeferredMessage> send_after;
    std::vector<ProposalOutcome> proposals;
    /// Replace the state machine's state by this installed snapshot, before `apply`.
    std::optional<SnapshotMeta> restore;
    /// Committed entries, in order, each exactly once, to be answered by Applied.
    std::vector<Entry> apply;
    std::vector<ReadOutcome> reads;
    std::vector<ChangeOutcome> changes;
    std::vector<HandoverOutcome> handovers;
    std::vector<LoadEntries> load_entries;
    std::optional<LoadDetached> load_detached;
    std::vector<LoadChunk> load_chunks;
    std::vector<StoreChunk> store_chunks;
    /// What has been kept of a snapshot that a leader sent will not be continued: drop it.
    bool abandon_transfer = false;
    /// Ascending; of snapshots up to the last of these the others are not needed any more. Empty:
    /// nothing is to be dropped.
    std::vector<Index> needed_snapshots;
    std::vector<Event> events;
    std::vector<MarksTold> marks;
    /// When to step next if nothing happens before.
    Time deadline;

    /// Forgets everything, keeps the memory.
    void clear() {
        write.reset();
        send.clear();
        send_after.clear();
        proposals.clear();
        restore.reset();
        apply.clear();
        reads.clear();
        changes.clear();
        handovers.clear();
        load_entries.clear();
        load_detached.reset();
        load_chunks.clear();
        store_chunks.clear();
        abandon_transfer = false;
        needed_snapshots.clear();
        events.clear();
        marks.clear();
        deadline = {};
    }
    friend bool operator==(const Output&, const Output&) = default;
};

}  // namespace raft

#endif
