// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A fuzzer's input as a series of decisions.
#ifndef RSM_FUZZ_SUPPORT_INPUT_HPP
#define RSM_FUZZ_SUPPORT_INPUT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fuzz {

/// Reads numbers and texts from the front of the bytes; behind their end all is 0. Small numbers
/// take few bytes, so that a change of a byte is a change of one decision.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

    bool empty() const { return left_.empty(); }
    std::size_t size() const { return left_.size(); }

    std::uint8_t byte() {
        if (left_.empty()) return 0;
        const std::uint8_t value = left_.front();
        left_ = left_.subspan(1);
        return value;
    }
    bool flag() { return byte() % 2 != 0; }
    /// In [0, bound). @pre 0 < bound
    std::size_t below(std::size_t bound) {
        std::size_t value = byte();
        for (std::size_t most = 256; most < bound; most *= 256) value = value * 256 + byte();
        return value % bound;
    }
    std::uint64_t word() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8; ++i) value = value << 8 | byte();
        return value;
    }
    /// At most so many bytes of what is left.
    std::string_view text(std::size_t most) {
        const std::size_t count = std::min(most, left_.size());
        const std::string_view taken(reinterpret_cast<const char*>(left_.data()), count);
        left_ = left_.subspan(count);
        return taken;
    }
    std::string_view rest() { return text(left_.size()); }

private:
    std::span<const std::uint8_t> left_;
};

}  // namespace fuzz

#endif
