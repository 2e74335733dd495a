// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A log with a limit: what clients and operators see of it, and that a cluster comes back from it.
#include "counters.hpp"

#include <rsm/options.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

namespace log_limit_test {

using namespace std::chrono_literals;

namespace {

struct Sum;
bool no_memory = false;             // for snapshots
const Sum* no_memory_of = nullptr;  // for those of this one

struct Sum {
    using Operation = std::int64_t;
    std::int64_t apply(std::int64_t operation) { return value += operation; }
    void snapshot(rsm::SnapshotWriter& out) const {
        if (no_memory || this == no_memory_of) throw std::bad_alloc();
        out << value;
    }
    void restore(rsm::SnapshotReader& in) { in >> value; }
    std::int64_t value = 0;
};
using Sums = rsm_test::VirtualCluster<Sum>;

/// What becomes of one operation at the leader.
boost::system::error_code add(Sums& cluster) {
    boost::system::error_code outcome = rsm::Errc::timed_out;
    cluster.node(cluster.elect()).async_submit(1, 5s, [&](boost::system::error_code error, auto) {
        outcome = error;
    });
    cluster.run_for(20ms);
    return outcome;
}

rsm::Options limited() {
    rsm::Options options{.snapshot_threshold = 1000};
    options.raft.max_log_bytes = 3000;
    options.raft.retained_bytes = 0;
    return options;
}

}  // namespace

TEST_CASE("where snapshots cannot be saved the log ends at its limit, and goes on by itself") {
    std::vector<std::string> notices;
    rsm::Options options = limited();
    options.on_notice = [&](const std::string& what) { notices.push_back(what); };
    Sums cluster(3, options);
    cluster.elect();
    no_memory = true;
    int taken = 0;
    while (taken < 500 && !add(cluster)) ++taken;
    CHECK(taken > 30);
    CHECK(taken < 200);
    const std::uint64_t leader = cluster.leader();
    const auto refused = add(cluster);
    CHECK(refused == rsm::Errc::log_full);
    CHECK(rsm::error_class(refused) == rsm::ErrorClass::overload);
    CHECK(rsm::outcome(refused) == rsm::Outcome::not_committed);
    CHECK(cluster.node(leader).status().refuses.find("limit of 3000 bytes") != std::string::npos);
    const auto says = [&](const std::string& what) {
        return std::ranges::count_if(notices, [&](const std::string& notice) {
            return notice.find(what) != std::string::npos;
        });
    };
    CHECK(says("the log has reached its limit of 3000 bytes") >= 1);
    // Elections and reads go on.
    cluster.run_for(3s);
    CHECK(cluster.leader() == leader);
    bool read = false;
    cluster.node(leader).async_read([](const Sum& sum) { return sum.value; }, 5s,
                                    [&](boost::system::error_code error, std::int64_t value) {
                                        read = !error && value == taken;
                                    });
    cluster.run_for(100ms);
    CHECK(read);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(cluster.node(id).status().persisted_bytes < 3000 + 100);
    }
    no_memory = false;
    CHECK(cluster.run_until([&] { return !add(cluster); }, 1000s));
    CHECK(says("there is room for the log again") >= 1);
    CHECK(cluster.node(leader).status().persisted_bytes < 1500);
    CHECK(cluster.run_until([&] { return cluster.node(1).machine().value == taken + 1; }));
}

TEST_CASE("a follower that cannot shorten its log goes on with a snapshot of the leader's") {
    Sums cluster(3, limited());
    REQUIRE(!add(cluster));
    const std::uint64_t leader = cluster.leader();
    const std::uint64_t behind = counter_test::other(leader);
    no_memory_of = &cluster.node(behind).machine();
    bool full = false;
    for (int i = 1; i < 300; ++i) {
        REQUIRE(!add(cluster));  // the others are enough
        const rsm::Status status = cluster.node(behind).status();
        REQUIRE(status.persisted_bytes < 3000 + 100);
        full = full || status.refuses.find("limit of 3000") != std::string::npos;
        REQUIRE(status.leader == raft::NodeId{leader});
    }
    CHECK(full);
    const auto caught_up = [&] { return cluster.node(behind).machine().value == 300; };
    CHECK(cluster.run_until(caught_up));
    CHECK(cluster.node(behind).status().snapshot.value > 100);
    no_memory_of = nullptr;
}

TEST_CASE("a limit that leaves no room for a snapshot's log is refused") {
    rsm::Options options = limited();
    options.raft.max_log_bytes = 1999;
    CHECK(!options.validate());
    options.raft.max_log_bytes = 2000;
    CHECK(options.validate().has_value());
    options.snapshot_threshold = -1;
    CHECK(!options.validate());
    options.raft.max_log_bytes = 0;
    CHECK(options.validate().has_value());
}

}  // namespace log_limit_test
