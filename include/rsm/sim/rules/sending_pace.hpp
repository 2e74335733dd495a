// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Sending pace: of snapshots a leader sends no more than its options let it, to all its followers
// together, in whatever stretch of time.
#ifndef RSM_SIM_RULES_SENDING_PACE_HPP
#define RSM_SIM_RULES_SENDING_PACE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace rsm::inline v0::sim {

class SendingPace {
public:
    SendingPace(std::size_t nodes, const raft::Options& options)
        : options_(options), leaders_(nodes + 1) {}

    /// A piece leaves. What is sent fills a bucket that runs empty at the rate: it never has more
    /// in it than a heartbeat interval brings, and a piece for each follower, for these may have
    /// waited for the disk together.
    /// @param leader  the sender's core  @param now  its clock
    Broken sent(const raft::Core& leader, const raft::SnapshotChunk& chunk, raft::Time now) {
        if (options_.snapshot_bytes_per_second == 0) return {};
        Leader& bucket = leaders_[leader.self().value];
        if (bucket.term != chunk.term) bucket = {chunk.term, now, 0};
        const double rate = static_cast<double>(options_.snapshot_bytes_per_second);
        const auto in_seconds = [](raft::Duration time) {
            return std::chrono::duration<double>(time).count();
        };
        bucket.bytes = std::max(0.0, bucket.bytes - rate * in_seconds(now - bucket.at)) +
                       static_cast<double>(chunk.data.size());
        bucket.at = now;
        const double most =
            rate * in_seconds(options_.heartbeat_interval) + 1 +
            static_cast<double>((leaders_.size() + 1) * options_.snapshot_chunk_bytes);
        if (bucket.bytes <= most) return {};
        return Violation{"sending pace",
                         detail::node_text(leader.self()) + " sends snapshots faster than it may",
                         {leader.self()}};
    }

private:
    struct Leader {
        raft::Term term;
        raft::Time at;
        double bytes = 0;
    };

    raft::Options options_;
    std::vector<Leader> leaders_;  ///< by node
};

}  // namespace rsm::sim

#endif
