// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Disks that have no room, and disks that fail: what clients and operators see of them.
#include "counters.hpp"
#include "support/disk_plan.hpp"

#include <rsm/options.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace disk_trouble_test {

using namespace std::chrono_literals;

namespace {

using counter_test::Counter;
using counter_test::Error;

/// A HeldDisk, and what is the matter with it.
class TroubledDisk : public rsm_test::HeldDisk {
public:
    std::optional<raft::Failure> refuses;  ///< why nothing new is taken from clients
    bool fails = false;                    ///< each write that comes to its end from now on
};

class RunningTroubledStorage : public rsm::RunningMemoryStorage {
public:
    RunningTroubledStorage(boost::asio::any_io_executor executor,
                           std::shared_ptr<TroubledDisk> disk)
        : RunningMemoryStorage(std::move(executor), disk), troubled_(std::move(disk)) {}

    const std::optional<raft::Failure>& refuses() const { return troubled_->refuses; }
    void append(raft::Write write, raft::WriteDone done) {
        RunningMemoryStorage::append(std::move(write), [disk = troubled_, done = std::move(done)](
                                                           raft::Result<void> written) {
            if (!disk->fails) return done(std::move(written));
            done(raft::Failure{std::make_error_code(std::errc::io_error), "sync d/7.wal"});
        });
    }

private:
    std::shared_ptr<TroubledDisk> troubled_;
};

using OnTroubledDisks = rsm_test::DiskPlan<RunningTroubledStorage, TroubledDisk>;
using Counters = rsm_test::VirtualCluster<Counter, rsm_test::CutTransport, OnTroubledDisks>;
using Ended = std::shared_ptr<std::optional<Error>>;

Ended add(Counters& cluster, std::uint64_t id) {
    auto ended = std::make_shared<std::optional<Error>>();
    cluster.node(id).async_submit({1, {}}, 30s,
                                  [ended](Error error, std::int64_t) { *ended = error; });
    return ended;
}
/// How it ends, once it does.
Error outcome(Counters& cluster, std::uint64_t id) {
    const Ended ended = add(cluster, id);
    REQUIRE(cluster.run_until([&] { return ended->has_value(); }));
    return **ended;
}
bool all_hold(Counters& cluster, std::int64_t value) {
    return cluster.run_until([&] {
        for (std::uint64_t id = 1; id <= 3; ++id) {
            if (cluster.node(id).machine().value() != value) return false;
        }
        return true;
    });
}

raft::Failure no_room() {
    return {std::make_error_code(std::errc::no_space_on_device), "allocate d/7.wal"};
}

}  // namespace

TEST_CASE(
    "where no disk has room operations are refused, reads are not, and it is over by itself") {
    std::vector<std::string> notices;
    rsm::Options options;
    options.on_notice = [&](const std::string& what) { notices.push_back(what); };
    Counters cluster(3, options);
    const std::uint64_t leader = cluster.elect();
    REQUIRE_FALSE(outcome(cluster, leader));
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.disk(id).refuses = no_room();
    cluster.run_for(1s);
    REQUIRE(cluster.leader() == leader);
    const Error refused = outcome(cluster, leader);
    CHECK(refused == rsm::Errc::no_space);
    CHECK(rsm::outcome(refused) == rsm::Outcome::not_committed);
    CHECK(rsm::error_class(refused) == rsm::ErrorClass::overload);
    CHECK(cluster.node(leader).status().refuses == no_room().message());
    REQUIRE(notices.size() == 3);  // one of each node
    for (const std::string& notice : notices) {
        CHECK(notice == "no room for more of the log: " + no_room().message());
    }

    std::optional<std::int64_t> read;
    cluster.node(leader).async_read(
        [](const Counter& counter) { return counter.value(); }, 5s,
        [&read](Error error, std::int64_t value) { read = error ? -1 : value; });
    REQUIRE(cluster.run_until([&] { return read.has_value(); }));
    CHECK(read == 1);

    for (std::uint64_t id = 1; id <= 3; ++id) cluster.disk(id).refuses.reset();
    cluster.run_for(1s);
    CHECK_FALSE(outcome(cluster, cluster.elect()));
    CHECK(all_hold(cluster, 2));
    CHECK(std::ranges::count(notices, "there is room for the log again") == 3);
}

TEST_CASE("a leader whose sync fails stops, and what was under way there is unknown") {
    std::vector<std::string> failures;
    rsm::Options options;
    options.on_failure = [&](const raft::Failure& why) { failures.push_back(why.message()); };
    Counters cluster(3, options);
    const std::uint64_t leader = cluster.elect();
    REQUIRE_FALSE(outcome(cluster, leader));
    REQUIRE(all_hold(cluster, 1));
    cluster.network().isolate(raft::NodeId{leader});
    cluster.disk(leader).hold();
    const Ended under_way = add(cluster, leader);
    cluster.settle();
    CHECK_FALSE(under_way->has_value());
    cluster.disk(leader).fails = true;
    cluster.disk(leader).release_all();
    cluster.settle();
    REQUIRE(under_way->has_value());
    CHECK(**under_way == rsm::Errc::interrupted);
    CHECK(rsm::outcome(**under_way) == rsm::Outcome::unknown);
    CHECK(outcome(cluster, leader) == rsm::Errc::stopped);
    CHECK(cluster.node(leader).status().stopped);
    cluster.run_for(10s);
    REQUIRE(failures.size() == 1);
    CHECK(failures[0].starts_with("sync d/7.wal: "));

    const std::uint64_t next = cluster.elect();
    CHECK(next != leader);
    CHECK_FALSE(outcome(cluster, next));
}

}  // namespace disk_trouble_test
