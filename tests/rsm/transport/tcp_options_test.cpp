// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The ranges of the options of a TCP transport: what is outside is named.
#include <rsm/transport/tcp_options.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace tcp_options_test {

namespace {

constexpr std::size_t gibibyte = std::size_t{1} << 30;

std::string problem_after(const std::function<void(rsm::TcpOptions&)>& change) {
    rsm::TcpOptions options;
    options.self = {1};
    change(options);
    return options.problem();
}
/// What is wrong with buffers of this size, set on defaults that are otherwise of one size.
std::string problem_of(std::size_t rsm::TcpBuffers::*size, std::size_t bytes) {
    return problem_after([&](rsm::TcpOptions& options) { options.buffers.*size = bytes; });
}

}  // namespace

TEST_CASE("the default options of a TCP transport are in their ranges") {
    CHECK(problem_after([](rsm::TcpOptions&) {}).empty());
}

TEST_CASE("sizes of a TCP transport's buffers are from 1 byte to 1 GiB") {
    for (const auto size :
         {&rsm::TcpBuffers::first_receive_bytes, &rsm::TcpBuffers::largest_receive_bytes,
          &rsm::TcpBuffers::smallest_read_bytes, &rsm::TcpBuffers::kept_batch_bytes,
          &rsm::TcpBuffers::drained_bytes}) {
        CHECK(problem_of(size, 0) == "every size of buffers must be at least 1");
        CHECK(problem_of(size, gibibyte + 1) == "every size of buffers must be at most 1 GiB");
    }
    CHECK(problem_of(&rsm::TcpBuffers::kept_batch_bytes, 1).empty());
    CHECK(problem_of(&rsm::TcpBuffers::kept_batch_bytes, gibibyte).empty());
    CHECK(problem_of(&rsm::TcpBuffers::drained_bytes, 1).empty());
    CHECK(problem_of(&rsm::TcpBuffers::drained_bytes, gibibyte).empty());
    CHECK(problem_of(&rsm::TcpBuffers::largest_receive_bytes, gibibyte).empty());
    CHECK(problem_of(&rsm::TcpBuffers::smallest_read_bytes, 1).empty());
    const auto all_of = [](std::size_t bytes) {
        return rsm::TcpBuffers{bytes, bytes, bytes, bytes, bytes}.problem();
    };
    CHECK(all_of(1).empty());
    CHECK(all_of(gibibyte).empty());
}

TEST_CASE("sizes of a TCP transport's receive buffers agree with each other") {
    CHECK(rsm::TcpBuffers{100, 100, 100}.problem().empty());
    CHECK(rsm::TcpBuffers{101, 100, 100}.problem() ==
          "buffers.first_receive_bytes exceeds buffers.largest_receive_bytes");
    CHECK(rsm::TcpBuffers{100, 100, 101}.problem() ==
          "buffers.smallest_read_bytes exceeds buffers.first_receive_bytes");
}

TEST_CASE("other options of a TCP transport that are out of their ranges are named") {
    using Options = rsm::TcpOptions;
    using std::chrono::milliseconds;
    const auto after = problem_after;
    CHECK(after([](Options& o) { o.self = {}; }) == "self must not be 0");
    CHECK(after([](Options& o) { o.queue_bytes = 0; }) == "queue_bytes must be at least 1");
    CHECK(after([](Options& o) { o.queue_bytes = 1; }).empty());
    CHECK(after([](Options& o) { o.max_frame_bytes = 1023; }) ==
          "max_frame_bytes must be at least 1 KiB");
    CHECK(after([](Options& o) { o.max_frame_bytes = 1024; }).empty());
    CHECK(after([](Options& o) { o.max_frame_bytes = gibibyte; }).empty());
    CHECK(after([](Options& o) { o.max_frame_bytes = gibibyte + 1; }) ==
          "max_frame_bytes exceeds 1 GiB");
    CHECK(after([](Options& o) { o.lookup_timeout = milliseconds(0); }) ==
          "every time must be at least 1 ms");
    CHECK(after([](Options& o) { o.lookup_timeout = std::chrono::hours(25); }) ==
          "every time must be at most a day");
    CHECK(after([](Options& o) { o.reconnect_min = o.reconnect_max + milliseconds(1); }) ==
          "reconnect_min exceeds reconnect_max");
    CHECK(after([](Options& o) { o.max_strangers = 0; }) == "max_strangers must be at least 1");
}

}  // namespace tcp_options_test
