// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What of a node the rules look at from one piece of its work to the next.
#ifndef RSM_SIM_RULES_LOOK_HPP
#define RSM_SIM_RULES_LOOK_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>

namespace rsm::inline v0::sim {

/// What changes when anything of interest does.
struct Look {
    raft::Term term;
    raft::NodeId vote;
    raft::Role role{};
    raft::LogPosition base;
    raft::LogPosition last;
    raft::Index commit;
    raft::Index applied;
    raft::Index snapshot;
    friend bool operator==(const Look&, const Look&) = default;
};

inline Look look(const raft::Core& core) {
    const raft::Log& log = core.log();
    return {core.term(), core.voted_for(), core.role(),   log.base(),
            log.last(),  log.commit(),     log.applied(), core.snapshot().last.index};
}

}  // namespace rsm::sim

#endif
