// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/store.hpp>
#include <kv/transaction_work.hpp>
#include <kv/work_queue.hpp>
#include <kv/write_admission.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
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

/// Writes as much as it may, in writes of one size, until it is done.
struct Writer final : kv::WorkQueue::Worker, std::enable_shared_from_this<Writer> {
    void work(kv::Slice&) override {
        time_of_tests += std::chrono::microseconds(1);
        while (wanted != 0) {
            kv::WriteTicket ticket = writes->admit({bytes}, shared_from_this());
            if (!ticket.is_valid()) return;
            --wanted;
            under_way->push_back(std::move(ticket));
        }
    }
    kv::WriteAdmission* writes = nullptr;
    std::deque<kv::WriteTicket>* under_way = nullptr;
    std::size_t bytes = 1;
    int wanted = 1;
};

/// Room for a hundred of the smallest writes, and those who want it.
struct Writing {
    std::shared_ptr<Writer> writer(std::size_t bytes, int wanted) {
        auto made = std::make_shared<Writer>();
        made->writes = &writes;
        made->under_way = &under_way;
        made->bytes = bytes;
        made->wanted = wanted;
        return made;
    }
    std::shared_ptr<Writer> waiting(std::size_t bytes, int wanted) {
        auto made = writer(bytes, wanted);
        queue.add(made);
        return made;
    }
    void turn() {
        io.restart();
        io.poll();
    }

    static constexpr std::size_t unit = kv::WriteAdmission::least_bytes;
    boost::asio::io_context io;
    kv::WorkQueue queue{io.get_executor(), std::chrono::microseconds(100), now_of_tests};
    kv::WriteAdmission writes{queue, 100 * unit};
    std::deque<kv::WriteTicket> under_way;
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

TEST_CASE(
    "work queue: who comes anew is not before those that were served, whoever has come back") {
    boost::asio::io_context io;
    kv::WorkQueue queue(io.get_executor(), std::chrono::microseconds(100), now_of_tests);
    std::vector<char> order;
    const auto add = [&](char name, int rounds) {
        const auto busy = std::make_shared<Busy>();
        busy->queue = &queue;
        busy->order = &order;
        busy->name = name;
        busy->rounds = rounds;
        queue.add(busy);
        return busy;
    };
    std::vector<std::shared_ptr<Busy>> idle;
    for (int i = 0; i < 10; ++i) idle.push_back(add('i', 1));
    const auto always = add('a', 1'000'000);
    for (int turns = 0; turns < 15'000; ++turns) io.run_one();
    // Each has credit, and none has that of those before it.
    for (const auto& one : idle) {
        one->rounds = 1;
        queue.add(one);
        io.run_one();
    }
    order.clear();
    const auto anew = add('n', 50);
    for (int turns = 0; turns < 10; ++turns) io.run_one();
    CHECK(std::count(order.begin(), order.end(), 'a') >= 4);
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
        kv::WriteTicket large = writes.admit({500 * unit}, modest);  // alone
        CHECK(large.is_valid());
        CHECK(writes.under_way() == 500 * unit);
        CHECK_FALSE(writes.admit({1}, modest).is_valid());
        CHECK_FALSE(writes.admit({1}, modest).is_valid());
        CHECK(io.poll() == 0);
    }
    io.restart();
    io.poll();
    CHECK(order.size() == 1);
    kv::WriteTicket first = writes.admit({60 * unit}, modest);
    kv::WriteTicket second = writes.admit({40 * unit}, modest);
    CHECK(second.is_valid());
    CHECK_FALSE(writes.admit({1}, modest).is_valid());
    second.give_back();
    second.give_back();
    CHECK(writes.under_way() == 60 * unit);
    CHECK_FALSE(writes.admit({1}, modest).is_valid());  // somebody waits already
    io.restart();
    io.poll();
    CHECK(order.size() == 1);
    first.give_back();
    io.restart();
    io.poll();
    CHECK(order.size() == 2);
    first = writes.admit({1}, modest);
    CHECK(first.is_valid());
    first = writes.admit({1}, modest);  // the former one is given back
    CHECK(writes.under_way() == unit);
}

TEST_CASE("write admission: what an operation has the store do counts, and what comes before it") {
    kv::Store store;
    store.version_agreed(1);
    store.apply({kv::Set{"large", std::string(5000, 'x')}});
    kv::GrowingValues growing;
    const auto work = [&](auto action) {
        return kv::work_beyond_request({std::move(action)}, store, growing);
    };
    CHECK(work(kv::Set{"large", "y"}) == 0);
    CHECK(work(kv::Take{"large"}) == 10'000);  // to find and to answer
    CHECK(work(kv::Take{"small"}) == 0);
    CHECK(work(kv::Append{"large", "tail"}) == 10'004);
    const auto place = kv::grown_place({kv::Append{"small", "tail"}});
    growing.begun(place, 3000);
    CHECK(work(kv::Take{"small"}) == 6000);
    growing.ended(place, 3000);
    growing.begun(kv::grown_place({kv::SetMany{}}), 200);
    CHECK(work(kv::Take{"small"}) == 400);
    kv::Transaction transaction;
    transaction.actions.assign(1000, kv::Take{"large"});
    CHECK(work(transaction) == 1000 * 5200 * 2);
    store.apply({kv::Set{"large", std::string(1'000'000, 'x')}});
    CHECK(work(transaction) == kv::transaction_work_max + kv::reply_bytes_max_default);
}

TEST_CASE("write admission: who waits is not passed by those who come back all the time") {
    Writing test;
    std::vector<std::shared_ptr<Writer>> floods;
    for (int i = 0; i < 5; ++i) floods.push_back(test.waiting(1, 1'000'000));
    test.turn();
    REQUIRE(test.writes.under_way() == 100 * Writing::unit);
    const auto modest = test.waiting(1, 1);
    // Each of the others, who were here before, may have its turn.
    for (int done = 0; modest->wanted != 0 && done < 6 * 50; ++done) {
        test.turn();
        test.under_way.pop_front();
        // As for every answer that a client gets.
        for (const auto& flood : floods) test.queue.add(flood);
    }
    CHECK(modest->wanted == 0);
}

TEST_CASE("write admission: who has written little comes before those who wait with much") {
    Writing test;
    for (int i = 0; i < 4; ++i) test.waiting(1000 * Writing::unit, 1'000'000);
    const auto modest = test.writer(1, 1);
    const auto writes_within = [&](int most) {
        test.queue.add(modest);
        test.turn();
        for (int done = 0; done < most && modest->wanted != 0; ++done) {
            REQUIRE_FALSE(test.under_way.empty());
            test.under_way.pop_front();
            test.turn();
        }
        return modest->wanted == 0;
    };
    // Until each of the others has written.
    for (int i = 0; i < 4; ++i) {
        modest->wanted = 1;
        REQUIRE(writes_within(20));
    }
    // It reads much more often than they come to write.
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 100; ++i) {
            test.queue.add(modest);
            test.turn();
        }
        modest->wanted = 1;
        CHECK(writes_within(2));
    }
}

TEST_CASE("write admission: a large write comes between small ones without end") {
    Writing test;
    for (int i = 0; i < 5; ++i) test.waiting(1, 1'000'000);
    const auto large = test.waiting(500 * Writing::unit, 1);
    for (int done = 0; large->wanted != 0 && done < 1000; ++done) {
        test.turn();
        REQUIRE_FALSE(test.under_way.empty());
        test.under_way.pop_front();
    }
    CHECK(large->wanted == 0);
    CHECK(test.writes.under_way() <= 550 * Writing::unit);
}

}  // namespace work_queue_test
