// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A type lists its fields once, and what treats all fields alike follows from the list: encoding,
// decoding, size, digest.
#ifndef RSM_RAFT_BASE_FIELDS_HPP
#define RSM_RAFT_BASE_FIELDS_HPP

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace raft {

/// A type says so by a static function `fields()` that returns std::tuple(&T::first, &T::second,
/// ...), in the order in which they are encoded.
template <class T>
concept HasFields = requires {
    T::fields();
};

namespace detail {

struct Anything {
    template <class T>
    operator T() const;
};
template <class T, class... Values>
constexpr std::size_t count_members() {
    if constexpr (requires { T{std::declval<Values>()..., std::declval<Anything>()}; }) {
        return count_members<T, Values..., Anything>();
    } else {
        return sizeof...(Values);
    }
}

}  // namespace detail

/// Whether the list names every field: an aggregate's members can be counted.
template <HasFields T>
constexpr bool lists_all_fields() {
    if constexpr (std::is_aggregate_v<T>) {
        return std::tuple_size_v<decltype(T::fields())> == detail::count_members<T>();
    } else {
        return true;
    }
}

/// Calls visit(field) for each, in order.
template <class T, class Visit>
    requires HasFields<std::remove_const_t<T>>
constexpr void for_each_field(T& value, Visit visit) {
    using Plain = std::remove_const_t<T>;
    static_assert(lists_all_fields<Plain>(), "fields() must list every member");
    std::apply([&](auto... member) { (visit(value.*member), ...); }, Plain::fields());
}

}  // namespace raft

#endif
