// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Keeps a node's Metrics: what has to be remembered between a beginning and its end.
#ifndef RSM_NODE_MEASUREMENTS_HPP
#define RSM_NODE_MEASUREMENTS_HPP

#include <raft/base/ring.hpp>
#include <raft/base/types.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/stable.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/admin/metrics.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace rsm::inline v0::detail {

/// Everything on the node's strand: no locks, and after a while no allocations.
class Measurements {
public:
    /// Where counters are counted.
    Metrics counts;

    void started(raft::Time now) { started_at_ = now; }

    void write_begun(const raft::Write& write, raft::Time now) {
        writes_.push_back(now);
        if (write.entries.empty()) return;
        std::uint64_t bytes = 0;
        for (const raft::Entry& entry : write.entries) bytes += entry.payload.size();
        counts.write_entries.record(write.entries.size());
        counts.write_bytes.record(bytes);
    }
    /// The oldest one: they end in the order in which they begin.
    void write_ended(bool failed, raft::Time now) {
        if (writes_.empty()) return;
        const raft::Time begun = writes_.front();
        writes_.pop_front();
        if (failed) {
            ++counts.writes_failed;
        } else {
            counts.sync_latency.record(nanoseconds(now - begun));
        }
    }

    void received(const raft::Message& message) {
        const auto* const request = std::get_if<raft::AppendRequest>(&message.body);
        if (request != nullptr) told_commit_ = std::max(told_commit_, request->commit);
    }
    /// As far as another node, as leader, has said that entries are committed: this node's own log
    /// may not have come so far.
    raft::Index told_commit() const { return told_commit_; }

    void read_answered(raft::Time begun) {
        ++counts.reads_completed;
        answered_.push_back(begun);
    }
    /// Of those that were answered since the last call: a look at the clock takes a tenth of the
    /// time that a read does, so that all of a turn share one.
    void reads_ended(raft::Time now) {
        for (const raft::Time begun : answered_) {
            counts.read_latency.record(nanoseconds(now - begun));
        }
        answered_.clear();
    }
    void committed(raft::Time begun, raft::Time now) {
        counts.commit_latency.record(nanoseconds(now - begun));
    }
    void applied(std::size_t entries, raft::Time begun, raft::Time now) {
        counts.entries_applied += entries;
        counts.apply_latency.record(nanoseconds(now - begun));
    }

    void snapshot_begun(raft::Time now) {
        ++counts.snapshots_begun;
        snapshot_begun_at_ = now;
    }
    void snapshot_saved(std::uint64_t bytes, raft::Time now) {
        ++counts.snapshots_saved;
        counts.snapshot_bytes_saved += bytes;
        if (snapshot_begun_at_) {
            counts.snapshot_duration.record(nanoseconds(now - *snapshot_begun_at_));
        }
        snapshot_begun_at_.reset();
    }
    void snapshot_failed() {
        ++counts.snapshots_failed;
        snapshot_begun_at_.reset();
    }

    /// @param leader  who leads, as far as the node knows after it; 0: not known
    void observed(raft::EventKind kind, raft::NodeId leader) {
        counts.events.count(kind);
        if (!leader || leader == leader_) return;
        leader_ = leader;
        ++counts.leader_changes;
    }

    Metrics metrics(raft::Time now) {
        reads_ended(now);
        Metrics copy = counts;
        copy.uptime = now - started_at_;
        copy.writes_waiting = writes_.size();
        return copy;
    }

private:
    static std::uint64_t nanoseconds(raft::Duration duration) {
        return static_cast<std::uint64_t>(std::max<raft::Duration::rep>(duration.count(), 0));
    }

    raft::Time started_at_;
    raft::Ring<raft::Time> writes_;     // when those that are under way were begun
    std::vector<raft::Time> answered_;  // when those reads were begun
    std::optional<raft::Time> snapshot_begun_at_;
    raft::Index told_commit_;
    raft::NodeId leader_;
};

}  // namespace rsm::detail

#endif
