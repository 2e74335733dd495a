// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How leaders come and go: Raft paper, sections 5.1, 5.2 and 5.4.1; thesis, sections 4.2.3, 6.2
// and 9.6.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace election_test {

namespace {

using namespace raft;
using namespace raft::test;

Options plain() {
    Options options;
    options.pre_vote = false;
    options.check_quorum = false;
    return options;
}

Core fresh(const Options& options, std::uint64_t nodes, HardState hard = {},
           std::vector<Entry> log = {}, std::uint64_t seed = 7) {
    return Core(options, NodeId{1}, voters(nodes), recovered(hard, std::move(log)), seed, Time{});
}

Input vote_request(std::uint64_t from, std::uint64_t term, LogPosition last,
                   bool pre_vote = false) {
    return message(from, 1, VoteRequest{Term{term}, pre_vote, last});
}
Input vote_reply(std::uint64_t from, std::uint64_t term, bool granted, bool pre_vote = false) {
    const Term own{pre_vote ? term - 1 : term};
    return message(from, 1, VoteReply{own, Term{term}, pre_vote, granted});
}
Input heartbeat(std::uint64_t from, std::uint64_t term) {
    return message(from, 1, AppendRequest{Term{term}, {}, {}, 0, {}});
}

/// The only vote reply of a step, wherever it stands.
VoteReply answer(const Output& output) { return only<VoteReply>(output); }

}  // namespace

TEST_CASE("a node begins as a follower, without a leader, in the term that it remembers (5.1)") {
    const Core core = fresh(plain(), 3, {Term{4}, NodeId{2}, {}});
    CHECK(core.role() == Role::follower);
    CHECK(core.term() == Term{4});
    CHECK(core.voted_for() == NodeId{2});
    CHECK(core.leader() == NodeId{});
}

TEST_CASE("an election timeout is drawn from [T, 2T), anew each time (5.2)") {
    const Options options = plain();
    std::set<Duration> seen;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Core core = fresh(options, 3, {}, {}, seed);
        Time last{};
        for (int round = 0; round < 3; ++round) {
            const Duration timeout = core.deadline() - last;
            CHECK(timeout >= options.election_timeout);
            CHECK(timeout < 2 * options.election_timeout);
            seen.insert(timeout);
            last = core.deadline();
            core.step(last, Tick{});
        }
    }
    CHECK(seen.size() == 600);
    CHECK(*seen.begin() < options.election_timeout * 11 / 10);
    CHECK(*seen.rbegin() > options.election_timeout * 19 / 10);
}

TEST_CASE("election timeouts follow from the seed alone") {
    Core left = fresh(plain(), 3, {}, {}, 11);
    Core right = fresh(plain(), 3, {}, {}, 11);
    CHECK(left.deadline() == right.deadline());
    left.step(left.deadline(), Tick{});
    right.step(right.deadline(), Tick{});
    CHECK(left == right);
    CHECK(left.deadline() != fresh(plain(), 3, {}, {}, 12).deadline());
}

TEST_CASE("nothing happens before the election timeout; then the node stands in the next term") {
    Core core = fresh(plain(), 3, {Term{4}, NodeId{2}, {}}, entries(1, {3, 4}));
    const Output early = core.step(core.deadline() - milliseconds(1), Tick{});
    CHECK(!early.write);
    CHECK(core.role() == Role::follower);

    const Output output = core.step(core.deadline(), Tick{});
    CHECK(core.role() == Role::candidate);
    CHECK(core.term() == Term{5});
    CHECK(core.voted_for() == NodeId{1});
    const auto requests = sent<VoteRequest>(output);
    REQUIRE(requests.size() == 2);
    CHECK(requests.front() == VoteRequest{Term{5}, false, {Index{2}, Term{4}}});
}

TEST_CASE("a new term leaves only after its write is durable (Figure 2)") {
    Core core = fresh(plain(), 3);
    const Output output = core.step(core.deadline(), Tick{});
    REQUIRE(output.write);
    REQUIRE(output.write->hard_state);
    CHECK(output.write->hard_state->term == Term{1});
    CHECK(output.write->hard_state->voted_for == NodeId{1});
    CHECK(output.send.empty());
    REQUIRE(output.send_after.size() == 2);
    for (const DeferredMessage& deferred : output.send_after) {
        CHECK(deferred.after == output.write->id);
    }

    SUBCASE("also when it came in a message that is refused") {
        const Output refusal = core.step(Time{}, vote_request(2, 9, {Index{0}, Term{0}}));
        CHECK(refusal.send.empty());
        CHECK(core.term() == Term{9});
    }
    SUBCASE("also when another write follows") {
        core.step(Time{}, Persisted{output.write->id});
        const Output next = core.step(Time{}, heartbeat(2, 6));
        REQUIRE(next.write);
        CHECK(next.send.empty());
        const Output again = core.step(Time{}, heartbeat(2, 6));
        REQUIRE(again.send_after.size() == 1);
        CHECK(again.send_after.front().after == next.write->id);
        core.step(Time{}, Persisted{next.write->id});
        CHECK(core.step(Time{}, heartbeat(2, 6)).send.size() == 1);
    }
}

TEST_CASE("a candidate's own vote counts only when it is durable") {
    SUBCASE("a single node leads once its vote is written") {
        Core core = fresh(plain(), 1);
        const Output output = core.step(core.deadline(), Tick{});
        CHECK(core.role() == Role::candidate);
        core.step(Time{}, Persisted{output.write->id});
        CHECK(core.role() == Role::leader);
    }
    SUBCASE("one other vote of three is not enough without it") {
        Core core = fresh(plain(), 3);
        const Output output = core.step(core.deadline(), Tick{});
        core.step(Time{}, vote_reply(2, 1, true));
        CHECK(core.role() == Role::candidate);
        core.step(Time{}, Persisted{output.write->id});
        CHECK(core.role() == Role::leader);
    }
}

TEST_CASE("a candidate wins with the votes of a majority, each counted once (5.2)") {
    Core core = fresh(plain(), 5);
    const Output output = core.step(core.deadline(), Tick{});
    core.step(Time{}, Persisted{output.write->id});
    core.step(Time{}, vote_reply(2, 1, true));
    core.step(Time{}, vote_reply(2, 1, true));
    core.step(Time{}, vote_reply(3, 1, false));
    CHECK(core.role() == Role::candidate);
    const Output won = core.step(Time{}, vote_reply(4, 1, true));
    CHECK(core.role() == Role::leader);
    CHECK(core.leader() == NodeId{1});
    CHECK(sent<AppendRequest>(won).size() == 4);  // "send initial heartbeats"
}

TEST_CASE("votes of another election are not counted") {
    Core core = fresh(plain(), 3);
    const Output first = core.step(core.deadline(), Tick{});
    const Output second = core.step(core.deadline(), Tick{});
    REQUIRE(core.term() == Term{2});
    core.step(Time{}, Persisted{second.write->id});
    SUBCASE("of an earlier term") {
        core.step(Time{}, message(2, 1, VoteReply{Term{1}, Term{1}, false, true}));
    }
    SUBCASE("of an earlier term, by a voter that has gone on") {
        core.step(Time{}, message(2, 1, VoteReply{Term{2}, Term{1}, false, true}));
    }
    SUBCASE("of a pre-vote") {
        core.step(Time{}, message(2, 1, VoteReply{Term{1}, Term{2}, true, true}));
    }
    CHECK(core.role() == Role::candidate);
}

TEST_CASE("a vote is given once per term, and its reply waits for the write (5.2)") {
    Core core = fresh(plain(), 3);
    const Output first = core.step(Time{}, vote_request(2, 3, {}));
    CHECK(answer(first).granted);
    REQUIRE(first.write);
    REQUIRE(first.write->hard_state);
    CHECK(first.write->hard_state->voted_for == NodeId{2});
    CHECK(first.send.empty());
    REQUIRE(first.send_after.size() == 1);
    CHECK(first.send_after.front().after == first.write->id);

    CHECK(!answer(core.step(Time{}, vote_request(3, 3, {Index{9}, Term{2}}))).granted);
    const Output again = core.step(Time{}, vote_request(2, 3, {}));
    CHECK(answer(again).granted);
    CHECK(!again.write);
    CHECK(again.send.empty());  // still not durable
    core.step(Time{}, Persisted{first.write->id});
    CHECK(core.step(Time{}, vote_request(2, 3, {})).send.size() == 1);
}

TEST_CASE("a vote in the term that a node is in already is written before it is told") {
    Core core = fresh(plain(), 3, {Term{3}, NodeId{}, {}});
    const Output output = core.step(Time{}, vote_request(2, 3, {}));
    CHECK(answer(output).granted);
    CHECK(output.send.empty());
    REQUIRE(output.write);
    CHECK(output.write->hard_state->voted_for == NodeId{2});
}

TEST_CASE("a vote survives a restart") {
    Core core = fresh(plain(), 3, {Term{3}, NodeId{2}, {}});
    CHECK(!answer(core.step(Time{}, vote_request(3, 3, {Index{9}, Term{2}}))).granted);
    CHECK(answer(core.step(Time{}, vote_request(2, 3, {}))).granted);
}

TEST_CASE("a vote for an earlier term is refused with the present one (5.1)") {
    Core core = fresh(plain(), 3, {Term{5}, NodeId{}, {}});
    const VoteReply reply = answer(core.step(Time{}, vote_request(2, 4, {Index{9}, Term{4}})));
    CHECK(!reply.granted);
    CHECK(reply.term == Term{5});
    CHECK(core.voted_for() == NodeId{});
}

TEST_CASE("a vote goes only to logs that are at least as up to date (5.4.1)") {
    const auto granted = [](LogPosition candidate) {
        Core core = fresh(plain(), 3, {Term{4}, NodeId{}, {}}, entries(1, {1, 2, 4}));
        return answer(core.step(Time{}, vote_request(2, 5, candidate))).granted;
    };
    CHECK(granted({Index{3}, Term{4}}));
    CHECK(granted({Index{4}, Term{4}}));
    CHECK(granted({Index{1}, Term{5}}));  // the later term wins, however short
    CHECK(!granted({Index{2}, Term{4}}));
    CHECK(!granted({Index{9}, Term{3}}));
    CHECK(!granted({}));
}

TEST_CASE("giving a vote puts off the own candidature, refusing one does not") {
    Core core = fresh(plain(), 3, {Term{4}, NodeId{}, {}}, entries(1, {4}));
    const Time before = core.deadline();
    core.step(at(milliseconds(400)), vote_request(2, 5, {}));
    CHECK(core.deadline() == before);
    core.step(at(milliseconds(400)), vote_request(3, 5, {Index{1}, Term{4}}));
    CHECK(core.deadline() >= at(milliseconds(900)));
}

TEST_CASE("whoever hears of a later term becomes a follower of it (5.1)") {
    CoreCluster cluster(3, plain());
    cluster.elect(1);
    REQUIRE(cluster.core(1).role() == Role::leader);
    AppendReply reply;
    reply.term = Term{9};
    cluster.step(1, message(2, 1, reply));
    CHECK(cluster.core(1).role() == Role::follower);
    CHECK(cluster.core(1).term() == Term{9});
    CHECK(cluster.core(1).voted_for() == NodeId{});
}

TEST_CASE("a candidate gives way to the leader of its term (5.2)") {
    Core core = fresh(plain(), 3);
    core.step(core.deadline(), Tick{});
    REQUIRE(core.role() == Role::candidate);
    core.step(Time{}, heartbeat(2, 1));
    CHECK(core.role() == Role::follower);
    CHECK(core.leader() == NodeId{2});
    CHECK(core.voted_for() == NodeId{1});
}

TEST_CASE("a request of an earlier leader is refused and does not put off an election (5.1)") {
    Core core = fresh(plain(), 3, {Term{5}, NodeId{}, {}});
    const Time before = core.deadline();
    const auto replies = sent<AppendReply>(core.step(at(milliseconds(300)), heartbeat(2, 4)));
    REQUIRE(replies.size() == 1);
    CHECK(!replies.front().accepted);
    CHECK(replies.front().term == Term{5});
    CHECK(core.deadline() == before);
    CHECK(core.leader() == NodeId{});
}

TEST_CASE("answers of strangers, messages to others and those from oneself are ignored") {
    Core core = fresh(plain(), 3);
    const Core before = core;
    core.step(Time{}, vote_reply(9, 5, true));
    core.step(Time{}, message(9, 1, AppendReply{Term{5}, true, {}, {}, 0}));
    core.step(Time{}, message(2, 3, VoteRequest{Term{5}, false, {}}));
    core.step(Time{}, vote_request(1, 5, {}));
    CHECK(core == before);
}

TEST_CASE("a cluster elects one leader whom everybody knows, and keeps it") {
    for (const std::uint64_t nodes : {1U, 2U, 3U, 4U, 5U, 7U}) {
        CAPTURE(nodes);
        CoreCluster cluster(nodes, Options{}, nodes);
        REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(5000)));
        cluster.run(milliseconds(300));
        const std::uint64_t leader = cluster.leader();
        const Term term = cluster.core(leader).term();
        cluster.run(milliseconds(5000));
        for (std::uint64_t id = 1; id <= nodes; ++id) {
            CHECK(cluster.core(id).leader() == NodeId{leader});
            CHECK(cluster.core(id).term() == term);
        }
        CHECK(cluster.failure == "");
    }
}

TEST_CASE("after a leader's crash another one is elected in a later term") {
    CoreCluster cluster(3, Options{});
    cluster.elect(1);
    const Term term = cluster.core(1).term();
    cluster.crash(1);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(5000)));
    CHECK(cluster.core(cluster.leader()).term() > term);
}

TEST_CASE("with pre-vote, a timeout asks first: no term is raised and nothing is written (9.6)") {
    Core core = fresh(Options{}, 3, {Term{4}, NodeId{2}, {}});
    const Output output = core.step(core.deadline(), Tick{});
    CHECK(core.role() == Role::pre_candidate);
    CHECK(core.term() == Term{4});
    CHECK(!output.write);
    CHECK(output.send.size() == 2);
    for (const VoteRequest& request : sent<VoteRequest>(output)) {
        CHECK(request == VoteRequest{Term{5}, true, {}});
    }
    core.step(Time{}, vote_reply(2, 5, true, true));
    CHECK(core.role() == Role::candidate);
    CHECK(core.term() == Term{5});
}

TEST_CASE("a pre-vote is answered without a promise (9.6)") {
    Options options;
    Core core = fresh(options, 3, {Term{4}, NodeId{3}, {}}, entries(1, {4}));
    const LogPosition good{Index{1}, Term{4}};
    core.step(at(milliseconds(500)), Tick{});
    const Core before = core;
    CHECK(answer(core.step(Time{}, vote_request(2, 5, good, true))).granted);
    CHECK(answer(core.step(Time{}, vote_request(3, 5, good, true))).granted);
    CHECK(core == before);
    CHECK(!answer(core.step(Time{}, vote_request(2, 5, {}, true))).granted);    // 5.4.1
    CHECK(!answer(core.step(Time{}, vote_request(2, 4, good, true))).granted);  // not a new term
    const VoteReply reply = answer(core.step(Time{}, vote_request(2, 3, good, true)));
    CHECK(reply.term == Term{4});  // from which a node that lags behind learns the term
}

TEST_CASE("a pre-vote is refused while a leader is heard from (4.2.3, 9.6)") {
    Core core = fresh(Options{}, 3, {Term{4}, NodeId{}, {}});
    core.step(at(milliseconds(100)), heartbeat(2, 4));
    CHECK(!answer(core.step(at(milliseconds(599)), vote_request(3, 5, {}, true))).granted);
    CHECK(answer(core.step(at(milliseconds(600)), vote_request(3, 5, {}, true))).granted);
}

TEST_CASE(
    "a node that may have promised something votes only an election timeout after its start") {
    Core core = fresh(Options{}, 3, {Term{4}, NodeId{}, {}});
    CHECK(!answer(core.step(at(milliseconds(499)), vote_request(3, 5, {}, true))).granted);
    CHECK(core.step(at(milliseconds(499)), vote_request(3, 5, {})).send_after.empty());
    CHECK(core.term() == Term{4});
    CHECK(answer(core.step(at(milliseconds(500)), vote_request(3, 5, {}, true))).granted);
    CHECK(answer(core.step(at(milliseconds(500)), vote_request(3, 5, {}))).granted);
}

TEST_CASE("a node that starts votes for nobody in the term that it remembers, but at a handover") {
    Core core = fresh(Options{}, 3, {Term{4}, NodeId{}, {}});
    core.step(at(milliseconds(1)), vote_request(2, 4, {}));
    CHECK(core.voted_for() == NodeId{});
    Core asked = core;
    asked.step(at(milliseconds(2)), message(2, 1, VoteRequest{Term{5}, false, {}, true}));
    CHECK(asked.voted_for() == NodeId{2});
    core.step(at(milliseconds(500)), vote_request(2, 4, {}));
    CHECK(core.voted_for() == NodeId{2});
}

TEST_CASE("a node that has promised nothing votes at once") {
    Core core = fresh(Options{}, 3);
    CHECK(answer(core.step(Time{}, vote_request(3, 1, {}, true))).granted);
}

TEST_CASE("whoever follows a leader votes for nobody else in its term") {
    Core core = fresh(plain(), 3, {Term{4}, NodeId{}, {}});
    core.step(Time{}, heartbeat(2, 4));
    CHECK(!answer(core.step(Time{}, vote_request(3, 4, {}))).granted);
    CHECK(core.voted_for() == NodeId{});
    CHECK(answer(core.step(Time{}, vote_request(3, 5, {}))).granted);
}

TEST_CASE("a partitioned node does not disturb the cluster when it comes back (9.6)") {
    CoreCluster cluster(3, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(200));
    const Term term = cluster.core(1).term();
    cluster.lost = [](const Message& m) { return m.from.value == 3 || m.to.value == 3; };
    cluster.run(milliseconds(20000));
    CHECK(cluster.core(3).role() == Role::pre_candidate);
    CHECK(cluster.core(3).term() == term);
    cluster.lost = nullptr;
    cluster.run(milliseconds(2000));
    CHECK(cluster.core(1).role() == Role::leader);
    CHECK(cluster.core(1).term() == term);
    CHECK(cluster.core(3).leader() == NodeId{1});
}

TEST_CASE("followers that hear from a leader ignore requests for votes (4.2.3)") {
    Options options;
    options.pre_vote = false;
    Core core = fresh(options, 3, {Term{4}, NodeId{}, {}});
    core.step(at(milliseconds(100)), heartbeat(2, 4));
    const Output ignored = core.step(at(milliseconds(599)), vote_request(3, 50, {}));
    CHECK(ignored.send.empty());
    CHECK(ignored.send_after.empty());
    CHECK(core.term() == Term{4});
    CHECK(answer(core.step(at(milliseconds(600)), vote_request(3, 50, {}))).granted);
}

TEST_CASE("a leader that checks its quorum ignores requests for votes, as its followers do") {
    Options options;
    options.pre_vote = false;
    CoreCluster cluster(3, options);
    cluster.elect(1);
    const Term term = cluster.core(1).term();
    const Input request = message(3, 1, VoteRequest{Term{50}, false, {Index{9}, term}});
    cluster.step(1, request);
    CHECK(cluster.core(1).role() == Role::leader);
    CHECK(cluster.core(1).term() == term);
}

TEST_CASE("a leader that does not hear from a quorum steps down (6.2)") {
    CoreCluster cluster(5, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(50));
    const auto hears = [&](std::set<std::uint64_t> heard) {
        cluster.lost = [heard](const Message& m) {
            return m.to.value == 1 && !heard.contains(m.from.value);
        };
    };
    hears({2, 3});
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(1).role() == Role::leader);
    hears({2});
    const std::size_t seen = cluster.events.size();
    const bool down = cluster.run_until([&] { return cluster.core(1).role() != Role::leader; },
                                        milliseconds(1000));
    CHECK(down);
    bool said = false;
    for (std::size_t i = seen; i < cluster.events.size(); ++i) {
        said = said || cluster.events[i].kind == EventKind::quorum_lost;
    }
    CHECK(said);
}

TEST_CASE("without check-quorum a lonely leader stays until it hears of a later term") {
    CoreCluster cluster(3, plain());
    cluster.elect(1);
    cluster.lost = [](const Message& m) { return m.to.value == 1; };
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(1).role() == Role::leader);
    cluster.lost = nullptr;
    cluster.run(milliseconds(1000));
    CHECK(cluster.core(cluster.leader()).term() >= cluster.core(1).term());
    CHECK(cluster.failure == "");
}

TEST_CASE("a leader whose disk hangs steps down, and the others go on") {
    CoreCluster cluster(3, Options{});
    cluster.elect(1);
    cluster.run(milliseconds(100));
    cluster.node(1).disk_stalled = true;
    cluster.propose(1, "stuck here");
    cluster.run(milliseconds(4500));
    CHECK(cluster.core(1).role() == Role::leader);
    cluster.run(milliseconds(700));
    CHECK(cluster.core(1).role() != Role::leader);
    CHECK(std::ranges::count(cluster.events, EventKind::disk_stalled, &Event::kind) == 1);
    cluster.run(milliseconds(3000));
    const std::uint64_t leader = cluster.leader();
    REQUIRE(leader != 0);
    CHECK(leader != 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a learner never stands for election") {
    Membership membership = voters(2);
    membership.put({NodeId{3}, Standing::learner, {}, {}});
    Core core(plain(), NodeId{3}, membership, {}, 1, Time{});
    for (int i = 0; i < 5; ++i) {
        const Output output = core.step(core.deadline(), Tick{});
        // It only asks whether it is a member still.
        CHECK(output.send.size() == 2);
        for (const VoteRequest& request : sent<VoteRequest>(output)) CHECK(request.pre_vote);
        core.step(Time{}, message(1, 3, VoteReply{Term{0}, Term{1}, true, true, {}}));
        core.step(Time{}, message(2, 3, VoteReply{Term{0}, Term{1}, true, true, {}}));
        CHECK(output.deadline > at(milliseconds(0)));
    }
    CHECK(core.role() == Role::follower);
    CHECK(core.term() == Term{0});
}

TEST_CASE("a joint configuration needs a majority of both halves (section 6)") {
    Membership membership = voters(1);
    membership.put({NodeId{2}, Standing::incoming, {}, {}});
    membership.put({NodeId{3}, Standing::incoming, {}, {}});
    membership.put({NodeId{4}, Standing::outgoing, {}, {}});
    membership.put({NodeId{5}, Standing::demoted, {}, {}});
    Core core(plain(), NodeId{1}, membership, {}, 1, Time{});
    const Output output = core.step(core.deadline(), Tick{});
    core.step(Time{}, Persisted{output.write->id});
    core.step(Time{}, vote_reply(2, 1, true));
    core.step(Time{}, vote_reply(3, 1, true));
    CHECK(core.role() == Role::candidate);
    core.step(Time{}, vote_reply(5, 1, true));
    CHECK(core.role() == Role::leader);
}

}  // namespace election_test
