// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the executor's side of the write-ahead log and its lanes have in common.
#ifndef RSM_STORAGE_WAL_LANES_HPP
#define RSM_STORAGE_WAL_LANES_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/storage/wal/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace rsm::inline v0::detail::wal {

/// The lanes of one storage. Reads and the preparation of segments share one, because both are
/// made of short jobs; snapshots have their own, because theirs are long.
template <class Lane>
struct Lanes {
    Lane log;
    Lane background;
    Lane snapshots;

    /// Gets now what the lanes need to run, so that it cannot be missing later.
    raft::Result<void> start() {
        if constexpr (requires(Lane & lane) { lane.start(); }) {
            for (Lane* lane : {&log, &background, &snapshots}) {
                if (raft::Result<void> started = lane->start(); !started) return started;
            }
        }
        return {};
    }
    void stop() {
        log.stop();
        background.stop();
        snapshots.stop();
    }
};

/// What became of some consecutive writes that were carried out together.
template <class Files>
struct BatchOutcome {
    /// One write's part in the index.
    struct Step {
        bool reset = false;
        raft::Index first;  ///< of its entries
        std::size_t entries = 0;
        raft::Index release;  ///< 0: none
    };
    std::size_t writes = 0;
    std::optional<raft::Failure> failure;
    std::shared_ptr<const Segment<Files>> segment;
    std::vector<Step> steps;
    std::vector<std::uint32_t> entry_offsets;
};

}  // namespace rsm::detail::wal

#endif
