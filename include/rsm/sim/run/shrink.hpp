// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Shrinking: looks for the smallest run that still breaks the rule that a seed has broken.
#ifndef RSM_SIM_RUN_SHRINK_HPP
#define RSM_SIM_RUN_SHRINK_HPP

#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/run/reduction.hpp>
#include <rsm/sim/run/report.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// Leaves out one thing after the other, and keeps out what the violation does not need. What
/// remains is small, not the smallest of all: no single further step breaks the same rule within
/// the courses that are tried.
class Shrinker {
public:
    /// The run of the seed, reduced.
    using Simulate = std::function<RunReport(const Reduction&)>;

    struct Result {
        Reduction reduction;
        RunReport report;  ///< of the run so reduced; breaks the same rule
        std::size_t runs = 0;
    };

    Shrinker(Simulate simulate, std::size_t runs_max)
        : simulate_(std::move(simulate)), runs_max_(runs_max) {}

    /// @param failed  breaks a rule, in a plan with `nodes` nodes as drawn
    Result shrink(const RunReport& failed) {
        best_ = {{}, failed, 0};
        bool smaller = true;
        while (smaller && runs_ < runs_max_) {
            smaller = false;
            if (fewer_faults()) smaller = true;
            if (less_noise()) smaller = true;
            if (fewer(&Reduction::nodes, {1, 2, 3, 4, 5}, best_.report.nodes)) smaller = true;
            if (fewer(&Reduction::clients, {1, 2, 3}, 8)) smaller = true;
            if (less_time()) smaller = true;
        }
        best_.runs = runs_;
        return std::move(best_);
    }

private:
    /// The same plan takes another course as soon as anything is left out of it, so that a few are
    /// tried before the thing counts as needed.
    static constexpr std::uint64_t courses = 4;

    bool try_with(Reduction smaller) {
        for (std::uint64_t course = 0; course < courses && runs_ < runs_max_; ++course) {
            smaller.course = best_.reduction.course + course;
            ++runs_;
            RunReport report = simulate_(smaller);
            const bool same =
                report.violation && report.violation->property == best_.report.violation->property;
            if (!same) continue;
            best_.reduction = smaller;
            best_.report = std::move(report);
            return true;
        }
        return false;
    }

    /// All at once, then halves of those that are left, down to single ones.
    bool fewer_faults() {
        bool any = false;
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i < fault_kinds; ++i) {
            if (!best_.reduction.without[i]) left.push_back(i);
        }
        for (std::size_t share = left.size(); share != 0; share /= 2) {
            for (std::size_t begin = 0; begin < left.size();) {
                Reduction smaller = best_.reduction;
                const std::size_t end = std::min(left.size(), begin + share);
                for (std::size_t i = begin; i < end; ++i) smaller.without[left[i]] = true;
                if (try_with(smaller)) {
                    left.erase(left.begin() + static_cast<std::ptrdiff_t>(begin),
                               left.begin() + static_cast<std::ptrdiff_t>(end));
                    any = true;
                } else {
                    begin = end;
                }
            }
        }
        return any;
    }
    bool less_noise() {
        bool any = false;
        for (const auto flag :
             {&Reduction::calm_network, &Reduction::calm_disks, &Reduction::single}) {
            Reduction smaller = best_.reduction;
            if (std::exchange(smaller.*flag, true)) continue;
            if (try_with(smaller)) any = true;
        }
        return any;
    }
    bool fewer(std::uint64_t Reduction::*number, std::initializer_list<std::uint64_t> steps,
               std::uint64_t drawn) {
        const std::uint64_t now = best_.reduction.*number;
        for (const std::uint64_t step : steps) {
            if (step >= (now == 0 ? drawn : now)) return false;
            Reduction smaller = best_.reduction;
            smaller.*number = step;
            if (try_with(smaller)) return true;
        }
        return false;
    }
    /// The violation has come before the simulated time was over.
    bool less_time() {
        const auto drawn = static_cast<std::uint64_t>(best_.report.simulated.count()) / 1'000'000;
        const std::uint64_t now = best_.reduction.milliseconds;
        const std::uint64_t most = now == 0 ? drawn : std::min(now, drawn);
        for (const std::uint64_t part : {8U, 4U, 2U}) {
            Reduction smaller = best_.reduction;
            smaller.milliseconds = most / part;
            if (smaller.milliseconds < 10) continue;
            if (try_with(smaller)) return true;
        }
        return false;
    }

    Simulate simulate_;
    std::size_t runs_max_;
    std::size_t runs_ = 0;
    Result best_;
};

}  // namespace rsm::sim

#endif
