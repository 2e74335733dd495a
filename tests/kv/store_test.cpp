// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <kv/store.hpp>

#include <rsm/archive.hpp>
#include <rsm/state_machine.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace store_test {

namespace {

using kv::Operation;
using kv::Result;
using kv::Status;
using kv::Store;

static_assert(rsm::StateMachine<Store>);
static_assert(rsm::SnapshotsByHand<Store> && rsm::Freezes<Store>);

Result put(Store& store, std::string key, std::string value, std::uint64_t version) {
    return store.apply({kv::Put{std::move(key), std::move(value), version}});
}

Result set(Store& store, std::string key, std::string value,
           kv::Set::When when = kv::Set::When::always) {
    return store.apply({kv::Set{std::move(key), std::move(value), when}});
}

Result del(Store& store, std::vector<std::string> keys) {
    return store.apply({kv::Delete{std::move(keys)}});
}

Result increment(Store& store, std::string key, std::int64_t amount) {
    return store.apply({kv::Increment{std::move(key), amount}});
}

std::uint64_t version_of(const Store& store, std::string_view key) {
    const Store::Entry* entry = store.find(key);
    return entry == nullptr ? 0 : entry->version;
}

std::string value_of(const Store& store, std::string_view key) {
    const Store::Entry* entry = store.find(key);
    return entry == nullptr ? "(absent)" : entry->value;
}

template <class State>
std::vector<std::byte> snapshot(const State& store) {
    rsm::BufferWriter out;
    store.snapshot(out);
    return out.take();
}

Store restored(const std::vector<std::byte>& bytes) {
    Store store;
    rsm::BufferReader in(bytes);
    store.restore(in);
    in.finish();
    return store;
}

Operation random_operation(std::mt19937& random) {
    const auto key = [&] { return "k" + std::to_string(random() % 8); };
    const auto value = [&] { return std::to_string(static_cast<int>(random() % 30) - 10); };
    switch (random() % 6) {
        case 0: return {kv::Put{key(), value(), random() % 6}};
        case 1: return {kv::Set{key(), value(), static_cast<kv::Set::When>(random() % 3)}};
        case 2: return {kv::Delete{{key(), key()}}};
        case 3: return {kv::Increment{key(), static_cast<std::int64_t>(random() % 9) - 4}};
        case 4: return {kv::SetMany{{{key(), value()}, {key(), "text"}}}};
        default: return {kv::Put{key(), value(), 0}};
    }
}

}  // namespace

TEST_CASE("a put takes effect only at the version that the key has") {
    Store store;
    CHECK(put(store, "a", "x", 1) == Result{Status::no_key, 0, 0});
    CHECK(store.find("a") == nullptr);
    CHECK(put(store, "a", "x", 0) == Result{Status::ok, 0, 1});
    CHECK(put(store, "a", "y", 0) == Result{Status::version, 0, 1});
    CHECK(put(store, "a", "y", 2) == Result{Status::version, 0, 1});
    CHECK(value_of(store, "a") == "x");
    CHECK(put(store, "a", "y", 1) == Result{Status::ok, 0, 2});
    CHECK(value_of(store, "a") == "y");
    CHECK(version_of(store, "a") == 2);
}

TEST_CASE("a set raises the version by one, whatever it was") {
    Store store;
    CHECK(set(store, "a", "x") == Result{Status::ok, 0, 1});
    CHECK(set(store, "a", "x") == Result{Status::ok, 0, 2});
    CHECK(set(store, "b", "x") == Result{Status::ok, 0, 1});
}

TEST_CASE("a conditional set looks at the presence of the key") {
    using When = kv::Set::When;
    Store store;
    CHECK(set(store, "a", "x", When::present) == Result{Status::condition, 0, 0});
    CHECK(store.key_count() == 0);
    CHECK(set(store, "a", "x", When::absent) == Result{Status::ok, 0, 1});
    CHECK(set(store, "a", "y", When::absent) == Result{Status::condition, 0, 1});
    CHECK(value_of(store, "a") == "x");
    CHECK(set(store, "a", "y", When::present) == Result{Status::ok, 0, 2});
    CHECK(value_of(store, "a") == "y");
}

TEST_CASE("a deletion counts the keys that it deleted, each once") {
    Store store;
    set(store, "a", "1");
    set(store, "b", "1");
    CHECK(del(store, {"a", "a", "c", "b"}).integer == 2);
    CHECK(store.key_count() == 0);
    CHECK(store.bytes() == 0);
    CHECK(del(store, {"a"}).integer == 0);
}

TEST_CASE("a key that is created again never has a version that it has had before") {
    Store store;
    for (int i = 0; i < 5; ++i) {
        set(store, "a", "old");
    }
    set(store, "b", "other");
    del(store, {"a"});
    CHECK(store.deleted_floor() == 5);
    CHECK(put(store, "a", "new", 5).status == Status::no_key);
    CHECK(put(store, "a", "new", 0) == Result{Status::ok, 0, 6});
    for (std::uint64_t stale = 1; stale <= 5; ++stale) {
        CHECK(put(store, "a", "stale", stale).status == Status::version);
    }
    CHECK(version_of(store, "b") == 1);
    del(store, {"b"});
    CHECK(store.deleted_floor() == 5);
    CHECK(set(store, "c", "x").version == 6);
}

TEST_CASE("versions of each key never repeat under random operations") {
    std::mt19937 random(5);
    Store store;
    std::set<std::pair<std::string, std::uint64_t>> seen;
    for (int i = 0; i < 5000; ++i) {
        const std::string key = "k" + std::to_string(random() % 4);
        if (random() % 3 == 0) {
            del(store, {key});
        } else {
            const Result result = set(store, key, "x");
            REQUIRE(seen.emplace(key, result.version).second);
        }
    }
}

TEST_CASE("an increment reads the value as an integer and writes it back") {
    Store store;
    CHECK(increment(store, "n", 5) == Result{Status::ok, 5, 1});
    CHECK(increment(store, "n", -8) == Result{Status::ok, -3, 2});
    CHECK(value_of(store, "n") == "-3");
    set(store, "n", "3x");
    CHECK(increment(store, "n", 1) == Result{Status::not_integer, 0, 3});
    set(store, "n", "");
    CHECK(increment(store, "n", 1).status == Status::not_integer);
    CHECK(value_of(store, "n").empty());
}

TEST_CASE("an increment beyond 64 bits changes nothing") {
    Store store;
    set(store, "n", "9223372036854775806");
    CHECK(increment(store, "n", 1).integer == INT64_MAX);
    CHECK(increment(store, "n", 1) == Result{Status::out_of_range, 0, 2});
    CHECK(value_of(store, "n") == "9223372036854775807");
    CHECK(increment(store, "n", INT64_MIN).integer == -1);
    CHECK(increment(store, "n", INT64_MIN).status == Status::out_of_range);
    CHECK(increment(store, "m", INT64_MIN).integer == INT64_MIN);
    CHECK(increment(store, "m", -1).status == Status::out_of_range);
    CHECK(increment(store, "m", INT64_MAX).integer == -1);
}

TEST_CASE("several keys are set in order") {
    Store store;
    CHECK(store.apply({kv::SetMany{{{"a", "1"}, {"b", "2"}, {"a", "3"}}}}) == Result{});
    CHECK(value_of(store, "a") == "3");
    CHECK(version_of(store, "a") == 2);
    CHECK(value_of(store, "b") == "2");
}

TEST_CASE("the estimate of memory follows keys and values") {
    Store store;
    set(store, "abc", "12345");
    const std::uint64_t overhead = store.bytes() - 8;
    CHECK(overhead > 0);
    set(store, "abc", "1");
    CHECK(store.bytes() == 4 + overhead);
    set(store, "d", std::string(1000, 'x'));
    CHECK(store.bytes() == 1005 + 2 * overhead);
    CHECK(restored(snapshot(store)).bytes() == store.bytes());
    del(store, {"abc", "d"});
    CHECK(store.bytes() == 0);
}

TEST_CASE("an operation of each kind survives the archive with its effect") {
    std::mt19937 random(11);
    Store direct;
    Store decoded;
    for (int i = 0; i < 3000; ++i) {
        const Operation operation = random_operation(random);
        const auto bytes = rsm::encode(operation);
        const auto copy = rsm::decode<Operation>(bytes);
        REQUIRE(copy.action.index() == operation.action.index());
        const Result result = direct.apply(operation);
        REQUIRE(decoded.apply(copy) == result);
        REQUIRE(rsm::decode<Result>(rsm::encode(result)) == result);
    }
    CHECK(direct == decoded);
    CHECK(direct.key_count() > 0);
}

TEST_CASE("equal states give equal snapshots and digests, whatever the order of the keys") {
    Store forward;
    Store backward;
    for (int i = 0; i < 1000; ++i) {
        set(forward, "key" + std::to_string(i), std::to_string(i));
        set(backward, "key" + std::to_string(999 - i), std::to_string(999 - i));
    }
    CHECK(forward == backward);
    CHECK(snapshot(forward) == snapshot(backward));
    CHECK(forward.digest() == backward.digest());
}

TEST_CASE("the digest sees every part of the state") {
    std::set<std::uint64_t> digests;
    Store store;
    const auto differs = [&] { return digests.insert(store.digest()).second; };
    CHECK(differs());
    set(store, "a", "x");
    CHECK(differs());
    set(store, "a", "x");  // The version alone.
    CHECK(differs());
    set(store, "b", "y");
    CHECK(differs());
    set(store, "c", "z");
    del(store, {"c"});  // The floor alone.
    CHECK(differs());
    Store swapped;  // Values of two keys exchanged.
    Store straight;
    swapped.apply({kv::SetMany{{{"a", "y"}, {"b", "x"}}}});
    straight.apply({kv::SetMany{{{"a", "x"}, {"b", "y"}}}});
    CHECK(swapped.digest() != straight.digest());
}

TEST_CASE("the digest is that of the state, by whatever way the store came to it") {
    std::mt19937 random(7);
    Store store;
    for (int i = 0; i < 3000; ++i) {
        store.apply(random_operation(random));
        if (i % 100 == 0) REQUIRE(store.digest() == restored(snapshot(store)).digest());
    }
}

TEST_CASE("the digest of a known state is the same on every platform") {
    Store store;
    store.apply({kv::SetMany{{{"alpha", "1"}, {"beta", "2"}, {"gone", "3"}}}});
    del(store, {"gone"});
    CHECK(store.digest() == 5715530836827928819U);
}

TEST_CASE("a restored store goes on like the one that was saved") {
    std::mt19937 random(3);
    Store store;
    for (int i = 0; i < 500; ++i) {
        store.apply(random_operation(random));
    }
    Store copy = restored(snapshot(store));
    CHECK(copy == store);
    CHECK(copy.deleted_floor() == store.deleted_floor());
    CHECK(copy.deleted_floor() > 0);
    for (int i = 0; i < 500; ++i) {
        const Operation operation = random_operation(random);
        REQUIRE(copy.apply(operation) == store.apply(operation));
    }
    CHECK(copy.digest() == store.digest());
    CHECK(snapshot(copy) == snapshot(store));
}

TEST_CASE("restoring leaves nothing of the state before") {
    Store empty;
    Store store;
    set(store, "a", "x");
    del(store, {"a"});
    set(store, "b", "x");
    const auto bytes = snapshot(empty);
    rsm::BufferReader reader(bytes);
    store.restore(reader);
    CHECK(store == empty);
    CHECK(store.bytes() == 0);
}

TEST_CASE("a snapshot cut short or damaged is refused and leaves the state alone") {
    Store saved;
    for (const char* key : {"a", "b", "c"}) {
        set(saved, key, "value");
    }
    const auto bytes = snapshot(saved);
    Store store;
    set(store, "mine", "x");
    const Store before = store;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<std::byte> cut(bytes.begin(),
                                         bytes.begin() + static_cast<std::ptrdiff_t>(size));
        rsm::BufferReader in(cut);
        CHECK_THROWS_AS(store.restore(in), std::runtime_error);
        REQUIRE(store == before);
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            auto damaged = bytes;
            damaged[at] ^= static_cast<std::byte>(1 << bit);
            rsm::BufferReader in(damaged);
            Store target = before;
            try {
                target.restore(in);
            } catch (const std::runtime_error&) {
                REQUIRE(target == before);
            }
        }
    }
}

TEST_CASE("a snapshot whose entries are out of order or have no version is refused") {
    const auto refuses = [](std::string_view first, std::string_view second, std::uint64_t version,
                            std::uint8_t format = 1) {
        rsm::BufferWriter out;
        out << format << std::uint64_t{0} << std::uint64_t{2};
        out << std::string(first) << std::string("x") << std::uint64_t{1};
        out << std::string(second) << std::string("y") << version;
        const auto bytes = out.take();
        rsm::BufferReader in(bytes);
        Store store;
        try {
            store.restore(in);
        } catch (const std::runtime_error&) {
            return true;
        }
        return false;
    };
    CHECK_FALSE(refuses("a", "b", 1));
    CHECK(refuses("b", "a", 1));
    CHECK(refuses("a", "a", 1));
    CHECK(refuses("a", "b", 0));
    CHECK(refuses("a", "b", 1, 2));
}

TEST_CASE("an image shows the state as it was, whatever happens to the store, and to it alone") {
    Store store;
    set(store, "changed", "1");
    set(store, "deleted", "2");
    set(store, "kept", "3");
    const auto before = snapshot(store);
    std::optional<Store::Image> image(store.freeze());
    CHECK(snapshot(*image) == before);
    set(store, "changed", "new");
    set(store, "created", "new");
    CHECK(del(store, {"deleted", "created", "absent"}).integer == 2);
    CHECK(set(store, "created", "again").version == 2);
    CHECK(snapshot(*image) == before);

    const auto check = [&] {
        CHECK(value_of(store, "changed") == "new");
        CHECK(version_of(store, "changed") == 2);
        CHECK(value_of(store, "deleted") == "(absent)");
        CHECK(value_of(store, "created") == "again");
        CHECK(value_of(store, "kept") == "3");
        CHECK(store.key_count() == 3);
    };
    check();
    SUBCASE("the image goes first") {
        image.reset();
        check();
        CHECK(restored(snapshot(store)) == store);
        set(store, "one more", "");  // carries over
        CHECK(del(store, {"one more"}).integer == 1);
        check();
    }
    SUBCASE("the store goes first") {
        store = Store{};
        CHECK(snapshot(*image) == before);
    }
    SUBCASE("another image is made meanwhile") {
        const auto now = snapshot(store);
        const Store::Image second = store.freeze();
        set(store, "kept", "4");
        CHECK(snapshot(*image) == before);
        CHECK(snapshot(second) == now);
        image.reset();
        CHECK(snapshot(second) == now);
        CHECK(value_of(store, "kept") == "4");
    }
    SUBCASE("a copy goes its own way") {
        Store copy = store;
        CHECK(copy == store);
        set(copy, "kept", "4");
        CHECK(!(copy == store));
        check();
    }
}

TEST_CASE("a store with images is the same as one without, under random operations") {
    std::mt19937 random(7);
    const auto draw = [&random](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    Store store;
    Store plain;
    std::vector<std::pair<Store::Image, std::vector<std::byte>>> images;
    for (int i = 0; i < 20000; ++i) {
        const std::string key = "k" + std::to_string(draw(200));
        const std::uint32_t kind = draw(4);
        Operation operation;
        if (kind == 0) {
            operation.action = kv::Delete{{key}};
        } else if (kind == 1) {
            operation.action = kv::Increment{key, 1};
        } else {
            operation.action = kv::Set{key, std::to_string(i)};
        }
        CHECK(store.apply(operation) == plain.apply(operation));
        if (draw(50) == 0) {
            if (draw(3) == 0) images.emplace_back(store.freeze(), snapshot(plain));
            if (draw(2) == 0) images.clear();
        }
        if (draw(200) != 0) continue;
        CHECK(store.digest() == plain.digest());
        CHECK(store.key_count() == plain.key_count());
        CHECK(store.bytes() == plain.bytes());
        CHECK(store == plain);
        CHECK(plain == store);
        CHECK(snapshot(store) == snapshot(plain));
        for (const auto& [image, expected] : images) CHECK(snapshot(image) == expected);
    }
}

TEST_CASE("an image is written on another thread while the store goes on") {
    Store store;
    for (int i = 0; i < 2000; ++i) set(store, std::to_string(i), "before");
    for (int round = 0; round < 5; ++round) {
        const auto expected = snapshot(store);
        auto image = std::make_unique<Store::Image>(store.freeze());
        std::atomic<bool> written = false;
        std::vector<std::byte> bytes;
        std::thread writer([&] {
            bytes = snapshot(*image);
            image.reset();
            written = true;
        });
        int changes = 0;
        for (; !written || changes < 4000; ++changes) {
            set(store, std::to_string(changes % 3000), std::to_string(round));
            if (changes % 3 == 0) del(store, {std::to_string(changes % 2000)});
        }
        writer.join();
        CHECK(bytes == expected);
    }
}

}  // namespace store_test
