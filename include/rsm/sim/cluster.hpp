// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Cluster: production nodes (Replicated, Engine, Core, write-ahead log, codec) in one simulated
// world. Only clock, network and files are not the real ones.
#ifndef RSM_SIM_CLUSTER_HPP
#define RSM_SIM_CLUSTER_HPP

#include <raft/core.hpp>
#include <raft/stable.hpp>
#include <raft/types.hpp>
#include <rsm/options.hpp>
#include <rsm/replicated.hpp>
#include <rsm/sim/coverage.hpp>
#include <rsm/sim/disk.hpp>
#include <rsm/sim/network.hpp>
#include <rsm/sim/observed.hpp>
#include <rsm/sim/oracle.hpp>
#include <rsm/sim/process.hpp>
#include <rsm/sim/trace.hpp>
#include <rsm/sim/trace_cluster.hpp>
#include <rsm/sim/wal_storage.hpp>
#include <rsm/sim/world.hpp>

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
#include <vector>

namespace rsm::sim {

/// What a cluster is made of.
struct ClusterPlan {
    std::size_t nodes = 3;  ///< 1 to 15
    std::uint64_t seed = 1;
    rsm::Options options;
    std::uint64_t segment_bytes = 16384;
    std::uint64_t batch_bytes = 4096;
    NetworkConditions network;
    ServiceTime disk;
    /// Of so many changes of what a disk durably holds one is read back and compared with what
    /// the node promises; 0: none.
    std::uint64_t durable_view_every = 8;
    std::uint64_t digest_every = 16;  ///< operations between two comparisons of whole states
    /// Nothing is done that may end a reign: a leader gives way only where others stand for
    /// election.
    bool reigns_last = false;
};

enum class NodeState : std::uint8_t {
    up,
    down,
    stopping,  ///< a clean stop is under way
    failed,    ///< it has fallen silent because its disk failed, as it should
    refused,   ///< it does not start, because its disk is damaged, as it should
    gone,      ///< its disk has lost what it had promised: it must not come back
};

/// What has been done to a node's disk, which excuses that the node fails or does not start.
struct DiskHistory {
    bool failing = false;  ///< since the last start: a write or sync failed
    bool planned = false;  ///< a failure is planned and has perhaps not happened yet
    bool full = false;     ///< now
    /// Since the last start there was no space, or nothing could be opened.
    bool refusing = false;
    bool damaged = false;  ///< ever: durable bytes are not what they were
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
    Disk& disk(raft::NodeId node) { return *nodes_[node.value].disk; }
    DiskHistory& disk_history(raft::NodeId node) { return nodes_[node.value].disk_history; }
    NodeState state(raft::NodeId node) const { return nodes_[node.value].state; }
    Oracle& oracle() { return oracle_; }
    Witness& witness() { return *witness_; }
    Trace& trace() { return trace_; }
    Coverage& coverage() { return coverage_; }
    /// The first rule that was broken.
    const std::optional<Violation>& violation() const { return violation_; }
    void violate(Violation violation) {
        if (violation_) return;
        violation_ = std::move(violation);
        TraceRecord record;
        record.at = world_.now();
        record.kind = TraceKind::violation;
        record.nodes = violation_->nodes;
        record.text = violation_->property + ": " + violation_->where;
        trace_.add(std::move(record));
    }

    /// Whether a write of the log never came to the disk and nothing shows for certain that it is
    /// missing: no batch was made durable behind it, or another fault has struck there since. What
    /// else is written has a checksum of its own.
    static bool hides_a_loss(const Disk& disk) {
        const auto harmed_behind = [&](const Disk::Loss& loss) {
            return std::ranges::any_of(disk.hits(), [&](const DiskHit& hit) {
                const bool rotten = hit.fault == DiskFault::bit_rot && hit.path >= loss.path;
                return rotten || (hit.landed_size != 0 && hit.landed_path >= loss.path);
            });
        };
        const std::vector<std::string> paths = disk.paths();
        return std::ranges::any_of(disk.losses(), [&](const Disk::Loss& loss) {
            const bool needed =
                loss.path.ends_with(".wal") && std::ranges::find(paths, loss.path) != paths.end();
            return needed && (!loss.shows || harmed_behind(loss));
        });
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
        if (hides_a_loss(*node.disk)) node.state = NodeState::gone;
        note(TraceKind::crash, id, "killed");
    }
    /// The same, and what was not synced is on the disk or not.
    void power_off(raft::NodeId id) {
        kill(id);
        disk(id).crash(random_);
    }
    virtual void stop_cleanly(raft::NodeId node) = 0;

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
    std::string clutter(raft::NodeId id) {
        if (disk_history(id).damaged) return {};  // what is damaged is not thrown away
        std::size_t segments = 0;
        std::size_t snapshots = 0;
        for (const std::string& path : disk(id).paths()) {
            if (path.ends_with("saving.tmp")) return path;
            if (path.ends_with(".wal")) ++segments;
            if (path.ends_with(".snapshot")) ++snapshots;
        }
        // Each segment but the one in use and the one prepared holds an entry at least.
        const raft::Log& log = core(id).log();
        if (segments > 2 + (log.last_index() - log.base().index)) {
            return std::to_string(segments) + " segments";
        }
        return snapshots > 1 ? std::to_string(snapshots) + " snapshots" : std::string();
    }
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
            const NodeState now = state({id});
            count += now != NodeState::refused && now != NodeState::gone ? 1 : 0;
        }
        return count;
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
          trace_(tracing),
          oracle_(
              plan_.nodes, plan_.options.raft,
              [this](Violation violation) { violate(std::move(violation)); },
              [this](raft::NodeId node) { return durable_view(node); }),
          witness_(std::make_shared<Witness>(
              [this](raft::NodeId node, std::string what) {
                  violate({"equal state machines",
                           "node " + std::to_string(node.value) + ": " + what,
                           {node}});
              },
              plan_.digest_every)),
          service_time_(std::make_shared<const ServiceTime>(plan_.disk)) {
        network_.conditions = plan_.network;
        network_.watch = [this](const raft::Message& message, Loss loss, raft::Time arrival) {
            if (watched(message.from)) {
                oracle_.sent(message, core(message.from), process(message.from).now());
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
        for (std::uint64_t id = 0; id <= plan_.nodes; ++id) {
            Node& node = nodes_.emplace_back();
            node.process = std::make_unique<Process>(world_, [this, id] { after_work({id}); });
            node.disk = std::make_shared<Disk>(random_.next());
        }
    }

    struct Node {
        std::unique_ptr<Process> process;
        std::shared_ptr<Disk> disk;
        DiskHistory disk_history;
        NodeState state = NodeState::down;
        std::size_t hits_told = 0;
        raft::Index snapshot;    // the newest that was seen
        bool installed = false;  // it came from a leader
        bool crashes_after_install = false;
        std::uint64_t candidacies = 0;  // of all nodes, when it was elected
        std::uint64_t view_version = 0;
        bool view_readable = false;
        raft::Recovered view;
    };

    virtual void drop_replica(raft::NodeId node) = 0;

    WalOptions wal_options() const {
        return {.directory = "d",
                .segment_bytes = plan_.segment_bytes,
                .batch_bytes = plan_.batch_bytes};
    }
    WalStorage storage(raft::NodeId id) {
        return wal_storage(process(id), nodes_[id.value].disk, wal_options(), service_time_,
                           random_.next());
    }

    void observe(raft::NodeId node, const raft::Event& event) {
        oracle_.event(node, event);
        switch (event.kind) {
            case raft::EventKind::became_leader:
                coverage_.count(Counter::elections);
                nodes_[node.value].candidacies = all_candidacies();
                break;
            case raft::EventKind::log_truncated: coverage_.count(Counter::truncations); break;
            case raft::EventKind::quorum_lost:
                coverage_.count(Counter::quorums_lost);
                if (plan_.reigns_last) gave_way(node, "hears from no quorum");
                break;
            case raft::EventKind::disk_stalled:
                coverage_.count(Counter::stalled_leaders);
                if (plan_.reigns_last) gave_way(node, "its disk hangs");
                break;
            case raft::EventKind::snapshot_installed:
                coverage_.count(Counter::snapshots_installed);
                nodes_[node.value].installed = true;
                if (std::exchange(nodes_[node.value].crashes_after_install, false)) cut_power(node);
                break;
            case raft::EventKind::snapshot_rejected: rejected_snapshot(node); break;
            default: break;
        }
        if (trace_.enabled()) trace_event(trace_, world_.now(), node, event);
    }

    std::uint64_t all_candidacies() const {
        std::uint64_t sum = 0;
        for (std::uint64_t id = 1; id <= size(); ++id) sum += oracle_.candidacies({id});
        return sum;
    }
    void gave_way(raft::NodeId leader, const std::string& reason) {
        if (all_candidacies() != nodes_[leader.value].candidacies) return;
        violate({"stable leadership",
                 "node " + std::to_string(leader.value) +
                     " gives up leadership, which nobody disputed, and says: " + reason,
                 {leader}});
    }

    /// What a whole snapshot is made of arrives whole.
    void rejected_snapshot(raft::NodeId id) {
        const auto damaged = [](const Node& node) { return node.disk_history.damaged; };
        if (std::ranges::any_of(nodes_, damaged)) return;
        violate({"no rejection without damage",
                 "node " + std::to_string(id.value) + " rejects a snapshot",
                 {id}});
    }
    void cut_power(raft::NodeId node) {
        world_.post([this, node] {
            if (!watched(node)) return;
            coverage_.count(Counter::power_failures);
            power_off(node);
            world_.call_after(std::chrono::milliseconds(50), [this, node] {
                if (state(node) == NodeState::down) start(node);
            });
        });
    }

    void failed(raft::NodeId id, const raft::Failure& failure) {
        Node& node = nodes_[id.value];
        if (watched(id)) oracle_.step(core(id));  // what it did before, in the same piece of work
        coverage_.count(Counter::failed_nodes);
        note(TraceKind::disk_fault, id, "failed: " + failure.message());
        node.state = NodeState::failed;
        oracle_.crashed(id);
        const DiskHistory& history = node.disk_history;
        if (history.failing || history.damaged || disk(id).stopped()) return;
        if (history.refusing && is_of_snapshot(failure)) return;
        violate({"no failure without a cause",
                 "node " + std::to_string(id.value) + " failed: " + failure.message(),
                 {id}});
    }
    static bool is_of_snapshot(const raft::Failure& failure) {
        return failure.what.find("saving.tmp") != std::string::npos ||
               failure.what.find("incoming.tmp") != std::string::npos;
    }
    void refused(raft::NodeId id, const std::string& why) {
        Node& node = nodes_[id.value];
        if (disk(id).stopped()) {  // a crash in the midst of the recovery
            coverage_.count(Counter::crashes_between_calls);
            return power_off(id);
        }
        coverage_.count(Counter::refused_starts);
        note(TraceKind::disk_fault, id, "refused to start: " + why);
        const DiskHistory& history = node.disk_history;
        node.state = history.damaged ? NodeState::refused : NodeState::down;
        if (history.damaged || history.refusing || history.failing) return;
        violate({"no refusal without damage",
                 "node " + std::to_string(id.value) + " does not start: " + why,
                 {id}});
    }

    void after_work(raft::NodeId id) {
        if (id.value == 0) return;
        note_hits(id);
        if (disk(id).stopped()) {
            coverage_.count(Counter::crashes_between_calls);
            return power_off(id);
        }
        if (!watched(id)) return;
        oracle_.step(core(id));
        Node& node = nodes_[id.value];
        const raft::Index snapshot = core(id).snapshot().last.index;
        if (snapshot <= node.snapshot) return;
        node.snapshot = snapshot;
        if (std::exchange(node.installed, false)) return;
        coverage_.count(Counter::snapshots_saved);
        witness_->saved(id, snapshot);
        if (trace_.enabled()) trace_snapshot(trace_, world_.now(), core(id));
    }

    /// Tells what has befallen a disk since it was told last.
    void note_hits(raft::NodeId id) {
        Node& node = nodes_[id.value];
        const std::vector<DiskHit>& hits = node.disk->hits();
        for (; node.hits_told < hits.size(); ++node.hits_told) {
            if (trace_.enabled()) trace_hit(trace_, world_.now(), id, hits[node.hits_told]);
        }
    }

    /// Recovery of the production log from what is durable now, on a copy of the disk.
    const raft::Recovered* durable_view(raft::NodeId id) {
        if (plan_.durable_view_every == 0) return nullptr;
        Node& node = nodes_[id.value];
        if (node.disk_history.damaged) return nullptr;
        const std::uint64_t version = node.disk->durable_version();
        if (version % plan_.durable_view_every != 0) return nullptr;
        if (version != node.view_version) {
            coverage_.count(Counter::durable_views);
            node.view_version = version;
            read_durable(id);
        }
        return node.view_readable ? &node.view : nullptr;
    }
    void read_durable(raft::NodeId id) {
        Node& node = nodes_[id.value];
        World scratch;
        const auto image = std::make_shared<Disk>(node.disk->durable_image());
        auto storage = wal_storage(scratch, image, wal_options(), service_time_, 0)
                           .open(scratch.get_executor());
        raft::Result<raft::Recovered> recovered = storage.recover();
        node.view_readable = recovered.has_value();
        if (recovered) {
            node.view = std::move(*recovered);
        } else {
            violate({"durable before visible",
                     "what node " + std::to_string(id.value) +
                         " has on its disk cannot be read: " + recovered.error().message(),
                     {id}});
        }
    }

    ClusterPlan plan_;
    std::vector<Node> nodes_;  // before the world, whose work refers to the processes
    raft::Random random_;
    World world_;
    Network network_;
    Trace trace_;
    Coverage coverage_;
    std::optional<Violation> violation_;
    Oracle oracle_;
    std::shared_ptr<Witness> witness_;
    std::shared_ptr<const ServiceTime> service_time_;
};

template <StateMachine Machine>
class Cluster final : public ClusterBase {
public:
    using Watched = Observed<Machine>;
    using Replica = rsm::Replicated<Watched, NetworkTransport, WalStorage, ProcessClock>;

    /// @param make  gives a machine in its initial state
    Cluster(ClusterPlan plan, std::function<Machine()> make, bool tracing)
        : ClusterBase(std::move(plan), tracing), make_(std::move(make)), replicas_(size() + 1) {
        for (std::uint64_t id = 1; id <= size(); ++id) start({id});
    }
    ~Cluster() override { replicas_.clear(); }

    /// @pre running(node)
    Replica& replica(raft::NodeId node) { return *replicas_[node.value]; }

    void start(raft::NodeId id) override {
        Node& node = nodes_[id.value];
        drop_replica(id);
        node.disk_history.failing = node.disk_history.planned;
        node.disk_history.refusing = node.disk_history.full || node.disk->refuses_openings();
        rsm::Options options = plan_.options;
        options.seed = random_.next();
        options.on_event = [this, id](const raft::Event& event) { observe(id, event); };
        options.on_failure = [this, id](const raft::Failure& failure) { failed(id, failure); };
        try {
            replicas_[id.value] = std::make_unique<Replica>(
                process(id).get_executor(), Watched(make_(), witness_, id),
                NetworkTransport(network_, id, process(id)), storage(id), std::move(options),
                ProcessClock(process(id)));
        } catch (const boost::system::system_error& error) {
            return refused(id, error.what());
        }
        node.state = NodeState::up;
        if (trace_.enabled()) trace_start(trace_, world_.now(), core(id));
        oracle_.started(core(id));
    }

    void stop_cleanly(raft::NodeId id) override {
        nodes_[id.value].state = NodeState::stopping;
        replica(id).async_stop([this, id, stopped = replicas_[id.value].get()](auto) {
            if (replicas_[id.value].get() != stopped) return;
            if (state(id) == NodeState::stopping) kill(id);
        });
    }

    const raft::Core& core(raft::NodeId node) const override {
        return replicas_[node.value]->core();
    }
    std::uint64_t persisted_bytes(raft::NodeId node) const override {
        return replicas_[node.value]->storage().persisted_bytes();
    }

private:
    void drop_replica(raft::NodeId node) override { replicas_[node.value].reset(); }

    std::function<Machine()> make_;
    std::vector<std::unique_ptr<Replica>> replicas_;
};

}  // namespace rsm::sim

#endif
