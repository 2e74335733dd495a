// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The job queue's state machine under the simulator: leaders die, disks fail, snapshots travel, and
// after each run what the clients saw is held against what a queue promises.
//
//   simulate_job_queue --seeds 1..1000
#include "job_queue.hpp"

#include <rsm/sim/command_line.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace job_queue {

class Simulated {
public:
    using Machine = JobQueue;
    using Record = rsm::sim::ClientRecord<JobQueue, std::monostate, Counts>;

    /// Few keys and few workers, so that they meet; times that often let a lease run out.
    Operation operation(raft::Random& random) {
        now_ += random.below(4);
        const std::uint64_t kind = random.below(10);
        if (kind < 3) return {now_, Enqueue{key(random), "payload"}};
        if (kind < 6) return {now_, Take{"worker-" + std::to_string(random.below(3)), 10}};
        if (kind == 6) return {now_, Discard{key(random)}};
        if (taken_.empty()) return {now_, Finish{key(random), 1, true}};
        const auto& [job, ticket] = taken_[random.below(taken_.size())];
        return {now_, Finish{job, ticket, kind != 7}};
    }
    std::monostate query(raft::Random&) { return {}; }
    Counts read(const JobQueue& queue, std::monostate) const { return queue.counts(); }

    /// Most finish what was taken a short while ago; some come late.
    void saw(const Record& record) {
        if (!took_a_job(record)) return;
        taken_.emplace_back(record.result.key, record.result.ticket);
        if (taken_.size() > 8) taken_.erase(taken_.begin());
    }
    std::string check(const JobQueue& queue) const { return queue.what_is_wrong(); }

    /// An attempt at a job belongs to one worker, and what is done is not given to anybody again.
    std::string check_history(std::span<const Record> history) const {
        std::vector<const Record*> applied;
        for (const Record& record : history) {
            const bool is_operation = record.kind == Record::Kind::submit;
            if (is_operation && record.end == Record::End::committed) applied.push_back(&record);
        }
        std::sort(applied.begin(), applied.end(),
                  [](const Record* a, const Record* b) { return a->number < b->number; });
        std::map<std::uint64_t, std::string> workers;
        std::set<std::string> done;
        for (const Record* record : applied) {
            if (const Finish* finish = std::get_if<Finish>(&record->operation.action)) {
                if (finish->done && record->result.status == Status::ok) done.insert(finish->key);
            }
            if (!took_a_job(*record)) continue;
            const Result& job = record->result;
            if (done.contains(job.key)) return job.key + " was taken after it was done";
            const std::string& worker = std::get<Take>(record->operation.action).worker;
            const auto [known, is_new] = workers.try_emplace(job.ticket, worker);
            if (known->second != worker) {
                return "one attempt at " + job.key + " was given to two workers";
            }
        }
        return {};
    }

private:
    static bool took_a_job(const Record& record) {
        return record.kind == Record::Kind::submit && record.end == Record::End::committed &&
               std::holds_alternative<Take>(record.operation.action) &&
               record.result.status == Status::ok;
    }
    static std::string key(raft::Random& random) {
        return "job-" + std::to_string(random.below(40));
    }

    Time now_ = 0;
    std::vector<std::pair<std::string, std::uint64_t>> taken_;  ///< the latest
};

}  // namespace job_queue

int main(int argc, char** argv) { return rsm::sim::command_line<job_queue::Simulated>(argc, argv); }
