// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node does when a snapshot cannot be saved, when the newest is damaged, and when memory
// runs out in the midst of a turn.
#include "support/virtual_cluster.hpp"

#include <rsm/node/compaction.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace adversity_test {

using namespace std::chrono_literals;

namespace {

struct Sum {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t add) { return value += add; }
    void snapshot(rsm::SnapshotWriter& out) const { out << value; }
    void restore(rsm::SnapshotReader& in) { in >> value; }
    std::int64_t value = 0;
};

/// Has no room for a snapshot, so many times.
class RunningFullStorage : public rsm::RunningMemoryStorage {
public:
    RunningFullStorage(const boost::asio::any_io_executor& executor,
                       std::shared_ptr<rsm::MemoryDisk> disk, int* refusals)
        : RunningMemoryStorage(executor, std::move(disk)), refusals_(refusals) {}
    void save_snapshot(raft::LogPosition last, raft::Membership membership,
                       raft::SnapshotProducer produce, raft::SnapshotSaved done) {
        if (*refusals_ == 0) {
            return RunningMemoryStorage::save_snapshot(last, std::move(membership),
                                                       std::move(produce), std::move(done));
        }
        --*refusals_;
        // Answered in its time, never at once.
        read(last.index, 1, [done = std::move(done)](const auto&) {
            done(raft::Failure{std::make_error_code(std::errc::no_space_on_device), "snapshot"});
        });
    }

private:
    int* refusals_;
};
struct FullStorage {
    std::shared_ptr<rsm::MemoryDisk> disk;
    int* refusals;
    RunningFullStorage open(const boost::asio::any_io_executor& executor) const {
        return {executor, disk, refusals};
    }
};

raft::NodeId out_of_memory;

/// Runs out of memory when told to.
class ScarceTransport : public rsm_test::CutTransport {
public:
    using CutTransport::CutTransport;
    class Running : public rsm_test::RunningCutTransport {
    public:
        using RunningCutTransport::RunningCutTransport;
        void send(raft::Message message) {
            if (message.from == out_of_memory) throw std::bad_alloc();
            RunningCutTransport::send(std::move(message));
        }
    };
    Running open(const boost::asio::any_io_executor& executor) const {
        return {executor, network(), self()};
    }
};

constexpr raft::Time at(raft::Duration time) { return raft::Time{} + time; }

}  // namespace

TEST_CASE("a snapshot that cannot be saved costs a snapshot, not the node") {
    rsm::sim::World world;
    int refusals = 3;
    std::vector<std::string> notices;
    std::optional<raft::Failure> failed;
    rsm::Options options{.snapshot_threshold = 1000};
    options.on_notice = [&](const std::string& what) { notices.push_back(what); };
    options.on_failure = [&](const raft::Failure& failure) { failed = failure; };
    rsm::Replicated<Sum, rsm::MemoryTransport, FullStorage, rsm::sim::Clock> node(
        world.get_executor(), Sum{},
        rsm::MemoryTransport{std::make_shared<rsm::MemoryNetwork>(), {1}, {{1}}},
        FullStorage{std::make_shared<rsm::MemoryDisk>(), &refusals}, options,
        rsm::sim::Clock{world});
    const auto add = [&](int times) {
        for (int i = 0; i < times; ++i) {
            node.async_submit(1, [](auto, auto) {});
            world.run_for({});
        }
    };
    world.run_for(2s);
    add(100);
    CHECK(notices.size() == 1);
    CHECK(notices.at(0).find("snapshot") != std::string::npos);
    world.run_for(900ms);
    add(1);
    CHECK(refusals == 2);
    // The pauses grow: 1 s, 2 s, 4 s.
    world.run_for(200ms);
    CHECK(refusals == 1);
    world.run_for(1700ms);
    CHECK(refusals == 1);
    world.run_for(400ms);
    CHECK(refusals == 0);
    CHECK(node.status().snapshot.value == 0);
    world.run_for(4100ms);
    CHECK(node.status().snapshot.value > 100);
    CHECK(node.status().persisted_bytes < 1000);
    CHECK(!failed);
    CHECK(node.machine().value == 101);
}

TEST_CASE(
    "the pause before the next attempt to save grows up to ten times what the last one took") {
    rsm::detail::SnapshotPolicy policy;
    raft::Time now = at(0s);
    const auto pause_after = [&](std::chrono::seconds attempt) {
        policy.begun(now);
        now += attempt;
        policy.failed(now);
        return std::chrono::duration_cast<std::chrono::seconds>(policy.not_before() - now);
    };
    for (const auto pause : {1s, 2s, 4s, 8s, 10s, 10s, 10s}) CHECK(pause_after(0s) == pause);
    CHECK(pause_after(2s) == 20s);
    CHECK(pause_after(60s) == 256s);
    CHECK(pause_after(60s) == 300s);
    CHECK(pause_after(0s) == 10s);
    CHECK(!policy.due(now + 9s, true, true, true));
    CHECK(policy.due(now + 10s, true, true, true));
    policy.begun(now);
    policy.ended();
    CHECK(pause_after(60s) == 1s);
}

TEST_CASE("a damaged snapshot is replaced although nothing was applied since") {
    rsm::detail::SnapshotPolicy policy;
    CHECK(!policy.due(at(0s), false, false, false));
    policy.damaged();
    CHECK(policy.due(at(0s), false, false, false));
    policy.begun(at(0s));
    CHECK(!policy.due(at(0s), false, false, false));
    policy.ended();
    CHECK(!policy.due(at(9s), false, false, false));
}

TEST_CASE("where one damaged snapshot follows another, the pauses grow") {
    rsm::detail::SnapshotPolicy policy;
    raft::Time now = at(0s);
    for (const auto pause : {1s, 2s, 4s, 8s}) {
        policy.damaged();
        REQUIRE(policy.due(now, false, false, false));
        policy.begun(now);
        policy.ended();
        policy.damaged();
        CHECK(!policy.due(now + pause - 1ms, false, false, false));
        CHECK(policy.due(now + pause, false, false, false));
        now += pause;
    }
    policy.begun(now);
    policy.ended();
    policy.begun(now);  // a sound one
    policy.ended();
    policy.damaged();
    CHECK(policy.due(now + 16s, false, false, false));
    policy.begun(now + 16s);
    CHECK(policy.not_before() == now + 17s);
}

TEST_CASE("damaged snapshots, one after the other, do not keep the log from being compacted") {
    rsm::detail::SnapshotPolicy policy;
    for (const auto now : {0s, 10s, 20s}) {
        policy.damaged();
        policy.begun(at(now));
        policy.ended();
        policy.damaged();
        CHECK(!policy.due(at(now), false, false, true));
        CHECK(policy.due(at(now), true, false, true));
    }
    policy.failed(at(20s));
    CHECK(!policy.due(at(20s), true, false, true));
    CHECK(policy.due(at(21s), true, false, true));
}

TEST_CASE("what is held for a follower does not make one snapshot follow another") {
    const rsm::detail::SnapshotTrigger trigger{1000};
    CHECK(trigger.grown(1000, 0, 0, {}));
    CHECK(!trigger.grown(5999, 5000, 0, {}));
    CHECK(trigger.grown(6000, 5000, 0, {}));
    const rsm::detail::SnapshotPolicy policy;
    CHECK(policy.due(at(0s), true, false, true));
    CHECK(!policy.due(at(0s), true, false, false));
}

TEST_CASE("a node that runs out of memory in a turn stops with a sentence; the others go on") {
    std::vector<std::string> failures;
    rsm::Options options;
    options.on_failure = [&](const raft::Failure& failure) {
        failures.push_back(failure.message());
    };
    rsm_test::VirtualCluster<Sum, ScarceTransport> cluster(3, options);
    const std::uint64_t first = cluster.elect();
    out_of_memory = {first};
    std::optional<boost::system::error_code> outcome;
    cluster.node(first).async_submit(1, [&](auto error, auto) { outcome = error; });
    cluster.settle();
    REQUIRE(failures.size() == 1);
    CHECK(failures.front().find("bad_alloc") != std::string::npos);
    CHECK(outcome == rsm::Errc::interrupted);
    CHECK(cluster.node(first).status().stopped);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0 && cluster.leader() != first; }));
    std::optional<std::int64_t> sum;
    cluster.node(cluster.leader()).async_submit(1, [&](auto, auto value) { sum = value; });
    CHECK(cluster.run_until([&] { return sum.has_value(); }));
    out_of_memory = {};
}

}  // namespace adversity_test
