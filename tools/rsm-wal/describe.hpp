// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a directory of a write-ahead log is, for programs and for people.
#ifndef RSM_TOOLS_RSM_WAL_DESCRIBE_HPP
#define RSM_TOOLS_RSM_WAL_DESCRIBE_HPP

#include <raft/base/types.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/entry.hpp>
#include <raft/protocol/membership.hpp>
#include <rsm/storage/wal/inspect.hpp>
#include <rsm/to_string.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace rsm_wal {

using Json = nlohmann::ordered_json;
namespace wal = rsm::detail::wal;

inline Json describe(raft::LogPosition position) {
    return {{"index", position.index.value}, {"term", position.term.value}};
}
inline Json describe(const raft::Membership& membership) {
    Json members = Json::array();
    for (const raft::Member& member : membership.members) {
        members.push_back({{"id", member.id.value},
                           {"standing", std::string(rsm::to_string(member.standing))},
                           {"address", member.contact},
                           {"instance", rsm::detail::hexadecimal(member.instance.value)},
                           {"priority", member.priority}});
    }
    return members;
}

inline Json describe_identity(const raft::Identity& identity) {
    if (!identity.node) return nullptr;
    Json text{{"cluster", identity.cluster},
              {"node", identity.node.value},
              {"instance", rsm::detail::hexadecimal(identity.instance.value)},
              {"founder", identity.founder},
              {"founding", describe(identity.founding)}};
    if (identity.origin != 0) text["origin"] = rsm::detail::hexadecimal(identity.origin);
    return text;
}

inline Json describe_segments(const wal::Inspected& found) {
    std::vector<Json> segments;
    const auto add = [&segments](const auto& segment, const char* state) -> Json& {
        return segments.emplace_back(Json{{"number", segment.id.number},
                                          {"file", segment.path},
                                          {"bytes", segment.capacity},
                                          {"state", state}});
    };
    for (const auto& scanned : found.log.used) {
        Json& segment = add(*scanned.segment, scanned.damaged ? "damaged" : "used");
        if (scanned.offsets.empty()) continue;
        segment["first"] = scanned.first.value;
        segment["last"] = (scanned.end() - 1).value;
    }
    for (const auto& segment : found.log.lost) add(*segment, "lost");
    for (const auto& segment : found.log.unused) add(*segment, "unused");
    std::ranges::sort(segments, {},
                      [](const Json& segment) { return segment["number"].get<std::uint64_t>(); });
    return segments;
}

/// All that is known of a directory.
inline Json describe(const std::string& directory, const wal::Inspected& found, bool in_use) {
    const raft::Recovered& recovered = found.recovered;
    Json text;
    text["directory"] = directory;
    text["in_use"] = in_use;
    text["identity"] = describe_identity(found.identity);
    text["log_id"] = rsm::detail::hexadecimal(found.log.log_id);
    text["term"] = recovered.hard_state.term.value;
    text["voted_for"] = recovered.hard_state.voted_for.value;
    text["commit"] = recovered.hard_state.commit.value;
    const auto last_term =
        recovered.runs.empty() ? recovered.base.term : recovered.runs.back().term;
    text["log"] = {{"base", describe(recovered.base)},
                   {"last", describe(raft::LogPosition{recovered.last, last_term})},
                   {"persisted_bytes", found.account.persisted_bytes()}};
    if (found.snapshot != nullptr) {
        text["snapshot"] = {{"file", found.snapshot->path},
                            {"at", describe(recovered.snapshot.last)},
                            {"bytes", recovered.snapshot.size},
                            {"members", describe(recovered.snapshot.membership)}};
    } else {
        text["snapshot"] = nullptr;
    }
    text["lost_up_to"] =
        recovered.promised.index.value == 0 ? Json(nullptr) : describe(recovered.promised);
    if (found.log.torn) {
        text["unfinished_write"] = {{"file", found.log.torn->segment->path},
                                    {"offset", found.log.torn->frontier},
                                    {"bytes", found.log.torn->end - found.log.torn->frontier}};
    } else {
        text["unfinished_write"] = nullptr;
    }
    text["segments"] = describe_segments(found);
    text["damages"] = found.damages;
    return text;
}

inline std::string words(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}
inline std::string position(const Json& at) {
    return words(at["index"]) + " of term " + words(at["term"]);
}
inline std::string members_text(const Json& members) {
    std::string text;
    for (const Json& member : members) {
        text += (text.empty() ? "" : ", ") + words(member["id"]) + " (" + words(member["standing"]);
        if (member["address"] != "") text += " at " + words(member["address"]);
        if (member["instance"] != "0000000000000000") {
            text += ", instance " + words(member["instance"]);
        }
        text += ")";
    }
    return text;
}

/// The same for a person.
inline void print(const Json& text, std::ostream& out) {
    out << words(text["directory"])
        << (text["in_use"].get<bool>() ? ": a node is running on it\n" : "\n");
    const Json& identity = text["identity"];
    if (identity.is_null()) {
        out << "  identity    none\n";
    } else {
        out << "  cluster     \"" << words(identity["cluster"]) << "\", founded with "
            << members_text(identity["founding"]) << '\n';
        if (identity.contains("origin")) {
            out << "  origin      backup " << words(identity["origin"]) << '\n';
        }
        out << "  node        " << identity["node"] << ", instance " << words(identity["instance"])
            << (identity["founder"].get<bool>() ? ", a founder\n" : ", which has joined\n");
    }
    out << "  term        " << text["term"];
    if (text["voted_for"] != 0) out << ", vote for node " << text["voted_for"];
    out << "\n  log         entries behind " << position(text["log"]["base"]) << ", up to "
        << position(text["log"]["last"]) << "; " << text["log"]["persisted_bytes"] << " bytes\n"
        << "  committed   up to " << text["commit"] << ", as far as this node knew\n";
    const Json& snapshot = text["snapshot"];
    if (snapshot.is_null()) {
        out << "  snapshot    none\n";
    } else {
        out << "  snapshot    up to " << position(snapshot["at"]) << ", " << snapshot["bytes"]
            << " bytes, members " << members_text(snapshot["members"]) << '\n';
    }
    if (!text["lost_up_to"].is_null()) {
        out << "  LOST        the log had come to " << position(text["lost_up_to"]) << '\n';
    }
    for (const Json& segment : text["segments"]) {
        out << "  segment     " << segment["number"] << ": " << segment["bytes"] << " bytes, "
            << words(segment["state"]);
        if (segment.contains("first")) {
            out << ", entries " << segment["first"] << " to " << segment["last"];
        }
        out << '\n';
    }
    if (const Json& torn = text["unfinished_write"]; !torn.is_null()) {
        out << "  unfinished  " << torn["bytes"] << " bytes at offset " << torn["offset"] << " of "
            << words(torn["file"]) << ": a write that nobody was told of\n";
    }
    for (const Json& damage : text["damages"]) out << "  DAMAGE      " << words(damage) << '\n';
}

// ---- entries ----

inline Json describe(const raft::Entry& entry) {
    constexpr std::size_t head_bytes = 16;
    Json text{{"index", entry.index.value},
              {"term", entry.term.value},
              {"kind", std::string(rsm::to_string(entry.kind))},
              {"bytes", entry.payload.size()}};
    if (entry.kind == raft::EntryKind::membership) {
        const auto membership = raft::codec::decode_membership(entry.payload);
        text["members"] = membership ? describe(*membership) : Json(nullptr);
        return text;
    }
    const auto head = entry.payload.view().first(std::min(entry.payload.size(), head_bytes));
    std::string hex;
    for (const std::byte byte : head) {
        hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
        hex += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
    }
    text["head"] = hex;
    return text;
}
inline void print_entry(const Json& entry, std::ostream& out) {
    out << words(entry["index"]) << " term " << entry["term"] << ' ' << words(entry["kind"]) << ' '
        << entry["bytes"] << " bytes";
    if (entry.contains("members")) {
        out << ": " << (entry["members"].is_null() ? "damaged" : members_text(entry["members"]));
    } else if (entry["head"] != "") {
        const bool is_cut = entry["bytes"].get<std::size_t>() * 2 > words(entry["head"]).size();
        out << ": " << words(entry["head"]) << (is_cut ? "..." : "");
    }
    out << '\n';
}

}  // namespace rsm_wal

#endif
