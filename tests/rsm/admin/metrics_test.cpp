// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What a node counts and measures, in virtual time and therefore to the nanosecond.
#include "../counters.hpp"

#include <rsm/admin/health.hpp>
#include <rsm/admin/history.hpp>
#include <rsm/admin/metrics.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace metrics_test {

using namespace std::chrono_literals;
using counter_test::Counters;
using counter_test::Error;
using rsm::Errc;
using rsm::Histogram;
using rsm::Metrics;

namespace {

constexpr std::uint64_t millisecond = 1'000'000;

Metrics of(Counters& cluster, std::uint64_t id) {
    std::optional<Metrics> got;
    cluster.node(id).async_metrics([&](Error error, const Metrics& metrics) {
        CHECK(!error);
        got = metrics;
    });
    cluster.settle();
    REQUIRE(got);
    return *got;
}

rsm::Options with_timeout(std::chrono::nanoseconds timeout) {
    rsm::Options options;
    options.operation_timeout = timeout;
    return options;
}

TEST_CASE("a histogram has each value in the bucket up to whose bound it goes") {
    std::uint64_t before = 0;
    for (std::size_t bucket = 0; bucket + 1 < Histogram::bucket_count; ++bucket) {
        const std::uint64_t bound = Histogram::bound(bucket);
        REQUIRE(bound > before);
        CHECK((bound <= 4 || bound - before <= before / 4));
        Histogram histogram;
        histogram.record(bound);
        histogram.record(before + 1);
        histogram.record(bound + 1);
        CHECK(histogram.count_up_to(bound) == 2);
        CHECK(histogram.count() == 3);
        before = bound;
    }
    Histogram extremes;
    extremes.record(0);
    extremes.record(UINT64_MAX);
    CHECK(extremes.count_up_to(1) == 1);
    CHECK(extremes.count() == 2);
}

TEST_CASE("histograms are added, subtracted and asked for quantiles") {
    Histogram first;
    CHECK(!first.quantile(0.5));
    for (int i = 0; i < 90; ++i) first.record(1000);
    const Histogram then = first;
    for (int i = 0; i < 10; ++i) first.record(1'000'000);
    CHECK(first.since(then).count() == 10);
    CHECK(first.since(then).sum() == 10'000'000);
    Histogram sum = then;
    sum += first.since(then);
    CHECK(sum == first);
    CHECK(first.quantile(0.5) >= 896);
    CHECK(first.quantile(0.5) <= 1024);
    CHECK(first.quantile(0.9) == 1024);
    CHECK(first.quantile(0.99) > 917'504);
    CHECK(first.quantile(1) == 1'048'576);
}

TEST_CASE("an operation is measured from its submission, a write until it is durable") {
    Counters cluster(1);
    cluster.elect();
    cluster.settle();
    const Metrics before = of(cluster, 1);
    cluster.disk(1).hold();
    const auto answer = counter_test::submit(cluster, 1, 5);
    cluster.settle();
    CHECK(of(cluster, 1).writes_waiting == 1);
    CHECK(cluster.node(1).status().pending_bytes > 0);
    cluster.run_for(7ms);
    cluster.disk(1).release_all();
    cluster.settle();
    REQUIRE(answer->has_value());
    const Metrics after = of(cluster, 1);
    CHECK(after.uptime - before.uptime == 7ms);
    CHECK(after.writes_waiting == 0);
    CHECK(after.operations_submitted == before.operations_submitted + 1);
    CHECK(after.operations_completed == before.operations_completed + 1);
    CHECK(after.operations_failed.total() == 0);
    CHECK(after.entries_applied == before.entries_applied + 1);
    const Histogram commits = after.commit_latency.since(before.commit_latency);
    CHECK(commits.count() == 1);
    CHECK(commits.sum() == 7 * millisecond);
    const Histogram syncs = after.sync_latency.since(before.sync_latency);
    CHECK(syncs.count() == 1);
    CHECK(syncs.sum() == 7 * millisecond);
    CHECK(after.write_entries.since(before.write_entries).sum() == 1);
    CHECK(after.write_bytes.since(before.write_bytes).sum() > 0);
    CHECK(after.apply_latency.since(before.apply_latency).count() == 1);
    CHECK(cluster.node(1).status().pending_bytes == 0);
}

TEST_CASE("operations that wait together are one write") {
    Counters cluster(1);
    cluster.elect();
    cluster.settle();
    const Metrics before = of(cluster, 1);
    for (int i = 0; i < 10; ++i) counter_test::submit(cluster, 1, 1);
    cluster.settle();
    const Histogram entries = of(cluster, 1).write_entries.since(before.write_entries);
    CHECK(entries.count() == 1);
    CHECK(entries.sum() == 10);
}

TEST_CASE("what is refused is counted by its reason") {
    Counters cluster(3, with_timeout(50ms));
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t follower = counter_test::other(leader);
    counter_test::submit(cluster, follower, 1);
    counter_test::read(cluster, follower);
    counter_test::submit(cluster, leader, 1, std::string(std::size_t{64} << 20, 'x'));
    cluster.node(leader).async_read(
        [](const counter_test::Counter&) -> int { throw std::runtime_error("no"); },
        [](Error, int) {});
    cluster.run_for(1ms);
    CHECK(of(cluster, follower).operations_failed.of(Errc::not_leader) == 1);
    CHECK(of(cluster, follower).operations_failed.total() == 1);
    CHECK(of(cluster, follower).reads_failed.of(Errc::not_leader) == 1);
    CHECK(of(cluster, leader).operations_failed.of(Errc::too_large) == 1);
    CHECK(of(cluster, leader).reads_failed.of(Errc::user_exception) == 1);
    CHECK(of(cluster, leader).reads_completed == 0);

    cluster.network().isolate(raft::NodeId{leader});
    counter_test::submit(cluster, leader, 1, {}, 50ms);
    counter_test::read(cluster, leader, 50ms);
    cluster.run_for(60ms);
    CHECK(of(cluster, leader).operations_failed.of(Errc::timed_out) == 1);
    CHECK(of(cluster, leader).reads_failed.of(Errc::timed_out) == 1);
}

TEST_CASE("a read is measured until it is answered") {
    Counters cluster(3);
    const std::uint64_t leader = cluster.elect();
    counter_test::add(cluster, 1);
    const Metrics before = of(cluster, leader);
    cluster.network().isolate(raft::NodeId{leader});
    const auto answer = counter_test::read(cluster, leader);
    cluster.run_for(20ms);
    CHECK(!answer->has_value());
    cluster.network().heal_all();
    REQUIRE(cluster.run_until([&] { return answer->has_value(); }));
    REQUIRE(!(*answer)->error);
    const Metrics after = of(cluster, leader);
    CHECK(after.reads_completed == before.reads_completed + 1);
    CHECK(after.read_latency.since(before.read_latency).sum() >= 20 * millisecond);
}

TEST_CASE("elections and changes of the leader are counted") {
    Counters cluster(3);
    const std::uint64_t first = cluster.elect();
    counter_test::add(cluster, 1);
    CHECK(of(cluster, first).events.of(raft::EventKind::became_leader) == 1);
    CHECK(of(cluster, first).events.of(raft::EventKind::became_candidate) >= 1);
    const std::uint64_t witness = counter_test::other(first);
    CHECK(of(cluster, witness).leader_changes == 1);
    cluster.crash(first);
    REQUIRE(cluster.run_until([&] { return cluster.leader() != 0; }));
    counter_test::add(cluster, 1);
    CHECK(of(cluster, witness).leader_changes == 2);
}

TEST_CASE("a node that is sent a snapshot and its leader know how far that has come") {
    rsm::Options options{.snapshot_threshold = 0};
    options.raft.max_hold_bytes = 0;
    Counters cluster(3, options);
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t behind = counter_test::other(leader);
    cluster.network().isolate(raft::NodeId{behind});
    for (int i = 0; i < 20; ++i) counter_test::add(cluster, 1);
    const Metrics metrics = of(cluster, leader);
    CHECK(metrics.snapshots_saved > 0);
    CHECK(metrics.snapshots_begun >= metrics.snapshots_saved);
    CHECK(metrics.snapshot_duration.count() == metrics.snapshots_saved);
    CHECK(metrics.snapshot_bytes_saved >= cluster.node(leader).status().snapshot_bytes);
    CHECK(metrics.snapshots_failed == 0);

    cluster.disk(behind).hold();
    cluster.network().heal_all();
    const auto transfer = [&]() -> std::optional<rsm::SnapshotProgress> {
        for (const auto& follower : cluster.node(leader).status().followers) {
            if (follower.node.value == behind) return follower.transfer;
        }
        return std::nullopt;
    };
    const auto receiving = [&] { return cluster.node(behind).status().receiving; };
    REQUIRE(cluster.run_until([&] { return receiving().has_value(); }));
    const std::uint64_t size = cluster.node(leader).status().snapshot_bytes;
    CHECK(transfer() == rsm::SnapshotProgress{size, size});
    CHECK(receiving() == rsm::SnapshotProgress{0, size});
    const rsm::Health health = rsm::readiness(cluster.node(behind).status(), {});
    CHECK(!health.good);
    CHECK(health.sentence.starts_with("this node is being sent a snapshot: 0 of "));
    cluster.disk(behind).release_all();
    REQUIRE(cluster.run_until(
        [&] { return cluster.node(behind).machine().value() == 20 && !transfer(); }));
    CHECK(!receiving());
    CHECK(of(cluster, behind).events.of(raft::EventKind::snapshot_installed) >= 1);
}

TEST_CASE("a node that lags knows that it does, and is ready when it has caught up") {
    Counters cluster(3);
    const std::uint64_t leader = cluster.elect();
    const std::uint64_t behind = counter_test::other(leader);
    counter_test::add(cluster, 1);
    REQUIRE(counter_test::all_hold(cluster, 3, 1));
    const auto health = [&] {
        const rsm::Status status = cluster.node(behind).status();
        return rsm::readiness(status, status.known_commit);
    };
    CHECK(health().good);
    cluster.disk(behind).hold();
    counter_test::add(cluster, 1);
    REQUIRE(cluster.run_until([&] { return !health().good; }));
    CHECK(health().comes);
    CHECK(health().sentence.find("this node lags") != std::string::npos);
    cluster.disk(behind).release_all();
    REQUIRE(cluster.run_until([&] { return health().good; }));
    CHECK(cluster.node(behind).machine().value() == 2);

    cluster.network().isolate(raft::NodeId{behind});
    REQUIRE(cluster.run_until([&] { return !health().good; }));
    CHECK(health().sentence == "no leader is known");
    CHECK(!health().comes);
    CHECK(rsm::liveness(cluster.node(behind).status()).good);
    cluster.node(behind).async_stop([](Error) {});
    cluster.settle();
    CHECK(!rsm::liveness(cluster.node(behind).status()).good);
    CHECK(health().sentence == "the node has stopped");
}

TEST_CASE("the history has what each interval brought, and a bound") {
    Counters cluster(1);
    cluster.elect();
    rsm::History history;
    history.take(of(cluster, 1));
    CHECK(history.samples().empty());
    for (int i = 0; i < 3; ++i) counter_test::submit(cluster, 1, 1);
    counter_test::read(cluster, 1);
    cluster.settle();
    history.take(of(cluster, 1));
    history.take(of(cluster, 1));
    REQUIRE(history.samples().size() == 2);
    const rsm::History::Sample& busy = history.samples().front();
    CHECK(busy.operations == 3);
    CHECK(busy.reads == 1);
    CHECK(busy.refusals == 0);
    CHECK(busy.bytes > 0);
    CHECK(busy.commit_p50.has_value());
    CHECK(history.samples().back() == rsm::History::Sample{});
    for (std::size_t i = 0; i < 2 * rsm::History::most_samples; ++i) history.take(of(cluster, 1));
    CHECK(history.samples().size() == rsm::History::most_samples);
}

}  // namespace

}  // namespace metrics_test
