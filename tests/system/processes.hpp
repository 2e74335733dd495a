// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of kv-server processes on this machine, each of which can be killed and started again.
#ifndef RSM_TESTS_SYSTEM_PROCESSES_HPP
#define RSM_TESTS_SYSTEM_PROCESSES_HPP

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
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

/// A child process, which is killed when this object or the parent goes.
class Process {
public:
    Process() = default;
    Process(const std::vector<std::string>& words, const std::filesystem::path& output) {
        std::vector<char*> arguments;
        for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error("fork failed");
        if (pid_ == 0) {
            // Only calls that are allowed between fork and exec.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
            if (file >= 0) {
                ::dup2(file, STDOUT_FILENO);
                ::dup2(file, STDERR_FILENO);
            }
            ::execv(arguments[0], arguments.data());
            ::_exit(127);
        }
    }
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
        if (pid_ != 0) ::kill(pid_, SIGTERM);
        return wait();
    }
    /// Its exit status when it has ended by itself; likewise.
    int wait() {
        if (pid_ == 0) return -1;
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    /// Whether it has ended by itself, which it should not.
    bool has_ended() {
        if (pid_ == 0 || ::waitpid(pid_, nullptr, WNOHANG) == 0) return false;
        pid_ = 0;
        return true;
    }

private:
    pid_t pid_ = 0;  // 0: none
};

/// Ports that nobody listens on, below those that the system gives to outgoing connections, so
/// that none of these can take one while its server is down.
inline std::vector<std::uint16_t> free_ports(std::size_t count) {
    using boost::asio::ip::tcp;
    boost::asio::io_context io;
    std::random_device random;
    std::vector<std::uint16_t> ports;
    for (int attempts = 0; ports.size() < count; ++attempts) {
        if (attempts == 10000) throw std::runtime_error("no free ports found");
        const auto port = static_cast<std::uint16_t>(10000 + random() % 20000);
        tcp::acceptor acceptor(io, tcp::v4());
        boost::system::error_code taken;
        acceptor.bind({boost::asio::ip::address_v4::loopback(), port}, taken);
        if (!taken) ports.push_back(port);
    }
    return ports;
}

class ServerProcesses {
public:
    static constexpr std::size_t size = 3;

    ServerProcesses(std::string program, std::filesystem::path directory)
        : program_(std::move(program)), directory_(std::move(directory)), processes_(size) {
        const std::vector<std::uint16_t> ports = free_ports(2 * size);
        for (std::size_t node = 0; node < size; ++node) {
            const std::string host = "127.0.0.1:";
            peers_ += (node == 0 ? "" : ",") + std::to_string(node + 1) + "=" + host +
                      std::to_string(ports[node]);
            clients_.push_back(host + std::to_string(ports[size + node]));
        }
    }

    /// Where the nodes serve clients.
    const std::vector<std::string>& clients() const { return clients_; }

    void start(std::size_t node) {
        const std::string id = std::to_string(node + 1);
        processes_[node] = Process({program_, "--id", id, "--cluster", peers_, "--listen",
                                    clients_[node], "--data", directory_ / id,
                                    // Small, so that many nodes come back through a snapshot.
                                    "--snapshot-threshold", "64KiB"},
                                   directory_ / (id + ".log"));
    }
    void kill(std::size_t node) { processes_[node].kill(); }

    /// The number of a node that has ended without being killed, or `size`.
    std::size_t failed_node() {
        for (std::size_t node = 0; node < size; ++node) {
            if (processes_[node].has_ended()) return node;
        }
        return size;
    }

private:
    std::string program_;
    std::filesystem::path directory_;
    std::string peers_;
    std::vector<std::string> clients_;
    std::vector<Process> processes_;
};

}  // namespace system_test

#endif
