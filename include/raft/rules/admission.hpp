// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who and what is heard at all.
#ifndef RSM_RAFT_RULES_ADMISSION_HPP
#define RSM_RAFT_RULES_ADMISSION_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <raft/rules/context.hpp>

namespace raft::inline v0 {

/// Members, and numbers that a cluster can come to. A term that everybody adopts is for ever, so
/// one forged or damaged number must not use up those that are left.
inline bool is_admitted(const Step& step, const Message& message) {
    if (message.to != step.self || message.from == step.self ||
        !step.membership.contains(message.from)) {
        return false;
    }
    const bool plausible =
        within_limits(message) && term_of(message).value <= step.term().value + max_term_step;
    if (!plausible) step.announce(EventKind::number_out_of_range, message.from);
    return plausible;
}

}  // namespace raft

#endif
