// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The servers of a cluster on this machine, and what they say of themselves.
#ifndef RSM_TESTS_SYSTEM_SERVERS_HPP
#define RSM_TESTS_SYSTEM_SERVERS_HPP

#include "processes.hpp"
#include "support/temporary_directory.hpp"

#include <kv/cli_service.hpp>
#include <kv/cli_status.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace system_test {

using Words = std::vector<std::string>;
/// The id of a node, above 0.
using Node = std::uint64_t;

inline std::string joined(const Words& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
    return text;
}

/// How often a part is in a text.
inline std::size_t count_of(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

/// A call of kv.
inline Words kv_command(const std::string& program, const Words& servers, const Words& command) {
    Words words{program, "--timeout", "60", "--cluster", joined(servers)};
    words.insert(words.end(), command.begin(), command.end());
    return words;
}

/// Where nothing goes on meanwhile; with a deadline that only a broken service misses.
template <class Condition>
void wait_until(const std::string& what, Condition holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
        demand(std::chrono::steady_clock::now() < deadline, "in vain waited until " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

/// kv-server processes by node, each with addresses, a directory and a log file of its own.
class Servers {
public:
    /// @param options  of each, besides those that say who it is and where
    Servers(std::string program, std::filesystem::path directory, Words options)
        : program_(std::move(program)),
          directory_(std::move(directory)),
          options_(std::move(options)) {}

    /// Gives a node addresses that none has had. They are drawn when they are needed: one that is
    /// drawn long before may have been taken by somebody else meanwhile.
    void add(Node node) { servers_[node] = {new_address(), new_address(), {}}; }
    /// Those that were added up to now found the cluster.
    void add_founders(std::size_t count) {
        Words list;
        for (Node node = 1; node <= count; ++node) {
            add(node);
            list.push_back(std::to_string(node) + "=" + peer(node));
        }
        founders_ = joined(list);
    }

    /// Where it talks to the others.
    const std::string& peer(Node node) const { return servers_.at(node).peer; }
    /// Where it serves clients.
    const std::string& client(Node node) const { return servers_.at(node).client; }
    /// Where all serve clients, in the order of their ids.
    Words clients() const {
        Words addresses;
        for (const auto& [node, server] : servers_) addresses.push_back(server.client);
        return addresses;
    }
    /// What the founders are started with.
    const std::string& founders() const { return founders_; }
    std::filesystem::path directory(Node node) const { return directory_ / std::to_string(node); }

    /// @param how  what its start says of the cluster
    void start(Node node, const Words& how) {
        Words words{program_,     "--id",   std::to_string(node), "--listen",
                    client(node), "--data", directory(node)};
        words.insert(words.end(), options_.begin(), options_.end());
        words.insert(words.end(), how.begin(), how.end());
        process(node) = Process(words, log(node));
    }
    void found(Node node) { start(node, {"--cluster", founders_}); }
    void join(Node node, Node asked) {
        start(node, {"--peer", peer(node), "--join", client(asked)});
    }
    void reopen(Node node) { start(node, {"--peer", peer(node)}); }
    /// Another address for the others, from its next start on.
    void move(Node node) { servers_.at(node).peer = new_address(); }
    /// Kills it and removes all that it had.
    void wipe(Node node) {
        process(node).kill();
        std::filesystem::remove_all(directory(node));
    }
    /// Its process, which is expected to end from now on.
    Process release(Node node) { return std::move(process(node)); }
    /// Kills it and never mentions it again.
    void forget(Node node) { servers_.erase(node); }

    Process& process(Node node) { return servers_.at(node).process; }
    /// One that has ended although nobody has told it to; 0: none.
    Node ended_by_itself() {
        for (auto& [node, server] : servers_) {
            if (server.process.poll()) return node;
        }
        return 0;
    }

    /// What a node has said up to now, also one that is forgotten.
    std::string log_of(Node node) const { return rsm_test::read_file(log(node)); }

private:
    struct Server {
        std::string peer;
        std::string client;
        Process process;
    };

    std::string new_address() { return "127.0.0.1:" + std::to_string(free_port(ports_)); }
    std::filesystem::path log(Node node) const {
        return directory_ / (std::to_string(node) + ".log");
    }

    std::string program_;
    std::filesystem::path directory_;
    Words options_;
    std::string founders_;
    std::set<std::uint16_t> ports_;
    std::map<Node, Server> servers_;
};

// ---- what they say ----

/// The node that leads, by their accounts; 0: none.
inline Node leader_among(const std::vector<kv::Row>& rows) {
    const kv::Row* const found = kv::leader_of(rows);
    return found == nullptr ? 0 : kv::number(found->fields, "node");
}

/// As the leader has it.
inline std::optional<kv::MemberRow> member_among(const std::vector<kv::Row>& rows, Node node) {
    const kv::Row* const teller = kv::leader_of(rows);
    if (teller == nullptr) return std::nullopt;
    for (const kv::MemberRow& known : kv::members_of(*teller)) {
        if (known.node == node) return known;
    }
    return std::nullopt;
}

/// The account that a node gives of itself; null: it gives none.
inline const kv::Row* account_of(const std::vector<kv::Row>& rows, Node node) {
    const auto found = std::ranges::find_if(
        rows, [node](const kv::Row& row) { return kv::number(row.fields, "node") == node; });
    return found == rows.end() ? nullptr : &*found;
}

/// Whether it has applied all that is committed, by the leader's account.
inline bool has_all(const std::vector<kv::Row>& rows, Node node) {
    const kv::Row* const leader = kv::leader_of(rows);
    const kv::Row* const own = account_of(rows, node);
    return leader != nullptr && own != nullptr &&
           kv::number(own->fields, "applied") >= kv::number(leader->fields, "commit");
}

/// Whether all of them know which instances the founders are: from here on one that loses its
/// directory is found out.
inline bool know_each_other(const std::vector<kv::Row>& rows) {
    return std::ranges::all_of(rows, [&rows](const kv::Row& row) {
        const std::vector<kv::MemberRow> members = kv::members_of(row);
        return members.size() == rows.size() &&
               std::ranges::all_of(members, [](const kv::MemberRow& member) {
                   return member.instance.find_first_not_of('0') != std::string::npos;
               });
    });
}

}  // namespace system_test

#endif
