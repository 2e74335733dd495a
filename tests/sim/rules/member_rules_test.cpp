// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules about members: what they let pass, and that they speak when they are broken.
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/node/comparison.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/durable_before_visible.hpp>
#include <rsm/sim/rules/foreign_disks.hpp>
#include <rsm/sim/rules/only_forward.hpp>
#include <rsm/sim/rules/outvoted_replicas.hpp>
#include <rsm/sim/rules/removed_fall_silent.hpp>
#include <rsm/sim/rules/severe_events.hpp>
#include <rsm/sim/rules/votes.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>

namespace member_rules_test {

namespace {

using namespace rsm::sim;
/// Node 1, with nothing in its log.
raft::Core first_node(const raft::Membership& founding) {
    return {raft::Options{}, {1}, founding, raft::Recovered{}, 1, {}};
}
raft::HardState voted(std::uint64_t term, raft::NodeId candidate) {
    raft::HardState state;
    state.term = {term};
    state.voted_for = candidate;
    return state;
}

}  // namespace

TEST_CASE("Removed fall silent: until they are started again") {
    const raft::Membership members = raft::Membership::of_voters({{1}, {2}});
    Chronicle chronicle(2);
    chronicle.founding = members;
    const raft::Core core = first_node(members);
    RemovedFallSilent rule(chronicle);
    CHECK_FALSE(rule.asks(core));
    rule.removed({1}, {4});
    CHECK_FALSE(rule.asks(core));  // in the midst of the work in which it has learned that
    rule.step(core);
    CHECK(rule.asks(core));
    rule.restarted({1});
    CHECK_FALSE(rule.asks(core));
}

TEST_CASE("Foreign disks: a start is refused, names both nodes and writes nothing") {
    const std::string both = "this says node 12 of a cluster, and this is a start of node 1";
    CHECK_FALSE(refuses_foreign_disk({1}, {12}, both, false));
    CHECK(refuses_foreign_disk({1}, {12}, both, true));
    CHECK(refuses_foreign_disk({1}, {12}, std::nullopt, false));
    CHECK(refuses_foreign_disk({1}, {2}, both, false));
    CHECK(refuses_foreign_disk({1}, {12}, "this says node 12", false));
}

TEST_CASE("An old copy excuses what was promised after it, and nothing else") {
    Votes votes(2);
    CHECK_FALSE(votes.cast({1}, {3}, {1}));
    CHECK_FALSE(votes.cast({1}, {4}, {1}));
    CHECK_FALSE(votes.cast({1}, {5}, {1}));
    votes.fell_back({1}, voted(4, {1}));
    CHECK(votes.cast({1}, {3}, {2}));
    CHECK(votes.cast({1}, {4}, {2}));
    CHECK_FALSE(votes.cast({1}, {5}, {2}));
    votes.fell_back({1}, voted(4, {}));
    CHECK_FALSE(votes.cast({1}, {4}, {2}));

    const raft::Core core = first_node(raft::Membership::of_voters({{1}}));
    OnlyForward forward(2);
    forward.spoke({1}, {5});
    CHECK(forward.restarted(core));
    forward.fell_back({1}, {});
    CHECK_FALSE(forward.restarted(core));

    DurableBeforeVisible durable(2, [](raft::NodeId) { return nullptr; });
    CHECK_FALSE(durable.acknowledged({}, {9}, core, nullptr));
    CHECK(durable.restarted(core));
    durable.fell_back({1}, {}, {1});
    CHECK(durable.restarted(core));
    durable.fell_back({1}, {}, {});
    CHECK_FALSE(durable.restarted(core));
}

TEST_CASE("Severe events: a lost acknowledgement needs a disk that has lost it") {
    raft::Event event;
    event.kind = raft::EventKind::acknowledgement_lost;
    event.node = {2};
    CHECK(severe_event({1}, event, false));
    CHECK_FALSE(severe_event({1}, event, true));
    event.kind = raft::EventKind::protocol_violation;
    CHECK(severe_event({1}, event, true));
}

TEST_CASE("Outvoted replicas: who stops has another state, and who has another state stops") {
    OutvotedReplicas rule;
    CHECK(rule.stops({1}, 3));
    raft::Event event;
    event.kind = raft::EventKind::states_differ;
    event.node = {2};
    CHECK(rule.event({1}, event));
    rule.state({2}, 4);
    CHECK(rule.any_flaw());
    CHECK_FALSE(rule.event({1}, event));
    CHECK_FALSE(rule.stops({2}, 3));
    CHECK(rule.times({2}) == 1);
    CHECK(rule.stops({3}, 3));
    rule.state({1}, 4);  // by a snapshot: now the third one is outvoted
    CHECK_FALSE(rule.stops({3}, 3));
    rule.state({1}, 0);
    CHECK_FALSE(rule.stops({3}, 3));  // it may have been outvoted when that was there
    rule.state({2}, 0);
    CHECK_FALSE(rule.any_flaw());
    CHECK_FALSE(rule.event({1}, event));  // what is late
    event.kind = raft::EventKind::leader_known;
    CHECK_FALSE(OutvotedReplicas().event({1}, event));

    CHECK(OutvotedReplicas::is_about(rsm::detail::outvoted_sentence({{1}, {2}, {3}, 4, 5})));
    const raft::Membership voters = raft::Membership::of_voters({{1}, {2}, {3}});
    CHECK_FALSE(OutvotedReplicas::outvoted(voters, {{{1}, 7}, {{2}, 7}, {{3}, 7}}));
    CHECK(OutvotedReplicas::outvoted(voters, {{{1}, 7}, {{2}, 8}, {{3}, 7}}) == raft::NodeId{2});
    CHECK_FALSE(OutvotedReplicas::outvoted(voters, {{{1}, 7}, {{2}, 8}, {{3}, 9}}));
    CHECK_FALSE(OutvotedReplicas::outvoted(voters, {{{1}, 7}, {{2}, 8}}));
    CHECK(OutvotedReplicas::outvoted(voters, {{{1}, 7}, {{2}, 7}, {{4}, 8}}) == raft::NodeId{4});
}

}  // namespace member_rules_test
