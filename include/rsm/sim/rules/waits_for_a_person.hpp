// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Waits for a person: where a committed entry is nowhere any more, everybody who had it says so to
// the end, and nobody leads.
#ifndef RSM_SIM_RULES_WAITS_FOR_A_PERSON_HPP
#define RSM_SIM_RULES_WAITS_FOR_A_PERSON_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <string>

namespace rsm::inline v0::sim {

/// Whether the node has the entry after all, from a message that was under way, or a state in its
/// place.
inline bool has_entry(const raft::Core& core, raft::LogPosition entry) {
    return core.log().base().index >= entry.index || core.log().matches(entry) ||
           core.snapshot().last.index >= entry.index;
}

/// @param lost    no node has it  @param had_it  this one had it
inline Broken waits_for_a_person(const raft::Core& core, raft::LogPosition lost, bool had_it) {
    const std::string node = detail::node_text(core.self());
    const std::string entry = "index " + detail::text(lost.index) + ", which was committed";
    if (core.role() == raft::Role::leader) {
        return Violation{"waits for a person",
                         node + " leads although " + entry + ", is nowhere any more",
                         {core.self()}};
    }
    if (!had_it || !core.log().is_whole()) return {};
    return Violation{
        "waits for a person", node + " does not say that it lacks " + entry, {core.self()}};
}

}  // namespace rsm::sim

#endif
