// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Rule: what nodes of one cluster say to each other is never turned away for what it says.
#ifndef RSM_SIM_RULES_SOUND_CONNECTIONS_HPP
#define RSM_SIM_RULES_SOUND_CONNECTIONS_HPP

#include <raft/base/types.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/transport/tcp_refusal.hpp>

namespace rsm::inline v0::sim {

/// Sockets carry bytes unharmed and in order, so only want of time or room excuses a refusal; and a
/// node whose power has failed comes back as another process.
inline Broken refusal_is_sound(raft::NodeId id, const TcpRefused& refused) {
    switch (refused.reason) {
        case TcpRefusal::not_accepted:
        case TcpRefusal::too_many:
        case TcpRefusal::hello_cut_off:
        case TcpRefusal::hello_timeout:
        case TcpRefusal::claimed_anew: return {};
        default: break;
    }
    return Violation{
        "sound connections", detail::node_text(id) + " turns a peer away: " + refused.text(), {id}};
}

}  // namespace rsm::sim

#endif
