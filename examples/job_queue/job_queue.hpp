// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// JobQueue: jobs that are each done, or given up after some attempts, and never lost.
#ifndef RSM_EXAMPLES_JOB_QUEUE_HPP
#define RSM_EXAMPLES_JOB_QUEUE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace job_queue {

/// Seconds, from whatever beginning.
using Time = std::uint64_t;

/// `key` is the producer's name for the job. Who does not know whether a job was taken in enqueues
/// it again under the same key: it is one job.
struct Enqueue {
    std::string key;
    std::string payload;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& key& payload;
    }
};
/// The oldest waiting job, for a lease: if it is not acknowledged by then, the worker counts as
/// dead and another one gets it. A worker has one job at a time, so that repeating this gives it
/// the same one; `worker` is a name that is not used again by the next life of a worker.
struct Take {
    std::string worker;
    Time lease = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& worker& lease;
    }
};
/// The job is done, or this attempt failed and another one may be made. Counts only for the attempt
/// that is under way: what a worker says whose lease has run out is stale, whatever it did.
struct Finish {
    std::string key;
    std::uint64_t ticket = 0;  ///< that Take gave
    bool done = false;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& key& ticket& done;
    }
};
/// Someone has looked at a dead letter: it may go.
struct Discard {
    std::string key;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& key;
    }
};

/// `now` is the clock of the node that submits, never one that the machine asks: see lock_service.
struct Operation {
    Time now = 0;
    std::variant<Enqueue, Take, Finish, Discard> action;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& now& action;
    }
};

enum class Status : std::uint8_t {
    ok,
    full,     ///< max_jobs are waiting, under way or dead: nothing was taken in
    nothing,  ///< no job waits, or there is no such dead letter
    stale,    ///< the attempt is not under way: its lease had run out
};
/// Of Take: the job, which attempt at it this is, counted from 1, and a number that no other
/// attempt at any job has.
struct Result {
    Status status = Status::ok;
    std::string key;
    std::string payload;
    std::uint32_t attempt = 0;
    std::uint64_t ticket = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& status& key& payload& attempt& ticket;
    }
};

struct Counts {
    std::uint64_t waiting = 0;
    std::uint64_t under_way = 0;
    std::uint64_t dead = 0;
    std::uint64_t done = 0;
};

/// At least once: a job is done twice only if a lease ran out in between, and acknowledged once.
/// More no queue can promise, for a worker may die between doing the job and saying so; what a job
/// does outside should be keyed by the job's key, as enqueueing is.
class JobQueue {
public:
    using Operation = job_queue::Operation;

    static constexpr std::uint32_t max_attempts = 3;
    static constexpr std::size_t max_jobs = 100'000;
    /// Of so many finished jobs the keys are remembered, so that they are not enqueued again.
    static constexpr std::size_t max_remembered = 100'000;

    Result apply(const Operation& operation) {
        clock_ = std::max(clock_, operation.now);
        expire();
        return std::visit([this](const auto& action) { return carry_out(action); },
                          operation.action);
    }

    Counts counts() const {
        const std::uint64_t kept = waiting_.size() + under_way_.size() + finished_.size();
        return {waiting_.size(), under_way_.size(), jobs_.size() - kept, done_};
    }
    std::vector<std::string> dead_letters() const {
        std::vector<std::string> keys;
        for (const auto& [key, job] : jobs_) {
            if (job.state == State::dead) keys.push_back(key);
        }
        return keys;
    }

    /// For tests: what the fields disagree about; empty: nothing.
    std::string what_is_wrong() const {
        std::map<State, std::size_t> states;
        for (const auto& [key, job] : jobs_) ++states[job.state];
        if (states[State::waiting] != waiting_.size()) return "a job waits that nobody will get";
        if (states[State::under_way] != under_way_.size()) return "a job is at work with nobody";
        if (states[State::done] != finished_.size()) return "a finished job is not remembered";
        return {};
    }

    /// The whole state is in these fields, so an archive may carry it as it is.
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& clock_& last_ticket_& done_& jobs_& waiting_& under_way_& finished_;
    }

private:
    enum class State : std::uint8_t { waiting, under_way, dead, done };
    struct Job {
        State state = State::waiting;
        std::uint32_t attempt = 0;
        std::uint64_t ticket = 0;  ///< of the last attempt
        Time until = 0;            ///< of the attempt under way
        std::string payload;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& state& attempt& ticket& until& payload;
        }
    };

    Result carry_out(const Enqueue& wanted) {
        if (jobs_.contains(wanted.key)) return {};
        if (jobs_.size() - finished_.size() >= max_jobs) return {Status::full, {}, {}, 0, 0};
        jobs_[wanted.key].payload = wanted.payload;
        waiting_.push_back(wanted.key);
        return {};
    }
    Result carry_out(const Take& take) {
        std::string& key = under_way_[take.worker];
        if (key.empty()) {
            if (waiting_.empty()) {
                under_way_.erase(take.worker);
                return {Status::nothing, {}, {}, 0, 0};
            }
            key = std::move(waiting_.front());
            waiting_.pop_front();
            Job& next = jobs_[key];
            next.state = State::under_way;
            next.ticket = ++last_ticket_;
            ++next.attempt;
        }
        Job& job = jobs_[key];
        job.until = std::max(job.until, clock_ + take.lease);
        return {Status::ok, key, job.payload, job.attempt, job.ticket};
    }
    Result carry_out(const Finish& finish) {
        const auto found = jobs_.find(finish.key);
        if (found == jobs_.end() || found->second.ticket != finish.ticket) {
            return {Status::stale, {}, {}, 0, 0};
        }
        Job& job = found->second;
        if (finish.done && job.state == State::done) return {};  // it was said before
        if (job.state != State::under_way) return {Status::stale, {}, {}, 0, 0};
        std::erase_if(under_way_, [&](const auto& entry) { return entry.second == finish.key; });
        if (!finish.done) return again(finish.key, job);
        job.state = State::done;
        job.payload.clear();
        ++done_;
        finished_.push_back(finish.key);
        if (finished_.size() > max_remembered) {
            jobs_.erase(finished_.front());
            finished_.pop_front();
        }
        return {};
    }
    Result carry_out(const Discard& discard) {
        const auto found = jobs_.find(discard.key);
        if (found == jobs_.end() || found->second.state != State::dead) {
            return {Status::nothing, {}, {}, 0, 0};
        }
        jobs_.erase(found);
        return {};
    }

    /// Another attempt, unless there were enough: then the job is a dead letter, kept for a person.
    Result again(const std::string& key, Job& job) {
        job.state = job.attempt < max_attempts ? State::waiting : State::dead;
        if (job.state == State::waiting) waiting_.push_back(key);
        return {};
    }
    void expire() {
        std::erase_if(under_way_, [this](const auto& entry) {
            Job& job = jobs_[entry.second];
            if (clock_ < job.until) return false;
            again(entry.second, job);
            return true;
        });
    }

    Time clock_ = 0;  ///< never goes back, whoever leads
    std::uint64_t last_ticket_ = 0;
    std::uint64_t done_ = 0;
    std::map<std::string, Job> jobs_;
    std::deque<std::string> waiting_;               ///< keys, the oldest first
    std::map<std::string, std::string> under_way_;  ///< the key of each worker's job
    std::deque<std::string> finished_;              ///< keys, the oldest first
};

}  // namespace job_queue

#endif
