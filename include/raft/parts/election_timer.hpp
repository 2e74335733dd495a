// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// When a node that does not lead stands for election, and what it remembers of leaders and pauses.
#ifndef RSM_RAFT_PARTS_ELECTION_TIMER_HPP
#define RSM_RAFT_PARTS_ELECTION_TIMER_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/options.hpp>

#include <cstdint>
#include <optional>

namespace raft::inline v0 {

struct ElectionTimer {
    explicit ElectionTimer(std::uint64_t seed) : random(seed) {}

    Random random;
    Time expires;
    unsigned pauses = 0;               ///< that ended with the last steps, without one between
    std::optional<Time> leader_heard;  ///< when a leader last spoke to this node
    std::optional<Time> votes_from;    ///< after a start: not before

    /// Drawn anew each time, so that split votes are rare and do not repeat (section 5.2).
    void restart(const Options& options, Time now) {
        expires = now + options.election_timeout + random.below(options.election_timeout);
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.random, self.expires, self.pauses, self.leader_heard, self.votes_from);
    }
    friend bool operator==(const ElectionTimer&, const ElectionTimer&) = default;
};

}  // namespace raft

#endif
