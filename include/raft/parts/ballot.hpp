// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node has promised in elections, and whether its disk knows.
#ifndef RSM_RAFT_PARTS_BALLOT_HPP
#define RSM_RAFT_PARTS_BALLOT_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>

#include <optional>

namespace raft::inline v0 {

/// currentTerm and votedFor of Figure 2, which are "updated on stable storage before responding to
/// RPCs": until durable(), nobody may see them.
///
/// Invariants: the term only grows; a vote, once given, stays for its term.
struct Ballot {
    Term term;
    NodeId voted_for;
    Instance voted_instance;  ///< of the candidate; 0: it has none, or that is not known any more
    bool changed = false;     ///< since the last write was made
    std::optional<WriteId> writing;  ///< the write under way that makes them durable

    bool durable() const { return !changed && !writing; }

    /// @pre later > term
    void enter(Term later) {
        term = later;
        voted_for = NodeId{};
        voted_instance = Instance{};
        changed = true;
    }
    /// @pre nobody else has this term's vote
    void vote_for(NodeId candidate, Instance instance) {
        const bool news = voted_for != candidate;
        changed = changed || news;
        voted_for = candidate;
        voted_instance = instance;
    }
    /// The write `id` carries them as they are now.
    void written(WriteId id) {
        changed = false;
        writing = id;
    }
    /// The write `id` and all before it are durable.
    void persisted(WriteId id) {
        if (writing && *writing <= id) writing.reset();
    }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.term, self.voted_for, self.voted_instance, self.changed, self.writing);
    }
    friend bool operator==(const Ballot&, const Ballot&) = default;
};

}  // namespace raft

#endif
