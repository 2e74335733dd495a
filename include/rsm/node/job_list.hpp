// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// JobList: jobs on their way to a strand from any thread, kept where they can be found again when
// the strand does not run any more.
#ifndef RSM_NODE_JOB_LIST_HPP
#define RSM_NODE_JOB_LIST_HPP

#include <atomic>
#include <memory>
#include <utility>

namespace rsm::inline v0::detail {

/// Any thread adds to it, without a lock; one thread at a time takes from it.
///
/// @tparam Context  given to each job by the one who runs it
template <class Context>
class JobList {
public:
    class Job {
    public:
        virtual ~Job() = default;
        virtual void run(const Context& context) = 0;

    private:
        friend class JobList;
        Job* next_ = nullptr;
    };

    JobList() = default;
    JobList(const JobList&) = delete;
    JobList& operator=(const JobList&) = delete;
    ~JobList() { clear(); }

    /// From any thread.
    void push(std::unique_ptr<Job> job) {
        Job* const added = job.release();
        added->next_ = newest_.load(std::memory_order_relaxed);
        while (!newest_.compare_exchange_weak(added->next_, added, std::memory_order_release,
                                              std::memory_order_relaxed)) {}
    }
    /// Runs the oldest job, if there is one.
    void run_next(const Context& context) {
        if (const std::unique_ptr<Job> job = take()) job->run(context);
    }
    /// Destroys all jobs without running them, the oldest first.
    void clear() {
        while (take() != nullptr) {}
    }

private:
    std::unique_ptr<Job> take() {
        if (oldest_ == nullptr) fetch();
        std::unique_ptr<Job> job(oldest_);
        if (job != nullptr) oldest_ = job->next_;
        return job;
    }
    /// Turns what has been pushed around. @pre oldest_ is null
    void fetch() {
        Job* newer = newest_.exchange(nullptr, std::memory_order_acquire);
        while (newer != nullptr) {
            Job* const older = std::exchange(newer->next_, oldest_);
            oldest_ = newer;
            newer = older;
        }
    }

    std::atomic<Job*> newest_{nullptr};  // pushed and not fetched; the next is the one before
    Job* oldest_ = nullptr;              // fetched; the next is the one after
};

}  // namespace rsm::detail

#endif
