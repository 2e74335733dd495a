// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Cluster: the replicas of one cluster, all in this process, and a client of them. The examples
// have it in common; what it does in submit() every client of a replicated service has to do.
#ifndef RSM_EXAMPLES_CLUSTER_HPP
#define RSM_EXAMPLES_CLUSTER_HPP

#include <rsm/rsm.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace examples {

template <class Value>
using Awaitable = boost::asio::awaitable<Value>;

inline constexpr auto as_tuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Lets others run for a moment.
inline Awaitable<void> pause() {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(std::chrono::milliseconds(10));
    co_await timer.async_wait(boost::asio::use_awaitable);
}

/// Waits until holds() is true. Throws std::runtime_error if it is not after half a minute.
template <class Condition>
Awaitable<void> until(Condition holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("waited in vain");
        co_await pause();
    }
}

/// Runs a coroutine to its end, and throws what it throws.
inline void run(boost::asio::io_context& io, Awaitable<void> story) {
    boost::asio::co_spawn(io, std::move(story), [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
    });
    io.run();
}

/// Replica is an rsm::Replicated. One thread runs all of them and their client.
template <class Replica>
class Cluster {
public:
    using Operation = typename Replica::Operation;
    using Result = typename Replica::Result;
    using Make = std::function<std::unique_ptr<Replica>(raft::NodeId)>;

    explicit Cluster(Make make) : make_(std::move(make)) {}

    void start(raft::NodeId id) { replicas_[id] = make_(id); }
    /// Without a word to anybody: what is not on its disk is lost.
    void kill(raft::NodeId id) { replicas_.erase(id); }
    Awaitable<void> stop(raft::NodeId id) {
        co_await replicas_.at(id)->async_stop(boost::asio::use_awaitable);
        kill(id);
    }
    Awaitable<void> stop_all() {
        while (!replicas_.empty()) co_await stop(replicas_.begin()->first);
    }
    Replica& operator[](raft::NodeId id) { return *replicas_.at(id); }

    /// Replicates an operation, whoever leads, and gives its result.
    ///
    /// It must be one that may be repeated: where the outcome is not known (the leader died after
    /// it had sent the operation to others, say), it is submitted again. Throws
    /// boost::system::system_error for what no node will ever take, and after half a minute.
    Awaitable<Result> submit(Operation operation) {
        const auto once = [&operation](Replica& replica) {
            return replica.async_submit(operation, as_tuple);
        };
        co_return co_await ask<Result>(once);
    }

    /// What `query` finds in a state that contains all that had completed before.
    template <class Value, class Query>
    Awaitable<Value> read(Query query) {
        const auto once = [&query](Replica& replica) {
            return replica.async_read(query, as_tuple);
        };
        co_return co_await ask<Value>(once);
    }

    /// Waits for one.
    Awaitable<raft::NodeId> leader() {
        raft::NodeId found;
        co_await until([this, &found] {
            raft::Term term;
            for (const auto& [id, replica] : replicas_) {
                const rsm::Status status = replica->status();
                if (status.role != raft::Role::leader || status.term <= term) continue;
                term = status.term;
                found = id;
            }
            return term != raft::Term{};
        });
        co_return found;
    }

private:
    template <class Value, class Once>
    Awaitable<Value> ask(const Once& once) {
        boost::system::error_code last = rsm::Errc::stopped;
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (std::chrono::steady_clock::now() < deadline) {
            if (const auto asked = replicas_.find(asked_); asked != replicas_.end()) {
                auto [error, value] = co_await once(*asked->second);
                if (!error) co_return std::move(value);
                if (rsm::error_class(error) == rsm::ErrorClass::misuse) break_off(error);
                last = error;
            }
            // Whoever does not lead may know who does; if not, the next one is asked.
            const std::optional<rsm::Leader> leader = rsm::leader_in(last);
            asked_ = leader && leader->node != asked_ ? leader->node : after(asked_);
            co_await pause();
        }
        break_off(last);
    }

    raft::NodeId after(raft::NodeId id) const {
        const auto next = replicas_.upper_bound(id);
        if (next != replicas_.end()) return next->first;
        return replicas_.empty() ? id : replicas_.begin()->first;
    }

    [[noreturn]] static void break_off(const boost::system::error_code& error) {
        throw boost::system::system_error(error, "submit or read");
    }

    Make make_;
    std::map<raft::NodeId, std::unique_ptr<Replica>> replicas_;
    raft::NodeId asked_{1};
};

}  // namespace examples

#endif
