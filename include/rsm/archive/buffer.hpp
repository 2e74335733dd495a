// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Archives in memory.
#ifndef RSM_ARCHIVE_BUFFER_HPP
#define RSM_ARCHIVE_BUFFER_HPP

#include <rsm/archive/errors.hpp>
#include <rsm/archive/input.hpp>
#include <rsm/archive/output.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// An archive that writes to memory of its own, which grows by doubling and can be used again.
class BufferWriter final : public OutputArchive {
public:
    BufferWriter() = default;

    /// The bytes that were written; valid until the next write, `clear` or `take`.
    std::span<const std::byte> view() const noexcept {
        return {begin_, static_cast<std::size_t>(size())};
    }

    /// Forgets the bytes and keeps the memory.
    void clear() noexcept {
        next_ = begin_;
        any_order_ = false;
    }

    /// Hands over the bytes and leaves the writer empty and without memory.
    std::vector<std::byte> take() {
        storage_.resize(static_cast<std::size_t>(size()));
        begin_ = next_ = end_ = nullptr;
        return std::exchange(storage_, {});
    }

private:
    void make_room(std::size_t count) override {
        constexpr std::size_t first_capacity = 256;
        const auto used = static_cast<std::size_t>(size());
        storage_.resize(std::max({first_capacity, used + count, 2 * storage_.size()}));
        begin_ = storage_.data();
        next_ = begin_ + used;
        end_ = begin_ + storage_.size();
    }

    void write_beyond_room(std::span<const std::byte> bytes) override {
        make_room(bytes.size());
        write(bytes);
    }

    std::vector<std::byte> storage_;
};

/// An archive that reads from bytes that belong to the caller and must outlive it. Nothing is
/// copied but the values.
class BufferReader final : public InputArchive {
public:
    explicit BufferReader(std::span<const std::byte> bytes) noexcept {
        begin_ = next_ = bytes.data();
        end_ = begin_ + bytes.size();
    }

    /// The bytes that are left.
    std::span<const std::byte> rest() const noexcept { return {next_, available()}; }

private:
    void make_available(std::size_t) override { fail(ArchiveErrc::truncated); }
    void read_beyond_available(std::span<std::byte>) override { fail(ArchiveErrc::truncated); }
};

}  // namespace rsm

#endif
