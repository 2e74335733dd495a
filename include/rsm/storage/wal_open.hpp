// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_STORAGE_WAL_OPEN_HPP
#define RSM_STORAGE_WAL_OPEN_HPP

#include <raft/stable.hpp>
#include <raft/types.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/file.hpp>
#include <rsm/storage/log_account.hpp>
#include <rsm/storage/wal_format.hpp>
#include <rsm/storage/wal_recovery.hpp>
#include <rsm/storage/wal_segment.hpp>
#include <rsm/storage/wal_snapshots.hpp>
#include <rsm/storage/wal_state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm {

/// Where a write-ahead log lies and how its files are cut.
struct WalOptions {
    /// Created where it is missing. It belongs to one storage at a time.
    std::string directory;
    /// The size of a segment, in bytes; 4 KiB to 1 GiB. Released entries give their room back
    /// segment by segment, save for up to four segments, which are used again. Each segment of the
    /// log takes a file descriptor, the last one two. A single write that is larger makes its
    /// segment larger.
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    /// How much of what waits is written and synced together at most, in bytes; at least one
    /// write is. From 1 byte to 1 GiB.
    std::uint64_t batch_bytes = std::uint64_t{8} << 20;
};

namespace detail::wal {

/// The first segment of a new log, which is made while its owner waits.
inline constexpr std::uint64_t first_segment_bytes = std::uint64_t{1} << 20;

/// A directory that has been read and repaired.
template <class Files>
struct OpenedWal {
    std::shared_ptr<const typename Files::File> lock;
    ScannedLog<Files> log;
    raft::Recovered recovered;
    EntryIndex<Segment<Files>> index;
    LogAccount account;
    KeptPointer<Files> snapshot;  ///< the newest; null: none
    std::optional<raft::LogPosition> void_after;  ///< the reset that is to be written first
};

/// Opens a directory: lock, read, check, and only then repair. What it refuses it leaves as it is,
/// save for files that were never finished.
template <class Files>
class WalOpener {
public:
    WalOpener(Files files, const WalOptions& options)
        : files_(std::move(files)), options_(options) {}

    raft::Result<OpenedWal<Files>> run() {
        if (auto result = lock(); !result) return result.error();
        if (auto result = read_names(); !result) return result.error();
        if (auto result = load_snapshot(); !result) return result.error();
        auto result = segments_.empty() ? create_log() : read_log();
        if (result) result = remove_older_snapshots();
        if (!result) return result.error();
        return std::move(opened_);
    }

private:
    raft::Result<void> lock() {
        if (auto result = files_.create_directories(options_.directory); !result) return result;
        auto lock = files_.lock(options_.directory);
        if (!lock) return lock.error();
        opened_.lock = std::make_shared<const typename Files::File>(std::move(*lock));
        return {};
    }

    raft::Result<void> read_names() {
        const auto names = files_.list(options_.directory);
        if (!names) return names.error();
        for (const std::string& name : *names) {
            if (name.ends_with(temporary_suffix)) {
                auto result = files_.remove(options_.directory + "/" + name);
                if (!result) return result;
            } else if (const auto number = segment_number(name)) {
                segments_.push_back(*number);
            } else if (const auto position = snapshot_position(name)) {
                snapshots_.push_back(*position);
            }
        }
        std::ranges::sort(segments_);
        std::ranges::sort(snapshots_);
        return {};
    }

    /// The newest snapshot must be whole, because the log it stands for may be gone.
    raft::Result<void> load_snapshot() {
        if (snapshots_.empty()) return {};
        auto kept = wal::load_snapshot(files_, options_.directory, snapshots_.back());
        if (!kept) return kept.error();
        opened_.snapshot = std::move(*kept);
        opened_.recovered.snapshot = opened_.snapshot->meta;
        return verify_snapshot(files_, opened_.snapshot);
    }
    /// Nobody reads them any more. @pre the newest one's name is durable
    raft::Result<void> remove_older_snapshots() {
        for (const raft::LogPosition position : snapshots_) {
            if (position == snapshots_.back()) break;
            auto result = files_.remove(snapshot_path(options_.directory, position));
            if (!result) return result;
        }
        return {};
    }

    raft::Result<void> create_log() {
        if (!snapshots_.empty()) {
            // The first segment is made before anything else, so it has been there.
            return storage_failure(StorageErrc::corrupted,
                                   options_.directory + ": the log is missing");
        }
        const SegmentId id{files_.unique_id(), 1};
        SegmentDraft<Files> draft(files_, options_.directory, id,
                                  std::min(options_.segment_bytes, first_segment_bytes));
        for (;;) {
            const auto done = draft.step();
            if (!done) return done.error();
            if (*done) break;
        }
        opened_.log.log_id = id.log_id;
        opened_.log.unused.push_back(draft.take());
        return {};
    }

    raft::Result<void> read_log() {
        LogScanner<Files> scanner(files_, options_.directory);
        auto log = scanner.run(segments_);
        if (!log) return log.error();
        opened_.log = std::move(*log);
        raft::Recovered& recovered = opened_.recovered;
        if (auto result = assemble(opened_.log, scanner, recovered, opened_.index,
                                   opened_.account);
            !result) {
            return result;
        }
        const auto is_void = fit_to_snapshot(recovered);
        if (!is_void) {
            return raft::Failure{is_void.error().code,
                                 options_.directory + ": " + is_void.error().what};
        }
        if (*is_void) {
            opened_.void_after = recovered.base;
            opened_.index.clear();
            opened_.account.restart(recovered.base);
        }
        return repair(files_, options_.directory, opened_.log);
    }

    Files files_;
    const WalOptions& options_;
    std::vector<std::uint64_t> segments_;
    std::vector<raft::LogPosition> snapshots_;
    OpenedWal<Files> opened_;
};

}  // namespace detail::wal
}  // namespace rsm

#endif
