// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of Cores in memory, on virtual time, without the Engine: every message waits in a bag,
// every write and every answer of a disk waits until the test lets it happen.
#ifndef RSM_TESTS_SUPPORT_CORE_CLUSTER_HPP
#define RSM_TESTS_SUPPORT_CORE_CLUSTER_HPP

#include "core_node.hpp"
#include "records.hpp"

#include <raft/base/digest.hpp>
#include <raft/base/random.hpp>
#include <raft/core.hpp>
#include <raft/driver/carry_out.hpp>
#include <raft/proof/invariants.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace raft::test {

/// All messages of one kind among those that a step lets go, now or after a write.
template <class Body>
std::vector<Body> sent(const Output& output) {
    std::vector<Body> found;
    const auto look = [&found](const Message& message) {
        if (const auto* body = std::get_if<Body>(&message.body)) found.push_back(*body);
    };
    for (const Message& message : output.send) look(message);
    for (const DeferredMessage& deferred : output.send_after) look(deferred.message);
    return found;
}
/// The only message of its kind among them.
template <class Body>
Body only(const Output& output) {
    const std::vector<Body> found = sent<Body>(output);
    if (found.size() != 1) throw std::logic_error("not one message of this kind");
    return found.front();
}
/// Of the entries of its log.
inline std::vector<std::uint64_t> terms_of(const Core& core) {
    std::vector<std::uint64_t> terms;
    for (Index i = core.log().base().index + 1; i <= core.log().last_index(); ++i) {
        terms.push_back(core.log().term_at(i)->value);
    }
    return terms;
}
inline std::size_t count(const Output& output, EventKind kind) {
    return static_cast<std::size_t>(std::ranges::count(output.events, kind, &Event::kind));
}

/// Nodes 1 to n, a bag of messages and a clock. Nothing moves unless told to.
class CoreCluster {
public:
    CoreCluster(std::uint64_t count, Options options, std::uint64_t seed = 1)
        : membership_(voters(count)), random_(seed) {
        for (std::uint64_t id = 1; id <= count; ++id) add_node(options);
    }

    /// One that is no member yet. Returns its id.
    std::uint64_t add_node(Options options) {
        Node& made = nodes_.emplace_back();
        made.id = {nodes_.size()};
        made.options = options;
        restart(nodes_.size());
        return nodes_.size();
    }
    /// Loses all that the node's disk holds. It comes back as this instance.
    void wipe(std::uint64_t id, Instance instance) {
        Node fresh;
        fresh.id = {id};
        fresh.instance = instance;
        fresh.options = node(id).options;
        node(id) = fresh;
        restart(id);
    }

    Time now{};
    std::deque<Message> bag;
    /// Messages for which this holds vanish as they leave.
    std::function<bool(const Message&)> lost;
    /// Those that a test provokes are no failure.
    std::vector<EventKind> expected_events;
    /// What went wrong first; empty as long as nothing has.
    std::string failure;
    /// What has been applied anywhere: the entry of index i is history[i - 1].
    std::vector<Entry> history;
    std::vector<std::uint64_t> values;  // the state machine's after each
    std::vector<ReadOutcome> reads;
    std::vector<ProposalOutcome> proposals;
    std::vector<ChangeOutcome> changes;
    std::vector<HandoverOutcome> handovers;
    std::vector<Event> events;
    std::map<Token, Index> read_floor;  // what was committed when the read was asked for
    std::size_t requests = 0;           // AppendRequests that left a node
    std::size_t messages = 0;           // all that left a node
    std::size_t loads = 0;              // LoadEntries that were asked for

    std::uint64_t size() const { return nodes_.size(); }
    Node& node(std::uint64_t id) { return nodes_[id - 1]; }
    Core& core(std::uint64_t id) { return *node(id).core; }
    bool up(std::uint64_t id) { return node(id).core.has_value(); }

    /// How many events of a kind there have been.
    std::size_t seen(EventKind kind) const {
        return static_cast<std::size_t>(std::ranges::count(events, kind, &Event::kind));
    }

    /// The leader of the highest term, 0 if there is none.
    std::uint64_t leader() {
        std::uint64_t best = 0;
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (!up(id) || core(id).role() != Role::leader) continue;
            if (best == 0 || core(id).term() > core(best).term()) best = id;
        }
        return best;
    }

    // ---- one thing at a time ----

    Output step(std::uint64_t id, std::vector<Input> inputs) {
        Node& target = node(id);
        const Core before = *target.core;
        Output output;
        target.core->step(now, inputs, output);
        if (Broken broken = invariants::leader_append_only(before, *target.core)) {
            fail(to_string(*broken));
        }
        if (Broken broken = invariants::only_forward(before, *target.core)) {
            fail(to_string(*broken));
        }
        Output copy = output;
        Handler handler{*this, target};
        carry_out(output, handler);
        return copy;
    }
    Output step(std::uint64_t id, Input input) { return step(id, std::vector<Input>{input}); }

    ProposalOutcome propose(std::uint64_t id, std::string_view payload) {
        return step(id, Propose{next_token_++, text(payload)}).proposals.at(0);
    }
    Token read(std::uint64_t id) {
        const Token token = next_token_++;
        read_floor[token] = Index{history.size()};
        step(id, ReadIndex{token});
        return token;
    }
    std::optional<ReadOutcome> outcome_of(Token token) const {
        const auto found = std::ranges::find(reads, token, &ReadOutcome::token);
        if (found == reads.end()) return std::nullopt;
        return *found;
    }

    /// Delivers the message at this place of the bag.
    void deliver(std::size_t position) {
        const Message taken = bag[position];
        bag.erase(bag.begin() + static_cast<std::ptrdiff_t>(position));
        if (up(taken.to.value)) step(taken.to.value, taken);
    }
    /// The oldest write becomes durable; what was bound to it leaves. The core is not told yet.
    std::optional<Input> complete_write(std::uint64_t id) {
        Node& target = node(id);
        if (target.writes.empty()) return std::nullopt;
        const WriteId done = target.writes.front().id;
        target.durable.carry_out(target.writes.front());
        target.writes.pop_front();
        while (!target.bound.empty() && target.bound.front().after <= done) {
            leave(target, std::move(target.bound.front().message));
            target.bound.pop_front();
        }
        return Persisted{done};
    }
    void persist(std::uint64_t id) {
        while (std::optional<Input> done = complete_write(id)) step(id, *done);
    }
    void answer(std::uint64_t id) {
        Input next = std::move(node(id).answers.front());
        node(id).answers.pop_front();
        step(id, std::move(next));
    }

    /// Loses the node's memory; the first `surviving` writes under way are on disk nevertheless.
    void crash(std::uint64_t id, std::size_t surviving = 0) {
        Node& target = node(id);
        surviving = std::min(surviving, target.writes.size());
        for (std::size_t i = 0; i < surviving; ++i) target.durable.carry_out(target.writes[i]);
        target.core.reset();
        target.writes.clear();
        target.bound.clear();
        target.answers.clear();
        target.receiving.reset();
    }
    void restart(std::uint64_t id) {
        Node& target = node(id);
        const Recovered found = target.durable.recover(target.newest());
        target.begun = target.durable;
        const Snapshot* newest = target.newest_snapshot();
        target.machine = newest == nullptr ? Machine{} : newest->machine;
        target.applied_term = found.snapshot.last.term;
        target.core.emplace(target.options, target.id, membership_, found, random_.next(), now,
                            target.instance, target.founder);
    }

    /// Writes a snapshot of what the node has applied. The core is told by one of its answers.
    bool take_snapshot(std::uint64_t id, std::size_t padding = 0) {
        Node& target = node(id);
        const Index applied = target.machine.applied;
        if (applied <= target.newest().last.index) return false;
        Digest name;
        name.add(target.machine.value);
        std::string content = std::to_string(name.value()) + std::string(padding, '.');
        const Membership& members = target.core->configuration().at(applied);
        Snapshot made{{{applied, target.applied_term}, members, content.size(), 0},
                      text(content),
                      target.machine};
        made.meta.checksum = checksum_of(made.content);
        target.answers.push_back(SnapshotTaken{made.meta});
        target.snapshots.push_back(std::move(made));
        return true;
    }

    // ---- many things ----

    /// Delivers, persists and answers until nothing is left to do at this moment.
    void settle() {
        for (bool busy = true; busy && failure.empty();) {
            busy = false;
            while (!bag.empty() && failure.empty()) {
                deliver(0);
                busy = true;
            }
            for (std::uint64_t id = 1; id <= size(); ++id) {
                if (!up(id)) continue;
                if (!node(id).disk_stalled && !node(id).writes.empty()) {
                    step(id, *complete_write(id));
                    busy = true;
                }
                if (!node(id).machine_stalled && !node(id).answers.empty()) {
                    answer(id);
                    busy = true;
                }
            }
        }
    }
    /// Ticks whoever is due.
    void tick() {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (up(id) && core(id).deadline() <= now) step(id, Tick{});
        }
    }
    /// Lets time pass, deadline by deadline, with everything settled in between.
    void run(Duration duration) {
        const Time end = now + duration;
        settle();
        while (failure.empty()) {
            Time next = end;
            for (std::uint64_t id = 1; id <= size(); ++id) {
                if (up(id)) next = std::min(next, core(id).deadline());
            }
            if (next >= end) break;
            now = std::max(now, next);
            tick();
            settle();
        }
        now = end;
    }
    template <class Condition>
    bool run_until(Condition condition, Duration limit) {
        const Time end = now + limit;
        settle();
        while (!condition() && now < end && failure.empty()) run(milliseconds(5));
        return condition();
    }
    /// Makes this node the leader: the others' own candidatures are lost.
    void elect(std::uint64_t id) {
        const auto lost_before = lost;
        lost = [&](const Message& message) {
            const bool rival = message.from.value != id;
            return (rival && std::holds_alternative<VoteRequest>(message.body)) ||
                   (lost_before && lost_before(message));
        };
        for (int attempts = 0; attempts < 20 && core(id).role() != Role::leader; ++attempts) {
            now = std::max(now, core(id).deadline());
            step(id, Tick{});
            settle();
        }
        lost = lost_before;
    }
    /// All safety properties over the nodes that are up.
    void check() {
        std::vector<const Core*> cores;
        for (const Node& each : nodes_) {
            if (each.core) cores.push_back(&*each.core);
        }
        if (Broken broken = invariants::check(cores)) {
            fail(to_string(*broken));
        }
    }
    void fail(std::string what) {
        if (failure.empty()) failure = std::move(what);
    }

private:
    void leave(Node& source, Message message) {
        const std::string early = source.post(message);
        if (!early.empty()) fail(early + " left node " + name(source) + " before it was durable");
        ++messages;
        if (std::holds_alternative<AppendRequest>(message.body)) ++requests;
        if (!lost || !lost(message)) bag.push_back(std::move(message));
    }
    static std::string name(const Node& source) { return std::to_string(source.id.value); }

    /// What carry_out() does a node's output with.
    struct Handler {
        CoreCluster& cluster;
        Node& node;

        void begin_write(Write write) {
            node.begun.carry_out(write);
            node.writes.push_back(std::move(write));
        }
        void send(Message message) { cluster.leave(node, std::move(message)); }
        void send_after(DeferredMessage deferred) {
            const bool done = node.writes.empty() || deferred.after < node.writes.front().id;
            if (done) return send(std::move(deferred.message));
            node.bound.push_back(std::move(deferred));
        }
        void proposed(const ProposalOutcome& outcome) { cluster.proposals.push_back(outcome); }
        void restore(const SnapshotMeta& meta) { cluster.restore(node, meta); }
        void apply(std::span<const Entry> entries) {
            for (const Entry& applied : entries) cluster.apply(node, applied);
            node.answers.push_back(Applied{entries.back().index});
        }
        void read_ready(const ReadOutcome& outcome) { cluster.release(node, outcome); }
        void change_ended(const ChangeOutcome& outcome) { cluster.changes.push_back(outcome); }
        void handover_ended(const HandoverOutcome& outcome) {
            cluster.handovers.push_back(outcome);
        }
        void load(const LoadEntries& load) {
            ++cluster.loads;
            node.answers.push_back(cluster.read_back(node, load));
        }
        void load(const LoadDetached& load) {
            node.answers.push_back(
                DetachedLoaded{load.first, node.durable.read_detached(load.first, 2)});
        }
        void load(const LoadChunk& load) { node.answers.push_back(read_chunk(node, load)); }
        void store(StoreChunk chunk) {
            node.answers.push_back(ChunkStored{chunk.meta, cluster.store(node, chunk)});
        }
        void compare(const MarksTold& told) { node.marks.push_back(told); }
        void abandon_transfer() { node.receiving.reset(); }
        void drop_snapshots_except(const std::vector<Index>& needed) {
            std::erase_if(node.snapshots, [&](const Snapshot& kept) {
                const Index index = kept.meta.last.index;
                return index < needed.back() && !std::ranges::binary_search(needed, index);
            });
        }
        void observe(const Event& event) { cluster.observe(node, event); }
        bool stopped() const { return false; }
    };

    void observe(Node& source, const Event& event) {
        events.push_back(event);
        if (event.kind == EventKind::unrecognized) source.founder = false;
        const bool expected = std::ranges::count(expected_events, event.kind) != 0;
        if (is_suspicious(event.kind) && !expected) {
            fail("node " + name(source) + " reports what no correct cluster does");
        }
    }
    void apply(Node& target, const Entry& applied) {
        if (applied.index != target.machine.applied + 1) {
            return fail("node " + name(target) + " applied out of order");
        }
        target.machine.apply(applied);
        target.applied_term = applied.term;
        if (applied.index.value == history.size() + 1) {
            history.push_back(applied);
            values.push_back(target.machine.value);
        } else if (history[applied.index.value - 1] != applied ||
                   values[applied.index.value - 1] != target.machine.value) {
            fail("node " + name(target) + " applied another entry than others at index " +
                 std::to_string(applied.index.value));
        }
    }
    void restore(Node& target, const SnapshotMeta& meta) {
        const Snapshot* found = target.find(meta);
        if (found == nullptr) {
            return fail("node " + name(target) + " restores a snapshot it does not have");
        }
        target.machine = found->machine;
        target.applied_term = meta.last.term;
    }
    void release(const Node& target, const ReadOutcome& outcome) {
        reads.push_back(outcome);
        if (outcome.refusal != Refusal::none) return;
        const auto floor = read_floor.find(outcome.token);
        const bool stale = floor != read_floor.end() && target.machine.applied < floor->second;
        if (stale || target.machine.applied < outcome.index) {
            fail("node " + name(target) + " answers a read from an old state");
        }
    }

    static ChunkLoaded read_chunk(const Node& target, const LoadChunk& load) {
        ChunkLoaded loaded{load.reader, load.meta, load.offset, std::nullopt};
        if (const Snapshot* found = target.find(load.meta)) {
            const Bytes& content = found->content;
            const auto offset = static_cast<std::size_t>(load.offset);
            loaded.data = content.slice(offset, std::min(load.max_bytes, content.size() - offset));
        }
        return loaded;
    }
    Input read_back(const Node& target, const LoadEntries& load) {
        EntriesLoaded loaded{load.reader, {}, load.repairs};
        if (!target.durable.holds(load.first)) {
            fail("node " + name(target) + " reads back an entry that its disk does not hold");
        }
        std::size_t bytes = 0;
        for (Index index = load.first; target.begun.holds(index); ++index) {
            const Entry& held = target.begun.at(index);
            if (bytes != 0 && bytes + footprint(held) > load.max_bytes) break;
            bytes += footprint(held);
            loaded.entries.push_back(held);
        }
        return loaded;
    }
    ChunkOutcome store(Node& target, const StoreChunk& chunk) {
        if (chunk.offset == 0) target.receiving = Snapshot{chunk.meta, {}, {}};
        std::string content(target.receiving->content.text());
        if (target.receiving->meta != chunk.meta || content.size() != chunk.offset) {
            fail("node " + name(target) + " stores a chunk that does not continue the last");
        }
        content += chunk.data.text();
        target.receiving->content = text(content);
        if (content.size() < chunk.meta.size) return ChunkOutcome::stored;
        Snapshot whole = std::move(*target.receiving);
        target.receiving.reset();
        if (checksum_of(whole.content) != whole.meta.checksum) return ChunkOutcome::rejected;
        const std::size_t index = whole.meta.last.index.value;
        whole.machine = {whole.meta.last.index, values.at(index - 1)};
        if (target.find(whole.meta) == nullptr) target.snapshots.push_back(std::move(whole));
        return ChunkOutcome::installed;
    }

    Membership membership_;
    Random random_;
    std::vector<Node> nodes_;
    Token next_token_ = 1;
};

}  // namespace raft::test

#endif
