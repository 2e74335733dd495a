// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What may happen in a cluster, and what must hold wherever it leads.
#ifndef RSM_TESTS_MODEL_WORLD_HPP
#define RSM_TESTS_MODEL_WORLD_HPP

#include "prologue.hpp"
#include "state.hpp"
#include "tables.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace model {

class World {
public:
    explicit World(const Setup& setup) : setup_(setup), tables_(setup) {
        for (std::uint32_t term = 0; term < 8; ++term) {
            for (std::uint64_t node = 1; node <= setup.nodes; ++node) {
                for (const Renaming& names : tables_.names()) {
                    Digest digest;
                    digest.add(term);
                    digest.add(names(NodeId{node}));
                    leader_digests_.push_back(digest.value());
                }
            }
        }
    }

    Tables& tables() { return tables_; }
    const Tables& tables() const { return tables_; }
    const Setup& setup() const { return setup_; }

    /// What has happened in any step that was followed: one bit for each Corner.
    std::uint32_t corners() const { return corners_; }

    State initial() {
        State state;
        for (std::uint32_t i = 0; i < setup_.nodes; ++i) {
            state.nodes[i] = tables_.number_of(tables_.model().fresh(NodeId{i + 1}));
        }
        if (setup_.start != Start::empty) {
            state = Prologue<World>(*this, state).play();
            corners_ = 0;
        }
        return state;
    }

    /// The same for states that differ only in who is who: the least over all renamings.
    std::uint64_t key(const State& state) const {
        Digest digest;
        digest.add(
            least_sum_of(state, std::index_sequence<1, 2, 4, 6, 8, 12, 24, 36, 48, 120, 720>{}));
        digest.add(state.committed);
        digest.add((static_cast<std::uint64_t>(state.spent) << 32U) | state.reads);
        return digest.value();
    }

    /// Calls visit(action) for all that may happen, in an order that depends on `state` alone.
    template <class Visit>
    void for_each_action(const State& state, Visit visit) {
        for (std::uint32_t i = 0; i < setup_.nodes; ++i) {
            const NodeRow& row = tables_.row(state.nodes[i]);
            // A visit may add rows.
            const std::size_t count = row.actions.size();
            const bool leads = row.leads;
            for (std::size_t at = 0; at < count; ++at) {
                const Action action = tables_.row(state.nodes[i]).actions[at];
                if (allowed(state, action.act)) visit(action);
            }
            const std::uint32_t operation = state.used(Resource::operations);
            if (leads && operation < setup_.operations) visit(Action{Act::propose, i, operation});
            const std::uint32_t read = state.used(Resource::reads);
            if (leads && read < setup_.reads) visit(Action{Act::read, i, read});
        }
        for (const std::uint32_t message : state.messages) {
            const std::uint32_t to = tables_.message_row(message).to;
            visit(Action{Act::deliver, to, message});
            if (!setup_.keep_messages && allowed(state, Act::deliver_copy)) {
                visit(Action{Act::deliver_copy, to, message});
            }
        }
    }

    /// Whether the action leads to another state within the bounds, which is then in `after`.
    /// `violation` says what does not hold there, if anything.
    bool follow(const State& before, Action action, State& after, std::string& violation) {
        const std::uint32_t node = action.node;
        const Outcome outcome = tables_.outcome(before.nodes[node], action);
        if (outcome.violation != 0) violation = tables_.violation(outcome.violation);
        const bool same = outcome.next == before.nodes[node];
        if (same && outcome.count_sent == 0 && outcome.count_answered == 0 &&
            outcome.violation == 0) {
            return false;
        }
        const NodeRow& row = tables_.row(outcome.next);
        if (row.term > setup_.terms) return false;
        after.nodes = before.nodes;
        after.nodes[node] = outcome.next;
        after.spent = before.spent;
        charge(action.act, after);
        after.reads = before.reads;
        after.leaders = before.leaders;
        after.committed = before.committed;
        move_messages(before, action, outcome, node, after);
        if (setup_.in_flight != 0 && after.messages.size() > setup_.in_flight) return false;
        if (same && after.messages == before.messages && after.reads == before.reads &&
            outcome.count_answered == 0 && outcome.violation == 0) {
            return false;
        }
        remember(action, outcome, node, after, violation);
        if (violation.empty()) violation = unfounded(outcome, node, after);
        corners_ |= outcome.corners;
        return true;
    }

    /// What does not hold between the node that has acted and another, if anything.
    std::string disagreement(const State& state, Action action) {
        const std::uint32_t node = action.node;
        for (std::uint32_t i = 0; i < setup_.nodes; ++i) {
            if (i == node || tables_.agree(state.nodes[node], state.nodes[i])) continue;
            const std::array<const Core*, 2> cores{&tables_.node(state.nodes[node]).core,
                                                   &tables_.node(state.nodes[i]).core};
            const Broken broken = invariants::check(cores);
            return broken ? to_string(*broken) : "nodes disagree";
        }
        return {};
    }

private:
    /// The number of renamings is one of these.
    template <std::size_t... names>
    std::uint64_t least_sum_of(const State& state, std::index_sequence<names...>) const {
        std::uint64_t least = 0;
        const auto try_it = [&]<std::size_t count>(std::integral_constant<std::size_t, count>) {
            if (tables_.names().size() == count) least = least_sum<count>(state);
        };
        (try_it(std::integral_constant<std::size_t, names>{}), ...);
        return least;
    }
    /// Nodes and messages are sets, so that their digests are added up.
    template <std::size_t names>
    std::uint64_t least_sum(const State& state) const {
        std::array<std::uint64_t, names> sums{};
        const auto add = [&sums](const std::uint64_t* digests) {
            for (std::size_t i = 0; i < names; ++i) sums[i] += digests[i];
        };
        for (std::uint32_t i = 0; i < setup_.nodes; ++i) add(tables_.node_digests(state.nodes[i]));
        for (const std::uint32_t message : state.messages) add(tables_.message_digests(message));
        for (std::uint32_t term = 0; term < 8 && state.leaders >> (4 * term) != 0; ++term) {
            const std::uint32_t leader = (state.leaders >> (4 * term)) & 15U;
            if (leader != 0) add(&leader_digests_[(term * setup_.nodes + leader - 1) * names]);
        }
        return *std::min_element(sums.begin(), sums.end());
    }

    bool allowed(const State& state, Act act) const {
        switch (act) {
            case Act::crash: return state.used(Resource::crashes) < setup_.crashes;
            case Act::snapshot: return state.used(Resource::snapshots) < setup_.snapshots;
            case Act::deliver_copy: return state.used(Resource::duplicates) < setup_.duplicates;
            case Act::heartbeat:
            case Act::silence: return is_left(state, Resource::heartbeats, setup_.heartbeats);
            case Act::change: return state.used(Resource::changes) < setup_.changes;
            case Act::give_up:
            case Act::lose_touch: return is_left(state, Resource::lapses, setup_.lapses);
            case Act::notice:
            case Act::complete: return setup_.disk != DiskMode::instant;
            default: return true;
        }
    }
    static bool is_left(const State& state, Resource resource, std::uint32_t bound) {
        return bound == unbounded || state.used(resource) < bound;
    }
    void charge(Act act, State& state) const {
        switch (act) {
            case Act::crash: return state.use(Resource::crashes);
            case Act::snapshot: return state.use(Resource::snapshots);
            case Act::deliver_copy: return state.use(Resource::duplicates);
            case Act::propose: return state.use(Resource::operations);
            case Act::read: return state.use(Resource::reads);
            case Act::heartbeat:
            case Act::silence:
                if (setup_.heartbeats != unbounded) state.use(Resource::heartbeats);
                return;
            case Act::change: return state.use(Resource::changes);
            case Act::give_up:
            case Act::lose_touch:
                if (setup_.lapses != unbounded) state.use(Resource::lapses);
                return;
            default: return;
        }
    }

    void move_messages(const State& before, Action action, const Outcome& outcome,
                       std::uint32_t node, State& after) {
        const bool consumed = action.act == Act::deliver && !setup_.keep_messages;
        const std::uint32_t gone =
            consumed ? action.number : std::numeric_limits<std::uint32_t>::max();
        const std::uint32_t durable = tables_.row(outcome.next).durable_term;
        after.messages.clear();
        for (const std::uint32_t message : before.messages) {
            if (message == gone) continue;
            const MessageRow& row = tables_.message_row(message);
            if (row.to == node && dead(row, durable)) continue;
            if (setup_.newest_only && row.from == node && sends_to(row.to, outcome)) continue;
            after.messages.push_back(message);
        }
        for (const std::uint32_t message : tables_.sent(outcome)) {
            const MessageRow& row = tables_.message_row(message);
            if (dead(row, tables_.row(after.nodes[row.to]).durable_term)) continue;
            const auto at = std::ranges::lower_bound(after.messages, message);
            if (at != after.messages.end() && *at == message) continue;
            after.messages.insert(at, message);
        }
    }
    bool sends_to(std::uint32_t node, const Outcome& outcome) const {
        return std::ranges::any_of(tables_.sent(outcome), [&](std::uint32_t message) {
            return tables_.message_row(message).to == node;
        });
    }
    static bool dead(const MessageRow& row, std::uint32_t durable_term) {
        return row.dead_from != 0 && durable_term >= row.dead_from;
    }

    void remember(Action action, const Outcome& outcome, std::uint32_t node, State& after,
                  std::string& violation) {
        const auto violate = [&violation](const char* what) {
            if (violation.empty()) violation = what;
        };
        const History known(tables_.row(outcome.next).committed);
        const History record(after.committed);
        if (!agree(known, record)) {
            violate("committed entries never change: a node holds another than was committed");
        } else if (known.size() > record.size()) {
            after.committed = known.packed();
        }
        if (outcome.leads != 0) {
            const unsigned place = 4U * (outcome.leads - 1U);
            const std::uint32_t led = (after.leaders >> place) & 15U;
            if (led != 0 && led != node + 1) violate("election safety: a term has had two leaders");
            after.leaders |= (node + 1) << place;
        }
        if (action.act == Act::read) {
            const auto floor = static_cast<std::uint32_t>(record.size()) + 1;
            after.reads |= floor << (4 * action.number);
        }
        for (const Answered& answered : tables_.answered(outcome)) {
            const unsigned place = 4U * answered.read;
            const std::uint32_t floor = (after.reads >> place) & 15U;
            if (!answered.refused && answered.applied + 1 < floor) {
                violate("reads are not stale: what was committed before is not seen");
            }
            after.reads &= ~(15U << place);
        }
        for (unsigned read = 0; read < 8; ++read) {
            if ((outcome.lost_reads >> read & 1U) != 0) after.reads &= ~(15U << (4 * read));
        }
    }

    /// What the node takes to be decided, and is not by what the members have on their disks. Who
    /// is in a later term may have voted before.
    std::string unfounded(const Outcome& outcome, std::uint32_t node, const State& after) {
        for (const Claim& claim : tables_.claims(outcome)) {
            const bool founded = have_majorities(claim.members, [&](NodeId id) {
                const NodeState& member = tables_.node(after.nodes[id.value - 1]);
                const HardState& hard = member.durable.hard;
                if (!claim.elected) return member.holds(claim.position);
                return hard.term > claim.position.term ||
                       (hard.term == claim.position.term && hard.voted_for == NodeId{node + 1});
            });
            if (!founded && claim.elected) return "a leader lacks a majority of the members' votes";
            if (!founded)
                return "an entry is called committed that lacks a majority of the members";
        }
        return {};
    }

    Setup setup_;
    Tables tables_;
    std::vector<std::uint64_t> leader_digests_;
    std::uint32_t corners_ = 0;
};

}  // namespace model

#endif
