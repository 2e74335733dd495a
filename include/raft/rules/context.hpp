// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every rule may know of the step that it belongs to, and where it puts what follows from it.
#ifndef RSM_RAFT_RULES_CONTEXT_HPP
#define RSM_RAFT_RULES_CONTEXT_HPP

#include <raft/base/types.hpp>
#include <raft/parts/ballot.hpp>
#include <raft/parts/configuration.hpp>
#include <raft/parts/disk_health.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/step.hpp>

#include <utility>
#include <variant>

namespace raft::inline v0 {

/// A rule that changes one of these parts takes it as a parameter besides.
struct Step {
    const Options& options;
    NodeId self;
    Instance instance;
    const Configuration& configuration;
    const Ballot& ballot;
    const DiskHealth& disk;
    Time now;
    Output& out;

    Term term() const { return ballot.term; }
    /// The one in force.
    const Membership& membership() const { return configuration.latest(); }

    /// Whether somebody who was heard of last at that time has been silent for an election timeout.
    bool is_silent(Time last_contact) const {
        return now - last_contact >= options.election_timeout;
    }

    /// Sends what tells of nothing but the term and vote, which nobody may see before they are
    /// durable: "updated on stable storage before responding to RPCs" (Figure 2).
    void send(NodeId to, Message::Body body) const {
        if (ballot.durable()) {
            out.send.push_back(addressed(to, std::move(body)));
        } else {
            send_when_durable(to, std::move(body));
        }
    }
    /// Sends what tells of entries too: after the last write that this step makes or finds under
    /// way (see record()).
    void send_when_durable(NodeId to, Message::Body body) const {
        out.send_after.push_back({WriteId{}, addressed(to, std::move(body))});
    }
    /// A request is meant for the instance that is a member, not for another one that bears its id.
    /// An answer is for the one who asked, whom an older membership may not know; and who the
    /// target of a leader's snapshot is, only the leader says.
    Message addressed(NodeId to, Message::Body body) const {
        const bool meant = is_request(body) && !std::holds_alternative<SourceChunk>(body);
        const Member* const member = meant ? membership().find(to) : nullptr;
        const Instance addressee = member == nullptr ? Instance{} : member->instance;
        return {self, to, std::move(body), instance, addressee};
    }
    void announce(EventKind kind, NodeId node = {}, Index index = {}) const {
        out.events.push_back({kind, ballot.term, node, index});
    }
};

/// After how long without a step forward a piece of a snapshot, or all of it, is sent again, or
/// asked for again, at the latest.
inline Duration longest_patience(const Step& step) { return 8 * step.options.election_timeout; }

}  // namespace raft

#endif
