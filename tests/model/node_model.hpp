// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What one node can do, and what follows for it and for the others. The order in which outputs are
// carried out is that of raft/driver/engine.hpp. What a node does depends on nothing but its own
// state and the input, so each pair is carried out once and remembered by its numbers (tables.hpp).
#ifndef RSM_TESTS_MODEL_NODE_MODEL_HPP
#define RSM_TESTS_MODEL_NODE_MODEL_HPP

#include "acts.hpp"

#include <raft/driver/carry_out.hpp>
#include <raft/proof/invariants.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace model {

class NodeModel {
public:
    explicit NodeModel(const Setup& setup)
        : setup_(setup), options_(options_of(setup)), members_(setup) {}

    const Setup& setup() const { return setup_; }
    const Members& members() const { return members_; }

    NodeState fresh(NodeId id) const {
        NodeState node{start(id, Recovered{}), {}, {}, {}, {}, {}, {}, {}, 0, false, {}};
        make_canonical(node, options_);
        return node;
    }

    /// The same node after `act`. @param number  of the operation, read or answer
    /// @pre possible(node, act)
    NodeState after(const NodeState& before, Act act, std::uint32_t number, const Message* message,
                    Effect& effect) const {
        NodeState node = before;
        perform(node, act, number, message, effect);
        if (act != Act::crash) {
            if (Broken broken = invariants::leader_append_only(before.core, node.core)) {
                effect.violate(to_string(*broken));
            }
            if (Broken broken = invariants::only_forward(before.core, node.core)) {
                effect.violate(to_string(*broken));
            }
        }
        if (Broken broken = invariants::marks_in_order(node.core)) {
            effect.violate(to_string(*broken));
        }
        if (!is_silent_without_vote(node)) {
            effect.violate("who has no vote, and knows for certain, is silent");
        }
        make_canonical(node, options_);
        return node;
    }

    /// Whether `act` makes sense for a node in this state. The bounds are the world's to keep.
    bool possible(const NodeState& node, Act act) const {
        const bool leads = node.core.role() == Role::leader;
        switch (act) {
            case Act::deliver:
            case Act::deliver_copy: return true;
            case Act::time_out: return !leads && node.core.term().value < setup_.terms;
            case Act::forget: return !leads && heard(node);
            case Act::heartbeat: return leads && setup_.nodes > 1;
            case Act::silence: return leads && setup_.nodes > 1;
            case Act::complete: return !node.flights.empty();
            case Act::notice: return node.done > WriteId{};
            case Act::answer: return !node.answers.empty();
            case Act::crash: return true;
            case Act::snapshot: return node.machine.size() > node.newest().last.index.value;
            case Act::propose:
            case Act::read: return leads;
            case Act::change: return leads;
            case Act::give_up: return awaits(node);
            case Act::lose_touch: return awaits(node) && !node.out_of_touch;
            case Act::gain_touch: return node.out_of_touch;
        }
        return false;
    }
    /// Whether there is anything to change on the way there.
    bool is_new(const NodeState& node, std::uint32_t target) const {
        return !has_reached(node.core.membership(), members_.target(target));
    }

    /// What the node knows to be committed. Entries beyond the machine are in its log.
    History committed(const NodeState& node) const {
        History history = node.machine;
        const Log& log = node.core.log();
        const Disk disk = node.begun();
        while (Index{history.size()} < log.commit()) {
            const Index index{history.size() + 1};
            const Entry* entry = nullptr;
            if (log.cached(index)) {
                entry = &log[index];
            } else if (disk.holds(index)) {
                entry = &disk.at(index);
            }
            if (entry == nullptr) break;
            history.push_back(members_.code(*entry));
        }
        return history;
    }

private:
    Core start(NodeId id, const Recovered& recovered) const {
        const bool founder = members_.founding().contains(id);
        return Core(options_, id, members_.founding(), recovered, 0, Time{}, Instance{}, founder);
    }
    static bool heard(const NodeState& node) {
        Core core = node.core;
        return Anatomy::leader_heard(core).has_value();
    }
    static bool awaits(const NodeState& node) {
        Core core = node.core;
        return awaits_newcomers(core);
    }
    bool is_silent_without_vote(const NodeState& node) const {
        const Configuration::Change in_force = members_.in_force(node);
        return in_force.index > node.core.log().commit() ||
               in_force.membership.is_voter(node.id()) || node.core.role() == Role::follower;
    }

    void perform(NodeState& node, Act act, std::uint32_t number, const Message* message,
                 Effect& effect) const {
        const Time zero{};
        switch (act) {
            case Act::deliver:
            case Act::deliver_copy: return step(node, zero, *message, effect);
            case Act::time_out: return step(node, node.core.deadline(), Tick{}, effect);
            case Act::forget: return step(node, zero + election_time, Tick{}, effect);
            case Act::silence: {
                // The heartbeats before it were sent, and lost. So many that the leader asks none
                // of those it misses to stand: whom of equals it asks depends on their names, of
                // which a state's key is to know nothing.
                const Time end = zero + 2 * election_time;
                Reign* const reign = Anatomy::reign(node.core);
                reign->heartbeat_at = reign->quorum_check_at = end;
                return step(node, end, Tick{}, effect);
            }
            case Act::heartbeat: return step(node, zero + heartbeat_time, Tick{}, effect);
            case Act::complete:
                complete(node, effect);
                if (setup_.disk == DiskMode::joined) notice(node, effect);
                return;
            case Act::notice: return notice(node, effect);
            case Act::answer: {
                const Input input = node.answers[number].input();
                node.answers.erase(node.answers.begin() + static_cast<std::ptrdiff_t>(number));
                return step(node, zero, input, effect);
            }
            case Act::crash: return crash(node, effect);
            case Act::snapshot: return take_snapshot(node);
            case Act::propose: {
                const char letter = static_cast<char>('a' + number);
                return step(node, zero, Propose{number, Bytes::copy_of({&letter, 1})}, effect);
            }
            case Act::read:
                node.reads = static_cast<std::uint8_t>(node.reads | (1U << number));
                return step(node, zero, ReadIndex{number}, effect);
            case Act::change: {
                const Membership& target = members_.target(number);
                return step(node, zero, ChangeMembers{1, target, false, Duration::max()}, effect);
            }
            case Act::give_up: return step(node, zero, CancelChange{1}, effect);
            case Act::lose_touch: node.out_of_touch = true; return;
            case Act::gain_touch:
                node.out_of_touch = false;
                make_canonical(node, options_);
                return step(node, zero, Tick{}, effect);
        }
    }

    /// One step of the core, and those that follow from it at once.
    void step(NodeState& node, Time now, Input input, Effect& effect) const {
        Output output;
        const Seen before{node.core.role(), node.core.term(), node.core.log().commit(),
                          members_.in_force(node)};
        node.core.step(now, std::span(&input, 1), output);
        const bool applied = !output.apply.empty();
        Handler handler{node, members_, effect};
        carry_out(output, handler);
        claim(before, node, output, effect);
        if (setup_.sabotage != Sabotage::none) break_rules(node, setup_.sabotage);
        if (setup_.disk == DiskMode::instant && !node.flights.empty()) {
            while (!node.flights.empty()) complete(node, effect);
            step(node, now, Persisted{node.done}, effect);
        }
        // The engine makes a second step at once for what the state machine has taken in.
        if (applied) step(node, now, Applied{Index{node.machine.size()}}, effect);
    }

    /// What a node was before a step.
    struct Seen {
        Role role;
        Term term;
        Index commit;
        Configuration::Change in_force;
    };
    /// What a leader commits, and a candidate wins, is by the members in force before the step.
    void claim(const Seen& before, const NodeState& after, const Output& output,
               Effect& effect) const {
        const Membership& members = before.in_force.membership;
        const Log& log = after.core.log();
        for (const Event& event : output.events) {
            const bool truncated = event.kind == EventKind::log_truncated;
            if (truncated && event.index <= before.in_force.index) {
                effect.corners |= bit(Corner::members_truncated);
            }
            if (event.kind != EventKind::became_leader) continue;
            effect.claims.push_back({true, {Index{}, event.term}, members});
            if (members.joint()) effect.corners |= bit(Corner::elected_while_joint);
        }
        const bool ends_joint = before.role == Role::leader && members.joint() &&
                                members_.in_force(after).index > before.in_force.index;
        if (ends_joint && log.term_at(before.in_force.index) != before.term) {
            effect.corners |= bit(Corner::joint_ended_by_another);
        }
        const bool decides = before.role == Role::leader && before.term == after.core.term() &&
                             log.commit() > before.commit;
        if (!decides) return;
        effect.claims.push_back({false, {log.commit(), *log.term_at(log.commit())}, members});
        const bool settles =
            before.in_force.index > before.commit && before.in_force.index <= log.commit();
        if (settles && members.joint()) effect.corners |= bit(Corner::joint_committed);
        if (settles && members_.in_force(after, before.in_force.index - 1).membership.joint()) {
            effect.corners |= bit(Corner::joint_left);
        }
        if (after.core.role() != Role::leader) effect.corners |= bit(Corner::leader_left);
    }

    void complete(NodeState& node, Effect& effect) const {
        if (setup_.sabotage == Sabotage::forget_write) node.before_last_write = node.durable;
        Flight flight = std::move(node.flights.front());
        node.flights.erase(node.flights.begin());
        node.durable.carry_out(flight.write);
        node.done = flight.write.id;
        for (Message& message : flight.bound) leave(node, std::move(message), effect);
    }
    void notice(NodeState& node, Effect& effect) const {
        step(node, Time{}, Persisted{node.done}, effect);
    }

    void crash(NodeState& node, Effect& effect) const {
        effect.lost_reads = node.reads;
        if (!node.flights.empty()) effect.corners |= bit(Corner::restarted_with_lost_write);
        Disk disk = std::move(node.durable);
        if (node.before_last_write) disk = std::move(*node.before_last_write);
        if (setup_.sabotage == Sabotage::forget_vote) disk.hard.voted_for = NodeId{};
        const SnapshotMeta newest = node.newest();
        const Recovered recovered = disk.recover(newest);
        NodeState again{
            start(node.id(), recovered), std::move(disk), {}, {}, {}, {}, {}, {}, 0, false, {}};
        if (!newest.empty()) effect.corners |= bit(Corner::restarted_from_snapshot);
        again.machine = History(newest.checksum);
        again.snapshots = std::move(node.snapshots);
        node = std::move(again);
        step(node, Time{}, Tick{}, effect);
    }

    void take_snapshot(NodeState& node) const {
        const Index applied{node.machine.size()};
        const Term term{static_cast<std::uint64_t>(node.machine[applied.value - 1] >> 4U)};
        const Membership& members = node.core.configuration().at(applied);
        const SnapshotMeta meta{
            {applied, term}, members, sizeof(std::uint64_t), node.machine.packed()};
        node.snapshots.push_back(meta);
        node.answers.push_back({Answer::Kind::snapshot_taken, {}, meta, 0, {}, {}, {}});
    }

    // ---- outputs ----

    /// What carry_out() does a node's output with.
    struct Handler {
        NodeState& node;
        const Members& members;
        Effect& effect;

        void begin_write(Write write) { node.flights.push_back({std::move(write), {}}); }
        /// Who is asked to stand at once could have done so by itself, at any moment. To whom a
        /// leader that leaves says so depends on the order of ids, so it is as well lost.
        void send(Message message) {
            if (std::holds_alternative<TimeoutNow>(message.body)) return;
            leave(node, std::move(message), effect);
        }
        void send_after(DeferredMessage deferred) {
            const auto flight = std::ranges::find_if(
                node.flights, [&](const Flight& each) { return each.write.id == deferred.after; });
            if (flight == node.flights.end()) return send(std::move(deferred.message));
            flight->bound.push_back(std::move(deferred.message));
        }
        void proposed(const ProposalOutcome&) {}
        void restore(const SnapshotMeta& meta) {
            effect.corners |= bit(Corner::state_restored);
            NodeModel::restore(node, meta, effect);
        }
        void apply(std::span<const Entry> entries) {
            effect.corners |= bit(Corner::entry_applied);
            for (const Entry& entry : entries) apply_one(entry);
        }
        void apply_one(const Entry& entry) {
            if (node.machine.size() == History::most || entry.term.value > 15) {
                return effect.violate("the log outgrows the bounds of the model");
            }
            if (entry.index.value != node.machine.size() + 1) {
                return effect.violate("entries are applied out of order");
            }
            if (members.purpose(entry) == 0) {
                return effect.violate("members are what no change that was asked for leads to");
            }
            node.machine.push_back(members.code(entry));
        }
        void read_ready(const ReadOutcome& outcome) { NodeModel::release(node, outcome, effect); }
        void change_ended(const ChangeOutcome&) {}
        void handover_ended(const HandoverOutcome&) {}
        void load(const LoadEntries& load) { read_back(node, load, effect); }
        void load(const LoadDetached&) {}
        void load(const LoadChunk& load) { node.answers.push_back(read_chunk(node, load)); }
        void store(StoreChunk chunk) {
            const ChunkOutcome outcome = NodeModel::store(node, chunk, effect);
            node.answers.push_back(
                {Answer::Kind::chunk_stored, {}, chunk.meta, 0, {}, outcome, {}});
        }
        void compare(const MarksTold&) {}
        void abandon_transfer() { node.arriving.reset(); }
        void drop_snapshots_except(const std::vector<Index>& needed) {
            std::erase_if(node.snapshots, [&](const SnapshotMeta& meta) {
                const Index index = meta.last.index;
                return index < needed.back() && !std::ranges::binary_search(needed, index);
            });
        }
        void observe(const Event& event) { NodeModel::observe(event, effect); }
        bool stopped() const { return false; }
    };

    static void release(NodeState& node, const ReadOutcome& outcome, Effect& effect) {
        const auto read = static_cast<std::uint8_t>(outcome.token);
        const bool refused = outcome.refusal != Refusal::none;
        effect.corners |= bit(refused ? Corner::read_refused : Corner::read_released);
        node.reads = static_cast<std::uint8_t>(node.reads & ~(1U << read));
        effect.answered.push_back({read, refused, node.machine.size()});
    }
    static void observe(const Event& event, Effect& effect) {
        effect.corners |= bit(event.kind);
        if (event.kind == EventKind::became_leader) effect.leads = event.term;
        if (test::is_suspicious(event.kind)) {
            effect.violate("a node reports what no correct cluster does");
        }
    }

    /// Durable before visible.
    static void leave(const NodeState& node, Message message, Effect& effect) {
        // A learner that asks whether it is a member still: as if it were lost.
        const auto* const request = std::get_if<VoteRequest>(&message.body);
        const bool stands = node.core.role() != Role::follower;
        if (request != nullptr && request->pre_vote && !stands) return;
        test::Node sender;
        sender.id = node.id();
        sender.durable = node.durable;
        for (const SnapshotMeta& meta : node.snapshots) sender.snapshots.push_back({meta, {}, {}});
        const std::string early = sender.post(message);
        if (!early.empty()) effect.violate("durable before visible: " + early + " left too early");
        effect.sent.push_back(std::move(message));
    }

    static void restore(NodeState& node, const SnapshotMeta& meta, Effect& effect) {
        if (std::ranges::find(node.snapshots, meta) == node.snapshots.end()) {
            effect.violate("a snapshot is restored that is not there");
        }
        node.machine = History(meta.checksum);
    }

    static Answer read_chunk(const NodeState& node, const LoadChunk& load) {
        Answer answer{Answer::Kind::chunk_loaded, load.reader, load.meta, load.offset, {}, {}, {}};
        if (std::ranges::find(node.snapshots, load.meta) != node.snapshots.end()) {
            const Bytes content = content_of(load.meta);
            const auto offset = static_cast<std::size_t>(load.offset);
            answer.data = content.slice(offset, std::min(load.max_bytes, content.size() - offset));
        }
        return answer;
    }
    static void read_back(NodeState& node, const LoadEntries& load, Effect& effect) {
        const Disk disk = node.begun();
        Answer answer{Answer::Kind::entries, load.reader, {}, 0, {}, {}, {}};
        if (!disk.holds(load.first)) {
            effect.violate("an entry is read back that the log does not hold");
        }
        std::size_t bytes = 0;
        for (Index index = load.first; disk.holds(index); ++index) {
            const Entry& held = disk.at(index);
            if (bytes != 0 && bytes + footprint(held) > load.max_bytes) break;
            bytes += footprint(held);
            answer.entries.push_back(held);
        }
        node.answers.push_back(std::move(answer));
    }
    static ChunkOutcome store(NodeState& node, const StoreChunk& chunk, Effect& effect) {
        if (chunk.offset == 0) node.arriving = Arriving{chunk.meta, {}};
        const bool next = node.arriving && node.arriving->meta == chunk.meta &&
                          node.arriving->content.size() == chunk.offset;
        if (!next) {
            effect.violate("a chunk is stored that does not continue the last");
            return ChunkOutcome::rejected;
        }
        std::string content(node.arriving->content.text());
        content += chunk.data.text();
        node.arriving->content = Bytes::copy_of(content);
        if (content.size() < chunk.meta.size) return ChunkOutcome::stored;
        const bool whole = node.arriving->content == content_of(chunk.meta);
        node.arriving.reset();
        if (!whole) return ChunkOutcome::rejected;
        node.snapshots.push_back(chunk.meta);
        return ChunkOutcome::installed;
    }

    Setup setup_;
    Options options_;
    Members members_;
};

}  // namespace model

#endif
