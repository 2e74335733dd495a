// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a cluster does, in the words of a trace.
#ifndef RSM_SIM_TRACE_WORDS_HPP
#define RSM_SIM_TRACE_WORDS_HPP

#include <raft/base/types.hpp>
#include <raft/core.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/sim/detail/text.hpp>
#include <rsm/sim/trace/trace.hpp>
#include <rsm/sim/world/disk_fault.hpp>
#include <rsm/sim/world/network.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace rsm::inline v0::sim {

namespace detail {

inline std::string label(const raft::VoteRequest& request) {
    return std::string(request.pre_vote ? "PreVoteRequest" : "VoteRequest") + " log ends " +
           text(request.last);
}
inline std::string label(const raft::VoteReply& reply) {
    return std::string(reply.pre_vote ? "PreVoteReply " : "VoteReply ") +
           (reply.granted ? "granted" : "refused");
}
inline std::string label(const raft::AppendRequest& request) {
    if (request.entries.empty()) {
        return "Heartbeat after " + text(request.previous) + " commit " + text(request.commit);
    }
    return "AppendRequest " + std::to_string(request.entries.size()) + " after " +
           text(request.previous) + " commit " + text(request.commit);
}
inline std::string label(const raft::AppendReply& reply) {
    if (reply.accepted) {
        const bool full = reply.hint.index.value != 0;
        return "AppendReply up to " + text(reply.index) + (full ? ", takes no more" : "");
    }
    return "AppendReply refused at " + text(reply.index) + ", hint " + text(reply.hint);
}
inline std::string label(const raft::SnapshotChunk& chunk) {
    return "SnapshotChunk " + text(chunk.meta.last) + " offset " + std::to_string(chunk.offset);
}
inline std::string label(const raft::SnapshotReply& reply) {
    if (reply.installed()) return "SnapshotReply installed, match " + text(reply.match);
    if (reply.rejected()) return "SnapshotReply rejected";
    return "SnapshotReply wants offset " + std::to_string(reply.next_offset);
}
inline std::string label(const raft::TimeoutNow&) { return "TimeoutNow"; }
inline std::string label(const raft::LackingEntries& lacking) {
    return "LackingEntries " + std::to_string(lacking.entries.size()) + " after " +
           text(lacking.previous);
}
inline std::string label(const raft::ReadableVersion& report) {
    return "ReadableVersion " + std::to_string(report.version);
}
inline std::string label(const raft::StateMarks& told) {
    switch (told.kind) {
        case raft::MarksKind::newest: return "StateMarks newest";
        case raft::MarksKind::all: return "StateMarks all";
        case raft::MarksKind::asked: return "StateMarks asked for";
        case raft::MarksKind::agreed: return "StateMarks of a majority";
    }
    return "StateMarks";
}
inline std::string label(const raft::SourceRequest& request) {
    const std::string target = " for node " + std::to_string(request.target.value);
    if (request.last == raft::LogPosition{}) return "SourceRequest" + target;
    const std::string what = "SourceRequest " + text(request.last) + target;
    return request.bytes == 0 ? what + ", to keep"
                              : what + " offset " + std::to_string(request.offset);
}
inline std::string label(const raft::SourceReply& reply) {
    return reply.meta.empty() ? "SourceReply nothing" : "SourceReply " + text(reply.meta.last);
}
inline std::string label(const raft::SourceChunk& chunk) {
    return "SourceChunk " + text(chunk.meta.last) + " offset " + std::to_string(chunk.offset) +
           " for node " + std::to_string(chunk.leader.value);
}

inline TraceMessage kind_of(const raft::VoteRequest& request) {
    return request.pre_vote ? TraceMessage::pre_vote : TraceMessage::vote;
}
inline TraceMessage kind_of(const raft::VoteReply& reply) {
    return reply.pre_vote ? TraceMessage::pre_vote_reply : TraceMessage::vote_reply;
}
inline TraceMessage kind_of(const raft::AppendRequest& request) {
    return request.entries.empty() ? TraceMessage::heartbeat : TraceMessage::append;
}
inline TraceMessage kind_of(const raft::AppendReply&) { return TraceMessage::append_reply; }
inline TraceMessage kind_of(const raft::SnapshotChunk&) { return TraceMessage::snapshot; }
inline TraceMessage kind_of(const raft::SnapshotReply&) { return TraceMessage::snapshot_reply; }
inline TraceMessage kind_of(const raft::TimeoutNow&) { return TraceMessage::handover; }
inline TraceMessage kind_of(const raft::LackingEntries&) { return TraceMessage::append; }
inline TraceMessage kind_of(const raft::StateMarks&) { return TraceMessage::other; }
inline TraceMessage kind_of(const raft::ReadableVersion&) { return TraceMessage::other; }
inline TraceMessage kind_of(const raft::SourceRequest&) { return TraceMessage::other; }
inline TraceMessage kind_of(const raft::SourceReply&) { return TraceMessage::other; }
inline TraceMessage kind_of(const raft::SourceChunk&) { return TraceMessage::snapshot; }

inline std::optional<TraceRole> role_of(raft::EventKind kind) {
    switch (kind) {
        case raft::EventKind::became_follower: return TraceRole::follower;
        case raft::EventKind::became_pre_candidate: return TraceRole::pre_candidate;
        case raft::EventKind::became_candidate: return TraceRole::candidate;
        case raft::EventKind::became_leader: return TraceRole::leader;
        default: return std::nullopt;
    }
}
inline std::string words_of(const raft::Event& event) {
    switch (event.kind) {
        case raft::EventKind::leader_known:
            return "follows node " + std::to_string(event.node.value);
        case raft::EventKind::quorum_lost: return "hears from no quorum and steps down";
        case raft::EventKind::disk_stalled: return "its disk hangs: neither leads nor votes";
        case raft::EventKind::log_truncated: return "truncates its log from " + text(event.index);
        case raft::EventKind::log_regained: return "has again what it had lost";
        case raft::EventKind::disk_recovered: return "its disk writes again";
        case raft::EventKind::version_raised:
            return "everybody reads a higher version, as of " + text(event.index);
        case raft::EventKind::disk_full: return "its disk is full";
        case raft::EventKind::disk_has_room: return "its disk has room again";
        case raft::EventKind::states_differ:
            return "finds that the state of " + node_text(event.node) + " differs from " +
                   text(event.index) + " on";
        case raft::EventKind::outvoted:
            return "is outvoted: its state differs from " + text(event.index) + " on";
        case raft::EventKind::snapshot_rejected: return "rejected a snapshot";
        case raft::EventKind::snapshot_unreadable:
            return "its newest snapshot is damaged or cannot be read";
        case raft::EventKind::protocol_violation:
            return "node " + std::to_string(event.node.value) + " violates the protocol";
        default: return {};
    }
}

}  // namespace detail

inline void trace_message(Trace& trace, raft::Time now, const raft::Message& message, Loss loss,
                          raft::Time arrival) {
    TraceRecord record;
    record.at = now;
    if (loss == Loss::none) record.until = arrival;
    record.kind = loss == Loss::none ? TraceKind::message : TraceKind::message_lost;
    record.message =
        std::visit([](const auto& body) { return detail::kind_of(body); }, message.body);
    record.node = message.from;
    record.peer = message.to;
    record.term = raft::term_of(message);
    record.text = std::visit([](const auto& body) { return detail::label(body); }, message.body);
    switch (loss) {
        case Loss::none: break;
        case Loss::by_chance: record.text += " (lost)"; break;
        case Loss::cut: record.text += " (cut off)"; break;
        case Loss::full: record.text += " (the link is full)"; break;
    }
    trace.add(std::move(record));
}

inline void trace_start(Trace& trace, raft::Time now, const raft::Core& core) {
    TraceRecord record;
    record.at = now;
    record.kind = TraceKind::restart;
    record.node = core.self();
    record.term = core.term();
    record.text = "log ends " + detail::text(core.log().last());
    trace.add(std::move(record));
}

inline void trace_hit(Trace& trace, raft::Time now, raft::NodeId node, const DiskHit& hit) {
    TraceRecord record;
    record.at = now;
    record.kind = TraceKind::disk_fault;
    record.node = node;
    record.text = disk_fault_names[static_cast<std::size_t>(hit.fault)];
    if (hit.fault == DiskFault::call_error) {
        record.text += ": " + std::string(disk_call_names[static_cast<std::size_t>(hit.call)]) +
                       " " + hit.path;
    } else if (!hit.path.empty()) {
        record.text += ": " + hit.path + " at offset " + std::to_string(hit.offset) + ", " +
                       std::to_string(hit.size) + " bytes";
    }
    if (!hit.landed_path.empty()) {
        record.text +=
            ", onto " + hit.landed_path + " at offset " + std::to_string(hit.landed_offset);
    }
    trace.add(std::move(record));
}

inline void trace_snapshot(Trace& trace, raft::Time now, const raft::Core& core) {
    TraceRecord record;
    record.at = now;
    record.kind = TraceKind::snapshot_saved;
    record.node = core.self();
    record.index = core.snapshot().last.index;
    trace.add(std::move(record));
}

inline void trace_event(Trace& trace, raft::Time now, raft::NodeId node, const raft::Event& event) {
    TraceRecord record;
    record.at = now;
    record.node = node;
    record.term = event.term;
    record.index = event.index;
    if (const std::optional<TraceRole> role = detail::role_of(event.kind)) {
        record.kind = TraceKind::role;
        record.role = *role;
    } else if (event.kind == raft::EventKind::snapshot_installed) {
        record.kind = TraceKind::snapshot_installed;
        record.peer = event.node;
    } else {
        record.text = detail::words_of(event);
    }
    trace.add(std::move(record));
}

}  // namespace rsm::sim

#endif
