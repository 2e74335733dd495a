// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Archives that stream: what a state machine writes its snapshots to and reads them from.
#ifndef RSM_ARCHIVE_SNAPSHOT_HPP
#define RSM_ARCHIVE_SNAPSHOT_HPP

#include <raft/base/stream.hpp>
#include <rsm/archive/errors.hpp>
#include <rsm/archive/input.hpp>
#include <rsm/archive/output.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace rsm::inline v0 {

/// What is usual.
inline constexpr std::size_t snapshot_buffer_bytes = 64 * 1024;

/// An archive that hands its bytes to a sink in pieces of about `snapshot_buffer_bytes`, so that a
/// snapshot of any size takes that much memory. Larger blocks, such as long strings, go to the sink
/// directly and are not copied.
class SnapshotWriter final : public OutputArchive {
public:
    /// The sink must outlive the writer. `buffer_bytes` is raised to 16 if it is less.
    explicit SnapshotWriter(raft::ByteSink& sink, std::size_t buffer_bytes = snapshot_buffer_bytes)
        : sink_(sink), buffer_(std::max(buffer_bytes, std::size_t{16})) {
        begin_ = next_ = buffer_.data();
        end_ = begin_ + buffer_.size();
    }

    /// Hands what is left in the buffer to the sink. Without this call the last piece is lost: a
    /// writer that goes out of scope, for example because the user's function threw, leaves the
    /// snapshot unfinished on purpose.
    void flush() {
        if (next_ != begin_) {
            const auto count = static_cast<std::size_t>(next_ - begin_);
            sink_.write({begin_, count});
            flushed_ += count;
            next_ = begin_;
        }
    }

private:
    void make_room(std::size_t) override { flush(); }

    void write_beyond_room(std::span<const std::byte> bytes) override {
        flush();
        if (bytes.size() < buffer_.size()) {
            write(bytes);
        } else {
            sink_.write(bytes);
            flushed_ += bytes.size();
        }
    }

    raft::ByteSink& sink_;
    std::vector<std::byte> buffer_;
};

/// An archive that takes its bytes from a source, of which the total is known, through a buffer of
/// fixed size. Counts are compared with the stated total, so the caller states what it has stored,
/// not what a peer promises.
class SnapshotReader final : public InputArchive {
public:
    /// The source must outlive the reader. At most `total_bytes` are taken from it; if it ends or
    /// fails earlier, the load that needs the missing bytes throws `truncated`. `buffer_bytes` is
    /// raised to 16 if it is less.
    SnapshotReader(raft::ByteSource& source, std::uint64_t total_bytes,
                   std::size_t buffer_bytes = snapshot_buffer_bytes)
        : source_(source), buffer_(capacity_for(total_bytes, buffer_bytes)) {
        begin_ = next_ = end_ = buffer_.data();
        unread_ = total_bytes;
    }

private:
    void make_available(std::size_t count) override {
        const std::size_t kept = available();
        consumed_ += static_cast<std::uint64_t>(next_ - begin_);
        std::memmove(buffer_.data(), next_, kept);
        next_ = begin_;
        end_ = begin_ + kept;
        while (available() < count) {
            const std::size_t got = pull(std::span(buffer_).subspan(available()));
            end_ += got;
        }
    }

    void read_beyond_available(std::span<std::byte> out) override {
        if (out.size() > remaining()) {
            fail(ArchiveErrc::truncated);
        }
        const std::size_t buffered = available();
        read(out.first(buffered));
        std::span<std::byte> rest = out.subspan(buffered);
        // The buffer is empty now. Large blocks bypass it; the end of a block comes through it.
        while (rest.size() >= buffer_.size()) {
            const std::size_t got = pull(rest);
            consumed_ += got;
            rest = rest.subspan(got);
        }
        while (!rest.empty()) {
            make_available(1);
            const std::size_t part = std::min(rest.size(), available());
            read(rest.first(part));
            rest = rest.subspan(part);
        }
    }

    static std::size_t capacity_for(std::uint64_t total_bytes, std::size_t buffer_bytes) {
        const std::uint64_t useful = std::min<std::uint64_t>(total_bytes, buffer_bytes);
        return std::max(static_cast<std::size_t>(useful), std::size_t{16});
    }

    // Takes at least one byte from the source into `out`, which must not be empty.
    std::size_t pull(std::span<std::byte> out) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), unread_));
        const std::size_t got = wanted == 0 ? 0 : source_.read(out.first(wanted));
        if (got == 0 || got > wanted) {
            fail(ArchiveErrc::truncated);
        }
        unread_ -= got;
        return got;
    }

    raft::ByteSource& source_;
    std::vector<std::byte> buffer_;
};

}  // namespace rsm

#endif
