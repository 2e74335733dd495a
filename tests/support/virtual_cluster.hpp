// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Several replicas in one simulated world. Nothing ever sleeps.
#ifndef RSM_TESTS_SUPPORT_VIRTUAL_CLUSTER_HPP
#define RSM_TESTS_SUPPORT_VIRTUAL_CLUSTER_HPP

#include "cut_network.hpp"
#include "held_disk.hpp"
#include "replicas.hpp"

#include <rsm/error.hpp>
#include <rsm/replicated.hpp>
#include <rsm/sim/world/clock.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/storage/memory.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace rsm_test {

/// A storage in memory, on disks that a test holds back.
struct OnHeldDisks : rsm::MemoryStorage {
    using Disk = HeldDisk;
    using MemoryStorage::MemoryStorage;
};

/// @param Storage  a plan, made from a shared Storage::Disk
template <class Machine, class Transport = CutTransport, class Storage = OnHeldDisks>
class VirtualCluster {
public:
    using Replica = rsm::Replicated<Machine, Transport, Storage, rsm::sim::Clock>;
    using Disk = typename Storage::Disk;
    using Make = std::function<Machine(std::uint64_t id)>;

    /// @param make  gives a machine for a start of the node; absent: Machine{} is one
    explicit VirtualCluster(std::uint64_t size, rsm::Options options = {}, Make make = {})
        : options_(std::move(options)), make_(std::move(make)) {
        for (std::uint64_t id = 1; id <= size; ++id) {
            members_.push_back({id});
            disks_[id] = std::make_shared<Disk>();
        }
        for (const raft::NodeId id : members_) start(id.value);
    }

    /// For the nodes that are started from now on.
    rsm::Options& options() { return options_; }

    void start(std::uint64_t id) {
        rsm::Options options = options_;
        options.seed = id + 17 * ++starts_;
        replicas_.start(id, world_.get_executor(), machine(id),
                        Transport{network_, raft::NodeId{id}, members_}, Storage{disks_[id]},
                        options, rsm::sim::Clock{world_});
    }
    /// One more, which is no member of the cluster yet.
    void add(std::uint64_t id) {
        disks_[id] = std::make_shared<Disk>();
        start(id);
    }
    /// What was not durable is lost.
    void crash(std::uint64_t id) { replicas_.crash(id); }

    Replica& node(std::uint64_t id) { return replicas_[id]; }
    Disk& disk(std::uint64_t id) { return *disks_.at(id); }
    /// Its content is lost. @pre that the node is down
    void replace_disk(std::uint64_t id) { disks_[id] = std::make_shared<Disk>(); }
    CutNetwork& network() { return *network_; }
    rsm::sim::World& world() { return world_; }
    bool up(std::uint64_t id) const { return replicas_.up(id); }

    /// Lets the world go on until the condition holds; false if that takes more virtual time.
    template <class Condition>
    bool run_until(Condition holds, raft::Duration limit = std::chrono::seconds(30)) {
        return world_.run_until(holds, world_.now() + limit);
    }
    void run_for(raft::Duration duration) { world_.run_for(duration); }
    /// Runs everything that does not need time to pass.
    void settle() { world_.run_for({}); }

    /// The node that leads the highest term, as far as it knows itself; 0: none.
    std::uint64_t leader() const { return replicas_.leader(); }
    std::uint64_t elect() {
        run_until([this] { return leader() != 0; });
        return leader();
    }

private:
    Machine machine(std::uint64_t id) {
        if constexpr (std::default_initializable<Machine>) {
            if (!make_) return Machine{};
        }
        return make_(id);
    }

    rsm::Options options_;
    Make make_;
    std::uint64_t starts_ = 0;
    rsm::sim::World world_;
    std::shared_ptr<CutNetwork> network_ = std::make_shared<CutNetwork>();
    std::vector<raft::NodeId> members_;
    std::map<std::uint64_t, std::shared_ptr<Disk>> disks_;
    Replicas<Replica> replicas_;
};

}  // namespace rsm_test

#endif
