// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The Files policy of the write-ahead log on a simulated disk: the members and the meaning of
// rsm::PosixFiles.
#ifndef RSM_SIM_WORLD_FILES_HPP
#define RSM_SIM_WORLD_FILES_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/detail/names.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// A handle on a disk for one life of the machine: after Disk::crash() its calls fail, and the
/// next life needs a new one. Once the disk has stopped every call fails with EIO and a sentence
/// that begins with "stopped: ".
///
/// The one difference to POSIX: who holds a file open that is then created anew goes on with the
/// old content.
class Files {
public:
    struct File {
        std::shared_ptr<detail::Inode> inode;
        std::string name;
        std::shared_ptr<void> held;  ///< a lock
        const std::string& path() const { return name; }
        void bear(std::string path) { name = std::move(path); }
    };

    explicit Files(std::shared_ptr<Disk> disk) : disk_(std::move(disk)), life_(disk_->life_) {}

    raft::Result<void> create_directories(const std::string& path) const {
        return rsm::detail::create_directories(*this, path);
    }
    raft::Result<bool> create_directory(const std::string& path) const {
        if (dead()) return stopped("create directory", path);
        if (disk_->names_.contains(path)) return failure(ENOTDIR, "create directory", path);
        if (disk_->directories_.contains(path)) return false;
        auto result = carry_out(DiskCall::create_directory, path, [] { return 0; },
                                {detail::NameChange::Kind::create_directory, path});
        if (!result) return result.error();
        return true;
    }
    raft::Result<File> lock(const std::string& directory) const {
        const std::string path = directory + "/lock";
        auto file = open_or_create(path);
        if (!file) return file;
        std::weak_ptr<void>& holder = disk_->locks_[directory];
        if (!holder.expired()) return rsm::detail::storage_failure(StorageErrc::locked, path);
        file->held = std::make_shared<char>();
        holder = file->held;
        return file;
    }
    raft::Result<std::vector<std::string>> list(const std::string& directory) const {
        if (auto result = look(DiskCall::list, directory); !result) return result.error();
        if (!disk_->directories_.contains(directory)) return failure(ENOENT, "list", directory);
        std::vector<std::string> names;
        for (const auto& file : disk_->names_) {
            if (detail::directory_of(file.first) == directory) {
                names.push_back(file.first.substr(directory.size() + 1));
            }
        }
        return names;
    }
    raft::Result<File> open(const std::string& path, OpenMode mode) const {
        if (mode == OpenMode::create) return create(path);
        if (auto result = look(DiskCall::open, path); !result) return result.error();
        if (const int error = disk_->refusal(false)) return failure(error, "open", path);
        if (mode == OpenMode::directory && disk_->directories_.contains(path)) {
            return File{nullptr, path, nullptr};
        }
        const auto found = disk_->names_.find(path);
        if (found == disk_->names_.end()) return failure(ENOENT, "open", path);
        return File{found->second, path, nullptr};
    }
    raft::Result<std::uint64_t> size(const File& file) const {
        if (auto result = look(DiskCall::stat, file.name); !result) return result.error();
        return file.inode->size();
    }
    raft::Result<std::size_t> read_at(const File& file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
        if (auto result = look(DiskCall::read, file.name); !result) return result.error();
        if (!file.inode->is_readable(offset, out.size())) return failure(EIO, "read", file.name);
        return file.inode->read(offset, out);
    }
    raft::Result<void> write_at(const File& file, std::uint64_t offset,
                                std::span<const std::span<const std::byte>> parts) const {
        if (dead()) return stopped("write", file.name);
        std::uint64_t size = 0;
        for (const auto part : parts) size += part.size();
        const auto mishap = disk_->begin({DiskCall::write, file.name, offset, size});
        if (mishap && !is_silent(mishap->fault)) {
            file.inode->write(offset, parts, fitting(file, offset, size),
                              [this] { return disk_->coin(); });
            if (disk_->stopped_) return stopped("write", file.name);
            disk_->hits_.push_back({.fault = DiskFault::write_error,
                                    .path = file.name,
                                    .offset = offset,
                                    .size = size});
            return failure(mishap->error, "write", file.name);
        }
        const std::uint64_t room = fitting(file, offset, size);
        file.inode->write(offset, parts, room, [] { return true; });
        disk_->wrote(*file.inode, file.name, offset);
        if (mishap) {
            disk_->lose(
                *file.inode,
                {.fault = mishap->fault, .path = file.name, .offset = offset, .size = room});
        }
        if (room < size) return failure(ENOSPC, "write", file.name);
        return {};
    }
    using Writer = rsm::detail::CachedWriter<Files>;
    raft::Result<void> preallocate(const File& file, std::uint64_t size) const {
        if (dead()) return stopped("allocate", file.name);
        if (auto result = happens(DiskCall::allocate, file.name); !result) return result;
        const bool more = size > file.inode->size();
        if (const int error = more ? disk_->refusal(true) : 0) {
            return failure(error, "allocate", file.name);
        }
        if (fitting(file, 0, size) < size) return failure(ENOSPC, "allocate", file.name);
        file.inode->grow(size);
        return {};
    }
    raft::Result<void> sync(const File& file) const {
        if (dead()) return stopped("sync", file.name);
        const auto mishap = disk_->begin({DiskCall::sync, file.name});
        // What of it a stop leaves is the crash's choice, as for everything unsynced.
        if (disk_->stopped_) return stopped("sync", file.name);
        if (mishap) {
            disk_->fail_sync(file.inode, file.name);
            return failure(mishap->error, "sync", file.name);
        }
        disk_->sync(file.inode);
        return {};
    }
    raft::Result<void> rename(const std::string& from, const std::string& to) const {
        if (dead()) return stopped("rename", from);
        const auto found = disk_->names_.find(from);
        if (found == disk_->names_.end()) return failure(ENOENT, "rename", from);
        return carry_out(DiskCall::rename, from, [this] { return disk_->refusal(true); },
                         {detail::NameChange::Kind::rename, from, to, found->second});
    }
    raft::Result<void> remove(const std::string& path) const {
        if (dead()) return stopped("remove", path);
        const auto found = disk_->names_.find(path);
        if (found == disk_->names_.end()) return {};
        return carry_out(DiskCall::remove, path, [] { return 0; },
                         {detail::NameChange::Kind::remove, path, {}, found->second});
    }
    raft::Result<void> sync_directory(const File& directory) const {
        return sync_directory(directory.name);
    }
    raft::Result<void> sync_directory(const std::string& path) const {
        if (dead()) return stopped("sync", path);
        if (!disk_->directories_.contains(path)) return failure(ENOENT, "open", path);
        const auto mishap = disk_->begin({DiskCall::sync_directory, disk_->newest_change(path)});
        if (disk_->stopped_) return stopped("sync", path);
        ++disk_->syncs_;
        disk_->settle_names(path, [&] { return !mishap || disk_->coin(); });
        if (!mishap) return {};
        disk_->hits_.push_back({.fault = DiskFault::sync_error, .path = path});
        return failure(mishap->error, "sync", path);
    }
    std::uint64_t unique_id() const { return disk_->ids_.next(); }

private:
    bool dead() const { return disk_->stopped_ || disk_->life_ != life_; }
    static raft::Failure failure(int error, const char* call, const std::string& path) {
        return {std::error_code(error, std::system_category()), std::string(call) + " " + path};
    }
    static raft::Failure stopped(const char* call, const std::string& path) {
        return failure(EIO, (std::string("stopped: ") + call).c_str(), path);
    }

    /// Whether a write or sync fails in a way that nobody is told of.
    static bool is_silent(DiskFault fault) {
        return fault == DiskFault::lost_write || fault == DiskFault::misdirected_write;
    }
    static const char* name_of(DiskCall call) {
        return call == DiskCall::create ? "open" : disk_call_names[place_of(call)].data();
    }
    static std::size_t place_of(DiskCall call) { return static_cast<std::size_t>(call); }
    /// A call that changes nothing begins; why it comes to nothing, if so.
    raft::Result<void> look(DiskCall call, const std::string& path) const {
        if (dead()) return stopped(name_of(call), path);
        return happens(call, path);
    }
    raft::Result<void> happens(DiskCall call, const std::string& path) const {
        const auto mishap = disk_->begin({call, path});
        if (disk_->stopped_) return stopped(name_of(call), path);
        if (!mishap) return {};
        disk_->hits_.push_back(
            {.fault = DiskFault::call_error, .path = path, .call = call, .error = mishap->error});
        return failure(mishap->error, name_of(call), path);
    }
    /// Carries out an operation on names. One that is interrupted or fails has happened or not.
    /// @param refusal  gives the error with which it is refused; 0: it is not
    template <class Refusal>
    raft::Result<void> carry_out(DiskCall call, const std::string& path, Refusal refusal,
                                 detail::NameChange change) const {
        auto result = happens(call, path);
        if (!result && disk_->coin()) return result;
        if (const int error = refusal()) return failure(error, name_of(call), path);
        disk_->record(std::move(change));
        return result;
    }
    /// How many of `size` bytes at `offset` there is room for.
    std::uint64_t fitting(const File& file, std::uint64_t offset, std::uint64_t size) const {
        const std::uint64_t allocated = file.inode->allocated();
        const std::uint64_t used = *disk_->usage_;
        const std::uint64_t left = disk_->capacity_ - std::min(disk_->capacity_, used);
        if (detail::Inode::allocation(offset + size) <= allocated + left) return size;
        const std::uint64_t end = (allocated + left) / sector_bytes * sector_bytes - sector_bytes;
        return end <= offset ? 0 : std::min(size, end - offset);
    }
    raft::Result<File> open_or_create(const std::string& path) const {
        return disk_->names_.contains(path) ? open(path, OpenMode::read_write) : create(path);
    }
    raft::Result<File> create(const std::string& path) const {
        if (dead()) return stopped("open", path);
        if (disk_->names_.contains(detail::directory_of(path))) {
            return failure(ENOTDIR, "open", path);
        }
        if (!disk_->directories_.contains(detail::directory_of(path))) {
            return failure(ENOENT, "open", path);
        }
        const auto found = disk_->names_.find(path);
        const auto old = found == disk_->names_.end() ? nullptr : found->second;
        const bool is_full = old == nullptr && *disk_->usage_ + sector_bytes > disk_->capacity_;
        const auto refusal = [&] {
            for (const bool needs_space : {false, true}) {
                if (const int error = disk_->refusal(needs_space)) return error;
            }
            return is_full ? ENOSPC : 0;
        };
        const auto inode = std::make_shared<detail::Inode>(disk_->usage_);
        const auto kind =
            old == nullptr ? detail::NameChange::Kind::create : detail::NameChange::Kind::empty;
        auto result = carry_out(DiskCall::create, path, refusal, {kind, path, {}, inode, old});
        if (!result) return result.error();
        return File{inode, path, nullptr};
    }

    std::shared_ptr<Disk> disk_;
    std::uint64_t life_;
};

}  // namespace rsm::sim

#endif
