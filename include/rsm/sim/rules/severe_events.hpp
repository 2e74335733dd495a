// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Severe events: a node that reports a protocol violation or a rival fails the run; and so does one
// that reports that a follower has lost what it acknowledged, unless its disk has lost it.
#ifndef RSM_SIM_RULES_SEVERE_EVENTS_HPP
#define RSM_SIM_RULES_SEVERE_EVENTS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

namespace rsm::inline v0::sim {

/// @param excused  what the node that the event is about had acknowledged may be lost
inline Broken severe_event(raft::NodeId id, const raft::Event& event, bool excused) {
    if (event.kind == raft::EventKind::acknowledgement_lost && !excused) {
        return Violation{"severe event",
                         detail::node_text(id) + " says that " + detail::node_text(event.node) +
                             " has lost what it acknowledged",
                         {id, event.node}};
    }
    const bool severe = event.kind == raft::EventKind::protocol_violation ||
                        event.kind == raft::EventKind::rival_leader;
    if (!severe) return {};
    return Violation{"severe event",
                     detail::node_text(id) + " says that " + detail::node_text(event.node) +
                         " sent what no correct node sends",
                     {id, event.node}};
}

}  // namespace rsm::sim

#endif
