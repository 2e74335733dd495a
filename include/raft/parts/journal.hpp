// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the writes to stable storage carry beside terms, votes and entries, and how far they are.
#ifndef RSM_RAFT_PARTS_JOURNAL_HPP
#define RSM_RAFT_PARTS_JOURNAL_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <optional>

namespace raft::inline v0 {

/// Invariant: durable <= begun.
struct Journal {
    WriteId begun;    ///< the last write that was given out
    WriteId durable;  ///< it and all before it are
    Index commit;     ///< the commit index that was last written: a help at restart, no duty
    std::optional<LogPosition> reset;    ///< for the next write: the log starts anew after this
    std::optional<LogPosition> release;  ///< for the next write: the log up to here is not needed

    void persisted(WriteId id) { durable = std::max(durable, id); }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.begun, self.durable, self.commit, self.reset, self.release);
    }
    friend bool operator==(const Journal&, const Journal&) = default;
};

}  // namespace raft

#endif
