// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Repetition: a leader does not begin the transfer of the same snapshot to the same node again and
// again between two heartbeats.
#ifndef RSM_SIM_RULES_REPETITION_HPP
#define RSM_SIM_RULES_REPETITION_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/rules/violation.hpp>

#include <cstddef>
#include <map>
#include <utility>

namespace rsm::inline v0::sim {

class Repetition {
public:
    explicit Repetition(raft::Duration heartbeat_interval) : heartbeat_(heartbeat_interval) {}

    /// A transfer that is begun anew has brought nobody forward, so that waits for a heartbeat. A
    /// few times more, for messages that are late; a loop would do so hundreds of times.
    /// @param now  the sender's clock
    /// @param chunk  the leader's own, or one that is sent in its place
    Broken sent(raft::NodeId from, raft::NodeId to, const auto& chunk, raft::Time now) {
        constexpr std::size_t most = 5;
        if (chunk.offset != 0) return {};
        Transfer& last = transfers_[{from, to}];
        const bool same = chunk.term == last.term && chunk.meta.last == last.snapshot;
        if (!same || now - last.since >= heartbeat_) {
            last = {chunk.term, chunk.meta.last, now, 1};
            return {};
        }
        if (++last.times <= most) return {};
        return Violation{"repetition",
                         detail::node_text(from) + " sends " + detail::node_text(to) +
                             " the same snapshot again and again between two heartbeats",
                         {from, to}};
    }

private:
    /// The one that a leader began last to a node.
    struct Transfer {
        raft::Term term;
        raft::LogPosition snapshot;
        raft::Time since{};     ///< when its first piece was sent
        std::size_t times = 0;  ///< since then
    };

    raft::Duration heartbeat_;
    std::map<std::pair<raft::NodeId, raft::NodeId>, Transfer> transfers_;  ///< by sender, receiver
};

}  // namespace rsm::sim

#endif
