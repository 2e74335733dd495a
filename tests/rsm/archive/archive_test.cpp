// Distributed under the Boost Software License, Version 1.0. See LICENSE.
#include <raft/base/stream.hpp>
#include <rsm/archive.hpp>

#include <boost/optional.hpp>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/map.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/optional.hpp>
#include <boost/serialization/set.hpp>
#include <boost/serialization/split_free.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/unordered_map.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/valarray.hpp>
#include <boost/serialization/vector.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
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

using Bytes = std::vector<std::byte>;
using rsm::ArchiveErrc;

Bytes bytes(std::initializer_list<int> values) {
    Bytes result;
    for (const int value : values) {
        result.push_back(static_cast<std::byte>(value));
    }
    return result;
}

// A member function, private, with a friend declaration, as in Boost's tutorial.
class Point {
public:
    Point() = default;
    Point(std::int32_t x, std::int32_t y) : x_(x), y_(y) {}
    auto operator<=>(const Point&) const = default;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& ar, const unsigned int) {
        ar& x_& y_;
    }

    std::int32_t x_ = 0;
    std::int32_t y_ = 0;
};

enum class Color : std::uint16_t { red, green = 500 };
enum class Flag : bool { off, on };

struct Operation {
    Color color = Color::red;
    std::string key;
    std::vector<Point> points;
    std::optional<std::map<std::string, double>> weights;

    bool operator==(const Operation&) const = default;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& color& key;
        ar& boost::serialization::make_nvp("points", points);
        ar& weights;
    }
};

// Split member functions that store less than the object holds.
struct Circle {
    double radius = 0;
    double area = 0;

    template <class Archive>
    void save(Archive& ar, unsigned) const {
        ar << radius;
    }
    template <class Archive>
    void load(Archive& ar, unsigned) {
        ar >> radius;
        area = radius * radius;
    }
    BOOST_SERIALIZATION_SPLIT_MEMBER()
};

// A free function beside the class.
struct Segment {
    Point from;
    Point to;
    bool operator==(const Segment&) const = default;
};
template <class Archive>
void serialize(Archive& ar, Segment& segment, const unsigned int) {
    ar& segment.from& segment.to;
}

// Free split functions in boost::serialization.
struct Celsius {
    double degrees = 0;
};

// Two releases of one class: the second one is versioned and has a member more.
struct AccountBefore {
    std::string owner;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& owner;
    }
};
struct AccountAfter {
    std::string owner;
    std::int64_t limit = 0;
    template <class Archive>
    void serialize(Archive& ar, unsigned version) {
        ar& owner;
        if (version >= 1) {
            ar& limit;
        } else {
            limit = 100;
        }
    }
};

// No class version, and for Nothing no bytes at all.
struct Bare {
    std::uint8_t value = 0;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& value;
    }
};
struct Nothing {
    bool operator==(const Nothing&) const = default;
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

struct Tree {
    std::vector<Tree> children;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& children;
    }
};

struct Base {
    int base = 0;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& base;
    }
};
struct Derived : Base {
    int own = 0;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& boost::serialization::base_object<Base>(*this);
        ar& own;
    }
};

}  // namespace archive_test

namespace boost::serialization {
template <class Archive>
void save(Archive& ar, const archive_test::Celsius& value, unsigned) {
    const double fahrenheit = value.degrees * 1.8 + 32;
    ar << fahrenheit;
}
template <class Archive>
void load(Archive& ar, archive_test::Celsius& value, unsigned) {
    double fahrenheit = 0;
    ar >> fahrenheit;
    value.degrees = (fahrenheit - 32) / 1.8;
}
}  // namespace boost::serialization
BOOST_SERIALIZATION_SPLIT_FREE(archive_test::Celsius)
BOOST_CLASS_VERSION(archive_test::AccountAfter, 1)
BOOST_CLASS_IMPLEMENTATION(archive_test::Bare, boost::serialization::object_serializable)
BOOST_CLASS_IMPLEMENTATION(archive_test::Nothing, boost::serialization::object_serializable)

namespace archive_test {

// Delivers one byte at a time.
class TrickleSource final : public raft::ByteSource {
public:
    explicit TrickleSource(std::span<const std::byte> bytes) : rest_(bytes) {}
    std::size_t read(std::span<std::byte> out) override {
        if (out.empty() || rest_.empty()) {
            return 0;
        }
        out[0] = rest_[0];
        rest_ = rest_.subspan(1);
        return 1;
    }
    std::size_t left() const { return rest_.size(); }

private:
    std::span<const std::byte> rest_;
};

class VectorSink final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> bytes) override {
        received.insert(received.end(), bytes.begin(), bytes.end());
        largest = std::max(largest, bytes.size());
    }
    Bytes received;
    std::size_t largest = 0;
};

template <class T>
T decode_slowly(const Bytes& encoded, std::size_t buffer_bytes = 16) {
    TrickleSource source(encoded);
    rsm::SnapshotReader reader(source, encoded.size(), buffer_bytes);
    T value{};
    reader >> value;
    reader.finish();
    return value;
}

template <class T>
Bytes encode_through_sink(const T& value) {
    VectorSink sink;
    rsm::SnapshotWriter writer(sink, 16);
    writer << value;
    writer.flush();
    CHECK(writer.size() == sink.received.size());
    return sink.received;
}

// The code of the ArchiveError that `action` throws; none if it returns.
template <class Action>
std::optional<ArchiveErrc> error_of(Action action) {
    try {
        action();
    } catch (const rsm::ArchiveError& error) {
        return error.code();
    }
    return std::nullopt;
}
template <class T>
std::optional<ArchiveErrc> decode_error(const Bytes& encoded) {
    return error_of([&] { (void)rsm::decode<T>(encoded); });
}

// What every type must satisfy: both ways of writing and both ways of reading agree, and neither
// a truncation nor an extension of the encoding is accepted.
template <class T>
void check_round_trip(const T& value) {
    const Bytes encoded = rsm::encode(value);
    CHECK(rsm::decode<T>(encoded) == value);
    CHECK(encode_through_sink(value) == encoded);
    CHECK(decode_slowly<T>(encoded) == value);

    for (std::size_t length = 0; length < encoded.size(); ++length) {
        // A copy of exactly this size lets the address sanitizer see a read beyond it.
        const Bytes shorter(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK_THROWS_AS((void)rsm::decode<T>(shorter), rsm::ArchiveError);
        CHECK_THROWS_AS((void)decode_slowly<T>(shorter), rsm::ArchiveError);
    }
    Bytes longer = encoded;
    longer.push_back(std::byte{0});
    CHECK(decode_error<T>(longer) == ArchiveErrc::trailing_bytes);
}

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

}  // namespace archive_test
