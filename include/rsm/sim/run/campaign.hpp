// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Campaign: many runs on several threads, with progress for people who watch.
#ifndef RSM_SIM_RUN_CAMPAIGN_HPP
#define RSM_SIM_RUN_CAMPAIGN_HPP

#include <raft/base/digest.hpp>
#include <raft/proof/state_digest.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/report.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iomanip>
#include <mutex>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

struct CampaignOptions {
    int jobs = 1;
    double minutes = 0;             ///< 0: until the seeds are through
    std::size_t failures_max = 10;  ///< failing seeds after which no new run begins
    /// Which seeds to run; empty: all.
    std::function<bool(std::uint64_t seed)> wanted;
};

struct CampaignReport {
    std::uint64_t seeds = 0;
    double seconds = 0;
    double simulated_seconds = 0;
    Coverage coverage;
    std::vector<RunReport> failed;  ///< by seed, ascending
    /// Of all digests; does not depend on the order in which threads took the seeds.
    std::uint64_t digest = 0;
};

class Campaign {
public:
    using Simulate = std::function<RunReport(std::uint64_t seed)>;

    Campaign(Simulate simulate, CampaignOptions options)
        : simulate_(std::move(simulate)), options_(options) {}

    /// Seeds `first` to `last`; a line on `progress` is rewritten as the runs go on.
    CampaignReport run(std::uint64_t first, std::uint64_t last, std::ostream& progress) {
        began_ = Clock::now();
        next_ = first;
        last_ = last;
        std::vector<std::thread> helpers;
        for (int i = 1; i < options_.jobs; ++i) helpers.emplace_back([this] { work(nullptr); });
        work(&progress);
        for (std::thread& helper : helpers) helper.join();
        show(progress);
        progress << '\n';
        report_.seconds = elapsed();
        std::ranges::sort(report_.failed, {}, &RunReport::seed);
        return std::move(report_);
    }

private:
    using Clock = std::chrono::steady_clock;

    double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }
    bool ended() {
        const std::lock_guard lock(mutex_);
        return report_.failed.size() >= options_.failures_max ||
               (options_.minutes > 0 && elapsed() > 60 * options_.minutes);
    }
    void work(std::ostream* progress) {
        while (!ended()) {
            const std::uint64_t seed = next_++;
            if (seed > last_) return;
            if (options_.wanted && !options_.wanted(seed)) continue;
            take(simulate_(seed), progress);
            if (progress != nullptr) show_now_and_then(*progress);
        }
    }
    void take(const RunReport& run, std::ostream* progress) {
        const std::lock_guard lock(mutex_);
        ++report_.seeds;
        report_.simulated_seconds += std::chrono::duration<double>(run.simulated).count();
        report_.coverage += run.coverage;
        raft::Digest digest;
        digest.add(run.seed);
        digest.add(run.digest);
        report_.digest += digest.value();
        if (!run.violation) return;
        report_.failed.push_back(run);
        if (progress == nullptr) return;
        *progress << "\nseed " << run.seed << " VIOLATES " << run.violation->property << std::endl;
    }

    void show_now_and_then(std::ostream& out) {
        if (elapsed() - shown_ < 0.5) return;
        shown_ = elapsed();
        show(out);
    }
    void show(std::ostream& out) {
        const std::lock_guard lock(mutex_);
        constexpr int width = 20;
        const Coverage& seen = report_.coverage;
        const std::uint64_t wanted =
            report_.seeds + (last_ + 1 - std::min(next_.load(), last_ + 1));
        const int filled =
            static_cast<int>(width * report_.seeds / std::max<std::uint64_t>(1, wanted));
        out << "\r[";
        for (int i = 0; i < width; ++i) out << (i < filled ? '#' : '.');
        out << "] " << report_.seeds << " seeds, " << std::fixed << std::setprecision(1)
            << static_cast<double>(report_.seeds) / elapsed() << "/s, " << std::setprecision(0)
            << report_.simulated_seconds << " s simulated; elections " << seen[Counter::elections]
            << ", snapshots installed " << seen[Counter::snapshots_installed] << ", truncations "
            << seen[Counter::truncations] << ", crashes "
            << seen[Counter::power_failures] + seen[Counter::process_kills] +
                   seen[Counter::crashes_between_calls]
            << ", failed " << report_.failed.size() << "  " << std::defaultfloat << std::flush;
    }

    Simulate simulate_;
    CampaignOptions options_;
    Clock::time_point began_;
    double shown_ = 0;
    std::atomic<std::uint64_t> next_{0};
    std::uint64_t last_ = 0;
    std::mutex mutex_;
    CampaignReport report_;
};

}  // namespace rsm::sim

#endif
