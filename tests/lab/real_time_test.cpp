// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The labs' bounds that are about real time, in real time: three replicas in one process over
// TcpTransport on loopback, with memory and with a write-ahead log on a real disk. Whatever the
// tests wait for is a condition; only the second of idleness is a wait.
#include "support/real_time_cluster.hpp"
#include "support/temporary_directory.hpp"

#include <raft/protocol/codec.hpp>
#include <rsm/replicated.hpp>
#include <rsm/storage/memory.hpp>
#include <rsm/storage/wal.hpp>
#include <rsm/transport/tcp.hpp>

#include <kv/store.hpp>

#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace real_time_test {

using namespace std::chrono_literals;

namespace {

using SteadyTime = std::chrono::steady_clock;

/// What the labs count: calls, which are the protocol's requests, and bytes of both directions.
struct Traffic {
    std::uint64_t calls = 0;
    std::uint64_t bytes = 0;
};

class RunningCountingTransport {
public:
    RunningCountingTransport(const boost::asio::any_io_executor& executor,
                             const rsm::TcpTransport& tcp, std::shared_ptr<Traffic> traffic)
        : tcp_(tcp.open(executor)), traffic_(std::move(traffic)) {}

    void start(std::function<void(raft::Message)> receive) { tcp_.start(std::move(receive)); }
    void send(raft::Message message) {
        const bool call = std::holds_alternative<raft::VoteRequest>(message.body) ||
                          std::holds_alternative<raft::AppendRequest>(message.body) ||
                          std::holds_alternative<raft::SnapshotChunk>(message.body);
        if (call) ++traffic_->calls;
        raft::codec::Gather out;
        raft::codec::put(out, message);
        traffic_->bytes += out.size();
        tcp_.send(std::move(message));
    }
    void stop() { tcp_.stop(); }
    rsm::RunningTcpTransport& tcp() { return tcp_; }

private:
    rsm::RunningTcpTransport tcp_;
    std::shared_ptr<Traffic> traffic_;
};

class CountingTransport {
public:
    CountingTransport(rsm::TcpOptions options, std::shared_ptr<Traffic> traffic)
        : tcp_(std::move(options)), traffic_(std::move(traffic)) {}

    RunningCountingTransport open(const boost::asio::any_io_executor& executor) const {
        return {executor, tcp_, traffic_};
    }
    raft::NodeId self() const { return tcp_.self(); }
    std::vector<raft::NodeId> members() const { return tcp_.members(); }

private:
    rsm::TcpTransport tcp_;
    std::shared_ptr<Traffic> traffic_;
};

template <class Storage>
Storage make_storage(const rsm_test::TemporaryDirectory& directory, std::uint64_t id) {
    if constexpr (std::is_same_v<Storage, rsm::MemoryStorage>) {
        (void)directory;
        (void)id;
        return Storage();
    } else {
        return Storage(directory / std::to_string(id));
    }
}

template <class Storage>
using Replica = rsm::Replicated<kv::Store, CountingTransport, Storage>;

template <class Storage>
class Group : public rsm_test::RealTimeCluster<Replica<Storage>> {
public:
    explicit Group(std::int64_t snapshot_threshold = -1) {
        for (std::uint64_t id = 1; id <= 3; ++id) {
            rsm::TcpOptions tcp;
            tcp.self = raft::NodeId{id};
            for (std::uint64_t peer = 1; peer <= 3; ++peer) {
                // Nobody's until set_peer() says where the others listen.
                tcp.peers[raft::NodeId{peer}] =
                    "127.0.0.1:" + std::to_string(peer == id ? 0 : peer);
            }
            rsm::Options options;
            options.snapshot_threshold = snapshot_threshold;
            options.raft.barrier_on_election = false;
            replicas.start(id, io.get_executor(), kv::Store{}, CountingTransport(tcp, traffic_),
                           make_storage<Storage>(directory_, id), options);
        }
        for (std::uint64_t id = 1; id <= 3; ++id) {
            for (std::uint64_t peer = 1; peer <= 3; ++peer) {
                if (peer == id) continue;
                replicas[id].transport().tcp().set_peer(
                    raft::NodeId{peer}, "127.0.0.1", replicas[peer].transport().tcp().local_port());
            }
        }
        this->leader();
    }
    ~Group() {
        for (std::uint64_t id = 1; id <= 3; ++id) this->stop(id);
    }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    using rsm_test::RealTimeCluster<Replica<Storage>>::io;
    using rsm_test::RealTimeCluster<Replica<Storage>>::replicas;
    const Traffic& traffic() const { return *traffic_; }

    /// Puts; `done` counts those that succeeded.
    void put(std::string value, std::uint64_t version, int& done) {
        kv::Put put;
        put.key = "k";
        put.value = std::move(value);
        put.version = version;
        kv::Operation operation;
        operation.action = std::move(put);
        this->leader().async_submit(std::move(operation), [&done](auto error, kv::Result result) {
            if (!error && result.status == kv::Status::ok) ++done;
        });
    }
    bool everywhere(std::uint64_t version) {
        return this->run_until([&] {
            return replicas.all([version](Replica<Storage>& replica) {
                const auto* entry = replica.machine().find("k");
                return entry != nullptr && entry->version == version;
            });
        });
    }

private:
    rsm_test::TemporaryDirectory directory_;
    std::shared_ptr<Traffic> traffic_ = std::make_shared<Traffic>();
};

// 1000 puts, one after the other; the labs allow a third of a heartbeat interval for each.
template <class Storage>
void speed(const char* what, std::int64_t snapshot_threshold) {
    Group<Storage> group(snapshot_threshold);
    const auto begin = SteadyTime::now();
    for (std::uint64_t i = 0; i < 1000; ++i) {
        int done = 0;
        group.put(std::to_string(i), i, done);
        REQUIRE(group.run_until([&] { return done == 1; }));
    }
    const std::chrono::duration<double> took = SteadyTime::now() - begin;
    CHECK(took < 33.3s);
    MESSAGE(std::string(what) << ": " << static_cast<int>(1000 / took.count()) << " operations/s");
    CHECK(group.everywhere(1000));
    const rsm::Status status = group.leader().status();
    CHECK((status.snapshot.value > 0) == (snapshot_threshold >= 0));
}

}  // namespace

TEST_CASE("real time: TestSpeed4B with memory") { speed<rsm::MemoryStorage>("memory", -1); }
TEST_CASE("real time: TestSpeed4B on a disk") { speed<rsm::WalStorage>("disk", -1); }
TEST_CASE("real time: TestSpeed4C with memory") {
    speed<rsm::MemoryStorage>("memory, snapshots", 1000);
}
TEST_CASE("real time: TestSpeed4C on a disk") { speed<rsm::WalStorage>("disk, snapshots", 1000); }

TEST_CASE("real time: TestRPCBytes3B") {
    Group<rsm::MemoryStorage> group;
    int done = 0;
    group.put("99", 0, done);
    REQUIRE(group.everywhere(1));
    const std::uint64_t before = group.traffic().bytes;
    for (std::uint64_t i = 1; i <= 10; ++i) {
        group.put(std::string(5000, static_cast<char>('a' + i)), i, done);
        REQUIRE(group.everywhere(i + 1));
    }
    CHECK(done == 11);
    CHECK(group.traffic().bytes - before <= 3 * 50000 + 50000);
}

TEST_CASE("real time: TestCount3B") {
    Group<rsm::MemoryStorage> group;
    CHECK(group.traffic().calls >= 1);
    CHECK(group.traffic().calls <= 30);

    const std::uint64_t before = group.traffic().calls;
    int done = 0;
    for (std::uint64_t i = 0; i < 12; ++i) {
        boost::asio::post(group.io, [&, i] { group.put("x", i, done); });
    }
    REQUIRE(group.everywhere(12));
    CHECK(done == 12);
    CHECK(group.traffic().calls - before <= (10 + 1 + 3) * 3);

    const std::uint64_t idle = group.traffic().calls;
    group.run_for(1s);
    CHECK(group.traffic().calls - idle <= 3 * 20);
}

}  // namespace real_time_test
