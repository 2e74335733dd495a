// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Writes what a node tells of itself as structured lines through spdlog. The one header that needs
// spdlog; nothing else includes it.
#ifndef RSM_ADMIN_SPDLOG_HPP
#define RSM_ADMIN_SPDLOG_HPP

#include <raft/base/result.hpp>
#include <raft/protocol/step.hpp>
#include <rsm/admin/names.hpp>
#include <rsm/options.hpp>
#include <rsm/to_string.hpp>

#include <spdlog/common.h>
#include <spdlog/logger.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rsm::inline v0 {

/// How much an event is to an operator: info for what is a matter of course, warn for what goes
/// away by itself, err for what is to be looked at soon, critical for what no correct cluster does.
inline spdlog::level::level_enum level_of(raft::EventKind kind) {
    switch (kind) {
        case raft::EventKind::became_follower:
        case raft::EventKind::became_pre_candidate:
        case raft::EventKind::became_candidate:
        case raft::EventKind::became_leader:
        case raft::EventKind::leader_known:
        case raft::EventKind::snapshot_installed:
        case raft::EventKind::members_changed:
        case raft::EventKind::version_raised:
        case raft::EventKind::log_regained:
        case raft::EventKind::disk_recovered:
        case raft::EventKind::disk_has_room: return spdlog::level::info;
        case raft::EventKind::quorum_lost:
        case raft::EventKind::log_truncated:
        case raft::EventKind::snapshot_rejected:
        case raft::EventKind::number_out_of_range:
        case raft::EventKind::paused:
        case raft::EventKind::removed: return spdlog::level::warn;
        case raft::EventKind::disk_stalled:
        case raft::EventKind::disk_full:
        case raft::EventKind::snapshot_unreadable:
        case raft::EventKind::other_instance:
        case raft::EventKind::unrecognized: return spdlog::level::err;
        case raft::EventKind::protocol_violation:
        case raft::EventKind::acknowledgement_lost:
        case raft::EventKind::rival_leader:
        case raft::EventKind::states_differ:
        case raft::EventKind::outvoted: return spdlog::level::critical;
    }
    return spdlog::level::err;
}

/// "event=log_truncated node=a peer=2 index=17 term=5"; what an event does not say is left out.
inline std::string log_line(const raft::Event& event, std::string_view name) {
    std::string line = "event=" + one_word(to_string(event.kind));
    if (!name.empty()) line.append(" node=").append(name);
    const auto add = [&](std::string_view key, std::uint64_t value) {
        if (value != 0) line.append(" ").append(key).append("=").append(std::to_string(value));
    };
    add("peer", event.node.value);
    add("index", event.index.value);
    add("term", event.term.value);
    add("own_digest", event.own_digest);
    add("other_digest", event.other_digest);
    return line;
}

/// The options with a log: events, notices (warn) and the failure that stops the node (critical) go
/// to `logger`, and then to whoever was set before. The logger is called on the node's executor, so
/// an asynchronous one keeps a slow disk away from it; one that throws must not.
/// @param name  of the node in each line, without spaces; empty: left out
inline Options log_to(std::shared_ptr<spdlog::logger> logger, std::string name, Options options) {
    options.on_event = [logger, name,
                        before = std::move(options.on_event)](const raft::Event& event) {
        const auto level = level_of(event.kind);
        if (logger->should_log(level)) {
            const std::string line = log_line(event, name);
            logger->log(level, spdlog::string_view_t(line.data(), line.size()));
        }
        if (before) before(event);
    };
    const auto tell = [logger, name](spdlog::level::level_enum level, std::string_view what,
                                     std::string_view sentence) {
        std::string line(what);
        if (!name.empty()) line.append(" node=").append(name);
        line.append(" text=").append(detail::quoted(sentence));
        logger->log(level, spdlog::string_view_t(line.data(), line.size()));
    };
    options.on_notice = [tell, before = std::move(options.on_notice)](const std::string& notice) {
        tell(spdlog::level::warn, "notice", notice);
        if (before) before(notice);
    };
    options.on_failure = [tell,
                          before = std::move(options.on_failure)](const raft::Failure& failure) {
        tell(spdlog::level::critical, "failure", failure.message());
        if (before) before(failure);
    };
    return options;
}

}  // namespace rsm

#endif
