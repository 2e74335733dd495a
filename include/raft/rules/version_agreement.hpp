// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// In which version operations and snapshots are written while the members' programs are of several
// versions: the highest one that every member reads.
//
// It is data in the log, as the members are. Followers say what they read; the leader appends a
// membership with a higher version once all have said it within the last election timeout, and
// writes in it once that is committed. So whoever comes to an operation in the log has passed the
// entry that allows its version, and one that does not read that version finds out there, before it
// would misread anything. The version never falls, for what it allowed is in logs and snapshots.
#ifndef RSM_RAFT_RULES_VERSION_AGREEMENT_HPP
#define RSM_RAFT_RULES_VERSION_AGREEMENT_HPP

#include <raft/base/types.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/version_report.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/rules/context.hpp>

#include <algorithm>
#include <cstdint>

namespace raft::inline v0 {

/// A follower that reads more than is written says so, once in a heartbeat, for as long as that is
/// so: what it said is good for an election timeout only, for its program may be an older one soon.
inline void report_version(const Step& step, const Office& office, VersionReport& report,
                           NodeId leader) {
    const std::uint32_t version = step.options.readable_version;
    const bool is_news = version > step.membership().version && step.now >= report.next;
    if (!is_news || office.leads() || office.leader(step.self) != leader) return;
    report.next = step.now + step.options.heartbeat_interval;
    step.send(leader, ReadableVersion{step.term(), version});
}

inline void take_version_report(const Step& step, Office& office, NodeId from,
                                const ReadableVersion& report) {
    Progress* const follower = office.follower(from);
    if (report.term != step.term() || !office.leads() || follower == nullptr) return;
    follower->readable_version = report.version;
    follower->readable_at = step.now;
}

/// By what all members have said lately; 0 if some have not.
inline std::uint32_t version_all_read(const Step& step, const Reign& reign) {
    std::uint32_t lowest = step.options.readable_version;
    for (const Member& member : step.membership().members) {
        if (member.id == step.self) continue;
        const Progress* const follower = reign.find(member.id);
        const bool has_said = follower != nullptr && !step.is_silent(follower->readable_at);
        lowest = std::min(lowest, has_said ? follower->readable_version : 0U);
    }
    return lowest;
}

/// Whether all read a higher version than is written.
inline bool finds_version(const Step& step, const Reign& reign) {
    const std::uint32_t written = step.membership().version;
    return step.options.readable_version > written && version_all_read(step, reign) > written;
}

}  // namespace raft

#endif
