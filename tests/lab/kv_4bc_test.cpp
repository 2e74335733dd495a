// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Lab 4B and 4C (the kv service, without and with snapshots), under the labs' own names, each
// generic one also in its sharper form.
#include "kv/check/history_file.hpp"
#include "kv_generic.hpp"
#include "scenario.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace kv_4bc_test {

using namespace lab;

namespace {

constexpr std::int64_t max_raft_state = 1000;

void write_history(KvLab& lab, std::uint64_t seed) {
    const std::string name = next_history_file(seed);
    if (name.empty()) return;
    std::ofstream file(name);
    kv::check::write_kv_history(file, lab.history().operations());
    file.close();
    require(file.good(), "cannot write " + name);
    std::cout << "history: " << name << '\n';
}

template <class Scenario>
void run(const Generic& test, Scenario scenario) {
    for_each_seed([&](std::uint64_t seed) {
        KvLab lab(test.servers, seed, test.reliable, test.max_raft_state);
        lab.limit_events(2'000'000 * test.clients);
        if (test.slow_disks) lab.slow_disks(10);
        std::exception_ptr failure;
        try {
            lab.run(scenario(lab));
            lab.check_history();
        } catch (...) {
            failure = std::current_exception();
        }
        write_history(lab, seed);  // of a scenario that failed above all
        if (failure) std::rethrow_exception(failure);
    });
}

void run_generic(const Generic& test) {
    run(test, [&](KvLab& lab) { return generic(lab, test); });
}
void run_sharper(Generic test, bool slow_disks = false) {
    test.slow_disks = slow_disks;
    test.crash = true;
    test.partitions = true;
    run(test, [&](KvLab& lab) { return sharper(lab, test); });
}

// ---- special tests ---------------------------------------------------------------------------

Task<> speed(KvLab& lab) {
    constexpr std::uint64_t operations = 1000;
    Clerk clerk(lab);
    co_await clerk.get("x");
    const raft::Time begin = lab.now();
    for (std::uint64_t i = 0; i < operations; ++i) {
        const raft::Time sent = lab.now();
        const KvOutput put = co_await clerk.put("k", std::to_string(i), i);
        require(put.error == KvError::ok, "a sequential put failed");
        require(lab.now() - sent < 500ms, "a put took half a second");
    }
    const KvOutput got = co_await clerk.get("k");
    require(got.version == operations, "a put was lost or repeated");
    const raft::Duration each = (lab.now() - begin) / operations;
    require(each <= 100ms / 3, "an operation takes longer than a third of a heartbeat interval");
}

Task<> put_done(Clerk& clerk, std::string value, std::uint64_t version, std::uint64_t& stored) {
    stored = co_await clerk.put_at_least_once("1", std::move(value), version);
}
Task<> get_done(Clerk& clerk) { co_await clerk.get("1"); }

Task<> expect(Clerk& clerk, std::string key, std::string value) {
    const KvOutput got = co_await clerk.get(key);
    require(got.error == KvError::ok && got.value == value,
            "the value of " + key + " is " + got.value + ", not " + value);
}

Task<> one_partition(KvLab& lab) {
    Clerk all(lab);
    std::uint64_t version = co_await all.put_at_least_once("1", "13", 0);
    const ServerId leader = co_await lab.wait_for_leader();
    const auto [majority, minority] = lab.make_partition(leader);
    lab.partition(majority, minority);
    Clerk a(lab, majority);
    Clerk b(lab, minority);
    Clerk c(lab, minority);
    version = co_await a.put_at_least_once("1", "14", version + 1);
    co_await expect(a, "1", "14");

    std::uint64_t stored = 0;
    Group puts(lab);
    Group gets(lab);
    puts.spawn(put_done(b, "15", version + 1, stored));
    gets.spawn(get_done(c));
    co_await lab.sleep(1s);
    require(puts.running() == 1, "a put completed in a minority");
    require(gets.running() == 1, "a get completed in a minority");
    co_await expect(a, "1", "14");
    co_await a.put_at_least_once("1", "16", version + 1);
    co_await expect(a, "1", "16");

    lab.connect_all();
    for (Clerk* clerk : {&a, &b, &c}) clerk->reach_all();
    co_await lab.sleep(election_timeout);
    const bool put_completed = co_await puts.wait_for(3s);
    require(put_completed, "a put did not complete after the heal");
    const KvOutput got = co_await all.get("1");
    require(got.value == "15" && got.version == stored + 1, "the late put is not there");
    const bool get_completed = co_await gets.wait_for(3s);
    require(get_completed, "a get did not complete after the heal");
}

Task<> snapshot_rpc(KvLab& lab) {
    Clerk clerk(lab);
    co_await clerk.put_at_least_once("a", "A", 0);
    lab.partition({0, 1}, {2});
    clerk.reach({0, 1});
    for (int i = 0; i < 50; ++i) {
        const std::string text = std::to_string(i);
        co_await clerk.put_at_least_once(text, text, 0);
    }
    co_await lab.sleep(election_timeout);
    co_await clerk.put_at_least_once("b", "B", 0);
    require(lab.largest_log() <= 8 * max_raft_state, "the Raft state is too large");

    // Server 2 must catch up from a snapshot to be of use.
    lab.partition({0, 2}, {1});
    clerk.reach({0, 2});
    co_await clerk.put_at_least_once("c", "C", 0);
    co_await clerk.put_at_least_once("d", "D", 0);
    co_await expect(clerk, "a", "A");
    co_await expect(clerk, "b", "B");
    co_await expect(clerk, "1", "1");
    co_await expect(clerk, "49", "49");
    require(lab.replica(2).status().snapshot.value > 0, "server 2 did not install a snapshot");

    lab.connect_all();
    clerk.reach_all();
    co_await clerk.put_at_least_once("e", "E", 0);
    co_await expect(clerk, "c", "C");
    co_await expect(clerk, "e", "E");
    co_await expect(clerk, "1", "1");
}

Task<> snapshot_size(KvLab& lab) {
    Clerk clerk(lab);
    std::uint64_t version = 0;
    for (int i = 0; i < 200; ++i) {
        for (const char* value : {"0", "1"}) {
            version = 1 + co_await clerk.put_at_least_once("x", value, version);
            co_await expect(clerk, "x", value);
        }
    }
    require(lab.largest_log() <= 8 * max_raft_state, "the Raft state is too large");
    require(lab.largest_snapshot() <= 500,
            "the snapshot is too large: " + std::to_string(lab.largest_snapshot()));
    require(lab.largest_snapshot() > 0, "no snapshot was taken");
}

Task<> read_again_and_again(KvLab& lab, Clerk& clerk, const bool& stop) {
    while (!stop) {
        co_await clerk.get("k");
        co_await lab.sleep(1ms);
    }
}

// A client that only reads stays with a leader that has been cut off, while others write: there is
// a time in which the old leader does not know yet that there is a new one. The history tells
// whether it answered.
Task<> readers_at_an_old_leader(KvLab& lab) {
    Clerk writer(lab);
    std::uint64_t version = 0;
    for (int round = 0; round < 10; ++round) {
        version = 1 + co_await writer.put_at_least_once("k", "together", version);
        const ServerId leader = co_await lab.wait_for_leader();
        const auto [majority, minority] = lab.make_partition(leader);
        lab.partition(majority, minority);
        Clerk inside(lab, majority);
        Clerk reader(lab, minority);
        bool stop = false;
        Group readers(lab);
        readers.spawn(read_again_and_again(lab, reader, stop));
        for (int i = 0; i < 50; ++i) {
            version = 1 + co_await inside.put_at_least_once("k", std::to_string(i), version);
            co_await lab.sleep(10ms);
        }
        stop = true;
        lab.connect_all();
        reader.reach_all();
        co_await readers.wait();
    }
}

const Generic basic{1};
const Generic concurrent{5};
const Generic unreliable{5, 5, false};
const Generic many_partitions_one{1, 5, true, false, true};
const Generic many_partitions_many{5, 5, true, false, true};
const Generic persist_one{1, 5, true, true};
const Generic persist_concurrent{5, 5, true, true};
const Generic persist_concurrent_unreliable{5, 5, false, true};
const Generic persist_partition{5, 5, true, true, true};
const Generic persist_partition_unreliable{5, 5, false, true, true};
const Generic persist_linearizable{15, 7, false, true, true, -1, true};
const Generic snapshot_recover{1, 5, true, true, false, max_raft_state};
const Generic snapshot_recover_many{20, 5, true, true, false, max_raft_state};
const Generic snapshot_unreliable{5, 5, false, false, false, max_raft_state};
const Generic snapshot_unreliable_recover{5, 5, false, true, false, max_raft_state};
const Generic snapshot_partition{5, 5, false, true, true, max_raft_state};
const Generic snapshot_linearizable{15, 7, false, true, true, max_raft_state, true};
const Generic three_reliable{1, 3, true};
const Generic five_unreliable{1, 5, false};
const Generic five_reliable{1, 5, true};
const Generic three_snapshots{1, 3, true, false, false, max_raft_state};

}  // namespace

TEST_CASE("TestBasic4B") { run_generic(basic); }
TEST_CASE("TestSpeed4B") { run(three_reliable, speed); }
TEST_CASE("TestConcurrent4B") { run_generic(concurrent); }
TEST_CASE("TestUnreliable4B") { run_generic(unreliable); }
TEST_CASE("TestOnePartition4B") { run(five_unreliable, one_partition); }
TEST_CASE("TestManyPartitionsOneClient4B") { run_generic(many_partitions_one); }
TEST_CASE("TestManyPartitionsManyClients4B") { run_generic(many_partitions_many); }
TEST_CASE("TestPersistOneClient4B") { run_generic(persist_one); }
TEST_CASE("TestPersistConcurrent4B") { run_generic(persist_concurrent); }
TEST_CASE("TestPersistConcurrentUnreliable4B") { run_generic(persist_concurrent_unreliable); }
TEST_CASE("TestPersistPartition4B") { run_generic(persist_partition); }
TEST_CASE("TestPersistPartitionUnreliable4B") { run_generic(persist_partition_unreliable); }
TEST_CASE("TestPersistPartitionUnreliableLinearizable4B") { run_generic(persist_linearizable); }

TEST_CASE("TestSnapshotRPC4C") { run(three_snapshots, snapshot_rpc); }
TEST_CASE("TestSnapshotSize4C") { run(three_snapshots, snapshot_size); }
TEST_CASE("TestSpeed4C") { run(three_snapshots, speed); }
TEST_CASE("TestSnapshotRecover4C") { run_generic(snapshot_recover); }
TEST_CASE("TestSnapshotRecoverManyClients4C") { run_generic(snapshot_recover_many); }
TEST_CASE("TestSnapshotUnreliable4C") { run_generic(snapshot_unreliable); }
TEST_CASE("TestSnapshotUnreliableRecover4C") { run_generic(snapshot_unreliable_recover); }
TEST_CASE("TestSnapshotUnreliableRecoverConcurrentPartition4C") { run_generic(snapshot_partition); }
TEST_CASE("TestSnapshotUnreliableRecoverConcurrentPartitionLinearizable4C") {
    run_generic(snapshot_linearizable);
}

TEST_CASE("sharper: one client on a reliable network") { run_sharper(basic); }
TEST_CASE("sharper: five clients on a reliable network") { run_sharper(concurrent); }
TEST_CASE("sharper: five clients on an unreliable network") { run_sharper(unreliable); }
TEST_CASE("sharper: random keys") { run_sharper(persist_linearizable); }
TEST_CASE("sharper: one client with snapshots") { run_sharper(snapshot_recover); }
TEST_CASE("sharper: twenty clients with snapshots") { run_sharper(snapshot_recover_many); }
TEST_CASE("sharper: an unreliable network with snapshots") { run_sharper(snapshot_partition); }
TEST_CASE("sharper: random keys with snapshots") { run_sharper(snapshot_linearizable); }

TEST_CASE("sharper: readers at an old leader") { run(five_reliable, readers_at_an_old_leader); }
TEST_CASE("sharper: slow disks") { run_sharper(persist_partition, true); }
TEST_CASE("sharper: slow disks with snapshots") { run_sharper(snapshot_partition, true); }

}  // namespace kv_4bc_test
