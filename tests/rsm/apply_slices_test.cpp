// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Operations that take long are applied in slices, between which the node does all else.
#include "support/run_until.hpp"

#include <rsm/replicated.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/transport/memory.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace apply_slices_test {

using namespace std::chrono_literals;

namespace {

using Now = std::shared_ptr<raft::Time>;

/// Each operation takes 2 ms.
struct Slow {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t) {
        *now += 2ms;
        return ++count;
    }
    template <class Archive>
    void snapshot(Archive& out) const {
        out << count;
    }
    template <class Archive>
    void restore(Archive& in) {
        in >> count;
    }
    Now now;
    std::int64_t count = 0;
};

/// Time passes by what the machine does, and else at once.
class RunningOwnClock {
public:
    RunningOwnClock(boost::asio::any_io_executor executor, Now now)
        : executor_(std::move(executor)), now_(std::move(now)) {}
    raft::Time now() { return *now_; }
    void start(std::function<void()> expired) {
        expired_ = std::make_shared<std::function<void()>>(std::move(expired));
    }
    void arm(raft::Time time) {
        ++*round_;
        boost::asio::post(executor_,
                          [now = now_, expired = expired_, round = round_, mine = *round_, time] {
                              if (mine != *round) return;
                              *now = std::max(*now, time);
                              (*expired)();
                          });
    }
    void stop() { ++*round_; }

private:
    boost::asio::any_io_executor executor_;
    Now now_;
    std::shared_ptr<std::function<void()>> expired_;
    std::shared_ptr<int> round_ = std::make_shared<int>(0);
};
struct OwnClock {
    RunningOwnClock open(const boost::asio::any_io_executor& executor) const {
        return {executor, now};
    }
    Now now;
};

using Alone = rsm::Replicated<Slow, rsm::MemoryTransport, rsm::MemoryStorage, OwnClock>;

struct Fixture {
    Fixture() {
        REQUIRE(rsm_test::run_until(
            io, [this] { return replica.status().role == raft::Role::leader; }));
        submit(1);
        REQUIRE(run_until_done(1));
    }
    void submit(int times) {
        for (int i = 0; i < times; ++i) {
            replica.async_submit(1, [this](boost::system::error_code error, std::int64_t) {
                if (!error) ++done;
            });
        }
    }
    bool run_until_done(std::int64_t wanted) {
        return rsm_test::run_until(io, [&] { return done == wanted; });
    }

    boost::asio::io_context io;
    Now now = std::make_shared<raft::Time>(raft::Time{} + 1h);
    std::int64_t done = 0;
    Alone replica{io.get_executor(),
                  Slow{now},
                  rsm::MemoryTransport(std::make_shared<rsm::MemoryNetwork>(), {1}),
                  rsm::MemoryStorage{},
                  rsm::Options{.snapshot_threshold = 1000},
                  OwnClock{now}};
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a node that has many long operations to apply has turns between them") {
    submit(200);
    std::int64_t most = 0;
    std::int64_t before = 1;
    // Whoever shares the executor with the node.
    std::function<void()> other = [&] {
        const std::int64_t count = replica.machine().count;
        most = std::max(most, count - std::exchange(before, count));
        if (count < 201) boost::asio::post(io, other);
    };
    boost::asio::post(io, other);
    REQUIRE(run_until_done(201));
    CHECK(most >= 3);
    CHECK(most <= 9);  // a turn that is asked for, one of the timer, and what they lead to
    CHECK(replica.status().applied.value >= 201);
    CHECK(replica.status().snapshot.value > 0);
}

TEST_CASE_FIXTURE(Fixture, "a read waits for the operations that are left for the next slices") {
    submit(50);
    REQUIRE(rsm_test::run_until(io, [&] { return replica.machine().count > 1; }));
    REQUIRE(replica.status().commit.value >= 51);
    CHECK(replica.machine().count < 51);
    std::int64_t seen = 0;
    replica.async_read([](const Slow& machine) { return machine.count; },
                       [&](boost::system::error_code, std::int64_t count) { seen = count; });
    REQUIRE(rsm_test::run_until(io, [&] { return seen != 0; }));
    CHECK(seen == 51);
}

}  // namespace apply_slices_test
