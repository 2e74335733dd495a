// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The generic test of Labs 4B and 4C (section 5 of the scenarios), and a sharper form of it in
// which clients keep running while partitions come and go and servers crash.
#ifndef RSM_TESTS_LAB_KV_GENERIC_HPP
#define RSM_TESTS_LAB_KV_GENERIC_HPP

#include "kv_lab.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lab {

struct Generic {
    std::size_t clients = 1;
    std::size_t servers = 5;
    bool reliable = true;
    bool crash = false;
    bool partitions = false;
    std::int64_t max_raft_state = -1;
    bool random_keys = false;
    bool slow_disks = false;  // not in the labs
};

/// What the clients' puts came to.
struct Puts {
    std::uint64_t ok = 0;
    std::uint64_t maybe = 0;
};

/// One put that ends in OK or ErrMaybe, followed by gets that learn the version.
inline Task<> client_step(KvLab& lab, Clerk& clerk, std::uint64_t id, std::string key,
                          std::map<std::string, std::uint64_t>& versions, Puts& puts) {
    for (bool again = true; again;) {
        const std::uint64_t version = versions[key];
        const std::string value =
            "{\"Id\":" + std::to_string(id) + ",\"V\":" + std::to_string(version) + "}";
        const KvOutput put = co_await clerk.put(key, value, version);
        require(put.error != KvError::no_key, "a put found no key where it knew a version");
        const KvOutput got = co_await clerk.get(key);
        require(got.error == KvError::ok, "a get found no key after a put");
        if (put.error == KvError::ok) {
            ++puts.ok;
            const bool mine = got.version != version + 1 || got.value == value;
            require(mine, "another value under the version of a successful put");
        }
        if (put.error == KvError::maybe) ++puts.maybe;
        again = put.error == KvError::version;
        versions[key] = got.version;
    }
    // In a network without delay an operation takes no time, which leaves none to pass.
    co_await lab.sleep(1ms);
}

inline Task<> client(KvLab& lab, const Generic& test, std::uint64_t id, const bool& stop,
                     Puts& puts) {
    Clerk clerk(lab);
    std::map<std::string, std::uint64_t> versions;
    while (!stop) {
        std::string key = "k";
        if (test.random_keys) key += std::to_string(lab.random_below(100));
        co_await client_step(lab, clerk, id, std::move(key), versions, puts);
    }
}

/// Puts each server on one of two sides at random, again and again.
inline Task<> partitioner(KvLab& lab, const bool& stop) {
    while (!stop) {
        std::vector<ServerId> sides[2];
        for (ServerId i = 0; i < lab.size(); ++i) sides[lab.random_below(2)].push_back(i);
        lab.partition(sides[0], sides[1]);
        co_await lab.sleep(1s + lab.random_milliseconds(200));
    }
}

inline void check_puts(const Generic& test, const Puts& puts, std::uint64_t version) {
    const bool exact = test.reliable && !test.crash && !test.partitions;
    const bool right =
        exact ? version == puts.ok : version <= puts.ok + puts.maybe && version >= puts.ok;
    require(right, "version " + std::to_string(version) + " after " + std::to_string(puts.ok) +
                       " successful and " + std::to_string(puts.maybe) + " undecided puts");
}

inline void check_sizes(KvLab& lab) {
    if (lab.max_raft_state() < 0) {
        require(lab.largest_snapshot() == 0, "a snapshot exists where none may");
    } else {
        const auto limit = 8 * static_cast<std::uint64_t>(lab.max_raft_state());
        require(lab.largest_log() <= limit,
                "the Raft state is too large: " + std::to_string(lab.largest_log()));
    }
}

inline Task<> check_counts(KvLab& lab, const Generic& test, const Puts& puts) {
    if (test.random_keys) co_return;
    Clerk clerk(lab);
    const KvOutput got = co_await clerk.get("k");
    check_puts(test, puts, got.version);
}

inline Task<> restart_everything(KvLab& lab) {
    for (ServerId i = 0; i < lab.size(); ++i) lab.shutdown(i);
    co_await lab.sleep(election_timeout);
    lab.restart_all();
}

inline Task<> generic(KvLab& lab, const Generic& test) {
    Puts puts;
    for (int iteration = 0; iteration < 3; ++iteration) {
        bool stop_clients = false;
        bool stop_partitions = false;
        Group clients(lab);
        Group partitions(lab);
        for (std::size_t i = 0; i < test.clients; ++i) {
            clients.spawn(client(lab, test, i, stop_clients, puts));
        }
        if (test.partitions) {
            co_await lab.sleep(1s);
            partitions.spawn(partitioner(lab, stop_partitions));
        }
        co_await lab.sleep(test.partitions ? 0s : 1s);
        stop_clients = true;
        // An operation in a minority ends when a partition puts it in a majority.
        co_await clients.wait();
        stop_partitions = true;
        co_await partitions.wait();
        lab.connect_all();
        if (test.partitions) co_await lab.sleep(election_timeout);
        co_await check_counts(lab, test, puts);
        lab.check_history();
        check_sizes(lab);
        if (test.crash) co_await restart_everything(lab);
        check_sizes(lab);
    }
}

/// Crashes one server, or sometimes all, while the clients run.
inline Task<> crasher(KvLab& lab, const bool& stop) {
    while (!stop) {
        co_await lab.sleep(500ms + lab.random_milliseconds(1000));
        if (stop) co_return;
        const bool all = lab.random_below(4) == 0;
        const ServerId victim = lab.random_below(lab.size());
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (all || i == victim) lab.shutdown(i);
        }
        co_await lab.sleep(lab.random_milliseconds(800));
        for (ServerId i = 0; i < lab.size(); ++i) {
            if (lab.up(i)) continue;
            lab.start(i);
            lab.connect(i);
        }
    }
}

/// The same clients for five seconds, with all faults at once; everything is checked.
inline Task<> sharper(KvLab& lab, const Generic& test) {
    Puts puts;
    bool stop = false;
    bool stop_clients = false;
    Group clients(lab);
    Group faults(lab);
    for (std::size_t i = 0; i < test.clients; ++i) {
        clients.spawn(client(lab, test, i, stop_clients, puts));
    }
    if (test.partitions) faults.spawn(partitioner(lab, stop));
    if (test.crash) faults.spawn(crasher(lab, stop));
    co_await lab.sleep(5s);
    stop_clients = true;
    stop = true;
    co_await faults.wait();
    lab.connect_all();
    const bool ended = co_await clients.wait_for(10s);
    require(ended, "clients did not finish within 10 s after the faults had ended");
    co_await check_counts(lab, test, puts);
    lab.check_history();
    check_sizes(lab);
}

}  // namespace lab

#endif
