// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Core: the Raft algorithm as a value.
//
// A Core has no socket, file, clock, thread, lock, callback or global. It is told what happened
// and answers with what must be done; the same state and the same inputs give the same state and
// outputs everywhere. So it can be copied, compared, branched and explored without a mock.
//
// It consists of parts (parts/), which are values with invariants of their own, and of rules
// (rules/), which are functions that name the parts they read and change. Here is which input
// calls for which rule, and what follows at the end of a step. The map of rules is in raft.hpp.
#ifndef RSM_RAFT_CORE_HPP
#define RSM_RAFT_CORE_HPP

#include <raft/base/types.hpp>
#include <raft/parts/all.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/protocol/options.hpp>
#include <raft/protocol/step.hpp>
#include <raft/rules/all.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>

namespace raft::inline v0 {

class Core {
public:
    /// @param founding    who the cluster was at its foundation; the node need not be one of them
    /// @param seed        of the election timeouts; must differ between the nodes of a cluster
    /// @param instance    see Instance; 0: the node has none
    /// @param founder     the node's storage was founded with these members; not so if it has
    ///                    joined, or if it was ever told that another instance bears its id
    /// @pre options.validate(), `self` is not 0, `recovered` keeps its invariants
    Core(const Options& options, NodeId self, Membership founding, const Recovered& recovered,
         std::uint64_t seed, Time now, Instance instance = {}, bool founder = true);

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
    Instance instance() const { return instance_; }
    /// The one in force, committed or not.
    const Membership& membership() const { return configuration_.latest(); }
    const Configuration& configuration() const { return configuration_; }
    /// Whether a change of members is being decided, or brought forward by this leader.
    bool changing_members() const {
        const Reign* const reign = office_.reign();
        return membership().joint() || (reign != nullptr && reign->change);
    }
    /// By which this leader is about to pass leadership on; null: none.
    const Handover* handover() const {
        const Reign* const reign = office_.reign();
        return reign == nullptr || !reign->handover ? nullptr : &*reign->handover;
    }
    const SnapshotMeta& snapshot() const { return snapshots_.newest; }
    /// Whether a snapshot is on its way to this node, or part of one is here.
    bool receives_snapshot() const { return snapshots_.incoming.has_value(); }
    /// It; null: none.
    const IncomingSnapshot* incoming() const {
        return snapshots_.incoming ? &*snapshots_.incoming : nullptr;
    }
    /// Reads that were asked for here and are not answered.
    std::size_t waiting_reads() const { return reads_.waiting; }
    /// Of a leader: see Options::max_uncommitted_bytes.
    std::size_t unsettled_bytes() const { return office_.unsettled_bytes(); }
    /// Whether the log is longer than this node needs it, because a follower does.
    bool holds_log() const { return office_.holds_log(); }
    /// Whether the log is as long as Options::max_log_bytes lets it be.
    bool log_full() const { return room_.none(); }
    /// The leader's view of its followers; empty on others.
    std::span<const Progress> followers() const { return office_.followers(); }
    /// What this node, a follower, sends to others for its leader.
    std::span<const Errand> errands() const { return office_.errands(); }
    /// Whether this node's own disk hangs, and whether it has room.
    const DiskHealth& disk() const { return disk_; }
    Time deadline() const { return next_deadline(options_, office_, timer_, disk_, log_); }

    template <class Self, class Visit>
    static constexpr auto fields(Self& self, Visit visit) {
        return visit(self.options_, self.self_, self.instance_, self.configuration_, self.ballot_,
                     self.log_, self.room_, self.snapshots_, self.office_, self.timer_, self.reads_,
                     self.journal_, self.disk_, self.detached_, self.version_report_, self.now_);
    }
    friend bool operator==(const Core&, const Core&) = default;

private:
    friend struct Anatomy;  // proof/state_digest.hpp

    void take(const Step& step, Message& message);
    void take(const Step& step, Message& message, VoteRequest& request) {
        load_lacking(step, office_, timer_, log_, message.from, request);
        offer_snapshot(step, office_, timer_, log_, snapshots_, message.from, request);
        answer_vote_request(step, ballot_, office_, timer_, reads_, log_, message, request);
    }
    void take(const Step& step, Message& message, VoteReply& reply) {
        take_vote_reply(step, ballot_, office_, timer_, log_, configuration_, message.from, reply);
    }
    void take(const Step& step, Message& message, AppendRequest& request) {
        answer_append_request(step, ballot_, office_, timer_, reads_, log_, room_,
                              snapshots_.newest, configuration_, message, request);
        report_version(step, office_, version_report_, message.from);
    }
    void take(const Step& step, Message& message, AppendReply& reply) {
        take_append_reply(step, office_, reads_, log_, message.from, reply);
    }
    void take(const Step& step, Message& message, SnapshotChunk& chunk) {
        take_chunk(step, ballot_, office_, timer_, reads_, log_, snapshots_, message, chunk);
    }
    void take(const Step& step, Message& message, SnapshotReply& reply) {
        take_snapshot_reply(step, office_, log_, snapshots_.newest, message.from, reply);
        take_rejection(step, office_, snapshots_.newest, message.from, reply);
    }
    void take(const Step& step, Message& message, TimeoutNow& request) {
        take_timeout_now(step, ballot_, office_, timer_, log_, message.from, request);
    }
    void take(const Step& step, Message& message, LackingEntries& lacking) {
        take_lacking(step, office_, timer_, log_, configuration_, detached_, message.from, lacking);
    }
    void take(const Step& step, Message& message, StateMarks& told) {
        take_marks(step, office_, message.from, told);
    }
    void take(const Step& step, Message& message, ReadableVersion& report) {
        take_version_report(step, office_, message.from, report);
    }
    void take(const Step& step, Message& message, SourceRequest& request) {
        if (request.target == message.from) {
            lend_piece(step, office_, timer_, snapshots_, request);
        } else {
            take_source_request(step, office_, snapshots_.newest, message.from, request);
        }
    }
    void take(const Step& step, Message& message, SourceReply& reply) {
        take_source_reply(step, office_, log_, snapshots_.newest, message.from, reply);
        take_offer(step, office_, timer_, log_, snapshots_, message.from, reply);
    }
    void take(const Step& step, Message& message, SourceChunk& chunk) {
        if (chunk.leader) {
            take_source_chunk(step, office_, log_, snapshots_, message.from, chunk);
        } else {
            take_lent(step, office_, timer_, log_, snapshots_.incoming, message.from, chunk);
        }
    }
    void take(const Step&, Tick&) {}
    void take(const Step&, LogRoom& room) { room_.left = room.bytes; }
    void take(const Step& step, Propose& proposal) {
        propose(step, office_, log_, room_, proposal);
    }
    void take(const Step& step, ChangeMembers& asked) { ask_change(step, office_, log_, asked); }
    void take(const Step& step, CancelChange& cancel) { cancel_change(step, office_, cancel); }
    void take(const Step& step, HandOver& asked) { ask_handover(step, office_, log_, asked); }
    void take(const Step& step, TellMarks& told) { tell_marks(step, office_, told); }
    void take(const Step& step, ReadIndex& read) { ask_read(step, office_, reads_, log_, read); }
    void take(const Step& step, Persisted& persisted) {
        take_persisted(ballot_, log_, journal_, persisted.id);
        count_own_vote(step, ballot_, office_, timer_, log_);
    }
    void take(const Step& step, StorageRoom& room) { take_room(step, disk_, room); }
    void take(const Step& step, Applied& applied) {
        take_applied(step, reads_, log_, applied.index);
    }
    void take(const Step& step, EntriesLoaded& loaded) { take_loaded(step, office_, log_, loaded); }
    void take(const Step& step, DetachedLoaded& loaded) {
        take_detached(step, office_, timer_, log_, configuration_, detached_, loaded);
    }
    void take(const Step& step, SnapshotTaken& taken) {
        take_own_snapshot(step, configuration_, office_, log_, room_, journal_, snapshots_, taken);
    }
    void take(const Step& step, ChunkLoaded& loaded) {
        if (office_.leads()) return send_chunk(step, office_, snapshots_.newest, loaded);
        if (send_source_chunk(step, office_, snapshots_.newest, loaded)) return;
        send_lent(step, snapshots_, loaded);
    }
    void take(const Step& step, ChunkStored& stored) {
        take_stored(step, configuration_, office_, reads_, log_, room_, journal_, snapshots_,
                    stored);
        take_borrowed(step, office_, timer_, log_, snapshots_, stored);
    }
    void finish(const Step& step, bool held_log);

    Options options_;
    NodeId self_;
    Instance instance_;
    Configuration configuration_;
    Ballot ballot_;
    Log log_;
    Room room_;
    Snapshots snapshots_;
    Office office_;
    ElectionTimer timer_;
    Reads reads_;
    Journal journal_;
    DiskHealth disk_;
    Detached detached_;
    VersionReport version_report_;
    Time now_;
};

inline Core::Core(const Options& options, NodeId self, Membership founding,
                  const Recovered& recovered, std::uint64_t seed, Time now, Instance instance,
                  bool founder)
    : options_(options),
      self_(self),
      instance_(instance),
      configuration_(std::move(founding), recovered),
      ballot_{recovered.hard_state.term, recovered.hard_state.voted_for, {}, false, {}},
      log_(recovered, options.recover_commit_index ? recovered.hard_state.commit : Index{}),
      snapshots_{recovered.snapshot, resumed(recovered, now), {}},
      timer_(seed),
      journal_{{}, {}, recovered.hard_state.commit, {}, {}},
      detached_{recovered.detached, {}},
      now_(now) {
    if (!founder) configuration_.joins();
    enter_term_of_log(ballot_, log_);
    start_timer(options_, ballot_, timer_, now_);
}

inline void Core::step(Time now, std::span<Input> inputs, Output& output) {
    output.clear();
    now_ = std::max(now_, now);
    const Step step{options_, self_, instance_, configuration_, ballot_, disk_, now_, output};
    const bool held_log = office_.holds_log();
    excuse_pause(step, office_, timer_, log_);
    for (Input& input : inputs) {
        std::visit([&](auto& what) { take(step, what); }, input);
    }
    finish(step, held_log);
}

/// Rules for all servers (Figure 2): a message of a later term makes a follower of its term.
inline void Core::take(const Step& step, Message& message) {
    if (!is_admitted(step, office_, configuration_, log_, message)) return;
    const Term term = term_of(message);
    // Vote requests decide for themselves: a pre-vote names a term that nobody has entered, and
    // one that would depose a live leader is ignored.
    const bool asks_for_vote = std::holds_alternative<VoteRequest>(message.body);
    if (term > ballot_.term && !asks_for_vote) {
        become_follower(step, ballot_, office_, timer_, reads_, term, NodeId{});
    }
    std::visit([&](auto& body) { take(step, message, body); }, message.body);
}

/// The end of a step: what follows from the state that all inputs together have led to.
/// @param held_log  before them
inline void Core::finish(const Step& step, bool held_log) {
    watch_disk(step, disk_, timer_, log_);
    check_leadership(step, ballot_, office_, timer_, reads_, log_);
    if (!office_.leads() && now_ >= timer_.expires) {
        const Candidacy candidacy = options_.pre_vote ? Candidacy::pre_vote : Candidacy::vote;
        stand_for_election(step, ballot_, office_, timer_, log_, candidacy);
    }
    if (office_.leads()) {
        lead(step, office_, reads_, log_, room_, configuration_, journal_, snapshots_.newest);
        retire(step, ballot_, office_, timer_, reads_, log_);
    }
    // What it held for its followers it does not need when it leads no more, nor where there is no
    // room, but for what is to be read for them now.
    const bool makes_room = room_.none() && step.out.load_entries.empty();
    if ((held_log && !office_.holds_log()) || makes_room) {
        release_covered(step, office_, log_, room_, journal_, snapshots_.newest);
    }
    settle(step, configuration_, log_);
    regain(step, log_);
    reattach(step, office_, timer_, log_, detached_);
    drop_stale_loads(step, log_);
    hand_over(step, log_);
    record(step, ballot_, log_, journal_);
    abandon_needless(step, log_, snapshots_.incoming, office_.leads());
    end_errands(step, office_);
    end_lending(step, office_, timer_, log_, snapshots_);
    drop_unused_snapshots(step, office_, snapshots_);
    log_.trim_cache(options_.log_cache_bytes);
    step.out.deadline = deadline();
}

}  // namespace raft

#endif
