// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Whether an archive can carry a type, looked at down to what containers hold.
#ifndef RSM_ARCHIVE_ENCODABLE_HPP
#define RSM_ARCHIVE_ENCODABLE_HPP

#include <rsm/archive/encoding.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace rsm::inline v0::detail {

/// Without an error where it cannot. What the `serialize` of a class writes is not looked at.
template <class T>
struct Encodable : std::false_type {};
template <class T>
inline constexpr bool encodable = Encodable<T>::value;

template <Scalar T>
struct Encodable<T>
    : std::bool_constant<(!std::is_enum_v<T> ||
                          FixedEnum<T>)&&!std::is_same_v<UnderlyingType<T>, wchar_t> &&
                         sizeof(T) <= 8 && (!std::is_floating_point_v<T> || PortableFloat<T>)> {};
/// What Encoding refuses with an error, where it is asked, is no such class.
template <class T>
concept PlainClass =
    std::is_class_v<T> && !OwningPointer<T> && !WeakPointer<T> && !std::is_polymorphic_v<T>;
template <class T>
concept AsksTheClass = PlainClass<T> && requires {
    Encoding<T>::asks_the_class;
};
template <AsksTheClass T>
struct Encodable<T> : std::bool_constant<SerializeMember<T> || free_serialize::Found<T>> {};

template <class T>
concept CarriesElements = PlainClass<T> && !AsksTheClass<T> && requires {
    typename T::value_type;
};
template <CarriesElements T>
struct Encodable<T> : Encodable<typename T::value_type> {};
template <class T, std::size_t size>
struct Encodable<T[size]> : Encodable<T> {};
template <class First, class Second>
struct Encodable<std::pair<First, Second>>
    : std::bool_constant<encodable<std::remove_const_t<First>> && encodable<Second>> {};
template <class... Parts>
struct Encodable<std::tuple<Parts...>> : std::bool_constant<(encodable<Parts> && ...)> {};
template <class... Parts>
struct Encodable<std::variant<Parts...>> : std::bool_constant<(encodable<Parts> && ...)> {};
template <class T>
struct Encodable<std::optional<T>> : Encodable<T> {};
template <>
struct Encodable<std::monostate> : std::true_type {};

}  // namespace rsm::detail

#endif
