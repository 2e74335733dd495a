// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Processes that can be killed, and ports for them.
#ifndef RSM_TESTS_SYSTEM_PROCESSES_HPP
#define RSM_TESTS_SYSTEM_PROCESSES_HPP

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace system_test {

inline void demand(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

/// A child process, which is killed when this object or the parent goes.
class Process {
public:
    Process() = default;
    /// What it says goes to the end of a file.
    Process(const std::vector<std::string>& words, const std::filesystem::path& output)
        : pid_(start(words, [path = output.c_str()] {
              const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
              if (file < 0) return;
              ::dup2(file, STDOUT_FILENO);
              ::dup2(file, STDERR_FILENO);
          })) {}
    /// It reads from one descriptor and writes to another.
    Process(const std::vector<std::string>& words, int input, int output)
        : pid_(start(words, [input, output] {
              ::dup2(input, STDIN_FILENO);
              ::dup2(output, STDOUT_FILENO);
          })) {}
    Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    Process& operator=(Process&& other) noexcept {
        if (this != &other) {
            kill();
            pid_ = std::exchange(other.pid_, 0);
        }
        return *this;
    }
    ~Process() { kill(); }

    /// SIGKILL; returns when the process is gone.
    void kill() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, 0), nullptr, 0);
    }

    /// SIGTERM; its exit status when it is gone, and -1 where another signal has ended it.
    int terminate() {
        ask_to_end();
        return wait();
    }
    /// SIGTERM, and does not wait.
    void ask_to_end() {
        if (pid_ != 0) ::kill(pid_, SIGTERM);
    }
    /// Its exit status when it has ended by itself; likewise.
    int wait() {
        if (pid_ == 0) return -1;
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    /// 0: none.
    pid_t id() const { return pid_; }
    /// Whether it was not found to have ended.
    bool runs() const { return pid_ != 0; }
    /// Its exit status once it has ended by itself, likewise; not again.
    std::optional<int> poll() {
        int status = 0;
        if (pid_ == 0 || ::waitpid(pid_, &status, WNOHANG) == 0) return std::nullopt;
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    /// @param prepare  done in the child; only calls that are allowed between fork and exec
    template <class Prepare>
    static pid_t start(const std::vector<std::string>& words, Prepare prepare) {
        std::vector<char*> arguments;
        for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        const pid_t child = ::fork();
        demand(child >= 0, "fork failed");
        if (child != 0) return child;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        prepare();
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }

    pid_t pid_ = 0;  // 0: none
};

/// A port that nobody listens on, below those that the system gives to outgoing connections, so
/// that none of these can take it while its server is down.
/// @param taken  those that are not to be given out, and then this one as well
inline std::uint16_t free_port(std::set<std::uint16_t>& taken) {
    using boost::asio::ip::tcp;
    boost::asio::io_context io;
    std::random_device random;
    for (int attempts = 0; attempts < 10000; ++attempts) {
        const auto port = static_cast<std::uint16_t>(10000 + random() % 20000);
        tcp::acceptor acceptor(io, tcp::v4());
        boost::system::error_code in_use;
        acceptor.bind({boost::asio::ip::address_v4::loopback(), port}, in_use);
        if (!in_use && taken.insert(port).second) return port;
    }
    throw std::runtime_error("no free port found");
}

}  // namespace system_test

#endif
