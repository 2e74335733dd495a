// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulated disk: what a crash leaves, and what else it does without a fault.
#include "disk_machine.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <vector>

namespace disk_test {

TEST_CASE("A crash leaves any version of each unsynced sector, whichever the others have") {
    const auto found = outcomes(
        [](Machine& machine) {
            const auto file = machine.make("f", sectors("aaa"));
            CHECK(machine.write(file, 0, sectors("bb")).has_value());
            CHECK(machine.write(file, 512, sectors("c")).has_value());
        },
        "f");
    CHECK(found == std::set<std::string>{"aaa", "aba", "aca", "baa", "bba", "bca"});
}

TEST_CASE("What was synced is there after any crash, also in a sector that is written again") {
    const auto found = outcomes(
        [](Machine& machine) {
            const auto file = machine.make("f", sectors("aa"));
            CHECK(machine.write(file, 0, sectors("b")).has_value());
            CHECK(machine.write(file, 0, sectors("c")).has_value());
            CHECK(machine.files.sync(file).has_value());
            CHECK(machine.write(file, 0, sectors("d")).has_value());
        },
        "f");
    CHECK(found == std::set<std::string>{"ca", "da"});
}

TEST_CASE("A partly written sector keeps its other bytes, in the cache and on the disk") {
    Machine machine;
    const auto file = machine.make("f", sectors("ab"));
    CHECK(machine.write(file, 500, "0123456789012345678901234").has_value());
    std::string expected = sectors("ab");
    expected.replace(500, 25, "0123456789012345678901234");
    CHECK(machine.text("f") == expected);
    CHECK(machine.files.sync(file).has_value());
    machine.disk->crash_all_lost();
    CHECK(machine.text("f") == expected);
}

TEST_CASE("The size is any that the file had, and what a lost size held does not come back") {
    const auto act = [](Machine& machine) {
        const auto file = machine.make("f", sectors("a"));
        CHECK(machine.write(file, 512, sectors("b")).has_value());
        CHECK(machine.write(file, 1536, sectors("d")).has_value());
    };
    const auto found = outcomes(act, "f");
    CHECK(found == std::set<std::string>{"a", "a0", "ab", "a000", "ab00", "a00d", "ab0d"});

    bool cut = false;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine;
        const auto file = machine.make("f", std::string(100, 'a'));
        CHECK(machine.write(file, 100, std::string(100, 'b')).has_value());
        machine.crash(seed);
        const std::string text = machine.text("f");
        if (text.size() != 100) continue;
        cut = true;
        const auto again = machine.open("f", OpenMode::read_write);
        CHECK(machine.write(again, 300, "x").has_value());
        CHECK(machine.text("f") == std::string(100, 'a') + std::string(200, '\0') + "x");
    }
    CHECK(cut);
}

TEST_CASE("Names are durable after a sync of their directory, and any subset of them before it") {
    SUBCASE("a new file") {
        const auto found = outcomes(
            [](Machine& machine) {
                const auto file = machine.open("f", OpenMode::create);
                CHECK(machine.write(file, 0, sectors("a")).has_value());
                CHECK(machine.files.sync(file).has_value());
            },
            "f");
        CHECK(found == std::set<std::string>{"(none)", "a"});
    }
    SUBCASE("a rename over another file") {
        const auto act = [](Machine& machine) {
            machine.make("f", sectors("a"));
            const auto file = machine.open("g", OpenMode::create);
            CHECK(machine.write(file, 0, sectors("b")).has_value());
            CHECK(machine.files.sync(file).has_value());
            CHECK(machine.files.rename("d/g", "d/f").has_value());
            CHECK(machine.disk->paths() == std::vector<std::string>{"d/f"});
        };
        CHECK(outcomes(act, "f") == std::set<std::string>{"a", "b"});
        CHECK(outcomes(act, "g") == std::set<std::string>{"(none)", "b"});
        const auto synced = [&](Machine& machine) {
            act(machine);
            CHECK(machine.files.sync_directory("d").has_value());
        };
        CHECK(outcomes(synced, "f") == std::set<std::string>{"b"});
        CHECK(outcomes(synced, "g") == std::set<std::string>{"(none)"});
    }
    SUBCASE("a removal") {
        const auto act = [](Machine& machine) {
            machine.make("f", sectors("a"));
            CHECK(machine.files.remove("d/f").has_value());
            CHECK(machine.files.remove("d/f").has_value());
            CHECK_FALSE(machine.files.open("d/f", OpenMode::read).has_value());
        };
        CHECK(outcomes(act, "f") == std::set<std::string>{"(none)", "a"});
    }
    SUBCASE("a file that is created anew") {
        const auto act = [](Machine& machine) {
            machine.make("f", sectors("aa"));
            const auto file = machine.open("f", OpenMode::create);
            CHECK(machine.text("f").empty());
            CHECK(machine.write(file, 0, sectors("b")).has_value());
        };
        CHECK(outcomes(act, "f") == std::set<std::string>{"aa", "", "0", "b"});
        const auto synced = [&](Machine& machine) {
            act(machine);
            CHECK(machine.files.sync(machine.open("f", OpenMode::read_write)).has_value());
        };
        CHECK(outcomes(synced, "f") == std::set<std::string>{"b"});
    }
}

/// Does something random; the same for the same seeds.
void random_life(Machine& machine, raft::Random& random) {
    const std::vector<std::string> names{"f", "g", "h"};
    for (int i = 0; i < 40; ++i) {
        const std::string name = names[random.below(names.size())];
        const std::string other = names[random.below(names.size())];
        const auto open = machine.files.open("d/" + name, OpenMode::read_write);
        switch (random.below(8)) {
            case 0: static_cast<void>(machine.open(name, OpenMode::create)); break;
            case 1: CHECK(machine.files.remove("d/" + name).has_value()); break;
            case 2: {
                const bool done = machine.files.rename("d/" + name, "d/" + other).has_value();
                CHECK(done == open.has_value());
                break;
            }
            case 3: CHECK(machine.files.sync_directory("d").has_value()); break;
            case 4:
                if (open) CHECK(machine.files.sync(*open).has_value());
                break;
            case 5:
                machine.disk->fail_after(1 + random.below(3), DiskFault::sync_error);
                if (open) static_cast<void>(machine.files.sync(*open).has_value());
                machine.disk->clear_plans();
                break;
            default: {
                const std::uint64_t offset = random.below(5000);
                const auto size = static_cast<std::size_t>(random.below(3000));
                const std::string text(size, static_cast<char>('a' + random.below(26)));
                if (open) CHECK(machine.write(*open, offset, text).has_value());
            }
        }
    }
}
std::string dump(const Disk& disk) {
    std::string result;
    for (const std::string& path : disk.paths()) {
        result += path + "=" + Machine::text_of(disk, path.substr(2)) + "\n";
    }
    return result;
}

TEST_CASE("The durable image is what the worst crash leaves, and lives a life of its own") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        CAPTURE(seed);
        Machine machine(seed);
        raft::Random random(seed);
        random_life(machine, random);
        const std::uint64_t version = machine.disk->durable_version();
        Machine other;
        other.disk = std::make_shared<Disk>(machine.disk->durable_image());
        other.start();
        const std::string image = dump(*other.disk);
        const std::string now = dump(*machine.disk);

        // Neither sees what the other does.
        raft::Random more(seed + 1);
        random_life(other, more);
        other.disk->crash_all_kept();
        CHECK(dump(*machine.disk) == now);
        CHECK(dump(machine.disk->durable_image()) == image);
        CHECK(machine.disk->durable_version() == version);
        const Disk second = machine.disk->durable_image();
        random_life(machine, more);
        CHECK(dump(second) == image);
        const Disk last = machine.disk->durable_image();
        machine.disk->crash_all_lost();
        CHECK(dump(*machine.disk) == dump(last));
    }
}

TEST_CASE("The durable version changes with the durable state") {
    Machine machine;
    std::string image = dump(machine.disk->durable_image());
    std::uint64_t version = machine.disk->durable_version();
    raft::Random random(7);
    int changes = 0;
    for (int i = 0; i < 2000; ++i) {
        raft::Random one(random.next());
        const auto file = machine.files.open("d/f", OpenMode::read_write);
        switch (one.below(5)) {
            case 0: static_cast<void>(machine.open("f", OpenMode::create)); break;
            case 1: CHECK(machine.files.sync_directory("d").has_value()); break;
            case 2:
                if (file) CHECK(machine.files.sync(*file).has_value());
                break;
            case 3: CHECK(machine.files.remove("d/g").has_value()); break;
            default:
                if (file) CHECK(machine.write(*file, one.below(2000), "text").has_value());
        }
        const std::string next = dump(machine.disk->durable_image());
        if (next != image) {
            ++changes;
            CHECK(machine.disk->durable_version() != version);
        }
        image = next;
        version = machine.disk->durable_version();
    }
    CHECK(changes > 100);
}

TEST_CASE("One seed gives one history") {
    const auto life = [](std::uint64_t seed) {
        Machine machine(seed);
        raft::Random random(seed);
        std::string result;
        for (int i = 0; i < 5; ++i) {
            random_life(machine, random);
            machine.disk->crash(random);
            machine.start();
            result += dump(*machine.disk) + std::to_string(machine.files.unique_id());
        }
        return result;
    };
    CHECK(life(3) == life(3));
    CHECK(life(3) != life(4));
}

TEST_CASE("A directory is locked until its holder or the machine ends") {
    Machine machine;
    {
        const auto held = machine.files.lock("d");
        REQUIRE(held.has_value());
        CHECK(machine.files.lock("d").error().code == rsm::StorageErrc::locked);
    }
    const auto held = machine.files.lock("d");
    REQUIRE(held.has_value());
    machine.crash(1);
    CHECK(machine.files.lock("d").has_value());
}

TEST_CASE("Directories and files that are not there are reported as by POSIX") {
    Machine machine;
    CHECK(machine.files.open("d/f", OpenMode::read).error().code ==
          std::errc::no_such_file_or_directory);
    CHECK(machine.files.open("e/f", OpenMode::create).error().what == "open e/f");
    CHECK(machine.files.list("e").error().what == "list e");
    machine.make("f", "text");
    CHECK(*machine.files.list("d") == std::vector<std::string>{"f"});
    CHECK(machine.files.lock("d/f").error().code == std::errc::not_a_directory);
    machine.disk->wipe();
    machine.start();
    CHECK(machine.disk->paths().empty());
    CHECK_FALSE(machine.files.list("d").has_value());
}

}  // namespace disk_test
