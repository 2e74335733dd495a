// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#ifndef RSM_TESTS_SIM_RUN_QUIET_CLUSTER_HPP
#define RSM_TESTS_SIM_RUN_QUIET_CLUSTER_HPP

#include <rsm-sim/workloads.hpp>

#include <rsm/sim/run/cluster.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sim_test {

/// Three counters that lead, commit and compact without any fault but those that a test makes.
struct QuietCluster {
    QuietCluster()
        : cluster(
              [] {
                  rsm::sim::ClusterPlan plan;
                  plan.options.snapshot_threshold = 1500;
                  plan.options.raft.max_hold_time = {};  // who was away needs a snapshot
                  return plan;
              }(),
              [] { return sim_workloads::Counter{}; }, false) {
        wait([this] { return static_cast<bool>(cluster.leader()); });
    }
    template <class Condition>
    bool wait(Condition holds) {
        return cluster.world().run_until(holds, cluster.world().now() + std::chrono::seconds(5));
    }
    void add(std::size_t operations) {
        for (std::size_t i = 0; i < operations; ++i) CHECK_FALSE(outcome_of_one());
    }
    /// Of adding one.
    boost::system::error_code outcome_of_one() {
        boost::system::error_code outcome;
        bool done = false;
        cluster.troubles().given(++operations_);
        cluster.replica(cluster.leader())
            .async_submit({operations_, {1}}, [&](const auto& error, const auto&) {
                outcome = error;
                done = true;
            });
        REQUIRE(wait([&] { return done; }));
        return outcome;
    }
    bool all_equal() {
        return wait([this] {
            if (!cluster.leader()) return false;
            const raft::Log& log = cluster.core(cluster.leader()).log();
            for (std::uint64_t id = 1; id <= 3; ++id) {
                if (!cluster.running({id})) return false;
                if (cluster.core({id}).log().applied() != log.last_index()) return false;
            }
            return true;
        });
    }
    void cut(raft::NodeId node, bool is_cut) {
        for (std::uint64_t other = 1; other <= 3; ++other) {
            cluster.network().cut(node, {other}, is_cut);
            cluster.network().cut({other}, node, is_cut);
        }
    }
    rsm::sim::Cluster<sim_workloads::Counter> cluster;

private:
    std::uint64_t operations_ = 0;
};

}  // namespace sim_test

#endif
