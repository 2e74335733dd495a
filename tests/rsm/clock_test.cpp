// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <rsm/clock.hpp>

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace clock_test {

using namespace std::chrono_literals;

namespace {

/// Longer than any small-object buffer, so that a sanitizer sees each use after its end.
std::shared_ptr<std::string> witness() {
    return std::make_shared<std::string>("what the function still uses after it has stopped");
}

struct Fixture {
    Fixture() { clock.emplace(io.get_executor()); }
    void soon() { clock->arm(clock->now()); }

    boost::asio::io_context io;
    std::optional<rsm::RunningSteadyClock> clock;
    int calls = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "clock: what it calls may stop the clock and still use what it holds") {
    std::string seen;
    clock->start([this, &seen, held = witness()] {
        clock->stop();
        seen = *held;
    });
    soon();
    io.run();
    CHECK(seen == *witness());
}

TEST_CASE_FIXTURE(Fixture, "clock: what it calls may start the clock with another function") {
    std::string seen;
    clock->start([this, &seen, held = witness()] {
        clock->start([this] { ++calls; });
        soon();
        seen = *held;
    });
    soon();
    io.run();
    CHECK(seen == *witness());
    CHECK(calls == 1);
}

TEST_CASE_FIXTURE(Fixture, "clock: what it calls may destroy the clock") {
    std::string seen;
    clock->start([this, &seen, held = witness()] {
        clock.reset();
        seen = *held;
    });
    soon();
    io.run();
    CHECK(seen == *witness());
}

TEST_CASE_FIXTURE(Fixture,
                  "clock: nothing is called after stop, even if the time had come before") {
    clock->start([this] { ++calls; });
    soon();
    // The second wait is ready when the first one's handler stops the clock.
    auto first = rsm::SteadyClock().open(io.get_executor());
    first.start([this] { clock->stop(); });
    first.arm(first.now() - 1s);
    io.run();
    CHECK(calls == 0);
}

TEST_CASE_FIXTURE(Fixture, "clock: a time that was replaced does not count, even if it had come") {
    clock->start([this] { ++calls; });
    soon();
    auto first = rsm::SteadyClock().open(io.get_executor());
    first.start([this] { clock->arm(clock->now() + 1h); });
    first.arm(first.now() - 1s);
    io.run_one();
    io.poll();
    CHECK(calls == 0);
    CHECK_FALSE(io.stopped());
}

TEST_CASE_FIXTURE(Fixture, "clock: one that was never started can be stopped") { clock->stop(); }

}  // namespace clock_test
