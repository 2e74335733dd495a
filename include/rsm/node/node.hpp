// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Node: what stands behind a Replicated. The one place where the engine meets the user's type.
#ifndef RSM_NODE_NODE_HPP
#define RSM_NODE_NODE_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/driver/engine.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/archive.hpp>
#include <rsm/backup.hpp>
#include <rsm/error.hpp>
#include <rsm/members.hpp>
#include <rsm/node/application.hpp>
#include <rsm/node/applied_digest.hpp>
#include <rsm/node/comparison.hpp>
#include <rsm/node/completion.hpp>
#include <rsm/node/counted_completion.hpp>
#include <rsm/node/measurements.hpp>
#include <rsm/node/not_leader.hpp>
#include <rsm/node/own_snapshots.hpp>
#include <rsm/node/pending_captures.hpp>
#include <rsm/node/pending_changes.hpp>
#include <rsm/node/pending_operations.hpp>
#include <rsm/node/pending_reads.hpp>
#include <rsm/node/policies.hpp>
#include <rsm/node/replica_state.hpp>
#include <rsm/node/room_notice.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/node/skipped_operations.hpp>
#include <rsm/node/status_of.hpp>
#include <rsm/node/thrown.hpp>
#include <rsm/node/verified_decoding.hpp>
#include <rsm/options.hpp>
#include <rsm/state_machine.hpp>
#include <rsm/status.hpp>

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace rsm::inline v0::detail {

/// All members are used on the strand only.
template <class Machine, class Transport, class Storage, class Clock>
class Node {
public:
    using Operation = typename Machine::Operation;
    using Result = ResultOf<Machine>;
    using Ending = detail::Ending<Result>;
    using Engine = raft::Engine<Transport, Storage, Clock, Node>;

    /// @param open_transport, open_storage, open_clock  each makes one, where it stays
    template <class OpenTransport, class OpenStorage, class OpenClock>
    Node(std::shared_ptr<CompletionQueue> queue, Machine machine, raft::NodeConfig config,
         Options options, OpenTransport open_transport, OpenStorage open_storage,
         OpenClock open_clock)
        : queue_(std::move(queue)),
          state_(std::move(machine), options.skip_operations),
          options_(std::move(options)),
          snapshots_(state_, measurements_, options_),
          comparison_(3 * options_.raft.election_timeout),
          reads_(measurements_.counts.reads_failed),
          engine_(std::move(config), std::move(open_transport), std::move(open_storage),
                  std::move(open_clock), *this) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() {
        // What is given to an executor that does not run would wait there for somebody to destroy
        // it: then everything goes with the node, and a future learns of a broken promise.
        if (queue_->stopped()) {
            queue_->abandon();
        } else {
            end_pending();
            end_stops();
        }
    }

    /// @param self  by which posted work recognises that the node is gone
    raft::Result<void> start(std::weak_ptr<Node> self) {
        self_ = std::move(self);
        // What handlers have asked for gets its turn as soon as the last of them is done.
        queue_->on_called = [node = self_] {
            if (const std::shared_ptr<Node> alive = node.lock()) alive->turn();
        };
        measurements_.started(engine_.now());
        raft::Result<void> started = engine_.start();
        if (started) tell_recovery();
        return started;
    }

    // ---- what users ask for ----

    void submit(Operation operation, typename Ending::Completion completion,
                std::chrono::nanoseconds timeout) {
        typename Operations::Pending pending;
        pending.complete = {std::move(completion), &measurements_.counts};
        ++measurements_.counts.operations_submitted;
        if (engine_.halted()) return pending.complete(Errc::stopped);
        if (storage_refusal() && engine_.core().role() == raft::Role::leader) {
            return pending.complete(Errc::no_space);
        }
        try {
            writer_.clear();
            writer_.use_versions(state_.versions());
            writer_ << operation;
        } catch (...) {
            return pending.complete(thrown_code());
        }
        pending.bytes = writer_.view().size() + raft::entry_overhead_bytes;
        if (operations_.bytes() + pending.bytes > options_.max_pending_bytes) {
            decide_old_operations();
            return pending.complete(Errc::overloaded);
        }
        raft::Bytes payload = raft::Bytes::copy_of(writer_.view());
        if (options_.verify_decoding) {
            std::string lost = lost_in_encoding(operation, payload, state_.versions());
            if (!lost.empty()) {
                return pending.complete(detailed_code(Errc::user_exception, {0, std::move(lost)}));
            }
        } else if (state_.writes_newest()) {
            pending.operation = std::move(operation);  // what others decode is no other
        }
        pending.begun = engine_.now();
        pending.deadline = deadline(pending.begun, timeout);
        operations_.add(std::move(pending));
        engine_.propose(0, std::move(payload));  // answered in order, so a token says nothing
    }

    void read(std::unique_ptr<PendingRead<Machine>> read, std::chrono::nanoseconds timeout) {
        if (engine_.halted()) return reads_.fail(*read, Errc::stopped);
        read->begun = engine_.now();
        read->deadline = deadline(read->begun, timeout);
        engine_.read(reads_.add(std::move(read)));
    }

    void capture(PendingCaptures::Completion completion, std::chrono::nanoseconds timeout) {
        read(std::make_unique<Capture>(*this, std::move(completion)), timeout);
    }
    void capture(raft::Index at_least, PendingCaptures::Completion completion,
                 std::chrono::nanoseconds timeout) {
        using Unanswered = PendingCaptures::Ending;
        if (engine_.halted()) return Unanswered::fail(completion, Errc::stopped);
        if (!is_ahead() && at_least <= state_.position().index) return give_state(completion);
        if (captures_.is_full()) return Unanswered::fail(completion, Errc::overloaded);
        // The deadline is seen to at the next turn: no node is without one for long.
        captures_.add(at_least, deadline(engine_.now(), timeout), std::move(completion));
    }

    void snapshot(PendingSnapshots::Completion completion, std::chrono::nanoseconds timeout) {
        using Unanswered = PendingSnapshots::Ending;
        if (engine_.halted()) return Unanswered::fail(completion, Errc::stopped);
        if (snapshots_.is_full()) return Unanswered::fail(completion, Errc::overloaded);
        snapshots_.ask(deadline(engine_.now(), timeout), std::move(completion));
        take_snapshot_if_due();  // or at the next turn, where the state is not to be had now
    }

    void change_members(Members target, const ChangeOptions& how,
                        PendingChanges::Completion completion) {
        if (engine_.halted()) return completion(Errc::stopped);
        raft::Membership wanted;
        wanted.members = std::move(target);
        if constexpr (requires { std::string(engine_.transport().problem(wanted)); }) {
            const std::string problem = engine_.transport().problem(wanted);
            if (!problem.empty())
                return completion(detailed_code(Errc::invalid_members, {0, problem}));
        }
        const raft::Token token = changes_.add(std::move(completion));
        engine_.change_members({token, std::move(wanted), how.forced, how.patience});
    }
    /// Which one is under way, the core knows: it refuses the others.
    void cancel_change() {
        for (const raft::Token token : changes_.waiting()) {
            if (!engine_.halted()) engine_.cancel_change(token);
        }
    }
    void hand_over(raft::NodeId target, std::chrono::nanoseconds patience,
                   PendingChanges::Completion completion) {
        if (engine_.halted()) return completion(Errc::stopped);
        engine_.hand_over({handovers_.add(std::move(completion)), target, patience});
    }

    using StopCompletion = Completion<boost::system::error_code>;
    void stop(StopCompletion completion) {
        stops_.push_back(std::move(completion));
        if (stopped_) return end_stops();
        if (stops_.size() > 1) return;  // the first one's end is everybody's
        engine_.stop([this] {
            stopped_ = true;
            end_stops();
        });
        end_pending();
    }

    void turn() {
        if (engine_.turn_due()) engine_.turn();  // or it has had one in the meantime
    }

    Status status() {
        const raft::Core& core = engine_.core();
        Status status = status_of(engine_, options_);
        status.known_commit = std::max(status.commit, measurements_.told_commit());
        status.pending_operations = operations_.size();
        status.pending_bytes = operations_.bytes();
        status.pending_reads = reads_.size();
        status.skipped_operations = state_.skipped().done();
        status.state_digest = state_.digest().value();
        status.format_version = state_.versions().written;
        status.readable_version = std::min(format_version_of<Machine>, options_.max_format_version);
        if (core.role() == raft::Role::leader) {
            status.states_that_differ = comparison_.differences(core.term());
        }
        return status;
    }

    Metrics metrics() { return measurements_.metrics(engine_.now()); }

    const Machine& machine() const { return state_.machine(); }
    const Options& options() const { return options_; }
    Engine& engine() { return engine_; }

    // ---- what the engine tells (raft::EngineHost) ----

    void wake() {
        // One is enough, even where the clock has brought the turn that an earlier one was for.
        if (queue_->calling() || std::exchange(is_turn_posted_, true)) return;
        boost::asio::post(queue_->strand(), [self = self_] {
            const std::shared_ptr<Node> node = self.lock();
            if (node == nullptr) return;
            node->is_turn_posted_ = false;
            node->turn();
        });
    }

    void proposed(const raft::ProposalOutcome& outcome) {
        switch (outcome.refusal) {
            case raft::Refusal::none: return operations_.place(outcome.position);
            case raft::Refusal::not_leader: return operations_.refuse(not_leader());
            case raft::Refusal::overloaded: return operations_.refuse(Errc::overloaded);
            case raft::Refusal::too_large: return operations_.refuse(Errc::too_large);
            case raft::Refusal::handing_over: return operations_.refuse(Errc::handing_over);
            case raft::Refusal::log_full: return operations_.refuse(Errc::log_full);
        }
    }

    void read_ready(const raft::ReadOutcome& outcome) {
        switch (outcome.refusal) {
            case raft::Refusal::none: return answer_read(outcome.token);
            case raft::Refusal::overloaded: return reads_.fail(outcome.token, Errc::overloaded);
            default: return reads_.fail(outcome.token, not_leader());
        }
    }

    void change_ended(const raft::ChangeOutcome& outcome) {
        end_change(changes_, outcome.token, error_of(outcome.result, not_leader()));
    }
    void handover_ended(const raft::HandoverOutcome& outcome) {
        end_change(handovers_, outcome.token, error_of(outcome.result, not_leader()));
    }

    // Of what the engine does for the log (raft::MeasuringHost).
    void write_begun(const raft::Write& write) { measurements_.write_begun(write, engine_.now()); }
    void write_ended(bool failed) { measurements_.write_ended(failed, engine_.now()); }
    void received(const raft::Message& message) { measurements_.received(message); }

    raft::Result<raft::Index> recovered(const raft::Recovered& log) requires Persistent<Machine> {
        const raft::Result<raft::Index> applied = state_.recovered(log);
        const raft::Index newest = log.snapshot.last.index;
        if (applied && *applied >= newest) snapshots_.is_there(newest);
        return applied;
    }

    bool apply(std::span<const raft::Entry> entries) {
        if (state_.busy()) {
            state_.put_off(entries);
            return false;
        }
        is_slice_over_ = !take_in(entries);
        return !is_slice_over_;
    }

    raft::Result<void> restore(const raft::SnapshotMeta& meta,
                               std::unique_ptr<raft::ByteSource> source) {
        if (!state_.busy()) return replace_state(meta, *source);
        state_.put_off(meta, std::move(source));
        return {};
    }

    void snapshot_saved(const raft::SnapshotMeta& meta) {
        snapshots_.saved(meta, engine_.now());
        catch_up();
    }
    void snapshot_failed(const raft::Failure& failure) {
        if (auto why = snapshots_.failed(failure, engine_.now())) return machine_failed(*why);
        catch_up();
    }

    void observe(const raft::Event& event) {
        measurements_.observed(event.kind, engine_.core().leader());
        if (event.kind == raft::EventKind::snapshot_unreadable) snapshots_.damaged();
        const bool leaves =
            event.kind == raft::EventKind::removed || event.kind == raft::EventKind::unrecognized;
        if (leaves) operations_.lose_placed();
        if (options_.on_event) options_.on_event(event);
    }

    /// What another node says of its state machine.
    void compare(const raft::MarksTold& told) {
        const raft::Core& core = engine_.core();
        Finding found =
            comparison_.take({core.self(), core.term(), core.membership(), engine_.now()},
                             state_.digest().memory(), told);
        for (raft::TellMarks& tell : found.tell) engine_.tell_marks(std::move(tell));
        if (found.news) {
            observe_difference(raft::EventKind::states_differ, *found.news);
            if (options_.on_notice) options_.on_notice(differs_sentence(*found.news));
        }
        if (found.outvoted) {
            observe_difference(raft::EventKind::outvoted, *found.outvoted);
            machine_failed(outvoted_sentence(*found.outvoted));
        }
    }

    raft::Time tick(raft::Time now) {
        // A machine that is written in place is free again before its file is durable.
        if (!std::exchange(is_slice_over_, false)) catch_up();
        measurements_.reads_ended(now);
        // Here, and not only when something is applied: the log may have grown beyond the
        // threshold while the snapshot before was being written.
        take_snapshot_if_due();
        room_notice_.tell(log_refusal(engine_.storage(), options_), options_);
        if (now >= tell_state_at_) tell_state(now);
        operations_.expire(now);
        reads_.expire(now);
        if (!is_ahead()) {
            for (auto& completion : captures_.take_ready(state_.position().index))
                give_state(completion);
        }
        captures_.expire(now);
        snapshots_.expire(now);
        if (state_.could_go_on()) return now;
        return std::min({operations_.earliest_deadline(), reads_.earliest_deadline(),
                         captures_.earliest_deadline(), snapshots_.deadline(now)});
    }

    void failed(const raft::Failure& failure) {
        end_pending();
        if (options_.on_failure) options_.on_failure(failure);
    }

private:
    static constexpr raft::Token nobodys_read = 0;  // PendingReads count from 1

    /// A read that is given the whole state.
    class Capture final : public PendingRead<Machine> {
    public:
        Capture(Node& node, PendingCaptures::Completion completion)
            : node_(node), completion_(std::move(completion)) {}
        bool answer(const Machine&) override {
            node_.give_known_state(this->deadline, completion_);
            return true;
        }
        void fail(boost::system::error_code why) override {
            PendingCaptures::Ending::fail(completion_, why);
        }

    private:
        Node& node_;  // which owns this
        PendingCaptures::Completion completion_;
    };

    using Operations = PendingOperations<Operation, CountedCompletion<Ending>>;

    static raft::Time deadline(raft::Time now, std::chrono::nanoseconds timeout) {
        if (timeout <= std::chrono::nanoseconds::zero()) return raft::Time::max();
        return raft::saturated_sum(now, timeout);
    }

    /// What has waited for the machine.
    void catch_up() {
        if (state_.lent()) return;
        if (const auto late = state_.take_late_restore()) {
            const raft::Result<void> replaced = replace_state(late->meta, *late->source);
            if (!replaced) return engine_.fail(replaced.error());
            for (const raft::Token read : std::exchange(held_reads_, {})) answer_read(read);
            measurements_.reads_ended(engine_.now());
        }
        const std::vector<raft::Entry> entries = state_.take_late_entries();
        if (entries.empty() || engine_.halted()) return;
        if (take_in(entries)) engine_.applied(entries.back().index);
    }

    /// A read that may be answered by what the core takes for applied, a snapshot that is put off
    /// included.
    void answer_read(raft::Token token) {
        if (state_.outdated()) return held_reads_.push_back(token);
        const std::optional<raft::Time> begun = reads_.answer(token, state_.machine());
        if (begun) measurements_.read_answered(*begun);
    }

    raft::Result<void> replace_state(const raft::SnapshotMeta& meta, raft::ByteSource& source) {
        const raft::Result<void> restored =
            state_.restore(meta, source, options_.snapshot_buffer_bytes);
        if (!restored) return restored;
        snapshots_.is_there(meta.last.index);
        operations_.restore(meta.last);
        return {};
    }

    /// So long operations are applied before messages and clients have a turn.
    static constexpr std::chrono::milliseconds slice{5};

    /// Returns whether all of them are taken in; the others are put off.
    bool take_in(std::span<const raft::Entry> entries) {
        const raft::Time begun = engine_.now();
        const auto [count, failure] =
            Application<Machine, Operations>(state_, operations_, measurements_, begun)
                .take_in(entries, [&] { return engine_.now() - begun >= slice; });
        measurements_.applied(count, begun, engine_.now());
        if (failure) machine_failed(*failure);
        if (failure || count == entries.size()) return true;
        state_.put_off(entries.subspan(count));
        engine_.applied(entries[count - 1].index);
        return false;
    }

    boost::system::error_code not_leader() {
        return not_leader_.code(engine_.core(), engine_.transport());
    }

    /// What fills the room may be of an earlier term, and then waits for an entry of this one,
    /// which there is no room for: a read appends a barrier.
    void decide_old_operations() {
        const raft::Core& core = engine_.core();
        const bool leads = core.role() == raft::Role::leader;
        if (leads && core.log().last().term != core.term()) engine_.read(nobodys_read);
    }

    void take_snapshot_if_due() {
        if (state_.busy() || is_ahead()) return;
        if (auto why = snapshots_.take_if_due(engine_)) machine_failed(*why);
    }

    /// A machine that keeps its state itself may have more than is left of a damaged log: until the
    /// log is there again nobody knows the membership, or the version, that belongs to the state.
    bool is_ahead() { return state_.position().index > engine_.core().log().commit(); }

    void give_known_state(raft::Time deadline, PendingCaptures::Completion& completion) {
        if (!is_ahead()) return give_state(completion);
        if (captures_.is_full()) return PendingCaptures::Ending::fail(completion, Errc::overloaded);
        captures_.add(state_.position().index, deadline, std::move(completion));
    }
    /// What has been applied, as it is now. A machine that throws here costs a backup, not the
    /// node.
    void give_state(PendingCaptures::Completion& completion) {
        CapturedState state;
        if constexpr (raft::ClaimedStorage<Storage>) state.identity = engine_.storage().identity();
        try {
            auto captured = state_.copy(options_.snapshot_buffer_bytes);
            state.last = captured.position;
            state.membership = engine_.core().configuration().at(captured.position.index);
            state.produce = std::move(captured.produce);
        } catch (...) {
            return PendingCaptures::Ending::fail(completion, thrown_code());
        }
        completion({}, std::move(state));
    }

    const std::optional<raft::Failure>& storage_refusal() { return refusal_of(engine_.storage()); }
    void tell_recovery() {
        if (!options_.on_notice) return;
        for (const std::string& what : report_of(engine_.storage())) options_.on_notice(what);
    }

    /// Once in an election timeout, when a heartbeat or anything else has led to a turn.
    void tell_state(raft::Time now) {
        const raft::Core& core = engine_.core();
        const raft::NodeId leader = core.leader();
        if (!leader || leader == core.self()) return;
        tell_state_at_ = raft::saturated_sum(now, options_.raft.election_timeout);
        std::vector<raft::StateMark> newest = state_.digest().memory().newest();
        if (newest.empty()) return;
        engine_.tell_marks({leader, raft::MarksKind::newest, std::move(newest)});
    }
    void observe_difference(raft::EventKind kind, const StateDifference& found) {
        observe({kind, engine_.core().term(), found.node, found.differ, found.own_digest,
                 found.other_digest});
    }

    void end_change(PendingChanges& pending, raft::Token token, boost::system::error_code how) {
        if (how) measurements_.counts.changes_failed.count(how);
        pending.end(token, how);
    }

    void machine_failed(std::string why) {
        engine_.fail({std::make_error_code(std::errc::state_not_recoverable), std::move(why)});
    }

    void end_pending() {
        operations_.end();
        reads_.end();
        captures_.end();
        snapshots_.end();
        changes_.end();
        handovers_.end();
    }
    void end_stops() {
        for (StopCompletion& completion : std::exchange(stops_, {})) completion({});
    }

    const std::shared_ptr<CompletionQueue> queue_;
    std::weak_ptr<Node> self_;
    ReplicaState<Machine> state_;
    Options options_;
    BufferWriter writer_;
    Measurements measurements_;
    OwnSnapshots<Machine> snapshots_;
    Comparison comparison_;
    raft::Time tell_state_at_ = raft::Time::min();
    Operations operations_;
    PendingReads<Machine> reads_;
    std::vector<raft::Token> held_reads_;  // see answer_read()
    PendingCaptures captures_;
    PendingChanges changes_;
    PendingChanges handovers_;
    RoomNotice room_notice_;
    bool is_slice_over_ = false;  // in this turn
    bool is_turn_posted_ = false;
    std::vector<StopCompletion> stops_;
    bool stopped_ = false;
    NotLeader not_leader_;
    Engine engine_;  // last: its policies go first, and call nobody any more
};

}  // namespace rsm::detail

#endif
