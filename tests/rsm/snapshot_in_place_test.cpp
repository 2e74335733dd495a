// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A state without freeze that is too large to be collected in memory: the machine is lent to the
// one who writes the snapshot, and what waits for it meanwhile.
#include "support/held_snapshots.hpp"
#include "support/virtual_cluster.hpp"

#include <rsm/archive.hpp>
#include <rsm/replicated.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace snapshot_in_place_test {

namespace {

using namespace std::chrono_literals;
using Error = boost::system::error_code;

/// What the machines throw as they are written; 0: nothing.
int trouble = 0;
int written = 0;  // how many have been asked to write themselves
void may_throw() {
    ++written;
    if (trouble == 1) throw std::runtime_error("cannot do that");
    if (trouble == 2) throw std::bad_alloc();
}

constexpr int copies = 1000;  // of the sum: a byte each, while it is small

/// A sum, and some bytes so that it is written in several pieces.
template <bool no_exceptions>
struct BasicSum {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t add) { return *value += add; }
    void snapshot(rsm::SnapshotWriter& out) const noexcept(no_exceptions) {
        may_throw();
        for (int i = 0; i < copies; ++i) out << *value;
    }
    void restore(rsm::SnapshotReader& in) {
        for (int i = 0; i < copies; ++i) in >> *value;
    }
    /// Also tells whether the machine lives.
    std::shared_ptr<std::int64_t> value = std::make_shared<std::int64_t>(0);
};
using Sum = BasicSum<false>;
static_assert(!rsm::Freezes<Sum>);

rsm::Options in_place() {
    rsm::Options options;
    options.snapshot_threshold = 0;
    options.max_captured_bytes = 0;
    options.snapshot_buffer_bytes = 64;
    options.raft.retained_bytes = 0;
    options.raft.max_hold_bytes = 0;
    return options;
}

template <class Machine = Sum>
struct Group {
    using Answers = std::shared_ptr<std::vector<Error>>;

    explicit Group(std::uint64_t size, rsm::Options options = in_place())
        : cluster(size, with(std::move(options))) {}
    ~Group() { trouble = 0; }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    rsm::Options with(rsm::Options options) {
        options.on_failure = [this](const raft::Failure& why) { failures.push_back(why.what); };
        options.on_notice = [this](const std::string& what) { notices.push_back(what); };
        return options;
    }
    Answers submit(std::int64_t add) {
        const std::uint64_t leader = cluster.elect();
        REQUIRE(leader != 0);
        auto answers = std::make_shared<std::vector<Error>>();
        cluster.node(leader).async_submit(
            add, [answers](Error error, std::int64_t) { answers->push_back(error); });
        return answers;
    }
    void add(std::int64_t amount) {
        const Answers answers = submit(amount);
        REQUIRE(cluster.run_until([&] { return !answers->empty(); }));
        REQUIRE_FALSE(answers->front());
    }
    std::shared_ptr<std::vector<std::int64_t>> read(std::uint64_t id) {
        auto values = std::make_shared<std::vector<std::int64_t>>();
        cluster.node(id).async_read([](const Machine& sum) { return *sum.value; },
                                    [values](Error error, std::int64_t value) {
                                        values->push_back(error ? -error.value() : value);
                                    });
        return values;
    }
    std::int64_t value(std::uint64_t id) { return *cluster.node(id).machine().value; }
    bool comes_to(std::uint64_t id, std::int64_t wanted) {
        return cluster.run_until([&] { return value(id) == wanted; });
    }
    /// From the next one on, the node's snapshots wait.
    rsm_test::SnapshotDisk& hold(std::uint64_t id) {
        REQUIRE(cluster.run_until([&] {
            if (cluster.elect() == 0) return false;
            const rsm::Status leads = cluster.node(cluster.leader()).status();
            return leads.last == leads.commit && cluster.node(id).status().snapshot == leads.commit;
        }));
        rsm_test::SnapshotDisk& disk = cluster.disk(id);
        disk.hold_snapshots = true;
        return disk;
    }
    /// Until the node has lent its machine for a snapshot.
    rsm_test::SnapshotDisk& lent(std::uint64_t id) {
        rsm_test::SnapshotDisk& disk = cluster.disk(id);
        REQUIRE(cluster.run_until([&] { return !disk.saves.empty(); }));
        return disk;
    }

    std::vector<std::string> failures;
    std::vector<std::string> notices;
    rsm_test::VirtualCluster<Machine, rsm_test::CutTransport, rsm_test::HeldSnapshots> cluster;
};

class Collected final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> piece) override {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    std::vector<std::byte> bytes;
};

/// A disk that hangs at the second piece, on a thread of its own.
class HangingWriter final : public raft::ByteSink {
public:
    explicit HangingWriter(raft::SnapshotProducer produce)
        : produce_(std::move(produce)), thread_([this] { run(); }) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return hangs_; });
    }
    ~HangingWriter() override { go_on(); }
    HangingWriter(const HangingWriter&) = delete;
    HangingWriter& operator=(const HangingWriter&) = delete;

    /// The disk does not hang any more. Gives what the producer has thrown.
    std::string go_on() {
        {
            const std::scoped_lock lock(mutex_);
            released_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
        return thrown_;
    }
    const std::vector<std::byte>& bytes() const { return bytes_; }

private:
    void write(std::span<const std::byte> piece) override {
        bytes_.insert(bytes_.end(), piece.begin(), piece.end());
        std::unique_lock lock(mutex_);
        hangs_ = ++pieces_ > 1;
        changed_.notify_all();
        changed_.wait(lock, [this] { return pieces_ < 2 || released_; });
    }
    void run() {
        try {
            produce_(*this);
        } catch (const std::exception& error) {
            thrown_ = error.what();
        }
        produce_ = nullptr;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    int pieces_ = 0;
    bool hangs_ = false;
    bool released_ = false;
    std::vector<std::byte> bytes_;
    std::string thrown_;
    raft::SnapshotProducer produce_;
    std::thread thread_;
};

raft::SnapshotProducer copy_of(const std::vector<std::byte>& bytes) {
    return [bytes](raft::ByteSink& sink) { sink.write(bytes); };
}

constexpr const char* nobody_waits = "nobody waits for this snapshot any more";

}  // namespace

TEST_CASE("while a state is written in place operations are committed and wait, reads do not") {
    Group<> group(1);
    group.hold(1);
    group.add(1);
    rsm_test::SnapshotDisk& disk = group.lent(1);

    const auto read = group.read(1);
    REQUIRE(group.cluster.run_until([&] { return !read->empty(); }));
    CHECK(read->front() == 1);
    const auto waiting = group.submit(10);
    const auto behind = group.submit(100);
    group.cluster.run_for(1s);
    const rsm::Status status = group.cluster.node(1).status();
    CHECK(status.commit > status.applied);
    CHECK(group.value(1) == 1);
    CHECK(waiting->empty());
    const auto read_of_all = group.read(1);
    group.cluster.run_for(1s);
    CHECK(read_of_all->empty());  // what it has to see is not there yet

    disk.hold_snapshots = false;
    disk.save();
    REQUIRE(group.cluster.run_until([&] { return !behind->empty() && !read_of_all->empty(); }));
    CHECK_FALSE(waiting->front());
    CHECK_FALSE(behind->front());
    CHECK(read_of_all->front() == 111);

    // The snapshot has what it was taken of, not what waited.
    group.cluster.crash(1);
    group.cluster.start(1);
    CHECK(group.comes_to(1, 111));
}

TEST_CASE("what is written in place is the state of the snapshot's position") {
    Group<> group(1);
    group.hold(1);
    group.add(1);
    rsm_test::SnapshotDisk& disk = group.lent(1);
    const auto waiting = group.submit(10);
    group.cluster.run_for(1s);
    rsm_test::SnapshotDisk::Save save = disk.take_save();
    CHECK(save.last.index == group.cluster.node(1).core().log().last_index() - 1);
    Collected collected;
    save.produce(collected);
    save.complete(copy_of(collected.bytes));
    REQUIRE(group.cluster.run_until([&] { return !waiting->empty(); }));
    group.cluster.crash(1);
    group.cluster.disk(1).hold_snapshots = false;
    group.cluster.start(1);
    CHECK(group.value(1) == 1);  // before the log's entries come
    CHECK(group.comes_to(1, 11));
}

TEST_CASE("operations go on when the machine has been read, before the snapshot is durable") {
    Group<> group(3);
    const std::uint64_t leader = group.cluster.elect();
    group.hold(leader);
    group.add(1);
    rsm_test::SnapshotDisk& disk = group.lent(leader);
    rsm_test::SnapshotDisk::Save save = disk.take_save();
    Collected collected;
    save.produce(collected);
    group.add(10);
    CHECK(group.value(leader) == 11);
    CHECK(disk.saves.empty());  // one at a time
}

TEST_CASE("a leader leads on while its state is written") {
    Group<> group(3);
    const std::uint64_t leader = group.cluster.elect();
    const raft::Term term = group.cluster.node(leader).status().term;
    group.hold(leader);
    group.add(1);
    group.lent(leader);
    const auto waiting = group.submit(10);
    group.cluster.run_for(20s);
    CHECK(group.cluster.leader() == leader);
    CHECK(group.cluster.node(leader).status().term == term);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(group.value(id) == (id == leader ? 1 : 11));
    }
    CHECK(waiting->empty());
}

TEST_CASE_TEMPLATE("a node is destroyed at once, and its machine when nobody reads it any more",
                   Machine, Sum, BasicSum<true>) {
    std::weak_ptr<std::int64_t> alive;
    std::optional<HangingWriter> writer;
    {
        Group<Machine> group(1);
        group.hold(1);
        group.add(7);
        writer.emplace(group.lent(1).take_save().produce);
        alive = group.cluster.node(1).machine().value;
        group.cluster.crash(1);
    }
    CHECK_FALSE(alive.expired());
    CHECK(writer->go_on() == nobody_waits);
    CHECK(writer->bytes().size() < copies);  // not to the end
    CHECK(alive.expired());
}

TEST_CASE("a snapshot that has not been begun when its node goes is not begun any more") {
    std::weak_ptr<std::int64_t> alive;
    raft::SnapshotProducer produce;
    {
        Group<> group(1);
        group.hold(1);
        group.add(7);
        produce = group.lent(1).take_save().produce;
        alive = group.cluster.node(1).machine().value;
        group.cluster.crash(1);
    }
    Collected collected;
    const int before = written;
    CHECK_THROWS_WITH(produce(collected), nobody_waits);
    CHECK(collected.bytes.empty());
    CHECK(written == before);
    produce = nullptr;
    CHECK(alive.expired());
}

TEST_CASE("a leader's snapshot waits until the machine that it replaces is not read any more") {
    Group<> group(3);
    const std::uint64_t leader = group.cluster.elect();
    const std::uint64_t behind = leader == 1 ? 2 : 1;
    group.add(1);
    rsm_test::SnapshotDisk& disk = group.hold(behind);
    group.add(10);
    rsm_test::SnapshotDisk::Save save = group.lent(behind).take_save();
    REQUIRE(group.value(behind) == 11);
    HangingWriter writer(std::move(save.produce));
    group.add(20);  // waits for the machine, and is in the leader's snapshot
    group.cluster.run_for(1s);

    group.cluster.network().isolate({behind});
    for (int i = 0; i < 50; ++i) group.add(100);
    group.cluster.network().rejoin({behind});
    const auto installed = [&] {
        return group.cluster.node(behind).core().snapshot().last.index.value > 50;
    };
    REQUIRE(group.cluster.run_until(installed));
    std::int64_t wanted = 5031;
    const auto finish = [&] {
        group.cluster.run_for(2s);
        CHECK(group.value(behind) == 11);
        CHECK(writer.go_on() == nobody_waits);
        disk.hold_snapshots = false;
    };
    SUBCASE("and comes in its turn") { finish(); }
    SUBCASE("and comes before the entries behind it") {
        group.add(1000);
        wanted += 1000;
        finish();
    }
    SUBCASE("and comes, too, where the other is said to have failed") {
        finish();
        save.complete([](raft::ByteSink&) { throw std::runtime_error("a disk"); });
    }
    group.cluster.run_for(1s);
    CHECK(group.value(behind) == wanted);
    CHECK(group.notices.empty());
    group.add(1);
    CHECK(group.comes_to(behind, wanted + 1));
}

TEST_CASE("no read is answered by a state that a snapshot is about to replace") {
    Group<> group(3);
    const std::uint64_t leader = group.cluster.elect();
    const std::uint64_t behind = leader == 1 ? 2 : 1;
    group.add(1);
    group.hold(behind);
    group.add(10);
    HangingWriter writer(group.lent(behind).take_save().produce);
    group.cluster.network().isolate({behind});
    for (int i = 0; i < 50; ++i) group.add(100);
    group.cluster.network().rejoin({behind});
    REQUIRE(group.cluster.run_until(
        [&] { return group.cluster.node(behind).core().snapshot().last.index.value > 50; }));
    // It is asked to lead, and has all that it needs for that in its log.
    std::vector<Error> handed_over;
    group.cluster.node(leader).async_transfer_leadership(
        {behind}, 5s, [&](Error error) { handed_over.push_back(error); });
    REQUIRE(group.cluster.run_until([&] { return group.cluster.leader() == behind; }));
    const auto read = group.read(behind);
    group.cluster.run_for(2s);
    CHECK(read->empty());
    writer.go_on();
    REQUIRE(group.cluster.run_until([&] { return !read->empty(); }));
    CHECK(group.value(behind) == 5011);
    CHECK(read->front() == 5011);
}

TEST_CASE("a machine that throws as it is written in place stops its node, with a sentence") {
    Group<> group(1);
    group.hold(1).hold_snapshots = false;
    trouble = 1;
    const auto answers = group.submit(1);
    REQUIRE(group.cluster.run_until([&] { return group.cluster.node(1).status().stopped; }));
    REQUIRE(group.failures.size() == 1);
    CHECK(group.failures[0].find("the state machine threw when a snapshot of index ") !=
          std::string::npos);
    CHECK(group.failures[0].find("(cannot do that)") != std::string::npos);
    trouble = 0;
    group.cluster.crash(1);
    group.cluster.start(1);
    CHECK(group.comes_to(1, 1));
}

TEST_CASE("where memory runs out as a state is written in place, that is done again later") {
    Group<> group(1);
    group.hold(1).hold_snapshots = false;
    trouble = 2;
    group.add(1);
    REQUIRE(group.cluster.run_until([&] { return !group.notices.empty(); }));
    group.add(1);
    trouble = 0;
    const auto saved = [&] { return group.cluster.node(1).status().snapshot.value > 2; };
    CHECK(group.cluster.run_until(saved));
    CHECK(group.failures.empty());
    CHECK(group.value(1) == 2);
}

TEST_CASE("what was put off comes before what has not been, also when nobody reads any more") {
    rsm::detail::ReplicaState<Sum> state(Sum{}, {});
    const auto captured = state.capture(1, in_place());
    CHECK(state.busy());
    raft::SnapshotMeta meta;
    meta.last = {{7}, {1}};
    state.put_off(meta, nullptr);
    Collected collected;
    CHECK_THROWS_WITH(captured.produce(collected), nobody_waits);
    CHECK_FALSE(state.lent());
    CHECK(state.busy());
    const auto late = state.take_late_restore();
    REQUIRE(late.has_value());
    CHECK(late->meta == meta);
    CHECK_FALSE(state.busy());
}

TEST_CASE("a small state is collected, and a large one is not") {
    rsm::Options options = in_place();
    options.max_captured_bytes = 2000;
    Group<> group(1, std::move(options));
    group.hold(1);
    group.add(1);
    group.lent(1);
    group.add(10);  // does not wait
    CHECK(group.value(1) == 11);
}

TEST_CASE("what is collected stays within its limit") {
    Sum sum;
    CHECK(rsm::detail::collect_state(sum, {}, {64, {}}, copies + 1).has_value());
    CHECK_FALSE(rsm::detail::collect_state(sum, {}, {64, {}}, copies).has_value());
    rsm::detail::PieceSink sink(100);
    const std::vector<std::byte> piece(60);
    sink.write(piece);
    CHECK_FALSE(sink.beyond());
    sink.write(piece);
    CHECK(sink.beyond());
    sink.write(std::span(piece).first(10));
    CHECK(sink.beyond());
    CHECK(sink.take().empty());
}

}  // namespace snapshot_in_place_test
