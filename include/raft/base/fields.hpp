// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// A type lists its fields once, and what treats all fields alike follows from the list: encoding,
// decoding, size, digest.
#ifndef RSM_RAFT_BASE_FIELDS_HPP
#define RSM_RAFT_BASE_FIELDS_HPP

#include <cstddef>
#include <type_traits>
#include <utility>

namespace raft::inline v0 {

namespace detail {

struct CountFields {
    template <class... Fields>
    constexpr auto operator()(Fields&...) const {
        return std::integral_constant<std::size_t, sizeof...(Fields)>{};
    }
};
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

/// A type says so by a static member template `fields(self, visit)` that returns
/// visit(self.first, self.second, ...), in the order in which they are encoded. (A template costs
/// nothing where it is not used.)
template <class T>
concept HasFields = requires(T& value) {
    T::fields(value, detail::CountFields{});
};

/// Whether the list names every field: an aggregate's members can be counted.
template <HasFields T>
constexpr bool lists_all_fields() {
    if constexpr (std::is_aggregate_v<T>) {
        using Count = decltype(T::fields(std::declval<T&>(), detail::CountFields{}));
        return Count::value == detail::count_members<T>();
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
    Plain::fields(value, [&](auto&... field) { (visit(field), ...); });
}

}  // namespace raft

#endif
