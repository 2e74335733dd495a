// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A log that goes on behind damage: what is left there is told in every life, and a start that is
// cut off at any point is repeated as if it had not been.
#include "wal_story.hpp"
#include "wal_support.hpp"

#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/storage/wal/cut.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wal_mend_test {

namespace {

using namespace raft::test;
using namespace rsm_test;

/// A copy of the disk as it is, all of it durable.
FakeFiles copy_of(const FakeDisk& disk) {
    FakeFiles files;
    for (const auto& [path, inode] : disk.names) {
        files.disk->names[path] =
            std::make_shared<FakeDisk::Inode>(FakeDisk::Inode{inode->now, inode->now});
    }
    files.disk->durable_names = files.disk->names;
    return files;
}
/// Changes a bit of the entry where it was written last.
void damage_entry(FakeDisk& disk, const raft::Entry& one) {
    const std::string payload(reinterpret_cast<const char*>(one.payload.view().data()),
                              one.payload.size());
    std::vector<std::string> names = segment_names(disk);
    std::ranges::reverse(names);
    for (const std::string& name : names) {
        std::string& content = disk.names.at(name)->now;
        const std::size_t place = content.rfind(payload);
        if (place == std::string::npos) continue;
        content[place] = static_cast<char>(content[place] ^ 8);
        disk.names.at(name)->durable = content;
        return;
    }
    FAIL("the entry is not there");
}
/// What one start finds. It stops there.
raft::Recovered one_life(const Story& story, const FakeFiles& files) {
    StorageNode<FakeWal> node(fake_wal(files));
    raft::Recovered recovered = node.start();
    check_honest(story, node, recovered);
    node.close();
    return recovered;
}
/// Whether an entry is in the log or in what is left of it.
bool has(const raft::Recovered& found, raft::Index index) {
    return index <= found.last ||
           std::ranges::any_of(found.detached, [index](const raft::DetachedRun& run) {
               return run.before.index < index && index <= run.last;
           });
}

}  // namespace

TEST_CASE("What is left behind damage is told in every life until it is not lacking") {
    for (const std::size_t payload : {30U, 1500U}) {
        const Story story = steady_story(12, payload);
        for (std::uint64_t i = 1; i < 12; ++i) {
            CAPTURE(i);
            const FakeFiles files = copy_of(*story.disk);
            damage_entry(*files.disk, story.log()[i - 1]);
            const raft::Recovered first = one_life(story, files);
            REQUIRE(first.last == raft::Index{i - 1});
            for (std::uint64_t index = 1; index <= 12; ++index) {
                // Of the entry behind the damaged one nothing may say what was in front of it.
                if (index != i && index != i + 1) CHECK(has(first, {index}));
            }
            for (int life = 2; life <= 4; ++life) {
                const raft::Recovered later = one_life(story, files);
                CHECK(later.detached == first.detached);
                CHECK(later.promised == first.promised);
                CHECK(later.last == first.last);
            }
        }
    }
}

TEST_CASE("What is left in front of damage is told where the log ends before it") {
    const Story story = steady_story(12, 700);
    const FakeFiles files = copy_of(*story.disk);
    REQUIRE(segment_names(*files.disk).size() >= 4);
    damage_entry(*files.disk, story.log()[1]);
    damage_entry(*files.disk, story.log()[7]);
    for (int life = 1; life <= 3; ++life) {
        const raft::Recovered found = one_life(story, files);
        CHECK(found.last == raft::Index{1});
        for (std::uint64_t index = 4; index <= 12; ++index) {
            CAPTURE(index);
            if (index != 8 && index != 9) CHECK(has(found, {index}));
        }
    }
}

TEST_CASE("What is left where a segment is missing, or behind a damaged snapshot, is told") {
    const Story story = steady_story(12, 1500);
    const FakeFiles files = copy_of(*story.disk);
    std::uint64_t lost = 0;
    SUBCASE("a segment") {
        files.disk->names.erase(segment_names(*files.disk)[2]);
        files.disk->durable_names = files.disk->names;
    }
    SUBCASE("a snapshot") {
        {
            StorageNode<FakeWal> node(fake_wal(files));
            node.start();
            REQUIRE(node.save(position(5, 3), "state").has_value());
            REQUIRE(node.write(release(position(4, 2))).has_value());
            node.close();
        }
        lost = 4;
        files.disk->names.at(rsm::detail::wal::snapshot_path("d", position(5, 3)))->now.back() =
            '!';
    }
    const raft::Recovered first = one_life(story, files);
    CHECK(first.promised == story.last());
    CHECK(first.last < raft::Index{6});
    std::uint64_t told = 0;
    for (std::uint64_t index = 1; index <= 12; ++index) told += has(first, {index}) ? 1U : 0U;
    CHECK(told >= 12 - std::max<std::uint64_t>(lost, 2));
    for (int life = 2; life <= 3; ++life) CHECK(one_life(story, files).detached == first.detached);
}

TEST_CASE("What is left of two lives is told by the third") {
    const Story story = steady_story(12, 700);
    const FakeFiles files = copy_of(*story.disk);
    damage_entry(*files.disk, story.log()[2]);
    {
        StorageNode<FakeWal> node(fake_wal(files));
        REQUIRE(node.start().last == raft::Index{2});
        // Others bring some of what it has itself, too.
        for (std::size_t at = 2; at < 7; ++at) {
            REQUIRE(node.write(write_of({story.log()[at]})).has_value());
        }
        node.close();
    }
    damage_entry(*files.disk, story.log()[3]);
    for (int life = 1; life <= 3; ++life) {
        const raft::Recovered found = one_life(story, files);
        CHECK(found.last == raft::Index{2});
        CHECK(found.promised == story.last());
        // Entry 3 may have been replaced by what is damaged.
        for (std::uint64_t index = 4; index <= 12; ++index) {
            CAPTURE(index);
            CHECK(has(found, {index}));
            const auto runs = std::ranges::count_if(found.detached, [index](const auto& run) {
                return run.before.index.value < index && index <= run.last.value;
            });
            CHECK(runs <= 1);
        }
    }
}

TEST_CASE("What is left behind damage stays where a snapshot has taken the place of the log") {
    const Story story = steady_story(12, 700);
    const FakeFiles files = copy_of(*story.disk);
    damage_entry(*files.disk, story.log()[2]);
    bool is_reset = true;
    {
        StorageNode<FakeWal> node(fake_wal(files));
        REQUIRE(node.start().last == raft::Index{2});
        SUBCASE("which ended before it") {}
        SUBCASE("which ended before it, and the node stops before the log is reset") {
            is_reset = false;
        }
        SUBCASE("which had gone another way, and the node stops before it is reset") {
            for (std::uint64_t index = 3; index <= 10; ++index) {
                REQUIRE(node.write(write_of({entry(index, 2, 700)})).has_value());
            }
            is_reset = false;
        }
        REQUIRE(node.save(position(7, 4), "state").has_value());
        if (is_reset) {
            raft::Write reset;
            reset.reset = position(7, 4);
            REQUIRE(node.write(reset).has_value());
        }
        node.close();
    }
    for (int life = 1; life <= 3; ++life) {
        CAPTURE(life);
        const raft::Recovered found = one_life(story, files);
        CHECK(found.base == position(7, 4));
        CHECK(found.last == raft::Index{7});
        CHECK(found.promised == story.last());
        for (std::uint64_t index = 8; index <= 12; ++index) CHECK(has(found, {index}));
        const bool goes_on = std::ranges::any_of(
            found.detached, [&](const auto& run) { return run.continues(position(7, 4)); });
        CHECK(goes_on);
    }
}

TEST_CASE("What follows a reset in its batch is told with what was in front of it") {
    const Story story = steady_story(3, 30);
    const FakeFiles files = copy_of(*story.disk);
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        REQUIRE(node.save(position(7, 4), "state").has_value());
        REQUIRE(node.write(write_of({entry(4, 2, "to be damaged")})).has_value());
        raft::Write write = write_of({entry(8, 5), entry(9, 5)});
        write.reset = position(7, 4);
        REQUIRE(node.write(write).has_value());
        REQUIRE(node.write(write_of({entry(10, 5)})).has_value());
        node.close();
    }
    damage_entry(*files.disk, entry(4, 2, "to be damaged"));
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered found = node.start();
    CHECK(found.base == position(7, 4));
    CHECK(found.last == raft::Index{7});
    CHECK(found.promised == position(10, 5));
    REQUIRE(found.detached.size() == 1);
    CHECK(found.detached.front().before == position(7, 4));
    CHECK(found.detached.front().last == raft::Index{10});
    node.close();
}

TEST_CASE("What a person has cut off is left behind by no later damage") {
    const Story story = steady_story(12, 700);
    const FakeFiles files = copy_of(*story.disk);
    const FakeFiles before = copy_of(*story.disk);
    const auto cut =
        rsm::detail::wal::cut_log<FakeFiles, InlineLane>(files, small_segments(), {8}, true);
    REQUIRE(cut.has_value());
    {
        StorageNode<FakeWal> node(fake_wal(files));
        REQUIRE(node.start().last == raft::Index{8});
        REQUIRE(node.write(write_of({entry(9, 7, 600), entry(10, 7, 600)})).has_value());
        REQUIRE(node.write(write_of({entry(11, 7, 600)})).has_value());
        node.close();
    }
    // A crash may undo the removal of what was cut off.
    for (const auto& [path, inode] : before.disk->names) {
        if (path.ends_with(".wal")) files.disk->names.try_emplace(path, inode);
    }
    damage_entry(*files.disk, entry(9, 7, 600));
    StorageNode<FakeWal> node(fake_wal(files));
    const raft::Recovered found = node.start();
    CHECK(found.last == raft::Index{8});
    CHECK(found.promised == position(11, 7));
    for (const raft::DetachedRun& run : found.detached)
        CHECK(run.runs.back().term == raft::Term{7});
    node.close();
}

/// Cuts the power at every operation of a start on such a disk, and starts again.
void survives_interruption(const Story& story, const FakeDisk& damaged) {
    const raft::Recovered expected = one_life(story, copy_of(damaged));
    const auto names_after = [&] {
        const FakeFiles files = copy_of(damaged);
        one_life(story, files);
        return segment_names(*files.disk);
    }();
    for (std::uint64_t stop = 1;; ++stop) {
        std::uint64_t stopped = 0;
        for (std::uint64_t seed = 0; seed < 12; ++seed) {
            CAPTURE(stop);
            CAPTURE(seed);
            const FakeFiles files = copy_of(damaged);
            {
                StorageNode<FakeWal> node(fake_wal(files));
                files.disk->stop_at = stop;
                static_cast<void>(node.recover().has_value());
                if (files.disk->stopped()) ++stopped;
            }
            files.disk->crash(seed);
            for (int life = 1; life <= 3; ++life) {
                CAPTURE(life);
                StorageNode<FakeWal> node(fake_wal(files));
                const auto recovered = node.recover();
                REQUIRE_MESSAGE(recovered.has_value(), recovered.error().message());
                check_honest(story, node, *recovered);
                CHECK(recovered->last == expected.last);
                CHECK(recovered->promised == expected.promised);
                CHECK(recovered->hard_state == expected.hard_state);
                CHECK(recovered->detached == expected.detached);
                for (const std::string& note : node.storage().recovery_report()) {
                    CHECK(note.find("no whole batch") == std::string::npos);
                }
                node.close();
            }
            // However often it was interrupted, nothing is left over.
            CHECK(segment_names(*files.disk).size() <= names_after.size() + 1);
        }
        if (stopped == 0) break;
        REQUIRE(stop < 200);
    }
}

TEST_CASE("A start that makes a log go on behind damage may be interrupted anywhere") {
    const Story story = steady_story(12, 1500);
    const FakeFiles files = copy_of(*story.disk);
    FakeDisk& disk = *files.disk;
    SUBCASE("of an entry") { damage_entry(disk, story.log()[4]); }
    SUBCASE("of an entry, behind which the last segment is ended and nothing is in the next") {
        damage_entry(disk, story.log()[2]);
        const std::vector<std::string> names = segment_names(disk);
        const std::string& next = names.end()[-2];
        std::string& content = disk.names.at(next)->now;
        std::fill(content.begin() + rsm::detail::wal::segment_header_bytes, content.end(), '\0');
        disk.names.at(next)->durable = content;
        disk.names.erase(names.back());
        disk.durable_names = disk.names;
        Story shorter;
        for (std::size_t i = 0; i < 10; ++i) shorter.add(story.writes[i]);
        const raft::Recovered found = one_life(shorter, copy_of(disk));
        REQUIRE(found.promised == shorter.last());
        return survives_interruption(shorter, disk);
    }
    SUBCASE("of the snapshot alone") {
        {
            StorageNode<FakeWal> node(fake_wal(files));
            node.start();
            REQUIRE(node.save(position(5, 3), "state").has_value());
            REQUIRE(node.write(release(position(5, 3))).has_value());
            node.close();
        }
        disk.names.at(rsm::detail::wal::snapshot_path("d", position(5, 3)))->now.back() = '!';
    }
    SUBCASE("a segment that is missing") {
        disk.names.erase(segment_names(disk)[1]);
        disk.durable_names = disk.names;
    }
    survives_interruption(story, disk);
}

TEST_CASE("A first batch behind a gap is not taken for torn, whatever else is damaged") {
    Story story = steady_story(6, 1500);
    const FakeFiles files = copy_of(*story.disk);
    {
        StorageNode<FakeWal> node(fake_wal(files));
        node.start();
        // What it replaces lay in segments of their own, which go.
        story.add(voted(write_of({entry(3, 9, 1500)}), 9, 2, 2));
        REQUIRE(node.write(story.writes.back()).has_value());
        node.close();
    }
    const std::vector<std::string> names = segment_names(*files.disk);
    const auto holds = [&](const std::string& name) {
        return files.disk->names.at(name)->now.find(std::string(1500, 'd')) != std::string::npos;
    };
    const auto active = std::ranges::find_if(names, holds);
    REQUIRE(active != names.end());
    REQUIRE(active != names.begin());
    CAPTURE(names.size());
    REQUIRE(std::stoul(active->substr(2)) > std::stoul((active - 1)->substr(2)) + 1);
    std::fill_n(files.disk->names.at(*active)->now.begin() + 1024, 512, '\0');
    damage_entry(*files.disk, story.log()[0]);
    const raft::Recovered found = one_life(story, files);
    CHECK(found.promised == position(3, 9));
}

TEST_CASE("A segment that was to follow damage, and has nothing in it, is damage itself") {
    const Story story = steady_story(12, 1500);
    const FakeFiles files = copy_of(*story.disk);
    damage_entry(*files.disk, story.log()[4]);
    one_life(story, files);
    const std::vector<std::string> names = segment_names(*files.disk);
    std::string& content = files.disk->names.at(names.end()[-2])->now;
    std::fill(content.begin() + rsm::detail::wal::segment_header_bytes, content.end(), '\0');
    StorageNode<FakeWal> node(fake_wal(files));
    const auto recovered = node.recover();
    REQUIRE_FALSE(recovered.has_value());
    CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
}

}  // namespace wal_mend_test
