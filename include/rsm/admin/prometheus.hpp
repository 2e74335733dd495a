// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Metrics and Status as text for Prometheus (exposition format 0.0.4).
#ifndef RSM_ADMIN_PROMETHEUS_HPP
#define RSM_ADMIN_PROMETHEUS_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/admin/histogram.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/admin/names.hpp>
#include <rsm/status.hpp>
#include <rsm/to_string.hpp>
#include <rsm/version_text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace rsm::inline v0 {

inline constexpr std::string_view prometheus_content_type =
    "text/plain; version=0.0.4; charset=utf-8";

namespace detail {

/// Writes families of samples. Names and label values are this file's own and need no escaping,
/// but for label().
class PrometheusText {
public:
    /// Begins a family: what follows are its samples.
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
        text_.append(name).append(" ").append(type).append("\n");
    }
    /// @param labels  such as node="2"; empty: none
    void sample(std::uint64_t value, std::string_view labels = {}) {
        begin(labels);
        text_.append(std::to_string(value)).append("\n");
    }
    void sample(raft::Duration value, std::string_view labels = {}) {
        begin(labels);
        append_seconds(static_cast<std::uint64_t>(std::max<raft::Duration::rep>(value.count(), 0)));
        text_.append("\n");
    }
    /// One sample, a counter or a gauge by itself.
    void counter(std::string_view name, std::uint64_t value, std::string_view help) {
        family(name, "counter", help);
        sample(value);
    }
    void gauge(std::string_view name, std::uint64_t value, std::string_view help) {
        family(name, "gauge", help);
        sample(value);
    }

    /// Of nanoseconds, told in seconds, with bounds from 8 us to 34 s.
    void seconds(std::string_view name, const Histogram& values, std::string_view help) {
        histogram(name, values, help, 13, 35, true);
    }
    /// Of plain numbers, with bounds from 1 to 2^last.
    void numbers(std::string_view name, const Histogram& values, std::string_view help,
                 unsigned last) {
        histogram(name, values, help, 0, last, false);
    }

    std::string take() { return std::move(text_); }

private:
    void histogram(std::string_view name, const Histogram& values, std::string_view help,
                   unsigned first, unsigned last, bool seconds) {
        family(name, "histogram", help);
        for (unsigned power = first; power <= last; ++power) {
            const std::uint64_t bound = std::uint64_t{1} << power;
            text_.append(name).append("_bucket{le=\"");
            append_value(bound, seconds);
            text_.append("\"} ").append(std::to_string(values.count_up_to(bound))).append("\n");
        }
        const std::string count = std::to_string(values.count());
        text_.append(name).append("_bucket{le=\"+Inf\"} ").append(count).append("\n");
        text_.append(name).append("_sum ");
        append_value(values.sum(), seconds);
        text_.append("\n").append(name).append("_count ").append(count).append("\n");
    }
    void begin(std::string_view labels) {
        text_.append(name_);
        if (!labels.empty()) text_.append("{").append(labels).append("}");
        text_.append(" ");
    }
    void append_value(std::uint64_t value, bool seconds) {
        seconds ? append_seconds(value) : static_cast<void>(text_.append(std::to_string(value)));
    }
    /// Exactly: whole seconds, a point, and the nanoseconds without zeros at their end.
    void append_seconds(std::uint64_t nanoseconds) {
        constexpr std::uint64_t second = 1'000'000'000;
        text_.append(std::to_string(nanoseconds / second));
        std::string rest = std::to_string(second + nanoseconds % second).substr(1);
        rest.erase(rest.find_last_not_of('0') + 1);
        if (!rest.empty()) text_.append(".").append(rest);
    }

    std::string text_;
    std::string_view name_;
};

inline std::string label(std::string_view name, std::string_view value) {
    return std::string(name) + "=" + quoted(value);
}
inline std::string label(std::string_view name, raft::NodeId node) {
    return label(name, std::to_string(node.value));
}

inline void put_errors(PrometheusText& out, std::string_view name, const ErrorCounts& counts,
                       std::string_view help) {
    out.family(name, "counter", help);
    for (const Errc reason : all_errors) {
        out.sample(counts.of(reason), label("reason", name_of(reason)));
    }
}

inline void put_work(PrometheusText& out, const Metrics& metrics) {
    out.counter("rsm_operations_submitted_total", metrics.operations_submitted,
                "Operations submitted to this node.");
    out.counter("rsm_operations_completed_total", metrics.operations_completed,
                "Operations submitted to this node that were committed and applied.");
    put_errors(out, "rsm_operations_failed_total", metrics.operations_failed,
               "Operations submitted to this node that ended with an error, by reason.");
    out.counter("rsm_reads_completed_total", metrics.reads_completed,
                "Linearizable reads that this node answered.");
    put_errors(out, "rsm_reads_failed_total", metrics.reads_failed,
               "Linearizable reads asked of this node that ended with an error, by reason.");
    put_errors(out, "rsm_changes_failed_total", metrics.changes_failed,
               "Changes of members and handovers that ended with an error, by reason.");
    out.seconds("rsm_commit_latency_seconds", metrics.commit_latency,
                "From the submission of an operation until it was committed.");
    out.seconds("rsm_read_latency_seconds", metrics.read_latency,
                "From the request of a linearizable read until it was answered.");
    out.seconds("rsm_sync_latency_seconds", metrics.sync_latency,
                "From handing a write to the storage until it was durable.");
    out.seconds("rsm_apply_latency_seconds", metrics.apply_latency,
                "How long the state machine took for what it was given at once.");
    out.numbers("rsm_write_entries", metrics.write_entries, "Entries in each write of the log.",
                14);
    out.numbers("rsm_write_size_bytes", metrics.write_bytes,
                "Bytes of the entries' payloads in each write of the log.", 26);
    out.counter("rsm_writes_failed_total", metrics.writes_failed,
                "Writes or syncs of the log that failed; the node stops at the first.");
    out.gauge("rsm_writes_waiting", metrics.writes_waiting,
              "Writes handed to the storage that are not durable yet.");
    out.counter("rsm_entries_applied_total", metrics.entries_applied,
                "Entries of the log that the state machine has passed.");
}

inline void put_snapshots(PrometheusText& out, const Metrics& metrics, const Status& status) {
    out.counter("rsm_snapshots_begun_total", metrics.snapshots_begun,
                "Snapshots of this node's state machine that were begun.");
    out.counter("rsm_snapshots_saved_total", metrics.snapshots_saved,
                "Snapshots of this node's state machine that became durable.");
    out.counter("rsm_snapshots_failed_total", metrics.snapshots_failed,
                "Snapshots of this node's state machine that could not be saved.");
    out.counter("rsm_snapshot_saved_bytes_total", metrics.snapshot_bytes_saved,
                "Bytes of the snapshots of this node's state machine that became durable.");
    out.seconds("rsm_snapshot_duration_seconds", metrics.snapshot_duration,
                "From the begin of a snapshot until it was durable.");
    out.gauge("rsm_snapshot_index", status.snapshot.value,
              "Index of the last entry that the newest snapshot covers.");
    out.gauge("rsm_snapshot_size_bytes", status.snapshot_bytes, "Size of the newest snapshot.");
    const SnapshotProgress receiving = status.receiving.value_or(SnapshotProgress{});
    out.gauge("rsm_snapshot_receiving_bytes", receiving.bytes,
              "Bytes that are here of the snapshot that this node is being sent.");
    out.gauge("rsm_snapshot_receiving_size_bytes", receiving.total_bytes,
              "Size of the snapshot that this node is being sent; 0 if there is none.");
}

inline void put_node(PrometheusText& out, const Metrics& metrics, const Status& status) {
    out.family("rsm_node_info", "gauge", "Always 1; the labels say which node this is.");
    out.sample(1, label("node", status.self) + "," + label("cluster", status.cluster) + "," +
                      label("version", version_text()));
    out.family("rsm_uptime_seconds", "gauge", "For how long this node has been at work.");
    out.sample(metrics.uptime);
    out.gauge("rsm_up", status.stopped ? 0 : 1, "Whether this node works; 0 if it has stopped.");
    out.family("rsm_role", "gauge", "1 for the role that this node has, 0 for the others.");
    for (const raft::Role role : {raft::Role::follower, raft::Role::pre_candidate,
                                  raft::Role::candidate, raft::Role::leader}) {
        out.sample(status.role == role ? 1 : 0, label("role", one_word(to_string(role))));
    }
    out.gauge("rsm_term", status.term.value, "Term of this node.");
    out.gauge("rsm_leader", status.leader.value,
              "Node that leads as far as this node knows; 0 if none is known.");
    out.gauge("rsm_commit_index", status.commit.value, "Last index known to be committed here.");
    out.gauge("rsm_known_commit_index", status.known_commit.value,
              "Last index that a leader has said is committed, whether it is here or not.");
    out.gauge("rsm_applied_index", status.applied.value, "Last index that has been applied.");
    out.gauge("rsm_last_index", status.last.value, "Last index of the log.");
    out.gauge("rsm_log_size_bytes", status.persisted_bytes,
              "Bytes of the log on disk that no snapshot has released.");
    out.gauge("rsm_log_damaged_index", status.lost_up_to.value,
              "Up to where the log has to be brought again by others; 0 if it is whole.");
    out.gauge("rsm_log_refuses", status.refuses.empty() ? 0 : 1,
              "Whether the log takes nothing new from clients, for want of room.");
    out.gauge("rsm_disk_stalled", status.disk_stalled ? 1 : 0,
              "Whether a write of this node's disk hangs.");
    out.gauge("rsm_pending_operations", status.pending_operations,
              "Operations submitted here whose outcome is not known yet.");
    out.gauge("rsm_pending_bytes", status.pending_bytes, "Encoded bytes of these operations.");
    out.gauge("rsm_pending_reads", status.pending_reads, "Reads asked of this node, not answered.");
    out.family("rsm_events_total", "counter", "Noteworthy events, by kind.");
    for (std::size_t i = 0; i < EventCounts::kinds; ++i) {
        const auto kind = static_cast<raft::EventKind>(i);
        out.sample(metrics.events.of(kind), label("kind", one_word(to_string(kind))));
    }
    out.counter("rsm_elections_started_total", metrics.events.of(raft::EventKind::became_candidate),
                "Elections in which this node stood.");
    out.counter("rsm_elections_won_total", metrics.events.of(raft::EventKind::became_leader),
                "Elections that this node won.");
    out.counter("rsm_leader_changes_total", metrics.leader_changes,
                "How often this node has come to know another leader.");
}

inline void put_members(PrometheusText& out, const Status& status) {
    std::uint64_t voters = 0;
    for (const Member& member : status.members) voters += member.votes() ? 1U : 0U;
    out.gauge("rsm_members", status.members.size(), "Members of the cluster.");
    out.gauge("rsm_voters", voters, "Members that vote.");
    out.gauge("rsm_changing_members", status.changing_members ? 1 : 0,
              "Whether a change of members is under way.");
    out.gauge("rsm_states_that_differ", status.states_that_differ.size(),
              "Of a leader: members whose state machines have made something else of the log.");
}

/// One sample for each follower or peer, with its id as the label.
template <class Nodes, class Value>
void put_each(PrometheusText& out, const Nodes& nodes, std::string_view word, std::string_view name,
              std::string_view type, std::string_view help, Value value) {
    out.family(name, type, help);
    for (const auto& one : nodes) out.sample(value(one), label(word, one.node));
}

/// Of a leader.
inline void put_followers(PrometheusText& out, const Status& status) {
    using Follower = Status::Follower;
    const auto each = [&](std::string_view name, std::string_view help, auto value) {
        put_each(out, status.followers, "follower", name, "gauge", help, value);
    };
    each("rsm_follower_match_index", "Of a leader: last index known to be durable there.",
         [](const Follower& follower) { return follower.match.value; });
    each("rsm_follower_lag_entries", "Of a leader: entries of its log that are not known there.",
         [&](const Follower& follower) {
             return status.last.value - std::min(status.last, follower.match).value;
         });
    each("rsm_follower_last_contact_seconds",
         "Of a leader: time since it last heard of the follower.",
         [](const Follower& follower) { return follower.last_contact; });
    each("rsm_follower_disk_stalled", "Of a leader: whether the follower's disk hangs.",
         [](const Follower& follower) { return follower.disk_stalled ? 1U : 0U; });
    each("rsm_follower_disk_full", "Of a leader: whether the follower's disk is full.",
         [](const Follower& follower) { return follower.disk_full ? 1U : 0U; });
    each("rsm_follower_doubtful", "Of a leader: whether the follower lost what it acknowledged.",
         [](const Follower& follower) { return follower.doubtful ? 1U : 0U; });
    each("rsm_follower_transfer_sent_bytes",
         "Of a leader: bytes sent of the snapshot for the follower.", [](const Follower& follower) {
             return follower.transfer.value_or(SnapshotProgress{}).bytes;
         });
    each("rsm_follower_transfer_size_bytes",
         "Of a leader: size of the snapshot for the follower; 0 if there is none.",
         [](const Follower& follower) {
             return follower.transfer.value_or(SnapshotProgress{}).total_bytes;
         });
}

/// Of nodes that show their peers none there is no sample: an alert on its end would go off.
inline void put_certificate(PrometheusText& out, const Status& status) {
    out.family("rsm_certificate_expiry_timestamp_seconds", "gauge",
               "When the certificate that this node shows its peers expires, as unix time.");
    if (status.certificate_end <= 0) return;
    out.sample(static_cast<std::uint64_t>(status.certificate_end));
}

inline void put_peers(PrometheusText& out, const Status& status) {
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value) {
        put_each(out, status.peers, "peer", name, type, help, value);
    };
    each("rsm_peer_connected", "gauge", "Whether messages to the peer have a connection.",
         [](const PeerStatus& peer) { return peer.connected ? 1U : 0U; });
    each("rsm_peer_queued_bytes", "gauge", "Bytes that wait to be written to the peer.",
         [](const PeerStatus& peer) { return peer.queued_bytes; });
    each("rsm_peer_sent_messages_total", "counter", "Messages sent to the peer.",
         [](const PeerStatus& peer) { return peer.messages_sent; });
    each("rsm_peer_sent_bytes_total", "counter", "Bytes sent to the peer.",
         [](const PeerStatus& peer) { return peer.bytes_sent; });
    each("rsm_peer_received_messages_total", "counter", "Messages received from the peer.",
         [](const PeerStatus& peer) { return peer.messages_received; });
    each("rsm_peer_received_bytes_total", "counter", "Bytes received from the peer.",
         [](const PeerStatus& peer) { return peer.bytes_received; });
}

}  // namespace detail

/// All of both, each family with HELP and TYPE.
inline std::string prometheus_text(const Metrics& metrics, const Status& status) {
    detail::PrometheusText out;
    detail::put_node(out, metrics, status);
    detail::put_work(out, metrics);
    detail::put_snapshots(out, metrics, status);
    detail::put_members(out, status);
    detail::put_followers(out, status);
    detail::put_peers(out, status);
    detail::put_certificate(out, status);
    return out.take();
}

}  // namespace rsm

#endif
