// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups: a state that a node hands out is the state of the history at its position, with the
// members of then, and has all that it was asked to have.
#ifndef RSM_SIM_RULES_BACKUPS_HPP
#define RSM_SIM_RULES_BACKUPS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstdint>
#include <string>

namespace rsm::inline v0::sim {

/// What a backup was asked for, and what has come.
struct TakenBackup {
    raft::NodeId node;
    raft::Index at_least;          ///< it was to have all up to here,
    std::uint64_t operations = 0;  ///< and so many operations
    raft::LogPosition last;
    raft::Membership membership;
    std::uint64_t held = 0;    ///< so many operations it has
    std::uint64_t digest = 0;  ///< of its state
};

/// The membership in force at an index of the committed log; null: not known.
inline const raft::Membership* membership_at(raft::Index index, const Chronicle& chronicle) {
    const raft::Membership* found = chronicle.founding ? &*chronicle.founding : nullptr;
    for (const auto& [position, membership] : chronicle.memberships) {
        if (position.index > index) break;
        if (position.index.value > chronicle.committed.size()) break;
        if (chronicle.committed[position.index.value - 1] == position.term) found = &membership;
    }
    return found;
}

/// @param digest  of the state that the same number of operations leads to
inline Broken backup_is_sound(const TakenBackup& taken, std::uint64_t digest,
                              const Chronicle& chronicle) {
    const auto wrong = [&](const std::string& what) {
        return Violation{"backups",
                         "the backup of " + detail::node_text(taken.node) + " at index " +
                             detail::text(taken.last.index) + " " + what,
                         {taken.node}};
    };
    const std::uint64_t index = taken.last.index.value;
    if (taken.last.index < taken.at_least || taken.held < taken.operations) {
        return wrong("lacks what had been done before it was asked for");
    }
    if (index > chronicle.committed.size()) return wrong("is of what is not committed");
    if (index != 0 && chronicle.committed[index - 1] != taken.last.term) {
        return wrong("is said to be of another term");
    }
    if (taken.digest != digest) return wrong("is another state than the operations lead to");
    const raft::Membership* const members = membership_at(taken.last.index, chronicle);
    if (members == nullptr || *members == taken.membership) return {};
    return wrong("has other members than there were");
}

}  // namespace rsm::sim

#endif
