// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What all measuring programs share: a clock, a histogram that never allocates, what processes
// used of the machine, and a result as one line of JSON that scripts collect.
#ifndef RSM_BENCH_MEASURE_HPP
#define RSM_BENCH_MEASURE_HPP

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// Nanoseconds of a clock that only moves forward.
inline std::uint64_t now_ns() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

inline constexpr std::uint64_t second_ns = 1'000'000'000;

/// Counts values in log-linear buckets: each power of two is cut into 64, so a percentile is at
/// most 1.6 % above the truth. All memory is in the object.
class Histogram {
public:
    void add(std::uint64_t value) {
        ++buckets_[bucket(value)];
        ++count_;
        largest_ = std::max(largest_, value);
    }
    void clear() { *this = Histogram{}; }
    std::uint64_t count() const { return count_; }
    std::uint64_t largest() const { return largest_; }

    /// The value that `percent` of all values do not exceed; 0 if there is none.
    double percentile(double percent) const {
        const auto wanted = static_cast<std::uint64_t>(static_cast<double>(count_) * percent / 100);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen > wanted) return static_cast<double>(std::min(upper_end(i), largest_));
        }
        return static_cast<double>(largest_);
    }

private:
    static constexpr unsigned fine_bits = 6;
    static constexpr std::size_t fine = std::size_t{1} << fine_bits;

    static std::size_t bucket(std::uint64_t value) {
        if (value < 2 * fine) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - fine_bits - 1;
        return shift * fine + (value >> shift);
    }
    static std::uint64_t upper_end(std::size_t bucket) {
        if (bucket < 2 * fine) return bucket;
        const auto shift = static_cast<unsigned>(bucket / fine) - 1;
        const std::uint64_t first = std::uint64_t{bucket - shift * fine} << shift;
        return first + (std::uint64_t{1} << shift) - 1;
    }

    std::array<std::uint64_t, (64 - fine_bits + 1) * fine> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t largest_ = 0;
};

/// CPU time that a process has used so far, all its threads together; 0 if it is gone.
inline double cpu_seconds(pid_t process) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// What a block device has done so far, whoever asked for it: on a machine that does nothing else,
/// that is what the measured processes did. The kernel's account of each process would count every
/// page of a large folio as written when one of them is.
struct DiskCounters {
    std::uint64_t bytes = 0;    ///< written
    std::uint64_t flushes = 0;  ///< of its cache: what makes a sync durable

    /// Of the device that `path` is on; zeros if there is none, as for a file system in memory.
    static DiskCounters of(const std::string& path) {
        DiskCounters counters;
        struct stat status {};
        if (path.empty() || stat(path.c_str(), &status) != 0) return counters;
        std::ifstream file("/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" +
                           std::to_string(minor(status.st_dev)) + "/stat");
        constexpr std::size_t sectors_written = 6;
        constexpr std::size_t flushes_completed = 15;
        std::uint64_t value = 0;
        for (std::size_t i = 0; i <= flushes_completed && file >> value; ++i) {
            if (i == sectors_written) counters.bytes = value * 512;
            if (i == flushes_completed) counters.flushes = value;
        }
        return counters;
    }
};

/// Bytes that have passed the loopback device, headers included.
inline std::uint64_t loopback_bytes() {
    std::ifstream file("/proc/net/dev");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos || line.find("lo") > colon) continue;
        std::istringstream numbers(line.substr(colon + 1));
        std::uint64_t received = 0;
        numbers >> received;
        return received;
    }
    return 0;
}

/// What a group of processes, the loopback device and a disk have used.
struct Usage {
    double cpu = 0;  // seconds
    std::uint64_t wire = 0;
    DiskCounters disk;

    static Usage of(std::span<const pid_t> processes, const std::string& directory) {
        Usage usage;
        for (const pid_t process : processes) usage.cpu += cpu_seconds(process);
        usage.wire = loopback_bytes();
        usage.disk = DiskCounters::of(directory);
        return usage;
    }
    friend Usage operator-(const Usage& later, const Usage& earlier) {
        return {later.cpu - earlier.cpu,
                later.wire - earlier.wire,
                {later.disk.bytes - earlier.disk.bytes, later.disk.flushes - earlier.disk.flushes}};
    }
};

/// One result: a flat JSON object, printed as one line.
class Line {
public:
    explicit Line(std::string_view program) { text("program", program); }

    Line& text(std::string_view name, std::string_view value) {
        key(name);
        out_ << '"';
        for (const char c : value) {
            if (c == '"' || c == '\\') out_ << '\\';
            out_ << c;
        }
        out_ << '"';
        return *this;
    }
    Line& number(std::string_view name, double value) {
        key(name);
        out_.precision(6);
        out_ << value;
        return *this;
    }
    Line& count(std::string_view name, std::uint64_t value) {
        key(name);
        out_ << value;
        return *this;
    }
    Line& flag(std::string_view name, bool value) {
        key(name);
        out_ << (value ? "true" : "false");
        return *this;
    }
    /// Throughput, latencies in microseconds, and what each operation cost.
    Line& load(const Histogram& latencies, double seconds, const Usage& used) {
        const double operations = std::max<double>(1, static_cast<double>(latencies.count()));
        count("operations", latencies.count());
        number("seconds", seconds);
        number("ops_per_s", static_cast<double>(latencies.count()) / seconds);
        number("p50_us", latencies.percentile(50) / 1000);
        number("p95_us", latencies.percentile(95) / 1000);
        number("p99_us", latencies.percentile(99) / 1000);
        number("p999_us", latencies.percentile(99.9) / 1000);
        number("max_us", static_cast<double>(latencies.largest()) / 1000);
        number("cpu_s_per_million", used.cpu * 1e6 / operations);
        number("wire_bytes_per_op", static_cast<double>(used.wire) / operations);
        number("disk_bytes_per_op", static_cast<double>(used.disk.bytes) / operations);
        number("disk_flushes_per_s", static_cast<double>(used.disk.flushes) / seconds);
        return *this;
    }
    void print() {
        std::printf("%s}\n", out_.str().c_str());
        std::fflush(stdout);
    }

private:
    void key(std::string_view name) {
        out_ << (first_ ? "{\"" : ", \"") << name << "\": ";
        first_ = false;
    }

    std::ostringstream out_;
    bool first_ = true;
};

/// Takes the completions of a closed loop, and notes what was used between the first and the last
/// one that count. The warm-up begins with the first completion, so what came before, however
/// long it took, is no part of it.
class Recorder {
public:
    /// @param directory  on the disk to watch; empty: none
    Recorder(double warm_up, double seconds, std::span<const pid_t> processes,
             std::string directory)
        : warm_up_ns_(static_cast<std::uint64_t>(warm_up * 1e9)),
          counted_ns_(static_cast<std::uint64_t>(seconds * 1e9)),
          processes_(processes),
          directory_(std::move(directory)) {}

    /// An operation that began at `began` has ended. False when the time is up.
    bool completed(std::uint64_t began, std::uint64_t now) {
        if (first_ns_ == 0) first_ns_ = now;
        if (now < first_ns_ + warm_up_ns_) return true;
        if (!begun_) begin(now);
        if (now >= begin_ns_ + counted_ns_) {
            if (!ended_) end(now);
            return false;
        }
        latencies_.add(now - began);
        return true;
    }
    bool ended() const { return ended_; }
    const Histogram& latencies() const { return latencies_; }
    double seconds() const { return static_cast<double>(end_ns_ - begin_ns_) * 1e-9; }
    Usage used() const { return after_ - before_; }
    /// Of the calling process alone.
    double own_cpu() const { return own_after_ - own_before_; }

private:
    void begin(std::uint64_t now) {
        begun_ = true;
        begin_ns_ = now;
        before_ = Usage::of(processes_, directory_);
        own_before_ = cpu_seconds(0);
    }
    void end(std::uint64_t now) {
        ended_ = true;
        end_ns_ = now;
        after_ = Usage::of(processes_, directory_);
        own_after_ = cpu_seconds(0);
    }

    std::uint64_t warm_up_ns_;
    std::uint64_t counted_ns_;
    std::uint64_t first_ns_ = 0;
    std::span<const pid_t> processes_;
    std::string directory_;
    Histogram latencies_;
    bool begun_ = false;
    bool ended_ = false;
    std::uint64_t begin_ns_ = 0;
    std::uint64_t end_ns_ = 0;
    Usage before_;
    Usage after_;
    double own_before_ = 0;
    double own_after_ = 0;
};

}  // namespace bench

#endif
