// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Backups of a simulated cluster, taken under load from leaders and followers, and read back.
#ifndef RSM_SIM_RUN_BACKUPS_HPP
#define RSM_SIM_RUN_BACKUPS_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/stable.hpp>
#include <rsm/archive.hpp>
#include <rsm/backup.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/sim/rules/backups.hpp>
#include <rsm/sim/rules/equal_state_machines.hpp>
#include <rsm/sim/rules/violation.hpp>
#include <rsm/sim/run/clients.hpp>
#include <rsm/sim/run/cluster.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/detail/memory_stream.hpp>
#include <rsm/sim/run/detail/observing.hpp>
#include <rsm/sim/workload.hpp>

#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

namespace detail {

/// What Observed writes, read back without being watched.
template <StateMachine Machine>
struct ReadBack {
    using Operation = typename Machine::Operation;
    Machine machine;
    std::uint64_t operations = 0;

    void apply(const Operation&) {}
    void snapshot(SnapshotWriter& out) const { out << operations; }
    void restore(SnapshotReader& in) {
        std::uint64_t signature = 0;
        std::uint64_t flaw = 0;
        in >> signature >> operations >> flaw;
        read_machine(in, machine);
    }
};

}  // namespace detail

template <Workload Load>
class Backups {
public:
    using Machine = typename Load::Machine;

    /// @param pause_max  between two; 0: there are none
    Backups(Cluster<Machine>& cluster, Load& load, const Clients<Load>& clients,
            raft::Duration pause_max, std::uint64_t seed)
        : cluster_(cluster),
          load_(load),
          clients_(clients),
          pause_max_(pause_max),
          random_(seed),
          model_(load.machine()) {}
    Backups(const Backups&) = delete;
    Backups& operator=(const Backups&) = delete;

    void start() {
        running_ = pause_max_ != raft::Duration{};
        if (running_) pause();
    }
    void stop() { running_ = false; }

private:
    void pause() {
        cluster_.world().call_after(random_.below(pause_max_) + raft::Duration(1), [this] {
            if (!running_) return;
            take();
            pause();
        });
    }
    /// From any node what the leader has applied, or with all that is done by now from the leader.
    void take() {
        constexpr auto patience = std::chrono::seconds(2);
        const raft::NodeId leader = cluster_.leader();
        const raft::NodeId any{1 + random_.below(cluster_.size())};
        const bool asks_leader = random_.below(2) == 0;
        const raft::NodeId node = asks_leader ? leader : any;
        if (!leader || !cluster_.running(node)) return;
        TakenBackup asked;
        asked.node = node;
        auto done = [this](TakenBackup taken) {
            return [this, taken = std::move(taken)](const boost::system::error_code& error,
                                                    const CapturedState& state) mutable {
                // What the same piece of work has committed is not noted before it ends.
                if (error) return;
                cluster_.world().call_after(raft::Duration(1), [this, taken, state]() mutable {
                    judge(std::move(taken), state);
                });
            };
        };
        if (asks_leader) {
            asked.operations = acknowledged();
            cluster_.replica(node).async_capture(patience, done(std::move(asked)));
        } else {
            asked.at_least = cluster_.core(leader).log().applied();
            const raft::Index at_least = asked.at_least;
            cluster_.replica(node).async_capture(at_least, patience, done(std::move(asked)));
        }
    }
    /// So many operations are applied wherever all is that clients were told of.
    std::uint64_t acknowledged() const {
        using End = typename RecordOf<Load>::End;
        std::uint64_t most = 0;
        for (const auto& record : clients_.history()) {
            if (record.end == End::committed) most = std::max(most, record.number);
        }
        return most;
    }
    void judge(TakenBackup taken, const CapturedState& state) {
        cluster_.coverage().count(Counter::backups);
        detail::MemorySink sink;
        try {
            state.produce(sink);
        } catch (const std::exception&) {
            return;  // a state machine that throws costs a backup
        }
        detail::ReadBack<Machine> back{load_.machine()};
        detail::MemorySource source(sink.bytes);
        raft::SnapshotMeta meta;
        meta.last = state.last;
        meta.size = sink.bytes.size();
        const auto head = rsm::detail::restore_state(source, meta, back, 4096);
        if (!head) return unreadable(taken.node, head.error().message());
        taken.last = state.last;
        taken.membership = state.membership;
        taken.held = back.operations;
        taken.digest = detail::state_digest(back.machine);
        advance_model(taken.held);
        cluster_.report(Rule::backups, backup_is_sound(taken, detail::state_digest(model_),
                                                       cluster_.oracle().chronicle()));
    }
    void unreadable(raft::NodeId node, const std::string& why) {
        cluster_.violate({"backups", "a backup cannot be read: " + why, {node}});
    }
    /// Brings the model to the state after so many operations, or all that there are.
    void advance_model(std::uint64_t operations) {
        const std::vector<AppliedSequence::Applied>& applied = cluster_.sequence().applied();
        if (operations < done_) {
            model_ = load_.machine();
            done_ = 0;
        }
        for (; done_ < std::min<std::uint64_t>(operations, applied.size()); ++done_) {
            const std::size_t place = applied[done_].id - 1;
            static_cast<void>(model_.apply(clients_.history()[place].operation));
        }
    }

    Cluster<Machine>& cluster_;
    Load& load_;
    const Clients<Load>& clients_;
    raft::Duration pause_max_;
    raft::Random random_;
    bool running_ = false;
    Machine model_;
    std::uint64_t done_ = 0;  ///< so many operations are in it
};

}  // namespace rsm::sim

#endif
