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
#include <rsm/node/agreed_versions.hpp>
#include <rsm/node/applied_digest.hpp>
#include <rsm/node/lent_machine.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/node/skipped_operations.hpp>
#include <rsm/options.hpp>
#include <rsm/state_machine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
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
    /// Of the last entry that it has taken in; where the machine keeps it, of the last operation.
    raft::LogPosition position() const {
        if constexpr (Persistent<Machine>) {
            return machine().applied();
        } else {
            return position_;
        }
    }
    /// Of the last entry that it has taken in, be it no operation.
    raft::LogPosition passed() const {
        return position_.index > position().index ? position_ : position();
    }
    SkippedOperations& skipped() { return skipped_; }
    const SkippedOperations& skipped() const { return skipped_; }
    /// Of what has been applied; known as long as all of it was applied, or came with a snapshot
    /// that says it.
    AppliedDigest& digest() { return digest_; }
    const AppliedDigest& digest() const { return digest_; }

    // ---- the start of a machine that keeps its state itself ----

    /// Gives the index up to which it has come, and the log with it. Failure: it is not what the
    /// log has led to.
    raft::Result<raft::Index> recovered(const raft::Recovered& log) requires Persistent<Machine> {
        const raft::LogPosition at = machine().applied();
        const raft::Index end = std::max(log.last, log.promised.index);
        if (at.index > end) {
            return foreign(at, "the log of this node ends at index " + std::to_string(end.value) +
                                   ": it is an older copy, or another");
        }
        const std::optional<raft::Term> term = term_at(log, at.index);
        const bool is_whole = log.promised.index.value == 0;
        if (is_whole && term && *term != at.term) {
            return foreign(at, "the log of this node has an entry of term " +
                                   std::to_string(term->value) +
                                   " there: they are not of one "
                                   "history");
        }
        skipped_.were_skipped(at.index);
        if (at.index.value != 0) digest_.restore(at.index, std::nullopt);
        const std::uint32_t version = version_at(log, at.index);
        constexpr std::uint32_t known = format_version_of<Machine>;
        if (version > known) return failure_of(NewerVersion(at.index, version, known));
        versions_.restart(at.index, version, machine_.change());
        if (is_whole || term == at.term) return at.index;
        // What the log has may be what the entries that it lost had replaced: of that, no more is
        // known to be committed than the snapshot says.
        return std::min(at.index, log.snapshot.last.index);
    }
    /// Whether the state has it already, although it comes from the log.
    bool holds(raft::Index index) const {
        if constexpr (Persistent<Machine>) {
            return index <= machine().applied().index;
        } else {
            return false;
        }
    }

    // ---- entries; @pre !busy() ----

    /// A machine that keeps its state itself has not kept the position with it.
    struct NotNoted : std::runtime_error {
        NotNoted(raft::LogPosition said, raft::LogPosition given)
            : std::runtime_error(
                  "the state machine says that it is at index " + std::to_string(said.index.value) +
                  " of term " + std::to_string(said.term.value) + " after the operation of index " +
                  std::to_string(given.index.value) + " of term " +
                  std::to_string(given.term.value)) {}
    };

    ResultOf<Machine> apply(const typename Machine::Operation& operation,
                            [[maybe_unused]] raft::LogPosition position) {
        if constexpr (!Persistent<Machine>) {
            return machine_.change().apply(operation);
        } else if constexpr (std::is_void_v<ResultOf<Machine>>) {
            machine_.change().apply(operation, position);
            check_noted(position);
        } else {
            ResultOf<Machine> result = machine_.change().apply(operation, position);
            check_noted(position);
            return result;
        }
    }
    /// Whether `apply`, which applies an operation, throws; the state is then what it was before.
    template <class Apply>
    bool throws(const Apply& apply) {
        if constexpr (Persistent<Machine>) {
            const raft::LogPosition before = position();
            try {
                apply();
            } catch (const NotNoted&) {
                throw;
            } catch (...) {
                if (position() != before) throw;  // it has not left things as they were
                return true;
            }
        } else {
            const SavedState<Machine> before(machine());
            try {
                apply();
            } catch (...) {
                before.put_back(machine_.change());
                return true;
            }
        }
        return false;
    }
    void applied(raft::LogPosition position) { position_ = position; }

    /// In which version operations and results are written here in the log, and which is known.
    FormatVersions versions() const { return versions_.now(); }
    /// Whether an operation loses nothing when it is written.
    bool writes_newest() const { return versions_.is_newest(); }
    /// Throws NewerVersion.
    void pass_membership(const raft::Entry& entry) {
        versions_.pass(entry, [this]() -> Machine& { return machine_.change(); });
    }

    raft::Result<void> restore(const raft::SnapshotMeta& meta, raft::ByteSource& source,
                               std::size_t buffer_bytes) {
        if (holds(meta.last.index)) return take_version(meta);
        auto head = restore_state(source, meta, machine_.change(), buffer_bytes);
        if (!head) return head.error();
        std::string refused = skipped_.restore(meta.last.index, std::move(head->skipped));
        if (!refused.empty()) {
            return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                                 std::move(refused)};
        }
        digest_.restore(meta.last.index, head->digest);
        position_ = meta.last;
        versions_.restart(meta.last.index, meta.membership.version, machine_.change());
        return {};
    }

    // ---- snapshots ----

    struct Captured {
        raft::LogPosition position;  ///< of the last entry in it
        raft::SnapshotProducer produce;
    };
    /// Captures the state as it is now. What does not freeze is written out into memory as long as
    /// that takes no more than Options::max_captured_bytes; beyond it is lent to whoever writes the
    /// snapshot, and busy() until then.
    /// @param last_bytes  what the last snapshot took; 0: not known  @pre !busy()
    Captured capture(std::uint64_t last_bytes, const Options& options) {
        const WritingOptions how{options.snapshot_buffer_bytes, versions()};
        if constexpr (Freezes<Machine>) {
            return freeze(how);
        } else {
            if (last_bytes <= options.max_captured_bytes) {
                auto collected = collect_state(machine(), head(), how, options.max_captured_bytes);
                if (collected) return {position(), std::move(*collected)};
            }
            return lend(how);
        }
    }
    /// The same of all that has been taken in, which may be more than a machine that makes
    /// operations durable in groups gives an image of, and than it knows of where the last entries
    /// are no operations: it is lent. @pre !busy()
    Captured capture_all(const Options& options) {
        Captured all = lend({options.snapshot_buffer_bytes, versions()});
        all.position = passed();
        return all;
    }
    /// All that has been taken in, for whoever does not say when it has been written: nothing is
    /// lent. A machine that makes operations durable in groups may hand out an image of less.
    Captured copy(std::size_t buffer_bytes) const {
        const WritingOptions how{buffer_bytes, versions()};
        if constexpr (Freezes<Machine>) {
            Captured frozen = freeze(how);
            const bool has_all = frozen.position == position();
            if (has_all) frozen.position = passed();
            if (has_all) return frozen;
        }
        return {passed(), *collect_state(machine(), head(), how, PieceSink::no_limit)};
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
    bool busy() const { return machine_.lent() || late_restore_ || !late_entries_.empty(); }
    bool lent() const { return machine_.lent(); }
    /// What the machine says is older than what was put off.
    bool outdated() const { return late_restore_.has_value(); }

    /// Whether something waits that the machine could take in.
    bool could_go_on() const { return busy() && !lent(); }

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
    Captured lend(const WritingOptions& how) {
        lent_at_ = position().index;
        return {position(), machine_.lend(head(), how)};
    }
    Captured freeze(WritingOptions how) const requires Freezes<Machine> {
        auto image = machine().freeze();
        raft::LogPosition at = position_;
        if constexpr (Persistent<Machine>) at = std::as_const(image).applied();
        SnapshotHead around = head();
        if (at != position()) around.digest.reset();  // it is not the image's
        // What has all may be said to be of a later entry, which is no operation.
        how.versions = at == position() ? how.versions : versions_.at(at.index);
        return {at, image_producer(std::move(image), std::move(around), how)};
    }
    /// What a snapshot of the state as it is now says besides.
    SnapshotHead head() const { return {skipped_.done(), digest_.value()}; }
    static std::optional<raft::Term> term_at(const raft::Recovered& log, raft::Index index) {
        if (index == log.snapshot.last.index) return log.snapshot.last.term;
        if (index == log.base.index) return log.base.term;
        if (index < log.base.index || index > log.last) return std::nullopt;
        std::optional<raft::Term> term;
        for (const raft::TermRun& run : log.runs) {
            if (run.first <= index) term = run.term;
        }
        return term;
    }
    /// Of a snapshot whose state is there already: the log that told what is in force may have been
    /// lost.
    raft::Result<void> take_version(const raft::SnapshotMeta& meta) {
        try {
            versions_.rise(meta.last.index, meta.membership.version,
                           [this]() -> Machine& { return machine_.change(); });
        } catch (const NewerVersion& newer) {
            return failure_of(newer);
        }
        return {};
    }
    static raft::Failure foreign(raft::LogPosition at, const std::string& why) {
        return {std::make_error_code(std::errc::state_not_recoverable),
                "the state machine has applied up to index " + std::to_string(at.index.value) +
                    " of term " + std::to_string(at.term.value) + ", and " + why};
    }
    void check_noted(raft::LogPosition position) const {
        const raft::LogPosition said = machine().applied();
        if (said != position) throw NotNoted(said, position);
    }

    LentMachine<Machine> machine_;
    SkippedOperations skipped_;
    AppliedDigest digest_;
    AgreedVersions<Machine> versions_;
    raft::LogPosition position_;
    raft::Index lent_at_;
    std::optional<LateRestore> late_restore_;
    std::vector<raft::Entry> late_entries_;  // one batch: no others come before it is applied
};

}  // namespace rsm::detail

#endif
