// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// An old copy of a directory has lost votes as well as entries, and no file tells: whoever has lost
// what it acknowledged is a learner until it has caught up, if the others can do without its vote.
#include "membership_support.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

namespace old_copies_test {

using namespace membership_support;

struct Copies : Changing {
    explicit Copies(std::uint64_t founders = 3, std::uint64_t others = 0)
        : Changing(founders, others) {
        expected_events = {EventKind::acknowledgement_lost};
        elect(1);
        run(milliseconds(300));
    }
    void keep_copies() {
        for (std::uint64_t id = 1; id <= size(); ++id) copies_.push_back(node(id).durable);
    }
    void fall_back(std::uint64_t id) {
        crash(id);
        node(id).durable = copies_.at(id - 1);
        restart(id);
    }
    void propose_ten() {
        for (int i = 0; i < 10; ++i) propose(1, "operation");
        run(milliseconds(1000));
    }
    /// As the leader has it.
    Standing standing(std::uint64_t id) {
        const std::uint64_t at = leader();
        const Member* const member = at == 0 ? nullptr : core(at).membership().find({id});
        return member == nullptr ? Standing{} : member->standing;
    }
    std::size_t voters() {
        std::size_t count = 0;
        for (std::uint64_t id = 1; id <= size(); ++id) count += standing(id) == Standing::voter;
        return count;
    }
    Index match(std::uint64_t id) {
        const auto followers = core(1).followers();
        const auto found = std::ranges::find(followers, NodeId{id}, &Progress::node);
        return found == followers.end() ? Index{} : found->match;
    }

private:
    std::vector<Disk> copies_;
};

TEST_CASE("a node that has lost what it acknowledged is a learner until it has caught up") {
    Copies cluster;
    cluster.keep_copies();
    cluster.propose_ten();
    cluster.fall_back(3);
    std::vector<Standing> seen{cluster.standing(3)};
    for (int i = 0; i < 2000; ++i) {
        cluster.run(milliseconds(1));
        if (cluster.standing(3) != seen.back()) seen.push_back(cluster.standing(3));
        if (seen.back() == Standing::returning) CHECK(cluster.match(3) >= Index{11});
    }
    CHECK(seen == std::vector{Standing::voter, Standing::returning, Standing::voter});
    CHECK(cluster.seen(EventKind::acknowledgement_lost) == 1);
    CHECK(cluster.failure == "");
}

TEST_CASE("a vote is not taken where another voter is away, but when that is there again") {
    Copies cluster;
    cluster.keep_copies();
    cluster.crash(2);
    cluster.propose_ten();
    cluster.fall_back(3);
    cluster.run(milliseconds(2000));
    CHECK(cluster.standing(3) == Standing::voter);
    CHECK(cluster.serves(1));
    cluster.restart(2);
    REQUIRE(cluster.run_until([&] { return cluster.standing(3) == Standing::returning; },
                              milliseconds(2000)));
    cluster.run(milliseconds(2000));
    CHECK(cluster.standing(3) == Standing::voter);
    CHECK(cluster.failure == "");
}

/// With 5 away the change waits, while 4 is as far as the leader.
TEST_CASE("a newcomer that loses what it has caught up with gets no vote before it has it again") {
    Copies cluster(3, 2);
    const auto is_cut = [](const Message& m) { return m.to == NodeId{5} || m.from == NodeId{5}; };
    cluster.lost = is_cut;
    const Token token = cluster.ask(1, of({1, 2, 3, 4, 5}));
    cluster.run(milliseconds(100));
    cluster.keep_copies();
    cluster.propose_ten();
    REQUIRE(cluster.standing(4) == Standing::learner);
    REQUIRE(cluster.match(4) == cluster.core(1).log().last_index());
    const Index before = cluster.match(4);
    const auto gives_nothing = [](const Message& m) {
        const auto* const request = std::get_if<AppendRequest>(&m.body);
        return m.to == NodeId{4} && request != nullptr && !request->entries.empty();
    };
    cluster.lost = [&](const Message& m) { return is_cut(m) || gives_nothing(m); };
    cluster.fall_back(4);
    REQUIRE(cluster.run_until([&] { return cluster.seen(EventKind::acknowledgement_lost) == 1; },
                              milliseconds(400)));
    REQUIRE(cluster.match(4) < before);
    cluster.lost = gives_nothing;
    cluster.run(milliseconds(1000));
    CHECK(cluster.match(5) >= before);
    CHECK(!cluster.core(1).membership().joint());
    CHECK(cluster.standing(4) == Standing::learner);
    cluster.lost = nullptr;
    REQUIRE(
        cluster.run_until([&] { return cluster.result(token).has_value(); }, milliseconds(5000)));
    CHECK(*cluster.result(token) == ChangeResult::done);
    CHECK(cluster.standing(4) == Standing::voter);
    CHECK(cluster.failure == "");
}

/// Being heard is not acknowledging.
TEST_CASE("a vote is not taken where another voter is heard and its disk hangs") {
    Copies cluster;
    cluster.keep_copies();
    cluster.node(2).disk_stalled = true;
    cluster.propose_ten();
    cluster.fall_back(3);
    cluster.run(milliseconds(5000));
    CHECK(cluster.standing(3) == Standing::voter);
    CHECK(cluster.serves(1));
}

TEST_CASE("a vote is not taken where another voter is far behind") {
    Copies cluster;
    cluster.keep_copies();
    cluster.crash(2);
    cluster.propose_ten();
    cluster.fall_back(3);
    cluster.run(milliseconds(2000));
    cluster.restart(2);
    cluster.lost = [](const Message& message) {
        const auto* const request = std::get_if<AppendRequest>(&message.body);
        return message.to == NodeId{2} && request != nullptr && !request->entries.empty();
    };
    cluster.run(milliseconds(30000));
    CHECK(cluster.leader() == 1);
    CHECK(cluster.serves(1));
}

TEST_CASE("a pause of the leader does not make a dead voter one that can be counted on") {
    Copies cluster;
    cluster.keep_copies();
    cluster.propose_ten();
    cluster.crash(2);
    cluster.fall_back(3);
    REQUIRE(cluster.run_until([&] { return cluster.seen(EventKind::acknowledgement_lost) == 1; },
                              milliseconds(400)));
    cluster.now = cluster.core(1).deadline() + milliseconds(1000);
    cluster.step(1, Tick{});
    cluster.run(milliseconds(30000));
    REQUIRE(cluster.leader() != 0);
    CHECK(cluster.serves(cluster.leader()));
}

TEST_CASE("of those who are to vote most do at any time, however many have lost something") {
    std::uint64_t nodes = 3;
    SUBCASE("three") {}
    SUBCASE("five") { nodes = 5; }
    Copies cluster(nodes);
    cluster.keep_copies();
    cluster.propose_ten();
    for (std::uint64_t id = 2; id <= nodes; ++id) cluster.fall_back(id);
    std::size_t least = nodes;
    for (int i = 0; i < 10000; ++i) {
        cluster.run(milliseconds(1));
        if (cluster.leader() == 1) least = std::min(least, cluster.voters());
    }
    CHECK(least > nodes / 2);
    CHECK(cluster.leader() != 0);
    CHECK(cluster.voters() == nodes);
}

TEST_CASE("a learner that has lost something is a voter for good when it is promoted") {
    Copies cluster(3, 1);
    REQUIRE(cluster.change(1, of({1, 2, 3}, {4})) == ChangeResult::done);
    cluster.keep_copies();
    cluster.propose_ten();
    cluster.fall_back(4);
    cluster.run(milliseconds(60000));
    REQUIRE(cluster.change(1, of({1, 2, 3, 4})) == ChangeResult::done);
    for (int i = 0; i < 3000; ++i) {
        cluster.run(milliseconds(1));
        REQUIRE(cluster.standing(4) == Standing::voter);
    }
}

TEST_CASE("leadership is not passed to one that has lost what it acknowledged") {
    Copies cluster;
    Membership target = cluster.core(1).membership();
    target.put({{3}, Standing::voter, {}, {}, 2});
    REQUIRE(cluster.change(1, target) == ChangeResult::done);
    cluster.keep_copies();
    cluster.crash(2);
    cluster.propose_ten();
    cluster.fall_back(3);
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 1);
    cluster.restart(2);
    cluster.run(milliseconds(10000));
    CHECK(cluster.leader() == 3);
    CHECK(cluster.standing(3) == Standing::voter);
}

/// Even where the leader is asked to, and in the moment before it is sure of the loss.
TEST_CASE("nobody who may have lost what it acknowledged is asked to lead") {
    Copies cluster;
    cluster.keep_copies();
    cluster.crash(2);
    cluster.propose_ten();
    cluster.fall_back(3);
    REQUIRE(cluster.run_until([&] { return cluster.seen(EventKind::acknowledgement_lost) == 1; },
                              milliseconds(500)));
    cluster.run(milliseconds(1000));
    cluster.step(1, HandOver{7, {3}, milliseconds(500)});
    cluster.step(1, HandOver{8, {}, milliseconds(500)});
    const std::vector<HandoverOutcome> expected{{7, HandoverResult::no_successor},
                                                {8, HandoverResult::no_successor}};
    CHECK(cluster.handovers == expected);
    CHECK(cluster.serves(1));
}

TEST_CASE("of two voters one that has caught up again may lead") {
    Copies cluster(2);
    cluster.keep_copies();
    cluster.propose_ten();
    cluster.fall_back(2);
    cluster.run(milliseconds(3000));
    REQUIRE(cluster.seen(EventKind::acknowledgement_lost) == 1);
    cluster.step(1, HandOver{7, {2}, milliseconds(500)});
    cluster.run(milliseconds(100));
    CHECK(cluster.leader() == 2);
}

}  // namespace old_copies_test
