// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Versions in force: operations and snapshots get a higher version only when the programs of all
// members read it, and a committed one never falls.
#ifndef RSM_SIM_RULES_VERSIONS_IN_FORCE_HPP
#define RSM_SIM_RULES_VERSIONS_IN_FORCE_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

class VersionsInForce {
public:
    explicit VersionsInForce(std::size_t nodes) : programs_(nodes + 1) {}

    /// The node's program reads up to this version from now on. @pre it is not a lower one
    void runs(raft::NodeId node, std::uint32_t version) { programs_[node.value] = version; }

    /// After each piece of work.
    Broken step(const raft::Core& core) {
        if (Broken fallen = falls(core)) return fallen;
        const raft::Membership& membership = core.membership();
        if (membership.version <= highest_) return {};
        highest_ = membership.version;
        for (const raft::Member& member : membership.members) {
            if (programs_[member.id.value] >= highest_) continue;
            return broken(core, " has raised the version to " + std::to_string(highest_) +
                                    ", which " + detail::node_text(member.id) + " does not read");
        }
        return {};
    }

private:
    static Violation broken(const raft::Core& core, const std::string& what) {
        return {"versions in force", detail::node_text(core.self()) + what, {core.self()}};
    }
    Broken falls(const raft::Core& core) {
        const raft::Configuration::Change& settled = core.configuration().settled();
        const bool lower = settled.membership.version < settled_version_;
        if (lower && settled.index >= settled_at_) {
            return broken(core, " has a lower version committed at " + detail::text(settled.index) +
                                    " than was at " + detail::text(settled_at_));
        }
        if (settled.membership.version > settled_version_) {
            settled_version_ = settled.membership.version;
            settled_at_ = settled.index;
        }
        return {};
    }

    std::vector<std::uint32_t> programs_;
    std::uint32_t highest_ = 0;  // ever in a log
    std::uint32_t settled_version_ = 0;
    raft::Index settled_at_;
};

}  // namespace rsm::sim

#endif
