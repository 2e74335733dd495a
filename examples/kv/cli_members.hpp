// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// kv member and kv transfer: finds the leader, asks it once, and waits for the end.
#ifndef RSM_EXAMPLES_KV_CLI_MEMBERS_HPP
#define RSM_EXAMPLES_KV_CLI_MEMBERS_HPP

#include "caller.hpp"
#include "cli_service.hpp"
#include "reply.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace kv {

/// What is asked of the leader, word by word.
struct LeaderRequest {
    std::vector<std::string> words;
    bool changes = true;  ///< what the cluster is; else it may be asked again
};

/// How long to look for a leader, and how long to wait for its answer.
struct Patience {
    std::chrono::nanoseconds search;
    std::chrono::nanoseconds answer;
};

/// Where the server serves clients that leads by the accounts of those which can be asked; empty:
/// nobody knows.
/// @throws std::runtime_error  if nobody knows, and one has refused to say
inline std::string find_leader(const Addressees& servers, std::chrono::nanoseconds timeout) {
    const std::vector<Row> rows = ask_all(servers, timeout);
    if (const Row* const leader = leader_of(rows)) return leader->asked_at;
    const Row* newest = nullptr;  // of those who know of a leader that is not on the list
    for (const Row& row : rows) {
        const std::string address = field(row.fields, "leader_address");
        if (address.empty() || address == "-") continue;
        if (newest == nullptr || number(row.fields, "term") > number(newest->fields, "term")) {
            newest = &row;
        }
    }
    if (newest != nullptr) return field(newest->fields, "leader_address");
    const auto refused = std::ranges::find(rows, true, &Row::is_refused);
    if (refused == rows.end()) return {};
    throw std::runtime_error(refused->asked_at + " " + refused->problem);
}

/// Whether the answer says that nothing happened, and that another one may.
inline bool is_worth_asking_again(const CallOutcome& outcome) {
    if (outcome.error) return !outcome.sent;
    const auto begins = [&outcome](std::string_view code) { return outcome.reply.is_error(code); };
    return begins("MOVED") || begins("CLUSTERDOWN") || begins("TRYAGAIN");
}

inline int tell(const LeaderRequest& request, const CallOutcome& outcome) {
    const Reply& reply = outcome.reply;
    if (outcome.error) {
        std::cerr << "kv: " << outcome.why();
        if (request.changes) std::cerr << "; it may be done, or be under way: see 'kv status'";
        std::cerr << '\n';
        return request.changes ? unknown : unavailable;
    }
    if (reply.type == Reply::Type::error) {
        std::cerr << "kv: " << reply.text << '\n';
        return reply.is_error("UNKNOWN") ? unknown : usage;
    }
    std::string text = reply.text;
    std::erase(text, '\r');
    std::cout << text << (text.ends_with('\n') ? "" : "\n");
    return done;
}

inline int ask_leader(const Addressees& servers, const LeaderRequest& request, Patience patience) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point end = Clock::now() + patience.search;
    std::string leader;
    while (Clock::now() < end) {
        const std::chrono::nanoseconds left = end - Clock::now();
        if (leader.empty()) {
            leader = find_leader(servers,
                                 std::min<std::chrono::nanoseconds>(left, std::chrono::seconds(1)));
        }
        if (!leader.empty()) {
            const CallOutcome outcome = call_once(leader, request.words, patience.answer,
                                                  {std::chrono::seconds(1), servers.credentials});
            if (!is_worth_asking_again(outcome)) return tell(request, outcome);
            const std::string& text = outcome.reply.text;  // "MOVED <slot> <host:port>"
            const bool moved = !outcome.error && outcome.reply.is_error("MOVED");
            leader = moved ? text.substr(text.rfind(' ') + 1) : std::string();
        }
        std::this_thread::sleep_for(
            std::min<std::chrono::nanoseconds>(left, std::chrono::milliseconds(50)));
    }
    std::cerr << "kv: no leader was found" << silence_text(servers) << '\n';
    return no;
}

/// The commands that the leader is asked, as the command line has them.
class LeaderCommands {
public:
    explicit LeaderCommands(CLI::App& app) {
        CLI::App* const member = app.add_subcommand("member", "Shows or changes the members");
        member->fallthrough();
        member->require_subcommand(1);
        CLI::App* const list =
            member->add_subcommand("list", "Shows the members, as the leader has them");
        list->fallthrough();
        list->callback([this] { request_ = {{"MEMBER", "LIST"}, false}; });
        CLI::App* const add = declare(*member, "add", "Takes in a server started with --join");
        takes(*add, {{"ID", &node_}}, true);
        add->add_flag("--learner", learns_, "It is sent everything and never votes");
        add->callback([this] {
            set({"MEMBER", "ADD", std::to_string(node_), address_});
            if (learns_) request_.words.emplace_back("LEARNER");
        });
        declare_edits(*member);
        CLI::App* const transfer = declare(app, "transfer", "Makes another server lead");
        transfer->add_option("ID", node_, "Which one; without it the one that is best prepared")
            ->check(node_ids());
        transfer->callback([this] {
            set({"TRANSFER"});
            if (node_ != 0) request_.words.push_back(std::to_string(node_));
        });
    }
    LeaderCommands(const LeaderCommands&) = delete;
    LeaderCommands& operator=(const LeaderCommands&) = delete;

    /// Whether the command line had one of them.
    bool asked() const { return !request_.words.empty(); }
    int run(const Addressees& servers, std::chrono::nanoseconds search) const {
        const auto wait = std::chrono::nanoseconds(static_cast<std::int64_t>(wait_seconds_ * 1e9));
        return ask_leader(servers, request_, {search, request_.changes ? wait : search});
    }

private:
    struct Operand {
        const char* name;
        std::uint64_t* node;
    };

    void declare_edits(CLI::App& member) {
        CLI::App* const remove = declare(member, "remove", "Takes a member out");
        CLI::App* const promote = declare(member, "promote", "Lets a learner vote");
        CLI::App* const demote = declare(member, "demote", "Makes a voter a learner");
        for (CLI::App* const command : {remove, promote, demote}) {
            takes(*command, {{"ID", &node_}}, false);
            command->callback([this, command] {
                set({"MEMBER", command->get_name(), std::to_string(node_)});
            });
        }
        CLI::App* const replace =
            declare(member, "replace", "Puts a server started with --join in the place of another");
        takes(*replace, {{"OLD", &node_}, {"NEW", &successor_}}, true);
        replace->callback([this] {
            set({"MEMBER", "REPLACE", std::to_string(node_), std::to_string(successor_), address_});
        });
        CLI::App* const prioritize = declare(member, "priority", "Says who is to lead rather");
        takes(*prioritize, {{"ID", &node_}}, false);
        prioritize
            ->add_option(
                "PRIORITY", priority_,
                "The voter of the highest one leads if it can; 1 is what members begin with")
            ->required();
        prioritize->callback([this] {
            set({"MEMBER", "PRIORITY", std::to_string(node_), std::to_string(priority_)});
        });
        CLI::App* const move = declare(member, "move", "Says where a member talks to others");
        takes(*move, {{"ID", &node_}}, true);
        move->callback([this] { set({"MEMBER", "MOVE", std::to_string(node_), address_}); });
    }

    CLI::App* declare(CLI::App& above, const char* name, const char* what) {
        CLI::App* const command = above.add_subcommand(name, what);
        command->fallthrough();
        // A server gives a change up after ten minutes; then it should be heard saying so.
        command->add_option("--wait", wait_seconds_, "Seconds to wait for the end of a change")
            ->check(CLI::Range(0.001, 1e6))
            ->capture_default_str();
        return command;
    }
    static CLI::Range node_ids() {
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        return {std::uint64_t{1}, most};
    }
    void takes(CLI::App& command, const std::vector<Operand>& operands, bool address) {
        for (const Operand& operand : operands) {
            command.add_option(operand.name, *operand.node)->required()->check(node_ids());
        }
        if (!address) return;
        command.add_option("ADDRESS", address_, "Where it talks to the others: HOST:PORT")
            ->required();
    }
    void set(std::vector<std::string> words) { request_ = {std::move(words), true}; }

    std::uint64_t node_ = 0;
    std::uint64_t successor_ = 0;
    std::string address_;
    std::uint32_t priority_ = 0;
    bool learns_ = false;
    double wait_seconds_ = 660;
    LeaderRequest request_;
};

}  // namespace kv

#endif
