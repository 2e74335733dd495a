// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bit rot, and where it strikes.
#include <rsm/sim/run/rot.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

namespace rot_test {

namespace {

using namespace rsm::sim;

/// A disk with a log of one segment, a snapshot and another file, each with one byte in use.
struct RotDisk {
    RotDisk() : disk(std::make_shared<Disk>(1)), files(disk) {
        REQUIRE(files.create_directories("d").has_value());
        make("d/1.wal", 700);
        make("d/2.snapshot", 10);
        make("d/3", 10);
        REQUIRE(files.sync_directory(std::string("d")).has_value());
    }
    void make(const std::string& path, std::uint64_t offset) {
        const auto file = files.open(path, rsm::OpenMode::create);
        REQUIRE(file.has_value());
        const std::byte byte{4};
        const std::span<const std::byte> part(&byte, 1);
        REQUIRE(files.write_at(*file, offset, std::span(&part, 1)).has_value());
        REQUIRE(files.sync(*file).has_value());
    }

    std::shared_ptr<Disk> disk;
    Files files;
};

}  // namespace

TEST_CASE("Rot flips one durable bit, and finds the last bit of the log more often than chance") {
    constexpr int runs = 200;
    std::set<std::string> hit;
    int end_of_log = 0;
    for (std::uint64_t seed = 0; seed < runs; ++seed) {
        RotDisk rotten;
        raft::Random random(seed);
        const auto place = rot(*rotten.disk, random);
        REQUIRE(place.has_value());
        CHECK(rotten.disk->hits().size() == 1);
        hit.insert(place->path);
        const bool only_bit = rotten.disk->content(place->path)->at(place->offset) == std::byte{0};
        if (place->path == "d/1.wal" && place->offset == 700 && only_bit) ++end_of_log;
    }
    CHECK(hit == std::set<std::string>{"d/1.wal", "d/2.snapshot", "d/3"});
    CHECK(end_of_log > runs / 10);
}

TEST_CASE("Rot leaves a disk without bytes alone") {
    Disk disk(1);
    raft::Random random(1);
    CHECK_FALSE(rot(disk, random).has_value());
    CHECK(disk.hits().empty());
}

}  // namespace rot_test
