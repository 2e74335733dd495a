// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The record of a simulated run: what every node, disk, link and client did and when. It serves
// people who want to know how a run came to its end: as lines for the terminal (write_text) and
// as a page for the browser (trace_html.hpp). Nothing in a run depends on it.
#ifndef RSM_SIM_TRACE_TRACE_HPP
#define RSM_SIM_TRACE_TRACE_HPP

#include <raft/base/types.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0::sim {

/// What a record tells. A span lasts from `at` until `until`, everything else happens at `at`.
enum class TraceKind : std::uint8_t {
    role,                ///< `node` becomes `role` in `term`
    message,             ///< span: `node` sends to `peer`, where it arrives at `until`
    message_lost,        ///< as a message, but it never arrives; `until`, if known, is its end
    commit,              ///< `node` knows that everything up to `index` is committed
    applied,             ///< `node` has applied everything up to `index`
    snapshot_saved,      ///< `node` holds a snapshot of its own that ends at `index`
    snapshot_installed,  ///< `node` took over the snapshot of `peer` that ends at `index`
    crash,               ///< `node` is down from here to its restart
    restart,             ///< `node` is a follower again, in `term` if that is known
    pause,               ///< span: `node` does nothing
    partition,           ///< span: `links` carry nothing
    disk_stall,          ///< span: the disk of `node` completes nothing
    disk_fault,          ///< a failed or torn write, a flipped bit: `text` says what
    clock,               ///< the clock of `node` jumps; `text` says how far
    client,              ///< span: an operation of `client`, sent to `node`; see `outcome`
    violation,           ///< a property is violated, in which `nodes` had a part
    note,                ///< anything else
};

enum class TraceRole : std::uint8_t { follower, pre_candidate, candidate, leader };

/// Kinds of messages, as far as a reader of a diagram wants to tell them apart.
enum class TraceMessage : std::uint8_t {
    other,
    pre_vote,
    pre_vote_reply,
    vote,
    vote_reply,
    append,
    append_reply,
    heartbeat,
    heartbeat_reply,
    snapshot,
    snapshot_reply,
    handover,
};

/// How a client's operation ended: see the three outcomes of rsm::outcome.
enum class TraceOutcome : std::uint8_t { pending, ok, failed, unknown };

/// One direction of one connection.
struct TraceLink {
    raft::NodeId from;
    raft::NodeId to;
    friend bool operator==(const TraceLink&, const TraceLink&) = default;
};

struct TraceRecord {
    /// The end of a span that has not ended.
    static constexpr raft::Time open = raft::Time::max();

    raft::Time at = {};
    TraceKind kind = TraceKind::note;
    raft::NodeId node = {};
    raft::NodeId peer = {};
    raft::Term term = {};
    raft::Index index = {};
    raft::Time until = open;
    TraceRole role = TraceRole::follower;
    TraceMessage message = TraceMessage::other;
    std::uint64_t client = 0;
    TraceOutcome outcome = TraceOutcome::pending;
    std::string text = {};
    std::vector<raft::NodeId> nodes = {};  ///< of a violation
    std::vector<TraceLink> links = {};     ///< of a partition

    friend bool operator==(const TraceRecord&, const TraceRecord&) = default;
};

inline constexpr std::array<std::string_view, 17> trace_kind_names = {"role",
                                                                      "message",
                                                                      "message_lost",
                                                                      "commit",
                                                                      "applied",
                                                                      "snapshot_saved",
                                                                      "snapshot_installed",
                                                                      "crash",
                                                                      "restart",
                                                                      "pause",
                                                                      "partition",
                                                                      "disk_stall",
                                                                      "disk_fault",
                                                                      "clock",
                                                                      "client",
                                                                      "violation",
                                                                      "note"};
inline constexpr std::array<std::string_view, 4> trace_role_names = {"follower", "pre-candidate",
                                                                     "candidate", "leader"};
inline constexpr std::array<std::string_view, 12> trace_message_names = {
    "other",        "pre-vote",  "pre-vote reply",  "vote",     "vote reply",     "append",
    "append reply", "heartbeat", "heartbeat reply", "snapshot", "snapshot reply", "handover"};
inline constexpr std::array<std::string_view, 4> trace_outcome_names = {"pending", "ok", "failed",
                                                                        "unknown"};

inline std::string_view name_of(TraceKind kind) {
    return trace_kind_names[static_cast<std::size_t>(kind)];
}
inline std::string_view name_of(TraceRole role) {
    return trace_role_names[static_cast<std::size_t>(role)];
}
inline std::string_view name_of(TraceMessage message) {
    return trace_message_names[static_cast<std::size_t>(message)];
}
inline std::string_view name_of(TraceOutcome outcome) {
    return trace_outcome_names[static_cast<std::size_t>(outcome)];
}

/// Whether `until` means anything for records of this kind.
inline bool is_span(TraceKind kind) {
    switch (kind) {
        case TraceKind::message:
        case TraceKind::message_lost:
        case TraceKind::pause:
        case TraceKind::partition:
        case TraceKind::disk_stall:
        case TraceKind::client: return true;
        default: return false;
    }
}

/// Whether `node` has a part in what the record tells. A violation concerns everybody.
inline bool concerns(const TraceRecord& record, raft::NodeId node) {
    if (record.kind == TraceKind::violation || record.node == node || record.peer == node) {
        return true;
    }
    return std::any_of(record.links.begin(), record.links.end(), [node](const TraceLink& link) {
        return link.from == node || link.to == node;
    });
}

/// The begin of a partition into `sides`: no link from one side to another carries anything.
inline TraceRecord partition_into(raft::Time at, std::span<const std::vector<raft::NodeId>> sides) {
    TraceRecord record{.at = at, .kind = TraceKind::partition};
    for (const auto& side : sides) {
        record.text += record.text.empty() ? "{" : " | {";
        for (const raft::NodeId from : side) {
            if (record.text.back() != '{') record.text += ' ';
            record.text += std::to_string(from.value);
            for (const auto& other : sides) {
                if (&other == &side) continue;
                for (const raft::NodeId to : other) record.links.push_back({from, to});
            }
        }
        record.text += '}';
    }
    return record;
}

/// The latest records of a run, so many at most. Not thread-safe: it belongs to the one thread
/// of a simulated world.
class Trace {
public:
    /// Names a record, for what becomes known about it later. 0 names none.
    using Number = std::uint64_t;

    static constexpr std::size_t default_capacity = 20'000;
    static constexpr std::size_t text_bytes_max = 4'000;

    explicit Trace(bool enabled = false, std::size_t capacity = default_capacity)
        : enabled_(enabled), capacity_(std::max<std::size_t>(capacity, 1)) {}

    /// Ask before building a record: while the trace is off, nothing is kept.
    bool enabled() const { return enabled_; }
    void enable(bool on = true) { enabled_ = on; }

    /// Records come in the order in which things happen. Of a text, the first bytes are kept.
    Number add(TraceRecord record) {
        if (!enabled_) return 0;
        limit(record.text);
        records_.push_back(std::move(record));
        const Number number = dropped_ + records_.size();
        if (records_.size() > capacity_) drop_oldest();
        return number;
    }

    /// The end of a span. A text that is not empty is added to the record's own.
    void end(Number number, raft::Time until, std::string_view text = {}) {
        if (TraceRecord* const record = find(number)) {
            record->until = until;
            append(*record, text);
        }
    }
    void end(Number number, raft::Time until, TraceOutcome outcome, std::string_view text = {}) {
        if (TraceRecord* const record = find(number)) record->outcome = outcome;
        end(number, until, text);
    }

    /// A message that was thought to arrive does not.
    void lose(Number number, raft::Time at, std::string_view reason) {
        if (TraceRecord* const record = find(number)) record->kind = TraceKind::message_lost;
        end(number, at, reason);
    }

    /// The latest records, oldest first.
    const std::deque<TraceRecord>& records() const { return records_; }
    /// How many older ones have been dropped.
    std::uint64_t dropped() const { return dropped_; }

    /// What of the dropped records still matters to whoever reads the others: the last role, crash
    /// or restart of each node, spans that reach into the kept records, and violations.
    std::vector<TraceRecord> standing() const {
        std::vector<TraceRecord> result;
        for (const Standing& standing : standing_) {
            if (reaches(standing.record)) result.push_back(standing.record);
        }
        return result;
    }

    /// Writes the last `last` records, those that concern one of `nodes` (none: everybody), as
    /// aligned lines.
    void write_text(std::ostream& out, std::size_t last,
                    std::span<const raft::NodeId> nodes = {}) const;

    void clear() {
        records_.clear();
        standing_.clear();
        dropped_ = 0;
    }

private:
    struct Standing {
        Number number = 0;
        TraceRecord record;
    };
    /// More spans than that are not open at once in any sane run; the oldest go first.
    static constexpr std::size_t standing_max = 1'000;

    static void limit(std::string& text) {
        if (text.size() <= text_bytes_max) return;
        std::size_t cut = text_bytes_max;
        // Never inside a character: 10xxxxxx continues one in UTF-8.
        while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U) --cut;
        text.resize(cut);
        text += "...";
    }
    static void append(TraceRecord& record, std::string_view text) {
        if (text.empty()) return;
        if (!record.text.empty()) record.text += "; ";
        record.text += text;
        limit(record.text);
    }
    static bool is_state(TraceKind kind) {
        return kind == TraceKind::role || kind == TraceKind::crash || kind == TraceKind::restart;
    }

    bool reaches(const TraceRecord& record) const {
        if (!is_span(record.kind)) return true;
        return records_.empty() || record.until > records_.front().at;
    }

    TraceRecord* find(Number number) {
        if (number == 0) return nullptr;
        if (number > dropped_) {
            const std::size_t place = static_cast<std::size_t>(number - dropped_) - 1;
            return place < records_.size() ? &records_[place] : nullptr;
        }
        const auto found = std::find_if(standing_.begin(), standing_.end(),
                                        [number](const auto& s) { return s.number == number; });
        return found == standing_.end() ? nullptr : &found->record;
    }

    void drop_oldest() {
        TraceRecord record = std::move(records_.front());
        records_.pop_front();
        const Number number = ++dropped_;
        if (is_state(record.kind)) {
            std::erase_if(standing_, [&record](const Standing& standing) {
                return is_state(standing.record.kind) && standing.record.node == record.node;
            });
        } else if (record.kind != TraceKind::violation &&
                   !(is_span(record.kind) && reaches(record))) {
            return;
        }
        if (standing_.size() == standing_max) {
            std::erase_if(standing_, [this](const Standing& s) { return !reaches(s.record); });
            if (standing_.size() == standing_max) standing_.erase(standing_.begin());
        }
        standing_.push_back({number, std::move(record)});
    }

    bool enabled_;
    std::size_t capacity_;
    std::deque<TraceRecord> records_;
    std::vector<Standing> standing_;
    std::uint64_t dropped_ = 0;
};

namespace detail {

/// "12.345678": seconds, down to microseconds.
inline std::string trace_seconds(raft::Time time) {
    const auto count = time.time_since_epoch().count();
    const bool negative = count < 0;
    const std::uint64_t nanoseconds =
        negative ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
    const std::string fraction = std::to_string(nanoseconds / 1'000 % 1'000'000);
    return (negative ? "-" : "") + std::to_string(nanoseconds / 1'000'000'000) + '.' +
           std::string(6 - fraction.size(), '0') + fraction;
}

/// Control characters must not reach a terminal: they could rewrite what stands there.
inline std::string trace_printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte != 0x7f) {
            result += character;
        } else {
            result += "\\x";
            result += digits[byte >> 4U];
            result += digits[byte & 0xfU];
        }
    }
    return result;
}

using TraceLine = std::array<std::string, 6>;

inline std::string trace_who(const TraceRecord& record) {
    std::string result;
    if (record.kind == TraceKind::client) {
        result = 'c' + std::to_string(record.client);
        if (record.node) result += '>' + std::to_string(record.node.value);
        return result;
    }
    if (record.node) result = std::to_string(record.node.value);
    if (record.peer) result += '>' + std::to_string(record.peer.value);
    for (const raft::NodeId node : record.nodes) {
        if (!result.empty()) result += ',';
        result += std::to_string(node.value);
    }
    return result;
}

inline std::string trace_what(const TraceRecord& record) {
    switch (record.kind) {
        case TraceKind::role: return std::string(name_of(record.role));
        case TraceKind::message: return std::string(name_of(record.message));
        case TraceKind::message_lost: return "lost " + std::string(name_of(record.message));
        case TraceKind::client: return "client " + std::string(name_of(record.outcome));
        case TraceKind::violation: return "VIOLATION";
        default: {
            std::string name(name_of(record.kind));
            std::replace(name.begin(), name.end(), '_', ' ');
            return name;
        }
    }
}

inline TraceLine trace_line(const TraceRecord& record) {
    TraceLine line;
    line[0] = trace_seconds(record.at);
    line[1] = trace_who(record);
    line[2] = trace_what(record);
    if (record.term.value != 0) line[3] = 'T' + std::to_string(record.term.value);
    if (record.index.value != 0) line[4] = '#' + std::to_string(record.index.value);
    line[5] = trace_printable(record.text);
    if (is_span(record.kind)) {
        if (!line[5].empty()) line[5] += ' ';
        line[5] += record.until == TraceRecord::open ? std::string("-> ...")
                                                     : "-> " + trace_seconds(record.until);
    }
    return line;
}

}  // namespace detail

inline void Trace::write_text(std::ostream& out, std::size_t last,
                              std::span<const raft::NodeId> nodes) const {
    std::vector<detail::TraceLine> lines;
    for (auto record = records_.rbegin(); record != records_.rend() && lines.size() < last;
         ++record) {
        const bool wanted =
            nodes.empty() || std::any_of(nodes.begin(), nodes.end(), [&record](raft::NodeId node) {
                return concerns(*record, node);
            });
        if (wanted) lines.push_back(detail::trace_line(*record));
    }
    std::array<std::size_t, 6> widths = {};
    for (const auto& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        std::string text(widths[0] - (*line)[0].size(), ' ');  // the times end in one column
        text += (*line)[0];
        for (std::size_t i = 1; i < line->size(); ++i) {
            if (widths[i] == 0) continue;
            text += "  " + (*line)[i] + std::string(widths[i] - (*line)[i].size(), ' ');
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out << text << '\n';
    }
}

}  // namespace rsm::sim

#endif
