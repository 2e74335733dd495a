// Distributed under the Boost Software License, Version 1.0. See LICENSE.

// What the linearizability search remembers: the configurations that it has been in, exactly and
// compactly.

#ifndef RSM_CHECK_DETAIL_MEMO_HPP
#define RSM_CHECK_DETAIL_MEMO_HPP

#include <rsm/check/sequential_model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rsm::inline v0::check::detail {

/// A bijection that spreads its argument over all bits (the finalizer of splitmix64).
inline std::uint64_t spread(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
}

/// A set of word sequences: an open-addressing table of hashes over blocks that hold the words.
/// Membership is exact: equal hashes are followed by a comparison of the words, so that a collision
/// can never turn into a wrong verdict.
class Memo {
public:
    enum class Insertion : std::uint8_t { added, present, full };

    /// Adds `words` unless present. `full` leaves the memo unchanged: adding would have taken more
    /// than `bytes_max`, old and new table counted together while one replaces the other.
    Insertion insert(std::uint64_t hash, std::span<const std::uint32_t> words,
                     std::size_t bytes_max) {
        bytes_peak_ = bytes_;
        if (!slots_.empty() && slots_[find(hash, words)].block != no_block) {
            return Insertion::present;
        }
        if ((size_ + 1) * 2 > slots_.size() && !grow(bytes_max)) {
            return Insertion::full;
        }
        if (!reserve(words.size() + 1, bytes_max)) {
            return Insertion::full;
        }
        const auto block = static_cast<std::uint32_t>(blocks_.size() - 1);
        std::uint32_t* const entry = blocks_.back().get() + used_;
        entry[0] = static_cast<std::uint32_t>(words.size());
        std::copy(words.begin(), words.end(), entry + 1);
        slots_[find(hash, words)] = {hash, block, static_cast<std::uint32_t>(used_)};
        used_ += words.size() + 1;
        ++size_;
        return Insertion::added;
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    /// The most that bytes() has been during the last insertion.
    [[nodiscard]] std::size_t bytes_peak() const { return bytes_peak_; }

private:
    static constexpr std::uint32_t no_block = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::size_t block_words_max = std::size_t{1} << 16;

    struct Slot {
        std::uint64_t hash = 0;
        std::uint32_t block = no_block;
        std::uint32_t offset = 0;
    };

    [[nodiscard]] std::size_t find(std::uint64_t hash, std::span<const std::uint32_t> words) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t position = static_cast<std::size_t>(hash) & mask;
        while (slots_[position].block != no_block) {
            const Slot& slot = slots_[position];
            const std::uint32_t* const entry = blocks_[slot.block].get() + slot.offset;
            if (slot.hash == hash && entry[0] == words.size() &&
                std::equal(words.begin(), words.end(), entry + 1)) {
                break;
            }
            position = (position + 1) & mask;
        }
        return position;
    }

    [[nodiscard]] bool take(std::size_t bytes, std::size_t bytes_max) {
        if (bytes_ > bytes_max || bytes > bytes_max - bytes_) {
            return false;
        }
        bytes_ += bytes;
        bytes_peak_ = std::max(bytes_peak_, bytes_);
        return true;
    }

    [[nodiscard]] bool grow(std::size_t bytes_max) {
        const std::size_t count = std::max<std::size_t>(16, slots_.size() * 2);
        if (!take(count * sizeof(Slot), bytes_max)) {
            return false;
        }
        std::vector<Slot> old(count);
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.block != no_block) {
                std::size_t position = static_cast<std::size_t>(slot.hash) & (count - 1);
                while (slots_[position].block != no_block) {
                    position = (position + 1) & (count - 1);
                }
                slots_[position] = slot;
            }
        }
        bytes_ -= old.size() * sizeof(Slot);
        return true;
    }

    [[nodiscard]] bool reserve(std::size_t words, std::size_t bytes_max) {
        if (!blocks_.empty() && words <= capacity_ - used_) {
            return true;
        }
        const std::size_t count =
            std::max(words, std::clamp<std::size_t>(capacity_ * 2, 64, block_words_max));
        if (count >= no_block || !take(count * sizeof(std::uint32_t) + sizeof(void*), bytes_max)) {
            return false;
        }
        blocks_.push_back(std::make_unique<std::uint32_t[]>(count));
        capacity_ = count;
        used_ = 0;
        return true;
    }

    std::vector<Slot> slots_;  // size is 0 or a power of two, and at least twice size_
    std::vector<std::unique_ptr<std::uint32_t[]>> blocks_;
    std::size_t capacity_ = 0;  // words in the last block
    std::size_t used_ = 0;      // of them
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::size_t bytes_peak_ = 0;
};

/// Gives each distinct state a number, so that the memo holds numbers and comparing states is
/// comparing numbers.
template <class Model>
class StateTable {
public:
    using State = typename Model::State;

    explicit StateTable(const Model& model) : model_(model) {}

    std::uint32_t number_of(State&& state) {
        const auto hash = static_cast<std::uint64_t>(model_.hash(state));
        const auto [first, added] =
            first_.try_emplace(hash, static_cast<std::uint32_t>(states_.size()));
        if (!added) {
            std::uint32_t number = first->second;
            while (number != none) {
                if (states_[number].state == state) {
                    return number;
                }
                number = states_[number].same_hash;
            }
        }
        const auto number = static_cast<std::uint32_t>(states_.size());
        bytes_ += sizeof(Entry) + entry_overhead + state_bytes(model_, state);
        states_.push_back({std::move(state), added ? none : std::exchange(first->second, number)});
        return number;
    }

    const State& operator[](std::uint32_t number) const { return states_[number].state; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::size_t entry_overhead =
        64;  // estimate of what the hash map spends on one state

    struct Entry {
        State state;
        std::uint32_t same_hash;  // next state with the same hash, or none
    };

    const Model& model_;
    std::deque<Entry> states_;
    std::unordered_map<std::uint64_t, std::uint32_t> first_;
    std::size_t bytes_ = 0;
};

}  // namespace rsm::check::detail

#endif  // RSM_CHECK_DETAIL_MEMO_HPP
