// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Explorations that are worth having, each with a name and a bound at which it stops.
#ifndef RSM_TESTS_MODEL_PRESETS_HPP
#define RSM_TESTS_MODEL_PRESETS_HPP

#include "setup.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace model {

struct Preset {
    std::string name;
    std::string what;
    Setup setup;
};

namespace detail {

inline Setup base(DiskMode disk, std::uint32_t terms, std::uint32_t operations) {
    Setup setup;
    setup.disk = disk;
    setup.terms = terms;
    setup.operations = operations;
    setup.keep_messages = true;
    setup.heartbeats = 0;
    setup.states = 2500000;
    return setup;
}

/// Those that would end by themselves, most of them beyond that number of states.
inline std::vector<Preset> finite() {
    std::vector<Preset> made;
    const auto add = [&made](const char* name, const char* what, const Setup& setup) -> Setup& {
        made.push_back({name, what, setup});
        return made.back().setup;
    };
    add("elections", "votes and terms over a crash, on a disk that takes its time",
        base(DiskMode::joined, 2, 0))
        .crashes = 1;
    add("terms", "three terms of leaders and their barriers", base(DiskMode::instant, 3, 0));

    Setup& replication =
        add("replication", "two operations over three terms", base(DiskMode::instant, 3, 2));
    replication.lose_stale = true;

    Setup& crashes =
        add("crashes", "two operations over two terms and a crash", base(DiskMode::instant, 2, 2));
    crashes.lose_stale = true;
    crashes.crashes = 1;

    Setup& split = add("split-disk", "a write that is done, and not known to be, over a crash",
                       base(DiskMode::split, 1, 1));
    split.crashes = 1;

    Setup& snapshots = add("snapshots", "a snapshot taken, sent and installed, over a crash",
                           base(DiskMode::instant, 2, 1));
    snapshots.lose_stale = true;
    snapshots.crashes = 1;
    snapshots.snapshots = 1;

    Setup& reads =
        add("reads", "a linearizable read while leaders change", base(DiskMode::instant, 2, 1));
    reads.lose_stale = true;
    reads.reads = 1;

    Setup& heartbeats = add("heartbeats", "an operation, and a heartbeat at any moment",
                            base(DiskMode::instant, 2, 1));
    heartbeats.lose_stale = true;
    heartbeats.heartbeats = 1;

    Setup& checks = add("pre-vote", "pre-votes, and leaders that check their quorum",
                        base(DiskMode::instant, 2, 0));
    checks.lose_stale = true;
    checks.heartbeats = 1;
    checks.pre_vote = true;
    checks.check_quorum = true;

    Setup& figure = add("figure-8", "entries of earlier terms on a quorum (Raft paper, Figure 8)",
                        base(DiskMode::instant, 4, 0));
    figure.lose_stale = true;
    figure.one_entry_messages = true;

    Setup& single =
        add("single", "one node, with all that may happen to it", base(DiskMode::split, 4, 2));
    single.nodes = 1;
    single.crashes = 3;
    single.reads = 1;
    single.snapshots = 2;
    single.heartbeats = unbounded;

    Setup& pair = add("pair", "two nodes, a disk in steps, an operation, a read and a crash",
                      base(DiskMode::split, 2, 1));
    pair.nodes = 2;
    pair.crashes = 1;
    pair.reads = 1;
    return made;
}

/// Changes of members. The links are what is bounded: there is no end to what a heartbeat may find
/// on its way otherwise.
inline void add_changes(std::vector<Preset>& made) {
    const auto add = [&made](const char* name, const char* what, std::uint32_t founders,
                             std::vector<std::uint32_t> target, Setup setup) -> Setup& {
        setup.founders = founders;
        setup.nodes = std::max(founders, target.back());
        setup.target = std::move(target);
        setup.changes = 1;
        setup.keep_messages = false;
        made.push_back({name, what, std::move(setup)});
        return made.back().setup;
    };
    Setup& grown = add("change-1-to-2", "a second node joins, over crashes of both", 1, {1, 2},
                       base(DiskMode::joined, 2, 0));
    grown.heartbeats = 2;
    grown.crashes = 2;
    grown.lapses = 1;

    Setup& back = add("change-1-to-2-to-1", "a second node joins and leaves again, over a crash", 1,
                      {1, 2}, base(DiskMode::joined, 2, 0));
    back.changes = 2;
    back.heartbeats = unbounded;
    back.lapses = unbounded;
    back.crashes = 1;
    back.newest_only = true;

    Setup& replaced = add("change-1-to-1", "another takes the place of the only node, over a crash",
                          1, {2}, base(DiskMode::instant, 3, 0));
    replaced.heartbeats = 3;
    replaced.crashes = 1;
    replaced.lapses = 1;

    const auto bound_links = [](Setup& setup, Start start) {
        setup.start = start;
        setup.lose_stale = true;
        setup.newest_only = true;
        setup.heartbeats = 1;
    };
    Setup& joins = add("change-one-joins", "another takes the place of one of three: it catches up",
                       3, {1, 2, 4}, base(DiskMode::instant, 2, 0));
    bound_links(joins, Start::led);
    joins.lapses = 1;

    Setup& swapped = add("change-one-of-3", "another takes the place of one of three: joint or not",
                         3, {1, 2, 4}, base(DiskMode::instant, 2, 0));
    bound_links(swapped, Start::introduced);
    swapped.states = 3200000;

    Setup& undone =
        add("change-undone", "memberships that are truncated, and who stands after that", 3,
            {1, 2, 4}, base(DiskMode::instant, 3, 0));
    bound_links(undone, Start::introduced);
    undone.heartbeats = 0;
    undone.states = 1000000;

    Setup& all = add("change-3-to-3", "three others take the places of three: joint or not", 3,
                     {4, 5, 6}, base(DiskMode::instant, 2, 0));
    bound_links(all, Start::introduced);
    all.states = 1000000;
}

/// Those that go on for as long as they may.
inline void add_endless(std::vector<Preset>& made) {
    constexpr std::uint64_t taste = 500000;
    Setup durability = base(DiskMode::split, 2, 1);
    durability.crashes = 1;
    durability.states = taste;
    made.push_back({"durability", "an operation on a disk in steps, over a crash", durability});

    Setup all = base(DiskMode::joined, 3, 2);
    all.crashes = 2;
    all.reads = 1;
    all.snapshots = 1;
    all.heartbeats = unbounded;
    all.states = taste;
    made.push_back({"everything", "all at once, as deep as it goes", all});

    Setup five = base(DiskMode::instant, 2, 1);
    five.nodes = 5;
    five.lose_stale = true;
    five.states = taste;
    made.push_back({"five", "five nodes, two terms and an operation", five});
}

}  // namespace detail

/// The finite ones first: what they leave of a given time, the others use.
inline std::vector<Preset> presets() {
    std::vector<Preset> made = detail::finite();
    detail::add_changes(made);
    detail::add_endless(made);
    return made;
}

}  // namespace model

#endif
