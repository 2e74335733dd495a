// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How each kind of type is written and read: one specialization of Encoding for each line of the
// table at the top of rsm/archive.hpp. The containers are handled here and not by Boost's headers
// because those allocate for whatever count they read.
#ifndef RSM_DETAIL_ARCHIVE_ENCODING_HPP
#define RSM_DETAIL_ARCHIVE_ENCODING_HPP

#include <rsm/archive.hpp>

#include <boost/core/nvp.hpp>
#include <boost/serialization/collection_size_type.hpp>
#include <boost/serialization/item_version_type.hpp>
#include <boost/serialization/level.hpp>
#include <boost/serialization/serialization.hpp>
#include <boost/serialization/version.hpp>
#include <boost/serialization/wrapper.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace rsm::detail {

// A wrapper, such as nvp or array_wrapper, is a temporary that stands for the object to be loaded
// into.
template <class T>
    requires(std::is_class_v<T>&& boost::serialization::is_wrapper<T>::type::value)
inline constexpr bool loadable_in_place<T> = false;
template <class T>
inline constexpr bool loadable_in_place<boost::serialization::nvp<T>> = false;

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// Only an enumeration with a fixed underlying type can be list-initialized from an integer. For
// others the type is the compiler's choice, and converting a value outside the enumerators' range
// would be undefined.
template <class T>
concept FixedEnum = std::is_enum_v<T> && requires {
    T{0};
};

template <class T>
struct Underlying {
    using Type = T;
};
template <class T>
    requires std::is_enum_v<T>
struct Underlying<T> {
    using Type = std::underlying_type_t<T>;
};
template <class T>
using UnderlyingType = typename Underlying<T>::Type;

template <class T>
concept PortableFloat = std::is_floating_point_v<T> && std::numeric_limits<T>::is_iec559 &&
                        sizeof(T) <= 8;

// Types whose arrays in memory are their own encoding and can be copied as a block.
template <class T>
concept Bulk = Scalar<T> && !std::same_as<UnderlyingType<T>, bool> &&
               (sizeof(T) == 1 || (PortableFloat<T> && std::endian::native == std::endian::little));

// What an element takes at least; it bounds counts more tightly where it is known.
template <class T>
inline constexpr std::size_t encoded_bytes_min = PortableFloat<T> ? sizeof(T) : 1;

template <class T>
concept OwningPointer = requires(const T& pointer, typename T::element_type*) {
    pointer.get();
    pointer.operator->();
};
template <class T>
concept WeakPointer = requires(const T& pointer, typename T::element_type*) {
    pointer.lock();
};

template <Scalar T>
struct Encoding<T> {
    using Base = UnderlyingType<T>;
    static_assert(
        !std::is_enum_v<T> || FixedEnum<T>,
        "state the enumeration's underlying type: without it, it differs between platforms");
    static_assert(!std::same_as<Base, wchar_t>,
                  "wchar_t differs between platforms: use char, char16_t or char32_t");
    static_assert(sizeof(Base) <= 8, "long double and 128-bit integers differ between platforms");
    static_assert(!std::is_floating_point_v<T> || sizeof(T) > 8 || PortableFloat<T>,
                  "floating point must be IEEE 754");

    static void save(OutputArchive& ar, T value) {
        if constexpr (std::is_floating_point_v<T>) {
            ar.write_fixed(std::bit_cast<Bits>(value));
        } else if constexpr (sizeof(T) == 1) {
            ar.write_byte(static_cast<std::uint8_t>(value));
        } else if constexpr (std::is_signed_v<Base>) {
            const auto number = static_cast<std::int64_t>(value);
            ar.write_varint((static_cast<std::uint64_t>(number) << 1) ^
                            static_cast<std::uint64_t>(number >> 63));
        } else {
            ar.write_varint(static_cast<std::uint64_t>(value));
        }
    }

    static void load(InputArchive& ar, T& value) {
        if constexpr (std::is_floating_point_v<T>) {
            value = std::bit_cast<T>(ar.read_fixed<Bits>());
        } else if constexpr (std::same_as<Base, bool>) {
            const std::uint8_t byte = ar.read_byte();
            if (byte > 1) {
                ar.fail(ArchiveErrc::bad_value);
            }
            value = static_cast<T>(byte != 0);
        } else if constexpr (sizeof(T) == 1) {
            value = static_cast<T>(ar.read_byte());
        } else {
            const std::uint64_t number = ar.read_varint();
            if (number > std::numeric_limits<std::make_unsigned_t<Base>>::max()) {
                ar.fail(ArchiveErrc::out_of_range);
            }
            const std::uint64_t sign = std::is_signed_v<Base> ? ~(number & 1) + 1 : 0;
            value = static_cast<T>(
                static_cast<Base>(std::is_signed_v<Base> ? (number >> 1) ^ sign : number));
        }
    }

private:
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
};

// Counts an object in, and out again when its function returns or throws.
class Nesting {
public:
    template <class Archive>
    Nesting(const Archive& ar, std::uint32_t& depth) : depth_(depth) {
        if (depth_ == archive_depth_max) {
            ar.fail(ArchiveErrc::too_deep);
        }
        ++depth_;
    }
    ~Nesting() { --depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

private:
    std::uint32_t& depth_;
};

namespace free_serialize {

// A rival for Boost's own template, which takes every class and passes it on to its member: the two
// are ambiguous, so that a call is possible only where there is a function for just this class.
template <class Archive, class T>
void serialize(Archive& ar, T& value, const unsigned int version);

template <class T>
concept Found = requires(OutputArchive& ar, T& value, const boost::serialization::version_type v) {
    serialize(ar, value, v);
};

}  // namespace free_serialize

// A member that is private to all but boost::serialization::access can only be found by its name:
// it and a stranger's of the same name are ambiguous in a class that has both for bases.
struct NamesSerialize {
    int serialize;
};
template <class T>
struct NamedTwice : T, NamesSerialize {};
template <class T>
concept SerializeMember = (std::is_class_v<T> && !std::is_final_v<T> &&
                           !requires { &NamedTwice<T>::serialize; }) ||
                          requires(OutputArchive& ar, T& value) {
    value.serialize(ar, 0U);
};

// Classes that serialize themselves, through Boost's dispatch: a member, or a free function found
// beside the class or in boost::serialization.
template <class T>
struct Encoding {
    static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
                      !std::is_null_pointer_v<T>,
                  "pointers are not supported: serialize the object itself, or an optional");
    static_assert(!OwningPointer<T> && !WeakPointer<T>,
                  "smart pointers are not supported: serialize the object itself, or an optional");
    static_assert(!std::is_polymorphic_v<T>,
                  "polymorphic classes are not supported: their dynamic type is not stored");
    static_assert(std::is_class_v<T> || std::is_union_v<T>, "this type cannot be serialized");

    static constexpr int level = boost::serialization::implementation_level<T>::value;
    static_assert(
        level == boost::serialization::object_serializable ||
            level == boost::serialization::object_class_info,
        "the implementation level of a class must be object_serializable or object_class_info");
    static constexpr bool versioned = level == boost::serialization::object_class_info;
    static constexpr auto class_version =
        static_cast<unsigned>(boost::serialization::version<T>::value);

    // Marks the one template that asks the class itself.
    static constexpr bool asks_the_class = true;

    static void save(OutputArchive& ar, const T& value) {
        require_serialize();
        const Nesting nesting(ar, ar.depth_);
        if constexpr (versioned) {
            ar.write_varint(class_version);
        }
        // serialize() serves both directions and so takes a mutable object, which it does not
        // change when saving.
        boost::serialization::serialize_adl(ar, const_cast<T&>(value), class_version);
    }

    static void load(InputArchive& ar, T& value) {
        require_serialize();
        const Nesting nesting(ar, ar.depth_);
        unsigned stored_version = class_version;
        if constexpr (versioned) {
            const std::uint64_t stored = ar.read_varint();
            if (stored > class_version) {
                ar.fail(ArchiveErrc::newer_version);
            }
            stored_version = static_cast<unsigned>(stored);
        }
        boost::serialization::serialize_adl(ar, value, stored_version);
    }

private:
    static constexpr void require_serialize() {
        static_assert(SerializeMember<T> || free_serialize::Found<T>,
                      "a class that is to be written has no serialize: give it the member template "
                      "<class Archive> void serialize(Archive&, unsigned), or such a function "
                      "beside it");
    }
};

template <class T>
struct Encoding<boost::serialization::nvp<T>> {
    static void save(OutputArchive& ar, const boost::serialization::nvp<T>& named) {
        ar << named.const_value();
    }
    static void load(InputArchive& ar, const boost::serialization::nvp<T>& named) {
        ar >> named.value();
    }
};

// Boost's headers for containers that are not handled here write these.
template <>
struct Encoding<boost::serialization::collection_size_type> {
    using Count = boost::serialization::collection_size_type;
    static void save(OutputArchive& ar, const Count& count) { ar.write_varint(std::size_t{count}); }
    static void load(InputArchive& ar, Count& count) { count = Count(ar.read_count()); }
};
template <>
struct Encoding<boost::serialization::item_version_type> {
    using Version = boost::serialization::item_version_type;
    static void save(OutputArchive& ar, const Version& version) {
        ar << static_cast<unsigned>(version);
    }
    static void load(InputArchive& ar, Version& version) {
        unsigned number = 0;
        ar >> number;
        version = Version(number);
    }
};

// Elements that lie side by side and exist already: no count.
template <class T>
void save_elements(OutputArchive& ar, std::span<const T> elements) {
    if constexpr (Bulk<T>) {
        ar.write(std::as_bytes(elements));
    } else {
        for (const T& element : elements) {
            ar << element;
        }
    }
}
template <class T>
void load_elements(InputArchive& ar, std::span<T> elements) {
    if constexpr (Bulk<T>) {
        ar.read(std::as_writable_bytes(elements));
    } else {
        for (T& element : elements) {
            ar >> element;
        }
    }
}

template <class T, std::size_t size>
struct Encoding<T[size]> {
    static void save(OutputArchive& ar, const T (&value)[size]) { save_elements<T>(ar, value); }
    static void load(InputArchive& ar, T (&value)[size]) { load_elements<T>(ar, value); }
};
template <class T, std::size_t size>
struct Encoding<std::array<T, size>> {
    static void save(OutputArchive& ar, const std::array<T, size>& value) {
        save_elements<T>(ar, value);
    }
    static void load(InputArchive& ar, std::array<T, size>& value) { load_elements<T>(ar, value); }
};

template <class Char, class Traits, class Allocator>
struct Encoding<std::basic_string<Char, Traits, Allocator>> {
    using String = std::basic_string<Char, Traits, Allocator>;

    static void save(OutputArchive& ar, const String& value) {
        ar.write_varint(value.size());
        save_elements<Char>(ar, value);
    }
    static void load(InputArchive& ar, String& value) {
        const std::size_t count = ar.read_count();
        value.clear();
        if constexpr (Bulk<Char>) {
            value.resize(count);
            load_elements<Char>(ar, value);
        } else {
            for (std::size_t i = 0; i < count; ++i) {
                Char element{};
                ar >> element;
                value.push_back(element);
            }
        }
    }
};

// The frame that all counted containers share: the count, the elements, and the filling that keeps
// the count below the number of bytes.
template <class Container, class SaveOne>
void save_counted(OutputArchive& ar, const Container& value, SaveOne save_one) {
    ar.write_varint(value.size());
    const std::uint64_t start = ar.size();
    for (const auto& element : value) {
        save_one(element);
    }
    for (std::uint64_t taken = ar.size() - start; taken < value.size(); ++taken) {
        ar.write_byte(0);
    }
}
template <class LoadOne>
void load_counted(InputArchive& ar, std::size_t count, LoadOne load_one) {
    const std::uint64_t start = ar.offset();
    for (std::size_t i = 0; i < count; ++i) {
        load_one();
    }
    for (std::uint64_t taken = ar.offset() - start; taken < count; ++taken) {
        if (ar.read_byte() != 0) {
            ar.fail(ArchiveErrc::bad_value);
        }
    }
}

// Reserves no more memory than there are bytes left, for the in-memory size of an element may
// exceed its encoding.
template <class Container>
void reserve_for(const InputArchive& ar, Container& value, std::size_t count) {
    if constexpr (requires { value.reserve(count); }) {
        const std::uint64_t affordable = ar.remaining() / sizeof(typename Container::value_type);
        value.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, affordable)));
    }
}

template <class Container>
struct SequenceEncoding {
    using Element = typename Container::value_type;
    static_assert(std::default_initializable<Element>,
                  "elements must be default constructible to be loaded");

    static void save(OutputArchive& ar, const Container& value) {
        save_counted(ar, value, [&ar](const Element& element) { ar << element; });
    }
    static void load(InputArchive& ar, Container& value) {
        const std::size_t count = ar.read_count(encoded_bytes_min<Element>);
        value.clear();
        reserve_for(ar, value, count);
        load_counted(ar, count, [&] {
            value.emplace_back();
            ar >> value.back();
        });
    }
};
template <class T, class Allocator>
struct Encoding<std::deque<T, Allocator>> : SequenceEncoding<std::deque<T, Allocator>> {};
template <class T, class Allocator>
struct Encoding<std::list<T, Allocator>> : SequenceEncoding<std::list<T, Allocator>> {};
template <class T, class Allocator>
struct Encoding<std::vector<T, Allocator>> : SequenceEncoding<std::vector<T, Allocator>> {};

template <Bulk T, class Allocator>
struct Encoding<std::vector<T, Allocator>> {
    static void save(OutputArchive& ar, const std::vector<T, Allocator>& value) {
        ar.write_varint(value.size());
        save_elements<T>(ar, value);
    }
    static void load(InputArchive& ar, std::vector<T, Allocator>& value) {
        const std::size_t count = ar.read_count(sizeof(T));
        value.resize(count);
        load_elements<T>(ar, value);
    }
};

// The elements of vector<bool> are proxies, not objects.
template <class Allocator>
struct Encoding<std::vector<bool, Allocator>> {
    static void save(OutputArchive& ar, const std::vector<bool, Allocator>& value) {
        save_counted(ar, value, [&ar](bool element) { ar << element; });
    }
    static void load(InputArchive& ar, std::vector<bool, Allocator>& value) {
        const std::size_t count = ar.read_count();
        value.clear();
        value.reserve(count);
        load_counted(ar, count, [&] {
            bool element = false;
            ar >> element;
            value.push_back(element);
        });
    }
};

// An encoder writes no key twice, and the keys of ordered containers in their order. `size` is what
// the container holds once the element at `place` is new.
template <class Container, class Iterator>
void require_added(const InputArchive& ar, const Container& value, Iterator place,
                   std::size_t size) {
    bool added = value.size() == size;
    if constexpr (requires { typename Container::key_compare; }) {
        added = added && std::next(place) == value.end();
    }
    if (!added) {
        ar.fail(ArchiveErrc::bad_value);
    }
}

template <class Set>
struct SetEncoding {
    using Element = typename Set::value_type;
    static_assert(std::default_initializable<Element>,
                  "elements must be default constructible to be loaded");

    static void save(OutputArchive& ar, const Set& value) {
        save_counted(ar, value, [&ar](const Element& element) { ar << element; });
    }
    static void load(InputArchive& ar, Set& value) {
        const std::size_t count = ar.read_count(encoded_bytes_min<Element>);
        value.clear();
        reserve_for(ar, value, count);
        load_counted(ar, count, [&, size = std::size_t{0}]() mutable {
            Element element{};
            ar >> element;
            const auto place = value.emplace_hint(value.end(), std::move(element));
            require_added(ar, value, place, ++size);
        });
    }
};
template <class T, class Less, class Allocator>
struct Encoding<std::set<T, Less, Allocator>> : SetEncoding<std::set<T, Less, Allocator>> {};
template <class T, class Less, class Allocator>
struct Encoding<std::multiset<T, Less, Allocator>>
    : SetEncoding<std::multiset<T, Less, Allocator>> {};
template <class T, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_set<T, Hash, Equal, Allocator>>
    : SetEncoding<std::unordered_set<T, Hash, Equal, Allocator>> {};
template <class T, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_multiset<T, Hash, Equal, Allocator>>
    : SetEncoding<std::unordered_multiset<T, Hash, Equal, Allocator>> {};

template <class Map>
struct MapEncoding {
    using Key = typename Map::key_type;
    using Mapped = typename Map::mapped_type;
    static_assert(std::default_initializable<Key> && std::default_initializable<Mapped>,
                  "keys and values must be default constructible to be loaded");

    static void save(OutputArchive& ar, const Map& value) {
        save_counted(ar, value,
                     [&ar](const auto& element) { ar << element.first << element.second; });
    }
    static void load(InputArchive& ar, Map& value) {
        const std::size_t count = ar.read_count(encoded_bytes_min<Key>);
        value.clear();
        reserve_for(ar, value, count);
        load_counted(ar, count, [&, size = std::size_t{0}]() mutable {
            Key key{};
            ar >> key;
            const auto place =
                value.emplace_hint(value.end(), std::piecewise_construct,
                                   std::forward_as_tuple(std::move(key)), std::tuple<>{});
            require_added(ar, value, place, ++size);
            ar >> place->second;
        });
    }
};
template <class K, class V, class Less, class Allocator>
struct Encoding<std::map<K, V, Less, Allocator>> : MapEncoding<std::map<K, V, Less, Allocator>> {};
template <class K, class V, class Less, class Allocator>
struct Encoding<std::multimap<K, V, Less, Allocator>>
    : MapEncoding<std::multimap<K, V, Less, Allocator>> {};
template <class K, class V, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_map<K, V, Hash, Equal, Allocator>>
    : MapEncoding<std::unordered_map<K, V, Hash, Equal, Allocator>> {};
template <class K, class V, class Hash, class Equal, class Allocator>
struct Encoding<std::unordered_multimap<K, V, Hash, Equal, Allocator>>
    : MapEncoding<std::unordered_multimap<K, V, Hash, Equal, Allocator>> {};

template <class T>
struct Encoding<std::optional<T>> {
    static void save(OutputArchive& ar, const std::optional<T>& value) {
        ar << value.has_value();
        if (value) {
            ar << *value;
        }
    }
    static void load(InputArchive& ar, std::optional<T>& value) {
        bool has_value = false;
        ar >> has_value;
        value.reset();
        if (has_value) {
            ar >> value.emplace();
        }
    }
};

template <class First, class Second>
struct Encoding<std::pair<First, Second>> {
    static void save(OutputArchive& ar, const std::pair<First, Second>& value) {
        ar << value.first << value.second;
    }
    static void load(InputArchive& ar, std::pair<First, Second>& value) {
        ar >> value.first >> value.second;
    }
};
template <class... Parts>
struct Encoding<std::tuple<Parts...>> {
    static void save(OutputArchive& ar, const std::tuple<Parts...>& value) {
        std::apply([&ar](const Parts&... parts) { (void)(ar << ... << parts); }, value);
    }
    static void load(InputArchive& ar, std::tuple<Parts...>& value) {
        std::apply([&ar](Parts&... parts) { (void)(ar >> ... >> parts); }, value);
    }
};

template <>
struct Encoding<std::monostate> {
    static void save(OutputArchive&, std::monostate) noexcept {}
    static void load(InputArchive&, std::monostate&) noexcept {}
};
template <class... Alternatives>
struct Encoding<std::variant<Alternatives...>> {
    using Variant = std::variant<Alternatives...>;

    static void save(OutputArchive& ar, const Variant& value) {
        if (value.valueless_by_exception()) {
            ar.fail(ArchiveErrc::bad_value);
        }
        ar.write_varint(value.index());
        std::visit([&ar](const auto& alternative) { ar << alternative; }, value);
    }
    static void load(InputArchive& ar, Variant& value) {
        const std::uint64_t index = ar.read_varint();
        if (index >= sizeof...(Alternatives)) {
            ar.fail(ArchiveErrc::bad_value);
        }
        load_alternative(ar, value, index, std::index_sequence_for<Alternatives...>());
    }

private:
    template <std::size_t... indexes>
    static void load_alternative(InputArchive& ar, Variant& value, std::uint64_t index,
                                 std::index_sequence<indexes...>) {
        (void)((index == indexes && (ar >> value.template emplace<indexes>(), true)) || ...);
    }
};

}  // namespace rsm::detail

namespace rsm {

/// An archive can carry it: a type of the table in rsm/archive.hpp, or a class with `serialize`.
/// What it consists of is looked at only when it is written.
template <class T>
concept Serializable = !requires {
    detail::Encoding<T>::asks_the_class;
}
|| detail::SerializeMember<T> || detail::free_serialize::Found<T>;

}  // namespace rsm

#endif
