// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The operations that were submitted on this node and whose outcome is not known yet.
#ifndef RSM_NODE_PENDING_OPERATIONS_HPP
#define RSM_NODE_PENDING_OPERATIONS_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/entry.hpp>
#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

namespace rsm::inline v0::detail {

/// @tparam Complete  callable with an error code; empty after the call
///
/// An operation first waits for its place in the log, in the order of submission, then for that
/// place to be applied. Placed operations are sorted by (term, index): a node that leads again
/// places new ones at a later term, whatever their indexes.
template <class Operation, class Complete>
class PendingOperations {
public:
    struct Pending {
        raft::LogPosition position;
        std::optional<Operation> operation;
        Complete complete;
        std::size_t bytes = 0;
        raft::Time begun;  ///< when it was submitted
        raft::Time deadline = raft::Time::max();
    };

    /// Encoded bytes of all that is pending and waited for.
    std::size_t bytes() const { return bytes_; }
    std::size_t size() const { return unplaced_.size() + placed_.size(); }

    void add(Pending pending) {
        bytes_ += pending.bytes;
        earliest_ = std::min(earliest_, pending.deadline);
        unplaced_.push_back(std::move(pending));
    }

    /// The oldest unplaced operation stands in the log now. @pre there is one
    void place(raft::LogPosition position) {
        unplaced_.front().position = position;
        placed_.push_back(std::move(unplaced_.front()));
        unplaced_.pop_front();
    }

    /// The oldest unplaced operation was not taken on. @pre there is one
    void refuse(boost::system::error_code why) { end_front(unplaced_, why); }

    /// The entry at `position` is being applied. Gives the operation that stands there, if it is
    /// one of this node's. All that is pending from an earlier term is lost: terms never fall
    /// along a log, so no entry of an earlier term can be applied after this one.
    std::optional<Pending> apply(raft::LogPosition position) {
        const auto lost = [&](raft::LogPosition mine) { return mine.term < position.term; };
        while (!placed_.empty() && lost(placed_.front().position)) {
            end_front(placed_, Errc::superseded);
        }
        if (placed_.empty()) return std::nullopt;
        const raft::LogPosition mine = placed_.front().position;
        if (mine.index != position.index) return std::nullopt;
        if (mine.term != position.term) return std::nullopt;
        return take_front(placed_);
    }

    /// A snapshot has taken the place of all entries up to `last`.
    void restore(raft::LogPosition last) {
        while (!placed_.empty()) {
            const raft::LogPosition at = placed_.front().position;
            if (at.index <= last.index && at.term <= last.term) {
                end_front(placed_, Errc::result_lost);
            } else if (at.term < last.term) {
                end_front(placed_, Errc::superseded);
            } else {
                break;
            }
        }
    }

    /// Completes what has waited too long. Its place is kept, for it may still be applied, but not
    /// the operation: a node that leads again could otherwise have no room for the very operation
    /// that decides about the ones before it.
    void expire(raft::Time now) {
        if (now < earliest_) return;
        earliest_ = raft::Time::max();
        for (raft::Ring<Pending>* ring : {&unplaced_, &placed_}) {
            for (std::size_t i = 0; i < ring->size(); ++i) {
                Pending& pending = (*ring)[i];
                if (!pending.complete) continue;
                if (pending.deadline <= now) {
                    pending.complete(Errc::timed_out);
                    bytes_ -= std::exchange(pending.bytes, 0);
                    pending.operation.reset();
                } else {
                    earliest_ = std::min(earliest_, pending.deadline);
                }
            }
        }
    }
    /// The first deadline that expire() will act on, or an earlier time.
    raft::Time earliest_deadline() const { return earliest_; }

    /// The node is sent nothing more: what became of those that have a place will not be known
    /// here.
    void lose_placed() {
        while (!placed_.empty()) end_front(placed_, Errc::interrupted);
    }
    /// The node stops: nothing more will be known.
    void end() {
        lose_placed();
        while (!unplaced_.empty()) end_front(unplaced_, Errc::stopped);
    }

private:
    Pending take_front(raft::Ring<Pending>& ring) {
        Pending pending = std::move(ring.front());
        ring.pop_front();
        bytes_ -= pending.bytes;
        return pending;
    }
    void end_front(raft::Ring<Pending>& ring, boost::system::error_code why) {
        Pending pending = take_front(ring);
        if (pending.complete) pending.complete(why);
    }

    raft::Ring<Pending> unplaced_;
    raft::Ring<Pending> placed_;
    std::size_t bytes_ = 0;
    raft::Time earliest_ = raft::Time::max();
};

}  // namespace rsm::detail

#endif
