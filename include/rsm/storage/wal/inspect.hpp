// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Looking into a directory without changing it: what recovery would find there.
#ifndef RSM_STORAGE_WAL_INSPECT_HPP
#define RSM_STORAGE_WAL_INSPECT_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/storage/detail/log_account.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>
#include <rsm/storage/wal/open.hpp>
#include <rsm/storage/wal/read.hpp>
#include <rsm/storage/wal_options.hpp>

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// The files of a disk that nothing is written to.
struct ReadOnlyFiles {
    using File = PosixFiles::File;
    using Writer = CachedWriter<ReadOnlyFiles>;

    raft::Result<std::vector<std::string>> list(const std::string& directory) const {
        return PosixFiles{}.list(directory);
    }
    raft::Result<File> open(const std::string& path, OpenMode mode) const {
        if (mode == OpenMode::create) return refused(path);
        return PosixFiles{}.open(path, mode == OpenMode::read_write ? OpenMode::read : mode);
    }
    raft::Result<std::uint64_t> size(const File& file) const { return PosixFiles{}.size(file); }
    raft::Result<std::size_t> read_at(const File& file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
        return PosixFiles{}.read_at(file, offset, out);
    }

    // What nobody who only looks asks for.
    raft::Result<void> create_directories(const std::string& path) const { return refused(path); }
    raft::Result<File> lock(const std::string& path) const { return refused(path); }
    raft::Result<void> write_at(const File& file, std::uint64_t,
                                std::span<const std::span<const std::byte>>) const {
        return refused(file.path());
    }
    raft::Result<void> preallocate(const File& file, std::uint64_t) const {
        return refused(file.path());
    }
    raft::Result<void> sync(const File& file) const { return refused(file.path()); }
    raft::Result<void> sync_directory(const File& file) const { return refused(file.path()); }
    raft::Result<void> rename(const std::string& from, const std::string&) const {
        return refused(from);
    }
    raft::Result<void> remove(const std::string& path) const { return refused(path); }
    std::uint64_t unique_id() const { return 0; }

private:
    static raft::Failure refused(const std::string& path) {
        return {std::make_error_code(std::errc::read_only_file_system), path};
    }
};

/// A directory as it was found. Its files are held open, so it can be read on.
using Inspected = OpenedWal<ReadOnlyFiles>;

/// Errors: as of WalOpener::inspect().
inline raft::Result<Inspected> inspect(const std::string& directory) {
    const std::optional<raft::Identity> nobody_asks;
    WalOptions options;
    options.directory = directory;
    return WalOpener<ReadOnlyFiles>({}, options, nobody_asks).inspect();
}

/// Whether a storage works on the directory at this moment.
inline bool is_in_use(const std::string& directory) {
    const int descriptor = ::open((directory + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const PosixFiles::File file(descriptor, directory);
    return ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/// Consecutive entries from `first` on: one at least, and more while they take less than max_bytes
/// together. @pre `first` is in (base, last]. Errors: corrupted, with file and offset.
inline raft::Result<std::vector<raft::Entry>> read_entries(const Inspected& found,
                                                           raft::Index first,
                                                           std::uint64_t max_bytes) {
    ReadPlan<ReadOnlyFiles> plan(first, WalPieces{}.read_gap_bytes);
    std::uint64_t bytes = 0;
    for (raft::Index index = first; index <= found.recovered.last; ++index) {
        const std::uint32_t size = found.account.size_of(index);
        bytes += size;
        if (index != first && bytes > max_bytes) break;
        plan.add(found.index.locate(index), size);
    }
    return plan.read(ReadOnlyFiles{});
}

}  // namespace rsm::detail::wal

#endif
