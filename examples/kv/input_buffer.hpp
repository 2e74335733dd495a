// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Where a connection's bytes wait until they are parsed.
#ifndef RSM_EXAMPLES_KV_INPUT_BUFFER_HPP
#define RSM_EXAMPLES_KV_INPUT_BUFFER_HPP

#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace kv {

/// The bytes that a connection has received and not yet used, in one piece.
///
/// Memory stays within twice the bytes held plus one chunk, whatever lengths the peer announces;
/// each byte is moved a constant number of times on average.
/// Thread safety: one object is used from one thread at a time.
class InputBuffer {
public:
    std::string_view data() const noexcept { return {storage_.get() + begin_, end_ - begin_}; }

    /// Room to receive into, at least `chunk_bytes` of it. Invalidates data().
    std::span<char> prepare() {
        if (capacity_ - end_ < chunk_bytes) {
            make_room();
        }
        return {storage_.get() + end_, capacity_ - end_};
    }

    /// `count` bytes have been received into what prepare() gave, which must have been so large.
    void commit(std::size_t count) noexcept {
        assert(count <= capacity_ - end_);
        end_ += count;
    }

    /// Drops the first `count` bytes of data(), which must hold so many. The bytes that are left
    /// do not move.
    void consume(std::size_t count) noexcept {
        assert(count <= end_ - begin_);
        begin_ += count;
        if (begin_ == end_) {
            begin_ = end_ = 0;
            if (capacity_ > kept_bytes_max) {
                storage_.reset();  // An idle connection does not keep what one request needed.
                capacity_ = 0;
            }
        }
    }

    std::size_t capacity() const noexcept { return capacity_; }

    /// By how much prepare() will raise capacity().
    std::size_t growth() const noexcept {
        if (capacity_ - end_ >= chunk_bytes || fits_in_front()) return 0;
        return grown_capacity() - capacity_;
    }

    /// Drops all bytes and gives the memory back.
    void release() noexcept {
        storage_.reset();
        capacity_ = begin_ = end_ = 0;
    }

    static constexpr std::size_t chunk_bytes = 16 * 1024;
    static constexpr std::size_t kept_bytes_max = 256 * 1024;

private:
    // Moving to the front is paid for by the bytes consumed since the last move, so it is done
    // only if there are at least as many of them as there are bytes to be moved.
    bool fits_in_front() const noexcept {
        const std::size_t held = end_ - begin_;
        return begin_ >= held && capacity_ - held >= chunk_bytes;
    }
    // Never less than the capacity, or there would have been room.
    std::size_t grown_capacity() const noexcept { return 2 * (end_ - begin_) + chunk_bytes; }

    void make_room() {
        const std::size_t held = end_ - begin_;
        if (fits_in_front()) {
            std::memmove(storage_.get(), storage_.get() + begin_, held);
        } else {
            const std::size_t capacity = grown_capacity();
            auto storage = std::make_unique_for_overwrite<char[]>(capacity);
            if (held != 0) {
                std::memcpy(storage.get(), storage_.get() + begin_, held);
            }
            storage_ = std::move(storage);
            capacity_ = capacity;
        }
        begin_ = 0;
        end_ = held;
    }

    std::unique_ptr<char[]> storage_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;  // begin_ <= end_ <= capacity_
    std::size_t end_ = 0;
};

}  // namespace kv

#endif
