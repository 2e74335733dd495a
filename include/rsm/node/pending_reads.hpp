// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The reads that were asked of this node and not answered yet.
#ifndef RSM_NODE_PENDING_READS_HPP
#define RSM_NODE_PENDING_READS_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace rsm::inline v0::detail {

/// What a read does when it may, whatever its result type.
template <class Machine>
class PendingRead {
public:
    virtual ~PendingRead() = default;
    /// False: the query threw, and whoever waits has been told so.
    virtual bool answer(const Machine& machine) = 0;
    virtual void fail(boost::system::error_code why) = 0;
    raft::Time begun;
    raft::Time deadline = raft::Time::max();
};

/// Tokens are handed out in sequence, so a read is found by its distance from the oldest.
template <class Machine>
class PendingReads {
public:
    /// @param failed  counts those that end with an error
    explicit PendingReads(ErrorCounts& failed) : failed_(failed) {}

    std::size_t size() const { return reads_.size(); }

    raft::Token add(std::unique_ptr<PendingRead<Machine>> read) {
        earliest_ = std::min(earliest_, read->deadline);
        reads_.push_back(std::move(read));
        return first_ + reads_.size() - 1;
    }

    /// @return when it was begun; nothing where it has failed, before or now
    std::optional<raft::Time> answer(raft::Token token, const Machine& machine) {
        const auto read = take(token);
        if (read == nullptr) return std::nullopt;
        if (read->answer(machine)) return read->begun;
        failed_.count(Errc::user_exception);
        return std::nullopt;
    }
    void fail(raft::Token token, boost::system::error_code why) {
        if (const auto read = take(token)) fail(*read, why);
    }
    /// One that was not taken on.
    void fail(PendingRead<Machine>& read, boost::system::error_code why) {
        failed_.count(why);
        read.fail(why);
    }

    void expire(raft::Time now) {
        if (now < earliest_) return;
        earliest_ = raft::Time::max();
        for (std::size_t i = 0; i < reads_.size(); ++i) {
            if (reads_[i] == nullptr) continue;
            if (reads_[i]->deadline <= now) {
                fail(*std::exchange(reads_[i], nullptr), Errc::timed_out);
            } else {
                earliest_ = std::min(earliest_, reads_[i]->deadline);
            }
        }
        drop_answered();
    }
    raft::Time earliest_deadline() const { return earliest_; }

    void end() {
        for (std::size_t i = 0; i < reads_.size(); ++i) {
            if (reads_[i] != nullptr) fail(*std::exchange(reads_[i], nullptr), Errc::stopped);
        }
        drop_answered();
    }

private:
    // Nothing for a token that was answered before (its deadline may have passed first).
    std::unique_ptr<PendingRead<Machine>> take(raft::Token token) {
        if (token < first_ || token - first_ >= reads_.size()) return nullptr;
        auto read = std::exchange(reads_[token - first_], nullptr);
        drop_answered();
        return read;
    }
    void drop_answered() {
        while (!reads_.empty() && reads_.front() == nullptr) {
            reads_.pop_front();
            ++first_;
        }
    }

    ErrorCounts& failed_;
    raft::Ring<std::unique_ptr<PendingRead<Machine>>> reads_;
    raft::Token first_ = 1;
    raft::Time earliest_ = raft::Time::max();
};

}  // namespace rsm::detail

#endif
