// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is known of a node as JSON: what its status page shows, and scripts read.
#ifndef RSM_ADMIN_STATUS_JSON_HPP
#define RSM_ADMIN_STATUS_JSON_HPP

#include <raft/base/types.hpp>
#include <rsm/admin/history.hpp>
#include <rsm/admin/json.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/admin/names.hpp>
#include <rsm/detail/hexadecimal.hpp>
#include <rsm/status.hpp>
#include <rsm/to_string.hpp>
#include <rsm/version_text.hpp>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace rsm::inline v0 {

/// What an account of a node is made from.
struct Account {
    const Status& status;
    const Metrics& metrics;
    const History& history;
    std::int64_t now_ms = 0;          ///< milliseconds since 1970
    std::int64_t history_end_ms = 0;  ///< likewise, of the end of the newest sample
    std::int64_t interval_ms = 1000;  ///< from one sample to the next
};

namespace detail {

inline const PeerStatus* peer_of(const Status& status, raft::NodeId node) {
    const auto found = std::ranges::find(status.peers, node, &PeerStatus::node);
    return found == status.peers.end() ? nullptr : &*found;
}
inline const Status::Follower* follower_of(const Status& status, raft::NodeId node) {
    const auto found = std::ranges::find(status.followers, node, &Status::Follower::node);
    return found == status.followers.end() ? nullptr : &*found;
}

inline std::string_view disk_word(bool stalled, bool full) {
    return stalled ? "stalled" : full ? "full" : "ok";
}

inline void put_progress(JsonWriter& json, std::string_view key, std::string_view bytes,
                         const std::optional<SnapshotProgress>& progress) {
    json.key(key);
    if (!progress) {
        json.null();
        return;
    }
    json.begin_object()
        .field(bytes, progress->bytes)
        .field("total_bytes", progress->total_bytes)
        .end_object();
}

/// Only a leader knows these of others, and each node of itself what is on its own disk.
inline void put_knowledge(JsonWriter& json, const Status& status, const Member& member) {
    const Status::Follower* const follower = follower_of(status, member.id);
    const bool self = member.id == status.self;
    if (follower == nullptr) {
        json.key("state").null().key("match").null().key("lag").null();
        json.key("last_contact_ms").null();
        json.field("disk", disk_word(self && status.disk_stalled, false));
        json.field("doubtful", self && status.lost_up_to.value != 0);
        json.key("transfer").null();
        return;
    }
    json.field("state", to_string(follower->state));
    json.field("match", follower->match.value);
    json.field("lag", status.last.value - std::min(status.last, follower->match).value);
    const auto contact =
        std::chrono::duration_cast<std::chrono::milliseconds>(follower->last_contact);
    json.field("last_contact_ms", std::int64_t{contact.count()});
    json.field("disk", disk_word(follower->disk_stalled, follower->disk_full));
    json.field("doubtful", follower->doubtful);
    put_progress(json, "transfer", "sent_bytes", follower->transfer);
}

inline void put_member(JsonWriter& json, const Status& status, const Member& member) {
    const bool self = member.id == status.self;
    json.begin_object();
    json.field("id", member.id.value).field("contact", std::string_view(member.contact));
    json.field("voter", member.votes()).field("self", self);
    json.field("standing", to_string(member.standing));
    json.field("leader", member.id == status.leader);
    put_knowledge(json, status, member);
    const PeerStatus* const peer = peer_of(status, member.id);
    json.field("connected", self || (peer != nullptr && peer->connected));
    json.field("why_not", peer == nullptr ? std::string_view() : std::string_view(peer->reason));
    json.end_object();
}

inline std::optional<std::uint64_t> microseconds(const std::optional<std::uint64_t>& nanoseconds) {
    if (!nanoseconds) return std::nullopt;
    return (*nanoseconds + 500) / 1000;
}

template <class Value>
void put_samples(JsonWriter& json, std::string_view name, const History& history, Value value) {
    json.key(name).begin_array();
    for (const History::Sample& sample : history.samples()) json.value(value(sample));
    json.end_array();
}

inline void put_history(JsonWriter& json, const Account& account) {
    using Sample = History::Sample;
    const History& history = account.history;
    json.key("history").begin_object();
    json.field("interval_ms", account.interval_ms).field("end_ms", account.history_end_ms);
    put_samples(json, "operations", history, [](const Sample& s) { return s.operations; });
    put_samples(json, "reads", history, [](const Sample& s) { return s.reads; });
    put_samples(json, "refusals", history, [](const Sample& s) { return s.refusals; });
    put_samples(json, "commit_p50_us", history,
                [](const Sample& s) { return microseconds(s.commit_p50); });
    put_samples(json, "commit_p99_us", history,
                [](const Sample& s) { return microseconds(s.commit_p99); });
    put_samples(json, "sync_p99_us", history,
                [](const Sample& s) { return microseconds(s.sync_p99); });
    put_samples(json, "bytes", history, [](const Sample& s) { return s.bytes; });
    json.end_object();
}

/// The contact of the node itself, as the members have it.
inline std::string_view own_address(const Status& status) {
    const auto own = std::ranges::find(status.members, status.self, &Member::id);
    return own == status.members.end() ? std::string_view() : std::string_view(own->contact);
}

inline std::string in_seconds(raft::Duration duration) {
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    char text[40];
    std::snprintf(text, sizeof(text), "%" PRId64 ".%03d", std::int64_t{millis / 1000},
                  static_cast<int>(millis % 1000));
    return text;
}

}  // namespace detail

/// The whole account, an object without line breaks. Strings are escaped, whatever bytes they have.
inline std::string status_json(const Account& account) {
    const Status& status = account.status;
    detail::JsonWriter json;
    json.begin_object();
    json.field("node", status.self.value).field("cluster", std::string_view(status.cluster));
    json.field("instance", std::string_view(detail::hexadecimal(status.instance.value)));
    json.field("version", std::string_view(version_text()));
    json.key("uptime_s").raw(detail::in_seconds(account.metrics.uptime));
    json.field("address", detail::own_address(status));
    json.field("role", to_string(status.role)).field("term", status.term.value);
    json.field("leader", status.leader.value);
    json.field("leader_address", std::string_view(status.leader_address));
    json.field("commit", status.commit.value).field("applied", status.applied.value);
    json.field("known_commit", status.known_commit.value);
    json.field("last", status.last.value);
    json.field("snapshot_index", status.snapshot.value);
    json.field("snapshot_bytes", status.snapshot_bytes);
    json.field("log_bytes", status.persisted_bytes);
    json.field("lost_up_to", status.lost_up_to.value);
    json.field("refuses", std::string_view(status.refuses));
    json.field("certificate_end", status.certificate_end);
    json.field("disk_stalled", status.disk_stalled).field("stopped", status.stopped);
    json.field("changing_members", status.changing_members);
    json.field("members_settled", status.members_settled);
    json.field("pending_operations", std::uint64_t{status.pending_operations});
    json.field("pending_bytes", std::uint64_t{status.pending_bytes});
    json.field("pending_reads", std::uint64_t{status.pending_reads});
    json.key("members").begin_array();
    for (const Member& member : status.members) detail::put_member(json, status, member);
    json.end_array();
    detail::put_progress(json, "receiving", "bytes", status.receiving);
    json.field("now_ms", account.now_ms);
    detail::put_history(json, account);
    json.end_object();
    return json.take();
}

}  // namespace rsm

#endif
