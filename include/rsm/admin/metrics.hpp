// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node counts and measures while it works, as plain data.
#ifndef RSM_ADMIN_METRICS_HPP
#define RSM_ADMIN_METRICS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/admin/histogram.hpp>
#include <rsm/error.hpp>

#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace rsm::inline v0 {

/// All reasons for which something can fail, in the order of their values.
inline constexpr std::array all_errors{
    Errc::not_leader, Errc::overloaded,   Errc::too_large, Errc::user_exception,  Errc::superseded,
    Errc::timed_out,  Errc::result_lost,  Errc::stopped,   Errc::interrupted,     Errc::no_space,
    Errc::skipped,    Errc::handing_over, Errc::busy,      Errc::invalid_members, Errc::unreachable,
    Errc::given_up,   Errc::log_full};

/// How often something failed, by reason.
class ErrorCounts {
public:
    /// What is not of the library's own category counts as none of its reasons.
    void count(const boost::system::error_code& why) {
        const bool known = why.category() == error_category() && why.value() > 0 &&
                           static_cast<std::size_t>(why.value()) < counts_.size();
        ++counts_[known ? static_cast<std::size_t>(why.value()) : 0];
    }
    std::uint64_t of(Errc reason) const { return counts_[static_cast<std::size_t>(reason)]; }
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t count : counts_) sum += count;
        return sum;
    }
    friend bool operator==(const ErrorCounts&, const ErrorCounts&) = default;

private:
    std::array<std::uint64_t, all_errors.size() + 1> counts_{};  // by value; 0: another category
};

/// How often each event happened (Options::on_event).
class EventCounts {
public:
    static constexpr std::size_t kinds = static_cast<std::size_t>(raft::EventKind::outvoted) + 1;

    void count(raft::EventKind kind) { ++counts_[static_cast<std::size_t>(kind)]; }
    std::uint64_t of(raft::EventKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
    friend bool operator==(const EventCounts&, const EventCounts&) = default;

private:
    std::array<std::uint64_t, kinds> counts_{};
};

/// Since this node was started; nothing of it is kept over a restart. Counters only grow.
/// Latencies are in nanoseconds of the node's Clock. Sizes and indexes as of now are in Status.
struct Metrics {
    raft::Duration uptime{};  ///< since the node was made

    // Operations that were submitted here, and reads that were asked for here.
    std::uint64_t operations_submitted = 0;
    std::uint64_t operations_completed = 0;  ///< without an error
    ErrorCounts operations_failed;           ///< refused, lost or unknown, by Errc
    std::uint64_t reads_completed = 0;       ///< without an error
    ErrorCounts reads_failed;
    ErrorCounts changes_failed;  ///< changes of members and handovers of leadership
    /// Of operations that were submitted here: from async_submit until they were committed and
    /// their turn at the state machine had come.
    Histogram commit_latency;
    /// From async_read until the query had been answered.
    Histogram read_latency;

    // The log of this node, whatever its role.
    /// From when a write was handed to the storage until it was durable.
    Histogram sync_latency;
    Histogram write_entries;           ///< entries in each write that had any
    Histogram write_bytes;             ///< of their payloads
    std::uint64_t writes_failed = 0;   ///< a write or a sync failed, for which the node stops
    std::uint64_t writes_waiting = 0;  ///< handed to the storage and not durable; no counter
    std::uint64_t entries_applied = 0;
    /// How long the state machine took for what was handed to it at once.
    Histogram apply_latency;

    // Snapshots of this node's own state machine.
    std::uint64_t snapshots_begun = 0;
    std::uint64_t snapshots_saved = 0;
    std::uint64_t snapshots_failed = 0;
    std::uint64_t snapshot_bytes_saved = 0;  ///< of all that were saved
    /// From when one was begun until it was durable.
    Histogram snapshot_duration;

    /// Among them elections: `became_candidate` is one that was begun here, `became_leader` one
    /// that was won.
    EventCounts events;
    /// How often this node has come to know another leader than the one before, itself among them.
    std::uint64_t leader_changes = 0;

    friend bool operator==(const Metrics&, const Metrics&) = default;
};

}  // namespace rsm

#endif
