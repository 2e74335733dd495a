// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Disk jobs in virtual time, and the production storage on them.
#include "support/records.hpp"

#include <raft/base/random.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/wal_storage.hpp>
#include <rsm/sim/world/world.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lane_test {

using rsm::sim::Disk;
using rsm::sim::DiskFault;
using rsm::sim::Lane;
using rsm::sim::ServiceTime;
using rsm::sim::World;
using std::chrono::microseconds;

struct Bench {
    World world;
    std::shared_ptr<Disk> disk = std::make_shared<Disk>(1);
    std::shared_ptr<ServiceTime> time = std::make_shared<ServiceTime>();
    std::vector<raft::Time> ends;

    Lane lane(std::uint64_t seed = 1) { return Lane(world, disk, time, seed); }
    void run() { world.run_for(std::chrono::seconds(10)); }
};

TEST_CASE("Jobs run one after the other, each at the end of its service time") {
    Bench bench;
    *bench.time = {microseconds(100), microseconds(200), 0, {}};
    Lane lane = bench.lane();
    for (int i = 0; i < 50; ++i) {
        lane.post([&] { bench.ends.push_back(bench.world.now()); });
    }
    CHECK(bench.ends.empty());
    bench.run();
    REQUIRE(bench.ends.size() == 50);
    raft::Time before{};
    raft::Duration least = microseconds(999);
    raft::Duration most{};
    for (const raft::Time end : bench.ends) {
        least = std::min(least, end - before);
        most = std::max(most, end - before);
        before = end;
    }
    CHECK(least >= microseconds(100));
    CHECK(least < microseconds(115));
    CHECK(most <= microseconds(200));
    CHECK(most > microseconds(185));
}

TEST_CASE("Some jobs stall, as often as the settings say, from the next job on") {
    Bench bench;
    *bench.time = {microseconds(1), microseconds(1), 4, microseconds(1000)};
    Lane lane = bench.lane();
    std::vector<raft::Duration> lengths;
    raft::Time before{};
    for (int i = 0; i < 400; ++i) {
        lane.post([&] {
            lengths.push_back(bench.world.now() - before);
            before = bench.world.now();
        });
    }
    bench.run();
    const auto stalls =
        std::ranges::count_if(lengths, [](raft::Duration one) { return one > microseconds(1); });
    CHECK(stalls > 60);
    CHECK(stalls < 140);
    CHECK(std::ranges::max(lengths) > microseconds(900));
    CHECK(std::ranges::max(lengths) <= microseconds(1001));
    *bench.time = {microseconds(5), microseconds(5), 0, {}};
    before = bench.world.now();
    lane.post([&] { lengths.push_back(bench.world.now() - before); });
    bench.run();
    CHECK(lengths.back() == microseconds(5));
}

TEST_CASE("A stalled disk delays the job under way and all others") {
    Bench bench;
    *bench.time = {microseconds(10), microseconds(10), 0, {}};
    Lane lane = bench.lane();
    for (int i = 0; i < 2; ++i) lane.post([&] { bench.ends.push_back(bench.world.now()); });
    bench.disk->stall_until(raft::Time(microseconds(500)));
    bench.run();
    CHECK(bench.ends == std::vector{raft::Time(microseconds(500)), raft::Time(microseconds(510))});
    bench.disk->stall_until(bench.world.now() + microseconds(500));
    const raft::Time start = bench.world.now();
    lane.post([&] { bench.ends.push_back(bench.world.now()); });
    bench.run();
    CHECK(bench.ends.back() == start + microseconds(510));
}

TEST_CASE("After stop() nothing runs, and what waited is destroyed") {
    Bench bench;
    std::unique_ptr<Lane> lane(new Lane(bench.lane()));
    const auto owned = std::make_shared<int>(0);
    for (int i = 0; i < 3; ++i) lane->post([&, owned] { bench.ends.push_back(bench.world.now()); });
    SUBCASE("by a call") { lane->stop(); }
    SUBCASE("by its end") { lane = nullptr; }
    CHECK(owned.use_count() == 1);
    bench.run();
    CHECK(bench.ends.empty());
}

TEST_CASE("A job may stop its own lane") {
    Bench bench;
    Lane lane = bench.lane();
    lane.post([&] {
        bench.ends.push_back(bench.world.now());
        lane.stop();
    });
    lane.post([&] { bench.ends.push_back(bench.world.now()); });
    bench.run();
    CHECK(bench.ends.size() == 1);
}

TEST_CASE("No job begins on a disk that has stopped, nor in another life of it") {
    Bench bench;
    REQUIRE(rsm::sim::Files(bench.disk).create_directories("d").has_value());
    Lane lane = bench.lane();
    lane.post([&] {
        bench.ends.push_back(bench.world.now());
        bench.disk->fail_after(1, DiskFault::stop);
        const rsm::sim::Files files(bench.disk);
        CHECK_FALSE(files.open("d/f", rsm::OpenMode::create).has_value());
    });
    lane.post([&] { bench.ends.push_back(bench.world.now()); });
    bool crashed = false;
    SUBCASE("stopped") {}
    SUBCASE("started again") { crashed = true; }
    CHECK(bench.world.run_until([&] { return bench.disk->stopped(); },
                                raft::Time(std::chrono::seconds(1))));
    if (crashed) bench.disk->crash_all_lost();
    bench.run();
    CHECK(bench.ends.size() == 1);
}

raft::Write one_entry(std::uint64_t index) {
    using namespace raft::test;
    return write_of({entry(index, 1, std::to_string(index) + std::string(200, 'x'))});
}

/// Some lives of a node, each of which ends in a crash; says all that can be seen of them.
std::string lives(std::uint64_t seed) {
    World world;
    const auto disk = std::make_shared<Disk>(seed);
    const auto time = std::make_shared<ServiceTime>();
    raft::Random random(seed);
    std::uint64_t acknowledged = 0;
    std::string seen;
    for (int life = 0; life < 6; ++life) {
        const rsm::WalOptions options{.directory = "data/d", .segment_bytes = 8192};
        auto storage = rsm::sim::wal_storage(world, disk, options, time, random.next())
                           .open(world.get_executor());
        const auto recovered = storage.recover();
        REQUIRE(recovered.has_value());
        CHECK(recovered->last.value >= acknowledged);
        std::uint64_t next = recovered->last.value;
        seen += std::to_string(next) + " ";
        disk->fail_after(1 + random.below(60), DiskFault::stop);
        for (int i = 0; i < 100; ++i) {
            const std::uint64_t index = ++next;
            storage.append(one_entry(index), [&, index](raft::Result<void> done) {
                if (done) acknowledged = index;
            });
            world.run_for(random.below(microseconds(900)));
        }
        CHECK(disk->stopped());
        seen += std::to_string(acknowledged) + " ";
        disk->crash(random);
    }
    return seen + std::to_string(world.events());
}

TEST_CASE("A storage on lanes keeps what it acknowledged over crashes, and repeats itself") {
    CHECK(lives(1) == lives(1));
    CHECK(lives(1) != lives(2));
    for (std::uint64_t seed = 3; seed < 60; ++seed) {
        CAPTURE(seed);
        static_cast<void>(lives(seed));
    }
}

TEST_CASE("A storage that is closed gives its directory to the next one") {
    World world;
    const auto disk = std::make_shared<Disk>(1);
    const auto time = std::make_shared<ServiceTime>();
    const rsm::WalOptions options{.directory = "d", .segment_bytes = 8192};
    auto storage = rsm::sim::wal_storage(world, disk, options, time, 1).open(world.get_executor());
    REQUIRE(storage.recover().has_value());
    auto other = rsm::sim::wal_storage(world, disk, options, time, 2).open(world.get_executor());
    CHECK(other.recover().error().code == rsm::StorageErrc::locked);
    bool closed = false;
    storage.close([&] { closed = true; });
    world.run_for(std::chrono::seconds(1));
    REQUIRE(closed);
    CHECK(other.recover().has_value());
}

}  // namespace lane_test
