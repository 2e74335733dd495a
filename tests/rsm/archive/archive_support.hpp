// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Types to be archived, and what every type must satisfy.
#ifndef RSM_TESTS_RSM_ARCHIVE_ARCHIVE_SUPPORT_HPP
#define RSM_TESTS_RSM_ARCHIVE_ARCHIVE_SUPPORT_HPP

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
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace archive_test {

using Bytes = std::vector<std::byte>;
using rsm::ArchiveErrc;

inline Bytes bytes(std::initializer_list<int> values) {
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

}  // namespace archive_test

#endif
