// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A library to be preloaded: what a program syncs waits for as long as the file is there that the
// environment calls RSM_DISK_HANGS, as it does on a disk that hangs. Nothing else changes.
#include <cstdlib>
#include <ctime>

#include <sys/syscall.h>
#include <unistd.h>

namespace {

void wait_for_the_disk() {
    static const char* const file = std::getenv("RSM_DISK_HANGS");
    if (file == nullptr) return;
    constexpr timespec moment{0, 2'000'000};
    while (::access(file, F_OK) == 0) ::nanosleep(&moment, nullptr);
}

}  // namespace

extern "C" int fdatasync(int file) {
    wait_for_the_disk();
    return static_cast<int>(::syscall(SYS_fdatasync, file));
}
extern "C" int fsync(int file) {
    wait_for_the_disk();
    return static_cast<int>(::syscall(SYS_fsync, file));
}
