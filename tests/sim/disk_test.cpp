// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulated disk: what a crash leaves, and what its faults do.
#include <raft/types.hpp>
#include <rsm/sim/disk.hpp>
#include <rsm/sim/files.hpp>
#include <rsm/storage/disk/files.hpp>
#include <rsm/storage/errors.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace disk_test {

using rsm::OpenMode;
using rsm::sim::Disk;
using rsm::sim::DiskFault;
using rsm::sim::DiskHit;
using rsm::sim::Files;

/// A machine whose disk has the directory "d".
struct Machine {
    explicit Machine(std::uint64_t seed = 1) : disk(std::make_shared<Disk>(seed)), files(disk) {
        REQUIRE(files.create_directories("d").has_value());
    }
    /// After a crash.
    void start() { files = Files(disk); }
    void crash(std::uint64_t seed) {
        raft::Random random(seed);
        disk->crash(random);
        start();
    }
    Files::File open(const std::string& name, OpenMode mode) {
        auto file = files.open("d/" + name, mode);
        REQUIRE(file.has_value());
        return *file;
    }
    raft::Result<void> write(const Files::File& file, std::uint64_t offset, std::string_view text) {
        const std::span<const std::byte> part = std::as_bytes(std::span(text));
        return files.write_at(file, offset, std::span(&part, 1));
    }
    /// A durable file.
    Files::File make(const std::string& name, std::string_view text) {
        const auto file = open(name, OpenMode::create);
        REQUIRE(write(file, 0, text).has_value());
        REQUIRE(files.sync(file).has_value());
        REQUIRE(files.sync_directory("d").has_value());
        return file;
    }
    std::string text(const std::string& name) const { return text_of(*disk, name); }
    static std::string text_of(const Disk& disk, const std::string& name) {
        const auto bytes = disk.content("d/" + name);
        if (!bytes) return "(none)";
        return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
    }

    std::shared_ptr<Disk> disk;
    Files files;
};

std::string sectors(std::string_view letters) {
    std::string text;
    for (const char letter : letters) text += std::string(512, letter);
    return text;
}
/// One letter for each sector; '?' for one that is not all of one letter.
std::string letters(const std::string& text) {
    std::string result;
    for (std::size_t at = 0; at < text.size(); at += 512) {
        const std::string sector = text.substr(at, 512);
        const char letter = sector[0] == '\0' ? '0' : sector[0];
        result += sector.find_first_not_of(sector[0]) == std::string::npos ? letter : '?';
    }
    return result;
}

/// What is left of one situation after crashes with many seeds.
std::set<std::string> outcomes(const std::function<void(Machine&)>& act, const std::string& name,
                               std::uint64_t seeds = 400) {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        Machine machine;
        act(machine);
        machine.crash(seed);
        const std::string text = machine.text(name);
        found.insert(text == "(none)" ? text : letters(text));
    }
    return found;
}

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

TEST_CASE("A failed sync leaves each sector durable, cached or gone, and a later one writes none") {
    std::set<std::string> read;
    std::set<std::string> left;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Machine machine(seed);
        const auto file = machine.make("f", sectors("aa"));
        CHECK(machine.write(file, 0, sectors("bb")).has_value());
        machine.disk->fail_after(1, DiskFault::sync_error);
        const auto failed = machine.files.sync(file);
        REQUIRE_FALSE(failed.has_value());
        CHECK(failed.error().code == std::errc::io_error);
        CHECK(failed.error().what == "sync d/f");
        const std::string cached = letters(machine.text("f"));
        CHECK(machine.files.sync(file).has_value());
        CHECK(letters(machine.text("f")) == cached);
        machine.disk->crash_all_kept();
        const std::string after = letters(machine.text("f"));
        for (std::size_t i = 0; i < 2; ++i) CHECK((after[i] == 'a' || cached[i] == 'b'));
        read.insert(cached);
        left.insert(after);
    }
    CHECK(read == std::set<std::string>{"aa", "ab", "ba", "bb"});
    CHECK(left == std::set<std::string>{"aa", "ab", "ba", "bb"});
}

TEST_CASE("A failed sync of a directory makes some of its names durable, the next one all") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        static_cast<void>(machine.open("f", OpenMode::create));
        static_cast<void>(machine.open("g", OpenMode::create));
        machine.disk->fail_after(1, DiskFault::sync_error);
        CHECK(machine.files.sync_directory("d").error().what == "sync d");
        std::string names;
        for (const std::string& path : machine.disk->durable_image().paths()) names += path[2];
        found.insert(names);
        CHECK(machine.files.sync_directory("d").has_value());
        CHECK(machine.disk->durable_image().paths().size() == 2);
    }
    CHECK(found == std::set<std::string>{"", "f", "g", "fg"});
}

TEST_CASE("What a failed sync lost is durable once it is written again") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        const auto file = machine.make("f", sectors("aa"));
        CHECK(machine.write(file, 0, sectors("bb")).has_value());
        machine.disk->fail_after(1, DiskFault::sync_error);
        CHECK_FALSE(machine.files.sync(file).has_value());
        CHECK(machine.write(file, 0, sectors("bb")).has_value());
        CHECK(machine.files.sync(file).has_value());
        CHECK(letters(Machine::text_of(machine.disk->durable_image(), "f")) == "bb");
        machine.disk->crash_all_lost();
        CHECK(letters(machine.text("f")) == "bb");
    }
}

TEST_CASE("A file in the place of a removed one stays, whatever a failed sync has made durable") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.make("f", "old");
        CHECK(machine.files.remove("d/f").has_value());
        const auto file = machine.open("g", OpenMode::create);
        CHECK(machine.write(file, 0, "new").has_value());
        CHECK(machine.files.sync(file).has_value());
        CHECK(machine.files.rename("d/g", "d/f").has_value());
        machine.disk->fail_after(1, DiskFault::sync_error);
        CHECK_FALSE(machine.files.sync_directory("d").has_value());
        CHECK(machine.files.sync_directory("d").has_value());
        machine.disk->crash_all_lost();
        CHECK(machine.text("f") == "new");
    }
}

TEST_CASE("A failed write leaves some of its sectors, and happens once") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        const auto file = machine.make("f", sectors("aa"));
        machine.disk->fail_after(2, DiskFault::write_error);
        CHECK(machine.write(file, 512, sectors("a")).has_value());
        CHECK(machine.write(file, 0, sectors("bb")).error().what == "write d/f");
        found.insert(letters(machine.text("f")));
        CHECK(machine.write(file, 0, sectors("cc")).has_value());
        CHECK(letters(machine.text("f")) == "cc");
    }
    CHECK(found == std::set<std::string>{"aa", "ab", "ba", "bb"});
}

TEST_CASE("A stop is in the midst of an operation and lasts until the crash") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        const auto file = machine.make("f", sectors("aa"));
        machine.disk->fail_after(2, DiskFault::stop);
        CHECK(machine.write(file, 0, sectors("aa")).has_value());
        CHECK_FALSE(machine.disk->stopped());
        CHECK(machine.write(file, 0, sectors("bb")).error().what == "stopped: write d/f");
        CHECK(machine.disk->stopped());
        CHECK(machine.files.sync(file).error().what == "stopped: sync d/f");
        CHECK(machine.files.open("d/f", OpenMode::read).error().what == "stopped: open d/f");
        const Files old = machine.files;
        machine.disk->crash_all_kept();
        machine.start();
        CHECK_FALSE(old.sync(file).has_value());
        found.insert(letters(machine.text("f")));
        CHECK_FALSE(machine.disk->stopped());
        CHECK(machine.open("f", OpenMode::read).inode != nullptr);
    }
    CHECK(found == std::set<std::string>{"aa", "ab", "ba", "bb"});
}

TEST_CASE("A full disk refuses what needs room, keeps what fits, and may get larger") {
    Machine machine;
    const auto file = machine.make("f", sectors("aaa"));
    CHECK(machine.disk->used() == 2048);
    machine.disk->set_capacity(2048 + 1024);
    CHECK(machine.write(file, 0, sectors("bbb")).has_value());
    CHECK(machine.files.preallocate(file, 5 * 512 + 1).error().code ==
          std::errc::no_space_on_device);
    const auto full = machine.write(file, 1024, sectors("cccc"));
    CHECK(full.error().code == std::errc::no_space_on_device);
    CHECK(full.error().what == "write d/f");
    CHECK(letters(machine.text("f")) == "bbccc");
    CHECK(machine.files.open("d/g", OpenMode::create).error().what == "open d/g");
    machine.disk->set_capacity(4096);
    CHECK(machine.write(file, 1024, sectors("cccc")).has_value());
    CHECK(machine.disk->used() == 3584);
    CHECK(machine.files.open("d/g", OpenMode::create).has_value());
    // Removed, but neither durably nor closed; then all of it is given back.
    CHECK(machine.files.remove("d/f").has_value());
    CHECK(machine.disk->used() == 4096);
    CHECK(machine.files.sync_directory("d").has_value());
    CHECK(machine.disk->used() == 4096);
}

TEST_CASE("A removed file gives its room back when nothing refers to it any more") {
    Machine machine;
    machine.make("f", sectors("aaa"));
    CHECK(machine.files.remove("d/f").has_value());
    CHECK(machine.disk->used() == 2048);
    CHECK(machine.files.sync_directory("d").has_value());
    CHECK(machine.disk->used() == 0);
}

TEST_CASE("Bit rot changes one durable bit and says which") {
    std::set<std::string> hit;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine;
        machine.make("f", sectors("ab"));
        machine.make("g", sectors("c"));
        raft::Random random(seed);
        const std::uint64_t version = machine.disk->durable_version();
        const auto rot = machine.disk->rot(random);
        REQUIRE(rot.has_value());
        CHECK(machine.disk->durable_version() != version);
        CHECK(machine.disk->hits() == std::vector<DiskHit>{*rot});
        hit.insert(rot->path);
        const std::string before = rot->path == "d/f" ? sectors("ab") : sectors("c");
        const std::string after = machine.text(rot->path.substr(2));
        REQUIRE(after.size() == before.size());
        for (std::size_t i = 0; i < after.size(); ++i) {
            const int changed = static_cast<unsigned char>(after[i] ^ before[i]);
            CHECK((changed != 0) == (i == rot->offset));
            CHECK((changed & (changed - 1)) == 0);
        }
    }
    CHECK(hit == std::set<std::string>{"d/f", "d/g"});
}

TEST_CASE("A lost write is read until the crash and never there after it") {
    Machine machine;
    const auto file = machine.make("f", sectors("aaa"));
    machine.disk->fail_after(1, DiskFault::lost_write, 600);
    CHECK(machine.write(file, 1024, sectors("b")).has_value());
    CHECK(machine.write(file, 0, sectors("cc")).has_value());
    CHECK(machine.files.sync(file).has_value());
    CHECK(letters(machine.text("f")) == "ccb");
    CHECK(machine.disk->hits().size() == 1);
    machine.disk->crash_all_kept();
    CHECK(letters(machine.text("f")) == "aab");
}

TEST_CASE("A misdirected write is somewhere else, in the same file or another one") {
    std::set<std::string> landed;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        Machine machine(seed);
        const auto file = machine.make("f", sectors("aaaa"));
        machine.make("g", sectors("bb"));
        machine.disk->fail_after(1, DiskFault::misdirected_write);
        CHECK(machine.write(file, 512, sectors("c")).has_value());
        CHECK(machine.files.sync(file).has_value());
        CHECK(letters(machine.text("f"))[1] == 'c');
        machine.disk->crash_all_lost();
        REQUIRE(machine.disk->hits().size() == 1);
        const DiskHit hit = machine.disk->hits()[0];
        CHECK(hit.path == "d/f");
        CHECK(hit.offset == 512);
        CHECK(hit.landed_size == 512);
        std::string f = "aaaa";
        std::string g = "bb";
        (hit.landed_path == "d/f" ? f : g)[hit.landed_offset / 512] = 'c';
        CHECK(letters(machine.text("f")) == f);
        CHECK(letters(machine.text("g")) == g);
        CHECK(f[1] == 'a');
        landed.insert(hit.landed_path + " " + std::to_string(hit.landed_offset));
    }
    CHECK(landed == std::set<std::string>{"d/f 0", "d/f 1024", "d/f 1536", "d/g 0", "d/g 512"});
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
