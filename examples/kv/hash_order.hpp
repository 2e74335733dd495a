// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The hashes of a table's keys in ascending order: an order of the keys that does not depend on how
// the table lies in memory.
#ifndef RSM_EXAMPLES_KV_HASH_ORDER_HPP
#define RSM_EXAMPLES_KV_HASH_ORDER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace kv {

/// A sorted set of 64-bit hashes, each as often as it was inserted, in chunks that are not sorted
/// in themselves: some 12 bytes for each, and an insertion that fetches little from memory.
///
/// A *position* is what a cursor shows of a hash: its first 53 bits, which also those clients keep
/// that have floating-point numbers only. Hashes of one position are in one chunk.
class HashOrder {
public:
    static constexpr unsigned position_bits = 53;
    static constexpr std::uint64_t position_of(std::uint64_t hash) {
        return hash >> (64 - position_bits);
    }
    static constexpr std::uint64_t first_of(std::uint64_t position) {
        return position << (64 - position_bits);
    }

    HashOrder() = default;
    /// Of many at once, which takes a small part of what as many insertions do.
    explicit HashOrder(std::vector<std::uint64_t> hashes) {
        std::sort(hashes.begin(), hashes.end());
        Chunk* chunk = &chunks_.begin()->second;
        for (auto hash = hashes.begin(); hash != hashes.end(); ++hash) {
            const std::uint64_t bound = first_of(position_of(*hash));
            if (chunk->size() >= chunk_max / 2 && chunk->back() < bound) {
                chunk = &chunks_.emplace_hint(chunks_.end(), bound, Chunk())->second;
                const auto left = static_cast<std::size_t>(hashes.end() - hash);
                chunk->reserve(std::min(left, chunk_max / 2));
            }
            chunk->push_back(*hash);
        }
    }

    void insert(std::uint64_t hash) {
        const auto place = chunk_of(hash);
        place->second.push_back(hash);
        if (place->second.size() > chunk_max) split(place);
    }

    /// @pre it is there
    void erase(std::uint64_t hash) {
        const auto place = chunk_of(hash);
        Chunk& chunk = place->second;
        *std::find(chunk.begin(), chunk.end(), hash) = chunk.back();
        chunk.pop_back();
        if (chunk.empty() && place->first != 0) chunks_.erase(place);
    }

    /// The next hashes from that position on, in ascending order: `count`, and more of them up to
    /// the end of a chunk. Fewer than `count`: there are no more.
    std::vector<std::uint64_t> from(std::uint64_t position, std::size_t count) const {
        std::vector<std::uint64_t> hashes;
        const std::uint64_t first = first_of(position);
        for (auto place = std::prev(chunks_.upper_bound(first));
             place != chunks_.end() && hashes.size() < count; ++place) {
            const auto begin = static_cast<std::ptrdiff_t>(hashes.size());
            std::copy_if(place->second.begin(), place->second.end(), std::back_inserter(hashes),
                         [first](std::uint64_t hash) { return hash >= first; });
            std::sort(hashes.begin() + begin, hashes.end());
        }
        return hashes;
    }

    /// Frees up to about `count` hashes, in no particular order. @return whether none is left
    bool free_some(std::size_t count) {
        for (std::size_t freed = 0; freed < count && !chunks_.empty();) {
            freed += chunks_.begin()->second.size() + 1;
            chunks_.erase(chunks_.begin());
        }
        return chunks_.empty();
    }

private:
    using Chunk = std::vector<std::uint64_t>;
    static constexpr std::size_t chunk_max = 128;

    std::map<std::uint64_t, Chunk>::iterator chunk_of(std::uint64_t hash) {
        return std::prev(chunks_.upper_bound(hash));
    }

    // Into halves, as far as positions allow: one whose hashes are all of one position stays.
    void split(std::map<std::uint64_t, Chunk>::iterator place) {
        Chunk& chunk = place->second;
        const auto middle = chunk.begin() + static_cast<std::ptrdiff_t>(chunk.size() / 2);
        std::nth_element(chunk.begin(), middle, chunk.end());
        const std::uint64_t bound = first_of(position_of(*middle));
        const auto upper = std::partition(chunk.begin(), chunk.end(),
                                          [bound](std::uint64_t hash) { return hash < bound; });
        if (upper == chunk.begin()) return;
        chunks_.emplace(bound, Chunk(upper, chunk.end()));
        chunk.erase(upper, chunk.end());
    }

    // By the least hash that may be in it. The first one, from 0, is always there.
    std::map<std::uint64_t, Chunk> chunks_{{0, {}}};
};

}  // namespace kv

#endif
