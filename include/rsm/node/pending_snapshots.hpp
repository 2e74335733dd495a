// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who has asked for a snapshot and waits until it is durable.
#ifndef RSM_NODE_PENDING_SNAPSHOTS_HPP
#define RSM_NODE_PENDING_SNAPSHOTS_HPP

#include <raft/base/types.hpp>
#include <rsm/error.hpp>
#include <rsm/node/completion.hpp>
#include <rsm/status.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// A snapshot answers those who were there when it was begun: for all others it may lack what they
/// have seen applied, so they wait for the next.
class PendingSnapshots {
public:
    using Ending = detail::Ending<SavedSnapshot>;
    using Completion = Ending::Completion;
    /// That wait at once.
    static constexpr std::size_t most = 16;

    bool is_full() const { return waiting_.size() == most; }
    void add(raft::Time deadline, Completion completion) {
        waiting_.push_back({deadline, false, std::move(completion)});
    }

    /// Whether somebody waits for one that has not begun.
    bool wants_one() const {
        return std::ranges::any_of(waiting_, [](const Waiting& one) { return !one.begun; });
    }
    void begun() {
        for (Waiting& one : waiting_) one.begun = true;
    }
    /// What had begun is of no use: they wait for another.
    void begin_again() {
        for (Waiting& one : waiting_) one.begun = false;
    }

    void saved(const SavedSnapshot& snapshot) {
        for (Completion& completion : take([](const Waiting& one) { return one.begun; })) {
            completion({}, snapshot);
        }
    }
    void failed(boost::system::error_code why) {
        fail(take([](const Waiting& one) { return one.begun; }), why);
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
        raft::Time deadline;
        bool begun = false;
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
    static void fail(std::vector<Completion> all, boost::system::error_code why) {
        for (Completion& completion : all) Ending::fail(completion, why);
    }

    std::vector<Waiting> waiting_;
};

}  // namespace rsm::detail

#endif
