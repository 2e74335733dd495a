// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The limit for what a replicated log can do on this machine: operations go from a client to a
// leader, from there to two followers, and are answered when one of them has them too. Nothing
// else happens: no terms, no headers, no checksums, no state machine. With --durable, leader and
// followers append what they receive to a file that is allocated and filled in advance, and
// answer when fdatasync has returned; everything that waits goes in one write and one sync.
//
//   floor [--window W] [--payload BYTES] [--durable] [--inside] [--seconds S] [--warm-up S]
//         [--data DIRECTORY] [--pin]
//
// --inside: the client is in the leader's process.
#include "arguments.hpp"
#include "closed_loop.hpp"
#include "load_settings.hpp"
#include "measure.hpp"
#include "process.hpp"
#include "socket.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace bench;

struct Settings : LoadSettings {
    bool inside = false;
};

constexpr std::size_t buffer_bytes = std::size_t{8} << 20;

/// A file that is written round and round, so that no sync ever has metadata to write.
class Log {
public:
    explicit Log(const std::string& path)
        : file_(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        if (file_.get() < 0) throw system_failure("open " + path);
        const std::vector<std::byte> zeros(std::size_t{1} << 20);
        for (std::size_t at = 0; at < size; at += zeros.size()) write_at(at, zeros);
        if (fsync(file_.get()) != 0) throw system_failure("fsync");
    }
    void append(std::span<const std::byte> bytes) {
        if (offset_ + bytes.size() > size) offset_ = 0;
        write_at(offset_, bytes);
        offset_ += bytes.size();
        if (fdatasync(file_.get()) != 0) throw system_failure("fdatasync");
    }

private:
    static constexpr std::size_t size = std::size_t{32} << 20;

    void write_at(std::size_t offset, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t count =
                pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (count <= 0) throw system_failure("pwrite");
            offset += static_cast<std::size_t>(count);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }

    Descriptor file_;
    std::size_t offset_ = 0;
};

std::optional<Log> open_log(const Settings& settings, const std::string& name) {
    if (!settings.durable) return std::nullopt;
    return std::optional<Log>(settings.data + "/" + name);
}

std::span<const std::byte> bytes_of(const std::uint64_t& value) {
    return std::as_bytes(std::span(&value, 1));
}

/// Takes in operations, and says how many it holds after each read.
void follow(const Settings& settings, const Listener& listener, const std::string& name) {
    std::optional<Log> log = open_log(settings, name);
    const Descriptor leader = listener.accept();
    std::vector<std::byte> buffer(buffer_bytes);
    std::uint64_t received = 0;
    while (const std::size_t count = read_some(leader.get(), buffer)) {
        if (log) log->append(std::span(buffer).first(count));
        received += count;
        write_all(leader.get(), bytes_of(received));
    }
}

/// One follower as the leader sees it.
struct Follower {
    Descriptor socket;
    std::uint64_t held = 0;  // bytes
    std::array<std::byte, 4096> answers{};
    std::size_t filled = 0;

    void read_answers() {
        const std::size_t count = read_some(socket.get(), std::span(answers).subspan(filled));
        if (count == 0) throw std::runtime_error("a follower has gone");
        filled += count;
        const std::size_t whole = filled / 8 * 8;
        if (whole != 0) std::memcpy(&held, answers.data() + whole - 8, 8);
        std::memmove(answers.data(), answers.data() + whole, filled - whole);
        filled -= whole;
    }
};

/// The leader, whoever its client is.
class Leader {
public:
    Leader(const Settings& settings, std::span<const Listener> followers)
        : payload_(settings.payload), log_(open_log(settings, "leader")), poll_(epoll_create1(0)) {
        for (std::size_t i = 0; i < followers_.size(); ++i) {
            followers_[i].socket = connect_to(followers[i].port());
            watch(followers_[i].socket.get(), i);
        }
    }

    void watch(int socket, std::uint64_t tag) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = tag;
        if (epoll_ctl(poll_.get(), EPOLL_CTL_ADD, socket, &event) != 0) {
            throw system_failure("epoll_ctl");
        }
    }

    /// Forwards, then writes down: the three disks work at the same time.
    void replicate(std::span<const std::byte> bytes) {
        for (Follower& follower : followers_) write_all(follower.socket.get(), bytes);
        if (log_) log_->append(bytes);
        received_ += bytes.size();
    }

    /// Waits for something to come. True if what was watched under `client_tag` can be read.
    bool wait() {
        std::array<epoll_event, 4> events{};
        const int count = epoll_wait(poll_.get(), events.data(), 4, -1);
        if (count < 0 && errno != EINTR) throw system_failure("epoll_wait");
        bool client = false;
        for (int i = 0; i < count; ++i) {
            const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
            if (tag == client_tag) {
                client = true;
            } else {
                followers_[tag].read_answers();
            }
        }
        return client;
    }

    /// How many operations have come to be held by the leader and a follower since the last call.
    std::size_t newly_committed() {
        const std::uint64_t held = std::max(followers_[0].held, followers_[1].held);
        const std::uint64_t committed = std::min(received_, held) / payload_;
        const std::size_t count = committed - committed_;
        committed_ = committed;
        return count;
    }

    static constexpr std::uint64_t client_tag = 2;

private:
    std::size_t payload_;
    std::optional<Log> log_;
    Descriptor poll_;
    std::array<Follower, 2> followers_;
    std::uint64_t received_ = 0;  // bytes
    std::uint64_t committed_ = 0;
};

/// The leader as a process of its own.
void lead(const Settings& settings, const Listener& listener, std::span<const Listener> followers) {
    Leader leader(settings, followers);
    const Descriptor client = listener.accept();
    leader.watch(client.get(), Leader::client_tag);
    std::vector<std::byte> buffer(buffer_bytes);
    std::vector<std::uint64_t> answers(settings.window);
    std::uint64_t answered = 0;
    for (;;) {
        if (leader.wait()) {
            const std::size_t count = read_some(client.get(), buffer);
            if (count == 0) return;
            leader.replicate(std::span(buffer).first(count));
        }
        const std::size_t count = leader.newly_committed();
        if (count == 0) continue;
        for (std::size_t i = 0; i < count; ++i) answers[i] = ++answered;
        write_all(client.get(), std::as_bytes(std::span(answers).first(count)));
    }
}

void run_inside(const Settings& settings, std::span<const Listener> followers, ClosedLoop& loop) {
    Leader leader(settings, followers);
    leader.replicate(loop.begin(settings.window));
    for (;;) {
        const std::size_t count = leader.newly_committed();
        if (count == 0) {
            leader.wait();
            continue;
        }
        if (!loop.completed(count)) return;
        leader.replicate(loop.begin(count));
    }
}

int run(Settings settings) {
    std::optional<Directory> directory;
    if (settings.durable) settings.data = directory.emplace(settings.data).path();
    if (settings.pinned) pin_to_one_core();
    Children children(static_cast<unsigned>(settings.warm_up + settings.seconds) + 60);
    const std::array<Listener, 2> followers;
    const Listener clients;
    for (std::size_t i = 0; i < followers.size(); ++i) {
        const std::string name = "follower" + std::to_string(i);
        children.start([&, i] { follow(settings, followers[i], name); });
    }
    if (!settings.inside) children.start([&] { lead(settings, clients, followers); });

    const std::vector<pid_t> processes = children.all();
    Recorder recorder(settings.warm_up, settings.seconds, processes,
                      settings.durable ? settings.data : "");
    ClosedLoop loop(settings.window, std::vector<std::byte>(settings.payload), recorder);
    if (settings.inside) {
        run_inside(settings, followers, loop);
    } else {
        run_client(loop, clients.port());
    }
    Line line("floor");
    settings.tell(line, settings.inside, "write");
    line.load(recorder.latencies(), recorder.seconds(), recorder.used());
    line.print();
    return EXIT_SUCCESS;
}

}  // namespace

int main(int count, char** words) try {
    Arguments arguments(count, words);
    Settings settings;
    settings.read_from(arguments);
    settings.inside = arguments.flag("inside");
    arguments.finish();
    if (settings.window == 0 || settings.payload == 0 ||
        settings.window * settings.payload > buffer_bytes) {
        throw std::invalid_argument("window times payload must be 1 byte to 8 MiB");
    }
    return run(settings);
} catch (const std::exception& error) {
    std::fprintf(stderr, "floor: %s\n", error.what());
    return EXIT_FAILURE;
}
