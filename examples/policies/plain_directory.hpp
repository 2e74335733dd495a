// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the files of a PlainStorage have in common: their directory, their checksum, and the way in
// which a file gets its name.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_DIRECTORY_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_DIRECTORY_HPP

#include <raft/base/result.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace policies {

using Files = rsm::PosixFiles;
using File = Files::File;

/// XXH3 with 64 bits of bytes that come in pieces. With seed 0 it is SnapshotMeta::checksum, which
/// all storages of a cluster compute alike.
class Checksum {
public:
    explicit Checksum(std::uint64_t seed = 0) {
        XXH3_INITSTATE(&state_);
        XXH3_64bits_reset_withSeed(&state_, seed);
    }
    void update(std::span<const std::byte> bytes) {
        XXH3_64bits_update(&state_, bytes.data(), bytes.size());
    }
    std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

private:
    XXH3_state_t state_;
};

/// Names the file and the offset, as the contract of recover() asks for.
inline raft::Failure damage(const std::string& path, std::uint64_t offset,
                            const std::string& what) {
    return {make_error_code(rsm::StorageErrc::corrupted),
            path + " at offset " + std::to_string(offset) + ": " + what};
}

/// A directory in the hands of one storage.
struct Directory {
    std::string path;
    std::optional<File> lock;  ///< given up when the storage is closed
    File handle;               ///< to sync the names in it

    std::string operator/(const std::string& name) const { return path + "/" + name; }

    static raft::Result<Directory> take(const std::string& path) {
        const Files files;
        if (auto made = files.create_directories(path); !made) return made.error();
        auto lock = files.lock(path);
        if (!lock) return lock.error();
        auto handle = files.open(path, rsm::OpenMode::directory);
        if (!handle) return handle.error();
        return Directory{path, std::move(*lock), std::move(*handle)};
    }

    /// Gives a file, whose bytes are all written, its final name, durably. The order is the point:
    /// a name that leads to bytes which are not on the disk would be worse than none.
    raft::Result<void> publish(const File& file, const std::string& name) const {
        const Files files;
        if (auto synced = files.sync(file); !synced) return synced;
        if (auto renamed = files.rename(file.path(), *this / name); !renamed) return renamed;
        return files.sync_directory(handle);
    }
};

inline raft::Result<void> write_at(const File& file, std::uint64_t offset,
                                   std::span<const std::byte> bytes) {
    return Files{}.write_at(file, offset, std::span(&bytes, 1));
}

/// Does something for a lane, whose jobs must not throw.
template <class Value, class Work>
raft::Result<Value> without_throwing(Work work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return raft::Failure{std::make_error_code(std::errc::not_enough_memory), "plain storage"};
    }
}

}  // namespace policies

#endif
