// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Newcomers that come together share the reads of the snapshot that they are sent.
#include "support/virtual_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace shared_reads_test {

using namespace std::chrono_literals;

namespace {

struct Text {
    using Operation = std::string;
    std::size_t apply(const std::string& operation) { return (text += operation).size(); }
    void snapshot(rsm::SnapshotWriter& out) const { out << text; }
    void restore(rsm::SnapshotReader& in) { in >> text; }
    std::string text;
};

/// Counts what is read of its snapshots.
class RunningCountingStorage : public rsm::RunningMemoryStorage {
public:
    RunningCountingStorage(const boost::asio::any_io_executor& executor,
                           std::shared_ptr<rsm::MemoryDisk> disk, std::size_t* reads)
        : RunningMemoryStorage(executor, std::move(disk)), reads_(reads) {}
    void read_chunk(const raft::SnapshotMeta& meta, std::uint64_t offset, std::size_t max_bytes,
                    raft::ChunkRead done) {
        ++*reads_;
        RunningMemoryStorage::read_chunk(meta, offset, max_bytes, std::move(done));
    }

private:
    std::size_t* reads_;
};
struct CountingStorage {
    std::shared_ptr<rsm::MemoryDisk> disk;
    std::size_t* reads;
    RunningCountingStorage open(const boost::asio::any_io_executor& executor) const {
        return {executor, disk, reads};
    }
};

/// Five nodes, of which two stay behind and are sent a snapshot of 100 pieces.
struct Cluster {
    using Replica = rsm::Replicated<Text, rsm_test::CutTransport, CountingStorage, rsm::sim::Clock>;

    Cluster() {
        std::vector<raft::NodeId> ids;
        for (std::uint64_t id = 1; id <= 5; ++id) ids.push_back({id});
        rsm::Options options{.snapshot_threshold = 2000};
        options.raft.max_hold_bytes = 0;
        options.raft.snapshot_chunk_bytes = 100;
        options.raft.snapshot_window_bytes = 1000;
        for (std::uint64_t id = 1; id <= 5; ++id) {
            options.seed = id;
            replicas.start(id, world.get_executor(), Text{},
                           rsm_test::CutTransport{network, raft::NodeId{id}, ids},
                           CountingStorage{std::make_shared<rsm::MemoryDisk>(), &reads}, options,
                           rsm::sim::Clock{world});
        }
    }
    template <class Condition>
    bool run_until(Condition holds) {
        return world.run_until(holds, world.now() + 30s);
    }
    void grow() {
        run_until([&] { return replicas.leader() != 0; });
        for (std::uint64_t id = 1; id <= 5 && behind.size() < 2; ++id) {
            if (id != replicas.leader()) behind.push_back({id});
        }
        for (const raft::NodeId id : behind) network->isolate({id});
        for (int i = 0; i < 100; ++i) {
            replicas[replicas.leader()].async_submit(std::string(100, 'x'), [](auto, auto) {});
            world.run_for(5ms);
        }
        reads = 0;  // the first piece was sent to nobody
    }
    bool caught_up(raft::NodeId id) { return replicas[id.value].machine().text.size() == 10'000; }

    rsm::sim::World world;
    std::shared_ptr<rsm_test::CutNetwork> network = std::make_shared<rsm_test::CutNetwork>();
    std::size_t reads = 0;
    std::vector<raft::NodeId> behind;
    rsm_test::Replicas<Replica> replicas;
};

}  // namespace

TEST_CASE("two followers that are sent one snapshot at a time share its reads") {
    Cluster cluster;
    cluster.grow();
    for (const raft::NodeId id : cluster.behind) cluster.network->rejoin({id});
    REQUIRE(cluster.run_until([&] {
        return cluster.caught_up(cluster.behind[0]) && cluster.caught_up(cluster.behind[1]);
    }));
    CHECK(cluster.reads >= 90);
    CHECK(cluster.reads < 130);
}

TEST_CASE("two followers that are sent one snapshot one after the other do not") {
    Cluster cluster;
    cluster.grow();
    for (const raft::NodeId id : cluster.behind) {
        cluster.network->rejoin({id});
        REQUIRE(cluster.run_until([&] { return cluster.caught_up(id); }));
    }
    CHECK(cluster.reads >= 180);
}

}  // namespace shared_reads_test
