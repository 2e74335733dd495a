// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Three servers and three clerks, for those who do something to one disk after the other.
#ifndef RSM_TESTS_SYSTEM_TRIO_HPP
#define RSM_TESTS_SYSTEM_TRIO_HPP

#include "clerks.hpp"
#include "gaps.hpp"
#include "servers.hpp"

#include <kv/cli_service.hpp>

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

/// A cluster under load that no node of may end, and what its nodes say of themselves.
class Trio {
public:
    static constexpr std::size_t size = 3;

    /// @param options  of each server
    Trio(const std::string& program, const std::filesystem::path& directory, Words options,
         std::uint64_t seed)
        : servers_(program, directory, std::move(options)) {
        servers_.add_founders(size);
        kv::ClerkOptions clerk;
        clerk.servers = servers_.clients();
        // What is measured is how long the service takes, not how long a clerk sleeps meanwhile.
        clerk.pause_max = std::chrono::milliseconds(20);
        clerks_.emplace(clerk, seed, [this] {
            const Node node = servers_.ended_by_itself();
            demand(node == 0, name(node) + " ended by itself");
        });
    }

    static std::string name(Node node) { return "node " + std::to_string(node); }
    static std::vector<Node> all() { return {1, 2, 3}; }

    Servers& servers() { return servers_; }
    const Servers& servers() const { return servers_; }
    Clerks& clerks() { return *clerks_; }
    const Clerks& clerks() const { return *clerks_; }
    Gaps& gaps() { return gaps_; }

    /// Once all are started.
    void begin() {
        clerks_->begin();
        clerks_->wait_for_operations(100, "a new cluster serves");
        await_leader();
    }

    // ---- what they say ----

    std::vector<kv::Row> accounts() { return clerks_->accounts(servers_.clients()); }
    /// Empty if it does not answer.
    kv::Fields account(Node node) {
        return clerks_->accounts({servers_.client(node)}).front().fields;
    }
    Node leader() { return leader_among(accounts()); }
    Node await_leader() {
        Node found = 0;
        clerks_->wait("somebody leads", [&] { return (found = leader()) != 0; });
        return found;
    }
    /// Another one than these.
    Node follower(Node leader, std::uint64_t choice) {
        const Node first = leader == 1 ? 2 : 1;
        return choice % 2 == 0 ? first : 6 - leader - first;
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
    /// Nobody was caught at what no node does whose directory is whole.
    void search_logs() const {
        for (const Node node : all()) {
            const std::string log = servers_.log_of(node);
            for (const char* words : {"PROTOCOL VIOLATION", "ACKNOWLEDGEMENT LOST", "RIVAL LEADER",
                                      "stopped for good", "damage"}) {
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
        std::cout << " " << kind << ":" << Gaps::in_ms(gap) << ";" << std::flush;
        return gap;
    }

private:
    Servers servers_;
    std::optional<Clerks> clerks_;
    Gaps gaps_;
};

}  // namespace system_test

#endif
