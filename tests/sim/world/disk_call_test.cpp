// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulated disk: errors of single calls, directories, and processes that end in a call.
#include "disk_machine.hpp"

#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace disk_call_test {

using namespace disk_test;
using rsm::sim::DiskCall;

rsm::sim::CallCondition calls(DiskCall wanted) {
    return [wanted](DiskCall call, std::string_view) { return call == wanted; };
}

TEST_CASE("Each kind of call fails when it is told to, and once") {
    Machine machine;
    const auto file = machine.make("f", "text");
    const auto fails = [&](DiskCall call, const std::string& what, auto act) {
        machine.disk->fail_call({.concerns = calls(call), .count = 2, .error = EDOM});
        CHECK(act().has_value());
        const auto failed = act();
        REQUIRE_FALSE(failed.has_value());
        CHECK(failed.error().code.value() == EDOM);
        CHECK(failed.error().what == what);
        CHECK(act().has_value());
    };
    std::byte byte{};
    const auto& files = machine.files;
    fails(DiskCall::list, "list d", [&] { return files.list("d"); });
    fails(DiskCall::open, "open d/f", [&] { return files.open("d/f", OpenMode::read); });
    fails(DiskCall::create, "open d/g", [&] { return files.open("d/g", OpenMode::create); });
    fails(DiskCall::stat, "stat d/f", [&] { return files.size(file); });
    fails(DiskCall::read, "read d/f", [&] { return files.read_at(file, 0, {&byte, 1}); });
    fails(DiskCall::write, "write d/f", [&] { return machine.write(file, 0, "b"); });
    fails(DiskCall::allocate, "allocate d/f", [&] { return files.preallocate(file, 9000); });
    fails(DiskCall::sync, "sync d/f", [&] { return files.sync(file); });
    fails(DiskCall::sync_directory, "sync d", [&] { return files.sync_directory("d"); });
    std::uint64_t number = 0;
    machine.disk->fail_call({.concerns = calls(DiskCall::create_directory)});
    CHECK(files.create_directory("e").error().what == "create directory e");
    for (const DiskCall call : {DiskCall::rename, DiskCall::remove}) {
        const std::string path = "d/" + std::to_string(++number);
        REQUIRE(files.open(path, OpenMode::create).has_value());
        machine.disk->fail_call({.concerns = calls(call)});
        CHECK_FALSE((call == DiskCall::rename ? files.rename(path, "d/h") : files.remove(path))
                        .has_value());
        CHECK(machine.disk->hits().back().call == call);
    }
}

TEST_CASE("A call on names that fails has happened or not") {
    std::set<std::string> left;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Machine machine(seed);
        machine.make("f", sectors("a"));
        machine.disk->fail_call({.concerns = calls(DiskCall::rename)});
        CHECK_FALSE(machine.files.rename("d/f", "d/g").has_value());
        left.insert(letters(machine.text("f")) + " " + letters(machine.text("g")));
    }
    CHECK(left.size() == 2);
}

TEST_CASE("The sync of a directory is aimed at by the name that it would make durable") {
    Machine machine;
    const auto aims_at = [&](const std::string& name) {
        machine.disk->fail_call({.concerns = [name](DiskCall call, std::string_view path) {
            return call == DiskCall::sync_directory && path == name;
        }});
    };
    aims_at("d/g");
    machine.make("f", "text");
    REQUIRE(machine.files.rename("d/f", "d/g").has_value());
    CHECK_FALSE(machine.files.sync_directory("d").has_value());
    machine.disk->crash_all_kept();
    machine.start();
    aims_at("d");
    CHECK_FALSE(machine.files.sync_directory("d").has_value());
    CHECK(machine.files.sync_directory("d").has_value());
}

TEST_CASE("After an error the machine stops when it is told to") {
    Machine machine;
    const auto file = machine.make("f", "text");
    machine.disk->fail_call({.concerns = calls(DiskCall::sync), .stop_after = 2});
    CHECK(machine.disk->failure_planned());
    CHECK_FALSE(machine.files.sync(file).has_value());
    CHECK_FALSE(machine.disk->failure_planned());
    CHECK(machine.write(file, 0, "more").has_value());
    CHECK_FALSE(machine.files.sync(file).has_value());
    CHECK(machine.disk->stopped());
}

TEST_CASE("A directory that was not made durable goes in a crash, and what is in it") {
    for (const bool outer : {false, true}) {
        for (const bool inner : {false, true}) {
            Machine machine;
            auto& files = machine.files;
            REQUIRE(*files.create_directory("a"));
            REQUIRE(*files.create_directory("a/b"));
            CHECK_FALSE(*files.create_directory("a/b"));
            const auto file = files.open("a/b/f", OpenMode::create);
            REQUIRE(file.has_value());
            REQUIRE(files.sync(*file).has_value());
            REQUIRE(files.sync_directory("a/b").has_value());
            if (inner) REQUIRE(files.sync_directory("a").has_value());
            if (outer) REQUIRE(files.sync_directory(".").has_value());
            machine.disk->crash_all_lost();
            machine.start();
            CHECK(machine.files.list("a").has_value() == outer);
            CHECK(machine.files.open("a/b/f", OpenMode::read).has_value() == (outer && inner));
        }
    }
}

TEST_CASE("Directories that an interrupted start has made are durable after the next one") {
    for (std::uint64_t stop = 1; stop <= 6; ++stop) {
        Machine machine;
        machine.disk->fail_after(stop, DiskFault::stop);
        static_cast<void>(machine.files.create_directories("a/b/c").has_value());
        machine.disk->end_process();
        machine.start();
        REQUIRE(machine.files.create_directories("a/b/c").has_value());
        machine.disk->crash_all_lost();
        machine.start();
        CHECK(machine.files.list("a/b/c").has_value());
    }
}

TEST_CASE("A process that ends in a call leaves in the system's memory what it has written") {
    Machine machine;
    const auto file = machine.make("f", sectors("a"));
    const auto held = machine.files.lock("d");
    REQUIRE(machine.write(file, 0, sectors("b")).has_value());
    machine.disk->fail_after(1, DiskFault::stop);
    CHECK_FALSE(machine.files.sync(file).has_value());
    CHECK(machine.disk->stopped());
    machine.disk->end_process();
    CHECK_FALSE(machine.files.list("d").has_value());  // a handle of before
    machine.start();
    CHECK(letters(machine.text("f")) == "b");
    CHECK(machine.files.lock("d").has_value());
    machine.disk->crash_all_lost();
    CHECK(letters(machine.text("f")) == "a");
}

}  // namespace disk_call_test
