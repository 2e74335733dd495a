// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// WalStorage: a node's log, hard state and snapshots in a directory of files.
#ifndef RSM_STORAGE_WAL_HPP
#define RSM_STORAGE_WAL_HPP

#include <raft/base/result.hpp>
#include <raft/driver/concepts.hpp>
#include <rsm/plan.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/disk/lane.hpp>
#include <rsm/storage/wal/identity.hpp>
#include <rsm/storage/wal/lanes.hpp>
#include <rsm/storage/wal/running.hpp>
#include <rsm/storage/wal_options.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace rsm::inline v0 {

/// Keeps a node's persistent state in a directory: a write-ahead log of checksummed segments and
/// a file for each snapshot (docs/format.md). A plan (rsm/plan.hpp); one storage at a time works on
/// a directory. It keeps whose state it is, where it is told (raft::ClaimedStorage).
///
/// Guarantees. A write that was reported as done survives any crash. A write is found after a
/// crash wholly or not at all, and never without the ones before it. Damage to data that was
/// synced is reported by recover() or read(), with file and offset, and never taken for the end of
/// the log; the one exception are whole sectors of the last batch that turn into zeros. It relies
/// on a disk that keeps what it has synced, on sectors of at least 512 bytes that are written
/// wholly or not at all, and on writes that do not harm the bytes beside them.
///
/// Group commit. What comes while a sync is under way is written and synced together next.
/// The memory that waits is bounded by what the caller writes before it waits (the engine's
/// windows); the index costs eight bytes for each entry of the log.
///
/// A full disk is noticed when a segment is prepared, well before the log needs it: refuses() says
/// so, it is tried again, and a write for which there is no room waits until there is. So does one
/// that needs a file descriptor, or memory. No write into a segment needs any of these, where the
/// file system overwrites blocks in place.
///
/// Policies: Files is PosixFiles or offers the same members (copyable; the copies share one disk);
/// Lane is ThreadLane or offers post(job), post_after(delay, job) and stop().
template <class Files, class Lane>
class BasicWalStorage {
public:
    using Lanes = detail::wal::Lanes<Lane>;

    explicit BasicWalStorage(std::string directory)
        : BasicWalStorage(WalOptions{.directory = std::move(directory)}) {}
    /// @param make_lanes  called once for each storage that is opened
    explicit BasicWalStorage(
        WalOptions options, Files files = {},
        std::function<Lanes()> make_lanes = [] { return Lanes(); })
        : options_(std::move(options)),
          files_(std::move(files)),
          make_lanes_(std::move(make_lanes)) {}

    /// Whose directory it is: the node that founded a cluster in it, or joined one. Nothing where
    /// nobody has yet. Errors: StorageErrc::corrupted, unsupported_version, the system's own.
    raft::Result<std::optional<raft::Identity>> identity() const {
        auto stored = detail::wal::load_identity(files_, options_.directory);
        if (stored) return std::optional(std::move(stored->identity));
        if (stored.error().code != std::errc::no_such_file_or_directory) return stored.error();
        return std::optional<raft::Identity>();
    }

    detail::wal::RunningWal<Files, Lane> open(boost::asio::any_io_executor executor) const {
        return {std::move(executor), options_, files_, make_lanes_};
    }

private:
    WalOptions options_;
    Files files_;
    std::function<Lanes()> make_lanes_;
};

using WalStorage = BasicWalStorage<PosixFiles, ThreadLane>;

static_assert(StoragePlan<WalStorage> && raft::SeedableStorage<Running<WalStorage>>);

}  // namespace rsm

#endif
