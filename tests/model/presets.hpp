// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Explorations that are worth having, each with a name and a bound at which it stops.
#ifndef RSM_TESTS_MODEL_PRESETS_HPP
#define RSM_TESTS_MODEL_PRESETS_HPP

#include "setup.hpp"

#include <cstdint>
#include <string>
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
    detail::add_endless(made);
    return made;
}

}  // namespace model

#endif
