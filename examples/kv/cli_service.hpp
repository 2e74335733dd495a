// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the command line tool's parts share: how it ends, whom it asks, and which server leads.
#ifndef RSM_EXAMPLES_KV_CLI_SERVICE_HPP
#define RSM_EXAMPLES_KV_CLI_SERVICE_HPP

#include "caller.hpp"
#include "integer.hpp"
#include "reply.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

enum ExitStatus : int { done = 0, no = 1, usage = 2, unknown = 3, unavailable = 4 };

using Fields = std::map<std::string, std::string, std::less<>>;

/// Lines "name:value".
inline Fields parse_fields(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const std::size_t end = text.find("\r\n");
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        fields.emplace(line.substr(0, colon), line.substr(colon + 1));
    }
    return fields;
}

inline std::string field(const Fields& fields, std::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "-" : found->second;
}

inline std::uint64_t number(const Fields& fields, std::string_view name) {
    const auto value = parse_integer(field(fields, name));
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
}

/// Where servers serve clients, and who asks them.
struct Addressees {
    Addressees(std::vector<std::string> where, Credentials who = {})
        : servers(std::move(where)), credentials(std::move(who)) {}

    std::vector<std::string> servers;
    Credentials credentials;
};

/// Where servers are that no option names, as --cluster has them.
inline constexpr const char* cluster_variable = "KV_CLUSTER";

/// One server's account of itself.
struct Row {
    std::string asked_at;
    Fields fields;
    std::string problem;      ///< empty: the server has answered
    bool is_refused = false;  ///< for who asks: for want of a password, or a wrong one
};

inline void take_account(Row& row, const CallOutcome& outcome) {
    if (outcome.error) {
        row.problem = "unreachable: " + outcome.why();
    } else if (outcome.reply.is_error("NOAUTH") || !outcome.sent) {
        row.is_refused = true;
        row.problem = "does not let this client in: " + outcome.reply.text;
    } else if (outcome.reply.type != Reply::Type::bulk) {
        row.problem = "no kv server: " + outcome.reply.text;
    } else {
        row.fields = parse_fields(outcome.reply.text);
    }
}

/// Asks all of them the same at once, and returns the outcomes, in their order, when each has
/// answered or `timeout` has passed.
inline std::vector<CallOutcome> call_all(const Addressees& asked,
                                         const std::vector<std::string>& words,
                                         std::chrono::nanoseconds timeout) {
    boost::asio::io_context io;
    std::string request;
    const std::vector<std::string_view> views(words.begin(), words.end());
    append_request(request, views);
    std::vector<CallOutcome> outcomes(asked.servers.size());
    std::vector<std::unique_ptr<Caller>> callers;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        callers.push_back(std::make_unique<Caller>(
            io.get_executor(), CallerOptions{.credentials = asked.credentials}));
        callers.back()->call(
            asked.servers[i], request, timeout,
            [&outcome = outcomes[i]](CallOutcome ended) { outcome = std::move(ended); });
    }
    io.run();
    return outcomes;
}

/// The account of each.
inline std::vector<Row> ask_all(const Addressees& asked, std::chrono::nanoseconds timeout) {
    const std::vector<CallOutcome> outcomes = call_all(asked, {"RAFT.STATUS"}, timeout);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        rows.push_back({asked.servers[i], {}, {}, false});
        take_account(rows.back(), outcomes[i]);
    }
    return rows;
}

/// Why there may be nobody to find: where no server answers at all, which were tried and how to
/// name others, to be put behind a sentence. Empty: one answers.
inline std::string silence_text(const Addressees& asked) {
    const std::vector<CallOutcome> outcomes = call_all(asked, {"PING"}, std::chrono::seconds(1));
    std::string tried;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        if (!outcomes[i].error) return {};
        tried += (i == 0 ? "" : ", ") + asked.servers[i] + " (" + outcomes[i].why() + ")";
    }
    return ": nobody answers at " + tried + "; --cluster HOST:PORT,... or " +
           std::string(cluster_variable) + " in the environment names other servers";
}

/// Two may call themselves leader for a moment: the one of the higher term is. Null: none does.
inline const Row* leader_of(const std::vector<Row>& rows) {
    const Row* leader = nullptr;
    for (const Row& row : rows) {
        if (field(row.fields, "role") != "leader") continue;
        if (leader == nullptr || number(row.fields, "term") > number(leader->fields, "term")) {
            leader = &row;
        }
    }
    return leader;
}

}  // namespace kv

#endif
