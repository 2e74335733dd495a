// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The TCP transport over time: what it does when, over simulated sockets on a virtual clock.
#include <raft/protocol/message.hpp>
#include <rsm/sim/world/network.hpp>
#include <rsm/sim/world/process.hpp>
#include <rsm/sim/world/stream_net.hpp>
#include <rsm/sim/world/streams.hpp>
#include <rsm/sim/world/world.hpp>
#include <rsm/transport/tcp/running.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/greeting.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tcp_time_test {

namespace {

using namespace std::chrono_literals;
using raft::NodeId;
using Transport = rsm::BasicRunningTcpTransport<rsm::sim::StreamNet>;

/// Two hosts with a transport each, once they are started.
struct Hosts {
    struct Host {
        explicit Host(rsm::sim::World& world) : process(world, [] {}) {}
        rsm::sim::Process process;
        std::unique_ptr<Transport> transport;
        std::vector<raft::Message> received;
        std::vector<rsm::PeerStatus> changes;
    };

    explicit Hosts(rsm::TcpOptions given = {}) : options(std::move(given)) {
        links.conditions.delay_min = 1ms;
        links.conditions.delay_max = 1ms + 1ns;
        streams.short_moves = 0;
        for (std::uint64_t id = 1; id <= 2; ++id) {
            hosts[id] = std::make_unique<Host>(world);
            options.peers[NodeId{id}] = "10.0.0." + std::to_string(id) + ":7000";
        }
    }
    ~Hosts() {
        // Handlers that have not run refer to the hosts.
        for (auto& [id, host] : hosts) host->transport.reset();
        world.discard();
    }

    void start(std::uint64_t id) {
        Host& host = *hosts[id];
        streams.power_on({id});
        rsm::TcpOptions own = options;
        own.self = {id};
        // Then it is dialled, but dials nobody itself.
        if (id == silent) own.peers[NodeId{3 - id}] = "10.0.0.9:7000";
        own.on_peer_change = [&host](const rsm::PeerStatus& status) {
            host.changes.push_back(status);
        };
        host.transport = std::make_unique<Transport>(
            host.process.get_executor(), own,
            rsm::sim::StreamNet({&streams, {id}, &host.process}, ++seeds));
        host.transport->start(
            [&host](raft::Message message) { host.received.push_back(std::move(message)); });
    }
    void start_both() {
        start(1);
        start(2);
        REQUIRE(run_until([this] { return connected(); }, 1s));
    }
    void power_off(std::uint64_t id) {
        streams.power_off({id});
        hosts[id]->transport.reset();
    }
    void cut(bool is_cut) {
        links.cut({1}, {2}, is_cut);
        links.cut({2}, {1}, is_cut);
    }
    bool connected() { return transport(1).connected({2}) && transport(2).connected({1}); }
    /// Since `what`, until node 1 has a connection to node 2.
    raft::Duration gap_after(const std::function<void()>& what) {
        what();
        const raft::Time began = world.now();
        REQUIRE(run_until([this] { return !transport(1).connected({2}); }, 10s));
        REQUIRE(run_until([this] { return transport(1).connected({2}); }, 10s));
        return world.now() - began;
    }
    void restart(std::uint64_t id) {
        host(id).transport.reset();
        start(id);
    }
    /// A message from 1 to 2.
    void send(std::uint64_t term = 1) {
        transport(1).send({{1}, {2}, raft::VoteReply{raft::Term{term}, raft::Term{1}, false}});
    }
    Transport& transport(std::uint64_t id) { return *hosts[id]->transport; }
    Host& host(std::uint64_t id) { return *hosts[id]; }

    template <class Condition>
    bool run_until(Condition holds, raft::Duration limit) {
        return world.run_until(holds, world.now() + limit);
    }
    void run_for(raft::Duration duration) { world.run_for(duration); }

    rsm::TcpOptions options;
    std::map<std::uint64_t, std::unique_ptr<Host>> hosts;
    rsm::sim::World world;
    rsm::sim::Network links{world, 2, 1};
    rsm::sim::StreamNetwork streams{world, links, 1};
    std::uint64_t seeds = 0;
    std::uint64_t silent = 0;
};

}  // namespace

TEST_CASE("tcp time: messages arrive in order, in pieces of any size") {
    Hosts hosts;
    hosts.streams.short_moves = 900;
    hosts.streams.window_bytes = 50;
    hosts.start_both();
    for (std::uint64_t term = 1; term <= 300; ++term) hosts.send(term);
    REQUIRE(hosts.run_until([&] { return hosts.host(2).received.size() == 300; }, 60s));
    for (std::uint64_t term = 1; term <= 300; ++term) {
        const auto& reply = std::get<raft::VoteReply>(hosts.host(2).received[term - 1].body);
        CHECK(reply.term == raft::Term{term});
    }
    CHECK(hosts.transport(1).counters().messages_dropped == 0);
}

TEST_CASE("tcp time: attempts become rarer, up to the longest wait") {
    Hosts hosts;
    hosts.start(1);
    hosts.run_for(2s);
    const std::uint64_t first = hosts.transport(1).counters().connect_failures;
    CHECK(first >= 6);
    CHECK(first <= 12);
    hosts.run_for(60s);
    const std::uint64_t later = hosts.transport(1).counters().connect_failures - first;
    CHECK(later >= 120);
    CHECK(later <= 240);
}

TEST_CASE("tcp time: after a connection that lasted, the first attempt comes soon") {
    Hosts hosts;
    hosts.silent = 2;
    hosts.start(1);
    hosts.run_for(30s);
    hosts.start(2);
    REQUIRE(hosts.run_until([&] { return hosts.transport(1).connected({2}); }, 1s));
    hosts.run_for(hosts.options.user_timeout + 1ms);
    CHECK(hosts.gap_after([&] { hosts.restart(2); }) < 30ms);
    // That one did not last: whoever pushes it out at once is not dialled at full speed.
    raft::Duration longest{};
    for (int i = 0; i < 8; ++i) {
        longest = std::max(longest, hosts.gap_after([&] { hosts.restart(2); }));
    }
    CHECK(longest > 250ms);
    CHECK(longest < 510ms);
}

TEST_CASE("tcp time: a step's time limit does not end the next step") {
    Hosts hosts;
    hosts.silent = 2;
    hosts.start(2);
    hosts.start(1);
    // What comes and what expires meanwhile waits together.
    hosts.host(1).process.pause();
    hosts.run_for(hosts.options.connect_timeout + 10ms);
    hosts.host(1).process.resume();
    CHECK(hosts.run_until([&] { return hosts.transport(1).connected({2}); }, 10ms));
    CHECK(hosts.transport(1).counters().connect_failures == 0);
}

TEST_CASE("tcp time: a peer that has introduced itself just in time is no stranger") {
    Hosts hosts;
    hosts.silent = 2;
    const auto hello =
        rsm::detail::encode(rsm::detail::Hello{{1}, {2}, 0, {}, {}, hosts.options.cluster, {}});
    hosts.streams.window_bytes = hello.size() - 1;
    hosts.options.handshake_timeout = 700ms;
    hosts.start(2);
    hosts.options.handshake_timeout = 2s;
    hosts.start(1);
    hosts.run_for(3500us);  // the greeting's last byte is on its way
    REQUIRE(hosts.transport(2).counters().accepts == 0);
    hosts.host(2).process.pause();
    hosts.run_for(750ms);
    hosts.host(2).process.resume();
    hosts.run_for(100ms);
    CHECK(hosts.transport(1).connected({2}));
    CHECK(hosts.transport(1).counters().connects == 1);
    CHECK(hosts.transport(2).counters().accepts == 1);
    CHECK(hosts.transport(2).counters().handshakes_refused == 0);
}

TEST_CASE("tcp time: a stranger who says nothing goes when its time is over") {
    Hosts hosts;
    hosts.options.handshake_timeout = 700ms;
    hosts.start(2);
    hosts.streams.connect(
        {1}, hosts.host(1).process, {rsm::sim::StreamNetwork::address_of({2}), 7000},
        [] { return true; }, [](auto, const auto&) {});
    hosts.run_for(699ms);
    CHECK(hosts.transport(2).counters().handshakes_refused == 0);
    hosts.run_for(10ms);
    CHECK(hosts.transport(2).counters().refusals[rsm::TcpRefusal::hello_timeout] == 1);
}

TEST_CASE("tcp time: where the system is slow to repeat, a new connection is made meanwhile") {
    Hosts hosts;
    hosts.start_both();
    const std::size_t changes = hosts.host(1).changes.size();
    hosts.cut(true);
    hosts.send();
    hosts.run_for(650ms);
    hosts.cut(false);
    CHECK(hosts.run_until([&] { return hosts.transport(1).counters().connects == 2; }, 300ms));
    CHECK(hosts.host(1).changes.size() == changes);  // it was connected all the time
    hosts.send();
    CHECK(hosts.run_until([&] { return !hosts.host(2).received.empty(); }, 10ms));
}

TEST_CASE("tcp time: a short interruption costs no connection") {
    Hosts hosts;
    hosts.start_both();
    const std::size_t changes = hosts.host(1).changes.size();
    hosts.cut(true);
    hosts.send();
    hosts.run_for(500ms);
    hosts.cut(false);
    for (int i = 0; i < 5; ++i) {  // as heartbeats do
        hosts.send();
        hosts.run_for(20ms);
    }
    CHECK(!hosts.host(2).received.empty());
    CHECK(hosts.host(1).changes.size() == changes);
}

TEST_CASE("tcp time: a host that acknowledges nothing is told, and dialled anew") {
    Hosts hosts;
    hosts.start_both();
    hosts.cut(true);
    hosts.send();
    CHECK(hosts.run_until([&] { return !hosts.transport(1).connected({2}); },
                          2 * hosts.options.user_timeout));
    hosts.run_for(1ms);
    CHECK(hosts.host(1).changes.back().reason.find("nothing is acknowledged") != std::string::npos);
    hosts.run_for(60s);
    hosts.cut(false);
    // An attempt that hangs, the longest wait, and an attempt.
    CHECK(hosts.run_until([&] { return hosts.connected(); },
                          hosts.options.connect_timeout + hosts.options.reconnect_max + 20ms));
}

TEST_CASE("tcp time: a process that takes nothing in is told, although its host acknowledges") {
    Hosts hosts;
    hosts.streams.window_bytes = 100;
    hosts.start_both();
    hosts.host(2).process.pause();
    for (int i = 0; i < 100; ++i) hosts.send();
    CHECK(hosts.run_until([&] { return !hosts.transport(1).connected({2}); },
                          2 * hosts.options.user_timeout));
}

TEST_CASE("tcp time: a peer whose power failed is reached as soon as it is back") {
    for (const raft::Duration away : {raft::Duration(100ms), raft::Duration(20s)}) {
        Hosts hosts;
        hosts.start_both();
        hosts.power_off(2);
        hosts.run_for(away);
        hosts.start(2);
        hosts.run_for(30ms);
        CHECK(hosts.connected());
        CHECK(hosts.transport(1).counters().connects == 2);
        hosts.send();
        CHECK(hosts.run_until([&] { return !hosts.host(2).received.empty(); }, 10ms));
    }
}

TEST_CASE("tcp time: a guest that is gone is dialled no more, until it says hello again") {
    Hosts hosts;
    const auto start = [&](std::uint64_t id) {
        hosts.start(id);
        raft::Membership founding;
        founding.put({{1}, raft::Standing::voter, {}, "10.0.0.1:7000"});
        hosts.transport(id).identify({{id}, "c", founding, {100 + id}, id == 1});
        if (id == 1) hosts.transport(1).set_members(founding);
    };
    start(1);
    CHECK(hosts.transport(1).peers().empty());
    start(2);
    REQUIRE(hosts.run_until([&] { return hosts.connected(); }, 5s));
    hosts.host(2).transport.reset();
    hosts.run_for(3 * hosts.options.user_timeout);
    CHECK(hosts.transport(1).peers().size() == 1);
    CHECK(hosts.run_until([&] { return hosts.transport(1).peers().empty(); },
                          6 * hosts.options.user_timeout));
    start(2);
    CHECK(hosts.run_until([&] { return hosts.connected(); }, 5s));
}

TEST_CASE("tcp time: a connection to replace is tried for again, although the old one stands") {
    Hosts hosts;
    hosts.start_both();
    hosts.power_off(2);
    hosts.start(2);
    REQUIRE(hosts.run_until([&] { return hosts.transport(1).counters().accepts == 2; }, 1s));
    hosts.links.cut({1}, {2}, true);
    hosts.run_for(hosts.options.connect_timeout + 10ms);
    hosts.links.cut({1}, {2}, false);
    CHECK(hosts.transport(1).counters().connects == 1);
    CHECK(hosts.run_until([&] { return hosts.transport(1).counters().connects == 2; }, 100ms));
}

TEST_CASE("tcp time: what goes on is told less and less often") {
    Hosts hosts;
    hosts.silent = 2;
    hosts.start(2);
    std::vector<rsm::TcpRefused> told;
    hosts.restart(2);
    hosts.options.on_refusal = [&](const rsm::TcpRefused& refused) { told.push_back(refused); };
    hosts.restart(2);
    hosts.options.cluster = "another";
    hosts.start(1);
    hosts.run_for(10min);
    CHECK(told.size() >= 10);
    CHECK(told.size() <= 17);
    std::uint64_t all = 0;
    for (const rsm::TcpRefused& one : told) all += 1 + one.suppressed;
    CHECK(all > 1000);
    CHECK(all <= hosts.transport(2).counters().handshakes_refused);
}

}  // namespace tcp_time_test
