// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A made-up run in which everything occurs that a trace can tell of: for tests of the trace, which
// must not depend on what the simulator happens to do.
#ifndef RSM_TESTS_SIM_TRACE_TRACE_EXAMPLE_HPP
#define RSM_TESTS_SIM_TRACE_TRACE_EXAMPLE_HPP

#include <raft/base/random.hpp>
#include <raft/base/types.hpp>
#include <rsm/sim/trace/page.hpp>
#include <rsm/sim/trace/trace.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rsm::sim::test {

using std::chrono::microseconds;
using std::chrono::milliseconds;

inline raft::Time at_ms(std::int64_t count) { return raft::Time(milliseconds(count)); }

/// Five nodes and three clients for ten seconds.
class ExampleRun {
public:
    explicit ExampleRun(Trace& trace, int operations_per_second = 40)
        : trace_(trace), gap_(microseconds(1'000'000 / operations_per_second)) {}

    void run() {
        for (std::uint64_t node = 1; node <= 5; ++node) {
            add({.kind = TraceKind::role, .node = {node}});
        }
        elect({3}, {1}, at_ms(170), {1, 2, 3, 4, 5}, false);
        lead({3}, {1}, at_ms(180), at_ms(3200), {1, 2, 4, 5});
        partitioned();
        troubles();
        violate();
        std::stable_sort(records_.begin(), records_.end(),
                         [](const auto& a, const auto& b) { return a.at < b.at; });
        for (TraceRecord& record : records_) trace_.add(std::move(record));
    }

private:
    TraceRecord& add(TraceRecord record) {
        records_.push_back(std::move(record));
        return records_.back();
    }
    raft::Duration flight() {
        return raft::Duration(microseconds(400)) + random_.below(raft::Duration(milliseconds(3)));
    }
    /// Answers when the message arrives; one in sixty is lost.
    raft::Time send(raft::Time at, raft::NodeId from, raft::NodeId to, raft::Term term,
                    TraceMessage message, std::string text) {
        const raft::Time arrives = at + flight();
        const bool lost = random_.below(60) == 0;
        if (lost) text += "; dropped";
        add({.at = at,
             .kind = lost ? TraceKind::message_lost : TraceKind::message,
             .node = from,
             .peer = to,
             .term = term,
             .until = lost ? TraceRecord::open : arrives,
             .message = message,
             .text = std::move(text)});
        return arrives;
    }

    void elect(raft::NodeId node, raft::Term term, raft::Time at,
               const std::vector<std::uint64_t>& voters, bool split) {
        const auto round = [&](TraceMessage ask, TraceMessage answer, raft::Time begin) {
            for (const std::uint64_t voter : voters) {
                if (raft::NodeId{voter} == node) continue;
                const raft::Time heard = send(begin, node, {voter}, term, ask, "last (12, T1)");
                send(heard + microseconds(150), {voter}, node, term, answer, "granted");
            }
        };
        add({.at = at,
             .kind = TraceKind::role,
             .node = node,
             .term = {term.value - 1},
             .role = TraceRole::pre_candidate});
        round(TraceMessage::pre_vote, TraceMessage::pre_vote_reply, at);
        const raft::Time candidate = at + milliseconds(8);
        add({.at = candidate,
             .kind = TraceKind::role,
             .node = node,
             .term = term,
             .role = TraceRole::candidate});
        round(TraceMessage::vote, TraceMessage::vote_reply, candidate);
        if (split) return;
        for (const std::uint64_t voter : voters) {
            const raft::NodeId other = {voter};
            add({.at = candidate + milliseconds(other == node ? 9 : 2),
                 .kind = TraceKind::role,
                 .node = other,
                 .term = term,
                 .role = other == node ? TraceRole::leader : TraceRole::follower});
        }
    }

    void lead(raft::NodeId leader, raft::Term term, raft::Time from, raft::Time to,
              const std::vector<std::uint64_t>& followers) {
        for (raft::Time at = from + milliseconds(10); at < to; at += milliseconds(100)) {
            for (const std::uint64_t follower : followers) {
                const auto heard = send(at, leader, {follower}, term, TraceMessage::heartbeat, "");
                send(heard + microseconds(80), {follower}, leader, term,
                     TraceMessage::heartbeat_reply, "");
            }
        }
        for (raft::Time at = from + milliseconds(15); at < to; at += gap_ + flight()) {
            operation(leader, term, at, followers);
        }
    }

    void operation(raft::NodeId leader, raft::Term term, raft::Time at,
                   const std::vector<std::uint64_t>& followers) {
        const raft::Index index = {++last_};
        raft::Time committed = at;
        const std::string entries =
            "1 entry (" + std::to_string(last_ - 1) + ',' + std::to_string(last_) + ']';
        for (const std::uint64_t follower : followers) {
            const raft::Time heard =
                send(at, leader, {follower}, term, TraceMessage::append, entries);
            const raft::Time answered = send(heard + microseconds(600), {follower}, leader, term,
                                             TraceMessage::append_reply, "accepted");
            committed = std::max(committed, answered);
            if (index.value % 3 == 0) {
                add({.at = answered + milliseconds(12),
                     .kind = TraceKind::commit,
                     .node = {follower},
                     .term = term,
                     .index = index});
            }
        }
        add({.at = committed,
             .kind = TraceKind::commit,
             .node = leader,
             .term = term,
             .index = index});
        add({.at = committed + microseconds(30),
             .kind = TraceKind::applied,
             .node = leader,
             .term = term,
             .index = index});
        client(leader, at - microseconds(300), committed + microseconds(400), index);
        if (index.value % 90 == 0) {
            add({.at = committed + milliseconds(20),
                 .kind = TraceKind::snapshot_saved,
                 .node = leader,
                 .term = term,
                 .index = index,
                 .text = "1.2 MiB"});
        }
    }

    void client(raft::NodeId node, raft::Time at, raft::Time until, raft::Index index) {
        const std::uint64_t id = 1 + index.value % 3;
        const bool fails = random_.below(40) == 0;
        add({.at = at,
             .kind = TraceKind::client,
             .node = node,
             .index = index,
             .until = until,
             .client = id,
             .outcome = fails ? TraceOutcome::failed : TraceOutcome::ok,
             .text = fails ? "put k" + std::to_string(id) + ": not the leader"
                           : "put k" + std::to_string(id) + "=" + std::to_string(index.value)});
    }

    void partitioned() {
        const std::vector<std::vector<raft::NodeId>> sides = {{{1}, {3}}, {{2}, {4}, {5}}};
        TraceRecord& cut = add(partition_into(at_ms(3200), sides));
        cut.until = at_ms(5600);
        for (std::int64_t at = 3210; at < 4200; at += 100) {
            for (const std::uint64_t other : {2U, 4U, 5U}) {
                add({.at = at_ms(at),
                     .kind = TraceKind::message_lost,
                     .node = {3},
                     .peer = {other},
                     .term = {1},
                     .message = TraceMessage::append,
                     .text = "2 entries; the link is cut"});
            }
        }
        add({.at = at_ms(3300),
             .kind = TraceKind::client,
             .node = {3},
             .until = at_ms(5300),
             .client = 1,
             .outcome = TraceOutcome::unknown,
             .text = "put k1=lost? -> deadline"});
        add({.at = at_ms(4200),
             .kind = TraceKind::role,
             .node = {3},
             .term = {1},
             .text = "no quorum heard"});
        elect({2}, {2}, at_ms(3480), {2, 4, 5}, true);
        elect({4}, {3}, at_ms(3620), {2, 4, 5}, false);
        // Node 5 is down from 6 s to 7.1 s.
        lead({4}, {3}, at_ms(3640), at_ms(5980), {2, 5});
        lead({4}, {3}, at_ms(5980), at_ms(7200), {2});
        lead({4}, {3}, at_ms(7200), at_ms(7520), {2, 5});
        lead({4}, {3}, at_ms(5700), at_ms(7520), {1, 3});
        for (const std::uint64_t node : {1U, 3U}) {
            add({.at = at_ms(5710), .kind = TraceKind::role, .node = {node}, .term = {3}});
        }
        TraceRecord& oneway =
            add({.at = at_ms(4700), .kind = TraceKind::partition, .until = at_ms(5200)});
        oneway.links = {{{2}, {5}}, {{4}, {5}}};
    }

    void troubles() {
        add({.at = at_ms(6000), .kind = TraceKind::crash, .node = {5}, .text = "kill"});
        add({.at = at_ms(6000),
             .kind = TraceKind::disk_fault,
             .node = {5},
             .text = "torn write: 812 of 4096 bytes"});
        add({.at = at_ms(7100), .kind = TraceKind::restart, .node = {5}, .term = {3}});
        for (int i = 0; i < 3; ++i) {
            const raft::Time at = at_ms(7120 + 12 * i);
            add({.at = at,
                 .kind = TraceKind::message,
                 .node = {4},
                 .peer = {5},
                 .term = {3},
                 .until = at + milliseconds(9),
                 .message = TraceMessage::snapshot,
                 .text = "chunk " + std::to_string(i)});
            add({.at = at + milliseconds(9),
                 .kind = TraceKind::message,
                 .node = {5},
                 .peer = {4},
                 .term = {3},
                 .until = at + milliseconds(11),
                 .message = TraceMessage::snapshot_reply});
        }
        add({.at = at_ms(7160),
             .kind = TraceKind::snapshot_installed,
             .node = {5},
             .peer = {4},
             .term = {3},
             .index = {180}});
        add({.at = at_ms(6500), .kind = TraceKind::disk_stall, .node = {2}, .until = at_ms(6900)});
        add({.at = at_ms(6700), .kind = TraceKind::clock, .node = {1}, .text = "+250 ms"});
        add({.at = at_ms(2500),
             .kind = TraceKind::disk_fault,
             .node = {1},
             .text = "bit rot: wal-000003 at 91204"});
        add({.at = at_ms(7520), .kind = TraceKind::pause, .node = {4}, .until = at_ms(8300)});
        elect({2}, {4}, at_ms(7800), {1, 2, 3, 5}, false);
        add({.at = at_ms(8310), .kind = TraceKind::role, .node = {4}, .term = {4}});
        lead({2}, {4}, at_ms(7820), at_ms(9600), {1, 3, 4, 5});
        add({.at = at_ms(9000), .kind = TraceKind::note, .node = {3}, .text = "</script> <b>&"});
    }

    void violate() {
        add({.at = at_ms(9452),
             .kind = TraceKind::violation,
             .term = {4},
             .index = {last_},
             .text = "nodes 2 and 5 applied different entries at index " + std::to_string(last_) +
                     ": terms 4 and 3",
             .nodes = {{2}, {5}}});
        add({.at = at_ms(9440),
             .kind = TraceKind::client,
             .node = {2},
             .client = 2,
             .text = "get k2"});
    }

    Trace& trace_;
    raft::Duration gap_;
    raft::Random random_{7};
    std::uint64_t last_ = 0;
    std::vector<TraceRecord> records_;
};

inline TraceHeader example_header() {
    return {.seed = 18'446'744'073'709'551'615ULL,
            .title = "kv, five nodes: <state> machine safety",
            .property = "State machine safety",
            .replay = "rsm-sim --seed 18446744073709551615 --nodes 5 --trace run.html",
            .nodes = {{1}, {2}, {3}, {4}, {5}},
            .parameters = {{"election timeout", "150 ms to 300 ms"},
                           {"heartbeat", "100 ms"},
                           {"message loss", "1.7 %"},
                           {"delay", "0.4 ms to 3.4 ms"},
                           {"crashes", "1"},
                           {"partitions", "2"},
                           {"snapshot threshold", "1 MiB"},
                           {"clients", "3"}}};
}

}  // namespace rsm::sim::test

#endif
