// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv status: the servers that are asked, and the members as the leader has them.
#ifndef RSM_EXAMPLES_KV_CLI_STATUS_HPP
#define RSM_EXAMPLES_KV_CLI_STATUS_HPP

#include "cli_service.hpp"
#include "integer.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// A member, as a server's account of itself has it.
struct MemberRow {
    std::uint64_t node = 0;
    std::string standing;
    std::string address;
    std::string instance;  ///< only zeros: not known yet
    std::string priority;
    std::string serves{};  ///< where it serves clients; empty: the server does not know
};

/// A line "member_<id>:standing=...,address=...,instance=...,priority=...,serves=...".
inline std::optional<MemberRow> parse_member_field(std::string_view name, std::string_view value) {
    constexpr std::string_view prefix = "member_";
    if (!name.starts_with(prefix)) return std::nullopt;
    const auto node = parse_node_id(name.substr(prefix.size()));
    if (!node) return std::nullopt;
    const auto after = [value](std::string_view key) {
        const std::size_t begin = value.find(key);
        if (begin == std::string_view::npos) return std::string();
        const std::string_view rest = value.substr(begin + key.size());
        return std::string(rest.substr(0, rest.find(',')));
    };
    return MemberRow{*node,
                     after("standing="),
                     after(",address="),
                     after(",instance="),
                     after(",priority="),
                     after(",serves=")};
}

inline std::vector<MemberRow> members_of(const Row& row) {
    std::vector<MemberRow> members;
    for (const auto& [name, value] : row.fields) {
        if (auto member = parse_member_field(name, value)) members.push_back(*std::move(member));
    }
    std::ranges::sort(members, {}, &MemberRow::node);
    return members;
}

/// Where servers are that those which have answered know of, and that nobody has been asked at.
inline std::vector<std::string> unasked(const std::vector<Row>& rows) {
    std::vector<std::string> found;
    const auto add = [&](const std::string& address) {
        const auto is_there = [&address](const Row& row) {
            // A server may be asked at another address than the one that it announces.
            return row.asked_at == address || field(row.fields, "address") == address;
        };
        if (address.empty() || address == "-" || std::ranges::any_of(rows, is_there)) return;
        if (std::ranges::find(found, address) == found.end()) found.push_back(address);
    };
    for (const Row& row : rows) {
        add(field(row.fields, "leader_address"));
        for (const MemberRow& member : members_of(row)) add(member.serves);
    }
    return found;
}

/// The accounts of those that are asked, and then of those that they know of: a cluster whose
/// machines have been replaced is seen as long as one of the list is left.
inline std::vector<Row> ask_cluster(const Addressees& asked, std::chrono::nanoseconds timeout) {
    std::vector<Row> rows = ask_all(asked, timeout);
    // Announced addresses may be such as lead nowhere from here.
    const auto patience = std::min<std::chrono::nanoseconds>(timeout, std::chrono::seconds(2));
    // The leader, which is connected to all, may be known only to one that is not.
    for (int round = 0; round < 2; ++round) {
        std::vector<std::string> more = unasked(rows);
        if (more.empty()) break;
        for (Row& row : ask_all({std::move(more), asked.credentials}, patience)) {
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

/// What is wrong with a server's disk, by its own account.
inline std::string disk_remark(const Fields& fields) {
    if (number(fields, "disk_stalled") != 0) return "its disk hangs";
    const std::string storage = field(fields, "storage");
    if (storage != "ok" && storage != "-") return storage;
    const std::uint64_t lost = number(fields, "lost_up_to");
    return lost == 0 ? "" : "damaged, lacks entries up to " + std::to_string(lost);
}
/// What the server that leads says of a member: whether this stands there.
inline bool leader_says(const std::vector<Row>& rows, const MemberRow& member,
                        std::string_view what) {
    const Row* const leader = leader_of(rows);
    if (leader == nullptr) return false;
    const std::string said = field(leader->fields, "follower_" + std::to_string(member.node));
    return said.find(what) != std::string::npos;
}
/// What is wrong with what a member has promised, as only its leader knows.
inline std::string doubt_remark(const MemberRow& member, const std::vector<Row>& rows) {
    return leader_says(rows, member, ",doubtful=1") ? "has lost what it had acknowledged" : "";
}
/// What is wrong with a member's disk, by the account of the server that leads it.
inline std::string disk_remark(const MemberRow& member, const std::vector<Row>& rows) {
    if (leader_says(rows, member, ",disk_stalled=1")) return "its disk hangs";
    if (leader_says(rows, member, ",disk_full=1")) return "its disk is full";
    return doubt_remark(member, rows);
}

/// What is odd about a member, by the account of the server that bears its id, or else by that of
/// its leader.
inline std::string remark_on(const MemberRow& member, const std::vector<Row>& rows) {
    const auto is_told = [](const std::string& instance) {
        return instance.find_first_not_of("0-") != std::string::npos;
    };
    for (const Row& row : rows) {
        if (!row.problem.empty() || number(row.fields, "node") != member.node) continue;
        const std::string instance = field(row.fields, "instance");
        if (is_told(instance) && is_told(member.instance) && instance != member.instance) {
            return "other instance: " + instance + " answers";
        }
        const std::string own = disk_remark(row.fields);
        return own.empty() ? doubt_remark(member, rows) : own;
    }
    return disk_remark(member, rows);
}

namespace detail {

inline void print_cells(std::span<const int> widths, const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const auto width = static_cast<std::size_t>(widths[i]);
        line += cells[i];
        if (i + 1 == cells.size()) break;
        line.append(std::max(width, cells[i].size() + 1) - cells[i].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::cout << line << '\n';
}

/// In which version all write, and whether a program that knows only the one before can come back.
inline std::string format_text(const Fields& fields) {
    const std::string written = field(fields, "format_version");
    if (written == "-") return {};  // its program does not say
    std::string text = "format version " + written + " is in force";
    if (number(fields, "format_version") < number(fields, "readable_version")) {
        return text + ", of " + field(fields, "readable_version") + " that node " +
               field(fields, "node") + " reads: the way back to the program before is open";
    }
    return text +
           (written == "0" ? "" : ": there is no way back to a program that does not read it");
}

/// A line for each server that was asked.
inline void print_servers(const std::vector<Row>& rows, const Row* leader) {
    constexpr int widths[] = {6, 22, 14, 8, 12, 12, 12, 12, 10, 8};
    const std::uint64_t commit = leader == nullptr ? 0 : number(leader->fields, "commit");
    print_cells(widths, {"node", "address", "role", "term", "commit", "applied", "log bytes",
                         "snapshot", "installed", "lag"});
    for (const Row& row : rows) {
        const Fields& fields = row.fields;
        if (!row.problem.empty()) {
            print_cells(widths, {"?", row.asked_at, row.problem});
            continue;
        }
        const std::uint64_t applied = number(fields, "applied");
        const std::string lag =
            leader == nullptr ? "-" : std::to_string(commit > applied ? commit - applied : 0);
        print_cells(widths, {field(fields, "node"), field(fields, "address"), field(fields, "role"),
                             field(fields, "term"), field(fields, "commit"),
                             field(fields, "applied"), field(fields, "persisted_bytes"),
                             field(fields, "snapshot"), field(fields, "snapshots_installed"), lag});
    }
}

/// Which server misses which peer, and why.
inline void print_missing_peers(const Row& row) {
    constexpr std::string_view name = "peer_";
    constexpr std::string_view reason = ",reason=";
    for (const auto& [key, value] : row.fields) {
        if (!key.starts_with(name) || !value.starts_with("connected=0")) continue;
        const std::size_t why = value.find(reason);
        const std::string text =
            why == std::string::npos ? std::string() : value.substr(why + reason.size());
        std::cout << "node " << field(row.fields, "node") << " is not connected to node "
                  << key.substr(name.size()) << ": " << (text.empty() ? "not yet" : text) << '\n';
    }
}

/// A line for each member, and for each server that is none.
inline void print_members(const Row& teller, const std::vector<Row>& rows) {
    const std::vector<MemberRow> members = members_of(teller);
    if (members.empty()) return;
    constexpr int widths[] = {8, 12, 24, 18, 10, 0};
    const bool settled = number(teller.fields, "members_settled") != 0;
    const bool changing = number(teller.fields, "changing_members") != 0;
    std::cout << "\nmembers, as node " << field(teller.fields, "node") << " has them"
              << (settled ? "" : ", not committed yet") << (changing ? ", being changed" : "")
              << ":\n";
    print_cells(widths, {"member", "standing", "talks at", "instance", "priority"});
    for (const MemberRow& member : members) {
        print_cells(widths, {std::to_string(member.node), member.standing,
                             member.address.empty() ? "-" : member.address, member.instance,
                             member.priority, remark_on(member, rows)});
    }
    for (const Row& row : rows) {
        const std::uint64_t node = number(row.fields, "node");
        const bool is_member = std::ranges::find(members, node, &MemberRow::node) != members.end();
        if (node == 0 || is_member) continue;
        print_cells(widths, {std::to_string(node), "no member"});
    }
}

}  // namespace detail

inline int print_status(const Addressees& servers, std::chrono::nanoseconds timeout) {
    const std::vector<Row> rows = ask_cluster(servers, timeout);
    const Row* const leader = leader_of(rows);
    detail::print_servers(rows, leader);
    for (const Row& row : rows) detail::print_missing_peers(row);
    const auto answers = [](const Row& row) { return row.problem.empty(); };
    const auto first = std::ranges::find_if(rows, answers);
    if (first == rows.end()) {
        std::cerr << "kv: no account of the cluster" << silence_text(servers) << '\n';
        return no;
    }
    const Row& teller = leader != nullptr ? *leader : *first;
    detail::print_members(teller, rows);
    const std::string format = detail::format_text(teller.fields);
    if (!format.empty()) std::cout << '\n' << format << '\n';
    return leader == nullptr ? no : done;
}

}  // namespace kv

#endif
