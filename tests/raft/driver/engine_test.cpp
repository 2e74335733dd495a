// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What an Engine does with its policies when it begins and when it ends.
#include <raft/base/result.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/engine.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace engine_test {

namespace {

using namespace raft;

/// What the policies have been through, in order.
using Diary = std::vector<std::string>;

/// Can be neither copied nor moved, and says when it ends.
class Part {
public:
    Part(Diary& diary, std::string name) : diary_(diary), name_(std::move(name)) { note("made"); }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    ~Part() { note("destroyed"); }

protected:
    void note(const std::string& what) { diary_.push_back(name_ + " " + what); }

private:
    Diary& diary_;
    std::string name_;
};

class FakeTransport : Part {
public:
    explicit FakeTransport(Diary& diary) : Part(diary, "transport") {}
    void start(std::function<void(Message)> receive) {
        note("started");
        receive_ = std::move(receive);
    }
    void send(const Message&) { note("sent"); }
    void stop() {
        note("stopped");
        receive_ = nullptr;
    }
    void deliver(Message message) { receive_(std::move(message)); }

private:
    std::function<void(Message)> receive_;
};

/// Keeps writes waiting until they are let go.
class FakeStorage : Part {
public:
    FakeStorage(Diary& diary, bool sound) : Part(diary, "storage"), sound_(sound) {}
    Result<Recovered> recover() const {
        if (!sound_) return Failure{std::make_error_code(std::errc::io_error), "recover"};
        return Recovered{};
    }
    void append(const Write&, WriteDone done) { waiting_.push_back(std::move(done)); }
    void read(Index, std::size_t, const EntriesRead&) {}
    static std::uint64_t persisted_bytes() { return 0; }
    void save_snapshot(LogPosition, const Membership&, const SnapshotProducer&,
                       const SnapshotSaved&) {}
    void receive_chunk(const SnapshotMeta&, std::uint64_t, const Bytes&, const ChunkReceived&) {}
    void abandon_transfer() {}
    void read_chunk(const SnapshotMeta&, std::uint64_t, std::size_t, const ChunkRead&) {}
    Result<std::unique_ptr<ByteSource>> open_snapshot(const SnapshotMeta&) {
        return Failure{std::make_error_code(std::errc::not_supported), "open"};
    }
    void drop_snapshots_except(const std::vector<Index>&) {}
    void close(const std::function<void()>& done) {
        note("closed");
        done();
    }
    const std::optional<Failure>& refuses() const { return refusal; }
    void complete_writes() {
        for (const WriteDone& done : std::exchange(waiting_, {})) done({});
    }

    std::optional<Failure> refusal;

private:
    bool sound_;
    std::vector<WriteDone> waiting_;
};

class FakeClock : Part {
public:
    explicit FakeClock(Diary& diary) : Part(diary, "clock") {}
    Time now() { return now_ += std::chrono::hours(1); }
    void start(const std::function<void()>&) { note("started"); }
    void arm(Time) {}
    void stop() { note("stopped"); }

private:
    Time now_{};
};

static_assert(Transport<FakeTransport> && !std::is_move_constructible_v<FakeTransport>);
static_assert(LimitedStorage<FakeStorage> && !std::is_move_constructible_v<FakeStorage>);
static_assert(Clock<FakeClock> && !std::is_move_constructible_v<FakeClock>);

struct Host {
    void wake() {}
    void proposed(const ProposalOutcome&) {}
    void read_ready(const ReadOutcome&) {}
    void change_ended(const ChangeOutcome&) {}
    void handover_ended(const HandoverOutcome&) {}
    void apply(std::span<const Entry>) {}
    Result<void> restore(const SnapshotMeta&, const std::unique_ptr<ByteSource>&) { return {}; }
    void snapshot_saved(const SnapshotMeta&) {}
    void snapshot_failed(const Failure&) {}
    void observe(const Event&) {}
    Time tick(Time) { return Time::max(); }
    void failed(const Failure&) {}
};

/// Its state machine works elsewhere.
struct SlowHost : Host {
    bool apply(std::span<const Entry> entries) {
        for (const Entry& entry : entries) taken.push_back(entry.index.value);
        return prompt;
    }
    void proposed(const ProposalOutcome& outcome) { answers.push_back(outcome.refusal); }
    void read_ready(const ReadOutcome& outcome) { reads.push_back(outcome.index.value); }
    void change_ended(const ChangeOutcome& outcome) { changes.push_back(outcome); }
    void handover_ended(const HandoverOutcome& outcome) { handovers.push_back(outcome); }

    bool prompt = false;
    std::vector<std::uint64_t> taken;
    std::vector<std::uint64_t> reads;
    std::vector<Refusal> answers;
    std::vector<ChangeOutcome> changes;
    std::vector<HandoverOutcome> handovers;
};
static_assert(PacingHost<SlowHost> && !PacingHost<Host>);

template <class Host>
struct BenchOf {
    using Tested = Engine<FakeTransport, FakeStorage, FakeClock, Host>;

    explicit BenchOf(bool sound = true, std::vector<NodeId> voters = {{1}, {2}},
                     Options options = {}) {
        engine.emplace(
            NodeConfig{{1}, {}, {}, true, Membership::of_voters(std::move(voters)), 0, options, 1},
            [this] { return FakeTransport(diary); },
            [this, sound] { return FakeStorage(diary, sound); },
            [this] { return FakeClock(diary); }, host);
    }
    /// What has come since the last call.
    Diary news() { return std::exchange(diary, {}); }

    Diary diary;
    Host host;
    std::optional<Tested> engine;
};
using Bench = BenchOf<Host>;

/// A node that leads alone; time passes by its own account, an hour at each look at the clock.
struct SlowBench : BenchOf<SlowHost> {
    explicit SlowBench(const Options& options = {}) : BenchOf(true, {{1}}, options) {
        REQUIRE(engine->start().has_value());
        settle();
    }
    /// Until nothing more follows from what has come so far.
    void settle() {
        for (int turns = 0; turns < 10; ++turns) {
            engine->turn();
            engine->storage().complete_writes();
        }
    }
    void propose(std::size_t bytes) {
        engine->propose(0, Bytes::copy_of(std::string(bytes, 'x')));
        settle();
    }
};

const Diary destroyed{"clock destroyed", "storage destroyed", "transport destroyed"};
const Diary ended{"transport stopped", "clock stopped", "clock destroyed", "storage destroyed",
                  "transport destroyed"};

}  // namespace

TEST_CASE("engine: who founds a cluster is one of its founders, or nothing is begun") {
    Bench bench(true, {{2}, {3}});
    const Result<void> started = bench.engine->start();
    REQUIRE_FALSE(started.has_value());
    CHECK(started.error().code == std::errc::invalid_argument);
    CHECK(started.error().what ==
          "the members at the foundation: node 1, which founds the cluster, is none of them");
}

TEST_CASE("engine: policies are made in their places, and need not be movable") {
    Bench bench;
    CHECK(bench.news() == Diary{"transport made", "storage made", "clock made"});
    REQUIRE(bench.engine->start().has_value());
    CHECK(bench.news() == Diary{"clock started", "transport started"});
}

TEST_CASE("engine: its destruction stops the transport, whatever is under way") {
    Bench bench;
    REQUIRE(bench.engine->start().has_value());
    bench.engine->transport().deliver(
        {{2}, {1}, VoteRequest{{5}, false, {}}});  // its answer waits for a write
    bench.engine->turn();
    bench.news();
    bench.engine.reset();
    CHECK(bench.news() == ended);
}

TEST_CASE("engine: its destruction stops the transport where it never started") {
    Bench unborn;
    unborn.news();
    unborn.engine.reset();
    CHECK(unborn.news() == ended);

    Bench unsound(false);
    CHECK_FALSE(unsound.engine->start().has_value());
    unsound.news();
    unsound.engine.reset();
    CHECK(unsound.news() == ended);
}

TEST_CASE("engine: one that has stopped or failed has stopped its transport already") {
    Bench stopped;
    REQUIRE(stopped.engine->start().has_value());
    stopped.news();
    stopped.engine->stop([] {});
    CHECK(stopped.news() == Diary{"transport stopped", "clock stopped", "storage closed"});
    stopped.engine.reset();
    CHECK(stopped.news() == destroyed);

    Bench failed;
    REQUIRE(failed.engine->start().has_value());
    failed.news();
    failed.engine->fail({std::make_error_code(std::errc::io_error), "a disk"});
    CHECK(failed.news() == Diary{"transport stopped", "clock stopped"});
    failed.engine.reset();
    CHECK(failed.news() == destroyed);
}

TEST_CASE("engine: the algorithm hears at each turn whether the storage has room") {
    Bench bench;
    REQUIRE(bench.engine->start().has_value());
    bench.engine->turn();
    CHECK_FALSE(bench.engine->core().disk().full);
    bench.engine->storage().refusal =
        Failure{std::make_error_code(std::errc::no_space_on_device), "allocate"};
    bench.engine->turn();
    CHECK(bench.engine->core().disk().full);
    bench.engine->storage().refusal.reset();
    bench.engine->turn();
    CHECK_FALSE(bench.engine->core().disk().full);
}

TEST_CASE("engine: a host that says later that it has applied is waited for") {
    SlowBench bench;
    REQUIRE(bench.host.taken == std::vector<std::uint64_t>{1});  // the barrier
    bench.propose(1);
    bench.propose(1);
    bench.engine->read(7);
    bench.settle();
    CHECK(bench.host.taken == std::vector<std::uint64_t>{1});
    CHECK(bench.host.reads.empty());

    bench.engine->applied({1});
    bench.settle();
    CHECK(bench.host.taken == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(bench.host.reads.empty());
    CHECK(bench.engine->core().log().applied() == Index{1});

    bench.engine->applied({3});
    bench.settle();
    CHECK(bench.host.reads == std::vector<std::uint64_t>{3});

    bench.host.prompt = true;
    bench.propose(1);
    CHECK(bench.engine->core().log().applied() == Index{4});
}

TEST_CASE("engine: what a slow host has not applied counts as unsettled") {
    Options options;
    options.max_entry_bytes = 100;
    options.max_uncommitted_bytes = 300;
    SlowBench bench(options);
    bench.engine->applied({1});
    for (int i = 0; i < 4; ++i) bench.propose(60);
    CHECK(bench.host.answers == std::vector<Refusal>{Refusal::none, Refusal::none,
                                                     Refusal::overloaded, Refusal::overloaded});
    bench.engine->applied({2});
    bench.settle();
    bench.engine->applied({3});
    bench.settle();
    bench.propose(60);
    CHECK(bench.host.answers.back() == Refusal::none);
}

}  // namespace engine_test
