// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Oracle: what must hold in a cluster of Cores, checked after every piece of work of every node and
// for every message that leaves one. It remembers the whole run, so a rule that was broken is
// noticed even where no two nodes show it at the same moment.
//
//   votes             a node votes once in a term, through all restarts (section 5.2)
//   election safety   a term has one leader, ever (section 5.2)
//   leader append-only, log matching (section 5.3), leader completeness (5.4),
//   commit rule       a leader extends what is committed with an entry of its own term (5.4.2)
//   state machine safety: what is committed at an index is the same for everybody, for ever (5.4.3)
//   only forward      term, commit and applied never fall; a restart keeps what was promised
//   durable before visible: what a message promises is on the disk when it leaves
//   bounds            windows, what is not committed, waiting reads, what is kept in memory
//   repetition        what moved neither side forward is said again at a heartbeat, not before
#ifndef RSM_SIM_RULES_ORACLE_HPP
#define RSM_SIM_RULES_ORACLE_HPP

#include <raft/codec.hpp>
#include <raft/core.hpp>
#include <raft/invariants.hpp>
#include <raft/message.hpp>
#include <raft/options.hpp>
#include <raft/stable.hpp>
#include <raft/types.hpp>
#include <rsm/sim/run/report.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::sim {

class Oracle {
public:
    /// What a disk would give back if the power failed now and everything unsynced were lost;
    /// null: not asked for this time, or not readable.
    using DurableView = std::function<const raft::Recovered*(raft::NodeId)>;
    using Complain = std::function<void(Violation)>;

    Oracle(std::size_t nodes, const raft::Options& options, Complain complain, DurableView durable)
        : options_(options),
          complain_(std::move(complain)),
          durable_(std::move(durable)),
          nodes_(nodes + 1) {}

    // ---- what happens ----

    /// A node has recovered and is about to take part.
    void started(const raft::Core& core) {
        Node& node = nodes_[core.self().value];
        ++node.incarnation;
        check_promises(node, core);
        check_term(core);
        node.seen = look(core);
        node.verified = core.log().base();
        verify_log(node, core);
        node.told = core.role();
        node.up = true;
    }
    void crashed(raft::NodeId id) { nodes_[id.value].up = false; }
    /// The disk was exchanged: the node owes nothing any more.
    void forgotten(raft::NodeId id) { nodes_[id.value] = {}; }

    void event(raft::NodeId id, const raft::Event& event) {
        if (event.kind == raft::EventKind::protocol_violation) {
            complain("severe event",
                     "node " + text(id) + " says that node " + text(event.node) +
                         " sent what no correct node sends",
                     {id, event.node});
        }
        Node& node = nodes_[id.value];
        switch (event.kind) {
            case raft::EventKind::became_follower: node.told = raft::Role::follower; break;
            case raft::EventKind::became_leader: node.told = raft::Role::leader; break;
            case raft::EventKind::became_pre_candidate:
                node.told = raft::Role::pre_candidate;
                ++node.candidacies;
                break;
            case raft::EventKind::became_candidate:
                node.told = raft::Role::candidate;
                ++node.candidacies;
                break;
            default: break;
        }
        if (event.kind == raft::EventKind::log_truncated) {
            if (node.seen.role == raft::Role::leader && node.seen.term == event.term) {
                complain("leader append-only", "node " + text(id) + " truncated its log", {id});
            }
            if (event.index <= node.verified.index) node.verified = {};
        }
    }

    /// After each piece of work of a node.
    void step(const raft::Core& core) {
        Node& node = nodes_[core.self().value];
        const Look now = look(core);
        if (now == node.seen) return;
        const Look before = std::exchange(node.seen, now);
        const raft::NodeId id = core.self();
        if (raft::invariants::marks_in_order(core)) {
            complain("marks in order", "node " + text(id), {id});
        }
        if (now.term < before.term || now.commit < before.commit || now.applied < before.applied ||
            now.snapshot < before.snapshot) {
            complain("only forward", "node " + text(id), {id});
        }
        check_term(core);
        if (now.role != node.told) {
            complain("events", "node " + text(id) + " does not say what it has become", {id});
        }
        check_leadership(node, core, before);
        verify_log(node, core);
        if (now.commit != before.commit) check_commit(core, before);
        check_snapshot(core, before);
        check_bounds(core);
    }

    /// For each message that leaves a node. `core` and `now` are the sender's.
    void sent(const raft::Message& message, const raft::Core& core, raft::Time now) {
        now_ = now;
        const raft::Recovered* disk = durable_(message.from);
        const bool requests = std::holds_alternative<raft::AppendRequest>(message.body);
        if (requests && core.role() == raft::Role::leader) check_fitness(core, now);
        if (core.waiting_reads() > options_.max_waiting_reads) {
            complain("bounds", "node " + text(core.self()) + " keeps too many reads",
                     {core.self()});
        }
        std::visit([&](const auto& body) { sent(message, body, core, disk); }, message.body);
    }

    /// For each message that a node takes in. `core` and `now` are the receiver's.
    void received(const raft::Message& message, const raft::Core& core, raft::Time now) {
        const bool answers = std::holds_alternative<raft::AppendReply>(message.body) ||
                             std::holds_alternative<raft::SnapshotReply>(message.body);
        Node& node = nodes_[message.to.value];
        if (!answers || node.reign != core.term() || raft::term_of(message) != node.reign) return;
        node.contacts[message.from.value] = now;
    }

    // ---- what is known ----

    /// How often a node was started.
    std::uint64_t incarnation(raft::NodeId id) const { return nodes_[id.value].incarnation; }
    /// Footprint of a leader's operations of its own reign that are not committed, durable and
    /// applied on its own node, as far as they are in memory. @pre core leads
    static std::size_t unsettled_operations(const raft::Core& core) {
        const raft::Log& log = core.log();
        const raft::Index settled = std::min({log.commit(), log.durable(), log.applied()});
        std::size_t bytes = 0;
        for (raft::Index index = log.last_index(); index > settled && log.cached(index);
             index = index - 1) {
            const raft::Entry& entry = log[index];
            if (entry.term != core.term()) break;
            if (entry.kind == raft::EntryKind::operation) bytes += raft::footprint(entry);
        }
        return bytes;
    }
    /// How often a node has stood for election or asked whether it should.
    std::uint64_t candidacies(raft::NodeId id) const { return nodes_[id.value].candidacies; }
    /// What the log of a node takes on its disk, as far as all its entries have been seen.
    std::optional<std::uint64_t> persisted_bytes(const raft::Core& core) const {
        std::uint64_t bytes = raft::codec::persisted_hard_state_size;
        const raft::Log& log = core.log();
        for (raft::Index index = log.base().index + 1; index <= log.last_index(); ++index) {
            const auto known = entries_.find({index, *log.term_at(index)});
            if (known == entries_.end() || known->second.bytes == 0) return std::nullopt;
            bytes += known->second.bytes;
        }
        return bytes;
    }

    /// The terms of all entries that were ever committed, from index 1 on.
    const std::vector<raft::Term>& committed() const { return committed_; }
    std::size_t leaders() const { return leaders_.size(); }

    /// Everything of one node, without regard to what was verified before: at the end of a run.
    void verify_whole(const raft::Core& core) {
        Node& node = nodes_[core.self().value];
        node.verified = {};
        verify_log(node, core);
    }

private:
    /// What changes when anything of interest does.
    struct Look {
        raft::Term term;
        raft::NodeId vote;
        raft::Role role{};
        raft::LogPosition base;
        raft::LogPosition last;
        raft::Index commit;
        raft::Index applied;
        raft::Index snapshot;
        friend bool operator==(const Look&, const Look&) = default;
    };
    struct Promises {
        raft::Term term;  ///< the highest that was seen outside
        raft::Term acknowledged_in;
        raft::Index acknowledged;  ///< the highest index, in that term
    };
    struct Node {
        bool up = false;
        std::uint64_t incarnation = 0;
        Look seen;
        raft::LogPosition verified;  ///< the log was compared with history up to here
        Promises promises;
        std::map<raft::Term, raft::NodeId> votes;  ///< that were seen outside
        raft::Role told = raft::Role::follower;    ///< by its events
        std::uint64_t candidacies = 0;             ///< pre-votes included
        // Of a leader that speaks, by its own clock; told by nothing that it says of itself.
        raft::Term reign;
        std::vector<raft::Time> contacts;       ///< by node: its last answer in this reign
        raft::Time spoke{};                     ///< as the leader of its reign, last
        raft::Index durable;                    ///< when it last spoke
        std::optional<raft::Time> not_durable;  ///< since when that has not risen, and should
    };
    /// The transfer that a leader began last to a node.
    struct Transfer {
        raft::Term term;
        raft::LogPosition snapshot;
        raft::Time since{};     ///< when its first piece was sent
        std::size_t times = 0;  ///< since then
    };
    struct EntryRecord {
        raft::Term previous;
        std::uint64_t digest = 0;
        std::uint64_t bytes = 0;  ///< on the disk; 0: not known
    };
    struct LeaderRecord {
        raft::NodeId node;
        std::uint64_t incarnation = 0;
    };

    static std::string text(raft::NodeId node) { return std::to_string(node.value); }
    static std::string text(raft::Index index) { return std::to_string(index.value); }
    static std::string text(raft::Term term) { return std::to_string(term.value); }

    void complain(std::string property, std::string where, std::vector<raft::NodeId> nodes) {
        complain_({std::move(property), std::move(where), std::move(nodes)});
    }

    static Look look(const raft::Core& core) {
        const raft::Log& log = core.log();
        return {core.term(), core.voted_for(), core.role(),   log.base(),
                log.last(),  log.commit(),     log.applied(), core.snapshot().last.index};
    }

    // ---- restarts ----

    void check_promises(Node& node, const raft::Core& core) {
        const raft::NodeId id = core.self();
        const Promises& kept = node.promises;
        if (core.term() < kept.term) {
            complain("only forward",
                     "node " + text(id) + " came back in term " + text(core.term()) +
                         " after it had spoken in term " + text(kept.term),
                     {id});
        }
        const auto vote = node.votes.find(core.term());
        if (vote != node.votes.end() && core.voted_for() != vote->second) {
            complain("votes", "node " + text(id) + " forgot its vote in term " + text(core.term()),
                     {id});
        }
        if (core.term() == kept.acknowledged_in && core.log().last_index() < kept.acknowledged) {
            complain("durable before visible",
                     "node " + text(id) + " came back without index " + text(kept.acknowledged) +
                         ", which it had acknowledged",
                     {id});
        }
    }

    /// A node whose log is of a later term than its own would stand for election in the past.
    void check_term(const raft::Core& core) {
        if (core.log().last().term <= core.term()) return;
        complain("only forward", "the log of node " + text(core.self()) + " is of a later term",
                 {core.self()});
    }

    // ---- leaders and logs ----

    void check_leadership(Node& node, const raft::Core& core, const Look& before) {
        if (core.role() != raft::Role::leader) return;
        const raft::NodeId id = core.self();
        const bool same_reign = before.role == raft::Role::leader && before.term == core.term();
        if (same_reign) {
            if (core.log().last_index() < before.last.index ||
                (before.last.index >= core.log().base().index &&
                 !core.log().matches(before.last))) {
                complain("leader append-only", "node " + text(id), {id});
            }
            return;
        }
        const auto [known, first] =
            leaders_.try_emplace(core.term(), LeaderRecord{id, node.incarnation});
        if (!first && (known->second.node != id || known->second.incarnation != node.incarnation)) {
            complain("election safety",
                     "nodes " + text(known->second.node) + " and " + text(id) + " lead term " +
                         text(core.term()),
                     {known->second.node, id});
        }
        if (options_.barrier_on_election && core.log().last().term != core.term()) {
            complain("leader barrier", "node " + text(id) + " leads without a barrier", {id});
        }
        check_complete(core);
    }

    /// A leader's log holds all that was committed in earlier terms. It may have been elected in a
    /// term that is over by now: a node that was paused counts old votes when it wakes up.
    void check_complete(const raft::Core& leader) {
        raft::Index last{committed_.size()};
        while (last.value != 0 && committed_in_[last.value - 1] >= leader.term()) last = last - 1;
        const raft::Log& log = leader.log();
        if (last.value == 0 || last < log.base().index) return;
        if (log.term_at(last) == committed_[last.value - 1]) return;
        complain("leader completeness",
                 "node " + text(leader.self()) + " leads term " + text(leader.term()) +
                     " without index " + text(last) + ", which is committed",
                 {leader.self()});
    }

    /// Compares each entry that is new here, and some before it, with what anybody has held at
    /// that position.
    void verify_log(Node& node, const raft::Core& core) {
        constexpr std::uint64_t overlap = 4;
        const raft::Log& log = core.log();
        raft::Index index = std::min(node.verified.index, log.last_index());
        index = raft::Index{index.value - std::min(index.value, overlap)};
        for (index = std::max(index, log.base().index) + 1; index <= log.last_index(); ++index) {
            verify_entry(core, index);
        }
        node.verified = log.last();
    }
    void verify_entry(const raft::Core& core, raft::Index index) {
        const raft::Log& log = core.log();
        const raft::LogPosition position{index, *log.term_at(index)};
        const raft::Term previous = *log.term_at(index - 1);
        const bool cached = log.cached(index);
        compare(core.self(), position, previous, cached ? digest_of(log[index]) : 0);
        if (cached) entries_[position].bytes = raft::codec::persisted_size(log[index]);
    }
    static std::uint64_t digest_of(const raft::Entry& entry) {
        raft::Digest digest;
        digest.add(static_cast<std::uint64_t>(entry.kind));
        digest.add(entry.payload.view());
        return digest.value() | 1;  // 0 is "not known"
    }
    void compare(raft::NodeId node, raft::LogPosition position, raft::Term previous,
                 std::uint64_t digest) {
        const auto [known, first] = entries_.try_emplace(position, EntryRecord{previous, digest});
        EntryRecord& record = known->second;
        if (record.digest == 0) record.digest = digest;
        if (record.previous == previous && (digest == 0 || digest == record.digest)) return;
        complain("log matching",
                 "node " + text(node) + " holds another entry at index " + text(position.index) +
                     " of term " + text(position.term),
                 {node});
    }

    // ---- commits ----

    void check_commit(const raft::Core& core, const Look& before) {
        const raft::Log& log = core.log();
        const raft::NodeId id = core.self();
        raft::Index index = std::max(before.commit + 1, log.base().index);
        for (; index <= log.commit(); ++index) {
            if (index.value == 0) continue;
            const raft::Term term = *log.term_at(index);
            if (index.value <= committed_.size()) {
                if (committed_[index.value - 1] == term) continue;
                return complain("state machine safety",
                                "node " + text(id) + " commits index " + text(index) + " of term " +
                                    text(term) + "; committed was that of term " +
                                    text(committed_[index.value - 1]),
                                {id});
            }
            const bool leads =
                core.role() == raft::Role::leader || before.role == raft::Role::leader;
            if (!leads || index.value != committed_.size() + 1) {
                return complain("commit rule",
                                "node " + text(id) + " commits index " + text(index) +
                                    ", which no leader has committed",
                                {id});
            }
            extend_committed(core, index);
        }
    }

    void extend_committed(const raft::Core& core, raft::Index index) {
        const raft::Log& log = core.log();
        const raft::Index end = log.commit();
        const raft::Term reign = log.term_at(end).value_or(raft::Term{});
        const auto leader = leaders_.find(reign);
        if (leader == leaders_.end() || leader->second.node != core.self()) {
            complain("commit rule",
                     "node " + text(core.self()) + " commits up to index " + text(end) +
                         ", which is not of its own term",
                     {core.self()});
        }
        committed_.push_back(*log.term_at(index));
        committed_in_.push_back(reign);
        if (index != end) return;
        check_durable_quorum(core, {end, reign});
        for (const Node& other : nodes_) {
            const Look& seen = other.seen;
            if (!other.up || seen.role != raft::Role::leader || seen.term <= reign) continue;
            if (seen.last.index >= end) continue;
            complain("leader completeness",
                     "the leader of term " + text(seen.term) + " does not hold index " + text(end) +
                         ", which is committed",
                     {core.self()});
        }
    }

    /// What is committed is on the disks of a majority.
    void check_durable_quorum(const raft::Core& core, raft::LogPosition position) {
        std::size_t holders = 0;
        std::size_t asked = 0;
        for (std::uint64_t id = 1; id < nodes_.size(); ++id) {
            const raft::Recovered* disk = durable_({id});
            if (disk == nullptr) continue;
            ++asked;
            if (holds(*disk, position)) ++holders;
        }
        if (asked + 1 < nodes_.size() || core.membership().all().size() + 1 != nodes_.size())
            return;
        if (holders > (nodes_.size() - 1) / 2) return;
        complain("durable before visible",
                 "index " + text(position.index) + " is committed and on " +
                     std::to_string(holders) + " disks",
                 {core.self()});
    }
    static bool holds(const raft::Recovered& disk, raft::LogPosition position) {
        if (position.index <= disk.base.index || position.index <= disk.snapshot.last.index) {
            return true;
        }
        return position.index <= disk.last && raft::Log(disk).matches(position);
    }

    void check_snapshot(const raft::Core& core, const Look& before) {
        const raft::SnapshotMeta& snapshot = core.snapshot();
        const auto wrong = [this](raft::LogPosition position) {
            return position.index.value != 0 &&
                   (position.index.value > committed_.size() ||
                    committed_[position.index.value - 1] != position.term);
        };
        const bool changed =
            snapshot.last.index != before.snapshot || core.log().base() != before.base;
        if (!changed || (!wrong(snapshot.last) && !wrong(core.log().base()))) return;
        complain("state machine safety",
                 "node " + text(core.self()) + " has a snapshot of what was not committed",
                 {core.self()});
    }

    // ---- bounds ----

    void check_bounds(const raft::Core& core) {
        const std::size_t slack = options_.max_message_bytes + raft::entry_overhead_bytes;
        for (const raft::Progress& follower : core.followers()) {
            if (follower.match >= follower.next) {
                complain("marks in order",
                         "node " + text(core.self()) + " would send node " + text(follower.node) +
                             " again what it has acknowledged",
                         {core.self(), follower.node});
            }
            if (follower.in_flight_bytes() <= options_.window_bytes + slack) continue;
            complain("bounds",
                     "node " + text(core.self()) + " has more under way to node " +
                         text(follower.node) + " than its window",
                     {core.self(), follower.node});
        }
        check_memory(core);
        const raft::Log& log = core.log();
        const bool droppable = log.cached(log.cache_first()) && log.cache_first() <= log.durable();
        if (droppable && log.cache_bytes() > options_.log_cache_bytes) {
            complain("bounds", "node " + text(core.self()) + " keeps too much of its log in memory",
                     {core.self()});
        }
        if (core.role() != raft::Role::leader) return;
        if (unsettled_operations(core) > options_.max_uncommitted_bytes) {
            complain("bounds", "node " + text(core.self()) + " takes in more than it may",
                     {core.self()});
        }
        const bool settled =
            std::min({log.commit(), log.durable(), log.applied()}) == log.last_index();
        if (settled && core.unsettled_bytes() != 0) {
            complain("bounds", "node " + text(core.self()) + " counts what it has done with",
                     {core.self()});
        }
    }

    /// What is not durable or not applied here stays in memory, and that too is limited.
    void check_memory(const raft::Core& core) {
        const std::size_t most = options_.log_cache_bytes + options_.max_uncommitted_bytes +
                                 2 * (options_.window_bytes + options_.max_message_bytes);
        if (core.log().cache_bytes() <= most) return;
        complain(
            "bounds",
            "node " + text(core.self()) + " keeps " + std::to_string(core.log().cache_bytes()) +
                " bytes of its log in memory, where its options add up to " + std::to_string(most),
            {core.self()});
    }

    /// A transfer that is begun anew has brought nobody forward, so that waits for a heartbeat. A
    /// few times more, for messages that are late; a loop would do so hundreds of times.
    void check_repetition(const raft::Message& message, const raft::SnapshotChunk& chunk) {
        constexpr std::size_t most = 5;
        if (chunk.offset != 0) return;
        Transfer& last = transfers_[{message.from, message.to}];
        const bool same = chunk.term == last.term && chunk.meta.last == last.snapshot;
        if (!same || now_ - last.since >= options_.heartbeat_interval) {
            last = {chunk.term, chunk.meta.last, now_, 1};
        } else if (++last.times > most) {
            complain("repetition",
                     "node " + text(message.from) + " sends node " + text(message.to) +
                         " the same snapshot again and again between two heartbeats",
                     {message.from, message.to});
        }
    }

    /// A leader that speaks has just made sure that its disk does not hang, and not long ago that
    /// it hears from a quorum.
    void check_fitness(const raft::Core& core, raft::Time now) {
        Node& node = nodes_[core.self().value];
        if (node.reign != core.term()) {
            node.reign = core.term();
            node.contacts.assign(nodes_.size(), now);
            node.not_durable.reset();
            node.spoke = now;
        }
        // What it could not do while it did not run is not held against it.
        const raft::Duration gap = now - std::exchange(node.spoke, now);
        if (gap > options_.heartbeat_interval) {
            for (raft::Time& contact : node.contacts) contact += gap;
            if (node.not_durable) *node.not_durable += gap;
        }
        const raft::Log& log = core.log();
        if (log.durable() >= log.submitted()) {
            node.not_durable.reset();
        } else if (!node.not_durable || log.durable() != node.durable) {
            node.not_durable = now;
        }
        node.durable = log.durable();
        // A node that is late counts only the time in which it ran, which is half at least: what is
        // later by more than a heartbeat is a gap.
        const raft::Duration longest =
            2 * options_.disk_stall_timeout + options_.heartbeat_interval;
        if (node.not_durable && now - *node.not_durable >= longest) {
            complain("prompt step-down",
                     "node " + text(core.self()) + " leads while its disk hangs", {core.self()});
        }
        if (!options_.check_quorum) return;
        std::size_t heard = 1;
        for (const raft::Progress& follower : core.followers()) {
            const raft::Time contact = node.contacts[follower.node.value];
            if (now - contact < 3 * options_.election_timeout) ++heard;
        }
        if (2 * heard > core.followers().size() + 1) return;
        complain("prompt step-down",
                 "node " + text(core.self()) + " leads without hearing from a quorum",
                 {core.self()});
    }

    // ---- messages ----

    using Disk = const raft::Recovered*;

    /// A term that is seen outside must be on the disk.
    void speak(const raft::Message& message, raft::Term term, Disk disk) {
        Promises& promises = nodes_[message.from.value].promises;
        promises.term = std::max(promises.term, term);
        if (disk != nullptr && disk->hard_state.term < term) {
            complain("durable before visible",
                     "node " + text(message.from) + " speaks in term " + text(term) +
                         ", which is not on its disk",
                     {message.from});
        }
    }
    void vote(const raft::Message& message, raft::Term term, raft::NodeId candidate, Disk disk) {
        const raft::NodeId voter = message.from;
        const auto [known, first] = nodes_[voter.value].votes.try_emplace(term, candidate);
        if (!first && known->second != candidate) {
            complain("votes",
                     "node " + text(voter) + " votes for node " + text(known->second) +
                         " and for node " + text(candidate) + " in term " + text(term),
                     {voter});
        }
        const bool forgotten = disk != nullptr && disk->hard_state.term == term &&
                               disk->hard_state.voted_for != candidate;
        if (!forgotten) return;
        complain(
            "durable before visible",
            "the vote of node " + text(voter) + " in term " + text(term) + " is not on its disk",
            {voter});
    }
    void lead(const raft::Message& message, raft::Term term) {
        const auto leader = leaders_.find(term);
        // The first messages leave inside the very step that makes the leader.
        if (leader == leaders_.end() || leader->second.node == message.from) return;
        complain("election safety",
                 "nodes " + text(leader->second.node) + " and " + text(message.from) +
                     " lead term " + text(term),
                 {leader->second.node, message.from});
    }

    void sent(const raft::Message& message, const raft::VoteRequest& request, const raft::Core&,
              Disk disk) {
        if (request.pre_vote) return;
        speak(message, request.term, disk);
        vote(message, request.term, message.from, disk);
    }
    void sent(const raft::Message& message, const raft::VoteReply& reply, const raft::Core&,
              Disk disk) {
        speak(message, reply.term, disk);
        if (reply.granted && !reply.pre_vote) vote(message, reply.election, message.to, disk);
    }
    void sent(const raft::Message& message, const raft::AppendRequest& request, const raft::Core&,
              Disk disk) {
        speak(message, request.term, disk);
        lead(message, request.term);
        raft::Term previous = request.previous.term;
        std::size_t bytes = 0;
        bool too_large = false;
        for (const raft::Entry& entry : request.entries) {
            compare(message.from, entry.position(), previous, digest_of(entry));
            previous = entry.term;
            bytes += raft::footprint(entry);
            too_large = too_large || entry.payload.size() > options_.max_entry_bytes;
        }
        if (too_large || (request.entries.size() > 1 && bytes > options_.max_message_bytes)) {
            complain("bounds", "node " + text(message.from) + " sends more than is allowed",
                     {message.from});
        }
    }
    void sent(const raft::Message& message, const raft::AppendReply& reply, const raft::Core& core,
              Disk disk) {
        speak(message, reply.term, disk);
        if (!reply.accepted) return;
        acknowledge(message, reply.term, reply.index, core, disk);
    }
    void sent(const raft::Message& message, const raft::SnapshotChunk& chunk, const raft::Core&,
              Disk disk) {
        speak(message, chunk.term, disk);
        lead(message, chunk.term);
        check_repetition(message, chunk);
        if (chunk.data.size() <= options_.snapshot_chunk_bytes) return;
        complain("bounds", "node " + text(message.from) + " sends more than is allowed",
                 {message.from});
    }
    void sent(const raft::Message& message, const raft::SnapshotReply& reply,
              const raft::Core& core, Disk disk) {
        speak(message, reply.term, disk);
        if (reply.installed) acknowledge(message, reply.term, reply.match, core, disk);
    }

    /// What a follower vouches for is on its disk. An answer that leaves after the node has gone
    /// on to a later term may speak of what that term's leader has replaced since.
    void acknowledge(const raft::Message& message, raft::Term term, raft::Index index,
                     const raft::Core& core, Disk disk) {
        Promises& promises = nodes_[message.from.value].promises;
        if (term > promises.acknowledged_in) {
            promises.acknowledged_in = term;
            promises.acknowledged = {};
        }
        if (term == promises.acknowledged_in) {
            promises.acknowledged = std::max(promises.acknowledged, index);
        }
        if (disk == nullptr || core.term() != term || disk->hard_state.term != term) return;
        const std::optional<raft::Term> held = core.log().term_at(index);
        if (!held || holds(*disk, {index, *held})) return;
        complain("durable before visible",
                 "node " + text(message.from) + " acknowledges index " + text(index) +
                     ", which is not on its disk",
                 {message.from});
    }

    raft::Options options_;
    Complain complain_;
    DurableView durable_;
    std::vector<Node> nodes_;
    std::map<raft::LogPosition, EntryRecord> entries_;
    std::map<raft::Term, LeaderRecord> leaders_;
    std::map<std::pair<raft::NodeId, raft::NodeId>, Transfer>
        transfers_;     ///< by sender and receiver
    raft::Time now_{};  ///< the clock of who sends the message at hand
    std::vector<raft::Term> committed_;
    std::vector<raft::Term> committed_in_;  ///< the term of the leader that committed it
};

}  // namespace rsm::sim

#endif
