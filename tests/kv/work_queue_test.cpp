// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/work_queue.hpp>
#include <kv/write_admission.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace work_queue_test {

namespace {

/// Goes on only when somebody works.
std::chrono::steady_clock::time_point time_of_tests;
std::chrono::steady_clock::time_point now_of_tests() { return time_of_tests; }

/// Uses its slices up.
struct Busy final : kv::WorkQueue::Worker, std::enable_shared_from_this<Busy> {
    void work(kv::Slice& slice) override {
        order->push_back(name);
        while (!slice.over_now()) time_of_tests += std::chrono::microseconds(7);
        if (--rounds != 0) queue->add(shared_from_this());
    }
    kv::WorkQueue* queue = nullptr;
    std::vector<char>* order = nullptr;
    char name = 0;
    int rounds = 3;
};

/// Wants little, again and again.
struct Modest final : kv::WorkQueue::Worker {
    void work(kv::Slice&) override { order->push_back('m'); }
    std::vector<char>* order = nullptr;
};

}  // namespace

TEST_CASE("work queue: workers take turns, and what else is ready gets its turn between them") {
    boost::asio::io_context io;
    kv::WorkQueue queue(io.get_executor(), std::chrono::microseconds(100), now_of_tests);
    std::vector<char> order;
    for (const char name : {'a', 'b'}) {
        const auto busy = std::make_shared<Busy>();
        busy->queue = &queue;
        busy->order = &order;
        busy->name = name;
        queue.add(busy);
        queue.add(busy);  // it waits already
    }
    boost::asio::post(io, [&] { order.push_back('x'); });
    io.run();
    CHECK(std::string(order.begin(), order.end()) == "axbabab");
}

TEST_CASE("work queue: who wants little is next, however many there are that want much") {
    constexpr int crowd = 50;
    boost::asio::io_context io;
    kv::WorkQueue queue(io.get_executor(), std::chrono::microseconds(100), now_of_tests);
    std::vector<char> order;
    for (int i = 0; i < crowd; ++i) {
        const auto busy = std::make_shared<Busy>();
        busy->queue = &queue;
        busy->order = &order;
        busy->name = 'b';
        busy->rounds = 20;
        queue.add(busy);
    }
    const auto modest = std::make_shared<Modest>();
    modest->order = &order;
    queue.add(modest);
    while (std::count(order.begin(), order.end(), 'm') == 0) REQUIRE(io.run_one() == 1);
    // What a new one pays is forgotten when all others have had as much; then at most one of them,
    // all of whom are waiting, works before it.
    for (int turns = 0; turns < 2 * crowd; ++turns) io.run_one();
    for (int i = 0; i < 10; ++i) {
        for (int others = 0; others < crowd; ++others) io.run_one();
        const auto before = static_cast<std::ptrdiff_t>(order.size());
        queue.add(modest);
        const auto called = [&] { return std::find(order.begin() + before, order.end(), 'm'); };
        while (called() == order.end()) REQUIRE(io.run_one() == 1);
        CHECK(called() - order.begin() - before <= 1);
    }
    // Who comes anew each time does not keep the others from working.
    const auto busy_turns = [&] { return std::count(order.begin(), order.end(), 'b'); };
    const auto before = busy_turns();
    for (int i = 0; i < 10 * crowd; ++i) {
        const auto stranger = std::make_shared<Modest>();
        stranger->order = &order;
        queue.add(stranger);
        io.run_one();
    }
    CHECK(busy_turns() > before + crowd);
}

TEST_CASE("write admission: writes begin while there is room, and who waits gets a turn then") {
    boost::asio::io_context io;
    kv::WorkQueue queue(io.get_executor(), std::chrono::microseconds(100), now_of_tests);
    constexpr std::size_t unit = kv::WriteAdmission::least_bytes;
    kv::WriteAdmission writes(queue, 100 * unit);
    std::vector<char> order;
    const auto modest = std::make_shared<Modest>();
    modest->order = &order;
    {
        kv::WriteTicket large = writes.admit(500 * unit, modest);  // alone
        CHECK(large.is_valid());
        CHECK(writes.under_way() == 500 * unit);
        CHECK_FALSE(writes.admit(1, modest).is_valid());
        CHECK_FALSE(writes.admit(1, modest).is_valid());
        CHECK(io.poll() == 0);
    }
    io.restart();
    io.poll();
    CHECK(order.size() == 1);
    kv::WriteTicket first = writes.admit(60 * unit, modest);
    kv::WriteTicket second = writes.admit(40 * unit, modest);
    CHECK(second.is_valid());
    CHECK_FALSE(writes.admit(1, modest).is_valid());
    second.give_back();
    second.give_back();
    CHECK(writes.under_way() == 60 * unit);
    first = writes.admit(1, modest);  // the former one is given back
    CHECK(writes.under_way() == unit);
    io.restart();
    io.poll();
    CHECK(order.size() == 2);
}

}  // namespace work_queue_test
