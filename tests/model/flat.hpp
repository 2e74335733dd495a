// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The containers that decide how far a gigabyte reaches: sets and maps of 64-bit keys in one
// array, and queues in blocks that are given back as they are read.
#ifndef RSM_TESTS_MODEL_FLAT_HPP
#define RSM_TESTS_MODEL_FLAT_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace model {

/// A set of keys that are well mixed already; 0 counts as 1.
class KeySet {
public:
    KeySet() : slots_(1024) {}

    /// Whether the key is new.
    bool insert(std::uint64_t key) {
        key += key == 0;
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        std::uint64_t& slot = find(key);
        if (slot == key) return false;
        slot = key;
        ++size_;
        return true;
    }
    bool contains(std::uint64_t key) {
        key += key == 0;
        return find(key) == key;
    }
    void prefetch(std::uint64_t key) const { __builtin_prefetch(&slots_[key & mask()]); }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return slots_.size() * sizeof(std::uint64_t); }
    /// What an insertion may need beside that for a moment.
    std::size_t bytes_to_grow() const {
        return (size_ + 1) * 4 > slots_.size() * 3 ? 2 * bytes() : 0;
    }

private:
    std::size_t mask() const { return slots_.size() - 1; }
    std::uint64_t& find(std::uint64_t key) {
        std::size_t at = key & mask();
        while (slots_[at] != 0 && slots_[at] != key) at = (at + 1) & mask();
        return slots_[at];
    }
    void grow() {
        std::vector<std::uint64_t> old(slots_.size() * 2);
        old.swap(slots_);
        for (const std::uint64_t key : old) {
            if (key != 0) find(key) = key;
        }
    }

    std::vector<std::uint64_t> slots_;
    std::size_t size_ = 0;
};

/// A map from any keys but the greatest to numbers.
class KeyMap {
public:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    KeyMap() : slots_(1024) {}

    /// The number of this key, to be set by the caller where it is `none`. Valid until the next
    /// call.
    std::uint32_t& operator[](std::uint64_t key) {
        if ((size_ + 1) * 3 > slots_.size() * 2) grow();
        Slot& slot = find(key);
        if (slot.key != key) {
            slot.key = key;
            ++size_;
        }
        return slot.number;
    }
    std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

private:
    struct Slot {
        std::uint64_t key = ~std::uint64_t{0};
        std::uint32_t number = none;
    };
    Slot& find(std::uint64_t key) {
        std::uint64_t mixed = key * 0x9e3779b97f4a7c15ULL;
        mixed ^= mixed >> 32;
        std::size_t at = mixed & (slots_.size() - 1);
        while (slots_[at].key != key && slots_[at].key != ~std::uint64_t{0}) {
            at = (at + 1) & (slots_.size() - 1);
        }
        return slots_[at];
    }
    void grow() {
        std::vector<Slot> old(slots_.size() * 2);
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.key != ~std::uint64_t{0}) find(slot.key) = slot;
        }
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

/// First in, first out, in blocks that are freed behind the reader.
class RecordQueue {
public:
    void push(std::span<const std::uint32_t> record) {
        const std::size_t needed = record.size() + 1;
        if (blocks_.empty() || written_ + needed > block_words) {
            if (!blocks_.empty() && written_ < block_words) blocks_.back()[written_] = 0;
            blocks_.push_back(std::make_unique<std::uint32_t[]>(block_words));
            written_ = 0;
        }
        std::uint32_t* to = blocks_.back().get() + written_;
        *to++ = static_cast<std::uint32_t>(record.size());
        for (const std::uint32_t word : record) *to++ = word;
        written_ += needed;
    }
    /// @pre there is one; `out` holds it afterwards
    void pop(std::vector<std::uint32_t>& out) {
        if (read_ == block_words || blocks_.front()[read_] == 0) {
            blocks_.pop_front();
            read_ = 0;
        }
        const std::uint32_t* from = blocks_.front().get() + read_;
        out.assign(from + 1, from + 1 + *from);
        read_ += *from + 1;
    }
    std::size_t bytes() const { return blocks_.size() * block_words * sizeof(std::uint32_t); }

private:
    static constexpr std::size_t block_words = std::size_t{1} << 18;
    std::deque<std::unique_ptr<std::uint32_t[]>> blocks_;
    std::size_t written_ = 0;
    std::size_t read_ = 0;
};

/// A vector that grows without copying what it holds.
class BlockVector {
public:
    void push_back(std::uint64_t value) {
        if (size_ % block == 0) blocks_.push_back(std::make_unique<std::uint64_t[]>(block));
        blocks_.back()[size_++ % block] = value;
    }
    std::uint64_t operator[](std::size_t at) const { return blocks_[at / block][at % block]; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return blocks_.size() * block * sizeof(std::uint64_t); }

private:
    static constexpr std::size_t block = std::size_t{1} << 17;
    std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
    std::size_t size_ = 0;
};

}  // namespace model

#endif
