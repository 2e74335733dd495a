// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A disk in memory whose operations a test holds back and lets go.
#ifndef RSM_TESTS_SUPPORT_HELD_DISK_HPP
#define RSM_TESTS_SUPPORT_HELD_DISK_HPP

#include <rsm/storage/memory.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

namespace rsm_test {

class HeldDisk : public rsm::MemoryDisk {
public:
    HeldDisk()
        : MemoryDisk([this](std::function<void()> operation) {
              if (!holding_) return operation();
              held_.push_back(std::move(operation));
          }) {}

    /// From now on nothing takes effect and nothing completes until it is released.
    void hold() { holding_ = true; }
    /// Lets the oldest held operation take effect and complete. False where none is held.
    bool release_one() {
        if (held_.empty()) return false;
        const auto operation = std::move(held_.front());
        held_.pop_front();
        operation();
        return true;
    }
    /// Ends hold(): releases what is held, and holds no longer.
    void release_all() {
        holding_ = false;
        while (release_one()) {}
    }
    std::size_t held() const { return held_.size(); }

private:
    bool holding_ = false;
    std::deque<std::function<void()>> held_;
};

}  // namespace rsm_test

#endif
