// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The way of a PlainStorage's callbacks: kept on the executor, called there, and dropped when the
// storage is destroyed, however busy its lanes are.
#ifndef RSM_EXAMPLES_POLICIES_PLAIN_CALLBACK_QUEUE_HPP
#define RSM_EXAMPLES_POLICIES_PLAIN_CALLBACK_QUEUE_HPP

#include <raft/base/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace policies {

/// Something that was asked for and has not been answered.
class Pending {
public:
    virtual ~Pending() = default;
    virtual void answer() = 0;  ///< calls back; on the executor
    virtual void drop() = 0;    ///< forgets the callback; on the executor
};

/// Its two halves: the lane writes `result` and then lets go of it; `done` is the executor's.
template <class Value>
class Operation final : public Pending {
public:
    explicit Operation(std::function<void(raft::Result<Value>)> done) : done_(std::move(done)) {}
    std::optional<raft::Result<Value>> result;

    void answer() override {
        const auto done = std::exchange(done_, nullptr);
        if (done) done(std::move(*result));
    }
    void drop() override { done_ = nullptr; }

private:
    std::function<void(raft::Result<Value>)> done_;
};

/// It outlives the storage, because a lane may be busy when that is destroyed.
///
/// Thread safety: deliver() from any thread; everything else from the executor.
class CallbackQueue : public std::enable_shared_from_this<CallbackQueue> {
public:
    explicit CallbackQueue(boost::asio::any_io_executor executor)
        : executor_(std::move(executor)) {}

    template <class Value>
    std::shared_ptr<Operation<Value>> begin(std::function<void(raft::Result<Value>)> done) {
        auto operation = std::make_shared<Operation<Value>>(std::move(done));
        under_way_.insert(operation);
        // While something is under way, run() of an io_context has a reason not to return.
        if (under_way_.size() > 1) return operation;
        work_ = boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked);
        return operation;
    }

    /// It has its result, and is answered on the executor, behind all that were delivered before.
    void deliver(std::shared_ptr<Pending> operation) {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        arrived_.push_back(std::move(operation));
        if (arrived_.size() > 1) return;  // the post for the first one is on its way
        // Under the mutex: once close() has returned, nobody touches the executor, whose execution
        // context may be gone by then.
        boost::asio::post(executor_, [self = shared_from_this()] { self->run(); });
    }

    /// Calls back once nothing is under way.
    void when_idle(std::function<void()> idle) { idle_ = std::move(idle); }

    /// Drops all callbacks. Nothing is called from now on.
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        arrived_.clear();
        for (const auto& operation : under_way_) operation->drop();
        under_way_.clear();
        idle_ = nullptr;
        executor_ = {};
        work_ = {};
    }

private:
    void run() {
        std::vector<std::shared_ptr<Pending>> ready;
        {
            const std::lock_guard lock(mutex_);
            ready.swap(arrived_);
        }
        for (const auto& operation : ready) {
            if (closed_) return;  // a callback has destroyed the storage
            under_way_.erase(operation);
            operation->answer();
        }
        if (closed_ || !under_way_.empty()) return;
        work_ = {};
        if (const auto idle = std::exchange(idle_, nullptr)) idle();
    }

    std::mutex mutex_;
    boost::asio::any_io_executor executor_;
    boost::asio::any_io_executor work_;
    std::vector<std::shared_ptr<Pending>> arrived_;
    bool closed_ = false;
    std::set<std::shared_ptr<Pending>> under_way_;
    std::function<void()> idle_;
};

}  // namespace policies

#endif
