// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Rules alone, without a Core: each is given the parts that it names, and nothing else.
#include "support/core_cluster.hpp"

#include <raft/parts/ballot.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/reign.hpp>
#include <raft/rules/acceptance.hpp>
#include <raft/rules/commit.hpp>
#include <raft/rules/compaction.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/durability.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/health.hpp>
#include <raft/rules/replication.hpp>
#include <raft/rules/snapshot_receiving.hpp>
#include <raft/rules/snapshot_sending.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace rules_test {

namespace {

using namespace raft;
using namespace raft::test;

/// Node 1 of three, in term 5, at one second.
struct Bench {
    Options options;
    Configuration configuration{voters(3), {}};
    Ballot ballot{Term{5}, {}, {}, false, {}};
    Output out;
    Time now = at(milliseconds(1000));
    DiskHealth disk;
    Room room;
    SnapshotMeta newest;
    Step step{options, NodeId{1}, {}, configuration, ballot, disk, now, out};
};
Log log_of(std::vector<std::uint64_t> terms) {
    return Log(recovered({Term{5}, {}, {}}, entries(1, std::move(terms))));
}
AppendRequest request_after(LogPosition previous, std::vector<Entry> brought = {}) {
    return {Term{5}, previous, {}, 0, std::move(brought)};
}
Progress follower_at(std::uint64_t match, Time contact) {
    Progress follower;
    follower.node = {2};
    follower.match = {match};
    follower.become_replicate();
    follower.last_contact = contact;
    return follower;
}

}  // namespace

// ---- elections -------------------------------------------------------------------------------

TEST_CASE(
    "a log may lead whose last term is later, or whose last term is the same and no shorter") {
    const Log log = log_of({1, 2, 2});
    CHECK(may_lead(log, {Index{3}, Term{2}}));
    CHECK(may_lead(log, {Index{1}, Term{3}}));
    CHECK_FALSE(may_lead(log, {Index{2}, Term{2}}));
    CHECK_FALSE(may_lead(log, {Index{9}, Term{1}}));
}

TEST_CASE("a ballot has one vote in its term") {
    Ballot ballot{Term{5}, {}, {}, false, {}};
    CHECK(has_vote_for(ballot, Term{5}, NodeId{2}, {}));
    CHECK_FALSE(has_vote_for(ballot, Term{4}, NodeId{2}, {}));
    ballot.vote_for({2}, {});
    CHECK(has_vote_for(ballot, Term{5}, NodeId{2}, {}));
    CHECK_FALSE(has_vote_for(ballot, Term{5}, NodeId{3}, {}));
    ballot.enter({6});
    CHECK(has_vote_for(ballot, Term{6}, NodeId{3}, {}));
}

TEST_CASE("a ballot is durable when the write that carries it is, whatever else is under way") {
    Ballot ballot;
    CHECK(ballot.durable());
    ballot.enter({1});
    CHECK_FALSE(ballot.durable());
    ballot.written({3});
    ballot.persisted({2});
    CHECK_FALSE(ballot.durable());
    ballot.persisted({4});
    CHECK(ballot.durable());
    ballot.vote_for({2}, {});
    ballot.written({5});
    ballot.vote_for({2}, {});
    CHECK_FALSE(ballot.changed);
    ballot.persisted({5});
    CHECK(ballot.durable());
}

TEST_CASE("what tells of a term or vote waits for it, and what tells of neither does not") {
    Bench bench;
    bench.step.send({2}, VoteReply{});
    CHECK(bench.out.send.size() == 1);
    bench.ballot.vote_for({2}, {});
    bench.step.send({2}, VoteReply{});
    CHECK(bench.out.send.size() == 1);
    REQUIRE(bench.out.send_after.size() == 1);
    Log log;
    Journal journal;
    record(bench.step, bench.ballot, log, journal);
    REQUIRE(bench.out.write.has_value());
    CHECK(bench.out.write->hard_state == HardState{Term{5}, NodeId{2}, Index{}});
    CHECK(bench.out.send_after[0].after == bench.out.write->id);
    take_persisted(bench.ballot, log, journal, bench.out.write->id);
    CHECK(bench.ballot.durable());
}

// ---- replication -----------------------------------------------------------------------------

TEST_CASE("the hint of a refusal passes over all entries that the leader cannot have") {
    Bench bench;
    Log log = log_of({1, 1, 4, 4});
    AppendRequest request = request_after({Index{6}, Term{3}});
    accept_entries(bench.step, log, bench.room, bench.newest, bench.configuration, {2}, request);
    const auto replies = sent<AppendReply>(bench.out);
    REQUIRE(replies.size() == 1);
    CHECK_FALSE(replies[0].accepted);
    CHECK(replies[0].hint == LogPosition{Index{2}, Term{1}});
}

TEST_CASE("while the disk is behind, entries are left without an answer, and questions have one") {
    Bench bench;
    bench.options.window_bytes = 100;
    Log log = log_of({1});
    AppendRequest request = request_after({Index{1}, Term{1}}, entries(2, {5, 5, 5, 5, 5}));
    accept_entries(bench.step, log, bench.room, bench.newest, bench.configuration, {2}, request);
    CHECK(log.last_index() == Index{6});
    CHECK(bench.out.send_after.size() == 1);
    request = request_after({Index{6}, Term{5}}, entries(7, {5}));
    accept_entries(bench.step, log, bench.room, bench.newest, bench.configuration, {2}, request);
    CHECK(log.last_index() == Index{6});
    CHECK(bench.out.send.size() + bench.out.send_after.size() == 1);
    request = request_after({Index{5}, Term{5}}, entries(6, {5, 5}));
    accept_entries(bench.step, log, bench.room, bench.newest, bench.configuration, {2}, request);
    CHECK(bench.out.send_after.size() == 2);
    CHECK(log.last_index() == Index{6});
    request = request_after({Index{6}, Term{5}});
    accept_entries(bench.step, log, bench.room, bench.newest, bench.configuration, {2}, request);
    CHECK(bench.out.send.size() == 1);
}

TEST_CASE("once a loss is known, acceptances from before it do not count, whatever they echo") {
    Bench bench;
    const Log log = log_of({5, 5, 5, 5, 5});
    Office office{Reign{}};
    Reign& reign = std::get<Reign>(office.held);
    reign.followers.push_back(follower_at(5, bench.now));
    Reads reads;
    const Progress& follower = reign.followers[0];
    const auto refuse = [&](std::uint64_t round) {
        const AppendReply reply{Term{5}, false, Index{4}, {Index{2}, Term{5}}, round};
        take_append_reply(bench.step, office, reads, log, {2}, reply);
    };
    const auto accept = [&](std::uint64_t round) {
        const AppendReply reply{Term{5}, true, Index{5}, {}, round};
        take_append_reply(bench.step, office, reads, log, {2}, reply);
    };
    refuse(0);
    CHECK(follower.match == Index{5});
    refuse(1);
    CHECK(count(bench.out, EventKind::acknowledgement_lost) == 1);
    CHECK(follower.match == Index{2});
    accept(1);
    CHECK(follower.match == Index{2});
    accept(2);
    CHECK(follower.match == Index{5});
}

TEST_CASE("what a quorum holds durably is committed if it is of this term") {
    Bench bench;
    Reign reign;
    reign.followers = {follower_at(2, bench.now), follower_at(0, bench.now)};
    reign.followers[1].node = {3};
    Log old = log_of({4, 4, 4});
    advance_commit(bench.step, reign, old);
    CHECK(old.commit() == Index{});
    Log log = log_of({4, 5, 5});
    advance_commit(bench.step, reign, log);
    CHECK(log.commit() == Index{2});
    Log unwritten;
    for (Entry& each : entries(1, {5, 5})) unwritten.append(each);
    advance_commit(bench.step, reign, unwritten);
    CHECK(unwritten.commit() == Index{});
}

TEST_CASE("a budget comes back for what is committed, durable and applied here") {
    Budget budget;
    budget.spend(10);
    budget.spend(20);
    budget.settle({2}, {0});
    budget.spend(5);
    CHECK(budget.spent() == 35);
    budget.settle({3}, {1});
    CHECK(budget.spent() == 35);
    budget.settle({3}, {2});
    CHECK(budget.spent() == 5);
    budget.settle({3}, {3});
    CHECK(budget.spent() == 0);
    CHECK(budget.appended() == 35);
}

// ---- snapshots -------------------------------------------------------------------------------

TEST_CASE("a snapshot without content is one piece") {
    SnapshotTransfer transfer;
    transfer.begin({{Index{3}, Term{1}}, voters(3), 0, 0}, 10, milliseconds(100), Time{});
    CHECK(transfer.may_load(10));
    transfer.sent(0);
    CHECK_FALSE(transfer.may_load(10));
    transfer.go_back(10, milliseconds(1000), Time{});
    CHECK(transfer.may_load(10));
}

TEST_CASE("a follower that has vanished gets the newest snapshot, so that the older one can go") {
    Bench bench;
    const SnapshotMeta older{{Index{3}, Term{1}}, voters(3), 5, 1};
    const SnapshotMeta newest{{Index{9}, Term{2}}, voters(3), 5, 2};
    Progress follower = follower_at(1, bench.now);
    follower.become_snapshot(older, 10, milliseconds(100), Time{});
    follower.transfer.installed = true;
    const Reign reign;
    resend_chunk(bench.step, reign, follower, newest);
    CHECK(follower.transfer.meta == older);  // its disk is behind, but it is there
    follower.last_contact = Time{};
    resend_chunk(bench.step, reign, follower, newest);
    CHECK(follower.transfer.meta == newest);
}

TEST_CASE("the log is released up to a snapshot, but for what is retained and what is under way") {
    Bench bench;
    bench.options.retained_bytes = 2 * footprint(entry(1, 1)) + 1;
    Log log;
    for (Entry& each : entries(1, {5, 5, 5, 5, 5})) log.append(each);
    std::vector<Entry> written;
    log.begin_write({1}, bench.now, written);
    log.commit_to({5});
    log.handed_to({5});
    log.applied_to({4});
    Office office;
    Journal journal;
    release_covered(bench.step, office, log, bench.room, journal,
                    {{Index{5}, Term{5}}, voters(3), 1, 1});
    CHECK(log.base().index == Index{2});
    CHECK(journal.release == log.base());
}

// ---- health ----------------------------------------------------------------------------------

TEST_CASE("a leader hears from a quorum as long as enough followers have spoken lately") {
    Bench bench;
    Reign reign;
    reign.followers = {follower_at(0, bench.now - milliseconds(499)), follower_at(0, Time{})};
    reign.followers[1].node = {3};
    CHECK(hears_from_quorum(bench.step, reign));
    reign.followers[0].last_contact = bench.now - milliseconds(500);
    CHECK_FALSE(hears_from_quorum(bench.step, reign));
}

}  // namespace rules_test
