// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What was written to a log, and whether a start on its damaged disk tells the truth about it.
#ifndef RSM_TESTS_RSM_STORAGE_WAL_WAL_STORY_HPP
#define RSM_TESTS_RSM_STORAGE_WAL_WAL_STORY_HPP

#include "wal_support.hpp"

#include <raft/protocol/stable.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace rsm_test {

/// What a log came to, write by write.
struct Story {
    std::vector<raft::Write> writes;
    /// After each write: the entries, from index 1 on.
    std::vector<std::vector<raft::Entry>> logs;
    raft::HardState hard;
    std::shared_ptr<FakeDisk> disk;

    void add(raft::Write write) {
        std::vector<raft::Entry> log = logs.empty() ? std::vector<raft::Entry>{} : logs.back();
        if (!write.entries.empty()) {
            const auto kept = static_cast<std::size_t>(write.entries.front().index.value - 1);
            log.resize(kept, entry(1, 1));
            log.insert(log.end(), write.entries.begin(), write.entries.end());
        }
        if (write.hard_state) hard = *write.hard_state;
        logs.push_back(std::move(log));
        writes.push_back(std::move(write));
    }
    const std::vector<raft::Entry>& log() const { return logs.back(); }
    raft::LogPosition last() const { return log().back().position(); }
};

inline raft::Write voted(raft::Write write, std::uint64_t term, std::uint64_t vote,
                         std::uint64_t commit) {
    write.hard_state = raft::HardState{{term}, {vote}, {commit}};
    return write;
}

/// Entries that replace others, votes without entries, and commits that follow.
inline Story troubled_story(std::size_t payload) {
    Story story;
    story.add(voted(write_of({entry(1, 1, payload), entry(2, 1, payload)}), 1, 1, 0));
    story.add(voted(write_of({entry(3, 1, payload), entry(4, 1, payload)}), 1, 1, 2));
    story.add(voted({}, 3, 2, 2));
    story.add(voted(write_of({entry(3, 3, payload)}), 3, 2, 2));
    story.add(voted(write_of({entry(4, 3, payload), entry(5, 3, payload)}), 3, 2, 3));
    story.add(voted(write_of({entry(6, 3, payload)}), 3, 2, 5));
    story.add(voted({}, 7, 3, 5));
    story.add(voted(write_of({entry(6, 7, payload), entry(7, 7, payload)}), 7, 3, 5));
    story.disk = disk_with(story.writes);
    return story;
}

/// Entries 1 to `count`, a batch each, that are known to be committed one after the other.
inline Story steady_story(std::uint64_t count, std::size_t payload) {
    Story story;
    for (std::uint64_t i = 1; i <= count; ++i) {
        story.add(voted(write_of({entry(i, (i + 1) / 2, payload)}), i, 1, i));
    }
    story.disk = disk_with(story.writes);
    return story;
}

inline std::vector<raft::Entry> entries_of(StorageNode<FakeWal>& node,
                                           const raft::Recovered& recovered) {
    if (recovered.last == recovered.base.index) return {};
    const auto read = node.read(recovered.base.index.value + 1, std::size_t{1} << 20);
    REQUIRE(read.has_value());
    REQUIRE(read->size() == recovered.last.value - recovered.base.index.value);
    return *read;
}
inline raft::LogPosition end_of(const raft::Recovered& recovered) {
    if (recovered.runs.empty()) return recovered.base;
    return {recovered.last, recovered.runs.back().term};
}

/// Whether what is told to be left behind damage is what a log of the story had in that place.
inline void check_detached(const Story& story, StorageNode<FakeWal>& node,
                           const raft::Recovered& recovered) {
    if (recovered.promised == raft::LogPosition{}) CHECK(recovered.detached.empty());
    for (const raft::DetachedRun& run : recovered.detached) {
        REQUIRE(run.before.index < run.last);
        CHECK(run.last > recovered.last);
        const auto read = node.read_detached(run.before.index.value + 1, std::size_t{1} << 20);
        REQUIRE(read.has_value());
        REQUIRE(read->size() == run.last.value - run.before.index.value);
        const auto known = [&](const std::vector<raft::Entry>& log) {
            const auto at = static_cast<std::ptrdiff_t>(run.before.index.value);
            if (log.size() < run.last.value) return false;
            const bool follows =
                at == 0 || log[static_cast<std::size_t>(at) - 1].term == run.before.term;
            return follows && std::equal(read->begin(), read->end(), log.begin() + at);
        };
        CHECK(std::ranges::any_of(story.logs, known));
        for (const raft::Entry& one : *read) CHECK(run.term_at(one.index) == one.term);
    }
}

/// Whether it is a log that the story knows, with all that was promised.
inline void check_honest(const Story& story, StorageNode<FakeWal>& node,
                         const raft::Recovered& recovered) {
    CHECK(recovered.hard_state.term == story.hard.term);
    CHECK(recovered.hard_state.voted_for == story.hard.voted_for);
    CHECK(recovered.hard_state.commit <= recovered.last);
    const bool keeps = raft::is_up_to_date(end_of(recovered), story.last()) ||
                       raft::is_up_to_date(recovered.promised, story.last());
    CHECK(keeps);
    const std::vector<raft::Entry> found = entries_of(node, recovered);
    const auto base = static_cast<std::ptrdiff_t>(recovered.base.index.value);
    const bool known = std::ranges::any_of(story.logs, [&](const auto& log) {
        return log.size() >= found.size() + static_cast<std::size_t>(base) &&
               std::equal(found.begin(), found.end(), log.begin() + base);
    });
    CHECK(known);
    for (const raft::Entry& one : found) {
        if (one.index > recovered.hard_state.commit) break;
        CHECK(one == story.log()[static_cast<std::size_t>(one.index.value - 1)]);
    }
    check_detached(story, node, recovered);
}

}  // namespace rsm_test

#endif
