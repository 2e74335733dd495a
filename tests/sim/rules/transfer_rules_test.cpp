// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The rules about snapshots on their way and about a log that has an end: what they let pass, and
// that they speak when they are broken.
#include "raft/rules/snapshot_support.hpp"
#include "support/core_cluster.hpp"
#include "support/records.hpp"

#include <raft/core.hpp>
#include <raft/parts/progress.hpp>
#include <raft/parts/transfer.hpp>
#include <raft/protocol/message.hpp>
#include <raft/protocol/options.hpp>
#include <rsm/sim/rules/bounds.hpp>
#include <rsm/sim/rules/honest_start.hpp>
#include <rsm/sim/rules/resumed_transfers.hpp>
#include <rsm/sim/rules/sending_pace.hpp>
#include <rsm/sim/rules/snapshot_sources.hpp>
#include <rsm/sim/world/wal_files.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace transfer_rules_test {

namespace {

using namespace rsm::sim;
using raft::test::at;
using raft::test::milliseconds;
using raft::test::position;
using raft::test::text;
using raft::test::voters;

std::string broken_rule(const Broken& broken) { return broken ? broken->property : "none"; }

const raft::SnapshotMeta meta{position(8, 4), voters(3), 40, 77};

raft::Options options() {
    raft::Options options;
    options.snapshot_chunk_bytes = options.snapshot_window_bytes = 10;
    options.heartbeat_interval = milliseconds(100);
    return options;
}
raft::Core core(std::uint64_t partial_bytes = 0) {
    raft::Recovered found;
    found.hard_state.term = {5};
    if (partial_bytes != 0) {
        found.partial = meta;
        found.partial_bytes = partial_bytes;
    }
    return {options(), {1}, voters(3), found, 1, {}};
}
void chunk(raft::Core& core, std::uint64_t offset, raft::ChunkOutcome outcome) {
    raft::SnapshotChunk piece{{5}, meta, offset, text("0123456789")};
    core.step({}, raft::test::message(2, 1, std::move(piece)));
    core.step({}, raft::ChunkStored{meta, outcome});
}

/// Node 2 sends node 3 a snapshot in the place of the leader, node 1, a piece whenever it is let;
/// the rule hears of what it is asked.
struct Relay {
    Relay() {
        cluster.elect(1);
        cluster.settle();
        bool is_cut = true;
        cluster.lost = [&is_cut](const raft::Message& m) {
            return is_cut && m.to == raft::NodeId{3} &&
                   std::holds_alternative<raft::AppendRequest>(m.body);
        };
        for (int i = 0; i < 5; ++i) cluster.propose(1, "operation");
        cluster.settle();
        cluster.run(milliseconds(20));
        for (const std::uint64_t id : {1U, 2U}) REQUIRE(cluster.take_snapshot(id, 200));
        cluster.settle();
        cluster.node(2).machine_stalled = true;
        cluster.lost = [this](const raft::Message& m) { return hears(m); };
    }
    /// At a heartbeat, and not more than a millisecond after it.
    void run_until_asked() {
        const std::uint64_t before = asked;
        for (int i = 0; i < 1000 && asked == before; ++i) cluster.run(milliseconds(1));
        REQUIRE(asked > before);
    }
    void send_piece() {
        REQUIRE_FALSE(cluster.node(2).answers.empty());
        cluster.answer(2);
        cluster.settle();
    }
    /// What node 3 says comes to the leader.
    void answers(std::uint64_t next_offset) {
        raft::SnapshotReply reply{keep.term, keep.last, keep.checksum, next_offset, {}, {}};
        cluster.step(1, raft::test::message(3, 1, std::move(reply)));
        cluster.settle();
    }
    void cut_off() { is_cut_off = true; }
    void run_until_given_up() {
        const auto given_up = [this] { return transfer().source != raft::NodeId{2}; };
        REQUIRE(cluster.run_until(given_up, milliseconds(20000)));
    }
    const raft::SnapshotTransfer& transfer() {
        const auto followers = cluster.core(1).followers();
        return std::ranges::find(followers, raft::NodeId{3}, &raft::Progress::node)->transfer;
    }
    std::uint64_t kept_now() { return transfer().kept; }

    raft::test::CoreCluster cluster{3, relay_options()};
    SnapshotSources rule{relay_options()};
    Broken broken;            ///< by the leader
    std::uint64_t asked = 0;  ///< how often, at heartbeats, since the source has said what it has
    std::uint64_t kept = 0;   ///< by node 3, when that was last
    std::uint64_t asked_there = 0;  ///< since that last changed
    raft::SourceRequest keep;
    bool is_cut_off = false;  ///< node 3

private:
    static raft::Options relay_options() {
        raft::Options options = raft::test::small_chunks();
        options.snapshot_source = raft::SnapshotSource::follower;
        return options;
    }
    /// Whether it is lost.
    bool hears(const raft::Message& m) {
        const auto* const request = std::get_if<raft::SourceRequest>(&m.body);
        if (request != nullptr && m.from == raft::NodeId{1}) {
            Broken said = rule.asked(cluster.core(1), m.to, *request, cluster.now);
            if (said && !broken) broken = std::move(said);
            const bool keeps = request->bytes == 0 && request->last != raft::LogPosition{};
            if (keeps) note(*request);
        }
        return is_cut_off && (m.to == raft::NodeId{3} || m.from == raft::NodeId{3});
    }
    void note(const raft::SourceRequest& request) {
        keep = request;
        if (std::exchange(kept, kept_now()) != kept) asked_there = 0;
        ++asked;
        ++asked_there;
    }
};

}  // namespace

TEST_CASE("Sending pace: a leader sends no more than its rate, to all together") {
    raft::Options paced = options();
    paced.snapshot_bytes_per_second = 1000;  // 100 in a heartbeat interval, and 5 pieces
    const raft::NodeId leader{1};
    const raft::Term term{5};
    SendingPace rule(3, paced);
    raft::Time now;
    for (int i = 0; i < 200; ++i) {
        CHECK_FALSE(rule.sent(leader, {}, term, 10, now));
        now = now + milliseconds(10);
    }
    std::size_t at_once = 0;
    while (!rule.sent(leader, {}, term, 10, now)) ++at_once;
    CHECK(at_once >= 12);
    CHECK(at_once <= 15);
    CHECK(broken_rule(rule.sent(leader, {}, term, 10, now)) == "sending pace");
    // Whom it has send has a bucket of its own.
    for (std::size_t i = 0; i < at_once; ++i) CHECK_FALSE(rule.sent(leader, {2}, term, 10, now));
    CHECK(broken_rule(rule.sent(leader, {2}, term, 10, now)) == "sending pace");
    // Another reign begins with an empty bucket.
    CHECK_FALSE(rule.sent(leader, {}, {6}, 10, now));
    SendingPace unlimited(3, options());
    for (int i = 0; i < 200; ++i) CHECK_FALSE(unlimited.sent(leader, {}, term, 10, now));
}

TEST_CASE("Snapshot sources: a piece leaves a source only if its leader has asked for it") {
    SnapshotSources rule(options());
    const raft::Core leader = core();
    const raft::SourceChunk piece{{5}, {1}, meta, 20, text("0123456789")};
    CHECK(broken_rule(rule.sent({2}, {3}, piece)) == "snapshot sources");
    CHECK_FALSE(rule.asked(leader, {2}, {{5}, {3}, meta.last, meta.checksum, 20, 10}, {}));
    CHECK_FALSE(rule.sent({2}, {3}, piece));
    CHECK(rule.has_sent({2}, {3}, meta.last.index));
    CHECK_FALSE(rule.has_sent({2}, {1}, meta.last.index));
    raft::SourceChunk other = piece;
    SUBCASE("not in another term") { other.term = {6}; }
    SUBCASE("not another piece") { other.offset = 30; }
    SUBCASE("not of another snapshot") { other.meta.checksum += 1; }
    CHECK(broken_rule(rule.sent({2}, {3}, other)) == "snapshot sources");
}

TEST_CASE("Snapshot sources: without a leader a piece leaves only for who has asked for it") {
    SnapshotSources rule(options());
    const raft::SourceChunk piece{{5}, {}, meta, 20, text("0123456789")};
    CHECK_FALSE(rule.asked(core(), {2}, {{5}, {3}, meta.last, meta.checksum, 20, 10}, {}));
    CHECK(broken_rule(rule.sent({2}, {3}, piece)) == "snapshot sources");
    const raft::SourceRequest request{{4}, {3}, meta.last, meta.checksum, 20, 10};
    raft::test::CoreCluster cluster(3, options());
    cluster.elect(3);
    CHECK(broken_rule(rule.borrows(cluster.core(3), {2}, request)) == "snapshot sources");
    CHECK(broken_rule(rule.sent({2}, {3}, piece)) == "snapshot sources");
    CHECK_FALSE(rule.borrows(core(), {2}, request));
    CHECK_FALSE(rule.sent({2}, {3}, piece));
    CHECK(broken_rule(rule.sent({2}, {1}, piece)) == "snapshot sources");
    raft::SourceChunk other = piece;
    other.offset = 30;
    CHECK(broken_rule(rule.sent({2}, {3}, other)) == "snapshot sources");
}

TEST_CASE("Snapshot sources: a leader does not wait for ever for a source") {
    const raft::Core leader = core();
    const raft::SourceRequest keep{{5}, {3}, meta.last, meta.checksum, 0, 0};
    raft::Time now;
    const auto asks = [&](SnapshotSources& rule, raft::NodeId source) {
        now = now + milliseconds(100);
        return rule.asked(leader, source, keep, now);
    };
    SnapshotSources rule(options());
    // 2, 4 and 8 heartbeats, and 4 more.
    for (int i = 0; i < 18; ++i) CHECK_FALSE(asks(rule, {2}));
    SUBCASE("another one is another matter") {
        for (int i = 0; i < 18; ++i) CHECK_FALSE(asks(rule, {4}));
        CHECK(broken_rule(asks(rule, {4})) == "snapshot sources");
    }
    SUBCASE("the same one is not") { CHECK(broken_rule(asks(rule, {2})) == "snapshot sources"); }
    SUBCASE("one that has got it in between waits anew") {
        rule.installed({3});
        for (int i = 0; i < 18; ++i) CHECK_FALSE(asks(rule, {2}));
        CHECK(broken_rule(asks(rule, {2})) == "snapshot sources");
    }
    SUBCASE("nor one that was asked a little late") {
        now = now + milliseconds(100);
        CHECK(broken_rule(asks(rule, {2})) == "snapshot sources");
    }
    SUBCASE("one that was not needed for some time is waited for anew") {
        now = now + milliseconds(150);
        for (int i = 0; i < 18; ++i) CHECK_FALSE(asks(rule, {2}));
        CHECK(broken_rule(asks(rule, {2})) == "snapshot sources");
    }
    raft::Options paced = options();
    paced.snapshot_bytes_per_second = 1;
    SnapshotSources slow(paced);
    for (int i = 0; i < 1000; ++i) CHECK_FALSE(asks(slow, {2}));
}

TEST_CASE("Snapshot sources: how long a leader waits hangs on how long the last step took") {
    Relay relay;
    relay.run_until_asked();
    const std::uint64_t kept = relay.kept_now();
    relay.cluster.run(milliseconds(1));
    relay.send_piece();
    std::uint64_t most = 0;  // by the time from a heartbeat before the step to the one after it
    SUBCASE("two heartbeats, and one of them within it") {
        relay.cluster.run(milliseconds(197));
        relay.send_piece();
        most = 4 + 8 + 16 + 4;
    }
    SUBCASE("nine, of which the leader has slept seven") {
        relay.cluster.run(milliseconds(197));
        relay.cluster.now = relay.cluster.now + milliseconds(700);
        relay.send_piece();
        most = 18 + 36 + 40 + 4;
    }
    SUBCASE("three, but after an old answer it was sent again at the second") {
        relay.cluster.run(milliseconds(149));
        relay.answers(0);
        relay.cluster.run(milliseconds(148));
        relay.answers(kept + 20);
        most = 4 + 8 + 16 + 4;
    }
    REQUIRE(relay.kept_now() == kept + 20);
    relay.cut_off();
    relay.run_until_asked();
    const std::uint64_t asked = relay.asked_there;
    const raft::Core leader = relay.cluster.core(1);
    SnapshotSources rule = relay.rule;
    const raft::Time then = relay.cluster.now;
    relay.run_until_given_up();
    CHECK(relay.cluster.failure == "");
    CHECK(broken_rule(relay.broken) == "none");
    CHECK(relay.asked_there <= most - 4);
    // It speaks where one waits for longer, also if another answer that it is there was lost.
    for (int i = 0; i < 2; ++i) {
        std::uint64_t asks = i == 0 ? asked : 0;
        while (!rule.asked(leader, {2}, relay.keep, then)) ++asks;
        CHECK(asks == most);
        rule.installed({3});
    }
}

TEST_CASE(
    "Snapshot sources: a leader that sleeps in the first step does not wait for longer later") {
    Relay relay;
    const auto begun = [&relay] { return !relay.cluster.node(2).answers.empty(); };
    REQUIRE(relay.cluster.run_until(begun, milliseconds(1000)));
    relay.cluster.now = relay.cluster.now + milliseconds(700);
    relay.send_piece();
    REQUIRE(relay.kept_now() == 10);
    relay.cut_off();
    relay.run_until_given_up();
    CHECK(relay.cluster.failure == "");
    CHECK(broken_rule(relay.broken) == "none");
    CHECK(relay.asked_there <= 18);
}

TEST_CASE("Snapshot sources: a leader that begins by itself has given up its source") {
    const raft::Core leader = core();
    const raft::SnapshotChunk own{{5}, meta, 0, text("0123456789")};
    SnapshotSources rule(options());
    CHECK_FALSE(rule.gives_up({1}, {3}, own));
    CHECK_FALSE(rule.asked(leader, {2}, {{5}, {3}, meta.last, meta.checksum, 0, 10}, {}));
    SUBCASE("before the target has it") {
        CHECK_FALSE(rule.gives_up({1}, {3}, {{6}, meta, 0, {}}));
        CHECK_FALSE(rule.gives_up({4}, {3}, own));
        CHECK(rule.gives_up({1}, {3}, own));
    }
    SUBCASE("not afterwards") { rule.installed({3}); }
    CHECK_FALSE(rule.gives_up({1}, {3}, own));
}

TEST_CASE("Resumed transfers: what was found at a start is gone on with") {
    ResumedTransfers rule(3);
    raft::Core node = core(20);
    rule.restarted(node);
    CHECK_FALSE(rule.step(node, false));
    CHECK(!rule.went_on());
    SUBCASE("by one more piece") {
        chunk(node, 20, raft::ChunkOutcome::stored);
        CHECK_FALSE(rule.step(node, false));
        CHECK(rule.went_on());
        CHECK_FALSE(rule.step(node, false));
        CHECK(!rule.went_on());
    }
    SUBCASE("not if another one comes") {
        chunk(node, 20, raft::ChunkOutcome::refused);
        CHECK_FALSE(rule.step(node, false));
        CHECK(!rule.went_on());
    }
    SUBCASE("not from the beginning") {
        raft::Core forgetful = core();
        chunk(forgetful, 0, raft::ChunkOutcome::stored);
        SUBCASE("unless the disk is why") { CHECK_FALSE(rule.step(forgetful, true)); }
        SUBCASE("in any other case") {
            CHECK(broken_rule(rule.step(forgetful, false)) == "resumed transfers");
        }
    }
}

TEST_CASE("Bounds: the message that exceeds a window may be a large membership") {
    raft::Options small = options();
    small.max_entry_bytes = small.max_message_bytes = small.window_bytes = 100;
    raft::test::CoreCluster cluster(3, small);
    cluster.elect(1);
    cluster.settle();
    const raft::LogPosition acknowledged = cluster.core(1).log().last();
    raft::Membership larger = cluster.core(1).membership();
    larger.put({{3}, raft::Standing::voter, {}, std::string(400, 'x')});
    cluster.propose(1, "operation");
    cluster.step(1, raft::ChangeMembers{1, larger});
    const raft::Core& leader = cluster.core(1);
    REQUIRE(leader.membership() == larger);
    const raft::LogPosition last = leader.log().last();
    REQUIRE(last.index == acknowledged.index + 2);

    Chronicle chronicle(3);
    bool is_under_way = false;
    SUBCASE("which is under way") {
        chronicle.memberships[last] = larger;
        is_under_way = true;
    }
    SUBCASE("but an operation may not") {}
    SUBCASE("not where it was acknowledged") { chronicle.memberships[acknowledged] = larger; }
    SUBCASE("nor where it was another leader's") {
        chronicle.memberships[{last.index, raft::max_term}] = larger;
    }
    CHECK(windows_bounded(leader, small, chronicle).has_value() == !is_under_way);
    small.window_bytes = 40;  // which the operation had filled
    CHECK(broken_rule(windows_bounded(leader, small, chronicle)) == "bounds");
}

TEST_CASE("Bounds: a log ends at its limit, but for a window that was under way") {
    raft::Options limited = options();
    limited.max_log_bytes = 10'000;
    limited.max_entry_bytes = limited.max_message_bytes = limited.window_bytes = 1000;
    CHECK_FALSE(log_bounded(core(), 15'048, limited));
    CHECK(broken_rule(log_bounded(core(), 15'049, limited)) == "bounds");
    limited.max_log_bytes = 0;
    CHECK_FALSE(log_bounded(core(), 1U << 30, limited));
}

TEST_CASE("Honest start: what had been received of a snapshot may be unreadable") {
    const auto depends_on = [](const std::string& path) {
        DiskHit hit{};
        hit.fault = DiskFault::call_error;
        hit.call = DiskCall::read;
        hit.path = path;
        return start_depends_on(hit);
    };
    CHECK(depends_on("d/00000000000000000001.wal"));
    CHECK_FALSE(depends_on("d/incoming.tmp"));
    CHECK_FALSE(depends_on("d/incoming-marks.tmp"));
}

TEST_CASE("The marks of a transfer are told from drafts of segments") {
    CHECK(wal_files::kind_of("d/incoming-marks.tmp") == wal_files::Kind::marks);
    CHECK(wal_files::is_unfinished_snapshot("d/incoming-marks.tmp"));
}

}  // namespace transfer_rules_test
