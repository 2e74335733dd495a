// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Sending pace: of snapshots a leader sends no more than its options let it, to all its followers
// together, in whatever stretch of time; nor does it have any other node send more than that.
#ifndef RSM_SIM_RULES_SENDING_PACE_HPP
#define RSM_SIM_RULES_SENDING_PACE_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace rsm::inline v0::sim {

class SendingPace {
public:
    SendingPace(std::size_t nodes, const raft::Options& options)
        : options_(options), nodes_(nodes) {}

    /// A piece leaves, or is asked for. What is sent fills a bucket that runs empty at the rate: it
    /// never has more in it than a heartbeat interval brings, and a piece for each follower, for
    /// these may have waited for the disk together.
    /// @param source  who is to send it; 0: the leader itself  @param now  the leader's clock
    Broken sent(raft::NodeId leader, raft::NodeId source, raft::Term term, std::uint64_t bytes,
                raft::Time now) {
        if (options_.snapshot_bytes_per_second == 0) return {};
        Bucket& bucket = buckets_[{leader, source}];
        if (bucket.term != term) bucket = {term, now, 0};
        const double rate = static_cast<double>(options_.snapshot_bytes_per_second);
        const auto in_seconds = [](raft::Duration time) {
            return std::chrono::duration<double>(time).count();
        };
        bucket.bytes = std::max(0.0, bucket.bytes - rate * in_seconds(now - bucket.at)) +
                       static_cast<double>(bytes);
        bucket.at = now;
        const double most = rate * in_seconds(options_.heartbeat_interval) + 1 +
                            static_cast<double>((nodes_ + 2) * options_.snapshot_chunk_bytes);
        if (bucket.bytes <= most) return {};
        return Violation{"sending pace",
                         detail::node_text(leader) +
                             (source ? " has " + detail::node_text(source) + " send" : " sends") +
                             " snapshots faster than it may",
                         {leader}};
    }

private:
    struct Bucket {
        raft::Term term;
        raft::Time at;
        double bytes = 0;
    };

    raft::Options options_;
    std::size_t nodes_;
    std::map<std::pair<raft::NodeId, raft::NodeId>, Bucket> buckets_;  ///< by leader and source
};

}  // namespace rsm::sim

#endif
