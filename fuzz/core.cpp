// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Cores that are told well-formed messages which a minority of the members makes up. None of them
// ends a node or makes it break what it can keep alone; what promises nothing does no harm to
// anybody; and when the liars fall silent, the others elect a leader and go on.
#include "support/finding.hpp"
#include "support/input.hpp"
#include "support/lied_to.hpp"
#include "support/lies.hpp"

#include <raft/core.hpp>
#include <raft/proof/invariants.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace fuzz::core_input {
namespace {

void lie(Input& input, LiedTo& cluster, bool harmless) {
    const std::uint64_t liars = cluster.members().members.size() - cluster.honest();
    const std::uint64_t liar = cluster.honest() + 1 + input.below(liars);
    const std::uint64_t target = 1 + input.below(cluster.honest());
    auto message = Liar(input, cluster.core(target), harmless).message({liar});
    if (message) cluster.step(target, std::move(*message));
}

void act(Input& input, LiedTo& cluster, bool harmless) {
    const std::uint64_t id = 1 + input.below(cluster.honest());
    switch (input.below(16)) {
        case 0: return cluster.persist(id);
        case 1: return cluster.answer(id);
        case 2: return cluster.tick();
        case 3: return cluster.settle();
        case 4: return cluster.run(std::chrono::milliseconds(10 * input.byte()));
        case 5: return cluster.step(id, raft::Propose{1, raft::test::text(input.text(3))});
        case 6: return cluster.step(id, raft::ReadIndex{2});
        case 7: return cluster.take_snapshot(id);
        case 8: return cluster.crash(id, input.below(4));
        case 9: return cluster.step(id, raft::HandOver{3, {1 + input.below(5)}});
        case 10:
            if (!cluster.bag.empty()) cluster.deliver(input.below(cluster.bag.size()));
            return;
        default: return lie(input, cluster, harmless);
    }
}

/// Whether all have the members that there were, and logs that can become one.
bool can_agree(LiedTo& cluster) {
    const auto cores = cluster.cores();
    for (const raft::Core* one : cores) {
        // It was told to be another one, or no member any more, which it says.
        const raft::Configuration& configuration = one->configuration();
        if (!configuration.is_founder() || configuration.is_excluded()) return false;
        for (const raft::Member& member : cluster.members().members) {
            const raft::Member* const present = one->membership().find(member.id);
            if (present == nullptr || present->standing != raft::Standing::voter) return false;
            const bool is_honest = member.id.value <= cluster.honest();
            const raft::Instance own{100 + member.id.value};
            const bool is_other = present->instance && present->instance != own;
            if (is_honest && is_other) return false;
        }
        if (one->membership().members.size() != cluster.members().members.size()) return false;
        for (const raft::Core* other : cores) {
            if (raft::invariants::state_machine_safety(*one, *other)) return false;
            if (raft::invariants::log_matching(*one, *other)) return false;
            // Made-up snapshots took one where the other does not believe that a log can be.
            const std::uint64_t ahead = one->log().last_index().value;
            if (ahead > other->log().last_index().value + raft::max_index_step) return false;
        }
    }
    return true;
}

std::uint64_t leader(LiedTo& cluster) {
    for (std::uint64_t id = 1; id <= cluster.honest(); ++id) {
        if (cluster.core(id).role() == raft::Role::leader) return id;
    }
    return 0;
}

std::string describe(LiedTo& cluster) {
    std::string text;
    for (const raft::Core* core : cluster.cores()) {
        const raft::Log& log = core->log();
        const auto say = [&text](const char* what, std::uint64_t value) {
            text += what + std::to_string(value);
        };
        say("node ", core->self().value);
        say(": role ", static_cast<std::uint64_t>(core->role()));
        say(", term ", core->term().value);
        say(", log from ", log.base().index.value);
        say(" to ", log.last_index().value);
        say("@", log.last().term.value);
        say(", committed ", log.commit().value);
        say(", applied ", log.applied().value);
        text += ", members";
        for (const raft::Member& member : core->membership().members) {
            say(" ", member.id.value);
            say("/", static_cast<std::uint64_t>(member.standing));
            say("/", member.instance.value);
        }
        if (core->configuration().is_unrecognized()) text += ", unrecognized";
        if (core->configuration().is_excluded()) text += ", excluded";
        if (core->disk().stalled) text += ", disk stalled";
        if (!log.is_whole()) text += ", lacks entries";
        text += '\n';
    }
    return text;
}

/// The liars are silent: whether something can be committed soon.
bool goes_on(LiedTo& cluster) {
    cluster.bag.clear();
    for (int rounds = 0; rounds < 60; ++rounds) {
        cluster.run(std::chrono::seconds(1));
        const std::uint64_t id = leader(cluster);
        if (id == 0) continue;
        const std::size_t before = cluster.applied_here;
        cluster.step(id, raft::Propose{4, raft::test::text("after")});
        cluster.run(std::chrono::seconds(1));
        if (cluster.applied_here >= before + cluster.honest()) return true;
    }
    return false;
}

void run(Input input) {
    const std::uint64_t honest = 2 + input.below(2);
    const bool harmless = input.flag();
    LiedTo cluster(honest, 2 * honest - 1);
    if (input.flag()) cluster.run(std::chrono::seconds(2));
    for (std::size_t acts = 0; acts < 120 && !input.empty(); ++acts) {
        act(input, cluster, harmless);
        if (harmless) require_unbroken(raft::invariants::check(cluster.cores()));
    }
    const bool expected = harmless || can_agree(cluster);
    const bool continued = goes_on(cluster);
    if (harmless) require_unbroken(raft::invariants::check(cluster.cores()));
    if (expected && !continued && can_agree(cluster)) {
        report("the cluster does not go on when the liars are silent:\n" + describe(cluster));
    }
}

}  // namespace

int test(const std::uint8_t* data, std::size_t size) {
    run({data, size});
    return 0;
}

}  // namespace fuzz::core_input
