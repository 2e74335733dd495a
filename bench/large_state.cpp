// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a snapshot of a large state costs those who write meanwhile, and what memory it takes: one
// node, a fixed rate of writes, several snapshots one after the other. The writes of each snapshot
// are compared with those between it and the one before, so that a machine that is busy with other
// things is so in both.
//
//   large-state [--machine kv|plain|collected] [--size MiB] [--payload BYTES] [--rate PER_SECOND]
//               [--between MiB of the log] [--rounds COUNT] [--data DIRECTORY]
//
// kv freezes; `plain` does not, and is written in place; `collected` is the same machine, collected
// in memory first.
#include "arguments.hpp"
#include "measure.hpp"
#include "process.hpp"

#include "kv/store.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace bench;
using boost::system::error_code;

struct Settings {
    std::string machine;
    std::size_t bytes = 0;
    std::size_t payload = 1024;
    std::uint64_t rate = 2000;
    std::int64_t between = 0;
    std::uint64_t rounds = 3;
    std::string data;
};

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    file >> all >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Rows that are replaced, one at a time. It does not freeze.
class Plain {
public:
    struct Operation {
        std::uint64_t row = 0;
        std::string value;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& row& value;
        }
    };
    explicit Plain(std::size_t rows = 0, std::size_t payload = 0)
        : rows_(rows, std::string(payload, 'v')) {}
    void apply(const Operation& operation) { rows_[operation.row] = operation.value; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& rows_;
    }

private:
    std::vector<std::string> rows_;
};

/// How each machine is filled and written.
struct PlainLoad {
    using Machine = Plain;
    static Plain make(std::size_t rows, std::size_t payload) { return Plain(rows, payload); }
    static Plain::Operation write(std::uint64_t row, std::size_t payload) {
        return {row, std::string(payload, 'w')};
    }
};
struct KvLoad {
    using Machine = kv::Store;
    static std::string key(std::uint64_t row) {
        const std::string digits = std::to_string(row);
        return std::string(12 - digits.size(), '0') + digits;
    }
    static kv::Store make(std::size_t rows, std::size_t payload) {
        kv::Store store;
        const std::string value(payload, 'v');
        for (std::uint64_t row = 0; row < rows; ++row) store.apply({kv::Set{key(row), value}});
        return store;
    }
    static kv::Operation write(std::uint64_t row, std::size_t payload) {
        return {kv::Set{key(row), std::string(payload, 'w')}};
    }
};

/// The writes of one snapshot, and those before it.
struct Round {
    Histogram during;
    Histogram without;
    double seconds = 0;
    std::uint64_t resident_before = 0;
    std::uint64_t resident_most = 0;
};

/// An open loop: each write counts from the time at which it was due, whatever became of those
/// before.
template <class Load>
class Meter {
public:
    using Replica = rsm::Replicated<typename Load::Machine, rsm::MemoryTransport, rsm::WalStorage>;

    Meter(boost::asio::io_context& io, Replica& replica, const Settings& settings)
        : io_(io), replica_(replica), timer_(replica.get_executor()), settings_(settings) {}

    void start() {
        replica_.async_submit(write(), [this](error_code error, auto&&...) {
            if (error) {
                timer_.expires_after(std::chrono::milliseconds(10));
                return timer_.async_wait([this](error_code) { start(); });
            }
            due_ = now_ns();
            snapshot_ = replica_.status().snapshot;
            tick();
        });
    }
    const std::vector<std::unique_ptr<Round>>& rounds() const { return rounds_; }

private:
    typename Load::Machine::Operation write() {
        const std::size_t rows = settings_.bytes / settings_.payload;
        return Load::write(random_.below(rows), settings_.payload);
    }
    void tick() {
        look();
        if (rounds_.size() > settings_.rounds) return io_.stop();
        for (; due_ <= now_ns(); due_ += second_ns / settings_.rate) submit(due_);
        timer_.expires_after(std::chrono::microseconds(500));
        timer_.async_wait([this](error_code) { tick(); });
    }
    void submit(std::uint64_t due) {
        replica_.async_submit(write(), [this, due](error_code error, auto&&...) {
            if (error) {
                std::fprintf(stderr, "large-state: a write failed: %s\n", error.message().c_str());
                std::_Exit(EXIT_FAILURE);
            }
            look();
            Round& now = *rounds_.back();
            const bool overlaps = begun_at_ != 0 || due <= ended_at_;
            if (due <= ended_at_ && rounds_.size() > 1) {
                rounds_[rounds_.size() - 2]->during.add(now_ns() - due);
            } else {
                (overlaps ? now.during : now.without).add(now_ns() - due);
            }
        });
    }
    /// Whether a snapshot has begun or ended.
    void look() {
        const rsm::Status status = replica_.status();
        Round& now = *rounds_.back();
        const bool grown = status.persisted_bytes >= static_cast<std::uint64_t>(settings_.between);
        if (begun_at_ == 0 && grown && status.snapshot == snapshot_) begun_at_ = now_ns();
        if (now_ns() >= sampled_at_ + second_ns / 100) {
            sampled_at_ = now_ns();
            const std::uint64_t resident = resident_bytes();
            if (begun_at_ == 0) now.resident_before = resident;
            now.resident_most = std::max(now.resident_most, resident);
        }
        if (begun_at_ == 0) return;
        if (status.snapshot == snapshot_) return;
        snapshot_ = status.snapshot;
        ended_at_ = now_ns();
        now.seconds = static_cast<double>(ended_at_ - begun_at_) * 1e-9;
        begun_at_ = 0;
        rounds_.push_back(std::make_unique<Round>());
        rounds_.back()->resident_before = resident_bytes();
    }

    boost::asio::io_context& io_;
    Replica& replica_;
    boost::asio::steady_timer timer_;
    const Settings& settings_;
    raft::Random random_{1};
    raft::Index snapshot_;
    std::uint64_t due_ = 0;
    std::uint64_t begun_at_ = 0;  ///< the snapshot that is being made
    std::uint64_t ended_at_ = 0;  ///< the one before
    std::uint64_t sampled_at_ = 0;
    std::vector<std::unique_ptr<Round>> rounds_ = [] {
        std::vector<std::unique_ptr<Round>> first;
        first.push_back(std::make_unique<Round>());
        return first;
    }();
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[values.size() / 2];
}

void report(const Settings& settings, const std::vector<std::unique_ptr<Round>>& rounds) {
    std::vector<double> times_p50;
    std::vector<double> times_p99;
    std::vector<double> times_memory;
    for (std::size_t i = 0; i < settings.rounds; ++i) {
        const Round& round = *rounds[i];
        times_p50.push_back(round.during.percentile(50) / round.without.percentile(50));
        times_p99.push_back(round.during.percentile(99) / round.without.percentile(99));
        times_memory.push_back(static_cast<double>(round.resident_most) /
                               static_cast<double>(round.resident_before));
        Line line("large-state");
        line.text("machine", settings.machine).count("bytes", settings.bytes).count("round", i + 1);
        line.count("rate", settings.rate).number("seconds", round.seconds);
        line.count("writes_during", round.during.count());
        line.count("writes_without", round.without.count());
        line.number("p50_us_during", round.during.percentile(50) / 1000);
        line.number("p50_us_without", round.without.percentile(50) / 1000);
        line.number("p99_us_during", round.during.percentile(99) / 1000);
        line.number("p99_us_without", round.without.percentile(99) / 1000);
        line.number("max_us_during", static_cast<double>(round.during.largest()) / 1000);
        line.number("max_us_without", static_cast<double>(round.without.largest()) / 1000);
        line.count("resident_before", round.resident_before);
        line.count("resident_most", round.resident_most);
        line.print();
    }
    Line line("large-state");
    line.text("machine", settings.machine).count("bytes", settings.bytes);
    line.number("median_times_p50", median(times_p50));
    line.number("median_times_p99", median(times_p99));
    line.number("median_times_memory", median(times_memory));
    line.print();
}

template <class Load>
void measure(const Settings& settings) {
    boost::asio::io_context io{1};
    rsm::Options options;
    options.snapshot_threshold = settings.between;
    options.operation_timeout = std::chrono::minutes(5);
    options.max_captured_bytes = 0;
    if (settings.machine == "collected") options.max_captured_bytes = static_cast<std::size_t>(-1);
    options.on_failure = [](const raft::Failure& failure) {
        std::fprintf(stderr, "large-state: the node has failed: %s\n", failure.message().c_str());
        std::_Exit(EXIT_FAILURE);
    };
    typename Meter<Load>::Replica replica(
        io.get_executor(), Load::make(settings.bytes / settings.payload, settings.payload),
        rsm::MemoryTransport(std::make_shared<rsm::MemoryNetwork>(), {1}),
        rsm::WalStorage{settings.data}, std::move(options));
    Meter<Load> meter(io, replica, settings);
    meter.start();
    io.run();
    report(settings, meter.rounds());
}

}  // namespace

int main(int count, char** words) try {
    Arguments arguments(count, words);
    Settings settings;
    settings.machine = arguments.text("machine", "kv");
    settings.bytes = arguments.count("size", 1024) << 20;
    settings.payload = arguments.count("payload", settings.payload);
    settings.rate = arguments.count("rate", settings.rate);
    settings.between = static_cast<std::int64_t>(arguments.count("between", 64) << 20);
    settings.rounds = arguments.count("rounds", settings.rounds);
    settings.data = arguments.text("data", ".");
    arguments.finish();
    if (settings.payload == 0 || settings.bytes < settings.payload || settings.rate == 0 ||
        settings.rounds == 0) {
        throw std::invalid_argument("--size, --payload, --rate or --rounds");
    }
    const Directory directory(settings.data);
    settings.data = directory.path();
    if (settings.machine == "kv") {
        measure<KvLoad>(settings);
    } else if (settings.machine == "plain" || settings.machine == "collected") {
        measure<PlainLoad>(settings);
    } else {
        throw std::invalid_argument("unknown machine: " + settings.machine);
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "large-state: %s\n", error.what());
    return EXIT_FAILURE;
}
