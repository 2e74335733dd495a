// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <rsm/node/completion.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace completion_test {

namespace {

using Completion = rsm::detail::Completion<int>;

struct World {
    boost::asio::io_context io;
    std::shared_ptr<rsm::detail::CompletionQueue> queue =
        std::make_shared<rsm::detail::CompletionQueue>(
            boost::asio::make_strand(boost::asio::any_io_executor(io.get_executor())));
    std::vector<int> called;

    Completion note() {
        return Completion([this](int value) { called.push_back(value); }, queue);
    }
};

}  // namespace

TEST_CASE("handlers are called in the order in which they became ready, never from inside") {
    World world;
    Completion first = world.note();
    Completion second = world.note();
    second(2);
    first(1);
    CHECK(!first);
    CHECK(world.called.empty());
    world.io.run();
    CHECK(world.called == std::vector<int>{2, 1});
}

TEST_CASE("what becomes ready while handlers are called waits behind the strand's other work") {
    World world;
    Completion inner = world.note();
    Completion outer(
        [&](int value) {
            boost::asio::post(world.queue->strand(), [&] { world.called.push_back(10); });
            inner(value + 1);
            CHECK(world.called.empty());
        },
        world.queue);
    outer(1);
    world.io.run();
    CHECK(world.called == std::vector<int>{10, 2});
}

TEST_CASE("a handler that is kept is work, until it is called or dropped") {
    World world;
    Completion kept = world.note();
    world.io.poll();
    CHECK(!world.io.stopped());
    SUBCASE("called") {
        kept(1);
        world.io.poll();
        CHECK(world.called == std::vector<int>{1});
    }
    SUBCASE("dropped") {
        kept = Completion();
        world.io.poll();
        CHECK(world.called.empty());
    }
    CHECK(world.io.stopped());
    world.io.restart();
    const Completion next = world.note();
    world.io.poll();
    CHECK(!world.io.stopped());
}

TEST_CASE("a handler that throws takes neither the others with it nor the end of the batch") {
    World world;
    int ends = 0;
    world.queue->on_called = [&] { ++ends; };
    Completion thrower([](int) { throw std::runtime_error("thrown"); }, world.queue);
    Completion before = world.note();
    Completion after = world.note();
    SUBCASE("in the middle") {
        before(1);
        thrower(2);
        after(3);
        CHECK_THROWS_AS(world.io.run(), std::runtime_error);
        CHECK(world.called == std::vector<int>{1});
        CHECK(ends == 0);
        world.io.run();
        CHECK(world.called == std::vector<int>{1, 3});
    }
    SUBCASE("as the last") {
        before(1);
        after(2);
        thrower(3);
        CHECK_THROWS_AS(world.io.run(), std::runtime_error);
        CHECK(ends == 0);
        world.io.run();
        CHECK(world.called == std::vector<int>{1, 2});
    }
    CHECK(ends == 1);
    CHECK(!world.queue->calling());
    CHECK(world.io.stopped());
}

TEST_CASE("the end of the execution context destroys the handlers that are ready") {
    const auto owned = std::make_shared<int>(1);
    {
        World world;
        Completion held([owned](int) {}, world.queue);
        held(1);
        CHECK(owned.use_count() == 2);
        world.queue = nullptr;
    }
    CHECK(owned.use_count() == 1);
}

TEST_CASE("a handler with an executor of its own is called there, and keeps it at work") {
    World world;
    boost::asio::io_context elsewhere;
    Completion held(boost::asio::bind_executor(elsewhere.get_executor(),
                                               [&](int value) { world.called.push_back(value); }),
                    world.queue);
    elsewhere.poll();
    CHECK(!elsewhere.stopped());
    held(5);
    world.io.run();
    CHECK(world.called.empty());
    elsewhere.run();
    CHECK(world.called == std::vector<int>{5});
}

}  // namespace completion_test
