// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A process that is stopped or held up: what waits, what goes on, and in which order all of it
// comes in the end.
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/world.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace process_test {

namespace {

using namespace rsm::sim;
using namespace std::chrono_literals;

struct Bench {
    std::string done;
    World world;
    Process process{world, [] {}};

    void post(char name) {
        process.post([this, name] { done += name; });
    }
    void post_beside(char name) {
        process.post_beside([this, name] { done += name; });
    }
    void run(raft::Duration time) { world.run_for(time); }
};

}  // namespace

TEST_CASE("Process: one that is held up does in one go what has come, in its order") {
    Bench bench;
    bench.process.hold_up(10ms);
    bench.post('a');
    bench.world.call_after(5ms, [&] { bench.post('b'); });
    bench.world.call_after(10ms, [&] { bench.post('c'); });
    CHECK(bench.process.lag() == 10ms);
    bench.run(9ms);
    CHECK(bench.done.empty());
    bench.run(1ms);
    CHECK(bench.done == "abc");
    CHECK(bench.process.lag() == 0ms);
    bench.post('d');
    bench.run(0ms);
    CHECK(bench.done == "abcd");
}

TEST_CASE("Process: one that is held up again goes on at the later end") {
    Bench bench;
    bench.process.hold_up(10ms);
    bench.world.call_after(5ms, [&] { bench.process.hold_up(10ms); });
    bench.post('a');
    bench.run(14ms);
    CHECK(bench.done.empty());
    bench.run(1ms);
    CHECK(bench.done == "a");
}

TEST_CASE("Process: its other threads go on while it is held up, and not while it is stopped") {
    Bench bench;
    bench.process.hold_up(10ms);
    bench.post('a');
    bench.post_beside('x');
    bench.run(1ms);
    CHECK(bench.done == "x");
    bench.process.pause();
    bench.post_beside('y');
    bench.run(20ms);
    CHECK(bench.done == "x");
    bench.process.resume();
    bench.run(0ms);
    CHECK(bench.done == "xay");
}

TEST_CASE("Process: who goes on while it is held up is still held up") {
    Bench bench;
    bench.process.pause();
    bench.post('a');
    bench.run(1ms);
    bench.process.hold_up(10ms);
    bench.process.resume();
    bench.run(9ms);
    CHECK(bench.done.empty());
    bench.run(1ms);
    CHECK(bench.done == "a");
}

}  // namespace process_test
