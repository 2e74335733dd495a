// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of Cores whose members change.
#ifndef RSM_TESTS_RAFT_RULES_MEMBERSHIP_SUPPORT_HPP
#define RSM_TESTS_RAFT_RULES_MEMBERSHIP_SUPPORT_HPP

#include "support/core_cluster.hpp"

#include <raft/core.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

namespace membership_support {

using namespace raft;
using namespace raft::test;

inline Options ordinary() {
    Options options;
    options.retained_bytes = 0;
    return options;
}

inline Membership of(std::initializer_list<std::uint64_t> voting,
                     std::initializer_list<std::uint64_t> learning = {}) {
    Membership membership;
    for (const std::uint64_t id : voting) membership.put({{id}, Standing::voter, {}, {}});
    for (const std::uint64_t id : learning) membership.put({{id}, Standing::learner, {}, {}});
    return membership;
}

struct Changing : CoreCluster {
    explicit Changing(std::uint64_t founders, std::uint64_t others = 0,
                      Options options = ordinary())
        : CoreCluster(founders, options) {
        for (std::uint64_t i = 0; i < others; ++i) add_node(options);
    }

    std::uint64_t elected() {
        for (int i = 0; i < 100 && leader() == 0; ++i) run(milliseconds(100));
        REQUIRE(leader() != 0);
        run(milliseconds(300));
        return leader();
    }
    Token ask(std::uint64_t id, Membership target, bool forced = false) {
        const Token token = next_change_++;
        step(id, ChangeMembers{token, std::move(target), forced, std::chrono::seconds(20)});
        return token;
    }
    /// How the change ended; nothing while it is under way.
    std::optional<ChangeResult> result(Token token) const {
        for (const ChangeOutcome& outcome : changes) {
            if (outcome.token == token) return outcome.result;
        }
        return std::nullopt;
    }
    ChangeResult change(std::uint64_t id, Membership target, bool forced = false) {
        const Token token = ask(id, std::move(target), forced);
        for (int i = 0; i < 300 && !result(token); ++i) run(milliseconds(100));
        REQUIRE(result(token));
        return *result(token);
    }
    /// Nothing comes from the node or to it.
    void cut_off(std::uint64_t id) {
        lost = [id](const Message& message) {
            return message.from.value == id || message.to.value == id;
        };
    }
    bool serves(std::uint64_t id) {
        if (core(id).role() != Role::leader) return false;
        const ProposalOutcome outcome = propose(id, "x");
        run(milliseconds(300));
        return outcome.refusal == Refusal::none &&
               core(id).log().commit() >= outcome.position.index;
    }
    /// Asks for a change and keeps it joint: nobody's acknowledgement of that comes to the leader.
    Token ask_and_hold(std::uint64_t id, Membership target) {
        lost = [this, id](const Message& message) {
            return message.to.value == id && core(id).membership().joint();
        };
        const Token token = ask(id, std::move(target));
        for (int i = 0; i < 3000 && !core(id).membership().joint(); ++i) run(milliseconds(1));
        settle();
        return token;
    }
    /// Whether all of these have this membership, committed.
    bool agreed(std::initializer_list<std::uint64_t> nodes, const Membership& membership) {
        for (const std::uint64_t id : nodes) {
            const Configuration& known = core(id).configuration();
            if (known.latest() != membership || !is_settled(known, core(id).log())) return false;
        }
        return true;
    }

private:
    Token next_change_ = 1000;
};

/// A cluster whose nodes have instances: 100 and their id.
struct Instances : Changing {
    explicit Instances(std::uint64_t founders, std::uint64_t others = 0,
                       Options options = ordinary())
        : Changing(founders, others, options) {
        expected_events.push_back(EventKind::protocol_violation);
        for (std::uint64_t id = 1; id <= size(); ++id) {
            wipe(id, {100 + id});
            if (id > founders) joins(id);
        }
    }
    /// Loses all that it had, and comes back to join.
    void replace(std::uint64_t id, Instance instance) {
        wipe(id, instance);
        joins(id);
    }
    void joins(std::uint64_t id) {
        node(id).founder = false;
        crash(id);
        restart(id);
    }
    /// What a node has of a member.
    Member member(std::uint64_t at, std::uint64_t id) {
        const Member* const found = core(at).membership().find({id});
        return found == nullptr ? Member{} : *found;
    }
    Instance known(std::uint64_t at, std::uint64_t id) { return member(at, id).instance; }
    /// Whether the leader has this instance of the node among the voters.
    bool votes(std::uint64_t id, Instance instance) {
        if (leader() == 0) return false;
        const Member found = member(leader(), id);
        return found.instance == instance && found.standing == Standing::voter;
    }
};

}  // namespace membership_support

#endif
