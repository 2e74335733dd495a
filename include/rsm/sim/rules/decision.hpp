// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who decides in a membership, and which one a log puts in force. Told from what is written there,
// and by nothing that the library counts or keeps.
#ifndef RSM_SIM_RULES_DECISION_HPP
#define RSM_SIM_RULES_DECISION_HPP

#include <raft/base/types.hpp>
#include <raft/parts/log.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/rules/chronicle.hpp>

#include <cstddef>
#include <iterator>

namespace rsm::inline v0::sim {

inline bool votes_in_old(raft::Standing standing) {
    using raft::Standing;
    return standing == Standing::voter || standing == Standing::outgoing ||
           standing == Standing::demoted || standing == Standing::suspended;
}
inline bool votes_in_new(raft::Standing standing) {
    return standing == raft::Standing::voter || standing == raft::Standing::incoming;
}

/// Whether the members for whom `holds(Member)` are a majority of the old and of the new ones (Raft
/// paper, section 6).
template <class Predicate>
bool decides(const raft::Membership& membership, Predicate holds) {
    std::size_t old_all = 0;
    std::size_t old_count = 0;
    std::size_t new_all = 0;
    std::size_t new_count = 0;
    for (const raft::Member& member : membership.members) {
        const std::size_t one = holds(member) ? 1 : 0;
        if (votes_in_old(member.standing)) {
            ++old_all;
            old_count += one;
        }
        if (votes_in_new(member.standing)) {
            ++new_all;
            new_count += one;
        }
    }
    return 2 * old_count > old_all && 2 * new_count > new_all;
}

/// Where a membership stands, and which it is. Null: nobody knows.
struct Placed {
    raft::LogPosition position;
    const raft::Membership* membership = nullptr;
};

/// The last membership of a log up to an index, by what any node ever held there.
inline Placed membership_up_to(const raft::Log& log, raft::Index last, const Chronicle& chronicle) {
    const auto holds = [&](raft::LogPosition position) {
        if (position.index >= log.base().index) return log.matches(position);
        const auto place = position.index.value - 1;
        return place < chronicle.committed.size() && chronicle.committed[place] == position.term;
    };
    auto after = chronicle.memberships.upper_bound({last, raft::max_term});
    while (after != chronicle.memberships.begin()) {
        --after;
        if (holds(after->first)) return {after->first, &after->second};
    }
    return {{}, chronicle.founding ? &*chronicle.founding : nullptr};
}
/// The one before it. @pre the position is not 0
inline Placed membership_before(const raft::Log& log, const Placed& placed,
                                const Chronicle& chronicle) {
    return membership_up_to(log, placed.position.index - 1, chronicle);
}

}  // namespace rsm::sim

#endif
