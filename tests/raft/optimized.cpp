// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The algorithm as the optimizer sees it, who then sees what may be null.
#include <raft/raft.hpp>

#include <utility>

namespace raft_optimized {

raft::Output step(raft::Core& core, raft::Time now, raft::Input input);

raft::Output step(raft::Core& core, raft::Time now, raft::Input input) {
    return core.step(now, std::move(input));
}

}  // namespace raft_optimized
