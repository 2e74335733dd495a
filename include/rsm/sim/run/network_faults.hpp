// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Network faults: what goes wrong with links and with what travels over them.
#ifndef RSM_SIM_RUN_NETWORK_FAULTS_HPP
#define RSM_SIM_RUN_NETWORK_FAULTS_HPP

#include <raft/base/bytes.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/run/fault_maker.hpp>
#include <rsm/sim/run/faults.hpp>
#include <rsm/sim/world/network.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::inline v0::sim {

class NetworkFaults : protected FaultMaker {
protected:
    NetworkFaults(ClusterBase& cluster, FaultPlan plan, std::uint64_t seed,
                  std::vector<raft::NodeId> targets)
        : FaultMaker(cluster, plan, seed, std::move(targets)),
          conditions_(cluster.plan().network) {}
    ~NetworkFaults() = default;

    /// Messages are much faster than elections, which is what liveness needs (Raft paper, 5.6).
    void calm_network() {
        heal_network();
        end_damage();
        conditions_.delay_max =
            std::min(conditions_.delay_max, cluster_.plan().options.raft.election_timeout / 10);
        cluster_.network().conditions = conditions_;
    }

    /// Only links of those who may be struck.
    void cut(raft::NodeId from, raft::NodeId to, bool is_cut) {
        if (is_target(from) || is_target(to)) cluster_.network().cut(from, to, is_cut);
    }
    void cut(std::uint64_t from, std::uint64_t to) { cut({from}, {to}, true); }
    void clog(raft::NodeId from, raft::NodeId to, raft::Time until) {
        if (is_target(from) || is_target(to)) cluster_.network().clog(from, to, until);
    }
    void heal_network() {
        cluster_.network().heal();
        cluster_.trace().end(std::exchange(partition_, 0), world().now());
    }
    /// Records the links that are cut now, if any, in place of what was recorded before.
    void note_cut(std::string what) {
        Trace& trace = cluster_.trace();
        if (!trace.enabled()) return;
        trace.end(partition_, world().now());
        TraceRecord record;
        record.at = world().now();
        record.kind = TraceKind::partition;
        record.text = std::move(what);
        for (std::uint64_t from = 1; from <= cluster_.size(); ++from) {
            for (std::uint64_t to = 1; to <= cluster_.size(); ++to) {
                const bool is_cut = from != to && cluster_.network().is_cut({from}, {to});
                if (is_cut) record.links.push_back({{from}, {to}});
            }
        }
        partition_ = record.links.empty() ? 0 : trace.add(std::move(record));
    }
    /// @param side  a bit for each node on the one side; 0: drawn
    void partition(std::uint64_t side) {
        cluster_.happened(Counter::partitions);
        if (side == 0) side = random_.next();
        std::string names;
        for (std::uint64_t from = 1; from <= cluster_.size(); ++from) {
            const bool inside = (side >> from) % 2 == 1;
            if (inside) names += (names.empty() ? "" : " ") + std::to_string(from);
            for (std::uint64_t to = 1; to <= cluster_.size(); ++to) {
                if (inside != ((side >> to) % 2 == 1)) cut(from, to);
            }
        }
        note_cut("cut off: " + names);
        undo_later([this] { heal_network(); });
    }
    /// A node by itself, or where that is still a minority, with one that listens to it.
    void isolate(raft::NodeId node) {
        std::uint64_t side = std::uint64_t{1} << node.value;
        if (cluster_.size() > 4 && random_.below(2) == 0) {
            side |= std::uint64_t{1} << any_node().value;
        }
        partition(side);
    }
    void one_way(raft::NodeId node) {
        cluster_.happened(Counter::partitions);
        const bool deaf = random_.below(2) == 0;
        for (std::uint64_t other = 1; other <= cluster_.size(); ++other) {
            deaf ? cut(other, node.value) : cut(node.value, other);
        }
        note_cut("node " + std::to_string(node.value) +
                 (deaf ? " hears nobody" : " is heard by nobody"));
        undo_later([this] { heal_network(); });
    }
    void partial() {
        cluster_.happened(Counter::partitions);
        const std::uint64_t share = 20 + random_.below(70);
        for (std::uint64_t from = 1; from <= cluster_.size(); ++from) {
            for (std::uint64_t to = 1; to <= cluster_.size(); ++to) {
                if (random_.below(100) < share) cut(from, to);
            }
        }
        note_cut("links cut at random");
        undo_later([this] { heal_network(); });
    }
    void clog(raft::NodeId node) {
        cluster_.happened(Counter::clogged_links);
        const raft::NodeId other = any_node();
        const raft::Time until = world().now() + draw(plan_.lasts_max);
        clog(node, other, until);
        if (random_.below(2) == 0) clog(other, node, until);
    }
    /// What the others say waits on its way to the leader, which soon is not heard any more:
    /// another one is elected, and then the old one hears the answers to what it had sent before.
    void leave_behind(raft::NodeId leader) {
        if (!leader) return;
        cluster_.happened(Counter::clogged_links);
        const raft::Time until = world().now() + draw(plan_.lasts_max);
        for (std::uint64_t other = 1; other <= cluster_.size(); ++other) {
            clog({other}, leader, until);
        }
        world().call_after(draw(std::chrono::milliseconds(100)), [this, leader] {
            if (!running_) return;
            for (std::uint64_t other = 1; other <= cluster_.size(); ++other) {
                cut(leader.value, other);
            }
            note_cut("node " + std::to_string(leader.value) + " is left behind");
        });
        world().call_at(until, [this] {
            if (running_) heal_network();
        });
    }
    void storm() {
        NetworkConditions& now = cluster_.network().conditions;
        now.loss = random_.below(400);
        now.duplication = random_.below(400);
        now.reordering = random_.below(500);
        now.reordering_max = draw(std::chrono::seconds(10));
        undo_later([this] { cluster_.network().conditions = conditions_; });
    }
    /// Of pieces of snapshots, as soon as any are on their way, whoever sends them.
    void damage_transfer() {
        const bool the_first = random_.below(2) == 0;
        pieces_spared_ = the_first ? 0 : random_.below(6);
        pieces_damaged_ = 1 + random_.below(3);
        cluster_.network().damage = [this](const raft::Message& message) {
            return damaged(message);
        };
    }
    void end_damage() { cluster_.network().damage = nullptr; }
    std::optional<DamagedMessage> damaged(const raft::Message& message) {
        bool has_content = false;
        if_piece(message, [&](const auto& piece) { has_content = !piece.data.empty(); });
        if (!has_content || !is_target(message.to) || pieces_damaged_ == 0) return {};
        if (pieces_spared_ != 0) {
            --pieces_spared_;
            return {};
        }
        --pieces_damaged_;
        cluster_.happened(Counter::damaged_pieces);
        cluster_.note(TraceKind::note, message.to, "a piece of a snapshot is damaged on its way");
        DamagedMessage result{message};
        if_piece(result.message, [&](auto& piece) { result.is_other = damage(piece.data); });
        return result;
    }
    /// False: a part of it is left.
    bool damage(raft::Bytes& data) {
        const std::span<const std::byte> whole = data.view();
        std::vector<std::byte> bytes(whole.begin(), whole.end());
        const std::uint64_t kind = random_.below(3);
        if (kind == 0) {
            bytes.resize(random_.below(bytes.size()));
        } else if (kind == 1) {
            std::byte& one = bytes[random_.below(bytes.size())];
            one ^= std::byte{1} << random_.below(8);
        } else {
            for (std::byte& one : bytes) one ^= static_cast<std::byte>(1 + random_.below(255));
        }
        data = raft::Bytes::copy_of(bytes);
        return kind != 0;
    }

private:
    NetworkConditions conditions_;
    Trace::Number partition_ = 0;  ///< the record of what is cut now
    std::uint64_t pieces_spared_ = 0;
    std::uint64_t pieces_damaged_ = 0;  ///< that come after these
};

}  // namespace rsm::sim

#endif
