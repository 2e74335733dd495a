// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What is written, and that it is read again.
#include "archive_support.hpp"

#include <raft/base/stream.hpp>
#include <rsm/archive.hpp>

#include <boost/optional.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <variant>
#include <vector>

namespace archive_test {

TEST_CASE("an unsigned integer takes one byte up to 247 and then a length and its bytes") {
    CHECK(rsm::encode(std::uint32_t{0}) == bytes({0}));
    CHECK(rsm::encode(std::uint32_t{247}) == bytes({247}));
    CHECK(rsm::encode(std::uint32_t{248}) == bytes({248, 248}));
    CHECK(rsm::encode(std::uint32_t{255}) == bytes({248, 255}));
    CHECK(rsm::encode(std::uint32_t{256}) == bytes({249, 0, 1}));
    CHECK(rsm::encode(std::uint32_t{0x01020304}) == bytes({251, 4, 3, 2, 1}));
    CHECK(rsm::encode(~std::uint64_t{0}) == bytes({255, 255, 255, 255, 255, 255, 255, 255, 255}));
}

TEST_CASE("a signed integer stays short on both sides of zero") {
    CHECK(rsm::encode(0) == bytes({0}));
    CHECK(rsm::encode(-1) == bytes({1}));
    CHECK(rsm::encode(1) == bytes({2}));
    CHECK(rsm::encode(-124) == bytes({247}));
    CHECK(rsm::encode(124) == bytes({248, 248}));
    CHECK(rsm::encode(std::int16_t{-32768}) == bytes({249, 255, 255}));
}

TEST_CASE("the encodings of the other kinds are fixed to the byte") {
    CHECK(rsm::encode(true) == bytes({1}));
    CHECK(rsm::encode('a') == bytes({'a'}));
    CHECK(rsm::encode(std::int8_t{-1}) == bytes({255}));
    CHECK(rsm::encode(std::byte{7}) == bytes({7}));
    CHECK(rsm::encode(u'\u20ac') == bytes({249, 0xac, 0x20}));
    CHECK(rsm::encode(Color::green) == bytes({249, 0xf4, 1}));
    CHECK(rsm::encode(Flag::on) == bytes({1}));
    CHECK(rsm::encode(1.0F) == bytes({0, 0, 0x80, 0x3f}));
    CHECK(rsm::encode(-2.0) == bytes({0, 0, 0, 0, 0, 0, 0, 0xc0}));
    CHECK(rsm::encode(std::string("hi")) == bytes({2, 'h', 'i'}));
    CHECK(rsm::encode(std::vector<int>{1, -1}) == bytes({2, 2, 1}));
    CHECK(rsm::encode(std::vector<bool>{true, false}) == bytes({2, 1, 0}));
    CHECK(rsm::encode(std::map<int, char>{{2, 'b'}, {1, 'a'}}) == bytes({2, 2, 'a', 4, 'b'}));
    CHECK(rsm::encode(std::optional<bool>{}) == bytes({0}));
    CHECK(rsm::encode(std::optional<bool>{true}) == bytes({1, 1}));
    CHECK(rsm::encode(std::pair(true, 'x')) == bytes({1, 'x'}));
    CHECK(rsm::encode(std::array<std::uint8_t, 2>{8, 9}) == bytes({8, 9}));
    CHECK(rsm::encode(std::variant<int, char>('z')) == bytes({1, 'z'}));
    CHECK(rsm::encode(Point(3, -4)) == bytes({0, 6, 7}));
    CHECK(rsm::encode(AccountAfter{"a", 1}) == bytes({1, 1, 'a', 2}));
    CHECK(rsm::encode(Bare{9}) == bytes({9}));
    CHECK(rsm::encode(std::vector<Nothing>(3)) == bytes({3, 0, 0, 0}));
}

TEST_CASE_TEMPLATE("the limits of an integer type survive a round trip", T, char, signed char,
                   unsigned char, short, unsigned short, int, unsigned, long, unsigned long,
                   long long, unsigned long long, char8_t, char16_t, char32_t) {
    for (const T value : {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{0}}) {
        check_round_trip(value);
    }
    using Unsigned = std::make_unsigned_t<T>;
    for (int bit = 0; bit < std::numeric_limits<Unsigned>::digits; ++bit) {
        const auto power = static_cast<Unsigned>(Unsigned{1} << bit);
        check_round_trip(static_cast<T>(power));
        check_round_trip(static_cast<T>(power - 1));
    }
}

TEST_CASE("floating-point numbers keep every bit") {
    check_round_trip(0.1);
    check_round_trip(-1.5F);
    check_round_trip(std::numeric_limits<double>::infinity());
    check_round_trip(std::numeric_limits<double>::denorm_min());
    CHECK(std::signbit(rsm::decode<double>(rsm::encode(-0.0))));
    const auto payload = std::uint64_t{0x7ff8'0000'dead'beef};
    const auto copy = rsm::decode<double>(rsm::encode(std::bit_cast<double>(payload)));
    CHECK(std::bit_cast<std::uint64_t>(copy) == payload);
}

TEST_CASE("strings and sequences survive a round trip") {
    check_round_trip(std::string());
    check_round_trip(std::string(300, 'x'));
    check_round_trip(std::u16string(u"\u20ac\u00e9x"));
    check_round_trip(std::vector<int>{1, -2, 300000, std::numeric_limits<int>::min()});
    check_round_trip(std::vector<std::uint8_t>(100, 7));
    check_round_trip(std::vector<double>{0.5, -3, 1e300});
    check_round_trip(std::vector<bool>{true, false, true});
    check_round_trip(std::vector<std::string>{"", "a", std::string(40, 'b')});
    check_round_trip(std::vector<Point>{{1, 2}, {3, 4}});
    check_round_trip(std::vector<std::vector<std::string>>{{"a"}, {}, {"b", "c"}});
    check_round_trip(std::deque<std::string>{"x", "y"});
    check_round_trip(std::list<Point>{{5, 6}});
    check_round_trip(std::vector<Flag>{Flag::on, Flag::off});
}

TEST_CASE("sets and maps survive a round trip") {
    check_round_trip(std::set<std::string>{"b", "a"});
    check_round_trip(std::multiset<int>{3, 3, 1});
    check_round_trip(std::unordered_set<int>{1, 2, 3});
    check_round_trip(std::unordered_multiset<int>{1, 1});
    check_round_trip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    check_round_trip(std::map<Point, Point>{{{1, 2}, {3, 4}}});
    check_round_trip(std::multimap<int, char>{{1, 'b'}, {1, 'a'}});
    check_round_trip(std::unordered_map<std::string, std::string>{{"k", "v"}, {"l", "w"}});
}

TEST_CASE("the other standard types survive a round trip") {
    check_round_trip(std::optional<std::string>{});
    check_round_trip(std::optional<std::string>{"here"});
    check_round_trip(std::pair<int, std::string>{1, "one"});
    check_round_trip(std::tuple<int, std::string, bool>{1, "one", true});
    check_round_trip(std::array<std::string, 2>{"a", "b"});
    check_round_trip(std::array<double, 3>{1, 2, 3});
    check_round_trip(std::variant<std::monostate, int, std::string>{});
    check_round_trip(std::variant<std::monostate, int, std::string>{"text"});

    const int numbers[2][2] = {{1, 2}, {3, 4}};
    rsm::BufferWriter writer;
    writer << numbers;
    int copy[2][2] = {};
    rsm::BufferReader reader(writer.view());
    reader >> copy;
    CHECK(copy[1][0] == 3);
    CHECK(reader.remaining() == 0);
}

TEST_CASE("elements that encode to nothing survive a round trip in any container") {
    check_round_trip(std::vector<Nothing>(5));
    check_round_trip(std::list<std::monostate>(2));
    check_round_trip(std::vector<std::tuple<>>(1));
    check_round_trip(std::set<std::monostate>{{}});
    check_round_trip(std::vector<std::vector<Nothing>>{std::vector<Nothing>(3), {}});
    CHECK(decode_error<std::vector<Nothing>>(bytes({2, 0, 1})) == ArchiveErrc::bad_value);
}

TEST_CASE("a class with a serialize member survives a round trip") {
    check_round_trip(Operation{Color::green, "key", {{1, 2}}, {{{"w", 0.5}}}});
    check_round_trip(Segment{{1, 2}, {3, 4}});
}

TEST_CASE("split save and load functions are called in their directions") {
    const auto circle = rsm::decode<Circle>(rsm::encode(Circle{3, 0}));
    CHECK(circle.area == 9);
    CHECK(rsm::encode(Celsius{100}) == rsm::encode(Circle{212, 0}));
    CHECK(rsm::decode<Celsius>(rsm::encode(Celsius{100})).degrees == doctest::Approx(100));
}

TEST_CASE("a base object is stored inside its derived object") {
    Derived derived;
    derived.base = 1;
    derived.own = 2;
    CHECK(rsm::encode(derived) == bytes({0, 0, 2, 4}));
    CHECK(rsm::decode<Derived>(rsm::encode(derived)).base == 1);
}

TEST_CASE("bytes of an older class version load, and serialize is told the version") {
    const auto account = rsm::decode<AccountAfter>(rsm::encode(AccountBefore{"ann"}));
    CHECK(account.owner == "ann");
    CHECK(account.limit == 100);
    CHECK(rsm::decode<AccountAfter>(rsm::encode(AccountAfter{"bob", 7})).limit == 7);
}

TEST_CASE("bytes of a newer class version are refused") {
    CHECK(decode_error<AccountBefore>(rsm::encode(AccountAfter{"bob", 7})) ==
          ArchiveErrc::newer_version);
}

TEST_CASE("a type that only a Boost header knows is stored by that header") {
    const boost::optional<std::string> present("x");
    CHECK(rsm::decode<boost::optional<std::string>>(rsm::encode(present)).value() == "x");
    const std::valarray<int> numbers{1, 2, 3};
    const auto copy = rsm::decode<std::valarray<int>>(rsm::encode(numbers));
    REQUIRE(copy.size() == 3);
    CHECK(copy[2] == 3);
    CHECK(decode_error<std::valarray<int>>(bytes({255, 0, 0, 0, 0, 0, 0, 0, 127})) ==
          ArchiveErrc::count_too_large);
}

TEST_CASE("an integer moves to a wider type, and to a narrower one only if it fits") {
    CHECK(rsm::decode<std::int64_t>(rsm::encode(std::int16_t{-300})) == -300);
    CHECK(rsm::decode<std::int16_t>(rsm::encode(std::int64_t{-300})) == -300);
    CHECK(decode_error<std::int16_t>(rsm::encode(std::int64_t{32768})) ==
          ArchiveErrc::out_of_range);
    CHECK(decode_error<std::uint32_t>(rsm::encode(std::uint64_t{1} << 32)) ==
          ArchiveErrc::out_of_range);
    CHECK(decode_error<Color>(rsm::encode(65536U)) == ArchiveErrc::out_of_range);
}

TEST_CASE("a buffer writer that is cleared writes afresh into the same memory") {
    rsm::BufferWriter writer;
    writer << std::string(1000, 'x');
    const std::byte* memory = writer.view().data();
    writer.clear();
    CHECK(writer.size() == 0);
    writer << 'y';
    CHECK(writer.view().data() == memory);
    CHECK(writer.take() == bytes({'y'}));
    CHECK(writer.view().empty());
    writer << 'z';
    CHECK(writer.take() == bytes({'z'}));
}

TEST_CASE("a buffer reader gives back the bytes that follow a value") {
    const Bytes input = bytes({1, 'a', 9, 9});
    rsm::BufferReader reader(input);
    std::string text;
    reader >> text;
    CHECK(reader.offset() == 2);
    CHECK(reader.rest().data() == input.data() + 2);
    CHECK(error_of([&] { reader.finish(); }) == ArchiveErrc::trailing_bytes);
}

TEST_CASE("raw bytes and fixed-width words are written without a count") {
    rsm::BufferWriter writer;
    writer.write(bytes({1, 2}));
    writer.write({});
    writer.write_fixed(std::uint32_t{0x01020304});
    CHECK(rsm::BufferReader(writer.view()).remaining() == 6);
    rsm::BufferReader reader(writer.view());
    Bytes raw(2);
    reader.read(raw);
    CHECK(raw == bytes({1, 2}));
    CHECK(reader.read_fixed<std::uint32_t>() == 0x01020304);
    CHECK(error_of([&] { reader.read(raw); }) == ArchiveErrc::truncated);
}

TEST_CASE("a snapshot reaches the sink in bounded pieces and only when flushed") {
    VectorSink sink;
    rsm::SnapshotWriter writer(sink, 64);
    Bytes expected;
    for (int number = 0; number < 1000; ++number) {
        writer << number;
        const Bytes encoded = rsm::encode(number);
        expected.insert(expected.end(), encoded.begin(), encoded.end());
    }
    CHECK(sink.received.size() < expected.size());
    CHECK(sink.largest <= 64);
    CHECK(writer.size() == expected.size());
    writer.flush();
    CHECK(sink.received == expected);
}

TEST_CASE("a long string in a snapshot passes the buffer in both directions") {
    const std::pair<int, std::string> value{5, std::string(10'000, 's')};
    VectorSink sink;
    rsm::SnapshotWriter writer(sink, 64);
    writer << value << 'e';
    writer.flush();
    CHECK(sink.largest == 10'000);
    TrickleSource source(sink.received);
    rsm::SnapshotReader reader(source, sink.received.size(), 64);
    std::pair<int, std::string> copy;
    char end = 0;
    reader >> copy >> end;
    CHECK(copy == value);
    CHECK(end == 'e');
    CHECK(reader.offset() == sink.received.size());
    reader.finish();
}

TEST_CASE("a snapshot reader takes no byte beyond the total that it was told") {
    const Bytes input = bytes({1, 2, 3, 4});
    TrickleSource source(input);
    rsm::SnapshotReader reader(source, 2);
    CHECK(reader.remaining() == 2);
    std::uint8_t byte = 0;
    reader >> byte >> byte;
    CHECK(error_of([&] { reader >> byte; }) == ArchiveErrc::truncated);
    CHECK(source.left() == 2);
}

TEST_CASE("a source that ends before the stated total is an error and not a short value") {
    Bytes input = rsm::encode(std::string(100, 'x'));
    input.resize(50);
    TrickleSource source(input);
    rsm::SnapshotReader reader(source, 101, 16);
    std::string text;
    CHECK(error_of([&] { reader >> text; }) == ArchiveErrc::truncated);
}

TEST_CASE("a source that claims more than it was asked for is refused") {
    class Liar final : public raft::ByteSource {
        std::size_t read(std::span<std::byte> out) override { return out.size() + 1; }
    };
    Liar liar;
    rsm::SnapshotReader reader(liar, 1000, 16);
    int number = 0;
    CHECK(error_of([&] { reader >> number; }) == ArchiveErrc::truncated);
}

// Whatever decodes must encode to the same bytes: a value has one encoding. Unordered containers
// are left out here for they have several.

}  // namespace archive_test
