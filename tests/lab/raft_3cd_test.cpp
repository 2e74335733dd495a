// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 3C (persistence) and 3D (snapshots), under the labs' own names. Restarts are those of the
// 2026 edition: a server comes back with its own links only.
#include "raft_lab.hpp"
#include "scenario.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace raft_3cd_test {

using namespace lab;

namespace {

constexpr std::uint64_t max_log_size = 2000;

enum class Net { reliable, unreliable };
enum class Victim { none, disconnected, crashed };

template <class Scenario>
void run(std::size_t servers, Net net, bool snapshots, Scenario scenario) {
    for_each_seed([&](std::uint64_t seed) {
        RaftLab lab(servers, seed, net == Net::reliable, snapshots);
        lab.run(scenario(lab));
        lab.check();
    });
}

// ---- 3C --------------------------------------------------------------------------------------

Task<> persist1(RaftLab& lab) {
    co_await lab.one("11", 3, true);
    for (ServerId i = 0; i < 3; ++i) lab.crash(i);
    for (ServerId i = 0; i < 3; ++i) lab.restart(i);
    co_await lab.one("12", 3, true);
    const ServerId leader1 = co_await lab.check_one_leader();
    lab.restart(leader1);
    co_await lab.one("13", 3, true);
    const ServerId leader2 = co_await lab.check_one_leader();
    lab.crash(leader2);
    co_await lab.one("14", 2, true);
    lab.restart(leader2);
    co_await lab.wait(4, 3, std::nullopt);
    const ServerId third = ((co_await lab.check_one_leader()) + 1) % 3;
    lab.crash(third);
    co_await lab.one("15", 2, true);
    lab.restart(third);
    co_await lab.one("16", 3, true);
}

Task<> persist2(RaftLab& lab) {
    int command = 10;
    for (int round = 0; round < 5; ++round) {
        co_await lab.one(std::to_string(command++), 5, true);
        const ServerId leader = co_await lab.check_one_leader();
        const auto server = [leader](std::size_t i) { return (leader + i) % 5; };
        lab.crash(server(1));
        lab.crash(server(2));
        co_await lab.one(std::to_string(command++), 3, true);
        lab.crash(server(0));
        lab.crash(server(3));
        lab.crash(server(4));
        lab.restart(server(1));
        lab.restart(server(2));
        co_await lab.sleep(election_timeout);
        lab.restart(server(3));
        co_await lab.one(std::to_string(command++), 3, true);
        lab.restart(server(4));
        lab.restart(server(0));
    }
    co_await lab.one("1000", 5, true);
}

Task<> persist3(RaftLab& lab) {
    co_await lab.one("101", 3, true);
    const ServerId leader = co_await lab.check_one_leader();
    lab.disconnect((leader + 2) % 3);
    co_await lab.one("102", 2, true);
    lab.crash(leader);
    lab.crash((leader + 1) % 3);
    lab.connect((leader + 2) % 3);
    lab.restart(leader);
    co_await lab.one("103", 2, true);
    lab.restart((leader + 1) % 3);
    co_await lab.one("104", 3, true);
}

Task<> figure8(RaftLab& lab) {
    co_await lab.one(random_command(lab), 1, true);
    std::size_t up = 5;
    for (int iteration = 0; iteration < 1000; ++iteration) {
        std::optional<ServerId> leader;
        for (ServerId i = 0; i < 5; ++i) {
            if (lab.up(i) && lab.server(i).start(random_command(lab))) leader = i;
        }
        co_await lab.sleep(lab.random_milliseconds(lab.random_below(1000) < 100 ? 500 : 13));
        if (leader) {
            lab.crash(*leader);
            --up;
        }
        if (up < 3) {
            const ServerId server = lab.random_below(5);
            if (!lab.up(server)) {
                lab.restart(server);
                ++up;
            }
        }
    }
    for (ServerId i = 0; i < 5; ++i) {
        if (!lab.up(i)) lab.restart(i);
    }
    co_await lab.one(random_command(lab), 5, true);
}

Task<> agree(RaftLab& lab, std::string command) { co_await lab.one(std::move(command), 1, true); }

Task<> unreliable_agree(RaftLab& lab) {
    Group group(lab);
    for (int round = 1; round < 50; ++round) {
        for (int j = 0; j < 4; ++j) {
            std::string command = std::to_string(100 * round + j);
            group.spawn(agree(lab, std::move(command)));
        }
        co_await lab.one(std::to_string(round), 1, true);
    }
    lab.network().reliable = true;
    co_await group.wait();
    co_await lab.one("100", 5, true);
}

Task<> figure8_unreliable(RaftLab& lab) {
    co_await lab.one(std::to_string(lab.random_below(10000)), 1, true);
    for (int iteration = 0; iteration < 1000; ++iteration) {
        if (iteration == 200) lab.network().long_reordering = true;
        std::optional<ServerId> leader;
        for (ServerId i = 0; i < 5; ++i) {
            const auto started = lab.server(i).start(std::to_string(lab.random_below(10000)));
            if (started && lab.connected(i)) leader = i;
        }
        co_await lab.sleep(lab.random_milliseconds(lab.random_below(1000) < 100 ? 500 : 13));
        if (leader && lab.random_below(1000) < 500) lab.disconnect(*leader);
        if (lab.connected_count() < 3) {
            const ServerId server = lab.random_below(5);
            if (!lab.connected(server)) lab.connect(server);
        }
    }
    lab.connect_all();
    co_await lab.one(std::to_string(lab.random_below(10000)), 5, true);
}

// One client of the churn: its values that it saw committed.
Task<> churn_client(RaftLab& lab, int id, const bool& stop, std::vector<std::string>& seen) {
    while (!stop) {
        const std::string command = random_command(lab);
        std::optional<std::uint64_t> index;
        for (ServerId i = 0; i < 5; ++i) {
            if (!lab.up(i)) continue;
            if (const auto started = lab.server(i).start(command)) index = started->index;
        }
        if (!index) {
            co_await lab.sleep(std::chrono::milliseconds(79 + id * 17));
            continue;
        }
        for (const int delay : {10, 20, 50, 100, 200}) {
            const auto [count, value] = lab.committed(*index);
            if (count > 0) {
                if (value == command) seen.push_back(command);
                break;
            }
            co_await lab.sleep(std::chrono::milliseconds(delay));
        }
    }
}

Task<> churn(RaftLab& lab) {
    bool stop = false;
    Group clients(lab);
    std::vector<std::vector<std::string>> seen(3);
    for (int id = 0; id < 3; ++id) {
        clients.spawn(churn_client(lab, id, stop, seen[static_cast<std::size_t>(id)]));
    }
    for (int round = 0; round < 20; ++round) {
        if (lab.random_below(1000) < 200) lab.disconnect(lab.random_below(5));
        if (lab.random_below(1000) < 500) {
            const ServerId server = lab.random_below(5);
            if (!lab.up(server)) lab.restart(server);
            lab.connect(server);
        }
        if (lab.random_below(1000) < 200) {
            const ServerId server = lab.random_below(5);
            if (lab.up(server)) lab.crash(server);
        }
        co_await lab.sleep(election_timeout * 7 / 10);
    }
    co_await lab.sleep(election_timeout);
    lab.network().reliable = true;
    for (ServerId i = 0; i < 5; ++i) {
        if (!lab.up(i)) lab.restart(i);
        lab.connect(i);
    }
    stop = true;
    co_await clients.wait();
    co_await lab.sleep(election_timeout);
    const std::uint64_t last = co_await lab.one(random_command(lab), 5, true);

    std::vector<std::string> log;
    for (std::uint64_t index = 1; index <= last; ++index) {
        const auto command = co_await lab.wait(index, 5, std::nullopt);
        log.push_back(*command);
    }
    for (const auto& commands : seen) {
        for (const std::string& command : commands) {
            require(std::ranges::find(log, command) != log.end(),
                    "a command that was committed is not in the log");
        }
    }
}

// ---- 3D --------------------------------------------------------------------------------------

Task<> snapshots(RaftLab& lab, Victim kind) {
    co_await lab.one(random_command(lab), 3, true);
    ServerId leader = co_await lab.check_one_leader();
    for (int iteration = 0; iteration < 30; ++iteration) {
        ServerId victim = (leader + 1) % 3;
        ServerId sender = leader;
        if (iteration % 3 == 1) std::swap(victim, sender);
        const std::size_t expected = kind == Victim::none ? 3 : 2;
        if (kind == Victim::disconnected) lab.disconnect(victim);
        if (kind == Victim::crashed) lab.crash(victim);
        if (kind != Victim::none) co_await lab.one(random_command(lab), 2, true);

        // Perhaps send enough to get a snapshot.
        const std::uint64_t count =
            RaftServer::snapshot_interval / 2 + lab.random_below(RaftServer::snapshot_interval);
        for (std::uint64_t i = 0; i < count && lab.up(sender); ++i) {
            lab.server(sender).start(random_command(lab));
        }
        co_await lab.one(random_command(lab), expected, true);
        require(lab.largest_log() < max_log_size,
                "the log is too large: " + std::to_string(lab.largest_log()));
        if (kind == Victim::none) continue;
        if (kind == Victim::disconnected) lab.connect(victim);
        if (kind == Victim::crashed) lab.restart(victim);
        co_await lab.one(random_command(lab), 3, true);
        leader = co_await lab.check_one_leader();
    }
}

Task<> snapshot_all_crash(RaftLab& lab) {
    co_await lab.one(random_command(lab), 3, true);
    for (int round = 0; round < 5; ++round) {
        const std::uint64_t count =
            RaftServer::snapshot_interval / 2 + lab.random_below(RaftServer::snapshot_interval);
        for (std::uint64_t i = 0; i < count; ++i) co_await lab.one(random_command(lab), 3, true);
        const std::uint64_t before = co_await lab.one(random_command(lab), 3, true);
        for (ServerId i = 0; i < 3; ++i) lab.crash(i);
        for (ServerId i = 0; i < 3; ++i) lab.restart(i);
        const std::uint64_t after = co_await lab.one(random_command(lab), 3, true);
        require(after >= before + 1, "the index went back after a crash of all");
    }
}

Task<> snapshot_init(RaftLab& lab) {
    co_await lab.one(random_command(lab), 3, true);
    for (std::uint64_t i = 0; i < RaftServer::snapshot_interval + 1; ++i) {
        co_await lab.one(random_command(lab), 3, true);
    }
    for (int round = 0; round < 2; ++round) {
        for (ServerId i = 0; i < 3; ++i) lab.crash(i);
        for (ServerId i = 0; i < 3; ++i) lab.restart(i);
        co_await lab.one(random_command(lab), 3, true);
    }
}

template <Victim Kind>
Task<> snapshots_with(RaftLab& lab) {
    return snapshots(lab, Kind);
}

}  // namespace

TEST_CASE("TestPersist13C") { run(3, Net::reliable, false, persist1); }
TEST_CASE("TestPersist23C") { run(5, Net::reliable, false, persist2); }
TEST_CASE("TestPersist33C") { run(3, Net::reliable, false, persist3); }
TEST_CASE("TestFigure83C") { run(5, Net::reliable, false, figure8); }
TEST_CASE("TestUnreliableAgree3C") { run(5, Net::unreliable, false, unreliable_agree); }
TEST_CASE("TestFigure8Unreliable3C") { run(5, Net::unreliable, false, figure8_unreliable); }
TEST_CASE("TestReliableChurn3C") { run(5, Net::reliable, false, churn); }
TEST_CASE("TestUnreliableChurn3C") { run(5, Net::unreliable, false, churn); }

TEST_CASE("TestSnapshotBasic3D") { run(3, Net::reliable, true, snapshots_with<Victim::none>); }
TEST_CASE("TestSnapshotInstall3D") {
    run(3, Net::reliable, true, snapshots_with<Victim::disconnected>);
}
TEST_CASE("TestSnapshotInstallUnreliable3D") {
    run(3, Net::unreliable, true, snapshots_with<Victim::disconnected>);
}
TEST_CASE("TestSnapshotInstallCrash3D") {
    run(3, Net::reliable, true, snapshots_with<Victim::crashed>);
}
TEST_CASE("TestSnapshotInstallUnCrash3D") {
    run(3, Net::unreliable, true, snapshots_with<Victim::crashed>);
}
TEST_CASE("TestSnapshotAllCrash3D") { run(3, Net::unreliable, true, snapshot_all_crash); }
TEST_CASE("TestSnapshotInit3D") { run(3, Net::unreliable, true, snapshot_init); }

}  // namespace raft_3cd_test
