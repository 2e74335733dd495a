// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a store has held before all its keys were deleted at once.
#ifndef RSM_EXAMPLES_KV_LEFTOVERS_HPP
#define RSM_EXAMPLES_KV_LEFTOVERS_HPP

#include "deadlines.hpp"
#include "hash_order.hpp"

#include <cstddef>
#include <deque>
#include <utility>

namespace kv {

/// Memory that is still to be freed, little by little, because to free a million keys takes as long
/// as to delete them one by one. It is no part of a state: a copy has nothing of it.
template <class Remains>
class Leftovers {
public:
    Leftovers() = default;
    Leftovers(const Leftovers&) {}
    Leftovers(Leftovers&&) = default;
    Leftovers& operator=(const Leftovers&) { return *this; }
    Leftovers& operator=(Leftovers&&) = default;
    ~Leftovers() = default;

    void add(Remains entries, HashOrder order, Deadlines deadlines) {
        heaps_.push_back({std::move(entries), std::move(order), std::move(deadlines)});
    }
    bool empty() const noexcept { return heaps_.empty(); }

    /// Frees about `count` keys.
    void free_some(std::size_t count) {
        if (heaps_.empty()) return;
        Heap& oldest = heaps_.front();
        const bool entries = oldest.entries.free_some(count);
        const bool order = oldest.order.free_some(count);
        const bool deadlines = oldest.deadlines.free_some(count);
        if (entries && order && deadlines) heaps_.pop_front();
    }

private:
    struct Heap {
        Remains entries;
        HashOrder order;
        Deadlines deadlines;
    };
    std::deque<Heap> heaps_;
};

}  // namespace kv

#endif
