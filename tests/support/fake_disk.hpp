// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Files in memory whose content, names and errors a test sets by hand, durable or not, which the
// simulator's disk keeps to itself; and the log on them.
#ifndef RSM_TESTS_SUPPORT_FAKE_DISK_HPP
#define RSM_TESTS_SUPPORT_FAKE_DISK_HPP

#include "inline_lane.hpp"

#include <raft/base/result.hpp>
#include <rsm/storage/wal.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm_test {

/// A disk in memory that forgets what was not synced. From the given operation on every call
/// fails, as if the machine had stopped there; crash() then decides what was on the disk.
class FakeDisk {
public:
    struct Inode {
        std::string now;
        std::string durable;
        /// From where on a sector is not given back; npos: all are.
        std::size_t bad_sector = std::string::npos;

        bool is_readable(std::uint64_t offset, std::size_t size) const {
            return bad_sector >= offset + size || bad_sector + 512 <= offset;
        }
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;

    Names names;
    Names durable_names;
    std::uint64_t operations = 0;
    std::uint64_t stop_at = UINT64_MAX;
    std::uint64_t syncs = 0;
    bool locked = false;
    /// The error with which files are neither made nor allocated nor, where it is want of space,
    /// renamed; 0: they are.
    int refuses = 0;
    std::uint64_t refusals = 0;
    int starved_reads = 0;  ///< so many reads find no memory

    /// Whether the operation that begins takes place.
    bool step() { return ++operations < stop_at; }
    bool stopped() const { return operations >= stop_at; }

    /// Ends the crash: of everything unsynced each sector is old or new, as `seed` decides.
    void crash(std::uint64_t seed) {
        std::mt19937_64 random(seed);
        if (seed % 2 == 0) names = durable_names;
        for (auto& [name, inode] : names) {
            std::string mixed = inode->durable;
            if (seed % 3 != 0) mixed.resize(inode->now.size());
            for (std::size_t begin = 0; begin < mixed.size(); begin += 512) {
                if (random() % 2 == 0 || begin >= inode->now.size()) continue;
                const std::size_t count =
                    std::min({std::size_t{512}, mixed.size() - begin, inode->now.size() - begin});
                mixed.replace(begin, count, inode->now, begin, count);
            }
            inode->now = inode->durable = mixed;
        }
        durable_names = names;
        locked = false;
        stop_at = UINT64_MAX;
    }
};

/// The Files policy over a FakeDisk.
struct FakeFiles {
    struct File {
        std::shared_ptr<FakeDisk::Inode> inode;
        std::string path;
        std::shared_ptr<void> held;
        void bear(std::string name) { path = std::move(name); }
    };
    std::shared_ptr<FakeDisk> disk = std::make_shared<FakeDisk>();

    static raft::Failure failed(const std::string& path) {
        return {std::make_error_code(std::errc::io_error), "stopped " + path};
    }
    raft::Result<void> create_directories(const std::string&) const { return {}; }
    raft::Result<File> lock(const std::string& path) const {
        if (disk->locked) return rsm::detail::storage_failure(rsm::StorageErrc::locked, path);
        disk->locked = true;
        return File{nullptr, path, std::shared_ptr<void>(disk.get(), [held = disk](void*) {
                        held->locked = false;
                    })};
    }
    raft::Result<std::vector<std::string>> list(const std::string& directory) const {
        std::vector<std::string> result;
        for (const auto& [name, inode] : disk->names) {
            result.push_back(name.substr(directory.size() + 1));
        }
        return result;
    }
    raft::Result<File> open(const std::string& path, rsm::OpenMode mode) const {
        if (mode == rsm::OpenMode::directory) return File{nullptr, path, nullptr};
        if (mode == rsm::OpenMode::create) {
            if (!disk->step()) return failed(path);
            if (auto made = allocated(path); !made) return made.error();
            disk->names[path] = std::make_shared<FakeDisk::Inode>();
        }
        const auto found = disk->names.find(path);
        if (found == disk->names.end()) {
            return raft::Failure{std::make_error_code(std::errc::no_such_file_or_directory), path};
        }
        return File{found->second, path, nullptr};
    }
    raft::Result<std::uint64_t> size(const File& file) const { return file.inode->now.size(); }
    raft::Result<std::size_t> read_at(const File& file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
        if (disk->starved_reads > 0) {
            --disk->starved_reads;
            throw std::bad_alloc();
        }
        const std::string& now = file.inode->now;
        if (offset >= now.size()) return std::size_t{0};
        if (file.inode->bad_sector < now.size() && !file.inode->is_readable(offset, out.size())) {
            return raft::Failure{std::error_code(EIO, std::system_category()), "read " + file.path};
        }
        const std::size_t count = std::min<std::size_t>(out.size(), now.size() - offset);
        std::memcpy(out.data(), now.data() + offset, count);
        return count;
    }
    raft::Result<void> write_at(const File& file, std::uint64_t offset,
                                std::span<const std::span<const std::byte>> parts) const {
        // The write at which the machine stops is under way: it may have reached the disk.
        const bool stopped_before = disk->stopped();
        const bool goes_on = disk->step();
        if (stopped_before) return failed(file.path);
        std::string& now = file.inode->now;
        for (const auto part : parts) {
            if (!file.inode->is_readable(offset, part.size())) {
                file.inode->bad_sector = std::string::npos;
            }
            if (now.size() < offset + part.size()) now.resize(offset + part.size());
            std::memcpy(now.data() + offset, part.data(), part.size());
            offset += part.size();
        }
        if (!goes_on) return failed(file.path);
        return {};
    }
    using Writer = rsm::detail::CachedWriter<FakeFiles>;
    raft::Result<void> preallocate(const File& file, std::uint64_t) const {
        return allocated(file.path);
    }
    raft::Result<void> allocated(const std::string& path) const {
        if (disk->refuses == 0) return {};
        ++disk->refusals;
        return raft::Failure{std::error_code(disk->refuses, std::system_category()),
                             "open " + path};
    }
    raft::Result<void> sync(const File& file) const {
        if (!disk->step()) return failed(file.path);
        ++disk->syncs;
        file.inode->durable = file.inode->now;
        return {};
    }
    raft::Result<void> rename(const std::string& from, const std::string& to) const {
        if (!disk->step()) return failed(from);
        if (disk->refuses == ENOSPC || disk->refuses == EDQUOT) {
            if (auto allowed = allocated(from); !allowed) return allowed;
        }
        auto node = disk->names.extract(from);
        disk->names[to] = node.mapped();
        return {};
    }
    raft::Result<void> remove(const std::string& path) const {
        if (!disk->step()) return failed(path);
        disk->names.erase(path);
        return {};
    }
    raft::Result<void> sync_directory(const File& directory) const {
        if (!disk->step()) return failed(directory.path);
        disk->durable_names = disk->names;
        return {};
    }
    std::uint64_t unique_id() const { return 0x1122334455667788ULL; }
};

using FakeWal = rsm::BasicWalStorage<FakeFiles, InlineLane>;

inline const std::string first_segment = "00000000000000000001.wal";

inline rsm::WalOptions small_segments() { return {.directory = "d", .segment_bytes = 4096}; }
inline FakeWal fake_wal(const FakeFiles& files) { return FakeWal(small_segments(), files); }

}  // namespace rsm_test

#endif
