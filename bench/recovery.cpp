// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is slow when there is much of it, each beside what the bare machine needs for the same
// bytes: starting with a long log, and writing, streaming and restoring the snapshot of a large
// key/value state; and how long writes take while such a snapshot is made.
//
//   recovery [--part log|snapshot|stream|pause|join] [--size MiB] [--payload BYTES]
//            [--rate OPERATIONS/S] [--data DIRECTORY]
//
// Files are read cold: the system is told to forget their pages before.
#include "arguments.hpp"
#include "machine.hpp"
#include "measure.hpp"
#include "process.hpp"
#include "socket.hpp"

#include "kv/store.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace bench;
using boost::system::error_code;
namespace fs = std::filesystem;

struct Settings {
    std::size_t bytes = 0;
    std::size_t payload = 1024;
    std::uint64_t rate = 2000;  ///< of the writes while a snapshot is made, per second
    std::string data;
};

double since(std::uint64_t begin) { return static_cast<double>(now_ns() - begin) * 1e-9; }

// ---- the bare machine ------------------------------------------------------------------------

/// Calls f(descriptor) for every file below a directory.
template <class F>
void for_each_file(const std::string& directory, F f) {
    for (const auto& item : fs::recursive_directory_iterator(directory)) {
        if (!item.is_regular_file()) continue;
        const Descriptor file(open(item.path().c_str(), O_RDONLY | O_CLOEXEC));
        if (file.get() < 0) throw system_failure("open " + item.path().string());
        f(file.get());
    }
}

/// Lets the system forget what it has in memory of the files. They must be on the disk.
void make_cold(const std::string& directory) {
    for_each_file(directory, [](int file) {
        fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    });
}

std::uint64_t total_bytes(const std::string& directory) {
    std::uint64_t bytes = 0;
    for_each_file(directory,
                  [&](int file) { bytes += static_cast<std::uint64_t>(lseek(file, 0, SEEK_END)); });
    return bytes;
}

/// Calls f(bytes) for all that the files below a directory hold, a piece at a time.
template <class F>
void for_each_piece(const std::string& directory, std::vector<std::byte>& piece, F f) {
    for_each_file(directory, [&](int file) {
        for (;;) {
            const ssize_t count = read(file, piece.data(), piece.size());
            if (count < 0) throw system_failure("read");
            if (count == 0) break;
            f(std::span(piece).first(static_cast<std::size_t>(count)));
        }
    });
}

/// Seconds to read every file.
double bare_read(const std::string& directory) {
    std::vector<std::byte> piece(std::size_t{1} << 20);
    const std::uint64_t begin = now_ns();
    for_each_piece(directory, piece, [](std::span<const std::byte>) {});
    return since(begin);
}
/// Seconds to have all of it in memory that the process did not have before, as a state has to be.
double bare_load(const std::string& directory) {
    std::vector<std::byte> piece(std::size_t{1} << 20);
    std::vector<std::string> memory;
    const std::uint64_t begin = now_ns();
    for_each_piece(directory, piece, [&](std::span<const std::byte> bytes) {
        memory.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    return since(begin);
}
/// Seconds to copy every file into `target` and to make that durable.
double bare_copy(const std::string& directory, const std::string& target) {
    std::vector<std::byte> piece(std::size_t{1} << 20);
    const std::uint64_t begin = now_ns();
    const Descriptor out(open(target.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    for_each_piece(directory, piece, [&](std::span<const std::byte> bytes) {
        const ssize_t count = write(out.get(), bytes.data(), bytes.size());
        if (count != static_cast<ssize_t>(bytes.size())) throw system_failure("write");
    });
    if (fdatasync(out.get()) != 0) throw system_failure("fdatasync");
    const double seconds = since(begin);
    unlink(target.c_str());
    return seconds;
}

void report(const std::string& part, std::uint64_t bytes, double seconds, double bare,
            const std::function<void(Line&)>& more = {}) {
    Line line("recovery");
    line.text("part", part).count("bytes", bytes).number("seconds", seconds);
    line.number("bytes_per_s", static_cast<double>(bytes) / seconds);
    line.number("bare_seconds", bare).number("times_bare", seconds / bare);
    if (more) more(line);
    line.print();
}

// ---- a long log ------------------------------------------------------------------------------

/// A cluster of one: its log is as good as any, and nobody else's work is measured.
using Alone = rsm::Replicated<CountingMachine, rsm::MemoryTransport, rsm::WalStorage>;

Alone open_alone(boost::asio::io_context& io, const std::string& data) {
    return Alone(io.get_executor(), CountingMachine{},
                 rsm::MemoryTransport(std::make_shared<rsm::MemoryNetwork>(), {1}),
                 rsm::WalStorage{data});
}

/// Calls `ready` once the node leads and has applied what its log holds.
void when_ready(Alone& replica, boost::asio::steady_timer& retry, std::function<void()> ready) {
    const auto query = [](const CountingMachine& machine) { return machine.count(); };
    replica.async_read(query, [&replica, &retry, ready](error_code error, std::uint64_t) {
        if (!error) return ready();
        retry.expires_after(std::chrono::milliseconds(1));
        retry.async_wait([&, ready](error_code) { when_ready(replica, retry, ready); });
    });
}

void write_log(const Settings& settings) {
    boost::asio::io_context io{1};
    boost::asio::steady_timer retry(io);
    Alone replica = open_alone(io, settings.data);
    const std::string bytes(settings.payload, 'x');
    const std::uint64_t wanted = settings.bytes / settings.payload;
    std::uint64_t begun = 0;
    std::uint64_t ended = 0;
    std::function<void()> next = [&] {
        if (begun == wanted) return;
        ++begun;
        replica.async_submit(CountingMachine::Operation{bytes}, [&](error_code error, auto) {
            if (error) throw std::runtime_error("cannot fill the log: " + error.message());
            if (++ended == wanted) return replica.async_stop([&](error_code) { io.stop(); });
            next();
        });
    };
    when_ready(replica, retry, [&] {
        for (int i = 0; i < 1024; ++i) next();
    });
    io.run();
}

void measure_log(const Settings& settings) {
    write_log(settings);
    make_cold(settings.data);
    const double bare = bare_read(settings.data);
    make_cold(settings.data);

    const std::uint64_t begin = now_ns();
    boost::asio::io_context io{1};
    boost::asio::steady_timer retry(io);
    Alone replica = open_alone(io, settings.data);
    const double opened = since(begin);
    double ready = 0;
    when_ready(replica, retry, [&] {
        ready = since(begin);
        io.stop();
    });
    io.run();
    if (replica.machine().count() != settings.bytes / settings.payload) {
        throw std::runtime_error("the log has lost operations");
    }
    const std::uint64_t bytes = replica.status().persisted_bytes;
    report("start with a log", bytes, opened, bare, [&](Line& line) {
        line.count("payload", settings.payload);
        line.number("seconds_until_served", ready);
    });
}

// ---- a large state ---------------------------------------------------------------------------

kv::Store make_state(const Settings& settings) {
    kv::Store store;
    const std::string value(settings.payload, 'v');
    for (std::uint64_t i = 0; i < settings.bytes / settings.payload; ++i) {
        const std::string digits = std::to_string(i);
        store.apply({kv::Set{std::string(12 - digits.size(), '0') + digits, value}});
    }
    return store;
}

/// What the node's own thread spends on a snapshot, and what passes until it is durable.
struct Written {
    double captured = 0;
    double durable = 0;
};

/// Makes a directory that holds nothing but a snapshot of the store.
Written write_snapshot(const kv::Store& store, const std::string& directory,
                       const raft::Membership& membership) {
    boost::asio::io_context io{1};
    auto storage = rsm::WalStorage{directory}.open(io.get_executor());
    if (!storage.recover()) throw std::runtime_error("cannot open " + directory);
    Written written;
    const std::uint64_t begin = now_ns();
    raft::SnapshotProducer produce = rsm::detail::capture_state(store);
    written.captured = since(begin);
    storage.save_snapshot({{1}, {1}}, membership, std::move(produce),
                          [&](const raft::Result<raft::SnapshotMeta>& saved) {
                              if (!saved) throw std::runtime_error(saved.error().message());
                              written.durable = since(begin);
                              storage.close([&] { io.stop(); });
                          });
    io.run();
    return written;
}

void measure_snapshot(const Settings& settings) {
    const std::string directory = settings.data + "/one";
    const kv::Store store = make_state(settings);
    const Written written = write_snapshot(store, directory, raft::Membership::of_voters({{1}}));
    const std::uint64_t bytes = total_bytes(directory);
    const double copy = bare_copy(directory, settings.data + "/copy");
    report("write a snapshot", bytes, written.durable, copy,
           [&](Line& line) { line.number("seconds_captured", written.captured); });

    make_cold(directory);
    const double bare = bare_load(directory);
    make_cold(directory);
    kv::Store restored;
    const std::uint64_t begin = now_ns();
    boost::asio::io_context io{1};
    auto storage = rsm::WalStorage{directory}.open(io.get_executor());
    const raft::Result<raft::Recovered> recovered = storage.recover();
    if (!recovered) throw std::runtime_error(recovered.error().message());
    const auto source = storage.open_snapshot(recovered->snapshot);
    if (!source || !rsm::detail::restore_state(**source, recovered->snapshot, restored,
                                               rsm::Options{}.snapshot_buffer_bytes)) {
        throw std::runtime_error("the snapshot cannot be restored");
    }
    const double seconds = since(begin);
    if (restored.key_count() != store.key_count()) throw std::runtime_error("keys are missing");
    report("restore a snapshot", bytes, seconds, bare);
}

// ---- a cluster with a large state ------------------------------------------------------------

using Replica = rsm::Replicated<kv::Store, rsm::TcpTransport, rsm::WalStorage>;
using Addresses = std::map<std::uint64_t, std::string>;

Addresses choose_addresses(std::size_t count) {
    const std::vector<Listener> listeners(count);
    Addresses addresses;
    for (std::size_t i = 0; i < count; ++i) {
        addresses[i + 1] = "127.0.0.1:" + std::to_string(listeners[i].port());
    }
    return addresses;
}

rsm::Options options_of(std::uint64_t self, std::int64_t threshold) {
    rsm::Options options;
    options.snapshot_threshold = threshold;
    // The first node leads; a node whose thread is held up by a snapshot must not lose that.
    options.raft.election_timeout = std::chrono::seconds(self == 1 ? 10 : 60);
    if (self == 1) options.raft.election_timeout = std::chrono::milliseconds(500);
    options.raft.check_quorum = false;
    options.on_failure = [](const raft::Failure& failure) {
        std::fprintf(stderr, "recovery: a node has failed: %s\n", failure.message().c_str());
        std::_Exit(EXIT_FAILURE);
    };
    return options;
}

Replica open_replica(boost::asio::io_context& io, std::uint64_t self, const Addresses& addresses,
                     const std::string& data, rsm::Options options) {
    return Replica(io.get_executor(), kv::Store{}, rsm::TcpTransport{{self}, addresses},
                   rsm::WalStorage{data + "/" + std::to_string(self)}, std::move(options));
}

raft::Membership voters(std::size_t count) {
    std::vector<raft::NodeId> nodes;
    for (std::size_t i = 1; i <= count; ++i) nodes.push_back({i});
    return raft::Membership::of_voters(nodes);
}

/// Founds all nodes and gives the first `with_state` of them the snapshot, in a process of its own
/// so that the state's memory goes with it.
void prepare(const Settings& settings, Children& children, const Addresses& addresses,
             std::size_t with_state) {
    const pid_t writer = children.start([&] {
        for (const auto& [node, address] : addresses) {
            boost::asio::io_context io{1};
            open_replica(io, node, addresses, settings.data, options_of(node, -1));
        }
        const kv::Store state = make_state(settings);
        for (std::size_t node = 1; node <= with_state; ++node) {
            write_snapshot(state, settings.data + "/" + std::to_string(node),
                           voters(addresses.size()));
        }
    });
    if (!children.wait_for(writer)) throw std::runtime_error("no snapshot");
}

/// From the moment at which an empty follower hears from its leader until it has the leader's
/// snapshot on its disk and in its state machine; beside a copy of the file and its loading.
void measure_stream(const Settings& settings, Children& children) {
    const Addresses addresses = choose_addresses(2);
    prepare(settings, children, addresses, 1);
    const std::uint64_t bytes = total_bytes(settings.data + "/1");
    const double copy = bare_copy(settings.data + "/1", settings.data + "/copy");
    const double load = bare_load(settings.data + "/1");
    children.start([&] {
        boost::asio::io_context io{1};
        Replica leader = open_replica(io, 1, addresses, settings.data, options_of(1, -1));
        io.run();
    });
    boost::asio::io_context io{1};
    std::uint64_t begin = 0;
    rsm::Options options = options_of(2, -1);
    options.on_event = [&](const raft::Event& event) {
        if (event.kind == raft::EventKind::leader_known && begin == 0) begin = now_ns();
        if (event.kind == raft::EventKind::snapshot_installed) io.stop();
    };
    Replica follower = open_replica(io, 2, addresses, settings.data, std::move(options));
    io.run();
    const double seconds = since(begin);
    if (follower.machine().key_count() != settings.bytes / settings.payload) {
        throw std::runtime_error("keys are missing");
    }
    report("stream a snapshot to a follower", bytes, seconds, copy + load,
           [&](Line& line) { line.number("bare_copy_seconds", copy); });
}

/// The most memory that this process has had.
std::uint64_t peak_bytes() {
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) != 0) throw system_failure("getrusage");
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// Writes at a fixed rate, whatever becomes of those before (an open loop: a client that waits for
/// answers would ask little while the node stands still, and so hide it). Each counts from the
/// time at which it was due. They are told apart by whether what is measured, a snapshot being made
/// or a newcomer being brought up, was going on at any time between then and their end.
class PauseMeter {
public:
    using Question = std::function<bool(const rsm::Status&)>;

    PauseMeter(boost::asio::io_context& io, Replica& replica, std::uint64_t rate)
        : io_(io), replica_(replica), timer_(replica.get_executor()), rate_(rate) {}

    /// Writes until some seconds after what is measured has begun and has ended.
    void start(Question has_begun, Question has_ended) {
        has_begun_ = std::move(has_begun);
        has_ended_ = std::move(has_ended);
        wait_for_leader();
    }
    void report(const char* part, std::uint64_t bytes) const {
        Line line("recovery");
        line.text("part", part).count("bytes", bytes).count("rate", rate_);
        line.number("seconds", static_cast<double>(ended_at_ - begun_at_) * 1e-9);
        line.number("peak_times_state",
                    static_cast<double>(peak_bytes()) / static_cast<double>(bytes));
        line.count("operations_during", during_.count());
        line.count("operations_without", without_.count());
        line.number("p50_us_during", during_.percentile(50) / 1000);
        line.number("p50_us_without", without_.percentile(50) / 1000);
        line.number("p99_us_during", during_.percentile(99) / 1000);
        line.number("p99_us_without", without_.percentile(99) / 1000);
        line.number("max_us_during", static_cast<double>(during_.largest()) / 1000);
        line.number("max_us_without", static_cast<double>(without_.largest()) / 1000);
        line.number("times_without", during_.percentile(99) / without_.percentile(99));
        line.print();
    }

private:
    void wait_for_leader() {
        replica_.async_submit(operation(), [this](error_code error, auto) {
            if (!error) {
                due_ = now_ns() + second_ns;
                return tick();
            }
            timer_.expires_after(std::chrono::milliseconds(10));
            timer_.async_wait([this](error_code) { wait_for_leader(); });
        });
    }
    void tick() {
        look();
        if (ended_at_ != 0 && now_ns() > ended_at_ + 5 * second_ns) return io_.stop();
        for (; due_ <= now_ns(); due_ += second_ns / rate_) submit(due_);
        timer_.expires_after(std::chrono::microseconds(500));
        timer_.async_wait([this](error_code) { tick(); });
    }
    kv::Operation operation() {
        const std::uint64_t number = ++begun_ % 1000;
        return {kv::Set{"key" + std::to_string(number), std::string(256, 'w')}};
    }
    void submit(std::uint64_t due) {
        replica_.async_submit(operation(), [this, due](error_code error, auto) {
            if (error) {
                std::fprintf(stderr, "recovery: a write failed: %s\n", error.message().c_str());
                std::_Exit(EXIT_FAILURE);
            }
            look();
            const bool overlaps = begun_at_ != 0 && (ended_at_ == 0 || due <= ended_at_);
            (overlaps ? during_ : without_).add(now_ns() - due);
        });
    }
    void look() {
        if (ended_at_ != 0) return;
        const rsm::Status status = replica_.status();
        if (begun_at_ == 0 && has_begun_(status)) begun_at_ = now_ns();
        if (begun_at_ != 0 && has_ended_(status)) ended_at_ = now_ns();
    }

    boost::asio::io_context& io_;
    Replica& replica_;
    boost::asio::steady_timer timer_;
    std::uint64_t rate_;
    Question has_begun_;
    Question has_ended_;
    std::uint64_t due_ = 0;
    std::uint64_t begun_at_ = 0;
    std::uint64_t ended_at_ = 0;
    std::uint64_t begun_ = 0;
    Histogram during_;
    Histogram without_;
};

void start_follower(const Settings& settings, Children& children, const Addresses& addresses,
                    std::uint64_t self, std::int64_t threshold, int wait_for = -1) {
    children.start([&, self, threshold, wait_for] {
        char signal = 0;
        if (wait_for >= 0 && read(wait_for, &signal, 1) != 1) return;
        boost::asio::io_context io{1};
        Replica node =
            open_replica(io, self, addresses, settings.data, options_of(self, threshold));
        io.run();
    });
}

void measure_pause(const Settings& settings, Children& children) {
    const Addresses addresses = choose_addresses(3);
    prepare(settings, children, addresses, 3);
    // Some seconds of writing, so that there is one snapshot and not a second one.
    const auto threshold = static_cast<std::int64_t>(settings.rate * 2048);
    for (const std::uint64_t self : {2U, 3U}) {
        start_follower(settings, children, addresses, self, threshold);
    }
    boost::asio::io_context io{1};
    Replica leader = open_replica(io, 1, addresses, settings.data, options_of(1, threshold));
    PauseMeter meter(io, leader, settings.rate);
    const raft::Index first = leader.status().snapshot;
    meter.start(
        [&](const rsm::Status& status) {
            return status.persisted_bytes >= static_cast<std::uint64_t>(threshold);
        },
        [&](const rsm::Status& status) { return status.snapshot > first; });
    io.run();
    meter.report("write while a snapshot is made", settings.bytes);
}

/// The third of three nodes is empty and is started when writes go on.
void measure_join(const Settings& settings, Children& children) {
    const Addresses addresses = choose_addresses(3);
    prepare(settings, children, addresses, 2);
    std::array<int, 2> start{};
    if (pipe2(start.data(), O_CLOEXEC) != 0) throw system_failure("pipe2");
    start_follower(settings, children, addresses, 2, -1);
    start_follower(settings, children, addresses, 3, -1, start[0]);
    boost::asio::io_context io{1};
    Replica leader = open_replica(io, 1, addresses, settings.data, options_of(1, -1));
    PauseMeter meter(io, leader, settings.rate);
    std::uint64_t begin = 0;
    meter.start(
        [&](const rsm::Status&) {
            if (begin == 0) begin = now_ns() + 5 * second_ns;
            if (now_ns() < begin) return false;
            return write(start[1], "", 1) == 1;
        },
        [&](const rsm::Status& status) {
            for (const auto& one : status.followers) {
                if (one.node != raft::NodeId{3} || one.match <= status.snapshot) continue;
                return one.match + settings.rate / 2 > status.commit;
            }
            return false;
        });
    io.run();
    meter.report("write while a newcomer is brought up", settings.bytes);
}

}  // namespace

int main(int count, char** words) try {
    Arguments arguments(count, words);
    Settings settings;
    const std::string part = arguments.text("part", "log");
    settings.bytes = arguments.count("size", 1024) << 20;
    settings.payload = arguments.count("payload", settings.payload);
    settings.rate = arguments.count("rate", settings.rate);
    settings.data = arguments.text("data", ".");
    arguments.finish();
    if (settings.bytes < settings.payload || settings.payload == 0) {
        throw std::invalid_argument("--size or --payload");
    }
    const Directory directory(settings.data);
    settings.data = directory.path();
    Children children(300);
    if (part == "log") {
        measure_log(settings);
    } else if (part == "snapshot") {
        measure_snapshot(settings);
    } else if (part == "stream") {
        measure_stream(settings, children);
    } else if (part == "pause") {
        measure_pause(settings, children);
    } else if (part == "join") {
        measure_join(settings, children);
    } else {
        throw std::invalid_argument("unknown part: " + part);
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "recovery: %s\n", error.what());
    return EXIT_FAILURE;
}
