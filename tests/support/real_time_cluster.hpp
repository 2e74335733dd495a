// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Several replicas in real time, on one io_context.
#ifndef RSM_TESTS_SUPPORT_REAL_TIME_CLUSTER_HPP
#define RSM_TESTS_SUPPORT_REAL_TIME_CLUSTER_HPP

#include "replicas.hpp"
#include "run_until.hpp"

#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

namespace rsm_test {

/// What they are made of, and with whom each is connected, is its user's business.
template <class Replica>
struct RealTimeCluster {
    /// False: the condition did not come to hold within a time that only what is broken takes.
    template <class Condition>
    bool run_until(Condition holds) {
        return rsm_test::run_until(io, holds);
    }
    void run_for(std::chrono::nanoseconds time) {
        const auto end = std::chrono::steady_clock::now() + time;
        io.restart();
        while (io.run_one_until(end) != 0) {}
    }
    /// Waits for a leader.
    Replica& leader() {
        REQUIRE(run_until([this] { return replicas.leader() != 0; }));
        return replicas[replicas.leader()];
    }
    /// As a program ends that has the time.
    void stop(std::uint64_t id) {
        bool stopped = !replicas.up(id);
        if (!stopped) replicas[id].async_stop([&](auto) { stopped = true; });
        CHECK(run_until([&] { return stopped; }));
        replicas.crash(id);
    }

    boost::asio::io_context io{1};
    Replicas<Replica> replicas;
};

}  // namespace rsm_test

#endif
