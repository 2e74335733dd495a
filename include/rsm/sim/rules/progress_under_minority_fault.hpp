// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Progress under a minority fault: while fewer than half of the nodes are in trouble, the others,
// who hear each other and have healthy disks, elect a leader and serve, the leader stays, and it
// keeps nothing for those who are away.
#ifndef RSM_SIM_RULES_PROGRESS_UNDER_MINORITY_FAULT_HPP
#define RSM_SIM_RULES_PROGRESS_UNDER_MINORITY_FAULT_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/stable_leadership.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace rsm::inline v0::sim {

/// Within this time after the trouble began the others have a leader who serves: the old one has
/// noticed what is wrong with it, they have missed it, and some votes were split.
/// @pre none of them waits for a snapshot, messages take less than a tenth of an election timeout,
/// syncs much less
inline raft::Duration longest_interregnum(const raft::Options& options) {
    return options.disk_stall_timeout + 20 * options.election_timeout;
}
/// Within this time an operation and a read are answered by a leader who stays.
inline raft::Duration longest_answer(const raft::Options& options) {
    return 8 * options.election_timeout;
}

/// What a node has of the log.
struct HeldLog {
    raft::Index base;  ///< all up to here is released
    raft::Index last;
};
/// Whether those who are in no trouble are a majority only with one who lacks what another of them
/// has released: they serve by themselves when that one has got a snapshot. Until then they may
/// have served with the help of one in trouble, and serve no longer as soon as that one fails.
/// @param others  what each of those who are in no trouble has  @param nodes  how many there are
inline bool waits_for_snapshot(const std::vector<HeldLog>& others, std::size_t nodes) {
    raft::Index released;
    for (const HeldLog& log : others) released = std::max(released, log.base);
    const auto lacks_nothing = [released](const HeldLog& log) { return log.last >= released; };
    const auto ready = std::count_if(others.begin(), others.end(), lacks_nothing);
    return 2 * static_cast<std::size_t>(ready) <= nodes;
}

/// @param trouble  what is wrong with the minority
inline Violation no_progress(const std::string& trouble, raft::Duration limit) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    return {"progress under a minority fault",
            "nothing is served for " + std::to_string(milliseconds) + " ms while " + trouble,
            {}};
}

/// @param before, now  the trouble is the same in between
inline Broken reign_lasts(const Leadership& before, const Leadership& now,
                          const std::string& trouble) {
    if (before == now) return {};
    return Violation{"progress under a minority fault",
                     "the reign of " + detail::node_text(before.leader) + " in term " +
                         detail::text(before.term) + " ends while " + trouble,
                     {before.leader}};
}

/// A snapshot that was on its way to a node that has not been heard of for long is dropped when
/// there is a newer one. @param newest  the leader's, long ago  @param paths  on its disk
inline Broken keeps_no_old_snapshot(raft::NodeId leader, raft::Index newest,
                                    const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        if (!wal_files::is_snapshot(path) || wal_files::snapshot_index(path) >= newest) continue;
        return Violation{"progress under a minority fault",
                         detail::node_text(leader) + " keeps " + path + " for who is away",
                         {leader}};
    }
    return {};
}
inline Violation does_not_compact(raft::NodeId leader, const std::string& trouble) {
    return {"progress under a minority fault",
            detail::node_text(leader) + " does not compact its log while " + trouble,
            {leader}};
}

}  // namespace rsm::sim

#endif
