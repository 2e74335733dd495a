// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Every limit and timeout of the algorithm, with unit, default and range.
#ifndef RSM_RAFT_PROTOCOL_OPTIONS_HPP
#define RSM_RAFT_PROTOCOL_OPTIONS_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace raft::inline v0 {

/// Who sends snapshots.
enum class SnapshotSource : std::uint8_t {
    leader,    ///< the leader, always
    follower,  ///< a follower that has one which is of use, chosen by the leader; else the leader
};

/// The inequalities between the fields are checked by `validate()`; all nodes of a cluster should
/// use the same values, though safety does not depend on it.
struct Options {
    // ---- time ----

    /// How long a follower waits for a leader before it stands for election: drawn anew from
    /// [election_timeout, 2 * election_timeout) each time (section 5.2). Also how long a leader
    /// may go without hearing from a quorum, and how long a node that has heard from a leader
    /// refuses to vote for another, and one that has started for anybody. At least 3 *
    /// heartbeat_interval, at most 365 days.
    Duration election_timeout = std::chrono::milliseconds(500);
    /// How often a leader speaks to each follower when there is nothing to say. Lost messages are
    /// noticed, and sent again, at this pace. More than 0.
    Duration heartbeat_interval = std::chrono::milliseconds(100);
    /// How long a leader waits for the next entries to carry a risen commit index to followers
    /// before it says so in a message of its own. At most heartbeat_interval; 0: at once.
    Duration commit_notice_delay = std::chrono::milliseconds(10);
    /// A node whose oldest write has not become durable for this long, and for a heartbeat more,
    /// gives up leadership, and neither stands for election nor votes until it has: a stalled disk
    /// must not hold up the cluster. More than 0.
    Duration disk_stall_timeout = std::chrono::seconds(5);
    /// See max_hold_bytes. At least 0.
    Duration max_hold_time = std::chrono::minutes(10);

    // ---- rules ----

    /// Ask whether an election could be won before raising the term (thesis, section 9.6).
    bool pre_vote = true;
    /// A leader steps down when it does not hear from a quorum for an election timeout, and nodes
    /// that hear from a leader refuse votes to others (thesis, sections 6.2 and 6.4.1).
    bool check_quorum = true;
    /// A new leader appends a barrier entry at once, so that entries of earlier terms commit
    /// without waiting for the next operation (section 8). When off, the first operation of a
    /// fresh cluster has index 1, and a read appends the barrier if one is still needed.
    bool barrier_on_election = true;
    /// A node that starts takes for committed what its storage says was, and applies that before it
    /// has heard of a leader. When off, the commit index is volatile, as in Figure 2: beyond its
    /// snapshot a node applies nothing until an entry is committed in its own time.
    bool recover_commit_index = true;
    /// The state machine gets an entry only when it is durable on this node, and not merely
    /// committed, so that the log of a state machine which keeps its state itself always reaches as
    /// far as that does.
    bool apply_durable_only = false;
    /// Of a leader: who sends a snapshot to a follower that needs one. `follower` spares the
    /// leader's disk and line where these are what the cluster waits for. It is not the default
    /// because then a third node and two more lines must be well for the transfer to go through;
    /// where one of them is not, the leader begins anew after a while, and what was sent is lost.
    SnapshotSource snapshot_source = SnapshotSource::leader;

    /// The highest version of operations and snapshots that this node's application reads, and
    /// writes once all members have said that they read it: Membership::version. 0: it knows of no
    /// versions.
    std::uint32_t readable_version = 0;

    // ---- bytes ----

    /// Largest payload of an operation's entry: 1 to max_message_bytes. A membership is as large as
    /// its members' contacts make it.
    std::size_t max_entry_bytes = 8U << 20;
    /// An append request is filled up to this footprint; at least 1 entry always travels.
    std::size_t max_message_bytes = 8U << 20;
    /// Entries under way to one follower without its answer; max_message_bytes to 256 MiB. A
    /// follower takes in no entries while twice as many bytes of them wait for its disk.
    std::size_t window_bytes = 32U << 20;
    /// Footprint of the entries of a leader's reign that are not yet committed, durable on its own
    /// disk and applied to its own state machine; beyond it proposals are refused as overload. At
    /// least max_entry_bytes + 64, at most 512 MiB, because one write may have to hold them all.
    std::size_t max_uncommitted_bytes = 64U << 20;
    /// Entries handed to the state machine in one piece; at least 1 entry always is.
    std::size_t apply_batch_bytes = 1U << 20;
    /// Entries kept in memory once they are durable, for the state machine and for followers that
    /// are slightly behind; older ones are read back from storage.
    std::size_t log_cache_bytes = 64U << 20;
    /// Entries below a snapshot that are kept in the log for followers that are slightly behind,
    /// which then need no snapshot. They count in Storage::persisted_bytes().
    std::size_t retained_bytes = 4U << 20;
    /// A leader keeps what a follower that it hears from still needs of the log below a snapshot,
    /// the entries above a snapshot on its way to it among them, for as long as it has appended no
    /// more than this since then, and no longer than max_hold_time. Beyond that the follower gets
    /// the next snapshot. 0: nothing is kept.
    std::size_t max_hold_bytes = std::size_t{1} << 30;
    /// Storage::persisted_bytes() from which on the log takes nothing more that a snapshot could
    /// have made room for: a leader refuses operations, and a follower leaves entries with its
    /// leader, which waits. Votes, heartbeats, reads, what the log has, barriers and memberships go
    /// on. From half of it on nothing is kept for followers (max_hold_bytes), and from all of it on
    /// nothing is retained either. What one step brings may exceed it: an operation on a leader, a
    /// message on a follower. 0: no limit; else at least 128.
    std::uint64_t max_log_bytes = 0;
    /// The content of one snapshot message. More than 0, at most max_message_bytes.
    std::size_t snapshot_chunk_bytes = 256U << 10;
    /// Pieces of a snapshot under way to one follower without its answer; at least
    /// snapshot_chunk_bytes.
    std::size_t snapshot_window_bytes = 4U << 20;
    /// Of snapshots a leader sends no more than this in a second, to all followers together, and
    /// has each other source send no more than this, so that a transfer leaves room on disk and
    /// line. In any time it may be more by what a heartbeat interval brings, and by one piece. What
    /// nodes lend each other without a leader, when nothing is served, does not count. 0: no limit.
    std::uint64_t snapshot_bytes_per_second = 0;

    // ---- counts ----

    /// Linearizable reads that wait at once; beyond it reads are refused as overload.
    std::size_t max_waiting_reads = 1U << 20;

    /// Whether the fields agree with each other; the failure names the first that does not.
    Result<void> validate() const;

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.election_timeout, self.heartbeat_interval, self.commit_notice_delay,
                     self.disk_stall_timeout, self.max_hold_time, self.pre_vote, self.check_quorum,
                     self.barrier_on_election, self.recover_commit_index, self.apply_durable_only,
                     self.snapshot_source, self.readable_version, self.max_entry_bytes,
                     self.max_message_bytes, self.window_bytes, self.max_uncommitted_bytes,
                     self.apply_batch_bytes, self.log_cache_bytes, self.retained_bytes,
                     self.max_hold_bytes, self.max_log_bytes, self.snapshot_chunk_bytes,
                     self.snapshot_window_bytes, self.snapshot_bytes_per_second,
                     self.max_waiting_reads);
    }
    friend bool operator==(const Options&, const Options&) = default;
};

inline Result<void> Options::validate() const {
    const auto refuse = [](const char* what) {
        return Failure{std::make_error_code(std::errc::invalid_argument), what};
    };
    const Duration zero{};
    if (heartbeat_interval <= zero) return refuse("raft options: heartbeat_interval must be > 0");
    if (election_timeout < 3 * heartbeat_interval)
        return refuse("raft options: election_timeout must be >= 3 * heartbeat_interval");
    // Multiples of it are added to points in time.
    if (election_timeout > std::chrono::hours(24 * 365))
        return refuse("raft options: election_timeout must be at most 365 days");
    if (commit_notice_delay < zero || commit_notice_delay > heartbeat_interval)
        return refuse("raft options: commit_notice_delay must be in [0, heartbeat_interval]");
    if (disk_stall_timeout <= zero) return refuse("raft options: disk_stall_timeout must be > 0");
    if (max_hold_time < zero) return refuse("raft options: max_hold_time must be >= 0");
    if (max_entry_bytes == 0 || max_entry_bytes > max_message_bytes)
        return refuse("raft options: max_entry_bytes must be in [1, max_message_bytes]");
    // What waits for a disk that hangs becomes one write, of at most two windows and a message.
    if (window_bytes < max_message_bytes || window_bytes > (std::size_t{1} << 28))
        return refuse("raft options: window_bytes must be in [max_message_bytes, 256 MiB]");
    if (max_uncommitted_bytes < max_entry_bytes + 64)
        return refuse("raft options: max_uncommitted_bytes must be >= max_entry_bytes + 64");
    if (max_uncommitted_bytes > (std::size_t{1} << 29))
        return refuse("raft options: max_uncommitted_bytes must be at most 512 MiB");
    if (max_log_bytes != 0 && max_log_bytes < 128)
        return refuse("raft options: max_log_bytes must be 0 or at least 128");
    if (apply_batch_bytes == 0) return refuse("raft options: apply_batch_bytes must be > 0");
    if (snapshot_chunk_bytes == 0 || snapshot_chunk_bytes > max_message_bytes)
        return refuse("raft options: snapshot_chunk_bytes must be in [1, max_message_bytes]");
    if (snapshot_window_bytes < snapshot_chunk_bytes)
        return refuse("raft options: snapshot_window_bytes must be >= snapshot_chunk_bytes");
    if (max_waiting_reads == 0) return refuse("raft options: max_waiting_reads must be > 0");
    return {};
}

}  // namespace raft

#endif
