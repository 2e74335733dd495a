// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What waits for a machine that is lent, and what a machine has that its log lacks: a node whose
// transport, clock and threads are moved by hand.
#include "support/temporary_directory.hpp"

#include <raft/protocol/codec.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/node/node.hpp>
#include <rsm/storage/wal.hpp>

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace put_off_test {

namespace {

using namespace raft;
using Error = boost::system::error_code;

/// The world of the node under test.
struct Hand {
    std::deque<std::function<void()>> snapshots;  // what the thread that writes them has to do
    std::function<void(Message)> hear;
    std::vector<Message> sent;
    Time now = Time{} + std::chrono::seconds(1);
};

struct Lane {
    Hand* held = nullptr;  // null: does everything at once
    void post(std::function<void()> job) {
        held == nullptr ? job() : held->snapshots.push_back(std::move(job));
    }
    void post_after(std::chrono::nanoseconds, std::function<void()>) {}
    void stop() {}
};
struct Net {
    Hand* hand;
    void start(std::function<void(Message)> receive) { hand->hear = std::move(receive); }
    void send(Message message) { hand->sent.push_back(std::move(message)); }
    void stop() {}
};
struct Watch {
    Hand* hand;
    Time now() { return hand->now; }
    void start(std::function<void()>) {}
    void arm(Time) {}
    void stop() {}
};

struct Counter {
    struct Operation {
        std::int64_t add = 0;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& add;
        }
    };
    std::int64_t apply(const Operation& operation) { return value += operation.add; }
    void snapshot(rsm::SnapshotWriter& out) const { out << value; }
    void restore(rsm::SnapshotReader& in) { in >> value; }
    std::int64_t value = 0;
};

/// Keeps its state itself: the number of operations, and where that is.
struct Kept {
    struct Operation {
        std::string text;
        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& text;
        }
    };
    void apply(const Operation&, LogPosition position) { *at = position; }
    LogPosition applied() const { return *at; }
    void snapshot(rsm::SnapshotWriter& out) const { out << std::uint8_t{1}; }
    void restore(rsm::SnapshotReader& in, LogPosition last) {
        std::uint8_t one = 0;
        in >> one;
        *at = last;
    }
    std::shared_ptr<LogPosition> at;
};

Membership of(std::uint64_t count) {
    std::vector<NodeId> ids;
    for (std::uint64_t id = 1; id <= count; ++id) ids.push_back({id});
    return Membership::of_voters(ids);
}

/// Node 1 of three.
template <class Machine>
struct Driven {
    using Wal = rsm::detail::wal::RunningWal<rsm::PosixFiles, Lane>;
    using TheNode = rsm::detail::Node<Machine, Net, Wal, Watch>;

    Hand hand;
    boost::asio::io_context io;
    std::shared_ptr<rsm::detail::CompletionQueue> queue =
        std::make_shared<rsm::detail::CompletionQueue>(
            boost::asio::make_strand(boost::asio::any_io_executor(io.get_executor())));
    std::shared_ptr<TheNode> node;

    Driven(const std::string& directory, Machine machine, std::int64_t threshold, bool holds) {
        rsm::Options options;
        options.snapshot_threshold = threshold;
        options.max_captured_bytes = 0;
        NodeConfig config;
        config.self = {1};
        config.founding = of(3);
        config.options = options.raft;
        config.options.retained_bytes = 0;
        config.options.apply_batch_bytes = 1;
        config.options.apply_durable_only = rsm::Persistent<Machine>;
        config.seed = 1;
        rsm::WalOptions wal;
        wal.directory = directory;
        wal.segment_bytes = 65536;
        node = std::make_shared<TheNode>(
            queue, std::move(machine), config, options, [this] { return Net{&hand}; },
            [&] {
                return Wal(queue->strand(), wal, rsm::PosixFiles{}, [&] {
                    Lane snapshots{holds ? &hand : nullptr};
                    return rsm::detail::wal::Lanes<Lane>{Lane{}, Lane{}, snapshots};
                });
            },
            [this] { return Watch{&hand}; });
        REQUIRE(node->start(node).has_value());
        run();
    }
    ~Driven() {
        node.reset();
        run();
    }
    void run() {
        io.restart();
        io.poll();
    }
    void hears(std::uint64_t from, Message::Body body) {
        hand.hear(Message{{from}, {1}, std::move(body)});
        run();
    }
    /// One job of the thread that writes snapshots, and what follows.
    void work() {
        REQUIRE_FALSE(hand.snapshots.empty());
        auto job = std::move(hand.snapshots.front());
        hand.snapshots.pop_front();
        job();
    }
    const Log& log() { return node->engine().core().log(); }

    /// Grants and accepts whatever is asked of the others.
    void others_agree() {
        for (const Message& message : std::exchange(hand.sent, {})) {
            if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
                const Term term = vote->pre_vote ? Term{vote->term.value - 1} : vote->term;
                hears(message.to.value, VoteReply{term, vote->term, vote->pre_vote, true, {}});
            } else if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
                AppendReply reply;
                reply.term = request->term;
                reply.accepted = true;
                reply.index = request->previous.index + request->entries.size();
                reply.round = request->round;
                hears(message.to.value, reply);
            }
        }
    }
    void stand_and_win() {
        const auto leads = [this] { return node->engine().core().role() == Role::leader; };
        for (int i = 0; i < 400 && !leads(); ++i) {
            hand.now += std::chrono::milliseconds(10);
            node->engine().turn();
            run();
            others_agree();
        }
        REQUIRE(leads());
        for (int i = 0; i < 3; ++i) others_agree();
    }
};

template <class Operation>
Entry entry(std::uint64_t index, const Operation& operation) {
    return {{index}, {1}, EntryKind::operation, Bytes::copy_of(rsm::encode(operation))};
}
AppendRequest request(std::uint64_t previous, std::uint64_t commit, std::vector<Entry> entries) {
    AppendRequest request;
    request.term = {1};
    if (previous != 0) request.previous = {{previous}, {1}};
    request.commit = {commit};
    request.entries = std::move(entries);
    return request;
}

/// All of a leader's snapshot in one piece, in which the counter has this value.
SnapshotChunk snapshot_of(std::int64_t value, std::uint64_t index, std::uint64_t term) {
    rsm::detail::PieceSink sink;
    rsm::detail::write_state(sink, Counter{value});
    std::vector<std::byte> content;
    for (const Bytes& piece : sink.take()) {
        content.insert(content.end(), piece.view().begin(), piece.view().end());
    }
    const SnapshotMeta meta{
        {{index}, {term}}, of(3), content.size(), rsm::detail::checksum(content)};
    return {{term}, meta, 0, Bytes::copy_of(content)};
}

/// Hands out what it is answered.
struct Look final : rsm::detail::PendingRead<Counter> {
    explicit Look(std::optional<std::int64_t>& seen) : seen_(seen) {}
    bool answer(const Counter& counter) override {
        seen_ = counter.value;
        return true;
    }
    void fail(Error) override { seen_ = -1; }
    std::optional<std::int64_t>& seen_;
};

std::vector<Entry> ones(std::uint64_t count) {
    std::vector<Entry> entries;
    for (std::uint64_t i = 1; i <= count; ++i) entries.push_back(entry(i, Counter::Operation{1}));
    return entries;
}

}  // namespace

TEST_CASE("entries that waited for the machine do not come on top of a snapshot that has them") {
    const rsm_test::TemporaryDirectory directory;
    Driven<Counter> driven(directory.path(), Counter{}, 0, true);
    driven.hears(2, snapshot_of(1000, 10, 1));  // its last piece is on the way to the disk
    driven.hears(2, request(0, 1, ones(3)));    // 1 is applied, the machine is lent
    driven.hears(2, request(3, 3, {}));         // 2 waits for it
    REQUIRE(driven.node->machine().value == 1);
    driven.work();  // the snapshot is there
    driven.io.restart();
    driven.io.run_one();
    driven.work();  // and before the node has taken that in, nobody reads the machine any more
    driven.run();
    CHECK(driven.log().applied() == Index{10});
    CHECK(driven.node->machine().value == 1000);
}

TEST_CASE("a read waits for a snapshot that waits for the machine") {
    const rsm_test::TemporaryDirectory directory;
    Driven<Counter> driven(directory.path(), Counter{}, 0, true);
    driven.hears(2, request(0, 1, ones(8)));
    driven.stand_and_win();
    REQUIRE(driven.log().commit() == Index{9});
    REQUIRE(driven.node->machine().value == 1);  // it is lent
    std::optional<std::int64_t> seen;
    driven.node->read(std::make_unique<Look>(seen), std::chrono::seconds(30));
    driven.run();
    for (int i = 0; i < 2; ++i) driven.others_agree();  // they confirm it
    CHECK_FALSE(seen.has_value());
    driven.hears(3, snapshot_of(1000, 12, 3));  // of a leader of a later term
    driven.work();  // the own snapshot; more is applied, and the machine is lent again
    driven.run();
    driven.work();  // that of the leader
    driven.run();
    REQUIRE(driven.log().applied() == Index{12});
    REQUIRE(driven.node->machine().value < 1000);
    CHECK_FALSE(seen.has_value());
    driven.work();
    driven.run();
    REQUIRE(seen.has_value());
    CHECK(*seen == 1000);
}

TEST_CASE(
    "a log that grows faster than snapshots are written does not get one for each operation") {
    const rsm_test::TemporaryDirectory directory;
    Driven<Counter> driven(directory.path(), Counter{}, 500, true);
    driven.hears(2, request(0, 60, ones(60)));
    REQUIRE(driven.node->engine().storage().persisted_bytes() > 2000);
    REQUIRE(driven.node->machine().value < 10);  // it is lent
    const auto newest = [&] { return driven.node->engine().core().snapshot().last.index; };
    std::set<Index> snapshots;
    for (int i = 0; !driven.hand.snapshots.empty() && i < 100; ++i) {
        driven.work();
        driven.run();
        snapshots.insert(newest());
    }
    CHECK(driven.log().applied() == Index{60});
    // One that found all the others behind it, and one that has them all.
    CHECK(snapshots.size() == 2);
    CHECK(newest() == Index{60});
    CHECK(driven.node->engine().storage().persisted_bytes() < 500);
}

TEST_CASE("no snapshot is taken of a state that is ahead of its log, and none handed out") {
    const rsm_test::TemporaryDirectory directory;
    const auto at = std::make_shared<LogPosition>();
    const auto entry_at = [](std::uint64_t index) {
        if (index != 80) return entry(index, Kept::Operation{std::string(1000, 'x')});
        return Entry{{80}, {1}, EntryKind::membership, codec::encode(of(5))};
    };
    {
        Driven<Kept> driven(directory.path(), Kept{at}, 1 << 30, false);
        for (std::uint64_t i = 1; i <= 100; ++i) driven.hears(2, request(i - 1, i, {entry_at(i)}));
        driven.hears(2, request(100, 100, {}));
        REQUIRE(at->index == Index{100});
    }
    for (const auto& file : std::filesystem::directory_iterator(directory.path())) {
        if (file.path().filename() != "00000000000000000001.wal") continue;
        std::fstream log(file.path(), std::ios::in | std::ios::out | std::ios::binary);
        log.seekp(50000);
        log << "damaged";
    }
    Driven<Kept> driven(directory.path(), Kept{at}, 60000, false);
    const std::uint64_t left = driven.log().last_index().value;
    REQUIRE(left < 80);
    REQUIRE(driven.log().promised().index == Index{100});
    bool handed_out = false;
    const auto capture = [&] {
        using Completion = rsm::detail::PendingCaptures::Completion;
        const auto note = [&](Error, rsm::CapturedState) { handed_out = true; };
        driven.node->capture(Index{1}, Completion(note, driven.queue), std::chrono::seconds(30));
    };
    capture();
    for (std::uint64_t i = left + 1; i <= 79; ++i) {
        driven.hears(2, request(i - 1, 79, {entry_at(i)}));
    }
    CHECK(driven.node->engine().core().snapshot().last.index == Index{});
    CHECK_FALSE(handed_out);
    for (std::uint64_t i = 80; i <= 100; ++i) driven.hears(2, request(i - 1, i, {entry_at(i)}));
    driven.hears(2, request(100, 100, {}));
    CHECK(handed_out);
    CHECK(driven.node->engine().core().snapshot().last.index == Index{100});
    CHECK(driven.node->engine().core().snapshot().membership == of(5));
}

}  // namespace put_off_test
