// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// MEMBER and TRANSFER: who the servers are, and which one leads.
//
//   MEMBER LIST                          MEMBER PROMOTE <id>
//   MEMBER ADD <id> <address> [LEARNER]  MEMBER DEMOTE <id>
//   MEMBER REMOVE <id>                   MEMBER MOVE <id> <address>
//   MEMBER REPLACE <id> <new id> <address>
//   MEMBER PRIORITY <id> <priority>
//   MEMBER FOUNDING                      TRANSFER [<id>]
//
// Addresses are those at which the servers talk to each other.
#ifndef RSM_EXAMPLES_KV_MEMBER_COMMANDS_HPP
#define RSM_EXAMPLES_KV_MEMBER_COMMANDS_HPP

#include "command_spec.hpp"
#include "integer.hpp"

#include <rsm/members.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kv {

namespace detail {

// The words that follow are as many as the edit needs.
inline Command parse_edit(MemberEdit::Kind kind, Arguments words) {
    using Kind = MemberEdit::Kind;
    const bool replaces = kind == Kind::replace;
    const auto node = parse_node_id(words[2]);
    const auto successor = replaces ? parse_node_id(words[3]) : node;
    if (!node || !successor) return error("ERR the id of a node is a positive integer");
    MemberEdit edit{kind, *node, *successor, {}};
    const bool has_address = words.size() > 3;
    if (has_address) edit.address = words[replaces ? 4 : 3];
    return edit;
}

inline Command parse_priority(Arguments words) {
    Command command = parse_edit(MemberEdit::Kind::prioritize, words.first(3));
    MemberEdit* const edit = std::get_if<MemberEdit>(&command);
    if (edit == nullptr) return command;
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    const auto priority = parse_integer(words[3]);
    if (!priority || *priority < 0 || *priority > most) {
        return error("ERR a priority is an integer from 0 to " + std::to_string(most));
    }
    edit->priority = static_cast<std::uint32_t>(*priority);
    return command;
}

inline Command parse_member(Arguments arguments, Connection&) {
    using Kind = MemberEdit::Kind;
    struct Subcommand {
        std::string_view name;
        std::size_t least;
        std::size_t most;
        Command (*parse)(Arguments);
    };
    static constexpr std::array<Subcommand, 9> subcommands = {{
        {"list", 2, 2, [](Arguments) -> Command { return MemberQuery::list; }},
        {"founding", 2, 2, [](Arguments) -> Command { return MemberQuery::founding; }},
        {"add", 4, 5,
         [](Arguments words) -> Command {
             const bool learns = words.size() == 5 && same_word(words[4], "learner");
             if (words.size() == 5 && !learns) return unknown_subcommand(words.subspan(3));
             return parse_edit(learns ? Kind::add_learner : Kind::add, words);
         }},
        {"remove", 3, 3, [](Arguments words) { return parse_edit(Kind::remove, words); }},
        {"promote", 3, 3, [](Arguments words) { return parse_edit(Kind::promote, words); }},
        {"demote", 3, 3, [](Arguments words) { return parse_edit(Kind::demote, words); }},
        {"move", 4, 4, [](Arguments words) { return parse_edit(Kind::move, words); }},
        {"replace", 5, 5, [](Arguments words) { return parse_edit(Kind::replace, words); }},
        {"priority", 4, 4, parse_priority},
    }};
    for (const Subcommand& known : subcommands) {
        if (!same_word(arguments[1], known.name)) continue;
        const bool fits = arguments.size() >= known.least && arguments.size() <= known.most;
        return fits ? known.parse(arguments) : wrong_arity("member|" + std::string(known.name));
    }
    return unknown_subcommand(arguments);
}

inline Command parse_transfer(Arguments arguments, Connection&) {
    if (arguments.size() > 2) return wrong_arity("transfer");
    if (arguments.size() == 1) return Transfer{};
    const auto node = parse_node_id(arguments[1]);
    if (!node) return error("ERR the id of a node is a positive integer");
    return Transfer{*node};
}

}  // namespace detail

/// What the members become, or a sentence why they cannot.
struct EditedMembers {
    rsm::Members members;
    std::string refusal;
};

inline EditedMembers edited(rsm::Members members, const MemberEdit& edit) {
    using Kind = MemberEdit::Kind;
    const auto find = [&members](std::uint64_t node) {
        return std::ranges::find(members, raft::NodeId{node}, &rsm::Member::id);
    };
    const auto name = [](std::uint64_t node) { return "node " + std::to_string(node); };
    const bool adds = edit.kind == Kind::add || edit.kind == Kind::add_learner;
    const auto present = find(edit.node);
    if (adds && present != members.end()) {
        return {{}, name(edit.node) + " is a member already, at " + present->contact};
    }
    if (!adds && present == members.end()) return {{}, name(edit.node) + " is no member"};
    switch (edit.kind) {
        case Kind::add: members.push_back(rsm::voter(edit.node, edit.address)); break;
        case Kind::add_learner: members.push_back(rsm::learner(edit.node, edit.address)); break;
        case Kind::remove: members.erase(present); break;
        case Kind::promote: present->standing = raft::Standing::voter; break;
        case Kind::demote: present->standing = raft::Standing::learner; break;
        case Kind::move: present->contact = edit.address; break;
        case Kind::prioritize: present->priority = edit.priority; break;
        case Kind::replace:
            if (find(edit.successor) != members.end()) {
                return {{}, name(edit.successor) + " is a member already: take a new id"};
            }
            *present = {{edit.successor}, present->standing, {}, edit.address, present->priority};
            break;
    }
    return {std::move(members), {}};
}

}  // namespace kv

#endif
