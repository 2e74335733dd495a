// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Cluster: production nodes (Replicated, Engine, Core, write-ahead log, codec) in one simulated
// world. Only clock, network and files are not the real ones.
#ifndef RSM_SIM_RUN_CLUSTER_HPP
#define RSM_SIM_RUN_CLUSTER_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <rsm/members.hpp>
#include <rsm/options.hpp>
#include <rsm/replicated.hpp>
#include <rsm/sim/rules/honest_start.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/observed.hpp>
#include <rsm/sim/run/plans.hpp>
#include <rsm/sim/run/stored.hpp>
#include <rsm/sim/trace/words.hpp>
#include <rsm/sim/world/clock.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/transport.hpp>
#include <rsm/sim/world/wal_storage.hpp>
#include <rsm/state_machine.hpp>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// A machine that is to keep its state on a disk of its own.
template <class Machine>
concept KeptOnDisk = Machine::on_disk;

namespace detail {

template <class Machine>
struct WatchedAs {
    using Type = Observed<Machine>;
};
template <KeptOnDisk Machine>
struct WatchedAs<Machine> {
    using Type = Stored<Machine>;
};

}  // namespace detail

template <StateMachine Machine>
class Cluster final : public ClusterBase {
public:
    using Watched = typename detail::WatchedAs<Machine>::Type;
    using Replica = rsm::Replicated<Watched, Transport, WalStorage, ProcessClock>;

    /// @param make  gives a machine in its initial state
    Cluster(ClusterPlan plan, std::function<Machine()> make, bool tracing)
        : ClusterBase(std::move(plan), tracing),
          make_(std::move(make)),
          replicas_(size() + 1),
          programs_(size() + 1) {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (random_.below(100) < plan_.troubled_foundings) trouble(disk({id}), random_);
            start({id});
        }
    }
    ~Cluster() override { replicas_.clear(); }

    /// @pre running(node)
    Replica& replica(raft::NodeId node) { return *replicas_[node.value]; }

    void start(raft::NodeId id) override {
        Node& node = nodes_[id.value];
        drop_replica(id);
        machines_that_throw_.started(id);
        streams_.power_on(id);
        node.files.begin_life();
        note_hits(id);
        rsm::Options options = plan_.options;
        options.skip_operations = machines_that_throw_.list();
        options.seed = random_.next();
        options.birth = birth_of(plan_, id, node.files.is_wiped());
        options.max_format_version = program_of(id);
        options.on_event = [this, id](const raft::Event& event) { observe(id, event); };
        options.on_failure = [this, id](const raft::Failure& failure) { failed(id, failure); };
        // Both draw: in this order, not in that of a compiler's arguments.
        const Transport transport = this->transport(id);
        const WalStorage storage = this->storage(id);
        try {
            replicas_[id.value] =
                std::make_unique<Replica>(process(id).get_executor(), machine(id), transport,
                                          storage, std::move(options), ProcessClock(process(id)));
        } catch (const boost::system::system_error& error) {
            return refused(id, error.what());
        }
        if (node.files.is_borrowing()) return drop_replica(id);  // which breaks a rule
        if (node.state == NodeState::failed) return;  // it came to an operation that throws
        node.state = NodeState::up;
        report(Rule::honest_start, honest_start(id, node.files.new_hits()));
        if (trace_.enabled()) trace_start(trace_, world_.now(), core(id));
        oracle_.started(core(id));
        resumed_transfers_.restarted(core(id));
        const raft::IncomingSnapshot* const partial = core(id).incoming();
        if (partial != nullptr) happened(Counter::partial_snapshots);
        damaged_pieces_.restarted(id, partial ? partial->meta.last.index : raft::Index{});
        node.files.recovered(core(id));
        if (core(id).log().is_whole()) node.files.history().healing = false;
    }

    void stop_cleanly(raft::NodeId id) override {
        nodes_[id.value].state = NodeState::stopping;
        replica(id).async_stop([this, id, stopped = replicas_[id.value].get()](auto) {
            if (replicas_[id.value].get() != stopped) return;
            if (state(id) == NodeState::stopping) kill(id);
        });
    }

    void change_members(raft::NodeId node, Members target, ChangeOptions how) override {
        replica(node).async_change_members(std::move(target), how, [request = request_](auto) {});
    }
    void cancel_change(raft::NodeId node) override { replica(node).cancel_change(); }
    void hand_over(raft::NodeId node, raft::NodeId target, raft::Duration patience) override {
        replica(node).async_transfer_leadership(
            target, patience, [this, request = request_](boost::system::error_code error) {
                if (!error) happened(Counter::handovers);
            });
    }

    const raft::Core& core(raft::NodeId node) const override {
        return replicas_[node.value]->core();
    }
    std::uint64_t persisted_bytes(raft::NodeId node) const override {
        return replicas_[node.value]->storage().persisted_bytes();
    }

private:
    /// The version that the node's program reads: no lower one than it has had.
    std::uint32_t program_of(raft::NodeId id) {
        if (!plan_.upgrades) return 0;
        constexpr std::uint32_t newest = Watched::format_version;
        std::optional<std::uint32_t>& program = programs_[id.value];
        if (!program) {
            program = static_cast<std::uint32_t>(random_.below(newest + 1));
        } else if (*program < newest && random_.below(3) == 0) {
            ++*program;
        }
        oracle_.runs(id, *program);
        return *program;
    }
    Watched machine(raft::NodeId id) {
        Observed<Machine> watched(make_(), sequence_, troubles_, id,
                                  plan_.signed_snapshots ? id.value : 0);
        if constexpr (KeptOnDisk<Machine>) {
            const std::shared_ptr<StateCell>& cell = files(id).state();
            if (cell->written().applied.index.value != 0) happened(Counter::states_found);
            return Watched(std::move(watched), cell, stored_states_, id);
        } else {
            return watched;
        }
    }
    void drop_replica(raft::NodeId node) override { replicas_[node.value].reset(); }

    std::function<Machine()> make_;
    std::vector<std::unique_ptr<Replica>> replicas_;
    std::vector<std::optional<std::uint32_t>> programs_;  // that the nodes have run last
};

}  // namespace rsm::sim

#endif
