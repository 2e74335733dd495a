// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Disks with a write-ahead log on them, and one of its files changed.
#ifndef RSM_TESTS_RSM_STORAGE_WAL_WAL_SUPPORT_HPP
#define RSM_TESTS_RSM_STORAGE_WAL_WAL_SUPPORT_HPP

#include "support/fake_disk.hpp"
#include "support/records.hpp"
#include "support/storage_node.hpp"

#include <raft/protocol/stable.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rsm_test {

using namespace raft::test;

inline const std::string second_segment = "00000000000000000002.wal";

/// The disk of a log of one batch for each of the writes.
inline std::shared_ptr<FakeDisk> disk_with(const std::vector<raft::Write>& writes) {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    for (const raft::Write& write : writes) REQUIRE(node.write(write).has_value());
    node.close();
    return files.disk;
}
/// A copy of a disk's files, with one of them changed.
inline FakeFiles changed(const FakeDisk& disk, const std::string& name,
                         const std::string& content) {
    FakeFiles files;
    for (const auto& [path, inode] : disk.names) {
        files.disk->names[path] = std::make_shared<FakeDisk::Inode>(*inode);
    }
    files.disk->names["d/" + name]->now = content;
    files.disk->durable_names = files.disk->names;
    return files;
}
inline std::size_t used_bytes(const std::string& content) {
    return content.find_last_not_of('\0') + 1;
}
/// Where the next batch would begin.
inline std::size_t frontier(const std::string& content) {
    return (used_bytes(content) + 7) / 8 * 8;
}

inline std::vector<std::string> segment_names(const FakeDisk& disk) {
    std::vector<std::string> names;
    for (const auto& [path, inode] : disk.names) {
        if (path.ends_with(".wal")) names.push_back(path);
    }
    return names;
}

/// A log whose entries fill several segments.
inline FakeFiles several_segments(std::uint64_t count = 12) {
    FakeFiles files;
    StorageNode<FakeWal> node(fake_wal(files));
    node.start();
    for (std::uint64_t i = 1; i <= count; ++i) {
        raft::Write write = write_of({entry(i, i, 1500)});
        if (i == 1) write.hard_state = raft::HardState{{30}, {3}, {}};
        REQUIRE(node.write(write).has_value());
    }
    node.close();
    return files;
}

}  // namespace rsm_test

#endif
