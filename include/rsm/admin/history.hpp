// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node did in each of the last intervals, from what its Metrics were at their ends.
#ifndef RSM_ADMIN_HISTORY_HPP
#define RSM_ADMIN_HISTORY_HPP

#include <rsm/admin/histogram.hpp>
#include <rsm/admin/metrics.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace rsm::inline v0 {

/// A bounded memory of the last minutes. A regular value; one owner at a time.
class History {
public:
    static constexpr std::size_t most_samples = 300;

    /// What happened in one interval. Nothing where nothing was measured in it.
    struct Sample {
        std::uint64_t operations = 0;             ///< completed without an error
        std::uint64_t reads = 0;                  ///< likewise
        std::uint64_t refusals = 0;               ///< operations and reads that ended with an error
        std::uint64_t bytes = 0;                  ///< of entries' payloads, written to the log
        std::optional<std::uint64_t> commit_p50;  ///< in nanoseconds
        std::optional<std::uint64_t> commit_p99;
        std::optional<std::uint64_t> sync_p99;
        friend bool operator==(const Sample&, const Sample&) = default;
    };

    /// Another interval is over. The first call only says where the first interval begins.
    void take(const Metrics& now) {
        if (before_) {
            if (samples_.size() == most_samples) samples_.pop_front();
            samples_.push_back(sample(*before_, now));
        }
        before_ = now;
    }

    /// The newest is the last.
    const std::deque<Sample>& samples() const { return samples_; }

    friend bool operator==(const History&, const History&) = default;

private:
    static std::uint64_t failed(const Metrics& metrics) {
        return metrics.operations_failed.total() + metrics.reads_failed.total();
    }
    static Sample sample(const Metrics& before, const Metrics& now) {
        const Histogram commits = now.commit_latency.since(before.commit_latency);
        Sample sample;
        sample.operations = now.operations_completed - before.operations_completed;
        sample.reads = now.reads_completed - before.reads_completed;
        sample.refusals = failed(now) - failed(before);
        sample.bytes = now.write_bytes.sum() - before.write_bytes.sum();
        sample.commit_p50 = commits.quantile(0.5);
        sample.commit_p99 = commits.quantile(0.99);
        sample.sync_p99 = now.sync_latency.since(before.sync_latency).quantile(0.99);
        return sample;
    }

    std::optional<Metrics> before_;
    std::deque<Sample> samples_;
};

}  // namespace rsm

#endif
