// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The five safety properties of the Raft paper's Figure 3 as functions over Cores, and the
// internal order of one Core. Simulators and model checkers call them after every step.
//
// A compacted log says nothing about what it has released, so each property is checked where the
// logs in question still overlap. Compare nodes at every step, and nothing slips through.
#ifndef RSM_RAFT_PROOF_INVARIANTS_HPP
#define RSM_RAFT_PROOF_INVARIANTS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/proof/violation.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <string>

namespace raft::inline v0::invariants {

using Cores = std::span<const Core* const>;

namespace detail {

inline std::string name(NodeId node) { return "node " + std::to_string(node.value); }

/// The first index in [first, last] at which two logs that both cover it differ.
inline std::optional<Index> first_difference(const Log& left, const Log& right, Index first,
                                             Index last) {
    first = std::max({first, left.base().index, right.base().index});
    last = std::min({last, left.last_index(), right.last_index()});
    for (Index index = first; index <= last; ++index) {
        if (left.term_at(index) != right.term_at(index)) return index;
        const bool both = left.cached(index) && right.cached(index);
        if (both && !(left[index] == right[index])) return index;
    }
    return std::nullopt;
}

inline Violation violation(const char* property, const Core& left, const Core& right, Index index) {
    return {property,
            name(left.self()) + " and " + name(right.self()) + " at index " +
                std::to_string(index.value),
            {left.self(), right.self()}};
}

}  // namespace detail

/// "At most one leader can be elected in a given term" (section 5.2), among leaders of now.
inline Broken election_safety(Cores cores) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
        for (std::size_t j = i + 1; j < cores.size(); ++j) {
            const bool both = cores[i]->role() == Role::leader && cores[j]->role() == Role::leader;
            if (!both || cores[i]->term() != cores[j]->term()) continue;
            return Violation{"election safety",
                             detail::name(cores[i]->self()) + " and " +
                                 detail::name(cores[j]->self()) + " lead term " +
                                 std::to_string(cores[i]->term().value),
                             {cores[i]->self(), cores[j]->self()}};
        }
    }
    return std::nullopt;
}

/// "A leader never overwrites or deletes entries in its log; it only appends new entries"
/// (section 5.3), between two states of one node.
inline Broken leader_append_only(const Core& before, const Core& after) {
    const bool same_reign = before.role() == Role::leader && after.role() == Role::leader &&
                            before.term() == after.term();
    if (!same_reign) return std::nullopt;
    const Index last = before.log().last_index();
    if (after.log().last_index() < last) {
        return detail::violation("leader append-only", before, after, last);
    }
    const auto index = detail::first_difference(before.log(), after.log(), Index{}, last);
    if (!index) return std::nullopt;
    return detail::violation("leader append-only", before, after, *index);
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all
/// entries up through the given index" (section 5.3).
inline Broken log_matching(const Core& left, const Core& right) {
    Index agreed = std::min(left.log().last_index(), right.log().last_index());
    const Index lowest = std::max(left.log().base().index, right.log().base().index);
    while (agreed >= lowest && left.log().term_at(agreed) != right.log().term_at(agreed)) {
        if (agreed.value == 0) break;
        agreed = agreed - 1;
    }
    if (agreed < lowest) return std::nullopt;  // nothing in common that could bind what precedes
    const auto index = detail::first_difference(left.log(), right.log(), Index{}, agreed);
    if (!index) return std::nullopt;
    return detail::violation("log matching", left, right, *index);
}

/// "If a log entry is committed in a given term, then that entry will be present in the logs of
/// the leaders for all higher-numbered terms" (section 5.4). What a node knows to be committed was
/// committed in its own term at the latest, so it binds every leader of that term or later.
inline Broken leader_completeness(Cores cores) {
    for (const Core* leader : cores) {
        if (leader->role() != Role::leader) continue;
        for (const Core* node : cores) {
            if (node->term() > leader->term()) continue;
            const Index commit = node->log().commit();
            if (leader->log().last_index() < commit) {
                return detail::violation("leader completeness", *leader, *node, commit);
            }
            const auto index =
                detail::first_difference(leader->log(), node->log(), Index{}, commit);
            if (index) return detail::violation("leader completeness", *leader, *node, *index);
        }
    }
    return std::nullopt;
}

/// "If a server has applied a log entry at a given index to its state machine, no other server
/// will ever apply a different log entry for the same index" (section 5.4.3).
inline Broken state_machine_safety(const Core& left, const Core& right) {
    const Index both = std::min(left.log().commit(), right.log().commit());
    const auto index = detail::first_difference(left.log(), right.log(), Index{}, both);
    if (!index) return std::nullopt;
    return detail::violation("state machine safety", left, right, *index);
}

/// What must hold inside one Core at the end of each step, and from one step to the next.
inline Broken marks_in_order(const Core& core) {
    const Log& log = core.log();
    const bool ordered = log.readable() <= log.durable() && log.durable() <= log.begun() &&
                         log.begun() <= log.last_index() && log.commit() <= log.last_index() &&
                         log.handed() <= log.commit() && log.applied() <= log.handed() &&
                         log.base().index <= log.applied() &&
                         log.base().index <= core.snapshot().last.index;
    if (ordered) return std::nullopt;
    return Violation{"marks in order", detail::name(core.self()), {core.self()}};
}
inline Broken only_forward(const Core& before, const Core& after) {
    const bool forward = before.term() <= after.term() &&
                         before.log().commit() <= after.log().commit() &&
                         before.log().applied() <= after.log().applied() &&
                         before.snapshot().last.index <= after.snapshot().last.index &&
                         (before.term() != after.term() || !before.voted_for() ||
                          before.voted_for() == after.voted_for());
    if (forward) return std::nullopt;
    return Violation{"only forward", detail::name(after.self()), {after.self()}};
}

/// Everything that can be said about a set of nodes at one moment.
inline Broken check(Cores cores) {
    if (Broken broken = election_safety(cores)) return broken;
    if (Broken broken = leader_completeness(cores)) return broken;
    for (std::size_t i = 0; i < cores.size(); ++i) {
        if (Broken broken = marks_in_order(*cores[i])) return broken;
        for (std::size_t j = i + 1; j < cores.size(); ++j) {
            if (Broken broken = log_matching(*cores[i], *cores[j])) return broken;
            if (Broken broken = state_machine_safety(*cores[i], *cores[j])) return broken;
        }
    }
    return std::nullopt;
}

}  // namespace raft::invariants

#endif
