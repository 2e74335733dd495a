// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The completions of operations that wait for something of the node, each until its deadline.
#ifndef RSM_NODE_PENDING_LIST_HPP
#define RSM_NODE_PENDING_LIST_HPP

#include <raft/base/types.hpp>
#include <rsm/error.hpp>
#include <rsm/node/completion.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// A few of them: each look at them is one at all.
/// @tparam Value  what they complete with
/// @tparam What   what each waits for
template <class Value, class What>
class PendingList {
public:
    using Ending = detail::Ending<Value>;
    using Completion = typename Ending::Completion;
    /// That wait at once; each holds next to nothing.
    static constexpr std::size_t most = 16;

    bool is_full() const { return waiting_.size() == most; }
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

protected:
    struct Waiting {
        What what;
        raft::Time deadline;
        Completion completion;
    };

    /// Those that are wanted wait no more.
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
    static void fail(std::vector<Completion> all, boost::system::error_code why) {
        for (Completion& completion : all) Ending::fail(completion, why);
    }

    std::vector<Waiting> waiting_;
};

}  // namespace rsm::detail

#endif
