// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_RAFT_BASE_STREAM_HPP
#define RSM_RAFT_BASE_STREAM_HPP

#include <cstddef>
#include <span>

namespace raft::inline v0 {

/// Where a snapshot's bytes go, piece by piece: a file, a buffer, a counter.
/// Thread safety: one object is used from one thread at a time.
class ByteSink {
public:
    virtual ~ByteSink() = default;

    /// Appends `bytes`, which are the caller's and are valid during the call only. A failure is
    /// remembered by the sink and reported when the snapshot is finished; further writes are
    /// ignored.
    virtual void write(std::span<const std::byte> bytes) = 0;

protected:
    ByteSink() = default;
    ByteSink(const ByteSink&) = default;
    ByteSink& operator=(const ByteSink&) = default;
};

/// Where a snapshot's bytes come from. Thread safety: one object is used from one thread at a time.
class ByteSource {
public:
    virtual ~ByteSource() = default;

    /// Reads between one and `out.size()` bytes to the front of `out` and returns how many. It
    /// returns 0 only at the end, after a failure, or when `out` is empty; it may return fewer
    /// bytes than asked for at any time.
    virtual std::size_t read(std::span<std::byte> out) = 0;

protected:
    ByteSource() = default;
    ByteSource(const ByteSource&) = default;
    ByteSource& operator=(const ByteSource&) = default;
};

}  // namespace raft

#endif
