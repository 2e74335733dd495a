// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 4: a group of replicated state machines on the labs' network, and its faults.
#ifndef RSM_TESTS_LAB_GROUP_LAB_HPP
#define RSM_TESTS_LAB_GROUP_LAB_HPP

#include "lab.hpp"
#include "support/replicas.hpp"

#include <rsm/replicated.hpp>
#include <rsm/sim/world/clock.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/storage/memory.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace lab {

template <class Machine>
class GroupLab : public Lab {
public:
    using Replica = rsm::Replicated<Machine, Transport, rsm::MemoryStorage, rsm::sim::Clock>;

    /// @param max_raft_state  the labs' maxraftstate: negative is never
    GroupLab(std::size_t servers, std::uint64_t seed, bool reliable, std::int64_t max_raft_state)
        : Lab(servers, seed, reliable), max_raft_state_(max_raft_state) {
        for (ServerId i = 0; i < servers; ++i) start(i);
        connect_all();
    }

    bool up(ServerId i) const { return replicas_.up(node_id(i).value); }
    Replica& replica(ServerId i) { return replicas_[node_id(i).value]; }
    std::int64_t max_raft_state() const { return max_raft_state_; }

    /// The majority: the first n/2 + 1 servers other than `last`; the minority: the rest.
    std::pair<std::vector<ServerId>, std::vector<ServerId>> make_partition(ServerId last) const {
        std::vector<ServerId> order;
        for (ServerId i = 0; i < size(); ++i) {
            if (i != last) order.push_back(i);
        }
        order.push_back(last);
        const auto middle = order.begin() + static_cast<std::ptrdiff_t>(size() / 2 + 1);
        return {{order.begin(), middle}, {middle, order.end()}};
    }
    void shutdown(ServerId i) {
        disconnect(i);
        replicas_.crash(node_id(i).value);
    }
    void start(ServerId i) {
        rsm::Options options;
        options.snapshot_threshold = max_raft_state_;
        options.operation_timeout = {};  // the labs wait until the outcome is known
        options.seed = random();
        options.raft.heartbeat_interval = std::chrono::milliseconds(100);
        options.raft.election_timeout = std::chrono::milliseconds(400);
        options.raft.retained_bytes = 0;
        replicas_.start(node_id(i).value, world().get_executor(), Machine{},
                        Transport(network(), i, size()), rsm::MemoryStorage(disk(i)),
                        std::move(options), rsm::sim::Clock(world()));
    }
    void restart_all() {
        for (ServerId i = 0; i < size(); ++i) start(i);
        connect_all();
    }

    // ---- what can be seen ----

    /// The leader of the highest term among the servers that are up.
    std::optional<ServerId> leader() {
        const std::uint64_t id = replicas_.leader();
        if (id == 0) return std::nullopt;
        return server_id({id});
    }
    Task<ServerId> wait_for_leader() {
        for (int i = 0; i < 500; ++i) {
            const std::optional<ServerId> found = leader();
            if (found) co_return *found;
            co_await sleep(10ms);
        }
        throw Failure("no leader within 5 s");
    }
    std::uint64_t largest_log() {
        std::uint64_t largest = 0;
        for (ServerId i = 0; i < size(); ++i) {
            if (up(i)) largest = std::max(largest, replica(i).status().persisted_bytes);
        }
        return largest;
    }
    std::uint64_t largest_snapshot() {
        std::uint64_t largest = 0;
        for (ServerId i = 0; i < size(); ++i) {
            if (up(i)) largest = std::max(largest, replica(i).status().snapshot_bytes);
        }
        return largest;
    }

private:
    std::int64_t max_raft_state_;
    rsm_test::Replicas<Replica> replicas_;
};

}  // namespace lab

#endif
