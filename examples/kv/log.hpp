// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server tells its operator: one line per event on standard error, with the time (UTC).
#ifndef RSM_EXAMPLES_KV_LOG_HPP
#define RSM_EXAMPLES_KV_LOG_HPP

#include "log_level.hpp"

#include <raft/protocol/step.hpp>
#include <rsm/transport/peer_status.hpp>
#include <rsm/transport/tcp_refusal.hpp>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

namespace kv {

/// "2024-05-31T12:34:56.789Z"
inline std::string timestamp(std::chrono::system_clock::time_point time) {
    using std::chrono::milliseconds;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    const auto since = std::chrono::duration_cast<milliseconds>(time.time_since_epoch());
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    const std::size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    std::string millis = std::to_string(since.count() % 1000);
    return std::string(text, length) + "." + std::string(3 - millis.size(), '0') + millis + "Z";
}

inline void log_at(LogLevel level, std::string_view text) {
    if (!is_logged(level)) return;
    std::string line = timestamp(std::chrono::system_clock::now());
    line += ' ';
    line += text;
    line += '\n';
    // In one call, so that the lines of several processes on one terminal stay whole.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

inline void log_line(std::string_view text) { log_at(LogLevel::notice, text); }

/// A log for what clients may bring about as often as they like: a few lines each second, and how
/// many there would have been.
class CalmLog {
    using Clock = std::chrono::steady_clock;

public:
    void line(std::string_view text, Clock::time_point now = Clock::now()) {
        if (now - begin_ >= std::chrono::seconds(1)) {
            if (left_out_ != 0) {
                log_line("(" + std::to_string(left_out_) + " more lines about clients left out)");
            }
            begin_ = now;
            lines_ = left_out_ = 0;
        }
        if (lines_ == lines_per_second) {
            ++left_out_;
        } else {
            ++lines_;
            log_line(text);
        }
    }

private:
    static constexpr std::size_t lines_per_second = 10;

    Clock::time_point begin_;
    std::size_t lines_ = 0;
    std::size_t left_out_ = 0;
};

inline std::string digests_of(const raft::Event& event) {
    return "digests " + std::to_string(event.own_digest) + " here and " +
           std::to_string(event.other_digest) + " there";
}

/// What an event means to an operator.
inline std::string describe(const raft::Event& event) {
    const std::string term = " (term " + std::to_string(event.term.value) + ")";
    const std::string node = "node " + std::to_string(event.node.value);
    const std::string index = "index " + std::to_string(event.index.value);
    switch (event.kind) {
        case raft::EventKind::became_follower: return "role: follower" + term;
        case raft::EventKind::became_pre_candidate: return "role: pre-candidate" + term;
        case raft::EventKind::became_candidate: return "role: candidate" + term;
        case raft::EventKind::became_leader: return "role: leader" + term;
        case raft::EventKind::leader_known: return "leader: " + node + term;
        case raft::EventKind::quorum_lost: return "no quorum answers, giving up leadership" + term;
        case raft::EventKind::disk_stalled:
            return "DISK HANGS: a write of this node does not end, so it neither leads nor votes" +
                   term;
        case raft::EventKind::log_truncated:
            return "log: entries from " + index + " on replaced by the leader's" + term;
        case raft::EventKind::snapshot_installed:
            return "snapshot: installed up to " + index + term;
        case raft::EventKind::snapshot_rejected:
            return "snapshot: received one up to " + index + " with a wrong checksum" + term;
        case raft::EventKind::snapshot_unreadable:
            return "snapshot: the own one up to " + index + " is damaged or cannot be read" + term;
        case raft::EventKind::protocol_violation: return "PROTOCOL VIOLATION by " + node + term;
        case raft::EventKind::acknowledgement_lost:
            return "ACKNOWLEDGEMENT LOST: " + node + " has nothing after " + index +
                   " of what it had acknowledged" + term;
        case raft::EventKind::rival_leader:
            return "RIVAL LEADER: " + node + " leads the term that this node leads" + term;
        case raft::EventKind::number_out_of_range:
            return "ignored a message of " + node + " with a number that no cluster comes to" +
                   term;
        case raft::EventKind::paused:
            return "this node did not run for a while and asks peers and disk anew" + term;
        case raft::EventKind::members_changed:
            return "members: those of " + index + " are committed" + term;
        case raft::EventKind::version_raised:
            return "version: everybody reads a higher one, which is written from " + index + " on" +
                   term;
        case raft::EventKind::removed:
            return "REMOVED: this node is a member no more, as of " + index + term;
        case raft::EventKind::other_instance:
            return "ANOTHER INSTANCE: " + node +
                   " is not the one that the members know, its storage is another or empty" + term;
        case raft::EventKind::unrecognized:
            return "NOT RECOGNIZED: for " + node +
                   " another instance bears this node's id; waiting to be taken in" + term;
        case raft::EventKind::log_regained:
            return "log: HEALED, the peers have brought what was damaged, up to " + index + term;
        case raft::EventKind::disk_recovered:
            return "disk: what hung has been written, this node takes part again" + term;
        case raft::EventKind::disk_full:
            return "DISK FULL: while it is, a node that has room is to lead" + term;
        case raft::EventKind::disk_has_room: return "disk: there is room again" + term;
        case raft::EventKind::states_differ:
            return "STATES DIFFER: " + node + " has made something else of the log than this node" +
                   ", from " + index + " on, " + digests_of(event) + term;
        case raft::EventKind::outvoted:
            return "OUTVOTED: a majority, " + node +
                   " among them, has made something else of the log than this node, from " + index +
                   " on, " + digests_of(event) + term;
    }
    return "an event of an unknown kind" + term;
}

inline LogLevel level_of(raft::EventKind kind) {
    switch (kind) {
        case raft::EventKind::quorum_lost:
        case raft::EventKind::disk_stalled:
        case raft::EventKind::disk_full:
        case raft::EventKind::snapshot_rejected:
        case raft::EventKind::snapshot_unreadable:
        case raft::EventKind::protocol_violation:
        case raft::EventKind::acknowledgement_lost:
        case raft::EventKind::rival_leader:
        case raft::EventKind::number_out_of_range:
        case raft::EventKind::removed:
        case raft::EventKind::other_instance:
        case raft::EventKind::unrecognized:
        case raft::EventKind::states_differ:
        case raft::EventKind::outvoted: return LogLevel::warning;
        default: return LogLevel::notice;
    }
}

/// Tells of events. A node without a quorum asks for one again and again, for ever, and says so at
/// the first, second, fourth, eighth, ... time; each time where lines are verbose.
class EventLog {
public:
    void line(const raft::Event& event) {
        if (event.kind != raft::EventKind::became_pre_candidate) {
            attempts_ = 0;
            return log_at(level_of(event.kind), describe(event));
        }
        ++attempts_;
        if (!std::has_single_bit(attempts_) && !is_logged(LogLevel::verbose)) return;
        const std::string again = ": no quorum answered " + std::to_string(attempts_ - 1) +
                                  (attempts_ == 2 ? " time" : " times");
        log_line(describe(event) + (attempts_ == 1 ? "" : again));
    }

private:
    std::uint64_t attempts_ = 0;
};

/// Tells of certificates. Those for peers and those for clients mostly are the same files, of which
/// a start says the same only once.
class TlsLog {
public:
    void line(const std::string& text) {
        if (!started_ && text == last_) return;
        last_ = text;
        const bool is_urgent = text.find("THE CERTIFICATE") != std::string::npos;
        log_at(is_urgent ? LogLevel::warning : LogLevel::notice, text);
    }
    void started() { started_ = true; }

private:
    std::string last_;
    bool started_ = false;
};

inline LogLevel level_of(const rsm::PeerStatus& peer) {
    return peer.connected ? LogLevel::notice : LogLevel::warning;
}
inline std::string describe(const rsm::PeerStatus& peer) {
    const std::string who = "peer " + std::to_string(peer.node.value);
    return peer.connected ? who + ": connected at " + peer.address
                          : who + ": not connected: " + peer.reason;
}

/// A sentence of the library, which names its options as programs know them, in the words of the
/// command line.
inline std::string with_own_options(std::string text) {
    constexpr std::string_view in_programs = "Options::skip_operations";
    constexpr std::string_view here = "--skip-operation";
    for (auto at = text.find(in_programs); at != std::string::npos;
         at = text.find(in_programs, at + here.size())) {
        text.replace(at, in_programs.size(), here);
    }
    return text;
}

inline std::string describe(const rsm::TcpRefused& refused) {
    return "turned away at the port for peers: " + refused.text();
}

}  // namespace kv

#endif
