// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Watches the system calls that a program makes on files, and meddles with them.
//
// system_calls.cpp defines the functions of the C library through which they are made; those of
// the program come before the library's, so that nothing has to be changed to be watched.
#ifndef RSM_TESTS_SYSCALLS_SYSTEM_CALLS_HPP
#define RSM_TESTS_SYSCALLS_SYSTEM_CALLS_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace system_calls {

enum class Call : std::uint8_t {
    open,
    mkdir,
    flock,
    pread,
    pwrite,
    pwritev,
    allocate,  ///< posix_fallocate
    fdatasync,
    fsync,
    rename,
    unlink,
    note,  ///< no call: what a test has said
};

struct Made {
    Call call = Call::note;
    std::string path;          ///< below the watched directory, "" for itself; or the note
    std::string to{};          ///< rename
    int flags = 0;             ///< open, flock
    std::uint64_t offset = 0;  ///< of a transfer
    std::size_t asked = 0;     ///< bytes of a transfer
    long result = 0;           ///< negative: it failed
    bool writes() const { return call == Call::pwrite || call == Call::pwritev; }
};

/// What a call is answered in place of the system.
struct Answer {
    int error = 0;                ///< not 0: the call fails with it and does nothing
    std::size_t most = SIZE_MAX;  ///< so many bytes are transferred at most; 0: none, and no call
};

/// Thread safety: the calls of all threads are recorded, in an order that they may have had.
class Watch {
public:
    using Meddler = std::function<Answer(const Made&)>;

    /// @param directory  with what is below it, its calls are recorded until the destruction
    explicit Watch(std::string directory);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// Asked before each call that is recorded.
    void meddle(Meddler meddler);
    void note(std::string what);
    /// What was recorded since the last time.
    std::vector<Made> take();

private:
    friend struct Recorder;
    bool covers(std::string_view path) const;
    std::string relative(std::string_view path) const;

    std::mutex mutex_;
    std::string directory_;
    std::map<int, std::string> files_;  ///< by descriptor
    Meddler meddler_;
    std::vector<Made> made_;
};

}  // namespace system_calls

#endif
