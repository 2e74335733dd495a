// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Resumed transfers: what a node finds of a snapshot at its start it is not sent again.
#ifndef RSM_SIM_RULES_RESUMED_TRANSFERS_HPP
#define RSM_SIM_RULES_RESUMED_TRANSFERS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class ResumedTransfers {
public:
    explicit ResumedTransfers(std::size_t nodes) : found_(nodes + 1) {}

    /// A node has recovered.
    void restarted(const raft::Core& core) {
        const raft::IncomingSnapshot* incoming = core.incoming();
        std::optional<Found>& found = found_[core.self().value];
        found.reset();
        if (incoming != nullptr) found = Found{incoming->meta, incoming->kept};
    }
    /// After each piece of work of a node: a transfer of what was found goes on behind that.
    /// @param excused  the node's disk may have refused it
    Broken step(const raft::Core& core, bool excused) {
        std::optional<Found>& found = found_[core.self().value];
        went_on_ = false;
        if (!found) return {};
        const raft::IncomingSnapshot* incoming = core.incoming();
        const bool same = incoming != nullptr && incoming->meta == found->meta;
        if (same && incoming->kept == found->kept) return {};
        const std::uint64_t before = found->kept;
        const bool installed = core.snapshot() == found->meta;
        found.reset();
        went_on_ = installed || (same && incoming->kept > before);
        if (!same || went_on_ || excused) return {};
        return Violation{"resumed transfers",
                         detail::node_text(core.self()) + " had " + std::to_string(before) +
                             " bytes of a snapshot at its start, and takes it from the beginning",
                         {core.self()}};
    }
    /// Whether the last step was the first with which a found transfer has gone on.
    bool went_on() const { return went_on_; }

private:
    struct Found {
        raft::SnapshotMeta meta;
        std::uint64_t kept = 0;
    };
    std::vector<std::optional<Found>> found_;  ///< by node
    bool went_on_ = false;
};

}  // namespace rsm::sim

#endif
