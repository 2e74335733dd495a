// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The simulated disk: what its faults do.
#include "disk_machine.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace disk_test {

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

TEST_CASE("A sector that is spoilt cannot be read until it is written again") {
    Machine machine(1);
    const auto file = machine.make("f", sectors("abc"));
    const std::uint64_t sector = sectors("a").size();
    CHECK_FALSE(machine.disk->spoil("d/f", 3 * sector).has_value());
    const auto hit = machine.disk->spoil("d/f", sector + 3);
    REQUIRE(hit.has_value());
    CHECK(hit->fault == DiskFault::unreadable);
    CHECK(hit->offset == sector + 3);
    const auto reads = [&](std::uint64_t offset, std::size_t size) {
        std::vector<std::byte> place(size);
        const auto count = machine.files.read_at(file, offset, place);
        if (!count) CHECK(count.error().code == std::errc::io_error);
        return count.has_value();
    };
    CHECK(reads(0, sector));
    CHECK_FALSE(reads(0, sector + 1));
    CHECK_FALSE(reads(2 * sector - 1, 1));
    CHECK(reads(2 * sector, sector));
    CHECK(machine.write(file, sector, sectors("x")).has_value());
    CHECK(reads(0, 3 * sector));
}

TEST_CASE("A flip changes one durable bit and says which") {
    std::set<std::string> hit;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine;
        machine.make("f", sectors("ab"));
        machine.make("g", sectors("c"));
        raft::Random random(seed);
        const std::uint64_t version = machine.disk->durable_version();
        const std::string path = random.below(2) == 0 ? "d/f" : "d/g";
        const std::uint64_t size = path == "d/f" ? 1024 : 512;
        CHECK_FALSE(machine.disk->flip(path, size, 0).has_value());
        CHECK(machine.disk->durable_version() == version);
        const auto rot = machine.disk->flip(path, random.below(size), 7);
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

TEST_CASE("A fault may wait for a write of which a condition holds") {
    Machine machine;
    const auto file = machine.make("f", sectors("aaa"));
    const auto other = machine.make("g", sectors("aaa"));
    const auto awaited = [](std::string_view path, std::uint64_t offset) {
        return path == "d/g" && offset == 512;
    };
    machine.disk->fail_from_write(awaited, 2, DiskFault::write_error);
    CHECK(machine.write(file, 512, sectors("b")).has_value());
    CHECK(machine.write(other, 0, sectors("b")).has_value());
    CHECK(machine.write(other, 512, sectors("b")).has_value());
    CHECK_FALSE(machine.write(file, 0, sectors("b")).has_value());
    CHECK(machine.write(file, 0, sectors("b")).has_value());
}

TEST_CASE("A lost write shows as soon as something behind it is synced") {
    Machine machine;
    const auto file = machine.make("f", sectors("aaa"));
    const auto later = machine.make("g", sectors("a"));
    machine.disk->fail_after(1, DiskFault::lost_write);
    CHECK(machine.write(file, 512, sectors("b")).has_value());
    CHECK(machine.write(file, 0, sectors("b")).has_value());
    CHECK(machine.write(later, 0, sectors("b")).has_value());
    const auto& lost = machine.disk->lost_writes();
    REQUIRE(lost.size() == 1);
    CHECK(machine.files.sync(file).has_value());
    CHECK_FALSE(lost[0].shows);
    CHECK(lost[0].later.empty());
    CHECK(machine.files.sync(later).has_value());
    CHECK(lost[0].later == std::set<std::string>{"d/g"});
    CHECK(machine.write(file, 1024, sectors("b")).has_value());
    CHECK_FALSE(lost[0].shows);
    CHECK(machine.files.sync(file).has_value());
    CHECK(lost[0].shows);
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

}  // namespace disk_test
