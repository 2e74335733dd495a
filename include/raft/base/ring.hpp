// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A queue in one growing circular array: in steady state neither end allocates, which a
// std::deque cannot promise, and any element is one index away.
#ifndef RSM_RAFT_BASE_RING_HPP
#define RSM_RAFT_BASE_RING_HPP

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Popped elements are overwritten with T{} at once, so that what they own is let go.
template <class T>
class Ring {
public:
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    /// @pre position < size()
    T& operator[](std::size_t position) { return slots_[slot(position)]; }
    const T& operator[](std::size_t position) const { return slots_[slot(position)]; }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }

    void push_back(T value) {
        if (size_ == slots_.size()) grow();
        slots_[slot(size_)] = std::move(value);
        ++size_;
    }
    /// @pre !empty()
    void pop_front() {
        slots_[first_] = T{};
        first_ = slot(1);
        --size_;
    }
    /// @pre !empty()
    void pop_back() {
        back() = T{};
        --size_;
    }
    void clear() {
        while (!empty()) pop_back();
        first_ = 0;
    }

    friend bool operator==(const Ring& left, const Ring& right) {
        if (left.size_ != right.size_) return false;
        for (std::size_t i = 0; i < left.size_; ++i) {
            if (!(left[i] == right[i])) return false;
        }
        return true;
    }

private:
    // The number of slots is 0 or a power of two, so that a mask does the wrapping.
    std::size_t slot(std::size_t position) const {
        return (first_ + position) & (slots_.size() - 1);
    }
    void grow() {
        std::vector<T> larger(std::max<std::size_t>(8, slots_.size() * 2));
        for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
        slots_ = std::move(larger);
        first_ = 0;
    }

    std::vector<T> slots_;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

}  // namespace raft

#endif
