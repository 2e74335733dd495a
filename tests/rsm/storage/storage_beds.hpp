// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The storages that every test of a storage runs on.
#ifndef RSM_TESTS_RSM_STORAGE_STORAGE_BEDS_HPP
#define RSM_TESTS_RSM_STORAGE_STORAGE_BEDS_HPP

#include "support/fake_disk.hpp"
#include "support/storage_node.hpp"
#include "support/temporary_directory.hpp"

#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>

#include <policies/plain_storage.hpp>

#include <memory>

namespace storage_test {

using namespace rsm_test;

struct MemoryBed {
    using Storage = rsm::MemoryStorage;
    std::shared_ptr<rsm::MemoryDisk> disk = std::make_shared<rsm::MemoryDisk>();
    Storage make() const { return Storage(disk); }
};
struct WalBed {
    using Storage = rsm::WalStorage;
    TemporaryDirectory directory;
    Storage make() const { return Storage(directory.path() + "/a/b"); }
};
struct SmallSegmentsBed {
    using Storage = FakeWal;
    FakeFiles files;
    Storage make() const { return fake_wal(files); }
};
struct PlainBed {
    using Storage = policies::PlainStorage;
    TemporaryDirectory directory;
    Storage make() const { return Storage(directory.path() + "/a/b"); }
};

#define RSM_STORAGES MemoryBed, WalBed, SmallSegmentsBed, PlainBed

template <class Bed>
using NodeOf = StorageNode<typename Bed::Storage>;

}  // namespace storage_test

#endif
