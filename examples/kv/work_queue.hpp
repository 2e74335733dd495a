// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who of the clients works when: one after the other, in slices of time, so that the replica gets
// to its own work between them, however much the clients want.
#ifndef RSM_EXAMPLES_KV_WORK_QUEUE_HPP
#define RSM_EXAMPLES_KV_WORK_QUEUE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

namespace kv {

/// A stretch of time that is being worked in.
class Slice {
    using Clock = std::chrono::steady_clock;

public:
    explicit Slice(std::chrono::nanoseconds length) : end_(Clock::now() + length) {}

    /// Something that took in or gave out so many bytes has been done. The clock is only looked at
    /// when that may have taken a while.
    void spend(std::size_t bytes) {
        unclocked_ += 256 + bytes;
        if (unclocked_ < 8192) return;
        unclocked_ = 0;
        over_ = over_ || Clock::now() >= end_;
    }
    bool over() const { return over_; }
    /// Looks at the clock in any case.
    bool over_now() { return over_ = over_ || Clock::now() >= end_; }

private:
    Clock::time_point end_;
    std::size_t unclocked_ = 0;
    bool over_ = false;
};

/// Calls its workers in the order in which they have come, each once per time it has come, until
/// the slice is over; what is left waits behind all else that is ready on the executor.
///
/// Thread safety: everything on the executor.
class WorkQueue {
public:
    class Worker {
    public:
        /// Works until there is nothing to do or the slice is over; in the second case it adds
        /// itself again.
        virtual void work(Slice& slice) = 0;

    protected:
        virtual ~Worker() = default;

    private:
        friend class WorkQueue;
        bool is_queued_ = false;
    };

    WorkQueue(const boost::asio::any_io_executor& executor, std::chrono::nanoseconds slice)
        : state_(std::make_shared<State>(State{executor, slice, {}, false})) {}
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;
    ~WorkQueue() { clear(); }

    /// Does nothing if it waits already.
    void add(std::shared_ptr<Worker> worker) {
        if (std::exchange(worker->is_queued_, true)) return;
        state_->waiting.push_back(std::move(worker));
        State::post(state_);
    }
    void clear() { state_->waiting.clear(); }

private:
    struct State {
        boost::asio::any_io_executor executor;
        std::chrono::nanoseconds slice;
        std::deque<std::shared_ptr<Worker>> waiting;
        bool is_posted = false;

        static void post(const std::shared_ptr<State>& self) {
            if (std::exchange(self->is_posted, true)) return;
            boost::asio::post(self->executor, [self] {
                self->is_posted = false;
                self->run();
                if (!self->waiting.empty()) post(self);
            });
        }

        void run() {
            Slice now(slice);
            while (!waiting.empty() && !now.over_now()) {
                const std::shared_ptr<Worker> worker = std::move(waiting.front());
                waiting.pop_front();
                worker->is_queued_ = false;
                worker->work(now);
            }
        }
    };

    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
