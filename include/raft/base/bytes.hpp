// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bytes: a shared, immutable slice of memory. An operation's bytes are written once, on arrival;
// the log, the wire, the disk and the state machine then share the same block.
#ifndef RSM_RAFT_BASE_BYTES_HPP
#define RSM_RAFT_BASE_BYTES_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace raft::inline v0 {

namespace detail {

/// The block that slices share: a count of references followed by the bytes, in one allocation.
struct Block {
    std::atomic<std::uint32_t> references{1};
    std::size_t size = 0;

    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }

    static Block* create(std::size_t size) {
        void* memory = ::operator new(sizeof(Block) + size);
        Block* block = new (memory) Block;
        block->size = size;
        return block;
    }
    void acquire() { references.fetch_add(1, std::memory_order_relaxed); }
    void release() {
        // Acquire-release: the thread that frees must see all reads of the others as done.
        if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            this->~Block();
            ::operator delete(this);
        }
    }
};

}  // namespace detail

/// The bytes of a text. (What std::span deduces from a range takes long to compile.)
inline std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// An immutable slice of a shared block. Copying shares, slicing shares, nothing copies bytes.
///
/// Thread safety: distinct objects may be used, copied and destroyed by different threads even
/// when they share a block; one object from one thread at a time.
class Bytes {
public:
    Bytes() = default;
    Bytes(const Bytes& other) : block_(other.block_), data_(other.data_), size_(other.size_) {
        if (block_ != nullptr) block_->acquire();
    }
    Bytes(Bytes&& other) noexcept
        : block_(std::exchange(other.block_, nullptr)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Bytes& operator=(Bytes other) noexcept {
        std::swap(block_, other.block_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Bytes() {
        if (block_ != nullptr) block_->release();
    }

    /// A new block with a copy of `source`: the one copy that an operation's bytes see.
    static Bytes copy_of(std::span<const std::byte> source) {
        if (source.empty()) return {};
        detail::Block* block = detail::Block::create(source.size());
        std::memcpy(block->data(), source.data(), source.size());
        return Bytes(block, block->data(), source.size());
    }
    static Bytes copy_of(std::string_view text) { return copy_of(bytes_of(text)); }

    const std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    std::span<const std::byte> view() const { return {data_, size_}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

    /// The slice [offset, offset + count) of this one. @pre offset + count <= size()
    Bytes slice(std::size_t offset, std::size_t count) const {
        if (count == 0) return {};
        block_->acquire();
        return Bytes(block_, data_ + offset, count);
    }

    friend bool operator==(const Bytes& left, const Bytes& right) {
        return left.text() == right.text();
    }

private:
    friend class Buffer;
    Bytes(detail::Block* block, const std::byte* data, std::size_t size)
        : block_(block), data_(data), size_(size) {}

    detail::Block* block_ = nullptr;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A block under construction, with one writer: bytes that have been written may be shared as
/// Bytes while later ones are still being filled in, because the two never overlap.
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t size) : block_(detail::Block::create(size)) {}
    Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~Buffer() {
        if (block_ != nullptr) block_->release();
    }

    std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
    std::byte* data() { return block_ == nullptr ? nullptr : block_->data(); }
    const std::byte* data() const { return block_ == nullptr ? nullptr : block_->data(); }
    std::span<std::byte> writable() { return {data(), size()}; }

    /// Shares [offset, offset + count), which the writer must not touch again.
    /// @pre offset + count <= size()
    Bytes share(std::size_t offset, std::size_t count) const {
        if (count == 0) return {};
        block_->acquire();
        return Bytes(block_, block_->data() + offset, count);
    }

private:
    detail::Block* block_ = nullptr;
};

}  // namespace raft

#endif
