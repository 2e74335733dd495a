// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Servers under load, for those who do something to one of them after the other.
#ifndef RSM_TESTS_SYSTEM_CLUSTER_HPP
#define RSM_TESTS_SYSTEM_CLUSTER_HPP

#include "clerks.hpp"
#include "gaps.hpp"
#include "servers.hpp"

#include <kv/clerk.hpp>
#include <kv/cli_service.hpp>
#include <kv/cli_status.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace system_test {

/// What kv-server has by default.
inline constexpr std::chrono::milliseconds election_timeout{500};

/// What is measured is how long the service takes, not how long a clerk sleeps meanwhile.
inline kv::ClerkOptions impatient() {
    kv::ClerkOptions options;
    options.pause_max = std::chrono::milliseconds(20);
    return options;
}

/// A cluster under load no node of which may end by itself, and what its nodes say of themselves.
class Cluster {
public:
    /// @param options  of each server
    /// @param clerk    but for the servers
    Cluster(const std::string& program, const std::filesystem::path& directory, Words options,
            std::uint64_t seed, kv::ClerkOptions clerk = impatient(), std::size_t size = 3)
        : size_(size), servers_(program, directory, std::move(options)) {
        servers_.add_founders(size);
        clerk.servers = servers_.clients();
        clerks_.emplace(clerk, seed, [this] {
            const Node node = servers_.ended_by_itself();
            demand(node == 0, name(node) + " ended by itself");
        });
    }

    static std::string name(Node node) { return "node " + std::to_string(node); }
    /// Those that have founded it.
    std::vector<Node> founders() const {
        std::vector<Node> nodes;
        for (Node node = 1; node <= size_; ++node) nodes.push_back(node);
        return nodes;
    }

    Servers& servers() { return servers_; }
    const Servers& servers() const { return servers_; }
    Clerks& clerks() { return *clerks_; }
    const Clerks& clerks() const { return *clerks_; }
    const Load& load() const { return clerks_->load(); }
    Gaps& gaps() { return gaps_; }
    const Gaps& gaps() const { return gaps_; }

    void found() {
        for (const Node node : founders()) servers_.found(node);
    }
    /// Once all are started.
    void begin() {
        clerks_->begin();
        clerks_->wait_for_operations(100, "a new cluster serves");
        await_leader();
    }
    /// From here on one that loses its directory is found out.
    void await_acquaintance() {
        clerks_->wait("the founders know each other's instances",
                      [this] { return know_each_other(accounts()); });
    }

    // ---- what they say ----

    std::vector<kv::Row> accounts() { return clerks_->accounts(servers_.clients()); }
    /// Empty if it does not answer.
    kv::Fields account(Node node) {
        return clerks_->accounts({servers_.client(node)}).front().fields;
    }
    Node leader() { return leader_among(accounts()); }
    /// Nobody leads for a moment where one that led is gone, or has handed over.
    std::vector<kv::Row> accounts_with_leader() {
        std::vector<kv::Row> rows;
        clerks_->wait("somebody leads", [&] { return leader_among(rows = accounts()) != 0; });
        return rows;
    }
    Node await_leader() { return leader_among(accounts_with_leader()); }
    /// A founder, and another one than this.
    Node another_than(Node node, std::uint64_t choice) const {
        std::vector<Node> others = founders();
        std::erase(others, node);
        return others[choice % others.size()];
    }
    /// What the leader says of a follower: whether this stands there.
    bool leader_says(Node follower, std::string_view what) {
        const std::vector<kv::Row> rows = accounts();
        const kv::Row* const teller = kv::leader_of(rows);
        return teller != nullptr &&
               kv::field(teller->fields, "follower_" + std::to_string(follower)).find(what) !=
                   std::string::npos;
    }
    void await_all(Node node) {
        clerks_->wait(name(node) + " has applied what is committed",
                      [&] { return has_all(accounts(), node); });
    }

    void await_whole(Node node) {
        clerks_->wait("the cluster is whole again, " + name(node) + " included",
                      [&] { return is_whole(node); });
    }
    /// All serve and vote, as the instances that they are, and will go on to: the node has
    /// everything, and nobody's vote is to be taken away.
    bool is_whole(Node node) {
        const std::vector<kv::Row> rows = accounts();
        const kv::Row* const leader = kv::leader_of(rows);
        const kv::Row* const own = account_of(rows, node);
        if (leader == nullptr || own == nullptr || !has_all(rows, node)) return false;
        const std::vector<kv::MemberRow> members = kv::members_of(*leader);
        return kv::number(leader->fields, "members_settled") == 1 &&
               kv::number(leader->fields, "changing_members") == 0 && members.size() == size_ &&
               std::ranges::all_of(members, [&rows](const kv::MemberRow& member) {
                   const kv::Row* const account = account_of(rows, member.node);
                   return account != nullptr && member.standing == "voter" &&
                          kv::field(account->fields, "instance") == member.instance &&
                          kv::remark_on(member, rows).empty();
               });
    }

    // ---- the account ----

    void compare_replicas() {
        clerks_->wait("all replicas are equal", [this] {
            std::vector<std::string> digests;
            for (const auto& outcome : clerks_->ask(servers_.clients(), "RAFT.DIGEST")) {
                digests.push_back(outcome.reply.text);
            }
            return digests.front().starts_with("digest:") &&
                   std::ranges::all_of(digests, [&digests](const std::string& digest) {
                       return digest == digests.front();
                   });
        });
    }
    /// No node up to this one was caught at what none does whose directory nobody has touched.
    void search_logs(Node last) const { search_logs(last, {"ACKNOWLEDGEMENT LOST", "damage"}); }
    /// Nor at any of these, nor at what none does whatever is done to its directory.
    void search_logs(Node last, const Words& never) const {
        Words all{"PROTOCOL VIOLATION", "RIVAL LEADER", "stopped for good"};
        all.insert(all.end(), never.begin(), never.end());
        for (Node node = 1; node <= last; ++node) {
            const std::string log = servers_.log_of(node);
            for (const std::string& words : all) {
                demand(log.find(words) == std::string::npos, name(node) + " says: " + words);
            }
        }
    }

    // ---- for how long nothing was written ----

    /// While this is done, and until writes are acknowledged after it.
    template <class Act>
    std::int64_t measure(const std::string& kind, Act act) {
        Load& load = clerks_->load();
        load.silence.begin();
        act();
        const std::size_t enough = load.puts_ok + 20;
        clerks_->wait("writes are acknowledged", [&] { return load.puts_ok >= enough; });
        const std::int64_t gap = load.silence.longest();
        gaps_.add(kind, gap);
        return gap;
    }
    template <class Act>
    std::int64_t measure_aloud(const std::string& kind, Act act) {
        const std::int64_t gap = measure(kind, std::move(act));
        std::cout << " " << kind << ":" << Gaps::in_ms(gap) << ";" << std::flush;
        return gap;
    }

private:
    std::size_t size_;
    Servers servers_;
    std::optional<Clerks> clerks_;
    Gaps gaps_;
};

}  // namespace system_test

#endif
