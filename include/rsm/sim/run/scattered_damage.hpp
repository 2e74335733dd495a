// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Scattered damage: the disks of many nodes, or of all, are damaged at the same time, at different
// places, so that everything that one of them has lost another one still has.
#ifndef RSM_SIM_RUN_SCATTERED_DAMAGE_HPP
#define RSM_SIM_RUN_SCATTERED_DAMAGE_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/membership.hpp>
#include <raft/rules/membership.hpp>
#include <rsm/sim/rules/no_failure_without_a_cause.hpp>
#include <rsm/sim/run/cluster_base.hpp>
#include <rsm/sim/run/coverage.hpp>
#include <rsm/sim/world/disk.hpp>
#include <rsm/sim/world/log_places.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

class ScatteredDamage {
public:
    ScatteredDamage(ClusterBase& cluster, raft::Random& random)
        : cluster_(cluster), random_(random) {}

    /// Whether it may strike: all who vote run, agree on who that is, and lack nothing.
    bool choose_victims() {
        const raft::NodeId leader = cluster_.leader();
        if (!leader || cluster_.any_heals()) return false;
        const raft::Core& core = cluster_.core(leader);
        const raft::Membership& members = core.membership();
        if (!raft::is_settled(core.configuration(), core.log()) || members.joint()) return false;
        for (const raft::Member& member : members.members) {
            if (!member.votes()) continue;
            if (!is_sound(member, members)) return false;
            voters_.push_back(member.id);
        }
        members_at_ = core.configuration().latest_at();
        return true;
    }

    /// Damages what others have as well. @pre choose_victims() was so, and then the power failed
    void strike() {
        find_places(voters_);
        // Who has no snapshot any more, or does not know the members, needs a leader, so a majority
        // has to be without.
        std::size_t left = (logs_.size() - 1) / 2;
        for (Log& log : logs_) {
            if (left > 0 && random_.below(6) == 0 && damage_snapshot(log)) {
                --left;
            } else if (random_.below(5) != 0 && damage_log(log, left > 0)) {
                --left;
            }
        }
    }
    /// Takes one committed entry from all who have it: now only a person can help. @pre the same
    void strike_one_entry() {
        std::vector<raft::NodeId> all;
        for (std::uint64_t id = 1; id <= cluster_.size(); ++id) all.push_back({id});
        find_places(all);
        if (logs_.size() != all.size()) return;
        const std::vector<raft::LogPosition> exposed = exposed_entries();
        if (exposed.empty()) return;
        const raft::LogPosition entry = exposed[random_.below(exposed.size())];
        for (Log& log : logs_) {
            if (!has(log, entry)) continue;
            const auto [path, offset] = *record_of(log, entry);
            constexpr std::uint64_t shortest = 16;
            flip(log.node, path, offset + random_.below(shortest));
        }
        cluster_.lose(entry);
        cluster_.happened(Counter::lost_entries);
    }

private:
    struct Log {
        raft::NodeId node;
        LogPlaces places;
        std::set<raft::LogPosition> lost;
        bool has_snapshot = true;
    };
    using Place = std::pair<std::string, std::uint64_t>;

    bool is_sound(const raft::Member& voter, const raft::Membership& members) const {
        if (!cluster_.running(voter.id) || cluster_.files(voter.id).is_forgetful()) return false;
        const raft::Core& core = cluster_.core(voter.id);
        const bool knows = core.membership() == members && core.instance() == voter.instance;
        return knows && core.log().is_whole();
    }
    /// One whose disk cannot be read, or is not fit to lose anything, is left alone.
    void find_places(const std::vector<raft::NodeId>& nodes) {
        for (const raft::NodeId node : nodes) {
            if (cluster_.state(node) != NodeState::down) continue;
            if (auto places = cluster_.files(node).places()) {
                logs_.push_back({node, std::move(*places), {}});
            }
        }
    }
    /// Committed ones that no snapshot covers, and that lie in front of the end of every log that
    /// has them.
    std::vector<raft::LogPosition> exposed_entries() const {
        const std::vector<raft::Term>& committed = cluster_.oracle().chronicle().committed;
        std::vector<raft::LogPosition> exposed;
        for (std::uint64_t i = 0; i < committed.size(); ++i) {
            const raft::LogPosition entry{{i + 1}, committed[i]};
            const auto can_lose = [&](const Log& log) {
                if (log.places.covered >= entry.index) return false;
                return !has(log, entry) || record_of(log, entry).has_value();
            };
            if (std::ranges::all_of(logs_, can_lose)) exposed.push_back(entry);
        }
        return exposed;
    }
    static std::optional<Place> record_of(const Log& log, raft::LogPosition entry) {
        for (const LogBatch& batch : log.places.batches) {
            for (const LogBatch::Record& record : batch.records) {
                if (record.entry == entry) return Place{batch.path, record.offset};
            }
        }
        return std::nullopt;
    }
    static bool has(const Log& log, raft::LogPosition entry) {
        return log.places.entries.contains(entry) && !log.lost.contains(entry);
    }
    /// Whether nodes without a leader lend each other snapshots: in the oldest version of the
    /// protocol there are no words for it.
    bool may_lend() const {
        return !cluster_.plan().streams || cluster_.plan().older_speakers == 0;
    }
    bool stands_for(const Log& log, raft::LogPosition entry) const {
        return may_lend() && log.has_snapshot && entry.index <= log.places.covered;
    }
    /// Whether every one of these is somewhere else, or in the state that one has.
    bool survive(const Log& but, const std::set<raft::LogPosition>& entries,
                 const std::vector<Log>& logs) const {
        return std::ranges::all_of(entries, [&](raft::LogPosition entry) {
            return std::ranges::any_of(logs, [&](const Log& log) {
                return log.node != but.node && (has(log, entry) || stands_for(log, entry));
            });
        });
    }
    /// Returns whether the node does not know the members any more. @param may_forget  them
    bool damage_log(Log& log, bool may_forget) {
        constexpr int attempts = 8;
        const std::vector<LogBatch>& batches = log.places.batches;
        for (int i = 0; i < attempts && !batches.empty(); ++i) {
            const LogBatch& batch = batches[random_.below(batches.size())];
            const bool forgets = !batch.lost.empty() && batch.lost.begin()->index <= members_at_;
            if ((forgets && !may_forget) || !survive(log, batch.lost, logs_)) continue;
            damage(log, batch);
            return forgets;
        }
        return false;
    }
    void damage(Log& log, const LogBatch& batch) {
        log.lost.insert(batch.lost.begin(), batch.lost.end());
        const std::uint64_t size = batch.end - batch.begin;
        flip(log.node, batch.path, batch.begin + random_.below(size));
    }
    /// Whether others have what the node would lose, and what they have lost is not in that alone.
    bool can_spare_snapshot(const Log& log) const {
        std::vector<Log> without = logs_;
        for (Log& other : without) {
            if (other.node != log.node) continue;
            other.lost = other.places.entries;
            other.has_snapshot = false;
        }
        return std::ranges::all_of(
            without, [&](const Log& other) { return survive(other, other.lost, without); });
    }
    /// Nothing of the log behind it is of any use without the state.
    bool damage_snapshot(Log& log) {
        if (!can_spare_snapshot(log)) return false;
        for (const Disk::DurableFile& file : cluster_.disk(log.node).durable_files()) {
            if (!wal_files::is_snapshot(file.path()) || file.size() == 0) continue;
            const std::string path = file.path();
            log.lost = log.places.entries;
            log.has_snapshot = false;
            flip(log.node, path, random_.below(file.size()));
            return true;
        }
        return false;
    }
    void flip(raft::NodeId node, const std::string& path, std::uint64_t offset) {
        const auto bit = static_cast<unsigned>(random_.below(8));
        if (!cluster_.disk(node).flip(path, offset, bit)) return;
        DiskHistory& history = cluster_.disk_history(node);
        history.scattered = history.healing = true;
        cluster_.happened(Counter::scattered_damage);
    }

    ClusterBase& cluster_;
    raft::Random& random_;
    std::vector<raft::NodeId> voters_;
    raft::Index members_at_;
    std::vector<Log> logs_;
};

}  // namespace rsm::sim

#endif
