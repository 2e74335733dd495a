// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The two example policies at work together, in real time: three nodes on one io_context.
#include "support/real_time_cluster.hpp"
#include "support/temporary_directory.hpp"

#include <policies/plain_storage.hpp>
#include <policies/unix_transport.hpp>
#include <rsm/rsm.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace cluster_test {

using rsm_test::TemporaryDirectory;

namespace {

struct Journal {
    struct Operation {
        std::string text;
        template <class Archive>
        void serialize(Archive& ar, unsigned) {
            ar& text;
        }
    };
    std::uint64_t apply(const Operation& operation) {
        lines.push_back(operation.text);
        return lines.size();
    }
    void snapshot(rsm::SnapshotWriter& out) const { out << lines; }
    void restore(rsm::SnapshotReader& in) { in >> lines; }

    std::vector<std::string> lines;
};
using Replica = rsm::Replicated<Journal, policies::UnixTransport, policies::PlainStorage>;

rsm::Options options(std::int64_t snapshot_threshold) {
    rsm::Options options;
    options.snapshot_threshold = snapshot_threshold;
    options.raft.max_message_bytes = options.raft.max_entry_bytes = std::size_t{64} << 10;
    options.raft.snapshot_chunk_bytes = std::size_t{32} << 10;
    // Who misses what a snapshot covers needs the snapshot.
    options.raft.max_hold_bytes = 0;
    return options;
}

struct PlainCluster : rsm_test::RealTimeCluster<Replica> {
    explicit PlainCluster(std::int64_t threshold) : snapshot_threshold(threshold) {
        for (const std::uint64_t id : ids) start(id);
    }
    ~PlainCluster() {
        for (const std::uint64_t id : ids) stop(id);
    }
    PlainCluster(const PlainCluster&) = delete;
    PlainCluster& operator=(const PlainCluster&) = delete;

    void start(std::uint64_t id) {
        rsm::Options chosen = options(snapshot_threshold);
        chosen.on_event = [this](const raft::Event& event) {
            if (event.kind == raft::EventKind::snapshot_installed) ++installed;
        };
        replicas.start(id, io.get_executor(), Journal{},
                       policies::UnixTransport{{id}, {{1}, {2}, {3}}, directory.path()},
                       policies::PlainStorage{directory.path() + "/data-" + std::to_string(id)},
                       std::move(chosen));
    }
    /// Has one more line replicated, whoever leads.
    void submit(const std::string& text) {
        bool done = false;
        while (!done) {
            bool answered = false;
            leader().async_submit({text}, [&](boost::system::error_code error, std::uint64_t) {
                answered = true;
                done = !error;
            });
            REQUIRE(run_until([&] { return answered; }));
        }
        expected.push_back(text);
    }
    bool agree() {
        return run_until([&] {
            return replicas.all(
                [&](const Replica& replica) { return replica.machine().lines == expected; });
        });
    }

    TemporaryDirectory directory;
    static constexpr std::uint64_t ids[] = {1, 2, 3};
    std::vector<std::string> expected;
    std::int64_t snapshot_threshold;
    int installed = 0;  ///< snapshots of a leader
};

}  // namespace

TEST_CASE("policies: three nodes replicate, and one that was stopped comes back with its log") {
    PlainCluster cluster(-1);
    for (int i = 0; i < 20; ++i) cluster.submit("line " + std::to_string(i));
    CHECK(cluster.agree());
    cluster.stop(1);
    for (int i = 20; i < 40; ++i) cluster.submit("line " + std::to_string(i));
    cluster.start(1);
    CHECK(cluster.replicas[1].status().last.value >= 20);
    CHECK(cluster.agree());
}

TEST_CASE("policies: the log is compacted, and a node that missed it gets the snapshot") {
    PlainCluster cluster(20000);
    const std::string filler(2000, 'x');
    for (int i = 0; i < 20; ++i) cluster.submit(filler + std::to_string(i));
    CHECK(cluster.agree());
    cluster.stop(1);
    for (int i = 20; i < 80; ++i) cluster.submit(filler + std::to_string(i));
    CHECK(cluster.run_until([&] { return cluster.leader().status().snapshot.value > 30; }));
    cluster.start(1);
    CHECK(cluster.agree());
    CHECK(cluster.installed > 0);

    // All of them come back from what is in their directories.
    for (const std::uint64_t id : PlainCluster::ids) cluster.stop(id);
    for (const std::uint64_t id : PlainCluster::ids) cluster.start(id);
    cluster.submit("one more");
    CHECK(cluster.agree());
    CHECK(cluster.run_until([&] {
        return cluster.replicas.all(
            [](const Replica& replica) { return replica.status().persisted_bytes < 30000; });
    }));
}

TEST_CASE("policies: nodes that are destroyed without a word lose nothing they acknowledged") {
    PlainCluster cluster(20000);
    const std::string filler(1000, 'y');
    for (int i = 0; i < 50; ++i) cluster.submit(filler + std::to_string(i));
    cluster.replicas.crash_all();
    for (const std::uint64_t id : PlainCluster::ids) {
        // A lane may still have its hands on the directory.
        for (bool started = false; !started;) {
            try {
                cluster.start(id);
                started = true;
            } catch (const boost::system::system_error& error) {
                REQUIRE(error.code() == rsm::StorageErrc::locked);
            }
        }
    }
    CHECK(cluster.agree());
}

TEST_CASE("policies: options by which messages would not fit into a datagram are refused") {
    TemporaryDirectory directory;
    boost::asio::io_context io;
    try {
        Replica node(io.get_executor(), Journal{},
                     policies::UnixTransport{{1}, {{1}}, directory.path()},
                     policies::PlainStorage{directory.path() + "/data"});
        FAIL("it was made");
    } catch (const boost::system::system_error& error) {
        CHECK(error.code() == boost::system::errc::invalid_argument);
    }
    CHECK(std::filesystem::is_empty(directory.path()));
}

}  // namespace cluster_test
