// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Who of the clients works when: who has had least first, in slices of time, so that the replica
// gets to its own work between them, however much the clients want.
#ifndef RSM_EXAMPLES_KV_WORK_QUEUE_HPP
#define RSM_EXAMPLES_KV_WORK_QUEUE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace kv {

/// What time it is: another one only for tests.
using WorkClock = std::chrono::steady_clock::time_point (*)();

/// A stretch of time that is being worked in.
class Slice {
public:
    explicit Slice(std::chrono::nanoseconds length, WorkClock now = &std::chrono::steady_clock::now)
        : now_(now), end_(now() + length) {}

    /// Something that took in or gave out so many bytes has been done. The clock is only looked at
    /// when that may have taken a while.
    void spend(std::size_t bytes) {
        unclocked_ += 256 + bytes;
        if (unclocked_ < 8192) return;
        unclocked_ = 0;
        over_ = over_ || now_() >= end_;
    }
    bool over() const { return over_; }
    /// Looks at the clock in any case.
    bool over_now() { return over_ = over_ || now_() >= end_; }

private:
    WorkClock now_;
    std::chrono::steady_clock::time_point end_;
    std::size_t unclocked_ = 0;
    bool over_ = false;
};

/// Calls its workers, first the one that has had the least time, until the slice is over; what is
/// left waits behind all else that is ready on the executor. So one that wants little is called
/// next, however many others there are that want much, and those share the time evenly
/// (start-time fair queueing, Goyal et al. 1996).
///
/// Thread safety: everything on the executor.
class WorkQueue {
    using Time = std::chrono::nanoseconds;

public:
    /// How much less than others one can have had and still be behind: enough for one that now and
    /// then wants a little to come before those who want much, whenever it does.
    static constexpr std::chrono::milliseconds credit{100};

    class Worker {
    public:
        /// Works until there is nothing to do or the slice is over; in the second case it adds
        /// itself again.
        virtual void work(Slice& slice) = 0;
        /// Counts `time` as worked: what it has made others do.
        void charge(Time time) { used_ += time; }

    protected:
        virtual ~Worker() = default;

    private:
        friend class WorkQueue;
        bool is_queued_ = false;
        bool is_new_ = true;
        Time used_{0};  // what it has worked, or those who did while it wanted nothing
    };

    WorkQueue(const boost::asio::any_io_executor& executor, Time slice,
              WorkClock now = &std::chrono::steady_clock::now)
        : state_(std::make_shared<State>(executor, slice, now)) {}
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;
    ~WorkQueue() { clear(); }

    /// Does nothing if it waits already.
    void add(std::shared_ptr<Worker> worker) {
        if (std::exchange(worker->is_queued_, true)) return;
        if (worker.get() == state_->working) return;  // its time is not over yet
        state_->push(std::move(worker));
        State::post(state_);
    }
    void clear() { state_->waiting.clear(); }

private:
    struct Waiting {
        Time used;
        Time had;              // without what it is charged for having wanted nothing
        std::uint64_t number;  // of those that have had as much, the first comes first
        std::shared_ptr<Worker> worker;

        /// For a heap with the least on top.
        friend bool operator<(const Waiting& a, const Waiting& b) {
            return std::tie(a.used, a.had, a.number) > std::tie(b.used, b.had, b.number);
        }
    };

    struct State {
        State(const boost::asio::any_io_executor& on, Time length, WorkClock clock)
            : executor(on), slice(length), now(clock) {}

        static void post(const std::shared_ptr<State>& self) {
            if (std::exchange(self->is_posted, true)) return;
            boost::asio::post(self->executor, [self] {
                self->is_posted = false;
                self->run();
                if (!self->waiting.empty()) post(self);
            });
        }

        void run() {
            Slice turn(slice, now);
            while (!waiting.empty() && !turn.over_now()) {
                const std::shared_ptr<Worker> worker = pop();
                served = std::max(served, worker->used_);
                worker->is_queued_ = false;
                working = worker.get();
                const auto begin = now();
                worker->work(turn);
                worker->used_ += now() - begin;
                working = nullptr;
                if (worker->is_queued_) push(worker);
            }
        }

        void push(std::shared_ptr<Worker> worker) {
            // Time in which it wanted nothing is saved up for a short while only. A new one does
            // not go before those that have been served: else whoever connects again and again
            // would have all the time.
            if (std::exchange(worker->is_new_, false)) worker->used_ = served + slice;
            const Time had = std::exchange(worker->used_, std::max(worker->used_, served - credit));
            waiting.push_back({worker->used_, had, ++number, std::move(worker)});
            std::push_heap(waiting.begin(), waiting.end());
        }
        std::shared_ptr<Worker> pop() {
            std::pop_heap(waiting.begin(), waiting.end());
            std::shared_ptr<Worker> worker = std::move(waiting.back().worker);
            waiting.pop_back();
            return worker;
        }

        boost::asio::any_io_executor executor;
        Time slice;
        WorkClock now;
        std::vector<Waiting> waiting;  // a heap
        std::uint64_t number = 0;
        Time served{0};  // the most that one of those who were called had had; goes only forward
        Worker* working = nullptr;
        bool is_posted = false;
    };

    std::shared_ptr<State> state_;
};

}  // namespace kv

#endif
