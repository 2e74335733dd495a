// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 4A (the replicated state machine) and the rsm test of 4C, under the labs' own names.
#include "group_lab.hpp"
#include "scenario.hpp"

#include <rsm/archive.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rsm_4a_test {

using namespace lab;

namespace {

enum class Kind : std::uint8_t { increment, null, poison };

// Executing the poison operation is a failure of the test (the node stops and says so).
struct Counter {
    struct Operation {
        Kind kind = Kind::null;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& kind;
        }
    };
    std::int64_t apply(const Operation& operation) {
        if (operation.kind == Kind::poison) throw std::runtime_error("poison was executed");
        if (operation.kind == Kind::increment) ++value;
        return value;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
    std::int64_t value = 0;
};

struct Answer {
    bool returned = false;
    boost::system::error_code error;
    std::int64_t value = 0;
};

class RsmLab : public GroupLab<Counter> {
public:
    explicit RsmLab(std::uint64_t seed, std::int64_t max_raft_state = -1)
        : GroupLab(3, seed, true, max_raft_state) {}

    /// Submits at one server and waits for the outcome.
    Task<Answer> submit(ServerId server, Kind kind) {
        const auto answer = std::make_shared<Answer>();
        Counter::Operation operation;
        operation.kind = kind;
        replica(server).async_submit(operation, [answer](auto error, std::int64_t value) {
            answer->returned = true;
            answer->error = error;
            answer->value = value;
        });
        while (!answer->returned) co_await sleep(1ms);
        co_return *answer;
    }

    /// For up to 10 s, on every connected server in turn, from the last that answered on.
    /// Nothing if none executed it.
    Task<std::optional<std::int64_t>> one(Kind kind) {
        const raft::Time end = now() + 10s;
        while (now() < end) {
            for (std::size_t tried = 0; tried < size(); ++tried) {
                const ServerId server = (last_ + tried) % size();
                if (!up(server) || !connected(server)) continue;
                const Answer answer = co_await submit(server, kind);
                if (answer.error) continue;
                last_ = server;
                co_return answer.value;
            }
            co_await sleep(50ms);
        }
        co_return std::nullopt;
    }
    Task<std::int64_t> increment() {
        const std::optional<std::int64_t> value = co_await one(Kind::increment);
        require(value.has_value(), "an increment was not executed within 10 s");
        co_return *value;
    }

    Task<> check_counter(std::int64_t value, std::size_t servers) {
        raft::Duration delay = 10ms;
        for (int round = 0; round < 30; ++round) {
            std::size_t count = 0;
            for (ServerId i = 0; i < size(); ++i) {
                if (up(i) && replica(i).machine().value == value) ++count;
            }
            if (count >= servers) co_return;
            co_await sleep(delay);
            if (delay < 1s) delay *= 2;
        }
        throw Failure("too few replicas have the counter at " + std::to_string(value));
    }
    ServerId last() const { return last_; }

private:
    ServerId last_ = 0;
};

template <class Scenario>
void run(Scenario scenario, std::int64_t max_raft_state = -1) {
    for_each_seed([&](std::uint64_t seed) {
        RsmLab lab(seed, max_raft_state);
        lab.run(scenario(lab));
    });
}

Task<> basic(RsmLab& lab) {
    for (std::int64_t i = 1; i <= 10; ++i) {
        const std::int64_t value = co_await lab.increment();
        require(value == i, "an increment returned another value");
        co_await lab.check_counter(i, 3);
    }
}

Task<> increment(RsmLab& lab) { co_await lab.increment(); }

Task<> concurrent(RsmLab& lab) {
    Group group(lab);
    for (int i = 0; i < 50; ++i) group.spawn(increment(lab));
    co_await group.wait();
    co_await lab.check_counter(50, 3);
}

Task<> leader_failure(RsmLab& lab) {
    co_await lab.increment();
    co_await lab.check_counter(1, 3);
    const ServerId leader = co_await lab.wait_for_leader();
    lab.disconnect(leader);
    co_await lab.increment();
    co_await lab.check_counter(2, 2);
    lab.connect(leader);
    co_await lab.check_counter(2, 3);
}

Task<> submit_poison(RsmLab& lab, ServerId server) {
    const Answer answer = co_await lab.submit(server, Kind::poison);
    require(static_cast<bool>(answer.error), "an operation of a minority was executed");
}

Task<> leader_partition(RsmLab& lab) {
    co_await lab.increment();
    const ServerId leader = co_await lab.wait_for_leader();
    const auto [majority, minority] = lab.make_partition(leader);
    lab.partition(majority, {leader});
    Group poison(lab);
    for (int i = 0; i < 100; ++i) poison.spawn(submit_poison(lab, leader));
    co_await lab.sleep(10ms);

    std::optional<std::int64_t> value;
    for (const raft::Time end = lab.now() + 10s; !value && lab.now() < end;) {
        for (const ServerId server : majority) {
            const Answer answer = co_await lab.submit(server, Kind::increment);
            if (!answer.error) value = answer.value;
        }
        if (!value) co_await lab.sleep(50ms);
    }
    require(value == 2, "the majority did not go on");
    const bool all_returned = co_await poison.wait_for(1s);
    require(!all_returned, "all operations of the minority returned before the heal");
    lab.connect_all();
    const bool returned = co_await poison.wait_for(1s);
    require(returned, "operations of the minority did not return after the heal");
    co_await lab.check_counter(2, 3);
}

Task<> hundred(RsmLab& lab) {
    for (std::int64_t i = 1; i <= 100; ++i) {
        co_await lab.increment();
        co_await lab.check_counter(i, 3);
    }
}

Task<> shutdown_all(RsmLab& lab) {
    for (ServerId i = 0; i < lab.size(); ++i) lab.shutdown(i);
    co_return;
}

Task<> restart_replay(RsmLab& lab) {
    co_await hundred(lab);
    co_await shutdown_all(lab);
    co_await lab.sleep(1s);
    lab.restart_all();
    const std::int64_t value = co_await lab.increment();
    require(value == 101, "a restart lost or repeated operations");
    co_await lab.sleep(1s);
    co_await lab.check_counter(101, 3);
}

Task<> null_operation(RsmLab& lab) { co_await lab.one(Kind::null); }

// A hundred submits at once, then the end of all servers: everyone who waits must return.
Task<> shut_down_under_load(RsmLab& lab) {
    Group group(lab);
    for (int i = 0; i < 100; ++i) group.spawn(null_operation(lab));
    co_await lab.sleep(20ms);
    co_await shutdown_all(lab);
    const bool returned = co_await group.wait_for(11s);
    require(returned, "a submit did not return after its server had ended");
}

Task<> restart_submit(RsmLab& lab) {
    co_await restart_replay(lab);
    co_await shut_down_under_load(lab);
    lab.restart_all();
    const std::int64_t value = co_await lab.increment();
    require(value == 102, "operations from before the restart were confused with new ones");
    co_await lab.check_counter(102, 3);
}

Task<> snapshot(RsmLab& lab) {
    for (int i = 0; i < 100; ++i) co_await lab.increment();
    co_await lab.check_counter(100, 3);
    require(lab.largest_log() <= 2 * 1000,
            "the Raft state is too large: " + std::to_string(lab.largest_log()));
    co_await shutdown_all(lab);
    lab.restart_all();
    const std::int64_t value = co_await lab.increment();
    require(value == 101, "the snapshot or the log behind it was lost");
    co_await lab.check_counter(101, 3);
}

}  // namespace

TEST_CASE("TestBasic4A") { run(basic); }
TEST_CASE("TestConcurrent4A") { run(concurrent); }
TEST_CASE("TestLeaderFailure4A") { run(leader_failure); }
TEST_CASE("TestLeaderPartition4A") { run(leader_partition); }
TEST_CASE("TestRestartReplay4A") { run(restart_replay); }
TEST_CASE("TestShutdown4A") { run(shut_down_under_load); }
TEST_CASE("TestRestartSubmit4A") { run(restart_submit); }
TEST_CASE("TestSnapshot4C") { run(snapshot, 1000); }

}  // namespace rsm_4a_test
