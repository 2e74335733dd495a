// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A durable job queue on three replicas with their logs on disk:
//
//   job_queue
//
// A process with all three is killed (SIGKILL) in the midst of its work, and another one goes on
// with what is on the disks. Exits with 1 if an acknowledged job is lost, or one is done twice
// although no lease ran out.
#include "job_queue.hpp"

#include "../cluster.hpp"
#include "../scratch_directory.hpp"

#include <rsm/rsm.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace job_queue {

using Replica = rsm::Replicated<JobQueue, rsm::MemoryTransport, rsm::WalStorage>;
using Queue = examples::Cluster<Replica>;
template <class Value>
using Awaitable = examples::Awaitable<Value>;

constexpr int jobs = 60;
constexpr int done_before_the_kill = 20;

std::string key_of(int number) { return "job-" + std::to_string(number); }

// ---- the process that is killed --------------------------------------------------------------

/// One life of the process. What it says goes to the parent line by line, each when it is true.
struct Life {
    int number;
    int pipe;
    Queue& queue;
    int done = 0;

    void say(const std::string& line) const {
        const std::string text = line + '\n';
        if (::write(pipe, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            throw std::runtime_error("the parent does not listen");
        }
    }
    Awaitable<Result> submit(std::variant<Enqueue, Take, Finish, Discard> action) {
        // A server would take std::chrono::system_clock. Here every lease of the life before has
        // run out in the next one.
        const Operation operation{static_cast<Time>(number) * 1000, std::move(action)};
        return queue.submit(operation);
    }
};

/// Enqueues everything in each life: it cannot know what was taken in before.
Awaitable<void> produce(Life& life) {
    for (int number = 0; number < jobs; ++number) {
        const Enqueue job{key_of(number), "the work of " + key_of(number)};
        const Result result = co_await life.submit(job);
        if (result.status == Status::ok) life.say("enqueued " + job.key);
    }
}

Awaitable<void> work(Life& life, std::string worker) {
    const Take take{worker + " in life " + std::to_string(life.number), 30};
    while (true) {
        const Result job = co_await life.submit(take);
        if (job.status == Status::nothing) break;
        const std::string attempt = job.key + ' ' + std::to_string(job.attempt);
        const Finish finish{job.key, job.ticket, job.key != key_of(13)};  // that one always fails
        if (finish.done) {
            life.say("did " + attempt);
            // The worst moment: the job is done, and nobody knows.
            if (++life.done == done_before_the_kill && life.number == 1) std::raise(SIGKILL);
        }
        const Result end = co_await life.submit(finish);
        if (finish.done && end.status == Status::ok) life.say("acknowledged " + attempt);
    }
}

Awaitable<void> live(Life& life) {
    co_await produce(life);
    int at_work = 2;
    std::exception_ptr failed;
    for (const char* worker : {"ann", "ben"}) {
        boost::asio::co_spawn(co_await boost::asio::this_coro::executor, work(life, worker),
                              [&](std::exception_ptr thrown) {
                                  --at_work;
                                  if (thrown) failed = thrown;
                              });
    }
    co_await examples::until([&] { return at_work == 0; });
    if (failed) std::rethrow_exception(failed);
    const auto dead = co_await life.queue.read<std::vector<std::string>>(
        [](const JobQueue& queue) { return queue.dead_letters(); });
    for (const std::string& key : dead) life.say("dead " + key);
    const auto counts =
        co_await life.queue.read<Counts>([](const JobQueue& queue) { return queue.counts(); });
    if (counts.done + counts.dead != jobs) throw std::logic_error("the queue misses jobs");
    co_await life.queue.stop_all();
}

void run_life(int number, const std::string& directory, int pipe) {
    boost::asio::io_context io;
    const std::vector<raft::NodeId> members{{1}, {2}, {3}};
    const auto network = std::make_shared<rsm::MemoryNetwork>();
    Queue queue([&](raft::NodeId id) {
        return std::make_unique<Replica>(
            io.get_executor(), JobQueue{}, rsm::MemoryTransport{network, id, members},
            rsm::WalStorage{directory + "/node-" + std::to_string(id.value)},
            rsm::Options{.snapshot_threshold = rsm::kibibytes(4)});
    });
    for (const raft::NodeId id : members) queue.start(id);
    Life life{number, pipe, queue};
    examples::run(io, live(life));
}

// ---- the process that watches ----------------------------------------------------------------

/// What was said, of each job.
struct Account {
    struct Job {
        bool enqueued = false;
        bool dead = false;
        std::vector<int> attempts_done;
        std::vector<int> attempts_acknowledged;
    };
    std::map<std::string, Job> jobs;

    void hear(const std::string& line) {
        std::istringstream words(line);
        std::string what;
        std::string key;
        int attempt = 0;
        words >> what >> key >> attempt;
        Job& job = jobs[key];
        if (what == "enqueued") job.enqueued = true;
        if (what == "dead") job.dead = true;
        if (what == "did") job.attempts_done.push_back(attempt);
        if (what == "acknowledged") job.attempts_acknowledged.push_back(attempt);
    }
    void check() const {
        for (const auto& [key, job] : jobs) {
            const bool done = !job.attempts_done.empty();
            if (job.enqueued && !done && !job.dead) fail(key, "is lost");
            if (job.attempts_acknowledged.size() > 1) fail(key, "was acknowledged twice");
            // Each attempt has a lease of its own.
            for (std::size_t i = 1; i < job.attempts_done.size(); ++i) {
                if (job.attempts_done[i] > job.attempts_done[i - 1]) continue;
                fail(key, "was done twice within one lease");
            }
        }
    }
    /// How many jobs that is so of.
    template <class Condition>
    std::size_t count(Condition holds) const {
        return static_cast<std::size_t>(std::count_if(
            jobs.begin(), jobs.end(), [&](const auto& entry) { return holds(entry.second); }));
    }
    std::size_t done(std::size_t times) const {
        return count([&](const Job& job) { return job.attempts_done.size() >= times; });
    }

private:
    [[noreturn]] static void fail(const std::string& key, const char* what) {
        throw std::logic_error(key + " " + what);
    }
};

/// Starts a process for one life and listens until it has ended. How it ended: see waitpid.
int watch_life(int number, const std::string& directory, Account& account) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("no process");
    if (child == 0) {
        ::close(ends[0]);
        try {
            run_life(number, directory, ends[1]);
        } catch (const std::exception& error) {
            std::cerr << "job_queue: " << error.what() << std::endl;
            ::_exit(EXIT_FAILURE);
        }
        ::_exit(EXIT_SUCCESS);
    }
    ::close(ends[1]);
    std::FILE* said = ::fdopen(ends[0], "r");
    for (char line[100]; std::fgets(line, sizeof line, said) != nullptr;) account.hear(line);
    std::fclose(said);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

}  // namespace job_queue

int main() try {
    using namespace job_queue;
    const examples::ScratchDirectory directory;
    Account account;
    const int killed = watch_life(1, directory.path(), account);
    if (!WIFSIGNALED(killed)) throw std::runtime_error("the first process was not killed");
    std::cout << "all nodes were killed when " << account.done(1) << " of " << jobs
              << " jobs were done\n";
    const int ended = watch_life(2, directory.path(), account);
    if (ended != 0) throw std::runtime_error("the second process failed");
    account.check();
    std::cout << account.done(1) << " jobs are done, "
              << account.count([](const auto& job) { return job.dead; })
              << " is a dead letter, none is lost\n"
              << account.done(2) << " done twice: a worker died before it could say so\n";
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << "job_queue: " << error.what() << '\n';
    return EXIT_FAILURE;
}
