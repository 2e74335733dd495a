// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Options with which small snapshots take many pieces.
#ifndef RSM_TESTS_RAFT_RULES_SNAPSHOT_SUPPORT_HPP
#define RSM_TESTS_RAFT_RULES_SNAPSHOT_SUPPORT_HPP

#include <raft/protocol/options.hpp>

namespace raft::test {

inline Options small_chunks() {
    Options options;
    options.barrier_on_election = false;
    options.retained_bytes = 0;
    options.max_hold_bytes = 0;
    options.snapshot_chunk_bytes = 10;
    options.snapshot_window_bytes = 10;
    return options;
}

}  // namespace raft::test

#endif
