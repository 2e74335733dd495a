// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A node whose storage has lost entries that it had acknowledged, and knows it: it does not lead,
// helps nobody to lead who may lack them, and gets them from the others.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace lost_entries_test {

using namespace membership_support;

struct Damaged : Changing {
    explicit Damaged(std::uint64_t founders = 3) : Changing(founders) {
        expected_events = {EventKind::acknowledgement_lost};
        elect(1);
        run(milliseconds(300));
    }
    void propose_ten() {
        for (int i = 0; i < 10; ++i) propose(1, "operation");
        run(milliseconds(1000));
    }
    /// Finds at its restart that the log behind this is damaged.
    void damage(std::uint64_t id, std::uint64_t last) {
        crash(id);
        node(id).durable.lose_after({last});
        restart(id);
    }
    /// Finds at its restart that these are damaged, and what is behind them is not.
    void damage(std::uint64_t id, std::uint64_t first, std::uint64_t end) {
        crash(id);
        node(id).durable.lose({first}, {end});
        restart(id);
    }
    bool is_whole(std::uint64_t id) { return core(id).log().is_whole(); }
};

TEST_CASE("lost entries come from the leader, and then the node has all that it had") {
    Damaged cluster;
    cluster.propose_ten();
    cluster.damage(2, 3);
    CHECK_FALSE(cluster.is_whole(2));
    CHECK(cluster.core(2).log().last_index() == Index{3});
    cluster.run(milliseconds(2000));
    CHECK(cluster.is_whole(2));
    CHECK(cluster.core(2).log().last_index() >= cluster.core(1).log().commit());
    CHECK(cluster.seen(EventKind::log_regained) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries helps nobody to lead who may lack them, over restarts, too") {
    Damaged cluster;
    cluster.cut_off(3);
    cluster.propose_ten();
    const Index committed = cluster.core(1).log().commit();
    REQUIRE(committed >= Index{10});
    cluster.crash(1);
    cluster.damage(2, 1);
    cluster.lost = nullptr;
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 0);
    cluster.crash(2);
    cluster.restart(2);
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 0);
    CHECK_FALSE(cluster.is_whole(2));
    cluster.restart(1);
    CHECK(cluster.run_until([&] { return cluster.is_whole(2); }, milliseconds(10000)));
    REQUIRE(cluster.elected() != 3);
    CHECK(cluster.serves(cluster.leader()));
    cluster.run(milliseconds(1000));
    CHECK(cluster.core(3).log().last_index() >= committed);
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries gives the vote that is needed to who has them") {
    Damaged cluster;
    cluster.propose_ten();
    cluster.crash(3);
    cluster.crash(1);
    cluster.damage(2, 0);
    cluster.restart(1);
    CHECK(cluster.run_until([&] { return cluster.serves(1); }, milliseconds(10000)));
    CHECK(cluster.run_until([&] { return cluster.is_whole(2); }, milliseconds(10000)));
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost what made it a member still gives the vote that is needed") {
    Instances cluster(2, 1);
    cluster.elect(1);
    cluster.run(milliseconds(300));
    REQUIRE(cluster.change(1, of({1, 2, 3})) == ChangeResult::done);
    REQUIRE(cluster.propose(1, "operation").refusal == Refusal::none);
    cluster.run(milliseconds(1000));
    cluster.crash(1);
    cluster.crash(3);
    cluster.node(3).durable.lose_after({0});
    cluster.restart(3);
    CHECK_FALSE(cluster.core(3).log().is_whole());
    CHECK(cluster.run_until([&] { return cluster.serves(2); }, milliseconds(10000)));
    CHECK(cluster.run_until([&] { return cluster.core(3).log().is_whole(); }, milliseconds(10000)));
    CHECK(cluster.failure == "");
}

TEST_CASE("who has lost entries does not lead, not even when it is asked to") {
    Damaged cluster(1);
    cluster.propose_ten();
    cluster.damage(1, 5);
    cluster.run(milliseconds(20000));
    CHECK(cluster.leader() == 0);
    CHECK(cluster.core(1).term() == cluster.node(1).durable.hard.term);
    CHECK(cluster.failure == "");
}

TEST_CASE("lost entries that nobody else has do not keep the others from going on") {
    Damaged cluster;
    cluster.lost = [](const Message& message) { return message.from.value == 1; };
    for (int i = 0; i < 5; ++i) cluster.propose(1, "nobody hears of it");
    cluster.run(milliseconds(20));
    cluster.damage(1, 1);
    CHECK_FALSE(cluster.is_whole(1));
    cluster.lost = nullptr;
    cluster.run(milliseconds(5000));
    REQUIRE(cluster.leader() != 0);
    CHECK(cluster.leader() != 1);
    CHECK(cluster.serves(cluster.leader()));
    // What is later than they were stands for as much.
    CHECK(cluster.is_whole(1));
    CHECK(cluster.failure == "");
}

TEST_CASE("damage of all nodes at different places heals from what each has left") {
    Damaged cluster;
    cluster.propose_ten();
    const Index last = cluster.core(1).log().last_index();
    const std::uint64_t value = cluster.node(1).machine.value;
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.crash(id);
    cluster.damage(1, 2, 3);
    cluster.damage(2, 5, 7);
    cluster.damage(3, 9, 10);
    REQUIRE(cluster.core(1).log().last_index() == Index{1});
    CHECK(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(20000)));
    cluster.run(milliseconds(2000));
    for (const std::uint64_t id : {1U, 2U, 3U}) {
        CHECK(cluster.is_whole(id));
        CHECK(cluster.core(id).log().commit() > last);
    }
    CHECK(cluster.history.size() > last.value);
    CHECK(cluster.values[last.value - 1] == value);
    CHECK(cluster.failure == "");
}

TEST_CASE("two damaged nodes heal each other while the third is away, and lack nothing") {
    Damaged cluster;
    cluster.cut_off(3);
    cluster.propose_ten();
    const Index committed = cluster.core(1).log().commit();
    cluster.crash(3);
    cluster.lost = nullptr;
    cluster.crash(1);
    cluster.crash(2);
    cluster.damage(1, 4, 4);
    cluster.damage(2, 8, 8);
    CHECK(cluster.run_until([&] { return cluster.leader() != 0; }, milliseconds(20000)));
    cluster.run(milliseconds(2000));
    CHECK(cluster.core(cluster.leader()).log().commit() > committed);
    cluster.restart(3);
    cluster.run(milliseconds(3000));
    CHECK(cluster.core(3).log().commit() > committed);
    CHECK(cluster.failure == "");
}

TEST_CASE("an entry of which every copy is damaged waits for a person") {
    Damaged cluster;
    cluster.propose_ten();
    for (const std::uint64_t id : {1U, 2U, 3U}) cluster.crash(id);
    cluster.damage(1, 4, 5);
    cluster.damage(2, 5, 7);
    cluster.damage(3, 3, 5);
    cluster.run(milliseconds(30000));
    CHECK(cluster.leader() == 0);
    for (const std::uint64_t id : {1U, 2U, 3U}) {
        CHECK_FALSE(cluster.is_whole(id));
        CHECK(cluster.core(id).log().last_index() == Index{4});
    }
    CHECK(cluster.failure == "");
}

TEST_CASE("one that follows a leader gets what it lacks from nobody else") {
    Damaged cluster;
    cluster.propose_ten();
    cluster.lost = [](const Message& message) {
        return message.from.value == 1 && message.to.value == 2 &&
               std::holds_alternative<AppendRequest>(message.body) &&
               !std::get<AppendRequest>(message.body).entries.empty();
    };
    cluster.damage(2, 2, 4);
    cluster.run(milliseconds(5000));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.core(2).log().last_index() == Index{1});
    cluster.lost = nullptr;
    CHECK(cluster.run_until([&] { return cluster.is_whole(2); }, milliseconds(5000)));
    CHECK(cluster.failure == "");
}

/// A node of a cluster of three that has 1@1 and 2@1, and lacks what it had up to 6@2.
Core lacking(std::vector<DetachedRun> detached) {
    Recovered found = recovered({{3}, {}, {1}}, entries(1, {1, 1}));
    found.promised = {{6}, {2}};
    found.detached = std::move(detached);
    return Core(Options{}, NodeId{1}, voters(3), found, 1, Time{});
}
Message lacking_entries(LogPosition previous, std::vector<Entry> brought) {
    return {{2}, {1}, LackingEntries{{3}, previous, std::move(brought)}};
}

TEST_CASE("what another has is taken over where the log ends") {
    Core core = lacking({});
    Output out;
    const auto take = [&](Message message) {
        Input input = std::move(message);
        core.step(Time{}, std::span(&input, 1), out);
        return core.log().last_index();
    };
    CHECK(take(lacking_entries({{3}, {1}}, entries(4, {2}))) == Index{2});
    // Of a later term than its sender's, and of a term that falls.
    CHECK(take(lacking_entries({{2}, {1}}, entries(3, {4}))) == Index{2});
    CHECK(take(lacking_entries({{2}, {1}}, entries(3, {2, 1}))) == Index{2});
    CHECK(take(lacking_entries({{2}, {1}}, entries(3, {1, 2}))) == Index{4});
    CHECK(take(lacking_entries({{1}, {1}}, entries(2, {1, 1, 2, 2}))) == Index{5});
    CHECK_FALSE(core.log().is_whole());
    CHECK(core.log().promised() == LogPosition{{6}, {2}});
}

TEST_CASE("a log gives way to one of which more speaks for being what the node had, and no other") {
    const DetachedRun early{{{3}, {1}}, {{{4}, {1}}}, {4}};
    const DetachedRun late{{{4}, {2}}, {{{5}, {2}}}, {5}};
    // The log is 1@1 2@2 of what was up to 9@5, 1@1 is committed.
    const auto terms_after = [&](std::vector<std::vector<std::uint64_t>> offers) {
        Recovered found = recovered({{6}, {}, {1}}, entries(1, {1, 2}));
        found.promised = {{9}, {5}};
        found.detached = {early, late};
        Core core(Options{}, NodeId{1}, voters(3), found, 1, Time{});
        Output out;
        for (const auto& offer : offers) {
            Input input = Message{{2}, {1}, LackingEntries{{6}, {{1}, {1}}, entries(2, offer)}};
            core.step(Time{}, std::span(&input, 1), out);
        }
        CHECK(core.log().promised() == LogPosition{{9}, {5}});
        return terms_of(core);
    };
    using Terms = std::vector<std::uint64_t>;
    CHECK(terms_after({{1}}) == Terms{1, 2});
    CHECK(terms_after({{3, 3, 3, 3, 3, 3, 3, 3, 3}}) == Terms{1, 2});
    // Of what is left behind damage, the later the better; then of the promised term; then as much.
    CHECK(terms_after({{1, 1}}) == Terms{1, 1, 1});
    CHECK(terms_after({{1, 1}, {2, 2}}) == Terms{1, 1, 1});
    CHECK(terms_after({{1, 1}, {1, 1, 1}}) == Terms{1, 1, 1, 1});
    CHECK(terms_after({{1, 1}, {1, 2, 2}}) == Terms{1, 1, 2, 2});
    CHECK(terms_after({{1, 2, 2}, {1, 1, 1}}) == Terms{1, 1, 2, 2});
    CHECK(terms_after({{5}}) == Terms{1, 5});
    CHECK(terms_after({{5}, {1, 2, 2}}) == Terms{1, 5});
    CHECK(terms_after({{5}, {6}}) == Terms{1, 6});
    CHECK(terms_after({{6}, {5}}) == Terms{1, 6});
    // What is committed stays, whatever is sent.
    CHECK(terms_after({{5}, {}}) == Terms{1, 5});
}

TEST_CASE("what is committed gives way to nothing, and nothing that parts there goes on from it") {
    const auto terms_after = [](std::vector<std::uint64_t> terms) {
        Core core = lacking({});
        Output out;
        Input input = Message{{2}, {1}, LackingEntries{{3}, {}, entries(1, std::move(terms))}};
        core.step(Time{}, std::span(&input, 1), out);
        CHECK(sent<VoteRequest>(out).empty());
        return terms_of(core);
    };
    using Terms = std::vector<std::uint64_t>;
    REQUIRE(terms_after({}) == Terms{1, 1});
    CHECK(terms_after({2, 2, 2}) == Terms{1, 1});
    CHECK(terms_after({0, 1, 1, 1}) == Terms{1, 1});
    CHECK(terms_after({1, 2, 2}) == Terms{1, 2, 2});
}

TEST_CASE(
    "where the logs part before what is sent, what is earlier is asked for, and ever earlier") {
    Recovered found = recovered({{3}, {}, {2}}, entries(1, {1, 1, 2, 2, 2}));
    found.promised = {{9}, {3}};
    Core core(Options{}, NodeId{1}, voters(3), found, 1, Time{});
    const auto asked_after = [&](LogPosition previous) {
        const Output out = core.step(Time{}, lacking_entries(previous, entries(8, {3})));
        const auto request = only<VoteRequest>(out);
        CHECK(request.pre_vote);
        CHECK(request.lacks_entries);
        return request.last;
    };
    CHECK(asked_after({{7}, {2}}) == LogPosition{{5}, {2}});
    CHECK(asked_after({{4}, {3}}) == LogPosition{{4}, {2}});
    CHECK(asked_after({{4}, {1}}) == LogPosition{{2}, {1}});
    CHECK(asked_after({{3}, {1}}) == LogPosition{{2}, {1}});
}

TEST_CASE("what is left behind damage continues a log that comes to it, and no other") {
    const DetachedRun run{{{4}, {1}}, {{{5}, {1}}, {{6}, {2}}}, {6}};
    const auto asked_after = [&](std::vector<std::uint64_t> terms) {
        Core core = lacking({run});
        Output out;
        Input input = lacking_entries({{2}, {1}}, entries(3, std::move(terms)));
        core.step(Time{}, std::span(&input, 1), out);
        return out.load_detached ? out.load_detached->first : Index{};
    };
    CHECK(asked_after({1}) == Index{});
    CHECK(asked_after({1, 1}) == Index{5});
    CHECK(asked_after({1, 2}) == Index{});
    CHECK(asked_after({1, 1, 1}) == Index{6});
    CHECK(asked_after({1, 1, 2}) == Index{});

    Core core = lacking({run});
    Output out;
    const auto take = [&](Input input) {
        core.step(Time{}, std::span(&input, 1), out);
        return core.log().last_index();
    };
    take(lacking_entries({{2}, {1}}, entries(3, {1, 1})));
    // Not asked for; of another term than is known; asked for once, and once only.
    CHECK(take(DetachedLoaded{{6}, entries(6, {2})}) == Index{4});
    CHECK(take(DetachedLoaded{{5}, entries(5, {2})}) == Index{4});
    CHECK(take(DetachedLoaded{{5}, entries(5, {1, 2})}) == Index{6});
    CHECK(take(DetachedLoaded{{5}, entries(5, {1, 2})}) == Index{6});
}

std::vector<LoadEntries> loads_for_others(const Output& out) {
    std::vector<LoadEntries> loads = out.load_entries;
    std::erase_if(loads, [](const LoadEntries& load) { return !load.repairs; });
    return loads;
}

TEST_CASE("only who has no leader gives others what they lack, and takes it") {
    const Message heartbeat{{3}, {1}, AppendRequest{{3}, {{2}, {1}}, {1}, 0, {}}};
    const Message asks{{2}, {1}, VoteRequest{{4}, true, {{1}, {1}}, false, true}};
    for (const bool has_leader : {false, true}) {
        CAPTURE(has_leader);
        Core core = lacking({});
        Output out;
        const auto take = [&](Input input) { core.step(Time{}, std::span(&input, 1), out); };
        if (has_leader) take(heartbeat);
        take(asks);
        REQUIRE(loads_for_others(out).size() == (has_leader ? 0 : 1));
        if (!has_leader) {
            CHECK(loads_for_others(out).front() ==
                  LoadEntries{{2}, {2}, Options{}.max_message_bytes, true});
            take(EntriesLoaded{{2}, entries(2, {1}), true});
            REQUIRE(out.send.size() == 1);
            CHECK(out.send.front().to == NodeId{2});
            CHECK(std::get<LackingEntries>(out.send.front().body) ==
                  LackingEntries{{3}, {{1}, {1}}, entries(2, {1})});
        }
        take(lacking_entries({{2}, {1}}, entries(3, {1})));
        CHECK(core.log().last_index() == Index{has_leader ? 2U : 3U});
    }
    // Of one that is no member, of one that asks for a vote only, and of one that has as much.
    for (const Message& other :
         {Message{{7}, {1}, VoteRequest{{4}, true, {{1}, {1}}, false, true}},
          Message{{2}, {1}, VoteRequest{{4}, true, {{1}, {1}}, false, false}},
          Message{{2}, {1}, VoteRequest{{4}, true, {{2}, {1}}, false, true}}}) {
        Core core = lacking({});
        Output out;
        Input input = other;
        core.step(Time{}, std::span(&input, 1), out);
        CHECK(loads_for_others(out).empty());
    }
}

TEST_CASE("who waits for its disk to take a term gathers no entries for others") {
    Core core = lacking({});
    Output out;
    const auto take = [&](Input input) { core.step(Time{}, std::span(&input, 1), out); };
    take(Message{{3}, {1}, VoteRequest{{9}, false, {{9}, {8}}, true, false}});
    REQUIRE(core.term() == Term{9});
    REQUIRE(out.write);
    const WriteId write = out.write->id;
    const Message asks{{2}, {1}, VoteRequest{{10}, true, {{1}, {1}}, false, true}};
    take(asks);
    CHECK(loads_for_others(out).empty());
    take(EntriesLoaded{{2}, entries(2, {1}), true});
    CHECK(out.send.empty());
    CHECK(out.send_after.empty());
    take(Persisted{write});
    take(asks);
    CHECK(loads_for_others(out).size() == 1);
    take(EntriesLoaded{{2}, entries(2, {1}), true});
    CHECK(out.send.size() == 1);
}

TEST_CASE("where two logs may part, what is sent begins with the last entry they may share") {
    const auto first_after = [](LogPosition asked, Recovered found) {
        Core core(Options{}, NodeId{1}, voters(3), found, 1, Time{});
        const Output out =
            core.step(Time{}, Message{{2}, {1}, VoteRequest{{6}, true, asked, false, true}});
        const std::vector<LoadEntries> loads = loads_for_others(out);
        return loads.empty() ? Index{} : loads.front().first;
    };
    const Recovered found = recovered({{5}, {}, {1}}, entries(1, {1, 2, 2, 4}));
    CHECK(first_after({{3}, {2}}, found) == Index{4});
    CHECK(first_after({{3}, {3}}, found) == Index{3});
    CHECK(first_after({{9}, {3}}, found) == Index{3});
    CHECK(first_after({{9}, {4}}, found) == Index{4});
    CHECK(first_after({{2}, {1}}, found) == Index{1});
    // One that has less than is here at all is helped by a leader alone.
    Recovered later = recovered({{5}, {}, {3}});
    later.snapshot.last = later.base = {{3}, {2}};
    later.snapshot.membership = voters(3);
    later.last = {4};
    later.runs = {{{4}, {4}}};
    CHECK(first_after({{3}, {3}}, later) == Index{4});
    CHECK(first_after({{2}, {2}}, later) == Index{});
    CHECK(first_after({{5}, {1}}, later) == Index{});
}

TEST_CASE("what is left behind damage goes before what others have at its place") {
    const DetachedRun run{{{3}, {1}}, {{{4}, {2}}}, {4}};
    Core core = lacking({run});
    Output out;
    const auto take = [&](Input input) {
        core.step(Time{}, std::span(&input, 1), out);
        return core.log().last();
    };
    CHECK(take(lacking_entries({{2}, {1}}, entries(3, {1, 1}))) == LogPosition{{4}, {1}});
    REQUIRE(out.load_detached);
    CHECK(out.load_detached->first == Index{4});
    CHECK(take(DetachedLoaded{{4}, entries(4, {2})}) == LogPosition{{4}, {2}});
    CHECK(count(out, EventKind::log_truncated) == 1);
}

TEST_CASE("what is replaced in the same step is not read for who lacks it") {
    for (const bool replaced : {false, true}) {
        CAPTURE(replaced);
        Core core = lacking({});
        Output out;
        std::vector<Input> inputs{
            Message{{2}, {1}, VoteRequest{{4}, true, {{1}, {1}}, false, true}}};
        if (replaced) {
            inputs.push_back(
                Message{{3}, {1}, AppendRequest{{3}, {{1}, {1}}, {1}, 0, entries(2, {3})}});
        }
        core.step(Time{}, inputs, out);
        CHECK(loads_for_others(out).size() == (replaced ? 0 : 1));
    }
}

TEST_CASE("what cannot be read behind damage is not asked for again") {
    Core core = lacking({{{{2}, {1}}, {{{3}, {2}}}, {6}}});
    Output out;
    const auto take = [&](Input input) { core.step(Time{}, std::span(&input, 1), out); };
    take(Tick{});
    REQUIRE(out.load_detached);
    CHECK(out.load_detached->first == Index{3});
    take(Tick{});
    CHECK_FALSE(out.load_detached);
    take(DetachedLoaded{{3}, {}});
    CHECK_FALSE(out.load_detached);
    CHECK(core.log().last_index() == Index{2});
}

}  // namespace lost_entries_test
