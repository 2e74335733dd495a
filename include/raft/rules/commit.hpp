// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is committed (sections 5.3 and 5.4.2), and what of a leader's budget comes back by it.
#ifndef RSM_RAFT_RULES_COMMIT_HPP
#define RSM_RAFT_RULES_COMMIT_HPP

#include <raft/parts/log.hpp>
#include <raft/parts/reign.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>

namespace raft::inline v0 {

/// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
/// log[N].term == currentTerm: set commitIndex = N" (sections 5.3, 5.4.2). The leader's own match
/// index is what is durable here.
inline void advance_commit(const Step& step, Reign& reign, Log& log) {
    if (log.commit() == log.last_index()) return;
    const Index own = log.durable();
    const Index reached = step.membership().reached_by_quorum<Index>(
        [&](NodeId node) { return reign.of_node(node, step.self, &Progress::match, own); });
    if (reached <= log.commit()) return;
    if (log.term_at(reached) != step.term()) return;
    log.commit_to(reached);
    if (!reign.commit_notice_at) {
        reign.commit_notice_at = step.now + step.options.commit_notice_delay;
    }
}

/// The budget of proposals is given back for what costs memory no more: what others have committed
/// may still wait for this node's disk or state machine.
inline void return_budget(Budget& budget, const Log& log) {
    Index settled = std::min({log.commit(), log.durable(), log.applied()});
    budget.settle(log.last_index(), settled);
}

}  // namespace raft

#endif
