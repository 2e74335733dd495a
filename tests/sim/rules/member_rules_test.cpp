// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules about members: what they let pass, and that they speak when they are broken.
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/durable_before_visible.hpp>
#include <rsm/sim/rules/foreign_disks.hpp>
#include <rsm/sim/rules/member_majorities.hpp>
#include <rsm/sim/rules/only_forward.hpp>
#include <rsm/sim/rules/only_voters_stand.hpp>
#include <rsm/sim/rules/removed_fall_silent.hpp>
#include <rsm/sim/rules/severe_events.hpp>
#include <rsm/sim/rules/votes.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace member_rules_test {

namespace {

using namespace rsm::sim;
using raft::Standing;

constexpr raft::Instance own{70};
constexpr raft::Instance another{71};

raft::Membership of(std::initializer_list<raft::Member> members) { return {members}; }
/// Node 1, with nothing in its log, as the instance `own`.
raft::Core first_node(const raft::Membership& founding) {
    return {raft::Options{}, {1}, founding, raft::Recovered{}, 1, {}, own};
}
raft::HardState voted(std::uint64_t term, raft::NodeId candidate) {
    raft::HardState state;
    state.term = {term};
    state.voted_for = candidate;
    return state;
}

}  // namespace

TEST_CASE("Member majorities: an election takes the old voters and the new ones") {
    const raft::Membership joint = of({{{1}, Standing::voter, {}, {}},
                                       {{2}, Standing::outgoing, {}, {}},
                                       {{3}, Standing::outgoing, {}, {}},
                                       {{4}, Standing::incoming, {}, {}},
                                       {{5}, Standing::incoming, another, {}},
                                       {{6}, Standing::learner, {}, {}}});
    const Chronicle chronicle(6, joint);
    const raft::Core core = first_node(joint);
    MemberMajorities rule(chronicle);
    rule.granted({6}, own, core.term(), {1});
    rule.granted({4}, own, core.term(), {1});
    const Broken old = rule.elected(core);
    REQUIRE(old);
    CHECK(old->where == "node 1 leads term 0 without a majority of the old voters");
    rule.granted({2}, own, core.term(), {1});
    CHECK_FALSE(rule.elected(core));

    MemberMajorities other(chronicle);
    other.granted({2}, own, core.term(), {1});
    other.granted({3}, own, core.term(), {1});
    other.granted({4}, own, core.term(), {2});  // for somebody else
    other.granted({5}, own, core.term(), {1});  // of another instance than the member
    const Broken broken = other.elected(core);
    REQUIRE(broken);
    CHECK(broken->where == "node 1 leads term 0 without a majority of the new voters");
    other.granted({5}, another, core.term(), {1});
    CHECK_FALSE(other.elected(core));
}

TEST_CASE("Member majorities: what is committed was acknowledged in the leader's term") {
    const raft::Membership three = raft::Membership::of_voters({{1}, {2}, {3}});
    const Chronicle chronicle(3, three);
    const raft::Core core = first_node(three);  // which holds nothing durably
    MemberMajorities rule(chronicle);
    rule.acknowledged({2}, own, {5}, {8});
    rule.acknowledged({3}, own, {4}, {8});
    rule.acknowledged({3}, own, {5}, {7});
    CHECK_FALSE(rule.committed(core, Look{}, {7}, {5}));
    CHECK(rule.committed(core, Look{}, {8}, {5}));
    rule.acknowledged({3}, own, {5}, {8});
    CHECK_FALSE(rule.committed(core, Look{}, {8}, {5}));
    rule.forgot({3});
    CHECK(rule.committed(core, Look{}, {8}, {5}));
}

TEST_CASE("Only voters stand: neither learners nor those in whose place another is") {
    const auto may_stand = [](const raft::Member& member) {
        const raft::Membership membership = of({member, {{2}, Standing::voter, {}, {}}});
        const Chronicle chronicle(2, membership);
        const raft::Core core = first_node(membership);
        const bool stands = !only_voters_stand(core, chronicle);
        CHECK(stands == !only_voters_lead(core, chronicle));
        return stands;
    };
    for (const Standing standing : {Standing::voter, Standing::incoming, Standing::outgoing,
                                    Standing::demoted, Standing::suspended}) {
        CHECK(may_stand({{1}, standing, own, {}}));
        CHECK(may_stand({{1}, standing, {}, {}}));
        CHECK_FALSE(may_stand({{1}, standing, another, {}}));
    }
    CHECK_FALSE(may_stand({{1}, Standing::learner, own, {}}));
    CHECK_FALSE(may_stand({{1}, Standing::returning, own, {}}));
    CHECK_FALSE(may_stand({{3}, Standing::voter, own, {}}));
}

TEST_CASE("Removed fall silent: until they are started again") {
    const raft::Membership members = raft::Membership::of_voters({{1}, {2}});
    const Chronicle chronicle(2, members);
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

}  // namespace member_rules_test
