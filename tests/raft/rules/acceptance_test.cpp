// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a follower takes into its log, and what it answers: Raft paper, section 5.3 with Figure 2.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace acceptance_test {

namespace {

using namespace raft;
using namespace raft::test;

/// A follower (node 1 of 3) in term 5 with this log on disk.
Core follower(std::vector<std::uint64_t> terms) {
    return Core({}, NodeId{1}, voters(3),
                recovered({Term{5}, {}, {}}, entries(1, std::move(terms))), 1, Time{});
}
Input append(std::uint64_t previous, std::uint64_t previous_term, std::vector<std::uint64_t> terms,
             std::uint64_t commit = 0, std::uint64_t term = 5) {
    return message(2, 1,
                   AppendRequest{Term{term},
                                 {Index{previous}, Term{previous_term}},
                                 Index{commit},
                                 0,
                                 entries(previous + 1, std::move(terms))});
}
AppendReply reply_of(const Output& output) { return only<AppendReply>(output); }

}  // namespace

TEST_CASE("entries that follow are appended, and acknowledged once durable (rule 4)") {
    Core core = follower({1, 1});
    const Output output = core.step(Time{}, append(2, 1, {5, 5}));
    CHECK(terms_of(core) == std::vector<std::uint64_t>{1, 1, 5, 5});
    REQUIRE(output.write);
    CHECK(output.write->entries == entries(3, {5, 5}));
    CHECK(output.send.empty());
    REQUIRE(output.send_after.size() == 1);
    CHECK(output.send_after.front().after == output.write->id);
    CHECK(reply_of(output).accepted);
    CHECK(reply_of(output).index == Index{4});
}

TEST_CASE("a heartbeat is answered while a write is under way, with what is durable") {
    Core core = follower({1, 1});
    core.step(Time{}, append(2, 1, {5}));
    const Output output = core.step(Time{}, append(3, 5, {}));
    CHECK(output.send.size() == 1);
    CHECK(reply_of(output).accepted);
    CHECK(reply_of(output).index == Index{2});
    core.step(Time{}, Persisted{WriteId{1}});
    CHECK(reply_of(core.step(Time{}, append(3, 5, {}))).index == Index{3});
}

TEST_CASE("an entry that came before but is not durable yet is acknowledged with its write") {
    Core core = follower({});
    const Output first = core.step(Time{}, append(0, 0, {5}));
    const Output again = core.step(Time{}, append(0, 0, {5}));
    CHECK(!again.write);
    CHECK(again.send.empty());
    REQUIRE(again.send_after.size() == 1);
    CHECK(again.send_after.front().after == first.write->id);
}

TEST_CASE("a request that does not follow is refused, and nothing changes (rule 2)") {
    Core core = follower({1, 1, 4});
    const auto before = terms_of(core);
    SUBCASE("beyond the end") { CHECK(!reply_of(core.step(Time{}, append(7, 5, {5}))).accepted); }
    SUBCASE("after an entry of another term") {
        CHECK(!reply_of(core.step(Time{}, append(3, 3, {5}))).accepted);
    }
    CHECK(terms_of(core) == before);
}

TEST_CASE("a refusal says where the logs may agree, a whole term further back (5.3)") {
    Core core = follower({1, 1, 4, 4, 4});
    const AppendReply conflict = reply_of(core.step(Time{}, append(5, 3, {})));
    CHECK(conflict.index == Index{5});
    CHECK(conflict.hint == LogPosition{Index{2}, Term{1}});
    const AppendReply beyond = reply_of(core.step(Time{}, append(9, 5, {})));
    CHECK(beyond.hint == LogPosition{Index{5}, Term{4}});
}

TEST_CASE("a conflicting entry and all that follow it are deleted (rule 3)") {
    Core core = follower({1, 2, 2, 2});
    const Output output = core.step(Time{}, append(1, 1, {3}));
    CHECK(terms_of(core) == std::vector<std::uint64_t>{1, 3});
    CHECK(count(output, EventKind::log_truncated) == 1);
    CHECK(output.write->entries == entries(2, {3}));
}

TEST_CASE("entries that are there already are not deleted, nor what follows them (rule 3)") {
    Core core = follower({1, 2, 2, 3});
    const Output output = core.step(Time{}, append(1, 1, {2}));
    CHECK(terms_of(core) == std::vector<std::uint64_t>{1, 2, 2, 3});
    CHECK(!output.write);
    CHECK(reply_of(output).index == Index{2});
    CHECK(count(output, EventKind::log_truncated) == 0);
}

TEST_CASE("a late request does not cut off what a newer one has brought") {
    Core core = follower({1});
    core.step(Time{}, append(1, 1, {5, 5, 5}));
    core.step(Time{}, append(1, 1, {5}));
    CHECK(core.log().last_index() == Index{4});
}

TEST_CASE("commitment follows the leader's, but not past what has been compared (rule 5)") {
    Core core = follower({1, 1, 1});
    core.step(Time{}, append(1, 1, {}, 3));
    CHECK(core.log().commit() == Index{1});
    core.step(Time{}, append(3, 1, {}, 2));
    CHECK(core.log().commit() == Index{2});
    core.step(Time{}, append(3, 1, {}, 1));
    CHECK(core.log().commit() == Index{2});
    core.step(Time{}, append(3, 1, {5}, 9));
    CHECK(core.log().commit() == Index{4});
}

TEST_CASE("a request that begins before the commit index is compared behind it") {
    Core core = follower({1, 1, 1});
    core.step(Time{}, append(3, 1, {}, 3));
    const Output output = core.step(Time{}, append(1, 1, {1, 1, 5}));
    CHECK(core.log().last_index() == Index{4});
    CHECK(reply_of(output).index == Index{4});
    CHECK(reply_of(core.step(Time{}, append(0, 0, {1}))).index == Index{3});
}

TEST_CASE("the refusal of a request of an earlier term says nothing but the term (rule 1)") {
    // Its sender may lead the present term, with a log that is shorter than when it asked.
    Core core = follower({1, 3});
    const Output output = core.step(
        Time{}, message(3, 1, AppendRequest{Term{2}, {Index{23}, Term{2}}, Index{0}, 7, {}}));
    CHECK_FALSE(reply_of(output).accepted);
    CHECK(reply_of(output).term == core.term());
    CHECK(reply_of(output).index == Index{0});
    CHECK(reply_of(output).round == 0);
}

TEST_CASE("terms that fall along a request are a violation and are not taken in") {
    Core core = follower({1, 3});
    const Output falling = core.step(Time{}, append(2, 3, {4, 2}));
    CHECK(count(falling, EventKind::protocol_violation) == 1);
    const Output future = core.step(Time{}, append(2, 3, {6}));
    CHECK(count(future, EventKind::protocol_violation) == 1);
    CHECK(core.log().last_index() == Index{2});
}

TEST_CASE("an acknowledgement does not vouch for entries that were replaced before their write") {
    Core core = follower({1});
    const Output first = core.step(Time{}, append(1, 1, {5, 5}));
    const Output second = core.step(
        Time{},
        message(3, 1, AppendRequest{Term{6}, {Index{1}, Term{1}}, {}, 0, entries(2, {6, 6})}));
    core.step(Time{}, Persisted{first.write->id});
    CHECK(core.log().durable() == Index{1});
    // The term of the second request is not durable either.
    const Output heartbeat =
        core.step(Time{}, message(3, 1, AppendRequest{Term{6}, {Index{3}, Term{6}}, {}, 0, {}}));
    CHECK(heartbeat.send.empty());
    CHECK(reply_of(heartbeat).index == Index{1});
    core.step(Time{}, Persisted{second.write->id});
    CHECK(core.log().durable() == Index{3});
}

}  // namespace acceptance_test
