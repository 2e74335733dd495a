// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The way back from a storage's lanes to the node's executor.
#ifndef RSM_STORAGE_DETAIL_CALLBACK_QUEUE_HPP
#define RSM_STORAGE_DETAIL_CALLBACK_QUEUE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// The way back from the lanes to the node's executor. It outlives the storage, because a
/// lane may be busy when the storage is destroyed; after close() it posts and runs nothing.
///
/// While operations are under way it counts as work of the executor, so that run() does not
/// return before they have completed.
///
/// Thread safety: deliver() from any thread; everything else from the executor.
class CallbackQueue : public std::enable_shared_from_this<CallbackQueue> {
public:
    using Handler = std::function<void()>;

    explicit CallbackQueue(boost::asio::any_io_executor executor)
        : executor_(std::move(executor)) {}

    /// An operation begins; a deliver() will count it off.
    void begin() {
        if (under_way_++ == 0) {
            work_ =
                boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked);
        }
    }
    std::size_t under_way() const { return under_way_; }

    /// `operations` have ended: `handler` runs on the executor, behind all earlier ones. What
    /// gathers before the executor comes to it shares one post.
    void deliver(std::size_t operations, Handler handler) {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        arrived_.push_back({operations, std::move(handler)});
        if (posted_) return;
        posted_ = true;
        // The mutex is held, so close() cannot return between the check above and the post.
        boost::asio::post(executor_, [self = shared_from_this()] { self->run(); });
    }

    /// Drops everything that has not run; nothing is posted and no handler begins after it.
    void close() {
        std::vector<Arrived> dropped;
        boost::asio::any_io_executor executor;
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            dropped.swap(arrived_);
            // The last owner may be a lane that outlives the execution context.
            executor = std::exchange(executor_, {});
        }
        work_ = {};
    }
    bool closed() const { return closed_; }

private:
    struct Arrived {
        std::size_t operations;
        Handler handler;
    };

    void run() {
        std::vector<Arrived> ready;
        {
            const std::lock_guard lock(mutex_);
            posted_ = false;
            ready.swap(arrived_);
        }
        // A handler may destroy the storage, which closes this; the rest is dropped then.
        for (Arrived& arrived : ready) {
            if (closed_) return;
            under_way_ -= arrived.operations;
            arrived.handler();
        }
        if (under_way_ == 0) work_ = {};
    }

    std::mutex mutex_;
    std::vector<Arrived> arrived_;
    bool posted_ = false;
    bool closed_ = false;
    boost::asio::any_io_executor executor_;
    boost::asio::any_io_executor work_;  ///< tracked while anything is under way
    std::size_t under_way_ = 0;
};

}  // namespace rsm::detail

#endif
