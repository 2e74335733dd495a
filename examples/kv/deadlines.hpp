// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The keys that have a deadline, the earliest first.
#ifndef RSM_EXAMPLES_KV_DEADLINES_HPP
#define RSM_EXAMPLES_KV_DEADLINES_HPP

#include "operation.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace kv {

/// Ordered by deadline, then by key, so that what is first is the same on all replicas.
class Deadlines {
public:
    /// @pre the key has none
    void insert(Time deadline, const std::string& key) {
        ordered_.emplace(deadline, key);
        key_bytes_ += key.size();
    }
    /// @pre it is there
    void erase(Time deadline, std::string_view key) {
        key_bytes_ -= key.size();
        ordered_.erase(ordered_.find(Place(deadline, key)));
    }

    std::size_t size() const noexcept { return ordered_.size(); }
    /// The earliest; `never` if there is none.
    Time first() const noexcept { return ordered_.empty() ? never : ordered_.begin()->first; }
    /// @pre there is one
    const std::string& first_key() const { return ordered_.begin()->second; }

    /// About how much memory they take.
    std::uint64_t bytes() const noexcept {
        constexpr std::uint64_t overhead_bytes = 88;
        return key_bytes_ + ordered_.size() * overhead_bytes;
    }

    /// Frees up to `count` of them. @return whether none is left
    bool free_some(std::size_t count) {
        for (; count != 0 && !ordered_.empty(); --count) ordered_.erase(ordered_.begin());
        return ordered_.empty();
    }

private:
    using Place = std::pair<Time, std::string_view>;
    struct Earlier {
        using is_transparent = void;
        template <class Left, class Right>
        bool operator()(const Left& left, const Right& right) const {
            if (left.first != right.first) return left.first < right.first;
            return left.second < right.second;
        }
    };

    std::set<std::pair<Time, std::string>, Earlier> ordered_;
    std::uint64_t key_bytes_ = 0;
};

}  // namespace kv

#endif
