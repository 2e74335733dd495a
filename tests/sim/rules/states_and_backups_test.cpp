// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules of states that machines keep on disk, and of states that nodes hand out.
#include <rsm/sim/rules/backups.hpp>
#include <rsm/sim/rules/chronicle.hpp>
#include <rsm/sim/rules/states_on_disk.hpp>

#include <doctest/doctest.h>

#include <optional>

namespace states_and_backups_test {

using namespace rsm::sim;

TEST_CASE("a state on disk is given what comes next, once it is durable, and nothing else") {
    const raft::NodeId node{1};
    CHECK_FALSE(takes_in_once(node, {{4}, {1}}, {{5}, {1}}, raft::Index{5}));
    CHECK_FALSE(takes_in_once(node, {{4}, {1}}, {{5}, {1}}, std::nullopt));
    CHECK(takes_in_once(node, {{5}, {1}}, {{5}, {1}}, raft::Index{5}));
    CHECK(takes_in_once(node, {{4}, {1}}, {{5}, {1}}, raft::Index{4}));
    CHECK_FALSE(restores_what_is_newer(node, {{4}, {1}}, {{5}, {1}}));
    CHECK(restores_what_is_newer(node, {{5}, {1}}, {{5}, {1}}));
}

TEST_CASE(
    "a backup is a state of the history, with what it was asked for and the members of then") {
    Chronicle chronicle(3);
    chronicle.committed = {{1}, {1}, {2}};
    const raft::Membership founding = raft::Membership::of_voters({{1}});
    const raft::Membership later = raft::Membership::of_voters({{1}, {2}});
    chronicle.founding = founding;
    chronicle.memberships[{{2}, {1}}] = later;
    chronicle.memberships[{{3}, {1}}] = founding;  // of an entry that was replaced
    const TakenBackup sound{{2}, {3}, 2, {{3}, {2}}, later, 2, 77};
    CHECK_FALSE(backup_is_sound(sound, 77, chronicle));
    CHECK(backup_is_sound(sound, 78, chronicle));
    const auto wrong = [&](auto change) {
        TakenBackup other = sound;
        change(other);
        return backup_is_sound(other, 77, chronicle).has_value();
    };
    CHECK(wrong([](TakenBackup& one) { one.at_least = {4}; }));
    CHECK(wrong([](TakenBackup& one) { one.operations = 3; }));
    CHECK(wrong([](TakenBackup& one) { one.last = {{4}, {2}}; }));
    CHECK(wrong([](TakenBackup& one) { one.last.term = {1}; }));
    CHECK(wrong([&](TakenBackup& one) { one.membership = founding; }));
}

}  // namespace states_and_backups_test
