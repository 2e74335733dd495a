// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The pieces of snapshots that were read last, so that several followers share one read of a file.
#ifndef RSM_RAFT_DRIVER_CHUNK_CACHE_HPP
#define RSM_RAFT_DRIVER_CHUNK_CACHE_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/step.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Which pieces are being read, for whom, and what the last ones were. Newcomers that come together
/// ask for the same pieces within a window's time of each other. It stands before every Storage, so
/// none needs its own.
class ChunkCache {
public:
    /// @param max_bytes  of what is kept
    explicit ChunkCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

    /// What was read of it, if that is still here.
    std::optional<Bytes> find(const LoadChunk& load) const {
        for (const Piece& piece : pieces_) {
            if (piece.is(load)) return piece.data;
        }
        return std::nullopt;
    }
    /// The reader gets the piece when it has been read. False: nobody reads it yet, and whoever
    /// asks has to.
    bool join(const LoadChunk& load) {
        for (Reading& reading : readings_) {
            if (!reading.is(load)) continue;
            const auto same =
                std::find(reading.readers.begin(), reading.readers.end(), load.reader);
            if (same == reading.readers.end()) reading.readers.push_back(load.reader);
            return true;
        }
        readings_.push_back({{load.meta, load.offset, load.max_bytes}, {load.reader}});
        return false;
    }
    /// It was read, or cannot be. Returns for whom.
    std::vector<NodeId> read(const LoadChunk& load) {
        const auto found = std::find_if(readings_.begin(), readings_.end(),
                                        [&](const Reading& reading) { return reading.is(load); });
        if (found == readings_.end()) return {};
        std::vector<NodeId> readers = std::move(found->readers);
        readings_.erase(found);
        return readers;
    }
    /// Keeps it in place of the oldest ones.
    void keep(const LoadChunk& load, Bytes data) {
        bytes_ += data.size();
        pieces_.push_back({{load.meta, load.offset, load.max_bytes}, std::move(data)});
        while (bytes_ > max_bytes_) {
            bytes_ -= pieces_.front().data.size();
            pieces_.pop_front();
        }
    }
    void forget() {
        pieces_.clear();
        bytes_ = 0;
    }

private:
    struct Name {
        SnapshotMeta meta;
        std::uint64_t offset = 0;
        std::size_t max_bytes = 0;
        bool is(const LoadChunk& load) const {
            return offset == load.offset && max_bytes == load.max_bytes && meta == load.meta;
        }
    };
    struct Piece : Name {
        Bytes data;
    };
    struct Reading : Name {
        std::vector<NodeId> readers;
    };

    std::size_t max_bytes_;
    std::size_t bytes_ = 0;
    std::deque<Piece> pieces_;       // the oldest first
    std::vector<Reading> readings_;  // one at most for each follower
};

}  // namespace raft

#endif
