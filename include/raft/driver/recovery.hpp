// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What every Storage must do when it recovers: put the runs of terms together, and make the log
// and the newest snapshot fit each other.
#ifndef RSM_RAFT_DRIVER_RECOVERY_HPP
#define RSM_RAFT_DRIVER_RECOVERY_HPP

#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>

#include <string>
#include <system_error>
#include <vector>

namespace raft::inline v0 {

/// Extends the term runs of a log by its next entry, or by the next entries of that term, of which
/// `index` is the first.
inline void add_to_runs(std::vector<TermRun>& runs, Index index, Term term) {
    if (runs.empty() || runs.back().term != term) runs.push_back({index, term});
}

/// Makes the log and the newest snapshot fit each other, which they need not after a crash: the
/// snapshot of a leader is installed before the log is reset to it. To be called with what was
/// found, when all members of `recovered` are filled in.
///
/// Returns whether the log is void: it lacks the snapshot's last entry, or has another one in its
/// place, and is replaced in `recovered` by an empty one after the snapshot. The storage makes that
/// durable, as by a Write with `reset`, before it appends anything.
///
/// @param damaged  the code of a Failure, where entries were released that no snapshot covers, or
///        log and snapshot give one index two terms: something that was durable is missing
inline Result<bool> fit_to_snapshot(Recovered& recovered, std::error_code damaged) {
    const LogPosition last = recovered.snapshot.last;
    if (last.index < recovered.base.index) {
        return Failure{damaged, "the snapshot that covers the released log up to index " +
                                    std::to_string(recovered.base.index.value) + " is missing"};
    }
    if (last == recovered.base) return false;
    if (last.index == recovered.base.index) {
        return Failure{damaged, "the snapshot and the log disagree on the term of index " +
                                    std::to_string(last.index.value)};
    }
    if (last.index <= recovered.last) {
        Term term;
        for (const TermRun& run : recovered.runs) {
            if (run.first <= last.index) term = run.term;
        }
        if (term == last.term) return false;
    }
    recovered.base = last;
    recovered.last = last.index;
    recovered.runs.clear();
    recovered.memberships.clear();
    return true;
}

}  // namespace raft

#endif
