// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The names of what a node tells, and a sentence for each event.
#ifndef RSM_TO_STRING_HPP
#define RSM_TO_STRING_HPP

#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/step.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace rsm::inline v0 {

// No switch has a default, so that the compiler says where a new name is missing.

inline std::string_view to_string(raft::Role role) {
    switch (role) {
        case raft::Role::follower: return "follower";
        case raft::Role::pre_candidate: return "pre-candidate";
        case raft::Role::candidate: return "candidate";
        case raft::Role::leader: return "leader";
    }
    return "unknown";
}

/// How a leader serves a follower.
inline std::string_view to_string(raft::ProgressState state) {
    switch (state) {
        case raft::ProgressState::probe: return "probe";
        case raft::ProgressState::replicate: return "replicate";
        case raft::ProgressState::snapshot: return "snapshot";
    }
    return "unknown";
}

inline std::string_view to_string(raft::EntryKind kind) {
    switch (kind) {
        case raft::EntryKind::operation: return "operation";
        case raft::EntryKind::membership: return "membership";
        case raft::EntryKind::barrier: return "barrier";
    }
    return "unknown";
}

inline std::string_view to_string(raft::Standing standing) {
    switch (standing) {
        case raft::Standing::voter: return "voter";
        case raft::Standing::learner: return "learner";
        case raft::Standing::incoming: return "incoming";
        case raft::Standing::outgoing: return "outgoing";
        case raft::Standing::demoted: return "demoted";
        case raft::Standing::returning: return "returning";
        case raft::Standing::suspended: return "suspended";
    }
    return "unknown";
}

inline std::string_view to_string(raft::Refusal refusal) {
    switch (refusal) {
        case raft::Refusal::none: return "none";
        case raft::Refusal::not_leader: return "not leader";
        case raft::Refusal::overloaded: return "overloaded";
        case raft::Refusal::too_large: return "too large";
        case raft::Refusal::handing_over: return "handing over";
        case raft::Refusal::log_full: return "log full";
    }
    return "unknown";
}

inline std::string_view to_string(raft::EventKind kind) {
    switch (kind) {
        case raft::EventKind::became_follower: return "became follower";
        case raft::EventKind::became_pre_candidate: return "became pre-candidate";
        case raft::EventKind::became_candidate: return "became candidate";
        case raft::EventKind::became_leader: return "became leader";
        case raft::EventKind::leader_known: return "leader known";
        case raft::EventKind::quorum_lost: return "quorum lost";
        case raft::EventKind::disk_stalled: return "disk stalled";
        case raft::EventKind::log_truncated: return "log truncated";
        case raft::EventKind::snapshot_installed: return "snapshot installed";
        case raft::EventKind::snapshot_rejected: return "snapshot rejected";
        case raft::EventKind::snapshot_unreadable: return "snapshot unreadable";
        case raft::EventKind::protocol_violation: return "protocol violation";
        case raft::EventKind::acknowledgement_lost: return "acknowledgement lost";
        case raft::EventKind::rival_leader: return "rival leader";
        case raft::EventKind::number_out_of_range: return "number out of range";
        case raft::EventKind::paused: return "paused";
        case raft::EventKind::members_changed: return "members changed";
        case raft::EventKind::version_raised: return "version raised";
        case raft::EventKind::removed: return "removed";
        case raft::EventKind::other_instance: return "other instance";
        case raft::EventKind::unrecognized: return "unrecognized";
        case raft::EventKind::log_regained: return "log regained";
        case raft::EventKind::disk_recovered: return "disk recovered";
        case raft::EventKind::disk_full: return "disk full";
        case raft::EventKind::disk_has_room: return "disk has room";
        case raft::EventKind::states_differ: return "states differ";
        case raft::EventKind::outvoted: return "outvoted";
    }
    return "unknown";
}

/// The kind, then what the event says of it: "log truncated: node 2, index 17, term 5".
inline std::string to_string(const raft::Event& event) {
    std::string text(to_string(event.kind));
    const char* separator = ": ";
    const auto add = [&](const char* name, std::uint64_t value) {
        if (value == 0) return;
        text.append(separator).append(name).append(std::to_string(value));
        separator = ", ";
    };
    add("node ", event.node.value);
    add("index ", event.index.value);
    add("term ", event.term.value);
    add("own digest ", event.own_digest);
    add("other digest ", event.other_digest);
    return text;
}

}  // namespace rsm

#endif
