// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a server that joins a cluster asks one that is there.
#ifndef RSM_EXAMPLES_KV_JOIN_HPP
#define RSM_EXAMPLES_KV_JOIN_HPP

#include "caller.hpp"
#include "integer.hpp"
#include "reply.hpp"

#include <rsm/members.hpp>
#include <rsm/to_string.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kv {

/// Which cluster it is: its name, the members that it was founded with, and the backup, if there
/// was one.
struct FoundedCluster {
    std::string name;
    rsm::Members founding;
    std::uint64_t origin = 0;
};

namespace detail {

inline std::invalid_argument no_member(std::string_view line) {
    return std::invalid_argument("no member: \"" + std::string(line) + "\"");
}

inline std::uint64_t parse_origin(std::string_view line, std::string_view digits) {
    std::uint64_t origin = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, origin, 16);
    if (error != std::errc{} || stopped != end || origin == 0) throw no_member(line);
    return origin;
}

/// "<id> <standing> <address>"
inline rsm::Member parse_founder(std::string_view line) {
    std::istringstream words{std::string(line)};
    std::string id;
    std::string standing;
    std::string address;
    std::string more;
    words >> id >> standing >> address;
    const auto node = parse_node_id(id);
    const bool votes = standing == rsm::to_string(raft::Standing::voter);
    const bool learns = standing == rsm::to_string(raft::Standing::learner);
    const bool sound = node && (votes || learns) && !address.empty() && !(words >> more);
    if (!sound) throw no_member(line);
    return votes ? rsm::voter(*node, address) : rsm::learner(*node, address);
}

}  // namespace detail

/// Reads what MEMBER FOUNDING says. @throws std::invalid_argument
inline FoundedCluster parse_founded(std::string_view text) {
    constexpr std::string_view name = "cluster:";
    constexpr std::string_view origin = "origin:";
    FoundedCluster cluster;
    while (!text.empty()) {
        const std::size_t end = text.find("\r\n");
        const std::string_view line = text.substr(0, end);
        if (end == std::string_view::npos) throw detail::no_member(line);
        text.remove_prefix(end + 2);
        if (line.starts_with(name)) {
            cluster.name = line.substr(name.size());
            continue;
        }
        if (line.starts_with(origin)) {
            cluster.origin = detail::parse_origin(line, line.substr(origin.size()));
            continue;
        }
        rsm::Member founder = detail::parse_founder(line);
        const auto known = std::ranges::find(cluster.founding, founder.id, &rsm::Member::id);
        if (known != cluster.founding.end()) throw detail::no_member(line);
        cluster.founding.push_back(std::move(founder));
    }
    if (cluster.founding.empty()) throw std::invalid_argument("it names no members");
    if (cluster.name.empty()) throw std::invalid_argument("it does not name the cluster");
    return cluster;
}

/// Asks a server at the address where it serves clients. Blocks for a few seconds at most.
/// @throws std::runtime_error
inline FoundedCluster ask_founded(const std::string& address, const Credentials& credentials) {
    const CallOutcome outcome = call_once(address, {"MEMBER", "FOUNDING"}, std::chrono::seconds(5),
                                          {.credentials = credentials});
    const auto refuse = [&address](const std::string& why) {
        throw std::runtime_error("--join: " + address + ": " + why);
    };
    if (outcome.error) refuse(outcome.why());
    const bool refused = outcome.reply.is_error("NOAUTH") || !outcome.sent;
    if (refused) refuse("does not let this node in (--auth-file): " + outcome.reply.text);
    if (outcome.reply.type != Reply::Type::bulk) refuse("no kv server: " + outcome.reply.text);
    try {
        return parse_founded(outcome.reply.text);
    } catch (const std::invalid_argument& error) {
        refuse(error.what());
    }
    return {};
}

}  // namespace kv

#endif
