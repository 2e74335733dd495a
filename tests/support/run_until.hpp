// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Waits for conditions in real time.
#ifndef RSM_TESTS_SUPPORT_RUN_UNTIL_HPP
#define RSM_TESTS_SUPPORT_RUN_UNTIL_HPP

#include <boost/asio/io_context.hpp>

#include <chrono>

namespace rsm_test {

/// Runs handlers until `reached()` holds. False: it did not within a time that only what is broken
/// takes.
template <class Condition>
bool run_until(boost::asio::io_context& io, Condition reached) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!reached()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        if (io.stopped()) io.restart();
        io.run_one_until(deadline);
    }
    return true;
}

}  // namespace rsm_test

#endif
