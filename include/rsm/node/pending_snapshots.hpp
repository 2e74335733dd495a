// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who has asked for a snapshot and waits until it is durable.
#ifndef RSM_NODE_PENDING_SNAPSHOTS_HPP
#define RSM_NODE_PENDING_SNAPSHOTS_HPP

#include <raft/base/types.hpp>
#include <rsm/node/pending_list.hpp>
#include <rsm/status.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// Which one somebody waits for.
enum class AskedSnapshot : std::uint8_t { next, under_way };

/// A snapshot answers those who were there when it was begun: for all others it may lack what they
/// have seen applied, so they wait for the next.
class PendingSnapshots : public PendingList<SavedSnapshot, AskedSnapshot> {
public:
    void add(raft::Time deadline, Completion completion) {
        waiting_.push_back({AskedSnapshot::next, deadline, std::move(completion)});
    }

    /// Whether somebody waits for one that has not begun.
    bool wants_one() const {
        return std::ranges::any_of(
            waiting_, [](const Waiting& one) { return one.what == AskedSnapshot::next; });
    }
    void begun() { all_await(AskedSnapshot::under_way); }
    /// What had begun is of no use: they wait for another.
    void begin_again() { all_await(AskedSnapshot::next); }

    void saved(const SavedSnapshot& snapshot) {
        for (Completion& completion : take_begun()) completion({}, snapshot);
    }
    void failed(boost::system::error_code why) { fail(take_begun(), why); }

private:
    void all_await(AskedSnapshot what) {
        for (Waiting& one : waiting_) one.what = what;
    }
    std::vector<Completion> take_begun() {
        return take([](const Waiting& one) { return one.what == AskedSnapshot::under_way; });
    }
};

}  // namespace rsm::detail

#endif
