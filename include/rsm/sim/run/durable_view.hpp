// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Durable view: recovery of the production log from what is durable now, on a copy of the disk.
#ifndef RSM_SIM_RUN_DURABLE_VIEW_HPP
#define RSM_SIM_RUN_DURABLE_VIEW_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/wal_storage.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/storage/wal_options.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace rsm::inline v0::sim {

/// Of one disk, as it was when it was read last.
struct DurableView {
    std::uint64_t version = 0;  ///< the disk's
    bool readable = false;
    raft::Recovered recovered;

    Broken read(raft::NodeId id, const Disk& disk, const WalOptions& options,
                std::shared_ptr<const ServiceTime> service_time) {
        World scratch;
        const auto image = std::make_shared<Disk>(disk.durable_image());
        auto storage = wal_storage(scratch, image, options, std::move(service_time), 0)
                           .open(scratch.get_executor());
        raft::Result<raft::Recovered> result = storage.recover();
        version = disk.durable_version();
        readable = result.has_value();
        if (readable) {
            recovered = std::move(*result);
            return {};
        }
        return Violation{"durable before visible",
                         "what node " + std::to_string(id.value) +
                             " has on its disk cannot be read: " + result.error().message(),
                         {id}};
    }
};

}  // namespace rsm::sim

#endif
