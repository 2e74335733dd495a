// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The store's time and deadlines, what is freed when, its formats and its order of keys.
#include <kv/glob.hpp>
#include <kv/log_clock.hpp>
#include <kv/store.hpp>

#include <rsm/archive.hpp>
#include <rsm/state_machine.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace expiry_test {

namespace {

using kv::Expire;
using kv::Expiry;
using kv::Operation;
using kv::Result;
using kv::Status;
using kv::Store;

static_assert(rsm::StateMachine<Store> && rsm::Versioned<Store> && rsm::HearsVersion<Store>);

Store store_of_now() {
    Store store;
    store.version_agreed(1);
    return store;
}

template <class Action>
Result at(kv::Time time, Store& store, Action action) {
    Operation operation;
    operation.action = std::move(action);
    operation.time = time;
    return store.apply(operation);
}

kv::Replace set_for(std::string key, std::int64_t milliseconds) {
    return {{std::move(key), "v"}, {Expiry::Kind::relative, milliseconds}, false};
}
Expire expire_at(std::string key, std::int64_t time, Expire::When when = Expire::When::always) {
    return {std::move(key), {Expiry::Kind::absolute, time}, when, false};
}

std::vector<std::byte> snapshot(const Store& store, std::uint32_t version = 1) {
    rsm::BufferWriter out;
    out.use_versions({version, Store::format_version});
    store.snapshot(out);
    return out.take();
}
Store restored(const std::vector<std::byte>& bytes) {
    Store store = store_of_now();
    rsm::BufferReader in(bytes);
    store.restore(in);
    in.finish();
    return store;
}

bool matches(std::string_view pattern, std::string_view text) {
    std::size_t steps = 1000;
    return kv::Glob(pattern).matches(text, steps);
}

// All keys that a whole iteration returns, with what `between` does to the store after each step.
template <class Between>
std::multiset<std::string> scan_all(const Store* store, std::size_t count, Between between) {
    std::multiset<std::string> seen;
    std::uint64_t cursor = 0;
    do {
        cursor = store->scan(cursor, count, [&](const std::string& key, const auto&) {
            seen.insert(key);
            return true;
        });
        store = between(store);
    } while (cursor != 0);
    return seen;
}

}  // namespace

TEST_CASE("a key is there until the log's time has reached its deadline, and then it is not") {
    Store store = store_of_now();
    CHECK(at(1000, store, set_for("a", 500)) == Result{Status::ok, 1, 1});
    CHECK(store.find("a")->deadline == 1500);
    at(1499, store, kv::Set{"other", "x"});
    CHECK(store.find("a") != nullptr);
    at(1500, store, kv::Tick{});
    CHECK(store.find("a") == nullptr);
    CHECK(store.key_count() == 1);
    CHECK(store.time() == 1500);
}

TEST_CASE("the time never goes back, and what is given a time has it in full") {
    Store store = store_of_now();
    at(5000, store, kv::Tick{});
    at(1000, store, set_for("a", 500));
    CHECK(store.time() == 5000);
    CHECK(store.find("a")->deadline == 5500);
    at(0, store, kv::Set{"b", "x"});
    CHECK(store.time() == 5000);
    at(kv::never, store, kv::Tick{});
    CHECK(store.find("b") != nullptr);
}

TEST_CASE("a key whose memory is not freed yet has expired all the same") {
    Store store = store_of_now();
    const std::size_t keys = 3 * kv::freed_by_write;
    for (std::size_t i = 0; i < keys; ++i) at(1, store, set_for("k" + std::to_string(i), 99));
    const Result done = at(100, store, kv::Append{"k" + std::to_string(keys - 1), "x"});
    CHECK(done.integer == 1);  // nothing was there to be written behind
    CHECK(store.key_count() == keys - kv::freed_by_write);
    std::size_t found = 0;
    store.for_each([&](const std::string&, const Store::Entry&) { ++found; });
    CHECK(found == 1);
    CHECK(scan_all(&store, 10, [](auto* same) { return same; }).size() == 1);
    CHECK(store.has_leftovers());
    const Store copy = restored(snapshot(store));
    CHECK(copy == store);
    CHECK(copy.find("k0") == nullptr);
    at(100, store, kv::Tick{});
    CHECK(store.key_count() == 1);
    CHECK_FALSE(store.has_leftovers());
    CHECK(store.bytes() == restored(snapshot(store)).bytes());
}

TEST_CASE("a key that has expired is new when it is written, with a version that it has not had") {
    Store store = store_of_now();
    at(1, store, kv::Put{"a", "x", 0});
    at(1, store, kv::Put{"a", "x", 1});
    at(1, store, expire_at("a", 10));
    CHECK(store.find("a")->version == 3);
    CHECK(at(10, store, kv::Put{"a", "y", 3}).status == Status::no_key);
    CHECK(at(10, store, kv::Put{"a", "y", 0}) == Result{Status::ok, 0, 4});
    CHECK(store.find("a")->deadline == kv::never);

    // The same where it is still in memory, behind others.
    for (int i = 0; i < 200; ++i) at(11, store, set_for("b" + std::to_string(i), 1));
    at(11, store, set_for("z", 2));
    CHECK(at(13, store, kv::Put{"z", "y", 0}).version > 4);
    CHECK(store.find("z")->version > store.deleted_floor() - 1);
    CHECK(restored(snapshot(store)) == store);
}

TEST_CASE("what changes a value keeps the deadline, and what writes it over drops it") {
    Store store = store_of_now();
    const auto deadline = [&] { return store.find("a")->deadline; };
    at(1, store, kv::Replace{{"a", "1"}, {Expiry::Kind::relative, 99}, false});
    at(2, store, kv::Increment{"a", 1});
    CHECK(deadline() == 100);
    at(3, store, kv::Append{"a", "0"});
    CHECK(deadline() == 100);
    at(4, store, kv::Replace{{"a", "5"}, {Expiry::Kind::kept, 0}, true});
    CHECK(deadline() == 100);
    at(5, store, kv::Set{"a", "6"});
    CHECK(deadline() == kv::never);
    at(6, store, expire_at("a", 50));
    at(6, store, kv::SetMany{{{"a", "7"}}});
    CHECK(deadline() == kv::never);
    at(7, store, expire_at("a", 50));
    at(7, store, kv::Put{"a", "8", store.find("a")->version});
    CHECK(deadline() == kv::never);
    at(100, store, kv::Tick{});
    CHECK(store.find("a")->value == "8");
}

TEST_CASE("a deadline is set under its condition only, and one that has passed deletes") {
    using When = Expire::When;
    Store store = store_of_now();
    CHECK(at(10, store, expire_at("a", 99)).integer == 0);
    at(10, store, kv::Set{"a", "x"});
    CHECK(at(10, store, expire_at("a", 99, When::with)).integer == 0);
    CHECK(at(10, store, expire_at("a", 99, When::later)).integer == 0);
    CHECK(at(10, store, expire_at("a", 99, When::sooner_with)).integer == 0);
    CHECK(at(10, store, expire_at("a", 99, When::sooner)).integer == 1);
    CHECK(at(10, store, expire_at("a", 99, When::without)).integer == 0);
    CHECK(at(10, store, expire_at("a", 99, When::later)).integer == 0);
    CHECK(at(10, store, expire_at("a", 100, When::later)).integer == 1);
    CHECK(at(10, store, expire_at("a", 100, When::sooner)).integer == 0);
    CHECK(at(10, store, expire_at("a", 98, When::sooner_with)).integer == 1);
    CHECK(at(10, store, expire_at("a", 97, When::with)).integer == 1);
    CHECK(at(10, store, Expire{"a", {}, When::always, false}).integer == 1);
    CHECK(at(10, store, Expire{"a", {}, When::always, false}).integer == 0);
    CHECK(store.find("a")->version == 6);
    CHECK(at(10, store, expire_at("a", 10)).integer == 1);
    CHECK(store.find("a") == nullptr);
    CHECK(at(10, store, kv::Replace{{"b", "x"}, {Expiry::Kind::absolute, 10}, false}).version == 0);
    CHECK(store.find("b") == nullptr);
    CHECK(at(10, store, kv::Set{"b", "x"}).version > 1);
}

TEST_CASE("what members do not all know does nothing, and the time is not told") {
    Store store;
    CHECK(at(5, store, set_for("a", 9)).status == Status::not_agreed);
    CHECK(at(5, store, kv::Flush{}).status == Status::not_agreed);
    CHECK(store == Store());
    const Operation told{kv::Set{"a", "x"}, 77};
    rsm::BufferWriter out;
    out.use_versions({0, Store::format_version});
    out << told;
    const auto old = rsm::decode<Operation>(out.view(), rsm::FormatVersions{0, 1});
    CHECK(old.time == 0);
    CHECK(std::get<kv::Set>(old.action).value == "x");
    CHECK(rsm::decode<Operation>(rsm::encode(told)).time == 77);
}

TEST_CASE("snapshots of the version before are those of the program before, and are read") {
    rsm::BufferWriter by_hand;
    by_hand << std::uint8_t{1} << std::uint64_t{4} << std::uint64_t{1} << std::string("k")
            << std::string("v") << std::uint64_t{5};
    const auto bytes = by_hand.take();
    const Store store = restored(bytes);
    CHECK(store.find("k")->value == "v");
    CHECK(store.find("k")->version == 5);
    CHECK(store.find("k")->deadline == kv::never);
    CHECK(store.deleted_floor() == 4);
    CHECK(snapshot(store, 0) == bytes);
    CHECK(snapshot(store, 1) != bytes);
    CHECK(restored(snapshot(store, 1)) == store);
}

TEST_CASE("a snapshot carries the time and the deadlines") {
    Store store = store_of_now();
    at(100, store, set_for("a", 50));
    at(120, store, kv::Set{"b", "x"});
    Store copy = restored(snapshot(store));
    CHECK(copy == store);
    CHECK(copy.digest() == store.digest());
    CHECK(copy.time() == 120);
    CHECK(copy.first_deadline() == 150);
    at(150, copy, kv::Tick{});
    CHECK(copy.find("a") == nullptr);
    CHECK_FALSE(copy == store);
    Store other = restored(snapshot(store));
    at(120, other, expire_at("a", 151));
    CHECK(other.digest() != store.digest());
    at(121, store, kv::Tick{});
    CHECK(store.digest() != restored(snapshot(copy)).digest());
}

TEST_CASE("deleting all keys takes versions and images along, and frees little by little") {
    Store store = store_of_now();
    const std::size_t keys = 5000;
    for (std::size_t i = 0; i < keys; ++i) {
        at(1, store, kv::Replace{{"k" + std::to_string(i), "v"}, {Expiry::Kind::relative, 50}, {}});
    }
    at(1, store, kv::Increment{"n", 1});
    at(1, store, kv::Increment{"n", 1});
    std::optional<Store::Image> image = store.freeze();
    const auto before = snapshot(store);
    at(1, store, kv::Set{"k1", "changed"});
    at(1, store, kv::Flush{});
    CHECK(store.key_count() == 0);
    CHECK(store.deadline_count() == 0);
    CHECK(store.deleted_floor() == 2);
    CHECK(store == restored(snapshot(store)));
    at(1, store, kv::Set{"k1", "new"});
    CHECK(store.find("k1")->version == 3);
    rsm::BufferWriter out;
    image->snapshot(out);
    CHECK(out.take() == before);
    for (int i = 0; i < 10; ++i) at(1, store, kv::Tick{});
    CHECK(store.has_leftovers());  // the image still shows them
    image.reset();
    int ticks = 0;
    for (; store.has_leftovers(); ++ticks) at(1, store, kv::Tick{});
    CHECK(ticks >= static_cast<int>(keys / kv::freed_by_tick));
    CHECK(ticks < 20);
    CHECK(store.find("k1")->value == "new");
}

TEST_CASE("a transaction does all of it in order, or nothing where a watched key has changed") {
    Store store = store_of_now();
    at(1, store, kv::Set{"a", "1"});
    kv::Transaction all;
    all.watched = {{"a", 1}, {"none", 0}};
    all.actions = {kv::Increment{"a", 4}, kv::Query{kv::Query::Kind::get_many, {"a", "none"}},
                   kv::Append{"x", "y"}, kv::Take{"a"}};
    const Result done = at(2, store, all);
    REQUIRE(done.parts.size() == 4);
    CHECK(done.parts[0].integer == 5);
    CHECK(done.parts[1].values == decltype(done.values){"5", std::nullopt});
    CHECK(done.parts[2].integer == 1);
    CHECK(done.parts[3].values == decltype(done.values){"5"});
    CHECK(store.find("a") == nullptr);
    const Store unchanged = store;
    CHECK(at(2, store, all) == Result{Status::changed, 0, 0});
    CHECK(store == unchanged);
    const auto copy = rsm::decode<Result>(rsm::encode(done));
    CHECK(copy == done);
}

TEST_CASE("a transaction that would touch too much does nothing") {
    Store store = store_of_now();
    at(1, store, kv::Set{"a", std::string(std::size_t{7} << 20, 'x')});
    kv::Transaction appends;
    for (int i = 0; i < 4; ++i) appends.actions.emplace_back(kv::Append{"a", "."});
    CHECK(at(2, store, appends).status == Status::ok);
    appends.actions.emplace_back(kv::Append{"a", "."});
    CHECK(at(3, store, appends).status == Status::too_much);
    CHECK(store.find("a")->version == 5);
    kv::Transaction reads;
    for (int i = 0; i < 3; ++i) reads.actions.emplace_back(kv::Query{kv::Query::Kind::get, {"a"}});
    CHECK(at(4, store, reads).status == Status::too_much);
    kv::Transaction grows;
    grows.actions.emplace_back(kv::Set{"b", std::string(std::size_t{7} << 20, 'x')});
    for (int i = 0; i < 9; ++i) grows.actions.emplace_back(kv::Increment{"b", 1});
    CHECK(at(5, store, grows).status == Status::too_much);
    CHECK(store.find("b") == nullptr);
}

TEST_CASE("an iteration returns what is there all the time, however the table changes meanwhile") {
    std::mt19937 random(7);
    Store first = store_of_now();
    std::set<std::string> steady;
    for (int i = 0; i < 2000; ++i) {
        steady.insert("s" + std::to_string(i));
        at(1, first, kv::Set{"s" + std::to_string(i), "x"});
    }
    for (const std::size_t count : {1U, 7U, 100U, 1000U, 5000U}) {
        std::vector<Store> stores{first};
        stores.reserve(10000);
        int round = 0;
        const auto seen = scan_all(&stores.back(), count, [&](const Store*) {
            // Other keys come and go, so that it grows and is rebuilt, and every now and then
            // another replica goes on, which was made from a snapshot.
            Store& store = stores.back();
            for (int i = 0; i < 20; ++i) {
                const std::string key = "t" + std::to_string(random() % 9000);
                if (random() % 3 == 0) {
                    at(1, store, kv::Delete{{key}});
                } else {
                    at(1, store, kv::Set{key, "x"});
                }
            }
            if (++round % 50 == 0) stores.push_back(restored(snapshot(store)));
            return &stores.back();
        });
        for (const std::string& key : steady) REQUIRE(seen.count(key) == 1);
    }
}

TEST_CASE("an iteration ends, however cursors are made up") {
    Store store = store_of_now();
    const auto all = [](const std::string&, const Store::Entry&) { return true; };
    CHECK(store.scan(0, 10, all) == 0);
    for (int i = 0; i < 1000; ++i) at(1, store, kv::Set{"k" + std::to_string(i), "x"});
    for (const std::uint64_t cursor :
         {~std::uint64_t{0}, std::uint64_t{1} << 53, (std::uint64_t{1} << 53) - 1}) {
        CHECK(store.scan(cursor, 10, all) == 0);
    }
    CHECK(store.scan(1, 1000000, all) == 0);
}

TEST_CASE("the order of hashes keeps up with insertions and deletions, equal ones too") {
    kv::HashOrder order;
    std::multiset<std::uint64_t> expected;
    std::mt19937_64 random(3);
    for (int i = 0; i < 20000; ++i) {
        // Some are of one position, some are the same.
        const std::uint64_t hash =
            random() % 4 == 0 ? (random() % 3000) << 60 >> 4 | random() % 99 : random();
        if (random() % 3 != 0 || expected.empty()) {
            order.insert(hash);
            expected.insert(hash);
        } else {
            auto gone = expected.lower_bound(random());
            if (gone == expected.end()) gone = expected.begin();
            order.erase(*gone);
            expected.erase(gone);
        }
    }
    const std::vector<std::uint64_t> all(expected.begin(), expected.end());
    CHECK(order.from(0, all.size() + 1) == all);
    const std::uint64_t position = kv::HashOrder::position_of(all[all.size() / 2]);
    const auto rest = order.from(position, 1);
    REQUIRE_FALSE(rest.empty());
    CHECK(rest.front() == *expected.lower_bound(kv::HashOrder::first_of(position)));
    while (!order.free_some(1000)) {}
}

TEST_CASE("an order made of many hashes at once is the one that as many insertions make") {
    std::mt19937_64 random(4);
    for (const std::size_t count : {0U, 1U, 64U, 65U, 5000U}) {
        std::vector<std::uint64_t> hashes;
        while (hashes.size() < count) {
            const std::uint64_t hash = random();
            // Now and then more of one position than a chunk is for, some of them equal.
            const std::size_t alike = random() % 50 == 0 ? 200 : 1;
            for (std::size_t i = 0; i < alike; ++i) hashes.push_back(hash ^ random() % 99);
        }
        kv::HashOrder order(hashes);
        for (int i = 0; i < 1000; ++i) {
            hashes.push_back(random());
            order.insert(hashes.back());
        }
        std::vector<std::uint64_t> sorted = hashes;
        std::sort(sorted.begin(), sorted.end());
        CHECK(order.from(0, sorted.size() + 1) == sorted);
        for (std::size_t i = 0; i < sorted.size(); i += 2) order.erase(sorted[i]);
        std::vector<std::uint64_t> rest;
        for (std::size_t i = 1; i < sorted.size(); i += 2) rest.push_back(sorted[i]);
        CHECK(order.from(0, sorted.size()) == rest);
    }
}

TEST_CASE("the log's clock goes on, wherever the wall clock is") {
    using Steady = std::chrono::steady_clock::time_point;
    using std::chrono::microseconds;
    kv::LogClock clock;
    Steady steady{std::chrono::hours(5)};
    const auto after = [&](int us) { return steady += microseconds(us); };
    CHECK(clock.now(5000, steady, 0) == 5000);
    CHECK(clock.now(5007, after(7000), 0) == 5007);
    // Set back: it goes on as time does, without losing fractions.
    for (int i = 0; i < 10; ++i) clock.now(10, after(1500), 0);
    CHECK(clock.now(10, steady, 0) == 5022);
    // Behind the log, as a new leader's may be.
    CHECK(clock.now(100, after(1000), 9000) == 9000);
    CHECK(clock.now(200, after(2000), 9000) == 9002);
    // Set forward: it is believed.
    CHECK(clock.now(20000, after(1000), 9002) == 20000);
    CHECK(clock.now(0, steady - microseconds(1), 0) == 20000);
}

TEST_CASE("patterns are those of Redis") {
    for (const auto& [pattern, text] :
         std::map<std::string, std::string>{{"", ""},
                                            {"*", ""},
                                            {"*", "abc"},
                                            {"a*c", "abbc"},
                                            {"a*c", "ac"},
                                            {"?b?", "abc"},
                                            {"[abc]x", "bx"},
                                            {"[^abc]x", "dx"},
                                            {"[a-c]", "b"},
                                            {"[c-a]", "b"},
                                            {"\\*", "*"},
                                            {"a\\", "a\\"},
                                            {"*a*b", "xaxbxb"},
                                            {"[\\]]", "]"},
                                            {"[a", "a"},
                                            {"**x**", "axb"},
                                            {"h[a-z]llo*", "hello you"}}) {
        CAPTURE(pattern);
        CHECK(matches(pattern, text));
    }
    for (const auto& [pattern, text] : std::map<std::string, std::string>{{"", "a"},
                                                                          {"?", ""},
                                                                          {"a", "b"},
                                                                          {"a*c", "ab"},
                                                                          {"[^a]", "a"},
                                                                          {"\\*", "a"},
                                                                          {"*a*b", "bbba"},
                                                                          {"[a-c]", "d"},
                                                                          {"abc", "ab"},
                                                                          {"ab", "abc"},
                                                                          {"[^abc]", "b"}}) {
        CAPTURE(pattern);
        CHECK_FALSE(matches(pattern, text));
    }
    std::size_t steps = 10000;
    CHECK_FALSE(kv::Glob("*aaaaaaaaaaaaaaaab").matches(std::string(10000, 'a'), steps));
    CHECK(steps == 0);
}

TEST_CASE("stores with deadlines stay equal to a plain map of them, also as images come and go") {
    std::mt19937 random(11);
    struct Known {
        std::string value;
        kv::Time deadline;
    };
    std::map<std::string, Known> expected;
    Store store = store_of_now();
    std::optional<Store::Image> image;
    kv::Time time = 1;
    for (int i = 0; i < 20000; ++i) {
        time += random() % 4;
        std::erase_if(expected, [&](auto& entry) { return entry.second.deadline <= time; });
        const std::string key = "k" + std::to_string(random() % 300);
        const auto known = expected.find(key);
        const std::string value = std::to_string(random() % 1000);
        const auto later = static_cast<std::int64_t>(random() % 100);
        switch (random() % 6) {
            case 0:
                at(time, store, kv::Set{key, value});
                expected[key] = {value, kv::never};
                break;
            case 1:
                at(time, store, kv::Replace{{key, value}, {Expiry::Kind::relative, later + 1}, {}});
                expected[key] = {value, time + static_cast<kv::Time>(later) + 1};
                break;
            case 2:
                at(time, store, Expire{key, {Expiry::Kind::relative, later}, {}, {}});
                if (known == expected.end()) break;
                known->second.deadline = time + static_cast<kv::Time>(later);
                if (later == 0) expected.erase(known);
                break;
            case 3:
                at(time, store, kv::Delete{{key}});
                expected.erase(key);
                break;
            case 4:
                at(time, store, kv::Append{key, "x"});
                if (known == expected.end()) {
                    expected[key] = {"x", kv::never};
                } else {
                    known->second.value += "x";
                }
                break;
            default: at(time, store, kv::Tick{}); break;
        }
        if (random() % 50 == 0) image.emplace(store.freeze());
        if (random() % 80 == 0) image.reset();
        if (random() % 2000 == 0) {
            at(time, store, kv::Flush{});
            expected.clear();
        }
        const Store::Entry* found = store.find(key);
        const auto wanted = expected.find(key);
        REQUIRE((found != nullptr) == (wanted != expected.end()));
        if (found == nullptr) continue;
        REQUIRE(found->value == wanted->second.value);
        REQUIRE(found->deadline == wanted->second.deadline);
    }
    CHECK(scan_all(&store, 30, [](auto* same) { return same; }).size() == expected.size());
    const Store copy = restored(snapshot(store));
    CHECK(copy == store);
    CHECK(copy.bytes() == store.bytes());
    CHECK(copy.digest() == store.digest());
}

}  // namespace expiry_test
