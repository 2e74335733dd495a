// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// How each kind of type is written and read: one specialization of Encoding for each line of the
// table at the top of rsm/archive.hpp. Here are the scalars and the classes that serialize
// themselves; the standard library's own types are in archive/standard_types.hpp.
#ifndef RSM_ARCHIVE_ENCODING_HPP
#define RSM_ARCHIVE_ENCODING_HPP

#include <rsm/archive/errors.hpp>
#include <rsm/archive/input.hpp>
#include <rsm/archive/output.hpp>

#include <boost/core/nvp.hpp>
#include <boost/serialization/collection_size_type.hpp>
#include <boost/serialization/item_version_type.hpp>
#include <boost/serialization/level.hpp>
#include <boost/serialization/serialization.hpp>
#include <boost/serialization/version.hpp>
#include <boost/serialization/wrapper.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace rsm::inline v0::detail {

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
        unsigned version = class_version;
        if constexpr (versioned) {
            if constexpr (class_version > 0) version = ar.versions().of_class(class_version);
            ar.write_varint(version);
        }
        // serialize() serves both directions and so takes a mutable object, which it does not
        // change when saving.
        boost::serialization::serialize_adl(ar, const_cast<T&>(value), version);
    }

    static void load(InputArchive& ar, T& value) {
        require_serialize();
        const Nesting nesting(ar, ar.depth_);
        unsigned stored_version = class_version;
        if constexpr (versioned) {
            const std::uint64_t stored = ar.read_varint();
            if (stored > ar.versions().readable_of_class(class_version)) {
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

}  // namespace rsm::detail

namespace rsm::inline v0 {

/// An archive can carry it: a type of the table in rsm/archive.hpp, or a class with `serialize`.
/// What it consists of is looked at only when it is written.
template <class T>
concept Serializable = !requires {
    detail::Encoding<T>::asks_the_class;
}
|| detail::SerializeMember<T> || detail::free_serialize::Found<T>;

}  // namespace rsm

#endif
