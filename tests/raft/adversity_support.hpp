// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of cores with a leader, and how that one sees a follower.
#ifndef RSM_TESTS_RAFT_ADVERSITY_SUPPORT_HPP
#define RSM_TESTS_RAFT_ADVERSITY_SUPPORT_HPP

#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

namespace raft::test {

inline const Progress& view_of(CoreCluster& cluster, std::uint64_t id) {
    const auto followers = cluster.core(cluster.leader()).followers();
    const auto found = std::ranges::find(followers, NodeId{id}, &Progress::node);
    REQUIRE(found != followers.end());
    return *found;
}
inline CoreCluster led(std::uint64_t nodes, const Options& options = {}) {
    CoreCluster cluster(nodes, options);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    return cluster;
}

}  // namespace raft::test

#endif
