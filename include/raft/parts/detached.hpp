// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node's storage still has of its log behind damage.
#ifndef RSM_RAFT_PARTS_DETACHED_HPP
#define RSM_RAFT_PARTS_DETACHED_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>

#include <algorithm>
#include <optional>
#include <vector>

namespace raft::inline v0 {

struct Detached {
    std::vector<DetachedRun> runs;
    std::optional<Index> reading;  ///< from here on entries are being read

    /// Those that continue a log which ends here; null: none.
    const DetachedRun* find(LogPosition end) const {
        const auto found = std::find_if(
            runs.begin(), runs.end(), [end](const DetachedRun& run) { return run.continues(end); });
        return found == runs.end() ? nullptr : &*found;
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
