// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The production storage on a simulated disk, in virtual time.
#ifndef RSM_SIM_WORLD_WAL_STORAGE_HPP
#define RSM_SIM_WORLD_WAL_STORAGE_HPP

#include <raft/concepts.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/storage/wal.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

namespace rsm::sim {

using WalStorage = BasicWalStorage<Files, Lane>;
static_assert(raft::Storage<WalStorage>);

/// A node's storage for one life, to be destroyed before the World. `seed` decides how long its
/// operations take.
template <class Place>
    requires std::same_as<Place, World> || std::same_as<Place, Process> WalStorage
    wal_storage(Place& place, const std::shared_ptr<Disk>& disk, WalOptions options,
                const std::shared_ptr<const ServiceTime>& service_time, std::uint64_t seed) {
        raft::Random random(seed);
        Lane log(place, disk, service_time, random.next());
        Lane background(place, disk, service_time, random.next());
        Lane snapshots(place, disk, service_time, random.next());
        return WalStorage(std::move(options), Files(disk),
                          {std::move(log), std::move(background), std::move(snapshots)});
    }

}  // namespace rsm::sim

#endif
