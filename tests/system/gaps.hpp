// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// For how long a service did not do its work, by what was done to it meanwhile.
#ifndef RSM_TESTS_SYSTEM_GAPS_HPP
#define RSM_TESTS_SYSTEM_GAPS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace system_test {

/// In nanoseconds.
class Gaps {
public:
    void add(const std::string& kind, std::int64_t gap) { gaps_[kind].push_back(gap); }

    std::vector<std::string> kinds() const {
        std::vector<std::string> names;
        for (const auto& [kind, gaps] : gaps_) names.push_back(kind);
        return names;
    }
    std::int64_t longest(const std::string& kind) const {
        const auto found = gaps_.find(kind);
        return found == gaps_.end() ? 0 : std::ranges::max(found->second);
    }
    /// Of all of these kinds together.
    std::int64_t median(const std::vector<std::string>& kinds) const {
        std::vector<std::int64_t> all;
        for (const std::string& kind : kinds) {
            const auto found = gaps_.find(kind);
            if (found != gaps_.end())
                all.insert(all.end(), found->second.begin(), found->second.end());
        }
        return all.empty() ? 0 : median_of(std::move(all));
    }

    void print() const {
        if (gaps_.empty()) return;
        std::cout << "without an acknowledged write:           times   median  longest\n";
        for (const auto& [kind, gaps] : gaps_) {
            std::cout << "  " << std::left << std::setw(38) << kind << std::right << std::setw(6)
                      << gaps.size() << in_ms(median_of(gaps)) << in_ms(std::ranges::max(gaps))
                      << '\n';
        }
        std::cout << std::flush;
    }

    static std::string in_ms(std::int64_t gap) {
        std::string text = std::to_string(gap / 1'000'000) + " ms";
        if (text.size() < 9) text.insert(0, 9 - text.size(), ' ');
        return text;
    }

private:
    static std::int64_t median_of(std::vector<std::int64_t> gaps) {
        const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
        std::ranges::nth_element(gaps, middle);
        return *middle;
    }

    std::map<std::string, std::vector<std::int64_t>> gaps_;  // no list is empty
};

}  // namespace system_test

#endif
