// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A machine with a simulated disk, for tests of the disk.
#ifndef RSM_TESTS_SIM_WORLD_DISK_MACHINE_HPP
#define RSM_TESTS_SIM_WORLD_DISK_MACHINE_HPP

#include <raft/base/random.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/files.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

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

inline std::string sectors(std::string_view letters) {
    std::string text;
    for (const char letter : letters) text += std::string(512, letter);
    return text;
}
/// One letter for each sector; '?' for one that is not all of one letter.
inline std::string letters(const std::string& text) {
    std::string result;
    for (std::size_t at = 0; at < text.size(); at += 512) {
        const std::string sector = text.substr(at, 512);
        const char letter = sector[0] == '\0' ? '0' : sector[0];
        result += sector.find_first_not_of(sector[0]) == std::string::npos ? letter : '?';
    }
    return result;
}

/// What is left of one situation after crashes with many seeds.
inline std::set<std::string> outcomes(const std::function<void(Machine&)>& act,
                                      const std::string& name, std::uint64_t seeds = 400) {
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

}  // namespace disk_test

#endif
