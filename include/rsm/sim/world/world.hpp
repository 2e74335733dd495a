// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// World: a single thread with its own time. Posted work runs first in, first out; when there is
// none, time jumps to the next timer. Nothing depends on how fast the machine is, so a run is
// repeated exactly by repeating its inputs.
//
// Asio's timers cannot do this: on Linux their wait ends in a real-time timer, whatever clock they
// are given. So the library asks a Clock policy for time; clock.hpp has those of this world.
#ifndef RSM_SIM_WORLD_WORLD_HPP
#define RSM_SIM_WORLD_WORLD_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace rsm::inline v0::sim {

class World : public boost::asio::execution_context {
public:
    /// Models an Asio executor, so that strands, completion tokens and co_spawn work on it.
    /// Nothing runs inside execute().
    class executor_type {
    public:
        explicit executor_type(World& world) : world_(&world) {}
        World& query(boost::asio::execution::context_t) const noexcept { return *world_; }
        static constexpr boost::asio::execution::blocking_t::never_t query(
            boost::asio::execution::blocking_t) noexcept {
            return {};
        }
        template <class Function>
        void execute(Function function) const {
            world_->post(std::move(function));
        }
        friend bool operator==(const executor_type&, const executor_type&) = default;

    private:
        World* world_;
    };

    /// Names a timer that has not run.
    struct TimerId {
        raft::Time at;
        std::uint64_t order = 0;
        friend auto operator<=>(const TimerId&, const TimerId&) = default;
    };

    World() = default;
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World() {
        discard();
        shutdown();  // services drop what they hold, which may post once more
        discard();
        destroy();
    }

    executor_type get_executor() { return executor_type(*this); }
    raft::Time now() const { return now_; }
    /// Work and timers that have run.
    std::uint64_t events() const { return events_; }

    template <class Function>
    void post(Function function) {
        ready_.push_back(std::make_unique<Model<Function>>(std::move(function)));
    }

    /// Timers of one time run in the order in which they were made.
    template <class Function>
    TimerId call_at(raft::Time at, Function function) {
        const TimerId made{std::max(at, now_), ++timers_made_};
        timers_.emplace(made, std::make_unique<Model<Function>>(std::move(function)));
        return made;
    }
    template <class Function>
    TimerId call_after(raft::Duration delay, Function function) {
        return call_at(now_ + delay, std::move(function));
    }
    void cancel(TimerId timer) { timers_.erase(timer); }

    /// Completes after `delay`: void().
    template <class CompletionToken>
    auto async_sleep(raft::Duration delay, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void()>(
            [this](auto handler, raft::Duration length) {
                this->call_after(
                    length, [handler = std::move(handler)]() mutable { std::move(handler)(); });
            },
            token, delay);
    }

    /// Runs one piece of work, or the next timer if that is not after `limit`; false if there is
    /// neither.
    bool step(raft::Time limit) {
        std::unique_ptr<Work> work;
        if (!ready_.empty()) {
            work = std::move(ready_.front());
            ready_.pop_front();
        } else if (!timers_.empty() && timers_.begin()->first.at <= limit) {
            auto timer = timers_.extract(timers_.begin());
            now_ = timer.key().at;
            work = std::move(timer.mapped());
        } else {
            return false;
        }
        ++events_;
        work->run();
        return true;
    }

    /// Goes on until the condition holds, which is asked after every step, or until `limit`.
    template <class Condition>
    bool run_until(Condition holds, raft::Time limit) {
        while (!holds()) {
            if (step(limit)) continue;
            now_ = std::max(now_, limit);
            return holds();
        }
        return true;
    }
    void run_for(raft::Duration duration) {
        run_until([] { return false; }, now_ + duration);
    }

    /// Drops all work and timers without running them.
    void discard() {
        while (!ready_.empty() || !timers_.empty()) {
            // What is destroyed may post again, so nothing is destroyed in place.
            const auto ready = std::exchange(ready_, {});
            const auto timers = std::exchange(timers_, {});
        }
    }

private:
    struct Work {
        virtual ~Work() = default;
        virtual void run() = 0;
    };
    template <class Function>
    struct Model final : Work {
        explicit Model(Function given) : function(std::move(given)) {}
        void run() override { std::move(function)(); }
        Function function;
    };

    raft::Time now_{};
    std::uint64_t events_ = 0;
    std::uint64_t timers_made_ = 0;
    raft::Ring<std::unique_ptr<Work>> ready_;
    std::map<TimerId, std::unique_ptr<Work>> timers_;
};

}  // namespace rsm::sim

#endif
