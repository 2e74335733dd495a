// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Engine: carries out what Core asks for, in the only safe order. The one place where the
// algorithm meets Transport, Storage and Clock.
#ifndef RSM_RAFT_DRIVER_ENGINE_HPP
#define RSM_RAFT_DRIVER_ENGINE_HPP

#include <raft/base/result.hpp>
#include <raft/base/ring.hpp>
#include <raft/core.hpp>
#include <raft/driver/carry_out.hpp>
#include <raft/driver/chunk_cache.hpp>
#include <raft/driver/concepts.hpp>
#include <raft/driver/host.hpp>
#include <raft/protocol/step.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace raft::inline v0 {

/// Who a node is.
struct NodeConfig {
    NodeId self;
    std::string cluster;       ///< its name, which may be empty
    Instance instance;         ///< see Instance; 0: none
    bool founder = true;       ///< whether it may be one of the first members, see Core
    Membership founding;       ///< the cluster's first members
    std::uint64_t origin = 0;  ///< see Identity
    Options options;
    std::uint64_t seed = 0;  ///< of the election timeouts; must differ between nodes
};

/// Not thread-safe: everything from the node's serial executor. Must outlive nothing: destroying
/// it stops and destroys the policies, which drop their callbacks.
template <Transport TransportType, Storage StorageType, Clock ClockType, class Host>
class Engine {
public:
    /// Makes the policies where they stay, in the order of the parameters: each of these functions
    /// returns one, which therefore need not be movable.
    template <class OpenTransport, class OpenStorage, class OpenClock>
    Engine(NodeConfig config, OpenTransport open_transport, OpenStorage open_storage,
           OpenClock open_clock, Host& host)
        : config_(std::move(config)),
          transport_(open_transport()),
          storage_(open_storage()),
          clock_(open_clock()),
          host_(host),
          chunks_(config_.options.snapshot_window_bytes) {
        static_assert(EngineHost<Host>);  // here, because a host may hold its engine
    }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine() {
        if (!halted_) quiet();
    }

    /// Recovers what storage holds, restores the newest snapshot into the host and begins to take
    /// part. Blocks for as long as that takes. After a failure the engine does nothing.
    Result<void> start() {
        if (Result<void> valid = config_.options.validate(); !valid) return valid;
        if (Result<void> valid = check_birth(); !valid) return valid;
        Result<Recovered> recovered = storage_.recover();
        if (!recovered) return recovered.error();
        if (Result<void> valid = check_memberships(*recovered); !valid) return valid;
        adopt_identity();
        if (Result<void> valid = check_founding(); !valid) return valid;
        if (Result<void> restored = restore_newest(*recovered); !restored) return restored;
        core_.emplace(config_.options, config_.self, config_.founding, *recovered, config_.seed,
                      clock_.now(), config_.instance, config_.founder);
        clock_.start([this] {
            armed_.reset();
            turn();
        });
        identify_transport();
        tell_members();
        start_transport();
        wake();
        return {};
    }

    /// Asks for a proposal; answered through Host::proposed in the next turn.
    void propose(Token token, Bytes payload) { take_in(Propose{token, std::move(payload)}); }
    /// The state machine has taken in all entries up to `index`. Only for a PacingHost, about
    /// entries for which its apply() returns false; on the node's executor.
    void applied(Index index) { take_in(Applied{index}); }
    /// Asks for a linearizable read; answered through Host::read_ready in some later turn.
    void read(Token token) { take_in(ReadIndex{token}); }
    /// Answered through Host::change_ended.
    void change_members(ChangeMembers asked) { take_in(std::move(asked)); }
    void cancel_change(Token token) { take_in(CancelChange{token}); }
    /// Answered through Host::handover_ended.
    void hand_over(HandOver asked) { take_in(asked); }

    /// Tells a member what the state machine here was like: a follower the leader, or the leader a
    /// follower. It may be lost.
    void tell_marks(TellMarks told) { take_in(std::move(told)); }

    /// Makes a snapshot of what has been applied durable; the log before it may then go. Several
    /// may be under way. One at or below the newest snapshot is saved, too, but frees nothing: of
    /// one position it takes the place of the other one, of a lower one it is dropped soon. With it
    /// goes the membership as of the position.
    /// @param position  that of the last entry in the state that `produce` writes, index and term
    ///        as in the entry that was applied, or `meta.last` of what was restored: mostly the
    ///        last applied one's, or an earlier one's
    void take_snapshot(LogPosition position, SnapshotProducer produce) {
        storage_.save_snapshot(position, core_->configuration().at(position.index),
                               std::move(produce), [this](Result<SnapshotMeta> saved) {
                                   if (!saved) return host_.snapshot_failed(saved.error());
                                   host_.snapshot_saved(*saved);
                                   take_in(SnapshotTaken{std::move(*saved)});
                               });
    }

    /// Takes in all that has come and carries out what follows from it.
    void turn() {
        or_fail([this] { take_turn(); });
    }
    /// Whether Host::wake was called and no turn has come since. A turn too many does no harm.
    bool turn_due() const { return turn_due_; }

    /// Stops taking part, finishes the writes that are under way, then calls `done`. Once.
    void stop(std::function<void()> done) {
        quiet();
        storage_.close(std::move(done));
    }

    /// Falls silent for good: what a node does when a write or read of its own state fails,
    /// because it can no longer know what it has promised. Nothing is retried.
    void fail(const Failure& failure) {
        if (halted_) return;
        quiet();
        host_.failed(failure);
    }

    /// @pre start() succeeded
    const Core& core() const { return *core_; }
    bool started() const { return core_.has_value(); }
    bool halted() const { return halted_; }
    StorageType& storage() { return storage_; }
    const StorageType& storage() const { return storage_; }
    TransportType& transport() { return transport_; }
    const TransportType& transport() const { return transport_; }
    Time now() { return clock_.now(); }

private:
    // ---- at the start ----

    static Result<void> check_memberships(const Recovered& recovered) {
        for (const Entry& entry : recovered.memberships) {
            if (is_well_formed(entry)) continue;
            return Failure{std::make_error_code(std::errc::illegal_byte_sequence),
                           "the entry of index " + std::to_string(entry.index.value) +
                               " says that it is a membership, and is none"};
        }
        return {};
    }
    /// Before a storage keeps it for good.
    Result<void> check_birth() const {
        if (!config_.founder || config_.founding.empty()) return {};
        const auto refuse = [](const std::string& why) {
            return Failure{std::make_error_code(std::errc::invalid_argument),
                           "the members at the foundation: " + why};
        };
        if (!config_.founding.contains(config_.self)) {
            return refuse("node " + std::to_string(config_.self.value) +
                          ", which founds the cluster, is none of them");
        }
        if constexpr (requires { std::string(transport_.problem(config_.founding)); }) {
            // Nobody needs to reach one that is alone.
            const bool alone = config_.founding.members.size() == 1;
            const std::string problem = alone ? "" : transport_.problem(config_.founding);
            if (!problem.empty()) return refuse(problem);
        }
        return {};
    }
    Result<void> restore_newest(Recovered& recovered) {
        if constexpr (PersistentHost<Host>) {
            const Result<Index> applied = host_.recovered(recovered);
            if (!applied) return applied.error();
            recovered.applied = *applied;
        }
        const SnapshotMeta& newest = recovered.snapshot;
        if (newest.empty() || recovered.applied >= newest.last.index) return {};
        return restore(newest);
    }
    /// What the storage was given at its birth holds, not what this start says.
    void adopt_identity() {
        if constexpr (ClaimedStorage<StorageType>) {
            const Identity& identity = storage_.identity();
            if (!identity.node) return;  // nobody has claimed it
            config_.instance = identity.instance;
            config_.founder = identity.founder;
            config_.founding = identity.founding;
            config_.origin = identity.origin;
            config_.cluster = identity.cluster;
        }
    }
    Result<void> check_founding() const {
        if (config_.self && config_.founding.valid()) return {};
        return Failure{std::make_error_code(std::errc::invalid_argument),
                       "raft configuration: a node's id must not be 0, and the membership at the "
                       "foundation must be valid"};
    }

    void take_turn() {
        in_turn_ = true;
        turn_due_ = false;
        look_for_room();
        // What a step leads to at once (Applied) is worth a second one, not a trip through the
        // executor; more than that would keep messages waiting.
        for (int steps = 0; steps < 2 && !halted_; ++steps) {
            if (steps > 0 && inbox_.empty()) break;
            working_.swap(inbox_);
            tell_room();
            core_->step(clock_.now(), working_, output_);
            working_.clear();
            Handler handler{*this};
            carry_out(output_, handler);
        }
        in_turn_ = false;
        if (halted_) return;
        tell_members();
        flush();
        // An earlier timer is left alone: it finds nothing to do and arms the next.
        const Time deadline = std::min(output_.deadline, host_.tick(clock_.now()));
        if (halted_) return;
        if (!armed_ || deadline < *armed_) {
            armed_ = deadline;
            clock_.arm(deadline);
        }
        if (!inbox_.empty() && !turn_due_) wake();
    }
    /// The core is told of what the storage has come to say since.
    void look_for_room() {
        if constexpr (LimitedStorage<StorageType>) {
            const bool full = storage_.refuses().has_value();
            if (full != core_->disk().full) inbox_.push_back(StorageRoom{full});
        }
    }
    /// An exception (no memory) in the midst of something leaves a state that nobody knows, so it
    /// ends the node as a failed write does, instead of leaving it deaf.
    template <class Action>
    void or_fail(Action action) {
#ifdef __cpp_exceptions
        // Nothing that takes memory comes before the node is quiet.
        const auto fail_with = [this](const char* why) {
            in_turn_ = false;
            if (halted_) return;
            quiet();
            host_.failed(
                {std::make_error_code(std::errc::state_not_recoverable),
                 std::string("the node could not finish what it had begun (") + why + ")"});
        };
        try {
            action();
        } catch (const std::exception& error) {
            fail_with(error.what());
        } catch (...) {
            fail_with("an exception of an unknown type");
        }
#else
        action();  // what would throw ends the process where nothing can be caught
#endif
    }

    /// The core counts what the step takes in, the storage what the steps before have begun to
    /// write.
    void tell_room() {
        const std::uint64_t most = config_.options.max_log_bytes;
        if (most == 0) return;
        const std::uint64_t bytes = storage_.persisted_bytes();
        working_.insert(working_.begin(), LogRoom{most - std::min(most, bytes)});
    }

    void take_in(Input input) {
        if (halted_) return;
        or_fail([&] {
            inbox_.push_back(std::move(input));
            if (!in_turn_ && !turn_due_) wake();
        });
    }
    void wake() {
        turn_due_ = true;
        host_.wake();
    }
    /// Takes in what stands in the inbox, without a trip through the executor. Only for callbacks
    /// of the policies, which come straight from there.
    void turn_at_once() {
        if (!halted_ && !in_turn_ && !inbox_.empty()) turn();
    }

    void identify_transport() {
        if constexpr (IdentifyingTransport<TransportType>) {
            Identity identity{config_.self,     config_.cluster, config_.founding,
                              config_.instance, config_.founder, config_.origin};
            transport_.identify(identity);
        }
    }
    /// Whom the transport has to do with, where that has changed: a leaving node is a member until
    /// that is committed, and of a leader until it has been told.
    void tell_members() {
        if constexpr (MembersTransport<TransportType>) {
            const Configuration& known = core_->configuration();
            const Told now{known.latest_at(), known.settled().index, core_->followers().size()};
            if (std::exchange(told_members_, now) == now) return;
            Membership everyone = known.settled().membership;
            for (const Progress& follower : core_->followers()) {
                if (everyone.contains(follower.node)) continue;
                everyone.put({follower.node, Standing::learner, {}, {}});
            }
            for (const Member& member : known.latest().members) everyone.put(member);
            transport_.set_members(everyone);
        }
    }

    void start_transport() {
        if constexpr (GroupingTransport<TransportType>) {
            // No wake: the turn follows when the whole group is here.
            transport_.start(
                [this](Message message) {
                    measure_received(message);
                    if (!halted_) or_fail([&] { inbox_.push_back(std::move(message)); });
                },
                [this] { turn_at_once(); });
        } else {
            transport_.start([this](Message message) {
                measure_received(message);
                take_in(std::move(message));
            });
        }
    }
    void measure_received(const Message& message) {
        if constexpr (MeasuringHost<Host>) host_.received(message);
    }
    void flush() {
        if constexpr (GroupingTransport<TransportType>) transport_.flush();
    }

    // What the members that the transport knows follow from.
    struct Told {
        Index latest;
        Index settled;
        std::size_t followers;
        friend bool operator==(const Told&, const Told&) = default;
    };

    // What carry_out() does the pieces of an output with.
    struct Handler {
        Engine& engine;

        void begin_write(Write&& write) { engine.begin_write(std::move(write)); }
        void send(Message&& message) { engine.transport_.send(std::move(message)); }
        void send_after(DeferredMessage&& deferred) { engine.send_after(std::move(deferred)); }
        void proposed(const ProposalOutcome& outcome) { engine.host_.proposed(outcome); }
        void restore(const SnapshotMeta& meta) {
            if (Result<void> restored = engine.restore(meta); !restored) {
                engine.fail(restored.error());
            }
        }
        void apply(std::span<const Entry> entries) {
            if constexpr (PacingHost<Host>) {
                if (!engine.host_.apply(entries)) return;
            } else {
                engine.host_.apply(entries);
            }
            engine.take_in(Applied{entries.back().index});
        }
        void read_ready(const ReadOutcome& outcome) { engine.host_.read_ready(outcome); }
        void change_ended(const ChangeOutcome& outcome) { engine.host_.change_ended(outcome); }
        void handover_ended(const HandoverOutcome& outcome) {
            engine.host_.handover_ended(outcome);
        }
        void load(const LoadEntries& load) { engine.load(load); }
        void load(const LoadDetached& load) { engine.load(load); }
        void load(const LoadChunk& load) { engine.load(load); }
        void store(StoreChunk&& store) { engine.store(std::move(store)); }
        void abandon_transfer() { engine.storage_.abandon_transfer(); }
        void drop_snapshots_except(const std::vector<Index>& needed) {
            engine.storage_.drop_snapshots_except(needed);
        }
        void observe(const Event& event) {
            engine.host_.observe(event);
            if (event.kind == EventKind::unrecognized) engine.renounce();
        }
        void compare(const MarksTold& told) {
            if constexpr (ComparingHost<Host>) {
                if (!engine.halted_) engine.host_.compare(told);
            }
        }
        bool stopped() const { return engine.halted_; }
    };

    /// What the node has just been told must not be forgotten: with others that have lost their
    /// storage, it could found the cluster a second time. If it has, its log is of another history,
    /// though its positions may be the same.
    void renounce() {
        if constexpr (ClaimedStorage<StorageType>) {
            if (!std::exchange(config_.founder, false)) return;
            if (core_->log().last_index().value != 0) {
                return fail(
                    {std::make_error_code(std::errc::state_not_recoverable),
                     "the members take another directory for that of node " +
                         std::to_string(core_->self().value) +
                         ", and the log of this one may not be theirs: remove it, and join"});
            }
            storage_.renounce([this](Result<void> written) {
                if (!written) fail(written.error());
            });
        }
    }

    void begin_write(Write&& write) {
        const WriteId id = write.id;
        begun_ = id;
        if constexpr (MeasuringHost<Host>) host_.write_begun(write);
        storage_.append(std::move(write), [this, id](Result<void> written) {
            if constexpr (MeasuringHost<Host>) host_.write_ended(!written);
            if (!written) return fail(written.error());
            or_fail([&] { write_done(id); });
        });
    }
    void write_done(WriteId id) {
        persisted_ = id;
        while (!deferred_.empty() && deferred_.front().after <= persisted_) {
            transport_.send(std::move(deferred_.front().message));
            deferred_.pop_front();
        }
        flush();
        // While others are under way, what they bring is worth waiting for.
        if (id != begun_ || halted_) return take_in(Persisted{id});
        inbox_.push_back(Persisted{id});
        turn_at_once();
    }

    void send_after(DeferredMessage&& deferred) {
        if (deferred.after <= persisted_) {
            transport_.send(std::move(deferred.message));
        } else if (deferred_.size() < max_deferred) {
            deferred_.push_back(std::move(deferred));
        }  // else the disk hangs, and a message that is lost does no harm
    }

    Result<void> restore(const SnapshotMeta& meta) {
        Result<std::unique_ptr<ByteSource>> source = storage_.open_snapshot(meta);
        if (!source) return source.error();
        return host_.restore(meta, std::move(*source));
    }

    // Entries and snapshots between memory and storage.
    void load(const LoadEntries& load) {
        storage_.read(load.first, load.max_bytes, [this, load](Result<std::vector<Entry>> entries) {
            if (!entries) return fail(entries.error());
            take_in(EntriesLoaded{load.reader, std::move(*entries), load.repairs});
        });
    }
    void load(const LoadDetached& load) {
        if constexpr (DetachingStorage<StorageType>) {
            storage_.read_detached(load.first, load.max_bytes,
                                   [this, first = load.first](Result<std::vector<Entry>> entries) {
                                       DetachedLoaded loaded{first, {}};
                                       if (entries) loaded.entries = std::move(*entries);
                                       take_in(std::move(loaded));
                                   });
        }
    }
    void load(const LoadChunk& load) {
        if (!sends_to_several()) chunks_.forget();
        if (std::optional<Bytes> data = chunks_.find(load)) {
            return take_in(ChunkLoaded{load.reader, load.meta, load.offset, std::move(data)});
        }
        if (chunks_.join(load)) return;
        storage_.read_chunk(load.meta, load.offset, load.max_bytes,
                            [this, load](Result<Bytes> data) { chunk_read(load, data); });
    }
    void chunk_read(const LoadChunk& load, const Result<Bytes>& data) {
        for (const NodeId reader : chunks_.read(load)) {
            ChunkLoaded loaded{reader, load.meta, load.offset, std::nullopt};
            if (data) loaded.data = *data;
            take_in(std::move(loaded));
        }
        if (data && sends_to_several()) chunks_.keep(load, *data);
    }
    bool sends_to_several() const {
        const auto followers = core_->followers();
        const auto own = std::count_if(followers.begin(), followers.end(), [](const auto& one) {
            return one.state == ProgressState::snapshot && !one.transfer.source;
        });
        return own > 1 || core_->errands().size() > 1;
    }
    void store(StoreChunk&& store) {
        storage_.receive_chunk(
            store.meta, store.offset, std::move(store.data),
            [this, meta = store.meta](Result<ChunkOutcome> outcome) {
                take_in(ChunkStored{meta, outcome ? *outcome : ChunkOutcome::refused});
            });
    }

    void quiet() {
        halted_ = true;
        transport_.stop();
        clock_.stop();
        deferred_.clear();
    }

    static constexpr std::size_t max_deferred = 1U << 14;

    NodeConfig config_;
    TransportType transport_;
    StorageType storage_;
    ClockType clock_;
    Host& host_;
    std::optional<Core> core_;
    ChunkCache chunks_;

    std::vector<Input> inbox_;    // what has come since the last turn
    std::vector<Input> working_;  // its other half: the two swap, so neither allocates for long
    Output output_;
    Ring<DeferredMessage> deferred_;  // in the order of `after`
    WriteId begun_;
    WriteId persisted_;
    std::optional<Time> armed_;
    std::optional<Told> told_members_;
    bool in_turn_ = false;
    bool turn_due_ = false;  // the host was asked for one
    bool halted_ = false;
};

}  // namespace raft

#endif
