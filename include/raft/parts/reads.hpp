// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Linearizable reads on their way: those that wait for a quorum's echo, which only a leader has,
// and those that wait for the state machine.
#ifndef RSM_RAFT_PARTS_READS_HPP
#define RSM_RAFT_PARTS_READS_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace raft::inline v0 {

/// The rounds by which a leader asks its followers whether it still leads (thesis, section 6.4).
struct ReadRounds {
    /// Reads that share one round and the commit index at which it began.
    struct Round {
        std::uint64_t number = 0;
        Index index;
        std::vector<Token> tokens;
        template <class Self, class Visit>
        static constexpr auto fields(Self& self, Visit visit) {
            return visit(self.number, self.index, self.tokens);
        }
        friend bool operator==(const Round&, const Round&) = default;
    };

    std::uint64_t latest = 0;
    bool due = false;            ///< the latest must still be announced
    std::vector<Token> joining;  ///< these wait for the next round
    Ring<Round> open;            ///< these wait for a quorum's echo; ascending

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.latest, self.due, self.joining, self.open);
    }
    friend bool operator==(const ReadRounds&, const ReadRounds&) = default;
};

/// Reads whose index is known and confirmed; they wait for the state machine.
struct Reads {
    struct Confirmed {
        Index index;
        std::vector<Token> tokens;
        template <class Self, class Visit>
        static constexpr auto fields(Self& self, Visit visit) {
            return visit(self.index, self.tokens);
        }
        friend bool operator==(const Confirmed&, const Confirmed&) = default;
    };

    Ring<Confirmed> confirmed;  ///< ascending
    std::size_t waiting = 0;    ///< all that were asked for here and are not answered

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.confirmed, self.waiting);
    }
    friend bool operator==(const Reads&, const Reads&) = default;
};

}  // namespace raft

#endif
