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
// It consists of parts (parts/), which are values with invariants of their own, and of rules
// (rules/), which are functions that name the parts they read and change. Here is which input
// calls for which rule, and what follows at the end of a step. Where each rule of the paper and of
// the thesis is found stands in raft.hpp.
#ifndef RSM_RAFT_CORE_HPP
#define RSM_RAFT_CORE_HPP

#include <raft/log.hpp>
#include <raft/membership.hpp>
#include <raft/mutant.hpp>
#include <raft/options.hpp>
#include <raft/parts/ballot.hpp>
#include <raft/parts/election_timer.hpp>
#include <raft/parts/journal.hpp>
#include <raft/parts/reads.hpp>
#include <raft/parts/reign.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/rules/acceptance.hpp>
#include <raft/rules/admission.hpp>
#include <raft/rules/application.hpp>
#include <raft/rules/compaction.hpp>
#include <raft/rules/context.hpp>
#include <raft/rules/durability.hpp>
#include <raft/rules/election.hpp>
#include <raft/rules/health.hpp>
#include <raft/rules/leading.hpp>
#include <raft/rules/proposals.hpp>
#include <raft/rules/reads.hpp>
#include <raft/rules/replication.hpp>
#include <raft/rules/snapshot_receiving.hpp>
#include <raft/rules/snapshot_sending.hpp>
#include <raft/step.hpp>
#include <raft/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <variant>

namespace raft {

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
    Role role() const { return office_.role(); }
    Term term() const { return ballot_.term; }
    NodeId voted_for() const { return ballot_.voted_for; }
    /// The leader of this term, 0 if unknown.
    NodeId leader() const { return office_.leader(self_); }
    const Log& log() const { return log_; }
    const Membership& membership() const { return membership_; }
    const SnapshotMeta& snapshot() const { return snapshots_.newest; }
    /// Reads that were asked for here and are not answered.
    std::size_t waiting_reads() const { return reads_.waiting; }
    /// Of a leader: see Options::max_uncommitted_bytes.
    std::size_t unsettled_bytes() const {
        return office_.leads() ? office_.reign()->budget.spent() : 0;
    }
    /// Whether the log is longer than this node needs it, because a follower does.
    bool holds_log() const { return office_.leads() && office_.reign()->holds_log; }
    /// The leader's view of its followers; empty on others.
    std::span<const Progress> followers() const {
        if (!office_.leads()) return {};
        return office_.reign()->followers;
    }
    Time deadline() const { return next_deadline(office_, timer_); }

    static constexpr auto fields() {
        return std::tuple(&Core::options_, &Core::self_, &Core::membership_, &Core::ballot_,
                          &Core::log_, &Core::snapshots_, &Core::office_, &Core::timer_,
                          &Core::reads_, &Core::journal_, &Core::now_);
    }
    friend bool operator==(const Core&, const Core&) = default;

private:
    friend struct Anatomy;  // digest.hpp

    void take(const StepContext& step, Message& message);
    void take(const StepContext& step, Message& message, VoteRequest& request) {
        answer_vote_request(step, ballot_, office_, timer_, reads_, log_, message.from, request);
    }
    void take(const StepContext& step, Message& message, VoteReply& reply) {
        take_vote_reply(step, ballot_, office_, timer_, log_, message.from, reply);
    }
    void take(const StepContext& step, Message& message, AppendRequest& request) {
        if (!follow(step, ballot_, office_, timer_, reads_, message)) {
            return refuse_stale_leader(step, message.from);
        }
        accept_entries(step, log_, message.from, request);
    }
    void take(const StepContext& step, Message& message, AppendReply& reply) {
        if (!take_append_reply(step, office_, log_, message.from, reply)) return;
        confirm_reads(step, *office_.reign(), reads_, log_);
    }
    void take(const StepContext& step, Message& message, SnapshotChunk& chunk) {
        if (!follow(step, ballot_, office_, timer_, reads_, message)) {
            return reply_snapshot(step, log_, message.from, chunk.meta, 0);
        }
        accept_chunk(step, log_, snapshots_.incoming, message.from, chunk);
    }
    void take(const StepContext& step, Message& message, SnapshotReply& reply) {
        take_snapshot_reply(step, office_, log_, snapshots_.newest, message.from, reply);
    }
    void take(const StepContext&, Tick&) {}
    void take(const StepContext& step, Propose& proposal) {
        propose(step, office_, log_, proposal);
    }
    void take(const StepContext& step, ReadIndex& read) {
        ask_read(step, office_, reads_, log_, read);
    }
    void take(const StepContext& step, Persisted& persisted) {
        take_persisted(ballot_, log_, journal_, persisted.id);
        count_own_vote(step, ballot_, office_, timer_, log_);
    }
    void take(const StepContext& step, Applied& applied) {
        log_.applied_to(applied.index);
        release_reads(step, reads_, log_);
    }
    void take(const StepContext& step, EntriesLoaded& loaded) {
        drop_replaced(log_, loaded);
        if (loaded.reader) return send_loaded(step, office_, log_, loaded);
        hand_over_loaded(step, log_, loaded);
    }
    void take(const StepContext& step, SnapshotTaken& taken) {
        take_own_snapshot(step, office_, log_, journal_, snapshots_, taken);
    }
    void take(const StepContext& step, ChunkLoaded& loaded) {
        send_chunk(step, office_, snapshots_.newest, loaded);
    }
    void take(const StepContext& step, ChunkStored& stored) {
        const auto sender = take_stored(step, log_, snapshots_.incoming, stored);
        if (!sender) return;
        install(step, membership_, office_, reads_, log_, journal_, snapshots_, stored.meta);
        reply_snapshot(step, log_, *sender, stored.meta, stored.meta.size);
    }
    void finish(const StepContext& step);

    Options options_;
    NodeId self_;
    Membership membership_;
    Ballot ballot_;
    Log log_;
    Snapshots snapshots_;
    Office office_;
    ElectionTimer timer_;
    Reads reads_;
    Journal journal_;
    Time now_;
};

inline Core::Core(const Options& options, NodeId self, Membership membership,
                  const Recovered& recovered, std::uint64_t seed, Time now)
    : options_(options),
      self_(self),
      membership_(recovered.snapshot.empty() ? std::move(membership)
                                             : recovered.snapshot.membership),
      ballot_{recovered.hard_state.term, recovered.hard_state.voted_for, false, {}},
      log_(recovered),
      snapshots_{recovered.snapshot, {}, {}},
      timer_(seed),
      journal_{{}, {}, recovered.hard_state.commit, {}, {}},
      now_(now) {
    // A snapshot from a leader may have become durable before the term in which it came. A node
    // whose log is of a later term than its own could be elected to append earlier ones to it.
    const Term logged = log_.last().term;
    if (logged > ballot_.term && !RSM_MUTANT(vote_forgotten_by_log)) ballot_.enter(logged);
    timer_.restart(options_, now_);
}

inline void Core::step(Time now, std::span<Input> inputs, Output& output) {
    output.clear();
    now_ = std::max(now_, now);
    const StepContext step{options_, self_, membership_, ballot_, now_, output};
    excuse_pause(step, office_, timer_, log_);
    for (Input& input : inputs) {
        std::visit([&](auto& what) { take(step, what); }, input);
    }
    finish(step);
}

/// Rules for all servers (Figure 2): a message of a later term makes a follower of its term.
inline void Core::take(const StepContext& step, Message& message) {
    if (!is_admitted(step, message)) return;
    const Term term = term_of(message);
    // Vote requests decide for themselves: a pre-vote names a term that nobody has entered, and
    // one that would depose a live leader is ignored.
    const bool asks_for_vote = std::holds_alternative<VoteRequest>(message.body);
    const bool ignored = RSM_MUTANT(no_step_down) && office_.leads();
    if (term > ballot_.term && !asks_for_vote && !ignored) {
        become_follower(step, ballot_, office_, timer_, reads_, term, NodeId{});
    }
    std::visit([&](auto& body) { take(step, message, body); }, message.body);
}

/// The end of a step: what follows from the state that all inputs together have led to.
inline void Core::finish(const StepContext& step) {
    check_leadership(step, ballot_, office_, timer_, reads_, log_);
    if (!office_.leads() && now_ >= timer_.expires) {
        stand_for_election(step, ballot_, office_, timer_, log_, options_.pre_vote);
    }
    if (office_.leads()) lead(step, office_, reads_, log_, journal_, snapshots_.newest);
    hand_over(step, log_);
    record(step, ballot_, log_, journal_);
    abandon_needless(step, log_, snapshots_.incoming, office_.leads());
    drop_unused_snapshots(step, office_, snapshots_);
    log_.trim_cache(options_.log_cache_bytes);
    step.out.deadline = deadline();
}

}  // namespace raft

#endif
