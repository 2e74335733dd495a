// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The parts that a Core is made of, each by itself.
#include "support/core_cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace log_test {

namespace {

using namespace raft;
using namespace raft::test;

Log log_of(std::vector<std::uint64_t> terms) {
    Log log;
    for (const Entry& each : entries(1, std::move(terms))) log.append(each);
    return log;
}
std::vector<Entry> begin_write(Log& log, std::uint64_t id) {
    std::vector<Entry> out;
    log.begin_write(WriteId{id}, Time{}, out);
    return out;
}
void make_durable_and_applied(Log& log) {
    begin_write(log, 1);
    log.persisted(WriteId{1});
    log.commit_to(log.last_index());
    log.handed_to(log.last_index());
    log.applied_to(log.last_index());
}
std::vector<std::uint64_t> terms_of(const Log& log) {
    std::vector<std::uint64_t> terms;
    for (Index i = log.base().index; i <= log.last_index(); ++i) {
        terms.push_back(log.term_at(i)->value);
    }
    return terms;
}

}  // namespace

TEST_CASE("an empty log ends at 0, in term 0, and holds nothing else") {
    const Log log;
    CHECK(log.last() == LogPosition{});
    CHECK(log.term_at(Index{0}) == Term{0});
    CHECK(log.term_at(Index{1}) == std::nullopt);
    CHECK(log.matches({}));
    CHECK(!log.matches({Index{1}, Term{0}}));
}

TEST_CASE("a log knows the term of every entry from its base to its end") {
    Log log = log_of({1, 1, 3, 3, 3, 7});
    CHECK(terms_of(log) == std::vector<std::uint64_t>{0, 1, 1, 3, 3, 3, 7});
    make_durable_and_applied(log);
    log.release(Index{3});
    CHECK(log.base() == LogPosition{Index{3}, Term{3}});
    CHECK(log.term_at(Index{2}) == std::nullopt);
    CHECK(terms_of(log) == std::vector<std::uint64_t>{3, 3, 3, 7});
    log.release(Index{6});
    CHECK(log.last() == LogPosition{Index{6}, Term{7}});
    log.append(entry(7, 7));
    CHECK(terms_of(log) == std::vector<std::uint64_t>{7, 7});
}

TEST_CASE("a released prefix is the same wherever it is cut") {
    const std::vector<std::uint64_t> terms{1, 1, 2, 4, 4, 4, 5};
    for (std::uint64_t cut = 0; cut <= terms.size(); ++cut) {
        Log log = log_of(terms);
        make_durable_and_applied(log);
        log.release(Index{cut});
        for (std::uint64_t i = 1; i <= terms.size(); ++i) {
            const auto expected = i < cut ? std::nullopt : std::optional(Term{terms[i - 1]});
            CHECK(log.term_at(Index{i}) == (cut == 0 || i >= cut ? expected : std::nullopt));
            CHECK(log.cached(Index{i}) == (i > cut));
        }
    }
}

TEST_CASE("a truncated log ends before the first removed entry and can be continued") {
    Log log = log_of({1, 1, 2, 2});
    log.truncate_from(Index{3});
    CHECK(log.last() == LogPosition{Index{2}, Term{1}});
    log.append(entry(3, 5));
    CHECK(terms_of(log) == std::vector<std::uint64_t>{0, 1, 1, 5});
    log.truncate_from(Index{1});
    CHECK(log.last() == LogPosition{});
}

TEST_CASE("a log is recovered with its terms, without its entries in memory") {
    Disk disk{{}, {Index{2}, Term{1}}, entries(3, {1, 2, 2})};
    Log log(disk.recover({{Index{2}, Term{1}}, voters(1), 0, 0}));
    CHECK(terms_of(log) == std::vector<std::uint64_t>{1, 1, 2, 2});
    CHECK(!log.cached(Index{5}));
    CHECK(log.durable() == Index{5});
    CHECK(log.applied() == Index{2});
    log.truncate_from(Index{4});
    log.append(entry(4, 3));
    CHECK(log.cached(Index{4}));
    CHECK(!log.cached(Index{3}));
    CHECK(terms_of(log) == std::vector<std::uint64_t>{1, 1, 3});
}

TEST_CASE("a recovered commit index is at least the snapshot and at most the end of the log") {
    const SnapshotMeta snapshot{{Index{2}, Term{1}}, voters(1), 0, 0};
    const auto commit = [&](std::uint64_t stored) {
        Disk disk{{Term{1}, {}, Index{stored}}, {Index{2}, Term{1}}, entries(3, {1})};
        return Log(disk.recover(snapshot)).commit().value;
    };
    CHECK(commit(0) == 2);
    CHECK(commit(3) == 3);
    CHECK(commit(9) == 3);
}

TEST_CASE("last_agreeing skips everything of later terms (fast backup, 5.3)") {
    const Log log = log_of({1, 1, 2, 2, 5, 5});
    const auto agreeing = [&](std::uint64_t index, std::uint64_t term) {
        return log.last_agreeing({Index{index}, Term{term}});
    };
    CHECK(agreeing(9, 9) == LogPosition{Index{6}, Term{5}});
    CHECK(agreeing(5, 5) == LogPosition{Index{5}, Term{5}});
    CHECK(agreeing(6, 4) == LogPosition{Index{4}, Term{2}});
    CHECK(agreeing(3, 2) == LogPosition{Index{3}, Term{2}});
    CHECK(agreeing(4, 1) == LogPosition{Index{2}, Term{1}});
    CHECK(agreeing(6, 0) == LogPosition{});
    CHECK(agreeing(0, 0) == LogPosition{});
}

TEST_CASE("what is copied is limited in bytes, but never empty") {
    const Log log = log_of({1, 1, 1});
    const std::size_t one = footprint(entry(1, 1));
    std::vector<Entry> out;
    CHECK(log.copy(Index{1}, Index{3}, 1, out) == one);
    CHECK(out.size() == 1);
    out.clear();
    CHECK(log.copy(Index{1}, Index{3}, 2 * one, out) == 2 * one);
    CHECK(out.back().index == Index{2});
    out.clear();
    CHECK(log.copy(Index{2}, Index{2}, 9 * one, out) == one);
}

TEST_CASE("memory is trimmed only of what is durable, applied or not") {
    Log log = log_of({1, 1, 1});
    log.trim_cache(0);
    CHECK(log.cached(Index{1}));
    begin_write(log, 1);
    log.append(entry(4, 1));
    log.trim_cache(0);
    CHECK(log.cached(Index{1}));
    log.persisted(WriteId{1});
    log.trim_cache(3 * footprint(entry(1, 1)));
    CHECK(!log.cached(Index{1}));
    CHECK(log.cached(Index{2}));
    log.trim_cache(0);
    CHECK(!log.cached(Index{3}));
    CHECK(log.cached(Index{4}));
    CHECK(log.term_at(Index{1}) == Term{1});
}

TEST_CASE("a snapshot does not stand for entries that the storage cannot give back yet") {
    Log log = log_of({1, 1, 1});
    log.covered_by_snapshot(Index{2});
    log.trim_cache(0);
    CHECK(log.cached(Index{1}));
    begin_write(log, 1);
    log.trim_cache(0);
    CHECK(log.cached(Index{1}));
    CHECK(log.durable() == Index{2});
    CHECK(log.readable() == Index{});
    log.persisted(WriteId{1});
    CHECK(log.readable() == Index{3});
    log.trim_cache(0);
    CHECK_FALSE(log.cached(Index{3}));
}

TEST_CASE("what is not written counts until its write is done, cut off or not") {
    const std::size_t one = footprint(entry(1, 1));
    Log log = log_of({1, 1, 1});
    CHECK(log.unwritten_bytes() == 3 * one);
    begin_write(log, 1);
    CHECK(log.unwritten_bytes() == 3 * one);
    log.truncate_from(Index{2});
    log.append(entry(2, 2));
    CHECK(log.unwritten_bytes() == 4 * one);
    log.truncate_from(Index{2});
    CHECK(log.unwritten_bytes() == 3 * one);
    log.persisted(WriteId{1});
    CHECK(log.unwritten_bytes() == 0);
}

TEST_CASE("each entry is written once, and durable when its write is") {
    Log log = log_of({1, 1});
    CHECK(begin_write(log, 1).size() == 2);
    CHECK(begin_write(log, 2).empty());
    log.append(entry(3, 1));
    CHECK(begin_write(log, 3) == entries(3, {1}));
    CHECK(log.oldest_write() == Time{});
    log.persisted(WriteId{2});
    CHECK(log.durable() == Index{2});
    log.persisted(WriteId{3});
    CHECK(log.durable() == Index{3});
    CHECK(log.oldest_write() == std::nullopt);
}

TEST_CASE("a write under way does not vouch for entries that have been replaced since") {
    Log log = log_of({1, 1, 1});
    begin_write(log, 1);
    log.truncate_from(Index{2});
    log.append(entry(2, 2));
    log.append(entry(3, 2));
    log.persisted(WriteId{1});
    CHECK(log.durable() == Index{1});
    CHECK(begin_write(log, 2) == entries(2, {2, 2}));
    log.persisted(WriteId{2});
    CHECK(log.durable() == Index{3});
}

TEST_CASE("a log that is reset is as durable as the snapshot that stands for it, no more") {
    Log log = log_of({1, 1, 1});
    begin_write(log, 1);
    log.reset({Index{9}, Term{4}});
    CHECK(log.last() == LogPosition{Index{9}, Term{4}});
    CHECK(log.durable() == Index{9});
    log.append(entry(10, 5));
    log.persisted(WriteId{1});
    CHECK(log.durable() == Index{9});
    CHECK(begin_write(log, 2) == entries(10, {5}));
}

TEST_CASE("a log forgets many entries at once, and lets go of them bit by bit") {
    Log log;
    for (std::uint64_t i = 1; i <= 10'000; ++i) log.append(entry(i, 1));
    begin_write(log, 1);
    log.persisted(WriteId{1});
    log.commit_to(Index{10'000});
    log.handed_to(Index{10'000});
    log.applied_to(Index{10'000});
    const std::size_t all = log.cache_bytes();
    log.release(Index{9'999});
    CHECK(log.cache_first() == Index{10'000});
    CHECK_FALSE(log.cached(Index{9'999}));
    CHECK(log[Index{10'000}] == entry(10'000, 1));
    CHECK(log.cache_bytes() == all);
    int trims = 0;
    for (; log.cache_bytes() != all / 10'000 && trims < 100; ++trims) log.trim_cache(all);
    CHECK(trims == 3);
    CHECK(log[Index{10'000}] == entry(10'000, 1));
    log.append(entry(10'001, 1));
    CHECK(begin_write(log, 2) == entries(10'001, {1}));
}

TEST_CASE("a ring keeps the order over many turns and lets go of what is popped") {
    Ring<std::shared_ptr<int>> ring;
    int pushed = 0;
    int popped = 0;
    std::weak_ptr<int> first;
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 7; ++i) {
            auto value = std::make_shared<int>(pushed++);
            if (first.expired() && pushed == 1) first = value;
            ring.push_back(std::move(value));
        }
        for (int i = 0; i < 6; ++i) {
            CHECK(*ring.front() == popped++);
            ring.pop_front();
        }
    }
    CHECK(first.expired());
    CHECK(ring.size() == 100);
    CHECK(*ring.back() == 699);
    CHECK(*ring[99] == 699);
    ring.pop_back();
    CHECK(*ring.back() == 698);
    ring.clear();
    CHECK(ring.empty());
}

TEST_CASE("a ring is the queue that a deque is, and never moves what is in it") {
    Ring<std::uint64_t> ring;
    std::deque<std::uint64_t> model;
    std::deque<const std::uint64_t*> places;
    Random random(1);
    // Grows for a while, shrinks for a while, and becomes empty in between.
    for (std::uint64_t step = 0; step < 100'000; ++step) {
        const bool grows = step / 1000 % 2 == 0;
        switch (random.next() % 4) {
            case 0:
                if (model.empty()) break;
                ring.pop_front();
                model.pop_front();
                places.pop_front();
                break;
            case 1:
                if (model.empty()) break;
                ring.pop_back();
                model.pop_back();
                places.pop_back();
                break;
            default:
                if (!grows) break;
                ring.push_back(step);
                model.push_back(step);
                places.push_back(&ring.back());
        }
        REQUIRE(ring.size() == model.size());
        if (model.empty()) continue;
        const std::size_t at = random.next() % model.size();
        REQUIRE(ring[at] == model[at]);
        REQUIRE(&ring[at] == places[at]);
        REQUIRE(ring.front() == model.front());
        REQUIRE(ring.back() == model.back());
    }
    for (int i = 0; i < 100; ++i) ring.push_back(0);
    const Ring<std::uint64_t> copy = ring;
    Ring<std::uint64_t> moved = std::move(ring);
    CHECK(copy == moved);
    CHECK(ring.empty());  // NOLINT(bugprone-use-after-move)
    ring.push_back(7);
    CHECK(ring.back() == 7);
    moved = ring;
    CHECK(moved == ring);
}

TEST_CASE("rings are equal when their contents are, wherever these lie") {
    Ring<int> left;
    Ring<int> right;
    for (int i = 0; i < 20; ++i) {
        left.push_back(i);
        left.pop_front();
    }
    left.push_back(5);
    CHECK(!(left == right));
    right.push_back(5);
    CHECK(left == right);
    right.push_back(6);
    left.push_back(7);
    CHECK(!(left == right));
}

TEST_CASE("a follower is probed with one request at a time, then streamed to") {
    Progress progress;
    progress.become_probe(Index{5});
    CHECK(progress.allowance(100) == 100);
    progress.sent(Index{7}, 50);
    CHECK(progress.allowance(100) == 0);
    CHECK(progress.next == Index{5});
    CHECK(progress.accepted(Index{4}));
    CHECK(progress.state == ProgressState::replicate);
    CHECK(progress.next == Index{5});
    progress.sent(Index{7}, 60);
    progress.sent(Index{9}, 60);
    CHECK(progress.in_flight_bytes() == 120);
    CHECK(progress.allowance(100) == 0);
    CHECK(progress.allowance(121) == 1);
}

TEST_CASE("answers free the window in any order") {
    Progress progress;
    progress.become_replicate();
    for (std::uint64_t last = 1; last <= 4; ++last) progress.sent(Index{last}, 10);
    CHECK(progress.accepted(Index{3}));
    CHECK(progress.in_flight_bytes() == 10);
    CHECK(!progress.accepted(Index{1}));
    CHECK(progress.in_flight_bytes() == 10);
    CHECK(progress.match == Index{3});
    CHECK(progress.accepted(Index{4}));
    CHECK(progress.in_flight_bytes() == 0);
}

TEST_CASE("a refusal is news only where the logs have not been found to agree") {
    Progress progress;
    progress.become_replicate();
    progress.sent(Index{8}, 10);
    progress.accepted(Index{5});
    CHECK(!progress.refusal_is_news(Index{5}));
    CHECK(progress.refusal_is_news(Index{8}));
    progress.become_probe(Index{7});
    CHECK(progress.refusal_is_news(Index{6}));
    CHECK(!progress.refusal_is_news(Index{8}));
    progress.become_probe(Index{2});
    CHECK(progress.next == Index{6});  // never below what is known to match
    progress.become_snapshot({}, 1, Duration{}, Time{});
    CHECK(!progress.refusal_is_news(Index{8}));
}

TEST_CASE("a majority is more than half, of one to seven") {
    for (std::uint64_t nodes = 1; nodes <= 7; ++nodes) {
        for (std::uint64_t agreeing = 0; agreeing <= nodes; ++agreeing) {
            const bool expected = 2 * agreeing > nodes;
            CHECK(voters(nodes).has_quorum([&](NodeId node) { return node.value <= agreeing; }) ==
                  expected);
        }
    }
}

TEST_CASE("a quorum has reached the greatest value that a majority has (5.3)") {
    const auto reached = [](std::vector<std::uint64_t> values) {
        return voters(values.size()).reached_by_quorum<std::uint64_t>([&](NodeId node) {
            return values[node.value - 1];
        });
    };
    CHECK(reached({7}) == 7);
    CHECK(reached({7, 3}) == 3);
    CHECK(reached({7, 3, 5}) == 5);
    CHECK(reached({9, 1, 9, 1}) == 1);
    CHECK(reached({4, 4, 1, 8, 2}) == 4);
    Membership joint;
    for (const std::uint64_t id : {1U, 2U, 3U}) {
        joint.put({NodeId{id}, Standing::incoming, {}, {}});
    }
    joint.put({NodeId{4}, Standing::outgoing, {}, {}});
    CHECK(joint.reached_by_quorum<std::uint64_t>(
              [](NodeId node) { return node.value == 4 ? 2U : 9U; }) == 2);
}

TEST_CASE("a membership is valid when its members are in order and somebody votes") {
    CHECK(voters(3).valid());
    CHECK(Membership::of_voters({NodeId{3}, NodeId{1}}) ==
          Membership::of_voters({NodeId{1}, NodeId{3}}));
    CHECK(!Membership{}.valid());
    CHECK(!Membership::of_voters({NodeId{1}, NodeId{1}}).valid());
    CHECK(!Membership::of_voters({NodeId{0}, NodeId{1}}).valid());
    Membership both = voters(3);
    both.put({NodeId{6}, Standing::outgoing, {}, {}});
    both.put({NodeId{4}, Standing::learner, {}, {}});
    CHECK(both.valid());
    CHECK(both.members.size() == 5);
    CHECK(both.joint());
    CHECK(both.is_voter(NodeId{6}));
    CHECK(!both.is_voter(NodeId{4}));
    CHECK(both.contains(NodeId{4}));
    CHECK(!both.contains(NodeId{7}));
    std::swap(both.members.front(), both.members.back());
    CHECK(!both.valid());
    both.sort();
    CHECK(both.valid());
    both.members.front().contact.assign(max_contact_bytes + 1, 'x');
    CHECK(!both.valid());

    Membership only_new;
    only_new.put({NodeId{1}, Standing::incoming, {}, {}});
    CHECK(!only_new.valid());
    Membership only_old;
    only_old.put({NodeId{1}, Standing::demoted, {}, {}});
    CHECK(!only_old.valid());
    Membership nobody;
    nobody.put({NodeId{1}, Standing::learner, {}, {}});
    CHECK(!nobody.valid());
    std::vector<NodeId> many(max_members + 1);
    for (std::size_t i = 0; i < many.size(); ++i) many[i].value = i + 1;
    CHECK(!Membership::of_voters(many).valid());
}

TEST_CASE("options are refused when they contradict each other") {
    CHECK(Options{}.validate());
    const auto refused = [](auto change) {
        Options options;
        change(options);
        const Result<void> result = options.validate();
        return !result && result.error().code == std::errc::invalid_argument;
    };
    CHECK(refused([](Options& o) { o.heartbeat_interval = {}; }));
    CHECK(refused([](Options& o) { o.election_timeout = milliseconds(299); }));
    CHECK(refused([](Options& o) { o.commit_notice_delay = milliseconds(-1); }));
    CHECK(refused([](Options& o) { o.commit_notice_delay = milliseconds(101); }));
    CHECK(refused([](Options& o) { o.disk_stall_timeout = {}; }));
    CHECK(refused([](Options& o) { o.max_entry_bytes = 0; }));
    CHECK(refused([](Options& o) { o.max_entry_bytes = o.max_message_bytes + 1; }));
    CHECK(refused([](Options& o) { o.window_bytes = (std::size_t{1} << 28) + 1; }));
    CHECK(refused([](Options& o) { o.window_bytes = std::size_t{1} << 63; }));
    CHECK(refused([](Options& o) { o.max_log_bytes = 127; }));
    CHECK(refused([](Options& o) { o.window_bytes = o.max_message_bytes - 1; }));
    CHECK(refused([](Options& o) { o.max_uncommitted_bytes = o.max_entry_bytes + 63; }));
    CHECK(refused([](Options& o) { o.apply_batch_bytes = 0; }));
    CHECK(refused([](Options& o) { o.snapshot_chunk_bytes = 0; }));
    CHECK(refused([](Options& o) { o.snapshot_chunk_bytes = o.max_message_bytes + 1; }));
    CHECK(refused([](Options& o) { o.max_waiting_reads = 0; }));
}

TEST_CASE("options at the edges of their ranges are accepted") {
    const auto accepted = [](auto change) {
        Options options;
        change(options);
        return options.validate().has_value();
    };
    CHECK(accepted([](Options& o) { o.election_timeout = milliseconds(300); }));
    CHECK(accepted([](Options& o) { o.commit_notice_delay = o.heartbeat_interval; }));
    CHECK(accepted([](Options& o) { o.max_entry_bytes = o.max_message_bytes; }));
    CHECK(accepted([](Options& o) { o.window_bytes = o.max_message_bytes; }));
    CHECK(accepted([](Options& o) { o.window_bytes = std::size_t{1} << 28; }));
    CHECK(accepted([](Options& o) { o.max_log_bytes = 128; }));
    CHECK(accepted([](Options& o) { o.snapshot_chunk_bytes = 1; }));
    CHECK(accepted([](Options& o) { o.max_uncommitted_bytes = o.max_entry_bytes + 64; }));
}

TEST_CASE("bytes are shared by copies and slices and outlive what they came from") {
    Bytes slice;
    {
        const Bytes whole = text("consensus");
        const Bytes copy = whole;
        CHECK(copy.data() == whole.data());
        slice = whole.slice(3, 4);
        CHECK(slice.data() == whole.data() + 3);
    }
    CHECK(slice.text() == "sens");
    CHECK(slice == text("sens"));
    CHECK(slice != text("sent"));
    Bytes moved = std::move(slice);
    CHECK(moved.text() == "sens");
    moved = Bytes{};
    CHECK(moved.empty());
    CHECK(moved.text() == "");
    CHECK(moved == text(""));
    CHECK(text("abc").slice(3, 0).empty());
}

TEST_CASE("a buffer's written part can be shared while the rest is filled in") {
    Buffer buffer(6);
    std::ranges::fill(buffer.writable().first(3), std::byte{'a'});
    const Bytes first = buffer.share(0, 3);
    std::ranges::fill(buffer.writable().subspan(3), std::byte{'b'});
    const Bytes second = buffer.share(3, 3);
    Buffer other = std::move(buffer);
    buffer = Buffer{};
    CHECK(other.size() == 6);
    other = Buffer{};
    CHECK(first.text() == "aaa");
    CHECK(second.text() == "bbb");
}

TEST_CASE("the random source is the same everywhere and keeps its bounds") {
    Random random(0);
    CHECK(random.next() == 0xe220a8397b1dcdafULL);  // SplitMix64's published first value
    CHECK(random.next() == 0x6e789e6aa1b965f4ULL);
    for (int i = 0; i < 1000; ++i) CHECK(random.below(7) < 7);
    CHECK(random.below(std::uint64_t{0}) == 0);
    CHECK(random.below(Duration{0}) == Duration{0});
}

}  // namespace log_test
