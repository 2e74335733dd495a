// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The production write-ahead log on the simulated disk: a crash at every file operation.
#include "wal_script.hpp"

#include <raft/base/random.hpp>
#include <rsm/sim/world/disk.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace wal_disk_test {

using namespace wal_script;

std::uint64_t operations_of_script() {
    const auto disk = std::make_shared<Disk>(0);
    Model model;
    REQUIRE(run_script(disk, model));
    return disk->operations();
}

TEST_CASE("After a crash at any file operation everything acknowledged is there") {
    const std::uint64_t operations = operations_of_script();
    REQUIRE(operations > 60);
    for (std::uint64_t stop = 1; stop <= operations + 1; ++stop) {
        for (std::uint64_t seed = 0; seed < 24; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            const auto disk = std::make_shared<Disk>(seed);
            raft::Random random(seed * 1000 + stop);
            Model model;
            disk->fail_after(stop, DiskFault::stop);
            const bool finished = run_script(disk, model);
            CHECK(finished == (stop > operations));
            CHECK(disk->stopped() != finished);
            disk->crash(random);
            // The repair may be interrupted too; it changes nothing that counts.
            for (std::uint64_t round = 0; round < seed % 4; ++round) {
                disk->fail_after(1 + random.below(9), DiskFault::stop);
                {
                    StorageNode<Wal> node(wal_on(disk));
                    static_cast<void>(node.recover().has_value());
                }
                disk->crash(random);
            }
            check_recovery(disk, model);
        }
    }
}

TEST_CASE("At every moment of a run what is durable holds everything acknowledged") {
    const std::uint64_t operations = operations_of_script();
    for (std::uint64_t stop = 1; stop <= operations + 1; ++stop) {
        CAPTURE(stop);
        const auto disk = std::make_shared<Disk>(stop);
        Model model;
        disk->fail_after(stop, DiskFault::stop);
        run_script(disk, model);
        check_recovery(std::make_shared<Disk>(disk->durable_image()), model);
    }
}

TEST_CASE("After a failed write or sync the process starts again and has everything acknowledged") {
    for (const DiskFault fault : {DiskFault::write_error, DiskFault::sync_error}) {
        for (std::uint64_t count = 1; count < 60; ++count) {
            for (std::uint64_t seed = 0; seed < 12; ++seed) {
                CAPTURE(count);
                CAPTURE(seed);
                const auto disk = std::make_shared<Disk>(seed);
                Model model;
                disk->fail_after(count, fault);
                const bool finished = run_script(disk, model);
                if (finished) CHECK(disk->hits().size() <= 1);
                disk->clear_plans();
                // The machine goes on in one half of the cases, with all that it has cached.
                raft::Random random(seed);
                if (seed % 2 == 0) disk->crash(random);
                check_recovery(disk, model);
            }
        }
    }
}

TEST_CASE("A recovery whose sync fails is done again, by the next process or after a crash") {
    const std::uint64_t operations = operations_of_script();
    std::size_t failed = 0;
    for (std::uint64_t stop = 1; stop <= operations; ++stop) {
        for (std::uint64_t seed = 0; seed < 16; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            const auto disk = std::make_shared<Disk>(seed);
            raft::Random random(seed * 1000 + stop);
            Model model;
            disk->fail_after(stop, DiskFault::stop);
            run_script(disk, model);
            disk->crash(random);
            disk->fail_after(1 + seed % 2, DiskFault::sync_error);
            {
                StorageNode<Wal> node(wal_on(disk));
                if (!node.recover()) ++failed;
            }
            disk->clear_plans();
            if (seed % 4 == 3) disk->crash(random);
            check_recovery(disk, model);
        }
    }
    CHECK(failed > operations);
}

TEST_CASE("A disk that gets full lets the log wait, and nothing acknowledged is lost") {
    const auto whole = std::make_shared<Disk>(0);
    Model everything;
    REQUIRE(run_script(whole, everything));
    std::size_t refused = 0;
    for (std::uint64_t capacity = 0; capacity < 60000; capacity += 512) {
        CAPTURE(capacity);
        const auto disk = std::make_shared<Disk>(capacity);
        disk->set_capacity(capacity);
        Model model;
        if (!run_script(disk, model)) ++refused;
        disk->set_capacity(1 << 30);
        raft::Random random(capacity);
        disk->crash(random);
        check_recovery(disk, model);
    }
    CHECK(refused > 20);
    CHECK(refused < 117);
}

}  // namespace wal_disk_test
