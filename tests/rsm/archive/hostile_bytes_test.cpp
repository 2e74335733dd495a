// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Bytes that no archive wrote: each is refused, and costs neither memory nor depth.
#include "archive_support.hpp"

#include <rsm/archive.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace hostile_bytes_test {

using namespace archive_test;

// Counts what is asked of it and refuses nothing.
struct Allocations {
    std::size_t largest = 0;
};
template <class T>
struct CountingAllocator {
    using value_type = T;
    static Allocations& seen() {
        static Allocations allocations;
        return allocations;
    }
    CountingAllocator() = default;
    template <class U>
    CountingAllocator(const CountingAllocator<U>&) {}
    T* allocate(std::size_t count) {
        CountingAllocator<std::byte>::seen().largest =
            std::max(CountingAllocator<std::byte>::seen().largest, count * sizeof(T));
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* pointer, std::size_t count) {
        std::allocator<T>().deallocate(pointer, count);
    }
    bool operator==(const CountingAllocator&) const { return true; }
};

template <class Container>
void check_hostile_count() {
    // The largest count there is, and counts just above what follows.
    for (const std::uint64_t count :
         {~std::uint64_t{0}, std::uint64_t{1} << 60, std::uint64_t{1'000'000}, std::uint64_t{65}}) {
        rsm::BufferWriter writer;
        writer.write_varint(count);
        writer.write(Bytes(64));
        auto& largest = CountingAllocator<std::byte>::seen().largest;
        largest = 0;
        CHECK(error_of([&] { (void)rsm::decode<Container>(writer.view()); }) ==
              ArchiveErrc::count_too_large);
        CHECK(largest <= 64);  // Hash tables may keep a bucket from the start.
    }
}

template <class T>
void check_random_bytes(std::uint64_t seed, int rounds) {
    std::mt19937_64 random(seed);
    int accepted = 0;
    for (int round = 0; round < rounds; ++round) {
        Bytes input(random() % 48);
        for (std::byte& byte : input) {
            // Small values dominate, for they are plausible counts, flags and versions.
            const std::uint64_t drawn = random();
            byte = static_cast<std::byte>(drawn % 4 == 0 ? drawn >> 8 : (drawn >> 8) % 5);
        }
        std::optional<T> value;
        const auto error = error_of([&] { value = rsm::decode<T>(input); });
        const auto slow_error = error_of([&] { (void)decode_slowly<T>(input); });
        REQUIRE(error == slow_error);
        if (!error) {
            ++accepted;
            REQUIRE(rsm::encode(*value) == input);
        }
    }
    CHECK(accepted > 0);
    CHECK(accepted < rounds);
}

TEST_CASE("bytes that no encoder writes are refused") {
    CHECK(decode_error<bool>(bytes({2})) == ArchiveErrc::bad_value);
    CHECK(decode_error<Flag>(bytes({2})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::vector<bool>>(bytes({1, 255})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::optional<int>>(bytes({3, 0})) == ArchiveErrc::bad_value);
    CHECK(decode_error<unsigned>(bytes({248, 247})) == ArchiveErrc::bad_value);
    CHECK(decode_error<unsigned>(bytes({249, 255, 0})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::uint64_t>(bytes({255, 1, 0, 0, 0, 0, 0, 0, 0})) ==
          ArchiveErrc::bad_value);
    CHECK(decode_error<std::set<int>>(bytes({2, 4, 4})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::set<int>>(bytes({2, 4, 2})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::map<int, bool>>(bytes({2, 4, 0, 2, 0})) == ArchiveErrc::bad_value);
    CHECK(decode_error<std::unordered_map<int, bool>>(bytes({2, 4, 0, 4, 0})) ==
          ArchiveErrc::bad_value);
    CHECK(decode_error<std::variant<int, bool>>(bytes({2, 0})) == ArchiveErrc::bad_value);
}

TEST_CASE("an error names its cause and the byte at which it was found") {
    try {
        (void)rsm::decode<std::vector<bool>>(bytes({2, 1, 7}));
        FAIL("a bool of 7 was accepted");
    } catch (const rsm::ArchiveError& error) {
        CHECK(error.code() == ArchiveErrc::bad_value);
        CHECK(error.offset() == 3);
        CHECK(std::string(error.what()) ==
              "archive: the bytes are not the encoding of any value, at byte 3");
    }
}

TEST_CASE("a count that exceeds the remaining bytes is refused before anything is allocated") {
    using Allocator = CountingAllocator<int>;
    using PairAllocator = CountingAllocator<std::pair<const int, int>>;
    check_hostile_count<std::vector<int, Allocator>>();
    check_hostile_count<std::vector<char, CountingAllocator<char>>>();
    check_hostile_count<std::vector<double, CountingAllocator<double>>>();
    check_hostile_count<std::vector<bool, CountingAllocator<bool>>>();
    check_hostile_count<std::vector<Nothing, CountingAllocator<Nothing>>>();
    check_hostile_count<std::vector<Operation, CountingAllocator<Operation>>>();
    check_hostile_count<std::basic_string<char, std::char_traits<char>, CountingAllocator<char>>>();
    check_hostile_count<
        std::basic_string<char32_t, std::char_traits<char32_t>, CountingAllocator<char32_t>>>();
    check_hostile_count<std::list<int, Allocator>>();
    check_hostile_count<std::set<int, std::less<>, Allocator>>();
    check_hostile_count<std::unordered_set<int, std::hash<int>, std::equal_to<>, Allocator>>();
    check_hostile_count<std::map<int, int, std::less<>, PairAllocator>>();
    check_hostile_count<
        std::unordered_map<int, int, std::hash<int>, std::equal_to<>, PairAllocator>>();
}

TEST_CASE("a vector of large elements reserves no more memory than there are bytes left") {
    using Big = std::array<std::string, 8>;
    using Vector = std::vector<Big, CountingAllocator<Big>>;
    rsm::BufferWriter writer;
    writer.write_varint(4000);   // Elements, of which the first
    writer.write_varint(10000);  // is a string longer than what follows.
    writer.write(Bytes(4096));
    auto& largest = CountingAllocator<std::byte>::seen().largest;
    largest = 0;
    CHECK(error_of([&] { (void)rsm::decode<Vector>(writer.view()); }) ==
          ArchiveErrc::count_too_large);
    CHECK(largest > 0);
    CHECK(largest <= writer.view().size());
}

TEST_CASE("objects may nest to the stated depth and not beyond it") {
    const auto chain = [](std::uint32_t depth) {
        Tree tree;
        for (std::uint32_t level = 1; level < depth; ++level) {
            Tree parent;
            parent.children.push_back(std::move(tree));
            tree = std::move(parent);
        }
        return tree;
    };
    const Bytes deepest = rsm::encode(chain(rsm::archive_depth_max));
    CHECK(rsm::encode(rsm::decode<Tree>(deepest)) == deepest);
    CHECK(error_of([&] { (void)rsm::encode(chain(rsm::archive_depth_max + 1)); }) ==
          ArchiveErrc::too_deep);

    Bytes deeper;  // Version 0 and one child, again and again.
    for (int level = 0; level < 1'000'000; ++level) {
        deeper.push_back(std::byte{0});
        deeper.push_back(std::byte{1});
    }
    CHECK(decode_error<Tree>(deeper) == ArchiveErrc::too_deep);
}

TEST_CASE("many objects side by side do not count as depth") {
    Tree wide;
    wide.children.resize(10 * rsm::archive_depth_max);
    CHECK(rsm::decode<Tree>(rsm::encode(wide)).children.size() == wide.children.size());
}

TEST_CASE("random bytes are refused or are the one encoding of a value") {
    check_random_bytes<std::uint64_t>(1, 40'000);
    check_random_bytes<Operation>(2, 40'000);
    check_random_bytes<std::vector<std::map<std::string, std::optional<int>>>>(3, 40'000);
    check_random_bytes<std::variant<std::monostate, Segment, std::set<std::string>>>(4, 40'000);
    check_random_bytes<Tree>(5, 40'000);
    check_random_bytes<std::tuple<std::vector<Nothing>, std::deque<bool>, Color>>(6, 40'000);
}

TEST_CASE("random bytes for unordered containers are refused or give a value of the stated size") {
    using Value = std::unordered_map<std::int16_t, std::unordered_set<std::string>>;
    std::mt19937_64 random(7);
    int accepted = 0;
    for (int round = 0; round < 40'000; ++round) {
        Bytes input(random() % 24);
        for (std::byte& byte : input) {
            byte = static_cast<std::byte>(random() % 4);
        }
        error_of([&] {
            const auto value = rsm::decode<Value>(input);
            REQUIRE(value.size() == std::to_integer<std::size_t>(input[0]));
            ++accepted;
        });
    }
    CHECK(accepted > 0);
}

}  // namespace hostile_bytes_test
