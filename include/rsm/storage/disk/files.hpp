// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// POSIX files for the write-ahead log, as a policy: every call that reaches a disk is here, so a
// simulator puts its own disk under the same log by offering the same members.
#ifndef RSM_STORAGE_DISK_FILES_HPP
#define RSM_STORAGE_DISK_FILES_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/detail/entropy.hpp>
#include <rsm/storage/errors.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

enum class OpenMode : std::uint8_t {
    read,        ///< an existing file, to be read
    read_write,  ///< an existing file, to be read and written
    create,      ///< a new file; whatever had the name before is emptied
    directory,   ///< an existing directory, to be synced
};

namespace detail {

inline std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// Creates the directory and what is missing above it, each made durable in its parent.
template <class Files>
raft::Result<void> create_directories(const Files& files, const std::string& path) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        const raft::Result<bool> made = files.create_directory(part);
        if (!made) return made.error();
        // One that is there already may have been made just before a crash. A directory that this
        // process may not read is nobody's who made something in it.
        const auto parent = files.open(parent_of(part), OpenMode::directory);
        const bool is_closed = !parent && parent.error().code == std::errc::permission_denied;
        if (*made || !is_closed) {
            if (!parent) return parent.error();
            auto synced = files.sync_directory(*parent);
            // Nobody makes anything on a file system that is only read.
            const bool is_read_only =
                !synced && (synced.error().code == std::errc::invalid_argument ||
                            synced.error().code == std::errc::read_only_file_system);
            if (!synced && (*made || !is_read_only)) return synced;
        }
        if (end == std::string::npos) return {};
    }
}

}  // namespace detail

/// Blocking file calls. Each reports failures with the errno code and a sentence that names the
/// call and the path; none retries a failed sync; EINTR and short transfers are handled here.
///
/// Thread safety: all members may be called by several threads at a time, also on one File.
class PosixFiles {
public:
    /// An open file; its destruction closes it (and gives up a lock taken on it).
    class File {
    public:
        File() = default;
        File(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
        File(File&& other) noexcept
            : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}
        File& operator=(File&& other) noexcept {
            std::swap(descriptor_, other.descriptor_);
            std::swap(path_, other.path_);
            return *this;
        }
        ~File() {
            // Nothing is lost where close() fails: what had to be durable was synced before.
            if (descriptor_ >= 0) ::close(descriptor_);
        }
        int descriptor() const { return descriptor_; }
        const std::string& path() const { return path_; }
        /// Failures name the file so from now on: it was renamed.
        void bear(std::string path) { path_ = std::move(path); }

    private:
        int descriptor_ = -1;
        std::string path_;
    };

    /// Creates the directory and what is missing above it, each made durable in its parent.
    raft::Result<void> create_directories(const std::string& path) const {
        return detail::create_directories(*this, path);
    }
    /// False: it is there. Durable after sync_directory() of its parent.
    raft::Result<bool> create_directory(const std::string& path) const {
        if (::mkdir(path.c_str(), 0777) == 0) return true;
        if (errno != EEXIST) return failure("create directory", path);
        return false;
    }

    /// Takes the directory for this process alone, until the result is destroyed.
    /// Errors: StorageErrc::locked where another holds it.
    raft::Result<File> lock(const std::string& directory) const {
        const std::string path = directory + "/lock";
        const int descriptor = open_retrying(path, O_RDWR | O_CREAT | O_CLOEXEC);
        if (descriptor < 0) return failure("open", path);
        File file(descriptor, path);
        if (retry([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) == 0) return file;
        if (errno != EWOULDBLOCK) return failure("lock", path);
        return detail::storage_failure(StorageErrc::locked, path);
    }

    /// The names of everything in a directory, in no particular order.
    raft::Result<std::vector<std::string>> list(const std::string& directory) const {
        struct Closer {
            void operator()(DIR* stream) const { ::closedir(stream); }
        };
        const std::unique_ptr<DIR, Closer> stream(::opendir(directory.c_str()));
        if (stream == nullptr) return failure("list", directory);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* item = ::readdir(stream.get());
            if (item == nullptr) break;
            const std::string_view name = item->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno != 0) return failure("list", directory);
        return names;
    }

    /// Errors, beside the system's: invalid_argument where it is neither a regular file nor, if
    /// that is asked for, a directory. It never waits, as opening a pipe would.
    raft::Result<File> open(const std::string& path, OpenMode mode) const {
        int flags = O_CLOEXEC | O_NONBLOCK;
        switch (mode) {
            case OpenMode::read: flags |= O_RDONLY; break;
            case OpenMode::read_write: flags |= O_RDWR; break;
            case OpenMode::create: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
            case OpenMode::directory: flags |= O_RDONLY | O_DIRECTORY; break;
        }
        const int descriptor = open_retrying(path, flags);
        if (descriptor < 0) return failure("open", path);
        File file(descriptor, path);
        struct stat status {};
        if (::fstat(descriptor, &status) != 0) return failure("stat", path);
        if (!S_ISREG(status.st_mode) && mode != OpenMode::directory) {
            return raft::Failure{std::make_error_code(std::errc::invalid_argument),
                                 "open " + path + ", which is not a regular file"};
        }
        return file;
    }

    raft::Result<std::uint64_t> size(const File& file) const {
        struct stat status {};
        if (::fstat(file.descriptor(), &status) != 0) return failure("stat", file.path());
        return static_cast<std::uint64_t>(status.st_size);
    }

    /// Fills `out` from `offset` on; fewer bytes than asked for only at the end of the file.
    raft::Result<std::size_t> read_at(const File& file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
        std::size_t done = 0;
        while (done < out.size()) {
            const ssize_t count = ::pread(file.descriptor(), out.data() + done, out.size() - done,
                                          static_cast<off_t>(offset + done));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return failure("read", file.path());
            if (count == 0) break;
            done += static_cast<std::size_t>(count);
        }
        return done;
    }

    /// Writes all parts, one behind the other, from `offset` on. After a failure any part of the
    /// bytes may have been written.
    raft::Result<void> write_at(const File& file, std::uint64_t offset,
                                std::span<const std::span<const std::byte>> parts) const {
        // Well below every system's IOV_MAX, and large enough to make calls rare.
        std::array<iovec, 256> vectors;
        std::size_t next = 0;     // the first part that is not wholly written
        std::size_t skipped = 0;  // how much of it is
        while (next < parts.size()) {
            std::size_t count = 0;
            for (std::size_t i = next; i < parts.size() && count < vectors.size(); ++i) {
                const auto rest = parts[i].subspan(i == next ? skipped : 0);
                vectors[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
            }
            const ssize_t written = ::pwritev(file.descriptor(), vectors.data(),
                                              static_cast<int>(count), static_cast<off_t>(offset));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failure("write", file.path());
            offset += static_cast<std::uint64_t>(written);
            std::size_t left = static_cast<std::size_t>(written) + skipped;
            while (next < parts.size() && left >= parts[next].size()) left -= parts[next++].size();
            skipped = left;
            if (written == 0 && next < parts.size() && !parts[next].empty()) {
                errno = ENOSPC;
                return failure("write", file.path());
            }
        }
        return {};
    }

    /// Writes a file's bytes one behind the other, and past the page cache where the file system
    /// can: a sync then finds nothing to write back, which spares the processor a part of its work
    /// and the write the wait for what else is dirty.
    ///
    /// Past the page cache whole units are written. What of the first one lies before the offset
    /// is written again as it is, what of the last one lies behind the end becomes zeros.
    ///
    /// After a failure any part of the bytes may have been written.
    ///
    /// Memory: one block. Thread safety: none; and nobody else may write to the file meanwhile.
    class Writer {
    public:
        /// What suits the physical sectors of every disk, so that it need not put together old
        /// and new parts of one by itself.
        static constexpr std::size_t whole_pages = 4096;

        /// @param unit  bytes, a divisor of block_bytes; where the disk does not take such small
        ///              ones the file is written through the page cache
        /// @param block_bytes  the most that is written with one call
        Writer(const PosixFiles&, const File& file, std::size_t unit = whole_pages,
               std::size_t block_bytes = std::size_t{256} << 10)
            : unit_(unit), block_bytes_(block_bytes) {
#if defined(O_DIRECT)
            // Not every file system has it; the others are written through the page cache.
            constexpr int flags = O_WRONLY | O_DIRECT | O_CLOEXEC;
            direct_ = File(open_retrying(file.path(), flags), file.path());
            if (is_direct() && !same_file(direct_, file)) direct_ = File();
            if (is_direct()) block_.reset(new (alignment) std::byte[block_bytes_]);
#else
            static_cast<void>(file);
#endif
        }
        /// As write_at(). `file` is the one of the constructor.
        raft::Result<void> write(const File& file, std::uint64_t offset,
                                 std::span<const std::span<const std::byte>> parts) {
            if (!is_direct()) return PosixFiles{}.write_at(file, offset, parts);
            if (auto result = go_to(file, offset); !result) return result;
            for (auto part : parts) {
                while (!part.empty()) {
                    const std::size_t count = std::min(part.size(), block_bytes_ - used_);
                    std::memcpy(block_.get() + used_, part.data(), count);
                    used_ += count;
                    part = part.subspan(count);
                    if (used_ < block_bytes_) continue;
                    if (auto result = put(file, used_); !result) return result;
                }
            }
            const std::size_t padding = (unit_ - used_ % unit_) % unit_;
            std::fill_n(block_.get() + used_, padding, std::byte{0});
            return put(file, used_ + padding);
        }

    private:
        static constexpr std::align_val_t alignment{4096};  // of memory, for direct transfers
        struct Delete {
            void operator()(std::byte* bytes) const { ::operator delete[](bytes, alignment); }
        };

        bool is_direct() const { return direct_.descriptor() >= 0; }
        static bool same_file(const File& one, const File& other) {
            struct stat first {};
            struct stat second {};
            return ::fstat(one.descriptor(), &first) == 0 &&
                   ::fstat(other.descriptor(), &second) == 0 && first.st_dev == second.st_dev &&
                   first.st_ino == second.st_ino;
        }

        /// Makes the block begin with what lies before `offset` in its unit.
        raft::Result<void> go_to(const File& file, std::uint64_t offset) {
            if (offset == begin_ + used_) return {};
            const auto before = static_cast<std::size_t>(offset % unit_);
            begin_ = nowhere;
            used_ = 0;
            std::fill_n(block_.get(), before, std::byte{0});
            const auto count = PosixFiles{}.read_at(file, offset - before, {block_.get(), before});
            if (!count) return count.error();
            begin_ = offset - before;
            used_ = before;
            return {};
        }
        /// Writes the first `count` bytes of the block, and keeps of it what a later write has to
        /// write again. @pre count is a multiple of the unit
        raft::Result<void> put(const File& file, std::size_t count) {
            auto result = transfer(file, {block_.get(), count});
            const std::size_t whole = used_ / unit_ * unit_;
            used_ -= whole;
            begin_ += whole;
            std::memmove(block_.get(), block_.get() + whole, used_);
            return result;
        }
        raft::Result<void> transfer(const File& file, std::span<const std::byte> bytes) {
            std::uint64_t at = begin_;
            if (!is_direct()) return PosixFiles{}.write_at(file, at, std::span(&bytes, 1));
            while (!bytes.empty()) {
                const ssize_t written = ::pwrite(direct_.descriptor(), bytes.data(), bytes.size(),
                                                 static_cast<off_t>(at));
                if (written < 0 && errno == EINTR) continue;
                if (written < 0 && errno == EINVAL) {
                    // The disk wants larger units than these.
                    direct_ = File();
                    return PosixFiles{}.write_at(file, at, std::span(&bytes, 1));
                }
                if (written == 0) errno = ENOSPC;
                if (written <= 0) return failure("write", file.path());
                at += static_cast<std::uint64_t>(written);
                bytes = bytes.subspan(static_cast<std::size_t>(written));
            }
            return {};
        }

        static constexpr std::uint64_t nowhere = UINT64_MAX;

        std::size_t unit_;
        std::size_t block_bytes_;
        File direct_;  ///< open for direct transfers; without a descriptor: there are none
        std::unique_ptr<std::byte[], Delete> block_;
        std::uint64_t begin_ = nowhere;  ///< where the block lies in the file
        std::size_t used_ = 0;  ///< bytes of it that are the file's; between two writes less than
                                ///< a unit
    };

    /// Reserves room for [0, size) where the file system can; a help against fragments and late
    /// surprises, no promise.
    raft::Result<void> preallocate(const File& file, std::uint64_t size) const {
#if defined(__linux__)
        int error = EINTR;
        while (error == EINTR) {
            error = ::posix_fallocate(file.descriptor(), 0, static_cast<off_t>(size));
        }
        // Others say that the file system has no such thing.
        if (error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO) {
            errno = error;
            return failure("allocate", file.path());
        }
#else
        static_cast<void>(file);
        static_cast<void>(size);
#endif
        return {};
    }

    /// Makes what was written durable. A failure is final: the system may have dropped the pages,
    /// so that a second call would succeed without having written anything.
    raft::Result<void> sync(const File& file) const {
#if defined(__APPLE__)
        const auto call = [&] { return ::fcntl(file.descriptor(), F_FULLFSYNC); };
#else
        const auto call = [&] { return ::fdatasync(file.descriptor()); };
#endif
        if (retry(call) != 0) return failure("sync", file.path());
        return {};
    }

    /// Gives a file another name in the same directory, replacing what had it. Durable after
    /// sync_directory().
    raft::Result<void> rename(const std::string& from, const std::string& to) const {
        if (std::rename(from.c_str(), to.c_str()) != 0) return failure("rename", from);
        return {};
    }

    /// Removes a file; that it is not there is no error.
    raft::Result<void> remove(const std::string& path) const {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure("remove", path);
        return {};
    }

    /// Makes the names in a directory, which was opened as one, durable.
    raft::Result<void> sync_directory(const File& directory) const {
        if (retry([&] { return ::fsync(directory.descriptor()); }) != 0) {
            return failure("sync", directory.path());
        }
        return {};
    }

    /// A number that no other log has: names a new log, so that files of two are not mixed up.
    std::uint64_t unique_id() const { return detail::random_number(); }

private:
    static raft::Failure failure(const char* call, const std::string& path) {
        const int error = errno;
        return {std::error_code(error, std::system_category()), std::string(call) + " " + path};
    }
    template <class Call>
    static int retry(Call call) {
        int result = call();
        while (result < 0 && errno == EINTR) result = call();
        return result;
    }
    static int open_retrying(const std::string& path, int flags) {
        return retry([&] { return ::open(path.c_str(), flags, 0666); });
    }
};

namespace detail {

/// Whether something was refused before it could begin: no space, no quota, no descriptor, no
/// memory, or a limit on the size of files. Nothing was lost, and it may go better later.
inline bool is_refused(const raft::Failure& failure) {
    if (failure.code.category() != std::system_category() &&
        failure.code.category() != std::generic_category()) {
        return false;
    }
    const int error = failure.code.value();
    return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EMFILE ||
           error == ENFILE || error == ENOMEM;
}
inline raft::Failure no_memory(const std::string& path) {
    return {std::make_error_code(std::errc::not_enough_memory), path};
}

/// A directory in the hands of one storage, for as long as anybody may be busy in it.
template <class Files>
struct HeldDirectory {
    std::string path;
    typename Files::File lock;
    typename Files::File handle;  ///< held, so that a sync never lacks a descriptor
};
template <class Files>
using DirectoryPointer = std::shared_ptr<const HeldDirectory<Files>>;

/// Stands in for PosixFiles::Writer where there is but one way to write a file.
template <class Files>
class CachedWriter {
public:
    CachedWriter(Files files, const typename Files::File&) : files_(std::move(files)) {}
    raft::Result<void> write(const typename Files::File& file, std::uint64_t offset,
                             std::span<const std::span<const std::byte>> parts) {
        return files_.write_at(file, offset, parts);
    }

private:
    Files files_;
};

}  // namespace detail
}  // namespace rsm

#endif
