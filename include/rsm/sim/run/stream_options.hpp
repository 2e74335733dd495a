// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The options of the TCP transport in a simulated cluster: its times go with those of the
// algorithm.
#ifndef RSM_SIM_RUN_STREAM_OPTIONS_HPP
#define RSM_SIM_RUN_STREAM_OPTIONS_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/transport/tcp_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace rsm::inline v0::sim {

inline TcpOptions stream_options(const ClusterPlan& plan, raft::NodeId self) {
    const raft::Duration timeout = plan.options.raft.election_timeout;
    const auto pace = std::chrono::ceil<std::chrono::milliseconds>(timeout);
    TcpOptions options;
    options.self = self;
    options.queue_bytes = plan.stream_queue_bytes;
    options.buffers = plan.stream_buffers;
    if ((plan.older_speakers >> self.value & 1U) != 0) {
        options.versions.highest = options.versions.lowest;
    }
    options.reconnect_min = std::chrono::milliseconds(5);
    options.reconnect_max = std::max(options.reconnect_min, pace);
    options.connect_timeout = pace;
    options.handshake_timeout = 4 * pace;
    options.user_timeout = std::max(2 * pace, std::chrono::milliseconds(1000));
    for (std::uint64_t node = 1; node <= plan.nodes; ++node) {
        // Some by their names, which are looked up.
        const std::string host = (node + self.value) % 2 == 0
                                     ? StreamNetwork::address_of({node}).to_string()
                                     : "node" + std::to_string(node);
        options.peers[{node}] = host + ":7000";
    }
    return options;
}

}  // namespace rsm::sim

#endif
