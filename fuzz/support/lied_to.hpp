// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A cluster of cores some of whose members are nobody: whatever is sent to these is lost, and what
// comes from them is made up.
#ifndef RSM_FUZZ_SUPPORT_LIED_TO_HPP
#define RSM_FUZZ_SUPPORT_LIED_TO_HPP

#include "finding.hpp"

#include "support/core_node.hpp"

#include <raft/base/random.hpp>
#include <raft/core.hpp>
#include <raft/driver/carry_out.hpp>
#include <raft/proof/invariants.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fuzz {

using raft::test::Node;

inline void require_unbroken(const raft::Broken& broken) {
    if (broken) report(to_string(*broken));
}

class LiedTo {
public:
    /// Nodes 1 to `honest` of `members`.
    LiedTo(std::uint64_t honest, std::uint64_t members) : members_(raft::test::voters(members)) {
        options_.max_message_bytes = options_.max_entry_bytes = 1000;
        options_.window_bytes = 3000;
        options_.log_cache_bytes = 500;
        options_.retained_bytes = 0;
        options_.snapshot_chunk_bytes = 16;
        options_.snapshot_window_bytes = 64;
        nodes_.resize(honest);
        for (std::uint64_t id = 1; id <= honest; ++id) {
            node(id).id = {id};
            node(id).instance = {100 + id};
            restart(id);
        }
    }

    raft::Time now{};
    std::deque<raft::Message> bag;
    std::size_t applied_here = 0;  ///< entries, by any node
    bool was_told = false;         ///< an event says that something is not as it should be

    std::uint64_t honest() const { return nodes_.size(); }
    Node& node(std::uint64_t id) { return nodes_[id - 1]; }
    raft::Core& core(std::uint64_t id) { return *node(id).core; }
    const raft::Membership& members() const { return members_; }
    std::vector<const raft::Core*> cores() {
        std::vector<const raft::Core*> all;
        for (const Node& one : nodes_) all.push_back(&*one.core);
        return all;
    }

    void step(std::uint64_t id, raft::Input input) {
        Node& target = node(id);
        const raft::Core before = *target.core;
        raft::Output output = target.core->step(now, std::move(input));
        const raft::Core& after = *target.core;
        require_unbroken(raft::invariants::leader_append_only(before, after));
        require_unbroken(raft::invariants::only_forward(before, after));
        require_unbroken(raft::invariants::marks_in_order(after));
        require_unbroken(raft::invariants::state_machine_safety(before, after));
        Handler handler{*this, target};
        raft::carry_out(output, handler);
    }
    void deliver(std::size_t position) {
        const auto at = bag.begin() + static_cast<std::ptrdiff_t>(position);
        raft::Message taken = std::move(*at);
        bag.erase(at);
        step(taken.to.value, std::move(taken));
    }
    void persist(std::uint64_t id) {
        Node& target = node(id);
        if (target.writes.empty()) return;
        const raft::WriteId done = target.writes.front().id;
        target.durable.carry_out(target.writes.front());
        target.writes.pop_front();
        while (!target.bound.empty() && target.bound.front().after <= done) {
            leave(target, std::move(target.bound.front().message));
            target.bound.pop_front();
        }
        step(id, raft::Persisted{done});
    }
    void answer(std::uint64_t id) {
        if (node(id).answers.empty()) return;
        raft::Input next = std::move(node(id).answers.front());
        node(id).answers.pop_front();
        step(id, std::move(next));
    }
    void crash(std::uint64_t id, std::size_t surviving) {
        Node& target = node(id);
        surviving = std::min(surviving, target.writes.size());
        for (std::size_t i = 0; i < surviving; ++i) target.durable.carry_out(target.writes[i]);
        target.writes.clear();
        target.bound.clear();
        target.answers.clear();
        target.receiving.reset();
        restart(id);
    }
    void take_snapshot(std::uint64_t id) {
        Node& target = node(id);
        const raft::Index applied = target.machine.applied;
        if (applied <= target.newest().last.index) return;
        raft::test::Snapshot made;
        made.content = raft::test::text(std::string(20 + applied.value % 20, 's'));
        made.meta = {{applied, target.applied_term},
                     target.core->configuration().at(applied),
                     made.content.size(),
                     raft::test::checksum_of(made.content)};
        made.machine = target.machine;
        target.answers.push_back(raft::SnapshotTaken{made.meta});
        target.snapshots.push_back(std::move(made));
    }

    /// Delivers, persists and answers until nothing is left to do at this moment.
    void settle() {
        std::size_t left = 20000;
        for (bool busy = true; busy;) {
            busy = false;
            if (left-- == 0) report("something goes on and on without time passing");
            if (!bag.empty()) {
                deliver(0);
                busy = true;
            }
            for (std::uint64_t id = 1; id <= honest(); ++id) {
                busy = busy || !node(id).writes.empty() || !node(id).answers.empty();
                persist(id);
                answer(id);
            }
        }
    }
    /// Ticks whoever is due when the next one is.
    void tick() {
        raft::Time next = raft::Time::max();
        for (const Node& one : nodes_) next = std::min(next, one.core->deadline());
        now = std::max(now, next);
        for (std::uint64_t id = 1; id <= honest(); ++id) {
            if (core(id).deadline() <= now) step(id, raft::Tick{});
        }
    }
    void run(raft::Duration duration) {
        const raft::Time end = now + duration;
        for (settle(); now < end; settle()) tick();
    }

private:
    void restart(std::uint64_t id) {
        Node& target = node(id);
        const raft::Recovered found = target.durable.recover(target.newest());
        target.begun = target.durable;
        const raft::test::Snapshot* newest = target.newest_snapshot();
        target.machine = newest == nullptr ? raft::test::Machine{} : newest->machine;
        target.applied_term = found.snapshot.last.term;
        target.core.emplace(options_, target.id, members_, found, random_.next(), now,
                            target.instance, target.founder);
    }
    void leave(Node& source, raft::Message message) {
        const std::string early = source.post(message);
        if (!early.empty()) report(early + " leaves a node before it is durable");
        const bool is_heard = message.to.value >= 1 && message.to.value <= honest();
        if (is_heard && bag.size() < 200) bag.push_back(std::move(message));
    }

    /// What carry_out() does a node's output with.
    struct Handler {
        LiedTo& cluster;
        Node& node;

        void begin_write(raft::Write write) {
            node.begun.carry_out(write);
            node.writes.push_back(std::move(write));
        }
        void send(raft::Message message) { cluster.leave(node, std::move(message)); }
        void send_after(raft::DeferredMessage deferred) {
            const bool done = node.writes.empty() || deferred.after < node.writes.front().id;
            if (done) return send(std::move(deferred.message));
            node.bound.push_back(std::move(deferred));
        }
        void restore(const raft::SnapshotMeta& meta) {
            const raft::test::Snapshot* found = node.find(meta);
            require(found != nullptr, "a snapshot is restored that is not there");
            node.machine = found->machine;
            node.applied_term = meta.last.term;
        }
        void apply(std::span<const raft::Entry> entries) {
            for (const raft::Entry& entry : entries) {
                require(entry.index == node.machine.applied + 1,
                        "entries are applied out of order");
                node.machine.apply(entry);
                node.applied_term = entry.term;
                ++cluster.applied_here;
            }
            node.answers.push_back(raft::Applied{entries.back().index});
        }
        void proposed(const raft::ProposalOutcome&) {}
        void read_ready(const raft::ReadOutcome& outcome) {
            const bool early =
                outcome.refusal == raft::Refusal::none && node.machine.applied < outcome.index;
            require(!early, "a read is answered from an old state");
        }
        void change_ended(const raft::ChangeOutcome&) {}
        void handover_ended(const raft::HandoverOutcome&) {}
        void load(const raft::LoadEntries& load) {
            require(node.begun.holds(load.first), "an entry is read that the log does not hold");
            raft::EntriesLoaded loaded{load.reader, {}, load.repairs};
            for (raft::Index at = load.first; node.begun.holds(at); ++at) {
                if (loaded.entries.size() == 8) break;
                loaded.entries.push_back(node.begun.at(at));
            }
            node.answers.push_back(std::move(loaded));
        }
        void load(const raft::LoadDetached& load) {
            node.answers.push_back(raft::DetachedLoaded{load.first, {}});
        }
        void load(const raft::LoadChunk& load) {
            raft::ChunkLoaded loaded{load.reader, load.meta, load.offset, std::nullopt};
            if (const raft::test::Snapshot* found = node.find(load.meta)) {
                const auto offset = static_cast<std::size_t>(load.offset);
                require(offset <= found->content.size(), "a piece is read beyond a snapshot's end");
                const std::size_t rest = found->content.size() - offset;
                loaded.data = found->content.slice(offset, std::min(load.max_bytes, rest));
            }
            node.answers.push_back(std::move(loaded));
        }
        void store(raft::StoreChunk chunk) {
            node.answers.push_back(raft::ChunkStored{chunk.meta, outcome_of(chunk)});
        }
        raft::ChunkOutcome outcome_of(const raft::StoreChunk& chunk) {
            if (chunk.offset == 0) node.receiving = raft::test::Snapshot{chunk.meta, {}, {}};
            // As a storage does after a piece that it has not kept.
            if (!node.receiving) return raft::ChunkOutcome::rejected;
            std::string content(node.receiving->content.text());
            require(node.receiving->meta == chunk.meta && content.size() == chunk.offset,
                    "a piece is stored that does not continue the last");
            content += chunk.data.text();
            node.receiving->content = raft::test::text(content);
            if (content.size() < chunk.meta.size) return raft::ChunkOutcome::stored;
            raft::test::Snapshot whole = std::move(*node.receiving);
            node.receiving.reset();
            if (raft::test::checksum_of(whole.content) != whole.meta.checksum) {
                return raft::ChunkOutcome::rejected;
            }
            whole.machine = {whole.meta.last.index, whole.meta.checksum};
            if (node.find(whole.meta) == nullptr) node.snapshots.push_back(std::move(whole));
            return raft::ChunkOutcome::installed;
        }
        void abandon_transfer() { node.receiving.reset(); }
        void drop_snapshots_except(const std::vector<raft::Index>& needed) {
            std::erase_if(node.snapshots, [&](const raft::test::Snapshot& kept) {
                const raft::Index index = kept.meta.last.index;
                return index < needed.back() && !std::ranges::binary_search(needed, index);
            });
        }
        void observe(const raft::Event& event) {
            if (event.kind == raft::EventKind::unrecognized) node.founder = false;
            if (raft::test::is_suspicious(event.kind)) cluster.was_told = true;
        }
        void compare(const raft::MarksTold&) {}
        bool stopped() const { return false; }
    };

    raft::Options options_;
    raft::Membership members_;
    std::vector<Node> nodes_;
    raft::Random random_{1};
};

}  // namespace fuzz

#endif
