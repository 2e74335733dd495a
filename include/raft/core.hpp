// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: the Raft algorithm as a value.
//
// A Core has no socket, file, clock, thread, lock, callback or global. It is told what happened
// and answers with what must be done; the same state and the same inputs give the same state and
// outputs everywhere. Callbacks into the world were the alternative; they scatter the order of
// effects over the code and need mocks to be tested, where a value can be copied, compared,
// branched and explored.
//
// Where to find the rules of the paper ("In Search of an Understandable Consensus Algorithm",
// extended version) and of Ongaro's thesis:
//
//   core/election.hpp   terms and votes (5.1, 5.2), election restriction (5.4.1), pre-vote
//                       (thesis 9.6), check-quorum (thesis 6.2), sticky leaders (thesis 4.2.3)
//   core/leader.hpp     replication and the commit rule (5.3, 5.4.2), barrier (8), heartbeats
//   core/follower.hpp   the consistency check and truncation (5.3), fast backup (end of 5.3)
//   core/snapshot.hpp   compaction and InstallSnapshot (7), in chunks that resume
//   core/reads.hpp      linearizable reads without the log (8, thesis 6.4)
#ifndef RSM_RAFT_CORE_HPP
#define RSM_RAFT_CORE_HPP

#include <raft/log.hpp>
#include <raft/membership.hpp>
#include <raft/mutant.hpp>
#include <raft/options.hpp>
#include <raft/progress.hpp>
#include <raft/ring.hpp>
#include <raft/step.hpp>
#include <raft/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace raft {

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };

class Core {
public:
    /// @param membership  who the cluster is as long as no snapshot says otherwise
    /// @param seed        of the election timeouts; must differ between the nodes of a cluster
    /// @pre options.validate(), `self` is not 0, `recovered` keeps its invariants
    Core(const Options& options, NodeId self, Membership membership, const Recovered& recovered,
         std::uint64_t seed, Time now);

    /// Takes in everything that has happened since the last step, in order, and says what to do.
    /// Inputs that wait should be passed together: one step makes at most one write, and as few
    /// messages to each peer as the limits allow, however many inputs there are.
    ///
    /// @param now  not before that of the step before (an earlier time counts as that one)
    void step(Time now, std::span<Input> inputs, Output& output);

    /// The same for one input.
    Output step(Time now, Input input) {
        Output output;
        step(now, std::span(&input, 1), output);
        return output;
    }

    // ---- what can be seen ----

    NodeId self() const { return self_; }
    Role role() const;
    Term term() const { return hard_.term; }
    NodeId voted_for() const { return hard_.voted_for; }
    /// The leader of this term, 0 if unknown.
    NodeId leader() const;
    const Log& log() const { return log_; }
    const Membership& membership() const { return membership_; }
    const SnapshotMeta& snapshot() const { return snapshot_; }
    /// Reads that were asked for here and are not answered.
    std::size_t waiting_reads() const { return waiting_reads_; }
    /// Of a leader: see Options::max_uncommitted_bytes.
    std::size_t unsettled_bytes() const {
        const auto* leader = std::get_if<Leader>(&role_);
        return leader == nullptr ? 0 : leader->unsettled_bytes;
    }
    /// Whether the log is longer than this node needs it, because a follower does.
    bool holds_log() const { return holding_; }
    /// The leader's view of its followers; empty on others.
    std::span<const Progress> followers() const;
    Time deadline() const;

    friend bool operator==(const Core&, const Core&) = default;

private:
    friend struct Anatomy;  // digest.hpp

    // A role holds what only that role knows.
    struct Follower {
        NodeId leader;
        friend bool operator==(const Follower&, const Follower&) = default;
    };
    struct Candidate {
        bool pre_vote = false;
        std::vector<NodeId> granted;
        friend bool operator==(const Candidate&, const Candidate&) = default;
    };
    struct ReadRound {
        std::uint64_t round = 0;
        Index index;
        std::vector<Token> tokens;
        friend bool operator==(const ReadRound&, const ReadRound&) = default;
    };
    // Entries of this reign that one step appended.
    struct Unsettled {
        Index last;
        std::size_t bytes = 0;
        friend bool operator==(const Unsettled&, const Unsettled&) = default;
    };
    struct Leader {
        std::vector<Progress> followers;   // sorted by node
        std::uint64_t appended_bytes = 0;  // in this reign
        std::size_t unsettled_bytes = 0;   // of it, not yet committed, durable and applied here
        std::size_t step_bytes = 0;        // of these, appended in this step
        Ring<Unsettled> unsettled;         // the others
        Time heartbeat_at;
        Time quorum_check_at;
        std::optional<Time> stall_seen_at;
        std::optional<Time> commit_notice_at;
        std::uint64_t round = 0;       // the latest read round
        bool round_due = false;        // it must still be announced
        std::vector<Token> new_reads;  // wait for the next round
        Ring<ReadRound> rounds;        // wait for a quorum's echo
        friend bool operator==(const Leader&, const Leader&) = default;
    };
    // Reads whose index is known and confirmed; they wait for the state machine.
    struct ConfirmedReads {
        Index index;
        std::vector<Token> tokens;
        friend bool operator==(const ConfirmedReads&, const ConfirmedReads&) = default;
    };
    // A snapshot that is being received.
    struct Receiving {
        SnapshotMeta meta;
        Term term;
        NodeId from;
        std::uint64_t kept = 0;         // answered by the storage
        std::uint64_t next_offset = 0;  // given to it
        Ring<std::uint64_t> storing;    // where the pieces in between end
        bool over = false;              // ends when the storage has answered all of them
        friend bool operator==(const Receiving&, const Receiving&) = default;
    };

    // election.hpp
    void become_follower(Output& out, Term term, NodeId leader);
    void stand_for_election(Output& out, bool pre_vote);
    void count_vote(Output& out, NodeId voter);
    void become_leader(Output& out);
    bool hears_from_leader() const;
    void on(Output& out, const Message& message, VoteRequest& request);
    void on(Output& out, const Message& message, VoteReply& reply);
    bool disk_hangs(Leader& leader) const;
    void check_leadership(Output& out, Leader& leader);
    void reset_election_timer();
    void notice_pause(Output& out);

    // leader.hpp
    void append_own(Leader& leader, EntryKind kind, Bytes payload);
    void on(Output& out, Propose& proposal);
    void on(Output& out, const Message& message, AppendReply& reply);
    void on(Output& out, EntriesLoaded& loaded);
    void advance_commit(Leader& leader);
    void settle(Leader& leader);
    void doubt(Output& out, Leader& leader, Progress& follower, const AppendReply& reply);
    void lead(Output& out, Leader& leader);
    bool replicate(Output& out, Leader& leader, Progress& follower);
    void send_entries(Output& out, Leader& leader, Progress& follower, std::vector<Entry> entries,
                      std::size_t bytes);
    void send_heartbeat(Output& out, Leader& leader, Progress& follower);
    static Progress* find(Leader& leader, NodeId node);
    template <class Value>
    Value of_node(Leader& leader, NodeId node, Value Progress::*member, Value own) const;

    // follower.hpp
    bool follow(Output& out, const Message& message);
    void on(Output& out, const Message& message, AppendRequest& request);
    bool append_received(Output& out, const Message& message, AppendRequest& request);
    void leave_what_does_not_fit(AppendRequest& request) const;
    void acknowledge(Output& out, const Message& message, const AppendRequest& request,
                     Index match);

    // snapshot.hpp
    void on(Output&, SnapshotTaken& taken);
    void release_covered();
    Index held_for_followers(Leader& leader, Index release) const;
    void begin_snapshot(Output& out, Progress& follower);
    void load_chunk(Output& out, Progress& follower);
    void resend_chunk(Output& out, Progress& follower);
    void on(Output& out, ChunkLoaded& loaded);
    void on(Output& out, const Message& message, SnapshotReply& reply);
    void on(Output& out, const Message& message, SnapshotChunk& chunk);
    void on(Output& out, ChunkStored& stored);
    void install(Output& out, const SnapshotMeta& meta);
    void reply_snapshot(Output& out, NodeId to, const SnapshotMeta& meta, std::uint64_t next_offset,
                        bool rejected = false);
    void finish_receiving(Output& out);
    void drop_unused_snapshots(Output& out);

    // reads.hpp
    void on(Output& out, ReadIndex& read);
    void open_read_round(Leader& leader);
    void confirm_reads(Output& out, Leader& leader);
    void release_reads(Output& out);
    void refuse_reads(Output& out, Leader& leader);

    // The rest is below.
    void on(Output&, Tick&) {}
    bool admitted(Output& out, const Message& message) const;
    void on(Output& out, Message& message);
    void on(Output& out, Persisted& persisted);
    void on(Output& out, Applied& applied);
    void finish(Output& out);
    void hand_over(Output& out);
    void persist(Output& out);
    void send(Output& out, NodeId to, Message::Body body);
    void send_when_durable(Output& out, NodeId to, Message::Body body);
    void announce(Output& out, EventKind kind, NodeId node = {}, Index index = {}) const {
        out.events.push_back({kind, hard_.term, node, index});
    }
    // A vote or term that is not durable yet must not be seen by anybody (Figure 2: "updated on
    // stable storage before responding to RPCs").
    bool hard_state_durable() const { return !hard_changed_ && hard_write_ <= persisted_; }

    Options options_;
    NodeId self_;
    Membership membership_;
    HardState hard_;  // hard_.commit is what was last written, not what is known
    Log log_;
    SnapshotMeta snapshot_;
    std::variant<Follower, Candidate, Leader> role_;

    Random random_;
    Time now_;
    Time election_at_;                  // when to stand for election, unless leader
    unsigned pauses_ = 0;               // that ended with the last steps, without one between
    std::optional<Time> leader_heard_;  // when a leader last spoke to this node
    std::optional<Receiving> receiving_;
    Ring<ConfirmedReads> confirmed_reads_;
    std::size_t waiting_reads_ = 0;  // in Leader::new_reads, Leader::rounds and here
    bool applying_load_ = false;     // entries for the state machine are being read back

    bool hard_changed_ = false;
    WriteId last_write_;  // the last one given out
    WriteId hard_write_;  // the last one with a term or vote that differs from the one before
    WriteId persisted_;
    std::optional<LogPosition> pending_reset_;
    std::optional<LogPosition> pending_release_;
    Index dropped_before_;  // no older snapshot is kept; 0: not known
    bool holding_ = false;  // the log was not released as far as this node could
};

inline Core::Core(const Options& options, NodeId self, Membership membership,
                  const Recovered& recovered, std::uint64_t seed, Time now)
    : options_(options),
      self_(self),
      membership_(recovered.snapshot.empty() ? std::move(membership)
                                             : recovered.snapshot.membership),
      hard_(recovered.hard_state),
      log_(recovered),
      snapshot_(recovered.snapshot),
      random_(seed),
      now_(now) {
    // A snapshot from a leader may have become durable before the term in which it came. A node
    // whose log is of a later term than its own could be elected to append earlier ones to it.
    if (hard_.term < log_.last().term && !RSM_MUTANT(vote_forgotten_by_log)) {
        hard_.term = log_.last().term;
        hard_.voted_for = NodeId{};
        hard_changed_ = true;
    }
    reset_election_timer();
}

inline Role Core::role() const {
    if (std::holds_alternative<Leader>(role_)) return Role::leader;
    const auto* candidate = std::get_if<Candidate>(&role_);
    if (candidate == nullptr) return Role::follower;
    return candidate->pre_vote ? Role::pre_candidate : Role::candidate;
}

inline NodeId Core::leader() const {
    if (std::holds_alternative<Leader>(role_)) return self_;
    const auto* follower = std::get_if<Follower>(&role_);
    return follower == nullptr ? NodeId{} : follower->leader;
}

inline std::span<const Progress> Core::followers() const {
    const auto* leader = std::get_if<Leader>(&role_);
    if (leader == nullptr) return {};
    return leader->followers;
}

inline Time Core::deadline() const {
    const auto* leader = std::get_if<Leader>(&role_);
    if (leader == nullptr) return election_at_;
    Time earliest = std::min(leader->heartbeat_at, leader->quorum_check_at);
    if (leader->commit_notice_at) earliest = std::min(earliest, *leader->commit_notice_at);
    return earliest;
}

inline void Core::step(Time now, std::span<Input> inputs, Output& output) {
    output.clear();
    now_ = std::max(now_, now);
    notice_pause(output);
    for (Input& input : inputs) {
        std::visit([this, &output](auto& what) { on(output, what); }, input);
    }
    finish(output);
}

/// Who and what is heard at all: members, and numbers that a cluster can come to. A term that
/// everybody adopts is for ever, so one forged or damaged number must not use up those that are
/// left.
inline bool Core::admitted(Output& out, const Message& message) const {
    if (message.to != self_ || message.from == self_ || !membership_.contains(message.from)) {
        return false;
    }
    const bool plausible =
        within_limits(message) && term_of(message).value <= hard_.term.value + max_term_step;
    if (!plausible) announce(out, EventKind::number_out_of_range, message.from);
    return plausible;
}

/// Rules for all servers (Figure 2): a message of a later term makes a follower of its term.
inline void Core::on(Output& out, Message& message) {
    if (!admitted(out, message)) return;
    const Term term = term_of(message);
    // Vote requests decide for themselves: a pre-vote names a term that nobody has entered, and
    // one that would depose a live leader is ignored.
    const bool asks_for_vote = std::holds_alternative<VoteRequest>(message.body);
    const bool ignored = RSM_MUTANT(no_step_down) && role() == Role::leader;
    if (term > hard_.term && !asks_for_vote && !ignored) become_follower(out, term, NodeId{});
    std::visit([&](auto& body) { on(out, message, body); }, message.body);
}

inline void Core::on(Output& out, Persisted& persisted) {
    persisted_ = std::max(persisted_, persisted.id);
    log_.persisted(persisted.id);
    // A candidate's vote for itself counts once it could not be forgotten.
    const auto* candidate = std::get_if<Candidate>(&role_);
    if (candidate != nullptr && !candidate->pre_vote && hard_state_durable()) {
        count_vote(out, self_);
    }
}

inline void Core::on(Output& out, Applied& applied) {
    log_.applied_to(applied.index);
    release_reads(out);
}

/// The end of a step: what follows from the state that all inputs together have led to.
inline void Core::finish(Output& out) {
    if (auto* leader = std::get_if<Leader>(&role_)) check_leadership(out, *leader);
    if (!std::holds_alternative<Leader>(role_) && now_ >= election_at_) {
        stand_for_election(out, options_.pre_vote);
    }
    if (auto* leader = std::get_if<Leader>(&role_)) lead(out, *leader);
    hand_over(out);
    persist(out);
    finish_receiving(out);
    drop_unused_snapshots(out);
    log_.trim_cache(options_.log_cache_bytes);
    out.deadline = deadline();
}

/// Rules for all servers (Figure 2): apply what is committed, in order. One batch at a time, so
/// that a long backlog does not keep the node from its heartbeats.
inline void Core::hand_over(Output& out) {
    if (log_.handed() != log_.applied() || log_.handed() == log_.commit()) return;
    const Index first = log_.handed() + 1;
    if (log_.cached(first)) {
        log_.copy(first, log_.commit(), options_.apply_batch_bytes, out.apply);
        log_.handed_to(out.apply.back().index);
    } else if (!applying_load_) {
        applying_load_ = true;
        out.load_entries.push_back({NodeId{}, first, options_.apply_batch_bytes});
    }
}

inline void Core::persist(Output& out) {
    const bool entries = log_.submitted() < log_.last_index();
    if (hard_changed_ || entries || pending_reset_ || pending_release_) {
        last_write_.value += 1;
        Write& write = out.write.emplace();
        write.id = last_write_;
        write.reset = std::exchange(pending_reset_, std::nullopt);
        log_.submit(write.id, now_, write.entries);
        // The commit index travels along with writes that are made anyway.
        if (hard_changed_ || (entries && hard_.commit < log_.commit())) {
            hard_.commit = log_.commit();
            write.hard_state = hard_;
        }
        if (std::exchange(hard_changed_, false)) hard_write_ = write.id;
        write.release = std::exchange(pending_release_, std::nullopt);
    }
    for (DeferredMessage& deferred : out.send_after) deferred.after = last_write_;
}

/// Sends what tells of nothing but the term and vote.
inline void Core::send(Output& out, NodeId to, Message::Body body) {
    if (hard_state_durable() || RSM_MUTANT(vote_sent_early)) {
        out.send.push_back({self_, to, std::move(body)});
    } else {
        send_when_durable(out, to, std::move(body));
    }
}

/// Sends what tells of entries too: after the last write that this step makes or finds under way.
inline void Core::send_when_durable(Output& out, NodeId to, Message::Body body) {
    out.send_after.push_back({WriteId{}, {self_, to, std::move(body)}});
}

}  // namespace raft

#include <raft/core/election.hpp>
#include <raft/core/follower.hpp>
#include <raft/core/leader.hpp>
#include <raft/core/reads.hpp>
#include <raft/core/snapshot.hpp>

#endif
