// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A histogram with fixed buckets: recording allocates nothing and takes a few instructions.
#ifndef RSM_ADMIN_HISTOGRAM_HPP
#define RSM_ADMIN_HISTOGRAM_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>

namespace rsm::inline v0 {

/// How often which values were recorded: nanoseconds, bytes or whatever is counted in whole
/// numbers. A regular value of a fixed size.
///
/// A bucket holds the values above the bound of the one before it up to its own bound. From 4 on
/// there are four buckets between a power of two and the next, so a quantile is at most a quarter
/// too high; powers of two are bounds. The last bucket holds everything from about 2 * 10^12 on.
class Histogram {
public:
    static constexpr std::size_t bucket_count = 160;

    /// The largest value of a bucket; of the last one, what it would be. @pre bucket < bucket_count
    static constexpr std::uint64_t bound(std::size_t bucket) {
        if (bucket < 4) return bucket + 1;
        return (std::uint64_t{5} + bucket % 4) << (bucket / 4 - 1);
    }

    void record(std::uint64_t value) {
        ++counts_[bucket_of(value)];
        sum_ += value;
    }

    std::uint64_t count() const {
        return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    }
    std::uint64_t sum() const { return sum_; }
    /// How many values were at most `limit`, if that is a bucket's bound, as powers of two are.
    std::uint64_t count_up_to(std::uint64_t limit) const {
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < bucket_count && bound(i) <= limit; ++i) count += counts_[i];
        return count;
    }

    /// A value that a share of the recorded ones is at most as high as, by interpolation in its
    /// bucket; nothing where nothing was recorded.
    /// @param share  in [0, 1]; 0.5 is the median
    std::optional<std::uint64_t> quantile(double share) const {
        const std::uint64_t all = count();
        if (all == 0) return std::nullopt;
        const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(all));
        const std::uint64_t rank =
            std::clamp(static_cast<std::uint64_t>(wanted), std::uint64_t{1}, all);
        std::uint64_t below = 0;
        std::size_t bucket = 0;
        while (below + counts_[bucket] < rank) below += counts_[bucket++];
        const std::uint64_t low = bucket == 0 ? 0 : bound(bucket - 1);
        const double part =
            static_cast<double>(rank - below) / static_cast<double>(counts_[bucket]);
        return low + static_cast<std::uint64_t>(
                         std::llround(part * static_cast<double>(bound(bucket) - low)));
    }

    /// Both together, as of two nodes.
    Histogram& operator+=(const Histogram& other) {
        for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
        sum_ += other.sum_;
        return *this;
    }
    /// What was recorded since. @pre `earlier` is a former value of this one
    Histogram since(const Histogram& earlier) const {
        Histogram difference = *this;
        for (std::size_t i = 0; i < bucket_count; ++i) difference.counts_[i] -= earlier.counts_[i];
        difference.sum_ -= earlier.sum_;
        return difference;
    }

    friend bool operator==(const Histogram&, const Histogram&) = default;

private:
    static constexpr std::size_t bucket_of(std::uint64_t value) {
        // Counted from 0, so that a bound belongs to the bucket below it.
        const std::uint64_t from_zero = value - (value != 0 ? 1U : 0U);
        if (from_zero < 4) return static_cast<std::size_t>(from_zero);
        const auto exponent = static_cast<std::size_t>(std::bit_width(from_zero)) - 1;
        const std::size_t quarter = (from_zero >> (exponent - 2)) & 3U;
        return std::min(4 * (exponent - 1) + quarter, bucket_count - 1);
    }

    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t sum_ = 0;
};

}  // namespace rsm

#endif
