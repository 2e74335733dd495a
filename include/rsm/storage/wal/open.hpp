// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Opening a directory: locked, read, checked and only then repaired.
#ifndef RSM_STORAGE_WAL_OPEN_HPP
#define RSM_STORAGE_WAL_OPEN_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/recovery.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/detached.hpp>
#include <rsm/storage/wal/format.hpp>
#include <rsm/storage/wal/identity.hpp>
#include <rsm/storage/wal/partial.hpp>
#include <rsm/storage/wal/recovery.hpp>
#include <rsm/storage/wal/repair.hpp>
#include <rsm/storage/wal/segment.hpp>
#include <rsm/storage/wal/snapshots.hpp>
#include <rsm/storage/wal/state.hpp>
#include <rsm/storage/wal_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// A directory that has been read and repaired.
template <class Files>
struct OpenedWal {
    DirectoryPointer<Files> directory;
    raft::Identity identity;  ///< what is stored; the empty one: nobody asked
    ScannedLog<Files> log;
    raft::Recovered recovered;
    EntryIndex<Segment<Files>> index;
    LogAccount account;
    DetachedEntries<Files> detached;              ///< what is left behind damage
    KeptPointer<Files> snapshot;                  ///< the newest; null: none
    std::optional<PartialSnapshot> partial;       ///< a newer one that is not complete
    std::optional<raft::LogPosition> void_after;  ///< the reset that is to be written first
    std::vector<std::string> report;              ///< what an operator should know, a sentence each
    std::vector<std::string> damages;             ///< those of it that tell of damage
};

/// Opens a directory: lock, read, check, and only then repair. What it refuses it leaves as it is,
/// save for files that were never finished. What is damaged it gives up, where it can be told what
/// had been promised; no damaged file is changed, but those of which nothing is needed go in time.
template <class Files>
class WalOpener {
public:
    /// @param claimed  whose directory it must be, or is to become; nothing: nobody asks
    /// @param seed     what a new one begins with, if not with nothing
    WalOpener(Files files, const WalOptions& options, const std::optional<raft::Identity>& claimed,
              const std::optional<raft::Seed>& seed = no_seed)
        : files_(std::move(files)), options_(options), claimed_(claimed), seed_(seed) {}

    raft::Result<OpenedWal<Files>> run() {
        if (auto result = take_directory(); !result) return result.error();
        if (auto result = read_names(); !result) return result.error();
        if (auto result = check_claim(); !result) return result.error();
        if (auto result = remove_unfinished(); !result) return result.error();
        if (auto result = load_snapshot(); !result) return result.error();
        auto result = segments_.empty() ? create_log() : read_log();
        if (result && !segments_.empty()) result = repair(files_, *opened_.directory, opened_.log);
        if (result && is_to_be_seeded()) result = plant();
        if (result && claimed_ && !stored_) {
            stored_ = StoredIdentity{*claimed_, opened_.log.log_id};
            result = save_identity(files_, *opened_.directory, *stored_);
        }
        if (!result) return result.error();
        if (stored_) opened_.identity = std::move(stored_->identity);
        if (auto partial = read_partial(); !partial) return partial.error();
        if (!opened_.log.to_be_mended) remove_other_snapshots();
        return std::move(opened_);
    }

    /// Reads and checks what run() would, takes no lock and changes nothing: the directory may be
    /// in use, and what is being written there then looks torn. Errors: as those of run(), and
    /// no_such_file_or_directory; where there is no log at all, StorageErrc::unfounded.
    raft::Result<OpenedWal<Files>> inspect() {
        auto handle = files_.open(options_.directory, OpenMode::directory);
        if (!handle) return handle.error();
        opened_.directory = std::make_shared<const HeldDirectory<Files>>(
            HeldDirectory<Files>{options_.directory, {}, std::move(*handle)});
        if (auto result = read_names(); !result) return result.error();
        if (has_identity_) {
            auto stored = load_identity(files_, options_.directory);
            if (!stored) return stored.error();
            stored_ = std::move(*stored);
            opened_.identity = stored_->identity;
        }
        if (segments_.empty()) {
            return storage_failure(StorageErrc::unfounded,
                                   options_.directory + " holds no log of a node");
        }
        if (auto result = load_snapshot(); !result) return result.error();
        if (auto result = read_log(); !result) return result.error();
        return std::move(opened_);
    }

private:
    static inline const std::optional<raft::Seed> no_seed{};
    raft::Result<void> take_directory() {
        const std::string& path = options_.directory;
        if (claimed_ && claimed_->founding.empty()) {
            const auto names = files_.list(path);
            const bool missing =
                !names && names.error().code == std::errc::no_such_file_or_directory;
            if (missing) return unfounded();
        }
        if (auto result = files_.create_directories(path); !result) return result;
        auto lock = files_.lock(path);
        if (!lock) return lock.error();
        auto handle = files_.open(path, OpenMode::directory);
        if (!handle) return handle.error();
        opened_.directory = std::make_shared<const HeldDirectory<Files>>(
            HeldDirectory<Files>{path, std::move(*lock), std::move(*handle)});
        return {};
    }

    raft::Result<void> read_names() {
        const auto names = files_.list(options_.directory);
        if (!names) return names.error();
        for (const std::string& name : *names) {
            if (name == incoming_name || name == marks_name) {
                has_partial_ = true;
            } else if (is_unfinished(name)) {
                unfinished_.push_back(name);
            } else if (const auto number = segment_number(name)) {
                segments_.push_back(*number);
            } else if (const auto position = snapshot_position(name)) {
                snapshots_.push_back(*position);
            } else if (name == identity_name) {
                has_identity_ = true;
            } else if (name.ends_with(segment_suffix) || name.ends_with(snapshot_suffix)) {
                opened_.report.push_back("left alone " + options_.directory + "/" + name +
                                         ", which is not the name of a file of this log");
            }
        }
        std::ranges::sort(segments_);
        std::ranges::sort(snapshots_);
        return {};
    }
    /// Other temporary files are somebody else's.
    static bool is_unfinished(std::string_view name) {
        if (!name.ends_with(temporary_suffix)) return false;
        if (name == saving_name) return true;
        if (name.ends_with(spare_suffix)) {
            return segment_number(name.substr(0, name.size() - spare_suffix.size())).has_value();
        }
        name.remove_suffix(temporary_suffix.size());
        return name == identity_name || segment_number(name);
    }
    raft::Result<void> remove_unfinished() {
        for (const std::string& name : unfinished_) {
            auto result = files_.remove(options_.directory + "/" + name);
            if (!result) return result;
        }
        return {};
    }

    // ---- whose directory it is ----

    /// Before anything is changed.
    raft::Result<void> check_claim() {
        if (!claimed_) return {};
        if (!has_identity_) {
            // One that is to begin with a snapshot gets that first: see plant().
            if (snapshots_.empty() || seed_) return {};
            return without_identity();
        }
        auto stored = load_identity(files_, options_.directory);
        if (!stored) return stored.error();
        stored_ = std::move(*stored);
        if (is_of(stored_->identity, *claimed_)) return {};
        return storage_failure(StorageErrc::foreign, identity_path(options_.directory) + " says " +
                                                         describe(stored_->identity) +
                                                         ", and this is a start of " +
                                                         describe(*claimed_));
    }
    raft::Result<void> check_log_id(const ScannedLog<Files>& log) const {
        if (!claimed_) return {};
        // Before the first batch nobody can have promised anything.
        if (!stored_) return log.used.empty() ? check_founding() : without_identity();
        if (stored_->log_id == log.log_id) return {};
        return storage_failure(
            StorageErrc::foreign,
            identity_path(options_.directory) + " names another log than the one that is here");
    }
    /// Whether the directory is new, and is to begin with a state.
    bool is_to_be_seeded() const { return seed_ && claimed_ && !stored_; }
    /// Puts the state that the cluster begins with in the place of whatever a start that was cut
    /// off has left of one. Only then comes the identity, without which nothing of it counts.
    raft::Result<void> plant() {
        for (const raft::LogPosition position : snapshots_) {
            auto result = files_.remove(snapshot_path(options_.directory, position));
            if (!result) return result;
        }
        snapshots_.clear();
        SnapshotLane<Files> lane(files_, opened_.directory, options_.pieces, std::nullopt);
        auto kept = lane.save(seed_->last, seed_->membership, seed_->produce);
        lane.close();
        if (!kept) return kept.error();
        opened_.snapshot = std::move(*kept);
        opened_.recovered = {};
        opened_.recovered.snapshot = opened_.snapshot->meta;
        return fit_to_snapshot();
    }
    raft::Failure unfounded() const {
        return storage_failure(StorageErrc::unfounded,
                               options_.directory + " is new, and nobody says which cluster node " +
                                   std::to_string(claimed_->node.value) +
                                   " is to found or to join");
    }
    /// @pre the directory is new
    raft::Result<void> check_founding() const {
        if (!claimed_) return {};
        if (claimed_->origin != 0 && claimed_->founder && !seed_) {
            return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                                 options_.directory + " is new, and the state that " +
                                     describe(*claimed_) + " begins with is not there"};
        }
        if (is_sound(*claimed_)) return {};
        if (claimed_->founding.empty()) return unfounded();
        return raft::Failure{
            std::make_error_code(std::errc::invalid_argument),
            options_.directory + " is new, and cannot become that of " + describe(*claimed_)};
    }
    raft::Failure without_identity() const {
        return storage_failure(StorageErrc::corrupted,
                               identity_path(options_.directory) +
                                   " is missing, although there is a log or a snapshot" +
                                   begin_anew);
    }

    // ---- snapshots ----

    /// The newest that is whole: the log that it stands for may be gone.
    raft::Result<void> load_snapshot() {
        for (auto position = snapshots_.rbegin(); position != snapshots_.rend(); ++position) {
            auto kept = load_whole_snapshot(*position);
            const auto is_damaged = [&] {
                return !kept && kept.error().code == StorageErrc::corrupted;
            };
            if (is_damaged()) kept = load_whole_snapshot(*position);  // or a read went wrong
            if (kept) {
                opened_.snapshot = std::move(*kept);
                opened_.recovered.snapshot = opened_.snapshot->meta;
                return {};
            }
            if (!is_damaged()) return kept.error();
            note_damage(kept.error().what);
            damaged_.push_back(*position);
        }
        return {};
    }
    raft::Result<KeptPointer<Files>> load_whole_snapshot(raft::LogPosition position) const {
        auto kept = wal::load_snapshot(files_, options_.directory, position);
        if (!kept) return kept;
        const auto result = verify_snapshot(files_, *kept, options_.pieces.snapshot_read_bytes);
        if (!result) return result.error();
        return kept;
    }
    void note_damage(const std::string& what) {
        opened_.report.push_back(what);
        opened_.damages.push_back(what);
    }
    /// What is here of one that a leader was sending. It is of use if it is newer than what there
    /// is; one that cannot be read is sent again.
    raft::Result<void> read_partial() {
        if (!has_partial_) return {};
        auto partial = PartialReader<Files>(files_, options_.pieces.snapshot_read_bytes)
                           .read(options_.directory);
        if (!partial || partial->meta.last.index <= opened_.recovered.snapshot.last.index) {
            return remove_partial(files_, *opened_.directory);
        }
        opened_.recovered.partial = partial->meta;
        opened_.recovered.partial_bytes = partial->size;
        opened_.partial = std::move(partial);
        return {};
    }

    /// Nobody reads them any more, so one that stays does no harm; a damaged one that is newer is
    /// of no use either. @pre the name of the one that is kept is durable, and so is the log
    void remove_other_snapshots() {
        for (const raft::LogPosition position : snapshots_) {
            if (opened_.snapshot == nullptr || position == opened_.snapshot->meta.last) continue;
            const auto result = files_.remove(snapshot_path(options_.directory, position));
            if (!result) opened_.report.push_back("left alone: " + result.error().message());
        }
    }

    // ---- the log ----

    raft::Result<void> create_log() {
        if (!snapshots_.empty() || stored_) {
            // The first segment is made before anything else, so it has been there.
            return storage_failure(StorageErrc::corrupted,
                                   options_.directory + ": the log is missing" + begin_anew);
        }
        if (auto result = check_founding(); !result) return result;
        const SegmentId id{files_.unique_id(), 1};
        const WalPieces& pieces = options_.pieces;
        auto segment = make_segment(files_, opened_.directory, id,
                                    std::min(options_.segment_bytes, pieces.first_segment_bytes),
                                    pieces.fill_bytes);
        if (!segment) return segment.error();
        opened_.log.log_id = id.log_id;
        opened_.log.unused.push_back(std::move(*segment));
        return {};
    }

    /// Entries are of no use without the state that they continue. A snapshot may also have been
    /// installed right before the node stopped, and the log not have come so far yet.
    void give_up_without_snapshot() {
        LogState& state = opened_.log.state;
        for (const raft::LogPosition position : damaged_) {
            const raft::LogPosition before = state.promised;
            state.promise(position);
            if (state.promised != before) opened_.log.to_be_mended = true;
        }
        const raft::LogPosition reached = opened_.recovered.snapshot.last;
        if (reached.index >= state.base.index) return;
        if (opened_.log.damages.empty()) {
            note_damage("the snapshot that covers the released log up to entry " +
                        std::to_string(state.base.index.value) + " is damaged or missing");
        }
        state.base = reached;
        state.lose_after(reached);
        opened_.log.to_be_mended = true;
    }

    raft::Result<void> read_log() {
        LogScanner<Files> scanner(
            files_, options_.directory,
            stored_ ? std::optional(stored_->log_id) : std::optional<std::uint64_t>());
        auto log = scanner.run(segments_);
        if (!log) return log.error();
        opened_.log = std::move(*log);
        if (auto result = check_log_id(opened_.log); !result) return result;
        const LiveRanges live = opened_.log.state.live;
        cut_lost(opened_.log, scanner);
        give_up_without_snapshot();
        raft::Recovered& recovered = opened_.recovered;
        assemble(opened_.log, recovered, opened_.index, opened_.account);
        const std::vector<std::string>& damages = opened_.log.damages;
        opened_.damages.insert(opened_.damages.end(), damages.begin(), damages.end());
        for (std::string& note : describe_repair(opened_.log)) {
            opened_.report.push_back(std::move(note));
        }
        const raft::Index reached = recovered.last;
        if (auto result = fit_to_snapshot(); !result) return result;
        // A log that has parted from the snapshot was not what this node had promised.
        const bool has_parted = recovered.last < reached;
        tell_detached(has_parted ? LiveRanges{} : live);
        return {};
    }
    /// Whatever made the log shorter than it was: damage in it, or that of its snapshot.
    /// @param live  before that, as far as it may have been what was promised
    void tell_detached(const LiveRanges& live) {
        raft::Recovered& recovered = opened_.recovered;
        if (recovered.promised.index.value == 0) return;
        opened_.detached = DetachedEntries<Files>(
            choose_detached(opened_.log, live, recovered.last), recovered.promised);
        recovered.detached = opened_.detached.describe();
    }
    raft::Result<void> fit_to_snapshot() {
        raft::Recovered& recovered = opened_.recovered;
        const bool was_empty = recovered.last.value == 0;
        const auto is_void = raft::fit_to_snapshot(recovered, StorageErrc::corrupted);
        if (!is_void) {
            return raft::Failure{is_void.error().code,
                                 options_.directory + ": " + is_void.error().what};
        }
        if (*is_void) {
            if (!was_empty) {
                opened_.report.push_back("gave up the log up to entry " +
                                         std::to_string(opened_.log.state.last.index.value) +
                                         ", in whose place " + opened_.snapshot->path +
                                         " was received");
            }
            LogState after = opened_.log.state;
            after.reset(recovered.base);
            recovered.promised = after.promised;
            if (opened_.log.to_be_mended) {
                opened_.log.state = std::move(after);
            } else {
                opened_.void_after = recovered.base;
            }
            opened_.index.clear();
            opened_.account.restart(recovered.base);
        }
        return {};
    }

    Files files_;
    const WalOptions& options_;
    const std::optional<raft::Identity>& claimed_;
    const std::optional<raft::Seed>& seed_;
    std::optional<StoredIdentity> stored_;
    bool has_identity_ = false;
    bool has_partial_ = false;  ///< a snapshot that is not complete, or marks of one
    std::vector<std::string> unfinished_;
    std::vector<std::uint64_t> segments_;
    std::vector<raft::LogPosition> snapshots_;
    std::vector<raft::LogPosition> damaged_;  ///< of these
    OpenedWal<Files> opened_;
};

}  // namespace rsm::detail::wal

#endif
