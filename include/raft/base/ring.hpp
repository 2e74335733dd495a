// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A queue in blocks: it never moves what is in it, however long it gets, and in steady state
// neither end allocates, which a std::deque cannot promise.
#ifndef RSM_RAFT_BASE_RING_HPP
#define RSM_RAFT_BASE_RING_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Any element is one index away. Popped elements are overwritten with T{} at once, so that what
/// they own is let go; of the blocks that are empty, all but a few are given back.
template <class T>
class Ring {
public:
    Ring() = default;
    Ring(const Ring& other) { append(other); }
    Ring(Ring&& other) noexcept { swap(other); }
    Ring& operator=(Ring other) noexcept {
        swap(other);
        return *this;
    }
    ~Ring() = default;

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    /// @pre position < size()
    T& operator[](std::size_t position) { return slot(position); }
    const T& operator[](std::size_t position) const { return slot(position); }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }

    void push_back(T value) {
        const std::size_t end = first_ + size_;
        if (end % block_size == 0) add_block(end / block_size);
        ++size_;
        back() = std::move(value);
    }
    /// @pre !empty()
    void pop_front() {
        front() = T{};
        --size_;
        if (++first_ < block_size) return;
        set_aside(blocks_[first_block_]);
        first_block_ = place(1);
        first_ = 0;
    }
    /// @pre !empty()
    void pop_back() {
        back() = T{};
        --size_;
        const std::size_t end = first_ + size_;
        if (end % block_size == 0) set_aside(blocks_[place(end / block_size)]);
    }
    void clear() {
        while (!empty()) pop_back();
    }

    friend bool operator==(const Ring& left, const Ring& right) {
        if (left.size_ != right.size_) return false;
        for (std::size_t i = 0; i < left.size_; ++i) {
            if (!(left[i] == right[i])) return false;
        }
        return true;
    }

private:
    static constexpr std::size_t block_size = 16;
    using Block = std::array<T, block_size>;
    using BlockPtr = std::unique_ptr<Block>;

    T& slot(std::size_t position) const {
        const std::size_t at = first_ + position;
        return (*blocks_[place(at / block_size)])[at % block_size];
    }
    // The number of places is 0 or a power of two, so that a mask does the wrapping.
    std::size_t place(std::size_t block) const {
        return (first_block_ + block) & (blocks_.size() - 1);
    }
    /// @param block  its number from the first one on: as many as there are
    void add_block(std::size_t block) {
        if (block == blocks_.size()) add_places();
        BlockPtr& added = blocks_[place(block)];
        if (spares_.empty()) {
            added = std::make_unique<Block>();
        } else {
            added = std::move(spares_.back());
            spares_.pop_back();
        }
    }
    // There is room for it: pops allocate nothing.
    void set_aside(BlockPtr& block) noexcept {
        if (spares_.size() < spares_.capacity()) spares_.push_back(std::move(block));
        block = nullptr;
    }
    void add_places() {
        std::vector<BlockPtr> more(std::max<std::size_t>(2, blocks_.size() * 2));
        constexpr std::size_t most_spares = 64;
        spares_.reserve(std::min(most_spares, more.size()));
        for (std::size_t i = 0; i < blocks_.size(); ++i) more[i] = std::move(blocks_[place(i)]);
        blocks_ = std::move(more);
        first_block_ = 0;
    }
    void append(const Ring& other) {
        for (std::size_t i = 0; i < other.size_; ++i) push_back(other[i]);
    }
    void swap(Ring& other) noexcept {
        std::swap(blocks_, other.blocks_);
        std::swap(spares_, other.spares_);
        std::swap(first_block_, other.first_block_);
        std::swap(first_, other.first_);
        std::swap(size_, other.size_);
    }

    std::vector<BlockPtr> blocks_;
    std::vector<BlockPtr> spares_;
    std::size_t first_block_ = 0;
    std::size_t first_ = 0;  // within it
    std::size_t size_ = 0;
};

}  // namespace raft

#endif
