// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What can be saved of a cluster that has lost its majority: the state of one of its directories,
// from which a new cluster can be founded.
#ifndef RSM_RESCUE_HPP
#define RSM_RESCUE_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/archive.hpp>
#include <rsm/backup.hpp>
#include <rsm/node/agreed_versions.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/state_machine.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/inspect.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// A WalStorage's directory, as it is: nothing in it is changed. It is read whole, so to make one
/// takes as long as a start.
class Remains {
public:
    /// Errors: locked where a node works on it; corrupted where nobody can tell what the log was;
    /// unsupported_version, unfounded, the system's own.
    static raft::Result<Remains> open(const std::string& directory) {
        if (detail::wal::is_in_use(directory)) {
            return detail::storage_failure(StorageErrc::locked,
                                           directory + ": a node is running on it, stop it first");
        }
        auto found = detail::wal::inspect(directory);
        if (!found) return found.error();
        return Remains(directory, std::move(*found));
    }

    const std::string& directory() const { return directory_; }
    const raft::Identity& identity() const { return found_->identity; }
    const raft::HardState& hard_state() const { return found_->recovered.hard_state; }
    const raft::SnapshotMeta& snapshot() const { return found_->recovered.snapshot; }
    /// The last entry that is there.
    raft::LogPosition last() const {
        const raft::Recovered& recovered = found_->recovered;
        if (recovered.runs.empty()) return recovered.base;
        return {recovered.last, recovered.runs.back().term};
    }
    /// How far the log had come where that is more than it holds now; else 0@0.
    raft::LogPosition promised() const { return found_->recovered.promised; }
    /// What was found to be damaged, a sentence each with file and offset.
    const std::vector<std::string>& damages() const { return found_->damages; }

    /// Puts all that is there into a machine in its initial state: the newest snapshot, and then
    /// every entry of the log, whether it was known to be committed or not. Any entry that was
    /// acknowledged while this directory had it is among them; so may be some that never were.
    /// Errors: corrupted; illegal_byte_sequence where the machine refuses the snapshot;
    /// state_not_recoverable where it throws at an operation, with the index; not_supported where
    /// the log was written by a program whose machine knows a higher version.
    template <StateMachine Machine>
    raft::Result<CapturedState> apply_to(Machine& machine) const;

private:
    Remains(std::string directory, detail::wal::Inspected found)
        : directory_(std::move(directory)),
          found_(std::make_shared<const detail::wal::Inspected>(std::move(found))) {}

    template <class Machine>
    raft::Result<void> apply_entries(raft::Index first, Machine& machine,
                                     detail::AgreedVersions<Machine>& versions,
                                     raft::Membership& membership) const;

    std::string directory_;
    std::shared_ptr<const detail::wal::Inspected> found_;
};

/// Whether the log of the first is at least as up to date as that of the other: as an election
/// would have it (Raft paper, section 5.4.1).
inline bool is_up_to_date(const Remains& one, const Remains& other) {
    return raft::is_up_to_date(one.last(), other.last());
}

template <StateMachine Machine>
raft::Result<CapturedState> Remains::apply_to(Machine& machine) const {
    CapturedState state;
    state.last = last();
    state.identity = identity();
    state.membership = identity().founding;
    detail::SnapshotHead head;
    detail::AgreedVersions<Machine> versions;
    if (found_->snapshot != nullptr) {
        const raft::SnapshotMeta& meta = snapshot();
        detail::wal::SnapshotSource<detail::wal::ReadOnlyFiles> source({}, found_->snapshot);
        auto restored = detail::restore_state(source, meta, machine, snapshot_buffer_bytes);
        if (!restored) return restored.error();
        head = std::move(*restored);
        state.membership = meta.membership;
        versions.restart(meta.last.index, meta.membership.version, machine);
    }
    const raft::Index first = snapshot().last.index + 1;
    auto applied = apply_entries(first, machine, versions, state.membership);
    if (!applied) return applied.error();
    head.digest.reset();  // results are not asked for here
    state.produce = detail::capture_state(machine, head, {snapshot_buffer_bytes, versions.now()});
    return state;
}

template <class Machine>
raft::Result<void> Remains::apply_entries(raft::Index first, Machine& machine,
                                          detail::AgreedVersions<Machine>& versions,
                                          raft::Membership& membership) const {
    constexpr std::uint64_t bytes_at_once = std::uint64_t{8} << 20;
    while (first <= found_->recovered.last) {
        const auto entries = detail::wal::read_entries(*found_, first, bytes_at_once);
        if (!entries) return entries.error();
        for (const raft::Entry& entry : *entries) {
            const auto refuse = [&entry](const std::string& why) {
                return raft::Failure{std::make_error_code(std::errc::state_not_recoverable),
                                     "the state machine throws at the operation of index " +
                                         std::to_string(entry.index.value) + " (" + why + ")"};
            };
            try {
                if (entry.kind == raft::EntryKind::membership) {
                    membership = raft::codec::decode_membership(entry.payload).value_or(membership);
                    versions.pass(entry, [&machine]() -> Machine& { return machine; });
                }
                if (entry.kind != raft::EntryKind::operation) continue;
                machine.apply(
                    decode<typename Machine::Operation>(entry.payload.view(), versions.now()));
            } catch (const detail::NewerVersion& newer) {
                return detail::failure_of(newer);
            } catch (const std::exception& error) {
                return refuse(error.what());
            } catch (...) {
                return refuse("an exception of an unknown type");
            }
        }
        first = entries->back().index + 1;
    }
    return {};
}

}  // namespace rsm

#endif
