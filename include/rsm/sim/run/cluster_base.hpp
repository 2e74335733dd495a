// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// ClusterBase: what there is of a simulated cluster whatever its state machine is: the world, the
// nodes' processes and disks, the rules that watch them, and what is told of them.
#ifndef RSM_SIM_RUN_CLUSTER_BASE_HPP
#define RSM_SIM_RUN_CLUSTER_BASE_HPP

#include <raft/base/random.hpp>
#include <raft/base/result.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/options.hpp>
#include <rsm/replicated.hpp>
#include <rsm/sim/rules/bounds.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/foreign_disks.hpp>
#include <rsm/sim/rules/honest_start.hpp>
#include <rsm/sim/rules/machines_that_throw.hpp>
#include <rsm/sim/rules/no_failure_without_a_cause.hpp>
#include <rsm/sim/rules/oracle.hpp>
#include <rsm/sim/rules/outvoted_replicas.hpp>
#include <rsm/sim/rules/resumed_transfers.hpp>
#include <rsm/sim/rules/sound_connections.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/detail/lost_log_writes.hpp>
#include <rsm/sim/run/failed_calls.hpp>
#include <rsm/sim/run/machine_troubles.hpp>
#include <rsm/sim/run/node_files.hpp>
#include <rsm/sim/run/observed.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/run/stored.hpp>
#include <rsm/sim/run/stream_options.hpp>
#include <rsm/sim/trace/trace.hpp>
#include <rsm/sim/trace/words.hpp>
#include <rsm/sim/world/clock.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/lane.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/sim/world/transport.hpp>
#include <rsm/sim/world/wal_storage.hpp>
#include <rsm/sim/world/world.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::inline v0::sim {

enum class NodeState : std::uint8_t {
    up,
    down,
    stopping,  ///< a clean stop is under way
    failed,    ///< it has fallen silent because its disk failed, as it should
    refused,   ///< it does not start, because its disk is damaged, as it should
    gone,      ///< its disk has lost what it had promised: it must not come back
};

/// The part of a cluster that does not depend on the state machine.
class ClusterBase {
public:
    ClusterBase(const ClusterBase&) = delete;
    ClusterBase& operator=(const ClusterBase&) = delete;
    virtual ~ClusterBase() = default;

    std::size_t size() const { return plan_.nodes; }
    const ClusterPlan& plan() const { return plan_; }
    World& world() { return world_; }
    Network& network() { return network_; }
    Process& process(raft::NodeId node) { return *nodes_[node.value].process; }
    Disk& disk(raft::NodeId node) { return nodes_[node.value].files.disk(); }
    NodeFiles& files(raft::NodeId node) { return nodes_[node.value].files; }
    DiskHistory& disk_history(raft::NodeId node) { return files(node).history(); }
    NodeState state(raft::NodeId node) const { return nodes_[node.value].state; }
    Oracle& oracle() { return oracle_; }
    AppliedSequence& sequence() { return *sequence_; }
    MachineTroubles& troubles() { return *troubles_; }
    MachinesThatThrow& machines_that_throw() { return machines_that_throw_; }
    Trace& trace() { return trace_; }
    Coverage& coverage() { return coverage_; }
    /// Something rare has happened, now.
    void happened(Counter what) { coverage_.happened(what, world_.now()); }
    /// At the end of a run.
    void count_whole() {
        for (std::size_t i = 0; i < rules; ++i) {
            coverage_.asked(static_cast<Rule>(i), oracle_.asked()[i]);
        }
        coverage_.asked(Rule::equal_state_machines, sequence_->asked());
        coverage_.count(Counter::streams_connected, streams_.connections());
        coverage_.count(Counter::streams_repeated, streams_.repeats());
        coverage_.count(Counter::streams_broken, streams_.broken());
    }
    void report(Rule rule, Broken broken) {
        coverage_.asked(rule);
        if (broken) violate(std::move(*broken));
    }
    /// The first rule that was broken.
    const std::optional<Violation>& violation() const { return violation_; }
    void violate(Violation violation) {
        if (violation_) return;
        violation_ = std::move(violation);
        TraceRecord record;
        record.at = world_.now();
        record.kind = TraceKind::violation;
        record.nodes = violation_->nodes;
        record.text = to_string(*violation_);
        trace_.add(std::move(record));
    }

    // ---- the life of a node ----

    /// @pre state(node) is not up
    virtual void start(raft::NodeId node) = 0;
    /// The process ends here and now. What it had written and not synced stays in the system's
    /// memory.
    void kill(raft::NodeId id) {
        Node& node = nodes_[id.value];
        drop_replica(id);
        oracle_.crashed(id);
        node.process->resume();
        node.process->slow_down({});
        if (node.state != NodeState::gone) node.state = NodeState::down;
        // Nobody could tell that a write is missing, so the node must not come back.
        if (detail::hides_a_lost_write(disk(id))) node.state = NodeState::gone;
        note(TraceKind::crash, id, "killed");
    }
    /// The same, and what was not synced is on the disk or not.
    void power_off(raft::NodeId id) {
        streams_.power_off(id);
        kill(id);
        files(id).power_failed(random_);
    }
    /// The node loses its disk, and comes back with an empty one as another instance.
    void wipe(raft::NodeId id) {
        power_off(id);
        if (state(id) != NodeState::down) return;
        happened(Counter::wiped_disks);
        nodes_[id.value].files.wipe();
        nodes_[id.value].snapshot = {};
        oracle_.wiped(id);
    }
    /// The node loses its disk, and comes back with the copy that was taken of it, as the same
    /// instance. @pre there is a copy
    void fall_back(raft::NodeId id) {
        power_off(id);
        if (state(id) != NodeState::down) return;
        happened(Counter::old_copies);
        NodeFiles& files = nodes_[id.value].files;
        nodes_[id.value].snapshot = files.copy()->snapshot.last.index;
        oracle_.fell_back(id, *files.copy());
        files.fall_back();
    }
    /// Starts a node on another one's disk or on a copy of that, which must not do, and gives it
    /// its own back. @pre neither runs
    void start_on_foreign_disk(raft::NodeId id, raft::NodeId owner, bool copied) {
        NodeFiles& files = nodes_[id.value].files;
        const auto before = files.borrow(nodes_[owner.value].files, copied);
        foreign_refusal_.reset();
        start(id);
        const bool written = files.give_back() != before;
        report(Rule::foreign_disks, refuses_foreign_disk(id, owner, foreign_refusal_, written));
    }
    virtual void stop_cleanly(raft::NodeId node) = 0;

    /// @pre watched(node)
    virtual void change_members(raft::NodeId node, Members target, ChangeOptions how) = 0;
    virtual void cancel_change(raft::NodeId node) = 0;
    virtual void hand_over(raft::NodeId node, raft::NodeId target, raft::Duration patience) = 0;
    Member member(raft::NodeId node, bool votes) const {
        Member member = member_of(node.value);
        if (!votes) member.standing = raft::Standing::learner;
        return member;
    }
    /// Changes of members and handovers that were asked for and have not ended, in nodes that live.
    std::size_t requests_under_way() const {
        return static_cast<std::size_t>(request_.use_count()) - 1;
    }
    /// The members that the newest log of the nodes that run has; none if no node runs.
    raft::Membership members() const {
        const raft::Core* newest = nullptr;
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (!watched({id})) continue;
            const raft::Core& core = this->core({id});
            const bool is_newer =
                newest == nullptr || raft::is_up_to_date(core.log().last(), newest->log().last());
            if (is_newer) newest = &core;
        }
        return newest == nullptr ? raft::Membership{} : newest->membership();
    }
    /// Whether enough of those who vote are not lost for good.
    bool is_able() const {
        if (lost_) return false;
        const raft::Membership members = this->members();
        if (members.empty()) return usable() > size() / 2;
        return members.has_quorum([this](raft::NodeId node) { return keeps_promises(node); });
    }
    /// Whether it is not lost for good, nor lacks what it had promised, and has neither got that
    /// back nor been taken in again. What others have all of it gets back.
    bool keeps_promises(raft::NodeId node) const {
        const NodeFiles& files = nodes_[node.value].files;
        const bool lacks = running(node) && !core(node).log().is_whole() &&
                           !(is_healing(node) && !files.is_forgetful());
        return is_usable(node) && !files.is_wiped() && !lacks;
    }
    bool is_healing(raft::NodeId node) const { return nodes_[node.value].files.history().healing; }
    /// Whether entries may be in one place only, so that nothing else must be destroyed.
    bool any_heals() const {
        return std::ranges::any_of(nodes_,
                                   [](const Node& node) { return node.files.history().healing; });
    }
    /// An entry that is committed is nowhere any more.
    void lose(raft::LogPosition entry) { lost_ = entry; }
    const std::optional<raft::LogPosition>& lost() const { return lost_; }

    /// @pre watched(node)
    virtual const raft::Core& core(raft::NodeId node) const = 0;
    virtual std::uint64_t persisted_bytes(raft::NodeId node) const = 0;
    /// The power fails right after the node's next installed snapshot, before its log can have been
    /// made to agree with it, and comes back soon.
    void crash_after_install(raft::NodeId node) { nodes_[node.value].crashes_after_install = true; }
    void clear_plans(raft::NodeId node) {
        nodes_[node.value].crashes_after_install = false;
        disk(node).clear_plans();
    }
    /// What a node that has done all its work keeps on its disk without need; empty: nothing.
    std::string clutter(raft::NodeId id) const { return nodes_[id.value].files.clutter(core(id)); }
    bool running(raft::NodeId node) const { return state(node) == NodeState::up; }
    /// One that has been asked to stop still takes part until it comes to that.
    bool watched(raft::NodeId node) const {
        return running(node) || state(node) == NodeState::stopping;
    }

    /// The leader of the highest term; 0: none.
    raft::NodeId leader() const {
        raft::NodeId best;
        raft::Term term;
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (!running({id}) || core({id}).role() != raft::Role::leader) continue;
            if (core({id}).term() <= term) continue;
            best = {id};
            term = core({id}).term();
        }
        return best;
    }
    /// A leader of an earlier term that does not know yet; 0: none.
    raft::NodeId old_leader() const {
        const raft::NodeId newest = leader();
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (raft::NodeId{id} == newest || !running({id})) continue;
            if (core({id}).role() == raft::Role::leader) return {id};
        }
        return {};
    }
    /// Nodes that are not lost for good.
    std::size_t usable() const {
        std::size_t count = 0;
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (is_usable({id})) ++count;
        }
        return count;
    }
    bool is_usable(raft::NodeId node) const {
        return state(node) != NodeState::refused && state(node) != NodeState::gone;
    }

    void note(TraceKind kind, raft::NodeId node, std::string what) {
        if (!trace_.enabled()) return;
        TraceRecord record;
        record.at = world_.now();
        record.kind = kind;
        record.node = node;
        record.text = std::move(what);
        trace_.add(std::move(record));
    }

protected:
    ClusterBase(ClusterPlan plan, bool tracing)
        : plan_(std::move(plan)),
          random_(plan_.seed),
          network_(world_, plan_.nodes, random_.next()),
          streams_(world_, network_, plan_.seed),
          trace_(tracing),
          oracle_(
              plan_.nodes, plan_.options.raft, plan_.reigns_last,
              [this](Violation violation) { violate(std::move(violation)); },
              [this](raft::NodeId node) { return durable_view(node); }),
          resumed_transfers_(plan_.nodes),
          sequence_(std::make_shared<AppliedSequence>(
              [this](Violation violation) { violate(std::move(violation)); }, plan_.digest_every)),
          troubles_(std::make_shared<MachineTroubles>(
              machines_that_throw_, outvoted_replicas_, [this](Counter what) { happened(what); },
              plan_.options.max_captured_bytes == 0 || plan_.states_on_disk)),
          stored_states_(std::make_shared<const StoredStates>(StoredStates{
              plan_.transaction, plan_.sync_every,
              [this](Broken broken) { report(Rule::states_on_disk, std::move(broken)); },
              [this](raft::NodeId node) {
                  return watched(node) ? std::optional(core(node).log().durable()) : std::nullopt;
              }})) {
        network_.conditions = plan_.network;
        streams_.window_bytes = plan_.stream_window_bytes;
        network_.watch = [this](const raft::Message& message, Loss loss, raft::Time arrival) {
            if (watched(message.from)) {
                oracle_.sent(message, core(message.from), process(message.from).now());
                note_given_up(message);
            }
            if (trace_.enabled()) trace_message(trace_, world_.now(), message, loss, arrival);
        };
        network_.arrived = [this](const raft::Message& message) {
            if (!watched(message.to)) return;
            // A slow node comes to it nobody knows when, for it may be paused before.
            const Process& receiver = process(message.to);
            const bool slow = receiver.lag() > raft::Duration{};
            oracle_.received(message, core(message.to),
                             receiver.now() + std::chrono::seconds(slow ? 10 : 0));
        };
        network_.arrived_damaged = [this](const raft::Message& message) {
            if_piece(message, [&](const auto& piece) {
                damaged_pieces_.arrived(message.to, piece.meta.last.index);
            });
        };
        const auto service_time = std::make_shared<const ServiceTime>(plan_.disk);
        for (std::uint64_t id = 0; id <= plan_.nodes; ++id) {
            nodes_.push_back({std::make_unique<Process>(world_, [this, id] { after_work({id}); }),
                              NodeFiles({id}, random_.next(), plan_, service_time)});
        }
    }

    struct Node {
        std::unique_ptr<Process> process;
        NodeFiles files;
        NodeState state = NodeState::down;
        raft::Index snapshot{};  // the newest that was seen
        bool installed = false;  // it came from a leader
        bool crashes_after_install = false;
        bool hands_over_for_room = false;
        bool full_log = false;
    };

    virtual void drop_replica(raft::NodeId node) = 0;

    Transport transport(raft::NodeId id) {
        if (!plan_.streams) return {network_, id, process(id)};
        TcpOptions options = stream_options(plan_, id);
        options.on_refusal = [this, id](const TcpRefused& refused) {
            report(Rule::sound_connections, refusal_is_sound(id, refused));
        };
        return {network_, streams_, id, process(id), std::move(options), random_.next()};
    }
    WalStorage storage(raft::NodeId id) {
        return nodes_[id.value].files.storage(process(id), random_.next());
    }

    void observe(raft::NodeId node, const raft::Event& event) {
        const NodeFiles& about = nodes_[event.node.value].files;
        oracle_.event(node, event, about.may_lack_promises());
        report(Rule::outvoted_replicas, outvoted_replicas_.event(node, event));
        switch (event.kind) {
            case raft::EventKind::became_leader: elected(node); break;
            case raft::EventKind::log_regained:
                happened(Counter::healed_logs);
                disk_history(node).healing = false;
                break;
            case raft::EventKind::log_truncated: happened(Counter::truncations); break;
            case raft::EventKind::quorum_lost: happened(Counter::quorums_lost); break;
            case raft::EventKind::disk_stalled:
                happened(oracle_.stable_leadership().leads(node) ? Counter::stalled_leaders
                                                                 : Counter::stalled_others);
                break;
            case raft::EventKind::disk_full: happened(Counter::noticed_full); break;
            case raft::EventKind::members_changed: happened(Counter::membership_changes); break;
            case raft::EventKind::version_raised: happened(Counter::version_raises); break;
            case raft::EventKind::acknowledgement_lost:
                happened(Counter::lost_acknowledgements);
                break;
            case raft::EventKind::snapshot_installed:
                happened(Counter::snapshots_installed);
                if (oracle_.snapshot_sources().has_sent(event.node, node, event.index)) {
                    happened(Counter::snapshots_from_followers);
                }
                if (oracle_.snapshot_sources().has_lent(event.node, node, event.index)) {
                    happened(Counter::snapshots_lent);
                }
                nodes_[node.value].installed = true;
                if (std::exchange(nodes_[node.value].crashes_after_install, false)) cut_power(node);
                break;
            case raft::EventKind::snapshot_rejected:
                bad_snapshot(node, "rejects a snapshot",
                             damaged_pieces_.explains_rejection(node, event.index));
                break;
            case raft::EventKind::snapshot_unreadable:
                bad_snapshot(node, "says that a snapshot is of no use",
                             damaged_pieces_.explains_report(event.node, event.index));
                break;
            default: break;
        }
        if (trace_.enabled()) trace_event(trace_, world_.now(), node, event);
    }

    void note_given_up(const raft::Message& message) {
        const auto* const chunk = std::get_if<raft::SnapshotChunk>(&message.body);
        if (chunk == nullptr) return;
        if (oracle_.snapshot_sources().gives_up(message.from, message.to, *chunk)) {
            happened(Counter::sources_given_up);
        }
    }

    void elected(raft::NodeId id) {
        happened(Counter::elections);
        const raft::Core& core = this->core(id);
        const bool settled = raft::is_settled(core.configuration(), core.log());
        if (core.membership().joint() || !settled) happened(Counter::inherited_changes);
    }

    /// @param damaged  on its way
    void bad_snapshot(raft::NodeId id, const char* what, bool damaged) {
        const auto to_blame = [](Node& node) {
            const DiskHistory& disk = node.files.history();
            return disk.damaged || disk.scattered || disk.failing;
        };
        report(Rule::causes,
               rejection_has_cause(id, what, damaged || std::ranges::any_of(nodes_, to_blame)));
    }
    void cut_power(raft::NodeId node) {
        world_.post([this, node] {
            if (!watched(node)) return;
            happened(Counter::power_failures);
            power_off(node);
            world_.call_after(std::chrono::milliseconds(50), [this, node] {
                if (state(node) == NodeState::down) start(node);
            });
        });
    }

    void failed(raft::NodeId id, const raft::Failure& failure) {
        Node& node = nodes_[id.value];
        // What it did before, in the same piece of work.
        if (watched(id)) oracle_.step(core(id), true);
        happened(Counter::failed_nodes);
        note(TraceKind::disk_fault, id, "failed: " + failure.message());
        node.state = NodeState::failed;
        oracle_.crashed(id);
        if (disk(id).stopped() || threw(id, failure.what)) return;
        if (OutvotedReplicas::is_about(failure.what)) return outvoted(id);
        report(Rule::causes, failure_has_cause(id, failure, disk_history(id)));
    }
    /// Whether its state machine is why a node has stopped, or does not start. Then whoever
    /// operates the cluster reads that and starts the node again.
    bool threw(raft::NodeId id, const std::string& what) {
        if (!machines_that_throw_.explains(id, what)) return false;
        coverage_.asked(Rule::machines_that_throw);
        machines_that_throw_.read(id, what);
        world_.call_after(std::chrono::milliseconds(100), [this, id] {
            if (state(id) == NodeState::failed) kill(id);
            if (state(id) == NodeState::down) start(id);
        });
        return true;
    }
    /// Whoever operates the cluster starts the node again, and where its disk has the wrong state,
    /// too, takes it away for good.
    void outvoted(raft::NodeId id) {
        happened(Counter::outvoted_nodes);
        report(Rule::outvoted_replicas, outvoted_replicas_.stops(id, size()));
        const bool again = outvoted_replicas_.times(id) > 1;
        world_.call_after(std::chrono::milliseconds(100), [this, id, again] {
            if (state(id) == NodeState::failed) kill(id);
            if (state(id) != NodeState::down) return;
            if (!again) return start(id);
            outvoted_replicas_.state(id, 0);
            nodes_[id.value].state = NodeState::gone;
        });
    }
    void refused(raft::NodeId id, const std::string& why) {
        Node& node = nodes_[id.value];
        if (node.files.is_borrowing()) {
            foreign_refusal_ = why;
            return;
        }
        if (disk(id).stopped()) return crash_in_a_call(id);  // in the midst of the recovery
        happened(Counter::refused_starts);
        note(TraceKind::disk_fault, id, "refused to start: " + why);
        node.state = NodeState::down;
        if (threw(id, why)) return;
        if (disk_history(id).damaged) node.state = NodeState::refused;
        report(Rule::causes, refusal_has_cause(id, why, disk_history(id)));
    }

    void after_work(raft::NodeId id) {
        if (id.value == 0) return;
        note_hits(id);
        if (disk(id).stopped()) return crash_in_a_call(id);
        if (!watched(id)) return;
        oracle_.step(core(id));
        if (running(id) && machines_that_throw_.threw(id)) {
            report(Rule::machines_that_throw, machines_that_throw_.stops(id, world_.now()));
        }
        watch_limits(id);
        Node& node = nodes_[id.value];
        const bool hands_over = hands_over_for_room(core(id));
        const bool did = std::exchange(node.hands_over_for_room, hands_over);
        if (hands_over && !did) happened(Counter::handed_for_room);
        if (node.files.is_wiped() && is_itself(core(id))) node.files.taken_in();
        // Who stops removes nothing any more.
        if (running(id) && node.files.is_look_due()) {
            report(Rule::kept_files, node.files.look(core(id)));
        }
        const raft::Index snapshot = core(id).snapshot().last.index;
        if (snapshot <= node.snapshot) return;
        node.snapshot = snapshot;
        if (std::exchange(node.installed, false)) return;
        coverage_.count(Counter::snapshots_saved);
        sequence_->saved(id, snapshot);
        if (trace_.enabled()) trace_snapshot(trace_, world_.now(), core(id));
    }

    static bool hands_over_for_room(const raft::Core& core) {
        return core.handover() != nullptr && core.handover()->token == 0 && core.disk().full;
    }
    /// How long its log is, and what becomes of a snapshot of which it had a part at its start.
    void watch_limits(raft::NodeId id) {
        const raft::Core& core = this->core(id);
        const std::uint64_t most = plan_.options.raft.max_log_bytes;
        if (most != 0) {
            const std::uint64_t bytes = persisted_bytes(id);
            report(Rule::bounds, log_bounded(core, bytes, plan_.options.raft));
            const bool was_full = std::exchange(nodes_[id.value].full_log, bytes >= most);
            if (!was_full && bytes >= most) happened(Counter::full_logs);
        }
        const DiskHistory& disk = disk_history(id);
        const raft::IncomingSnapshot* incoming = core.incoming();
        const bool excused =
            disk.damaged || disk.scattered || disk.failing || disk.full || disk.refusing ||
            (incoming && damaged_pieces_.explains_report(id, incoming->meta.last.index));
        report(Rule::resumed_transfers, resumed_transfers_.step(core, excused));
        if (resumed_transfers_.went_on()) happened(Counter::resumed_transfers);
    }

    /// Whether the membership that a node has knows which instance of itself it is.
    static bool is_itself(const raft::Core& core) {
        const raft::Member* const member = core.membership().find(core.self());
        return member != nullptr && member->instance == core.instance();
    }

    /// The disk has stopped: the machine's power failed, or only the process ended.
    void crash_in_a_call(raft::NodeId id) {
        happened(Counter::crashes_between_calls);
        if (random_.below(3) != 0) return power_off(id);
        kill(id);
        disk(id).end_process();
    }

    /// Tells what has befallen a disk since it was told last.
    void note_hits(raft::NodeId id) {
        nodes_[id.value].files.tell_new_hits([&](const DiskHit& hit) {
            if (hit.fault == DiskFault::call_error) happened(Counter::failed_calls);
            if (trace_.enabled()) trace_hit(trace_, world_.now(), id, hit);
        });
    }

    const raft::Recovered* durable_view(raft::NodeId id) {
        NodeFiles& files = nodes_[id.value].files;
        if (!files.is_view_due()) return nullptr;
        if (files.is_view_old()) {
            coverage_.count(Counter::durable_views);
            Broken broken = files.renew_view();
            if (broken) violate(std::move(*broken));
        }
        return files.view();
    }

    ClusterPlan plan_;
    std::vector<Node> nodes_;  // before the world, whose work refers to the processes
    raft::Random random_;
    World world_;
    Network network_;
    StreamNetwork streams_;
    Trace trace_;
    Coverage coverage_;
    std::optional<Violation> violation_;
    std::optional<raft::LogPosition> lost_;       // committed, and nowhere any more
    std::optional<std::string> foreign_refusal_;  // of the latest start on a foreign disk
    Oracle oracle_;
    DamagedPieces damaged_pieces_;
    ResumedTransfers resumed_transfers_;
    std::shared_ptr<AppliedSequence> sequence_;
    MachinesThatThrow machines_that_throw_;
    OutvotedReplicas outvoted_replicas_;
    std::shared_ptr<MachineTroubles> troubles_;
    std::shared_ptr<const StoredStates> stored_states_;
    std::shared_ptr<int> request_ = std::make_shared<int>();  // shared by all that have not ended
};

}  // namespace rsm::sim

#endif
