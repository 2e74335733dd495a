// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The functions of the C library that are watched. Each is made by way of another one that does the
// same and is not.
#include "system_calls.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <optional>

namespace system_calls {

namespace {
std::atomic<Watch*> watching{nullptr};
}

struct Recorder {
    /// Makes a call of a name or of an open file, unless it is to be answered otherwise.
    template <class Act>
    static long run(Made made, std::string_view path, Act act) {
        Watch* const watch = watching;
        if (watch == nullptr) return act(SIZE_MAX);
        const std::lock_guard lock(watch->mutex_);
        if (!watch->covers(path)) {
            const long result = act(SIZE_MAX);
            // The descriptor may have been another file's that is closed now.
            if (made.call == Call::open) watch->files_.erase(static_cast<int>(result));
            return result;
        }
        made.path = watch->relative(path);
        made.to = watch->relative(made.to);
        return answer(*watch, std::move(made), act);
    }
    template <class Act>
    static long run(Made made, int descriptor, Act act) {
        Watch* const watch = watching;
        if (watch == nullptr) return act(SIZE_MAX);
        const std::lock_guard lock(watch->mutex_);
        const auto found = watch->files_.find(descriptor);
        if (found == watch->files_.end()) return act(SIZE_MAX);
        made.path = found->second;
        return answer(*watch, std::move(made), act);
    }

private:
    template <class Act>
    static long answer(Watch& watch, Made made, Act act) {
        const Answer answer = watch.meddler_ ? watch.meddler_(made) : Answer{};
        if (answer.error != 0) {
            made.result = -1;
        } else {
            made.result = answer.most == 0 ? 0 : act(answer.most);
        }
        const int error = answer.error != 0 ? answer.error : errno;
        if (made.call == Call::open && made.result >= 0) {
            watch.files_[static_cast<int>(made.result)] = made.path;
        }
        if (made.call == Call::rename && made.result == 0) {
            for (auto& file : watch.files_) {
                if (file.second == made.path) file.second = made.to;
            }
        }
        const long result = made.result;
        watch.made_.push_back(std::move(made));
        errno = error;
        return result;
    }
};

Watch::Watch(std::string directory) : directory_(std::move(directory)) { watching = this; }
Watch::~Watch() { watching = nullptr; }
bool Watch::covers(std::string_view path) const { return path.starts_with(directory_); }
std::string Watch::relative(std::string_view path) const {
    if (!covers(path)) return std::string(path);
    path.remove_prefix(std::min(path.size(), directory_.size() + 1));
    return std::string(path);
}
void Watch::meddle(Meddler meddler) {
    const std::lock_guard lock(mutex_);
    meddler_ = std::move(meddler);
}
void Watch::note(std::string what) {
    const std::lock_guard lock(mutex_);
    Made made;
    made.path = std::move(what);
    made_.push_back(std::move(made));
}
std::vector<Made> Watch::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(made_, {});
}

namespace {

Made made(Call call, int flags = 0) {
    Made result;
    result.call = call;
    result.flags = flags;
    return result;
}
Made transfer(Call call, std::size_t bytes, off_t offset) {
    Made result = made(call);
    result.asked = bytes;
    result.offset = static_cast<std::uint64_t>(offset);
    return result;
}
/// The first `most` bytes of the parts.
std::vector<iovec> front(const iovec* parts, int count, std::size_t most) {
    std::vector<iovec> result;
    for (int i = 0; i < count && most != 0; ++i) {
        result.push_back({parts[i].iov_base, std::min(parts[i].iov_len, most)});
        most -= result.back().iov_len;
    }
    return result;
}
long write_parts(int file, const iovec* parts, int count, off_t offset, std::size_t most) {
    const std::vector<iovec> some = front(parts, count, most);
    return ::pwritev2(file, some.data(), static_cast<int>(some.size()), offset, 0);
}

}  // namespace
}  // namespace system_calls

using system_calls::Call;
using system_calls::made;
using system_calls::Recorder;
using system_calls::transfer;

extern "C" {

int open(const char* path, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        std::va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return static_cast<int>(Recorder::run(made(Call::open, flags), path, [&](std::size_t) {
        return ::openat(AT_FDCWD, path, flags, mode);
    }));
}
int mkdir(const char* path, mode_t mode) noexcept {
    return static_cast<int>(Recorder::run(
        made(Call::mkdir), path, [&](std::size_t) { return ::mkdirat(AT_FDCWD, path, mode); }));
}
int unlink(const char* path) noexcept {
    return static_cast<int>(Recorder::run(
        made(Call::unlink), path, [&](std::size_t) { return ::unlinkat(AT_FDCWD, path, 0); }));
}
int rename(const char* from, const char* to) noexcept {
    system_calls::Made call = made(Call::rename);
    call.to = to;
    return static_cast<int>(Recorder::run(std::move(call), from, [&](std::size_t) {
        return ::renameat(AT_FDCWD, from, AT_FDCWD, to);
    }));
}
int flock(int file, int operation) noexcept {
    return static_cast<int>(Recorder::run(made(Call::flock, operation), file, [&](std::size_t) {
        return ::syscall(SYS_flock, file, operation);
    }));
}
int fsync(int file) {
    return static_cast<int>(Recorder::run(made(Call::fsync), file,
                                          [&](std::size_t) { return ::syscall(SYS_fsync, file); }));
}
int fdatasync(int file) {
    return static_cast<int>(Recorder::run(
        made(Call::fdatasync), file, [&](std::size_t) { return ::syscall(SYS_fdatasync, file); }));
}
ssize_t pread(int file, void* bytes, size_t count, off_t offset) {
    return Recorder::run(transfer(Call::pread, count, offset), file, [&](std::size_t most) {
        const iovec part{bytes, std::min(count, most)};
        return ::preadv2(file, &part, 1, offset, 0);
    });
}
ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
    const iovec part{const_cast<void*>(bytes), count};
    return Recorder::run(transfer(Call::pwrite, count, offset), file, [&](std::size_t most) {
        return system_calls::write_parts(file, &part, 1, offset, most);
    });
}
ssize_t pwritev(int file, const iovec* parts, int count, off_t offset) {
    std::size_t bytes = 0;
    for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
    return Recorder::run(transfer(Call::pwritev, bytes, offset), file, [&](std::size_t most) {
        return system_calls::write_parts(file, parts, count, offset, most);
    });
}
/// Gives the error instead of leaving it in errno.
int posix_fallocate(int file, off_t offset, off_t size) {
    const long result =
        Recorder::run(transfer(Call::allocate, static_cast<std::size_t>(size), offset), file,
                      [&](std::size_t) { return ::syscall(SYS_fallocate, file, 0, offset, size); });
    return result < 0 ? errno : 0;
}

}  // extern "C"
