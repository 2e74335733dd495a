// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The production write-ahead log on the simulated disk: an error of any call of it.
#include "wal_script.hpp"

#include <raft/base/random.hpp>
#include <rsm/sim/rules/honest_start.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace wal_errors_test {

using namespace wal_script;
using rsm::sim::DiskCall;

bool any_call(DiskCall, std::string_view) { return true; }

/// The calls that failed, or would have changed something.
std::string name_of(const rsm::sim::DiskHit& hit) {
    if (hit.fault == DiskFault::write_error) return "write";
    if (hit.fault == DiskFault::sync_error) return "sync";
    return std::string(rsm::sim::disk_call_names[static_cast<std::size_t>(hit.call)]);
}

TEST_CASE("After an error of any call, and a power failure, everything acknowledged is there") {
    std::set<std::string> failed;
    for (const std::uint64_t stop_after : {0U, 1U, 2U, 4U}) {
        std::uint64_t count = 0;
        for (bool is_hit = true; is_hit;) {
            ++count;
            is_hit = false;
            for (std::uint64_t seed = 0; seed < 5; ++seed) {
                CAPTURE(stop_after);
                CAPTURE(count);
                CAPTURE(seed);
                const auto disk = std::make_shared<Disk>(seed);
                Model model;
                disk->fail_call({.concerns = any_call, .count = count, .stop_after = stop_after});
                run_script(disk, model);
                if (!disk->hits().empty()) {
                    is_hit = true;
                    failed.insert(name_of(disk->hits().front()));
                }
                disk->crash_all_lost();
                check_recovery(disk, model);
            }
        }
        CHECK(count > 80);
    }
    CHECK(failed == std::set<std::string>{"allocate", "create", "create directory", "list", "open",
                                          "remove", "rename", "sync", "write"});
}

/// A disk whose last process ended in the midst of the script.
std::shared_ptr<Disk> left_by(std::uint64_t stop, std::uint64_t seed, Model& model) {
    const auto disk = std::make_shared<Disk>(seed);
    raft::Random random(seed * 1000 + stop);
    disk->fail_after(stop, DiskFault::stop);
    run_script(disk, model);
    seed % 2 == 0 ? disk->end_process() : disk->crash(random);
    return disk;
}

/// Not one of a segment that is prepared or given up, which a start does not wait for.
bool call_of_the_start(DiskCall call, std::string_view path) {
    namespace wal_files = rsm::sim::wal_files;
    const wal_files::Kind kind = wal_files::kind_of(path);
    const bool names = call == DiskCall::sync_directory || call == DiskCall::rename;
    const bool comes_or_goes = names && kind == wal_files::Kind::segment;
    return !comes_or_goes && kind != wal_files::Kind::draft && kind != wal_files::Kind::spare;
}

TEST_CASE("A start of which any call fails is refused, and what a start has shown stays") {
    std::size_t refused = 0;
    std::size_t started = 0;
    for (std::uint64_t stop = 1; stop < 100; stop += 2) {
        for (std::uint64_t seed = 0; seed < 4; ++seed) {
            for (std::uint64_t count = 1;; ++count) {
                CAPTURE(stop);
                CAPTURE(seed);
                CAPTURE(count);
                Model model;
                const auto disk = left_by(stop, seed, model);
                const std::size_t before = disk->hits().size();
                disk->fail_call({.concerns = call_of_the_start, .count = count});
                Model::State shown;
                bool is_started = false;
                {
                    StorageNode<Wal> node(wal_on(disk));
                    const auto recovered = node.recover();
                    is_started = recovered.has_value();
                    disk->clear_plans();
                    if (is_started) shown = state_of(node, *recovered);
                }
                const auto hits = std::span(disk->hits()).subspan(before);
                const bool harmed = std::ranges::any_of(hits, rsm::sim::start_depends_on);
                CHECK_FALSE((harmed && is_started));
                ++(is_started ? started : refused);
                disk->crash_all_lost();
                if (is_started) {
                    StorageNode<Wal> again(wal_on(disk));
                    REQUIRE(state_of(again, again.start()) == shown);
                }
                check_recovery(disk, model);
                if (hits.empty()) break;
            }
        }
    }
    CHECK(refused > 1000);
    CHECK(started > 200);
}

TEST_CASE("A spare that got its new name although the call failed is not emptied") {
    // The names are not durable yet, so the disk still knows it as an earlier segment.
    std::size_t renamed = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto disk = std::make_shared<Disk>(seed);
        disk->fail_call({.concerns =
                             [](DiskCall call, std::string_view path) {
                                 return call == DiskCall::rename && path.ends_with(".spare.tmp");
                             },
                         .stop_after = 4});
        Model model;
        run_script(disk, model);
        renamed += disk->hits().size();
        disk->crash_all_lost();
        check_recovery(disk, model);
    }
    CHECK(renamed >= 20);
}

}  // namespace wal_errors_test
