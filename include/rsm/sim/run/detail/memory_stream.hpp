// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A state's bytes in memory.
#ifndef RSM_SIM_RUN_DETAIL_MEMORY_STREAM_HPP
#define RSM_SIM_RUN_DETAIL_MEMORY_STREAM_HPP

#include <raft/base/stream.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace rsm::inline v0::sim::detail {

class MemorySink final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> more) override {
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    std::vector<std::byte> bytes;
};

/// Of bytes that outlive it.
class MemorySource final : public raft::ByteSource {
public:
    explicit MemorySource(std::span<const std::byte> bytes) : left_(bytes) {}
    std::size_t read(std::span<std::byte> out) override {
        const std::size_t count = std::min(out.size(), left_.size());
        std::copy_n(left_.begin(), count, out.begin());
        left_ = left_.subspan(count);
        return count;
    }

private:
    std::span<const std::byte> left_;
};

}  // namespace rsm::sim::detail

#endif
