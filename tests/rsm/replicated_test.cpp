// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include "counters.hpp"

#include <rsm/replicated.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>

namespace replicated_test {

using namespace std::chrono_literals;
using namespace counter_test;

TEST_CASE("a submitted operation completes with what apply returned and reaches every replica") {
    Counters cluster(3);
    CHECK(add(cluster, 5) == 5);
    CHECK(add(cluster, 7) == 12);
    CHECK(all_hold(cluster, 3, 12));
}

TEST_CASE("a cluster of one serves alone") {
    Counters cluster(1);
    CHECK(add(cluster, 5) == 5);
    const auto answer = read(cluster, 1);
    CHECK(cluster.run_until([&] { return answer->has_value(); }));
    CHECK((*answer)->value == 5);
}

TEST_CASE("a completion never runs inside the call that starts the operation") {
    Counters cluster(1);
    cluster.elect();
    bool inside = true;
    bool called_inside = false;
    bool called = false;
    cluster.node(1).async_submit({1, {}}, [&](Error, std::int64_t) {
        called = true;
        called_inside = inside;
    });
    inside = false;
    CHECK(cluster.run_until([&] { return called; }));
    CHECK_FALSE(called_inside);
}

TEST_CASE("a follower refuses operations and reads as not leader, without effect") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t follower = other(cluster.leader());
    const auto submitted = submit(cluster, follower, 100);
    const auto asked = read(cluster, follower);
    CHECK(cluster.run_until([&] { return submitted->has_value() && asked->has_value(); }));
    CHECK((*submitted)->error == rsm::Errc::not_leader);
    CHECK((*asked)->error == rsm::Errc::not_leader);
    CHECK(rsm::outcome((*submitted)->error) == rsm::Outcome::not_committed);
    CHECK(rsm::error_class((*submitted)->error) == rsm::ErrorClass::retry_elsewhere);
    CHECK(cluster.node(follower).status().leader.value == cluster.leader());
    CHECK(add(cluster, 1) == 2);
}

TEST_CASE("a read sees every operation that completed before it was asked for") {
    Counters cluster(3);
    for (std::int64_t i = 1; i <= 50; ++i) {
        CHECK(add(cluster, 1) == i);
        const auto answer = read(cluster, cluster.leader());
        REQUIRE(cluster.run_until([&] { return answer->has_value(); }));
        REQUIRE_FALSE((*answer)->error);
        CHECK((*answer)->value == i);
    }
}

TEST_CASE("a leader that is cut off completes neither reads nor operations, and loses the latter") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t old_leader = cluster.leader();
    cluster.network().isolate({old_leader});
    const auto lost = submit(cluster, old_leader, 100);
    const auto asked = read(cluster, old_leader);
    const bool elected =
        cluster.run_until([&] { return cluster.leader() != 0 && cluster.leader() != old_leader; });
    REQUIRE(elected);
    CHECK(add(cluster, 1) == 2);
    CHECK_FALSE(lost->has_value());
    cluster.network().rejoin({old_leader});
    CHECK(cluster.run_until([&] { return lost->has_value() && asked->has_value(); }));
    CHECK((*lost)->error == rsm::Errc::superseded);
    CHECK((*asked)->error == rsm::Errc::not_leader);
    CHECK(all_hold(cluster, 3, 2));
}

TEST_CASE("an operation that cannot be decided in time is unknown, and still takes effect once") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    for (std::uint64_t id = 1; id <= 3; ++id) {
        if (id != leader) cluster.network().cut({id}, {leader});  // answers are lost
    }
    const auto late = submit(cluster, leader, 10, {}, 50ms);
    CHECK(cluster.run_until([&] { return late->has_value(); }));
    CHECK((*late)->error == rsm::Errc::timed_out);
    CHECK(rsm::outcome((*late)->error) == rsm::Outcome::unknown);
    cluster.network().heal_all();
    CHECK(add(cluster, 100) == 111);
    CHECK(all_hold(cluster, 3, 111));
}

TEST_CASE("a timed out read is a failure without effect") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    cluster.network().isolate({leader});
    const auto asked = read(cluster, leader, 50ms);
    CHECK(cluster.run_until([&] { return asked->has_value(); }));
    CHECK((*asked)->error == rsm::Errc::timed_out);
}

TEST_CASE("operations beyond the bound of pending bytes are refused as overload") {
    Counters cluster(3, {.max_pending_bytes = 1000});
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    const auto first = submit(cluster, leader, 1, std::string(600, 'x'));
    const auto second = submit(cluster, leader, 1, std::string(600, 'x'));
    CHECK(cluster.run_until([&] { return first->has_value() && second->has_value(); }));
    CHECK_FALSE((*first)->error);
    CHECK((*second)->error == rsm::Errc::overloaded);
    CHECK(rsm::error_class((*second)->error) == rsm::ErrorClass::overload);
    CHECK(add(cluster, 1) == 3);
}

TEST_CASE("a leader whose room is full of an earlier term's operations decides about them") {
    rsm::Options options{.operation_timeout = {}, .max_pending_bytes = 1000};
    options.raft.barrier_on_election = false;
    Counters cluster(3, options);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    cluster.crash(other(leader));
    cluster.network().isolate({leader});
    const auto pending = submit(cluster, leader, 10, std::string(700, 'x'), {});
    const bool lost = cluster.run_until([&] { return cluster.leader() == 0; });
    REQUIRE(lost);
    cluster.network().heal_all();
    // The other one's log is shorter, so it cannot be elected.
    const bool leads_again = cluster.run_until([&] { return cluster.leader() == leader; });
    REQUIRE(leads_again);
    cluster.run_for(1s);
    CHECK_FALSE(pending->has_value());
    const auto refused = submit(cluster, leader, 100, std::string(700, 'x'), {});
    CHECK(cluster.run_until([&] { return refused->has_value() && pending->has_value(); }));
    CHECK((*refused)->error == rsm::Errc::overloaded);
    CHECK_FALSE((*pending)->error);
    CHECK(all_hold(cluster, 3, 11));
}

TEST_CASE("operations that timed out take no room, and their results are still applied") {
    rsm::Options options{.max_pending_bytes = 1000};
    options.raft.barrier_on_election = false;
    Counters cluster(3, options);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    cluster.network().isolate({leader});
    const auto pending = submit(cluster, leader, 10, std::string(700, 'x'), 100ms);
    CHECK(cluster.run_until([&] { return pending->has_value(); }));
    CHECK((*pending)->error == rsm::Errc::timed_out);
    cluster.network().heal_all();
    const auto next = submit(cluster, leader, 100, std::string(700, 'x'));
    CHECK(cluster.run_until([&] { return next->has_value(); }));
    CHECK_FALSE((*next)->error);
    CHECK(all_hold(cluster, 3, 111));
}

TEST_CASE("an operation larger than the limit of an entry is refused") {
    rsm::Options options;
    options.raft.max_entry_bytes = 1000;
    Counters cluster(1, options);
    cluster.elect();
    const auto answer = submit(cluster, 1, 1, std::string(2000, 'x'));
    CHECK(cluster.run_until([&] { return answer->has_value(); }));
    CHECK((*answer)->error == rsm::Errc::too_large);
    CHECK(add(cluster, 1) == 1);
}

TEST_CASE("destroying a node completes what is under way as interrupted") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    cluster.network().isolate({leader});
    const auto placed = submit(cluster, leader, 1);
    const auto asked = read(cluster, leader);
    cluster.settle();
    cluster.crash(leader);
    cluster.settle();
    REQUIRE(placed->has_value());
    REQUIRE(asked->has_value());
    CHECK((*placed)->error == rsm::Errc::interrupted);
    CHECK((*asked)->error == rsm::Errc::stopped);
}

TEST_CASE("a stopped node completes its stop, then refuses everything") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    bool stopped = false;
    cluster.node(leader).async_stop([&](Error error) { stopped = !error; });
    CHECK(cluster.run_until([&] { return stopped; }));
    const auto answer = submit(cluster, leader, 1);
    const auto asked = read(cluster, leader);
    CHECK(cluster.run_until([&] { return answer->has_value() && asked->has_value(); }));
    CHECK((*answer)->error == rsm::Errc::stopped);
    CHECK((*asked)->error == rsm::Errc::stopped);
    cluster.crash(leader);
    CHECK(add(cluster, 1) == 2);  // the others go on
}

TEST_CASE("a state machine that throws stops its node and says why") {
    std::optional<raft::Failure> failure;
    rsm::Options options;
    options.on_failure = [&](const raft::Failure& why) { failure = why; };
    Counters cluster(1, options);
    cluster.elect();
    const auto answer = submit(cluster, 1, 1, "poison");
    CHECK(cluster.run_until([&] { return answer->has_value(); }));
    CHECK((*answer)->error == rsm::Errc::interrupted);
    REQUIRE(failure);
    CHECK(failure->what.find("poisoned") != std::string::npos);
    CHECK(failure->what.find("index 2 ") != std::string::npos);  // 1 is the leader's barrier
    CHECK(failure->what.find("skip_operations") != std::string::npos);
    CHECK(cluster.node(1).status().stopped);
}

TEST_CASE("options that contradict each other are refused with a sentence") {
    rsm::Options options;
    options.raft.election_timeout = 1ms;
    try {
        Counters cluster(1, options);
        FAIL("accepted");
    } catch (const boost::system::system_error& error) {
        CHECK(std::string(error.what()).find("election_timeout") != std::string::npos);
    }
}

TEST_CASE("futures and coroutines receive values and errors") {
    Counters cluster(1);
    cluster.elect();
    std::future<std::int64_t> future =
        cluster.node(1).async_submit({3, {}}, boost::asio::use_future);
    cluster.run_until([&] { return future.wait_for(0s) == std::future_status::ready; });
    CHECK(future.get() == 3);

    std::int64_t seen = 0;  // the first result, then its sum with the second
    const auto work = [&]() -> boost::asio::awaitable<void> {
        Counter::Operation four{4, {}};
        seen = co_await cluster.node(1).async_submit(four, boost::asio::use_awaitable);
        seen += co_await cluster.node(1).async_read(
            [](const Counter& counter) { return counter.value(); }, boost::asio::use_awaitable);
    };
    boost::asio::co_spawn(cluster.world().get_executor(), work(), boost::asio::detached);
    CHECK(cluster.run_until([&] { return seen == 7 + 7; }));
}

TEST_CASE("a coroutine that waits when its node and its world end is cleaned up") {
    Counters cluster(3);
    add(cluster, 1);
    const std::uint64_t leader = cluster.leader();
    cluster.network().isolate({leader});
    bool ended = false;
    const auto work = [&]() -> boost::asio::awaitable<void> {
        try {
            co_await cluster.node(leader).async_read(
                [](const Counter& counter) { return counter.value(); }, boost::asio::use_awaitable);
        } catch (const boost::system::system_error& error) {
            ended = error.code() == rsm::Errc::stopped;
        }
    };
    boost::asio::co_spawn(cluster.world().get_executor(), work(), boost::asio::detached);
    boost::asio::co_spawn(cluster.world().get_executor(), work(), boost::asio::detached);
    cluster.settle();
    cluster.crash(leader);
    CHECK(cluster.run_until([&] { return ended; }));
    boost::asio::co_spawn(cluster.world().get_executor(), work(), boost::asio::detached);
}

TEST_CASE("a query that throws fails alone") {
    Counters cluster(1);
    add(cluster, 1);
    std::optional<Error> failed;
    cluster.node(1).async_read(
        [](const Counter&) -> std::int64_t { throw std::runtime_error("no"); },
        [&](Error error, std::int64_t) { failed = error; });
    CHECK(cluster.run_until([&] { return failed.has_value(); }));
    CHECK(failed == rsm::Errc::user_exception);
    CHECK(failed->message() == "the operation or the query threw an exception: no");
    CHECK(add(cluster, 1) == 2);
}

TEST_CASE("every stop of a node completes, whatever comes between") {
    Counters cluster(3);
    add(cluster, 1);
    int stopped = 0;
    for (int i = 0; i < 2; ++i) {
        cluster.node(1).async_stop([&](Error) { ++stopped; });
    }
    CHECK(cluster.run_until([&] { return stopped == 2; }));
    cluster.node(1).async_stop([&](Error) { ++stopped; });
    CHECK(cluster.run_until([&] { return stopped == 3; }));

    cluster.disk(2).hold();
    cluster.node(2).async_stop([&](Error) { ++stopped; });
    cluster.settle();
    cluster.crash(2);
    cluster.settle();
    CHECK(stopped == 4);
}

}  // namespace replicated_test
