// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A state of the whole cluster, as numbers. Beside nodes and messages it holds what an observer
// remembers: what has been committed, who has led which term, and what each read that is asked must
// see.
#ifndef RSM_TESTS_MODEL_STATE_HPP
#define RSM_TESTS_MODEL_STATE_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace model {

/// What has been used up of the bounds, four bits each.
enum class Resource : std::uint8_t {
    operations,
    reads,
    crashes,
    snapshots,
    duplicates,
    heartbeats,
    changes,
    lapses,
};

struct State {
    std::array<std::uint32_t, 6> nodes{};
    std::uint32_t spent = 0;
    std::uint64_t committed = 0;  // a History
    std::uint32_t reads = 0;      // for each one more than it must see, four bits; 0: not asked
    std::uint32_t leaders = 0;    // of each term, four bits; 0: none yet
    std::vector<std::uint32_t> messages;  // sorted, each once

    std::uint32_t used(Resource resource) const {
        return (spent >> (4 * static_cast<unsigned>(resource))) & 15U;
    }
    void use(Resource resource) { spent += 1U << (4 * static_cast<unsigned>(resource)); }

    void pack(std::uint32_t node_count, std::vector<std::uint32_t>& words) const {
        words.assign(nodes.begin(), nodes.begin() + node_count);
        words.insert(words.end(), {spent, static_cast<std::uint32_t>(committed),
                                   static_cast<std::uint32_t>(committed >> 32U), reads, leaders});
        words.insert(words.end(), messages.begin(), messages.end());
    }
    void unpack(std::uint32_t node_count, const std::vector<std::uint32_t>& words) {
        std::copy_n(words.begin(), node_count, nodes.begin());
        const std::uint32_t* word = words.data() + node_count;
        spent = word[0];
        committed = word[1] | (static_cast<std::uint64_t>(word[2]) << 32U);
        reads = word[3];
        leaders = word[4];
        messages.assign(word + 5, words.data() + words.size());
    }
};

}  // namespace model

#endif
