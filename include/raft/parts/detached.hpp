// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node's storage still has of its log behind damage.
#ifndef RSM_RAFT_PARTS_DETACHED_HPP
#define RSM_RAFT_PARTS_DETACHED_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <optional>
#include <vector>

namespace raft::inline v0 {

/// What speaks for a log to be the one that a node had before its storage lost some of it; the
/// more, the greater. What is left behind damage was written later the further behind it stands,
/// and each of it over the log that it speaks for.
struct Evidence {
    std::size_t run = 0;  ///< the last one of which the log has something, counted from 1; 0: none
    Index depth;          ///< up to where it has that
    friend auto operator<=>(const Evidence&, const Evidence&) = default;
};

struct Detached {
    std::vector<DetachedRun> runs;
    std::optional<Index> reading;  ///< from here on entries are being read

    /// Those that continue a log which ends here; null: none.
    const DetachedRun* find(LogPosition end) const {
        const auto found = std::find_if(
            runs.begin(), runs.end(), [end](const DetachedRun& run) { return run.continues(end); });
        return found == runs.end() ? nullptr : &*found;
    }
    /// Of a log whose positions from `base` on `has` knows, and which ends at `last`. An entry of
    /// the term that was promised last stands in one log only up to what was promised, its
    /// leader's; and one that is as up to date as that has all of it that may be committed.
    /// @param promised  Log::promised()
    template <class Has>
    Evidence evidence(LogPosition promised, LogPosition last, Index base, Has has) const {
        if (is_up_to_date(last, promised)) return {runs.size() + 2, {}};
        if (last.term == promised.term) return {runs.size() + 1, {}};
        for (std::size_t run = runs.size(); run != 0; --run) {
            const auto depth = runs[run - 1].depth_in(std::min(base, last.index), last.index, has);
            if (depth) return {run, *depth};
        }
        return {};
    }
    /// What begins with `index`, or has it, cannot be read.
    void give_up(Index index) {
        const auto has = [index](const DetachedRun& run) {
            return run.before.index < index && index <= run.last;
        };
        runs.erase(std::remove_if(runs.begin(), runs.end(), has), runs.end());
    }
    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.runs, self.reading);
    }
    friend bool operator==(const Detached&, const Detached&) = default;
};

}  // namespace raft

#endif
