// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 3A (leader election) and 3B (log), under the labs' own names.
#include "raft_lab.hpp"
#include "scenario.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace raft_3ab_test {

using namespace lab;

namespace {

using Scenario = Task<> (*)(RaftLab&);

void run(std::size_t servers, Scenario scenario) {
    for_each_seed([&](std::uint64_t seed) {
        RaftLab lab(servers, seed, true);
        lab.run(scenario(lab));
        lab.check();
    });
}

// A full log entry's worth of noise.
std::string long_command(RaftLab& lab) {
    std::string text;
    while (text.size() < 5000) text += std::to_string(lab.random());
    text.resize(5000);
    return text;
}

std::uint64_t calls(RaftLab& lab) {
    std::uint64_t sum = 0;
    for (ServerId i = 0; i < lab.size(); ++i) sum += lab.network().calls_received(i);
    return sum;
}

// ---- 3A --------------------------------------------------------------------------------------

Task<> initial_election(RaftLab& lab) {
    co_await lab.check_one_leader();
    co_await lab.sleep(50ms);
    const std::uint64_t term = lab.check_terms();
    require(term >= 1, "the term must be at least 1");
    co_await lab.sleep(2 * election_timeout);
    lab.check_terms();
    co_await lab.check_one_leader();
}

Task<> re_election(RaftLab& lab) {
    const ServerId leader1 = co_await lab.check_one_leader();
    lab.disconnect(leader1);
    co_await lab.check_one_leader();
    lab.connect(leader1);
    const ServerId leader2 = co_await lab.check_one_leader();
    lab.disconnect(leader2);
    lab.disconnect((leader2 + 1) % 3);
    co_await lab.sleep(2 * election_timeout);
    lab.check_no_leader();
    lab.connect((leader2 + 1) % 3);
    co_await lab.check_one_leader();
    lab.connect(leader2);
    co_await lab.check_one_leader();
}

Task<> many_elections(RaftLab& lab) {
    co_await lab.check_one_leader();
    for (int round = 1; round < 10; ++round) {
        const ServerId victims[] = {lab.random_below(7), lab.random_below(7), lab.random_below(7)};
        for (const ServerId victim : victims) lab.disconnect(victim);
        co_await lab.check_one_leader();
        for (const ServerId victim : victims) lab.connect(victim);
    }
    co_await lab.check_one_leader();
}

// ---- 3B --------------------------------------------------------------------------------------

Task<> basic_agree(RaftLab& lab) {
    for (std::uint64_t index = 1; index <= 3; ++index) {
        require(lab.committed(index).first == 0, "delivered before it was submitted");
        const std::uint64_t at = co_await lab.one(std::to_string(100 * index), 3, false);
        require(at == index, "a command got another index than expected");
    }
}

Task<> rpc_bytes(RaftLab& lab) {
    co_await lab.one("99", 3, false);
    const std::uint64_t before = lab.network().bytes();
    std::uint64_t sent = 0;
    for (std::uint64_t index = 2; index <= 11; ++index) {
        std::string command = long_command(lab);
        sent += command.size();
        const std::uint64_t at = co_await lab.one(std::move(command), 3, false);
        require(at == index, "a command got another index than expected");
    }
    const std::uint64_t bytes = lab.network().bytes() - before;
    require(bytes <= 3 * sent + 50000, "too many bytes in calls: " + std::to_string(bytes));
}

Task<> follower_failure(RaftLab& lab) {
    co_await lab.one("101", 3, false);
    const ServerId leader1 = co_await lab.check_one_leader();
    lab.disconnect((leader1 + 1) % 3);
    co_await lab.one("102", 2, false);
    co_await lab.sleep(election_timeout);
    co_await lab.one("103", 2, false);
    const ServerId leader2 = co_await lab.check_one_leader();
    lab.disconnect((leader2 + 1) % 3);
    lab.disconnect((leader2 + 2) % 3);
    const auto started = lab.server(leader2).start("104");
    require(started.has_value(), "a leader refused a command");
    require(started->index == 4, "expected index 4");
    co_await lab.sleep(2 * election_timeout);
    require(lab.committed(4).first == 0, "committed without a majority");
}

Task<> leader_failure(RaftLab& lab) {
    co_await lab.one("101", 3, false);
    const ServerId leader1 = co_await lab.check_one_leader();
    lab.disconnect(leader1);
    co_await lab.one("102", 2, false);
    co_await lab.sleep(election_timeout);
    co_await lab.one("103", 2, false);
    const ServerId leader2 = co_await lab.check_one_leader();
    lab.disconnect(leader2);
    for (ServerId i = 0; i < 3; ++i) lab.server(i).start("104");
    co_await lab.sleep(2 * election_timeout);
    require(lab.committed(4).first == 0, "committed without a majority");
}

Task<> fail_agree(RaftLab& lab) {
    co_await lab.one("101", 3, false);
    const ServerId leader = co_await lab.check_one_leader();
    lab.disconnect((leader + 1) % 3);
    co_await lab.one("102", 2, false);
    co_await lab.one("103", 2, false);
    co_await lab.sleep(election_timeout);
    co_await lab.one("104", 2, false);
    co_await lab.one("105", 2, false);
    lab.connect((leader + 1) % 3);
    co_await lab.one("106", 3, true);
    co_await lab.sleep(election_timeout);
    co_await lab.one("107", 3, true);
}

Task<> fail_no_agree(RaftLab& lab) {
    co_await lab.one("10", 5, false);
    const ServerId leader = co_await lab.check_one_leader();
    for (std::size_t i = 1; i <= 3; ++i) lab.disconnect((leader + i) % 5);
    const auto started = lab.server(leader).start("20");
    require(started.has_value(), "a leader refused a command");
    require(started->index == 2, "expected index 2");
    co_await lab.sleep(2 * election_timeout);
    require(lab.committed(2).first == 0, "committed without a majority");
    for (std::size_t i = 1; i <= 3; ++i) lab.connect((leader + i) % 5);
    const ServerId leader2 = co_await lab.check_one_leader();
    const auto again = lab.server(leader2).start("30");
    require(again.has_value(), "a leader refused a command");
    require(again->index == 2 || again->index == 3, "unexpected index");
    co_await lab.one("1000", 5, true);
}

// One try; nothing if the leader changed, which makes it void.
Task<std::optional<bool>> try_concurrent_starts(RaftLab& lab) {
    const ServerId leader = co_await lab.check_one_leader();
    const auto first = lab.server(leader).start("1");
    if (!first) co_return std::nullopt;
    std::vector<std::uint64_t> indexes;
    for (int i = 0; i < 5; ++i) {
        const auto started = lab.server(leader).start(std::to_string(100 + i));
        if (started && started->term == first->term) indexes.push_back(started->index);
    }
    for (ServerId i = 0; i < lab.size(); ++i) {
        if (lab.server(i).term() != first->term) co_return std::nullopt;
    }
    std::vector<std::string> delivered;
    for (const std::uint64_t index : indexes) {
        const auto command = co_await lab.wait(index, lab.size(), first->term);
        if (!command) co_return std::nullopt;
        delivered.push_back(*command);
    }
    for (int i = 0; i < 5; ++i) {
        const bool found = std::ranges::find(delivered, std::to_string(100 + i)) != delivered.end();
        require(found, "a concurrent command is missing");
    }
    co_return true;
}

Task<> concurrent_starts(RaftLab& lab) {
    for (int attempt = 0; attempt < 5; ++attempt) {
        if (attempt > 0) co_await lab.sleep(3s);
        const std::optional<bool> done = co_await try_concurrent_starts(lab);
        if (done) co_return;
    }
    throw Failure("the term changed too often");
}

Task<> rejoin(RaftLab& lab) {
    co_await lab.one("101", 3, true);
    const ServerId leader1 = co_await lab.check_one_leader();
    lab.disconnect(leader1);
    for (const char* command : {"102", "103", "104"}) lab.server(leader1).start(command);
    co_await lab.one("103", 2, true);
    const ServerId leader2 = co_await lab.check_one_leader();
    lab.disconnect(leader2);
    lab.connect(leader1);
    co_await lab.one("104", 2, true);
    lab.connect(leader2);
    co_await lab.one("105", 3, true);
}

Task<> backup(RaftLab& lab) {
    const ServerId leader1 = co_await part_logs(lab, 50);

    const ServerId leader2 = co_await lab.check_one_leader();
    ServerId other = (leader1 + 2) % 5;
    if (leader2 == other) other = (leader2 + 1) % 5;
    lab.disconnect(other);
    for (int i = 0; i < 50; ++i) lab.server(leader2).start(random_command(lab));
    co_await lab.sleep(election_timeout / 2);
    for (ServerId i = 0; i < 5; ++i) lab.disconnect(i);
    lab.connect(leader1);
    lab.connect((leader1 + 1) % 5);
    lab.connect(other);
    for (int i = 0; i < 50; ++i) co_await lab.one(random_command(lab), 3, true);
    lab.connect_all();
    co_await lab.one(random_command(lab), 5, true);
}

// The number of calls for eleven commands back to back; nothing if the try is void.
Task<std::optional<std::uint64_t>> try_count(RaftLab& lab) {
    constexpr std::uint64_t batch = 10;
    const ServerId leader = co_await lab.check_one_leader();
    const std::uint64_t before = calls(lab);
    const auto first = lab.server(leader).start("1");
    if (!first) co_return std::nullopt;
    std::vector<std::string> commands;
    for (std::uint64_t i = 1; i < batch + 2; ++i) {
        commands.push_back(random_command(lab));
        const auto started = lab.server(leader).start(commands.back());
        if (!started || started->term != first->term) co_return std::nullopt;
        require(first->index + i == started->index, "the indexes are not contiguous");
    }
    for (std::uint64_t i = 1; i < batch + 1; ++i) {
        const auto delivered = co_await lab.wait(first->index + i, lab.size(), first->term);
        if (!delivered) co_return std::nullopt;
        require(*delivered == commands[i - 1], "another command was delivered");
    }
    for (ServerId i = 0; i < lab.size(); ++i) {
        if (lab.server(i).term() != first->term) co_return std::nullopt;
    }
    const std::uint64_t made = calls(lab) - before;
    require(made <= (batch + 1 + 3) * 3, "too many calls: " + std::to_string(made));
    co_return made;
}

Task<> count(RaftLab& lab) {
    co_await lab.check_one_leader();
    const std::uint64_t election = calls(lab);
    require(election >= 1 && election <= 30,
            "calls for the first election: " + std::to_string(election));
    for (int attempt = 0;; ++attempt) {
        require(attempt < 5, "the term changed too often");
        if (attempt > 0) co_await lab.sleep(3s);
        const std::optional<std::uint64_t> made = co_await try_count(lab);
        if (made) break;
    }
    const std::uint64_t before = calls(lab);
    co_await lab.sleep(election_timeout);
    const std::uint64_t idle = calls(lab) - before;
    require(idle <= 3 * 20, "too many calls in a second of idleness: " + std::to_string(idle));
}

}  // namespace

TEST_CASE("TestInitialElection3A") { run(3, initial_election); }
TEST_CASE("TestReElection3A") { run(3, re_election); }
TEST_CASE("TestManyElections3A") { run(7, many_elections); }

TEST_CASE("TestBasicAgree3B") { run(3, basic_agree); }
TEST_CASE("TestRPCBytes3B") { run(3, rpc_bytes); }
TEST_CASE("TestFollowerFailure3B") { run(3, follower_failure); }
TEST_CASE("TestLeaderFailure3B") { run(3, leader_failure); }
TEST_CASE("TestFailAgree3B") { run(3, fail_agree); }
TEST_CASE("TestFailNoAgree3B") { run(5, fail_no_agree); }
TEST_CASE("TestConcurrentStarts3B") { run(3, concurrent_starts); }
TEST_CASE("TestRejoin3B") { run(3, rejoin); }
TEST_CASE("TestBackup3B") { run(5, backup); }
TEST_CASE("TestCount3B") { run(3, count); }

}  // namespace raft_3ab_test
