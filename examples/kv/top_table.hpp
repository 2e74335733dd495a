// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What kv top shows: the servers' accounts of themselves, twice, as lines of text. No I/O here.
#ifndef RSM_EXAMPLES_KV_TOP_TABLE_HPP
#define RSM_EXAMPLES_KV_TOP_TABLE_HPP

#include "cli_status.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// A line of the screen. Its text is printable ASCII, whatever a server has said: a terminal obeys
/// other bytes.
struct TopLine {
    enum class Style : std::uint8_t { plain, title, head, leader, trouble };
    Style style = Style::plain;
    std::string text;
};

/// What all servers said at one moment.
struct TopSample {
    double at_seconds = 0;  ///< of a clock that only goes forward
    std::vector<Row> rows;  ///< each time in the same order
};

namespace detail {

inline std::string printable(std::string text) {
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    return text;
}

/// Three digits and a unit.
inline std::string scaled(double value, double base, std::span<const char* const> units) {
    std::size_t unit = 0;
    while (value >= base && unit + 1 < units.size()) {
        value /= base;
        ++unit;
    }
    char text[48];
    const int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    std::snprintf(text, sizeof(text), "%.*f%s", digits, value, units[unit]);
    return text;
}
inline std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array units{" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled(static_cast<double>(bytes), 1024, units);
}
inline std::string rate_text(double rate) {
    constexpr std::array units{"", "k", "M"};
    return scaled(rate, 1000, units);
}

/// How fast a counter of a server grows; "-" where it was not heard of before or was started again.
inline std::string rate_of(const Row& now, const Row* before, std::string_view name,
                           double seconds) {
    if (before == nullptr || !before->problem.empty() || seconds <= 0) return "-";
    if (field(now.fields, "node") != field(before->fields, "node")) return "-";
    const std::uint64_t last = number(before->fields, name);
    const std::uint64_t value = number(now.fields, name);
    return value < last ? "-" : rate_text(static_cast<double>(value - last) / seconds);
}

/// The value of `name=` in a list "a=1,b=2"; 0 if there is none.
inline std::uint64_t number_in(std::string_view list, std::string_view name) {
    for (std::size_t begin = 0; begin < list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        const std::string_view one = list.substr(begin, end - begin);
        if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=') {
            const auto value = parse_integer(one.substr(name.size() + 1));
            return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
        }
        begin = end + 1;
    }
    return 0;
}

}  // namespace detail

/// Makes the lines. The rates are those between two samples.
class TopTable {
public:
    TopTable(const TopSample& now, const TopSample* before)
        : now_(now),
          before_(before),
          seconds_(before == nullptr ? 0 : now.at_seconds - before->at_seconds),
          leader_(leader_of(now.rows)) {}

    std::vector<TopLine> lines() const {
        std::vector<TopLine> lines{title()};
        std::vector<Cells> table{heads()};
        for (std::size_t i = 0; i < now_.rows.size(); ++i) table.push_back(cells(i));
        const std::vector<std::size_t> widths = widths_of(table);
        lines.push_back({TopLine::Style::head, joined(table[0], widths)});
        for (std::size_t i = 0; i < now_.rows.size(); ++i) {
            lines.push_back({style_of(now_.rows[i]), joined(table[i + 1], widths)});
        }
        lines.push_back({});
        for (const Row& row : now_.rows) add_remarks(row, lines);
        if (lines.back().text.empty()) lines.pop_back();
        for (TopLine& line : lines) line.text = detail::printable(std::move(line.text));
        return lines;
    }

private:
    using Cells = std::vector<std::string>;

    TopLine title() const {
        const auto answering =
            std::ranges::count_if(now_.rows, [](const Row& row) { return row.problem.empty(); });
        std::string text = std::to_string(answering) + " of " + std::to_string(now_.rows.size()) +
                           " servers answer";
        if (leader_ == nullptr) return {TopLine::Style::trouble, text + ", no leader"};
        text += ", node " + field(leader_->fields, "node") + " leads in term " +
                field(leader_->fields, "term");
        const std::string rate =
            detail::rate_of(*leader_, before_row(*leader_), "commit", seconds_);
        if (rate != "-") text += ", " + rate + " entries committed a second";
        return {TopLine::Style::title, text};
    }

    static Cells heads() {
        return {"NODE", "ADDRESS", "ROLE",    "TERM", "COMMIT",   "APPLIED",
                "LAG",  "CMD/S",   "CLIENTS", "LOG",  "SNAPSHOT", "DISK"};
    }
    Cells cells(std::size_t place) const {
        const Row& row = now_.rows[place];
        if (!row.problem.empty()) return {"?", row.asked_at, row.problem};
        const Fields& fields = row.fields;
        const std::uint64_t applied = number(fields, "applied");
        const std::uint64_t commit = leader_ == nullptr ? 0 : number(leader_->fields, "commit");
        const std::uint64_t lag = commit > applied ? commit - applied : 0;
        const std::string disk = disk_remark(fields);
        return {field(fields, "node"),
                row.asked_at,
                field(fields, "role"),
                field(fields, "term"),
                field(fields, "commit"),
                field(fields, "applied"),
                leader_ == nullptr ? "-" : std::to_string(lag),
                detail::rate_of(row, before_row(row), "total_commands_processed", seconds_),
                field(fields, "connected_clients"),
                detail::bytes_text(number(fields, "persisted_bytes")),
                detail::bytes_text(number(fields, "snapshot_bytes")),
                disk.empty() ? "ok" : disk};
    }
    const Row* before_row(const Row& row) const {
        const auto place = static_cast<std::size_t>(&row - now_.rows.data());
        if (before_ == nullptr || place >= before_->rows.size()) return nullptr;
        return &before_->rows[place];
    }

    static std::vector<std::size_t> widths_of(const std::vector<Cells>& table) {
        std::vector<std::size_t> widths(table[0].size(), 0);
        for (const Cells& cells : table) {
            if (cells.size() < widths.size()) {  // the last of them is a sentence
                widths[1] = std::max(widths[1], cells[1].size());
                continue;
            }
            for (std::size_t i = 0; i < cells.size(); ++i) {
                widths[i] = std::max(widths[i], cells[i].size());
            }
        }
        return widths;
    }
    /// Words begin, and figures end, below each other.
    std::string joined(const Cells& cells, const std::vector<std::size_t>& widths) const {
        std::string text;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const bool is_word = i < 3 || i + 1 == widths.size() || i + 1 == cells.size();
            const std::string space(widths[i] > cells[i].size() ? widths[i] - cells[i].size() : 0,
                                    ' ');
            if (i != 0) text += "  ";
            text += is_word ? cells[i] + space : space + cells[i];
        }
        text.erase(text.find_last_not_of(' ') + 1);
        return text;
    }

    TopLine::Style style_of(const Row& row) const {
        if (!row.problem.empty() || !disk_remark(row.fields).empty()) {
            return TopLine::Style::trouble;
        }
        return &row == leader_ ? TopLine::Style::leader : TopLine::Style::plain;
    }

    static void add_remarks(const Row& row, std::vector<TopLine>& lines) {
        const std::string self = "node " + field(row.fields, "node");
        for (const auto& [name, value] : row.fields) {
            constexpr std::string_view peer = "peer_";
            constexpr std::string_view follower = "follower_";
            if (name.starts_with(peer) && value.starts_with("connected=0")) {
                const std::size_t why = value.find(",reason=");
                const std::string reason =
                    why == std::string::npos ? std::string() : value.substr(why + 8);
                lines.push_back({TopLine::Style::trouble,
                                 self + " is not connected to node " + name.substr(peer.size()) +
                                     ": " + (reason.empty() ? "not yet" : reason)});
            }
            if (name.starts_with(follower)) {
                add_follower("node " + name.substr(follower.size()), self, value, lines);
            }
        }
    }
    static void add_follower(const std::string& who, const std::string& leader,
                             const std::string& account, std::vector<TopLine>& lines) {
        if (account.starts_with("state=snapshot")) {
            const std::uint64_t total = detail::number_in(account, "snapshot_total_bytes");
            const std::uint64_t sent = detail::number_in(account, "snapshot_sent_bytes");
            std::string text = who + " needs a snapshot of " + leader;
            if (total != 0) {
                text += ": " + detail::bytes_text(sent) + " of " + detail::bytes_text(total) +
                        ", " + std::to_string(sent >= total ? 100 : sent * 100 / total) + " %";
            }
            lines.push_back({TopLine::Style::plain, text});
        }
        if (detail::number_in(account, "doubtful") != 0) {
            lines.push_back({TopLine::Style::trouble,
                             who + " has lost, or may have lost, what it had acknowledged"});
        }
    }

    const TopSample& now_;
    const TopSample* before_;
    double seconds_;
    const Row* leader_;
};

}  // namespace kv

#endif
