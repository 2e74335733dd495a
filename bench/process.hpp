// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Processes that end with the one that started them, a directory that goes with it, and one core
// for all of them where that is wanted.
#ifndef RSM_BENCH_PROCESS_HPP
#define RSM_BENCH_PROCESS_HPP

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace bench {

inline std::system_error system_failure(const std::string& what) {
    return {errno, std::generic_category(), what};
}

/// From now on this process and those that it starts run on one core only.
inline void pin_to_one_core() {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(0, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) != 0) throw system_failure("sched_setaffinity");
}

/// Forked before any thread exists. Every child is killed when this object goes, when its parent
/// dies in whatever way, and when the time limit has passed.
class Children {
public:
    explicit Children(unsigned limit_seconds) : limit_seconds_(limit_seconds) {
        alarm(limit_seconds_);
    }
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;
    ~Children() { end(); }

    /// Runs `work()` in a new process.
    template <class Work>
    pid_t start(Work work) {
        const pid_t parent = getpid();
        const pid_t child = fork();
        if (child < 0) throw system_failure("fork");
        if (child != 0) {
            running_.push_back(child);
            return child;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(EXIT_FAILURE);
        alarm(limit_seconds_);
        try {
            work();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
            _exit(EXIT_FAILURE);
        }
        _exit(EXIT_SUCCESS);
    }

    const std::vector<pid_t>& running() const { return running_; }
    /// The children and this process.
    std::vector<pid_t> all() const {
        std::vector<pid_t> processes = running_;
        processes.push_back(getpid());
        return processes;
    }

    /// Waits for one to end by itself. True if it succeeded.
    bool wait_for(pid_t child) {
        int status = 0;
        if (waitpid(child, &status, 0) != child) return false;
        std::erase(running_, child);
        return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    }
    void end() {
        for (const pid_t child : running_) kill(child, SIGKILL);
        for (const pid_t child : running_) waitpid(child, nullptr, 0);
        running_.clear();
    }

private:
    unsigned limit_seconds_;
    std::vector<pid_t> running_;
};

/// A fresh directory, removed with all that is in it by the process that made it.
class Directory {
public:
    explicit Directory(const std::string& parent) : owner_(getpid()) {
        std::string name = (parent.empty() ? "." : parent) + "/rsm-bench-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw system_failure("cannot make " + name);
        path_ = name;
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() {
        if (getpid() != owner_) return;
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    pid_t owner_;
    std::string path_;
};

}  // namespace bench

#endif
