// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who waits for a state that has come as far as an index.
#ifndef RSM_NODE_PENDING_CAPTURES_HPP
#define RSM_NODE_PENDING_CAPTURES_HPP

#include <raft/base/types.hpp>
#include <rsm/backup.hpp>
#include <rsm/node/pending_list.hpp>

#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

class PendingCaptures : public PendingList<CapturedState, raft::Index> {
public:
    void add(raft::Index at_least, raft::Time deadline, Completion completion) {
        waiting_.push_back({at_least, deadline, std::move(completion)});
    }
    /// Those for whom a state up to `applied` will do, which wait no more.
    std::vector<Completion> take_ready(raft::Index applied) {
        return take([applied](const Waiting& one) { return one.what <= applied; });
    }
};

}  // namespace rsm::detail

#endif
