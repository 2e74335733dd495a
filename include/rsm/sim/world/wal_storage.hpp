// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The production storage on a simulated disk, in virtual time.
#ifndef RSM_SIM_WORLD_WAL_STORAGE_HPP
#define RSM_SIM_WORLD_WAL_STORAGE_HPP

#include <rsm/plan.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/storage/wal.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

namespace rsm::inline v0::sim {

using WalStorage = BasicWalStorage<Files, Lane>;
static_assert(StoragePlan<WalStorage>);

/// A node's storage for one life, to be destroyed before the World. `seed` decides how long its
/// operations take. `jobs` is told of its lanes' jobs.
template <class Place>
    requires std::same_as<Place, World> || std::same_as<Place, Process> WalStorage
    wal_storage(Place& place, const std::shared_ptr<Disk>& disk, WalOptions options,
                const std::shared_ptr<const ServiceTime>& service_time, std::uint64_t seed,
                const std::shared_ptr<LaneJobs>& jobs = std::make_shared<LaneJobs>()) {
        return WalStorage(
            std::move(options), Files(disk), [&place, disk, service_time, seed, jobs] {
                raft::Random random(seed);
                // Made in this order, which decides who gets which seed.
                return WalStorage::Lanes{Lane(place, disk, service_time, random.next(), jobs),
                                         Lane(place, disk, service_time, random.next(), jobs),
                                         Lane(place, disk, service_time, random.next(), jobs)};
            });
    }

}  // namespace rsm::sim

#endif
