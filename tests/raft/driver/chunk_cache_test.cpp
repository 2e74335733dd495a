// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is kept of the pieces of snapshots, and for whom a piece is read.
#include "support/records.hpp"

#include <raft/driver/chunk_cache.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace chunk_cache_test {

namespace {

using namespace raft;
using namespace raft::test;

const SnapshotMeta meta{position(8, 4), voters(3), 30, 77};

LoadChunk load(std::uint64_t reader, std::uint64_t offset) {
    return {NodeId{reader}, meta, offset, 10};
}

}  // namespace

TEST_CASE("a piece is read once for all who ask for it meanwhile") {
    ChunkCache cache(100);
    CHECK(!cache.join(load(2, 0)));
    CHECK(cache.join(load(3, 0)));
    CHECK(cache.join(load(3, 0)));  // it asks again
    CHECK(!cache.join(load(3, 10)));
    CHECK(cache.read(load(2, 0)) == std::vector{NodeId{2}, NodeId{3}});
    CHECK(cache.read(load(3, 10)) == std::vector{NodeId{3}});
    CHECK(!cache.join(load(3, 0)));  // it is over
}

TEST_CASE("a piece that was read is found by its snapshot, its place and its size") {
    ChunkCache cache(100);
    cache.keep(load(2, 10), text("0123456789"));
    CHECK(cache.find(load(3, 10)) == text("0123456789"));
    CHECK(!cache.find(load(3, 0)));
    LoadChunk other = load(3, 10);
    other.max_bytes = 11;
    CHECK(!cache.find(other));
    other = load(3, 10);
    other.meta.checksum += 1;  // of the same position, made by another node
    CHECK(!cache.find(other));
    cache.forget();
    CHECK(!cache.find(load(3, 10)));
}

TEST_CASE("so many bytes are kept, the last ones") {
    ChunkCache cache(25);
    for (std::uint64_t offset = 0; offset < 30; offset += 10) {
        cache.keep(load(2, offset), text("0123456789"));
    }
    CHECK(!cache.find(load(3, 0)));
    CHECK(cache.find(load(3, 10)));
    CHECK(cache.find(load(3, 20)));
    cache.keep(load(2, 30), text("a piece that is larger than all that may be kept"));
    CHECK(!cache.find(load(3, 20)));
    CHECK(!cache.find(load(3, 30)));
}

}  // namespace chunk_cache_test
