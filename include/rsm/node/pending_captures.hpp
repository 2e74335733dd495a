// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who waits for a state that has come as far as an index.
#ifndef RSM_NODE_PENDING_CAPTURES_HPP
#define RSM_NODE_PENDING_CAPTURES_HPP

#include <raft/base/types.hpp>
#include <rsm/backup.hpp>
#include <rsm/error.hpp>
#include <rsm/node/completion.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

class PendingCaptures {
public:
    using Ending = detail::Ending<CapturedState>;
    using Completion = Ending::Completion;
    /// That wait at once; each holds next to nothing before it has its state.
    static constexpr std::size_t most = 16;

    bool is_full() const { return waiting_.size() == most; }
    void add(raft::Index at_least, raft::Time deadline, Completion completion) {
        waiting_.push_back({at_least, deadline, std::move(completion)});
    }
    /// Those for whom a state up to `applied` will do, which wait no more.
    std::vector<Completion> take_ready(raft::Index applied) {
        return take([applied](const Waiting& one) { return one.at_least <= applied; });
    }
    void expire(raft::Time now) {
        fail(take([now](const Waiting& one) { return one.deadline <= now; }), Errc::timed_out);
    }
    raft::Time earliest_deadline() const {
        raft::Time earliest = raft::Time::max();
        for (const Waiting& one : waiting_) earliest = std::min(earliest, one.deadline);
        return earliest;
    }
    void end() {
        fail(take([](const Waiting&) { return true; }), Errc::stopped);
    }

private:
    struct Waiting {
        raft::Index at_least;
        raft::Time deadline;
        Completion completion;
    };

    template <class Predicate>
    std::vector<Completion> take(Predicate wanted) {
        std::vector<Completion> taken;
        std::vector<Waiting> rest;
        for (Waiting& one : waiting_) {
            if (wanted(one)) {
                taken.push_back(std::move(one.completion));
            } else {
                rest.push_back(std::move(one));
            }
        }
        waiting_ = std::move(rest);
        return taken;
    }
    static void fail(std::vector<Completion> all, Errc why) {
        for (Completion& completion : all) Ending::fail(completion, why);
    }

    std::vector<Waiting> waiting_;
};

}  // namespace rsm::detail

#endif
