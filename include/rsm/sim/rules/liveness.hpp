// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Liveness: when the faults have ended the cluster comes back to life, and a follower that needs a
// snapshot catches up while writes go on.
#ifndef RSM_SIM_RULES_LIVENESS_HPP
#define RSM_SIM_RULES_LIVENESS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/codec.hpp>
#include <rsm/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace rsm::inline v0::sim {

/// Compaction brings the log below its threshold, or leaves nothing of it but term and vote: what
/// is applied last may lift it once more, and starts the next snapshot.
/// @param snapshot_bytes  the size of the last one
inline bool is_compacted(std::uint64_t persisted_bytes, std::uint64_t snapshot_bytes,
                         const Options& options) {
    if (options.snapshot_threshold < 0) return true;
    const double due = std::max(static_cast<double>(options.snapshot_threshold),
                                options.snapshot_factor * static_cast<double>(snapshot_bytes));
    // Members wait for up to a quarter more.
    return persisted_bytes <=
           std::max(raft::codec::persisted_hard_state_size, static_cast<std::uint64_t>(1.25 * due));
}

/// Under writes that go on.
inline bool has_caught_up(const raft::Log& follower, const raft::Log& leader) {
    return follower.applied() + 5 > leader.commit();
}
inline Violation does_not_catch_up(raft::NodeId follower, raft::NodeId leader) {
    return {"liveness",
            detail::node_text(follower) + " does not catch up while writes go on",
            {follower, leader}};
}

/// @param what  is not as it should be, although so much time has passed
inline Violation not_alive(const std::string& what, raft::Duration limit) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    return {"liveness",
            what + " within " + std::to_string(seconds) + " s after the faults had ended",
            {}};
}
inline Violation too_busy() { return {"liveness", "the nodes do more work than time allows", {}}; }

}  // namespace rsm::sim

#endif
