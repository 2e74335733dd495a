// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Scenarios of Lab 3 that the labs do not have. The labs' reliable network and disks take no time,
// so that an entry is nearly always on all servers or on one and always durable at once. Here
// histories that need more are staged by cutting links, or made likely by calls and disks that
// take time.
#include "raft_lab.hpp"
#include "scenario.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace raft_sharper_test {

using namespace lab;

namespace {

struct Setup {
    std::size_t servers = 5;
    Elections elections = Elections::standard;
    std::uint64_t call_delay_below = 0;  // milliseconds
    std::uint64_t disk_delay = 0;        // milliseconds; 0: none
};

template <class Scenario>
void run(const Setup& setup, Scenario scenario) {
    for_each_seed([&](std::uint64_t seed) {
        RaftLab lab(setup.servers, seed, true, false, setup.elections);
        lab.network().delay_below = setup.call_delay_below;
        if (setup.disk_delay != 0) lab.slow_disks(setup.disk_delay);
        lab.run(scenario(lab));
        lab.check();
    });
}

template <class Condition>
Task<> until(RaftLab& lab, Condition holds, std::string what) {
    for (const raft::Time end = lab.now() + 10s; !holds();) {
        require(lab.now() < end, "waited in vain: " + what);
        co_await lab.sleep(1ms);
    }
}

// ---- Figure 8 --------------------------------------------------------------------------------

// The server in the middle sees the others, they do not see each other: nobody else can win.
void star(RaftLab& lab, ServerId centre, const std::vector<ServerId>& others) {
    for (ServerId i = 0; i < lab.size(); ++i) lab.network().connect(i, false);
    for (const ServerId other : others) {
        lab.network().link(centre, other, true);
        lab.network().link(other, centre, true);
    }
}

// The servers of the figure by its numbers.
struct Cast {
    ServerId s1, s2, s3, s4, s5;
};

// Stages (a) to (c): "2" is on a majority, but as an entry of a term before the leader's.
Task<Cast> figure8_abc(RaftLab& lab) {
    co_await lab.one("1", 5, true);
    const ServerId leader = co_await lab.check_one_leader();
    const auto other = [leader](std::size_t i) { return (leader + i) % 5; };
    const Cast cast{leader, other(1), other(2), other(3), other(4)};
    const auto last = [&lab](ServerId i) { return lab.server(i).last_index(); };

    star(lab, cast.s1, {cast.s2});
    const auto two = lab.server(cast.s1).start("2");
    require(two && two->index == 2, "(a): the leader refused a command");
    co_await until(
        lab, [&] { return last(cast.s2) == 2; }, "(a): the entry reaches S2");
    lab.crash(cast.s1);

    star(lab, cast.s5, {cast.s3, cast.s4});
    co_await until(
        lab, [&] { return lab.server(cast.s5).leads(); }, "(b): S5 leads");
    star(lab, cast.s5, {});
    const auto three = lab.server(cast.s5).start("3");
    require(three && three->index == 2, "(b): the leader refused a command");
    co_await lab.sleep(10ms);
    lab.crash(cast.s5);

    lab.restart(cast.s1);
    star(lab, cast.s1, {cast.s2, cast.s3});
    co_await until(
        lab, [&] { return lab.server(cast.s1).leads(); }, "(c): S1 leads again");
    co_await until(
        lab, [&] { return last(cast.s3) == 2; }, "(c): the entry reaches S3");
    co_await lab.sleep(200ms);  // enough for a leader that counts its replicas to commit it
    co_return cast;
}

// Stage (d): what was on a majority is overwritten.
Task<> figure8_d(RaftLab& lab) {
    const Cast cast = co_await figure8_abc(lab);
    star(lab, cast.s1, {});
    lab.server(cast.s1).start("4");
    co_await lab.sleep(10ms);
    lab.crash(cast.s1);

    lab.restart(cast.s5);
    star(lab, cast.s5, {cast.s2, cast.s3, cast.s4});
    co_await until(
        lab, [&] { return lab.server(cast.s5).leads(); }, "(d): S5 leads again");
    const auto five = lab.server(cast.s5).start("5");
    require(five && five->index == 3, "(d): the leader refused a command");
    const auto delivered = co_await lab.wait(2, 4, std::nullopt);
    require(delivered == "3", "(d): another command was delivered");

    lab.restart(cast.s1);
    lab.connect_all();
    co_await lab.one("6", 5, true);
    const auto [count, command] = lab.committed(2);
    require(count == 5 && command == "3", "(d): an overwritten command came back");
}

// Stage (e): once an entry of its own term is on a majority, what precedes it is safe.
Task<> figure8_e(RaftLab& lab) {
    const Cast cast = co_await figure8_abc(lab);
    const auto four = lab.server(cast.s1).start("4");
    require(four && four->index == 3, "(e): the leader refused a command");
    const auto delivered = co_await lab.wait(2, 3, std::nullopt);
    require(delivered == "2", "(e): another command was delivered");
    lab.crash(cast.s1);

    lab.restart(cast.s5);
    star(lab, cast.s5, {cast.s2, cast.s3, cast.s4});
    for (int i = 0; i < 3000; ++i) {
        require(!lab.server(cast.s5).leads(), "(e): S5 cannot win an election");
        co_await lab.sleep(1ms);
    }
    lab.restart(cast.s1);
    lab.connect_all();
    co_await lab.one("5", 5, true);
    const auto [count, command] = lab.committed(2);
    require(count == 5 && command == "2", "(e): a committed command was overwritten");
}

// As TestFigure83C, but a leader has calls under way when it crashes, a command reaches only some
// of the others, and not every leader is given one, so that some have nothing but their
// predecessors' entries to replicate.
Task<> figure8_slow(RaftLab& lab) {
    co_await lab.one(random_command(lab), 1, true);
    for (const raft::Time end = lab.now() + 100s; lab.now() < end;) {
        std::optional<ServerId> leader;
        std::vector<ServerId> down;
        for (ServerId i = 0; i < 5; ++i) {
            if (!lab.up(i)) {
                down.push_back(i);
            } else if (lab.server(i).leads()) {
                leader = i;
            }
        }
        if (!leader) {
            co_await lab.sleep(5ms);
            continue;
        }
        if (lab.random_below(2) == 0) {
            for (ServerId i = 0; i < 5; ++i) {
                if (lab.random_below(3) != 0) lab.network().link(*leader, i, false);
            }
            lab.server(*leader).start(random_command(lab));
        }
        const bool soon = lab.random_below(2) == 0;
        co_await lab.sleep(lab.random_milliseconds(soon ? 8 : 40));
        if (lab.random_below(3) == 0) {
            lab.connect(*leader);
            continue;
        }
        lab.crash(*leader);
        down.push_back(*leader);
        while (down.size() > 2 || (!down.empty() && lab.random_below(2) == 0)) {
            const std::size_t one = lab.random_below(down.size());
            lab.restart(down[one]);
            down.erase(down.begin() + static_cast<std::ptrdiff_t>(one));
        }
    }
    for (ServerId i = 0; i < 5; ++i) {
        if (!lab.up(i)) lab.restart(i);
    }
    co_await lab.one(random_command(lab), 5, true);
}

// ---- what a crash may not take away ----------------------------------------------------------

// The candidate enters the voters' next term, wins it with both of their votes if it can, and goes.
Task<> stand_alone(RaftLab& lab, ServerId candidate, std::vector<ServerId> voters, bool wins) {
    const std::uint64_t term = lab.server(voters[0]).term();
    lab.restart(candidate);
    star(lab, candidate, voters);
    const auto done = [&] {
        if (wins) return lab.server(candidate).leads();
        return lab.server(voters[0]).term() > term && lab.server(voters[1]).term() > term;
    };
    co_await until(lab, done, "a candidate of a new term");
    lab.crash(candidate);
    for (const ServerId i : voters) lab.restart(i);
}

// Two servers restart between two candidates of one term, each of which needs both of their votes.
// @param term_first  they have entered that term before they vote, because of a candidate whose
//                    log was too short
Task<> vote_survives_once(RaftLab& lab, bool term_first) {
    const ServerId leader = co_await lab.check_one_leader();
    const auto server = [leader](std::size_t i) { return (leader + i) % 5; };
    lab.disconnect(server(1));
    co_await lab.one(random_command(lab), 4, true);
    for (ServerId i = 0; i < 5; ++i) lab.crash(i);

    std::vector<ServerId> voters;
    voters.push_back(leader);
    voters.push_back(server(4));
    for (const ServerId i : voters) lab.make_patient(i, true);
    for (const ServerId i : voters) lab.restart(i);
    if (term_first) co_await stand_alone(lab, server(1), voters, false);
    co_await stand_alone(lab, server(2), voters, true);
    co_await stand_alone(lab, server(3), voters, true);

    for (const ServerId i : voters) lab.make_patient(i, false);
    for (ServerId i = 0; i < 5; ++i) lab.restart(i);
    lab.connect_all();
    co_await lab.one(random_command(lab), 5, true);
}

Task<> vote_survives(RaftLab& lab) {
    co_await lab.one(random_command(lab), 5, true);
    for (int round = 0; round < 6; ++round) {
        co_await vote_survives_once(lab, round % 2 == 1);
    }
}

// All servers crash at the moment at which a command has been delivered anywhere, when other disks
// may not have taken it in.
Task<> delivered_survives(RaftLab& lab) {
    for (int round = 0; round < 30; ++round) {
        co_await lab.one(random_command(lab), lab.size(), true);
        std::optional<std::uint64_t> index;
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (const auto started = lab.server(i).start(random_command(lab))) {
                index = started->index;
            }
        }
        if (!index) continue;
        for (int i = 0; i < 500 && lab.committed(*index).first == 0; ++i) co_await lab.sleep(1ms);
        for (ServerId i = 0; i < lab.size(); ++i) lab.crash(i);
        for (ServerId i = 0; i < lab.size(); ++i) lab.restart(i);
    }
    co_await lab.one(random_command(lab), lab.size(), true);
}

// Clients that submit to everybody while servers crash, singly and together.
Task<> submit_all_the_time(RaftLab& lab, const bool& stop) {
    while (!stop) {
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (lab.up(i)) lab.server(i).start(random_command(lab));
        }
        co_await lab.sleep(1ms + lab.random_milliseconds(20));
    }
}

Task<> crashes_under_load(RaftLab& lab) {
    bool stop = false;
    Group clients(lab);
    for (int i = 0; i < 4; ++i) clients.spawn(submit_all_the_time(lab, stop));
    for (int round = 0; round < 20; ++round) {
        co_await lab.sleep(300ms + lab.random_milliseconds(700));
        const bool all = lab.random_below(4) == 0;
        const ServerId victim = lab.random_below(lab.size());
        const ServerId second = lab.random_below(lab.size());
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (all || i == victim || i == second) lab.crash(i);
        }
        co_await lab.sleep(lab.random_milliseconds(300));
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (!lab.up(i)) lab.restart(i);
        }
    }
    stop = true;
    co_await clients.wait();
    co_await lab.one(random_command(lab), lab.size(), true);
}

// ---- how far back ----------------------------------------------------------------------------

// Two leaders of a minority and of a majority have filled their logs with different entries.
// Finding where they part takes a number of calls that does not grow with them.
Task<> far_back(RaftLab& lab) {
    co_await part_logs(lab, 500);
    // A leader begins to look at the end of its log, so let there be a new one.
    lab.restart(co_await lab.check_one_leader());
    co_await lab.check_one_leader();
    const std::uint64_t before = lab.network().calls_made();
    lab.connect_all();
    co_await lab.one(random_command(lab), 5, true);
    const std::uint64_t made = lab.network().calls_made() - before;
    require(made <= 40, "too many calls to find where two logs part: " + std::to_string(made));
}

const Setup staged{};
const Setup slow_calls{5, Elections::quick, 11, 0};
const Setup plain_elections{5, Elections::figure2, 0, 0};
const Setup slow_everything{5, Elections::standard, 11, 20};

}  // namespace

TEST_CASE("sharper: Figure 8 as the paper draws it, to (d)") { run(staged, figure8_d); }
TEST_CASE("sharper: Figure 8 as the paper draws it, to (e)") { run(staged, figure8_e); }
TEST_CASE("sharper: Figure 8 with calls that take time") { run(slow_calls, figure8_slow); }
TEST_CASE("sharper: a vote survives a restart") { run(plain_elections, vote_survives); }
TEST_CASE("sharper: what was delivered survives a crash of all") {
    run(slow_everything, delivered_survives);
}
TEST_CASE("sharper: crashes under load of several clients") {
    run(slow_everything, crashes_under_load);
}
TEST_CASE("sharper: a log that is far off is found in few calls") { run(staged, far_back); }

}  // namespace raft_sharper_test
