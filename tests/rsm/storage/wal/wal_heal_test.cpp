// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a write-ahead log makes of damage: it keeps a log that it had, knows what was promised, and
// takes in again what others bring; or it says what to do.
#include "wal_story.hpp"
#include "wal_support.hpp"

#include <raft/protocol/stable.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wal_heal_test {

namespace {

using namespace raft::test;
using namespace rsm_test;

/// What a leader sends: all from where the logs differ.
raft::Write missing_of(const Story& story, const std::vector<raft::Entry>& found,
                       raft::Index base) {
    raft::Write write;
    for (const raft::Entry& one : story.log()) {
        if (one.index <= base) continue;
        const auto at = static_cast<std::size_t>(one.index.value - base.value - 1);
        const bool same = write.entries.empty() && at < found.size() && found[at] == one;
        if (!same) write.entries.push_back(one);
    }
    return write;
}

/// Starts on a damaged disk, again and again, with what is lacking brought in between. Returns
/// whether it was refused.
bool heals(const Story& story, const FakeFiles& files) {
    for (int start = 0; start < 4; ++start) {
        CAPTURE(start);
        StorageNode<FakeWal> node(fake_wal(files));
        const auto recovered = node.recover();
        if (!recovered) {
            CHECK(recovered.error().code == rsm::StorageErrc::corrupted);
            CHECK(recovered.error().what.find("start this node on an empty directory") !=
                  std::string::npos);
            CHECK(start == 0);
            return false;
        }
        check_honest(story, node, *recovered);
        if (start == 2) {
            const auto found = entries_of(node, *recovered);
            const raft::Write missing = missing_of(story, found, recovered->base.index);
            if (!missing.entries.empty()) REQUIRE(node.write(missing).has_value());
        }
        if (start == 3) {
            CHECK(recovered->promised == raft::LogPosition{});
            CHECK(recovered->last == story.last().index);
            CHECK(entries_of(node, *recovered) == story.log());
        }
        node.close();
    }
    return true;
}

/// The story's disk with a snapshot of its fifth entry, and what is written then.
FakeFiles with_snapshot(const Story& story, const raft::Write& then) {
    FakeFiles files{story.disk};
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    REQUIRE(node.save(position(5, 3), "state").has_value());
    if (then != raft::Write{}) REQUIRE(node.write(then).has_value());
    node.close();
    return files;
}

}  // namespace

TEST_CASE("A log in one segment heals from a changed byte, or says what to do") {
    const Story story = troubled_story(30);
    const std::string whole = story.disk->names.at("d/" + first_segment)->now;
    const std::size_t end = frontier(whole);
    std::size_t refused = 0;
    for (std::size_t place = 0; place < end; ++place) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 8);
        if (!heals(story, changed(*story.disk, first_segment, content))) ++refused;
    }
    // Its header, without which nobody knows here which log it is of.
    CHECK(refused == rsm::detail::wal::segment_header_bytes);
}

TEST_CASE("A log heals from a sector that the disk does not give back, or says what to do") {
    for (const std::size_t writes : {30U, 700U}) {
        const Story story = troubled_story(writes);
        const std::vector<std::string> names = segment_names(*story.disk);
        const auto content = [&](const std::string& name) {
            return story.disk->names.at(name)->now;
        };
        const std::string newest =
            *std::find_if(names.rbegin(), names.rend(), [&](const std::string& name) {
                return frontier(content(name)) > rsm::detail::wal::segment_header_bytes;
            });
        std::size_t refused = 0;
        for (const std::string& name : names) {
            CAPTURE(name);
            const std::string whole = content(name);
            for (std::size_t sector = 0; sector < whole.size(); sector += 512) {
                CAPTURE(sector);
                const FakeFiles files = changed(*story.disk, name.substr(2), whole);
                files.disk->names.at(name)->bad_sector = sector;
                const bool healed = heals(story, files);
                if (!healed) ++refused;
                // The header of the only one says which log it is of; and with what was written
                // last goes what was promised then.
                const bool is_at_end =
                    name == newest && sector < frontier(whole) && sector + 1024 > frontier(whole);
                CHECK((healed || sector == 0 || is_at_end));
            }
        }
        CHECK(refused > 0);
        CHECK(refused <= 4);
    }
}

TEST_CASE("A log in several segments heals from a changed byte in any of them") {
    const Story story = troubled_story(700);
    const std::vector<std::string> names = segment_names(*story.disk);
    REQUIRE(names.size() >= 4);
    for (const std::string& name : names) {
        CAPTURE(name);
        const std::string whole = story.disk->names.at(name)->now;
        const std::size_t end = frontier(whole);
        for (std::size_t place = 0; place < end; place += place < 400 ? 1U : 37U) {
            CAPTURE(place);
            std::string content = whole;
            content[place] = static_cast<char>(content[place] ^ 8);
            CHECK(heals(story, changed(*story.disk, name.substr(2), content)));
        }
    }
}

TEST_CASE("A log heals from a sector of zeros or of something else") {
    for (const std::size_t payload : {30U, 700U}) {
        const Story story = troubled_story(payload);
        for (const std::string& name : segment_names(*story.disk)) {
            CAPTURE(name);
            const std::string whole = story.disk->names.at(name)->now;
            const bool newest = name == segment_names(*story.disk).rbegin()[1];
            for (std::size_t place = 512; place < frontier(whole); place += 512) {
                for (const char fill : {'\0', 'x'}) {
                    CAPTURE(place);
                    CAPTURE(fill);
                    std::string content = whole;
                    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(place), 512, fill);
                    const FakeFiles files = changed(*story.disk, name.substr(2), content);
                    // What becomes zeros in the last batch looks as if it had not been written.
                    const bool last = newest || payload == 30;
                    if (last && fill == '\0') continue;
                    const bool healed = heals(story, files);
                    if (!last) CHECK(healed);
                }
            }
        }
    }
}

TEST_CASE("A log heals where a segment is missing, as long as a later one says what was promised") {
    const Story story = troubled_story(700);
    const std::vector<std::string> names = segment_names(*story.disk);
    for (std::size_t i = 0; i + 1 < names.size(); ++i) {
        CAPTURE(i);
        const FakeFiles files =
            changed(*story.disk, first_segment, story.disk->names.at("d/" + first_segment)->now);
        files.disk->names.erase(names[i]);
        files.disk->durable_names = files.disk->names;
        const bool newest = i + 2 == names.size();
        CHECK(heals(story, files) == !newest);
    }
}

/// What is left behind the damage, and read, until the log is what it was.
void reattach(const Story& story, StorageNode<FakeWal>& node, const raft::Recovered& recovered) {
    raft::LogPosition last = end_of(recovered);
    for (const raft::DetachedRun& run : recovered.detached) {
        while (last.index < run.before.index || last == end_of(recovered)) {
            const raft::Entry& next = story.log()[static_cast<std::size_t>(last.index.value)];
            REQUIRE(node.write(write_of({next})).has_value());
            last = next.position();
        }
        REQUIRE(run.continues(last));
        const auto entries = node.read_detached(last.index.value + 1, std::size_t{1} << 20);
        REQUIRE(entries.has_value());
        REQUIRE(node.write(write_of(*entries)).has_value());
        last = entries->back().position();
    }
    CHECK(last == story.last());
}

TEST_CASE("Behind one damaged batch the rest of the log is there") {
    for (const std::size_t payload : {30U, 1500U}) {
        const Story story = steady_story(12, payload);
        std::size_t damaged = 0;
        for (const std::string& name : segment_names(*story.disk)) {
            const std::string whole = story.disk->names.at(name)->now;
            for (std::uint64_t i = 1; i < 12; ++i) {
                const std::string payload_of(payload, static_cast<char>('a' + i % 26));
                const std::size_t place = whole.find(payload_of);
                if (place == std::string::npos) continue;
                CAPTURE(i);
                std::string content = whole;
                content[place] = static_cast<char>(content[place] ^ 8);
                const FakeFiles files = changed(*story.disk, name.substr(2), content);
                StorageNode<FakeWal> node(fake_wal(files));
                const raft::Recovered recovered = node.start();
                REQUIRE(recovered.last == raft::Index{i - 1});
                REQUIRE_FALSE(recovered.detached.empty());
                CHECK(recovered.detached.front().before.index == raft::Index{i});
                CHECK(recovered.detached.back().last == raft::Index{12});
                reattach(story, node, recovered);
                node.close();
                StorageNode<FakeWal> again(fake_wal(files));
                const raft::Recovered whole_again = again.start();
                CHECK(whole_again.promised == raft::LogPosition{});
                CHECK(entries_of(again, whole_again) == story.log());
                again.close();
                ++damaged;
            }
        }
        CHECK(damaged == 11);
    }
}

TEST_CASE("A log heals from a second damage in front of the first") {
    const Story story = troubled_story(30);
    const std::string whole = story.disk->names.at("d/" + first_segment)->now;
    const std::size_t end = frontier(whole);
    constexpr std::size_t step = 61;
    for (std::size_t first = rsm::detail::wal::segment_header_bytes; first < end; first += step) {
        for (std::size_t second = 512; second < first; second += step) {
            CAPTURE(first);
            CAPTURE(second);
            std::string content = whole;
            content[first] = static_cast<char>(content[first] ^ 8);
            const FakeFiles files = changed(*story.disk, first_segment, content);
            StorageNode<FakeWal> node(fake_wal(files));
            const bool lacks = node.start().promised != raft::LogPosition{};
            node.close();
            if (!lacks) continue;  // a damaged summary may be the only one that tells of the second
            content = files.disk->names.at("d/" + first_segment)->now;
            content[second] = static_cast<char>(content[second] ^ 8);
            CHECK(heals(story, changed(*files.disk, first_segment, content)));
        }
    }
}

TEST_CASE("What is left behind damage is told at every start, until it is there again") {
    for (const std::size_t payload : {30U, 1500U}) {
        Story story;
        for (std::uint64_t i = 1; i <= 12; ++i) {
            story.add(voted(write_of({entry(i, (i + 1) / 2, payload)}), i, 1, i));
        }
        story.disk = disk_with(story.writes);
        for (const std::string& name : segment_names(*story.disk)) {
            const std::string whole = story.disk->names.at(name)->now;
            const std::size_t place = whole.find(std::string(payload, 'd'));
            if (place == std::string::npos) continue;
            std::string content = whole;
            content[place] = static_cast<char>(content[place] ^ 8);
            const FakeFiles files = changed(*story.disk, name.substr(2), content);
            raft::Recovered told;
            for (int start = 0; start < 3; ++start) {
                CAPTURE(start);
                StorageNode<FakeWal> node(fake_wal(files));
                const raft::Recovered recovered = node.start();
                if (start == 0) told = recovered;
                CHECK(recovered.promised == told.promised);
                CHECK(recovered.detached == told.detached);
                CHECK_FALSE(recovered.detached.empty());
                check_detached(story, node, recovered);
                if (start == 2) reattach(story, node, recovered);
                node.close();
            }
        }
    }
}

TEST_CASE("A log without the snapshot that it continues heals from nothing") {
    const Story story = troubled_story(30);
    raft::Write release;
    release.release = position(4, 3);
    const FakeFiles files = with_snapshot(story, release);
    const std::string name = rsm::detail::wal::snapshot_path("d", position(5, 3)).substr(2);
    const std::string whole = files.disk->names.at("d/" + name)->now;
    for (std::size_t place = 0; place < whole.size(); ++place) {
        CAPTURE(place);
        std::string content = whole;
        content[place] = static_cast<char>(content[place] ^ 1);
        FakeFiles damaged = changed(*files.disk, name, content);
        {
            StorageNode<FakeWal> node(fake_wal(damaged));
            const raft::Recovered recovered = node.start();
            CHECK(recovered.snapshot.empty());
            CHECK(recovered.last == raft::Index{0});
            CHECK(recovered.promised == story.last());
            CHECK(recovered.hard_state.term == story.hard.term);
            CHECK(recovered.hard_state.commit == raft::Index{0});
            REQUIRE_FALSE(node.storage().recovery_report().empty());
            CHECK(node.storage().recovery_report().front().starts_with("d/" + name));
            node.close();
        }
        const std::vector<std::string> segments = segment_names(*damaged.disk);
        // A leader sends a snapshot, then the entries behind it.
        StorageNode<FakeWal> node(fake_wal(damaged));
        CHECK(node.start().promised == story.last());
        CHECK(segment_names(*damaged.disk) == segments);
        const raft::SnapshotMeta meta{position(6, 7), voters(3), 3,
                                      rsm::detail::checksum(std::as_bytes(std::span("new", 3)))};
        REQUIRE(node.receive(meta, 0, "new").has_value());
        raft::Write reset;
        reset.reset = meta.last;
        reset.entries = {story.log().back()};
        REQUIRE(node.write(reset).has_value());
        node.close();
        StorageNode<FakeWal> again(fake_wal(damaged));
        const raft::Recovered recovered = again.start();
        CHECK(recovered.snapshot.last == meta.last);
        CHECK(recovered.promised == raft::LogPosition{});
        CHECK(recovered.last == story.last().index);
        again.close();
    }
}

TEST_CASE("A damaged snapshot of a log that is all there costs nothing") {
    const Story story = troubled_story(30);
    const FakeFiles files = with_snapshot(story, {});
    const std::string name = rsm::detail::wal::snapshot_path("d", position(5, 3)).substr(2);
    FakeFiles damaged = changed(*files.disk, name, "rubbish");
    StorageNode<FakeWal> node(fake_wal(damaged));
    const raft::Recovered recovered = node.start();
    CHECK(recovered.promised == raft::LogPosition{});
    CHECK(entries_of(node, recovered) == story.log());
    REQUIRE(node.storage().recovery_report().size() == 1);
}

}  // namespace wal_heal_test
