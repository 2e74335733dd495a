// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A log that has an end: what a leader and a follower leave undone while theirs is as long as it
// may be, and what goes on.
#include "snapshot_support.hpp"
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace log_limit_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 of 3, in term 5, with three entries, of which so many are committed.
struct Follower {
    explicit Follower(std::uint64_t commit)
        : core(small_chunks(), NodeId{1}, voters(3),
               recovered({Term{5}, {}, {}}, entries(1, {1, 1, 2})), 1, Time{}) {
        request({3, 2}, {}, commit);
        core.step(Time{}, Applied{Index{commit}});
    }
    struct After {
        std::uint64_t index;
        std::uint64_t term;
    };
    Output request(After after, std::vector<Entry> list, std::uint64_t commit,
                   std::uint64_t term = 5) {
        AppendRequest append{Term{term}, position(after.index, after.term), Index{commit}, 0,
                             std::move(list)};
        return core.step(Time{}, message(2, 1, std::move(append)));
    }
    void full() { core.step(Time{}, LogRoom{0}); }
    Core core;
};

AppendReply reply_of(const Output& output) { return only<AppendReply>(output); }

/// Node 1 leads; its followers have answered everything.
CoreCluster led(const Options& options = small_chunks()) {
    CoreCluster cluster(3, options);
    cluster.elect(1);
    for (int i = 0; i < 3; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(150));
    return cluster;
}
const Progress& progress_of(CoreCluster& cluster, std::uint64_t follower) {
    for (const Progress& one : cluster.core(1).followers()) {
        if (one.node == NodeId{follower}) return one;
    }
    throw std::logic_error("no such follower");
}

}  // namespace

TEST_CASE("a follower whose log is full takes no operations, says so, and commits what it has") {
    Follower follower(1);
    follower.full();
    const Output output = follower.request({3, 2}, entries(4, {5, 5}), 3);
    CHECK(follower.core.log().last_index() == Index{3});
    CHECK(follower.core.log().commit() == Index{3});
    CHECK(reply_of(output).accepted);
    CHECK(reply_of(output).index == Index{3});
    CHECK(reply_of(output).hint == position(3, 2));
    // What it has already is no reason to say less than that it has it.
    CHECK(reply_of(follower.request({1, 1}, entries(2, {1, 2, 5}), 3)).index == Index{3});
}

TEST_CASE("a log that is full takes what leaders append by themselves, or none could lead") {
    Follower follower(3);
    follower.full();
    const Entry barrier{Index{4}, Term{5}, EntryKind::barrier, {}};
    follower.request({3, 2}, {barrier, entry(5, 5)}, 3);
    CHECK(follower.core.log().last() == position(4, 5));
}

TEST_CASE("a follower whose log is full votes and hears its leader") {
    Follower follower(2);
    follower.full();
    const Output vote =
        follower.core.step(Time{} + std::chrono::hours(1),
                           message(3, 1, VoteRequest{Term{6}, false, position(3, 2), false}));
    REQUIRE(vote.write);
    CHECK(vote.write->hard_state->voted_for == NodeId{3});
    CHECK(reply_of(follower.request({3, 2}, {}, 2, 6)).accepted);
    CHECK(follower.core.leader() == NodeId{2});
}

TEST_CASE("a log of which no snapshot could cover anything goes on, full or not") {
    Follower follower(2);
    follower.core.step(Time{}, SnapshotTaken{{position(2, 1), voters(3), 1, 1}});
    follower.full();
    const AppendReply reply = reply_of(follower.request({3, 2}, entries(4, {5}), 2));
    CHECK(follower.core.log().last_index() == Index{4});
    CHECK(reply.hint == LogPosition{});
}

TEST_CASE("what one step brings is counted in that step") {
    Follower follower(3);
    const std::vector<Entry> list = entries(4, {5, 5, 5});
    std::vector<Input> inputs{LogRoom{2 * footprint(list[0])}};
    for (std::uint64_t i = 0; i < 3; ++i) {
        AppendRequest append{Term{5}, position(3 + i, i == 0 ? 2 : 5), Index{3}, 0, {list[i]}};
        inputs.emplace_back(message(2, 1, std::move(append)));
    }
    Output output;
    follower.core.step(Time{}, inputs, output);
    CHECK(follower.core.log().last_index() == Index{5});
    // The driver says anew how much there is.
    follower.core.step(Time{}, LogRoom{footprint(list[2])});
    follower.request({5, 5}, {list[2]}, 3);
    CHECK(follower.core.log().last_index() == Index{6});
}

TEST_CASE("a leader whose log is full refuses operations, and for that reason") {
    CoreCluster cluster = led();
    cluster.step(1, LogRoom{0});
    CHECK(cluster.propose(1, "more").refusal == Refusal::log_full);
    const Token read = cluster.read(1);
    cluster.settle();
    REQUIRE(cluster.outcome_of(read));
    CHECK(cluster.outcome_of(read)->refusal == Refusal::none);
    // At most one operation is more than there is room for.
    cluster.step(1, LogRoom{1});
    CHECK(cluster.propose(1, "more").refusal == Refusal::none);
    CHECK(cluster.propose(1, "more").refusal == Refusal::log_full);
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader whose log is full of entries of an earlier term commits them nevertheless") {
    CoreCluster cluster(3, small_chunks());  // without a barrier
    cluster.elect(1);
    cluster.lost = [](const Message& m) { return std::holds_alternative<AppendReply>(m.body); };
    for (int i = 0; i < 3; ++i) cluster.propose(1, "operation");
    cluster.settle();
    cluster.lost = nullptr;
    cluster.crash(1);
    cluster.elect(2);
    REQUIRE(cluster.core(2).log().commit() == Index{0});
    for (const std::uint64_t id : {2U, 3U}) cluster.step(id, LogRoom{0});
    for (int i = 0; i < 3; ++i) CHECK(cluster.propose(2, "more").refusal == Refusal::log_full);
    cluster.run(milliseconds(150));
    CHECK(cluster.core(2).log().commit() == Index{4});
    CHECK(cluster.core(2).log().last_index() == Index{4});
    CHECK(cluster.core(3).log().commit() == Index{4});
}

TEST_CASE("a leader sends a full follower nothing but questions, and goes on when it has room") {
    CoreCluster cluster = led();
    cluster.step(3, LogRoom{0});
    for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
    cluster.settle();
    CHECK(progress_of(cluster, 3).full);
    CHECK(!progress_of(cluster, 2).full);
    CHECK(cluster.core(3).log().last_index() == Index{3});
    std::size_t entries_sent = 0;
    cluster.lost = [&](const Message& m) {
        const auto* request = std::get_if<AppendRequest>(&m.body);
        if (request != nullptr && m.to == NodeId{3}) entries_sent += request->entries.size();
        return false;
    };
    for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(1000));
    CHECK(entries_sent == 0);
    CHECK(cluster.core(1).log().commit() == Index{13});
    CHECK(cluster.core(3).leader() == NodeId{1});
    CHECK(cluster.core(3).log().commit() == Index{3});
    // A snapshot of its own makes room.
    REQUIRE(cluster.take_snapshot(3));
    cluster.settle();
    cluster.step(3, LogRoom{Room::unlimited});
    cluster.run(milliseconds(250));
    CHECK(cluster.core(3).log().commit() == Index{13});
    CHECK(cluster.node(3).machine == cluster.node(1).machine);
    CHECK(entries_sent == 10);
    cluster.check();
    CHECK(cluster.failure == "");
}

TEST_CASE(
    "from half of the limit on nothing is held for followers, at the limit nothing retained") {
    Options options = small_chunks();
    options.max_hold_bytes = 1U << 20;
    options.max_log_bytes = 1000;
    options.retained_bytes = 2 * footprint(entry(1, 1, "operation"));
    CoreCluster cluster = led(options);
    cluster.lost = [](const Message& m) {  // it is heard of, and gets nothing
        const auto* request = std::get_if<AppendRequest>(&m.body);
        return request != nullptr && m.to == NodeId{3} && !request->entries.empty();
    };
    for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
    cluster.run(milliseconds(50));
    REQUIRE(cluster.take_snapshot(1));
    cluster.step(1, LogRoom{500});
    cluster.settle();
    REQUIRE(cluster.core(1).snapshot().last.index == Index{8});
    CHECK(cluster.core(1).holds_log());
    CHECK(cluster.core(1).log().base().index == Index{3});
    cluster.step(1, LogRoom{499});
    cluster.run(milliseconds(110));
    CHECK(!cluster.core(1).holds_log());
    CHECK(cluster.core(1).log().base().index == Index{6});
    cluster.step(1, LogRoom{0});
    CHECK(cluster.core(1).log().base().index == Index{8});
}

}  // namespace log_limit_test
