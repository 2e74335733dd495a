// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A library to be preloaded: a disk that is slow, hangs, is full or fails, and a wall clock that is
// wrong, as a file says (control.hpp) that others write while the program runs. Monotonic time is
// left alone.
#include "control.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

using chaos::Control;

const volatile Control& control() {
    static constexpr Control none{};
    static const volatile Control* const mapped = [] {
        const volatile Control* found = &none;
        const char* const path = std::getenv(chaos::control_variable);
        if (path == nullptr) return found;
        const int file = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
        if (file < 0) return found;
        void* const place = ::mmap(nullptr, sizeof(Control), PROT_READ, MAP_SHARED, file, 0);
        ::close(file);
        if (place != MAP_FAILED) found = static_cast<const volatile Control*>(place);
        return found;
    }();
    return *mapped;
}

int refuse(int error) {
    errno = error;
    return -1;
}

int sync(long call, int file) {
    constexpr long moment_ns = 1'000'000;
    for (std::int32_t waited = 0; waited < control().sync_ms || control().sync_hangs != 0;
         ++waited) {
        const timespec moment{0, moment_ns};
        ::nanosleep(&moment, nullptr);
    }
    if (const int error = control().sync_error; error != 0) return refuse(error);
    return static_cast<int>(::syscall(call, file));
}

bool is_regular(int file, off_t& size) {
    struct stat status {};
    if (::fstat(file, &status) != 0) return false;
    size = status.st_size;
    return S_ISREG(status.st_mode);
}

/// An errno, or 0 where the write may take place.
int obstacle(int file, off_t end) {
    if (control().write_error == 0 && control().full == 0) return 0;
    off_t size = 0;
    if (!is_regular(file, size)) return 0;
    if (const int error = control().write_error; error != 0) return error;
    return end > size ? ENOSPC : 0;
}

off_t bytes_of(const iovec* parts, int count) {
    off_t bytes = 0;
    for (int i = 0; i < count; ++i) bytes += static_cast<off_t>(parts[i].iov_len);
    return bytes;
}

int open_file(const char* path, int flags, mode_t mode) {
    if ((flags & O_CREAT) != 0 && control().full != 0 && ::access(path, F_OK) != 0) {
        return refuse(ENOSPC);
    }
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

bool is_wall_clock(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

}  // namespace

extern "C" {

int fdatasync(int file) { return sync(SYS_fdatasync, file); }
int fsync(int file) { return sync(SYS_fsync, file); }

ssize_t pwrite(int file, const void* bytes, size_t count, off_t at) {
    if (const int error = obstacle(file, at + static_cast<off_t>(count))) return refuse(error);
    return ::syscall(SYS_pwrite64, file, bytes, count, at);
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t at) {
    return pwrite(file, bytes, count, at);
}
ssize_t pwritev(int file, const iovec* parts, int count, off_t at) {
    if (const int error = obstacle(file, at + bytes_of(parts, count))) return refuse(error);
    return ::syscall(SYS_pwritev, file, parts, count, at, 0L);
}
ssize_t pwritev64(int file, const iovec* parts, int count, off64_t at) {
    return pwritev(file, parts, count, at);
}

int posix_fallocate(int file, off_t at, off_t size) {
    if (control().full != 0) return ENOSPC;
    return ::syscall(SYS_fallocate, file, 0, at, size) == 0 ? 0 : errno;
}
int posix_fallocate64(int file, off64_t at, off64_t size) {
    return posix_fallocate(file, at, size);
}

int open(const char* path, int flags, ...) {
    __builtin_va_list more;
    __builtin_va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? __builtin_va_arg(more, mode_t) : 0;
    __builtin_va_end(more);
    return open_file(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    __builtin_va_list more;
    __builtin_va_start(more, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? __builtin_va_arg(more, mode_t) : 0;
    __builtin_va_end(more);
    return open_file(path, flags, mode);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    const long result = ::syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && is_wall_clock(clock)) time->tv_sec += control().clock_offset_s;
    return static_cast<int>(result);
}
int gettimeofday(timeval* time, void*) noexcept {
    timespec now{};
    const int result = clock_gettime(CLOCK_REALTIME, &now);
    *time = {now.tv_sec, now.tv_nsec / 1000};
    return result;
}
time_t time(time_t* place) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (place != nullptr) *place = now.tv_sec;
    return now.tv_sec;
}

}  // extern "C"
