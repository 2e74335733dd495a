// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a user may set on a replicated state machine.
#ifndef RSM_OPTIONS_HPP
#define RSM_OPTIONS_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/archive/snapshot.hpp>
#include <rsm/members.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace rsm::inline v0 {

inline constexpr std::int64_t kibibytes(std::int64_t count) { return count * 1024; }
inline constexpr std::int64_t mebibytes(std::int64_t count) { return count * 1024 * 1024; }
inline constexpr std::int64_t gibibytes(std::int64_t count) { return count * 1024 * 1024 * 1024; }

struct Options {
    /// Bytes of persisted Raft state (Storage::persisted_bytes) at which a snapshot is taken and
    /// the log before it released. 0: after every operation. Negative: never, so that the log
    /// grows for ever. At most half of raft.max_log_bytes, where that is set. Of several members
    /// each but the first waits for up to a quarter more, so that they do not all write at one
    /// moment. What the log had behind the last snapshot counts again when it has been applied.
    std::int64_t snapshot_threshold = mebibytes(64);

    /// Times the size of the last snapshot: where that is more than snapshot_threshold it takes the
    /// threshold's place, so that a large state is not written again and again for little of a log.
    /// 0: the threshold alone counts. At most 1000.
    double snapshot_factor = 0;

    /// How long an operation or a read may take before it completes with Errc::timed_out, unless
    /// the call says otherwise. 0: no limit.
    std::chrono::nanoseconds operation_timeout = std::chrono::seconds(30);

    /// Encoded bytes of operations that this node has not completed yet; beyond it async_submit
    /// completes with Errc::overloaded.
    std::size_t max_pending_bytes = 256U << 20;

    /// Memory through which a state machine's snapshot passes on its way to the storage and back;
    /// raised to 16 if it is less.
    std::size_t snapshot_buffer_bytes = rsm::snapshot_buffer_bytes;

    /// What a state without `freeze` may take in a snapshot for that to be collected in memory,
    /// after which operations go on at once. A larger one is written in place: the storage's thread
    /// reads the machine (see SnapshotsInPlace), and operations wait until it has; votes, entries,
    /// heartbeats and reads do not. The size of the snapshot before tells which; a state that has
    /// grown beyond the limit since is serialized once in vain. The largest size_t: none is written
    /// in place.
    std::size_t max_captured_bytes = std::size_t{16} << 20;

    /// The algorithm's own. `raft.retained_bytes` is kept at or below a quarter of
    /// snapshot_threshold, so that releasing the log always leaves room below the threshold.
    raft::Options raft = {};

    /// Log indexes of operations that make `apply` throw on every node, and so stop every node:
    /// the way out. Start all nodes with the same list. An operation of the list is tried; where it
    /// throws, the state is put back to what it was before, and the operation counts as without
    /// effect (Errc::skipped). Where replicas would come to differ the node stops instead, with a
    /// sentence: the operation does not throw, so other nodes may have applied it; the entry is no
    /// operation; or a snapshot, of this node or of a leader, has the operation in it. A snapshot
    /// remembers what was skipped, so the list may stay, and may go once snapshots cover it.
    std::vector<raft::Index> skip_operations = {};

    /// Keeps a cluster from writing operations and snapshots in a higher version than this (see
    /// Versioned), for as long as any member says so, so that a way back to an older program stays
    /// open. What is written already is read whatever it is.
    std::uint32_t max_format_version = std::numeric_limits<std::uint32_t>::max();

    /// For tests: an operation that is submitted here is decoded from what it was encoded to, as
    /// the other nodes do, and that is what is applied; without it the node that leads applies what
    /// it has at hand. So a field that `serialize` forgets shows in the results. Where the
    /// operation is another one after that (by its bytes, and by == if it has that), it is refused
    /// at once with Errc::user_exception and a sentence. Costs an encoding and two decodings.
    bool verify_decoding = false;

    /// What the storage begins as if it is new. Absent: the members that the transport names found
    /// a cluster. Only for a storage that keeps an identity (WalStorage does); with another one the
    /// founding members must be given at each start.
    std::optional<Birth> birth = {};

    /// Of the election timeouts, and of the instance that a new storage gets, so not twice the same
    /// where storages may be lost. Absent: drawn from the operating system.
    std::optional<std::uint64_t> seed = {};

    /// Called on the node's executor for everything noteworthy; must not throw and must not
    /// destroy the node.
    std::function<void(const raft::Event&)> on_event = {};
    /// Called with a sentence for the operator: what recovery cut or left alone (from the
    /// constructor), whenever that changes, that the storage has no room or that the log is at its
    /// limit, that a snapshot could not be saved, which is tried again later, and on a leader that
    /// another node's state machine has made something else of the log than its own. Same
    /// conditions.
    std::function<void(const std::string&)> on_notice = {};
    /// Called once on the node's executor when the node has stopped for good: a failed write, a
    /// damaged log, a state machine that threw, or one that a majority of the voters contradicts.
    /// Same conditions.
    std::function<void(const raft::Failure&)> on_failure = {};

    /// Whether the fields are in their ranges and agree with each other, `raft` included; the
    /// failure names the first that does not.
    raft::Result<void> validate() const;
};

inline raft::Result<void> Options::validate() const {
    const auto refuse = [](const char* what) {
        return raft::Failure{std::make_error_code(std::errc::invalid_argument), what};
    };
    if (!(snapshot_factor >= 0 && snapshot_factor <= 1000))
        return refuse("options: snapshot_factor must be in [0, 1000]");
    if (raft.max_log_bytes != 0) {
        if (snapshot_threshold < 0)
            return refuse("options: raft.max_log_bytes needs snapshots (snapshot_threshold >= 0)");
        if (raft.max_log_bytes / 2 < static_cast<std::uint64_t>(snapshot_threshold))
            return refuse("options: raft.max_log_bytes must be >= 2 * snapshot_threshold");
    }
    return raft.validate();
}

}  // namespace rsm

#endif
