// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What one replica has made of the log: its machine, how far it has come, what it lacks, and what
// waits for it while a snapshot of it is being written in place.
#ifndef RSM_NODE_REPLICA_STATE_HPP
#define RSM_NODE_REPLICA_STATE_HPP

#include <raft/base/result.hpp>
#include <raft/base/stream.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/node/lent_machine.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/node/skipped_operations.hpp>
#include <rsm/options.hpp>
#include <rsm/state_machine.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// All members are used on the node's executor only.
template <class Machine>
class ReplicaState {
public:
    ReplicaState(Machine machine, std::vector<raft::Index> skip_operations)
        : machine_(std::move(machine)), skipped_(std::move(skip_operations)) {}

    const Machine& machine() const { return machine_.look(); }
    /// Of the last entry that it has taken in.
    raft::LogPosition position() const { return position_; }
    SkippedOperations& skipped() { return skipped_; }
    const SkippedOperations& skipped() const { return skipped_; }

    // ---- entries; @pre !busy() ----

    decltype(auto) apply(const typename Machine::Operation& operation) {
        return machine_.change().apply(operation);
    }
    /// Whether `apply`, which applies an operation, throws; the state is then what it was before.
    template <class Apply>
    bool throws(const Apply& apply) {
        const SavedState<Machine> before(machine());
        try {
            apply();
        } catch (...) {
            before.put_back(machine_.change());
            return true;
        }
        return false;
    }
    void applied(raft::LogPosition position) { position_ = position; }

    raft::Result<void> restore(const raft::SnapshotMeta& meta, raft::ByteSource& source,
                               std::size_t buffer_bytes) {
        auto lacking = restore_state(source, meta, machine_.change(), buffer_bytes);
        if (!lacking) return lacking.error();
        std::string refused = skipped_.restore(meta.last.index, std::move(*lacking));
        if (!refused.empty()) {
            return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                                 std::move(refused)};
        }
        position_ = meta.last;
        return {};
    }

    // ---- snapshots ----

    /// Captures the state as it is now. What does not freeze is written out into memory as long as
    /// that takes no more than Options::max_captured_bytes; beyond it is lent to whoever writes the
    /// snapshot, and busy() until then.
    /// @param last_bytes  what the last snapshot took; 0: not known  @pre !busy()
    raft::SnapshotProducer capture(std::uint64_t last_bytes, const Options& options) {
        const std::size_t buffer_bytes = options.snapshot_buffer_bytes;
        if constexpr (Freezes<Machine>) {
            return capture_state(machine(), skipped_.done(), buffer_bytes);
        } else {
            if (last_bytes <= options.max_captured_bytes) {
                auto collected = collect_state(machine(), skipped_.done(), buffer_bytes,
                                               options.max_captured_bytes);
                if (collected) return std::move(*collected);
            }
            lent_at_ = position_.index;
            return machine_.lend(skipped_.done(), buffer_bytes);
        }
    }
    /// The storage has said what became of the snapshot. Gives a sentence if the machine threw as
    /// it was written.
    std::string returned() {
        const std::string thrown = machine_.returned();
        return thrown.empty() ? thrown : snapshot_threw(lent_at_, thrown);
    }
    static std::string snapshot_threw(raft::Index index, const std::string& what) {
        return "the state machine threw when a snapshot of index " + std::to_string(index.value) +
               " was taken (" + what + ")";
    }

    // ---- what waits for the machine ----

    /// The machine is being read elsewhere, or something waits that has to come first.
    bool busy() const { return machine_.lent() || late_restore_; }
    bool lent() const { return machine_.lent(); }
    /// What the machine says is older than what was put off.
    bool outdated() const { return late_restore_.has_value(); }

    /// @pre busy()
    void put_off(std::span<const raft::Entry> entries) {
        late_entries_.assign(entries.begin(), entries.end());
    }
    /// Nobody needs the snapshot of a state that is to be replaced. @pre busy()
    void put_off(const raft::SnapshotMeta& meta, std::unique_ptr<raft::ByteSource> source) {
        machine_.recall();
        late_entries_.clear();
        late_restore_ = LateRestore{meta, std::move(source)};
    }

    struct LateRestore {
        raft::SnapshotMeta meta;
        std::unique_ptr<raft::ByteSource> source;
    };
    /// What was put off first, this before the entries. @pre !lent()
    std::optional<LateRestore> take_late_restore() {
        return std::exchange(late_restore_, std::nullopt);
    }
    std::vector<raft::Entry> take_late_entries() { return std::exchange(late_entries_, {}); }

private:
    LentMachine<Machine> machine_;
    SkippedOperations skipped_;
    raft::LogPosition position_;
    raft::Index lent_at_;
    std::optional<LateRestore> late_restore_;
    std::vector<raft::Entry> late_entries_;  // one batch: no others come before it is applied
};

}  // namespace rsm::detail

#endif
